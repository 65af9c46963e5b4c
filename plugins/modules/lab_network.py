#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_network
short_description: Make or remove the embedded lab's data network
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Keeps one network namespace per lab with a bridge for each of its networks. Nothing in it is connected to the host's own network.
  - Runs on the controller.
extends_documentation_fragment:
  - datapath.lab.attributes.state
options:
  name:
    description: Name of the lab.
    type: str
    required: true
  networks:
    description: Names of the networks.
    type: list
    elements: str
    default: []
  state:
    description: Whether the network is there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Make the network called data
  datapath.lab.lab_network:
    name: default
    networks: [data]
"""

RETURN = r"""
namespace:
  description: Name of the network namespace.
  type: str
  returned: success
  sample: datapath-lab-default
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.qemu.network import Network, bridge_of
from ansible_collections.datapath.lab.plugins.module_utils.qemu.telling import told


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "networks": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    given = module.params
    network = Network(runner_of(module), given["name"])
    with told(module, "make the lab's data network"):
        there, have = network.exists(), network.bridges()
        if given["state"] == "present":
            want = sorted({*have, *(bridge_of(each) for each in given["networks"])})
            changed = not there or want != sorted(have)
            if changed and not module.check_mode:
                network.create(given["networks"])
        else:
            want, changed = [], there
            if changed and not module.check_mode:
                network.remove()
    diff = {
        "before": {"namespace": there, "bridges": sorted(have)},
        "after": {"namespace": given["state"] == "present", "bridges": want},
    }
    module.exit_json(changed=changed, namespace=network.namespace, diff=diff)


if __name__ == "__main__":
    main()
