#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_environment
short_description: Capture what a reader must know about the node that was measured on
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Returns the kernel with its command line and the hash of its configuration, CPU, mitigations, frequency control, memory, interfaces
    with driver, firmware, offloads and queues, the sysctls of the network, and the versions of the tools.
  - What this node does not have is null. No secret is returned.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options: {}
"""

EXAMPLES = r"""
- name: Capture the environment of this node
  datapath.lab.node_environment:
  register: node
"""

RETURN = r"""
environment:
  description: >-
    The facts, in groups. C(kernel.config_sha256) is the hash of the sorted symbols; C(cpu.steal_fraction_since_boot) is a part of all CPU
    time; C(memory.total_kib) is in KiB, frequencies in kHz, speeds in Mbit/s.
  type: dict
  returned: success
  sample:
    os: Debian GNU/Linux 13 (trixie)
    kernel:
      release: 6.12.41-cloud-amd64
      build: "#1 SMP PREEMPT_DYNAMIC Debian 6.12.41-1"
      command_line: root=/dev/vda ro quiet
      config_sha256: 0f6f5c1b5a0a0e3f1c0c6f0b7a51e1ad3fdd4a1d4c1db2d1e2b43a3a1f9d0c11
      config_source: /boot/config-6.12.41-cloud-amd64
      clocksource: kvm-clock
      lockdown: none
      tainted: 0
    cpu:
      model: Intel(R) Xeon(R) E-2288G CPU @ 3.70GHz
      microcode: "0xf8"
      count: 8
      hypervisor: false
      online: 0-7
      frequency: {driver: intel_pstate, governor: performance, min_khz: 800000, max_khz: 5000000, turbo_off: "0", boost: null}
      mitigations: {meltdown: Not affected, spectre_v2: "Mitigation: Enhanced / Automatic IBRS"}
      steal_fraction_since_boot: 0.0
    memory: {total_kib: 24689764, transparent_hugepages: madvise}
    machine: {vendor: QEMU, product: Standard PC (Q35 + ICH9, 2009)}
    nics:
      eth0:
        driver: virtio_net
        driver_version: 1.0.0
        firmware: null
        bus: "0000:00:03.0"
        mtu: 1500
        speed_mbit_s: null
        state: up
        rx_queues: 4
        tx_queues: 4
        offloads_on: [generic-receive-offload, tx-checksumming]
    sysctls: {net.core.somaxconn: "4096", net.ipv4.tcp_congestion_control: cubic}
    tools: {netperf: 2.7.1, iperf3: "3.18", hyperfine: null}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.environment.collect import Machine, collect
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        environment = collect(Machine(runner_of(module)))
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, environment=environment)


if __name__ == "__main__":
    main()
