#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: macvlan
short_description: Declare macvlan interfaces, in the node's own network namespace or in others
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Makes macvlan interfaces on a node's cards, with mode, addresses and routes, all in one task; makes the namespaces that they lie in.
  - The node itself cannot reach its own macvlan interfaces through the card below them; test from another node or another macvlan.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.attachment
options:
  interfaces:
    description: The macvlan interfaces.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the interface.
        type: str
        required: true
      lower:
        description: The card that it stands on.
        type: str
        required: true
      mode:
        description:
          - V(bridge) lets macvlan interfaces of one card talk to each other directly, V(private) never does, V(vepa) leaves it to a
            switch that sends packets back, V(passthru) gives the whole card to one interface.
        type: str
        choices: [private, vepa, bridge, passthru]
        default: bridge
      namespace:
        description: Name of the network namespace that it lies in; the node's own by default.
        type: str
      addresses:
        description: Addresses with prefix.
        type: list
        elements: str
        default: []
      routes:
        description: Routes through this interface.
        type: list
        elements: dict
        default: []
        suboptions:
          to:
            description: A prefix, or V(default).
            type: str
            required: true
          via:
            description: Address of the gateway.
            type: str
      mtu:
        description: MTU in bytes; the card's by default.
        type: int
      mac:
        description: MAC address; the kernel chooses one by default.
        type: str
"""

EXAMPLES = r"""
- name: A namespace on a macvlan of data0
  datapath.lab.macvlan:
    interfaces:
      - name: eth0
        namespace: pod1
        lower: data0
        mode: bridge
        addresses: [198.18.0.211/24]

- name: Remove it, and its namespace
  datapath.lab.macvlan:
    interfaces:
      - {name: eth0, namespace: pod1, lower: data0}
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or would be done, in order.
  returned: always
  type: list
  elements: str
  sample: ["make namespace pod1", "make macvlan eth0 in namespace pod1: it is not there", "set up eth0 in namespace pod1"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.attachments import model
from ansible_collections.datapath.lab.plugins.module_utils.attachments.entry import COMMON, run_module


def main():
    """Run the module."""
    interface = {
        **COMMON,
        "namespace": {"type": "str"},
        "lower": {"type": "str", "required": True},
        "mode": {"type": "str", "choices": list(model.MODES), "default": "bridge"},
    }
    module = AnsibleModule(
        argument_spec={
            "interfaces": {"type": "list", "elements": "dict", "required": True, "options": interface},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    run_module(module, module.params["interfaces"], model.macvlan_of)


if __name__ == "__main__":
    main()
