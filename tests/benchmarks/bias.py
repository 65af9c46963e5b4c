# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmarks of the harness's bias share: mirrored pairs of a module and its raw tool, each begun in the same state."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, Sequence

ROOT = Path(__file__).resolve().parent.parent.parent
# The part by which the module's result may differ from the raw tool's; the whole interval must lie inside.
TARGET = 0.01
# A CPU that was idle runs the first tenths of a second slower: a raw TCP_RR of one second that followed 0.4 s of computing was 2.5 to
# 4.8 % faster than one that followed a pause. A module computes before it starts its tool (it is Python), a bare tool does not, so that
# both are begun on a CPU that has been computing.
WARM_S = 0.4
# Seconds between two words of progress.
WORD_S = 30

sys.path.insert(0, str(ROOT / ".collections"))


def warm(cpu: int) -> None:
    """Compute on a CPU for WARM_S, as one does that has work."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        began = time.process_time()
        while time.process_time() - began < WARM_S:
            pass
    finally:
        os.sched_setaffinity(0, allowed)


def pairs(name: str, count: int, raw: Callable[[], float], module: Callable[[], float], cpu: int) -> list[float]:
    """Return ln(module/raw) of each pair; the order within a pair is mirrored from one to the next."""
    logarithms: list[float] = []
    began = told = time.monotonic()
    for number in range(count):
        values = {}
        for measure in (raw, module) if number % 2 == 0 else (module, raw):
            warm(cpu)
            values[measure] = measure()
        logarithms.append(math.log(values[module] / values[raw]))
        now = time.monotonic()
        if now - told >= WORD_S:
            told = now
            left = (now - began) / (number + 1) * (count - number - 1)
            print(f"bench: {name}: pair {number + 1} of {count}, {left:.0f} s left", flush=True)
    return logarithms


def location(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the Hodges-Lehmann location and its 95 % interval by Wilcoxon's signed ranks (normal approximation).

    A neighbour on the same physical core makes a few pairs differ by half; the mean of all would say little else. No pair is left out.
    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, 3.2 and 3.3.
    """
    count = len(values)
    averages = sorted((one + other) / 2 for at, one in enumerate(values) for other in values[at:])
    total = len(averages)
    cut = max(0, math.floor(total / 2 - 1.959964 * math.sqrt(count * (count + 1) * (2 * count + 1) / 24)))
    middle = (averages[(total - 1) // 2] + averages[total // 2]) / 2
    return middle, averages[cut], averages[total - 1 - cut]


def entry(name: str, logarithms: Sequence[float], substrate: str) -> dict[str, Any]:
    """Return a line of the benchmark's table: the ratio with its 95 % interval from the paired logarithms."""
    middle, low, high = (math.exp(value) for value in location(logarithms))
    return {
        "name": name,
        "value": middle,
        "unit": "module/raw",
        "better": "neither",
        "ci95": [low, high],
        "pairs": len(logarithms),
        "log_ratios": [round(value, 6) for value in logarithms],
        "target": 1 + TARGET,
        "met": low >= 1 - TARGET and high <= 1 + TARGET,
        "substrate": substrate,
        "accelerator": "native",
    }
