# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters at both ends: the responder on the server's node, and what a workload makes of them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.counters import responder
from ansible_collections.datapath.lab.plugins.module_utils.counters.meter import Ends, answer_of, cost_metrics, metered
from ansible_collections.datapath.lab.plugins.module_utils.counters.model import CpuTimes, Delta
from ansible_collections.datapath.lab.plugins.module_utils.counters.parse import snapshot_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, LabError, ParseError


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """Return what makes a server on loopback that answers each connection with some bytes; it ends with the test."""
    listeners = []

    def make(answer: bytes) -> int:
        listener = responder.listen("127.0.0.1", 0)
        listeners.append(listener)

        def serve() -> None:
            client, _address = listener.accept()
            with client:
                client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield make
    for listener in listeners:
        listener.close()


def test_the_responder_answers_with_a_snapshot_and_then_with_the_next() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-I", responder.__file__, "--listen", "127.0.0.1", "--port", str(port), "--command", "python3"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    first = answer_of("127.0.0.1", port)
                    break
                except CommandError:
                    assert process.poll() is None, process.stderr.read()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            # A client that hangs up at once does not end it.
            socket.create_connection(("127.0.0.1", port)).close()
            second = answer_of("127.0.0.1", port)
            # It needs no rights, and keeps none.
            status = Path(f"/proc/{process.pid}/status").read_text()
            if os.geteuid() == 0 and first["scope"] == "node":
                assert "\nUid:\t65534\t65534\t65534\t65534\n" in status
        finally:
            process.kill()
    assert snapshot_of(second).monotonic_s > snapshot_of(first).monotonic_s
    assert set(first["process_ticks"]) == {"python3"}


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(CommandError, match="Connection refused.*role workloads"):
            answer_of("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"[1, 2]", b"\xff\xfe", b"nan"])
def test_another_server_listens(answering: Callable[[bytes], int], answer: bytes) -> None:
    with pytest.raises(ParseError):
        answer_of("127.0.0.1", answering(answer))


def test_an_end_that_does_not_answer_is_found_before_the_load() -> None:
    started = []

    def broken() -> Dict[str, Any]:
        raise CommandError("no answer")

    with pytest.raises(CommandError):
        metered(lambda: started.append(1), remote=broken)
    assert started == []


def fake(monotonic: float, boot: str, user: int, ticks: int) -> Dict[str, Any]:
    """Return a capture with some CPU time used."""
    head = "Inter-| Receive |\n face |\n"
    files = {
        "stat": f"cpu0 {user} 0 0 {1000 - user} 0 0 0 0\nctxt 5\n",
        "interrupts": "CPU0\n 1: 5 x\n",
        "softirqs": "CPU0\nHI: 0\n",
        "net/softnet_stat": "0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        "net/dev": head,
    }
    return {
        "schema": 1, "monotonic_s": monotonic, "boot_id": boot, "scope": "node", "ticks_per_second": 100, "files": files,
        "process_ticks": {"netserver": ticks},
    }  # fmt: skip


def test_both_ends_around_the_load() -> None:
    order = []

    def source(name: str, *answers: Dict[str, Any]) -> Callable[[], Dict[str, Any]]:
        rest = iter(answers)

        def answer() -> Dict[str, Any]:
            order.append(name)
            return next(rest)

        return answer

    local = source("local", fake(1.0, "a", 0, 0), fake(3.0, "a", 100, 0))
    remote = source("remote", fake(70.0, "b", 0, 10), fake(72.5, "b", 200, 160))
    used = iter([1.0, 1.75])
    result, ends = metered(lambda: order.append("load") or "done", remote, local, lambda: next(used))
    assert result == "done"
    # The local pair is the inner one: it belongs to the tool's own time most closely.
    assert order == ["remote", "local", "load", "local", "remote"]
    counters = ends.as_dict()
    assert (counters["same_machine"], counters["scope"]) == (False, "node")
    assert counters["local"]["interval_s"] == 2.0 and counters["remote"]["interval_s"] == 2.5
    # 1 s in processes, 0.75 s of it the tool's, of 1000 ticks at 100 Hz (the fixture's idle time runs down).
    assert counters["local"]["cpu"]["workload_s"] == 0.75
    assert counters["remote"]["cpu"]["workload_s"] == 1.5
    assert counters["local"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.25)
    assert counters["remote"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.25)


def ends(local_boot: str = "a", remote_boot: str = "b", scope: str = "node", remote: bool = True) -> Ends:
    def made(boot: str, user: int, softirq: int, ticks: int) -> Delta:
        times = CpuTimes(user, 0, 0, 1000 - user - softirq, 0, 0, softirq, 0)
        return Delta(10.0, boot, scope, 100, {"0": times}, 0, {}, {}, [], {}, {"netserver": ticks})

    return Ends(made(local_boot, 300, 50, 0), made(remote_boot, 500, 70, 400) if remote else None, 2.0)


class TestCost:
    def test_different_machines(self) -> None:
        # Local: 2 s of the tool and 0.5 s of softirq; remote: 4 s of the server and 0.7 s of softirq. Foreign processes are not in it.
        metrics = cost_metrics(ends(), requests=1000, transferred=1024 * 100)
        assert {name: pytest.approx(metric.value) for name, metric in metrics.items()} == {
            "cpu_local_us_per_request": 2500.0,
            "cpu_remote_us_per_request": 4700.0,
            "cpu_us_per_request": 7200.0,
            "cpu_local_us_per_kb": 25000.0,
            "cpu_remote_us_per_kb": 47000.0,
            "cpu_us_per_kb": 72000.0,
        }
        assert {metric.better for metric in metrics.values()} == {"lower"}

    def test_interrupts_of_one_machine_are_not_counted_twice(self) -> None:
        metrics = cost_metrics(ends(remote_boot="a", scope="host"), requests=1000, transferred=None)
        assert {name: metric.value for name, metric in metrics.items()} == {"cpu_us_per_request": 6500.0}

    def test_the_sum_needs_both_ends(self) -> None:
        assert set(cost_metrics(ends(remote=False), 1000, None)) == {"cpu_local_us_per_request"}
        assert cost_metrics(ends(remote=False, scope="host"), 1000, None) == {}

    def test_no_work_has_no_cost(self) -> None:
        assert cost_metrics(ends(), None, None) == {} == cost_metrics(ends(), 0, 0)


def test_on_one_machine_the_other_end_is_not_foreign() -> None:
    shared = ends(remote_boot="a", scope="host").as_dict()
    # 3 s in processes: the tool had 2 and the server 4.
    assert shared["local"]["cpu"]["workload_s"] == 6.0 and shared["local"]["cpu"]["foreign_cpu_fraction"] == 0.0
    assert shared["same_machine"] is True
    apart = ends().as_dict()
    assert apart["local"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.1)


def proc(tmp_path: Path, processes: Dict[str, str], own_network: bool, pid_namespace: str) -> str:
    """Make a procfs."""
    for name, text in processes.items():
        (tmp_path / name / "ns").mkdir(parents=True)
        (tmp_path / name / "stat").write_text(text)
        os.symlink("net:[1]", tmp_path / name / "ns/net")
    (tmp_path / "self/ns").mkdir(parents=True)
    os.symlink("net:[1]", tmp_path / "self/ns/net")
    os.symlink(pid_namespace, tmp_path / "self/ns/pid")
    (tmp_path / "sys/net/core").mkdir(parents=True)
    if not own_network:
        (tmp_path / "sys/net/core/netdev_budget").write_text("300\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("own_network", "pid_namespace", "scope", "foreign"),
    [
        (False, "pid:[4026531836]", "node", False),
        (True, "pid:[4026531836]", "host", True),
        (True, "pid:[4026532999]", "host", False),
        (False, "pid:[4026532999]", "host", False),
    ],
)
def test_whose_cpus_are_counted(tmp_path: Path, own_network: bool, pid_namespace: str, scope: str, foreign: bool) -> None:
    assert responder.sharing(proc(tmp_path, {}, own_network, pid_namespace)) == responder.Sharing(scope, foreign)


def test_the_time_of_servers_holds_that_of_their_ended_children(tmp_path: Path) -> None:
    line = "{pid} ({name}) S 1 1 1 0 -1 4194560 1520 0 0 0 31 12 5 2 20 0 5 0 0"
    processes = {
        "10": line.format(pid=10, name="netserver"),
        "11": line.format(pid=11, name="a) S 9 (b"),
        "12": line.format(pid=12, name="netserver"),
    }
    root = proc(tmp_path, processes, True, "pid:[4026531836]")
    os.remove(tmp_path / "12/ns/net")
    os.symlink("net:[2]", tmp_path / "12/ns/net")
    wanted = frozenset({"netserver", "a) S 9 (b"})
    assert responder.process_ticks(root, wanted, foreign_processes=False) == {"netserver": 100, "a) S 9 (b": 50}
    # Process 12 belongs to another node of this machine.
    assert responder.process_ticks(root, wanted, foreign_processes=True) == {"netserver": 50, "a) S 9 (b": 50}


def test_this_machine_can_be_read() -> None:
    captured = responder.capture(commands=["python3"])
    assert json.loads(json.dumps(captured)) == captured
    assert snapshot_of(captured).cpus


def test_all_errors_are_ours() -> None:
    assert issubclass(CommandError, LabError)
