#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_coalesce
short_description: Set interrupt coalescing of a network device
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Sets when a card interrupts, as C(ethtool -C) does, and how long the kernel itself gathers packets.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning
options:
  interface:
    description: Name of the interface.
    type: str
    required: true
  coalesce:
    description: Parameters by their name in C(ethtool -C), such as C(rx-usecs), C(rx-frames) or C(adaptive-rx).
    type: dict
    default: {}
  gro_flush_timeout:
    description: Nanoseconds that the kernel's receive offload may keep packets back.
    type: int
  napi_defer_hard_irqs:
    description: Number of empty polls after which interrupts are switched on again.
    type: int
seealso:
  - module: datapath.lab.tuning_journal
  - module: datapath.lab.nic_info
"""

EXAMPLES = r"""
- name: An interrupt at most every 50 microseconds
  datapath.lab.nic_coalesce:
    interface: eth0
    coalesce: {adaptive-rx: false, rx-usecs: 50}
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be; C(before) is null for what an earlier change makes.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "coalesce/rx-usecs", "before": 3, "after": 50}]
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
            "coalesce": {"type": "dict", "default": {}},
            **{name: {"type": "int"} for name in ("gro_flush_timeout", "napi_defer_hard_irqs")},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            "coalesce": wiring.plain(params["coalesce"]),
            "attributes": wiring.attributes(params),
        }
        result = wiring.tune(module, [params["interface"]], wish)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
