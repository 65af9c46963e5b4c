# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From measurements to sentences: what is used, what is left out and why, and what is said."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from ansible_collections.datapath.lab.plugins.plugin_utils import analysis
from ansible_collections.datapath.lab.plugins.plugin_utils import plan as planning
from ansible_collections.datapath.lab.plugins.plugin_utils import statistics as st
from ansible_collections.datapath.lab.plugins.plugin_utils.record import Record, write_json
from ansible_collections.datapath.lab.plugins.plugin_utils.spec import read_spec

NOW = "2026-11-20T05:00:00Z"
SPEC: dict[str, Any] = {
    "name": "ipvs_dump",
    "question": "Does it pay?",
    "arms": ["stock", "base", "patched"],
    "points": ["1000x4", "100x100"],
    "workloads": [{"name": "dump", "tool": "hyperfine", "metrics": ["time_mean"], "duration_s": 2}],
    "comparisons": [{"reference": "base", "arm": "patched", "headline": True}, {"reference": "stock", "arm": "patched"}],
    "control": {"arm": "base"},
    "blocks": 10,
    "published": [
        {"point": "1000x4", "workload": "dump", "metric": "time_mean", "reference": "base", "arm": "patched", "speedup": 2.63},
        {"point": "100x100", "workload": "dump", "metric": "time_mean", "reference": "base", "arm": "patched", "speedup": 1.09},
    ],
}
SECONDS = {"stock": 0.31, "base": 0.30, "base#control": 0.30, "patched": 0.10}
Change = Callable[["dict[str, Any]", "dict[str, Any]"], None]


def plan_of(**changes: Any) -> dict[str, Any]:
    """Return the plan of the spec with some keys replaced."""
    return planning.make_plan(read_spec({**copy.deepcopy(SPEC), **changes}), 3, NOW, "qemu", "emulated")


def metric(value: float, unit: str = "s", better: str = "lower") -> dict[str, Any]:
    """Return a metric of a measurement."""
    return {"value": value, "unit": unit, "better": better}


def lines_of(plan: dict[str, Any], change: Change | None = None, seconds: dict[str, float] | None = None) -> Iterator[dict[str, Any]]:
    """Yield a line per run: its arm's time with 1 % of noise; ``change`` may alter each line by its run."""
    rng = random.Random(8)
    for run in plan["runs"]:
        value = (seconds or SECONDS)[run["arm"]] * rng.lognormvariate(0, 0.01)
        line = {
            **{key: run[key] for key in ("run", "arm", "point", "workload", "block", "order", "repeat")},
            "experiment": "ipvs_dump",
            "attempt": 1,
            "host": "lb1",
            "recorded": NOW,
            "witness": {"state": "proved", "evidence": "seen", "data": {}},
            "measurement": {
                "tool": "hyperfine",
                "started": NOW,
                "metrics": {"time_mean": metric(value), "user_mean": metric(value / 3)},
                "samples": {"time": [value, value * 1.01]},
                "counters": {"local": {"cpu": {"steal_fraction": 0.0, "foreign_cpu_fraction": 0.01}}},
                "invalid": [],
            },
            "failed": None,
        }
        if change is not None:
            change(run, line)
        yield line


def analysed(plan: dict[str, Any], lines: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> dict[str, Any]:
    """Return the analysis of these lines, as JSON would give it."""
    measured = analysis.Measured(plan)
    for line in lines:
        measured.add(Record(**line))
    return json.loads(json.dumps(analysis.analyse(plan, measured, NOW), allow_nan=False))


def entry(found: dict[str, Any], point: str, reference: str = "base", arm: str = "patched") -> dict[str, Any]:
    """Return one comparison of an analysis."""
    return next(each for each in found["comparisons"] if (each["point"], each["reference"], each["arm"]) == (point, reference, arm))


def fail(line: dict[str, Any]) -> None:
    """Let a run have failed."""
    line.update(measurement=None, failed="No answer.")


def test_a_plain_experiment_gets_its_ratios_verdicts_and_sentences() -> None:
    """Three times as fast, in every one of two comparisons at two points."""
    found = analysed(plan_of(), lines_of(plan_of()))
    one = entry(found, "1000x4")
    assert one["speedup"] == pytest.approx(3.0, rel=0.02) and one["ci95"][0] < one["speedup"] < one["ci95"][1]
    assert one["bootstrap95"] == pytest.approx(one["ci95"], rel=0.02)
    assert (one["verdict"], one["witness"], one["blocks"], one["unit"], one["better"]) == ("better", "proved", 10, "s", "lower")
    assert (one["published_speedup"], one["replicated"]) == (2.63, "yes")
    assert entry(found, "1000x4", "stock")["replicated"] == "not published"
    assert found["rig"] == "usable" and found["complete"] and found["invalid_runs"] == []
    assert len(found["comparisons"]) == len(found["sentences"]) == 4 and found["not_resolved"] == []
    assert "At 1000x4, patched is 3.0" in found["sentences"][0]["text"]
    assert "times as fast as base in dump" in found["sentences"][0]["text"] and "10 blocks, emulated" in found["sentences"][0]["text"]
    assert found["answers"][0]["verdicts"] == {"better": 2}
    assert found["answers"][0]["text"].startswith("patched in time_mean of dump (emulated): better than base at 2 of 2 points (ratio 3.0")


def test_the_ratio_and_its_interval_are_those_of_the_formula() -> None:
    """Recomputed from the lines themselves."""
    plan = plan_of()
    lines = list(lines_of(plan))
    here = [line for line in lines if line["point"] == "100x100"]
    times = {(line["arm"], line["block"]): line["measurement"]["metrics"]["time_mean"]["value"] for line in here}
    base, patched = ([times[arm, block] for block in range(1, 11)] for arm in ("base", "patched"))
    pairs = st.compare_pairs(base, patched, "lower", 0.05)
    one = entry(analysed(plan, lines), "100x100")
    assert one["speedup"] == pytest.approx(pairs.speedup) and one["ci95"] == pytest.approx(pairs.ci95)


def test_the_contract_s_keys_are_there() -> None:
    """Other things read them."""
    found = analysed(plan_of(), lines_of(plan_of()))
    top = "schema experiment created substrate accelerator comparisons controls cells physics invalid_runs repeated_blocks sentences notes"
    assert set(top.split()) <= set(found)
    comparison = "point workload metric unit reference arm speedup ci95 bootstrap95 blocks verdict witness published_speedup replicated"
    assert set(comparison.split()) <= set(found["comparisons"][0]) and set(comparison.split()) <= set(found["controls"][0])
    assert {"point", "workload", "arm", "metric", "unit", "n", "mean", "sd", "ci95", "median", "min", "max"} <= set(found["cells"][0])


def test_higher_is_better_turns_the_ratio() -> None:
    """Always above 1 is better."""

    def throughput(_run: dict[str, Any], line: dict[str, Any]) -> None:
        value = line["measurement"]["metrics"]["time_mean"]["value"]
        line["measurement"]["metrics"]["time_mean"] = metric(1 / value, "Mbit/s", "higher")

    one = entry(analysed(plan_of(), lines_of(plan_of(), throughput)), "1000x4")
    assert one["speedup"] == pytest.approx(3.0, rel=0.02) and one["verdict"] == "better"


@pytest.mark.parametrize("state", ["refuted", "missing"])
def test_without_a_proof_for_every_run_that_is_used_a_verdict_is_invalid(state: str) -> None:
    """One run of ten is enough, and the figure is shown with its state."""

    def unproved(run: dict[str, Any], line: dict[str, Any]) -> None:
        if (run["arm"], run["block"], run["point"]) == ("patched", 4, "1000x4"):
            line["witness"] = {"state": state, "evidence": "slow path", "data": {}}

    found = analysed(plan_of(), lines_of(plan_of(), unproved))
    one = entry(found, "1000x4")
    assert (one["verdict"], one["witness"]) == ("invalid", state) and one["speedup"] is not None
    assert entry(found, "100x100")["verdict"] == "better"
    assert len(found["sentences"]) == 2
    assert any(f"invalid, since the witness of a run is {state}" in each["text"] for each in found["not_resolved"])
    assert found["invalid_runs"][0]["reasons"][0].startswith(f"The witness is {state}")


def test_a_pair_with_a_failed_run_is_left_out_with_a_note_and_nothing_else_is() -> None:
    """Never because its value was far off."""

    def broken(run: dict[str, Any], line: dict[str, Any]) -> None:
        if (run["arm"], run["block"], run["point"]) == ("base", 2, "1000x4"):
            fail(line)
        if (run["arm"], run["block"], run["point"]) == ("base", 3, "1000x4"):
            line["measurement"]["metrics"]["time_mean"]["value"] *= 100

    found = analysed(plan_of(), lines_of(plan_of(), broken, {**SECONDS, "patched": 0.20}))
    one = entry(found, "1000x4")
    assert one["blocks"] == 9 and one["verdict"] == "inconclusive" and one["speedup"] > 2.0
    assert entry(found, "1000x4", "stock")["blocks"] == 10
    assert any("1 of 10 blocks have no valid pair" in note for note in found["notes"])
    assert any("reaches across a limit" in each["text"] or "disagree" in each["text"] for each in found["not_resolved"])


@pytest.mark.parametrize(
    ("counters", "says"),
    [
        ({"local": {"cpu": {"steal_fraction": 0.05}}}, "steal_fraction at local was 0.05"),
        ({"remote": {"cpu": {"foreign_cpu_fraction": 0.5}}}, "foreign_cpu_fraction at remote was 0.5"),
    ],
)
def test_a_run_that_breaks_a_rule_declared_beforehand_does_not_count(counters: dict[str, Any], says: str) -> None:
    """And is listed with the reason."""

    def disturbed(run: dict[str, Any], line: dict[str, Any]) -> None:
        if (run["arm"], run["block"], run["point"]) == ("patched", 5, "100x100"):
            line["measurement"]["counters"] = counters

    found = analysed(plan_of(), lines_of(plan_of(), disturbed))
    assert entry(found, "100x100")["blocks"] == 9
    assert says in found["invalid_runs"][0]["reasons"][0] and found["invalid_runs"][0]["arm"] == "patched"


def test_of_a_repeated_block_the_latest_valid_attempt_counts() -> None:
    """And its runs only, of both arms."""
    plan = plan_of()
    lines = list(lines_of(plan))
    unit = [line for line in lines if (line["block"], line["point"]) == (1, "1000x4")]
    again = copy.deepcopy(unit)
    for line in unit:
        if line["arm"] == "patched":
            fail(line)
    for line in again:
        line["attempt"] = 2
        line["measurement"]["metrics"]["time_mean"]["value"] *= 2
    found = analysed(plan, [*lines, *again])
    one = entry(found, "1000x4")
    assert one["blocks"] == 10 and found["repeated_blocks"] == 1
    # Both runs of the second attempt are twice as slow: with a mix of the attempts the first block's ratio would be halved.
    assert one["speedup"] == pytest.approx(3.0, rel=0.02) and one["verdict"] == "better"
    base = next(cell for cell in found["cells"] if (cell["arm"], cell["point"], cell["metric"]) == ("base", "1000x4", "time_mean"))
    assert base["n"] == 10 and base["max"] > 0.55


def test_an_attempt_whose_repetition_failed_as_well_still_counts_where_its_own_pair_is_valid() -> None:
    """The stock arm fails in both; base and patched are a valid pair in both, and the latest is taken."""
    plan = plan_of()
    lines = list(lines_of(plan))
    unit = [line for line in lines if (line["block"], line["point"]) == (1, "1000x4")]
    again = copy.deepcopy(unit)
    for line in again:
        line["attempt"] = 2
    for line in [*unit, *again]:
        if line["arm"] == "stock":
            fail(line)
    found = analysed(plan, [*lines, *again])
    assert entry(found, "1000x4")["blocks"] == 10
    assert entry(found, "1000x4", "stock")["blocks"] == 9


def test_a_rig_whose_control_differs_from_itself_is_unusable_and_close_sentences_fall_silent() -> None:
    """A bias of 4 % does not undo a factor of 3; it undoes 6 % against a margin of 5 %."""
    seconds = {"stock": 0.106, "base": 0.30, "base#control": 0.312, "patched": 0.10}
    plan = plan_of(margin=0.03)
    found = analysed(plan, lines_of(plan, seconds=seconds))
    assert found["rig"] == "unusable" and found["controls"][0]["excludes_one"] is True
    assert any(note.startswith("The rig is unusable: base against itself at 1000x4") for note in found["notes"])
    assert entry(found, "1000x4", "stock")["verdict"] == "better"
    said = {each["comparison"] for each in found["sentences"]}
    assert {found["comparisons"][index]["reference"] for index in said} == {"base"}
    assert all("control differs from itself" in each["text"] for each in found["sentences"])
    assert all("not to be relied on" in each["text"] for each in found["not_resolved"])


def test_without_a_complete_control_the_rig_is_unproved() -> None:
    """Which is not the same as usable."""

    def broken(run: dict[str, Any], line: dict[str, Any]) -> None:
        if run["arm"] == "base#control":
            fail(line)

    found = analysed(plan_of(), lines_of(plan_of(), broken))
    assert found["rig"] == "unproved" and any("No A/A control is complete" in note for note in found["notes"])


def test_equal_arms_are_equivalent_and_the_sentence_says_so() -> None:
    """Within the margin as a whole."""
    found = analysed(plan_of(), lines_of(plan_of(), seconds={**SECONDS, "patched": 0.30}))
    assert entry(found, "1000x4")["verdict"] == "equivalent" and entry(found, "1000x4")["replicated"] == "no"
    assert "do not differ in time_mean" in found["sentences"][0]["text"]


def test_a_slower_arm_is_worse_and_its_figure_is_turned_for_people() -> None:
    """1.5 times as long, not 0.667 times as fast."""
    found = analysed(plan_of(), lines_of(plan_of(), seconds={**SECONDS, "patched": 0.45}))
    text = found["sentences"][0]["text"]
    assert "patched takes 1." in text and "times as long as base" in text
    low, high = (float(part) for part in text.split("interval ")[1].split(",")[0].split(" to "))
    assert 1.4 < low < high < 1.6


@pytest.mark.parametrize(("value", "says"), [(0.0, "values above zero"), (-1.0, "values above zero")])
def test_a_value_that_has_no_ratio_gets_a_reason(value: float, says: str) -> None:
    """Not a figure."""

    def zero(run: dict[str, Any], line: dict[str, Any]) -> None:
        if (run["arm"], run["block"]) == ("patched", 1):
            line["measurement"]["metrics"]["time_mean"]["value"] = value

    one = entry(analysed(plan_of(), lines_of(plan_of(), zero)), "1000x4")
    assert one["speedup"] is None and one["ci95"] is None and says in one["reason"] and one["verdict"] in ("invalid", "inconclusive")


def test_blocks_that_all_give_the_same_ratio_have_no_interval() -> None:
    """The tool's resolution hides the noise."""

    def constant(run: dict[str, Any], line: dict[str, Any]) -> None:
        line["measurement"]["metrics"]["time_mean"]["value"] = SECONDS[run["arm"]]

    one = entry(analysed(plan_of(), lines_of(plan_of(), constant)), "1000x4")
    assert one["ci95"] is None and one["verdict"] == "inconclusive" and one["speedup"] == pytest.approx(3.0)
    assert "exactly the ratio 3" in one["reason"]


def test_one_block_has_a_ratio_and_no_verdict() -> None:
    """And says how many it needs."""
    plan = plan_of(blocks=1)
    found = analysed(plan, lines_of(plan))
    one = entry(found, "1000x4")
    assert one["verdict"] == "inconclusive" and one["speedup"] == pytest.approx(3.0, rel=0.05)
    assert "only one block is complete" in one["reason"]
    assert found["sentences"] == [] and found["rig"] == "unproved"


def test_units_that_change_between_runs_are_not_mixed() -> None:
    """Milliseconds among seconds."""

    def milliseconds(run: dict[str, Any], line: dict[str, Any]) -> None:
        if run["block"] == 7:
            line["measurement"]["metrics"]["time_mean"]["unit"] = "ms"

    found = analysed(plan_of(), lines_of(plan_of(), milliseconds))
    assert entry(found, "1000x4")["verdict"] == "invalid" and "different units" in entry(found, "1000x4")["reason"]
    assert any("came in different units" in note for note in found["notes"])
    assert {cell["metric"] for cell in found["cells"]} == {"user_mean"}


def test_one_workload_may_count_other_units_at_other_points() -> None:
    """A stream counts bits, a request test transactions."""

    def by_point(run: dict[str, Any], line: dict[str, Any]) -> None:
        if run["point"] == "100x100":
            value = line["measurement"]["metrics"]["time_mean"]["value"]
            line["measurement"]["metrics"]["time_mean"] = metric(1 / value, "transactions/s", "higher")

    found = analysed(plan_of(), lines_of(plan_of(), by_point))
    assert [entry(found, point)["unit"] for point in ("1000x4", "100x100")] == ["s", "transactions/s"]
    assert all(entry(found, point)["verdict"] == "better" for point in ("1000x4", "100x100"))


def test_a_metric_that_nobody_measured_is_said_to_be_so_and_its_witness_stands() -> None:
    """CPU method U: not measured."""
    plan = plan_of(comparisons=[*SPEC["comparisons"], {"reference": "base", "arm": "patched", "workload": "dump", "metric": "cpu"}])
    found = analysed(plan, lines_of(plan))
    one = next(each for each in found["comparisons"] if each["metric"] == "cpu")
    assert (one["verdict"], one["witness"], one["reason"], one["speedup"]) == ("inconclusive", "proved", "cpu was not measured", None)


def test_a_metric_that_only_some_runs_have_does_not_shift_into_another_s_place() -> None:
    """Rows of different metrics."""

    def other(run: dict[str, Any], line: dict[str, Any]) -> None:
        metrics = line["measurement"]["metrics"]
        if run["block"] % 2:
            line["measurement"]["metrics"] = {"time_mean": metrics["time_mean"], "extra": metric(5.0)}

    found = analysed(plan_of(), lines_of(plan_of(), other))
    means = {cell["metric"]: (cell["n"], cell["mean"]) for cell in found["cells"] if (cell["arm"], cell["point"]) == ("base", "1000x4")}
    assert {name: count for name, (count, _mean) in means.items()} == {"time_mean": 10, "user_mean": 5, "extra": 5}
    assert means["extra"][1] == 5.0 and means["user_mean"][1] == pytest.approx(0.1, rel=0.05)


def test_repeats_within_blocks_are_averaged_and_give_repeatability() -> None:
    """The block is the unit; five of them are tries."""
    plan = plan_of(repeats=2, blocks=6)
    found = analysed(plan, lines_of(plan))
    one = entry(found, "1000x4")
    assert one["blocks"] == 6 and one["verdict"] == "better"
    table = next(each for each in found["repeatability"] if (each["arm"], each["point"]) == ("patched", "1000x4"))
    assert (table["tries"], table["repeats"]) == (6, 2) and 0.0 < table["cv_R"] < 0.05
    few = analysed(plan_of(repeats=2, blocks=3), lines_of(plan_of(repeats=2, blocks=3)))
    assert few["repeatability"] == [] and any("at least 5 tries" in note for note in few["notes"])


def test_an_unfinished_experiment_says_so() -> None:
    """And is analysed as far as it went."""
    plan = plan_of()
    found = analysed(plan, list(lines_of(plan))[:48])
    assert found["complete"] is False and "The experiment is not complete: 48 of 70 planned runs are recorded." in found["notes"]


def test_no_measurement_at_all_is_no_crash() -> None:
    """Every verdict is invalid."""
    found = analysed(plan_of(), [])
    assert {each["verdict"] for each in found["comparisons"]} == {"invalid"} and found["sentences"] == [] and found["cells"] == []


def test_what_a_rule_asks_for_and_nobody_measured_is_noted() -> None:
    """It must not be taken for fine."""

    def without(run: dict[str, Any], line: dict[str, Any]) -> None:
        line["measurement"]["counters"] = {"local": {"cpu": {"steal_fraction": 0.0}}}

    notes = analysed(plan_of(), lines_of(plan_of(), without))["notes"]
    assert any(note.startswith("foreign_cpu_fraction, for which the plan has a rule, was not measured in 70 of 70 runs") for note in notes)
    assert not any(note.startswith("steal_fraction") for note in notes)


def test_an_arm_that_was_ruled_out_is_named_and_not_compared() -> None:
    """Never 1.0 times."""
    plan = planning.make_plan(read_spec(SPEC, rules_out={"stock": "No module."}), 3, NOW, "netns", "native")
    found = analysed(plan, lines_of(plan))
    assert {each["reference"] for each in found["comparisons"]} == {"base"}
    assert found["ruled_out"] == [{"arm": "stock", "sentence": "No module."}]
    assert "The arm stock was ruled out: No module." in found["notes"]


def test_the_number_of_comparisons_is_noted_with_what_survives() -> None:
    """Holm."""
    found = analysed(plan_of(), lines_of(plan_of()))
    said = "4 comparisons were made at 95 % each; 4 of them have a verdict. All of these hold"
    assert any(note.startswith(said) for note in found["notes"])
    assert all(each["survives_holm"] and each["p_holm"] >= each["p"] for each in found["comparisons"])


def test_quantiles_of_single_observations_are_given_per_cell() -> None:
    """20 of them are needed."""
    found = analysed(plan_of(), lines_of(plan_of()))
    one = next(each for each in found["distributions"] if (each["arm"], each["point"]) == ("base", "1000x4"))
    assert (one["sample"], one["n"]) == ("time", 20) and one["quantiles"][0]["value"] == pytest.approx(0.30, rel=0.03)


@pytest.mark.parametrize(
    ("verdict", "ci95", "published", "expected"),
    [
        ("better", [2.9, 3.1], None, "not published"),
        ("invalid", [2.9, 3.1], (2.63, 2.63, 2.63), "not resolved"),
        ("better", None, (2.63, 2.63, 2.63), "not resolved"),
        ("better", [2.9, 3.1], (2.63, 2.63, 2.63), "yes"),
        ("worse", [0.5, 0.6], (2.63, 2.63, 2.63), "no"),
        ("equivalent", [0.98, 1.02], (1.09, 1.09, 1.09), "no"),
        ("equivalent", [0.98, 1.02], (1.01, 1.01, 1.01), "yes"),
        ("better", [1.06, 1.2], (1.01, 1.01, 1.01), "no"),
        ("better", [1.06, 1.2], (0.953, 0.921, 0.987), "not resolved"),
        ("inconclusive", [1.02, 1.12], (1.09, 1.09, 1.09), "yes"),
        ("inconclusive", [0.9, 1.4], (5.6, 5.6, 5.6), "not resolved"),
        ("inconclusive", [0.7, 1.01], (1.09, 1.09, 1.09), "no"),
    ],
)
def test_whether_a_published_figure_was_replicated(
    verdict: str, ci95: list[float] | None, published: tuple[float, float, float] | None, expected: str
) -> None:
    """As analysis.replicated documents it."""
    assert analysis.replicated({"verdict": verdict, "ci95": ci95}, published, 0.05) == expected


def test_published_values_carry_their_own_interval() -> None:
    """857.39 against 817.40, ±2.5 % each: the document's own difference is not resolved."""
    rates = (("base", 857.39), ("patched", 817.40))
    values = {name: {"value": value, "unit": "Mbit/s", "ci_half_width_relative": 0.025} for name, value in rates}
    published = [{key: SPEC["published"][0][key] for key in ("point", "workload", "metric", "reference", "arm")} | {"values": values}]
    plan = plan_of(published=published)

    def throughput(run: dict[str, Any], line: dict[str, Any]) -> None:
        value = line["measurement"]["metrics"]["time_mean"]["value"]
        line["measurement"]["metrics"]["time_mean"] = metric(800 * value, "Mbit/s", "higher")

    one = entry(analysed(plan, lines_of(plan, throughput, {**SECONDS, "patched": 0.285})), "1000x4")
    assert one["published_speedup"] == pytest.approx(0.953, abs=1e-3) and one["published_ci95"] == pytest.approx([0.921, 0.987], abs=2e-3)
    assert one["replicated"] == "not resolved"


@pytest.mark.parametrize(
    ("value", "text"), [(6.5932, "6.59"), (0.9512, "0.951"), (1.0034, "1.003"), (12.345, "12.3"), (0.1234, "0.123"), (1234.5, "1234")]
)
def test_ratios_are_written_with_three_figures(value: float, text: str) -> None:
    """Four close to 1."""
    assert analysis.figure(value) == text


def save(directory: Path, plan: dict[str, Any], lines: Iterator[dict[str, Any]]) -> str:
    """Write a results directory; return its path."""
    directory.mkdir()
    write_json(str(directory / "plan.json"), plan)
    (directory / "measurements.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(directory)


def test_two_results_directories_are_compared_cell_by_cell(tmp_path: Path) -> None:
    """Yesterday's kernel and today's: patched became 20 % faster, base did not change."""
    plan = plan_of()
    before = save(tmp_path / "a", plan, lines_of(plan))
    after = save(tmp_path / "b", plan, lines_of(plan, seconds={**SECONDS, "patched": 0.08}))
    found = {(each["point"], each["arm"]): each for each in analysis.compare_results(before, after)}
    one = found["1000x4", "patched"]
    assert one["speedup"] == pytest.approx(1.25, rel=0.02) and one["verdict"] == "better" and one["unit"] == "s" and one["n"] == [10, 10]
    assert found["1000x4", "base"]["verdict"] == "equivalent"
    assert {each["metric"] for each in found.values()} == {"time_mean"}


def test_comparing_directories_says_where_it_cannot(tmp_path: Path) -> None:
    """One run only on one side."""
    plan, short = plan_of(), plan_of(blocks=1)
    found = analysis.compare_results(save(tmp_path / "a", plan, lines_of(plan)), save(tmp_path / "b", short, lines_of(short)))
    assert all(each["verdict"] == "inconclusive" and "at least 2 values" in each["reason"] for each in found)


def test_a_directory_is_analysed_from_its_files_alone(tmp_path: Path) -> None:
    """The same as from the records."""
    plan = plan_of()
    directory = save(tmp_path / "a", plan, lines_of(plan))
    assert json.loads(json.dumps(analysis.analyse_directory(directory, NOW))) == analysed(plan, lines_of(plan))
