#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_servers
short_description: Run the servers that load generators talk to
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs netserver, iperf3, sockperf, redis, nginx and the counters responder on one address of this node, as systemd units or, without
    systemd, each under a small supervisor as M(datapath.lab.supervised_service) does. All of them in one task, since each task costs an
    emulated node seconds.
  - They run as C(daemon) and listen on the one address only.
  - Then asks each of them for an answer, and fails with a sentence that names those which give none.
extends_documentation_fragment:
  - datapath.lab.attributes.state
options:
  state:
    description:
      - V(present) has the named servers run and leaves others as they are.
      - V(absent) ends all servers that this module has started, and removes their units and files.
    type: str
    choices: [present, absent]
    default: present
  servers:
    description: Which servers run.
    type: list
    elements: str
    choices: [netserver, iperf3, sockperf_tcp, sockperf_udp, redis, nginx, counters]
    default: [netserver, iperf3, sockperf_tcp, sockperf_udp, redis, nginx, counters]
  address:
    description: The one address that all servers listen on; needed for V(present).
    type: str
  ports:
    description: A port by the server's name, for those that shall not use their own (12865, 5201, 11111, 11111, 6379, 8080, 7117).
    type: dict
    default: {}
  cpus:
    description:
      - CPUs on which the servers run, as a CPU list such as V(0-1,3); any if not given. The counters responder, which is no load, runs on
        any.
    type: str
  supervision:
    description: What keeps the servers running; V(auto) takes systemd where it runs.
    type: str
    choices: [auto, systemd, supervised]
    default: auto
  wait_s:
    description: Seconds within which all servers must answer, 0 to 600.
    type: float
    default: 15
"""

EXAMPLES = r"""
- name: Serve netperf, and the counters of this end
  datapath.lab.workload_servers:
    address: 10.0.0.2
    servers: [netserver, counters]
"""

RETURN = r"""
targets:
  description: The servers, as M(datapath.lab.service_check) takes them.
  type: list
  elements: dict
  returned: success
  sample:
    - {name: netserver, address: 10.0.0.2, port: 12865, check: tcp}
services:
  description: The units or services that were started, restarted, enabled or ended.
  type: list
  elements: str
  returned: success
  sample: [datapath-lab-netserver.service]
answers:
  description: The seconds that each server's answer took.
  type: list
  elements: dict
  returned: with O(state=present), except in check mode
  sample:
    - {name: netserver, seconds: 0.000412}
diff:
  description: Files and services before and after.
  type: dict
  returned: success
  sample: {before: {files: {}, services: []}, after: {files: {}, services: [datapath-lab-netserver.service]}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.services import servers
from ansible_collections.datapath.lab.plugins.module_utils.services.catalogue import SERVERS
from ansible_collections.datapath.lab.plugins.module_utils.services.check import ask, target_of
from ansible_collections.datapath.lab.plugins.module_utils.services.supervise import DIRECTORY, Keeper


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "servers": {"type": "list", "elements": "str", "choices": list(SERVERS), "default": list(SERVERS)},
            "address": {"type": "str"},
            "ports": {"type": "dict", "default": {}},
            "cpus": {"type": "str"},
            "supervision": {"type": "str", "choices": ["auto", "systemd", "supervised"], "default": "auto"},
            "wait_s": {"type": "float", "default": 15},
        },
        required_if=[("state", "present", ("address",))],
        supports_check_mode=True,
    )
    params = module.params
    node = servers.Node(runner_of(module), Keeper(DIRECTORY))
    try:
        if params["state"] == "absent":
            result = servers.absent(node, params["supervision"], module.check_mode)
        else:
            result = servers.present(node, params["servers"], params["address"], params["ports"], params["supervision"], module.check_mode, params["cpus"])
            if not module.check_mode:
                result["answers"] = ask([target_of(target) for target in result["targets"]], params["wait_s"], timeout_s=2.0)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
