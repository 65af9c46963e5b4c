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
extends_documentation_fragment:
  - datapath.lab.build
options:
  release:
    description: The kernel, as C(uname -r) prints it.
    type: str
    required: true
  version:
    description: The kernel's version, as C(uname -v) prints it; it names the package's version.
    type: str
    required: true
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.build_module import build, spec
from ansible_collections.datapath.lab.plugins.module_utils.kernel_build import IpvsModules, kernel_of


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=spec({"release": {"type": "str", "required": True}, "version": {"type": "str", "required": True}}), supports_check_mode=True
    )
    build(
        module,
        lambda workshop, given, patches: IpvsModules(workshop, kernel_of(given["release"], given["version"]), patches, given["suite"]),
        lambda directory: {"archive": str(directory / "modules.tar")},
    )


if __name__ == "__main__":
    main()
