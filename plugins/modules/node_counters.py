#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_counters
short_description: Read what the kernel of a node counts, as rates over an interval
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Returns the use of each CPU by state, the rate of each interrupt and softirq, what softnet processed, dropped, squeezed and steered,
    context switches, and the traffic of each interface.
  - Nothing is an average since boot. Either the module waits for O(interval) seconds, which also works beside somebody else's load, or it
    takes a snapshot and later the difference to it.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  state:
    description:
      - V(rates) reads twice, O(interval) seconds apart, and returns the rates.
      - V(snapshot) reads once and returns what V(delta) needs.
      - V(delta) reads once and returns the rates since O(since).
    type: str
    choices: [rates, snapshot, delta]
    default: rates
  interval:
    description: Seconds between the two readings of V(rates), 0.1 to 86400.
    type: float
    default: 10
  since:
    description: The RV(snapshot) of an earlier V(snapshot) on the same node.
    type: dict
  commands:
    description:
      - Names of programs, as in F(/proc/PID/comm), whose CPU time is counted together as C(cpu.servers_s).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Rates over ten seconds
  datapath.lab.node_counters:
    interval: 10
  register: load

- name: A snapshot before the load
  datapath.lab.node_counters:
    state: snapshot
  register: before

- name: What was counted since
  datapath.lab.node_counters:
    state: delta
    since: "{{ before.snapshot }}"
"""

RETURN = r"""
counters:
  description: >-
    What was counted, per second unless said otherwise: C(cpu.fractions) and C(cpu.per_cpu) are parts of CPU time by state; C(cpu.busy_s)
    (sampled at the kernel's ticks), C(cpu.occupied_s) (all time but the idle time, which the kernel measures) and C(cpu.servers_s) are CPU
    seconds; C(softnet.counts) are counts. C(scope) is V(host) where the CPU, interrupt and softnet
    counters are those of a machine that this node shares with others. Counters that did not move are left out.
  type: dict
  returned: with O(state=rates) or O(state=delta)
  sample:
    interval_s: 10.0
    scope: node
    cpu:
      count: 2
      busy_s: 4.1
      occupied_s: 4.2
      servers_s: 0.0
      steal_fraction: 0.0
      fractions: {user: 0.1, nice: 0.0, system: 0.08, idle: 0.79, iowait: 0.0, irq: 0.0, softirq: 0.03, steal: 0.0}
      per_cpu: {"0": {user: 0.1, nice: 0.0, system: 0.08, idle: 0.79, iowait: 0.0, irq: 0.0, softirq: 0.03, steal: 0.0}}
    context_switches_per_s: 5123.0
    interrupts: {"38": {description: PCI-MSIX-0000:00:03.0 1-edge virtio2-input.0, per_s: 120.5, per_cpu: {"1": 120.5}}}
    softirqs: {NET_RX: {per_s: 900.1, per_cpu: {"0": 400.0, "1": 500.1}}}
    softnet:
      counts: {processed: 9001, dropped: 0, time_squeeze: 2, received_rps: 17, flow_limit: 0}
      per_s: {processed: 900.1, dropped: 0.0, time_squeeze: 0.2, received_rps: 1.7, flow_limit: 0.0}
      per_cpu: {"0": {processed: 400.0, dropped: 0.0, time_squeeze: 0.1, received_rps: 1.7, flow_limit: 0.0}}
    interfaces: {eth0: {rx_bytes_per_s: 81234.0, rx_packets_per_s: 900.0, tx_bytes_per_s: 7021.0, tx_packets_per_s: 450.0}}
snapshot:
  description: The raw counters at one moment, for O(since).
  type: dict
  returned: with O(state=snapshot)
  sample: {schema: 1, monotonic_s: 512.25, boot_id: 0b1f4c1e-3f5b-4c57-9a3c-7c1f2f0d7a11, scope: node}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.counters.sample import take
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["rates", "snapshot", "delta"], "default": "rates"},
            "interval": {"type": "float", "default": 10},
            "since": {"type": "dict"},
            "commands": {"type": "list", "elements": "str", "default": []},
        },
        required_if=[("state", "delta", ("since",))],
        supports_check_mode=True,
    )
    params = module.params
    try:
        result = take(params["state"], params["interval"], params["since"], params["commands"], sleep=time.sleep)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
