# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an interrupt's name to the queue that it serves.

Known names (driver: action in /proc/irq/N):

    virtio_net  virtio3-input.0  virtio3-output.0  virtio3-config
    igb, ixgbe  eth0-TxRx-0, or eth0-rx-0 eth0-tx-0; eth0 alone is the link interrupt of igb
    i40e, iavf  i40e-eth0-TxRx-0
    ice         ice-eth0-TxRx-0
    ena         eth0-Tx-Rx-0
    mlx5_core   mlx5_comp0@pci:0000:3b:00.0   (no interface name)
    tg3         eth0-tx-0, eth0-rx-1 … eth0-rx-4, while sysfs counts rx-0 … rx-3
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

_VIRTIO = re.compile(r"virtio\d+-(input|output)\.(\d+)\Z")
_MLX = re.compile(r"mlx[45](?:_comp|-)(\d+)@")
_SUFFIX = re.compile(r"(?:^|[-:@_.])(tx-?rx|rx-?tx|rx|tx)[-._]?(\d+)\Z", re.IGNORECASE)


def parse_action(action: str) -> Tuple[str, Optional[int]]:
    """Return the role of an interrupt (``rx``, ``tx``, ``rxtx``, ``other``) and the number at the end of its name."""
    match = _VIRTIO.search(action)
    if match:
        return ("rx" if match[1] == "input" else "tx"), int(match[2])
    match = _MLX.search(action)
    if match:
        return "rxtx", int(match[1])
    match = _SUFFIX.search(action)
    if match:
        role = match[1].lower().replace("-", "")
        return ("rxtx" if len(role) == 4 else role), int(match[2])
    return "other", None


def key_of(action: str, interface: str) -> str:
    """Return the part of an action's name that stays when the interface is renamed or the virtio device renumbered."""
    key = re.sub(r"\bvirtio\d+-", "virtio-", action)
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(interface)}(?![A-Za-z0-9])", "{if}", key)


def belongs(action: str, interface: str, others: Sequence[str]) -> bool:
    """Tell whether an interrupt among those of a card belongs to this interface, and not to another port of the same card."""

    def named(name: str) -> bool:
        return re.search(rf"(?<![A-Za-z0-9.]){re.escape(name)}(?![A-Za-z0-9.])", action) is not None

    return named(interface) or not any(named(other) for other in others)


def assign(actions: Mapping[int, str], rx_queues: int, tx_queues: int) -> Dict[int, Tuple[str, Optional[int]]]:
    """Give each interrupt its role and queue.

    The number at the end of a name is the queue's index, unless those numbers do not start at 0 and there are as many of them as queues (tg3):
    then the order counts. A number beyond the queues in use belongs to a vector that waits (virtio has all vectors at all times).

    :param actions: interrupt number to action name.
    :returns: interrupt number to (role, queue index or None).
    """
    parsed = {number: parse_action(action) for number, action in actions.items()}
    result: Dict[int, Tuple[str, Optional[int]]] = {}
    for role, queues in (("rx", rx_queues), ("tx", tx_queues), ("rxtx", max(rx_queues, tx_queues))):
        found: List[Tuple[int, int]] = sorted(
            (suffix, number) for number, (its, suffix) in parsed.items() if its == role and suffix is not None
        )
        by_rank = bool(found) and found[0][0] > 0 and len(found) == queues and found[-1][0] >= queues
        for rank, (suffix, number) in enumerate(found):
            index = rank if by_rank else suffix
            result[number] = (role, index if index < queues else None)
    for number in actions:
        result.setdefault(number, ("other", None))
    if len(actions) == 1 and rx_queues == 1:
        # One interrupt for all: a card without MSI-X, named after the interface alone.
        result[next(iter(actions))] = ("rxtx", 0)
    return result
