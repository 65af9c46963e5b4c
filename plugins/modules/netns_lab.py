#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns_lab
short_description: Make a lab whose nodes are network namespaces of this machine
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Starts one process per node that holds a network, mount, UTS, IPC and PID namespace; its root is an overlay over a Debian tree, with
    what the node writes kept in memory.
  - Joins the nodes' cards by veth pairs, directly where a network has exactly two cards, else through a bridge in a namespace of its own.
  - Nothing is given a name on this machine, neither in its network namespace nor among its mounts; when a node's first process ends, for
    whatever reason, the kernel takes everything of that node back.
  - Run it on the machine that is to hold the nodes, as root. The connection plugin P(datapath.lab.netns#connection) enters them.
extends_documentation_fragment:
  - datapath.lab.attributes.state
options:
  name:
    description: Name of the lab; several labs run at once, each with a name of its own.
    type: str
    default: netns
  state:
    description:
      - V(present) makes the lab as described and ends nodes that are no longer described.
      - V(absent) ends all nodes of the lab, recorded or not, and removes its records.
    type: str
    choices: [present, absent]
    default: present
  rootfs:
    description: Directory of the Debian tree that all nodes overlay; it is never written to. Required when O(state=present).
    type: path
  disk_mib:
    description: The most that one node may write over the tree, in MiB of memory.
    type: int
    default: 1024
  state_dir:
    description: Directory of the records of all labs; it belongs on a file system that a reboot empties.
    type: path
    default: /run/datapath.lab/netns
  nodes:
    description: The nodes of the lab.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the node; it becomes its host name.
        type: str
        required: true
      nics:
        description: The node's cards.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name of the interface.
            type: str
            required: true
          network:
            description: Name of the network that the card is plugged into.
            type: str
            required: true
          addresses:
            description: Addresses with prefix, such as V(198.18.0.11/24).
            type: list
            elements: str
            default: []
          mac:
            description: MAC address; derived from the names of lab, node and card by default.
            type: str
          mtu:
            description: MTU of the card in bytes.
            type: int
            default: 1500
          queues:
            description: Number of queues in each direction.
            type: int
            default: 1
"""

EXAMPLES = r"""
- name: Two nodes, joined by a wire
  datapath.lab.netns_lab:
    name: demo
    rootfs: /var/cache/datapath.lab/rootfs
    nodes:
      - name: client1
        nics:
          - {name: data0, network: data, addresses: [198.18.0.11/24], queues: 2}
      - name: lb1
        nics:
          - {name: data0, network: data, addresses: [198.18.0.12/24], queues: 2}

- name: Remove the lab
  datapath.lab.netns_lab:
    name: demo
    state: absent
"""

RETURN = r"""
nodes:
  description: The nodes that run, by name; switches of the lab included. Not returned in check mode.
  returned: when O(state=present) and not in check mode
  type: dict
  sample: {"client1": {"pid": 4711, "rootfs": "/var/cache/datapath.lab/rootfs"}}
actions:
  description: What was done, or would be done, in order.
  returned: always
  type: list
  elements: str
  sample: ["start node client1", "start node lb1", "join client1 data0 with lb1 data0"]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.process import get_bin_path
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.netns import apply, model, state
from ansible_collections.datapath.lab.plugins.module_utils.netns.plan import plan

NIC = {
    "name": {"type": "str", "required": True},
    "network": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "mac": {"type": "str"},
    "mtu": {"type": "int", "default": 1500},
    "queues": {"type": "int", "default": 1},
}
NODE = {"name": {"type": "str", "required": True}, "nics": {"type": "list", "elements": "dict", "default": [], "options": NIC}}


def find_program(name):
    """Return the path of a program, or None."""
    try:
        return get_bin_path(name)
    except ValueError:
        return None


def main():
    """Read the parameters, plan, carry out, report."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "netns"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "rootfs": {"type": "path"},
            "disk_mib": {"type": "int", "default": 1024},
            "state_dir": {"type": "path", "default": state.DEFAULT_STATE},
            "nodes": {"type": "list", "elements": "dict", "default": [], "options": NODE},
        },
        required_if=[("state", "present", ("rootfs",))],
        supports_check_mode=True,
    )
    given = module.params
    try:
        directory = state.StateDir(given["state_dir"], model.valid_lab_name(given["name"]))
        want = None
        if given["state"] == "present":
            want = model.Lab.of(given["name"], given["rootfs"], given["disk_mib"], given["nodes"])
            apply.check_machine(want, find_program, os.geteuid())
        lab = apply.NetnsLab(directory, runner_of(module))
        with directory.locked(shared=module.check_mode):
            have = lab.find()
            actions = plan(have, want)
            changed = bool(actions) or (want is None and os.path.isdir(directory.path))
            if not module.check_mode:
                lab.carry_out(actions, want)
    except LabError as error:
        module.fail_json(msg=str(error))
    result = {"changed": changed, "actions": [str(action) for action in actions]}
    if want is not None and not module.check_mode:
        result["nodes"] = state.summary(lab.holders)
    module.exit_json(diff={"before": apply.have_as_dict(have), "after": apply.want_as_dict(want)}, **result)


if __name__ == "__main__":
    main()
