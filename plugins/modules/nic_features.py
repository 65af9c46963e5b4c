#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_features
short_description: Switch offloads of a network device
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Switches offloads on or off, as C(ethtool -K) does.
  - An offload that the driver keeps fixed is refused, unless it already is as wanted.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning
options:
  interface:
    description: Name of the interface.
    type: str
    required: true
  features:
    description: Offloads by their name in C(ethtool -k), or by the short names of C(ethtool -K) such as C(gro) or C(tso), and whether they are on.
    type: dict
    required: true
seealso:
  - module: datapath.lab.tuning_journal
  - module: datapath.lab.nic_info
"""

EXAMPLES = r"""
- name: Without generic receive offload
  datapath.lab.nic_features:
    interface: eth0
    features: {gro: false}
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be; C(before) is null for what an earlier change makes.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "features/generic-receive-offload", "before": true, "after": false}]
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
            "features": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            "features": wiring.switches(params["features"]),
        }
        result = wiring.tune(module, [params["interface"]], wish)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
