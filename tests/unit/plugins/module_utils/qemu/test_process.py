# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes: only the one that is meant is ended, on a made-up /proc and on real children."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.qemu.process import Processes, ProcessIdentity, start_ticks


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own that does nothing for a while."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_the_name_may_hold_brackets_and_blanks() -> None:
    assert start_ticks("7 (a) b (c) S " + " ".join(str(number) for number in range(4, 40))) == 22


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_dead_process_does_not_run(state: str) -> None:
    assert start_ticks(f"7 (x) {state} " + "0 " * 30) is None


def test_a_process_is_known_by_its_start_time(child: subprocess.Popen[bytes]) -> None:
    processes = Processes()
    identity = processes.identify(child.pid)
    assert identity is not None and processes.runs(identity)
    assert not processes.runs(ProcessIdentity(identity.pid, identity.started + 1, identity.boot))
    assert not processes.runs(ProcessIdentity(identity.pid, identity.started, "another boot"))
    assert not processes.runs(None)


def test_a_process_with_a_reused_pid_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    identity = Processes().identify(child.pid)
    assert identity is not None
    Processes().kill(ProcessIdentity(child.pid, identity.started - 1, identity.boot))
    assert child.poll() is None


def test_the_one_that_is_meant_is_ended(child: subprocess.Popen[bytes]) -> None:
    processes = Processes()
    identity = processes.identify(child.pid)
    assert identity is not None
    processes.kill(identity)
    # A child that was not waited for is a zombie: it no longer runs.
    assert not processes.runs(identity)
    assert child.wait() == -signal.SIGKILL
    processes.kill(identity)


def test_waiting_has_a_limit(child: subprocess.Popen[bytes]) -> None:
    naps = []
    processes = Processes(sleep=naps.append)
    identity = processes.identify(child.pid)
    assert identity is not None
    assert not processes.wait_gone(identity, 0.0)
    child.kill()
    child.wait()
    assert processes.wait_gone(identity, 0.0)


def test_an_identity_survives_its_record() -> None:
    identity = ProcessIdentity(1, 2, "boot")
    assert ProcessIdentity.from_dict(identity.as_dict()) == identity
    with pytest.raises(ParseError):
        ProcessIdentity.from_dict({"pid": 1})


def proc_of(directory: Path, **lines: list[str]) -> Path:
    """Make a /proc in which each process (its pid behind a p) has the given argv."""
    (directory / "sys/kernel/random").mkdir(parents=True)
    (directory / "sys/kernel/random/boot_id").write_text("b\n", encoding="utf-8")
    for name, argv in lines.items():
        (directory / name[1:]).mkdir()
        (directory / name[1:] / "cmdline").write_bytes(b"".join(f"{each}\0".encode() for each in argv))
        (directory / name[1:] / "stat").write_text(f"{name[1:]} (x) S " + "9 " * 40, encoding="utf-8")
    return directory


def test_a_guest_without_a_record_is_found_by_its_pid_file(tmp_path: Path) -> None:
    processes = Processes(
        proc_of(
            tmp_path,
            p10=["vim", "-pidfile", "/s/nodes/lb1/qemu.pid"],
            p11=["/usr/bin/qemu-system-x86_64", "-pidfile", "/s/nodes/lb10/qemu.pid"],
            p12=["qemu-system-x86_64", "-name", "x", "-pidfile", "/s/nodes/lb1/qemu.pid"],
            p13=[],
        )
    )
    assert processes.holder_of("-pidfile", "/s/nodes/lb1/qemu.pid") == ProcessIdentity(12, 9, "b")
    assert processes.holder_of("-pidfile", "/s/nodes/lb2/qemu.pid") is None
    assert len(processes.qemu_command_lines()) == 2
    assert processes.identify(99) is None and processes.command_line(99) == []
