#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_capabilities
short_description: Find out by trying what a node's kernel can do for an experiment
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Tries each capability for real, in a network namespace that ends with the trial, or by a request that changes nothing. Reading a
    configuration would not tell whether this node may use what its kernel was built with.
  - A feature that the kernel has as a module is loaded by its trial.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  names:
    description: The capabilities to try, such as V(MACVLAN) or V(IP_VS); all by default.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Can this node hold macvlan interfaces
  datapath.lab.node_capabilities:
    names: [MACVLAN, VETH]
  register: capabilities
"""

RETURN = r"""
capabilities:
  description: For each capability whether it is there, how that is known, and the sentence about what its lack rules out.
  returned: success
  type: dict
  sample:
    MACVLAN:
      available: true
      how: a link was made in a namespace of its own
      rules_out: ""
    IP_VS:
      available: false
      how: asking the kernel for the netlink family IPVS failed with 'No such file or directory'
      rules_out: >-
        On lb1 IPVS, and with it ipvs_dump, the director of lb_scaling and kube-proxy's IPVS mode, cannot be used: asking the kernel for
        the netlink family IPVS failed with 'No such file or directory'.
"""

import platform

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.capabilities.model import report, wanted
from ansible_collections.datapath.lab.plugins.module_utils.capabilities.probe import probe
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError


def main():
    """Try each capability and report."""
    module = AnsibleModule(argument_spec={"names": {"type": "list", "elements": "str", "default": []}}, supports_check_mode=True)
    run = runner_of(module)
    try:
        found = {
            capability.name: report(capability, probe(capability, run), platform.node()) for capability in wanted(module.params["names"])
        }
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, capabilities=found)


if __name__ == "__main__":
    main()
