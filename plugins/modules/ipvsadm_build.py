#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvsadm_build
short_description: Build ipvsadm from Debian's source with and without patches
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Builds C(ipvsadm-base) from Debian's source and C(ipvsadm-patched) from the patched source with the same compiler and flags, inside a
    Debian tree of the nodes' release, so that nothing but the patches tells them apart.
  - Where the archive does not serve Debian's own part of the source package, both are built from the upstream archive that the signed index
    names, and RV(build) says so.
  - Keeps the result in a cache under a hash of everything that decides what it holds, and finds it there again.
  - Runs on the builder. A build that is interrupted leaves nothing that looks finished.
extends_documentation_fragment:
  - datapath.lab.build
options:
  version:
    description: Upstream version of the source package.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Build ipvsadm
  datapath.lab.ipvsadm_build:
    version: "1.31"
    cache_dir: ~/.cache/datapath.lab
    patches:
      - name: 0001-libipvs-example.patch
        text: "{{ lookup('ansible.builtin.file', '0001-libipvs-example.patch', rstrip=false) }}"
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
files:
  description: The programs on the builder, by variant.
  returned: success
  type: dict
  sample: {base: /root/.cache/datapath.lab/build/done/9a0b/ipvsadm-base, patched: /root/.cache/datapath.lab/build/done/9a0b/ipvsadm-patched}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.build_module import build, spec
from ansible_collections.datapath.lab.plugins.module_utils.kernel_build import Ipvsadm


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=spec({"version": {"type": "str", "required": True}}), supports_check_mode=True)
    build(
        module,
        lambda workshop, given, patches: Ipvsadm(workshop, given["version"], patches, given["suite"]),
        lambda directory: {"files": {name: str(directory / f"ipvsadm-{name}") for name in ("base", "patched")}},
    )


if __name__ == "__main__":
    main()
