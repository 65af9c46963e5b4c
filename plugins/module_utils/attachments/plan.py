# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be done so that a node has the wanted attachments; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.datapath.lab.plugins.module_utils.attachments.model import Attachment, Route
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.netns.links import Link

# The mark on an interface that this collection made; on a veth's node end it also keeps what forwarding the uplink had before.
ALIAS = "datapath.lab attachment"
KEPT = re.compile(rf"{re.escape(ALIAS)} uplink (?P<uplink>\S+) forwarding (?P<forwarding>[01])")


@dataclass(frozen=True)
class Place:
    """A namespace as it was found: its interfaces by name and its routes."""

    links: Mapping[str, Link]
    routes: Mapping[str, Tuple[Route, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class HaveNode:
    """A node as it was found.

    ``own``: its own network namespace; ``named``: those under /run/netns; ``forwarding``: whether each interface of its own forwards IPv4.
    """

    own: Place
    named: Mapping[str, Place]
    forwarding: Mapping[str, bool]

    def place(self, namespace: Optional[str]) -> Optional[Place]:
        """Return a namespace, or None when there is none of that name."""
        return self.own if namespace is None else self.named.get(namespace)


@dataclass(frozen=True)
class Ip:
    """Lines for ``ip -batch`` in a namespace (None: the node's own); ``what`` says what they do."""

    namespace: Optional[str]
    lines: Tuple[str, ...]
    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class Forward:
    """Switch IPv4 forwarding of one interface of the node."""

    interface: str
    on: bool

    def __str__(self) -> str:
        return f"switch forwarding of {self.interface} {'on' if self.on else 'off'}"


Action = Union[Ip, Forward]


def plan_present(have: HaveNode, wanted: Sequence[Attachment]) -> List[Action]:
    """Return the actions that make the wanted attachments; empty when all are there as wanted."""
    actions: List[Action] = []
    made: List[Optional[str]] = [None, *have.named]
    for attachment in wanted:
        _check_possible(have, attachment)
        if attachment.namespace not in made:
            actions.append(Ip(None, (f"netns add {attachment.namespace}",), f"make namespace {attachment.namespace}"))
            actions.append(Ip(attachment.namespace, ("link set lo up",), f"set lo of namespace {attachment.namespace} up"))
            made.append(attachment.namespace)
        place = have.place(attachment.namespace) or Place({})
        link = place.links.get(attachment.name)
        reason = _reason_to_replace(have, link, attachment)
        if reason:
            if link is not None:
                actions.append(Ip(attachment.namespace, (f"link delete {attachment.name}",), f"remove {attachment.label}: {reason}"))
            actions.append(Ip(None, tuple(_creation(have, attachment)), f"make {attachment.kind} {attachment.label}: {reason}"))
            link = None
        actions += _settings(have, attachment, link, place)
    return actions


def plan_absent(have: HaveNode, wanted: Sequence[Attachment]) -> List[Action]:
    """Return the actions that remove attachments, and their namespaces when nothing else is in them; other interfaces are left alone."""
    actions: List[Action] = []
    gone: List[str] = []
    for attachment in wanted:
        host = have.own.links.get(attachment.host_name) if attachment.host_name else None
        if host is not None and _kept(host):
            gone.append(host.name)
        place = have.place(attachment.namespace)
        link = place.links.get(attachment.name) if place else None
        if link is not None and (link.alias or "").startswith(ALIAS):
            actions.append(Ip(attachment.namespace, (f"link delete {attachment.name}",), f"remove {attachment.label}"))
        elif host is not None and _kept(host):
            actions.append(Ip(None, (f"link delete {host.name}",), f"remove {host.name}, the node's end of {attachment.label}"))
    actions += _emptied(have, wanted)
    return actions + _forwarding_back(have, gone)


def _kept(host: Link) -> Optional[Tuple[str, bool]]:
    """Return the uplink of a pair and whether it forwarded before there was a pair, from the node's end of the pair."""
    match = KEPT.fullmatch(host.alias or "")
    return (match.group("uplink"), match.group("forwarding") == "1") if match else None


def _emptied(have: HaveNode, wanted: Sequence[Attachment]) -> List[Action]:
    """Return the removal of the namespaces that hold nothing but what is to go."""
    going: Dict[str, List[str]] = {}
    for attachment in wanted:
        if attachment.namespace is not None:
            going.setdefault(attachment.namespace, ["lo"]).append(attachment.name)
    empty = [
        namespace for namespace, names in going.items() if namespace in have.named and not set(have.named[namespace].links) - set(names)
    ]
    return [Ip(None, (f"netns delete {namespace}",), f"remove namespace {namespace}") for namespace in empty]


def _forwarding_back(have: HaveNode, gone: Sequence[str]) -> List[Action]:
    """Return what forwarding becomes again on the uplinks that no pair uses any longer."""
    still_used = {kept[0] for kept in (_kept(link) for link in have.own.links.values() if link.name not in gone) if kept}
    before = dict(kept for kept in (_kept(have.own.links[name]) for name in gone) if kept)
    return [
        Forward(uplink, was)
        for uplink, was in sorted(before.items())
        if uplink not in still_used and have.forwarding.get(uplink) not in (None, was)
    ]


def _check_possible(have: HaveNode, attachment: Attachment) -> None:
    for name, what in ((attachment.lower, "lower device"), (attachment.uplink, "uplink")):
        if name is not None and name not in have.own.links:
            cards = ", ".join(sorted(set(have.own.links) - {"lo"})) or "none"
            raise InvalidValueError(f"{attachment.label}: the {what} {name!r} is no interface of this node; it has {cards}.")
    link = have.own.links.get(attachment.host_name or "")
    if link is not None and not (link.alias or "").startswith(ALIAS):
        raise InvalidValueError(f"{attachment.label}: the node already has an interface {link.name} that this collection did not make.")
    place = have.place(attachment.namespace)
    link = place.links.get(attachment.name) if place else None
    if link is not None and not (link.alias or "").startswith(ALIAS):
        raise InvalidValueError(f"{attachment.label}: there is already an interface of that name, which this collection did not make.")


def _reason_to_replace(have: HaveNode, link: Optional[Link], want: Attachment) -> Optional[str]:
    if link is None:
        return "it is not there"
    if link.kind != want.kind:
        return f"it is a {link.kind or 'card'}"
    if want.kind == "macvlan":
        if link.mode != want.mode:
            return f"its mode is {link.mode}"
        if link.lower != have.own.links[str(want.lower)].index:
            return f"it does not stand on {want.lower}"
        return None
    host = have.own.links.get(str(want.host_name))
    if host is None or host.lower != link.index or link.lower != host.index:
        return f"its other end is not {want.host_name}"
    kept = _kept(host)
    if kept is None or kept[0] != want.uplink:
        return f"its uplink is not {want.uplink}"
    return None


def _creation(have: HaveNode, want: Attachment) -> List[str]:
    place = f" netns {want.namespace}" if want.namespace else ""
    if want.kind == "macvlan":
        # The link is made with its address: one that it is given later, udev (MACAddressPolicy=persistent) may replace by its own, since it
        # takes an address that nobody has set for the kernel's random one.
        address = f" address {want.mac}" if want.mac else ""
        return [f"link add link {want.lower} name {want.name}{address}{place} type macvlan mode {want.mode}"]
    # An earlier pair on the same uplink has already switched it on; the first one knows what was before.
    earlier = [kept[1] for kept in map(_kept, have.own.links.values()) if kept and kept[0] == want.uplink]
    forwarding = int(earlier[0] if earlier else have.forwarding.get(str(want.uplink), False))
    lines = [f"link add name {want.host_name} type veth peer name {want.name}{place}"]
    lines.append(f"link set {want.host_name} alias '{ALIAS} uplink {want.uplink} forwarding {forwarding}'")
    return lines


def _settings(have: HaveNode, want: Attachment, link: Optional[Link], place: Place) -> List[Action]:
    actions: List[Action] = []
    lines: List[str] = []
    if link is None:
        lines.append(f"link set {want.name} alias '{ALIAS}'")
    if want.mac is not None and (want.kind != "macvlan" if link is None else link.mac != want.mac):
        lines.append(f"link set {want.name} address {want.mac}")
    if want.mtu is not None and (link is None or link.mtu != want.mtu):
        lines.append(f"link set {want.name} mtu {want.mtu}")
    lines += _address_lines(want.name, link, want.addresses)
    if link is None or not link.up:
        lines.append(f"link set {want.name} up")
    if lines:
        actions.append(Ip(want.namespace, tuple(lines), f"set up {want.label}"))
    if want.kind == "veth":
        actions += _node_end(have, want, link is None)
    present = place.routes.get(want.name, ()) if link is not None else ()
    routes = tuple(_route_line(route, want.name) for route in want.routes if route not in present)
    if routes:
        actions.append(Ip(want.namespace, routes, f"route through {want.label}: {', '.join(route.to for route in want.routes)}"))
    return actions


def _node_end(have: HaveNode, want: Attachment, new: bool) -> List[Action]:
    """Return the settings of the node's end of a veth pair, and its forwarding between the pair and the uplink."""
    name = str(want.host_name)
    link = None if new else have.own.links.get(name)
    lines = _address_lines(name, link, want.host_addresses)
    if want.mtu is not None and (link is None or link.mtu != want.mtu):
        lines.append(f"link set {name} mtu {want.mtu}")
    if link is None or not link.up:
        lines.append(f"link set {name} up")
    actions: List[Action] = [Ip(None, tuple(lines), f"set up {name}, the node's end of {want.label}")] if lines else []
    for interface in (name, str(want.uplink)):
        if (new and interface == name) or not have.forwarding.get(interface, False):
            actions.append(Forward(interface, True))
    return actions


def _address_lines(name: str, link: Optional[Link], wanted: Sequence[str]) -> List[str]:
    have = set(link.addresses) if link else set()
    lines = [f"address delete {address} dev {name}" for address in sorted(have - set(wanted))]
    return lines + [f"address add {address} dev {name}{' nodad' if ':' in address else ''}" for address in wanted if address not in have]


def _route_line(route: Route, name: str) -> str:
    return f"route replace {route.to}{f' via {route.via}' if route.via else ''} dev {name}"


def have_as_dict(have: HaveNode, wanted: Sequence[Attachment]) -> Dict[str, Any]:
    """Return the wanted places as they were found, as the ``before`` of a diff."""
    shown: Dict[str, Any] = {}
    for attachment in wanted:
        place = have.place(attachment.namespace)
        link = place.links.get(attachment.name) if place else None
        if link is not None and place is not None:
            shown[attachment.label] = {
                "kind": link.kind,
                "mode": link.mode,
                "addresses": sorted(link.addresses),
                "routes": sorted(route.to for route in place.routes.get(link.name, ())),
            }
    return shown


def want_as_dict(wanted: Sequence[Attachment]) -> Dict[str, Any]:
    """Return the wanted attachments in the form of :func:`have_as_dict`, as the ``after`` of a diff."""
    return {
        attachment.label: {
            "kind": attachment.kind,
            "mode": attachment.mode,
            "addresses": sorted(attachment.addresses),
            "routes": sorted(route.to for route in attachment.routes),
        }
        for attachment in wanted
    }
