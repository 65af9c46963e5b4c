# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attachments as values, checked before anything is changed."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

MODES = ("private", "vepa", "bridge", "passthru")
KINDS = ("veth", "macvlan")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
# The name of a namespace becomes the name of a file in /run/netns.
NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
MTU_RANGE = (68, 65535)


@dataclass(frozen=True)
class Route:
    """A route: ``to`` a prefix or ``default``, through the gateway ``via``, or straight out of the interface when that is None."""

    to: str
    via: Optional[str]

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str) -> Route:
        """Read and check one route."""
        to = str(given["to"])
        via = given.get("via")
        try:
            if to != "default":
                to = ipaddress.ip_network(to).with_prefixlen
            if via is not None:
                via = str(ipaddress.ip_address(via))
        except ValueError as error:
            raise InvalidValueError(
                f"{where}: the route to {given['to']!r} via {given.get('via')!r} is not one: 'to' is a prefix such as 198.19.0.0/24 or "
                f"'default', 'via' an address ({error})."
            ) from error
        return cls(to, via)


@dataclass(frozen=True)
class Attachment:
    """One interface, in a namespace of its own or in the node's.

    ``kind``: veth or macvlan; ``namespace``: where the interface lies, None for the node's own; ``lower``: the card under a macvlan;
    ``mode``: a macvlan's mode; ``host_name``, ``host_addresses``: the node's end of a veth pair; ``uplink``: the card between which and
    the pair the node forwards; ``mac``, ``mtu``: None takes what the kernel gives.
    """

    kind: str
    name: str
    namespace: Optional[str]
    addresses: Tuple[str, ...]
    routes: Tuple[Route, ...]
    mtu: Optional[int]
    mac: Optional[str]
    lower: Optional[str] = None
    mode: Optional[str] = None
    host_name: Optional[str] = None
    host_addresses: Tuple[str, ...] = ()
    uplink: Optional[str] = None

    @property
    def label(self) -> str:
        """How a sentence calls it."""
        return f"{self.name} in namespace {self.namespace}" if self.namespace else self.name


def macvlan_of(given: Mapping[str, Any]) -> Attachment:
    """Read and check a macvlan as the module's parameters give it."""
    where = f"macvlan {given['name']}"
    mode = str(given["mode"])
    if mode not in MODES:
        raise InvalidValueError(f"{where}: the mode {mode!r} is none of {', '.join(MODES)}.")
    lower = _interface(given["lower"], where, "lower device")
    if lower == "lo":
        raise InvalidValueError(f"{where}: a macvlan cannot stand on the loopback device lo; name a card.")
    if lower == given["name"] and not given.get("namespace"):
        raise InvalidValueError(f"{where}: the interface and its lower device have the same name; choose another name.")
    return Attachment("macvlan", lower=lower, mode=mode, **_common(given, where))


def veth_of(given: Mapping[str, Any]) -> Attachment:
    """Read and check a namespace behind a routed veth pair as the module's parameters give it."""
    where = f"namespace {given['namespace']}"
    return Attachment(
        "veth",
        host_name=_interface(given["host_name"], where, "the node's end"),
        host_addresses=tuple(_address(text, where) for text in given["host_addresses"]),
        uplink=_interface(given["uplink"], where, "uplink"),
        **_common(given, where),
    )


def check_together(attachments: Sequence[Attachment]) -> None:
    """Raise when attachments exclude each other."""
    places = [(attachment.namespace, attachment.name) for attachment in attachments]
    places += [(None, attachment.host_name) for attachment in attachments if attachment.host_name]
    for namespace, name in places:
        if places.count((namespace, name)) > 1:
            raise InvalidValueError(f"Two interfaces are called {name} in {f'namespace {namespace}' if namespace else 'the node'}.")
    for attachment in attachments:
        others = [other.label for other in attachments if other is not attachment and other.lower == attachment.lower]
        if attachment.mode == "passthru" and others:
            raise InvalidValueError(
                f"macvlan {attachment.label}: mode passthru takes the whole card {attachment.lower}, on which "
                f"{others[0]} is to stand as well."
            )


def _common(given: Mapping[str, Any], where: str) -> Any:
    namespace, mac, mtu = given.get("namespace"), given.get("mac"), given.get("mtu")
    if namespace is not None and not NAMESPACE.fullmatch(str(namespace)):
        raise InvalidValueError(f"{where}: {namespace!r} cannot be the name of a namespace: use letters, digits, '_', '.', '-'.")
    if mac is not None and (not MAC.fullmatch(str(mac).lower()) or int(str(mac)[:2], 16) & 1):
        raise InvalidValueError(f"{where}: {mac!r} is not the MAC address of a single card, such as 02:00:00:00:00:01.")
    if mtu is not None and not MTU_RANGE[0] <= int(mtu) <= MTU_RANGE[1]:
        raise InvalidValueError(f"{where}: the MTU {mtu} is outside {MTU_RANGE[0]} to {MTU_RANGE[1]}.")
    return {
        "name": _interface(given["name"], where, "interface"),
        "namespace": namespace,
        "addresses": tuple(_address(text, where) for text in given["addresses"]),
        "routes": tuple(Route.of(route, where) for route in given["routes"]),
        "mtu": mtu,
        "mac": str(mac).lower() if mac is not None else None,
    }


def _interface(name: Any, where: str, what: str) -> str:
    if not INTERFACE.fullmatch(str(name)):
        raise InvalidValueError(
            f"{where}: the {what} {name!r} is not a name of an interface: 1 to 15 letters, digits, '_', '.', '-', a letter or digit first."
        )
    return str(name)


def _address(text: Any, where: str) -> str:
    try:
        address = ipaddress.ip_interface(str(text))
    except ValueError as error:
        raise InvalidValueError(f"{where}: {text!r} is not an address with a prefix, such as 198.18.0.211/24 ({error}).") from error
    if "/" not in str(text):
        raise InvalidValueError(f"{where}: the address {text!r} has no prefix length; write it as {text}/24.")
    return address.with_prefixlen
