#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_spec
short_description: Check the embedded lab as the inventory asks for it
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Reads the nodes of the embedded lab as the inventory gives them, checks everything that can be wrong with them, and returns them
    complete, with their ports and hardware addresses.
  - Runs on the controller, before anything is changed there.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  name:
    description: Name of the lab.
    type: str
    required: true
  port_base:
    description: The SSH port of a node on 127.0.0.1 is this plus its index.
    type: int
    required: true
  nodes:
    description:
      - The lab's nodes. The key is the inventory name and the value is the node's C(lab_node) dictionary with the keys
        C(index), C(cpus), C(memory_mib), C(kernel_flavour), C(nested) and C(nics).
    type: dict
    required: true
  groups:
    description: Names of the inventory's groups.
    type: list
    elements: str
    default: []
  extra_groups:
    description: Groups that are allowed beside those that this collection knows.
    type: list
    elements: str
    default: []
  start:
    description: Names of the nodes that are about to be started, whose ports must be free or their own.
    type: list
    elements: str
    default: []
  state_dir:
    description: The lab's state directory, which holds the nodes' disks.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Check a lab of one node
  datapath.lab.lab_spec:
    name: default
    port_base: 22200
    nodes:
      lb1: {index: 1, cpus: 2, memory_mib: 2048, nics: [{network: data, address: 198.18.0.1/24}]}
    groups: "{{ groups.keys() | list }}"
    state_dir: ~/.local/state/datapath.lab/default
"""

RETURN = r"""
nodes:
  description: The nodes by name, with every default filled in.
  type: dict
  returned: success
  sample:
    lb1:
      {name: lb1, index: 1, cpus: 2, memory_mib: 2048, kernel_flavour: cloud, port: 22201, nested: false,
       nics: [{network: data, model: virtio, queues: 1, address: 198.18.0.1/24, interface: data0, mac: "52:54:37:a8:01:01"}]}
networks:
  description: Names of the networks that the nodes are on.
  type: list
  elements: str
  returned: success
  sample: [data]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.qemu import image, spec
from ansible_collections.datapath.lab.plugins.module_utils.qemu.guest import Guest
from ansible_collections.datapath.lab.plugins.module_utils.qemu.telling import told

# Measured: what a node writes to its overlay in an experiment stays below this.
NODE_MIB = 512


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "port_base": {"type": "int", "required": True},
            "nodes": {"type": "dict", "required": True},
            "groups": {"type": "list", "elements": "str", "default": []},
            "extra_groups": {"type": "list", "elements": "str", "default": []},
            "start": {"type": "list", "elements": "str", "default": []},
            "state_dir": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    with told(module, "check the lab"):
        spec.check_groups(given["groups"], given["extra_groups"])
        nodes = spec.lab_of(given["name"], given["port_base"], given["nodes"])
        state = Path(given["state_dir"])
        for node in nodes:
            if node.name in given["start"]:
                guest = Guest(runner_of(module), given["name"], node.name, state)
                guest.check_port(node, guest.have())
        spec.check_space("the nodes' disks", str(state), image.free_bytes(state), NODE_MIB)
    module.exit_json(
        changed=False,
        nodes={node.name: node.as_dict() for node in nodes},
        networks=sorted({nic.network for node in nodes for nic in node.nics}),
    )


if __name__ == "__main__":
    main()
