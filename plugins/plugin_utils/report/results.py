# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a results directory, and nothing else.

``measurements.jsonl`` is read once, line by line, however long it is: what the report needs of it is counted in a
:class:`Digest`, and each run goes on to the CSV file as it passes.
"""

from __future__ import annotations

import csv
import datetime
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Iterator, Mapping

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.plugin_utils.fast_json import loads

# What is kept of a list that may be as long as the measurements; the report says how many there were.
KEPT = 200

_NUMBER = re.compile(r"\d+(\.\d+)?(e-?\d+)?")

CSV_COLUMNS = (
    "run", "experiment", "block", "repeat", "order", "attempt", "point", "workload", "arm", "host", "recorded", "witness",
    "valid", "reason",
    "tool", "tool_version", "duration_s", "metric", "value", "unit", "better",
)  # fmt: skip


@dataclass(frozen=True)
class Results:
    """The documents of a results directory; ``absent`` holds one sentence per document that is not there."""

    path: Path
    plan: Mapping[str, Any]
    analysis: Mapping[str, Any]
    environment: Mapping[str, Any]
    absent: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        """The run's name: its directory's."""
        return self.path.name


@dataclass
class ArmEvidence:
    """How often an arm was proved in force at a point, and by what."""

    states: Counter[str] = field(default_factory=Counter)
    evidence: Counter[str] = field(default_factory=Counter)
    more: int = 0

    def add(self, state: str, evidence: str) -> None:
        """Count one run's witness; evidence that differs in every run is kept for the first runs only."""
        self.states[state] += 1
        if evidence in self.evidence or len(self.evidence) < KEPT:
            self.evidence[evidence] += 1
        else:
            self.more += 1


@dataclass(frozen=True)
class Trouble:
    """A run that no analysis may use, and why."""

    run: str
    block: str
    attempt: str
    point: str
    workload: str
    arm: str
    reasons: tuple[str, ...]


@dataclass
class Digest:
    """What the report says about the runs as a whole."""

    lines: int = 0
    unreadable: int = 0
    valid: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    troubled: int = 0
    failed: int = 0
    # By the reason without its figures: how often, and the first as it was told.
    reasons: dict[str, list[Any]] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    busy_s: float = 0.0
    witnesses: dict[tuple[str, str], ArmEvidence] = field(default_factory=dict)
    tools: Counter[tuple[str, str]] = field(default_factory=Counter)
    argv: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def elapsed_s(self) -> float | None:
        """Return the time from the first run's start to the last record, in seconds, if both times can be read."""
        try:
            return (_instant(self.last) - _instant(self.first)).total_seconds()
        except ValueError:
            return None


def _instant(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def read_results(path: str | Path) -> Results:
    """Read plan, environment and analysis of one run.

    :param path: the run's directory, or a link to it such as ``results/ipvs_dump/latest``.
    :raises LabError: the directory is not one, or the analysis or the plan is missing or broken.
    """
    directory = Path(path).expanduser().resolve()
    if not directory.is_dir():
        raise InvalidValueError(f"There is no results directory {str(path)!r}: name one such as results/ipvs_dump/latest.")
    analysis = _read_document(directory / "analysis.json")
    if analysis is None:
        raise LabError(f"{directory} holds no analysis.json: let datapath.lab.experiment_analyse make it from the measurements, then report again.")
    absent = []
    plan = _read_document(directory / "plan.json")
    if plan is None:
        absent.append("The plan (plan.json) is missing: neither the schedule, its seed nor the arms' descriptions can be shown.")
    environment = _read_document(directory / "environment.json")
    if environment is None:
        absent.append("The environment (environment.json) is missing: nothing can be said about kernels, processors, network cards and tuning.")
    if not (directory / "measurements.jsonl").is_file():
        absent.append("The measurements (measurements.jsonl) are missing: single runs, witnesses and the CSV file cannot be shown.")
    return Results(directory, plan or {}, analysis, environment or {}, tuple(absent))


def _read_document(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}.") from error
    try:
        document = json.loads(text)
    except ValueError as error:
        raise LabError(f"{path} is not JSON ({error}): it was cut off or changed; take it from a backup or run the experiment again.") from error
    if not isinstance(document, dict):
        raise LabError(f"{path} holds a {type(document).__name__} where an object belongs.")
    return document


def read_runs(path: Path, digest: Digest) -> Iterator[dict[str, Any]]:
    """Yield each line of ``measurements.jsonl``, counting lines that are not a run: a kill may cut the last one off."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        for line in stream:
            if not line.strip():
                continue
            digest.lines += 1
            try:
                run = loads(line)
            except ValueError:
                run = None
            if not _sound(run):
                digest.unreadable += 1
                continue
            yield run


def _sound(run: Any) -> bool:
    """Tell whether a line has the shape of a run; a line of another hand must not end the report."""
    if not isinstance(run, dict) or not isinstance(run.get("run"), str) or not isinstance(run.get("witness") or {}, dict):
        return False
    measurement = run.get("measurement")
    if measurement is None:
        return True
    if not isinstance(measurement, dict) or not isinstance(measurement.get("duration_s") or 0.0, (int, float)):
        return False
    metrics = measurement.get("metrics")
    return isinstance(metrics, dict) and all(isinstance(metric, dict) for metric in metrics.values())


def reasons_against(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why a run may not enter an analysis by what it says itself; empty for a sound one."""
    reasons = []
    if run.get("failed"):
        reasons.append(str(run["failed"]))
    witness = run.get("witness") or {}
    state = witness.get("state", "missing")
    if state != "proved" and not run.get("failed"):
        evidence = witness.get("evidence")
        reasons.append(f"witness {state}" + (f": {evidence}" if evidence else ""))
    measurement = run.get("measurement") or {}
    reasons.extend(str(reason) for reason in measurement.get("invalid") or ())
    return tuple(reasons)


def digest_runs(results: Results, table: IO[str] | None = None) -> Digest:
    """Go through all runs once; write them as CSV to ``table``, one line per run and metric.

    :param table: an open text file with ``newline=""``, or nothing if no CSV is wanted.
    """
    digest = Digest()
    # Sound runs that the analysis threw out by the rules of the plan (steal, foreign load) are listed there only.
    thrown_out = {
        (str(entry.get("run")), entry.get("attempt", 1)): tuple(str(reason) for reason in entry.get("reasons") or ())
        for entry in results.analysis.get("invalid_runs") or ()
        if isinstance(entry, dict)
    }
    writer = csv.writer(table, lineterminator="\n") if table is not None else None
    if writer:
        writer.writerow(CSV_COLUMNS)
    for run in read_runs(results.path / "measurements.jsonl", digest):
        reasons = thrown_out.get((run["run"], run.get("attempt", 1))) or reasons_against(run)
        _count(digest, run, reasons)
        if writer:
            writer.writerows(_csv_rows(run, reasons))
    return digest


def _count(digest: Digest, run: Mapping[str, Any], reasons: tuple[str, ...]) -> None:
    measurement = run.get("measurement") or {}
    arm, workload = str(run.get("arm", "")), str(run.get("workload", ""))
    witness = run.get("witness") or {}
    place = (arm, str(run.get("point", "")))
    seen = digest.witnesses.get(place)
    if seen is None:
        seen = digest.witnesses[place] = ArmEvidence()
    seen.add(str(witness.get("state", "missing")), str(witness.get("evidence") or ""))
    digest.failed += bool(run.get("failed"))
    recorded = str(run.get("recorded") or "")
    started = str(measurement.get("started") or recorded)
    if recorded:
        digest.first = min(digest.first or started, started)
        digest.last = max(digest.last, recorded)
    digest.busy_s += float(measurement.get("duration_s") or 0.0)
    if measurement:
        digest.tools[(str(measurement.get("tool", "")), str(measurement.get("tool_version", "")))] += 1
        digest.argv.setdefault((workload, arm), [str(word) for word in measurement.get("argv") or ()])
    if not reasons:
        digest.valid += 1
        return
    digest.troubled += 1
    for reason in reasons:
        kind = _NUMBER.sub("#", reason)
        told = digest.reasons.get(kind)
        if told is not None:
            told[0] += 1
        elif len(digest.reasons) < KEPT:
            digest.reasons[kind] = [1, reason]
    if len(digest.troubles) < KEPT:
        digest.troubles.append(Trouble(run["run"], str(run.get("block", "")), str(run.get("attempt", "")), str(run.get("point", "")), workload, arm, reasons))


def _csv_rows(run: Mapping[str, Any], reasons: tuple[str, ...]) -> list[tuple[Any, ...]]:
    measurement = run.get("measurement") or {}
    head = (
        run["run"], run.get("experiment"), run.get("block"), run.get("repeat"), run.get("order"), run.get("attempt"),
        run.get("point"), run.get("workload"),
        run.get("arm"), run.get("host"), run.get("recorded"), (run.get("witness") or {}).get("state", "missing"),
        "no" if reasons else "yes", "; ".join(reasons), measurement.get("tool"), measurement.get("tool_version"),
        measurement.get("duration_s"),
    )  # fmt: skip
    metrics = measurement.get("metrics") or {}
    if not metrics:
        # A run without figures is a fact too.
        return [(*head, None, None, None, None)]
    return [(*head, name, metric.get("value"), metric.get("unit"), metric.get("better")) for name, metric in metrics.items()]
