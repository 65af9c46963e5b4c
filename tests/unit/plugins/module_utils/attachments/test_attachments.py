# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces behind veth and on macvlan: what is wanted, the plan, and how it is carried out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.attachments import apply
from ansible_collections.datapath.lab.plugins.module_utils.attachments.model import Route, check_together, macvlan_of, veth_of
from ansible_collections.datapath.lab.plugins.module_utils.attachments.plan import (
    ALIAS,
    Forward,
    HaveNode,
    Ip,
    Place,
    have_as_dict,
    plan_absent,
    plan_present,
    want_as_dict,
)
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.netns.links import Link

CARD = Link("data0", 2, None, None, None, None, None, "02:00:00:00:00:01", 1500, True, 1, 1, ("198.18.0.2/24",))
OTHER = replace(CARD, name="data1", index=3, mac="02:00:00:00:00:02")


def macvlan(**changes):
    return {
        "name": "eth0", "namespace": "pod1", "lower": "data0", "mode": "bridge", "addresses": ["198.18.0.245/24"], "routes": [],
        "mtu": None, "mac": None, **changes,
    }  # fmt: skip


def veth(**changes):
    return {
        "name": "eth0", "namespace": "pod2", "host_name": "dp-veth", "host_addresses": ["198.19.0.1/30"], "uplink": "data0",
        "addresses": ["198.19.0.2/30"], "routes": [{"to": "default", "via": "198.19.0.1"}], "mtu": None, "mac": None, **changes,
    }  # fmt: skip


def bare(**named):
    """Return a node with two cards, and with these namespaces."""
    return HaveNode(Place({"data0": CARD, "data1": OTHER}), named, {"data0": False, "data1": False})


def with_macvlan(**changes):
    link = Link("eth0", 2, "macvlan", "bridge", 2, None, None, "02:00:00:00:00:0a", 1500, True, 1, 1, ("198.18.0.245/24",), ALIAS)
    return bare(pod1=Place({"eth0": replace(link, **changes)}))


def with_veth(uplink_before="0", **changes):
    inner = Link("eth0", 2, "veth", None, 9, None, None, "02:00:00:00:00:0b", 1500, True, 1, 1, ("198.19.0.2/30",), ALIAS)
    host = Link(
        "dp-veth", 9, "veth", None, 2, None, None, "02:00:00:00:00:0c", 1500, True, 1, 1, ("198.19.0.1/30",),
        f"{ALIAS} uplink data0 forwarding {uplink_before}",
    )  # fmt: skip
    pod = Place({"eth0": replace(inner, **changes)}, {"eth0": (Route("default", "198.19.0.1"),)})
    return HaveNode(
        Place({"data0": CARD, "data1": OTHER, "dp-veth": host}), {"pod2": pod}, {"data0": True, "data1": False, "dp-veth": True}
    )


def lines(actions):
    return [line for action in actions if isinstance(action, Ip) for line in action.lines]


def test_what_is_there_as_wanted_needs_nothing():
    assert plan_present(with_macvlan(), [macvlan_of(macvlan())]) == []
    assert plan_present(with_veth(), [veth_of(veth())]) == []


def test_a_macvlan_is_made_in_its_namespace_with_its_mode():
    actions = plan_present(bare(), [macvlan_of(macvlan(mode="vepa"))])
    assert lines(actions) == [
        "netns add pod1",
        "link set lo up",
        "link add link data0 name eth0 netns pod1 type macvlan mode vepa",
        f"link set eth0 alias '{ALIAS}'",
        "address add 198.18.0.245/24 dev eth0",
        "link set eth0 up",
    ]
    assert [action.namespace for action in actions] == [None, "pod1", None, "pod1"]


def test_a_macvlan_of_the_node_itself_needs_no_namespace():
    actions = plan_present(bare(), [macvlan_of(macvlan(namespace=None, name="mv0"))])
    assert lines(actions)[0] == "link add link data0 name mv0 type macvlan mode bridge"


def test_a_macvlan_is_made_with_its_address_which_udev_would_replace_by_its_own():
    actions = plan_present(bare(), [macvlan_of(macvlan(namespace=None, name="mv0", mac="02:00:00:00:00:0f"))])
    assert lines(actions)[0] == "link add link data0 name mv0 address 02:00:00:00:00:0f type macvlan mode bridge"
    assert not [line for line in lines(actions)[1:] if "02:00:00:00:00:0f" in line]


def test_a_namespace_behind_veth_is_routed_and_forwarding_is_switched_for_two_interfaces_alone():
    actions = plan_present(bare(), [veth_of(veth())])
    assert "link add name dp-veth type veth peer name eth0 netns pod2" in lines(actions)
    assert f"link set dp-veth alias '{ALIAS} uplink data0 forwarding 0'" in lines(actions)
    assert lines(actions)[-1] == "route replace default via 198.19.0.1 dev eth0"
    assert [action for action in actions if isinstance(action, Forward)] == [Forward("dp-veth", True), Forward("data0", True)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"mode": "private"}, "its mode is private"), ({"lower": 3}, "it does not stand on data0"), ({"kind": "dummy"}, "it is a dummy")],
)
def test_a_macvlan_that_is_another_is_made_again(changes, reason):
    actions = plan_present(with_macvlan(**changes), [macvlan_of(macvlan())])
    assert lines(actions)[0] == "link delete eth0"
    assert reason in str(actions[0])


def test_addresses_and_mtu_change_in_place():
    actions = plan_present(with_macvlan(), [macvlan_of(macvlan(addresses=["198.18.0.7/24"], mtu=1400, mac="02:00:00:00:00:0f"))])
    assert lines(actions) == [
        "link set eth0 address 02:00:00:00:00:0f",
        "link set eth0 mtu 1400",
        "address delete 198.18.0.245/24 dev eth0",
        "address add 198.18.0.7/24 dev eth0",
    ]


def test_removal_takes_the_interface_the_empty_namespace_and_gives_forwarding_back():
    actions = plan_absent(with_veth(), [veth_of(veth())])
    assert lines(actions) == ["link delete eth0", "netns delete pod2"]
    assert actions[-1] == Forward("data0", False)
    assert plan_absent(with_veth(uplink_before="1"), [veth_of(veth())])[-1].lines == ("netns delete pod2",)
    assert plan_absent(bare(), [veth_of(veth()), macvlan_of(macvlan())]) == []


def test_a_pair_of_which_only_the_nodes_end_is_left_is_removed():
    have = with_veth()
    assert lines(plan_absent(HaveNode(have.own, {}, have.forwarding), [veth_of(veth())])) == ["link delete dp-veth"]


def test_a_namespace_with_something_else_in_it_stays():
    have = with_macvlan()
    pod = Place({**have.named["pod1"].links, "other0": replace(CARD, name="other0")})
    assert lines(plan_absent(bare(pod1=pod), [macvlan_of(macvlan())])) == ["link delete eth0"]


def test_the_first_of_two_pairs_that_goes_leaves_forwarding_on_and_the_last_gives_it_back():
    second = veth(namespace="pod3", host_name="dp-veth2", addresses=["198.19.0.6/30"])
    have = with_veth()
    actions = plan_present(have, [veth_of(veth()), veth_of(second)])
    # The second pair keeps what was before the first one.
    assert f"link set dp-veth2 alias '{ALIAS} uplink data0 forwarding 0'" in lines(actions)
    host2 = replace(have.own.links["dp-veth"], name="dp-veth2", index=10)
    both = HaveNode(Place({**have.own.links, "dp-veth2": host2}), have.named, have.forwarding)
    assert not [action for action in plan_absent(both, [veth_of(veth())]) if isinstance(action, Forward)]
    assert Forward("data0", False) in plan_absent(both, [veth_of(veth()), veth_of(second)])


def test_what_this_collection_did_not_make_is_never_touched():
    for alias in (None, "datapath.lab wire to n2/data0"):
        have = with_macvlan(alias=alias)
        with pytest.raises(InvalidValueError, match="did not make"):
            plan_present(have, [macvlan_of(macvlan())])
        assert "link delete eth0" not in lines(plan_absent(have, [macvlan_of(macvlan())]))
    foreign = HaveNode(Place({"data0": CARD, "dp-veth": replace(CARD, name="dp-veth")}), {}, {})
    with pytest.raises(InvalidValueError, match="already has an interface dp-veth"):
        plan_present(foreign, [veth_of(veth())])


@pytest.mark.parametrize(
    ("read", "given", "said"),
    [
        (macvlan_of, macvlan(mode="nope"), "the mode 'nope' is none of private, vepa, bridge, passthru"),
        (macvlan_of, macvlan(lower="lo"), "cannot stand on the loopback device"),
        (macvlan_of, macvlan(namespace=None, name="data0"), "the same name"),
        (macvlan_of, macvlan(namespace="a/b"), "cannot be the name of a namespace"),
        (macvlan_of, macvlan(addresses=["198.18.0.1"]), "no prefix length"),
        (macvlan_of, macvlan(addresses=["x/24"]), "not an address"),
        (macvlan_of, macvlan(mtu=10), "the MTU 10 is outside 68 to 65535"),
        (macvlan_of, macvlan(mac="33:33:00:00:00:01"), "not the MAC address of a single card"),
        (veth_of, veth(host_name="name-that-is-far-too-long"), "not a name of an interface"),
        (veth_of, veth(routes=[{"to": "198.19.0.1/24", "via": None}]), "the route to '198.19.0.1/24'"),
        (veth_of, veth(routes=[{"to": "default", "via": "x"}]), "via 'x' is not one"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(read, given, said):
    with pytest.raises(InvalidValueError) as refused:
        read(given)
    assert said in str(refused.value)


def test_attachments_that_exclude_each_other_are_refused():
    with pytest.raises(InvalidValueError, match="Two interfaces are called eth0 in namespace pod1"):
        check_together([macvlan_of(macvlan()), macvlan_of(macvlan())])
    with pytest.raises(InvalidValueError, match="mode passthru takes the whole card data0"):
        check_together([macvlan_of(macvlan(mode="passthru")), macvlan_of(macvlan(name="eth1"))])
    check_together([macvlan_of(macvlan(mode="passthru")), macvlan_of(macvlan(name="eth1", lower="data1"))])


def test_a_card_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(InvalidValueError, match="the lower device 'data9' is no interface of this node; it has data0, data1"):
        plan_present(bare(), [macvlan_of(macvlan(lower="data9"))])


def test_the_diff_has_one_form_before_and_after():
    wanted = [macvlan_of(macvlan())]
    assert have_as_dict(with_macvlan(), wanted) == want_as_dict(wanted)
    assert have_as_dict(bare(), wanted) == {}


def test_the_plan_is_carried_out_in_the_right_namespaces_and_forwarding_is_a_file(tmp_path):
    knob = tmp_path / "sys/net/ipv4/conf/data0/forwarding"
    knob.parent.mkdir(parents=True)
    knob.write_text("0\n")
    calls = []

    def run(argv, stdin=None):
        calls.append((tuple(argv), stdin))
        return Completed(tuple(argv), 0, "", "")

    apply.carry_out(run, [Ip("pod1", ("link set lo up",), "x"), Ip(None, ("netns add pod1",), "y"), Forward("data0", True)], str(tmp_path))
    assert calls == [(("ip", "-n", "pod1", "-batch", "-"), "link set lo up\n"), (("ip", "-batch", "-"), "netns add pod1\n")]
    assert knob.read_text() == "1\n"
    assert apply.forwarding_of({"data0": None, "gone0": None}, str(tmp_path)) == {"data0": True}


def test_what_the_kernel_refuses_is_told_with_its_purpose():
    with pytest.raises(CommandError, match="Could not set up eth0"):
        apply.carry_out(
            lambda argv, stdin: Completed(tuple(argv), 1, "", "RTNETLINK answers: File exists"), [Ip(None, ("x",), "set up eth0")]
        )
