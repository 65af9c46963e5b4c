# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be done to make a lab out of what there is; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.datapath.lab.plugins.module_utils.netns.links import Link
from ansible_collections.datapath.lab.plugins.module_utils.netns.model import Lab, Nic, Node, switch_port

BRIDGE = "br0"
# The mark on each end of a wire names the other end too, since two pairs may have the same indexes. Other interfaces of a node belong
# to whoever made them.
ALIAS = "datapath.lab wire to"


@dataclass(frozen=True)
class HaveNode:
    """A node as it was found: running or not, on which root file system, with which interfaces."""

    alive: bool
    rootfs: str
    links: Mapping[str, Link]


@dataclass(frozen=True)
class EndNode:
    """End a node, or forget one that has ended."""

    node: str
    reason: str

    def __str__(self) -> str:
        return f"end node {self.node}: {self.reason}"


@dataclass(frozen=True)
class StartNode:
    """Start a node with its loopback up; a switch also gets its bridge."""

    node: Node
    switch: bool

    def __str__(self) -> str:
        return f"start {'switch' if self.switch else 'node'} {self.node.name}"


@dataclass(frozen=True)
class Unplug:
    """Remove a card, and with it the other end of its wire."""

    node: str
    nic: str
    reason: str

    def __str__(self) -> str:
        return f"remove card {self.nic} of {self.node}: {self.reason}"


@dataclass(frozen=True)
class Plug:
    """Join two cards by a wire (a veth pair)."""

    node_a: str
    nic_a: Nic
    node_b: str
    nic_b: Nic

    def __str__(self) -> str:
        return f"join {self.node_a} {self.nic_a.name} with {self.node_b} {self.nic_b.name}"


@dataclass(frozen=True)
class Configure:
    """Set MTU, addresses and the up flag of a card."""

    node: str
    nic: Nic
    drop_addresses: Tuple[str, ...]
    add_addresses: Tuple[str, ...]
    mtu: Optional[int]
    up: bool
    port: bool

    def __str__(self) -> str:
        parts = [f"MTU {self.mtu}"] if self.mtu else []
        parts += [f"without {address}" for address in self.drop_addresses] + [f"with {address}" for address in self.add_addresses]
        parts += ["up"] if self.up else []
        parts += ["in the bridge"] if self.port else []
        return f"set {self.nic.name} of {self.node}: {', '.join(parts)}"


def alias_of(peer: str, peer_nic: Nic) -> str:
    """Return the mark on the end of a wire that leads to a card."""
    return f"{ALIAS} {peer}/{peer_nic.name}"


def is_wire(link: Link) -> bool:
    """Tell whether an interface is the end of a wire of this substrate."""
    return (link.alias or "").startswith(ALIAS)


Action = Union[EndNode, StartNode, Unplug, Plug, Configure]
End = Tuple[Node, Nic]


def plan(have: Mapping[str, HaveNode], want: Optional[Lab]) -> List[Action]:
    """Return the actions in the order in which they are to be done; empty when all is as wanted.

    :param have: what was found, by the node's name, switches included.
    :param want: the lab that is to be, or None when it is to be gone.
    """
    if want is None:
        return [EndNode(name, "the lab is to be gone") for name in sorted(have)]
    switches = want.switches()
    wanted: Dict[str, Node] = {node.name: node for node in (*want.nodes, *switches)}
    ends: List[Action] = []
    kept: Dict[str, HaveNode] = {}
    for name, found in sorted(have.items()):
        reason = _reason_to_end(found, want, name in wanted)
        if reason:
            ends.append(EndNode(name, reason))
        else:
            kept[name] = found
    names_of_switches = {node.name for node in switches}
    starts: List[Action] = [StartNode(node, node.name in names_of_switches) for node in wanted.values() if node.name not in kept]
    wires = _wires(want)
    links = {name: dict(found.links) for name, found in kept.items()}
    plugs, unplugs = _plan_wires(wires, links, wanted)
    settings = [
        action
        for node in wanted.values()
        for nic in node.nics
        for action in _settings(node.name, nic, links.get(node.name, {}), node.name in names_of_switches)
    ]
    return [*ends, *starts, *unplugs, *plugs, *settings]


def _reason_to_end(found: HaveNode, want: Lab, is_wanted: bool) -> Optional[str]:
    if not is_wanted:
        return "it is no longer part of the lab"
    if not found.alive:
        return "its process has ended"
    if not found.rootfs:
        return "its record is lost"
    if found.rootfs != want.rootfs:
        return f"it runs on {found.rootfs}"
    return None


def _wires(want: Lab) -> List[Tuple[str, Nic, str, Nic]]:
    """Return the two ends of each wire: card to card for two cards on a network, else card to switch port."""
    wires = []
    for network, ends in want.networks().items():
        if len(ends) == 2:
            (node_a, nic_a), (node_b, nic_b) = ends
            wires.append((node_a.name, nic_a, node_b.name, nic_b))
        else:
            wires += [(node.name, nic, f"wire.{network}", switch_port(node, nic)) for node, nic in ends]
    return wires


def _plan_wires(
    wires: Sequence[Tuple[str, Nic, str, Nic]], links: Dict[str, Dict[str, Link]], wanted: Mapping[str, Node]
) -> Tuple[List[Action], List[Action]]:
    """Return what to plug and what to unplug, and take out of ``links`` what will be gone."""
    plugs: List[Action] = []
    unplugs: List[Action] = []
    for node_a, nic_a, node_b, nic_b in wires:
        a, b = links.get(node_a, {}).get(nic_a.name), links.get(node_b, {}).get(nic_b.name)
        reason = _reason_to_replug(a, nic_a, b, nic_b)
        if reason is None and a and b and (a.alias, b.alias) != (alias_of(node_b, nic_b), alias_of(node_a, nic_a)):
            reason = "the wire leads elsewhere"
        if reason is None:
            continue
        for node, nic, link in ((node_a, nic_a, a), (node_b, nic_b, b)):
            if link is not None:
                unplugs.append(Unplug(node, nic.name, reason))
                del links[node][nic.name]
        plugs.append(Plug(node_a, nic_a, node_b, nic_b))
    for name, found in sorted(links.items()):
        cards = {nic.name for nic in wanted[name].nics}
        for link in [link for link in found.values() if is_wire(link) and link.name not in cards]:
            unplugs.append(Unplug(name, link.name, "the lab no longer has this card"))
            del found[link.name]
    return plugs, unplugs


def _reason_to_replug(a: Optional[Link], nic_a: Nic, b: Optional[Link], nic_b: Nic) -> Optional[str]:
    if a is None or b is None:
        return "the wire is not there"
    if a.kind != "veth" or b.kind != "veth" or a.lower != b.index or b.lower != a.index:
        return "the two ends are not one wire"
    for link, nic in ((a, nic_a), (b, nic_b)):
        if (link.tx_queues, link.rx_queues) != (nic.queues, nic.queues):
            return f"{link.name} has {link.tx_queues} queues to send and {link.rx_queues} to receive instead of {nic.queues}"
        if link.mac != nic.mac:
            return f"{link.name} has MAC address {link.mac} instead of {nic.mac}"
    return None


def _settings(node: str, nic: Nic, links: Mapping[str, Link], port: bool) -> List[Action]:
    link = links.get(nic.name)
    have = set(link.addresses) if link else set()
    drop = tuple(sorted(have - set(nic.addresses)))
    add = tuple(address for address in nic.addresses if address not in have)
    mtu = nic.mtu if link is None or link.mtu != nic.mtu else None
    up = link is None or not link.up
    join = port and (link is None or link.master != BRIDGE)
    return [Configure(node, nic, drop, add, mtu, up, join)] if drop or add or mtu or up or join else []
