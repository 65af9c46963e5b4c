#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: qemu_guest
short_description: Start, stop or remove a guest of the embedded lab
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Starts a node of the embedded lab as a QEMU process and waits until it answers over SSH. A guest that runs as wanted is left alone,
    one that was killed is started again, and one whose configuration has changed is started anew.
  - Ends only processes that it started itself, which it knows by process id, start time and boot.
  - Runs on the controller.
extends_documentation_fragment:
  - datapath.lab.attributes.state
requirements:
  - qemu.qmp
options:
  lab:
    description: Name of the lab.
    type: str
    required: true
  name:
    description: Name of the node.
    type: str
    required: true
  state:
    description:
      - V(started) makes it run and answer over SSH.
      - V(stopped) shuts it down over SSH, and ends it after O(stop_limit) seconds. Its disk is kept.
      - V(absent) ends it at once and deletes its disk.
    type: str
    choices: [started, stopped, absent]
    default: started
  state_dir:
    description: The lab's state directory.
    type: path
    required: true
  port_base:
    description: The SSH port of a node on 127.0.0.1 is this plus its index. Needed for V(started).
    type: int
  nodes:
    description: All of the lab's nodes as M(datapath.lab.lab_spec) takes them. Needed for V(started).
    type: dict
  accelerator:
    description: What the guest's CPU runs on, as M(datapath.lab.qemu_accelerator) returns it. Needed for V(started).
    type: str
    choices: [kvm, emulated]
  disk:
    description: The image's disk. Needed for V(started).
    type: path
  kernels:
    description: The image's kernels as M(datapath.lab.lab_image) returns them. Needed for V(started).
    type: dict
  boot_limit:
    description: How long the guest may take to answer over SSH, in seconds.
    type: int
    default: 240
  stop_limit:
    description: How long the guest may take to shut down, in seconds.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Stop a node
  datapath.lab.qemu_guest:
    lab: default
    name: lb1
    state: stopped
    state_dir: ~/.local/state/datapath.lab/default

- name: Start a node
  datapath.lab.qemu_guest:
    lab: default
    name: lb1
    state_dir: ~/.local/state/datapath.lab/default
    port_base: 22200
    nodes: {lb1: {index: 1, cpus: 2, memory_mib: 2048}}
    accelerator: emulated
    disk: "{{ image.disk }}"
    kernels: "{{ image.kernels }}"
"""

RETURN = r"""
steps:
  description: What was done, or would be.
  type: list
  elements: str
  returned: success
  sample: [disk, start, wait]
boot_seconds:
  description: Time from power-on to SSH of the boot that is current, in seconds.
  type: float
  returned: when the guest runs
  sample: 11.2
pid:
  description: QEMU's process.
  type: int
  returned: when the guest runs
  sample: 4242
"""

import traceback
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import guest as guests
from ansible_collections.datapath.lab.plugins.module_utils.qemu import keys, network, seed, spec
from ansible_collections.datapath.lab.plugins.module_utils.qemu.telling import told

QMP_MISSING = None
try:
    import qemu.qmp  # noqa: F401  pylint: disable=unused-import
except ImportError:
    QMP_MISSING = traceback.format_exc()


def wanted(given: dict, guest_keys: keys.Keys) -> guests.Want:
    """Return the guest as the parameters ask for it."""
    nodes = spec.lab_of(given["lab"], given["port_base"], given["nodes"])
    node = next((each for each in nodes if each.name == given["name"]), None)
    if node is None:
        raise InvalidValueError(f"The lab {given['lab']!r} has no node {given['name']!r}; it has {', '.join(each.name for each in nodes)}.")
    kernel = given["kernels"].get(node.kernel_flavour)
    if kernel is None:
        known = ", ".join(sorted(given["kernels"])) or "none"
        raise InvalidValueError(f"The image has no {node.kernel_flavour} kernel, which node {node.name!r} shall start; it has {known}.")
    if guest_keys.missing([node]):
        raise InvalidValueError(f"The lab {given['lab']!r} has no keys for node {node.name!r} yet; make them with the module lab_keys.")
    host = guest_keys.host(node.name)
    client, host_public = keys.public_of(guest_keys.client), keys.public_of(host)
    own = seed.files(given["lab"], node, client.read_text(), host.read_text(), host_public.read_text())
    boot = guests.Boot(given["accelerator"], Path(given["disk"]), Path(kernel["kernel"]), Path(kernel["initrd"]))
    return guests.Want(node, boot, seed.archive(own))


def start(module: AnsibleModule, guest: guests.Guest) -> list[str]:
    """Bring the guest up; return the steps."""
    given = module.params
    lab_keys = keys.Keys(runner_of(module), given["lab"], Path(given["state_dir"]))
    if module.check_mode and not (lab_keys.client.exists() and lab_keys.host(given["name"]).exists()):
        # A lab or a node that is not there yet: its keys would be made first, then everything.
        return ["disk", "start", "wait"]
    want = wanted(given, lab_keys)
    have = guest.have()
    guest.check_port(want.node, have)
    steps = guests.plan_started(have, want)
    if steps and not module.check_mode:
        guest.apply(steps, want, network.NAMESPACES / network.namespace_of(given["lab"]), given["boot_limit"])
    return steps


def end(module: AnsibleModule, guest: guests.Guest) -> list[str]:
    """Stop or remove the guest; return the steps."""
    absent, running = module.params["state"] == "absent", guest.have().running
    steps = (["stop"] if running else []) + (["remove"] if absent and guest.directory.exists() else [])
    if steps and not module.check_mode:
        if absent:
            guest.remove()
        else:
            guest.stop(module.params["stop_limit"])
    return steps


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "lab": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
            "state_dir": {"type": "path", "required": True},
            "port_base": {"type": "int"},
            "nodes": {"type": "dict"},
            "accelerator": {"type": "str", "choices": ["kvm", "emulated"]},
            "disk": {"type": "path"},
            "kernels": {"type": "dict"},
            "boot_limit": {"type": "int", "default": 240},
            "stop_limit": {"type": "int", "default": 60},
        },
        required_if=[("state", "started", ["port_base", "nodes", "accelerator", "disk", "kernels"])],
        supports_check_mode=True,
    )
    if QMP_MISSING:
        module.fail_json(msg=missing_required_lib("qemu.qmp"), exception=QMP_MISSING)
    guest = guests.Guest(runner_of(module), module.params["lab"], module.params["name"], Path(module.params["state_dir"]))
    with told(module, "bring the guest into the wanted state"):
        before = guests.describe(guest.have())
        steps = start(module, guest) if module.params["state"] == "started" else end(module, guest)
        have = guest.have()
    after = {**guests.describe(have), "state": {"started": "running"}.get(module.params["state"], module.params["state"])}
    extra = {"boot_seconds": have.record.boot_seconds, "pid": have.process.pid} if have.process and have.record else {}
    module.exit_json(changed=bool(steps), steps=steps, diff={"before": before, "after": after}, **extra)


if __name__ == "__main__":
    main()
