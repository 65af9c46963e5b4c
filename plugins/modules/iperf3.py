#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: iperf3
short_description: Measure bulk transfer over one or many streams with iperf3
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs iperf3 once from this node to an iperf3 server and returns the measurement from its JSON.
  - The result is the rate that was received. For UDP it is counted from the datagrams that arrived, since the sum that iperf3 gives holds
    what was sent.
  - >-
    With several streams, versions before 3.16 use one CPU for all of them: do not compare versions.
requirements:
  - iperf3 3.9 or later on the node, and its server on the other one
extends_documentation_fragment:
  - datapath.lab.attributes.measurement
  - datapath.lab.workload
options:
  port:
    description: Port of the server.
    type: int
    default: 5201
  protocol:
    description: Transport protocol.
    type: str
    choices: [tcp, udp]
    default: tcp
  duration:
    description: Seconds of the run.
    type: int
    default: 10
  omit:
    description: Seconds at the beginning that are not counted, 1 to 60; none if not given.
    type: int
  streams:
    description: Streams at a time.
    type: int
    default: 1
  direction:
    description:
      - V(forward) sends to the server, V(reverse) receives from it, V(both) does both at once.
      - iperf3's C(-d) is no direction but debugging output; it is refused.
    type: str
    choices: [forward, reverse, both]
    default: forward
  length:
    description: Bytes of each write, and of each datagram with O(protocol=udp); iperf3's choice if not given.
    type: int
  bitrate:
    description:
      - Rate in bit/s to which each stream is limited, with an optional C(K), C(M), C(G) or C(T); V(0) is unlimited.
      - Unlimited if not given, also with O(protocol=udp), for which iperf3 alone would take 1 Mbit/s.
    type: str
  window:
    description: Bytes of the socket buffers at both ends; the system's choice if not given.
    type: int
  congestion_control:
    description: TCP congestion control; the system's choice if not given.
    type: str
  no_delay:
    description: Whether to set TCP_NODELAY.
    type: bool
    default: false
  zero_copy:
    description: Whether to send with sendfile.
    type: bool
    default: false
  extra_args:
    description: Further arguments of iperf3, as they are.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Eight streams for thirty seconds
  datapath.lab.iperf3:
    host: 10.0.0.2
    streams: 8
    duration: 30
    counters_remote: 10.0.0.2

- name: As many small datagrams as go through
  datapath.lab.iperf3:
    host: 10.0.0.2
    protocol: udp
    length: 64
"""

RETURN = r"""
measurement:
  description: >-
    The measurement. Metrics: C(throughput) (received) and C(throughput_sent) in Mbit/s (10^6 bit/s), C(retransmits) in segments;
    C(process_cpu_local) and C(process_cpu_remote) in percent of one CPU, iperf3's own processes without interrupts, each also with
    C(_user) and C(_system); for UDP C(loss) in percent, C(jitter) in us, C(packet_rate) (received) and C(packet_rate_sent) in packets/s;
    in both directions the same again with C(_reverse) and C(throughput_total). Samples: C(throughput_interval), Mbit/s of each second.
    With counters also cpu_us_per_request or cpu_us_per_kb (CPU time of both ends per unit of work), and the same with cpu_local and
    cpu_remote where the ends are different machines.
  type: dict
  returned: success, except in check mode
  sample:
    tool: iperf3
    tool_version: "3.18"
    argv: [iperf3, -c, 10.0.0.2, -J, -p, "5201", -t, "30", -P, "8"]
    started: "2026-11-20T05:00:00Z"
    duration_s: 10.1
    metrics:
      throughput: {value: 9412.3, unit: Mbit/s, better: higher}
      throughput_sent: {value: 9413.0, unit: Mbit/s, better: neither}
      retransmits: {value: 12.0, unit: segments, better: lower}
    samples: {throughput_interval: [9410.2, 9414.1]}
    counters:
      scope: node
      tool: {congestion_control: {sender_tcp_congestion: cubic}}
      local: {interval_s: 10.1}
      remote: {interval_s: 10.1}
    invalid: []
not_measured:
  description: Metrics that the tool could not measure here.
  type: list
  elements: str
  returned: success, except in check mode
  sample: [process_cpu_remote]
raw:
  description: What the tool printed.
  type: str
  returned: success, except in check mode
  sample: '{"start": {}, "intervals": [], "end": {}}'
raw_file:
  description: Path of the file in O(raw_dir).
  type: str
  returned: success with O(raw_dir), except in check mode
  sample: /var/tmp/raw/iperf3-2026-11-20T050000Z-k3v9x2.out
argv:
  description: The command line that would be run.
  type: list
  elements: str
  returned: in check mode
  sample: [iperf3]
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
      sample: {iperf3: {tool: iperf3}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.workloads.iperf3 import TOOL
from ansible_collections.datapath.lab.plugins.module_utils.workloads.perform import Node, perform


def main() -> None:
    module = AnsibleModule(argument_spec=TOOL.spec(), supports_check_mode=True)
    try:
        result = perform(TOOL, module.params, Node.of(module), module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
