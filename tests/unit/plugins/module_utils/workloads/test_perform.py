# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of a module to a command line, and from a run to the module's result."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.counters.meter import Ends
from ansible_collections.datapath.lab.plugins.module_utils.counters.model import CpuTimes, Delta
from ansible_collections.datapath.lab.plugins.module_utils.errors import (
    CommandError,
    InvalidValueError,
    LabError,
    MissingCapabilityError,
    ParseError,
)
from ansible_collections.datapath.lab.plugins.module_utils.workloads import iperf3, netperf, ping, redis_benchmark, sockperf, wrk
from ansible_collections.datapath.lab.plugins.module_utils.workloads.perform import Node, perform, perform_series
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import COMMON, Tool

FIXTURES = Path(__file__).parents[4] / "fixtures"
KEYS = {"tool", "tool_version", "argv", "started", "duration_s", "metrics", "samples", "counters", "invalid"}


def params(tool: Tool, **given: Any) -> Dict[str, Any]:
    """Return a module's options with their defaults, as AnsibleModule does."""
    return {**{option.name: option.default for option in (*COMMON, *tool.options)}, "host": "10.0.0.2", **given}


ARGV = [
    (
        netperf.TOOL,
        {"test": "TCP_RR", "duration": 20, "confidence_width": 5.0, "iterations_max": 10, "request_size": 100, "response_size": 100},
        "netperf -H 10.0.0.2 -p 12865 -P 0 -j -t TCP_RR -l 20 -i 10,2 -I 95,5 -c -C -- -r 100,100 -k",
    ),
    (
        netperf.TOOL,
        {"test": "TCP_STREAM", "message_size": 1400, "cpu": False, "local_socket_buffer": 131072, "remote_socket_buffer": 131072},
        "netperf -H 10.0.0.2 -p 12865 -P 0 -j -t TCP_STREAM -l 10 -- -m 1400 -s 131072 -S 131072 -k",
    ),
    (
        netperf.TOOL,
        {"test": "TCP_MAERTS", "message_size": 1400},
        "netperf -H 10.0.0.2 -p 12865 -P 0 -j -t TCP_MAERTS -l 10 -c -C -- -m ,1400 -k",
    ),
    (
        netperf.TOOL,
        {"test": "UDP_STREAM", "data_port": 12866},
        "netperf -H 10.0.0.2 -p 12865 -P 0 -j -t UDP_STREAM -l 10 -c -C -- -R 1 -P ,12866 -k",
    ),
    (iperf3.TOOL, {}, "iperf3 -c 10.0.0.2 -J -p 5201 -t 10 -P 1"),
    (iperf3.TOOL, {"streams": 8, "direction": "reverse", "omit": 2}, "iperf3 -c 10.0.0.2 -J -p 5201 -t 10 -O 2 -P 8 -R"),
    (iperf3.TOOL, {"direction": "both", "no_delay": True}, "iperf3 -c 10.0.0.2 -J -p 5201 -t 10 -P 1 -N --bidir"),
    (iperf3.TOOL, {"protocol": "udp", "length": 64}, "iperf3 -c 10.0.0.2 -J -p 5201 -t 10 -P 1 -l 64 -u -b 0"),
    (iperf3.TOOL, {"protocol": "udp", "bitrate": "100M"}, "iperf3 -c 10.0.0.2 -J -p 5201 -t 10 -P 1 -u -b 100M"),
    (
        wrk.TOOL,
        {"connections": 800, "threads": 40, "duration": 60, "headers": {"Host": "web"}},
        "wrk -c 800 -t 40 -d 60s --timeout 2s --latency -H Host: web -s /scratch/report.lua http://10.0.0.2:80/",
    ),
    (wrk.TOOL, {"host": "fd00::2"}, "wrk -c 100 -t 2 -d 10s --timeout 2s --latency -s /scratch/report.lua http://[fd00::2]:80/"),
    (sockperf.TOOL, {"duration": 30}, "sockperf ping-pong -i 10.0.0.2 --tcp -p 11111 -t 30 -m 14"),
    (sockperf.TOOL, {"protocol": "udp"}, "sockperf ping-pong -i 10.0.0.2 -p 11111 -t 10 -m 14"),
    (sockperf.TOOL, {"no_delay": False}, "sockperf ping-pong -i 10.0.0.2 --tcp --tcp-avoid-nodelay -p 11111 -t 10 -m 14"),
    (redis_benchmark.TOOL, {"data_size": 1000}, "redis-benchmark -h 10.0.0.2 -p 6379 -d 1000 -n 100000 -c 50 -P 1 -t get,set --csv"),
    (ping.TOOL, {"count": 1000}, "ping -n -c 1000 -i 0.01 -s 56 -W 2 10.0.0.2"),
    (ping.TOOL, {"program": "fping"}, "fping -C 100 -p 10 -b 56 -t 2000 -q 10.0.0.2"),
]


@pytest.mark.parametrize(("tool", "given", "line"), ARGV, ids=[line[:60] for _tool, _given, line in ARGV])
def test_argv(tool: Tool, given: Dict[str, Any], line: str) -> None:
    options = params(tool, **given)
    tool.validate(options)
    argv = tool.argv(options, "/scratch")
    if tool is netperf.TOOL:
        assert argv[-1] == ",".join(netperf.SELECTED)
        argv = argv[:-1]
    assert " ".join(argv) == line


REFUSED = [
    (netperf.TOOL, {"test": "TCP_RR", "message_size": 1400}, "request_size"),
    (netperf.TOOL, {"test": "UDP_STREAM", "message_size": 65508}, "1 to 65507"),
    (netperf.TOOL, {"test": "TCP_RR", "duration": 0}, "duration must be 1 to 86400, not 0"),
    (netperf.TOOL, {"test": "TCP_RR", "confidence_width": 5.0}, "belong together"),
    (netperf.TOOL, {"test": "TCP_RR", "iterations_max": 5}, "belong together"),
    (netperf.TOOL, {"test": "TCP_RR", "confidence_width": float("nan"), "iterations_max": 3}, "0.1 to 100, not nan"),
    (netperf.TOOL, {"test": "TCP_RR", "confidence_width": 5.0, "iterations_max": 3, "iterations_min": 4}, "must not be above"),
    (netperf.TOOL, {"test": "TCP_RR", "host": "-h"}, "host must be an address"),
    (netperf.TOOL, {"test": "TCP_RR", "host": ""}, "host must be an address"),
    (netperf.TOOL, {"test": "TCP_RR", "namespace": "../x"}, "name of a network namespace"),
    (netperf.TOOL, {"test": "TCP_RR", "counters_port": 0}, "counters_port must be 1 to 65535"),
    (iperf3.TOOL, {"streams": 129}, "streams must be 1 to 128"),
    (iperf3.TOOL, {"bitrate": "fast"}, "bitrate must be a number"),
    (iperf3.TOOL, {"protocol": "udp", "length": 65508}, "one datagram"),
    (iperf3.TOOL, {"protocol": "udp", "zero_copy": True}, "zero_copy is for protocol tcp"),
    (wrk.TOOL, {"threads": 9, "connections": 8}, "must not be above connections"),
    (wrk.TOOL, {"path": "index.html"}, "begin with a slash"),
    (wrk.TOOL, {"headers": {"X": "a\r\nb"}}, "one line"),
    (sockperf.TOOL, {"message_size": 13}, "14 to 65507"),
    (redis_benchmark.TOOL, {"tests": []}, "at least one"),
    (redis_benchmark.TOOL, {"tests": ["get", "get"]}, "each test once"),
    (redis_benchmark.TOOL, {"requests": 10}, "below clients"),
    (ping.TOOL, {"count": 65536}, "1 to 65535"),
    (ping.TOOL, {"interval": 0.0001}, "interval must be 0.001 to 60"),
]


@pytest.mark.parametrize(("tool", "given", "says"), REFUSED, ids=[f"{t.name}-{s}" for t, _g, s in REFUSED])
def test_refused_before_anything_is_started(tool: Tool, given: Dict[str, Any], says: str) -> None:
    machine = Machine({})
    with pytest.raises(InvalidValueError, match=says):
        perform(tool, params(tool, **given), machine.node(), check_mode=False)
    assert machine.started == []


class Machine:
    """A node whose commands print what a test says; ``answers``: program → completed."""

    def __init__(self, answers: Dict[str, Completed], missing: Sequence[str] = ()) -> None:
        self.answers = answers
        self.missing = missing
        self.started: List[List[str]] = []
        self.remote: Optional[Callable[[], Dict[str, Any]]] = None

    def run(self, argv: Sequence[str], **_more: Any) -> Completed:
        self.started.append(list(argv))
        tail = argv[argv.index("--") + 1 :] if "nsenter" in argv else argv[3:]
        program = tail[0] if argv[0] == "timeout" else f"{argv[0]} {argv[1]}"
        if program not in self.answers:
            raise CommandError(f"Could not start '{program}'.")
        return self.answers[program]

    def meter(self, action: Callable[[], Completed], remote: Any = None) -> Any:
        self.remote = remote
        times = CpuTimes(100, 0, 100, 700, 0, 0, 100, 0)
        delta = Delta(10.0, "boot", "node", 100, {"0": times}, 5, {}, {}, [], {}, {}, 50)
        return action(), Ends(delta, None, 1.5)

    def node(self) -> Node:
        return Node(self.run, lambda program: None if program in self.missing else f"/usr/bin/{program}", self.meter)


def capture(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def netperf_machine(rc: int = 0, text: Optional[str] = None) -> Machine:
    shown = capture("netperf/netperf-2.7.1-tcp_rr.out") if text is None else text
    return Machine({"netperf -V": Completed((), 0, "Netperf version 2.7.1\n", ""), "netperf": Completed((), rc, shown, "a word\n")})


def test_result_is_the_contract(tmp_path: Path) -> None:
    machine = netperf_machine()
    result = perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", raw_dir=str(tmp_path / "raw")), machine.node(), False)
    assert result["changed"] is False
    measurement = result["measurement"]
    assert set(measurement) == KEYS
    assert measurement == result["ansible_facts"]["datapath_lab"]["netperf"]
    assert (measurement["tool"], measurement["tool_version"]) == ("netperf", "2.7.1")
    # The command is the tool's own: what ends it in time is ours.
    assert measurement["argv"][0] == "netperf"
    assert machine.started[-1][:3] == ["timeout", "--kill-after=5", "70"]
    assert json.loads(json.dumps(result)) == result
    assert Path(result["raw_file"]).read_text() == result["raw"]
    assert result["raw"].startswith("THROUGHPUT=66013.20") and "a word" in result["raw"]
    # Not idle for 3 s of 10 s, of which others had 50 ticks at 100 Hz, over 66013.2 transactions in 1 s.
    assert measurement["metrics"]["cpu_local_us_per_request"]["value"] == pytest.approx(2.5e6 / 66013.2)
    assert measurement["counters"]["local"]["cpu"]["workload_s"] == 1.5
    assert measurement["counters"]["tool"]["values"]["THROUGHPUT_UNITS"] == "Trans/s"


def test_the_other_end_is_asked_only_if_named() -> None:
    machine = netperf_machine()
    perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR"), machine.node(), False)
    assert machine.remote is None
    perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", counters_remote="10.0.0.2"), machine.node(), False)
    assert machine.remote is not None


def test_without_counters() -> None:
    result = perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", counters=False), netperf_machine().node(), False)
    assert set(result["measurement"]["counters"]) == {"tool"}
    assert not [name for name in result["measurement"]["metrics"] if name.startswith("cpu_us")]


def test_check_mode_starts_nothing() -> None:
    machine = netperf_machine()
    result = perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", duration=7), machine.node(), True)
    assert result["argv"][0] == "netperf" and result["predicted_s"] == 7.0
    assert machine.started == [] and "measurement" not in result


@pytest.mark.parametrize("rc", [124, 137])
def test_a_tool_that_hangs_is_ended(rc: int) -> None:
    machine = netperf_machine(rc, "")
    with pytest.raises(CommandError, match="did not end within 3 s"):
        perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", timeout_s=2.5), machine.node(), False)


def test_the_tool_s_own_cpus() -> None:
    here = Node(netperf_machine().run, lambda program: program, cpus=lambda: [0, 1, 2, 3])
    given = params(netperf.TOOL, test="TCP_RR", cpus="2-3", namespace="pod1")
    assert perform(netperf.TOOL, given, here, True)["argv"][:6] == [
        "/usr/bin/taskset", "--cpu-list", "2-3", "nsenter", "--net=/run/netns/pod1", "--",
    ]  # fmt: skip
    with pytest.raises(InvalidValueError, match="netperf: cpus '4' names CPU 4; allowed are 0-3"):
        perform(netperf.TOOL, {**given, "cpus": "4"}, here, True)


def test_a_tool_that_is_missing() -> None:
    with pytest.raises(MissingCapabilityError, match="netperf is not installed"):
        perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR"), Machine({}, missing=["netperf"]).node(), False)


def test_a_tool_without_a_version() -> None:
    machine = netperf_machine()
    machine.answers["netperf -V"] = Completed((), 1, "unknown option", "")
    with pytest.raises(ParseError, match="does not tell its version"):
        perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR"), machine.node(), False)


def test_the_version_of_an_old_release_comes_from_its_neighbour() -> None:
    machine = Machine(
        {
            "redis-benchmark --version": Completed((), 1, 'Invalid option "--version" or option argument missing\n', ""),
            "redis-cli --version": Completed((), 0, "redis-cli 6.0.16\n", ""),
            "redis-benchmark": Completed((), 0, capture("redis-benchmark/redis-benchmark-6.0.16-get_set.out"), ""),
        }
    )
    result = perform(redis_benchmark.TOOL, params(redis_benchmark.TOOL), machine.node(), False)
    assert result["measurement"]["tool_version"] == "6.0.16"


def test_the_script_of_wrk_is_there_while_it_runs() -> None:
    seen = []

    class Looking(Machine):
        def run(self, argv: Sequence[str], **more: Any) -> Completed:
            if argv[0] == "timeout":
                seen.append(Path(argv[argv.index("-s") + 1]).read_text())
            return super().run(argv, **more)

    answers = {
        "wrk -v": Completed((), 1, "wrk 4.2.0 [epoll] Copyright\n", ""),
        "wrk": Completed((), 0, capture("wrk/wrk-4.1.0-4+b1-ok.out"), ""),
    }
    result = perform(wrk.TOOL, params(wrk.TOOL, connections=8), Looking(answers).node(), False)
    assert seen == [wrk.SCRIPT]
    argv = result["measurement"]["argv"]
    assert not os.path.exists(argv[argv.index("-s") + 1])


def test_a_raw_dir_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="raw_dir"):
        perform(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", raw_dir=str(tmp_path / "file")), netperf_machine().node(), False)


def test_a_warning_reaches_the_user() -> None:
    machine = netperf_machine(text=capture("netperf/netperf-2.7.1-tcp_stream_confidence_missed.out"))
    result = perform(netperf.TOOL, params(netperf.TOOL, test="TCP_STREAM"), machine.node(), False)
    assert "did not reach the confidence" in result["warnings"][0]
    assert result["measurement"]["invalid"] == []


SERIES = [{"name": "bare", "namespace": None}, {"name": "veth", "namespace": "pod1"}]


def test_a_series_is_run_one_after_another() -> None:
    machine = netperf_machine()
    result = perform_series(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", series=SERIES), machine.node(), False)
    assert list(result["measurements"]) == list(result["raws"]) == ["bare", "veth"]
    assert result["failed_runs"] == {}
    runs = [line for line in machine.started if line[0] == "timeout"]
    assert [line[3] for line in runs] == ["netperf", "nsenter"]
    assert runs[1][3:6] == ["nsenter", "--net=/run/netns/pod1", "--"]


def test_one_failure_does_not_keep_the_others_of_a_series_from_being_measured() -> None:
    class Failing(Machine):
        def run(self, argv: Sequence[str], **more: Any) -> Completed:
            done = super().run(argv, **more)
            return Completed((), 1, "", "no route to host\n") if "nsenter" in argv else done

    machine = Failing(netperf_machine().answers)
    result = perform_series(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", series=SERIES), machine.node(), False)
    assert list(result["measurements"]) == ["bare"]
    assert "no route to host" in result["failed_runs"]["veth"]
    assert any("no route to host" in warning for warning in result["warnings"])


def test_the_names_of_a_series_differ() -> None:
    twice = [{"name": "bare"}, {"name": "bare"}]
    with pytest.raises(InvalidValueError, match="name of its own"):
        perform_series(netperf.TOOL, params(netperf.TOOL, test="TCP_RR", series=twice), netperf_machine().node(), False)
