#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns_pod
short_description: Declare network namespaces behind routed veth pairs
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Makes network namespaces on a node, each joined to it by a veth pair, with the node forwarding IPv4 between the pair and one of its
    cards; all in one task.
  - Forwarding is switched for the two interfaces alone, not for the whole node. What it was on the card before is kept with the pair
    and comes back when the pair is removed.
  - Other nodes need a route to the addresses behind the pair; see M(datapath.lab.ip_routes).
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.attachment
options:
  pods:
    description: The namespaces.
    type: list
    elements: dict
    required: true
    suboptions:
      namespace:
        description: Name of the namespace.
        type: str
        required: true
      name:
        description: Name of the interface in the namespace.
        type: str
        default: eth0
      host_name:
        description: Name of the pair's end on the node.
        type: str
        required: true
      host_addresses:
        description: Addresses with prefix of the pair's end on the node.
        type: list
        elements: str
        default: []
      uplink:
        description: The card between which and the pair the node forwards.
        type: str
        required: true
      addresses:
        description: Addresses with prefix of the interface in the namespace.
        type: list
        elements: str
        default: []
      routes:
        description: Routes in the namespace through its interface.
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
        description: MTU in bytes of both ends.
        type: int
      mac:
        description: MAC address of the interface in the namespace; the kernel chooses one by default.
        type: str
"""

EXAMPLES = r"""
- name: A namespace behind veth, routed
  datapath.lab.netns_pod:
    pods:
      - namespace: pod1
        host_name: veth-pod1
        host_addresses: [198.19.0.1/30]
        uplink: data0
        addresses: [198.19.0.2/30]
        routes:
          - {to: default, via: 198.19.0.1}
"""

RETURN = r"""
actions:
  description: What was done, or would be done, in order.
  returned: always
  type: list
  elements: str
  sample: ["make namespace pod1", "make veth eth0 in namespace pod1: it is not there", "switch forwarding of data0 on"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.attachments import model
from ansible_collections.datapath.lab.plugins.module_utils.attachments.entry import COMMON, run_module


def main():
    """Run the module."""
    pod = {
        **COMMON,
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "default": "eth0"},
        "host_name": {"type": "str", "required": True},
        "host_addresses": {"type": "list", "elements": "str", "default": []},
        "uplink": {"type": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "pods": {"type": "list", "elements": "dict", "required": True, "options": pod},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    run_module(module, module.params["pods"], model.veth_of)


if __name__ == "__main__":
    main()
