# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""netperf: bulk transfer and request/response, with CPU use and service demand at both ends.

The classic tests (TCP_STREAM and so on) are run through netperf's omni code, whose output selector prints ``NAME=value`` lines.
"""

from __future__ import annotations

import re
from typing import Any, List, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Metric
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Option, Params, Reading, Tool, Work, finite

STREAMS = ("TCP_STREAM", "TCP_MAERTS", "UDP_STREAM")
TRANSACTIONS = ("TCP_RR", "TCP_CRR", "UDP_RR")
CONFIDENCE_LEVELS = (95, 99)
# Percent of all CPUs; the clock ticks of both readings are coarse, so that a little more than 100 is possible.
MOST_CPU = 105.0
# How long the server of TCP_CRR waits after the last connection.
CRR_WAIT_S = 4

# What is asked for; all of it exists in netperf 2.7.0 and 2.7.1.
SELECTED = (
    "THROUGHPUT", "THROUGHPUT_UNITS", "THROUGHPUT_CONFID", "LOCAL_SEND_THROUGHPUT", "REMOTE_RECV_THROUGHPUT", "ELAPSED_TIME",
    "PROTOCOL", "DIRECTION", "LOCAL_CPU_UTIL", "LOCAL_CPU_METHOD", "LOCAL_SD", "REMOTE_CPU_UTIL", "REMOTE_CPU_METHOD", "REMOTE_SD",
    "SD_UNITS", "CONFIDENCE_LEVEL", "CONFIDENCE_INTERVAL", "CONFIDENCE_ITERATION", "LOCAL_CPU_CONFID", "REMOTE_CPU_CONFID",
    "TRANSACTION_RATE", "RT_LATENCY", "MIN_LATENCY", "MEAN_LATENCY", "P50_LATENCY", "P90_LATENCY", "P99_LATENCY", "MAX_LATENCY",
    "STDDEV_LATENCY", "LOCAL_BYTES_SENT", "LOCAL_BYTES_RECVD", "REMOTE_BYTES_SENT", "REMOTE_BYTES_RECVD", "LOCAL_SEND_CALLS",
    "LOCAL_RECV_CALLS", "REMOTE_SEND_CALLS", "REMOTE_RECV_CALLS", "LOCAL_SEND_SIZE", "LOCAL_RECV_SIZE", "REMOTE_SEND_SIZE",
    "REMOTE_RECV_SIZE", "REQUEST_SIZE", "RESPONSE_SIZE", "LSS_SIZE_END", "LSR_SIZE_END", "RSS_SIZE_END", "RSR_SIZE_END",
    "LOCAL_TRANSPORT_RETRANS", "REMOTE_TRANSPORT_RETRANS", "TRANSPORT_MSS", "LOCAL_CONG_CONTROL", "LOCAL_CPU_COUNT",
    "REMOTE_CPU_COUNT", "COMMAND_LINE",
)  # fmt: skip
LATENCIES = {
    "latency_min": "MIN_LATENCY",
    "latency_mean": "MEAN_LATENCY",
    "latency_p50": "P50_LATENCY",
    "latency_p90": "P90_LATENCY",
    "latency_p99": "P99_LATENCY",
    "latency_max": "MAX_LATENCY",
}

OPTIONS = (
    Option("test", "str", required=True, choices=(*STREAMS, *TRANSACTIONS)),
    Option("port", default=12865, least=1, most=65535),
    Option("duration", default=10, least=1, most=86400),
    Option("message_size", least=1, most=64 * 1024 * 1024),
    Option("request_size", default=1, least=1, most=64 * 1024 * 1024),
    Option("response_size", default=1, least=1, most=64 * 1024 * 1024),
    Option("iterations_max", least=2, most=30),
    Option("iterations_min", least=2, most=30),
    Option("confidence_level", default=95, choices=CONFIDENCE_LEVELS),
    Option("confidence_width", "float", least=0.1, most=100),
    Option("cpu", "bool", default=True),
    Option("local_socket_buffer", least=1024, most=1 << 30),
    Option("remote_socket_buffer", least=1024, most=1 << 30),
    Option("data_port", least=1, most=65535),
)


def check(params: Params) -> None:
    """Raise for options that contradict each other."""
    if params["message_size"] is not None and params["test"] in TRANSACTIONS:
        raise InvalidValueError(f"netperf: message_size is for the tests {', '.join(STREAMS)}; for {params['test']} give request_size.")
    if params["message_size"] is not None and params["test"] == "UDP_STREAM" and params["message_size"] > 65507:
        raise InvalidValueError(f"netperf: message_size of UDP_STREAM must be 1 to 65507 (one datagram), not {params['message_size']}.")
    least, most = params["iterations_min"], params["iterations_max"]
    if (params["confidence_width"] is None) != (most is None):
        raise InvalidValueError("netperf: confidence_width and iterations_max belong together: give both, or neither.")
    if least is not None and (most is None or least > most):
        raise InvalidValueError(f"netperf: iterations_min ({least}) must not be above iterations_max ({most}).")


def argv(params: Params, scratch: str) -> List[str]:
    """Return the command line."""
    test = params["test"]
    line = ["netperf", "-H", params["host"], "-p", str(params["port"]), "-P", "0", "-j", "-t", test, "-l", str(params["duration"])]
    if params["iterations_max"] is not None:
        # -I takes the whole width: 5 asks for +-2.5 %.
        line += ["-i", f"{params['iterations_max']},{params['iterations_min'] or 2}"]
        line += ["-I", f"{params['confidence_level']},{params['confidence_width']:g}"]
    if params["cpu"]:
        line += ["-c", "-C"]
    line.append("--")
    if test in TRANSACTIONS:
        line += ["-r", f"{params['request_size']},{params['response_size']}"]
    elif params["message_size"] is not None:
        # In TCP_MAERTS it is the other end that sends: the second value of -m is its size.
        line += ["-m", f",{params['message_size']}" if test == "TCP_MAERTS" else str(params["message_size"])]
    if test == "UDP_STREAM":
        # netperf keeps this test to the local network unless it is told otherwise; a server behind a router would be unreachable.
        line += ["-R", "1"]
    if params["local_socket_buffer"] is not None:
        line += ["-s", str(params["local_socket_buffer"])]
    if params["remote_socket_buffer"] is not None:
        line += ["-S", str(params["remote_socket_buffer"])]
    if params["data_port"] is not None:
        line += ["-P", f",{params['data_port']}"]
    return [*line, "-k", ",".join(SELECTED)]


def seconds(params: Params) -> float:
    """Return the predicted run time: each iteration lasts ``duration``, and in TCP_CRR the server then waits for CRR_WAIT_S."""
    waited = CRR_WAIT_S if params["test"] == "TCP_CRR" else 0
    return float((params["duration"] + waited) * (params["iterations_max"] or 1))


def parse_version(text: str) -> Optional[str]:
    """Read ``netperf -V``: ``Netperf version 2.7.1``."""
    found = re.search(r"Netperf version (\S+)", text)
    return found.group(1) if found else None


def parse(text: str) -> dict[str, str]:
    """Read the output selector's lines.

    Sample::

        THROUGHPUT=66013.20
        THROUGHPUT_UNITS=Trans/s
        LOCAL_CPU_METHOD=S
        COMMAND_LINE="netperf -H 10.0.0.2 -P 0 -j -t TCP_RR"
    """
    values = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            values[name] = value.strip().strip('"')
    if "THROUGHPUT" not in values:
        raise ParseError("netperf", "there is no line THROUGHPUT=", text)
    return values


def read(completed: Completed, params: Params) -> Reading:
    """Turn what netperf printed into metrics."""
    text = completed.stdout
    completed.require(f"run netperf {params['test']} to {params['host']}")
    values = parse(text if text.strip() else completed.stderr)
    test = params["test"]
    metrics: dict[str, Metric] = {}
    not_measured: List[str] = []
    invalid: List[str] = []

    def number(name: str) -> float:
        if name not in values:
            raise ParseError("netperf", f"there is no line {name}=", text)
        return finite("netperf", values[name], name, text)

    wanted_units = "Trans/s" if test in TRANSACTIONS else "10^6bits/s"
    if values.get("THROUGHPUT_UNITS") != wanted_units:
        raise ParseError("netperf", f"the unit of {test} is {values.get('THROUGHPUT_UNITS')!r}, not {wanted_units!r}", text)
    rate = number("THROUGHPUT")
    if test == "UDP_STREAM":
        # What was sent may have been lost on the way: the result is what arrived.
        sent, rate = number("LOCAL_SEND_THROUGHPUT"), number("REMOTE_RECV_THROUGHPUT")
        metrics["throughput_sent"] = Metric(sent, "Mbit/s", "neither")
        if sent > 0:
            metrics["loss"] = Metric(max(0.0, 100.0 * (1 - rate / sent)), "%", "lower")
        bits = 8 * number("LOCAL_SEND_SIZE")
        if bits <= 0:
            raise ParseError("netperf", f"LOCAL_SEND_SIZE is {values['LOCAL_SEND_SIZE']}", text)
        # Each send is one datagram. The counts of calls are those of the last iteration only, the rates are the mean of all.
        metrics["packet_rate_sent"] = Metric(sent * 1e6 / bits, "packets/s", "neither")
        metrics["packet_rate"] = Metric(rate * 1e6 / bits, "packets/s", "higher")
    unit = "transactions/s" if test in TRANSACTIONS else "Mbit/s"
    metrics["throughput"] = Metric(rate, unit, "higher")
    if rate <= 0:
        invalid.append(f"netperf {test} moved nothing: its result is {rate:g} {unit}.")
    for end in ("local", "remote"):
        _cpu(end, values, number, test, metrics, not_measured)
    if test in TRANSACTIONS:
        _latencies(number, metrics, not_measured)
    confidence, warnings = _confidence(number, params, metrics)
    elapsed = number("ELAPSED_TIME") * number("CONFIDENCE_ITERATION")
    facts = {"values": values, "confidence": confidence}
    work = Work(requests=rate * elapsed) if test in TRANSACTIONS else Work(transferred=rate * 1e6 / 8 * elapsed)
    return Reading(metrics, {}, facts, tuple(not_measured), tuple(warnings), tuple(invalid), work)


def _cpu(end: str, values: dict[str, str], number: Any, test: str, metrics: dict[str, Metric], not_measured: List[str]) -> None:
    """Add CPU use and service demand of one end, or say that netperf could not measure them.

    Method U and the value -1 say so themselves. A use above 100 % (of all CPUs) is an error of netperf: in TCP_CRR the server measures
    until it has waited for CRR_WAIT_S more, and netperf divides that by the client's time (500 % in a run of one second).
    """
    method = values.get(f"{end.upper()}_CPU_METHOD", "U")
    use, demand = number(f"{end.upper()}_CPU_UTIL"), number(f"{end.upper()}_SD")
    per = "us/Tr" if test in TRANSACTIONS else "us/KB"
    for name, value, unit in ((f"cpu_{end}", use, "%"), (f"service_demand_{end}", demand, per)):
        if method == "U" or value < 0 or use < 0 or use > MOST_CPU:
            not_measured.append(name)
        else:
            metrics[name] = Metric(value, unit, "lower")


def _latencies(number: Any, metrics: dict[str, Metric], not_measured: List[str]) -> None:
    for name, key in LATENCIES.items():
        value = number(key)
        if value < 0:
            not_measured.append(name)
        else:
            metrics[name] = Metric(value, "us", "lower")
    mean = number("RT_LATENCY")
    if mean < 0:
        not_measured.append("round_trip_mean")
    else:
        metrics["round_trip_mean"] = Metric(mean, "us", "lower")


def _confidence(number: Any, params: Params, metrics: dict[str, Metric]) -> Tuple[dict[str, Any], List[str]]:
    """Compare the interval that was reached with the one that was asked for; netperf's omni output does not."""
    level, wanted, reached = number("CONFIDENCE_LEVEL"), number("CONFIDENCE_INTERVAL"), number("THROUGHPUT_CONFID")
    iterations = number("CONFIDENCE_ITERATION")
    if level <= 0 or reached < 0:
        return {"asked": False, "iterations": iterations}, []
    metrics["confidence_width"] = Metric(reached, "%", "neither")
    facts = {
        "asked": True,
        "level": level,
        "width_asked": wanted,
        "width": reached,
        "width_cpu_local": number("LOCAL_CPU_CONFID"),
        "width_cpu_remote": number("REMOTE_CPU_CONFID"),
        "iterations": iterations,
        "met": reached <= wanted,
    }
    if reached <= wanted:
        return facts, []
    return facts, [
        f"netperf {params['test']} did not reach the confidence that was asked for: the {level:g} % interval of the throughput is "
        f"+-{reached / 2:.1f} % wide after {iterations:g} iterations, not +-{wanted / 2:g} %."
    ]


TOOL = Tool("netperf", OPTIONS, {"netperf": (("netperf", "-V"),)}, parse_version, argv, seconds, read, check=check)
