#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netperf
short_description: Measure bulk transfer or request/response with netperf
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs netperf once from this node to a netserver and returns the measurement, with the CPU use and the service demand of both ends.
  - The result of V(UDP_STREAM) is the rate that was received; what was sent is a metric of its own.
  - What netperf could not measure (CPU method C(U), value C(-1)) is left out of the metrics and listed in RV(not_measured).
  - netperf's CPU figures are those of whole machines; where both ends are namespaces of one machine, both hold the work of both.
requirements:
  - netperf 2.7 on the node, and netserver on the other one
extends_documentation_fragment:
  - datapath.lab.attributes.measurement
  - datapath.lab.workload
options:
  test:
    description:
      - What to run. V(TCP_STREAM) and V(UDP_STREAM) send to the server, V(TCP_MAERTS) receives from it, V(TCP_RR) and V(UDP_RR) exchange
        one request and one response at a time, V(TCP_CRR) opens a connection for each.
    type: str
    choices: [TCP_STREAM, TCP_MAERTS, UDP_STREAM, TCP_RR, TCP_CRR, UDP_RR]
    required: true
  port:
    description: Control port of netserver.
    type: int
    default: 12865
  data_port:
    description: Port of the data connection on the server's side, for a path with a firewall; netserver chooses one if not given.
    type: int
  duration:
    description: Seconds of one iteration.
    type: int
    default: 10
  message_size:
    description: Bytes of each send, in the tests with C(STREAM) and in V(TCP_MAERTS); the socket buffer's size if not given.
    type: int
  request_size:
    description: Bytes of a request.
    type: int
    default: 1
  response_size:
    description: Bytes of a response.
    type: int
    default: 1
  confidence_width:
    description:
      - Whole width of the interval that is asked for, in percent of the mean, so that V(5) means plus or minus 2.5 %. Iterations are made
        until it is reached, or O(iterations_max) of them.
      - If it is missed, a warning says so and C(measurement.counters.tool.confidence.met) is V(false).
    type: float
  confidence_level:
    description: Level of that interval in percent.
    type: int
    choices: [95, 99]
    default: 95
  iterations_max:
    description: Most iterations, 2 to 30; needs O(confidence_width).
    type: int
  iterations_min:
    description: Fewest iterations; 2 if not given.
    type: int
  cpu:
    description: Whether netperf measures CPU use at both ends (its C(-c -C)).
    type: bool
    default: true
  local_socket_buffer:
    description: Bytes of the send and receive buffers on this side; the system's choice if not given.
    type: int
  remote_socket_buffer:
    description: Bytes of the send and receive buffers on the server's side; the system's choice if not given.
    type: int
  series:
    description:
      - Runs to make one after another with the same options, each in a network namespace of its own, so that a block over several paths
        costs one task. Mutually exclusive with O(namespace).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the run, under which its measurement is returned.
        type: str
        required: true
      namespace:
        description: Network namespace of this node in which netperf is started; the node's own if not given.
        type: str
"""

EXAMPLES = r"""
- name: Transactions of one byte each way, to 2.5 % at 95 %
  datapath.lab.netperf:
    host: 10.0.0.2
    test: TCP_RR
    duration: 20
    confidence_width: 5
    iterations_max: 10
    counters_remote: 10.0.0.2
  register: transactions

- name: The same test over three paths
  datapath.lab.netperf:
    host: 10.0.0.2
    test: TCP_RR
    series:
      - {name: bare}
      - {name: veth, namespace: pod1}
      - {name: macvlan, namespace: pod2}
"""

RETURN = r"""
measurement:
  description: >-
    The measurement. Metrics: C(throughput) in Mbit/s (10^6 bit/s) or transactions/s; C(cpu_local), C(cpu_remote) in percent of all CPUs;
    C(service_demand_local), C(service_demand_remote) in us/KB or us/Tr; C(latency_min), C(latency_mean), C(latency_p50),
    C(latency_p90), C(latency_p99), C(latency_max) and C(round_trip_mean) in us, of transactions; C(throughput_sent), C(loss),
    C(packet_rate_sent), C(packet_rate) of V(UDP_STREAM); C(confidence_width) in percent where an interval was asked for;
    C(cpu_us_per_request) or C(cpu_us_per_kb), with C(cpu_local_…) and C(cpu_remote_…) where the ends are different machines (all time in
    which the CPUs were not idle, but for that of processes which have no part in the run).
  type: dict
  returned: success, except in check mode
  sample:
    tool: netperf
    tool_version: 2.7.1
    argv: [netperf, -H, 10.0.0.2, -p, "12865", -P, "0", -j, -t, TCP_RR]
    started: "2026-11-20T05:00:00Z"
    duration_s: 20.1
    metrics:
      throughput: {value: 66013.2, unit: transactions/s, better: higher}
      service_demand_local: {value: 30.148, unit: us/Tr, better: lower}
      latency_p99: {value: 40.0, unit: us, better: lower}
    samples: {}
    counters: {scope: node, tool: {confidence: {asked: false}}, local: {interval_s: 20.1}, remote: {interval_s: 20.1}}
    invalid: []
measurements:
  description: The measurement of each run of O(series) by its name; one that failed is not in it.
  type: dict
  returned: success with O(series), except in check mode
  sample: {bare: {tool: netperf}, veth: {tool: netperf}}
raws:
  description: What the tool printed in each run of O(series), by the run's name.
  type: dict
  returned: success with O(series), except in check mode
  sample: {bare: "THROUGHPUT=66013.20\n"}
failed_runs:
  description: Why a run of O(series) failed, by the run's name; when all failed, the module does.
  type: dict
  returned: success with O(series), except in check mode
  sample: {}
argvs:
  description: The command lines that would be run for O(series), by the runs' names.
  type: dict
  returned: in check mode with O(series)
  sample: {bare: [netperf, -H, 10.0.0.2]}
not_measured:
  description: Metrics that the tool could not measure here.
  type: list
  elements: str
  returned: success, except in check mode
  sample: [cpu_remote, service_demand_remote]
raw:
  description: What the tool printed.
  type: str
  returned: success, except in check mode
  sample: "THROUGHPUT=66013.20\nTHROUGHPUT_UNITS=Trans/s\n"
raw_file:
  description: Path of the file in O(raw_dir).
  type: str
  returned: success with O(raw_dir), except in check mode
  sample: /var/tmp/raw/netperf-2026-11-20T050000Z-k3v9x2.out
argv:
  description: The command line that would be run.
  type: list
  elements: str
  returned: in check mode
  sample: [netperf, -H, 10.0.0.2]
predicted_s:
  description: Predicted run time in seconds.
  type: float
  returned: in check mode
  sample: 20.0
ansible_facts:
  description: The measurement as a fact.
  type: dict
  returned: success, except in check mode
  contains:
    datapath_lab:
      description: Facts of this collection.
      type: dict
      returned: success, except in check mode
      sample: {netperf: {tool: netperf}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.workloads.netperf import TOOL
from ansible_collections.datapath.lab.plugins.module_utils.workloads.perform import Node, perform, perform_series


def main() -> None:
    entry = {"name": {"type": "str", "required": True}, "namespace": {"type": "str"}}
    spec = {**TOOL.spec(), "series": {"type": "list", "elements": "dict", "options": entry}}
    module = AnsibleModule(argument_spec=spec, mutually_exclusive=[("series", "namespace")], supports_check_mode=True)
    run = perform_series if module.params["series"] else perform
    try:
        result = run(TOOL, module.params, Node.of(module), module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
