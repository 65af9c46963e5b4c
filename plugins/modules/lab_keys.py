#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_keys
short_description: Make the embedded lab's SSH keys
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Makes the key with which the nodes are entered, a host key for each node, and a C(known_hosts) file that ties each host key to the
    node's forwarded port.
  - Runs on the controller. Keys that are there are left alone.
extends_documentation_fragment:
  - datapath.lab.attributes.state
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
    description: The lab's nodes as M(datapath.lab.lab_spec) takes them.
    type: dict
    required: true
  state_dir:
    description: The lab's state directory.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Make the lab's keys
  datapath.lab.lab_keys:
    name: default
    port_base: 22200
    nodes: {lb1: {index: 1}}
    state_dir: ~/.local/state/datapath.lab/default
"""

RETURN = r"""
made:
  description: The private keys that were made, or would be.
  type: list
  elements: str
  returned: success
  sample: [/root/.local/state/datapath.lab/default/ssh/id_ed25519]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.qemu.keys import Keys
from ansible_collections.datapath.lab.plugins.module_utils.qemu.spec import lab_of
from ansible_collections.datapath.lab.plugins.module_utils.qemu.telling import told


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "port_base": {"type": "int", "required": True},
            "nodes": {"type": "dict", "required": True},
            "state_dir": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    with told(module, "make the lab's keys"):
        nodes = lab_of(given["name"], given["port_base"], given["nodes"])
        keys = Keys(runner_of(module), given["name"], Path(given["state_dir"]))
        missing = keys.missing(nodes)
        before = keys.known_hosts.read_text() if keys.known_hosts.is_file() else ""
        if not module.check_mode:
            for key in missing:
                keys.make(key)
        after = keys.known_hosts_text(nodes)
        if after != before and not module.check_mode:
            keys.write_known_hosts(after)
    diff = {"before": before, "after": after, "before_header": str(keys.known_hosts), "after_header": str(keys.known_hosts)}
    module.exit_json(changed=bool(missing) or after != before, made=[str(key) for key in missing], diff=diff)


if __name__ == "__main__":
    main()
