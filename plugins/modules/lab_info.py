#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_info
short_description: Tell what is there of an embedded lab
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Lists the guests that have a directory in the lab's state, or run without one, and what they run on.
  - Runs on the controller.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  name:
    description: Name of the lab.
    type: str
    required: true
  state_dir:
    description: The lab's state directory.
    type: path
    required: true
  cache_dir:
    description: Directory of the image cache. With it, RV(cache_users) is returned.
    type: path
"""

EXAMPLES = r"""
- name: Look at the lab
  datapath.lab.lab_info:
    name: default
    state_dir: ~/.local/state/datapath.lab/default
  register: lab
"""

RETURN = r"""
guests:
  description:
    - The guests. C(state) is V(running), V(stopped) or V(absent). C(boot_seconds) is the time from power-on to SSH of the last boot.
      C(accelerator) is V(kvm) or V(emulated), and null for a guest that was never started.
  type: list
  elements: dict
  returned: success
  sample:
    - name: lb1
      state: running
      pid: 4242
      boot_seconds: 8.6
      accelerator: emulated
      disk: /root/.cache/datapath.lab/images/3f0c1a55d1c7e9aa/disk.raw
accelerator:
  description: What the running guests run on, or null if none runs.
  type: str
  returned: success
  sample: emulated
rootfs:
  description: The unpacked tree of the guests' image, or null if no guest was ever started.
  type: str
  returned: success
  sample: /root/.cache/datapath.lab/rootfs/3f0c1a55d1c7e9aa
namespace:
  description: The network namespace of the lab's data network, or null if it is not there.
  type: str
  returned: success
  sample: datapath-lab-default
cache_users:
  description: Guests of any lab that run from an image of the cache, as LAB/NODE.
  type: list
  elements: str
  returned: when O(cache_dir) is given
  sample: [default/lb1]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.qemu import inspect
from ansible_collections.datapath.lab.plugins.module_utils.qemu.network import Network
from ansible_collections.datapath.lab.plugins.module_utils.qemu.process import Processes
from ansible_collections.datapath.lab.plugins.module_utils.qemu.telling import told


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state_dir": {"type": "path", "required": True},
            "cache_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    name, cache = module.params["name"], module.params["cache_dir"]
    network = Network(runner_of(module), name)
    with told(module, "look at the lab"):
        guests = inspect.guests(runner_of(module), name, Path(module.params["state_dir"]), Processes())
        extra = {"cache_users": inspect.users_of(Path(cache), Processes())} if cache else {}
    module.exit_json(
        changed=False,
        guests=guests,
        accelerator=next((each["accelerator"] for each in guests if each["state"] == "running"), None),
        rootfs=next((inspect.rootfs_of(each["disk"]) for each in guests if each["disk"]), None),
        namespace=network.namespace if network.exists() else None,
        **extra,
    )


if __name__ == "__main__":
    main()
