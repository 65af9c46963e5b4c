# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that this lab started, told apart from all others by pid, start time and boot."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError, ParseError


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be mistaken: a pid is reused, but not with the same start time in the same boot.

    ``started``: clock ticks since boot, field 22 of /proc/PID/stat.
    """

    pid: int
    started: int
    boot: str

    def as_dict(self) -> dict[str, Any]:
        """Return the form that is recorded in the state file."""
        return {"pid": self.pid, "started": self.started, "boot": self.boot}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProcessIdentity:
        """Read what :meth:`as_dict` wrote."""
        try:
            return cls(int(data["pid"]), int(data["started"]), str(data["boot"]))
        except (KeyError, TypeError, ValueError):
            raise ParseError("state of a guest", "a process needs pid, started and boot", str(data)) from None


def start_ticks(stat: str) -> Optional[int]:
    """Return the start time from the text of /proc/PID/stat, or None for a zombie, which no longer runs.

    Sample: ``4242 (qemu-system-x86) S 1 4242 4242 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 5 0 8817 ...``
    """
    # The name stands in brackets and may hold blanks and brackets itself.
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20:
        raise ParseError("/proc/PID/stat", "expected 20 fields or more behind the name", stat)
    return None if fields[0] in ("Z", "X") else int(fields[19])


class Processes:
    """Looks at and ends processes; the /proc root is injected."""

    def __init__(self, proc: Path = Path("/proc"), sleep: Callable[[float], None] = time.sleep) -> None:
        self._proc = proc
        self._sleep = sleep

    def _boot(self) -> str:
        return (self._proc / "sys/kernel/random/boot_id").read_text().strip()

    def identify(self, pid: int) -> Optional[ProcessIdentity]:
        """Return who has this pid now, or None."""
        try:
            ticks = start_ticks((self._proc / str(pid) / "stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if ticks is None else ProcessIdentity(pid, ticks, self._boot())

    def runs(self, identity: Optional[ProcessIdentity]) -> bool:
        """Return whether exactly this process still runs."""
        return identity is not None and self.identify(identity.pid) == identity

    def command_line(self, pid: int) -> list[str]:
        """Return the argv of a process, empty if there is none."""
        try:
            raw = (self._proc / str(pid) / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [part.decode(errors="replace") for part in raw.split(b"\0")[:-1]]

    def _qemus(self) -> Iterator[tuple[int, list[str]]]:
        for entry in self._proc.iterdir():
            if entry.name.isdigit():
                argv = self.command_line(int(entry.name))
                if argv and argv[0].rsplit("/", maxsplit=1)[-1].startswith("qemu-system"):
                    yield int(entry.name), argv

    def qemu_command_lines(self) -> list[list[str]]:
        """Return the argv of every QEMU on this machine."""
        return [argv for _pid, argv in self._qemus()]

    def holder_of(self, option: str, value: str) -> ProcessIdentity | None:
        """Return the QEMU process that was started with these two arguments in a row, or None.

        A run that was killed between QEMU's start and its record has left no other trace.
        """
        held = (pid for pid, argv in self._qemus() if (option, value) in zip(argv, argv[1:]))
        return next((identity for identity in map(self.identify, held) if identity is not None), None)

    def wait_gone(self, identity: ProcessIdentity, limit_s: float) -> bool:
        """Wait until a process has ended, for at most ``limit_s`` seconds; return whether it has."""
        deadline = time.monotonic() + limit_s
        while self.runs(identity):
            if time.monotonic() >= deadline:
                return False
            self._sleep(0.05)
        return True

    def kill(self, identity: ProcessIdentity) -> None:
        """End a process by SIGKILL if it is still the one that is meant, and wait until it is gone."""
        try:
            handle = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            return
        try:
            # The handle holds on to the process, so what is checked now is what the signal reaches.
            if not self.runs(identity):
                return
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)
        if not self.wait_gone(identity, 10.0):
            raise LabError(f"Process {identity.pid} did not end within 10 s after SIGKILL: it hangs in the kernel; restart the machine.")
