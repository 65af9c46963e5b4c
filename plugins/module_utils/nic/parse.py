# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Readers of what ethtool and the kernel print. Each takes text and returns values, or raises ``ParseError``."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import Channels, Feature, Rings, Rss

# Label of `ethtool -g` to option of `ethtool -G`.
_RING_LABELS = {
    "RX": "rx",
    "RX Mini": "rx-mini",
    "RX Jumbo": "rx-jumbo",
    "TX": "tx",
    "RX Buf Len": "rx-buf-len",
    "CQE Size": "cqe-size",
    "TX Push": "tx-push",
    "RX Push": "rx-push",
    "TX push buff len": "tx-push-buf-len",
    "TCP data split": "tcp-data-split",
}
# `ethtool -c` prints rx-frame-low, `ethtool -C` wants rx-frames-low.
_COALESCE_OPTIONS = {
    "rx-frame-low": "rx-frames-low",
    "tx-frame-low": "tx-frames-low",
    "rx-frame-high": "rx-frames-high",
    "tx-frame-high": "tx-frames-high",
}
# Sums over the features that follow them, indented; only the text form leaves that to the reader.
_AGGREGATES = ("tx-checksumming", "scatter-gather", "tcp-segmentation-offload")

FEATURE_ALIASES = {
    "rx": "rx-checksumming",
    "tx": "tx-checksumming",
    "sg": "scatter-gather",
    "tso": "tcp-segmentation-offload",
    "ufo": "udp-fragmentation-offload",
    "gso": "generic-segmentation-offload",
    "gro": "generic-receive-offload",
    "lro": "large-receive-offload",
    "rxvlan": "rx-vlan-offload",
    "txvlan": "tx-vlan-offload",
    "ntuple": "ntuple-filters",
    "rxhash": "receive-hashing",
}


def _load(option: str, text: str) -> Mapping[str, Any]:
    tool = f"ethtool --json {option}"
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ParseError(tool, f"expected JSON ({error})", text) from error
    if not (isinstance(data, list) and len(data) == 1 and isinstance(data[0], dict)):
        raise ParseError(tool, "expected a list with one object", text)
    return data[0]


def _scalar(word: str) -> Any:
    if word in ("on", "off"):
        return word == "on"
    return int(word) if re.fullmatch(r"-?\d+", word) else word


def channels(text: str) -> Channels:
    """Read ``ethtool -l``, which has no JSON form.

    Channel parameters for eth0:
    Pre-set maximums:
    RX:             n/a
    TX:             n/a
    Other:          1
    Combined:       8
    Current hardware settings:
    RX:             n/a
    TX:             n/a
    Other:          1
    Combined:       4
    """
    parts: Dict[str, Dict[str, int]] = {}
    part: Optional[Dict[str, int]] = None
    for line in text.splitlines():
        label, _sep, value = (word.strip() for word in line.partition(":"))
        if label in ("Pre-set maximums", "Current hardware settings"):
            part = parts.setdefault(label, {})
        elif part is not None and label.lower() in ("rx", "tx", "other", "combined"):
            if value.isdigit():
                part[label.lower()] = int(value)
            elif value != "n/a":
                raise ParseError("ethtool -l", f"{label} is {value!r}, expected a number or n/a", text)
    if len(parts) != 2 or not all(parts.values()):
        raise ParseError("ethtool -l", "expected maximums and current settings", text)
    maximum, current = parts["Pre-set maximums"], parts["Current hardware settings"]
    # Old versions print 0, not n/a, for a kind that the card lacks.
    kinds = [kind for kind in current if maximum.get(kind, 0) > 0]
    return Channels({kind: current[kind] for kind in kinds}, {kind: maximum[kind] for kind in kinds})


def rings_json(text: str) -> Rings:
    """Read ``ethtool --json -g``: ``[ { "ifname": "eth0", "rx-max": 256, "tx-max": 256, "rx": 256, "tx": 256, "tx-push": false } ]``."""
    data = {name: value for name, value in _load("-g", text).items() if name != "ifname"}
    if not data:
        raise ParseError("ethtool --json -g", "expected ring parameters", text)
    maximum = {name[: -len("-max")]: value for name, value in data.items() if name.endswith("-max")}
    renamed = {"tx-push-buff-len": "tx-push-buf-len"}
    current = {renamed.get(name, name): value for name, value in data.items() if not name.endswith("-max")}
    return Rings(current, {renamed.get(name, name): value for name, value in maximum.items()})


def rings(text: str) -> Rings:
    """Read the text of ``ethtool -g``; ``n/a`` is a parameter that the card lacks.

    Ring parameters for eth0:
    Pre-set maximums:
    RX:             4096
    RX Mini:        n/a
    TX:             4096
    Current hardware settings:
    RX:             256
    TX:             256
    TX Push:        off
    """
    maximum: Dict[str, int] = {}
    current: Dict[str, Any] = {}
    part: Optional[Dict[str, Any]] = None
    for line in text.splitlines():
        label, colon, value = (word.strip() for word in line.partition(":"))
        if label == "Pre-set maximums":
            part = maximum
        elif label == "Current hardware settings":
            part = current
        elif part is not None and colon and value != "n/a":
            if label not in _RING_LABELS:
                raise ParseError("ethtool -g", f"unknown parameter {label!r}", text)
            part[_RING_LABELS[label]] = _scalar(value)
    if not current:
        raise ParseError("ethtool -g", "expected current hardware settings", text)
    # Old versions print 0, not n/a, for a ring that the card lacks.
    absent = [name for name, value in current.items() if value == 0 and not isinstance(value, bool) and not maximum.get(name)]
    return Rings(
        {name: value for name, value in current.items() if name not in absent}, {name: value for name, value in maximum.items() if value}
    )


def coalesce_json(text: str) -> Dict[str, Any]:
    """Read ``ethtool --json -c``: ``[ { "ifname": "eth0", "adaptive-rx": false, "rx-usecs": 3 } ]``."""
    data = {_COALESCE_OPTIONS.get(name, name): value for name, value in _load("-c", text).items() if name != "ifname"}
    if not data:
        raise ParseError("ethtool --json -c", "expected coalescing parameters", text)
    return data


def coalesce(text: str) -> Dict[str, Any]:
    """Read the text of ``ethtool -c``; ``n/a`` is a parameter that the card lacks.

    Coalesce parameters for eth0:
    Adaptive RX: off  TX: n/a
    stats-block-usecs:      n/a
    rx-usecs:       3
    CQE mode RX: n/a  TX: n/a
    """
    found: Dict[str, Any] = {}
    for line in text.splitlines():
        pair = re.fullmatch(r"(Adaptive|CQE mode)\s+RX:\s*(\S+)\s+TX:\s*(\S+)\s*", line)
        single = re.fullmatch(r"([a-z][a-z-]*):\s*(\S+)\s*", line)
        if pair:
            prefix = "adaptive" if pair[1] == "Adaptive" else "cqe-mode"
            words = [(f"{prefix}-rx", pair[2]), (f"{prefix}-tx", pair[3])]
        elif single:
            words = [(_COALESCE_OPTIONS.get(single[1], single[1]), single[2])]
        elif not line.strip() or line.startswith("Coalesce parameters for "):
            continue
        else:
            raise ParseError("ethtool -c", f"unknown line {line.strip()!r}", text)
        found.update({name: _scalar(word) for name, word in words if word != "n/a"})
    if not found:
        raise ParseError("ethtool -c", "expected coalescing parameters", text)
    return found


def features_json(text: str) -> Dict[str, Feature]:
    """Read ``ethtool --json -k``: ``[ { "ifname": "eth0", "rx-gro-list": { "active": false, "fixed": false, "requested": false } } ]``."""
    found = {}
    for name, state in _load("-k", text).items():
        if name == "ifname":
            continue
        if not isinstance(state, dict) or not isinstance(state.get("active"), bool):
            raise ParseError("ethtool --json -k", f"feature {name!r} has no 'active'", text)
        aggregate = state.get("fixed") is None
        requested = state.get("requested")
        found[name] = Feature(
            state["active"], state["active"] if requested is None or state["fixed"] else requested, bool(state["fixed"]), aggregate
        )
    if not found:
        raise ParseError("ethtool --json -k", "expected features", text)
    return found


def features(text: str) -> Dict[str, Feature]:
    """Read the text of ``ethtool -k``.

    Features for eth0:
    rx-checksumming: on [fixed]
    tx-checksumming: on
            tx-checksum-ipv4: off [fixed]
            tx-checksum-ip-generic: on
    large-receive-offload: off [requested on]
    """
    found: Dict[str, Feature] = {}
    for line in text.splitlines():
        if line.startswith(("Features for ", "Offload parameters for ")) or not line.strip():
            continue
        match = re.fullmatch(r"\s*([A-Za-z0-9_-]+): (on|off)(?: \[(fixed|requested on|requested off|not requested)\])?\s*", line)
        if not match:
            raise ParseError("ethtool -k", f"unknown line {line.strip()!r}", text)
        active = match[2] == "on"
        requested = {"requested on": True, "requested off": False, "not requested": False}.get(match[3] or "", active)
        aggregate = match[1] in _AGGREGATES and not line.startswith(("\t", " "))
        found[match[1]] = Feature(active, requested, match[3] == "fixed", aggregate)
    if not found:
        raise ParseError("ethtool -k", "expected features", text)
    return found


def rss_json(text: str) -> Optional[Rss]:
    """Read ``ethtool --json -x``; None where the card has no table.

    [ { "ifname": "eth0", "rss-indirection-table": [ 0,1,2,3 ], "rss-hash-key": [ 190,172 ], "rss-hash-function": "toeplitz" } ]
    """
    data = _load("-x", text)
    table = data.get("rss-indirection-table")
    if not table:
        return None
    if not all(isinstance(queue, int) for queue in table):
        raise ParseError("ethtool --json -x", "expected queue numbers in the table", text)
    key = data.get("rss-hash-key")
    if isinstance(key, list):
        key = ":".join(f"{byte:02x}" for byte in key)
    return Rss(tuple(table), key or None, data.get("rss-hash-function"))


def rss(text: str) -> Optional[Rss]:
    """Read the text of ``ethtool -x``; None where the card has no table.

    RX flow hash indirection table for eth0 with 4 RX ring(s):
        0:      0     1     2     3     0     1     2     3
    RSS hash key:
    6d:5a:56:da
    RSS hash function:
        toeplitz: on
        xor: off
    """
    if "RX flow hash indirection table for" not in text:
        raise ParseError("ethtool -x", "expected 'RX flow hash indirection table for'", text)
    table: List[int] = []
    key: Optional[str] = None
    function: Optional[str] = None
    functions: List[str] = []
    section = ""
    for line in text.splitlines():
        if line.startswith("RX flow hash indirection table"):
            section = "table"
        elif line.startswith(("RSS hash key", "RSS hash function", "RSS input transformation")):
            section = line.split(":")[0]
        elif section == "table" and re.match(r"\s*\d+:", line):
            start, _sep, row = line.partition(":")
            if int(start) != len(table):
                raise ParseError("ethtool -x", f"the table goes on at entry {start.strip()}, expected {len(table)}", text)
            table.extend(int(queue) for queue in row.split())
        elif section == "RSS hash key" and re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2})+", line.strip()):
            key = line.strip()
        elif section == "RSS hash function" and ":" in line:
            name, _sep, state = (word.strip() for word in line.partition(":"))
            functions.append(name)
            if state == "on":
                function = name
    return Rss(tuple(table), key, function, tuple(functions)) if table else None


def driver(text: str) -> Tuple[str, str]:
    """Read driver and bus address from ``ethtool -i``; the address is empty for a software device."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if "driver" not in fields:
        raise ParseError("ethtool -i", "expected 'driver:'", text)
    bus = fields.get("bus-info", "").strip()
    return fields["driver"].strip(), bus if ":" in bus else ""


# Phrase of `ethtool -n IF rx-flow-hash TYPE` to letter of `ethtool -N IF rx-flow-hash TYPE LETTERS`.
_HASH_LETTERS = {
    "L2DA": "m",
    "VLAN tag": "v",
    "L3 proto": "t",
    "IP SA": "s",
    "IP DA": "d",
    "L4 bytes 0 & 1 [TCP/UDP src port]": "f",
    "L4 bytes 2 & 3 [TCP/UDP dst port]": "n",
    "GTP TEID": "e",
}


def hash_fields(text: str) -> str:
    """Read which fields of a flow are hashed, as the letters of ``ethtool -N``, from ``ethtool -n IF rx-flow-hash tcp4``.

    TCP over IPV4 flows use these fields for computing Hash flow key:
    IP SA
    IP DA
    L4 bytes 0 & 1 [TCP/UDP src port]
    L4 bytes 2 & 3 [TCP/UDP dst port]
    """
    head, _sep, body = text.partition("flows use these fields for computing Hash flow key:")
    if not body and "All matching flows discarded" in text:
        return "r"
    if not body and not head.endswith("key:"):
        raise ParseError("ethtool -n rx-flow-hash", "expected 'flows use these fields'", text)
    letters = ""
    for line in body.splitlines():
        phrase = line.strip()
        if not phrase or phrase.startswith("For RSS context"):
            continue
        if phrase in ("None", "none"):
            return ""
        if phrase not in _HASH_LETTERS:
            raise ParseError("ethtool -n rx-flow-hash", f"unknown field {phrase!r}", text)
        letters += _HASH_LETTERS[phrase]
    return letters


def ntuple(text: str) -> Tuple[str, ...]:
    """Read the classification rules of ``ethtool -n``, each as one line of its words; none is an empty tuple.

    4 RX rings available
    Total 1 rules

    Filter: 15
            Flow Type: Raw Ethernet
            Action: Direct to queue 1
    """
    rules: List[str] = []
    total: Optional[int] = None
    for line in text.splitlines():
        words = " ".join(line.split())
        counted = re.fullmatch(r"Total (\d+) rules", words)
        if counted:
            total = int(counted[1])
        elif words.startswith("Filter:"):
            rules.append(words)
        elif rules and words:
            rules[-1] += "; " + words
    if total is None or total != len(rules):
        raise ParseError("ethtool -n", f"expected {total if total is not None else 'a number of'} rules, found {len(rules)}", text)
    return tuple(rules)


def statistics(text: str) -> Dict[str, int]:
    """Read ``ethtool -S``: ``     rx_queue_0_packets: 12`` per line; a value that is no number is left out by its driver's choice."""
    if not text.startswith("NIC statistics"):
        raise ParseError("ethtool -S", "expected 'NIC statistics:'", text)
    found = {}
    for line in text.splitlines()[1:]:
        name, _sep, value = (word.strip() for word in line.rpartition(":"))
        if re.fullmatch(r"-?\d+", value):
            found[name] = int(value)
    return found


def softirqs(text: str, kind: str) -> Dict[int, int]:
    """Read one row of /proc/softirqs by CPU number.

                  CPU0       CPU1
    NET_RX:      14594      22822
    """
    lines = text.splitlines()
    cpus = _header(lines, "/proc/softirqs", text)
    for line in lines[1:]:
        label, _sep, rest = line.partition(":")
        if label.strip() == kind:
            counts = rest.split()
            if len(counts) != len(cpus) or not all(count.isdigit() for count in counts):
                raise ParseError("/proc/softirqs", f"row {kind} has {len(counts)} numbers for {len(cpus)} CPUs", text)
            return dict(zip(cpus, (int(count) for count in counts)))
    raise ParseError("/proc/softirqs", f"no row {kind}", text)


def interrupts(text: str) -> Dict[int, Dict[int, int]]:
    """Read the numbered rows of /proc/interrupts: interrupt to CPU number to count.

               CPU0       CPU1
     38:          0      23247 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
    NMI:          0          0   Non-maskable interrupts
    """
    lines = text.splitlines()
    cpus = _header(lines, "/proc/interrupts", text)
    found = {}
    for line in lines[1:]:
        label, _sep, rest = line.partition(":")
        if label.strip().isdigit():
            counts = rest.split()[: len(cpus)]
            if len(counts) != len(cpus) or not all(count.isdigit() for count in counts):
                raise ParseError("/proc/interrupts", f"row {label.strip()} has fewer numbers than CPUs", text)
            found[int(label)] = dict(zip(cpus, (int(count) for count in counts)))
    return found


def _header(lines: List[str], tool: str, text: str) -> List[int]:
    words = lines[0].split() if lines else []
    if not words or not all(re.fullmatch(r"CPU\d+", word) for word in words):
        raise ParseError(tool, "expected a header of CPU names", text)
    return [int(word[3:]) for word in words]


def softnet(text: str, online: List[int]) -> Dict[int, Dict[str, int]]:
    """Read /proc/net/softnet_stat by CPU number.

    Hexadecimal columns: 1 processed, 2 dropped, 3 time_squeeze, 10 received_rps, 11 flow_limit_count, 12 backlog, 13 CPU number. A CPU that is
    offline has no row, so the row number is no CPU number; kernels before 5.10 lack column 13, and there rows follow the online CPUs.

    0000022e 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
    """
    names = {1: "processed", 2: "dropped", 3: "time_squeeze", 10: "received_rps", 11: "flow_limit_count", 12: "backlog"}
    rows = [line.split() for line in text.splitlines() if line.strip()]
    found: Dict[int, Dict[str, int]] = {}
    for at, row in enumerate(rows):
        try:
            columns = [int(word, 16) for word in row]
        except ValueError as error:
            raise ParseError("/proc/net/softnet_stat", "expected hexadecimal columns", text) from error
        if len(columns) < 9:
            raise ParseError("/proc/net/softnet_stat", f"row {at} has {len(columns)} columns, expected 9 or more", text)
        if len(columns) >= 13:
            cpu = columns[12]
        elif len(rows) == len(online):
            cpu = online[at]
        else:
            raise ParseError("/proc/net/softnet_stat", f"{len(rows)} rows without CPU numbers for {len(online)} online CPUs", text)
        found[cpu] = {name: columns[column - 1] for column, name in names.items() if column <= len(columns)}
    if not found:
        raise ParseError("/proc/net/softnet_stat", "expected a row per CPU", text)
    return found
