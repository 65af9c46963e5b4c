#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: irqbalance
short_description: Decide what the irqbalance daemon may do
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Stops the daemon that moves interrupts, or has it leave those of some devices alone, until the restore.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning
options:
  policy:
    description:
      - V(stop) stops the daemon.
      - V(ban) has the running daemon leave the interrupts of O(interfaces) alone, as well as those that it already leaves alone.
      - V(keep) changes nothing.
    type: str
    choices: [stop, ban, keep]
    required: true
  interfaces:
    description: Names of interfaces, for O(policy=ban).
    type: list
    elements: str
    default: []
seealso:
  - module: datapath.lab.tuning_journal
  - module: datapath.lab.nic_info
"""

EXAMPLES = r"""
- name: No daemon moves interrupts during the runs
  datapath.lab.irqbalance:
    policy: stop
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be; C(before) is null for what an earlier change makes.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "irqbalance/active", "before": true, "after": false}]
notes:
  description: What was left out or adapted, one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
deadman:
  description: The armed dead-man timer; null if none is armed.
  returned: success
  type: dict
  sample: null
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import wiring


def main():
    """Read the wish, carry it out, report."""
    module = AnsibleModule(
        argument_spec={
            **wiring.COMMON,
            "policy": {"type": "str", "choices": ["stop", "ban", "keep"], "required": True},
            "interfaces": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            "irqbalance": params["policy"],
        }
        result = wiring.tune(module, params["interfaces"], wish)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
