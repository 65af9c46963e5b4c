# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan that makes a lab out of what there is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.netns.links import Link
from ansible_collections.datapath.lab.plugins.module_utils.netns.model import Lab, switch_port
from ansible_collections.datapath.lab.plugins.module_utils.netns.plan import (
    Configure,
    EndNode,
    HaveNode,
    Plug,
    StartNode,
    Unplug,
    alias_of,
    plan,
)


def lab_of(count, queues=1, mtu=1500, rootfs="/tree"):
    """Return a lab of so many nodes, n1, n2, …, on one network."""
    return Lab.of(
        "demo",
        rootfs,
        64,
        [
            {
                "name": f"n{number}",
                "nics": [
                    {"name": "data0", "network": "data", "addresses": [f"198.18.0.{number}/24"], "mtu": mtu, "queues": queues, "mac": None}
                ],
            }
            for number in range(1, count + 1)
        ],
    )


def link(nic, index, lower, peer, peer_nic, **changes):
    return replace(
        Link(
            nic.name,
            index,
            "veth",
            None,
            lower,
            None,
            None,
            nic.mac,
            nic.mtu,
            True,
            nic.queues,
            nic.queues,
            nic.addresses,
            alias_of(peer, peer_nic),
            "UP",
        ),
        **changes,
    )


def built(lab):
    """Return a lab of any shape as it is found when all is as wanted."""
    have = {}
    if not lab.switches():
        (a, b) = lab.nodes
        have[a.name] = HaveNode(True, lab.rootfs, {"data0": link(a.nics[0], 2, 2, b.name, b.nics[0])})
        have[b.name] = HaveNode(True, lab.rootfs, {"data0": link(b.nics[0], 2, 2, a.name, a.nics[0])})
        return have
    ports = {}
    for index, node in enumerate(lab.nodes, start=3):
        port = switch_port(node, node.nics[0])
        have[node.name] = HaveNode(True, lab.rootfs, {"data0": link(node.nics[0], 2, index, "wire.data", port)})
        ports[port.name] = link(port, index, 2, node.name, node.nics[0], master="br0")
    have["wire.data"] = HaveNode(True, lab.rootfs, ports)
    return have


def kinds(actions):
    return [type(action).__name__ for action in actions]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_what_is_as_wanted_needs_nothing(count):
    lab = lab_of(count)
    assert plan(built(lab), lab) == []


def test_from_nothing_nodes_are_started_before_they_are_joined_and_joined_before_they_are_set():
    actions = plan({}, lab_of(2))
    assert kinds(actions) == ["StartNode", "StartNode", "Plug", "Configure", "Configure"]
    assert actions[3].add_addresses == ("198.18.0.1/24",)
    assert not actions[3].port


def test_three_nodes_meet_at_a_switch():
    actions = plan({}, lab_of(3))
    assert [action.switch for action in actions if isinstance(action, StartNode)] == [False, False, False, True]
    assert {action.node_b for action in actions if isinstance(action, Plug)} == {"wire.data"}
    assert [action.port for action in actions if isinstance(action, Configure)] == [False] * 3 + [True] * 3


def test_a_node_that_was_killed_is_started_and_joined_again_and_the_others_are_left_alone():
    lab = lab_of(2)
    have = built(lab)
    have["n2"] = HaveNode(False, lab.rootfs, {})
    # The kernel took both ends of its wire.
    have["n1"] = HaveNode(True, lab.rootfs, {})
    actions = plan(have, lab)
    assert kinds(actions) == ["EndNode", "StartNode", "Plug", "Configure", "Configure"]
    assert actions[0] == EndNode("n2", "its process has ended")


def test_a_lab_that_grows_changes_from_a_direct_wire_to_a_switch():
    actions = plan(built(lab_of(2)), lab_of(3))
    assert [action.node for action in actions if isinstance(action, Unplug)] == ["n1", "n2"]
    assert len([action for action in actions if isinstance(action, Plug)]) == 3


def test_a_lab_that_shrinks_ends_what_is_no_longer_described_and_joins_directly():
    actions = plan(built(lab_of(3)), lab_of(2))
    assert [action.node for action in actions if isinstance(action, EndNode)] == ["n3", "wire.data"]
    assert kinds([action for action in actions if isinstance(action, Plug)]) == ["Plug"]


def test_a_change_of_mtu_or_address_leaves_the_wire_in_place():
    have = built(lab_of(2))
    have["n1"] = HaveNode(True, "/tree", {"data0": replace(have["n1"].links["data0"], mtu=1400, addresses=("198.18.0.99/24",))})
    (action,) = plan(have, lab_of(2))
    assert action == Configure("n1", action.nic, ("198.18.0.99/24",), ("198.18.0.1/24",), 1500, False, False)
    assert str(action) == "set data0 of n1: MTU 1500, without 198.18.0.99/24, with 198.18.0.1/24"


@pytest.mark.parametrize(
    "changes",
    [
        {"tx_queues": 4},
        {"rx_queues": 4},
        {"mac": "02:00:00:00:00:99"},
        {"kind": "dummy"},
        {"lower": 7},
        {"alias": "datapath.lab wire to n9/data0"},
    ],
)
def test_what_a_wire_cannot_change_is_joined_again(changes):
    have = built(lab_of(2))
    have["n1"] = HaveNode(True, "/tree", {"data0": replace(have["n1"].links["data0"], **changes)})
    assert kinds(plan(have, lab_of(2))) == ["Unplug", "Unplug", "Plug", "Configure", "Configure"]


def test_pairs_with_the_same_indexes_are_told_apart_by_whom_they_lead_to():
    """Both ends have index 2 and say that their peer has index 2, but each is one end of another pair."""
    lab = lab_of(2)
    have = built(lab)
    for name in ("n1", "n2"):
        have[name] = HaveNode(True, "/tree", {"data0": replace(have[name].links["data0"], alias="datapath.lab wire to n3/data0")})
    assert "the wire leads elsewhere" in {action.reason for action in plan(have, lab) if isinstance(action, Unplug)}


def test_a_card_that_is_no_longer_described_goes_and_what_others_made_stays():
    have = built(lab_of(2))
    old = replace(have["n1"].links["data0"], name="old0", index=9)
    foreign = replace(old, name="dp-veth", alias=None)
    have["n1"] = HaveNode(True, "/tree", {**have["n1"].links, "old0": old, "dp-veth": foreign})
    assert plan(have, lab_of(2)) == [Unplug("n1", "old0", "the lab no longer has this card")]


@pytest.mark.parametrize(("rootfs", "reason"), [("/other", "it runs on /other"), ("", "its record is lost")])
def test_a_node_on_another_tree_or_without_a_record_is_started_anew(rootfs, reason):
    have = built(lab_of(2))
    have["n1"] = HaveNode(True, rootfs, have["n1"].links)
    actions = plan(have, lab_of(2))
    assert actions[0] == EndNode("n1", reason)
    assert isinstance(actions[1], StartNode)


def test_a_lab_that_is_to_be_gone_loses_every_node():
    assert [action.node for action in plan(built(lab_of(3)), None)] == ["n1", "n2", "n3", "wire.data"]
    assert plan({}, None) == []
