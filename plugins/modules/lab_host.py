#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_host
short_description: See whether this machine can run the embedded lab and what it lacks
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Checks that the controller is a supported system, that it is run as root and that its kernel has what the lab's network needs, and
    returns the packages that must be installed and where from.
  - Debian 12 gets QEMU from its backports, since emulated guests panic under its own.
  - Runs on the controller.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  complete:
    description: Fail if anything is missing, in place of saying so. For use after the installation.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: See what this machine lacks
  datapath.lab.lab_host:
  register: host
"""

RETURN = r"""
packages:
  description: Packages that must be installed.
  type: list
  elements: str
  returned: success
  sample: [mmdebstrap, qemu-system-x86]
release:
  description: The release from which they must come, or null for the default one.
  type: str
  returned: success
  sample: bookworm-backports
source:
  description: Text of the deb822 source that must be added for this, or null if there is one.
  type: str
  returned: success
  sample: |
    Types: deb
    URIs: http://mirror.example/debian
    Suites: bookworm-backports
    Components: main
    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
distribution:
  description: The controller's distribution and its version.
  type: str
  returned: success
  sample: debian 12
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import host as hosts
from ansible_collections.datapath.lab.plugins.module_utils.qemu.telling import told


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"complete": {"type": "bool", "default": False}}, supports_check_mode=True)
    with told(module, "look at this machine"):
        host = hosts.look(runner_of(module))
        plan = hosts.plan(host)
        hosts.check_kernel()
        if module.params["complete"] and plan.packages:
            raise MissingCapabilityError(
                f"The packages {', '.join(plan.packages)} were installed, but what the lab needs of them is still missing or too old; "
                "look at what apt said."
            )
    module.exit_json(changed=False, distribution=f"{host.distribution} {host.version}", **plan.as_dict())


if __name__ == "__main__":
    main()
