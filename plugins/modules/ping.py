#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ping
short_description: Measure the round trip of ICMP echoes and its percentiles
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs ping (of iputils or of busybox) or fping once from this node and returns the round trip of each echo and their percentiles.
  - Echoes that were not answered make the run invalid; a run without any answer is an error.
requirements:
  - ping, or fping 5.0 or later, on the node
extends_documentation_fragment:
  - datapath.lab.attributes.measurement
  - datapath.lab.workload
options:
  count:
    description: Number of echoes.
    type: int
    default: 100
  interval:
    description: Seconds between two echoes, 0.001 to 60.
    type: float
    default: 0.01
  size:
    description: Bytes of payload of each echo.
    type: int
    default: 56
  program:
    description: Which program sends the echoes.
    type: str
    choices: [ping, fping]
    default: ping
"""

EXAMPLES = r"""
- name: A thousand round trips
  datapath.lab.ping:
    host: 10.0.0.2
    count: 1000
"""

RETURN = r"""
measurement:
  description: >-
    The measurement. Metrics: C(rtt_p50), C(rtt_p95), C(rtt_p99), C(rtt_mean), C(rtt_min), C(rtt_max) in us, C(loss) in percent,
    C(jitter_p99_p50), the ratio of both percentiles. Samples: C(rtt), each round trip in us.
  type: dict
  returned: success, except in check mode
  sample:
    tool: ping
    tool_version: iputils 20240905
    argv: [ping, -n, -c, "1000", -i, "0.01", -s, "56", -W, "2", 10.0.0.2]
    started: "2026-11-20T05:00:00Z"
    duration_s: 10.1
    metrics:
      rtt_p50: {value: 33.0, unit: us, better: lower}
      rtt_p99: {value: 57.0, unit: us, better: lower}
      loss: {value: 0.0, unit: '%', better: lower}
    samples: {rtt: [33.0, 35.0]}
    counters:
      scope: node
      tool: {sent: 1000, received: 1000}
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
  sample: "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.033 ms"
raw_file:
  description: Path of the file in O(raw_dir).
  type: str
  returned: success with O(raw_dir), except in check mode
  sample: /var/tmp/raw/ping-2026-11-20T050000Z-k3v9x2.out
argv:
  description: The command line that would be run.
  type: list
  elements: str
  returned: in check mode
  sample: [ping]
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
      sample: {ping: {tool: ping}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.workloads.perform import Node, perform
from ansible_collections.datapath.lab.plugins.module_utils.workloads.ping import TOOL


def main() -> None:
    module = AnsibleModule(argument_spec=TOOL.spec(), supports_check_mode=True)
    try:
        result = perform(TOOL, module.params, Node.of(module), module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
