# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proof by simulation: 10,000 experiments per noise model go through the very functions of the analysis.

The tables are printed with ``pytest -s`` and stand in the report of a failing run.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from ansible_collections.datapath.lab.plugins.plugin_utils import statistics as st
from scipy import stats

from . import noise as models

TRUE_RATIO = 1.10
NO_MARGIN = 0.0
MARGIN = 0.05
# The analysis takes 10,000 draws; a fifth of them moves a limit by a few percent of the interval and saves most of the time.
DRAWS = 2000


def covers(low: Any, high: Any, ratio: float) -> np.ndarray:
    """Return whether each interval holds the true ratio."""
    return (np.asarray(low) <= ratio) & (ratio <= np.asarray(high))


@pytest.fixture(scope="module")
def table() -> list[dict[str, Any]]:
    """Judge every model's experiments once; print what came out."""
    rows = []
    for model in models.MODELS:
        d = models.log_ratios(model.noise, model.blocks, TRUE_RATIO, model.repeats)
        judged = st.judge(d, MARGIN, DRAWS)
        by_t = covers(judged.low, judged.high, TRUE_RATIO)
        by_bootstrap = covers(judged.bootstrap_low, judged.bootstrap_high, TRUE_RATIO)
        alarms = st.judge(d - math.log(TRUE_RATIO), NO_MARGIN, DRAWS)
        edge = st.judge(d - math.log(TRUE_RATIO) + math.log1p(MARGIN), MARGIN, DRAWS)
        rows.append(
            {
                "model": model,
                "t": by_t.mean(),
                "bootstrap": by_bootstrap.mean(),
                "either": (by_t | by_bootstrap).mean(),
                "alarms": np.isin(alarms.verdict, ["better", "worse"]).mean(),
                "falsely better": (edge.verdict == "better").mean(),
                "falsely equivalent": (edge.verdict == "equivalent").mean(),
            }
        )
    print(f"\nCoverage of the 95 % intervals and false verdicts over {models.EXPERIMENTS} simulated experiments per noise model (in %):")
    columns = ("t", "bootstrap", "either", "alarms", "falsely better", "falsely equivalent")
    print(f"{'noise model':50} {'blocks':>6} " + " ".join(f"{name:>{max(9, len(name))}}" for name in columns))
    for row in rows:
        figures = " ".join(f"{100 * row[name]:>{max(9, len(name))}.2f}" for name in columns)
        print(f"{row['model'].name:50} {row['model'].blocks:>6} {figures}")
    return rows


def of_kind(table: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    """Return the rows of these kinds."""
    return [row for row in table if row["model"].kind in kinds]


def test_the_interval_covers_94_to_96_percent_under_normal_and_drifting_noise(table: list[dict[str, Any]]) -> None:
    """The interval is neither too narrow nor too wide."""
    outside = {row["model"].name: row["t"] for row in of_kind(table, "normal", "drifting") if not 0.94 <= row["t"] <= 0.96}
    assert not outside


def test_the_interval_covers_at_least_92_percent_under_strongly_skewed_noise(table: list[dict[str, Any]]) -> None:
    """Spikes and long tails, also in one arm only."""
    below = {row["model"].name: row["t"] for row in of_kind(table, "skewed") if row["t"] < 0.92}
    assert not below


def test_the_bootstrap_holds_where_extreme_skew_in_one_arm_breaks_the_t_interval(table: list[dict[str, Any]]) -> None:
    """This is why a verdict needs the consent of both."""
    for row in of_kind(table, "one-sided"):
        assert row["t"] < 0.92 <= row["bootstrap"]
        assert row["either"] >= 0.93


def test_the_draws_of_the_simulation_give_the_limits_of_the_analysis() -> None:
    """Fewer draws must not be what makes the coverage right."""
    d = models.log_ratios(models.normal(0.02), 10, TRUE_RATIO, experiments=200)
    fewer, more = st.bootstrap_interval(d, draws=DRAWS), st.bootstrap_interval(d)
    width = more[1] - more[0]
    assert np.abs((fewer[0] - more[0]) / width).mean() < 0.03
    assert np.abs((fewer[1] - more[1]) / width).mean() < 0.03


def test_at_a_true_ratio_of_one_false_alarms_stay_at_or_below_the_nominal_level(table: list[dict[str, Any]]) -> None:
    """With no margin at all; with a margin they are rarer still."""
    above = {row["model"].name: row["alarms"] for row in of_kind(table, "normal", "drifting", "skewed") if row["alarms"] > 0.05}
    assert not above


def test_at_the_very_edge_of_the_margin_false_verdicts_stay_at_or_below_their_nominal_level(table: list[dict[str, Any]]) -> None:
    """One-sided: 2.5 % for 'better', 2.5 % for 'equivalent', with three standard errors of the simulation."""
    limit = 0.025 + 3 * math.sqrt(0.025 * 0.975 / models.EXPERIMENTS)
    for row in of_kind(table, "normal", "drifting"):
        assert row["falsely better"] <= limit, row["model"].name
        assert row["falsely equivalent"] <= limit, row["model"].name


@pytest.mark.parametrize(("effect", "sd", "blocks", "stated"), [(1.10, 0.02, 10, 0.95), (1.10, 0.03, 20, 0.95), (1.02, 0.02, 10, 0.5)])
def test_power_at_the_stated_effect(effect: float, sd: float, blocks: int, stated: float) -> None:
    """A true effect is found as often as theory says: 'better' beyond the margin, or 'equivalent' within it."""
    d = models.log_ratios(models.normal(sd), blocks, effect)
    wanted = "better" if effect > 1 + MARGIN else "equivalent"
    power = float((st.judge(d, MARGIN, DRAWS).verdict == wanted).mean())
    distance = abs(math.log(effect) - math.log1p(MARGIN))
    theory = float(stats.nct.sf(stats.t.ppf(0.975, blocks - 1), blocks - 1, distance / (sd * math.sqrt(2 / blocks))))
    print(
        f"\nPower at a true ratio of {effect:g}, {100 * sd:g} % noise per run, {blocks} blocks: "
        f"{100 * power:.1f} % (t alone, by theory: {100 * theory:.1f} %)"
    )
    assert power >= stated
    assert power <= theory + 0.015


def test_an_honest_rig_is_called_unusable_no_more_often_than_the_nominal_level() -> None:
    """Six A/A controls per experiment, judged together by Holm's correction."""
    controls, experiments = 6, 4000
    d = models.log_ratios(models.normal(0.02), 10, 1.0, experiments=controls * experiments).reshape(experiments, controls, 10)
    p = st.p_values_against_one(d)
    unusable = float(np.mean([min(st.holm(list(row))) <= 0.05 for row in p]))
    print(f"\nHonest rigs called unusable: {100 * unusable:.2f} % of {experiments} experiments with {controls} controls each")
    assert 0.035 <= unusable <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / experiments)


def test_a_rig_with_a_bias_of_three_percent_is_found() -> None:
    """The control must not be blind."""
    d = models.log_ratios(models.normal(0.02), 10, 1.03, experiments=4000)
    found = float((st.p_values_against_one(d) <= 0.05).mean())
    print(f"\nRigs with a bias of 3 % at 2 % noise found by one control of 10 blocks: {100 * found:.1f} %")
    assert found >= 0.8


def test_mirrored_order_takes_a_steady_drift_out_of_the_ratio_and_plain_repetition_does_not() -> None:
    """Without the mirror (always base first) the drift of 50 % over 10 blocks would bias each ratio by 2.5 %."""
    d = models.log_ratios(models.linear_drift(0.5, 0.01), 10, 1.0)
    assert abs(float(d.mean())) < 0.0005
    assert float(np.abs(d.mean(axis=1)).max()) < 0.02
    plain = np.full(10, 0.5 / 20)
    assert abs(float(plain.mean())) > 0.02


def test_fiellers_interval_covers_95_percent() -> None:
    """Two unpaired samples with different spreads and sizes."""
    rng = np.random.default_rng(11)
    held = []
    for _experiment in range(4000):
        found = st.fieller(rng.normal(10, 1.0, 12), rng.normal(15, 2.0, 9))
        assert found.low is not None and found.high is not None
        held.append(found.low <= 1.5 <= found.high)
    print(f"\nCoverage of Fieller's interval over 4000 experiments: {100 * np.mean(held):.2f} %")
    assert 0.94 <= float(np.mean(held)) <= 0.965


def test_repeatability_finds_the_true_parts_of_the_variance() -> None:
    """Within 3 %, between 4 %: together 5 %."""
    rng = np.random.default_rng(12)
    found = [
        st.repeatability(list(100 + rng.normal(0, 4, (8, 1)) + rng.normal(0, 3, (8, 4)))) for _experiment in range(2000)
    ]
    within = math.sqrt(float(np.mean([each.s_r**2 for each in found])))
    between = math.sqrt(float(np.mean([each.s_b**2 for each in found])))
    held = float(np.mean([each.ci95[0] <= 100 <= each.ci95[1] for each in found]))
    print(f"\nRepeatability: s_r {within:.2f} (true 3), s_b {between:.2f} (true 4), coverage of the mean {100 * held:.1f} %")
    assert within == pytest.approx(3.0, rel=0.02)
    assert between == pytest.approx(4.0, rel=0.05)
    assert 0.935 <= held <= 0.965
