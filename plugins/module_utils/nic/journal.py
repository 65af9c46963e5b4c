# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal of tuning: what every knob was before the first write, on disk on the node until a restore has proved it put back."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import dataclass, field, replace
from typing import Any, Dict, Iterator, Mapping, Optional

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import utc_now
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import Identity, Values

SCHEMA = 1
DIRECTORY = "/var/lib/datapath-lab/tuning"


@dataclass(frozen=True)
class Entry:
    """One device: who it is, what it was before the first tuning, and what it was right after the last one (None: interrupted)."""

    identity: Identity
    originals: Values
    applied: Optional[Values] = None

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON form."""
        return {"identity": self.identity.as_dict(), "originals": self.originals, "applied": self.applied}


@dataclass(frozen=True)
class Journal:
    """The journal of one node.

    ``boot``: boot in which the originals were read; ``system``: the node's own originals; ``system_applied``: right after the last tuning;
    ``flows``: flow types whose hash fields are recorded; ``deadman``: the armed timer; ``persistent``: the policy that boot applies again.
    """

    created: str
    boot: str
    system: Values
    devices: Mapping[str, Entry]
    system_applied: Optional[Values] = None
    flows: tuple[str, ...] = ()
    deadman: Optional[Dict[str, Any]] = None
    persistent: Optional[Dict[str, Any]] = None

    @property
    def interrupted(self) -> bool:
        """Tell whether the last tuning neither ended nor was rolled back."""
        return self.system_applied is None

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "boot": self.boot,
            "system": self.system,
            "system_applied": self.system_applied,
            "devices": {name: entry.as_dict() for name, entry in self.devices.items()},
            "flows": list(self.flows),
            "deadman": self.deadman,
            "persistent": self.persistent,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Journal:
        """Read the JSON form."""
        return cls(
            created=data["created"],
            boot=data["boot"],
            system=dict(data["system"]),
            devices={
                name: Entry(Identity.from_dict(entry["identity"]), dict(entry["originals"]), entry.get("applied"))
                for name, entry in data["devices"].items()
            },
            system_applied=data.get("system_applied"),
            flows=tuple(data.get("flows", ())),
            deadman=data.get("deadman"),
            persistent=data.get("persistent"),
        )


@dataclass(frozen=True)
class Store:
    """Where the journal lies on the node.

    A network namespace has a journal of its own: namespaces that are nodes share one file system.
    """

    host: Host
    directory: str = DIRECTORY
    name: str = field(default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.host.namespace())

    @property
    def path(self) -> str:
        """Return the journal's path on the node."""
        return f"{self.directory}/{self.name}.json"

    @contextlib.contextmanager
    def lock(self, patience_s: Optional[float] = None) -> Iterator[None]:
        """Keep other tuning out; the lock ends with the process, however that ends.

        :param patience_s: after so long go on without it: a restore must not wait for ever for a tuning that hangs.
        """
        os.makedirs(self.host.path(self.directory), mode=0o700, exist_ok=True)
        descriptor = os.open(self.host.path(f"{self.directory}/.{self.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _flock(descriptor, patience_s)
            yield
        finally:
            os.close(descriptor)

    def load(self) -> Optional[Journal]:
        """Read the journal; None where nothing is tuned."""
        try:
            text = self.host.read(self.path)
        except FileNotFoundError:
            return None
        try:
            data = json.loads(text)
            if data["schema"] != SCHEMA:
                raise ValueError(f"schema {data['schema']}")
            return Journal.from_dict(data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LabError(
                f"The tuning journal {self.path} cannot be read ({error}): it is the only record of the original settings, "
                f"so look at it before you move it away."
            ) from error

    def save(self, journal: Journal) -> None:
        """Write the journal so that it is whole on disk before this returns."""
        directory = self.host.path(self.directory)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        final = self.host.path(self.path)
        draft = final + ".new"
        with open(draft, "w", encoding="utf-8") as stream:
            json.dump(journal.as_dict(), stream, indent=1, sort_keys=True)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, final)
        self._sync(directory)
        self.host.mutated(f"journal {self.path} written")

    def remove(self) -> None:
        """Take the journal away: everything that it records has been put back, or is given up."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.host.path(self.path))
        self._sync(self.host.path(self.directory))
        self.host.mutated(f"journal {self.path} removed")

    @staticmethod
    def _sync(directory: str) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flock(descriptor: int, patience_s: Optional[float]) -> None:
    if patience_s is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.1)


def begin(journal: Optional[Journal], boot: str, system: Values, entries: Mapping[str, Entry], flows: tuple[str, ...]) -> Journal:
    """Return the journal to be written before a tuning: the first originals stay, what was not yet recorded is added."""
    if journal is None:
        return Journal(created=utc_now(), boot=boot, system=system, devices=dict(entries), flows=flows)
    kept = {**entries, **journal.devices}
    return replace(journal, devices=kept, system_applied=None, flows=tuple(sorted({*journal.flows, *flows})))
