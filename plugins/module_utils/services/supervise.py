# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services on a node without systemd: what is recorded about them, what is wanted, and how one becomes the other.

A process is identified by its number, its start time and the boot: a number that the kernel has used again is never ended.
"""

from __future__ import annotations

import inspect
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.module_utils.services import supervisor

DIRECTORY = "/run/datapath.lab/services"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
# The supervisor gives its program END_S to end.
STOP_S = supervisor.END_S + 5.0


@dataclass(frozen=True)
class Service:
    """What shall run: a program that stays in the foreground, as ``user`` or else as root."""

    name: str
    argv: Tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: Optional[str] = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InvalidValueError(
                f"The name of a service must be 1 to 41 of a-z, 0-9, _ and - beginning with a letter, not {self.name!r}."
            )

    def check(self) -> None:
        """Raise if this cannot be started."""
        if not self.argv or not os.path.isabs(self.argv[0]):
            shown = self.argv[0] if self.argv else ""
            raise InvalidValueError(f"argv of the service {self.name} must begin with the absolute path of a program, not {shown!r}.")
        if self.user is not None:
            try:
                pwd.getpwnam(self.user)
            except KeyError:
                raise InvalidValueError(f"The user {self.user!r} of the service {self.name} does not exist on this node.") from None
        if not os.access(self.argv[0], os.X_OK):
            raise InvalidValueError(f"The program {self.argv[0]} of the service {self.name} is not there: install it first.")


@dataclass(frozen=True)
class Record:
    """A supervisor as it was started; ``start`` is its start time in clock ticks since boot."""

    pid: int
    start: int
    boot: str
    argv: Tuple[str, ...]
    environment: Mapping[str, str]
    user: Optional[str]


@dataclass(frozen=True)
class Step:
    """One thing to do: ``stop`` or ``start``."""

    action: str
    reason: str


def plan(have: Optional[Record], alive: bool, want: Optional[Service], restart: bool = False) -> list[Step]:
    """Return the steps from what is recorded (and whether it still runs) to what is wanted (None: nothing)."""
    if want is None:
        return [Step("stop", "it is not wanted")] if have is not None and alive else []
    if have is None or not alive:
        return [Step("start", "it does not run")]
    if (have.argv, dict(have.environment), have.user) != (want.argv, dict(want.environment), want.user):
        return [Step("stop", "it runs with another command line, environment or user"), Step("start", "it was ended")]
    return [Step("stop", "it shall be restarted"), Step("start", "it was ended")] if restart else []


def start_time(pid: int, proc: str = "/proc") -> Optional[int]:
    """Return when a process was started, None if there is none; a process that has ended and was not reaped is none."""
    try:
        with open(os.path.join(proc, str(pid), "stat"), encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Keeper:
    """The services of one node: their records lie in ``directory``, which must be on a file system that a reboot empties."""

    directory: str
    proc: str = "/proc"
    sleep: Callable[[float], None] = time.sleep

    def path(self, name: str, suffix: str) -> str:
        """Return a file of a service."""
        return os.path.join(self.directory, f"{name}.{suffix}")

    def boot(self) -> str:
        """Return what identifies this boot."""
        with open(os.path.join(self.proc, "sys/kernel/random/boot_id"), encoding="ascii") as stream:
            return stream.read().strip()

    def record(self, name: str) -> Optional[Record]:
        """Return what was recorded about a service; a record that cannot be read is none."""
        try:
            with open(self.path(name, "json"), encoding="utf-8") as stream:
                text = stream.read()
        except FileNotFoundError:
            return None
        try:
            given = json.loads(text)
            environment = {str(key): str(value) for key, value in given["environment"].items()}
            argv = tuple(str(word) for word in given["argv"])
            return Record(int(given["pid"]), int(given["start"]), str(given["boot"]), argv, environment, given["user"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LabError(
                f"The record {self.path(name, 'json')} is damaged ({type(error).__name__}): end the service by hand and remove the file."
            ) from error

    def alive(self, record: Optional[Record]) -> bool:
        """Tell whether the recorded process, and no other that has its number, still runs."""
        return record is not None and record.boot == self.boot() and start_time(record.pid, self.proc) == record.start

    def bring(self, name: str, want: Optional[Service], check_mode: bool, restart: bool = False) -> dict[str, Any]:
        """Bring a service to what is wanted; return a module's result."""
        have = self.record(name)
        alive = self.alive(have)
        steps = plan(have, alive, want, restart)
        if want is not None and steps:
            # Before anything is ended.
            want.check()
        if not check_mode:
            for step in steps:
                if step.action == "stop" and have is not None:
                    self.stop(name, have)
                elif want is not None:
                    self.start(want)
            if want is None:
                self.forget(name)
        pid = None if check_mode and steps else self.record(name)
        return {
            "changed": bool(steps),
            "diff": {"before": _shown(have if alive else None), "after": _shown(want)},
            "reasons": [step.reason for step in steps],
            "pid": pid.pid if pid is not None and want is not None else None,
            "log": self.path(name, "log"),
        }

    def start(self, service: Service) -> None:
        """Start a supervisor that leaves this process, its session and its files behind."""
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        program = self.path("supervisor", "py")
        with open(program, "w", encoding="utf-8") as stream:
            stream.write(inspect.getsource(supervisor))
        account = pwd.getpwnam(service.user) if service.user else None
        wanted = {
            "argv": list(service.argv),
            "environment": dict(service.environment),
            "user": account.pw_uid if account else None,
            "group": account.pw_gid if account else None,
            "log": self.path(service.name, "log"),
        }
        with open(self.path(service.name, "wanted"), "w", encoding="utf-8") as stream:
            json.dump(wanted, stream)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", program, self.path(service.name, "wanted")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
        )  # fmt: skip
        started = start_time(process.pid, self.proc)
        if started is None:
            raise LabError(f"The supervisor of the service {service.name} ended at once with status {process.wait()}.")
        document = {
            "pid": process.pid,
            "start": started,
            "boot": self.boot(),
            "argv": wanted["argv"],
            "environment": wanted["environment"],
            "user": service.user,
        }
        temporary = self.path(service.name, "json.new")
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(document, stream)
        os.replace(temporary, self.path(service.name, "json"))

    def stop(self, name: str, record: Record) -> None:
        """End a recorded supervisor, and with it its program; a process that merely has its number is left alone."""
        if not self.alive(record):
            return
        os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while self.alive(record):
            if time.monotonic() > deadline:
                # Its program goes with it (PR_SET_PDEATHSIG).
                os.kill(record.pid, signal.SIGKILL)
                deadline += STOP_S
            self.sleep(0.05)

    def forget(self, name: str) -> None:
        """Remove what is on the disk about a service."""
        for suffix in ("json", "wanted", "log"):
            try:
                os.remove(self.path(name, suffix))
            except FileNotFoundError:
                continue


def _shown(service: Any) -> dict[str, Any]:
    if service is None:
        return {"state": "absent"}
    return {"state": "present", "argv": list(service.argv), "environment": dict(service.environment), "user": service.user}
