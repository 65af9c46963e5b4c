# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines that the progress callback adds."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.callback import progress


class Screen:
    """Keeps what would be printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.broken = False
        self.verbosity = 0

    def display(self, line: str) -> None:
        """Take a line, or fail as a closed pipe does."""
        if self.broken:
            raise BrokenPipeError
        self.lines.append(line)


def callback(screen: Screen, **options: int) -> progress.CallbackModule:
    """Return the callback with these options, printing to the screen."""
    made = progress.CallbackModule(display=screen)
    values = {"heartbeat": 0, "slowest": 10, **options}
    made.get_option = values.__getitem__  # type: ignore[method-assign]
    return made


def task(name: str) -> Any:
    """Return a task as a callback sees it."""
    return SimpleNamespace(get_name=lambda: name)


def result(host: str, **values: Any) -> Any:
    """Return a task's result as a callback sees it."""
    return SimpleNamespace(host=SimpleNamespace(get_name=lambda: host), result=values)


RECORDED = {"recorded": ["r1"], "text": "block 3 of 10 · 45 % · 6 min left", "remaining_s": 360.0}


def test_a_recorded_measurement_shows_how_far_the_experiment_is() -> None:
    """In one line."""
    screen = Screen()
    callback(screen).v2_runner_on_ok(result("lb1", **RECORDED))
    assert screen.lines == ["  block 3 of 10 · 45 % · 6 min left"]


def test_a_run_that_does_not_count_is_said_at_once() -> None:
    """Not only in the report."""
    screen = Screen()
    callback(screen).v2_runner_on_ok(result("lb1", **RECORDED, invalid={"fast": ["The witness is refuted: slow path"]}))
    assert screen.lines[0] == "  does not count: fast: The witness is refuted: slow path"


@pytest.mark.parametrize("values", [{}, {"msg": "ok"}, {"text": "a file's text"}, {"remaining_s": 3}])
def test_other_results_add_no_line(values: dict[str, Any]) -> None:
    """The stdout callback has shown them."""
    screen = Screen()
    callback(screen).v2_runner_on_ok(result("lb1", **values))
    assert screen.lines == []


def wait_for(condition: Any) -> bool:
    """Wait until a condition holds, for at most ten seconds."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


def test_a_task_that_runs_for_long_is_reported_as_alive_until_it_ends() -> None:
    """With its name, the hosts it still runs on, and no line after its end."""
    screen = Screen()
    made = callback(screen, heartbeat=1)
    made.v2_playbook_on_start(None)
    made.v2_playbook_on_task_start(task("kernel : Build | Compile ip_vs"), False)
    for host in ("lb1", "lb2"):
        made.v2_runner_on_start(SimpleNamespace(get_name=lambda host=host: host), task(""))
    assert wait_for(lambda: screen.lines)
    assert screen.lines[0].startswith("  … kernel : Build | Compile ip_vs: ") and screen.lines[0].endswith(" so far, on lb1, lb2")
    made.v2_runner_on_failed(result("lb1"))
    seen = len(screen.lines)
    assert wait_for(lambda: len(screen.lines) > seen)
    assert screen.lines[-1].endswith(" so far, on lb2")
    made.v2_runner_on_ok(result("lb2"))
    assert made._running == {}
    made.v2_playbook_on_stats(None)
    assert made._heart is not None
    made._heart.join(timeout=10)
    assert not made._heart.is_alive()


def test_a_closed_output_ends_the_heartbeat_and_breaks_nothing() -> None:
    """There is nobody left to tell."""
    screen = Screen()
    screen.broken = True
    made = callback(screen, heartbeat=1)
    made.v2_playbook_on_start(None)
    made.v2_playbook_on_task_start(task("t"), False)
    made.v2_runner_on_start(SimpleNamespace(get_name=lambda: "a"), task("t"))
    assert made._heart is not None
    made._heart.join(timeout=10)
    assert not made._heart.is_alive()


def test_a_heartbeat_of_zero_starts_no_thread() -> None:
    """It can be switched off."""
    made = callback(Screen())
    made.v2_playbook_on_start(None)
    assert made._heart is None


def test_the_time_is_added_up_by_stage_and_by_task() -> None:
    """A task that ran several times is one line; what took less than a second is none."""
    account = progress.Account()
    now = 0.0
    for name, seconds in [
        ("datapath.lab.kernel : Build | Compile ip_vs", 75),
        ("datapath.lab.kernel : Build | Install", 5),
        ("datapath.lab.experiment : Step | Run the workload", 40),
        ("datapath.lab.experiment : Step | Run the workload", 60),
        ("Gathering Facts", 0.2),
        ("Plan | Draw", 3),
    ]:
        account.begin(name, now)
        now += seconds
    account.end(now)
    assert account.lines(2) == [
        "Time by stage (3 min 03 s in all):",
        "    1 min 20 s  kernel: Build",
        "    1 min 40 s  experiment: Step",
        "           3 s  Plan",
        "Slowest tasks:",
        "    1 min 40 s  datapath.lab.experiment : Step | Run the workload (2 times)",
        "    1 min 15 s  datapath.lab.kernel : Build | Compile ip_vs",
    ]
    assert "Slowest tasks:" not in account.lines(0)


def test_a_short_playbook_needs_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one has it."""
    for seconds, lines in ((3.0, 0), (30.0, 4)):
        screen = Screen()
        made = callback(screen)
        clock = iter([100.0, 100.0 + seconds, 100.0 + seconds])
        monkeypatch.setattr(progress.time, "monotonic", lambda clock=clock: next(clock, 1000.0))
        made._account.begin("t", progress.time.monotonic())
        made.v2_playbook_on_stats(None)
        assert len(screen.lines) == lines


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("datapath.lab.kernel : Build | Compile", "kernel: Build"),
        ("kernel : Say so", "kernel"),
        ("Plan | Draw", "Plan"),
        ("Bring up the lab", "playbook"),
    ],
)
def test_the_stage_of_a_task_is_in_its_name(name: str, stage: str) -> None:
    """Role and stage."""
    assert progress.stage_of(name) == stage


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4 s"), (65, "1 min 05 s"), (4800, "1 h 20 min")])
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    """Hours without seconds."""
    assert progress.duration_text(seconds) == text
