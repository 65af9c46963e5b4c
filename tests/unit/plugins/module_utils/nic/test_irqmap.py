# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From names of interrupts to queues, for each driver's way of naming."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.nic import irqmap


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        ("virtio3-input.0", ("rx", 0)),
        ("virtio12-output.15", ("tx", 15)),
        ("virtio3-config", ("other", None)),
        ("virtio3-req.0", ("other", None)),
        ("eth0-TxRx-7", ("rxtx", 7)),
        ("eth0-rx-3", ("rx", 3)),
        ("enp3s0f1-tx-11", ("tx", 11)),
        ("eth0", ("other", None)),
        ("i40e-eth0-TxRx-40", ("rxtx", 40)),
        ("ice-ens1f0-TxRx-2", ("rxtx", 2)),
        ("iavf-eth0-TxRx-1", ("rxtx", 1)),
        ("ens5-Tx-Rx-3", ("rxtx", 3)),
        ("ena-mgmnt@pci:0000:00:05.0", ("other", None)),
        ("mlx5_comp23@pci:0000:3b:00.0", ("rxtx", 23)),
        ("mlx5_async0@pci:0000:3b:00.0", ("other", None)),
        ("mlx4-5@0000:04:00.0", ("rxtx", 5)),
        ("nicvf0-rxtx-2", ("rxtx", 2)),
    ],
)
def test_role_and_number_of_a_name(action: str, wanted: tuple[str, Optional[int]]) -> None:
    assert irqmap.parse_action(action) == wanted


def test_tg3_counts_its_receive_vectors_from_one_and_sysfs_from_zero() -> None:
    actions = {81: "eth0-tx-0", 82: "eth0-rx-1", 83: "eth0-rx-2", 84: "eth0-rx-3", 85: "eth0-rx-4"}
    found = irqmap.assign(actions, rx_queues=4, tx_queues=1)
    assert found == {81: ("tx", 0), 82: ("rx", 0), 83: ("rx", 1), 84: ("rx", 2), 85: ("rx", 3)}


def test_vectors_beyond_the_queues_in_use_wait() -> None:
    actions = {40 + at: f"virtio3-input.{at}" for at in range(8)}
    found = irqmap.assign(actions, rx_queues=4, tx_queues=4)
    assert [found[40 + at][1] for at in range(8)] == [0, 1, 2, 3, None, None, None, None]


def test_the_tenth_vector_comes_after_the_ninth() -> None:
    actions = {100 + at: f"eth0-rx-{at}" for at in (10, 9, 2, 1, 3, 4, 5, 6, 7, 8)}
    found = irqmap.assign(actions, rx_queues=10, tx_queues=10)
    assert found[110] == ("rx", 9)
    assert found[102] == ("rx", 1)


def test_a_card_with_one_interrupt_has_it_for_its_only_queue() -> None:
    assert irqmap.assign({11: "eth0"}, 1, 1) == {11: ("rxtx", 0)}
    assert irqmap.assign({11: "eth0"}, 4, 4) == {11: ("other", None)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("virtio3-input.1", "eth0"), ("virtio7-input.1", "ens4")),
        (("i40e-eth0-TxRx-3", "eth0"), ("i40e-lan0-TxRx-3", "lan0")),
        (("eth0", "eth0"), ("x", "x")),
    ],
)
def test_a_key_survives_a_new_name_and_number(before: tuple[str, str], after: tuple[str, str]) -> None:
    assert irqmap.key_of(*before) == irqmap.key_of(*after)


def test_a_key_replaces_whole_names_only() -> None:
    assert irqmap.key_of("eth10-TxRx-1", "eth1") == "eth10-TxRx-1"


def test_ports_of_one_card_are_told_apart() -> None:
    assert irqmap.belongs("eth1-TxRx-0", "eth1", ["eth0", "eth10"])
    assert not irqmap.belongs("eth10-TxRx-0", "eth1", ["eth0", "eth10"])
    assert irqmap.belongs("mlx5_comp0@pci:0000:3b:00.0", "eth1", ["eth0", "eth10"])
    assert not irqmap.belongs("eth0.5-rx-1", "eth0", ["eth0.5"])
