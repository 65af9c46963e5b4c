# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a results directory: whole, cut off, and by another hand."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.plugin_utils.report.results import CSV_COLUMNS, KEPT, digest_runs, read_results

Copier = Callable[[str], Path]
Editor = Callable[[Path, Callable[[dict[str, Any]], None]], None]


def test_the_csv_has_one_line_per_run_and_metric(results: Copier) -> None:
    directory = results("ipvs_dump")
    stream = io.StringIO()
    digest = digest_runs(read_results(directory), stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    runs = [json.loads(line) for line in (directory / "measurements.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = sum(len(run["measurement"]["metrics"]) if run["measurement"] else 1 for run in runs)
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == expected
    assert digest.lines == len(runs) == digest.valid + digest.troubled
    first = runs[0]
    row = next(row for row in rows if row["run"] == first["run"] and row["metric"] == "time_mean")
    assert float(row["value"]) == first["measurement"]["metrics"]["time_mean"]["value"]
    assert (row["point"], row["arm"], row["unit"], row["valid"]) == (first["point"], first["arm"], "s", "yes")


def test_failed_and_invalid_runs_say_why(results: Copier) -> None:
    digest = digest_runs(read_results(results("ipvs_dump")))
    reasons = {trouble.run: trouble.reasons for trouble in digest.troubles}
    assert reasons["r00008"] == ("Run the workload: hyperfine exited with status 1: ipvsadm: Memory allocation problem",)
    # Its own line says nothing of it: the rule was the plan's, the finding the analysis'.
    assert reasons["r00032"] == ("steal_fraction at lb1 was 0.032, above the declared limit of 0.01.",)
    assert digest.failed == 1


def test_a_witness_that_does_not_prove_makes_a_run_invalid_without_the_analysis(results: Copier, edit: Editor) -> None:
    directory = results("lb_scaling")
    edit(directory / "analysis.json", lambda analysis: analysis.update(invalid_runs=[]))
    digest = digest_runs(read_results(directory))
    assert digest.troubled == 6
    assert digest.troubles[0].reasons == ("witness refuted: the virtual server had 1 real server, not 2",)


@pytest.mark.parametrize(
    "line",
    [
        '{"run": "r9',
        "[]",
        "{}",
        '{"run": "r9", "measurement": []}',
        '{"run": "r9", "measurement": {"metrics": {"m": 3}}}',
        '{"run": "r9", "witness": "x"}',
    ],
)
def test_a_line_that_is_no_run_is_counted_and_left_out(results: Copier, line: str) -> None:
    directory = results("ipvs_dump")
    before = digest_runs(read_results(directory))
    with (directory / "measurements.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(line)
    after = digest_runs(read_results(directory))
    assert (after.unreadable, after.valid) == (1, before.valid)


def test_evidence_that_differs_in_every_run_does_not_fill_the_memory(results: Copier) -> None:
    directory = results("ipvs_dump")
    path = directory / "measurements.jsonl"
    run = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    lines = []
    for number in range(3 * KEPT):
        run.update(run=f"r{number:05d}", failed="broken")
        run["witness"]["evidence"] = f"{number} requests"
        lines.append(json.dumps(run))
    path.write_text("\n".join(lines), encoding="utf-8")
    digest = digest_runs(read_results(directory))
    seen = digest.witnesses[run["arm"], run["point"]]
    assert len(seen.evidence) == KEPT
    assert seen.more == 2 * KEPT
    assert (len(digest.troubles), digest.troubled) == (KEPT, 3 * KEPT)


def test_a_directory_without_analysis_is_refused_with_the_way_out(results: Copier) -> None:
    directory = results("ipvs_dump")
    (directory / "analysis.json").unlink()
    with pytest.raises(LabError, match=r"holds no analysis\.json: let datapath\.lab\.experiment_analyse"):
        read_results(directory)


def test_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="There is no results directory"):
        read_results(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "sentence"), [("{", "is not JSON"), ("[]", "holds a list where an object belongs"), ("\udcff", "cannot be read")]
)
@pytest.mark.parametrize("name", ["plan.json", "analysis.json", "environment.json"])
def test_a_broken_document_is_one_sentence(results: Copier, name: str, text: str, sentence: str) -> None:
    directory = results("ipvs_dump")
    (directory / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(LabError, match=sentence) as caught:
        read_results(directory)
    assert name in str(caught.value)
