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
options:
  interface:
    description: Name of the interface.
    type: str
    required: true
  rps:
    description:
      - V(off) takes RPS away.
      - V(all_but_irq) lets each receive queue choose among the usable CPUs but those that its own interrupt reaches.
      - V(numa) lets it choose among the usable CPUs near the card.
      - V(mask) takes O(rps_mask).
    type: str
    choices: ['off', all_but_irq, numa, mask]
  rps_mask:
    description: CPUs as a hexadecimal mask such as V(fe), for O(rps=mask). Isolated CPUs in it are taken out by the kernel, with a note.
    type: str
  rfs:
    description:
      - Number of entries of the node's flow table; each receive queue gets this number divided by the number of queues. Both become powers of two.
      - V(0) switches RFS off.
    type: int
  rfs_flow_count:
    description: Number of flow entries of each receive queue, instead of the share of O(rfs).
    type: int
  xps:
    description:
      - V(off) takes XPS away.
      - V(one_per_queue) deals the usable CPUs out to the transmit queues.
      - V(rxqs) ties each transmit queue to the receive queue of the same number.
      - V(list) takes O(xps_cpus).
    type: str
    choices: ['off', one_per_queue, rxqs, list]
  xps_cpus:
    description: A CPU list such as V(0-3) for each transmit queue, for O(xps=list); it starts again when there are more queues.
    type: list
    elements: str
  cpus:
    description: CPU list from which policies choose; all online CPUs that are not isolated by default.
    type: str
  threaded:
    description: Whether NAPI polls in kernel threads.
    type: bool
  backlog:
    description: Number of packets that may wait for a CPU (C(net.core.netdev_max_backlog)).
    type: int
seealso:
  - module: datapath.lab.tuning_journal
  - module: datapath.lab.nic_info
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
            "rps": {"type": "str", "choices": ["off", "all_but_irq", "numa", "mask"]},
            "rps_mask": {"type": "str"},
            "rfs": {"type": "int"},
            "rfs_flow_count": {"type": "int"},
            "xps": {"type": "str", "choices": ["off", "one_per_queue", "rxqs", "list"]},
            "xps_cpus": {"type": "list", "elements": "str"},
            "cpus": {"type": "str"},
            "threaded": {"type": "bool"},
            "backlog": {"type": "int"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            **wiring.given(params, "rps", "rps_mask", "rfs", "rfs_flow_count", "xps", "xps_cpus", "cpus", "backlog"),
            "attributes": wiring.attributes(params),
        }
        result = wiring.tune(module, [params["interface"]], wish)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
