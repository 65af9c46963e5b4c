#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: irq_affinity
short_description: Place the interrupts of a network device
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Finds the interrupts of a device by its card and their names, tells which queue each serves, and places them by a policy.
  - An interrupt that the kernel manages itself, and an offline or missing CPU, are refused.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning
options:
  interface:
    description: Name of the interface.
    type: str
    required: true
  policy:
    description:
      - V(one_per_queue) puts the interrupts of each queue on a CPU of its own, and starts again when there are more queues than CPUs.
      - V(numa_local) does so with the CPUs near the card; a card that belongs to no node has all CPUs near.
      - V(list) does so with O(cpus).
      - V(cpu0) puts every interrupt of the card on CPU 0.
    type: str
    choices: [one_per_queue, numa_local, list, cpu0]
    required: true
  cpus:
    description: CPU list, for O(policy=list); otherwise the CPUs from which the policy chooses.
    type: str
  irqbalance:
    description:
      - What becomes of the irqbalance daemon, which would move the interrupts again.
      - V(stop) stops it until the restore, V(ban) has it leave these interrupts alone, V(keep) leaves it.
    type: str
    choices: [stop, ban, keep]
    default: keep
seealso:
  - module: datapath.lab.tuning_journal
  - module: datapath.lab.nic_info
"""

EXAMPLES = r"""
- name: One CPU per queue
  datapath.lab.irq_affinity:
    interface: eth0
    policy: one_per_queue
    irqbalance: stop
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be; C(before) is null for what an earlier change makes.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "irq/{if}-TxRx-0", "before": "ff", "after": "1"}]
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
            "policy": {"type": "str", "choices": ["one_per_queue", "numa_local", "list", "cpu0"], "required": True},
            "cpus": {"type": "str"},
            "irqbalance": {"type": "str", "choices": ["stop", "ban", "keep"], "default": "keep"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            **wiring.irq_wish(params["policy"], params["cpus"]),
            "irqbalance": params["irqbalance"],
        }
        result = wiring.tune(module, [params["interface"]], wish)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
