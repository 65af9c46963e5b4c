#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: qemu_accelerator
short_description: Find out by starting a guest whether hardware acceleration works
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Starts a small guest under KVM and waits for its marker within a time limit. Only a guest that gets there counts. A device node that
    exists, and even one that can be opened, proves nothing.
  - The result is kept for the host's kernel, QEMU's version and the guest's kernel, so that the probe is made once.
  - Refuses a QEMU under which emulated guests panic, that is one before version 10 if guests must be emulated.
  - Runs on the controller.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  cache_dir:
    description: Directory of the cache, in which the result is kept.
    type: path
    required: true
  image_key:
    description: Key of the image as returned by M(datapath.lab.lab_image).
    type: str
    required: true
  kernel:
    description: The guest's kernel.
    type: path
    required: true
  initrd:
    description: The guest's initramfs.
    type: path
    required: true
  limit:
    description: How long the probe guest may take, in seconds.
    type: int
    default: 15
  accelerator:
    description: V(auto) probes; the others are taken as given.
    type: str
    choices: [auto, kvm, emulated]
    default: auto
"""

EXAMPLES = r"""
- name: Find out whether guests start under KVM
  datapath.lab.qemu_accelerator:
    cache_dir: ~/.cache/datapath.lab
    image_key: "{{ image.key }}"
    kernel: "{{ image.kernels.cloud.kernel }}"
    initrd: "{{ image.kernels.cloud.initrd }}"
"""

RETURN = r"""
accelerator:
  description: V(kvm) if a guest came up under it, otherwise V(emulated).
  type: str
  returned: success
  sample: emulated
reason:
  description: What that rests on.
  type: str
  returned: success
  sample: /dev/kvm is there, but a probe guest under kvm was not up within 15 s
probe_seconds:
  description: Time from the probe guest's start to its marker in seconds, or null if it never came.
  type: float
  returned: success
  sample: 0.9
qemu_version:
  description: QEMU's version.
  type: str
  returned: success
  sample: 10.0.2
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.qemu import accelerator as probing
from ansible_collections.datapath.lab.plugins.module_utils.qemu.guest import QEMU
from ansible_collections.datapath.lab.plugins.module_utils.qemu.telling import told


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "cache_dir": {"type": "path", "required": True},
            "image_key": {"type": "str", "required": True, "no_log": False},
            "kernel": {"type": "path", "required": True},
            "initrd": {"type": "path", "required": True},
            "limit": {"type": "int", "default": 15},
            "accelerator": {"type": "str", "choices": ["auto", "kvm", "emulated"], "default": "auto"},
        },
        supports_check_mode=True,
    )
    given = module.params
    with told(module, "find out the accelerator"):
        version = probing.parse_qemu_version(runner_of(module)([QEMU, "--version"]).require("ask QEMU for its version").stdout)
        if given["accelerator"] != "auto":
            verdict = probing.Verdict(given["accelerator"], "set by lab_accelerator", None)
        else:
            name = probing.key_of(os.uname().release, version, given["image_key"], Path("/dev/kvm").exists())
            path = Path(given["cache_dir"]) / "accelerator" / f"{name}.json"
            verdict = probing.recorded(path) or probing.probe(Path(given["kernel"]), Path(given["initrd"]), given["limit"])
            if not module.check_mode:
                probing.record(path, verdict)
        probing.require_qemu(version, verdict.accelerator)
    module.exit_json(changed=False, qemu_version=".".join(str(part) for part in version), **verdict.as_dict())


if __name__ == "__main__":
    main()
