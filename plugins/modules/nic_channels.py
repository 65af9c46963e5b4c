#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_channels
short_description: Set the numbers of channels of a network device
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Sets how many queues a card uses, as C(ethtool -L) does.
  - Fewer channels are refused while the RSS table or a classification rule names a queue that would go.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning
options:
  interface:
    description: Name of the interface.
    type: str
    required: true
  combined:
    description: Number of channels that receive and send; V(max) is as many as the card has.
    type: str
  rx:
    description: Number of channels that only receive; V(max) is as many as the card has.
    type: str
  tx:
    description: Number of channels that only send; V(max) is as many as the card has.
    type: str
  other:
    description: Number of other channels.
    type: str
seealso:
  - module: datapath.lab.tuning_journal
  - module: datapath.lab.nic_info
"""

EXAMPLES = r"""
- name: Four queues
  datapath.lab.nic_channels:
    interface: eth0
    combined: 4
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be; C(before) is null for what an earlier change makes.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "channels/combined", "before": 8, "after": 4}]
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
from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import CHANNEL_KINDS


def main():
    """Read the wish, carry it out, report."""
    module = AnsibleModule(
        argument_spec={
            **wiring.COMMON,
            "interface": {"type": "str", "required": True},
            **{kind: {"type": "str"} for kind in CHANNEL_KINDS},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            "channels": wiring.plain({kind: params[kind] for kind in CHANNEL_KINDS if params[kind] is not None}),
        }
        result = wiring.tune(module, [params["interface"]], wish)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
