# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""sockperf ping-pong: the latency of one message at a time.

sockperf reports half the round trip. Both are returned, each under a name that says which it is.
"""

from __future__ import annotations

import re
from typing import List, Optional

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Metric
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Option, Params, Reading, Tool, Work, finite

OPTIONS = (
    Option("port", flag="-p", default=11111, least=1, most=65535),
    Option("protocol", "str", default="tcp", choices=("tcp", "udp")),
    Option("duration", flag="-t", default=10, least=1, most=36000),
    # Below 14 bytes sockperf's own header does not fit.
    Option("message_size", flag="-m", default=14, least=14, most=65507),
    Option("no_delay", "bool", default=True),
)
PERCENTILES = {"25": "25.000", "50": "50.000", "75": "75.000", "90": "90.000", "99": "99.000", "99_9": "99.900", "99_99": "99.990"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
NUMBER = r"([0-9.eE+-]+|-?nan|-?inf)"
# sockperf ends with status 0 in each of these cases.
FAILURES = ("No valid observations", "No messages were received", "ERROR:", "Test failed", "server is down")


def argv(params: Params, scratch: str) -> List[str]:
    """Return the command line."""
    line = ["sockperf", "ping-pong", "-i", params["host"]]
    if params["protocol"] == "tcp":
        line.append("--tcp")
        if not params["no_delay"]:
            line += ["--tcp-avoid-nodelay"]
    for option in OPTIONS:
        if option.flag:
            line += option.argv(params[option.name])
    return line


def seconds(params: Params) -> float:
    """Return the predicted run time; sockperf takes two seconds more to calibrate its clock and to warm up."""
    return float(params["duration"] + 2)


def parse_version(text: str) -> Optional[str]:
    """Read ``sockperf --version``: ``sockperf, version 3.7-no.git``."""
    found = re.search(r"^sockperf, version (\S+)", text, re.MULTILINE)
    return found.group(1) if found else None


def read(completed: Completed, params: Params) -> Reading:
    """Turn what sockperf printed into metrics.

    Sample (colours taken out)::

        sockperf: [Valid Duration] RunTime=1.550 sec; SentMessages=73520; ReceivedMessages=73520
        sockperf: ====> avg-latency=10.535 (std-dev=21.806)
        sockperf: # dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0
        sockperf: Summary: Latency is 10.535 usec
        sockperf: Total 73520 observations; each percentile contains 735.20 observations
        sockperf: ---> <MAX> observation = 2566.684
        sockperf: ---> percentile 99.000 =   27.005
        sockperf: ---> <MIN> observation =    5.728
    """
    text = COLOUR.sub("", completed.stdout)
    for line in [*text.splitlines(), *COLOUR.sub("", completed.stderr).splitlines()]:
        if any(failure in line for failure in FAILURES):
            raise CommandError(f"sockperf to {params['host']} port {params['port']} failed: {line.replace('sockperf:', '').strip()}")
    completed.require(f"run sockperf to {params['host']}")
    if "Summary: Round trip is" in text or "avg-rtt" in text:
        raise ParseError("sockperf", "it printed whole round trips (--full-rtt), where half of one was expected", text)

    def one(pattern: str, what: str) -> float:
        found = re.search(pattern, text)
        if not found:
            raise ParseError("sockperf", f"there is no {what}", text)
        return finite("sockperf", found.group(1), what, text)

    mean = one(rf"Summary: Latency is {NUMBER} usec", "line 'Summary: Latency is'")
    observations = one(r"Total ([0-9]+) observations", "number of observations")
    run_time = one(rf"\[Valid Duration\] RunTime={NUMBER} sec", "valid duration")
    sent = one(r"\[Valid Duration\][^\n]*SentMessages=([0-9]+)", "number of messages sent")
    received = one(r"\[Valid Duration\][^\n]*ReceivedMessages=([0-9]+)", "number of messages received")
    lost = {
        name: one(rf"# {name} messages = ([0-9]+)", f"number of {name} messages") for name in ("dropped", "duplicated", "out-of-order")
    }
    all_sent = one(r"\[Total Run\][^\n]*SentMessages=([0-9]+)", "number of messages sent in all")
    if observations < 1 or run_time <= 0 or mean <= 0:
        raise ParseError("sockperf", f"{observations:g} observations in {run_time:g} s with a mean of {mean:g} us are no measurement", text)
    half = {"mean": mean, "min": one(rf"<MIN> observation = +{NUMBER}", "<MIN>"), "max": one(rf"<MAX> observation = +{NUMBER}", "<MAX>")}
    missing = []
    for name, printed in PERCENTILES.items():
        if re.search(rf"percentile {re.escape(printed)} =", text):
            half[f"p{name}"] = one(rf"percentile {re.escape(printed)} = +{NUMBER}", f"percentile {printed}")
        else:
            missing += [f"half_rtt_p{name}", f"rtt_p{name}"]
    metrics = {f"half_rtt_{name}": Metric(value, "us", "lower") for name, value in half.items()}
    metrics.update({f"rtt_{name}": Metric(2 * value, "us", "lower") for name, value in half.items()})
    metrics["half_rtt_stdev"] = Metric(one(rf"std-dev={NUMBER}\)", "standard deviation"), "us", "neither")
    metrics["message_rate"] = Metric(received / run_time, "transactions/s", "higher")
    metrics["dropped"] = Metric(lost["dropped"], "messages", "lower")
    invalid = [f"sockperf: {count:g} messages were {name}." for name, count in lost.items() if count and params["protocol"] == "tcp"]
    facts = {"observations": observations, "sent": sent, "received": received, **lost, "half_rtt": "what sockperf calls latency"}
    return Reading(metrics, {}, facts, tuple(missing), (), tuple(invalid), Work(requests=all_sent))


TOOL = Tool("sockperf", OPTIONS, {"sockperf": (("sockperf", "--version"),)}, parse_version, argv, seconds, read)
