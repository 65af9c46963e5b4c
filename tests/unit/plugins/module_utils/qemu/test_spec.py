# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab as the inventory asks for it: every mistake gets one sentence that names the node, the value and the way out."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import spec
from hypothesis import given
from hypothesis import strategies as st

GOOD: Dict[str, Any] = {"index": 1, "cpus": 2, "memory_mib": 2048, "nics": [{"network": "data", "queues": 2, "address": "198.18.0.1/24"}]}


def changed(**values: Any) -> Dict[str, Any]:
    return {**GOOD, **values}


def nic(**values: Any) -> Dict[str, Any]:
    return changed(nics=[{"network": "data", **values}])


def test_a_node_is_completed() -> None:
    node = spec.node_of("default", 22200, "lb1", GOOD)
    assert (node.port, node.kernel_flavour, node.nested) == (22201, "cloud", False)
    assert node.nics[0].as_dict() == {
        "network": "data",
        "model": "virtio",
        "queues": 2,
        "address": "198.18.0.1/24",
        "interface": "data0",
        "mac": node.nics[0].mac,
    }


def test_values_from_the_command_line_are_text() -> None:
    node = spec.lab_of("default", "22600", {"lb1": changed(cpus="2", index="3")})[0]
    assert (node.port, node.cpus) == (22603, 2)


@pytest.mark.parametrize(
    ("name", "node", "words"),
    [
        ("lb1", changed(cpus=0), ("lb1", "cpus", "from 1 to 64", "not 0")),
        ("lb1", changed(cpus="two"), ("cpus", "whole number", "'two'")),
        ("lb1", changed(cpus=True), ("cpus", "whole number")),
        ("lb1", changed(cpus=1.5), ("cpus", "whole number")),
        ("lb1", changed(memory_mib=64), ("memory_mib", "256")),
        ("lb1", changed(index=0), ("index",)),
        ("lb1", changed(kernel_flavour="rt"), ("kernel_flavour", "cloud, generic", "'rt'")),
        ("lb1", changed(nested="yes"), ("nested", "true or false")),
        ("lb1", changed(cpu=2), ("unknown key 'cpu'", "cpus")),
        ("lb1", changed(nics={"network": "data"}), ("nics", "list")),
        ("lb1", changed(nics=["data"]), ("Card 0", "dictionary")),
        ("lb1", nic(model="rtl8139"), ("Card 0", "virtio, igb, e1000e", "'rtl8139'")),
        ("lb1", nic(model="igb"), ("igb", "kernel_flavour: generic")),
        ("lb1", nic(queues=0), ("queues", "from 1 to 16")),
        ("lb1", nic(queues=17), ("queues",)),
        ("lb1", nic(network="Data Net"), ("network", "'Data Net'")),
        ("lb1", nic(interface="mgmt0"), ("interface", "mgmt0")),
        ("lb1", nic(interface="far-too-long-name"), ("interface", "15")),
        ("lb1", nic(adress="198.18.0.1/24"), ("unknown key 'adress'",)),
        ("lb1", nic(address="198.18.0.999/24"), ("address", "198.18.0.999/24")),
        ("lb1", nic(address="198.18.0.1"), ("prefix length", "198.18.0.1/24")),
        ("lb1", nic(address="10.0.0.1/24"), ("198.18.0.0/15", "10.0.0.1/24")),
        ("lb1", nic(address="198.18.0.1/8"), ("198.18.0.0/15",)),
        ("lb1", nic(address="2001:db8::1/64"), ("198.18.0.0/15",)),
        ("lb1", nic(address="198.19.255.7/24"), ("management network",)),
        ("lb1", nic(address="198.18.0.0/24"), ("broadcast",)),
        ("lb1", changed(nics=[{"network": "a", "interface": "x"}, {"network": "b", "interface": "x"}]), ("two cards", "'x'")),
        ("LB1", GOOD, ("'LB1'", "lower-case")),
        ("much-too-long-a-name", GOOD, ("12",)),
        ("lb1", None, ("lab_node",)),
        ("lb1", {}, ("index",)),
    ],
)
def test_a_mistake_in_a_node_is_named(name: str, node: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidValueError) as raised:
        spec.lab_of("default", 22200, {name: node})
    sentence = str(raised.value)
    assert all(word in sentence for word in words), sentence
    assert sentence.endswith(".") and "\n" not in sentence


def test_nodes_must_differ() -> None:
    with pytest.raises(InvalidValueError, match="index 1"):
        spec.lab_of("default", 22200, {"lb1": GOOD, "lb2": changed(nics=[])})
    with pytest.raises(InvalidValueError, match=r"198\.18\.0\.1 is given to two cards"):
        spec.lab_of("default", 22200, {"lb1": GOOD, "lb2": changed(index=2)})


@pytest.mark.parametrize(
    ("name", "base"), [("Default", 22200), ("", 22200), ("a/b", 22200), ("default", 80), ("default", 70000), ("default", "x")]
)
def test_a_mistake_in_the_lab_is_named(name: str, base: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"lab_name|lab_port_base"):
        spec.lab_of(name, base, {})


def test_an_unknown_group_is_refused_and_a_declared_one_is_not() -> None:
    with pytest.raises(InvalidValueError, match="unknown node group 'loadbalancer'.*loadbalancers"):
        spec.check_groups(["all", "ungrouped", "loadbalancer"])
    spec.check_groups(["all", "ungrouped", "loadbalancers", "mine"], ["mine"])


def test_no_space_says_the_figure() -> None:
    with pytest.raises(InvalidValueError, match="2048 MiB are needed in /x and 1 MiB are free"):
        spec.check_space("the image", "/x", 1024 * 1024, 2048)
    spec.check_space("the image", "/x", 2048 * 1024 * 1024, 2048)


@given(st.lists(st.integers(1, 200), unique=True, max_size=20), st.sampled_from(["default", "molecule"]))
def test_ports_and_hardware_addresses_are_unique_in_a_lab(indexes: list[int], lab: str) -> None:
    nodes = spec.lab_of(lab, 22200, {f"n{index}": {"index": index, "nics": [{"network": "a"}, {"network": "b"}]} for index in indexes})
    macs = [mac for node in nodes for mac in (spec.management_mac(lab, node.index), *(each.mac for each in node.nics))]
    assert len(set(macs)) == 3 * len(indexes)
    assert len({node.port for node in nodes}) == len(indexes)
    # The second bit of the first octet marks an address as local, the first as one card's own.
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)


def test_labs_differ_in_their_hardware_addresses() -> None:
    assert spec.management_mac("default", 1) != spec.management_mac("molecule", 1)
