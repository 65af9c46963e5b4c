# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schedule: its order, what is missing after any interruption, and the time it will take."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.plugin_utils import plan as planning
from ansible_collections.datapath.lab.plugins.plugin_utils.record import Record
from ansible_collections.datapath.lab.plugins.plugin_utils.spec import read_spec
from hypothesis import given, settings
from hypothesis import strategies as some

CREATED = "2026-11-20T05:00:00Z"
SPEC: dict[str, Any] = {
    "name": "ipvs_dump",
    "question": "Does it pay?",
    "arms": [{"name": "stock", "setup": "stock"}, {"name": "base", "setup": "patched"}, {"name": "patched", "setup": "patched"}],
    "points": ["1000x4", "2000x2", "100x100"],
    "workloads": [{"name": "dump", "tool": "hyperfine", "metrics": ["time_mean"], "duration_s": 2}],
    "comparisons": [{"reference": "base", "arm": "patched"}, {"reference": "stock", "arm": "patched"}],
    "control": {"arm": "base", "points": ["1000x4"]},
    "blocks": 4,
    "retries": 2,
}
PROVED = {"state": "proved", "evidence": "seen", "data": {}}
MEASUREMENT = {"tool": "t", "started": CREATED, "metrics": {"time_mean": {"value": 1.0, "unit": "s", "better": "lower"}}}


def plan_of(seed: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the plan of the spec with some keys replaced."""
    spec = read_spec({**copy.deepcopy(SPEC), **changes})
    return planning.make_plan(spec, seed, CREATED, "netns", "native")


def recorded(run: dict[str, Any], attempt: int = 1, failed: str | None = None, **changes: Any) -> Record:
    """Return the record of a run of a plan, as a valid one unless told otherwise."""
    values: dict[str, Any] = {
        **{key: run[key] for key in ("run", "arm", "point", "workload", "block", "order")},
        "experiment": "ipvs_dump",
        "attempt": attempt,
        "host": "lb1",
        "recorded": CREATED,
        "witness": PROVED,
        "measurement": None if failed else MEASUREMENT,
        "failed": failed,
        **changes,
    }
    return Record(**values)


def setups(plan: dict[str, Any], block: int) -> list[str]:
    """Return the setups of a block in their order."""
    return [name for name, _runs in itertools.groupby(run["setup"] for run in plan["runs"] if run["block"] == block)]


def cells(plan: dict[str, Any], block: int) -> list[tuple[str, str, str]]:
    """Return what a block runs, in its order."""
    return [(run["point"], run["workload"], run["arm"]) for run in plan["runs"] if run["block"] == block]


@pytest.mark.parametrize("seed", range(8))
def test_each_block_runs_every_arm_once_at_every_point_and_the_control_besides(seed: int) -> None:
    """3 arms × 3 points + the control at one of them."""
    plan = plan_of(seed)
    for block in range(1, 5):
        found = cells(plan, block)
        assert len(found) == len(set(found)) == 10
        assert [cell for cell in found if cell[2] == "base#control"] == [("1000x4", "dump", "base#control")]


@pytest.mark.parametrize("seed", range(8))
def test_the_second_block_of_a_pair_mirrors_the_first_so_that_no_setup_changes_between_them(seed: int) -> None:
    """ABBA: the last setup of block 1 is the first of block 2, and each cell sits at the mirrored place."""
    plan = plan_of(seed)
    assert cells(plan, 2) == cells(plan, 1)[::-1]
    assert cells(plan, 4) == cells(plan, 3)[::-1]
    assert setups(plan, 1)[-1] == setups(plan, 2)[0]


@pytest.mark.parametrize("seed", range(4))
def test_with_two_repeats_each_block_holds_its_own_mirror(seed: int) -> None:
    """Then each block is free of a steady drift by itself."""
    found = cells(plan_of(seed, repeats=2), 3)
    assert len(found) == 20 and found[10:] == found[9::-1]


def test_the_seed_decides_the_order_and_nothing_else_does() -> None:
    """The same seed gives the same schedule; other seeds give others, in which each arm comes first about equally often."""
    assert plan_of(5)["runs"] == plan_of(5)["runs"]
    firsts = [plan_of(seed)["runs"][0]["setup"] for seed in range(200)]
    assert 70 < firsts.count("stock") < 130
    orders = {tuple(run["arm"] for run in plan_of(seed)["runs"][:4]) for seed in range(40)}
    assert len(orders) > 10


def test_runs_are_numbered_and_consecutive_ones_of_one_cell_share_a_step() -> None:
    """A step is one block, setup, point and workload."""
    plan = plan_of()
    runs = plan["runs"]
    assert [run["order"] for run in runs] == list(range(1, 41))
    assert len({run["run"] for run in runs}) == 40
    for _step, group in itertools.groupby(runs, key=lambda run: run["step"]):
        assert len({(run["block"], run["setup"], run["point"], run["workload"]) for run in group}) == 1
    assert runs[-1]["step"] == 4 * 6


def test_an_arm_that_is_ruled_out_stays_in_the_plan_and_is_not_run() -> None:
    """With its sentence."""
    plan = planning.make_plan(read_spec(SPEC, rules_out={"stock": "No module."}), 1, CREATED, "netns", "native")
    assert [arm["rules_out"] for arm in plan["arms"]] == ["No module.", None, None]
    assert {run["arm"] for run in plan["runs"]} == {"base", "patched", "base#control"}


def test_arms_and_workloads_are_run_only_where_the_spec_says() -> None:
    """An arm with points of its own, a workload with arms of its own."""
    plan = plan_of(
        arms=[{"name": "stock", "points": ["100x100"]}, "base", "patched"],
        workloads=[
            {"name": "dump", "tool": "hyperfine", "metrics": ["m"], "duration_s": 1},
            {"name": "list", "tool": "hyperfine", "metrics": ["m"], "duration_s": 1, "arms": ["patched"], "points": ["2000x2"]},
        ],
    )
    assert {(run["point"], run["workload"]) for run in plan["runs"] if run["arm"] == "stock"} == {("100x100", "dump")}
    assert {(run["arm"], run["point"]) for run in plan["runs"] if run["workload"] == "list"} == {("patched", "2000x2")}


def test_a_plan_keeps_the_contract_and_is_json() -> None:
    """The report and the engine read these keys."""
    plan = json.loads(json.dumps(plan_of()))
    wanted = (
        "schema experiment title question created seed preset substrate accelerator blocks arms points workloads comparisons control "
        "published margin invalidation retries predicted_s runs"
    )
    assert set(wanted.split()) <= set(plan)
    assert set(plan["runs"][0]) >= {"run", "order", "step", "block", "point", "workload", "arm", "setup", "attempt"}


@pytest.mark.parametrize(("seed", "accelerator", "says"), [(-1, "native", "seed must be"), (1, "fast", "accelerator must be one of")])
def test_a_wrong_argument_gets_a_sentence(seed: int, accelerator: str, says: str) -> None:
    """Before anything is made."""
    with pytest.raises(InvalidValueError, match=says):
        planning.make_plan(read_spec(SPEC), seed, CREATED, "netns", accelerator)


def steps_as_runs(left: planning.Left) -> list[tuple[str, int]]:
    """Return the runs of the steps that are left, each with its attempt."""
    return [(run["run"], run["attempt"]) for step in left.steps for run in step["runs"]]


@settings(max_examples=60, deadline=None)
@given(done=some.integers(0, 40), seed=some.integers(0, 5))
def test_after_an_interruption_at_any_run_exactly_the_rest_is_left(done: int, seed: int) -> None:
    """Nothing lost, nothing doubled, in the planned order."""
    plan = plan_of(seed)
    left = planning.pending(plan, [recorded(run) for run in plan["runs"][:done]])
    assert steps_as_runs(left) == [(run["run"], 1) for run in plan["runs"][done:]]
    assert (left.done, left.total) == (done, 40)


@settings(max_examples=40, deadline=None)
@given(data=some.data(), seed=some.integers(0, 5))
def test_runs_missing_anywhere_are_left_in_the_planned_order(data: Any, seed: int) -> None:
    """Also when the record has holes."""
    plan = plan_of(seed)
    kept = data.draw(some.sets(some.sampled_from(range(40))))
    left = planning.pending(plan, [recorded(plan["runs"][place]) for place in sorted(kept)])
    assert steps_as_runs(left) == [(run["run"], 1) for place, run in enumerate(plan["runs"]) if place not in kept]


def test_a_failed_run_brings_its_whole_block_at_that_point_back_and_nothing_else() -> None:
    """The unit of a pair is the block."""
    plan = plan_of()
    bad = next(run for run in plan["runs"] if run["arm"] == "patched" and run["block"] == 2 and run["point"] == "2000x2")
    records = [recorded(run, failed="No answer." if run is bad else None) for run in plan["runs"]]
    left = planning.pending(plan, records)
    unit = [run for run in plan["runs"] if (run["block"], run["point"]) == (2, "2000x2")]
    assert steps_as_runs(left) == [(run["run"], 2) for run in unit]
    assert left.repeated == [(2, "2000x2", "dump")]
    assert (left.done, left.total) == (40, 43)
    assert [run["order"] for step in left.steps for run in step["runs"]] == [run["order"] + 40 for run in unit]


def test_a_block_is_not_repeated_before_all_of_it_is_recorded() -> None:
    """First the schedule is finished, in its order."""
    plan = plan_of()
    left = planning.pending(plan, [recorded(plan["runs"][0], failed="No answer.")])
    assert steps_as_runs(left)[0] == (plan["runs"][1]["run"], 1)
    assert all(attempt == 1 for _run, attempt in steps_as_runs(left))


def test_an_interrupted_repetition_goes_on_at_its_next_run() -> None:
    """Also the second attempt is resumed, not begun again."""
    plan = plan_of()
    bad = plan["runs"][3]
    records = [recorded(run, failed="No answer." if run is bad else None) for run in plan["runs"]]
    again = steps_as_runs(planning.pending(plan, records))
    by_id = {run["run"]: run for run in plan["runs"]}
    first = by_id[again[0][0]]
    assert steps_as_runs(planning.pending(plan, [*records, recorded(first, attempt=2)])) == again[1:]


def test_repetitions_end_at_the_limit() -> None:
    """Two retries, then the block is given up and reported."""
    plan = plan_of()
    cell = [run for run in plan["runs"] if run["block"] == 1 and run["point"] == "1000x4"]
    bad = cell[0]
    records = [recorded(run) for run in plan["runs"] if run not in cell]
    for attempt in (1, 2, 3):
        records += [recorded(run, attempt, failed="No answer." if run is bad else None) for run in cell]
    left = planning.pending(plan, records)
    assert left.steps == [] and left.given_up == [(1, "1000x4", "dump")]


def test_an_arm_that_never_works_at_a_point_does_not_have_every_block_repeated() -> None:
    """After more failures than retries, without one success, it is taken for broken there."""
    plan = plan_of()

    def record(run: dict[str, Any]) -> Record:
        return recorded(run, failed="No answer." if (run["arm"], run["point"]) == ("stock", "2000x2") else None)

    left = planning.pending(plan, [record(run) for run in plan["runs"]])
    assert left.steps == [] and len(left.given_up) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"witness": {"state": "refuted", "evidence": "slow path", "data": {}}},
        {"witness": {"state": "missing", "evidence": "", "data": {}}},
        {"measurement": {**MEASUREMENT, "invalid": ["The tool reported errors."]}},
        {"measurement": {**MEASUREMENT, "counters": {"local": {"cpu": {"steal_fraction": 0.02}}}}},
        {"measurement": {**MEASUREMENT, "counters": {"remote": {"cpu": {"foreign_cpu_fraction": 0.06}}}}},
    ],
)
def test_what_was_declared_beforehand_makes_a_run_invalid_and_its_block_repeated(change: dict[str, Any]) -> None:
    """A witness, the tool's own word, steal, foreign load."""
    plan = plan_of()
    records = [recorded(run, **(change if run["order"] == 1 else {})) for run in plan["runs"]]
    assert planning.pending(plan, records).repeated == [(1, plan["runs"][0]["point"], "dump")]


def test_a_step_carries_the_data_of_its_point_and_workload() -> None:
    """The engine's tasks read them."""
    plan = plan_of(points=[{"name": "1000x4", "services": 1000}])
    step = planning.pending(plan, []).steps[0]
    assert step["point_data"] == {"name": "1000x4", "services": 1000}
    assert step["workload_data"]["tool"] == "hyperfine"
    assert step["arms"] == [run["arm"] for run in step["runs"]]


def test_the_predicted_time_counts_runs_steps_and_changes_of_setup() -> None:
    """4 blocks × (10 runs × 2 s + 6 steps × 3 s) + setup changes; the mirror saves one of two between blocks."""
    plan = plan_of(costs={"step_s": 3, "setup_change_s": 10})
    changes = sum(1 for _setup in itertools.groupby(run["setup"] for run in plan["runs"]))
    assert changes <= 6
    assert plan["predicted_s"] == pytest.approx(4 * (10 * 2 + 6 * 3) + 10 * changes)


def timed(plan: dict[str, Any], step_s: float, change_s: float, count: int) -> list[Record]:
    """Return records of the first steps, each step taking as long as told."""
    now, setup, made = 0.0, None, []
    for _step, group in itertools.groupby(plan["runs"], key=lambda run: run["step"]):
        runs = list(group)
        now += step_s + (change_s if runs[0]["setup"] != setup else 0)
        setup = runs[0]["setup"]
        stamp = f"2026-11-20T05:{int(now // 60):02d}:{now % 60:06.3f}Z"
        made += [recorded(run, recorded=stamp) for run in runs]
    return made[: sum(run["step"] <= count for run in plan["runs"])]


def test_what_steps_really_cost_replaces_the_prediction() -> None:
    """After two blocks of steps of 5 s and changes of 7 s the rest is known."""
    plan = plan_of(costs={"step_s": 100, "setup_change_s": 100})
    records = timed(plan, 5, 7, 12)
    state = planning.progress(plan, records)
    rest = planning.pending(plan, records).steps
    changes = sum(1 for _setup in itertools.groupby(step["setup"] for step in rest))
    assert state["remaining_s"] == pytest.approx(12 * 5 + changes * 7, abs=1)
    assert state["elapsed_s"] == pytest.approx(12 * 5 + 3 * 7, abs=1)
    share = round(100 * state["elapsed_s"] / (state["elapsed_s"] + state["remaining_s"]))
    assert state["text"] == f"block 2 of 4 · {share} % · {planning.duration_text(state['remaining_s'])} left"


def test_a_pause_over_night_is_not_taken_for_the_cost_of_a_step() -> None:
    """The experiment was interrupted."""
    plan = plan_of()
    early = timed(plan, 5, 7, 11)
    step = plan["runs"][len(early)]["step"]
    late = [recorded(run, recorded="2026-11-21T05:00:00Z") for run in plan["runs"] if run["step"] == step]
    assert planning.measured_costs(plan, early + late)[1] == pytest.approx(planning.measured_costs(plan, early)[1])


def test_a_hundred_percent_is_said_only_when_nothing_is_left() -> None:
    """And then how long it took."""
    plan = plan_of()
    almost = planning.progress(plan, timed(plan, 5, 7, 23))
    assert almost["percent"] < 100 and almost["done"] < almost["total"]
    done = planning.progress(plan, timed(plan, 5, 7, 24))
    assert done["percent"] == 100 and done["text"].startswith("block 4 of 4 · 100 % · done in")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (44.2, "45 s"), (89, "89 s"), (90, "2 min"), (360, "6 min"), (5400, "1 h 30 min"), (4801, "81 min")]
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    """Rounded up: a prediction must not flatter."""
    assert planning.duration_text(seconds) == text


def test_the_hash_of_a_spec_sees_every_change_and_not_the_order_of_keys() -> None:
    """An unfinished run is taken up only for the same experiment."""
    assert planning.spec_hash({"a": 1, "b": 2}, preset="quick") == planning.spec_hash({"b": 2, "a": 1}, preset="quick")
    assert planning.spec_hash({"a": 1}, preset="quick") != planning.spec_hash({"a": 1}, preset="standard")
    assert planning.spec_hash({"a": 1}) != planning.spec_hash({"a": 2})


def test_the_plan_for_people_says_what_is_ruled_out_and_how_long_it_takes() -> None:
    """This is what check mode prints."""
    plan = planning.make_plan(read_spec(SPEC, rules_out={"stock": "No module."}), 9, CREATED, "netns", "native")
    lines = planning.summary_lines(plan, planning.pending(plan, []), plan["predicted_s"])
    assert lines[0] == "Does it pay?"
    assert "2 arms (base, patched), 3 points, 1 workload, 4 blocks of 1 pass: 28 runs, 0 of them done." in lines[1]
    assert "Seed 9" in lines[2] and lines[3] == "Ruled out: stock. No module."
    assert lines[-1].startswith("Predicted time: ")
