# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ping: the round trip of each ICMP echo, and its percentiles.

Works with ping of iputils, with that of busybox, and with fping; none of them has JSON in all releases that are in use (fping from 5.5).
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Metric
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Option, Params, Reading, Tool, finite, percentile

PERCENTILES = (50, 95, 99)

OPTIONS = (
    # Sequence numbers have 16 bits.
    Option("count", default=100, least=1, most=65535),
    Option("interval", "float", default=0.01, least=0.001, most=60),
    Option("size", default=56, least=16, most=65507),
    Option("program", "str", default="ping", choices=("ping", "fping")),
)
# Answers later than this are lost; the last echo is waited for this long.
WAIT_S = 2


def argv(params: Params, scratch: str) -> List[str]:
    """Return the command line; every round trip is printed, since percentiles need them."""
    if params["program"] == "fping":
        milliseconds = f"{params['interval'] * 1000:g}"
        return [
            "fping", "-C", str(params["count"]), "-p", milliseconds, "-b", str(params["size"]), "-t", str(WAIT_S * 1000), "-q",
            params["host"],
        ]  # fmt: skip
    return [
        "ping", "-n", "-c", str(params["count"]), "-i", f"{params['interval']:g}", "-s", str(params["size"]), "-W", str(WAIT_S),
        params["host"],
    ]  # fmt: skip


def seconds(params: Params) -> float:
    """Return the predicted run time."""
    return float(params["count"] * params["interval"] + WAIT_S)


def parse_version(text: str) -> Optional[str]:
    """Read ``ping -V`` (``ping from iputils 20240905``), busybox's usage text (``BusyBox v1.37.0 (Debian …)``) or ``fping -v``."""
    found = re.search(r"ping from (iputils[ -]s?[0-9.]+)|^(BusyBox v[0-9.]+)|^(fping: Version [0-9.]+)", text, re.MULTILINE)
    return next(group for group in found.groups() if group).replace(": Version", "") if found else None


def parse_ping(text: str) -> tuple[Dict[int, float], int]:
    """Read the round trips in ms by sequence number, and the number of echoes sent.

    Samples of iputils and busybox::

        64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.033 ms
        64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.033 ms (DUP!)
        20 packets transmitted, 20 received, 0% packet loss, time 190ms

        64 bytes from 10.0.0.2: seq=0 ttl=64 time=0.036 ms
        3 packets transmitted, 3 packets received, 0% packet loss
    """
    name = "ping"
    summary = re.search(r"^([0-9]+) packets transmitted, ([0-9]+) (?:packets )?received", text, re.MULTILINE)
    if not summary:
        raise ParseError(name, "there is no line 'packets transmitted'", text)
    trips: Dict[int, float] = {}
    for line in text.splitlines():
        found = re.search(r"\b(?:icmp_)?seq=([0-9]+) .*\btime[=<]([0-9.]+) ms", line)
        if found and "(DUP!)" not in line:
            trips[int(found.group(1))] = finite(name, found.group(2), "a round trip", text)
    sent, received = int(summary.group(1)), int(summary.group(2))
    if len(trips) != received:
        raise ParseError(name, f"it received {received} answers and printed {len(trips)} round trips", text)
    return trips, sent


def parse_fping(text: str) -> tuple[Dict[int, float], int]:
    """Read the round trips in ms by sequence number, and the number of echoes sent, from ``fping -C N -q``.

    Sample (a dash for each answer that did not come)::

        10.0.0.2 : 0.033 0.010 - 0.005
    """
    name = "fping"
    rows = [line for line in text.splitlines() if re.fullmatch(r"\S+ +:( +([0-9.]+|-))+ *", line)]
    if len(rows) != 1:
        raise ParseError(name, f"there are {len(rows)} lines of round trips, not one", text)
    fields = rows[0].split(" :", 1)[1].split()
    return {place: finite(name, field, "a round trip", text) for place, field in enumerate(fields) if field != "-"}, len(fields)


def read(completed: Completed, params: Params) -> Reading:
    """Turn what ping printed into metrics."""
    if params["program"] == "fping":
        trips, sent = parse_fping(completed.stderr + "\n" + completed.stdout)
    else:
        if completed.rc not in (0, 1):
            # 1 is an echo without an answer, which the summary tells better.
            completed.require(f"ping {params['host']}")
        trips, sent = parse_ping(completed.stdout)
    if not trips:
        raise CommandError(f"ping: none of {sent} echoes to {params['host']} was answered.")
    values = [trip * 1e3 for _place, trip in sorted(trips.items())]
    ordered = sorted(values)
    metrics = {f"rtt_p{percent}": Metric(percentile(ordered, percent), "us", "lower") for percent in PERCENTILES}
    metrics["rtt_mean"] = Metric(sum(values) / len(values), "us", "lower")
    metrics["rtt_min"] = Metric(ordered[0], "us", "lower")
    metrics["rtt_max"] = Metric(ordered[-1], "us", "lower")
    metrics["loss"] = Metric(100.0 * (sent - len(trips)) / sent, "%", "lower")
    if metrics["rtt_p50"].value > 0:
        metrics["jitter_p99_p50"] = Metric(metrics["rtt_p99"].value / metrics["rtt_p50"].value, "ratio", "lower")
    lost = sent - len(trips)
    invalid = [f"ping: {lost} of {sent} echoes to {params['host']} were not answered."] if lost else []
    return Reading(metrics, {"rtt": values}, {"sent": sent, "received": len(trips)}, (), (), tuple(invalid))


VERSIONS = {"ping": (("ping", "-V"),), "fping": (("fping", "-v"),)}
TOOL = Tool("ping", OPTIONS, VERSIONS, parse_version, argv, seconds, read)
