# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures as people read them."""

from __future__ import annotations

import math

import pytest
from ansible_collections.datapath.lab.plugins.plugin_utils.report import figures
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("s", [4.0, 0.6], (1.0, "s")),
        ("s", [0.31, 0.2], (1e-3, "ms")),
        ("s", [3e-5], (1e-6, "µs")),
        ("us", [1500.0], (1e3, "ms")),
        ("bit/s", [9.2e9, 1e6], (1e9, "Gbit/s")),
        ("requests/s", [64000.0], (1.0, "requests/s")),
        ("s", [], (1.0, "s")),
        ("s", [None, math.inf], (1.0, "s")),
    ],
)
def test_one_unit_per_table(unit: str, values: list[float | None], expected: tuple[float, str]) -> None:
    scale = figures.scale_of(unit, values)
    assert (scale.factor, scale.unit) == expected


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (4.678, 4.512, 4.862, "4.68 [4.51, 4.86]"),
        (0.9751, 0.9579, 0.9921, "0.975 [0.958, 0.992]"),
        (1.0003, 0.9991, 1.0015, "1.0003 [0.9991, 1.0015]"),
        (1.06, 0.93, 1.2, "1.06 [0.93, 1.20]"),
        (5.62, None, None, "5.62"),
        (1.5, None, 1.9, "1.50 [unbounded, 1.90]"),
        (None, None, None, "no ratio"),
    ],
)
def test_a_ratio_has_the_decimals_that_its_interval_deserves(
    value: float | None, low: float | None, high: float | None, expected: str
) -> None:
    assert figures.ratio(value, low, high) == expected


@pytest.mark.parametrize(
    ("mean", "deviation", "factor", "expected"),
    [
        (0.6123, 0.01345, 1.0, "0.612 ± 0.013"),
        (60628.0, 2214.0, 1.0, "60\u202f628 ± 2\u202f214"),
        (4.02, None, 1.0, "4.020"),
        (4.02, 0.0, 1.0, "4.020 ± 0.000"),
        (0.000523, 0.000012, 1e-6, "523 ± 12"),
    ],
)
def test_mean_and_deviation_share_their_decimals(mean: float, deviation: float | None, factor: float, expected: str) -> None:
    assert figures.mean_and_deviation(mean, deviation, figures.Scale(factor, "x")) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(12.44, "12.4 s"), (200.0, "3 min 20 s"), (3900.0, "1 h 05 min"), (59.99, "60.0 s")])
def test_durations(seconds: float, expected: str) -> None:
    assert figures.duration(seconds) == expected


@given(st.floats(allow_nan=False), st.integers(1, 6))
def test_any_number_can_be_shown_without_an_exponent(value: float, significant: int) -> None:
    shown = figures.number(value, significant)
    assert shown == "unbounded" if math.isinf(value) else "e" not in shown


def test_what_is_missing_is_said_so() -> None:
    assert figures.number(None) == "not measured"
