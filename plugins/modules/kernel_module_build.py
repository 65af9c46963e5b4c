#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_module_build
short_description: Build patched ip_vs modules for a packaged Debian kernel
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Builds ip_vs and all its schedulers as external modules against the packaged headers of a Debian kernel, from Debian's source of exactly
    the same version, inside a Debian tree of the node's release. The rest of the kernel stays as packaged.
  - Keeps the result in a cache under a hash of everything that decides what it holds, and finds it there again.
  - Runs on the builder, at native speed, whatever the nodes are. A build that is interrupted leaves nothing that looks finished.
requirements:
  - mmdebstrap and root on the builder
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: In C(check_mode) nothing is built; whether a finished build is there is returned.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside C(check_mode), with the same arguments, the second invocation indicates no change.
    support: full
options:
  release:
    description: The kernel, as C(uname -r) prints it.
    type: str
    required: true
  version:
    description: The kernel's version, as C(uname -v) prints it; it names the package's version.
    type: str
    required: true
  patches:
    description: Patches in the order in which they are applied, each without any fuzz.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: File name of the patch, for messages.
        type: str
        required: true
      text:
        description: The patch, a unified diff whose paths have one leading component.
        type: str
        required: true
  cache_dir:
    description: Directory of the cache; needs about 2 GiB.
    type: path
    required: true
  suite:
    description: Debian release of the nodes.
    type: str
    default: trixie
  mirror:
    description: URI of the archive, in place of the one that the builder's own apt configuration names. Empty means unset.
    type: str
"""

EXAMPLES = r"""
- name: Build ip_vs for the kernel of this node
  datapath.lab.kernel_module_build:
    release: "{{ ansible_facts['kernel'] }}"
    version: "{{ ansible_facts['kernel_version'] }}"
    cache_dir: ~/.cache/datapath.lab
    patches:
      - name: 0001-ipvs-example.patch
        text: "{{ lookup('ansible.builtin.file', '0001-ipvs-example.patch', rstrip=false) }}"
  delegate_to: localhost
"""

RETURN = r"""
key:
  description: Hash of everything that decides what is built.
  returned: success
  type: str
  sample: 3f0c1a55d1c7e9aa
directory:
  description: Where the build is kept on the builder.
  returned: success
  type: str
  sample: /root/.cache/datapath.lab/build/done/3f0c1a55d1c7e9aa
finished:
  description: Whether the build is there; false only in check mode.
  returned: success
  type: bool
  sample: true
build:
  description: What is known about the finished build; compiler, when it was built, and how many seconds it took are part of it.
  returned: when RV(finished)
  type: dict
  sample: {compiler: "gcc (Debian 14.2.0-19) 14.2.0", built: "2026-11-20T05:00:00Z", build_seconds: 31.4}
archive:
  description: Tar archive of the modules on the builder.
  returned: success
  type: str
  sample: /root/.cache/datapath.lab/build/done/3f0c1a55d1c7e9aa/modules.tar
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.facts.system.distribution import Distribution
from ansible_collections.datapath.lab.plugins.module_utils import kernel_build
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.qemu.image import free_bytes

PATCH = {"name": {"type": "str", "required": True}, "text": {"type": "str", "required": True}}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "patches": {"type": "list", "elements": "dict", "default": [], "options": PATCH},
            "cache_dir": {"type": "path", "required": True},
            "suite": {"type": "str", "default": "trixie"},
            "mirror": {"type": "str"},
        },
        supports_check_mode=True,
    )
    given, run = module.params, runner_of(module)
    try:
        cache = Path(given["cache_dir"])
        patches = [kernel_build.Patch(**patch) for patch in given["patches"]]
        workshop = kernel_build.Workshop(run, cache)
        kernel = kernel_build.kernel_of(given["release"], given["version"])
        work = kernel_build.IpvsModules(workshop, kernel, patches, given["suite"])
        manifest = workshop.finished(work.inputs)
        changed = manifest is None
        if changed:
            kernel_build.check_builder(os.geteuid(), module.get_bin_path("mmdebstrap"), free_bytes(cache) // 1024**2, cache)
        if changed and not module.check_mode:
            host = Distribution(module).get_distribution_facts()
            place = kernel_build.place_of(run, given["suite"], given["mirror"], host["distribution"].lower(), host["distribution_release"])
            with workshop.lock():
                # Another run may have built it while this one waited.
                manifest = workshop.finished(work.inputs) or work.build(place)
    except LabError as error:
        module.fail_json(msg=str(error))
    directory = workshop.directory(work.inputs)
    result = {
        "key": directory.name, "directory": str(directory), "finished": manifest is not None,
        "archive": str(directory / "modules.tar"),
    }
    if manifest is not None:
        result["build"] = {name: value for name, value in manifest.items() if name != "inputs"}
    diff = {"before": "" if changed else f"{directory.name}\n", "after": f"{directory.name}\n"}
    module.exit_json(changed=changed, diff=diff, **result)


if __name__ == "__main__":
    main()
