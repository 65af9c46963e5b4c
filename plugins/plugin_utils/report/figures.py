# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures as people read them: a few significant digits, one unit per table, the same decimals in a column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterable

MISSING = "not measured"

# unit → (factor, unit shown) from the largest to the smallest; the first whose factor the largest value reaches is taken.
_SCALES = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "ms": ((1e3, "s"), (1.0, "ms"), (1e-3, "µs")),
    "us": ((1e6, "s"), (1e3, "ms"), (1.0, "µs")),
    "µs": ((1e6, "s"), (1e3, "ms"), (1.0, "µs")),
    "bit/s": ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s")),
    "bits/s": ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s")),
    "Mbit/s": ((1e3, "Gbit/s"), (1.0, "Mbit/s"), (1e-3, "kbit/s")),
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")),
}


@dataclass(frozen=True)
class Scale:
    """A unit to show values in; ``shown = value / factor``."""

    factor: float
    unit: str


def scale_of(unit: str, values: Iterable[float | None]) -> Scale:
    """Choose one unit for a whole column, so that its largest value stands before the point with a few digits."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    steps = _SCALES.get(unit)
    if not steps:
        return Scale(1.0, unit)
    most = max(known, default=0.0)
    for factor, shown in steps:
        # 0.3 s reads better as 300 ms, 1.2 s does not read better as 1200 ms.
        if most >= factor:
            return Scale(factor, shown)
    return Scale(*steps[-1]) if most > 0 else Scale(1.0, "µs" if unit == "us" else unit)


def decimals_for(values: Iterable[float | None], significant: int = 3) -> int:
    """Return how many decimals give the smallest of the ``values`` (zero aside) ``significant`` digits, at most 6."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value) and value != 0]
    if not known:
        return 0
    return min(6, max(0, significant - 1 - math.floor(math.log10(min(known)))))


def number(value: float | None, significant: int = 3) -> str:
    """Return ``value`` with ``significant`` digits, thousands apart by a thin space, never in the notation 1e+05."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "unbounded"
    return fixed(value, decimals_for([value], significant))


def fixed(value: float | None, decimals: int) -> str:
    """Return ``value`` with a given number of decimals."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "unbounded"
    text = f"{value:,.{decimals}f}".replace(",", "\u202f")
    return text.replace("-", "−")


def mean_and_deviation(mean: float, deviation: float | None, scale: Scale) -> str:
    """Return ``0.612 ± 0.013``: the deviation with two digits, the mean with as many decimals."""
    shown = mean / scale.factor
    if deviation is None or not math.isfinite(deviation):
        return number(shown, 4)
    spread = deviation / scale.factor
    decimals = decimals_for([spread], 2) if spread else decimals_for([shown], 4)
    decimals = min(decimals, decimals_for([shown], 5)) if shown else decimals
    return f"{fixed(shown, decimals)} ± {fixed(spread, decimals)}"


def ratio(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return ``4.68 [4.51, 4.86]``, with as many decimals as the interval's width deserves."""
    if value is None:
        return "no ratio"
    if low is None and high is None:
        return fixed(value, 2 if value < 100 else 0)
    width = abs((high if high is not None and math.isfinite(high) else value) - (low if low is not None else value))
    # Near 1 a third decimal may decide; from 2 on it says nothing.
    decimals = (2 if value < 20 else 1) if value >= 2 else min(4, max(2, decimals_for([width], 2) if width else 2))
    start = fixed(low, decimals) if low is not None else "unbounded"
    end = fixed(high, decimals) if high is not None else "unbounded"
    return f"{fixed(value, decimals)} [{start}, {end}]"


def duration(seconds: float) -> str:
    """Return ``1 h 05 min``, ``3 min 20 s`` or ``12.4 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
