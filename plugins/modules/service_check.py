#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_check
short_description: Find out whether servers really answer
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Asks each server from this node, with a request of its own kind where that is cheap, and fails with a sentence that names those which
    do not answer in time.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  servers:
    description: The servers to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the server, for the answer.
        type: str
        required: true
      address:
        description: Its address.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        required: true
      check:
        description:
          - How to ask. V(tcp) connects; V(sockperf_tcp) and V(sockperf_udp) send one message of sockperf and look for its answer; V(redis)
            asks for an answer to PING; V(http) gets the page C(/) and looks for O(servers[].expect) in it; V(counters) reads one snapshot
            of the counters responder.
        type: str
        choices: [tcp, sockperf_tcp, sockperf_udp, redis, http, counters]
        default: tcp
      expect:
        description: Text that the page must hold; the server's address if not given.
        type: str
  wait_s:
    description: Seconds within which all servers must answer, 0 to 600; they are asked again until then.
    type: float
    default: 10
  timeout_s:
    description: Seconds that one request may take, 0.1 to 60.
    type: float
    default: 2
"""

EXAMPLES = r"""
- name: The servers answer on the data network
  datapath.lab.service_check:
    servers:
      - {name: netserver, address: 10.0.0.2, port: 12865}
      - {name: redis, address: 10.0.0.2, port: 6379, check: redis}
"""

RETURN = r"""
answers:
  description: The servers and the seconds that each answer took.
  type: list
  elements: dict
  returned: success
  sample:
    - {name: netserver, seconds: 0.000412}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.services.check import CHECKS, ask, target_of


def main() -> None:
    server = {
        "name": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "check": {"type": "str", "choices": list(CHECKS), "default": "tcp"},
        "expect": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "list", "elements": "dict", "required": True, "options": server},
            "wait_s": {"type": "float", "default": 10},
            "timeout_s": {"type": "float", "default": 2},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        answers = ask([target_of(given) for given in params["servers"]], params["wait_s"], params["timeout_s"])
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, answers=answers)


if __name__ == "__main__":
    main()
