# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record survives kills, refuses doubles and tells what does not count."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.plugin_utils import record as recording
from ansible_collections.datapath.lab.plugins.plugin_utils.record import FILE_NAME, Journal, Record, read_records
from hypothesis import given, settings
from hypothesis import strategies as some


def record(run: str = "r00001", attempt: int = 1, **changes: Any) -> Record:
    """Return a record."""
    values: dict[str, Any] = {
        "run": run,
        "experiment": "e",
        "arm": "base",
        "point": "p",
        "workload": "w",
        "block": 1,
        "order": 1,
        "attempt": attempt,
        "host": "n1",
        "recorded": "2026-11-20T05:00:00.123Z",
        "witness": {"state": "proved", "evidence": "seen", "data": {}},
        "measurement": {"metrics": {}},
        "failed": None,
        **changes,
    }
    return Record(**values)


def written(directory: Path) -> bytes:
    """Return the bytes of the record."""
    return (directory / FILE_NAME).read_bytes()


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    """In its order, with all of its fields."""
    made = [record(f"r{number}", order=number) for number in range(1, 4)]
    with Journal(str(tmp_path)) as journal:
        journal.append(made[:2])
    with Journal(str(tmp_path)) as journal:
        journal.append(made[2:])
        assert journal.records == made
    assert list(read_records(str(tmp_path))) == made


def test_a_line_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    """Others read this file."""
    with Journal(str(tmp_path)) as journal:
        journal.append([record()])
    wanted = "run experiment arm point workload block order attempt host recorded witness measurement failed"
    assert set(wanted.split()) <= set(json.loads(written(tmp_path)))


def test_a_run_is_recorded_once_per_attempt(tmp_path: Path) -> None:
    """And nothing of a batch with a double is written."""
    with Journal(str(tmp_path)) as journal:
        journal.append([record("r1"), record("r1", attempt=2)])
        before = written(tmp_path)
        for batch in ([record("r1")], [record("r2"), record("r2")], [record("r2"), record("r1", attempt=2)]):
            with pytest.raises(InvalidValueError, match="is recorded already"):
                journal.append(batch)
        assert written(tmp_path) == before


@pytest.mark.parametrize("kept", ["{", '{"run":"r00002","experi', '{"a":1}', "\x00\x00\x00"])
def test_a_torn_last_line_is_moved_aside_and_never_counted(tmp_path: Path, kept: str) -> None:
    """Its bytes are kept; a second opening finds nothing to repair."""
    with Journal(str(tmp_path)) as journal:
        journal.append([record()])
    whole = written(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(whole + kept.encode())
    assert list(read_records(str(tmp_path))) == [record()]
    with Journal(str(tmp_path)) as journal:
        assert journal.repaired is not None and "was torn" in journal.repaired
        journal.append([record("r00002")])
    aside = list((tmp_path / "raw").iterdir())
    assert [path.read_bytes() for path in aside] == [kept.encode()]
    with Journal(str(tmp_path)) as journal:
        assert journal.repaired is None
        assert [each.run for each in journal.records] == ["r00001", "r00002"]


@settings(max_examples=50, deadline=None)
@given(cut=some.integers(0, 10_000))
def test_cut_at_any_byte_the_record_holds_exactly_the_whole_lines(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """However far the write had come."""
    directory = tmp_path_factory.mktemp("cut")
    made = [record(f"r{number}", order=number) for number in range(1, 6)]
    with Journal(str(directory)) as journal:
        journal.append(made)
    data = written(directory)
    part = data[: cut % (len(data) + 1)]
    (directory / FILE_NAME).write_bytes(part)
    with Journal(str(directory)) as journal:
        assert journal.records == made[: part.count(b"\n")]


def test_a_killed_writer_loses_nothing_that_it_had_reported(tmp_path: Path) -> None:
    """A process that appends as fast as it can is killed; all that it printed is there, once."""
    script = textwrap.dedent(
        """
        import sys
        sys.path[:0] = [p for p in sys.argv[2].split(":") if p]
        from ansible_collections.datapath.lab.plugins.plugin_utils.record import Journal, Record
        for number in range(100000):
            with Journal(sys.argv[1]) as journal:
                made = Record(f"r{number}", "e", "a", "p", "w", 1, number, 1, "h", "2026-11-20T05:00:00Z", {}, {"x": "y" * 3000}, None)
                journal.append([made])
            print(f"r{number}", flush=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), ":".join(sys.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _line in range(20)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.read().split()
    process.wait(timeout=30)
    with Journal(str(tmp_path)) as journal:
        found = [each.run for each in journal.records]
    assert found[: len(said)] == said
    assert len(found) - len(said) <= 1 and len(set(found)) == len(found)


def test_two_writers_wait_for_each_other(tmp_path: Path) -> None:
    """A second controller cannot write between the check for doubles and the append."""
    script = textwrap.dedent(
        """
        import sys
        sys.path[:0] = [p for p in sys.argv[2].split(":") if p]
        from ansible_collections.datapath.lab.plugins.plugin_utils.record import Journal
        with Journal(sys.argv[1]) as journal:
            print(len(journal.records), flush=True)
        """
    )
    with Journal(str(tmp_path)) as journal:
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), ":".join(sys.path)], stdout=subprocess.PIPE, text=True)
        journal.append([record()])
    out, _none = process.communicate(timeout=60)
    assert out.strip() == "1"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no json", "is not JSON"),
        ("[1]", "is not a dictionary"),
        ('{"run": 1}', "has no usable 'run'"),
        (json.dumps({**record().as_dict(), "block": "1"}), "has no usable 'block'"),
        (json.dumps({**record().as_dict(), "attempt": True}), "has no usable 'attempt'"),
    ],
)
def test_a_line_in_the_middle_that_is_no_record_is_an_error_with_its_place(tmp_path: Path, line: str, says: str) -> None:
    """Another hand changed the file; nothing is guessed."""
    (tmp_path / FILE_NAME).write_text(f"{line}\n{json.dumps(record().as_dict())}\n")
    with pytest.raises(LabError, match=says) as caught:
        list(read_records(str(tmp_path)))
    assert str(caught.value).startswith("Line 1 of ")


def test_a_double_in_the_file_is_an_error(tmp_path: Path) -> None:
    """It must not enter an analysis twice."""
    line = json.dumps(record().as_dict())
    (tmp_path / FILE_NAME).write_text(f"{line}\n{line}\n")
    with pytest.raises(LabError, match="Line 2 of .* records attempt 1 at run r00001 again"):
        list(read_records(str(tmp_path)))


def test_no_record_yet_is_an_empty_record(tmp_path: Path) -> None:
    """Nothing is made by reading."""
    assert list(read_records(str(tmp_path))) == []
    assert os.listdir(tmp_path) == []


def test_a_path_that_is_no_directory_gets_a_sentence() -> None:
    """Not a trace."""
    with pytest.raises(InvalidValueError, match="path must name a results directory"):
        Journal("/nonexistent/run").__enter__()


RULES = {"max_steal_fraction": 0.01, "max_softnet_dropped": 0, "forbid_affinity_changed": True}


@pytest.mark.parametrize(
    ("counters", "broken"),
    [
        ({}, []),
        ({"local": {"cpu": {"steal_fraction": 0.01}}}, []),
        (
            {"local": {"cpu": {"steal_fraction": 0.011}}, "remote": {"cpu": {"steal_fraction": 0}}},
            ["steal_fraction at local was 0.011, above the declared limit of 0.01."],
        ),
        ({"remote": {"softnet_dropped": 3}}, ["softnet_dropped at remote was 3, above the declared limit of 0."]),
        ({"local": {"affinity_changed": True}}, ["affinity_changed was true at local, which the plan forbids."]),
        ({"local": {"affinity_changed": False}, "note": "text"}, []),
    ],
)
def test_rules_declared_beforehand_are_applied_to_each_end(counters: dict[str, Any], broken: list[str]) -> None:
    """What was not measured breaks no rule."""
    assert recording.broken_rules(counters, RULES) == broken


def test_what_no_end_measured_is_named() -> None:
    """So that a reader does not take it for fine."""
    counters = {"local": {"cpu": {"steal_fraction": 0.0}}, "remote": {}}
    assert recording.unmeasured_rules(counters, RULES) == ["softnet_dropped", "affinity_changed"]


@pytest.mark.parametrize(
    ("changes", "excluded", "invalid"),
    [
        ({}, [], []),
        ({"failed": "No answer.", "measurement": None}, ["No answer."], ["No answer."]),
        ({"measurement": None}, ["No measurement was returned."], ["No measurement was returned."]),
        ({"measurement": {"invalid": ["7 errors."]}}, ["7 errors."], ["7 errors."]),
        ({"witness": {"state": "refuted", "evidence": "slow"}}, [], ["The witness is refuted: slow"]),
        ({"witness": {"state": "missing"}}, [], ["The witness is missing: it gave no evidence"]),
    ],
)
def test_why_a_run_does_not_count(changes: dict[str, Any], excluded: list[str], invalid: list[str]) -> None:
    """A missing witness leaves the figures, and takes their meaning."""
    made = record(**changes)
    assert made.why_excluded(RULES) == excluded
    assert made.why_invalid(RULES) == invalid


def test_times_go_there_and_back() -> None:
    """With and without fractions of a second."""
    assert recording.moment("1970-01-01T00:01:00Z") == 60.0
    assert recording.moment("1970-01-01T00:01:00.250Z") == 60.25
    assert abs(recording.moment(recording.now_precisely()) - time.time()) < 5
    with pytest.raises(InvalidValueError, match="must look like"):
        recording.moment("yesterday")
