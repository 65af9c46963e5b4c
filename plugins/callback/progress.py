# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows how far an experiment is, that a long task is alive, and in the end where the time went."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: notification
short_description: Show progress, time left, and where the time went
version_added: "0.1.0"
description:
  - Adds to the lines of the stdout callback; it replaces none of them.
  - After each recorded measurement it prints how far the experiment is and how much time is left.
  - While a task runs for long without output it prints that it still runs, where, and since when; one line each time, so that a log of CI
    shows it too.
  - In the end it prints the time of each stage and the slowest tasks.
author:
  - Datapath Lab contributors (@datapath-lab)
requirements:
  - enabled in the configuration (C(callbacks_enabled = datapath.lab.progress))
options:
  heartbeat:
    description: Seconds between two lines about a task that still runs; 0 prints none.
    type: int
    default: 15
    env:
      - name: DATAPATH_LAB_PROGRESS_HEARTBEAT
    ini:
      - section: callback_progress
        key: heartbeat
  slowest:
    description: How many of the slowest tasks are listed in the end; 0 lists none.
    type: int
    default: 10
    env:
      - name: DATAPATH_LAB_PROGRESS_SLOWEST
    ini:
      - section: callback_progress
        key: slowest
"""

import threading
import time
from typing import Any, Dict, List, Optional, Tuple

from ansible.plugins.callback import CallbackBase

# A playbook shorter than this needs no account of its time.
_WORTH_TELLING_S = 10.0


def duration_text(seconds: float) -> str:
    """Return a duration for people: ``4 s``, ``1 min 05 s``, ``1 h 20 min``."""
    whole = int(round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def stage_of(name: str) -> str:
    """Return the stage of a task's name: ``kernel: Build`` of ``datapath.lab.kernel : Build | Compile ip_vs``, or the role alone."""
    role, of_role, task = name.rpartition(" : ")
    stage, of_stage, _rest = task.partition(" | ")
    short = role.rsplit(".", 1)[-1]
    if of_role and of_stage:
        return f"{short}: {stage}"
    return short if of_role else (stage if of_stage else "playbook")


class Account:
    """Adds up the time of tasks by name, in the order in which they first ran."""

    def __init__(self) -> None:
        self.tasks: Dict[str, Tuple[float, int]] = {}
        self.current: Optional[Tuple[str, float]] = None

    def begin(self, name: str, now: float) -> None:
        """A task begins, and with it the one before has ended."""
        self.end(now)
        self.current = (name, now)

    def end(self, now: float) -> None:
        """The current task, if any, has ended."""
        if self.current is not None:
            name, began = self.current
            seconds, count = self.tasks.get(name, (0.0, 0))
            self.tasks[name] = (seconds + now - began, count + 1)
            self.current = None

    def lines(self, slowest: int) -> List[str]:
        """Return the account for people."""
        total = sum(seconds for seconds, _count in self.tasks.values())
        stages: Dict[str, float] = {}
        for name, (seconds, _count) in self.tasks.items():
            stages[stage_of(name)] = stages.get(stage_of(name), 0.0) + seconds
        made = [f"Time by stage ({duration_text(total)} in all):"]
        made += [f"  {duration_text(seconds):>12}  {stage}" for stage, seconds in stages.items() if seconds >= 1.0]
        ranked = sorted(self.tasks.items(), key=lambda item: -item[1][0])[: max(0, slowest)]
        shown = [(name, seconds, count) for name, (seconds, count) in ranked if seconds >= 1.0]
        if shown:
            made.append("Slowest tasks:")
            for name, seconds, count in shown:
                made.append(f"  {duration_text(seconds):>12}  {name}" + (f" ({count} times)" if count > 1 else ""))
        return made


class CallbackModule(CallbackBase):
    """Adds lines about progress and time to what the stdout callback prints."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "datapath.lab.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._account = Account()
        self._running: Dict[str, float] = {}
        self._task = ""
        self._quiet_since = time.monotonic()
        self._over = threading.Event()
        self._heart: Optional[threading.Thread] = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Start the heartbeat, once: a run of several playbooks has one."""
        interval = int(self.get_option("heartbeat"))
        if self._heart is None and interval > 0:
            self._heart = threading.Thread(target=self._beat, args=(interval,), name="progress", daemon=True)
            self._heart.start()

    def _beat(self, interval: int) -> None:
        # Lines go through Display, whose lock is taken around each fork of a worker: a child never inherits it half-held.
        while not self._over.wait(1.0):
            now = time.monotonic()
            running = dict(self._running)
            if not running or now - self._quiet_since < interval:
                continue
            self._quiet_since = now
            try:
                self._display.display(f"  … {self._task}: {duration_text(now - min(running.values()))} so far, on {_few(sorted(running))}")
            except (OSError, ValueError):
                return  # Standard output is gone; there is nobody left to tell.

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Note when a task begins."""
        self._begin(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Note when a handler begins."""
        self._begin(task)

    def v2_playbook_on_cleanup_task_start(self, task: Any) -> None:
        """Note when a cleanup task begins."""
        self._begin(task)

    def _begin(self, task: Any) -> None:
        now = time.monotonic()
        self._task = str(task.get_name()).strip()
        self._account.begin(self._task, now)
        self._running = {}
        self._quiet_since = now

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Note that a host begins a task."""
        self._running = {**self._running, host.get_name(): time.monotonic()}

    def _ended(self, result: Any) -> None:
        host = result.host.get_name()
        self._running = {name: began for name, began in self._running.items() if name != host}
        self._quiet_since = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Show how far the experiment is, if this was a recorded measurement."""
        self._ended(result)
        found = result.result
        if {"recorded", "text", "remaining_s"} <= set(found):
            for arm, reasons in (found.get("invalid") or {}).items():
                self._display.display(f"  does not count: {arm}: {' '.join(reasons)}")
            self._display.display(f"  {found['text']}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note that a host has ended a task."""
        self._ended(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Note that a host has ended a task."""
        self._ended(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note that a host has ended a task."""
        self._ended(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Note that there was output."""
        self._quiet_since = time.monotonic()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell where the time went, and stop the heartbeat."""
        self._over.set()
        self._account.end(time.monotonic())
        if sum(seconds for seconds, _count in self._account.tasks.values()) >= _WORTH_TELLING_S:
            for line in self._account.lines(int(self.get_option("slowest"))):
                self._display.display(line)


def _few(names: List[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
