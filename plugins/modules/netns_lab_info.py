#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns_lab_info
short_description: Tell what is there of a lab whose nodes are namespaces
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Lists the nodes of a lab of M(datapath.lab.netns_lab) that were recorded, or run without a record, and their cards.
  - Runs on the machine that holds the nodes, as root.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  name:
    description: Name of the lab.
    type: str
    default: netns
  state_dir:
    description: Directory of the records of all labs.
    type: path
    default: /run/datapath.lab/netns
"""

EXAMPLES = r"""
- name: Look at the lab
  datapath.lab.netns_lab_info:
    name: netns
  register: lab
"""

RETURN = r"""
nodes:
  description:
    - The nodes, switches of the lab included. C(runs) is V(false) for one that ended and is still recorded; its C(pid) is null. C(cards)
      are its ends of wires by name.
  returned: success
  type: list
  elements: dict
  sample:
    - name: client1
      runs: true
      pid: 4711
      cards: {data0: {addresses: [198.18.0.11/24], mtu: 1500, queues: 2, mac: "02:5d:1c:aa:70:11"}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.netns import apply, model, state


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "default": "netns"}, "state_dir": {"type": "path", "default": state.DEFAULT_STATE}},
        supports_check_mode=True,
    )
    try:
        directory = state.StateDir(module.params["state_dir"], model.valid_lab_name(module.params["name"]))
        lab = apply.NetnsLab(directory, runner_of(module))
        with directory.locked(shared=True):
            have = apply.have_as_dict(lab.find())
    except LabError as error:
        module.fail_json(msg=str(error))
    nodes = [{"name": name, "pid": lab.holders[name].pid if node["runs"] else None, **node} for name, node in have.items()]
    module.exit_json(changed=False, nodes=nodes)


if __name__ == "__main__":
    main()
