# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of an experiment: measurements.jsonl, one line per run, appended as the runs are made.

A line reaches the disk before anybody is told that it was written. A controller that is killed leaves at most one line without its
newline; that line is moved aside to ``raw/`` and never counted. A run is recorded at most once per attempt.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.plugin_utils.fast_json import loads

FILE_NAME = "measurements.jsonl"
WITNESS_STATES = ("proved", "refuted", "missing")


class Record(NamedTuple):
    """One recorded run; ``failed``: why there is no measurement, else None. (A tuple, since there may be a hundred thousand.)"""

    run: str
    experiment: str
    arm: str
    point: str
    workload: str
    block: int
    order: int
    attempt: int
    host: str
    recorded: str
    witness: Mapping[str, Any]
    measurement: Optional[Mapping[str, Any]]
    failed: Optional[str]
    repeat: int = 1

    @property
    def key(self) -> Tuple[str, int]:
        """What a run is recorded under: its id and the attempt."""
        return (self.run, self.attempt)

    def as_dict(self) -> Dict[str, Any]:
        """Return the line's JSON form."""
        return {
            "run": self.run,
            "experiment": self.experiment,
            "arm": self.arm,
            "point": self.point,
            "workload": self.workload,
            "block": self.block,
            "repeat": self.repeat,
            "order": self.order,
            "attempt": self.attempt,
            "host": self.host,
            "recorded": self.recorded,
            "witness": self.witness,
            "measurement": self.measurement,
            "failed": self.failed,
        }

    def why_excluded(self, rules: Mapping[str, Any]) -> List[str]:
        """Return why this run's figures must not be used, by signals declared beforehand; the witness is not looked at.

        :param rules: the plan's ``invalidation``.
        """
        if self.failed is not None:
            return [self.failed]
        if self.measurement is None:
            return ["No measurement was returned."]
        told = [str(reason) for reason in self.measurement.get("invalid") or ()]
        return told + broken_rules(self.measurement.get("counters") or {}, rules)

    def why_invalid(self, rules: Mapping[str, Any]) -> List[str]:
        """Return why this run does not count: :meth:`why_excluded`, or its witness did not prove that the arm was in force."""
        reasons = self.why_excluded(rules)
        if not reasons and self.witness.get("state") != "proved":
            reasons = [f"The witness is {self.witness.get('state')}: {self.witness.get('evidence') or 'it gave no evidence'}"]
        return reasons


def counter_of(end: Any, name: str) -> Any:
    """Return the counter ``name`` of one end, wherever that end keeps it (``cpu.<name>`` or ``<name>``), or None if it was not measured."""
    if not isinstance(end, dict):
        return None
    cpu = end.get("cpu")
    value = cpu.get(name) if isinstance(cpu, dict) else None
    if value is None:
        value = end.get(name)
    return value if isinstance(value, (bool, int, float)) else None


def broken_rules(counters: Mapping[str, Any], rules: Mapping[str, Any]) -> List[str]:
    """Return a sentence for each declared rule that the counters of a run break; a counter that was not measured breaks none.

    ``max_steal_fraction: 0.01`` looks at ``counters.<end>.cpu.steal_fraction`` (or ``counters.<end>.steal_fraction``) of each end;
    ``forbid_affinity_changed: true`` at whether such a counter is true.
    """
    sentences: List[str] = []
    for rule, limit in rules.items():
        kind, _mark, name = rule.partition("_")
        for end, values in counters.items():
            value = counter_of(values, name)
            if value is None:
                continue
            if kind == "max" and value > limit:
                sentences.append(f"{name} at {end} was {value:.4g}, above the declared limit of {limit:g}.")
            elif kind == "forbid" and limit and value:
                sentences.append(f"{name} was true at {end}, which the plan forbids.")
    return sentences


def unmeasured_rules(counters: Mapping[str, Any], rules: Mapping[str, Any]) -> List[str]:
    """Return the counters that a rule asks for and that no end of this run has."""
    missing = []
    for rule in rules:
        name = rule.partition("_")[2]
        for values in counters.values():
            if counter_of(values, name) is not None:
                break
        else:
            missing.append(name)
    return missing


def record_of(data: Any) -> Record:
    """Check one decoded line.

    :param data: the decoded line.
    :raises LabError: says what is wrong with it, as the end of a sentence whose beginning is the line's place.
    """
    if not isinstance(data, dict):
        raise LabError("is not a dictionary; the file was changed by another hand: move it away and start again.")
    for key, kind in _KINDS:
        value = data.get(key)
        if not isinstance(value, kind) or value is True or value is False:
            raise LabError(f"has no usable {key!r}; the file was changed by another hand: move it away and start again.")
    witness = data.get("witness") or {"state": "missing", "evidence": "", "data": {}}
    return Record(
        run=data["run"],
        experiment=data["experiment"],
        arm=data["arm"],
        point=data["point"],
        workload=data["workload"],
        block=data["block"],
        order=data["order"],
        attempt=data["attempt"],
        host=data.get("host") or "",
        recorded=data["recorded"],
        witness=witness,
        measurement=data.get("measurement"),
        failed=data.get("failed"),
        repeat=data.get("repeat") or 1,
    )


_KINDS = (
    *((key, str) for key in ("run", "experiment", "arm", "point", "workload", "recorded")),
    *((key, int) for key in ("block", "order", "attempt")),
)


def read_records(directory: str) -> Iterator[Record]:
    """Yield the records of a results directory one by one, without holding the file; a torn last line is left out.

    :raises LabError: a line in the middle is no record, or a run is there twice with one attempt.
    """
    path = os.path.join(directory, FILE_NAME)
    seen: Set[Tuple[str, int]] = set()
    if not os.path.exists(path):
        return
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = record_of(loads(line))
                key = record.key
                if key in seen:
                    raise LabError(f"records attempt {record.attempt} at run {record.run} again; the file was changed by another hand.")
            except ValueError as error:
                raise LabError(f"Line {number} of {path} is not JSON ({error}); move the file away and start again.") from error
            except LabError as error:
                raise LabError(f"Line {number} of {path} {error}") from error
            seen.add(key)
            yield record


@dataclass
class Journal:
    """The open record of one results directory, locked against other writers.

    Use as a context manager. ``repaired``: a sentence if a torn line was moved aside on opening, else None.
    """

    directory: str
    repaired: Optional[str] = None
    records: List[Record] = field(default_factory=list)
    _descriptor: int = -1

    def __enter__(self) -> Journal:
        if not os.path.isdir(self.directory):
            raise InvalidValueError(f"path must name a results directory with a plan.json, not {self.directory!r}.")
        path = os.path.join(self.directory, FILE_NAME)
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self.repaired = self._move_torn_line_aside(path)
            self.records = list(read_records(self.directory))
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        os.close(self._descriptor)

    def _move_torn_line_aside(self, path: str) -> Optional[str]:
        size = os.fstat(self._descriptor).st_size
        start = _end_of_last_line(self._descriptor, size)
        if start == size:
            return None
        torn = os.pread(self._descriptor, size - start, start)
        aside = os.path.join(self.directory, "raw")
        os.makedirs(aside, exist_ok=True)
        name = os.path.join(aside, f"torn-line-at-byte-{start}.txt")
        _write_durably(name, torn)
        os.ftruncate(self._descriptor, start)
        os.fsync(self._descriptor)
        return f"The last line of {path} was torn by a kill; its {size - start} bytes were moved to {name} and do not count."

    def append(self, records: Sequence[Record]) -> None:
        """Append these records in one write, and return when they are on the disk.

        :raises InvalidValueError: one of them is recorded already; then none is written.
        """
        taken = {record.key for record in self.records}
        for record in records:
            if record.key in taken:
                raise InvalidValueError(f"Attempt {record.attempt} at run {record.run} is recorded already; each is recorded once.")
            taken.add(record.key)
        data = "".join(_line(record) for record in records).encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)
        _sync_directory(self.directory)
        self.records.extend(records)


def _line(record: Record) -> str:
    return json.dumps(record.as_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _end_of_last_line(descriptor: int, size: int) -> int:
    """Return the offset after the last newline."""
    end = size
    while end > 0:
        begin = max(0, end - 65_536)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(path: str, data: bytes) -> None:
    """Write a file such that it is there whole or not at all, also after a crash."""
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    _sync_directory(os.path.dirname(path) or ".")


def write_json(path: str, data: Any) -> None:
    """Write a JSON file durably and whole."""
    _write_durably(path, (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def moment(text: str) -> float:
    """Return an RFC 3339 time in UTC as seconds since 1970.

    :raises InvalidValueError: the text is no such time.
    """
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError as error:
        raise InvalidValueError(f"A time must look like 2026-11-20T05:00:00Z, not {text!r}.") from error


def now_precisely() -> str:
    """Return the current time in UTC as RFC 3339 with milliseconds."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
