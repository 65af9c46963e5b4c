# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab as it is asked for: typed, checked as a whole, before anything on the controller is changed.

Nothing here touches the machine; what must be looked up (free space, who listens on a port, the user) is injected.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

NIC_MODELS = ("virtio", "igb", "e1000e")
KERNEL_FLAVOURS = ("cloud", "generic")
# Debian's cloud kernel has no driver for these cards.
GENERIC_ONLY_MODELS = ("igb", "e1000e")
# The kernel's limit for an igb card's queue pairs on QEMU's model, and virtio's for a tap.
MAX_QUEUES = {"virtio": 16, "igb": 1, "e1000e": 1}
MAX_CPUS = 64
MIN_MEMORY_MIB = 256
KNOWN_GROUPS = frozenset(
    {
        "all", "ungrouped", "builders", "loadbalancers", "clients", "workers", "hypervisors", "etcd",
        "lab_nodes", "lab_default",
    }
)
# RFC 2544 sets this block aside for tests of network devices, so it can never be a real destination.
LAB_BLOCK = ipaddress.ip_network("198.18.0.0/15")
# The management side of every guest: QEMU's user network, reachable through the forwarded port alone.
MANAGEMENT_NETWORK = ipaddress.ip_network("198.19.255.0/24")
# An interface's name may have 15 characters; a tap is called NODE.INDEX.
NODE_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
NETWORK_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
LAB_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
INTERFACE_NAME = re.compile(r"[a-z][a-z0-9._-]{0,14}")


@dataclass(frozen=True)
class Nic:
    """A card of a guest on a network of the lab.

    ``network``: name of the bridge; ``model``: QEMU's card; ``queues``: queue pairs that the host side offers; ``address``: with
    prefix length, or None for a card without; ``interface``: the name inside the guest; ``mac``: unique in the lab.
    """

    network: str
    model: str
    queues: int
    address: Optional[str]
    interface: str
    mac: str

    def as_dict(self) -> Dict[str, Any]:
        """Return the form in which modules hand a card on."""
        return {
            "network": self.network, "model": self.model, "queues": self.queues, "address": self.address,
            "interface": self.interface, "mac": self.mac,
        }


@dataclass(frozen=True)
class Node:
    """A guest.

    ``name``: as in the inventory; ``index``: unique in the lab; ``port``: its SSH port on 127.0.0.1; ``nested``: has guests itself.
    """

    name: str
    index: int
    cpus: int
    memory_mib: int
    kernel_flavour: str
    port: int
    nested: bool
    nics: Tuple[Nic, ...]

    def as_dict(self) -> Dict[str, Any]:
        """Return the form in which modules hand a node on."""
        return {
            "name": self.name, "index": self.index, "cpus": self.cpus, "memory_mib": self.memory_mib,
            "kernel_flavour": self.kernel_flavour, "port": self.port, "nested": self.nested,
            "nics": [nic.as_dict() for nic in self.nics],
        }


def _mac(lab: str, index: int, card: int) -> str:
    """Return a locally administered address that differs between labs, nodes and cards."""
    digest = hashlib.sha256(lab.encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x52, 0x54, digest[0], digest[1], index & 0xFF, card & 0xFF))


def management_mac(lab: str, index: int) -> str:
    """Return the address of a node's management card; cards of the data network count from 1."""
    return _mac(lab, index, 0)


def _whole(value: Any, what: str, low: int, high: int) -> int:
    """Return ``value`` as a whole number in a range, or refuse it by name."""
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value)):
        raise InvalidValueError(f"{what} must be a whole number from {low} to {high}, not {value!r}.")
    number = int(value)
    if not low <= number <= high:
        raise InvalidValueError(f"{what} must be from {low} to {high}, not {number}.")
    return number


def _one_of(value: Any, what: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise InvalidValueError(f"{what} must be one of {', '.join(allowed)}, not {value!r}.")
    return str(value)


def _keys(given: Mapping[str, Any], what: str, allowed: Sequence[str]) -> None:
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise InvalidValueError(f"{what} has the unknown key {unknown[0]!r}; allowed are {', '.join(allowed)}.")


def _address(value: Any, what: str) -> str:
    """Return an address with its prefix length, inside the lab's block and outside the management network."""
    try:
        interface = ipaddress.ip_interface(str(value))
    except ValueError:
        raise InvalidValueError(f"{what} is not an address with a prefix length, such as 198.18.0.11/24: {value!r}.") from None
    if "/" not in str(value):
        raise InvalidValueError(f"{what} lacks its prefix length; write it as {value}/24, for example.")
    if interface.version != 4 or not interface.network.subnet_of(LAB_BLOCK):  # type: ignore[arg-type]
        raise InvalidValueError(
            f"{what} must lie in {LAB_BLOCK}, so that no packet of the lab can be meant for a real machine; {value} does not."
        )
    if interface.network.overlaps(MANAGEMENT_NETWORK):
        raise InvalidValueError(f"{what} overlaps the management network {MANAGEMENT_NETWORK}: {value}; choose another subnet.")
    if interface.network.prefixlen < 31 and interface.ip in (interface.network.network_address, interface.network.broadcast_address):
        raise InvalidValueError(f"{what} is the network's or the broadcast address, not that of a host: {value}.")
    return str(value)


def _nic(lab: str, node: str, node_index: int, position: int, given: Any, flavour: str) -> Nic:
    what = f"Card {position} of node {node!r}"
    if not isinstance(given, Mapping):
        raise InvalidValueError(f"{what} must be a dictionary with at least 'network', not {given!r}.")
    _keys(given, what, ("network", "model", "queues", "address", "interface"))
    network = given.get("network")
    if not isinstance(network, str) or not NETWORK_NAME.fullmatch(network):
        raise InvalidValueError(f"{what}: 'network' must be a name of at most 12 lower-case letters, digits and hyphens, not {network!r}.")
    model = _one_of(given.get("model", "virtio"), f"{what}: 'model'", NIC_MODELS)
    if model in GENERIC_ONLY_MODELS and flavour != "generic":
        raise InvalidValueError(f"{what} is an {model}, for which the {flavour} kernel has no driver; set kernel_flavour: generic.")
    queues = _whole(given.get("queues", 1), f"{what} ({model}): 'queues'", 1, MAX_QUEUES[model])
    interface = given.get("interface", f"data{position}")
    if not isinstance(interface, str) or not INTERFACE_NAME.fullmatch(interface) or interface in ("lo", "mgmt0"):
        raise InvalidValueError(
            f"{what}: 'interface' must be an interface name of at most 15 characters other than lo and mgmt0, not {interface!r}."
        )
    address = given.get("address")
    return Nic(
        network, model, queues, None if address is None else _address(address, f"{what}: 'address'"), interface,
        _mac(lab, node_index, position + 1),
    )


def node_of(lab: str, port_base: int, name: str, given: Any) -> Node:
    """Check one node's ``lab_node`` and return it.

    :param lab: name of the lab.
    :param port_base: a node's SSH port is this plus its index.
    :param name: the inventory name.
    :param given: the value of ``lab_node``.
    """
    if not NODE_NAME.fullmatch(name):
        raise InvalidValueError(
            f"A node's name must be at most 12 lower-case letters, digits and hyphens and begin with a letter, not {name!r}."
        )
    what = f"Node {name!r}"
    if not isinstance(given, Mapping):
        raise InvalidValueError(f"{what} has no 'lab_node' dictionary in the inventory; give it index, cpus, memory_mib and nics.")
    _keys(given, what, ("index", "cpus", "memory_mib", "kernel_flavour", "nested", "nics"))
    nested = given.get("nested", False)
    if not isinstance(nested, bool):
        raise InvalidValueError(f"{what}: 'nested' must be true or false, not {nested!r}.")
    index = _whole(given.get("index"), f"{what}: 'index'", 1, 200)
    flavour = _one_of(given.get("kernel_flavour", "cloud"), f"{what}: 'kernel_flavour'", KERNEL_FLAVOURS)
    nics = given.get("nics", [])
    if not isinstance(nics, (list, tuple)) or len(nics) > 8:
        raise InvalidValueError(f"{what}: 'nics' must be a list of at most 8 cards, not {nics!r}.")
    parsed = tuple(_nic(lab, name, index, position, nic, flavour) for position, nic in enumerate(nics))
    _unique([nic.interface for nic in parsed], lambda twice: f"{what} has two cards called {twice!r}; give each its own 'interface'.")
    return Node(
        name=name,
        index=index,
        cpus=_whole(given.get("cpus", 1), f"{what}: 'cpus'", 1, MAX_CPUS),
        memory_mib=_whole(given.get("memory_mib", 1024), f"{what}: 'memory_mib'", MIN_MEMORY_MIB, 1024 * 1024),
        kernel_flavour=flavour,
        port=port_base + index,
        nested=nested,
        nics=parsed,
    )


def _unique(values: Sequence[Any], sentence: Any) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise InvalidValueError(sentence(value))
        seen.add(value)


def lab_of(name: str, port_base: Any, nodes: Mapping[str, Any]) -> List[Node]:
    """Check a whole lab and return its nodes in the order of their index.

    :param name: name of the lab.
    :param port_base: SSH ports of the nodes are this plus their index.
    :param nodes: by inventory name, the value of ``lab_node``.
    """
    if not LAB_NAME.fullmatch(name):
        raise InvalidValueError(
            f"lab_name must be at most 31 lower-case letters, digits and hyphens and begin with a letter, not {name!r}."
        )
    base = _whole(port_base, "lab_port_base", 1024, 65000)
    parsed = sorted((node_of(name, base, each, given) for each, given in nodes.items()), key=lambda node: node.index)
    _unique(
        [node.index for node in parsed],
        lambda twice: f"Two nodes of the lab have the index {twice}; ports and hardware addresses come from it, so it must be unique.",
    )
    addresses = [str(nic.address).split("/", maxsplit=1)[0] for node in parsed for nic in node.nics if nic.address]
    _unique(addresses, lambda twice: f"The address {twice} is given to two cards of the lab; each needs its own.")
    return parsed


def check_groups(groups: Sequence[str], extra: Sequence[str] = ()) -> None:
    """Refuse a group that no playbook knows: its hosts would silently take part in nothing.

    :param groups: names of the inventory's groups.
    :param extra: groups that the user declared as his own.
    """
    allowed = KNOWN_GROUPS | set(extra)
    unknown = sorted(set(groups) - allowed)
    if unknown:
        raise InvalidValueError(
            f"The inventory has the unknown node group {unknown[0]!r}; known are {', '.join(sorted(allowed - {'all', 'ungrouped'}))} "
            f"(name groups of your own in lab_extra_groups)."
        )


def check_space(what: str, path: str, free_bytes: int, needed_mib: int) -> None:
    """Refuse to begin what the file system cannot hold.

    :param what: what would be written, as in "the image".
    :param path: where.
    :param free_bytes: free space there.
    :param needed_mib: space needed.
    """
    free_mib = free_bytes // (1024 * 1024)
    if free_mib < needed_mib:
        raise InvalidValueError(
            f"No disk space for {what}: {needed_mib} MiB are needed in {path} and {free_mib} MiB are free; "
            "free some or choose another directory."
        )
