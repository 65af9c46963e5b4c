#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sockperf
short_description: Measure the latency of one message at a time with sockperf
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs sockperf's ping-pong once from this node to a sockperf server and returns the measurement.
  - What sockperf calls latency is half of the round trip. It is returned as C(half_rtt_…), and twice of it as C(rtt_…).
  - A run without a valid observation is an error, although sockperf itself ends with status 0.
requirements:
  - sockperf 3.7 or later on the node, and its server on the other one
extends_documentation_fragment:
  - datapath.lab.attributes.measurement
  - datapath.lab.workload
options:
  port:
    description: Port of the server.
    type: int
    default: 11111
  protocol:
    description: Transport protocol; the server listens for one of them.
    type: str
    choices: [tcp, udp]
    default: tcp
  duration:
    description: Seconds of the run.
    type: int
    default: 10
  message_size:
    description: Bytes of each message, 14 or more.
    type: int
    default: 14
  no_delay:
    description: Whether small TCP messages are sent at once, without Nagle's algorithm.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Latency of small messages
  datapath.lab.sockperf:
    host: 10.0.0.2
    duration: 30
"""

RETURN = r"""
measurement:
  description: >-
    The measurement. Metrics: C(half_rtt_mean), C(half_rtt_min), C(half_rtt_max), C(half_rtt_p25), C(half_rtt_p50), C(half_rtt_p75),
    C(half_rtt_p90), C(half_rtt_p99), C(half_rtt_p99_9), C(half_rtt_p99_99) and C(half_rtt_stdev) in us, the same as C(rtt_…) for the
    whole round trip; C(message_rate) in transactions/s; C(dropped) in messages. With counters also cpu_us_per_request or cpu_us_per_kb
    (CPU time of both ends per unit of work), and the same with cpu_local and cpu_remote where the ends are different machines.
  type: dict
  returned: success, except in check mode
  sample:
    tool: sockperf
    tool_version: 3.7-no.git
    argv: [sockperf, ping-pong, -i, 10.0.0.2, --tcp, -p, "11111", -t, "30", -m, "14"]
    started: "2026-11-20T05:00:00Z"
    duration_s: 10.1
    metrics:
      half_rtt_mean: {value: 10.535, unit: us, better: lower}
      rtt_mean: {value: 21.07, unit: us, better: lower}
      half_rtt_p99: {value: 27.005, unit: us, better: lower}
    samples: {}
    counters:
      scope: node
      tool: {observations: 73520, dropped: 0}
      local: {interval_s: 10.1}
      remote: {interval_s: 10.1}
    invalid: []
not_measured:
  description: Metrics that the tool could not measure here.
  type: list
  elements: str
  returned: success, except in check mode
  sample: [half_rtt_p99_99, rtt_p99_99]
raw:
  description: What the tool printed.
  type: str
  returned: success, except in check mode
  sample: "sockperf: Summary: Latency is 10.535 usec"
raw_file:
  description: Path of the file in O(raw_dir).
  type: str
  returned: success with O(raw_dir), except in check mode
  sample: /var/tmp/raw/sockperf-2026-11-20T050000Z-k3v9x2.out
argv:
  description: The command line that would be run.
  type: list
  elements: str
  returned: in check mode
  sample: [sockperf]
predicted_s:
  description: Predicted run time in seconds.
  type: float
  returned: in check mode
  sample: 11.0
ansible_facts:
  description: The measurement as a fact.
  type: dict
  returned: success, except in check mode
  contains:
    datapath_lab:
      description: Facts of this collection.
      type: dict
      returned: success, except in check mode
      sample: {sockperf: {tool: sockperf}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.workloads.perform import Node, perform
from ansible_collections.datapath.lab.plugins.module_utils.workloads.sockperf import TOOL


def main() -> None:
    module = AnsibleModule(argument_spec=TOOL.spec(), supports_check_mode=True)
    try:
        result = perform(TOOL, module.params, Node.of(module), module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
