#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_info
short_description: Read the node's IPVS table and settings
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Returns what the kernel's IPVS is and holds, with the table in the form that M(datapath.lab.ipvs_services) takes.
  - On a node without IPVS it says so and does not fail.
requirements:
  - ipvsadm 1.31 or later on the node, unless O(table) is V(false)
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  table:
    description: Whether to return the services; V(false) is fast for a table of thousands and returns the numbers only.
    type: bool
    default: true
  statistics:
    description: Whether to add the counters of each service and destination, at the cost of a second listing.
    type: bool
    default: false
  ipvsadm:
    description: The ipvsadm to use, a name or a path.
    type: str
    default: ipvsadm
seealso:
  - module: datapath.lab.ipvs_services
"""

EXAMPLES = r"""
- name: Look at the services with their counters
  datapath.lab.ipvs_info:
    statistics: true
  register: ipvs

- name: Count the services only
  datapath.lab.ipvs_info:
    table: false
  register: ipvs
"""

RETURN = r"""
ipvs:
  description: What the kernel's IPVS is and holds.
  type: dict
  returned: success
  contains:
    available:
      description: Whether IPVS is in force on the node; if not, only this and RV(ipvs.schedulers) are returned.
      type: bool
      returned: success
      sample: true
    version:
      description: Version of the kernel's IPVS.
      type: str
      returned: when IPVS is in force
      sample: 1.2.1
    connection_table_size:
      description: Number of buckets of the connection table.
      type: int
      returned: when IPVS is in force
      sample: 4096
    connections:
      description: Number of entries in the connection table.
      type: int
      returned: when IPVS is in force
      sample: 0
    services:
      description: Number of services.
      type: int
      returned: when IPVS is in force
      sample: 16000
    destinations:
      description: Number of destinations.
      type: int
      returned: when IPVS is in force
      sample: 16000
    srcversion:
      description: Checksum over the sources of the loaded module ip_vs, V(none) where the kernel does not tell; it tells two builds apart.
      type: str
      returned: when IPVS is in force
      sample: 5FB2C2DE51C9BA42D3AD0A3
    build_id:
      description: Identity of the build of the loaded module ip_vs, V(none) where it is built into the kernel.
      type: str
      returned: when IPVS is in force
      sample: 1c6e5f1d0e8b2f4a6c7d8e9f0a1b2c3d4e5f6071
    taint:
      description: How the loaded module taints the kernel, empty for one of the kernel's own, V(O) for one built outside its tree.
      type: str
      returned: when IPVS is in force
      sample: OE
    sysctls:
      description: Settings under net.ipv4.vs by name.
      type: dict
      returned: when IPVS is in force
      sample: {conntrack: 0, expire_nodest_conn: 0}
    schedulers:
      description: Schedulers that the kernel offers.
      type: list
      elements: str
      returned: success
      sample: [rr, wrr]
    table:
      description: The services in the form of O(datapath.lab.ipvs_services#module:services), each with C(statistics) if asked for.
      type: list
      elements: dict
      returned: when IPVS is in force and O(table) is V(true)
      sample:
        - protocol: tcp
          address: 10.0.0.1
          port: 30000
          scheduler: rr
          destinations:
            - {address: 10.1.0.1, port: 10000, method: masquerade, weight: 1}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.apply import Node
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.info import gather


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "table": {"type": "bool", "default": True},
            "statistics": {"type": "bool", "default": False},
            "ipvsadm": {"type": "str", "default": "ipvsadm"},
        },
        supports_check_mode=True,
    )
    try:
        facts = gather(Node(runner_of(module), module.params["ipvsadm"]), module.params["table"], module.params["statistics"])
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, ipvs=facts)


if __name__ == "__main__":
    main()
