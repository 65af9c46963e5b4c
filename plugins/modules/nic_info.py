#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_info
short_description: Read everything that steers packets on a node
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Reads channels, rings, coalescing, offloads, the RSS table with its key and hash fields, classification rules, the map of interrupts to queues,
    CPUs and NUMA nodes, the state of RPS, RFS and XPS, and drops.
  - What a driver does not offer is null.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  interfaces:
    description: Names of interfaces; all but loopback by default.
    type: list
    elements: str
  flows:
    description: Flow types whose hash fields are read, such as C(tcp4); each costs a process.
    type: list
    elements: str
    default: [tcp4, udp4]
requirements:
  - ethtool on the node, for channels, rings, coalescing, offloads and RSS
"""

EXAMPLES = r"""
- name: How is the card set?
  datapath.lab.nic_info:
    interfaces: [eth0]
  register: card

- name: Interrupts and their queues
  ansible.builtin.debug:
    msg: "{{ card.interfaces.eth0.irqs }}"
"""

RETURN = r"""
interfaces:
  description: State of each interface by its name.
  returned: success
  type: dict
  sample:
    eth0:
      driver: virtio_net
      bus: "0000:00:04.0"
      numa_node: -1
      channels: {"current": {"combined": 4}, "maximum": {"combined": 4}}
      rss: {"default": true, "entries_per_queue": {"0": 32, "1": 32, "2": 32, "3": 32}}
      rx_queues: {"0": {"rps": {"mask": "fe", "cpus": "1-7"}, "rps_flow_cnt": 8192}}
      irqs: [{"irq": 35, "action": "virtio3-input.0", "role": "rx", "queue": 0, "affinity": {"mask": "1", "cpus": "0"}}]
      drops: {"rx_dropped": 0, "rx_missed_errors": 0, "tx_dropped": 0}
cpus:
  description: CPU lists of the node.
  returned: success
  type: dict
  sample: {"online": "0-7", "possible": "0-7", "isolated": "", "tickless": "", "nodes": {"0": "0-7"}}
system:
  description: What the node has once.
  returned: success
  type: dict
  sample: {"sysctl/net.core.rps_sock_flow_entries": "32768", "irqbalance/active": false, "irq_default": "ff"}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import read, wiring


def main():
    """Read and report."""
    module = AnsibleModule(
        argument_spec={
            "interfaces": {"type": "list", "elements": "str"},
            "flows": {"type": "list", "elements": "str", "default": ["tcp4", "udp4"]},
        },
        supports_check_mode=True,
    )
    host = wiring.host_of(module)
    names = module.params["interfaces"]
    try:
        if names is None:
            names = [name for name in read.interfaces(host) if not read.is_loopback(host, name)]
        devices = {name: {**read.info(read.device(host, name, module.params["flows"])), "drops": read.drops(host, name)} for name in names}
        system = read.system(host)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, interfaces=devices, cpus=system.topology.as_dict(), system=system.values())


if __name__ == "__main__":
    main()
