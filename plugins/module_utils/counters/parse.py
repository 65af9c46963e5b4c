# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of the kernel's counters in, values out; a form that is not known is a ParseError, never a silent zero."""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.counters.model import Cells, CpuTimes, Interrupt, Snapshot, SoftnetRow
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError

CPU_STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
# Position of each column of softnet_stat; kernels before 5.10 have no CPU id, those before 4.18 none after flow_limit.
SOFTNET_COLUMNS = {"processed": 0, "dropped": 1, "time_squeeze": 2, "received_rps": 9, "flow_limit": 10, "backlog": 11}
SOFTNET_CPU_COLUMN = 12
INTERFACE_COLUMNS = (
    "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "rx_fifo", "rx_frame", "rx_compressed", "rx_multicast",
    "tx_bytes", "tx_packets", "tx_errors", "tx_dropped", "tx_fifo", "tx_collisions", "tx_carrier", "tx_compressed",
)  # fmt: skip


def _count(tool: str, text: str, field: str, base: int = 10) -> int:
    # int() alone would take "1_0", " 1" and digits of other scripts.
    if not field.isascii() or not field.isalnum():
        raise ParseError(tool, f"{field!r} is not a count", text)
    try:
        return int(field, base)
    except ValueError:
        raise ParseError(tool, f"{field!r} is not a count", text) from None


def parse_stat(text: str) -> tuple[dict[str, CpuTimes], int]:
    """Read /proc/stat: the time of each CPU that is online, in clock ticks, and the number of context switches.

    Sample::

        cpu  12587 0 5917 118621 955 0 180 20 0 0
        cpu0 5385 0 2579 61173 122 0 13 8 0 0
        intr 596468 0 0
        ctxt 1516263
    """
    name = "/proc/stat"
    cpus: dict[str, CpuTimes] = {}
    switches = None
    for line in text.splitlines():
        fields = line.split()
        if not fields:
            continue
        if fields[0] == "ctxt" and len(fields) == 2:
            switches = _count(name, text, fields[1])
        elif fields[0].startswith("cpu") and fields[0] != "cpu":
            cpu = str(_count(name, text, fields[0][3:]))
            if len(fields) < 1 + len(CPU_STATES):
                raise ParseError(name, f"the line of CPU {cpu} has {len(fields) - 1} columns, not {len(CPU_STATES)} or more", text)
            # Time of guests (the two columns that follow) is in user and nice already.
            cpus[cpu] = CpuTimes(**{state: _count(name, text, field) for state, field in zip(CPU_STATES, fields[1:])})
    if not cpus or switches is None:
        raise ParseError(name, "there is no line of a CPU, or none of the context switches", text)
    return cpus, switches


def _header(name: str, text: str) -> tuple[tuple[str, ...], list[str]]:
    lines = text.splitlines()
    titles = lines[0].split() if lines else []
    if not titles or not all(title.startswith("CPU") for title in titles):
        raise ParseError(name, "the first line does not name the CPUs", text)
    return tuple(str(_count(name, text, title[3:])) for title in titles), lines[1:]


def _cells(name: str, text: str, cpus: Sequence[str], fields: Sequence[str]) -> Cells:
    return {cpu: _count(name, text, field) for cpu, field in zip(cpus, fields)}


def parse_interrupts(text: str) -> dict[str, Interrupt]:
    """Read /proc/interrupts: the count per CPU of each interrupt, keyed by its number or by its short name.

    Sample::

                   CPU0       CPU1
         38:          0      33822 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
        LOC:     800524     815357   Local timer interrupts
        ERR:          0
    """
    name = "/proc/interrupts"
    cpus, lines = _header(name, text)
    interrupts = {}
    for line in lines:
        if not line.strip():
            continue
        key, colon, rest = line.partition(":")
        fields = rest.split()
        if not colon or not fields:
            raise ParseError(name, f"the line {line.strip()!r} is not one of an interrupt", text)
        if len(fields) < len(cpus) or not fields[len(cpus) - 1].isdigit():
            # ERR and MIS are counted for the whole machine.
            interrupts[key.strip()] = Interrupt({"all": _count(name, text, fields[0])}, " ".join(fields[1:]))
        else:
            interrupts[key.strip()] = Interrupt(_cells(name, text, cpus, fields), " ".join(fields[len(cpus) :]))
    return interrupts


def parse_softirqs(text: str) -> dict[str, Cells]:
    """Read /proc/softirqs: the count per CPU of each kind; its columns are all possible CPUs.

    Sample::

                        CPU0       CPU1
          NET_RX:    3738603    2160074
    """
    name = "/proc/softirqs"
    cpus, lines = _header(name, text)
    kinds: dict[str, Cells] = {}
    for line in lines:
        if not line.strip():
            continue
        key, colon, rest = line.partition(":")
        fields = rest.split()
        if not colon or len(fields) != len(cpus):
            raise ParseError(name, f"the line {line.strip()!r} does not have one count for each of {len(cpus)} CPUs", text)
        kinds[key.strip()] = _cells(name, text, cpus, fields)
    if not kinds:
        raise ParseError(name, "there is no line of a softirq", text)
    return kinds


def parse_softnet(text: str) -> list[SoftnetRow]:
    """Read /proc/net/softnet_stat: hexadecimal columns, one row per CPU that is online.

    The row number is never the CPU: CPUs that are offline have no row. Where a kernel prints no CPU id the row has none.

    Sample::

        0000002a 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001
    """
    name = "/proc/net/softnet_stat"
    rows = []
    for line in text.splitlines():
        fields = line.split()
        if not fields:
            continue
        if len(fields) < 3:
            raise ParseError(name, f"the row {line!r} has fewer than 3 columns", text)
        values = [_count(name, text, field, 16) for field in fields]
        cpu = str(values[SOFTNET_CPU_COLUMN]) if len(values) > SOFTNET_CPU_COLUMN else None
        rows.append(SoftnetRow(cpu, {key: values[column] for key, column in SOFTNET_COLUMNS.items() if column < len(values)}))
    if not rows:
        raise ParseError(name, "there is no row of a CPU", text)
    return rows


def parse_interfaces(text: str) -> dict[str, dict[str, int]]:
    """Read /proc/net/dev: bytes, packets and errors of each interface of this network namespace.

    Sample::

        Inter-|   Receive                                                |  Transmit
         face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
          eth0: 1834081199   42733    0    0    0     0          0         0  2166071   23814    0    0    0     0       0          0
    """
    name = "/proc/net/dev"
    lines = text.splitlines()
    if len(lines) < 2 or "Receive" not in lines[0]:
        raise ParseError(name, "the two lines of titles are missing", text)
    interfaces = {}
    for line in lines[2:]:
        if not line.strip():
            continue
        # A label may hold a colon (eth0:1), a counter never does.
        key, colon, rest = line.rpartition(":")
        fields = rest.split()
        if not colon or len(fields) != len(INTERFACE_COLUMNS):
            raise ParseError(name, f"the line {line.strip()!r} does not have {len(INTERFACE_COLUMNS)} columns", text)
        interfaces[key.strip()] = {column: _count(name, text, field) for column, field in zip(INTERFACE_COLUMNS, fields)}
    return interfaces


def snapshot_of(document: Mapping[str, Any]) -> Snapshot:
    """Read what ``capture`` in responder.py returned, here or on another node.

    Sample::

        {"schema": 1, "monotonic_s": 512.25, "boot_id": "…", "scope": "node", "ticks_per_second": 100,
         "files": {"stat": "cpu  12587 0 …", "interrupts": "…", "softirqs": "…", "net/softnet_stat": "…", "net/dev": "…"},
         "process_ticks": {"netserver": 43}, "other_process_ticks": 91}
    """
    name = "counters"
    if not isinstance(document, Mapping) or document.get("schema") != 1:
        raise ParseError(name, "this is not a snapshot of counters with schema 1", str(document))
    try:
        files = {key: str(value) for key, value in document["files"].items()}
        cpus, switches = parse_stat(files["stat"])
        monotonic, ticks = float(document["monotonic_s"]), int(document["ticks_per_second"])
        if not math.isfinite(monotonic) or ticks < 1:
            raise ParseError(name, "the time of the snapshot is not a number", f"{monotonic} {ticks}")
        return Snapshot(
            monotonic_s=monotonic,
            boot_id=str(document["boot_id"]),
            scope=str(document["scope"]),
            ticks_per_second=ticks,
            cpus=cpus,
            context_switches=switches,
            interrupts=parse_interrupts(files["interrupts"]),
            softirqs=parse_softirqs(files["softirqs"]),
            softnet=parse_softnet(files["net/softnet_stat"]),
            interfaces=parse_interfaces(files["net/dev"]),
            process_ticks={str(key): int(value) for key, value in document["process_ticks"].items()},
            # A capture of a node that cannot see all processes has none.
            other_process_ticks=None if document.get("other_process_ticks") is None else int(document["other_process_ticks"]),
        )
    except (KeyError, AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ParseError(name, f"the snapshot is incomplete ({error})", str(document)) from error
