#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wrk
short_description: Measure HTTP requests from many connections with wrk
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs wrk once from this node against an HTTP server and returns the measurement, taken from what wrk counted and not from its rounded
    text.
  - A run in which any request failed (no connection, broken read or write, timeout, status of 400 or more) is marked invalid and says
    why, although wrk itself ends with status 0.
  - >-
    wrk is a closed loop: a connection sends its next request when its last one was answered. The latencies are named so, since an
    independent user would see others.
requirements:
  - wrk 4.1 on the node, and an HTTP server on the other one
extends_documentation_fragment:
  - datapath.lab.attributes.measurement
  - datapath.lab.workload
options:
  port:
    description: Port of the server.
    type: int
    default: 80
  path:
    description: Path of the page.
    type: str
    default: /
  connections:
    description: Connections that are kept open, over all threads.
    type: int
    default: 100
  threads:
    description: Threads of wrk; not more than O(connections).
    type: int
    default: 2
  duration:
    description: Seconds of the run.
    type: int
    default: 10
  request_timeout:
    description: Seconds after which a request counts as timed out.
    type: int
    default: 2
  headers:
    description: Further headers of each request.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: The load of the published runs
  datapath.lab.wrk:
    host: 10.0.0.1
    connections: 800
    threads: 40
    duration: 60
"""

RETURN = r"""
measurement:
  description: >-
    The measurement. Metrics: C(request_rate) in requests/s, C(throughput) in Mbit/s (10^6 bit/s, headers included), C(errors) in
    requests, C(connections); C(latency_closed_loop_min), C(latency_closed_loop_mean), C(latency_closed_loop_max),
    C(latency_closed_loop_stdev) and C(latency_closed_loop_p50), C(p75), C(p90), C(p95), C(p99), C(p99_9) in us. C(counters.tool.errors)
    holds the errors by kind. With counters also cpu_us_per_request or cpu_us_per_kb (CPU time of both ends per unit of work), and the
    same with cpu_local and cpu_remote where the ends are different machines.
  type: dict
  returned: success, except in check mode
  sample:
    tool: wrk
    tool_version: debian/4.1.0-4+b1
    argv: [wrk, -c, "800", -t, "40", -d, 60s, --timeout, 2s, --latency, -s, report.lua, "http://10.0.0.1:80/"]
    started: "2026-11-20T05:00:00Z"
    duration_s: 10.1
    metrics:
      request_rate: {value: 99685.2, unit: requests/s, better: higher}
      errors: {value: 0.0, unit: requests, better: lower}
      latency_closed_loop_p99: {value: 1957.0, unit: us, better: lower}
    samples: {}
    counters:
      scope: node
      tool: {errors: {connect: 0, read: 0, write: 0, status: 0, timeout: 0}}
      local: {interval_s: 10.1}
      remote: {interval_s: 10.1}
    invalid: []
not_measured:
  description: Metrics that the tool could not measure here.
  type: list
  elements: str
  returned: success, except in check mode
  sample: []
raw:
  description: What the tool printed.
  type: str
  returned: success, except in check mode
  sample: "Running 1s test @ http://10.0.0.1:80/"
raw_file:
  description: Path of the file in O(raw_dir).
  type: str
  returned: success with O(raw_dir), except in check mode
  sample: /var/tmp/raw/wrk-2026-11-20T050000Z-k3v9x2.out
argv:
  description: The command line that would be run.
  type: list
  elements: str
  returned: in check mode
  sample: [wrk]
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
      sample: {wrk: {tool: wrk}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.workloads.perform import Node, perform
from ansible_collections.datapath.lab.plugins.module_utils.workloads.wrk import TOOL


def main() -> None:
    module = AnsibleModule(argument_spec=TOOL.spec(), supports_check_mode=True)
    try:
        result = perform(TOOL, module.params, Node.of(module), module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
