#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_steering
short_description: Set RPS, RFS and XPS of a network device
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Sets which CPUs do the protocol work of packets that a device has received, and from which queue a CPU sends.
  - Works on software devices too. All queues are set in one task, each setting by one write to a file.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning
  - datapath.lab.steering
options:
  interface:
    description: Name of the interface.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: All CPUs but the interrupting one, and flows follow their application
  datapath.lab.nic_steering:
    interface: eth0
    rps: all_but_irq
    rfs: 32768
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be; C(before) is null for what an earlier change makes.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "rx-0/rps_cpus", "before": "0", "after": "fe"}]
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
            "interface": {"type": "str", "required": True},
            **wiring.STEERING,
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            **wiring.steering(params),
            "attributes": wiring.attributes(params),
        }
        result = wiring.tune(module, [params["interface"]], wish)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
