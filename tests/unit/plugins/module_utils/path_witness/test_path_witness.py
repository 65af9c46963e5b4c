# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an observation of packets proves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.path_witness.judge import Observation, Path, Seen, judge
from ansible_collections.datapath.lab.plugins.module_utils.path_witness.observe import features, observe

BARE = Path("bare", "card", None, "data0", (), None)
VETH = Path("veth", "veth", "pod1", "eth0", ("dp-veth", "data0"), None)
MACVLAN = Path("macvlan", "macvlan", "pod2", "eth0", ("data0",), "bridge")
PATHS = (BARE, VETH, MACVLAN)
IDLE = {
    (None, "data0"): Seen(None, None, 2, None, 0, 0),
    (None, "dp-veth"): Seen("veth", None, 9, 2, 0, 0),
    ("pod1", "eth0"): Seen("veth", None, 2, 9, 0, 0),
    ("pod2", "eth0"): Seen("macvlan", "bridge", 2, 2, 0, 0),
}


def seen(path, route=None, answers=20, **changes):
    """Return what is observed when a path is as it claims; ``changes`` by the interface's place, as in ``pod1_eth0``."""
    interfaces = {key: replace(found, sent=20, received=20) if key in path.hops() else found for key, found in IDLE.items()}
    for place, change in changes.items():
        namespace, _underscore, name = place.rpartition("_")
        key = (namespace or None, name.replace("dpveth", "dp-veth"))
        if change is None:
            del interfaces[key]
        else:
            interfaces[key] = replace(interfaces[key], **change)
    return Observation(route or path.interface, None, interfaces, 20, answers)


def others(path):
    return [other for other in PATHS if other != path]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_path_that_is_as_it_claims_is_proved(path):
    witness = judge(path, seen(path), others(path))
    assert witness.state == "proved"
    assert "and no other arm's" in witness.evidence


@pytest.mark.parametrize(
    ("path", "observation", "said"),
    [
        (BARE, seen(BARE, route="eth9"), "the route to the target leaves by eth9 instead of data0"),
        (VETH, seen(VETH, pod1_eth0={"kind": "macvlan"}), "eth0 in pod1 is a macvlan instead of a veth"),
        (BARE, seen(BARE, data0={"kind": "macvlan"}), "data0 is a macvlan instead of a card"),
        (MACVLAN, seen(MACVLAN, pod2_eth0={"mode": "private"}), "is in mode private instead of bridge"),
        (MACVLAN, seen(MACVLAN, pod2_eth0={"lower": 7}), "eth0 in pod2 is not joined to data0"),
        (VETH, seen(VETH, pod1_eth0={"lower": 7}), "eth0 in pod1 is not joined to dp-veth"),
        (BARE, seen(BARE, answers=19), "Of 20 probes over data0 only 19 were answered"),
        (VETH, seen(VETH, dpveth={"sent": 3}), "dp-veth sent 3 and received 20 packets: they took another way"),
        (VETH, seen(VETH, data0={"received": 0}), "data0 sent 20 and received 0 packets: they took another way"),
        (BARE, seen(BARE, pod2_eth0={"sent": 20, "received": 20}), "belongs to arm macvlan, carried 20 packets while bare was probed"),
    ],
)
def test_what_speaks_against_a_claim_refutes_it(path, observation, said):
    witness = judge(path, observation, others(path))
    assert witness.state == "refuted"
    assert said in witness.evidence


def test_a_path_whose_interface_is_not_there_is_missing():
    witness = judge(VETH, seen(VETH, dpveth=None), others(VETH))
    assert (witness.state, "no interface dp-veth" in witness.evidence) == ("missing", True)


def test_a_little_other_traffic_on_another_arm_refutes_nothing():
    assert judge(BARE, seen(BARE, pod2_eth0={"sent": 2, "received": 1}), others(BARE)).state == "proved"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "tunnel", "through": []}, "the kind 'tunnel' is none of card, veth, macvlan"),
        ({"kind": "veth", "through": ["dp-veth"]}, "name both in 'through'"),
        ({"kind": "macvlan", "through": []}, "name it in 'through'"),
        ({"kind": "card", "through": ["x"]}, "leave 'through' empty"),
    ],
)
def test_a_claim_that_cannot_be_is_refused(given, said):
    with pytest.raises(InvalidValueError) as refused:
        Path.of({"name": "x", "interface": "eth0", **given})
    assert said in str(refused.value)


class Node:
    """Stands for a node: counters that grow by the probes of a ping."""

    def __init__(self, ping_status=0, namespaces=(None, "pod2")):
        self.packets = 0
        self.ping_status = ping_status
        self.namespaces = namespaces

    def __call__(self, argv, stdin=None, environ=None):
        argv = list(argv)
        namespace = argv[2] if argv[:2] == ["ip", "-n"] else None
        if namespace not in self.namespaces:
            return Completed(tuple(argv), 1, "", f'Cannot open network namespace "{namespace}"')
        if "ping" in argv:
            self.packets += 20
            return Completed(tuple(argv), self.ping_status, "20 packets transmitted, 20 received, 0% packet loss, time 21ms\n", "")
        if argv[0] == "ethtool" or "ethtool" in argv:
            return Completed(tuple(argv), 0, json.dumps([{"ifname": "x", "tx-checksumming": {"active": True}}]), "")
        if "get" in argv:
            return Completed(tuple(argv), 0, json.dumps([{"dst": "198.18.0.1", "dev": "eth0" if namespace else "data0"}]), "")
        name, kind = ("eth0", {"info_kind": "macvlan", "info_data": {"mode": "bridge"}}) if namespace else ("data0", {})
        stats = {"tx": {"packets": self.packets}, "rx": {"packets": self.packets}}
        link = {"ifname": name, "ifindex": 2, "link_index": 2, "flags": ["UP"], "mtu": 1500, "linkinfo": kind, "stats64": stats}
        return Completed(tuple(argv), 0, json.dumps([link]), "")


def test_probes_are_counted_in_the_right_namespaces():
    found = observe(Node(), [BARE, MACVLAN], "198.18.0.1", 20)["macvlan"]
    assert found.route_interface == "eth0"
    assert found.interfaces[("pod2", "eth0")] == Seen("macvlan", "bridge", 2, 2, 20, 20)
    assert judge(MACVLAN, found, []).state == "proved"


def test_each_path_is_counted_from_where_the_one_before_it_ended():
    found = observe(Node(), [BARE, MACVLAN], "198.18.0.1", 20)
    assert [found[name].interfaces[(None, "data0")].sent for name in ("bare", "macvlan")] == [20, 20]


def test_a_ping_that_cannot_start_is_no_answer():
    assert observe(Node(ping_status=2), [BARE], "198.18.0.1", 20)["bare"].answers == 0


def test_a_namespace_that_is_not_there_is_observed_as_nothing():
    assert judge(VETH, observe(Node(), [VETH], "198.18.0.1", 20)["veth"], []).state == "missing"


def test_offloads_are_told_for_each_interface_on_the_way():
    assert features(Node(), MACVLAN) == {"eth0 in pod2": {"tx-checksumming": True}, "data0": {"tx-checksumming": True}}
