# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user declares, as a table: explicit entries, and ranges that stand for thousands of them.

Everything is validated here, before anything is read or changed; each message names the entry by its index.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any, Callable, Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.model import (
    MAX_FWMARK,
    MAX_PERSISTENCE,
    MAX_PORT,
    MAX_THRESHOLD,
    MAX_WEIGHT,
    PERSISTENCE_ENGINES,
    PROTOCOL_OPTION,
    Address,
    Destination,
    Rule,
    Service,
    Table,
    Tunnel,
    address_of,
    endpoint,
    fwmark_designator,
    whole,
)

# A slip in a range must not fill a node's memory: ten times the largest table that the experiments use.
MAX_ENTRIES = 1_000_000
FAMILIES = {"ipv4": 4, "ipv6": 6}


def table_of(services: Sequence[Mapping[str, Any]], ranges: Sequence[Mapping[str, Any]], schedulers: Collection[str]) -> Table:
    """Return the declared table.

    :param services: explicit entries, as the module's option ``services``.
    :param ranges: runs of alike services, as the module's option ``ranges``.
    :param schedulers: names that the node's kernel offers.
    :raises InvalidValueError: for the first entry that cannot be loaded; nothing has been changed then.
    """
    table: Table = {}
    origin: Dict[str, str] = {}
    for index, entry in enumerate(services):
        what = f"services[{index}]"
        service = _service(entry, what, schedulers)
        _enter(table, origin, service.designator(), service.rule(), what)
    for index, entry in enumerate(ranges):
        what = f"ranges[{index}]"
        for designator, rule in _range(entry, what, schedulers):
            _enter(table, origin, designator, rule, what)
    return table


def _enter(table: Table, origin: Dict[str, str], designator: str, rule: Rule, what: str) -> None:
    """Add a service that must not be there yet."""
    if designator in table:
        raise InvalidValueError(f"{what}: service '{designator}' is already declared by {origin[designator]}; declare each service once.")
    table[designator] = rule
    origin[designator] = what


def _service(entry: Mapping[str, Any], what: str, schedulers: Collection[str]) -> Service:
    """Return a validated service from an explicit entry."""
    address, port, fwmark, version = _identity(entry, what, "address", "port", "fwmark")
    service = Service(
        protocol=entry.get("protocol") or "tcp",
        address=address,
        port=port,
        fwmark=fwmark,
        version=version,
        destinations=tuple(
            _destination(item, f"{what}.destinations[{index}]", port) for index, item in enumerate(entry.get("destinations") or ())
        ),
        **_settings(entry, what, version, schedulers),
    )
    service.validate(what)
    return service


def _identity(
    entry: Mapping[str, Any], what: str, address_key: str, port_key: str, mark_key: str
) -> Tuple[Optional[Address], int, Optional[int], int]:
    """Return (address, port, fwmark, IP version); either address and port or fwmark are given."""
    if entry.get(mark_key) is not None:
        for key in (address_key, port_key):
            if entry.get(key) is not None:
                raise InvalidValueError(f"{what}: {mark_key} and {key} exclude each other; give the one or {address_key} with {port_key}.")
        mark = whole(entry[mark_key], f"{what}: {mark_key}", 1, MAX_FWMARK)
        return None, 0, mark, FAMILIES[entry.get("family") or "ipv4"]
    for key in (address_key, port_key):
        if entry.get(key) is None:
            raise InvalidValueError(f"{what}: {key} is missing; give {address_key} with {port_key}, or {mark_key}.")
    address = address_of(entry[address_key], f"{what}: {address_key}")
    family = entry.get("family")
    if family is not None and FAMILIES[family] != address.version:
        raise InvalidValueError(f"{what}: family {family} contradicts {address_key} {address}; leave family out, it goes with {mark_key}.")
    return address, whole(entry[port_key], f"{what}: {port_key}", 0, MAX_PORT), None, address.version


def _settings(entry: Mapping[str, Any], what: str, version: int, schedulers: Collection[str]) -> Dict[str, Any]:
    """Return the settings that explicit entries and ranges share, validated one by one."""
    scheduler = str(entry.get("scheduler") or "wlc")
    if scheduler not in schedulers:
        raise InvalidValueError(f"{what}: scheduler {scheduler!r} is not one of this kernel's: {', '.join(sorted(schedulers))}.")
    engine = entry.get("persistence_engine")
    if engine is not None and engine not in PERSISTENCE_ENGINES:
        raise InvalidValueError(f"{what}: persistence_engine {engine!r} is not known; give {' or '.join(PERSISTENCE_ENGINES)}.")
    persistent = entry.get("persistent")
    return {
        "scheduler": scheduler,
        "scheduler_flags": tuple(entry.get("scheduler_flags") or ()),
        "persistent": None if persistent is None else whole(persistent, f"{what}: persistent", 1, MAX_PERSISTENCE, " (seconds)"),
        "netmask": None if entry.get("netmask") is None else _netmask(entry["netmask"], f"{what}: netmask", version),
        "persistence_engine": engine,
        "one_packet": bool(entry.get("one_packet")),
    }


def _netmask(value: Any, what: str, version: int) -> Optional[str]:
    """Return the mask as ipvsadm prints it, ``None`` for one host, which it does not print."""
    if version == 6:
        length = whole(value, what, 1, 128)
        return None if length == 128 else str(length)
    text = str(value)
    try:
        mask = ipaddress.IPv4Network(f"0.0.0.0/{text}").netmask
    except ValueError:
        mask = None
    if mask is None or not int(mask) or (not text.isdigit() and str(mask) != text):
        raise InvalidValueError(f"{what} {text!r} is not a mask; give 128.0.0.0 to 255.255.255.255, or a length from 1 to 32.")
    return None if int(mask) == MAX_FWMARK else str(mask)


def _destination(entry: Mapping[str, Any], what: str, service_port: int) -> Destination:
    """Return a destination from an explicit entry; without a port it has the service's."""
    if entry.get("address") is None:
        raise InvalidValueError(f"{what}: address is missing; give the address of the real server.")
    port = entry.get("port")
    tunnel_port = entry.get("tunnel_port")
    return Destination(
        address=address_of(entry["address"], f"{what}: address"),
        port=service_port if port is None else whole(port, f"{what}: port", 0, MAX_PORT),
        weight=whole(_default(entry, "weight", 1), f"{what}: weight", 0, MAX_WEIGHT),
        method=entry.get("method") or "masquerade",
        tunnel=Tunnel(
            entry.get("tunnel_type") or "ipip",
            None if tunnel_port is None else whole(tunnel_port, f"{what}: tunnel_port", 1, MAX_PORT),
            entry.get("tunnel_checksum") or "none",
        ),
        upper_threshold=whole(_default(entry, "upper_threshold", 0), f"{what}: upper_threshold", 0, MAX_THRESHOLD),
        lower_threshold=whole(_default(entry, "lower_threshold", 0), f"{what}: lower_threshold", 0, MAX_THRESHOLD),
    )


def _default(entry: Mapping[str, Any], key: str, fallback: Any) -> Any:
    return fallback if entry.get(key) is None else entry[key]


def _range(entry: Mapping[str, Any], what: str, schedulers: Collection[str]) -> Iterator[Tuple[str, Rule]]:
    """Yield each service of a range, in order.

    The first and the last one are built as values and validated; those between differ only in numbers that lie between theirs.
    """
    address, first_port, first_mark, version = _identity(entry, what, "address", "first_port", "first_fwmark")
    services = whole(_default(entry, "services", 1), f"{what}: services", 1, MAX_ENTRIES)
    per_service = whole(_default(entry, "destinations", 1), f"{what}: destinations", 0, MAX_ENTRIES)
    if services * max(per_service, 1) > MAX_ENTRIES:
        raise InvalidValueError(
            f"{what}: {services} services with {per_service} destinations each are too many; give at most {MAX_ENTRIES} in all."
        )
    if first_mark is None and first_port + services - 1 > MAX_PORT:
        raise InvalidValueError(
            f"{what}: {services} services from first_port {first_port} end beyond port {MAX_PORT}; "
            f"give at most {MAX_PORT - first_port + 1} services or a lower first_port."
        )
    if first_mark is not None and first_mark + services - 1 > MAX_FWMARK:
        raise InvalidValueError(
            f"{what}: {services} services from first_fwmark {first_mark} end beyond {MAX_FWMARK}; give a lower first_fwmark."
        )
    base = Service(
        protocol=entry.get("protocol") or "tcp",
        address=address,
        port=first_port,
        fwmark=first_mark,
        version=version,
        **_settings(entry, what, version, schedulers),
    )
    addresses, numbering = _numbering(entry, what, services, per_service)
    template = Destination(
        address=addresses[0] if addresses else ipaddress.ip_address("198.18.0.1" if version == 4 else "2001:db8::1"),
        port=first_port,
        weight=whole(_default(entry, "weight", 1), f"{what}: weight", 0, MAX_WEIGHT),
        method=entry.get("method") or "masquerade",
    )
    _check_ends(base, template, addresses, numbering, services, per_service, what)
    service_settings, destination_settings = base.settings(), template.settings()
    # Addresses are written out once: their text is most of the work of a large range.
    written = [_before_port(item) for item in addresses]
    service = "" if address is None else f"{PROTOCOL_OPTION[base.protocol]} {_before_port(address)}"
    numbers = range(per_service)
    for index in range(services):
        port = 0 if address is None else first_port + index
        designator = f"{service}{port}" if service else fwmark_designator((first_mark or 0) + index, version)
        destinations = {}
        for number in numbers:
            which, destination_port = numbering(index, number, port)
            destinations[f"{written[which]}{destination_port}"] = destination_settings
        yield designator, Rule(service_settings, destinations)


def _before_port(address: Address) -> str:
    """Return an endpoint's text up to the port."""
    return endpoint(address, 0)[:-1]


# (index of the service, index of the destination, port of the service) to (which address, port) of the destination.
Numbering = Callable[[int, int, int], Tuple[int, int]]


def _numbering(entry: Mapping[str, Any], what: str, services: int, per_service: int) -> Tuple[List[Address], Numbering]:
    """Return the addresses of a range's destinations, and how these are numbered.

    With ``first_destination_port`` the k-th destination of the whole range (k = service × destinations + destination) has that
    port + k; where 65535 is passed, numbering goes on with the next address at ``first_destination_port``. Without it,
    destination j of every service is ``destination_address`` + j at the service's own port.
    """
    if not per_service:
        return [], lambda service, number, port: (0, port)
    if entry.get("destination_address") is None:
        raise InvalidValueError(f"{what}: destination_address is missing; give the first real server's address, or destinations: 0.")
    first = address_of(entry["destination_address"], f"{what}: destination_address")
    given = entry.get("first_destination_port")
    first_port = 0 if given is None else whole(given, f"{what}: first_destination_port", 1, MAX_PORT)
    span = MAX_PORT - first_port + 1
    needed = per_service if given is None else (services * per_service - 1) // span + 1
    last = int(first) + needed - 1
    if last >= 2**first.max_prefixlen:
        raise InvalidValueError(f"{what}: numbering from destination_address {first} leaves the address space; give a lower address.")
    address_of(type(first)(last), f"{what}: the last destination's address")
    addresses = [type(first)(value) for value in range(int(first), last + 1)]
    if given is None:
        return addresses, lambda service, number, port: (number, port)

    def sequence(service: int, number: int, port: int) -> Tuple[int, int]:
        which, offset = divmod(service * per_service + number, span)
        return which, first_port + offset

    return addresses, sequence


def _check_ends(
    base: Service, template: Destination, addresses: Sequence[Address], numbering: Numbering, services: int, per_service: int, what: str
) -> None:
    """Validate the first and the last service of a range with their first and last destination."""
    for index in sorted({0, services - 1}):
        port = base.port + index if base.fwmark is None else 0
        chosen = []
        for number in sorted({0, per_service - 1}) if per_service else ():
            which, destination_port = numbering(index, number, port)
            chosen.append(replace(template, address=addresses[which], port=destination_port))
        replace(base, port=port, destinations=tuple(chosen)).validate(what)
