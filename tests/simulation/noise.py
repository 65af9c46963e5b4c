# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulated experiments: the real schedule, made-up noise, a true ratio that is known.

An experiment has two arms with a setup each, so that the order is the one of a real experiment: mirrored passes from
:func:`plan.make_plan`. A noise model gives the logarithm of each run's value apart from the arm's effect.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Callable

import numpy as np
from ansible_collections.datapath.lab.plugins.plugin_utils import plan as planning
from ansible_collections.datapath.lab.plugins.plugin_utils import spec as specs

EXPERIMENTS = 10_000
SCHEDULES = 250
ARMS = ("base", "fast")

# (generator, positions of the runs in time (experiments, blocks, repeats, arms), number of runs) → log noise of that shape
Noise = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]


@functools.lru_cache(maxsize=32)
def positions(blocks: int, repeats: int) -> np.ndarray:
    """Return the place in time of each run of many real schedules: (schedules, blocks, repeats, arms)."""
    spec = specs.read_spec(
        {
            "name": "simulated",
            "arms": list(ARMS),
            "points": ["one"],
            "workloads": [{"name": "load", "tool": "none", "metrics": ["rate"], "duration_s": 1}],
            "comparisons": [{"reference": "base", "arm": "fast"}],
            "blocks": blocks,
            "repeats": repeats,
        }
    )
    made = np.zeros((SCHEDULES, blocks, repeats, len(ARMS)))
    for seed in range(SCHEDULES):
        plan = planning.make_plan(spec, seed, "2026-11-20T05:00:00Z", "simulated", "native")
        # The control is not part of these experiments; what remains keeps its order.
        runs = [run for run in plan["runs"] if run["arm"] in ARMS]
        for place, run in enumerate(runs):
            made[seed, run["block"] - 1, run["repeat"] - 1, ARMS.index(run["arm"])] = place
    return made


def log_ratios(noise: Noise, blocks: int, true_ratio: float, repeats: int = 1, experiments: int = EXPERIMENTS, seed: int = 7) -> np.ndarray:
    """Return the log-ratios per block of simulated experiments: (experiments, blocks)."""
    rng = np.random.default_rng(seed)
    when = np.tile(positions(blocks, repeats), (-(-experiments // SCHEDULES), 1, 1, 1))[:experiments]
    logs = noise(rng, when, blocks * repeats * len(ARMS))
    # The mean of the logarithms of a block's repeats, as the analysis takes it.
    d: np.ndarray = (logs[..., 1] - logs[..., 0]).mean(axis=2) + np.log(true_ratio)
    return d


def normal(sd: float) -> Noise:
    """Return independent normal noise."""
    return lambda rng, when, runs: rng.normal(0, sd, when.shape)


def _along(path: np.ndarray, when: np.ndarray) -> np.ndarray:
    """Return the value of each experiment's path at the place of each of its runs."""
    flat = when.reshape(len(when), -1).astype(int)
    return np.take_along_axis(path, flat, axis=1).reshape(when.shape)


def random_walk(step: float, sd: float) -> Noise:
    """Return a machine that wanders, run by run, with normal noise on top."""

    def noise(rng: np.random.Generator, when: np.ndarray, runs: int) -> np.ndarray:
        path = rng.normal(0, step, (len(when), runs)).cumsum(axis=1)
        return _along(path, when) + rng.normal(0, sd, when.shape)

    return noise


def linear_drift(total: float, sd: float) -> Noise:
    """Return a machine that slows steadily by ``total`` over the experiment."""
    return lambda rng, when, runs: total * when / runs + rng.normal(0, sd, when.shape)


def warm_up(total: float, sd: float) -> Noise:
    """Return a machine that warms up: a drift that ends after a third of the experiment."""
    return lambda rng, when, runs: total * (1 - np.exp(-3 * when / runs)) + rng.normal(0, sd, when.shape)


def autocorrelated(rho: float, sd: float) -> Noise:
    """Return noise in which each run resembles the one before."""

    def noise(rng: np.random.Generator, when: np.ndarray, runs: int) -> np.ndarray:
        path = np.zeros((len(when), runs))
        path[:, 0] = rng.normal(0, sd, len(when))
        for run in range(1, runs):
            path[:, run] = rho * path[:, run - 1] + rng.normal(0, sd * np.sqrt(1 - rho**2), len(when))
        return _along(path, when)

    return noise


def log_normal(sigma: float) -> Noise:
    """Return values that are log-normal themselves: with sigma 1 their skewness is 6."""
    return lambda rng, when, runs: rng.normal(0, sigma, when.shape)


def spikes(mean: float, arms: str = "both", heavy: bool = False) -> Noise:
    """Return values that something else makes larger by an exponential (or log-normal, ``heavy``) share; in one arm only, if told so.

    The expected logarithm of that share is taken off, so that the true ratio stays what it is.
    """

    def noise(rng: np.random.Generator, when: np.ndarray, runs: int) -> np.ndarray:
        def draw(size: int) -> np.ndarray:
            share = rng.lognormal(np.log(mean), 1.5, size) if heavy else rng.exponential(mean, size)
            return np.log1p(share)

        made = draw(when.size).reshape(when.shape) - draw(2_000_000).mean()
        if arms == "one":
            made[..., 0] = 0.0
        return made + rng.normal(0, 0.02, when.shape)

    return noise


@dataclass(frozen=True)
class Model:
    """A noise model with what it must fulfil: the kind decides."""

    name: str
    kind: str
    noise: Noise
    blocks: int = 10
    repeats: int = 1


MODELS = (
    Model("normal, sd 2 %, 5 blocks", "normal", normal(0.02), blocks=5),
    Model("normal, sd 2 %", "normal", normal(0.02)),
    Model("normal, sd 2 %, 20 blocks", "normal", normal(0.02), blocks=20),
    Model("normal, sd 30 %", "normal", normal(0.3)),
    Model("random walk 1 % per run, sd 1 %", "drifting", random_walk(0.01, 0.01)),
    Model("random walk 5 % per run, sd 1 %", "drifting", random_walk(0.05, 0.01)),
    Model("autocorrelated 0.8, sd 5 %", "drifting", autocorrelated(0.8, 0.05)),
    Model("steady drift of 10 %, sd 2 %", "drifting", linear_drift(0.10, 0.02)),
    Model("steady drift of 50 %, sd 2 %, mirrored blocks", "drifting", linear_drift(0.50, 0.02), repeats=2),
    Model("warm-up of 20 %, sd 3 %", "drifting", warm_up(0.20, 0.03)),
    Model("log-normal, sigma 1 (skewness 6)", "skewed", log_normal(1.0)),
    Model("exponential spikes of 30 %", "skewed", spikes(0.3)),
    Model("log-normal spikes of 20 %", "skewed", spikes(0.2, heavy=True)),
    Model("exponential spikes of 30 % in one arm only", "skewed", spikes(0.3, "one")),
    Model("log-normal spikes of 20 % in one arm only", "one-sided", spikes(0.2, "one", heavy=True)),
)
