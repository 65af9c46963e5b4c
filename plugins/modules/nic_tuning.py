#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_tuning
short_description: Bring network devices to a whole steering profile in one task
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Sets channels, rings, coalescing, offloads, RSS, interrupts, irqbalance, RPS, RFS and XPS, all of it or nothing.
  - However many queues a device has, it is one task, and each setting of a queue is one write to a file.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning
  - datapath.lab.steering
options:
  interfaces:
    description: Names of the interfaces.
    type: list
    elements: str
    required: true
  profile:
    description:
      - A set of settings; options that are given as well win.
      - V(published) has every interrupt on CPU 0, RPS on all other CPUs and RFS with 32768 entries, which is 8192 for each of 4 queues.
      - V(one_cpu_per_queue) spreads by the card alone, each queue on a CPU of its own, with XPS.
      - V(off) has every interrupt on CPU 0 and no steering.
    type: str
    choices: [published, one_cpu_per_queue, 'off']
  persistent:
    description: Whether the node applies the policy again at each boot, until the restore. Left as it is by default.
    type: bool
  channels:
    description: Numbers of channels by kind (C(combined), C(rx), C(tx), C(other)); V(max) is as many as the card has.
    type: dict
    default: {}
  rings:
    description: Ring parameters, as in M(datapath.lab.nic_rings).
    type: dict
    default: {}
  coalesce:
    description: Coalescing parameters, as in M(datapath.lab.nic_coalesce).
    type: dict
    default: {}
  features:
    description: Offloads, as in M(datapath.lab.nic_features).
    type: dict
    default: {}
  rss:
    description:
      - V(spread) gives each queue the same share of the RSS table.
      - V(cpu0) puts every interrupt of the card on CPU 0, which leaves RSS without effect.
      - V(list) uses only the queues of O(rss_queues).
      - V(default) is the kernel's own table.
    type: str
    choices: [spread, cpu0, list, default]
  rss_queues:
    description: Queue numbers, for O(rss=list).
    type: list
    elements: int
  irq:
    description: Where interrupts go, as in M(datapath.lab.irq_affinity).
    type: str
    choices: [one_per_queue, numa_local, list]
  irq_cpus:
    description: CPU list, for O(irq=list).
    type: str
  irqbalance:
    description: What becomes of irqbalance, as in M(datapath.lab.irqbalance); V(keep) without a profile.
    type: str
    choices: [stop, ban, keep]
  gro_flush_timeout:
    description: Nanoseconds that the kernel's receive offload may keep packets back.
    type: int
  napi_defer_hard_irqs:
    description: Number of empty polls after which interrupts are switched on again.
    type: int
  hash_fields:
    description: Fields of a flow that are hashed, as in M(datapath.lab.nic_rss).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: The published settings, undone in two minutes unless confirmed
  datapath.lab.nic_tuning:
    interfaces: [eth0]
    profile: published
    confirm_within: 120

- name: One CPU per queue, at each boot
  datapath.lab.nic_tuning:
    interfaces: [eth0]
    profile: one_cpu_per_queue
    persistent: true
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be; C(before) is null for what an earlier change makes.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "rx-0/rps_cpus", "before": "0", "after": "fe"}]
notes:
  description: What was left out or adapted, one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
deadman:
  description: The armed dead-man timer; null if none is armed.
  returned: success
  type: dict
  sample: null
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import wiring


def main():
    """Read the wish, carry it out, report."""
    module = AnsibleModule(
        argument_spec={
            **wiring.COMMON,
            "interfaces": {"type": "list", "elements": "str", "required": True},
            "profile": {"type": "str", "choices": ["published", "one_cpu_per_queue", "off"]},
            "persistent": {"type": "bool"},
            "channels": {"type": "dict", "default": {}},
            "rings": {"type": "dict", "default": {}},
            "coalesce": {"type": "dict", "default": {}},
            "features": {"type": "dict", "default": {}},
            "hash_fields": {"type": "dict", "default": {}},
            "rss": {"type": "str", "choices": ["spread", "cpu0", "list", "default"]},
            "rss_queues": {"type": "list", "elements": "int"},
            "irq": {"type": "str", "choices": ["one_per_queue", "numa_local", "list"]},
            "irq_cpus": {"type": "str"},
            "irqbalance": {"type": "str", "choices": ["stop", "ban", "keep"]},
            "gro_flush_timeout": {"type": "int"},
            "napi_defer_hard_irqs": {"type": "int"},
            **wiring.STEERING,
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            **wiring.steering(params),
            **wiring.given(params, "profile", "rss", "rss_queues", "irq", "irq_cpus", "irqbalance", "hash_fields"),
            "channels": wiring.plain(params["channels"]),
            "rings": wiring.plain(params["rings"]),
            "coalesce": wiring.plain(params["coalesce"]),
            "features": wiring.switches(params["features"]),
            "attributes": wiring.attributes(params),
        }
        result = wiring.tune(module, params["interfaces"], wish, params["persistent"])
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
