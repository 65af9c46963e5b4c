#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_benchmark
short_description: Measure requests to a Redis server with redis-benchmark
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs redis-benchmark once from this node and returns the measurement from its CSV.
  - The run is ended after O(timeout_s), since some versions go on for ever when the server does not answer.
  - >-
    redis-benchmark is a closed loop: the latencies are named so.
requirements:
  - redis-benchmark 6.0 or later on the node, and a Redis server on the other one
extends_documentation_fragment:
  - datapath.lab.attributes.measurement
  - datapath.lab.workload
options:
  port:
    description: Port of the server.
    type: int
    default: 6379
  tests:
    description: Which commands to measure, one after another.
    type: list
    elements: str
    choices: [ping_inline, ping_mbulk, set, get, incr, lpush, rpush, lpop, rpop, sadd, hset, spop, mset]
    default: [get, set]
  data_size:
    description: Bytes of a value.
    type: int
    default: 3
  requests:
    description: Requests of each test.
    type: int
    default: 100000
  clients:
    description: Connections.
    type: int
    default: 50
  pipeline:
    description: Requests that a connection sends before it waits for the answers.
    type: int
    default: 1
  distinct:
    description: Number of different keys; one key if not given.
    type: int
  threads:
    description: Threads of redis-benchmark; one if not given.
    type: int
"""

EXAMPLES = r"""
- name: Values of a thousand bytes
  datapath.lab.redis_benchmark:
    host: 10.0.0.2
    data_size: 1000
    tests: [get, set]
"""

RETURN = r"""
measurement:
  description: >-
    The measurement. Metrics by test, such as C(get): C(get_rate) in requests/s; C(get_latency_closed_loop_mean),
    C(get_latency_closed_loop_min), C(get_latency_closed_loop_p50), C(get_latency_closed_loop_p95), C(get_latency_closed_loop_p99) and
    C(get_latency_closed_loop_max) in us, from 6.2 on. With counters also cpu_us_per_request or cpu_us_per_kb (CPU time of both ends per
    unit of work), and the same with cpu_local and cpu_remote where the ends are different machines.
  type: dict
  returned: success, except in check mode
  sample:
    tool: redis_benchmark
    tool_version: 8.0.2
    argv: [redis-benchmark, -h, 10.0.0.2, -p, "6379", -d, "1000", -n, "100000", -c, "50", -P, "1", -t, "get,set", --csv]
    started: "2026-11-20T05:00:00Z"
    duration_s: 10.1
    metrics:
      get_rate: {value: 66225.17, unit: requests/s, better: higher}
      get_latency_closed_loop_p99: {value: 3319.0, unit: us, better: lower}
    samples: {}
    counters:
      scope: node
      tool: {connections: 50, pipeline: 1}
      local: {interval_s: 10.1}
      remote: {interval_s: 10.1}
    invalid: []
not_measured:
  description: Metrics that the tool could not measure here.
  type: list
  elements: str
  returned: success, except in check mode
  sample: [get_latency_closed_loop_p99]
raw:
  description: What the tool printed.
  type: str
  returned: success, except in check mode
  sample: "\"GET\",\"66225.17\""
raw_file:
  description: Path of the file in O(raw_dir).
  type: str
  returned: success with O(raw_dir), except in check mode
  sample: /var/tmp/raw/redis_benchmark-2026-11-20T050000Z-k3v9x2.out
argv:
  description: The command line that would be run.
  type: list
  elements: str
  returned: in check mode
  sample: [redis-benchmark]
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
      sample: {redis_benchmark: {tool: redis_benchmark}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.workloads.perform import Node, perform
from ansible_collections.datapath.lab.plugins.module_utils.workloads.redis_benchmark import TOOL


def main() -> None:
    module = AnsibleModule(argument_spec=TOOL.spec(), supports_check_mode=True)
    try:
        result = perform(TOOL, module.params, Node.of(module), module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
