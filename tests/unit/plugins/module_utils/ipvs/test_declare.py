# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user declares: valid entries become the table that ipvsadm would print, all others one sentence."""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, List

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs import model, parse
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.declare import table_of
from hypothesis import given
from hypothesis import strategies as st

SCHEDULERS = model.SCHEDULERS
WEB = {"address": "10.0.0.1", "port": 80, "scheduler": "rr"}
REAL = {"address": "10.1.0.1", "port": 8080}
RUN = {"address": "10.0.0.1", "first_port": 30000, "services": 3, "destination_address": "10.1.0.1", "scheduler": "rr"}


def declared(*services: Dict[str, Any], ranges: Any = ()) -> List[str]:
    return list(model.lines(table_of(services, ranges, SCHEDULERS)))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({**WEB, "destinations": [REAL]}, ["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1"]),
        ({**WEB, "scheduler": None}, ["-A -t 10.0.0.1:80 -s wlc"]),
        ({**WEB, "port": "80"}, ["-A -t 10.0.0.1:80 -s rr"]),
        ({**WEB, "port": 0, "persistent": 300}, ["-A -t 10.0.0.1:0 -s rr -p 300"]),
        ({**WEB, "persistent": 300, "netmask": "255.255.255.0"}, ["-A -t 10.0.0.1:80 -s rr -p 300 -M 255.255.255.0"]),
        ({**WEB, "persistent": 300, "netmask": "24"}, ["-A -t 10.0.0.1:80 -s rr -p 300 -M 255.255.255.0"]),
        ({**WEB, "persistent": 300, "netmask": "32"}, ["-A -t 10.0.0.1:80 -s rr -p 300"]),
        ({**WEB, "protocol": "udp", "one_packet": True}, ["-A -u 10.0.0.1:80 -s rr -o"]),
        ({**WEB, "protocol": "sctp"}, ["-A --sctp-service 10.0.0.1:80 -s rr"]),
        ({**WEB, "protocol": "udp", "persistent": 9, "persistence_engine": "sip"}, ["-A -u 10.0.0.1:80 -s rr -p 9 --pe sip"]),
        ({**WEB, "scheduler": "sh", "scheduler_flags": ["sh-port", "sh-fallback"]}, ["-A -t 10.0.0.1:80 -s sh -b sh-fallback,sh-port"]),
        ({**WEB, "address": "2001:DB8:0:0::1"}, ["-A -t [2001:db8::1]:80 -s rr"]),
        ({**WEB, "address": "[2001:db8::1]"}, ["-A -t [2001:db8::1]:80 -s rr"]),
        ({**WEB, "address": "::ffff:198.18.0.77"}, ["-A -t [::ffff:198.18.0.77]:80 -s rr"]),
        ({**WEB, "address": "2001:db8::1", "persistent": 9, "netmask": "64"}, ["-A -t [2001:db8::1]:80 -s rr -p 9 -M 64"]),
        ({**WEB, "address": "2001:db8::1", "persistent": 9, "netmask": "128"}, ["-A -t [2001:db8::1]:80 -s rr -p 9"]),
        ({"fwmark": 7}, ["-A -f 7 -s wlc"]),
        ({"fwmark": 4294967295, "family": "ipv6"}, ["-A -f 4294967295 -6 -s wlc"]),
        ({"fwmark": 7, "destinations": [{"address": "10.1.0.1"}]}, ["-A -f 7 -s wlc", "-a -f 7 -r 10.1.0.1:0 -m -w 1"]),
        (
            {**WEB, "destinations": [{"address": "10.1.0.1", "method": "gatewaying", "weight": 0}]},
            ["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 0"],
        ),
        (
            {**WEB, "destinations": [{"address": "2001:db8::1", "method": "tunnel"}]},
            ["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r [2001:db8::1]:80 -i -w 1 --tun-type ipip"],
        ),
        (
            {**WEB, "destinations": [{"address": "10.1.0.1", "method": "tunnel", "tunnel_type": "gue", "tunnel_port": 6080}]},
            ["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum"],
        ),
        (
            {**WEB, "destinations": [{**REAL, "upper_threshold": 100, "lower_threshold": 50}]},
            ["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1 -x 100 -y 50"],
        ),
    ],
)
def test_an_entry_is_what_ipvsadm_would_print(entry: Dict[str, Any], expected: List[str]) -> None:
    assert declared(entry) == expected


# Each with the words that must be in the message: the entry, the value, and what is allowed.
BAD_SERVICES = [
    ({**WEB, "port": 65536}, "services[0]: port 65536", "0 to 65535"),
    ({**WEB, "port": -1}, "services[0]: port -1", "0 to 65535"),
    ({**WEB, "port": "http"}, "services[0]: port 'http'", "0 to 65535"),
    ({**WEB, "port": True}, "services[0]: port True", "0 to 65535"),
    ({**WEB, "port": 80.5}, "services[0]: port 80.5", "0 to 65535"),
    ({**WEB, "port": "８０"}, "services[0]: port '８０'", "0 to 65535"),
    ({**WEB, "port": 0}, "services[0]", "persistent"),
    ({**WEB, "address": "10.0.0.256"}, "services[0]: address '10.0.0.256'", "IPv4"),
    ({**WEB, "address": "10.0.0.0/24"}, "services[0]: address '10.0.0.0/24'", "IPv4"),
    ({**WEB, "address": "balancer.example"}, "services[0]: address 'balancer.example'", "IPv4"),
    ({**WEB, "address": "224.0.0.1"}, "services[0]: address '224.0.0.1'", "unicast"),
    ({**WEB, "address": "255.255.255.255"}, "services[0]: address '255.255.255.255'", "unicast"),
    ({**WEB, "address": "::"}, "services[0]: address '::'", "unicast"),
    ({**WEB, "address": "fe80::1%eth0"}, "services[0]: address 'fe80::1%eth0'", "zone"),
    ({**WEB, "scheduler": "fair"}, "services[0]: scheduler 'fair'", "wrr"),
    ({**WEB, "scheduler_flags": ["sh-port"]}, "services[0]: scheduler flag 'sh-port'", "flag-1"),
    ({**WEB, "scheduler": "sh", "scheduler_flags": ["flag-1"]}, "services[0]: scheduler flag 'flag-1'", "sh-fallback"),
    ({**WEB, "persistent": 0}, "services[0]: persistent 0", "1 to 2678400"),
    ({**WEB, "netmask": "255.255.255.0"}, "services[0]", "need persistent"),
    ({**WEB, "persistent": 9, "netmask": "255.0.255.0"}, "services[0]: netmask '255.0.255.0'", "1 to 32"),
    ({**WEB, "persistent": 9, "netmask": "0"}, "services[0]: netmask '0'", "1 to 32"),
    ({**WEB, "persistent": 9, "netmask": "0.0.0.255"}, "services[0]: netmask '0.0.0.255'", "1 to 32"),
    ({**WEB, "address": "2001:db8::1", "persistent": 9, "netmask": "129"}, "services[0]: netmask '129'", "1 to 128"),
    ({**WEB, "persistence_engine": "http", "persistent": 9}, "services[0]: persistence_engine 'http'", "sip"),
    ({**WEB, "one_packet": True}, "services[0]: one_packet", "udp"),
    ({**WEB, "fwmark": 1}, "services[0]", "exclude each other"),
    ({"address": "10.0.0.1"}, "services[0]: port is missing", "fwmark"),
    ({"port": 80}, "services[0]: address is missing", "fwmark"),
    ({}, "services[0]: address is missing", "fwmark"),
    ({"fwmark": 0}, "services[0]: fwmark 0", "1 to 4294967295"),
    ({"fwmark": 4294967296}, "services[0]: fwmark 4294967296", "1 to 4294967295"),
    ({**WEB, "family": "ipv6"}, "services[0]: family ipv6", "10.0.0.1"),
    ({**WEB, "destinations": [{}]}, "services[0].destinations[0]: address is missing", "real server"),
    ({**WEB, "destinations": [{**REAL, "weight": 65536}]}, "services[0].destinations[0]: weight 65536", "0 to 65535"),
    ({**WEB, "destinations": [{**REAL, "weight": -1}]}, "services[0].destinations[0]: weight -1", "0 to 65535"),
    ({**WEB, "destinations": [REAL, REAL]}, "services[0].destinations[1]: 10.1.0.1:8080", "already"),
    ({**WEB, "destinations": [{**REAL, "method": "gatewaying"}]}, "services[0].destinations[0]: port 8080", "masquerade"),
    ({**WEB, "destinations": [{"address": "2001:db8::1"}]}, "services[0].destinations[0]: address 2001:db8::1 is IPv6", "tunnel"),
    ({"fwmark": 7, "family": "ipv6", "destinations": [REAL]}, "services[0].destinations[0]: address 10.1.0.1 is IPv4", "tunnel"),
    ({**WEB, "destinations": [{**REAL, "tunnel_type": "gre"}]}, "services[0].destinations[0]: tunnel options", "method tunnel"),
    (
        {**WEB, "destinations": [{"address": "10.1.0.1", "method": "tunnel", "tunnel_type": "gue"}]},
        "services[0].destinations[0]: a tunnel of type gue needs tunnel_port", "1 to 65535",
    ),
    (
        {**WEB, "destinations": [{"address": "10.1.0.1", "method": "tunnel", "tunnel_type": "gre", "tunnel_checksum": "remote"}]},
        "services[0].destinations[0]: tunnel_checksum 'remote'", "none or checksum",
    ),
    (
        {**WEB, "destinations": [{"address": "10.1.0.1", "method": "tunnel", "tunnel_port": 5}]},
        "services[0].destinations[0]: tunnel_port", "gue",
    ),
    ({**WEB, "destinations": [{**REAL, "lower_threshold": 5}]}, "services[0].destinations[0]: lower_threshold 5", "upper_threshold"),
    (
        {**WEB, "destinations": [{**REAL, "upper_threshold": 4, "lower_threshold": 5}]},
        "services[0].destinations[0]: lower_threshold 5", "0 to 4",
    ),
]  # fmt: skip
BAD_RANGES = [
    ({**RUN, "services": 40000}, "ranges[0]: 40000 services from first_port 30000", "at most 35536"),
    ({**RUN, "services": 0}, "ranges[0]: services 0", "1 to 1000000"),
    ({**RUN, "destinations": -1}, "ranges[0]: destinations -1", "0 to 1000000"),
    ({**RUN, "services": 2000, "destinations": 501}, "ranges[0]: 2000 services with 501 destinations", "at most 1000000"),
    ({**RUN, "destination_address": None}, "ranges[0]: destination_address is missing", "destinations: 0"),
    ({**RUN, "first_destination_port": 0}, "ranges[0]: first_destination_port 0", "1 to 65535"),
    ({**RUN, "destination_address": "255.255.255.254", "destinations": 3}, "ranges[0]: numbering", "lower address"),
    ({**RUN, "destination_address": "223.255.255.255", "destinations": 2}, "the last destination's address '224.0.0.0'", "unicast"),
    ({**RUN, "method": "gatewaying", "first_destination_port": 10000}, "ranges[0].destinations[0]: port 10000", "masquerade"),
    ({**RUN, "weight": 70000}, "ranges[0]: weight 70000", "0 to 65535"),
    ({**RUN, "first_port": 0}, "ranges[0]: port 0", "persistent"),
    ({**RUN, "scheduler": "fair"}, "ranges[0]: scheduler 'fair'", "wrr"),
    ({"first_fwmark": 4294967295, "services": 2, "destinations": 0}, "ranges[0]: 2 services from first_fwmark", "4294967295"),
    ({"first_fwmark": 0, "destinations": 0}, "ranges[0]: first_fwmark 0", "1 to 4294967295"),
    ({"services": 2}, "ranges[0]: address is missing", "first_fwmark"),
]


@pytest.mark.parametrize(("entry", "where", "allowed"), BAD_SERVICES)
def test_a_bad_service_gives_one_sentence_that_names_entry_value_and_range(entry: Dict[str, Any], where: str, allowed: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        table_of([entry], [], SCHEDULERS)
    said = str(caught.value)
    assert where in said
    assert allowed in said
    assert said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize(("entry", "where", "allowed"), BAD_RANGES)
def test_a_bad_range_gives_one_sentence_that_names_entry_value_and_range(entry: Dict[str, Any], where: str, allowed: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        table_of([], [entry], SCHEDULERS)
    assert where in str(caught.value)
    assert allowed in str(caught.value)


def test_the_index_is_that_of_the_bad_entry() -> None:
    with pytest.raises(InvalidValueError, match=r"^services\[2\]: port 99999"):
        declared(WEB, {**WEB, "port": 81}, {**WEB, "port": 99999})


@pytest.mark.parametrize(
    ("services", "ranges"), [([WEB, WEB], []), ([{**WEB, "port": 30001}], [RUN]), ([], [RUN, {**RUN, "first_port": 30002}])]
)
def test_a_service_is_declared_once(services: Any, ranges: Any) -> None:
    with pytest.raises(InvalidValueError, match="already declared by"):
        table_of(services, ranges, SCHEDULERS)


def test_a_range_is_numbered_by_port_over_all_its_services() -> None:
    assert declared(ranges=[{**RUN, "services": 2, "destinations": 2, "first_destination_port": 10000}]) == [
        "-A -t 10.0.0.1:30000 -s rr",
        "-a -t 10.0.0.1:30000 -r 10.1.0.1:10000 -m -w 1",
        "-a -t 10.0.0.1:30000 -r 10.1.0.1:10001 -m -w 1",
        "-A -t 10.0.0.1:30001 -s rr",
        "-a -t 10.0.0.1:30001 -r 10.1.0.1:10002 -m -w 1",
        "-a -t 10.0.0.1:30001 -r 10.1.0.1:10003 -m -w 1",
    ]


def test_numbering_by_port_goes_on_at_the_next_address() -> None:
    assert [line for line in declared(ranges=[{**RUN, "first_destination_port": 65535}]) if line.startswith("-a")] == [
        "-a -t 10.0.0.1:30000 -r 10.1.0.1:65535 -m -w 1",
        "-a -t 10.0.0.1:30001 -r 10.1.0.2:65535 -m -w 1",
        "-a -t 10.0.0.1:30002 -r 10.1.0.3:65535 -m -w 1",
    ]


def test_without_a_port_the_destinations_are_numbered_by_address() -> None:
    assert declared(ranges=[{**RUN, "services": 2, "destinations": 2, "method": "gatewaying", "weight": 3}]) == [
        "-A -t 10.0.0.1:30000 -s rr",
        "-a -t 10.0.0.1:30000 -r 10.1.0.1:30000 -g -w 3",
        "-a -t 10.0.0.1:30000 -r 10.1.0.2:30000 -g -w 3",
        "-A -t 10.0.0.1:30001 -s rr",
        "-a -t 10.0.0.1:30001 -r 10.1.0.1:30001 -g -w 3",
        "-a -t 10.0.0.1:30001 -r 10.1.0.2:30001 -g -w 3",
    ]


def test_a_range_of_marks() -> None:
    run = {"first_fwmark": 5, "services": 2, "destination_address": "2001:db8::1", "family": "ipv6", "first_destination_port": 10000}
    assert declared(ranges=[run]) == [
        "-A -f 5 -6 -s wlc",
        "-a -f 5 -6 -r [2001:db8::1]:10000 -m -w 1",
        "-A -f 6 -6 -s wlc",
        "-a -f 6 -6 -r [2001:db8::1]:10001 -m -w 1",
    ]


def test_a_range_without_destinations() -> None:
    run = {"address": "2001:db8::5", "first_port": 65535, "destinations": 0, "scheduler": "rr"}
    assert declared(ranges=[run]) == ["-A -t [2001:db8::5]:65535 -s rr"]


v4 = st.integers(0x01000000, 0xDFFFFFFF).map(ipaddress.IPv4Address).filter(lambda address: not address.is_multicast).map(str)
v6 = st.integers(1, 0xFEFF << 112).map(ipaddress.IPv6Address).filter(lambda address: not address.is_multicast).map(str)
ports = st.integers(1, 65535)


@st.composite
def entries(draw: st.DrawFn) -> Dict[str, Any]:
    """Draw an entry that is valid, in the form that ipvs_info returns."""
    six = draw(st.booleans())
    address = v6 if six else v4
    entry: Dict[str, Any] = {}
    port = 0
    if draw(st.booleans()):
        entry.update(fwmark=draw(st.integers(1, 2**32 - 1)), family="ipv6" if six else "ipv4")
    else:
        port = draw(ports)
        entry.update(protocol=draw(st.sampled_from(["tcp", "udp", "sctp"])), address=_shortest(draw(address)), port=port)
    entry["scheduler"] = draw(st.sampled_from(SCHEDULERS))
    flags = model.SCHEDULER_FLAGS.get(entry["scheduler"], model.GENERAL_FLAGS)
    chosen = draw(st.sets(st.sampled_from(flags)))
    if chosen:
        entry["scheduler_flags"] = [flag for flag in flags if flag in chosen]
    if draw(st.booleans()):
        entry["persistent"] = draw(st.integers(1, model.MAX_PERSISTENCE))
        if draw(st.booleans()):
            length = draw(st.integers(1, 127 if six else 31))
            entry["netmask"] = str(length) if six else str(ipaddress.IPv4Network(f"0.0.0.0/{length}").netmask)
    reals = draw(st.lists(st.tuples(address.map(_shortest), ports), unique=True, max_size=3))
    entry["destinations"] = [_real(draw, at, own, port, "fwmark" in entry) for at, own in sorted(reals)]
    if any(item["method"] != "masquerade" for item in entry["destinations"]):
        entry["destinations"] = entry["destinations"][:1]
    return entry


def _shortest(text: str) -> str:
    return model.endpoint(ipaddress.ip_address(text), 0)[:-2].strip("[]")


def _real(draw: Any, at: str, own: int, service_port: int, by_mark: bool) -> Dict[str, Any]:
    method = draw(st.sampled_from(["masquerade", "gatewaying", "tunnel"]))
    port = own if method == "masquerade" or by_mark else service_port
    real = {"address": at, "port": port, "method": method, "weight": draw(st.integers(0, 65535))}
    if method == "tunnel":
        real["tunnel_type"] = draw(st.sampled_from(["ipip", "gue", "gre"]))
        if real["tunnel_type"] == "gue":
            real["tunnel_port"] = draw(ports)
        if real["tunnel_type"] != "ipip":
            real["tunnel_checksum"] = draw(st.sampled_from(model.TUNNEL_OPTIONS[real["tunnel_type"]]))
    return real


@given(entry=entries())
def test_entry_to_text_to_entry(entry: Dict[str, Any]) -> None:
    table = table_of([entry], [], SCHEDULERS)
    read = parse.saved_table("".join(f"{line}\n" for line in model.lines(table)))
    assert read == table
    assert parse.entries(read) == [entry]


@given(
    entry=st.fixed_dictionaries(
        {},
        optional={
            key: st.none() | st.booleans() | st.integers(-2, 2**33) | st.text(max_size=6) | v4 | v6
            for key in ("address", "port", "fwmark", "persistent", "netmask", "scheduler", "persistence_engine")
        },
    )
)
def test_any_values_give_a_table_or_one_sentence(entry: Dict[str, Any]) -> None:
    try:
        table = table_of([entry], [], SCHEDULERS)
    except InvalidValueError as error:
        assert str(error).startswith("services[0]")
    else:
        assert parse.saved_table("".join(f"{line}\n" for line in model.lines(table))) == table


@given(
    first=st.integers(1, 65535),
    services=st.integers(1, 40),
    destinations=st.integers(0, 4),
    first_destination=st.none() | st.integers(65500, 65535),
)
def test_a_range_is_the_same_as_its_entries_one_by_one(first: int, services: int, destinations: int, first_destination: Any) -> None:
    run = {**RUN, "first_port": first, "services": services, "destinations": destinations, "first_destination_port": first_destination}
    if first + services - 1 > 65535:
        with pytest.raises(InvalidValueError):
            declared(ranges=[run])
        return
    base = int(ipaddress.IPv4Address("10.1.0.1"))
    written = []
    for index in range(services):
        reals = []
        for number in range(destinations):
            if first_destination is None:
                at, port = base + number, first + index
            else:
                at, port = base, first_destination + index * destinations + number
                while port > 65535:
                    at, port = at + 1, port - 65536 + first_destination
            reals.append({"address": str(ipaddress.IPv4Address(at)), "port": port})
        written.append({"address": "10.0.0.1", "port": first + index, "scheduler": "rr", "destinations": reals})
    assert declared(ranges=[run]) == declared(*written)
