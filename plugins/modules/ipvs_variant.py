#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_variant
short_description: Choose the build of ip_vs that a node runs
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Exchanges the kernel module ip_vs and its schedulers for another build without a reboot, so that two builds can be compared in turn on
    the same kernel.
  - After loading, compares the build ID that the kernel shows for the loaded module with that of the wanted build's file.
  - Role P(datapath.lab.kernel#role) builds and installs the builds.
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside C(check_mode), with the same arguments, the second invocation indicates no change.
    support: full
options:
  variant:
    description:
      - Name of the build. V(stock) is the distribution's, V(patched) the one that role P(datapath.lab.kernel#role) installs.
      - If unset, the module only reports.
    type: str
  flush:
    description:
      - Remove all IPVS services of all network namespaces if ip_vs must be unloaded. Without it the module fails when there are any.
      - Nothing is removed when the wanted build is in force already.
    type: bool
    default: false
  reload:
    description:
      - Unload and load a build that is in force already, too, which is then a change.
      - The kernel keeps removed destinations for two minutes and looks through them at each one that is added; a fresh ip_vs has none.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Run the patched ip_vs
  datapath.lab.ipvs_variant:
    variant: patched
    flush: true

- name: Which ip_vs is in force?
  datapath.lab.ipvs_variant:
  register: ipvs
"""

RETURN = r"""
variant:
  description:
    - The build in force; C(none) if ip_vs is not loaded, C(unknown) if it is none of those known. In check mode, the predicted one.
  returned: success
  type: str
  sample: patched
previous:
  description: The build that was in force before.
  returned: success
  type: str
  sample: stock
build_id:
  description: The build ID of the loaded ip_vs, C(none) if it is not loaded.
  returned: success
  type: str
  sample: a057fe4beef76b28b5f7d88170fdbbdc5ec2fb87
build_ids:
  description: The build ID of each build that the node has for the running kernel.
  returned: success
  type: dict
  sample: {"stock": "0f0e9d2c4ac9f1d3b1b6d5c2aa31b5a7c0de0001", "patched": "a057fe4beef76b28b5f7d88170fdbbdc5ec2fb87"}
release:
  description: The running kernel.
  returned: success
  type: str
  sample: 6.12.107+deb13-cloud-amd64
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs_variant import Ipvs


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "variant": {"type": "str"},
            "flush": {"type": "bool", "default": False},
            "reload": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    ipvs = Ipvs(runner_of(module), os.uname().release)
    try:
        want = module.params["variant"]
        if want is None:
            before = after = ipvs.status()
        else:
            before, after = ipvs.switch(want, module.params["flush"], module.check_mode, module.params["reload"])
    except LabError as error:
        module.fail_json(msg=str(error))
    result = {**after.as_dict(), "build_id": after.loaded or "none", "previous": before.variant}
    diff = {"before": f"ip_vs {before.variant}\n", "after": f"ip_vs {after.variant}\n"}
    module.exit_json(changed=before.variant != after.variant or (module.params["reload"] and want is not None), diff=diff, **result)


if __name__ == "__main__":
    main()
