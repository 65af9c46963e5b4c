# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services without systemd: what is planned, and that it happens to the right process and to no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.module_utils.services.supervise import Keeper, Record, Service, plan, start_time

SLEEPER = Service("sleeper", (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"))
RECORD = Record(10, 20, "boot", SLEEPER.argv, {}, None)


@pytest.mark.parametrize(
    ("have", "alive", "want", "restart", "actions"),
    [
        (None, False, None, False, []),
        (None, False, SLEEPER, False, ["start"]),
        (RECORD, False, SLEEPER, False, ["start"]),
        (RECORD, True, SLEEPER, False, []),
        (RECORD, True, SLEEPER, True, ["stop", "start"]),
        (RECORD, False, SLEEPER, True, ["start"]),
        (RECORD, True, None, False, ["stop"]),
        (RECORD, False, None, False, []),
        (RECORD, True, Service("sleeper", ("/bin/true",)), False, ["stop", "start"]),
        (RECORD, True, Service("sleeper", SLEEPER.argv, {"A": "1"}), False, ["stop", "start"]),
        (RECORD, True, Service("sleeper", SLEEPER.argv, {}, "nobody"), False, ["stop", "start"]),
    ],
)
def test_plan(have: Optional[Record], alive: bool, want: Optional[Service], restart: bool, actions: list) -> None:
    assert [step.action for step in plan(have, alive, want, restart)] == actions


def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Return what the condition gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come true in time")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text() if os.path.exists(f"/proc/{pid}") else ""
    return [int(child) for child in text.split()]


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    """Return the services of an empty directory; those that a test leaves are ended."""
    kept = Keeper(str(tmp_path / "services"))
    yield kept
    for path in (tmp_path / "services").glob("*.json"):
        kept.bring(path.stem, None, False)


class TestLife:
    def test_it_starts_once_and_ends(self, keeper: Keeper) -> None:
        first = keeper.bring("sleeper", SLEEPER, False)
        assert first["changed"] and first["diff"]["before"] == {"state": "absent"}
        log = Path(first["log"])
        eventually(lambda: log.exists() and log.read_text() == "up\n")
        program = eventually(lambda: children(first["pid"]))[0]
        second = keeper.bring("sleeper", SLEEPER, False)
        assert not second["changed"] and second["pid"] == first["pid"]
        ended = keeper.bring("sleeper", None, False)
        assert ended["changed"] and ended["pid"] is None and not log.exists()
        assert start_time(first["pid"]) is None and start_time(program) is None
        assert not keeper.bring("sleeper", None, False)["changed"]

    def test_check_mode_starts_and_ends_nothing(self, keeper: Keeper, tmp_path: Path) -> None:
        assert keeper.bring("sleeper", SLEEPER, True)["changed"]
        assert not (tmp_path / "services").exists()
        pid = keeper.bring("sleeper", SLEEPER, False)["pid"]
        assert keeper.bring("sleeper", None, True)["changed"]
        assert start_time(pid) is not None

    def test_a_program_that_died_is_started_again(self, keeper: Keeper) -> None:
        pid = keeper.bring("sleeper", SLEEPER, False)["pid"]
        program = eventually(lambda: children(pid))[0]
        os.kill(program, signal.SIGKILL)
        assert eventually(lambda: [child for child in children(pid) if child != program])
        assert not keeper.bring("sleeper", SLEEPER, False)["changed"]

    def test_a_program_goes_when_its_supervisor_is_killed(self, keeper: Keeper) -> None:
        made = keeper.bring("sleeper", SLEEPER, False)
        pid = made["pid"]
        eventually(lambda: os.path.exists(made["log"]) and Path(made["log"]).read_text() == "up\n")
        program = children(pid)[0]
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: start_time(program) is None)
        again = keeper.bring("sleeper", SLEEPER, False)
        assert again["changed"] and again["reasons"] == ["it does not run"]

    def test_a_program_that_does_not_listen_is_killed_in_the_end(self, keeper: Keeper) -> None:
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
        made = keeper.bring("deaf", Service("deaf", (sys.executable, "-c", deaf)), False)
        eventually(lambda: Path(made["log"]).exists() and Path(made["log"]).read_text())
        program = children(made["pid"])[0]
        keeper.bring("deaf", None, False)
        assert start_time(program) is None and start_time(made["pid"]) is None

    def test_another_command_line_replaces_it(self, keeper: Keeper) -> None:
        first = keeper.bring("sleeper", SLEEPER, False)["pid"]
        other = Service("sleeper", (*SLEEPER.argv, "more"))
        second = keeper.bring("sleeper", other, False)
        assert second["changed"] and second["pid"] != first and start_time(first) is None

    def test_environment_reaches_it(self, keeper: Keeper) -> None:
        program = "import os, time; print(os.environ['WORD'], flush=True); time.sleep(600)"
        show = Service("show", (sys.executable, "-c", program), {"WORD": "x y"})
        log = Path(keeper.bring("show", show, False)["log"])
        eventually(lambda: log.exists() and log.read_text() == "x y\n")


class TestForeignProcesses:
    def test_a_process_that_has_its_number_is_left_alone(self, keeper: Keeper, tmp_path: Path) -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
            try:
                started = start_time(stranger.pid)
                assert started is not None
                document = {"pid": stranger.pid, "start": started - 1, "boot": keeper.boot(), "argv": [], "environment": {}, "user": None}
                (tmp_path / "services").mkdir()
                (tmp_path / "services/sleeper.json").write_text(json.dumps(document))
                assert not keeper.bring("sleeper", None, False)["changed"]
                assert stranger.poll() is None
            finally:
                stranger.kill()

    def test_nor_is_one_of_another_boot(self, keeper: Keeper) -> None:
        here = start_time(os.getpid())
        assert here is not None
        assert not keeper.alive(Record(os.getpid(), here, "another boot", (), {}, None))
        assert keeper.alive(Record(os.getpid(), here, keeper.boot(), (), {}, None))

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x"}', "null"])
    def test_a_damaged_record_is_said_and_nothing_is_done(self, keeper: Keeper, tmp_path: Path, text: str) -> None:
        (tmp_path / "services").mkdir()
        (tmp_path / "services/sleeper.json").write_text(text)
        with pytest.raises(LabError, match="damaged"):
            keeper.bring("sleeper", SLEEPER, False)
        (tmp_path / "services/sleeper.json").unlink()


class TestRefused:
    @pytest.mark.parametrize("name", ["", "Upper", "../x", "a" * 42, "1st", "a b"])
    def test_names(self, name: str) -> None:
        with pytest.raises(InvalidValueError, match="name of a service"):
            Service(name, ("/bin/true",))

    def test_a_program_that_is_not_there_does_not_end_the_one_that_runs(self, keeper: Keeper) -> None:
        pid = keeper.bring("sleeper", SLEEPER, False)["pid"]
        with pytest.raises(InvalidValueError, match="is not there"):
            keeper.bring("sleeper", Service("sleeper", ("/nonexistent/program",)), False)
        assert start_time(pid) is not None

    def test_a_relative_program(self, keeper: Keeper) -> None:
        with pytest.raises(InvalidValueError, match="absolute path"):
            keeper.bring("sleeper", Service("sleeper", ("sleep", "1")), True)

    def test_a_user_that_does_not_exist(self, keeper: Keeper) -> None:
        with pytest.raises(InvalidValueError, match="'no-such-user'"):
            keeper.bring("sleeper", Service("sleeper", SLEEPER.argv, {}, "no-such-user"), False)
