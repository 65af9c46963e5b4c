# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters at both ends: the responder on the server's node, and what a workload makes of them."""

from __future__ import annotations

import json
import os
import shutil
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
    # 1 s in processes, 0.75 s of it the tool's, of one CPU's 2 s; 2 s, 1.5 s of it the server's, of 2.5 s.
    assert counters["local"]["cpu"]["workload_s"] == 0.75
    assert counters["remote"]["cpu"]["workload_s"] == 1.5
    assert counters["local"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.125)
    assert counters["remote"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.2)


def ends(local_boot: str = "a", remote_boot: str = "b", scope: str = "node", remote: bool = True, seen: bool = True) -> Ends:
    def made(boot: str, user: int, softirq: int, ticks: int, others: int) -> Delta:
        times = CpuTimes(user, 0, 0, 1000 - user - softirq, 0, 0, softirq, 0)
        return Delta(10.0, boot, scope, 100, {"0": times}, 0, {}, {}, [], {}, {"netserver": ticks}, others if seen else None)

    # On one machine the reader sees the server's 4 s among the others.
    return Ends(made(local_boot, 300, 50, 0, 430 if local_boot == remote_boot else 30), made(remote_boot, 500, 70, 400, 410) if remote else None, 2.0)


class TestCost:
    def test_different_machines(self) -> None:
        # Local: 3.5 s not idle, 0.3 s of it foreign; remote: 5.7 s, and 0.1 s that was not the server's.
        metrics = cost_metrics(ends(), requests=1000, transferred=1024 * 100)
        assert {name: pytest.approx(metric.value) for name, metric in metrics.items()} == {
            "cpu_local_us_per_request": 3200.0,
            "cpu_remote_us_per_request": 5600.0,
            "cpu_us_per_request": 8800.0,
            "cpu_local_us_per_kb": 32000.0,
            "cpu_remote_us_per_kb": 56000.0,
            "cpu_us_per_kb": 88000.0,
        }
        assert {metric.better for metric in metrics.values()} == {"lower"}

    def test_one_machine_is_not_counted_twice(self) -> None:
        metrics = cost_metrics(ends(remote_boot="a", scope="host"), requests=1000, transferred=None)
        assert {name: metric.value for name, metric in metrics.items()} == {"cpu_us_per_request": pytest.approx(3200.0)}

    def test_the_sum_needs_both_ends(self) -> None:
        assert set(cost_metrics(ends(remote=False), 1000, None)) == {"cpu_local_us_per_request"}
        assert cost_metrics(ends(remote=False, scope="host"), 1000, None) == {}

    def test_where_others_cannot_be_seen_the_cost_is_not_known(self) -> None:
        assert cost_metrics(ends(seen=False), 1000, None) == {} == cost_metrics(ends(remote_boot="a", scope="host", seen=False), 1000, None)

    def test_no_work_has_no_cost(self) -> None:
        assert cost_metrics(ends(), None, None) == {} == cost_metrics(ends(), 0, 0)


def test_on_one_machine_the_other_end_is_not_foreign() -> None:
    shared = ends(remote_boot="a", scope="host").as_dict()
    # All others had 4.3 s, and the server 4 of it.
    assert shared["local"]["cpu"]["workload_s"] == 6.0
    assert shared["local"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.03) == shared["remote"]["cpu"]["foreign_cpu_fraction"]
    assert shared["same_machine"] is True
    apart = ends().as_dict()
    assert apart["local"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.03)
    assert apart["remote"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.01)
    # Who cannot see the others takes the time in processes, 3 s, without the workload's: 2 s of the tool, and here 4 s of the server.
    assert ends(seen=False).as_dict()["local"]["cpu"]["foreign_cpu_fraction"] == pytest.approx(0.1)
    assert ends(remote_boot="a", seen=False).as_dict()["local"]["cpu"]["foreign_cpu_fraction"] == 0.0


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
    root = proc(tmp_path, {"1": ""}, own_network, pid_namespace)
    own_processes = pid_namespace != "pid:[4026531836]"
    # In namespaces of processes of one's own the others are seen through the procfs of the machine, which this one lacks.
    assert responder.sharing(root) == responder.Sharing(scope, foreign, None if own_processes else root)


def test_others_cannot_be_seen(tmp_path: Path) -> None:
    assert responder.sharing(proc(tmp_path, {}, False, "pid:[4026531836]")).machine_proc is None


def test_the_time_of_all_others(tmp_path: Path) -> None:
    line = "{pid} ({name}) S 1 1 1 0 -1 {flags} 1520 0 0 0 31 12 5 2 20 0 5 0 0"
    processes = {
        "1": line.format(pid=1, name="init", flags=4194560),
        "11": line.format(pid=11, name="a) S 9 (b", flags=4194560),
        "12": line.format(pid=12, name="ksoftirqd/0", flags=69238848),
        "13": line.format(pid=13, name="python3", flags=4194304),
    }
    root = proc(tmp_path, processes, False, "pid:[4026531836]")
    # self is a link in a procfs; what it lists is ours.
    shutil.rmtree(tmp_path / "self")
    os.symlink("13", tmp_path / "self")
    assert responder.other_process_ticks(root) == 100


def test_the_time_of_a_neighbour_is_seen() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass\ninput()"
    before = responder.other_process_ticks("/proc")
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while responder.other_process_ticks("/proc") - before < 45:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.communicate(b"\n")


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
