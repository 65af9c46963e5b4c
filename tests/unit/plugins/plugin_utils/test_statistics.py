# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statistics against known answers, and what they refuse. Their coverage is proved in tests/simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from ansible_collections.datapath.lab.plugins.plugin_utils import statistics as st
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

# Student's data on two sleeping drugs, the worked example of R's t.test(…, paired = TRUE): mean difference 1.58, 95 % interval
# 0.7001 to 2.4599, t = 4.0621, p = 0.002833.
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_the_paired_interval_is_that_of_r_on_students_sleep_data() -> None:
    """On the exponentials of the data, since ours takes logarithms."""
    found = st.compare_pairs(np.exp(SLEEP_1), np.exp(SLEEP_2), "higher", 0.0)
    assert math.log(found.speedup) == pytest.approx(1.58, abs=5e-4)
    assert [math.log(limit) for limit in found.ci95] == pytest.approx([0.7001142, 2.4598858], abs=5e-7)
    assert found.p_one == pytest.approx(0.002833, abs=5e-7)
    assert found.verdict == "better" and found.blocks == 10


def test_the_interval_is_that_of_scipy() -> None:
    """An independent implementation."""
    values = np.random.default_rng(1).normal(3, 2, 12)
    _mean, low, high = st.t_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high))


def test_the_studentised_bootstrap_agrees_with_a_plain_loop() -> None:
    """The same method, written as its definition."""
    values = np.random.default_rng(2).gamma(2.0, 1.0, 15)
    rng = np.random.default_rng(99)
    mean, spread = values.mean(), values.std(ddof=1)
    pivots = []
    for _draw in range(20_000):
        drawn = rng.choice(values, len(values))
        pivots.append((drawn.mean() - mean) / drawn.std(ddof=1))
    lower, upper = np.quantile(pivots, [0.025, 0.975])
    low, high = st.bootstrap_interval(values)
    assert float(low) == pytest.approx(mean - upper * spread, rel=0.02)
    assert float(high) == pytest.approx(mean - lower * spread, rel=0.02)


@pytest.mark.parametrize("n", [150, 250])
def test_the_bootstrap_of_many_blocks_is_close_to_the_t_interval(n: int) -> None:
    """Also where whole draws are made one at a time to save memory."""
    values = np.random.default_rng(3).normal(1, 0.1, n)
    low, high = st.bootstrap_interval(values)
    _mean, t_low, t_high = st.t_interval(values)
    assert (float(low), float(high)) == pytest.approx((float(t_low), float(t_high)), abs=0.1 * float(t_high - t_low))


def test_the_bootstrap_gives_the_same_answer_twice() -> None:
    """Its seed is fixed."""
    values = np.random.default_rng(4).normal(1, 0.1, 10)
    assert st.bootstrap_interval(values) == st.bootstrap_interval(values)


def test_one_experiment_alone_gets_what_it_gets_among_many() -> None:
    """The simulations prove the code of the analysis."""
    d = np.random.default_rng(5).normal(0.1, 0.05, (50, 10))
    many = st.judge(d, 0.05)
    alone = st.judge(d[17], 0.05)
    assert float(alone.low) == pytest.approx(float(many.low[17]))
    assert alone.bootstrap_low is not None and many.bootstrap_low is not None
    assert float(alone.bootstrap_low) == pytest.approx(float(many.bootstrap_low[17]), rel=1e-5)
    assert str(alone.verdict) == str(many.verdict[17])


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.06, 1.20, "better"),
        (1.05, 1.20, "inconclusive"),
        (0.80, 0.94, "worse"),
        (0.80, 0.95, "inconclusive"),
        (0.95, 1.05, "equivalent"),
        (0.94, 1.01, "inconclusive"),
        (0.99, 1.06, "inconclusive"),
        (0.50, 2.00, "inconclusive"),
    ],
)
def test_the_verdict_is_what_the_whole_interval_supports(low: float, high: float, verdict: str) -> None:
    """Against a margin of 5 %; overlapping error bars decide nothing."""
    assert str(st.verdicts(low, high, 0.05)) == verdict


def test_without_a_margin_nothing_is_equivalent_and_an_interval_off_one_decides() -> None:
    """The limits."""
    assert [str(st.verdicts(*each, 0.0)) for each in ((1.001, 1.1), (0.9, 0.999), (0.9, 1.1))] == ["better", "worse", "inconclusive"]


def test_a_verdict_needs_both_methods() -> None:
    """Where they differ, nothing is said."""
    found = st.agreed(["better", "worse", "equivalent"], ["better", "inconclusive", "better"])
    assert list(found) == ["better", "inconclusive", "inconclusive"]


@pytest.mark.parametrize(
    ("reference", "arm", "better", "error", "says"),
    [
        ([1.0], [2.0], "higher", st.TooFewError, "at least 2 values are needed, and there are 1"),
        ([], [], "higher", st.TooFewError, "at least 1 values are needed, and there are 0"),
        ([1.0, 2.0], [2.0, 4.0], "higher", st.NoVarianceError, "exactly the same ratio"),
        ([1.0, 0.0], [1.0, 1.0], "higher", st.NotPositiveError, "needs values above zero, and one is 0"),
        ([1.0, -1.0], [1.0, 1.0], "higher", st.NotPositiveError, "one is -1"),
        ([1.0, math.nan], [1.0, 1.0], "higher", st.NotPositiveError, "not a finite number"),
        ([1.0, math.inf], [1.0, 1.0], "lower", st.NotPositiveError, "not a finite number"),
        ([1.0, 2.0, 3.0], [1.0, 1.0], "higher", st.StatisticsError, "as many values of the arm"),
        ([1.0, 2.0], [1.0, 1.0], "neither", st.StatisticsError, "cannot be better or worse"),
    ],
)
def test_what_cannot_be_computed_is_a_typed_error(
    reference: list[float], arm: list[float], better: str, error: type[Exception], says: str
) -> None:
    """Never a value that is not a number."""
    with pytest.raises(error, match=says):
        st.compare_pairs(reference, arm, better, 0.05)


def test_below_five_blocks_there_is_no_bootstrap_and_the_t_interval_decides() -> None:
    """Too many resamples would consist of one block only."""
    found = st.compare_pairs([1.0, 1.1, 1.2, 1.0], [2.0, 2.3, 2.3, 2.1], "higher", 0.05)
    assert found.bootstrap95 is None and found.verdict == "better"
    with pytest.raises(st.TooFewError):
        st.bootstrap_interval([1.0, 2.0, 3.0, 4.0])


POSITIVE = some.floats(0.01, 100.0)
PAIRS = some.lists(some.tuples(POSITIVE, POSITIVE), min_size=2, max_size=12).map(lambda pairs: tuple(map(list, zip(*pairs))))


def compared(reference: list[float], arm: list[float], better: str) -> st.Pairs | None:
    """Return the comparison, or None where it is refused."""
    try:
        return st.compare_pairs(reference, arm, better, 0.05)
    except st.StatisticsError:
        return None


@settings(max_examples=60, deadline=None)
@given(pairs=PAIRS)
def test_turning_the_direction_or_the_arms_round_inverts_the_ratio(pairs: tuple[list[float], list[float]]) -> None:
    """Lower is better of A against B = higher is better of B against A."""
    forward, turned, swapped = compared(*pairs, "higher"), compared(*pairs, "lower"), compared(*pairs[::-1], "lower")
    assert (forward is None) == (turned is None) == (swapped is None)
    if forward is not None and turned is not None and swapped is not None:
        assert turned.speedup == pytest.approx(1 / forward.speedup)
        assert turned.ci95 == pytest.approx((1 / forward.ci95[1], 1 / forward.ci95[0]))
        assert swapped.speedup == pytest.approx(forward.speedup)


@settings(max_examples=60, deadline=None)
@given(pairs=PAIRS, scale=some.floats(0.001, 1000.0))
def test_units_do_not_matter(pairs: tuple[list[float], list[float]], scale: float) -> None:
    """Seconds or milliseconds, the ratio is the same."""
    plain = compared(*pairs, "higher")
    scaled = compared([scale * value for value in pairs[0]], [scale * value for value in pairs[1]], "higher")
    if plain is not None and scaled is not None:
        assert scaled.speedup == pytest.approx(plain.speedup, rel=1e-9)
        assert scaled.ci95 == pytest.approx(plain.ci95, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(pairs=PAIRS)
def test_every_figure_is_finite_and_the_interval_holds_the_ratio(pairs: tuple[list[float], list[float]]) -> None:
    """Or the comparison is refused."""
    found = compared(*pairs, "higher")
    if found is not None:
        figures = [found.speedup, *found.ci95, found.p, found.p_one, *(found.bootstrap95 or ())]
        assert all(math.isfinite(figure) for figure in figures)
        assert found.ci95[0] <= found.speedup <= found.ci95[1]
        assert found.verdict in st.VERDICTS and 0 <= found.p <= 1


def test_holms_adjustment_is_that_of_r() -> None:
    """p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm") and with ties and a large one."""
    assert st.holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert st.holm([0.04, 0.001, 0.9, 0.001]) == pytest.approx([0.08, 0.004, 0.9, 0.004])
    assert st.holm([]) == []


@given(p=some.lists(some.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_lies_below_bonferroni(p: list[float]) -> None:
    """Its two bounds, and the order is kept."""
    adjusted = st.holm(p)
    assert all(before <= after <= min(1.0, len(p) * before) + 1e-12 for before, after in zip(p, adjusted))
    order = sorted(range(len(p)), key=lambda index: p[index])
    assert [adjusted[index] for index in order] == sorted(adjusted)


def test_the_p_value_of_a_verdict_passes_the_level_exactly_where_the_interval_does() -> None:
    """The two are one test."""
    d = np.random.default_rng(6).normal(0.06, 0.03, (400, 8))
    _mean, low, high = (np.exp(values) for values in st.t_interval(d))
    verdict = st.verdicts(low, high, 0.05)
    p = st.p_values(d, verdict, 0.05)
    decided = verdict != "inconclusive"
    assert 20 < decided.sum() < 380
    assert (p[decided] <= 0.05).all() and (p[~decided] > 0.05).all()


def test_fiellers_interval_is_the_set_of_ratios_that_a_t_test_does_not_reject() -> None:
    """Its definition: mean(b) − ratio·mean(a) is compatible with zero inside and not outside."""
    a, b = [10.1, 9.8, 10.4, 10.0, 9.7, 10.2], [15.2, 14.1, 15.9, 15.0, 14.6]
    found = st.fieller(a, b)
    assert found.low is not None and found.high is not None and not found.unbounded
    assert found.ratio == pytest.approx(np.mean(b) / np.mean(a))
    var_a, var_b = np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)
    freedom = (var_b + found.ratio**2 * var_a) ** 2 / (var_b**2 / 4 + (found.ratio**2 * var_a) ** 2 / 5)
    for limit in (found.low, found.high):
        t = abs(np.mean(b) - limit * np.mean(a)) / math.sqrt(var_b + limit**2 * var_a)
        assert t == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-6)
    assert found.low < found.ratio < found.high


def test_fieller_says_unbounded_where_it_is() -> None:
    """A reference that varies as much as it is large."""
    found = st.fieller([0.1, 20.0, 0.2], [5.0, 6.0, 5.5])
    assert found == st.Fieller(found.ratio, None, None, True)


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [([1.0], [1.0, 2.0], st.TooFewError), ([1.0, 1.0], [2.0, 2.0], st.NoVarianceError), ([1.0, -2.0], [1.0, 2.0], st.NotPositiveError)],
)
def test_fieller_refuses_what_it_cannot_do(a: list[float], b: list[float], error: type[Exception]) -> None:
    """With a typed error."""
    with pytest.raises(error):
        st.fieller(a, b)


def test_one_constant_sample_is_no_obstacle_to_fieller() -> None:
    """The other one varies."""
    found = st.fieller([2.0, 2.0, 2.0], [4.0, 4.2, 3.8])
    expected = stats.ttest_1samp([4.0, 4.2, 3.8], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low / 2, expected.high / 2))


def test_a_published_difference_within_its_own_interval_is_not_resolved() -> None:
    """857.39 against 817.40, each ±2.5 %, is quoted as "−5 %"."""
    ratio, low, high = st.ratio_of_published(857.39, 817.40, 0.025, 0.025, "higher")
    assert ratio == pytest.approx(0.9534, abs=1e-4)
    assert (low, high) == pytest.approx((0.9207, 0.9872), abs=1e-3)
    assert str(st.verdicts(low, high, 0.05)) == "inconclusive"


def test_repeatability_against_a_worked_example() -> None:
    """One-way random effects by hand: six tries of two repeats."""
    tries = [[10, 12], [14, 16], [9, 11], [13, 15], [11, 13], [15, 17]]
    found = st.repeatability(tries)
    # Within: each try varies by 2 about its mean, mean square 2. Between: means 11, 15, 10, 14, 12, 16 about 13, mean square 2·28/5.
    assert found.s_r == pytest.approx(math.sqrt(2.0))
    assert found.s_b == pytest.approx(math.sqrt((11.2 - 2.0) / 2))
    assert found.s_R == pytest.approx(math.sqrt(2.0 + 4.6))
    assert found.cv_R == pytest.approx(found.s_R / 13)
    assert found.icc == pytest.approx(4.6 / 6.6)
    half = stats.t.ppf(0.975, 5) * math.sqrt(28 / 5) / math.sqrt(6)
    assert found.ci95 == pytest.approx((13 - half, 13 + half))


def test_tries_that_differ_less_than_chance_have_no_variance_between_them() -> None:
    """Not a negative one."""
    found = st.repeatability([[1, 9], [9, 1], [1, 9], [9, 1], [1, 9]])
    assert found.s_b == 0.0 and found.icc == 0.0 and found.s_R == found.s_r


@pytest.mark.parametrize(
    ("tries", "says"),
    [
        ([[1.0, 2.0]] * 4, "at least 5 tries, and there are 4"),
        ([[1.0, 2.0]] * 4 + [[1.0]], "at least 2 repeats in each try; one has 1"),
    ],
)
def test_repeatability_refuses_too_little_with_a_sentence(tries: list[list[float]], says: str) -> None:
    """Samples inside a try are not replicates."""
    with pytest.raises(st.TooFewError, match=says):
        st.repeatability(tries)


def test_a_quantile_has_an_interval_from_order_statistics() -> None:
    """For the median of 100 values: ranks 40 and 61 of the worked tables."""
    found = st.quantile(list(range(1, 101)), 0.5)
    assert (found.value, found.low, found.high) == (50.5, 40.0, 61.0)
    assert 0.95 <= stats.binom.cdf(60, 100, 0.5) - stats.binom.cdf(39, 100, 0.5) <= 0.97


def test_a_high_quantile_of_a_small_sample_has_no_upper_limit() -> None:
    """The 99th of 20 values may lie above all of them."""
    found = st.quantile(list(range(20)), 0.99)
    assert found.high is None and found.low is not None
    with pytest.raises(st.StatisticsError):
        st.quantile([1.0, 2.0], 1.0)


def test_a_summary_of_one_value_claims_no_spread() -> None:
    """And of several it is that of NumPy and SciPy."""
    assert st.summary([3.0]) == {"n": 1, "mean": 3.0, "sd": None, "ci95": None, "median": 3.0, "min": 3.0, "max": 3.0}
    values = [3.0, 4.0, 8.0]
    found, expected = st.summary(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found["sd"] == pytest.approx(np.std(values, ddof=1))
    assert found["ci95"] == pytest.approx([expected.low, expected.high])


def test_statistics_errors_are_the_lab_s_own() -> None:
    """So that an action turns them into a sentence."""
    error: Any = st.TooFewError("x")
    assert isinstance(error, st.LabError)


def test_a_controller_without_numpy_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collection loads without; the analysis cannot be made."""
    monkeypatch.setattr(st, "MISSING", ImportError("No module named 'numpy'"))
    with pytest.raises(st.LabError, match="needs NumPy and SciPy on the controller .*numpy.*; .make deps. installs both"):
        st.require_numerics()
