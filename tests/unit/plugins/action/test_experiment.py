# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The actions of an experiment: from its plan to its analysis, with interruptions, failures and check mode."""

from __future__ import annotations

import copy
import itertools
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible_collections.datapath.lab.plugins.action import environment_record, experiment_analyse, experiment_plan, measurement_record

SPEC: dict[str, Any] = {
    "name": "trial",
    "question": "Does it pay?",
    "arms": [{"name": "base", "setup": "one"}, {"name": "fast", "setup": "one"}],
    "points": [{"name": "p1", "size": 4}, "p2"],
    "workloads": [{"name": "load", "tool": "hyperfine", "metrics": ["time_mean"], "duration_s": 1}],
    "comparisons": [{"reference": "base", "arm": "fast"}],
    "presets": {"quick": {"blocks": 3}, "published": {"blocks": 20}},
}
PROVED = {"state": "proved", "evidence": "seen"}
COUNT = itertools.count()


def act(module: Any, check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run an action as the task executor does; return its result."""
    task = MagicMock()
    task.args, task.check_mode, task.async_val, task.diff = arguments, check_mode, 0, False
    task.action = f"datapath.lab.{module.__name__.rsplit('.', 1)[-1]}"
    play_context = MagicMock(check_mode=check_mode)
    action = module.ActionModule(task, MagicMock(), play_context, MagicMock(), MagicMock(), MagicMock())
    result: dict[str, Any] = action.run(task_vars={})
    return result


def planned(root: Path, **arguments: Any) -> dict[str, Any]:
    """Plan the trial below a directory."""
    return act(experiment_plan, **{"spec": copy.deepcopy(SPEC), "results": str(root), "seed": 5, **arguments})


def measurement(arm: str) -> dict[str, Any]:
    """Return a measurement in which fast is twice as fast, with a little noise that differs each time."""
    value = {"base": 2.0, "base#control": 2.0, "fast": 1.0}[arm] * (1 + 0.001 * (next(COUNT) % 7))
    metrics = {"time_mean": {"value": value, "unit": "s", "better": "lower"}}
    return {"tool": "hyperfine", "argv": [], "started": "2026-11-20T05:00:00Z", "duration_s": 1.0, "metrics": metrics}


def record(plan: dict[str, Any], step: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Record a step of a plan."""
    given = {"witness": PROVED, "measurements": {arm: measurement(arm) for arm in step["arms"]}, **arguments}
    return act(measurement_record, path=plan["path"], runs=step["runs"], host="n1", **given)


def files(root: Path) -> dict[str, bytes]:
    """Return every file below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.is_symlink()}


def test_check_mode_returns_the_plan_and_touches_nothing(tmp_path: Path) -> None:
    """Not even the directory is made."""
    made = planned(tmp_path / "results", check_mode=True)
    assert made["changed"] and made["path"] is None and made["predicted_s"] > 0
    assert len(made["pending"]) == 6 and made["total"] == 15
    assert os.listdir(tmp_path) == []


def test_a_plan_makes_a_run_directory_with_the_contract_s_file(tmp_path: Path) -> None:
    """And returns what the engine loops over."""
    made = planned(tmp_path)
    assert made["changed"] and not made["resumed"] and made["retries"] == 2 and "runs" not in made["plan"]
    plan = json.loads((Path(made["path"]) / "plan.json").read_text())
    assert plan["seed"] == 5 and plan["preset"] == "quick" and plan["blocks"] == 3
    assert Path(made["path"]).parent == tmp_path / "trial"
    step = made["pending"][0]
    assert set(step) >= {"step", "block", "setup", "point", "point_data", "workload", "workload_data", "arms", "runs", "attempt"}


def test_a_seed_is_drawn_and_recorded_if_none_is_given(tmp_path: Path) -> None:
    """Two experiments are not run in the same order."""
    seeds = {planned(tmp_path / name, seed=None)["plan"]["seed"] for name in "abc"}
    assert len(seeds) > 1


def test_an_unfinished_run_is_taken_up_and_a_finished_one_is_not(tmp_path: Path) -> None:
    """It goes on at the next missing run, with the same plan, whatever seed would be drawn now."""
    first = planned(tmp_path, seed=None)
    for step in first["pending"][:2]:
        record(first, step)
    second = planned(tmp_path, seed=None)
    assert second["resumed"] and not second["changed"] and second["path"] == first["path"]
    assert second["pending"] == first["pending"][2:] and second["done"] == 5
    for step in second["pending"]:
        record(second, step)
    assert act(experiment_plan, path=first["path"])["pending"] == []
    third = planned(tmp_path, seed=None)
    assert not third["resumed"] and third["path"] != first["path"] and len(third["pending"]) == 6


@pytest.mark.parametrize(
    "change", [{"preset": "published"}, {"blocks": 2}, {"resume": False}, {"seed": 6}, {"context": {"kernel": "6.13"}}]
)
def test_a_run_of_something_else_is_not_taken_up(tmp_path: Path, change: dict[str, Any]) -> None:
    """Another preset, seed or kernel is another experiment."""
    first = planned(tmp_path)
    assert planned(tmp_path, **change)["path"] != first["path"]


def test_a_step_is_recorded_with_its_progress(tmp_path: Path) -> None:
    """What the progress line needs."""
    plan = planned(tmp_path)
    found = record(plan, plan["pending"][0])
    assert found["changed"] and found["recorded"] == [run["run"] for run in plan["pending"][0]["runs"]]
    assert found["done"] == len(found["recorded"]) and found["total"] == 15 and found["text"].startswith("block 1 of 3 · ")
    lines = (Path(plan["path"]) / "measurements.jsonl").read_text().splitlines()
    assert [json.loads(line)["arm"] for line in lines] == plan["pending"][0]["arms"]


def test_run_ids_alone_name_runs_too(tmp_path: Path) -> None:
    """With one measurement for one run."""
    plan = planned(tmp_path)
    run = plan["pending"][0]["runs"][0]
    found = act(measurement_record, path=plan["path"], runs=[run["run"]], witness=PROVED, measurement=measurement(run["arm"]))
    assert found["recorded"] == [run["run"]] and not found.get("failed") and found["invalid"] == {}


def test_check_mode_records_nothing(tmp_path: Path) -> None:
    """And checks everything."""
    plan = planned(tmp_path)
    before = files(tmp_path)
    assert record(plan, plan["pending"][0], check_mode=True)["done"] == 0
    assert "not in the plan" in record(plan, {**plan["pending"][0], "runs": ["r9"]}, check_mode=True)["msg"]
    assert files(tmp_path) == before


def test_a_failed_step_is_recorded_and_its_block_comes_again(tmp_path: Path) -> None:
    """The next round has it, as the second attempt."""
    plan = planned(tmp_path)
    bad, *rest = plan["pending"]
    found = record(plan, bad, failed="The node did not answer.", measurements={})
    assert set(found["invalid"]) == set(bad["arms"])
    for step in rest:
        record(plan, step)
    again = act(experiment_plan, path=plan["path"])
    assert [(step["block"], step["point"], step["attempt"]) for step in again["pending"]] == [(bad["block"], bad["point"], 2)]
    assert again["repeated"] == [{"block": bad["block"], "point": bad["point"], "workload": "load"}]
    for step in again["pending"]:
        record(plan, step)
    assert act(experiment_plan, path=plan["path"])["pending"] == []
    analysed = act(experiment_analyse, path=plan["path"])
    assert analysed["verdicts"] == {"better": 2} and analysed["complete"]
    assert json.loads((Path(plan["path"]) / "analysis.json").read_text())["repeated_blocks"] == 1


def test_an_arm_without_a_measurement_is_recorded_as_failed(tmp_path: Path) -> None:
    """The others of its step are kept."""
    plan = planned(tmp_path)
    step = next(step for step in plan["pending"] if "fast" in step["arms"])
    found = record(plan, step, measurements={arm: measurement(arm) for arm in step["arms"] if arm != "fast"})
    assert found["invalid"] == {"fast": ["The workload returned no measurement for the arm fast."]}


def test_witnesses_go_to_their_arms_and_the_control_takes_its_arm_s(tmp_path: Path) -> None:
    """An arm without one is not proved."""
    plan = planned(tmp_path)
    step = next(step for step in plan["pending"] if "base#control" in step["arms"])
    found = record(plan, step, witness=None, witnesses={"base": PROVED})
    assert set(found["invalid"]) == {"fast"} and "The witness is missing" in found["invalid"]["fast"][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"runs": ["r99"]}, "runs names 'r99', which is not in the plan; its runs are r00001 to r00015"),
        ({"runs": []}, "runs must name at least one run"),
        ({"runs": [{"run": "r00001", "attempt": 4}]}, "The attempt of run r00001 must be a whole number from 1 to 3, not 4"),
        ({"measurements": {"slow": {}}}, "measurements has the arm 'slow', which this step does not run"),
        ({"witnesses": {"slow": PROVED}}, "witnesses has the arm 'slow', which is not in the plan"),
        ({"witness": {"state": "sure"}}, "must be a dictionary whose state is one of proved, refuted, missing"),
        ({"measurements": {"base": {"tool": "x"}}, "runs": "base"}, "The measurement of base has no 'started'"),
        ({"measurements": {"base": {**measurement("base"), "metrics": {"m": {"value": None}}}}, "runs": "base"}, "must be a finite number"),
        ({"measurements": {"base": {**measurement("base"), "metrics": {"m": {"value": 1, "unit": "s"}}}}, "runs": "base"}, "a direction"),
        ({"path": "/nonexistent"}, "Cannot read plan /nonexistent/plan.json"),
    ],
)
def test_wrong_arguments_get_a_sentence_and_nothing_is_written(tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    """One sentence, no trace."""
    plan = planned(tmp_path)
    before = files(tmp_path)
    runs = [run for step in plan["pending"] for run in step["runs"]]
    given = {"path": plan["path"], "runs": runs[:1], "witness": PROVED, **arguments}
    if given["runs"] == "base":
        given["runs"] = [run for run in runs if run["arm"] == "base"][:1]
    found = act(measurement_record, **given)
    assert found["failed"] and says in found["msg"] and found["msg"].endswith(".")
    assert files(tmp_path) == before


def test_a_step_is_not_recorded_twice(tmp_path: Path) -> None:
    """A doubled measurement would count double."""
    plan = planned(tmp_path)
    record(plan, plan["pending"][0])
    before = files(tmp_path)
    assert "is recorded already" in record(plan, plan["pending"][0])["msg"]
    assert files(tmp_path) == before


def test_a_torn_line_is_repaired_when_the_run_is_taken_up(tmp_path: Path) -> None:
    """And said; check mode leaves it alone."""
    plan = planned(tmp_path)
    record(plan, plan["pending"][0])
    path = Path(plan["path"]) / "measurements.jsonl"
    path.write_bytes(path.read_bytes() + b'{"run":"r0')
    checked = planned(tmp_path, check_mode=True)
    assert checked["resumed"] and checked["repaired"] is None and path.read_bytes().endswith(b"r0")
    found = planned(tmp_path)
    assert found["resumed"] and "was torn" in found["repaired"] and found["pending"] == plan["pending"][1:]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"spec": {**SPEC, "arms": []}}, "spec.arms must be a list with at least one entry"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"results": "/proc/none"}, "Cannot make a run directory in /proc/none/trial"),
        ({"spec": None, "path": "/nonexistent"}, "Cannot read plan"),
    ],
)
def test_a_plan_that_cannot_be_made_gets_a_sentence(tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    """Before anything is made."""
    given = {"spec": copy.deepcopy(SPEC), "results": str(tmp_path), **arguments}
    found = act(experiment_plan, **{key: value for key, value in given.items() if value is not None})
    assert found["failed"] and says in found["msg"]
    assert os.listdir(tmp_path) == []


def test_the_analysis_is_written_once_and_latest_points_to_it(tmp_path: Path) -> None:
    """A second time nothing changes; a newer run takes the link over."""
    plan = planned(tmp_path)
    for step in plan["pending"]:
        record(plan, step)
    checked = act(experiment_analyse, path=plan["path"], check_mode=True)
    assert checked["changed"] and not os.path.exists(checked["path"]) and not os.path.lexists(checked["latest"])
    found = act(experiment_analyse, path=plan["path"])
    assert found["changed"] and found["verdicts"] == {"better": 2} and found["witnesses"] == {"proved": 2}
    assert os.readlink(found["latest"]) == os.path.basename(plan["path"])
    before = files(tmp_path)
    assert not act(experiment_analyse, path=plan["path"])["changed"]
    assert files(tmp_path) == before
    newer = planned(tmp_path)
    act(experiment_analyse, path=newer["path"])
    assert os.readlink(found["latest"]) == os.path.basename(newer["path"])


def test_the_environment_is_kept_and_added_to(tmp_path: Path) -> None:
    """A node that is not named keeps what was recorded before."""
    plan = planned(tmp_path)
    target = Path(plan["path"]) / "environment.json"
    assert act(environment_record, path=plan["path"], nodes={"a": {"kernel": "6.12"}}, check_mode=True)["changed"] and not target.exists()
    assert act(environment_record, path=plan["path"], nodes={"a": {"kernel": "6.12"}})["changed"]
    assert not act(environment_record, path=plan["path"], nodes={"a": {"kernel": "6.12"}})["changed"]
    assert act(environment_record, path=plan["path"], nodes={"b": {"kernel": "6.1"}}, lab={"name": "x"})["changed"]
    kept = json.loads(target.read_text())
    assert kept["nodes"] == {"a": {"kernel": "6.12"}, "b": {"kernel": "6.1"}}
    assert kept["lab"] == {"substrate": "hosts", "accelerator": "native", "name": "x"} and kept["controller"]["python"]
