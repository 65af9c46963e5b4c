# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a netns lab may be, and what is refused before anything is changed."""

from __future__ import annotations

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.netns.model import Lab, derived_mac, valid_lab_name


def nic(name="data0", network="data", addresses=("198.18.0.1/24",), **more):
    return {"name": name, "network": network, "addresses": list(addresses), "mtu": 1500, "queues": 1, "mac": None, **more}


def lab(*nodes, name="demo", rootfs="/tree", disk=64):
    return Lab.of(name, rootfs, disk, [{"name": each, "nics": nics} for each, nics in nodes])


def test_two_cards_on_a_network_need_no_switch_and_three_do():
    two = lab(("a", [nic()]), ("b", [nic(addresses=["198.18.0.2/24"])]))
    three = lab(("a", [nic()]), ("b", [nic(addresses=["198.18.0.2/24"])]), ("c", [nic(addresses=["198.18.0.3/24"])]))
    assert two.switches() == ()
    (switch,) = three.switches()
    assert switch.name == "wire.data"
    assert len({port.name for port in switch.nics}) == 3
    assert all(len(port.name) <= 15 for port in switch.nics)


def test_a_mac_address_is_always_the_same_and_differs_between_cards():
    assert derived_mac("demo", "a", "data0") == derived_mac("demo", "a", "data0")
    assert len({derived_mac(*card) for card in [("demo", "a", "x"), ("demo", "b", "x"), ("other", "a", "x"), ("demo", "a", "y")]}) == 4
    assert int(derived_mac("demo", "a", "data0")[:2], 16) & 3 == 2


@pytest.mark.parametrize(
    ("nodes", "options", "said"),
    [
        ([("a", [nic(addresses=["8.8.8.8/24"])])], {}, "take one from 198.18.0.0/15"),
        ([("a", [nic(addresses=["198.18.0.1"])])], {}, "write it as 198.18.0.1/24"),
        ([("a", [nic(addresses=["198.18.0.300/24"])])], {}, "not an address"),
        ([("a", [nic(queues=0)])], {}, "0 queues are outside 1 to 64"),
        ([("a", [nic(mtu=67)])], {}, "the MTU 67 is outside 68 to 65535"),
        ([("a", [nic(mac="01:00:00:00:00:00")])], {}, "not the MAC address of a single card"),
        ([("a", [nic(mac="zz")])], {}, "not the MAC address of a single card"),
        ([("a", [nic(name="a-name-that-is-too-long")])], {}, "1 to 15 letters"),
        ([("a", [nic(network="no/slash")])], {}, "the network name 'no/slash' is not allowed"),
        ([("a", [nic(), nic(addresses=["198.18.0.2/24"])])], {}, "two cards called 'data0'"),
        ([("a", [nic()]), ("a", [])], {}, "Two nodes are called 'a'"),
        ([("a", [nic()]), ("b", [nic()])], {}, "have the same address (data 198.18.0.1)"),
        ([("a", [nic(mac="02:00:00:00:00:01")]), ("b", [nic(mac="02:00:00:00:00:01", addresses=["198.18.0.2/24"])])], {}, "same MAC"),
        ([("wire.a", [])], {}, "names that begin with 'wire.' are the lab's own"),
        ([("../a", [])], {}, "is not allowed"),
        ([], {"rootfs": "relative"}, "must be an absolute path"),
        ([], {"rootfs": "/a:b"}, "must be an absolute path without ':'"),
        ([], {"disk": 1}, "the least is 16 MiB"),
        ([], {"name": "a/b"}, "The lab's name 'a/b' is not allowed"),
    ],
)
def test_bad_input_is_refused_with_a_sentence_that_names_it(nodes, options, said):
    with pytest.raises(InvalidValueError) as refused:
        lab(*nodes, **options)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "a/..", "x" * 64])
def test_a_labs_name_is_safe_in_a_path(name):
    with pytest.raises(InvalidValueError):
        valid_lab_name(name)
