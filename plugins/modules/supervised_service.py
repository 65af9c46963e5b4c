#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervised_service
short_description: Keep a program running on a node without systemd
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Starts a small supervisor that runs a program in the foreground, starts it again within a second when it ends, and ends it when the
    supervisor itself ends, even when that is killed.
  - A supervisor is known by its process number, its start time and the boot, so that a process which merely has its number is never
    touched.
  - Where systemd runs, use a unit.
extends_documentation_fragment:
  - datapath.lab.attributes.state
options:
  name:
    description: Name of the service, 1 to 41 of a-z, 0-9, C(_) and C(-), beginning with a letter.
    type: str
    required: true
  argv:
    description: The program, by its absolute path, and its arguments. It must stay in the foreground.
    type: list
    elements: str
  environment:
    description: Further environment variables of the program.
    type: dict
    default: {}
  user:
    description: User that the program runs as; root if not given.
    type: str
  state:
    description:
      - V(present) starts the service unless it runs, and replaces one that runs with another command line.
      - V(restarted) ends it first if it runs.
      - V(absent) ends it and removes its log.
    type: str
    choices: [present, restarted, absent]
    default: present
  directory:
    description: Where records and logs lie; on a file system that a reboot empties.
    type: path
    default: /run/datapath.lab/services
"""

EXAMPLES = r"""
- name: Keep netserver running
  datapath.lab.supervised_service:
    name: netserver
    argv: [/usr/bin/netserver, -D, -f, -L, 10.0.0.2, "-4", -p, "12865"]

- name: End it
  datapath.lab.supervised_service:
    name: netserver
    state: absent
"""

RETURN = r"""
pid:
  description: Process number of the supervisor; null if nothing runs, or in check mode if it would be started.
  type: int
  returned: success
  sample: 4711
log:
  description: Path of what the program and the supervisor print.
  type: str
  returned: success
  sample: /run/datapath.lab/services/netserver.log
reasons:
  description: Why something was done, step by step.
  type: list
  elements: str
  returned: success
  sample: [it does not run]
diff:
  description: The service before and after.
  type: dict
  returned: success
  sample: {before: {state: absent}, after: {state: present, argv: [/usr/bin/netserver, -D], environment: {}, user: nobody}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.services.supervise import Keeper, Service


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "argv": {"type": "list", "elements": "str"},
            "environment": {"type": "dict", "default": {}},
            "user": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "restarted", "absent"], "default": "present"},
            "directory": {"type": "path", "default": "/run/datapath.lab/services"},
        },
        required_if=[("state", "present", ("argv",)), ("state", "restarted", ("argv",))],
        supports_check_mode=True,
    )
    params = module.params
    try:
        environment = {str(key): str(value) for key, value in params["environment"].items()}
        service = Service(params["name"], tuple(params["argv"] or ()), environment, params["user"])
        want = None if params["state"] == "absent" else service
        result = Keeper(params["directory"]).bring(service.name, want, module.check_mode, restart=params["state"] == "restarted")
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
