# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where results lie, which run is taken up, and where latest points."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.plugin_utils import plan as planning
from ansible_collections.datapath.lab.plugins.plugin_utils import results
from ansible_collections.datapath.lab.plugins.plugin_utils.record import Journal, Record
from ansible_collections.datapath.lab.plugins.plugin_utils.spec import read_spec

SPEC: dict[str, Any] = {
    "name": "trial",
    "arms": ["a", "b"],
    "points": ["p"],
    "workloads": [{"name": "w", "tool": "t", "metrics": ["m"], "duration_s": 1}],
    "comparisons": [{"reference": "a", "arm": "b"}],
    "blocks": 2,
}


def made(root: Path, created: str = "2026-11-20T05:00:00Z", seed: int = 1, identity: str = "id") -> tuple[str, dict[str, Any]]:
    """Make a run directory; return it and its plan."""
    plan = planning.make_plan(read_spec(SPEC), seed, created, "netns", "native", identity=identity)
    return results.make_run_directory(str(root), plan), plan


def finish(directory: str, plan: dict[str, Any], seconds: int = 5) -> None:
    """Record every run of a plan, one each few seconds."""
    witness = {"state": "proved", "evidence": "", "data": {}}
    with Journal(directory) as journal:
        for number, run in enumerate(plan["runs"], 1):
            where = {key: run[key] for key in ("run", "arm", "point", "workload", "block", "order", "attempt")}
            stamp = f"2026-11-20T05:{number * seconds // 60:02d}:{number * seconds % 60:02d}Z"
            journal.append([Record(**where, experiment="trial", host="h", recorded=stamp, witness=witness, measurement={}, failed=None)])


def test_runs_are_named_by_their_time_and_never_share_a_directory(tmp_path: Path) -> None:
    """Two in one second get different names."""
    first, _plan = made(tmp_path)
    second, _plan = made(tmp_path)
    assert os.path.relpath(first, tmp_path) == "trial/20261120T050000Z"
    assert os.path.relpath(second, tmp_path) == "trial/20261120T050000Z-2"
    assert results.run_directories(str(tmp_path), "trial") == [second, first]


def test_of_the_unfinished_runs_the_newest_of_the_same_identity_is_taken_up(tmp_path: Path) -> None:
    """With the seed that is asked for, if one is."""
    first, _plan = made(tmp_path, "2026-11-20T05:00:00Z")
    second, plan = made(tmp_path, "2026-11-20T06:00:00Z", seed=2)
    made(tmp_path, "2026-11-20T07:00:00Z", identity="other")
    assert results.unfinished_run(str(tmp_path), "trial", "id") == second
    assert results.unfinished_run(str(tmp_path), "trial", "id", seed=1) == first
    finish(second, plan)
    assert results.unfinished_run(str(tmp_path), "trial", "id") is None
    assert results.unfinished_run(str(tmp_path / "none"), "trial", "id") is None


def test_a_directory_that_is_no_run_is_passed_over(tmp_path: Path) -> None:
    """latest, and what a person put there."""
    first, _plan = made(tmp_path)
    (tmp_path / "trial" / "notes").mkdir()
    (tmp_path / "trial" / "20271120T050000Z").mkdir()
    results.point_latest_to(first)
    assert results.unfinished_run(str(tmp_path), "trial", "id") == first


def test_what_steps_cost_in_an_earlier_run_of_the_preset_is_known(tmp_path: Path) -> None:
    """The next prediction starts from it."""
    assert results.earlier_costs(str(tmp_path), "trial", "quick") is None
    directory, plan = made(tmp_path)
    finish(directory, plan)
    costs = results.earlier_costs(str(tmp_path), "trial", "quick")
    assert costs is not None and costs.steps
    assert results.earlier_costs(str(tmp_path), "trial", "published") is None


def test_latest_is_moved_without_a_moment_in_which_it_is_missing(tmp_path: Path) -> None:
    """And a directory of that name is not destroyed."""
    first, _plan = made(tmp_path)
    second, _plan = made(tmp_path)
    link = results.point_latest_to(first)
    results.point_latest_to(second)
    assert os.readlink(link) == os.path.basename(second)
    os.unlink(link)
    os.mkdir(link)
    with pytest.raises(LabError, match="is not a symbolic link"):
        results.point_latest_to(first)
    assert os.path.isdir(link)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("no json", "is not JSON"),
        ("[]", "does not hold a dictionary"),
        (json.dumps({"schema": 99}), "has the schema 99; this version reads schema 1"),
    ],
)
def test_a_plan_that_cannot_be_read_gets_a_sentence(tmp_path: Path, content: str, says: str) -> None:
    """Not a trace."""
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(LabError, match=says):
        results.read_plan(str(tmp_path))


def test_a_place_that_cannot_hold_results_gets_a_sentence() -> None:
    """With the way out."""
    plan = planning.make_plan(read_spec(SPEC), 1, "2026-11-20T05:00:00Z", "netns", "native")
    with pytest.raises(InvalidValueError, match="Cannot make a run directory in /proc/none/trial: .*choose another place"):
        results.make_run_directory("/proc/none", plan)
