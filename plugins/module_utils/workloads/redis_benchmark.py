# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""redis-benchmark: requests to a Redis server from many connections, read from its CSV."""

from __future__ import annotations

import csv
import re
from typing import Dict, List, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Metric
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Option, Params, Reading, Tool, Work, finite

HEADER = ("test", "rps", "avg_latency_ms", "min_latency_ms", "p50_latency_ms", "p95_latency_ms", "p99_latency_ms", "max_latency_ms")
LATENCIES = {"mean": "avg", "min": "min", "p50": "p50", "p95": "p95", "p99": "p99", "max": "max"}
TESTS = ("ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "rpush", "lpop", "rpop", "sadd", "hset", "spop", "mset")

OPTIONS = (
    Option("port", flag="-p", default=6379, least=1, most=65535),
    Option("tests", "list", default=["get", "set"], elements="str", choices=TESTS),
    Option("data_size", flag="-d", default=3, least=1, most=64 * 1024 * 1024),
    Option("requests", flag="-n", default=100000, least=1, most=10**10),
    Option("clients", flag="-c", default=50, least=1, most=100000),
    Option("pipeline", flag="-P", default=1, least=1, most=100000),
    Option("distinct", flag="-r", least=1, most=10**12),
    Option("threads", flag="--threads", least=1, most=500),
)
# Requests per second that the slowest lab is expected to make; only the limit on the run time depends on it.
SLOWEST = 500.0


def check(params: Params) -> None:
    """Raise for options that contradict each other."""
    if not params["tests"]:
        raise InvalidValueError("redis_benchmark: tests must name at least one test.")
    if len(set(params["tests"])) != len(params["tests"]):
        raise InvalidValueError("redis_benchmark: tests must name each test once.")
    if params["requests"] < params["clients"]:
        raise InvalidValueError(f"redis_benchmark: requests ({params['requests']}) must not be below clients ({params['clients']}).")


def argv(params: Params, scratch: str) -> List[str]:
    """Return the command line; a command at its end would make redis-benchmark ignore -t, so there is none."""
    line = ["redis-benchmark", "-h", params["host"]]
    for option in OPTIONS:
        if option.flag:
            line += option.argv(params[option.name])
    return [*line, "-t", ",".join(params["tests"]), "--csv"]


def seconds(params: Params) -> float:
    """Return an upper bound of the run time: redis-benchmark makes a number of requests, however long that takes."""
    return len(params["tests"]) * params["requests"] / SLOWEST


def parse_version(text: str) -> Optional[str]:
    """Read ``redis-benchmark --version`` (from 6.2) or, before that, ``redis-cli --version`` of the same package.

    Samples: ``redis-benchmark 8.0.2``, ``redis-benchmark 7.0.15 (git:…)``, ``redis-cli 6.0.16``.
    """
    found = re.search(r"^(?:redis-benchmark|redis-cli) ([0-9]\S*)", text, re.MULTILINE)
    return found.group(1) if found else None


def parse(text: str) -> Dict[str, Dict[str, str]]:
    """Read the rows by test.

    Samples: 8 columns with a header from 6.2, two columns without one before that::

        "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
        "SET","65573.77","0.501","0.080","0.487","0.751","0.935","2.431"

        "SET","66445.18"
    """
    name = "redis-benchmark"
    # Text such as 'WARNING: …' stands between the rows of some versions; every row begins with a quotation mark.
    lines = [line for line in text.splitlines() if line.startswith('"')]
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise ParseError(name, f"this is not CSV ({error})", text) from error
    header: Tuple[str, ...] = ("test", "rps")
    if rows and rows[0][:2] == ["test", "rps"]:
        header = tuple(rows.pop(0))
        if not set(HEADER) <= set(header):
            raise ParseError(name, f"the header does not have the columns {', '.join(HEADER)}", text)
    found: Dict[str, Dict[str, str]] = {}
    for row in rows:
        if len(row) != len(header):
            raise ParseError(name, f"a row has {len(row)} columns, not {len(header)}", text)
        values = dict(zip(header, row))
        found[_test(values["test"])] = values
    if not found:
        raise ParseError(name, "there is no row of a test", text)
    return found


def _test(title: str) -> str:
    # "SET", "PING_INLINE", "MSET (10 keys)", "LPUSH (needed to benchmark LRANGE)"
    return title.split(" ")[0].lower()


def read(completed: Completed, params: Params) -> Reading:
    """Turn what redis-benchmark printed into metrics."""
    text = completed.stdout
    refused = [line for line in completed.stderr.splitlines() if line.startswith(("Could not connect", "Error from server", "Error:"))]
    if refused:
        raise CommandError(f"redis-benchmark to {params['host']} port {params['port']} failed: {refused[0][:160].strip()}")
    completed.require(f"run redis-benchmark against {params['host']}")
    rows = parse(text)
    metrics: Dict[str, Metric] = {}
    missing: List[str] = []
    for test in params["tests"]:
        if test not in rows:
            raise ParseError("redis-benchmark", f"there is no row of the test {test}", text)
        row = rows[test]
        rate = finite("redis-benchmark", row["rps"], f"rps of {test}", text)
        if rate <= 0:
            raise ParseError("redis-benchmark", f"rps of {test} is {rate:g}", text)
        metrics[f"{test}_rate"] = Metric(rate, "requests/s", "higher")
        for ours, theirs in LATENCIES.items():
            name, column = f"{test}_latency_closed_loop_{ours}", f"{theirs}_latency_ms"
            if column in row:
                metrics[name] = Metric(finite("redis-benchmark", row[column], name, text) * 1e3, "us", "lower")
            else:
                missing.append(name)
    facts = {"connections": params["clients"], "pipeline": params["pipeline"], "tests": list(params["tests"])}
    return Reading(metrics, {}, facts, tuple(missing), (), (), Work(requests=float(params["requests"] * len(params["tests"]))))


VERSIONS = {"redis-benchmark": (("redis-benchmark", "--version"), ("redis-cli", "--version"))}
TOOL = Tool("redis_benchmark", OPTIONS, VERSIONS, parse_version, argv, seconds, read, check=check)
