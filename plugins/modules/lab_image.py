#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_image
short_description: Make the guests' system from Debian packages and keep it
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Makes a Debian root file system with C(mmdebstrap), a disk image of it and the kernels to start it with, and keeps them in a cache
    under the hash of everything that decides what they hold.
  - Takes the mirror that the controller's own apt configuration names.
  - Runs on the controller. A build that is interrupted leaves nothing that looks finished.
extends_documentation_fragment:
  - datapath.lab.attributes.state
options:
  cache_dir:
    description: Directory of the cache.
    type: path
    required: true
  suite:
    description: Debian release of the guests.
    type: str
    default: trixie
  packages:
    description: Packages beside those that every guest needs.
    type: list
    elements: str
    default: []
  disk_gib:
    description: Size of a guest's disk in GiB. It takes up only what is written.
    type: int
    default: 8
  mirror:
    description: URI of the archive, in place of the one that the controller uses.
    type: str
  security_mirror:
    description:
      - URI of the archive of security updates, in place of the one that the controller uses.
      - An empty string leaves security updates out. With O(mirror) set and this unset, there are none.
    type: str
  refresh:
    description: Build again although the image is there, to take up newer packages.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Make the guests' image
  datapath.lab.lab_image:
    cache_dir: ~/.cache/datapath.lab
    packages: [ipvsadm, hyperfine]
"""

RETURN = r"""
key:
  description: Hash of what the image is made from.
  type: str
  returned: success
  sample: 3f0c1a55d1c7e9aa
rootfs:
  description: The unpacked tree, to be used read-only, for example as the lower layer of an overlay.
  type: str
  returned: success
  sample: /root/.cache/datapath.lab/rootfs/3f0c1a55d1c7e9aa
disk:
  description: The raw disk image that overlays stand on.
  type: str
  returned: success
  sample: /root/.cache/datapath.lab/images/3f0c1a55d1c7e9aa/disk.raw
kernels:
  description: Per flavour (C(cloud), C(generic)) the kernel's release, package version, and the files to start it with.
  type: dict
  returned: when the image is there
  sample:
    cloud:
      release: 6.12.107+deb13-cloud-amd64
      package_version: 6.12.107-1
      kernel: /root/.cache/datapath.lab/images/3f0c1a55d1c7e9aa/cloud/vmlinuz
      initrd: /root/.cache/datapath.lab/images/3f0c1a55d1c7e9aa/cloud/initrd
archives:
  description: The deb lines that the image was made from.
  type: list
  elements: str
  returned: when the image is there
  sample: [deb http://mirror.example/debian trixie main]
built:
  description: When the image was made, in UTC.
  type: str
  returned: when the image is there
  sample: "2026-11-20T05:00:00Z"
build_seconds:
  description: How long that took, in seconds.
  type: float
  returned: when the image is there
  sample: 51.3
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.facts.system.distribution import Distribution
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.qemu import image, mirror, spec
from ansible_collections.datapath.lab.plugins.module_utils.qemu.telling import told


def build(module: AnsibleModule, builder: image.Builder) -> None:
    """Find the mirror and build."""
    given, run = module.params, runner_of(module)
    host = Distribution(module).get_distribution_facts()
    sources = mirror.parse_indextargets(run(list(mirror.INDEXTARGETS)).require("read apt's configuration").stdout)
    archives = mirror.archive_lines(
        sources, host["distribution"].lower(), host["distribution_release"], given["suite"], given["mirror"], given["security_mirror"]
    )
    builder.build(archives, image.proxy_settings(run(["apt-config", "dump"]).require("read apt's configuration").stdout))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "cache_dir": {"type": "path", "required": True},
            "suite": {"type": "str", "default": "trixie"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "disk_gib": {"type": "int", "default": 8},
            "mirror": {"type": "str"},
            "security_mirror": {"type": "str"},
            "refresh": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    cache = Path(given["cache_dir"])
    with told(module, "make the guests' image"):
        recipe = image.recipe_of(given["suite"], given["packages"], given["disk_gib"])
        builder = image.Builder(runner_of(module), cache, recipe)
        made = builder.image
        changed = given["refresh"] or not made.finished
        if changed:
            spec.check_space("the guests' image", str(cache), image.free_bytes(cache), image.NEEDED_MIB)
        if changed and not module.check_mode:
            with builder.lock():
                # Another run may have made it while this one waited.
                if given["refresh"] or not made.finished:
                    build(module, builder)
        result = made.as_result() if made.finished else {"key": made.key, "rootfs": str(made.rootfs), "disk": str(made.disk)}
    diff = {"before": "no image\n" if changed else f"image {made.key}\n", "after": f"image {made.key}\n"}
    module.exit_json(changed=changed, diff=diff, **result)


if __name__ == "__main__":
    main()
