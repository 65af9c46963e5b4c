# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers of what ipvsadm and the kernel print about IPVS.

All take text and raise :class:`ParseError` on a line that they do not know, so that no rule is ever lost in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.model import METHOD_OPTION, PROTOCOL_OPTION, Rule, Table, thresholds

_ENDPOINT = r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]{2,45}\]):[0-9]{1,5}"
_DESIGNATOR = rf"(?:-t|-u|--sctp-service) {_ENDPOINT}|-f -?[0-9]{{1,10}}(?: -6)?"
_SERVICE = re.compile(
    rf"-A (?P<designator>{_DESIGNATOR}) (?P<settings>-s (?P<scheduler>[\w-]+)(?: -p (?P<persistent>[0-9]+)(?: -M (?P<netmask>[0-9.]+))?)?"
    r"(?: --pe (?P<engine>\w+))?(?P<one_packet> -o)?(?: -b (?P<flags>[\w,-]+))?)",
    re.ASCII,
)
_DESTINATION = re.compile(
    rf"-a (?P<designator>{_DESIGNATOR}) -r (?P<destination>{_ENDPOINT}) (?P<settings>(?P<method>-[gim]) -w (?P<weight>[0-9]+)"
    r"(?P<tunnel> --tun-type (?P<kind>ipip|gue|gre)(?: --tun-port (?P<port>[0-9]+))?(?P<checksum> --tun-(?:nocsum|csum|remcsum))?)?"
    r"(?: -x (?P<upper>[0-9]+))?(?: -y (?P<lower>[0-9]+))?)",
    re.ASCII,
)
_MARK = re.compile(r"-f (-?[0-9]+)( -6)?")


def saved_table(text: str) -> Table:
    """Return the table that `ipvsadm -Sn` printed.

    A sample of the text::

        -A -t 10.0.0.1:30000 -s rr
        -a -t 10.0.0.1:30000 -r 10.1.0.1:10000 -m -w 1
        -A -u [2001:db8::1]:53 -s sh -p 300 -M 64 -b sh-port
        -A -f 7 -6 -s wlc

    :raises ParseError: for a line in another form, or a destination without its service.
    """
    table: Table = {}
    # A service's destinations follow it, so the mapping being filled is kept at hand.
    current = ""
    destinations: Dict[str, str] = {}
    for line in text.split("\n"):
        line = line.rstrip()
        if not line:
            continue
        match = _DESTINATION.fullmatch(line)
        if match:
            if match["designator"] != current:
                raise ParseError("ipvsadm -Sn", "a destination does not follow its service", line)
            settings = match["settings"]
            # Versions before the tunnel types print none; what they have is ipip.
            if match["method"] == "-i" and not match["tunnel"]:
                settings = settings.replace(f"-w {match['weight']}", f"-w {match['weight']} --tun-type ipip", 1)
            if match["destination"] in destinations:
                raise ParseError("ipvsadm -Sn", "a destination is listed twice", line)
            destinations[match["destination"]] = settings
            continue
        match = _SERVICE.fullmatch(line)
        if not match:
            raise ParseError("ipvsadm -Sn", "expected a line that begins with '-A' or '-a' and holds only known options", line)
        current = match["designator"]
        designator = _positive_mark(current)
        if designator in table:
            raise ParseError("ipvsadm -Sn", "a service is listed twice", line)
        destinations = {}
        table[designator] = Rule(match["settings"], destinations)
    return table


def _positive_mark(designator: str) -> str:
    """Undo that ipvsadm prints a mark above 2147483647 as a negative number, which it does not read back itself."""
    match = _MARK.fullmatch(designator)
    if not match or int(match[1]) >= 0:
        return designator
    return f"-f {int(match[1]) + 2**32}{match[2] or ''}"


_LISTED_SERVICE = re.compile(
    rf"(?P<protocol>TCP|UDP|SCTP) +(?P<at>{_ENDPOINT})(?= |$)(?P<rest>.*)"
    r"|FWM  (?P<mark>-?[0-9]+)(?P<six> IPv6)?(?= |$)(?P<mark_rest>.*)",
    re.ASCII,
)
_LISTED_DESTINATION = re.compile(rf"  -> (?P<at>{_ENDPOINT})(?P<rest>(?: +[0-9]+[KMGT]?)+) *", re.ASCII)
_HEADER = re.compile(r"IP Virtual Server version (?P<version>[0-9]+\.[0-9]+\.[0-9]+) \(size=(?P<size>[0-9]+)\)", re.ASCII)


@dataclass(frozen=True)
class Header:
    """The first line of every listing: version of IPVS and number of buckets of its connection table."""

    version: str
    connection_table_size: int


def header(text: str) -> Header:
    """Return what the first line of `ipvsadm -Ln` or of /proc/net/ip_vs says.

    A sample::

        IP Virtual Server version 1.2.1 (size=4096)

    :raises ParseError: if the first line is another.
    """
    match = _HEADER.match(text)
    if not match:
        raise ParseError("ip_vs", "expected a first line 'IP Virtual Server version … (size=…)'", text)
    return Header(match["version"], int(match["size"]))


def kernel_counts(text: str) -> Tuple[int, int]:
    """Return the number of services and destinations in /proc/net/ip_vs, which names neither all settings nor thresholds.

    A sample::

        IP Virtual Server version 1.2.1 (size=4096)
        Prot LocalAddress:Port Scheduler Flags
          -> RemoteAddress:Port Forward Weight ActiveConn InActConn
        TCP  0A000001:7530 rr
          -> 0A010001:2710      Masq    1      0          0
        FWM  00000007 rr

    :raises ParseError: if it is not that file.
    """
    header(text)
    rows = text.split("\n")
    if len(rows) < 3 or not rows[2].startswith("  -> RemoteAddress:Port"):
        raise ParseError("/proc/net/ip_vs", "expected two lines of column titles", text)
    services = destinations = 0
    for row in rows[3:]:
        if row.startswith("  -> "):
            destinations += 1
        elif row.startswith(("TCP  ", "UDP  ", "SCTP ", "FWM  ")):
            services += 1
        elif row:
            raise ParseError("/proc/net/ip_vs", "expected a service or a destination", row)
    return services, destinations


# Designator of a service to its row of numbers and those of its destinations.
Figures = Dict[str, Tuple[Tuple[int, ...], Dict[str, Tuple[int, ...]]]]


def _figures(text: str, tool: str, columns: int, service_columns: int) -> Figures:
    """Return the numbers of a listing with one row per service and per destination.

    :param columns: how many numbers a destination's row holds.
    :param service_columns: how many a service's row ends with.
    """
    rows = text.split("\n")
    header(text)
    if len(rows) < 3 or not rows[2].startswith("  -> RemoteAddress:Port"):
        raise ParseError(tool, "expected two lines of column titles", text)
    figures: Figures = {}
    destinations: Optional[Dict[str, Tuple[int, ...]]] = None
    for row in rows[3:]:
        row = row.rstrip()
        if not row:
            continue
        match = _LISTED_DESTINATION.fullmatch(row)
        if match:
            if destinations is None:
                raise ParseError(tool, "a destination without its service", row)
            destinations[match["at"]] = _numbers(match["rest"].split(), columns, tool, row)
            continue
        match = _LISTED_SERVICE.fullmatch(row)
        if not match:
            raise ParseError(tool, "expected a service or a destination", row)
        if match["mark"]:
            designator = _positive_mark(f"-f {match['mark']}" + (" -6" if match["six"] else ""))
        else:
            designator = f"{PROTOCOL_OPTION[match['protocol'].lower()]} {match['at']}"
        words = (match["rest"] or match["mark_rest"] or "").split()
        destinations = {}
        figures[designator] = (_numbers(words, service_columns, tool, row) if service_columns else (), destinations)
    return figures


def _numbers(words: List[str], wanted: int, tool: str, row: str) -> Tuple[int, ...]:
    """Return exactly ``wanted`` exact numbers."""
    if len(words) != wanted or not all(word.isdigit() for word in words):
        raise ParseError(tool, f"expected {wanted} exact numbers", row)
    return tuple(int(word) for word in words)


STATISTICS = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")


def statistics(text: str) -> Figures:
    """Return the counters of `ipvsadm -Ln --stats --exact`, in the order of :data:`STATISTICS`.

    A sample::

        IP Virtual Server version 1.2.1 (size=4096)
        Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
          -> RemoteAddress:Port
        TCP  10.0.0.1:30000                      0        0        0        0        0
          -> 10.1.0.1:10000                      0        0        0        0        0
    """
    return _figures(text, "ipvsadm -Ln --stats --exact", len(STATISTICS), len(STATISTICS))


def threshold_options(text: str) -> Dict[str, Dict[str, str]]:
    """Return the thresholds that `ipvsadm -Ln --thresholds` shows and `-Sn` leaves out, as options for `ipvsadm -R`.

    A sample::

        IP Virtual Server version 1.2.1 (size=4096)
        Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn
          -> RemoteAddress:Port
        TCP  10.0.0.1:30000 rr
          -> 10.1.0.1:10000               100        50         0          0
    """
    shown = _figures(text, "ipvsadm -Ln --thresholds", 4, 0)
    return {
        designator: {at: thresholds(row[0], row[1]) for at, row in destinations.items() if row[0] or row[1]}
        for designator, (_none, destinations) in shown.items()
    }


def with_thresholds(table: Mapping[str, Rule], options: Mapping[str, Mapping[str, str]]) -> Table:
    """Return the table with the thresholds added to its destinations."""
    merged: Table = dict(table)
    for designator, own in options.items():
        if own and designator in merged:
            rule = merged[designator]
            merged[designator] = Rule(rule.settings, {at: settings + own.get(at, "") for at, settings in rule.destinations.items()})
    return merged


_PROTOCOL = {option: name for name, option in PROTOCOL_OPTION.items()}
_METHOD = {option: name for name, option in METHOD_OPTION.items()}


def entries(table: Mapping[str, Rule], figures: Optional[Figures] = None) -> List[Dict[str, Any]]:
    """Return the table as entries in the form of the option ``services``, with ``statistics`` where given.

    :raises ParseError: if a rule of the table is not in the form that `ipvsadm -Sn` prints.
    """
    return [_entry(designator, rule, (figures or {}).get(designator)) for designator, rule in table.items()]


def _entry(designator: str, rule: Rule, figures: Optional[Tuple[Tuple[int, ...], Dict[str, Tuple[int, ...]]]]) -> Dict[str, Any]:
    """Return one service with its destinations."""
    match = _SERVICE.fullmatch(f"-A {designator} {rule.settings}")
    if not match:
        raise ParseError("ipvsadm -Sn", "a service in an unknown form", f"-A {designator} {rule.settings}")
    option, _space, where = designator.partition(" ")
    if option == "-f":
        mark, _space, six = where.partition(" ")
        entry: Dict[str, Any] = {"fwmark": int(mark), "family": "ipv6" if six else "ipv4"}
    else:
        address, port = _split(where)
        entry = {"protocol": _PROTOCOL[option], "address": address, "port": port}
    entry["scheduler"] = match["scheduler"]
    if match["flags"]:
        entry["scheduler_flags"] = match["flags"].split(",")
    if match["persistent"]:
        entry["persistent"] = int(match["persistent"])
    if match["netmask"]:
        entry["netmask"] = match["netmask"]
    if match["engine"]:
        entry["persistence_engine"] = match["engine"]
    if match["one_packet"]:
        entry["one_packet"] = True
    if figures:
        entry["statistics"] = dict(zip(STATISTICS, figures[0]))
    entry["destinations"] = [_destination_entry(designator, at, settings, figures) for at, settings in rule.destinations.items()]
    return entry


_CHECKSUM = {" --tun-nocsum": "none", " --tun-csum": "checksum", " --tun-remcsum": "remote"}


def _destination_entry(
    designator: str, at: str, settings: str, figures: Optional[Tuple[Tuple[int, ...], Dict[str, Tuple[int, ...]]]]
) -> Dict[str, Any]:
    """Return one destination."""
    line = f"-a {designator} -r {at} {settings}"
    match = _DESTINATION.fullmatch(line)
    if not match:
        raise ParseError("ipvsadm -Sn", "a destination in an unknown form", line)
    address, port = _split(at)
    entry: Dict[str, Any] = {"address": address, "port": port, "method": _METHOD[match["method"]], "weight": int(match["weight"])}
    if match["kind"]:
        entry["tunnel_type"] = match["kind"]
        if match["port"]:
            entry["tunnel_port"] = int(match["port"])
        if match["checksum"]:
            entry["tunnel_checksum"] = _CHECKSUM[match["checksum"]]
    if match["upper"]:
        entry["upper_threshold"] = int(match["upper"])
    if match["lower"]:
        entry["lower_threshold"] = int(match["lower"])
    if figures and at in figures[1]:
        entry["statistics"] = dict(zip(STATISTICS, figures[1][at]))
    return entry


def _split(where: str) -> Tuple[str, int]:
    """Return address and port of ``10.0.0.1:80`` or ``[2001:db8::1]:80``."""
    address, _colon, port = where.rpartition(":")
    return address.strip("[]"), int(port)
