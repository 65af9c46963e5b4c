# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planted fault is found, the failed runs are told, and no measurement is lost or doubled."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

testinfra_hosts = ["local://"]


@pytest.fixture(scope="module")
def run() -> Path:
    """The run directory of the experiment."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "results", "planted", "latest").resolve()


@pytest.fixture(scope="module")
def records(run: Path) -> list[dict[str, Any]]:
    """What was recorded, a line each."""
    return [json.loads(line) for line in (run / "measurements.jsonl").read_text(encoding="utf-8").splitlines()]


def analysis_of(run: Path) -> Any:
    return json.loads((run / "analysis.json").read_text(encoding="utf-8"))


def test_the_added_cost_is_found(run: Path) -> None:
    (found,) = analysis_of(run)["comparisons"]
    assert found["verdict"] == "worse"
    assert found["witness"] == "proved"
    # Twice the rounds of a loop whose rounds grow a little longer, in a process that also has to start: about twice as long.
    assert found["ci95"][0] < found["speedup"] < found["ci95"][1] < 1
    assert found["ci95"][1] > 1 / 3


def test_the_same_against_itself_is_no_difference(run: Path) -> None:
    (control,) = analysis_of(run)["controls"]
    assert control["verdict"] not in ("better", "worse")


def test_a_failed_block_is_told_and_repeated(records: list[dict[str, Any]]) -> None:
    failed = [record for record in records if record["failed"]]
    assert {record["block"] for record in failed} == {3}
    assert all("planted" in record["failed"] for record in failed)
    repeated = [record for record in records if record["block"] == 3 and record["attempt"] == 2]
    assert {record["arm"] for record in repeated} >= {"plain", "slower"}
    assert all(record["failed"] is None for record in repeated)


def test_no_measurement_is_lost_or_doubled(run: Path, records: list[dict[str, Any]]) -> None:
    counted = Counter((record["run"], record["attempt"]) for record in records)
    assert set(counted.values()) == {1}
    valid = {record["run"] for record in records if record["failed"] is None}
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    assert valid == {planned["run"] for planned in plan["runs"]}


def test_the_report_says_it(run: Path) -> None:
    text = (run / "report.md").read_text(encoding="utf-8")
    (sentence, *_rest) = analysis_of(run)["sentences"]
    assert sentence["text"] in text
