# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""wrk: HTTP requests from many connections, read from a line of JSON that our own Lua script prints at the end.

wrk is a closed loop: a connection sends its next request when the answer to the last one is there. Its latency is that of this loop
and not what an independent user would see, and while the server stalls wrk asks less.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, List, Mapping, Optional

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Metric
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Option, Params, Reading, Tool, Work, finite

MARK = "DATAPATH_LAB "
ERRORS = {
    "connect": "could not connect",
    "read": "broke while it was read",
    "write": "broke while it was written",
    "status": "had a status of 400 or more",
    "timeout": "took longer than the timeout",
}
PERCENTILES = ("50", "75", "90", "95", "99", "99.9")

SCRIPT = """\
-- Prints one line of JSON with what wrk counted; wrk's own text rounds, and tells errors only in passing.
local function number(value)
  if value ~= value or value == math.huge or value == -math.huge then return "null" end
  return string.format("%.3f", value)
end

function done(summary, latency, requests)
  local percentiles = {}
  for _, p in ipairs({50, 75, 90, 95, 99, 99.9}) do
    percentiles[#percentiles + 1] = string.format('"%g":%s', p, number(latency:percentile(p)))
  end
  io.write(string.format(
    '\\nDATAPATH_LAB {"duration_us":%s,"requests":%s,"bytes":%s,'
      .. '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d},'
      .. '"latency_us":{"min":%s,"mean":%s,"max":%s,"stdev":%s,"percentiles":{%s}}}\\n',
    number(summary.duration), number(summary.requests), number(summary.bytes),
    summary.errors.connect, summary.errors.read, summary.errors.write, summary.errors.status, summary.errors.timeout,
    number(latency.min), number(latency.mean), number(latency.max), number(latency.stdev), table.concat(percentiles, ",")))
end
"""
SCRIPT_NAME = "report.lua"

OPTIONS = (
    Option("port", default=80, least=1, most=65535),
    Option("path", "str", default="/"),
    Option("connections", flag="-c", default=100, least=1, most=100000),
    Option("threads", flag="-t", default=2, least=1, most=1024),
    Option("duration", default=10, least=1, most=86400),
    Option("request_timeout", default=2, least=1, most=3600),
    Option("headers", "dict", default={}),
)


def check(params: Params) -> None:
    """Raise for options that contradict each other."""
    if params["threads"] > params["connections"]:
        raise InvalidValueError(
            f"wrk: threads ({params['threads']}) must not be above connections ({params['connections']}): each thread needs one."
        )
    path = params["path"]
    if not path.startswith("/") or any(char.isspace() for char in path):
        raise InvalidValueError(f"wrk: path must begin with a slash and hold no white space, not {path!r}.")
    for name, value in params["headers"].items():
        if any(char in f"{name}{value}" for char in "\r\n") or ":" in str(name):
            raise InvalidValueError(f"wrk: the header {name!r} must be one line, and its name must hold no colon.")


def argv(params: Params, scratch: str) -> List[str]:
    """Return the command line."""
    line = ["wrk"]
    for option in OPTIONS:
        line += option.argv(params[option.name])
    line += ["-d", f"{params['duration']}s", "--timeout", f"{params['request_timeout']}s", "--latency"]
    for name, value in sorted(params["headers"].items()):
        line += ["-H", f"{name}: {value}"]
    host = f"[{params['host']}]" if ":" in params["host"] else params["host"]
    return [*line, "-s", os.path.join(scratch, SCRIPT_NAME), f"http://{host}:{params['port']}{params['path']}"]


def seconds(params: Params) -> float:
    """Return the predicted run time; wrk ends when its slowest thread does."""
    return float(params["duration"] + 1)


def parse_version(text: str) -> Optional[str]:
    """Read ``wrk -v``, which ends with status 1: ``wrk debian/4.1.0-4+b1 [epoll] Copyright (C) 2012 Will Glozer``."""
    found = re.search(r"^wrk (\S+) \[", text, re.MULTILINE)
    return found.group(1) if found else None


def parse(text: str) -> dict[str, Any]:
    """Read the line of our script.

    Sample (``null`` where wrk has no number)::

        DATAPATH_LAB {"duration_us":1099842.000,"requests":109638.000,"bytes":17322264.000,
          "errors":{"connect":0,"read":0,"write":0,"status":0,"timeout":0},
          "latency_us":{"min":10.000,"mean":129.932,"max":4146.000,"stdev":324.713,"percentiles":{"50":60.000,"99":1957.000}}}
    """
    lines = [line[len(MARK) :] for line in text.splitlines() if line.startswith(MARK)]
    if len(lines) != 1:
        raise ParseError("wrk", f"there are {len(lines)} lines of our script, not one", text)
    try:
        document = json.loads(lines[0])
    except (ValueError, RecursionError) as error:
        raise ParseError("wrk", f"the line of our script is not JSON ({type(error).__name__})", lines[0]) from error
    if not isinstance(document, dict):
        raise ParseError("wrk", "the line of our script is not an object", lines[0])
    return document


def read(completed: Completed, params: Params) -> Reading:
    """Turn what wrk printed into metrics; any request that failed makes the run invalid, though wrk ends with status 0."""
    if completed.rc != 0 and MARK not in completed.stdout:
        completed.require(f"run wrk against {params['host']}")
    text = completed.stdout
    document = parse(text)
    errors = {name: _number(_part(document, "errors", text), name, text) for name in ERRORS}
    requests, moved = _number(document, "requests", text), _number(document, "bytes", text)
    elapsed = _number(document, "duration_us", text) / 1e6
    if elapsed <= 0:
        raise ParseError("wrk", f"the duration is {elapsed} s", text)
    if completed.rc != 0:
        raise CommandError(f"wrk ended with status {completed.rc} after {requests:g} requests to {params['host']}.")
    failed = sum(errors.values())
    metrics = {
        "connections": Metric(float(params["connections"]), "connections", "neither"),
        "request_rate": Metric(requests / elapsed, "requests/s", "higher"),
        "throughput": Metric(moved * 8 / elapsed / 1e6, "Mbit/s", "higher"),
        "errors": Metric(failed, "requests", "lower"),
    }
    not_measured = _latency(_part(document, "latency_us", text), requests, metrics, text)
    invalid = [f"wrk: of {requests:g} requests {count:g} {what}." for (name, what) in ERRORS.items() for count in [errors[name]] if count]
    if requests <= 0:
        invalid.append("wrk: not one request was answered.")
    facts = {
        "requests": requests,
        "errors": errors,
        "connections": params["connections"],
        "latency": "closed loop: a connection sends its next request when its last one was answered",
    }
    return Reading(metrics, {}, facts, not_measured, (), tuple(invalid), Work(requests or None, moved or None))


def _part(document: Mapping[str, Any], name: str, text: str) -> Mapping[str, Any]:
    part = document.get(name)
    if not isinstance(part, dict):
        raise ParseError("wrk", f"there is no object {name!r}", text)
    return part


def _number(where: Mapping[str, Any], name: str, text: str) -> float:
    value = finite("wrk", where.get(name), name, text)
    if value < 0:
        raise ParseError("wrk", f"{name} is {value}, below zero", text)
    return value


def _latency(latency: Mapping[str, Any], requests: float, metrics: dict[str, Metric], text: str) -> tuple[str, ...]:
    percentiles = _part(latency, "percentiles", text)
    names = {f"latency_closed_loop_{name}": (latency, name) for name in ("min", "mean", "max", "stdev")}
    names.update({f"latency_closed_loop_p{name.replace('.', '_')}": (percentiles, name) for name in PERCENTILES})
    # Without a request wrk prints zeros and the largest integer.
    if requests <= 0:
        return tuple(names)
    missing = []
    for name, (where, key) in names.items():
        if where.get(key) is None:
            missing.append(name)
        else:
            metrics[name] = Metric(_number(where, key, text), "us", "neither" if key == "stdev" else "lower")
    return tuple(missing)


TOOL = Tool("wrk", OPTIONS, {"wrk": (("wrk", "-v"),)}, parse_version, argv, seconds, read, {SCRIPT_NAME: SCRIPT}, check)
