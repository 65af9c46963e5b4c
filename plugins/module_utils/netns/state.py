# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written down about the running nodes, and how a process is recognised as the one that was written down.

A process is identified by its number, its start time and the boot it was started in, so that a number that the kernel has used again
is never taken for a node. The record lies under the state directory:

    <state>/<lab>/<node>.json   {"lab": "netns", "node": "client1", "pid": 4711, "start": 8861230, "boot": "0b1f...", "rootfs": "/..."}
    <state>/<lab>/root/         an empty directory; the node's own mount namespace mounts its root there
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError, ParseError

MARK = "datapath.lab.netns"
DEFAULT_STATE = "/run/datapath.lab/netns"


@dataclass(frozen=True)
class Holder:
    """The process that keeps a node's namespaces alive: process 1 of the node, seen from outside."""

    lab: str
    node: str
    pid: int
    start: int
    boot: str
    rootfs: str

    @classmethod
    def of(cls, text: str) -> Holder:
        """Read a record, or raise :class:`ParseError`."""
        try:
            given = json.loads(text)
            return cls(
                str(given["lab"]), str(given["node"]), int(given["pid"]), int(given["start"]), str(given["boot"]), str(given["rootfs"])
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ParseError("the record of a node", f"not the JSON that was written ({error!r})", text) from error

    def as_json(self) -> str:
        """Return the record's text."""
        return json.dumps(asdict(self), sort_keys=True) + "\n"

    def alive(self, proc: str = "/proc") -> bool:
        """Tell whether the recorded process still runs."""
        return boot_id(proc) == self.boot and start_time(self.pid, proc) == self.start

    def namespace(self, kind: str, proc: str = "/proc") -> str:
        """Return the path of one of its namespaces, such as ``net``."""
        return f"{proc}/{self.pid}/ns/{kind}"


def boot_id(proc: str = "/proc") -> str:
    """Return the identity of this boot."""
    with open(f"{proc}/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def start_time(pid: int, proc: str = "/proc") -> Optional[int]:
    """Return a process's start in clock ticks since boot, or None when there is no such process or it has ended.

    The name in parentheses may itself hold blanks and parentheses:
        4711 (labinit) S 1 4711 4711 0 -1 4194560 1523 0 0 0 1 0 0 0 20 0 1 0 8861230 ...
    """
    try:
        with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or not fields[19].isdigit():
        raise ParseError(f"{proc}/{pid}/stat", "has no start time in its 22nd field", text)
    return None if fields[0] in "ZX" else int(fields[19])


def mark(state: str, lab: str, node: str) -> str:
    """Return the argument by which a holder without a record is found again; it stands in the process's command line."""
    return f"{MARK}={state}/{lab}/{node}"


def marked(state: str, lab: str, proc: str = "/proc") -> Iterator[Tuple[str, int, int]]:
    """Yield ``(node, pid, start)`` of each running holder of a lab, whether it was recorded or not."""
    pattern = re.compile(re.escape(f"{MARK}={state}/{lab}/") + r"([^/\0]+)")
    for entry in os.listdir(proc):
        if not entry.isdigit():
            continue
        try:
            with open(f"{proc}/{entry}/cmdline", "rb") as stream:
                arguments = stream.read().decode("utf-8", "replace").split("\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # It ended while we looked, or is not ours to see.
        found = next((match for match in map(pattern.fullmatch, arguments[1:]) if match), None)
        start = start_time(int(entry), proc) if found else None
        if found and start is not None:
            yield found.group(1), int(entry), start


@dataclass(frozen=True)
class StateDir:
    """The records of one lab."""

    base: str
    lab: str

    @property
    def path(self) -> str:
        """The lab's own directory."""
        return os.path.join(self.base, self.lab)

    @property
    def root(self) -> str:
        """The empty directory on which each node mounts its root, in its own mount namespace."""
        return os.path.join(self.path, "root")

    def record_path(self, node: str) -> str:
        """Return the path of a node's record."""
        return os.path.join(self.path, f"{node}.json")

    @contextlib.contextmanager
    def locked(self, shared: bool) -> Iterator[None]:
        """Hold the lab against a second run; a reader (``shared``) makes no file, so that check mode leaves nothing behind."""
        if shared and not os.path.isdir(self.base):
            yield
            return
        if not shared:
            os.makedirs(self.base, mode=0o755, exist_ok=True)
        descriptor = os.open(self.base, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Dict[str, Holder]:
        """Return all records by the node's name."""
        if not os.path.isdir(self.path):
            return {}
        holders = {}
        for entry in sorted(os.listdir(self.path)):
            if entry.endswith(".json"):
                with open(os.path.join(self.path, entry), encoding="utf-8") as stream:
                    holder = Holder.of(stream.read())
                holders[holder.node] = holder
        return holders

    def write(self, holder: Holder) -> None:
        """Write one record at once: a reader sees the old one or the new one."""
        os.makedirs(self.root, mode=0o755, exist_ok=True)
        path = self.record_path(holder.node)
        with open(path + ".new", "w", encoding="utf-8") as stream:
            stream.write(holder.as_json())
        os.replace(path + ".new", path)

    def forget(self, node: str) -> None:
        """Remove one record."""
        if os.path.exists(self.record_path(node)):
            os.unlink(self.record_path(node))

    def remove(self) -> None:
        """Remove what the lab has left on disk, and the base when no other lab uses it."""
        if os.path.isdir(self.path):
            for entry in os.listdir(self.path):
                path = os.path.join(self.path, entry)
                if os.path.isdir(path):
                    os.rmdir(path)
                else:
                    os.unlink(path)
            os.rmdir(self.path)
        for directory in (self.base, os.path.dirname(self.base)):
            if os.path.isdir(directory) and not os.listdir(directory):
                os.rmdir(directory)


def running_node(base: str, lab: str, node: str, proc: str = "/proc") -> Holder:
    """Return the holder of a node that runs, or raise with the way out."""
    path = StateDir(base, lab).record_path(node)
    try:
        with open(path, encoding="utf-8") as stream:
            holder = Holder.of(stream.read())
    except FileNotFoundError:
        raise LabError(
            f"Node {node} of lab {lab!r} has no record in {base}: bring the lab up with playbook lab_up and the same inventory."
        ) from None
    if not holder.alive(proc):
        raise LabError(
            f"Node {node} of lab {lab!r} is recorded as process {holder.pid}, which has ended: bring the lab up again with playbook lab_up."
        )
    return holder


def summary(holders: Mapping[str, Holder]) -> Dict[str, Any]:
    """Return the nodes as a module returns them."""
    return {name: {"pid": holder.pid, "rootfs": holder.rootfs} for name, holder in sorted(holders.items())}
