# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statistics of a comparison: pure functions over NumPy arrays.

The core functions work on arrays of shape (…, n): n blocks of one experiment in the last axis, any number of experiments before it. The
analysis calls them with one experiment, the simulations that prove their coverage with ten thousand at once; it is the same code.

What is computed. Per block, d = ln(B/A), oriented so that above 0 is better. The ratio is exp(mean d); its 95 % interval is
exp(mean d ± t·s/√n) with n−1 degrees of freedom. Beside it stands a bootstrap over whole blocks (10,000 draws, fixed seed). Of the
percentile, BCa and studentised forms the studentised one is used: in simulation at 10 blocks it covers 94 to 95 % for normal noise
and for noise that is skewed in one arm only, where percentile and BCa cover 84 to 90 %. The two err in different places (t where
one arm alone is skewed, the bootstrap where both have heavy tails), and a verdict needs the consent of both.

What cannot be computed raises :class:`StatisticsError` with a sentence; no function returns a value that is not a number.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError, MissingCapabilityError

# Only the analysis needs them: the collection loads without.
MISSING: Optional[ImportError] = None
try:
    import numpy as np
    from scipy import special, stats
except ImportError as error:
    MISSING = error

if TYPE_CHECKING:
    Array = np.ndarray

DRAWS = 10_000
BOOTSTRAP_SEED = 20_201_120
# Below this number of blocks too many resamples consist of one block only.
BOOTSTRAP_BLOCKS = 5
LEVEL = 0.95
VERDICTS = ("better", "worse", "equivalent", "inconclusive", "invalid")
MIN_TRIES, MIN_REPEATS = 5, 2


class StatisticsError(LabError):
    """These numbers do not allow what was asked for."""


class TooFewError(StatisticsError):
    """There are fewer values than the method needs."""


class NoVarianceError(StatisticsError):
    """All values are equal, so that nothing is known about how much they vary."""


class NotPositiveError(StatisticsError):
    """A ratio was asked for of values that are not all finite and above zero."""


def require_numerics() -> None:
    """Say with a sentence what to install, where NumPy or SciPy is missing."""
    if MISSING is not None:
        raise MissingCapabilityError(f"The analysis needs NumPy and SciPy on the controller ({MISSING}); 'make deps' installs both.")


def _numbers(values: Any, what: str, at_least: int) -> Array:
    array = np.asarray(values, dtype=float)
    if array.ndim == 0 or array.shape[-1] < at_least:
        have = 0 if array.ndim == 0 else array.shape[-1]
        raise TooFewError(f"{what}: at least {at_least} values are needed, and there are {have}.")
    if not np.isfinite(array).all():
        raise NotPositiveError(f"{what}: a value is not a finite number.")
    return array


def _positive(values: Any, what: str, at_least: int) -> Array:
    array = _numbers(values, what, at_least)
    if not (array > 0).all():
        raise NotPositiveError(f"{what}: a ratio needs values above zero, and one is {float(array.min()):g}.")
    return array


def no_spread(values: Array) -> Array:
    """Tell, for each experiment, whether its values differ by no more than the rounding of the computer."""
    scale = np.maximum(np.abs(values).max(axis=-1), 1.0)
    return np.asarray(np.ptp(values, axis=-1) <= 1e-12 * scale)


def log_ratios(reference: Any, arm: Any, better: str) -> Array:
    """Return d = ln(arm/reference) per block, with the sign turned where lower is better.

    :param reference: values of the reference, shape (…, n).
    :param arm: values of the arm in the same blocks.
    :param better: ``higher`` or ``lower``.
    """
    if better not in ("higher", "lower"):
        raise StatisticsError(f"A metric whose direction is {better!r} cannot be better or worse.")
    below, above = _positive(reference, "reference", 1), _positive(arm, "arm", 1)
    if below.shape != above.shape:
        raise StatisticsError(f"Pairs need as many values of the arm ({above.shape[-1]}) as of the reference ({below.shape[-1]}).")
    ratios: Array = np.log(above) - np.log(below)
    return ratios if better == "higher" else -ratios


def t_interval(values: Any, level: float = LEVEL) -> Tuple[Array, Array, Array]:
    """Return mean and interval (mean, low, high) of each experiment by Student's t.

    :param values: shape (…, n), n at least 2.
    """
    array = _numbers(values, "interval", 2)
    n = array.shape[-1]
    mean = array.mean(axis=-1)
    half = stats.t.ppf(0.5 + level / 2, n - 1) * array.std(axis=-1, ddof=1) / math.sqrt(n)
    return mean, mean - half, mean + half


@functools.lru_cache(maxsize=8)
def _weights(n: int, draws: int, seed: int) -> Array:
    """Return for each draw how often each block is in it, divided by n; (draws, n)."""
    made: Array = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=draws).astype(np.float32) / np.float32(n)
    return made


def bootstrap_interval(
    values: Any, level: float = LEVEL, draws: int = DRAWS, seed: int = BOOTSTRAP_SEED
) -> Tuple[Array, Array]:
    """Return the studentised bootstrap interval (low, high) of each experiment's mean, drawing whole blocks.

    :param values: shape (…, n), n at least :data:`BOOTSTRAP_BLOCKS`.
    :param draws: number of resamples; all experiments of one call share them.
    """
    array = _numbers(values, "bootstrap", BOOTSTRAP_BLOCKS)
    n = array.shape[-1]
    flat = array.reshape(-1, n)
    mean = flat.mean(axis=1)
    spread = flat.std(axis=1, ddof=1)
    if no_spread(flat).any():
        raise NoVarianceError("bootstrap: all blocks gave the same value, so that nothing is known about how much they vary.")
    centred = ((flat - mean[:, None]) / spread[:, None]).astype(np.float32)
    low, high = np.empty(len(flat)), np.empty(len(flat))
    chunk = max(1, 4_000_000 // draws)
    tail = (1 - level) / 2
    for begin in range(0, len(flat), chunk):
        part = centred[begin : begin + chunk]
        first = np.zeros((len(part), draws), dtype=np.float32)
        second = np.zeros_like(first)
        # Whole draws at a time, some blocks at a time: a thousand blocks need no large matrix.
        weights = _weights(n, draws, seed) if n <= 200 else None
        if weights is not None:
            first, second = part @ weights.T, (part**2) @ weights.T
        else:
            generator = np.random.default_rng(seed)
            for draw in range(draws):
                taken = part[:, generator.integers(0, n, n)]
                first[:, draw], second[:, draw] = taken.mean(axis=1), (taken**2).mean(axis=1)
        second -= first * first
        np.maximum(second, 1e-12, out=second)
        np.sqrt(second, out=second)
        ratio = np.divide(first, second, out=first)
        lower, upper = np.quantile(ratio, [tail, 1 - tail], axis=1, overwrite_input=True) * math.sqrt((n - 1) / n)
        low[begin : begin + chunk] = mean[begin : begin + chunk] - upper * spread[begin : begin + chunk]
        high[begin : begin + chunk] = mean[begin : begin + chunk] - lower * spread[begin : begin + chunk]
    return low.reshape(array.shape[:-1]), high.reshape(array.shape[:-1])


def verdicts(low: Any, high: Any, margin: float) -> Array:
    """Return the verdict on each interval of a ratio.

    ``better`` if it lies above 1 + margin, ``worse`` if below 1 − margin, ``equivalent`` if within 1 ± margin, else ``inconclusive``.
    """
    lower, upper = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    return np.select(
        [lower > 1 + margin, upper < 1 - margin, (lower >= 1 - margin) & (upper <= 1 + margin)],
        ["better", "worse", "equivalent"],
        "inconclusive",
    )


def agreed(first: Any, second: Any) -> Array:
    """Return the verdicts in which two methods agree, ``inconclusive`` where they do not."""
    return np.where(np.asarray(first) == np.asarray(second), first, "inconclusive")


def p_values(values: Any, verdict: Any, margin: float) -> Array:
    """Return for each experiment the p value of its verdict, as the t interval tests it (two-sided, so that p ≤ 0.05 where it is reached).

    :param values: log-ratios, shape (…, n).
    :param verdict: ``better`` or ``worse`` (against the margin), ``equivalent`` (the larger of two one-sided tests); for anything
        else the p value against either margin, whichever the mean lies nearer to.
    """
    array = _numbers(values, "p value", 2)
    n = array.shape[-1]
    mean, error = array.mean(axis=-1), array.std(axis=-1, ddof=1) / math.sqrt(n)
    if (error == 0).any():
        raise NoVarianceError("p value: all blocks gave the same value, so that nothing is known about how much they vary.")
    above = stats.t.sf((mean - math.log1p(margin)) / error, n - 1)
    below = stats.t.cdf((mean - math.log1p(-margin)) / error, n - 1)
    within = np.maximum(stats.t.cdf((mean - math.log1p(margin)) / error, n - 1), stats.t.sf((mean - math.log1p(-margin)) / error, n - 1))
    chosen = np.where(np.asarray(verdict) == "equivalent", within, np.minimum(above, below))
    return np.asarray(np.minimum(1.0, 2 * chosen))


def p_values_against_one(values: Any) -> Array:
    """Return the two-sided p value of each experiment against a ratio of exactly 1."""
    array = _numbers(values, "p value", 2)
    n = array.shape[-1]
    error = array.std(axis=-1, ddof=1) / math.sqrt(n)
    if (error == 0).any():
        raise NoVarianceError("p value: all blocks gave the same value, so that nothing is known about how much they vary.")
    return np.asarray(2 * stats.t.sf(np.abs(array.mean(axis=-1)) / error, n - 1))


def holm(p: Sequence[float]) -> List[float]:
    """Return Holm's adjusted p values, in the order given: with them, the chance of any false verdict among all stays below the level."""
    order = sorted(range(len(p)), key=lambda index: p[index])
    adjusted, floor = [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        floor = max(floor, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = floor
    return adjusted


@dataclass(frozen=True)
class Pairs:
    """The outcome of a paired comparison.

    ``speedup``: above 1 is better; ``bootstrap95``: None below :data:`BOOTSTRAP_BLOCKS` blocks; ``p``: of the verdict, by t;
    ``p_one``: against a ratio of exactly 1.
    """

    speedup: float
    ci95: Tuple[float, float]
    bootstrap95: Optional[Tuple[float, float]]
    blocks: int
    verdict: str
    p: float
    p_one: float


@dataclass(frozen=True)
class Judged:
    """What :func:`judge` finds of each experiment, as arrays of ratios; the bootstrap is None below :data:`BOOTSTRAP_BLOCKS` blocks."""

    speedup: Array
    low: Array
    high: Array
    bootstrap_low: Optional[Array]
    bootstrap_high: Optional[Array]
    verdict: Array
    p: Array
    p_one: Array


def judge(d: Any, margin: float, draws: int = DRAWS) -> Judged:
    """Judge any number of experiments of n blocks each.

    :param d: oriented log-ratios, shape (…, n), n at least 2, from :func:`log_ratios`.
    :param margin: of equivalence.
    :param draws: of the bootstrap.
    :raises NoVarianceError: the blocks of an experiment all gave exactly the same ratio.
    """
    array = _numbers(d, "comparison", 2)
    if no_spread(array).any():
        raise NoVarianceError("comparison: all blocks gave exactly the same ratio, so that nothing is known about how much it varies.")
    mean, low, high = (_ratio(values) for values in t_interval(array))
    verdict = verdicts(low, high, margin)
    bootstrap_low: Optional[Array] = None
    bootstrap_high: Optional[Array] = None
    if array.shape[-1] >= BOOTSTRAP_BLOCKS:
        bootstrap_low, bootstrap_high = (_ratio(values) for values in bootstrap_interval(array, draws=draws))
        verdict = agreed(verdict, verdicts(bootstrap_low, bootstrap_high, margin))
    return Judged(mean, low, high, bootstrap_low, bootstrap_high, verdict, p_values(array, verdict, margin), p_values_against_one(array))


def compare_pairs(reference: Any, arm: Any, better: str, margin: float) -> Pairs:
    """Compare an arm with its reference, measured in the same blocks.

    :raises TooFewError: fewer than 2 blocks.
    :raises NoVarianceError: all blocks gave exactly the same ratio.
    :raises NotPositiveError: a value is zero, negative or not finite.
    """
    d = log_ratios(reference, arm, better)
    found = judge(d, margin)
    bootstrap95 = None
    if found.bootstrap_low is not None and found.bootstrap_high is not None:
        bootstrap95 = (float(found.bootstrap_low), float(found.bootstrap_high))
    return Pairs(
        speedup=float(found.speedup),
        ci95=(float(found.low), float(found.high)),
        bootstrap95=bootstrap95,
        blocks=int(d.shape[-1]),
        verdict=str(found.verdict),
        p=float(found.p),
        p_one=float(found.p_one),
    )


# Ratios beyond this are not told apart: an interval must stay a pair of finite numbers.
_LARGEST = 700.0


def _ratio(logarithms: Array) -> Array:
    return np.asarray(np.exp(np.clip(logarithms, -_LARGEST, _LARGEST)))


@dataclass(frozen=True)
class Fieller:
    """The ratio of two means; ``unbounded``: the reference's mean is not told apart from zero, so that no interval exists."""

    ratio: float
    low: Optional[float]
    high: Optional[float]
    unbounded: bool


def fieller(reference: Any, arm: Any, level: float = LEVEL) -> Fieller:
    """Return the ratio mean(arm)/mean(reference) of two independent samples with Fieller's interval (Welch's degrees of freedom).

    :raises TooFewError: a sample has fewer than 2 values.
    :raises NoVarianceError: neither sample varies.
    """
    below, above = _positive(reference, "reference", 2), _positive(arm, "arm", 2)
    mean_a, mean_b = float(below.mean()), float(above.mean())
    var_a, var_b = float(below.var(ddof=1)) / len(below), float(above.var(ddof=1)) / len(above)
    ratio = mean_b / mean_a
    if no_spread(below) and no_spread(above):
        raise NoVarianceError(f"Neither sample varies (the ratio is {ratio:.4g}): the tool's resolution hides how much they do.")
    parts = var_b, ratio**2 * var_a
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(above) - 1) + parts[1] ** 2 / (len(below) - 1))
    t = float(stats.t.ppf(0.5 + level / 2, freedom))
    g = t * t * var_a / mean_a**2
    if g >= 1:
        return Fieller(ratio, None, None, True)
    half = t / mean_a * math.sqrt(max(0.0, var_b * (1 - g) + ratio**2 * var_a)) / (1 - g)
    return Fieller(ratio, ratio / (1 - g) - half, ratio / (1 - g) + half, False)


def ratio_of_published(
    reference: float, arm: float, half_reference: float, half_arm: float, better: str
) -> Tuple[float, float, float]:
    """Return (ratio, low, high), above 1 better, of two published values with the relative half-widths of their intervals.

    The half-widths add in quadrature on the logarithm: (0.025, 0.025) makes ±3.5 %.
    """
    d = float(log_ratios([reference], [arm], better)[0])
    half = math.hypot(math.log1p(half_reference), math.log1p(half_arm))
    return math.exp(d), math.exp(d - half), math.exp(d + half)


@dataclass(frozen=True)
class Repeatability:
    """Random effects of one operating point, in the metric's unit.

    ``s_r``: within a try; ``s_b``: between tries; ``s_R``: both; ``cv_R``: s_R / mean; ``icc``: share of the variance that lies between
    tries; ``ci95``: of the mean, with the try as the unit.
    """

    tries: int
    repeats: float
    mean: float
    s_r: float
    s_b: float
    s_R: float
    cv_R: float
    icc: float
    ci95: Tuple[float, float]

    def as_dict(self) -> Dict[str, Any]:
        """Return it for analysis.json."""
        return {**self.__dict__, "ci95": list(self.ci95)}


def repeatability(tries: Sequence[Sequence[float]]) -> Repeatability:
    """Split the variance of one operating point into within and between tries.

    :param tries: the repeats of each try; at least 5 tries with at least 2 repeats each, not necessarily equally many.
    """
    if len(tries) < MIN_TRIES:
        raise TooFewError(f"Repeatability needs at least {MIN_TRIES} tries, and there are {len(tries)}.")
    if min(len(values) for values in tries) < MIN_REPEATS:
        fewest = min(len(values) for values in tries)
        raise TooFewError(f"Repeatability needs at least {MIN_REPEATS} repeats in each try; one has {fewest}.")
    samples = [_numbers(values, "repeatability", MIN_REPEATS) for values in tries]
    sizes = np.array([len(sample) for sample in samples], dtype=float)
    means = np.array([sample.mean() for sample in samples])
    count, total = len(samples), float(sizes.sum())
    within = sum(float(((sample - mean) ** 2).sum()) for sample, mean in zip(samples, means)) / (total - count)
    grand = float((sizes * means).sum() / total)
    between = float((sizes * (means - grand) ** 2).sum()) / (count - 1)
    usual = (total - float((sizes**2).sum()) / total) / (count - 1)
    s_b2 = max(0.0, (between - within) / usual)
    mean = float(means.mean())
    if mean == 0:
        raise NotPositiveError("Repeatability: the mean is zero, so that a relative spread does not exist.")
    s_big = math.sqrt(within + s_b2)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, count - 1)) * float(means.std(ddof=1)) / math.sqrt(count)
    return Repeatability(
        tries=count,
        repeats=total / count,
        mean=mean,
        s_r=math.sqrt(within),
        s_b=math.sqrt(s_b2),
        s_R=s_big,
        cv_R=s_big / abs(mean),
        icc=s_b2 / (s_b2 + within) if s_b2 + within > 0 else 0.0,
        ci95=(mean - half, mean + half),
    )


@dataclass(frozen=True)
class Quantile:
    """A quantile of a sample; ``low``, ``high``: its 95 % interval from order statistics, None where the sample is too small."""

    q: float
    value: float
    low: Optional[float]
    high: Optional[float]


def quantile(values: Any, q: float, level: float = LEVEL) -> Quantile:
    """Return a quantile with an interval that holds whatever the distribution is."""
    array = np.sort(_numbers(values, "quantile", 1))
    if not 0 < q < 1:
        raise StatisticsError(f"A quantile lies between 0 and 1, not at {q!r}.")
    n = len(array)
    below, above = stats.binom.ppf([(1 - level) / 2, 0.5 + level / 2], n, q).astype(int)
    # P(X(low) ≤ quantile): the binomial count must be at least low, and below high.
    low = array[below - 1] if below >= 1 else None
    high = array[above] if above < n else None
    return Quantile(q, float(np.quantile(array, q)), None if low is None else float(low), None if high is None else float(high))


def summary(values: Any) -> Dict[str, Any]:
    """Return n, mean, sd, ci95, median, min and max; sd and ci95 are None for a single value."""
    array = _numbers(values, "summary", 1)
    n = len(array)
    mean = float(array.mean())
    spread = float(array.std(ddof=1)) if n > 1 else None
    half = None if spread is None else t_quantile(n - 1) * spread / math.sqrt(n)
    return {
        "n": n,
        "mean": mean,
        "sd": spread,
        "ci95": None if half is None else [mean - half, mean + half],
        "median": float(np.median(array)),
        "min": float(array.min()),
        "max": float(array.max()),
    }


@functools.lru_cache(maxsize=256)
def t_quantile(freedom: int, level: float = LEVEL) -> float:
    """Return t such that an interval of mean ± t standard errors has this level."""
    return float(special.stdtrit(freedom, 0.5 + level / 2))
