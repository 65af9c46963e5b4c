# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IPVS table as values: services, destinations, and the table as `ipvsadm -Sn` writes it.

A table of 16,000 services is compared and loaded within one task on an emulated CPU, so it is held as text: each service and each
destination is split into *what it is* (``-t 10.0.0.1:80``, ``10.1.0.1:8080``) and *how it is set* (``-s rr``, ``-m -w 1``), both
in the one form that ipvsadm prints. Two settings are the same if their texts are.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple, Union

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

PROTOCOL_OPTION = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
METHOD_OPTION = {"masquerade": "-m", "gatewaying": "-g", "tunnel": "-i"}
# Those of the kernel and of ipvsadm's own list; a kernel may have more as modules named ip_vs_<scheduler>.
SCHEDULERS = ("dh", "fo", "lblc", "lblcr", "lc", "mh", "nq", "ovf", "rr", "sed", "sh", "twos", "wlc", "wrr")
# ipvsadm prints a scheduler's own names for its flags, so that the general names would not come back as they went in.
SCHEDULER_FLAGS = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}
GENERAL_FLAGS = ("flag-1", "flag-2", "flag-3")
PERSISTENCE_ENGINES = ("sip",)
TUNNEL_CHECKSUMS = {"none": "--tun-nocsum", "checksum": "--tun-csum", "remote": "--tun-remcsum"}
TUNNEL_OPTIONS = {"ipip": (), "gue": ("none", "checksum", "remote"), "gre": ("none", "checksum")}

MAX_PORT = 65535
MAX_FWMARK = 2**32 - 1
MAX_WEIGHT = 65535
MAX_THRESHOLD = 2**31 - 1
# 31 days in seconds: the limit of ipvsadm itself.
MAX_PERSISTENCE = 86400 * 31

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class Rule:
    """One service of a table: ``settings`` as text, and its destinations (``address:port`` to settings) in the order of loading."""

    settings: str
    destinations: Mapping[str, str] = field(default_factory=dict)


# From a service's designator (`-t 10.0.0.1:80`, `-f 7 -6`) to its rule, in the order of loading.
Table = Dict[str, Rule]


def counts(table: Mapping[str, Rule]) -> Tuple[int, int]:
    """Return the number of services and of destinations."""
    return len(table), sum(len(rule.destinations) for rule in table.values())


def lines(table: Mapping[str, Rule]) -> Iterator[str]:
    """Yield the table as `ipvsadm -Sn` prints it and `ipvsadm -R` reads it, thresholds included (`-Sn` leaves them out)."""
    for designator, rule in table.items():
        yield f"-A {designator} {rule.settings}"
        for destination, settings in rule.destinations.items():
            yield f"-a {designator} -r {destination} {settings}"


def whole(value: Any, what: str, low: int, high: int, hint: str = "") -> int:
    """Return ``value`` as an integer within [low, high].

    :param value: an int, or text of decimal digits; a boolean or a fraction is refused.
    :param what: the name for the message, such as ``services[3]: port``.
    :param hint: appended to the message after the range.
    :raises InvalidValueError: for anything else.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.lstrip("-").isdigit() or not low <= int(text) <= high:
        raise InvalidValueError(f"{what} {value!r} is not allowed; give a whole number from {low} to {high}{hint}.")
    return int(text)


def address_of(value: Any, what: str) -> Address:
    """Return an IP address to which one host can answer.

    :raises InvalidValueError: for a name, a network, an unspecified, broadcast or multicast address.
    """
    text = str(value).strip()
    try:
        address = ipaddress.ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        raise InvalidValueError(
            f"{what} {text!r} is not an IP address; give an IPv4 address such as 198.18.0.1 or an IPv6 address such as 2001:db8::1."
        ) from None
    if getattr(address, "scope_id", None) is not None:
        raise InvalidValueError(f"{what} {text!r} has a zone; IPVS knows none, so give the address without what follows the % sign.")
    if address.is_multicast or address.is_unspecified or address == ipaddress.IPv4Address(2**32 - 1):
        raise InvalidValueError(f"{what} {text!r} is not the address of one host; give a unicast address.")
    return address


def endpoint(address: Address, port: int) -> str:
    """Return ``address:port`` as ipvsadm prints it, IPv6 in brackets and in the C library's short form."""
    if address.version == 4:
        return f"{address}:{port}"
    # Python and the C library shorten addresses that embed an IPv4 address in different ways.
    return f"[{socket.inet_ntop(socket.AF_INET6, address.packed)}]:{port}"


@dataclass(frozen=True)
class Tunnel:
    """How packets to a tunnelled destination are wrapped."""

    kind: str = "ipip"
    port: Optional[int] = None
    checksum: str = "none"

    def validate(self, what: str) -> None:
        """Raise :class:`InvalidValueError` unless the options go together."""
        if self.kind == "gue" and self.port is None:
            raise InvalidValueError(f"{what}: a tunnel of type gue needs tunnel_port, a whole number from 1 to {MAX_PORT}.")
        if self.kind != "gue" and self.port is not None:
            raise InvalidValueError(f"{what}: tunnel_port is only for a tunnel of type gue, not {self.kind}.")
        allowed = TUNNEL_OPTIONS[self.kind] or ("none",)
        if self.checksum not in allowed:
            raise InvalidValueError(
                f"{what}: tunnel_checksum {self.checksum!r} does not go with a tunnel of type {self.kind}; give {' or '.join(allowed)}."
            )

    def settings(self) -> str:
        """Return the options as `ipvsadm -Sn` prints them."""
        port = "" if self.port is None else f" --tun-port {self.port}"
        checksum = f" {TUNNEL_CHECKSUMS[self.checksum]}" if TUNNEL_OPTIONS[self.kind] else ""
        return f" --tun-type {self.kind}{port}{checksum}"


@dataclass(frozen=True)
class Destination:
    """A real server behind a service."""

    address: Address
    port: int
    weight: int = 1
    method: str = "masquerade"
    tunnel: Tunnel = Tunnel()
    upper_threshold: int = 0
    lower_threshold: int = 0

    def validate(self, what: str, service: Service) -> None:
        """Raise :class:`InvalidValueError` unless this can be a destination of that service."""
        if self.method == "tunnel":
            self.tunnel.validate(what)
        elif self.tunnel != Tunnel():
            raise InvalidValueError(f"{what}: tunnel options are only for method tunnel, not {self.method}.")
        elif self.address.version != service.version:
            raise InvalidValueError(
                f"{what}: address {self.address} is IPv{self.address.version} and the service is IPv{service.version}; "
                f"only method tunnel may mix them."
            )
        if self.method != "masquerade" and service.fwmark is None and self.port != service.port:
            raise InvalidValueError(
                f"{what}: port {self.port} differs from the service's port {service.port}, and method {self.method} cannot change it; "
                f"leave the port out or use method masquerade."
            )
        if self.upper_threshold and self.lower_threshold > self.upper_threshold:
            raise InvalidValueError(
                f"{what}: lower_threshold {self.lower_threshold} is above upper_threshold {self.upper_threshold}; "
                f"give a whole number from 0 to {self.upper_threshold}."
            )
        if self.lower_threshold and not self.upper_threshold:
            raise InvalidValueError(f"{what}: lower_threshold {self.lower_threshold} needs an upper_threshold, which is not given.")

    def settings(self) -> str:
        """Return the options as `ipvsadm -Sn` prints them, followed by the thresholds if there are any."""
        tunnel = self.tunnel.settings() if self.method == "tunnel" else ""
        return f"{METHOD_OPTION[self.method]} -w {self.weight}{tunnel}{thresholds(self.upper_threshold, self.lower_threshold)}"


def thresholds(upper: int, lower: int) -> str:
    """Return the options for thresholds, nothing if there are none."""
    return (f" -x {upper}" if upper else "") + (f" -y {lower}" if lower else "")


@dataclass(frozen=True)
class Service:
    """A virtual service: an address and a port, or a firewall mark."""

    protocol: str = "tcp"
    address: Optional[Address] = None
    port: int = 0
    fwmark: Optional[int] = None
    version: int = 4
    scheduler: str = "wlc"
    scheduler_flags: Tuple[str, ...] = ()
    persistent: Optional[int] = None
    netmask: Optional[str] = None
    persistence_engine: Optional[str] = None
    one_packet: bool = False
    destinations: Tuple[Destination, ...] = ()

    def validate(self, what: str) -> None:
        """Raise :class:`InvalidValueError` unless ipvsadm and the kernel would take this service with its destinations."""
        if self.fwmark is None and self.port == 0 and self.persistent is None:
            raise InvalidValueError(f"{what}: port 0 means every port and needs persistent; otherwise give a port from 1 to {MAX_PORT}.")
        if self.one_packet and self.fwmark is None and self.protocol != "udp":
            raise InvalidValueError(f"{what}: one_packet is only for protocol udp or a fwmark, not {self.protocol}.")
        if self.persistent is None and (self.netmask is not None or self.persistence_engine is not None):
            raise InvalidValueError(f"{what}: netmask and persistence_engine need persistent, which is not given.")
        allowed = SCHEDULER_FLAGS.get(self.scheduler, GENERAL_FLAGS)
        for flag in self.scheduler_flags:
            if flag not in allowed:
                raise InvalidValueError(
                    f"{what}: scheduler flag {flag!r} does not go with scheduler {self.scheduler}; give {' or '.join(allowed)}."
                )
        seen = set()
        for index, destination in enumerate(self.destinations):
            where = f"{what}.destinations[{index}]"
            destination.validate(where, self)
            at = endpoint(destination.address, destination.port)
            if at in seen:
                raise InvalidValueError(f"{where}: {at} is already a destination of this service; give each address and port once.")
            seen.add(at)

    def designator(self) -> str:
        """Return what names this service on ipvsadm's command line."""
        if self.fwmark is not None:
            return fwmark_designator(self.fwmark, self.version)
        if self.address is None:
            raise InvalidValueError("A service needs an address and a port, or a fwmark.")
        return f"{PROTOCOL_OPTION[self.protocol]} {endpoint(self.address, self.port)}"

    def settings(self) -> str:
        """Return the options as `ipvsadm -Sn` prints them."""
        text = f"-s {self.scheduler}"
        if self.persistent is not None:
            text += f" -p {self.persistent}"
            if self.netmask is not None:
                text += f" -M {self.netmask}"
        if self.persistence_engine is not None:
            text += f" --pe {self.persistence_engine}"
        if self.one_packet:
            text += " -o"
        # The order of the kernel's bits, which is the order of ipvsadm's output.
        ordered = [flag for flag in SCHEDULER_FLAGS.get(self.scheduler, GENERAL_FLAGS) if flag in self.scheduler_flags]
        return text + (f" -b {','.join(ordered)}" if ordered else "")

    def rule(self) -> Rule:
        """Return the service as an entry of a :data:`Table`."""
        return Rule(self.settings(), {endpoint(item.address, item.port): item.settings() for item in self.destinations})


def fwmark_designator(mark: int, version: int) -> str:
    """Return what names a service by firewall mark."""
    return f"-f {mark}" + (" -6" if version == 6 else "")
