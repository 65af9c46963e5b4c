#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ip_routes
short_description: Declare static routes of a node until its next boot
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Makes or removes routes through a gateway, all in one task; nothing is written to the node's network configuration.
extends_documentation_fragment:
  - datapath.lab.attributes.state
options:
  routes:
    description: The routes.
    type: list
    elements: dict
    required: true
    suboptions:
      to:
        description: The prefix that is reached.
        type: str
        required: true
      via:
        description: Address of the gateway.
        type: str
        required: true
      dev:
        description: Name of the interface; the kernel finds it from the gateway by default.
        type: str
  state:
    description:
      - V(present) makes the routes and replaces others to the same prefixes.
      - V(absent) removes those that go through the given gateways.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: The way back to the namespaces of another node
  datapath.lab.ip_routes:
    routes:
      - {to: 198.19.0.0/30, via: 198.18.0.11}
"""

RETURN = r"""
commands:
  description: What was done, or would be done.
  returned: always
  type: list
  elements: str
  sample: ["ip -4 route replace 198.19.0.0/30 via 198.18.0.11"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils import routes
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError


def main():
    """Read the parameters, plan, carry out, report."""
    route = {"to": {"type": "str", "required": True}, "via": {"type": "str", "required": True}, "dev": {"type": "str"}}
    module = AnsibleModule(
        argument_spec={
            "routes": {"type": "list", "elements": "dict", "required": True, "options": route},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    present = module.params["state"] == "present"
    run = runner_of(module)
    try:
        wanted = [routes.StaticRoute.of(given) for given in module.params["routes"]]
        have = routes.find(run, wanted)
        commands = routes.plan(have, wanted, present)
        for argv in commands if not module.check_mode else []:
            run(argv).require("change a route")
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(commands),
        commands=[" ".join(argv) for argv in commands],
        diff={"before": {"routes": sorted(map(str, have.values()))}, "after": {"routes": sorted(map(str, wanted)) if present else []}},
    )


if __name__ == "__main__":
    main()
