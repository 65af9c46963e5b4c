# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that the modules which steer packets share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of RPS, RFS and XPS."""

    DOCUMENTATION = r"""
options:
  rps:
    description:
      - V(off) takes RPS away.
      - V(all_but_irq) lets each receive queue choose among the usable CPUs but those that its own interrupt reaches.
      - V(numa) lets it choose among the usable CPUs near the card.
      - V(mask) takes O(rps_mask).
    type: str
    choices: ['off', all_but_irq, numa, mask]
  rps_mask:
    description: CPUs as a hexadecimal mask such as V(fe), for O(rps=mask). Isolated CPUs in it are taken out by the kernel, with a note.
    type: str
  rfs:
    description:
      - Number of entries of the node's flow table; each receive queue gets this number divided by the number of queues. Both become powers of two.
      - V(0) switches RFS off.
    type: int
  rfs_flow_count:
    description: Number of flow entries of each receive queue, instead of the share of O(rfs).
    type: int
  xps:
    description:
      - V(off) takes XPS away.
      - V(one_per_queue) deals the usable CPUs out to the transmit queues.
      - V(rxqs) ties each transmit queue to the receive queue of the same number.
      - V(list) takes O(xps_cpus).
    type: str
    choices: ['off', one_per_queue, rxqs, list]
  xps_cpus:
    description: A CPU list such as V(0-3) for each transmit queue, for O(xps=list); it starts again when there are more queues.
    type: list
    elements: str
  cpus:
    description: CPU list from which policies choose; all online CPUs that are not isolated by default.
    type: str
  threaded:
    description: Whether NAPI polls in kernel threads.
    type: bool
  backlog:
    description: Number of packets that may wait for a CPU (C(net.core.netdev_max_backlog)).
    type: int
seealso:
  - module: datapath.lab.tuning_journal
  - module: datapath.lab.nic_info
"""
