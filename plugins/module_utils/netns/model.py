# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a netns lab is to be: nodes, their cards and the wires between them; values only."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
MTU_RANGE = (68, 65535)
QUEUES_RANGE = (1, 64)
# A lab's traffic stays inside it, and so do its addresses: RFC 2544, the documentation ranges, and the private ranges that pods use.
LAB_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "198.18.0.0/15",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "2001:db8::/32",
        "fc00::/7",
    )
)
SWITCH_PREFIX = "wire."


def valid_lab_name(name: str) -> str:
    """Return the name of a lab, or raise when it cannot be part of a path and of a mark on a process."""
    if not NAME.fullmatch(name):
        raise InvalidValueError(
            f"The lab's name {name!r} is not allowed: use 1 to 63 letters, digits, dots and hyphens, with a letter or digit at both ends."
        )
    return name


def valid_interface(name: str, where: str) -> str:
    """Return the name of an interface, or raise."""
    if not INTERFACE.fullmatch(name):
        raise InvalidValueError(
            f"{where}: the interface name {name!r} is not allowed: 1 to 15 letters, digits, '_', '.', '-', with a letter or digit first."
        )
    return name


def valid_address(text: str, where: str) -> str:
    """Return an address with its prefix in normal form, or raise when it is none or could leave the lab."""
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise InvalidValueError(f"{where}: {text!r} is not an address with a prefix, such as 198.18.0.11/24 ({error}).") from error
    if "/" not in text:
        raise InvalidValueError(f"{where}: the address {text!r} has no prefix length; write it as {text}/24.")
    if not any(address.version == network.version and address.ip in network for network in LAB_NETWORKS):
        raise InvalidValueError(f"{where}: the address {text!r} is not one that a lab may use; take one from 198.18.0.0/15 (RFC 2544).")
    return address.with_prefixlen


@dataclass(frozen=True)
class Nic:
    """One card of a node: ``network`` names the wire that it is plugged into, ``queues`` counts its pairs of queues."""

    name: str
    network: str
    addresses: Tuple[str, ...]
    mac: str
    mtu: int
    queues: int

    @classmethod
    def of(cls, given: Mapping[str, Any], lab: str, node: str) -> Nic:
        """Read and check one card of the module's parameters."""
        where = f"Node {node}"
        name = valid_interface(str(given["name"]), where)
        where = f"Node {node}, card {name}"
        network = str(given["network"])
        if not NAME.fullmatch(network):
            raise InvalidValueError(f"{where}: the network name {network!r} is not allowed: use letters, digits, dots and hyphens.")
        mtu, queues = int(given["mtu"]), int(given["queues"])
        if not MTU_RANGE[0] <= mtu <= MTU_RANGE[1]:
            raise InvalidValueError(f"{where}: the MTU {mtu} is outside {MTU_RANGE[0]} to {MTU_RANGE[1]}.")
        if not QUEUES_RANGE[0] <= queues <= QUEUES_RANGE[1]:
            raise InvalidValueError(f"{where}: {queues} queues are outside {QUEUES_RANGE[0]} to {QUEUES_RANGE[1]}.")
        mac = str(given.get("mac") or derived_mac(lab, node, name)).lower()
        if not MAC.fullmatch(mac) or int(mac[:2], 16) & 1:
            raise InvalidValueError(f"{where}: {mac!r} is not the MAC address of a single card, such as 02:00:00:00:00:01.")
        return cls(name, network, tuple(valid_address(str(text), where) for text in given["addresses"]), mac, mtu, queues)


@dataclass(frozen=True)
class Node:
    """One node: a set of namespaces with a name and cards."""

    name: str
    nics: Tuple[Nic, ...]

    def nic(self, name: str) -> Nic:
        """Return the card of that name."""
        return next(nic for nic in self.nics if nic.name == name)


@dataclass(frozen=True)
class Lab:
    """A whole lab: ``rootfs`` is the directory that all nodes overlay, ``disk_mib`` the most that a node may write over it."""

    name: str
    rootfs: str
    disk_mib: int
    nodes: Tuple[Node, ...]

    @classmethod
    def of(cls, name: str, rootfs: str, disk_mib: int, nodes: Sequence[Mapping[str, Any]]) -> Lab:
        """Read and check the module's parameters."""
        valid_lab_name(name)
        if not rootfs.startswith("/") or any(character in rootfs for character in ":,\\"):
            raise InvalidValueError(
                f"The root file system {rootfs!r} must be an absolute path without ':', ',' and '\\', since it "
                "becomes an overlay's lower directory."
            )
        if disk_mib < 16:
            raise InvalidValueError(f"A node's disk of {disk_mib} MiB is too small: the least is 16 MiB.")
        lab = cls(name, rootfs, disk_mib, tuple(_node_of(given, name) for given in nodes))
        lab._check_unique()
        return lab

    def _check_unique(self) -> None:
        names = [node.name for node in self.nodes]
        _refuse_repeated(names, "Two nodes are called {0!r}; each node needs a name of its own.")
        for node in self.nodes:
            _refuse_repeated([nic.name for nic in node.nics], f"Node {node.name} has two cards called {{0!r}}.")
        _refuse_repeated(
            [f"{nic.network} {nic.mac}" for node in self.nodes for nic in node.nics],
            "Two cards on one network have the same MAC address ({0}).",
        )
        _refuse_repeated(
            [f"{nic.network} {address.split('/')[0]}" for node in self.nodes for nic in node.nics for address in nic.addresses],
            "Two cards on one network have the same address ({0}).",
        )

    def networks(self) -> Dict[str, List[Tuple[Node, Nic]]]:
        """Return the ends of each network, in the order of the nodes."""
        ends: Dict[str, List[Tuple[Node, Nic]]] = {}
        for node in self.nodes:
            for nic in node.nics:
                ends.setdefault(nic.network, []).append((node, nic))
        return ends

    def switches(self) -> Tuple[Node, ...]:
        """Return the switches: one for each network that has not exactly two ends, since two ends are joined directly."""
        return tuple(
            Node(SWITCH_PREFIX + network, tuple(switch_port(node, nic) for node, nic in ends))
            for network, ends in self.networks().items()
            if len(ends) != 2
        )


def _node_of(given: Mapping[str, Any], lab: str) -> Node:
    name = str(given["name"])
    if not NAME.fullmatch(name) or name.startswith(SWITCH_PREFIX):
        raise InvalidValueError(
            f"The node's name {name!r} is not allowed: use 1 to 63 letters, digits, dots and hyphens; names that "
            f"begin with '{SWITCH_PREFIX}' are the lab's own."
        )
    return Node(name, tuple(Nic.of(nic, lab, name) for nic in given["nics"]))


def _refuse_repeated(values: Sequence[str], sentence: str) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise InvalidValueError(sentence.format(value))
        seen.add(value)


def derived_mac(lab: str, node: str, nic: str) -> str:
    """Return a locally administered MAC address that is always the same for the same card."""
    digest = hashlib.sha256(f"{lab}/{node}/{nic}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def switch_port(node: Node, nic: Nic) -> Nic:
    """Return the switch's end of a card's wire."""
    name = "p" + hashlib.sha256(f"{node.name}/{nic.name}".encode()).hexdigest()[:12]
    return Nic(name, nic.network, (), derived_mac("wire", node.name, nic.name), nic.mtu, nic.queues)
