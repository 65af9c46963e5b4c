# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""iperf3: bulk transfer over one or many streams, read from its JSON."""

from __future__ import annotations

import json
import re
from typing import Any, List, Mapping, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Metric
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Option, Params, Reading, Tool, Work, finite

DIRECTIONS = {"forward": (), "reverse": ("-R",), "both": ("--bidir",)}

OPTIONS = (
    Option("port", flag="-p", default=5201, least=1, most=65535),
    Option("protocol", "str", default="tcp", choices=("tcp", "udp")),
    Option("duration", flag="-t", default=10, least=1, most=86400),
    Option("omit", flag="-O", least=1, most=60),
    Option("streams", flag="-P", default=1, least=1, most=128),
    Option("direction", "str", default="forward", choices=tuple(DIRECTIONS)),
    Option("length", flag="-l", least=1, most=1048576),
    Option("bitrate", "str"),
    Option("window", flag="-w", least=1024, most=1 << 30),
    Option("congestion_control", "str", flag="-C"),
    Option("no_delay", "bool", flag="-N", default=False),
    Option("zero_copy", "bool", flag="-Z", default=False),
    Option("extra_args", "list", default=[], elements="str"),
)

# -d is --debug, though other tools and many documents take it for duplex; its text spoils the JSON.
DEBUG = ("-d", "--debug")


def check(params: Params) -> None:
    """Raise for options that contradict each other."""
    for argument in params["extra_args"]:
        # -d also hides in a group of flags (-Vd), and --deb abbreviates --debug.
        group = re.fullmatch(r"-[A-Za-z0-9]*d[A-Za-z0-9]*", argument)
        if argument in DEBUG or group or re.fullmatch(r"--deb(u|ug)?(=.*)?", argument):
            raise InvalidValueError(
                f"iperf3: extra_args must not hold {argument!r}: that asks for debugging output, not for both directions. "
                "Set direction to both for both directions at once, or to reverse."
            )
    if params["protocol"] == "udp":
        if params["length"] is not None and params["length"] > 65507:
            raise InvalidValueError(f"iperf3: length of udp must be 1 to 65507 (one datagram), not {params['length']}.")
        refused = [name for name in ("congestion_control",) if params[name]] + [name for name in ("no_delay", "zero_copy") if params[name]]
        if refused:
            raise InvalidValueError(f"iperf3: {refused[0]} is for protocol tcp; leave it out, or set protocol to tcp.")
    if params["bitrate"] is not None and not re.fullmatch(r"[0-9]+(\.[0-9]+)?[KMGT]?(/[0-9]+)?", params["bitrate"], re.IGNORECASE):
        raise InvalidValueError(
            f"iperf3: bitrate must be a number with an optional K, M, G or T, such as 100M, or 0 for unlimited, not {params['bitrate']!r}."
        )


def argv(params: Params, scratch: str) -> List[str]:
    """Return the command line; without a bit rate UDP is unlimited here, not iperf3's 1 Mbit/s."""
    line = ["iperf3", "-c", params["host"], "-J"]
    for option in OPTIONS:
        line += option.argv(params[option.name])
    if params["protocol"] == "udp":
        line += ["-u", "-b", params["bitrate"] or "0"]
    elif params["bitrate"]:
        line += ["-b", params["bitrate"]]
    return [*line, *DIRECTIONS[params["direction"]], *params["extra_args"]]


def seconds(params: Params) -> float:
    """Return the predicted run time."""
    return float(params["duration"] + (params["omit"] or 0))


def parse_version(text: str) -> Optional[str]:
    """Read ``iperf3 --version``: ``iperf 3.18 (cJSON 1.7.15)``."""
    found = re.search(r"^iperf (\d\S*)", text, re.MULTILINE)
    return found.group(1) if found else None


def parse(completed: Completed, host: str) -> dict[str, Any]:
    """Read the JSON, and raise if iperf3 says that it failed; the exit status tells that only from 3.14.

    Sample (shortened; 3.9 leaves ``error`` out and says it on standard error, with an empty ``end``)::

        {"start": {"version": "iperf 3.12", "test_start": {"protocol": "TCP", "num_streams": 1, "blksize": 131072}},
         "intervals": [{"sum": {"bits_per_second": 28267204874.5}}],
         "end": {"sum_sent": {"bytes": 3535011840, "seconds": 1.0, "bits_per_second": 28267204874.5, "retransmits": 0},
                 "sum_received": {"bytes": 3530948608, "seconds": 1.001, "bits_per_second": 28218580163.5},
                 "cpu_utilization_percent": {"host_total": 96.1, "host_user": 1.6, "remote_total": 94.7}},
         "error": "unable to connect to server: Connection refused"}
    """
    try:
        document = json.loads(completed.stdout)
    except (ValueError, RecursionError) as error:
        completed.require(f"run iperf3 to {host}")
        raise ParseError("iperf3", f"this is not JSON ({type(error).__name__})", completed.stdout) from error
    if not isinstance(document, dict):
        raise ParseError("iperf3", "this is not a JSON object", completed.stdout)
    if document.get("error"):
        raise CommandError(f"iperf3 to {host} failed: {' '.join(str(document['error']).split())}.")
    said = [line for line in completed.stderr.splitlines() if "error" in line]
    if said and not document.get("end"):
        raise CommandError(f"iperf3 to {host} failed: {said[-1].strip()}.")
    completed.require(f"run iperf3 to {host}")
    if not isinstance(document.get("end"), dict) or not document["end"]:
        raise ParseError("iperf3", "there is no result in 'end'", completed.stdout)
    return document


def read(completed: Completed, params: Params) -> Reading:
    """Turn what iperf3 printed into metrics."""
    document = parse(completed, params["host"])
    text = completed.stdout
    end = document["end"]
    udp = params["protocol"] == "udp"
    metrics: dict[str, Metric] = {}
    invalid: List[str] = []
    received = 0.0
    packets = 0.0
    if params["direction"] == "both" and not any(key.endswith("_bidir_reverse") for key in end):
        raise ParseError("iperf3", "its JSON does not tell both directions apart, which it does from 3.12 on", text)
    for suffix, label in (("", ""), ("_bidir_reverse", "_reverse")) if params["direction"] == "both" else (("", ""),):
        parts = _udp(end, document, suffix, text) if udp else _tcp(end, suffix, text)
        sent, arrived, transferred, count, extra = parts
        metrics[f"throughput{label}"] = Metric(arrived / 1e6, "Mbit/s", "higher")
        metrics[f"throughput_sent{label}"] = Metric(sent / 1e6, "Mbit/s", "neither")
        metrics.update({f"{name}{label}": metric for name, metric in extra.items()})
        received += transferred
        packets += count
        if arrived <= 0:
            invalid.append(f"iperf3 moved nothing{' in the reverse direction' if label else ''}: no byte was received.")
    if params["direction"] == "both":
        total = metrics["throughput"].value + metrics["throughput_reverse"].value
        metrics["throughput_total"] = Metric(total, "Mbit/s", "higher")
    not_measured = _cpu(end, metrics, text)
    samples = {} if params["direction"] == "both" else {"throughput_interval": _intervals(document, text)}
    start = _object(document, "start", text).get("test_start")
    facts = {
        "start": start if isinstance(start, dict) else {},
        "congestion_control": {key: end[key] for key in ("sender_tcp_congestion", "receiver_tcp_congestion") if key in end},
        "interval_samples": "what the client's side saw of each second: sent bytes if it sends, received bytes if it receives",
    }
    return Reading(metrics, samples, facts, not_measured, (), tuple(invalid), Work(packets or None, received or None))


def _object(where: Mapping[str, Any], name: str, text: str) -> Mapping[str, Any]:
    value = where.get(name)
    if not isinstance(value, dict):
        raise ParseError("iperf3", f"there is no object {name!r}", text)
    return value


def _number(where: Mapping[str, Any], name: str, text: str) -> float:
    return finite("iperf3", where.get(name), name, text)


Direction = Tuple[float, float, float, float, "dict[str, Metric]"]


def _tcp(end: Mapping[str, Any], suffix: str, text: str) -> Direction:
    """Return bit/s sent, bit/s received, bytes received, packets (not known), and what else TCP tells."""
    sent, received = _object(end, f"sum_sent{suffix}", text), _object(end, f"sum_received{suffix}", text)
    extra = {}
    if sent.get("retransmits") is not None:
        extra["retransmits"] = Metric(_number(sent, "retransmits", text), "segments", "lower")
    return (
        _number(sent, "bits_per_second", text),
        _number(received, "bits_per_second", text),
        _number(received, "bytes", text),
        0.0,
        extra,
    )


def _udp(end: Mapping[str, Any], document: Mapping[str, Any], suffix: str, text: str) -> Direction:
    """Return the same for UDP, with loss and jitter.

    ``sum`` holds the bytes that were sent, even though loss and jitter in it are the receiver's, and 3.9 has no ``sum_received``: what
    arrived is counted from the datagrams that were not lost.
    """
    total = _object(end, f"sum{suffix}", text)
    sent = _object(end, f"sum_sent{suffix}", text) if f"sum_sent{suffix}" in end else total
    size = _number(_object(_object(document, "start", text), "test_start", text), "blksize", text)
    packets, lost = _number(total, "packets", text), _number(total, "lost_packets", text)
    elapsed = _number(total, "seconds", text)
    if elapsed <= 0 or size <= 0 or lost > packets:
        raise ParseError("iperf3", f"{lost:g} of {packets:g} datagrams of {size:g} bytes were lost in {elapsed:g} s", text)
    # Datagrams that arrive out of order are first taken for lost and then given back, below zero in some versions.
    arrived = packets - max(0.0, lost)
    extra = {
        "loss": Metric(100.0 * max(0.0, lost) / packets if packets else 0.0, "%", "lower"),
        "jitter": Metric(_number(total, "jitter_ms", text) * 1e3, "us", "lower"),
        "packet_rate": Metric(arrived / elapsed, "packets/s", "higher"),
        "packet_rate_sent": Metric(_number(sent, "packets", text) / elapsed, "packets/s", "neither"),
    }
    return _number(sent, "bits_per_second", text), arrived * size * 8 / elapsed, arrived * size, arrived, extra


def _cpu(end: Mapping[str, Any], metrics: dict[str, Metric], text: str) -> Tuple[str, ...]:
    """Add the CPU use of iperf3's own processes, in percent of one CPU; interrupts are not in it."""
    use = end.get("cpu_utilization_percent")
    missing = []
    for theirs, ours in (("host", "local"), ("remote", "remote")):
        for part in ("total", "user", "system"):
            name = f"process_cpu_{ours}" + ("" if part == "total" else f"_{part}")
            value = use.get(f"{theirs}_{part}") if isinstance(use, dict) else None
            if value is None:
                missing.append(name)
            else:
                metrics[name] = Metric(finite("iperf3", value, name, text), "%", "lower" if part == "total" else "neither")
    return tuple(missing)


def _intervals(document: Mapping[str, Any], text: str) -> List[float]:
    """Return each interval's Mbit/s; those of the warm-up (-O) are marked as omitted and left out."""
    intervals = document.get("intervals")
    if not isinstance(intervals, list):
        raise ParseError("iperf3", "there is no list 'intervals'", text)
    values = []
    for interval in intervals:
        total = interval.get("sum") if isinstance(interval, dict) else None
        if not isinstance(total, dict):
            raise ParseError("iperf3", "an interval has no 'sum'", text)
        if not total.get("omitted"):
            values.append(_number(total, "bits_per_second", text) / 1e6)
    return values


TOOL = Tool("iperf3", OPTIONS, {"iperf3": (("iperf3", "--version"),)}, parse_version, argv, seconds, read, check=check)
