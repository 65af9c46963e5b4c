#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: steering_witness
short_description: Prove where packets really went
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Counts packets per queue, interrupts per queue and CPU, and protocol work per CPU over an interval, and judges from that whether the
    steering that is set was in force. A load must run meanwhile.
  - Each claim is C(proved), C(refuted) or C(missing) (too few packets, or nothing that could tell).
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  interface:
    description: Name of the interface.
    type: str
    required: true
  interval:
    description: Seconds between the two counts. Not used with O(since).
    type: float
    default: 5.0
  since:
    description:
      - The C(counters) that an earlier run of this module returned; the interval is then from that run to this one.
      - With O(interval=0) and without this the counters are only returned.
    type: dict
  rss:
    description:
      - V(spread) claims that the card gave its packets to its queues evenly; at least half as many queues as it has must have been in even use.
      - V(cpu0) claims that all its receive interrupts were on CPU 0.
    type: str
    choices: [spread, cpu0]
  rps:
    description:
      - Claims that protocol work ran on the CPUs of the RPS masks that are set, or that none was moved where no mask is.
    type: bool
    default: false
  rfs:
    description:
      - Claims that protocol work ran where the application runs, clearly more than a blind choice among the RPS CPUs would make.
      - It can be told only when the application keeps to a part of these CPUs.
    type: bool
    default: false
  application_cpus:
    description: CPU list on which the application runs, for O(rfs).
    type: str
  application:
    description: Name of the application's process, for O(rfs); its threads are looked up at the end of the interval.
    type: str
  min_packets:
    description: Number of packets below which nothing can be told.
    type: int
    default: 1000
"""

EXAMPLES = r"""
- name: Count before the load
  datapath.lab.steering_witness:
    interface: eth0
    interval: 0
  register: before

- name: Judge after it
  datapath.lab.steering_witness:
    interface: eth0
    since: "{{ before.counters }}"
    rss: spread
    rps: true
  register: steering
"""

RETURN = r"""
witness:
  description: The judgement of all claims together, as a measurement records it; C(data) has the claims and the rates per second.
  returned: when two counts were made
  type: dict
  sample:
    state: proved
    evidence: "eth0: 20000 packets spread over an effective 3.9 of 4 queues (queue 0 27 %, queue 1 23 %, queue 2 25 %, queue 3 25 %)."
    data: {"claims": [{"name": "rss", "state": "proved", "evidence": "…"}], "rates": {"interval_s": 5.0}}
counters:
  description: What the kernel had counted at the end, for O(since) of a later run.
  returned: success
  type: dict
  sample: {"at": 1795150800.0, "rx_packets": {"0": 12}, "interrupts": {"35": {"0": 9}}, "net_rx": {"0": 20}, "softnet": {"0": {"processed": 20}}}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask, wiring, witness


def main():
    """Count, wait, count, judge."""
    module = AnsibleModule(
        argument_spec={
            "interface": {"type": "str", "required": True},
            "interval": {"type": "float", "default": 5.0},
            "since": {"type": "dict"},
            "rss": {"type": "str", "choices": ["spread", "cpu0"]},
            "rps": {"type": "bool", "default": False},
            "rfs": {"type": "bool", "default": False},
            "application_cpus": {"type": "str"},
            "application": {"type": "str"},
            "min_packets": {"type": "int", "default": 1000},
        },
        mutually_exclusive=[("application_cpus", "application")],
        supports_check_mode=True,
    )
    params = module.params
    host = wiring.host_of(module)
    result = {"changed": False}
    try:
        device, topology = witness.look(host, params["interface"])
        if params["since"]:
            first = witness.Counters.from_dict(params["since"])
        else:
            first = witness.count(host, device, topology)
            time.sleep(max(params["interval"], 0))
        last = witness.count(host, device, topology) if params["since"] or params["interval"] > 0 else first
        result["counters"] = last.as_dict()
        if last is not first:
            cpus = witness.application_cpus(host, params["application"]) if params["application"] else cpumask.parse_list(params["application_cpus"] or "")
            delta = witness.difference(first, last)
            claims = witness.judge(device, delta, params["rss"], params["rps"], params["rfs"], cpus, params["min_packets"])
            result["witness"] = witness.as_result(claims, delta)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
