# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documents of a run with the look-ups that all parts of a report share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ansible_collections.datapath.lab.plugins.plugin_utils.plan import CONTROL_SUFFIX
from ansible_collections.datapath.lab.plugins.plugin_utils.report import figures
from ansible_collections.datapath.lab.plugins.plugin_utils.report.results import Digest, Results

SUPPORTING = ("better", "worse", "equivalent")


ROWS_PER_TABLE = 120


@dataclass
class Source:
    """The documents with the look-ups that the builders share."""

    results: Results
    digest: Digest

    def __post_init__(self) -> None:
        plan, analysis = self.results.plan, self.results.analysis
        self.plan = plan
        self.analysis = analysis
        self.comparisons = [entry for entry in analysis.get("comparisons") or () if isinstance(entry, dict)]
        self.controls = [entry for entry in analysis.get("controls") or () if isinstance(entry, dict)]
        self.cells = [entry for entry in analysis.get("cells") or () if isinstance(entry, dict)]
        self.cell_of = {(c.get("point"), c.get("workload"), c.get("arm"), c.get("metric")): c for c in self.cells}
        self._of_metric: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for cell in self.cells:
            self._of_metric.setdefault((str(cell.get("workload")), str(cell.get("metric"))), []).append(cell)
        self.points = ordered([str(p.get("name")) for p in plan.get("points") or ()], (c.get("point") for c in [*self.comparisons, *self.cells]))
        self.workloads = ordered([str(w.get("name")) for w in plan.get("workloads") or ()], (c.get("workload") for c in [*self.comparisons, *self.cells]))
        planned_arms = [str(a.get("name")) for a in plan.get("arms") or ()]
        self.arms = ordered(planned_arms, (c.get("arm") for c in self.cells))
        self.shown_arms = [arm for arm in self.arms if not arm.endswith(CONTROL_SUFFIX)]
        self.primary = {str(w.get("name")): [str(metric) for metric in w.get("metrics") or ()] for w in plan.get("workloads") or ()}
        for entry in self.comparisons:
            known = self.primary.setdefault(str(entry.get("workload")), [])
            if entry.get("metric") not in known:
                known.append(str(entry.get("metric")))
        self.planned_cells = {(str(run.get("point")), str(run.get("workload")), str(run.get("arm"))) for run in plan.get("runs") or ()}
        self.margin = float(plan.get("margin", analysis.get("margin", 0.05)))

    def metrics_of(self, workload: str) -> list[str]:
        """Return the metrics that the analysis has cells of, the primary ones first."""
        return ordered(self.primary.get(workload, []), (c.get("metric") for c in self.cells if c.get("workload") == workload))

    def cells_of(self, workload: str, metric: str) -> list[dict[str, Any]]:
        """Return the cells of a metric."""
        return self._of_metric.get((workload, metric), [])

    def units_of(self, workload: str, metric: str) -> dict[str, list[str]]:
        """Return the points at which a metric comes in each unit: transactions at one, bits at another."""
        units: dict[str, dict[str, None]] = {}
        for cell in self.cells_of(workload, metric):
            units.setdefault(str(cell.get("unit") or ""), {})[str(cell.get("point"))] = None
        return {unit: [point for point in self.points if point in points] for unit, points in units.items()}

    def means(self, workload: str, metric: str, points: Iterable[str]) -> list[Any]:
        """Return the means of a metric at some points, for the choice of a scale."""
        wanted = set(points)
        return [cell.get("mean") for cell in self.cells_of(workload, metric) if cell.get("point") in wanted]

    def planned(self, point: str, workload: str, arm: str) -> bool:
        """Tell whether the plan runs a cell at all."""
        return (point, workload, arm) in self.planned_cells

    def slot(self, arm: str) -> int:
        """Return an arm's number, which fixes its colour and mark."""
        return self.shown_arms.index(arm) if arm in self.shown_arms else len(self.shown_arms)


def ordered(first: Iterable[str], found: Iterable[Any]) -> list[str]:
    """Return names in the plan's order, then those that only the results have."""
    names = dict.fromkeys(first)
    names.update(dict.fromkeys(str(name) for name in found if name is not None))
    return list(names)


def interval(value: Any) -> tuple[float | None, float | None]:
    """Return the two ends of an interval, ``None`` for one that does not exist."""
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return tuple(float(end) if isinstance(end, (int, float)) and math.isfinite(end) else None for end in value)  # type: ignore[return-value]
    return (None, None)


def ratio_text(entry: Mapping[str, Any]) -> str:
    """Return a comparison's ratio with its interval; an invalid one has none."""
    if entry.get("verdict") == "invalid":
        return "–"
    value = entry.get("speedup")
    low, high = interval(entry.get("ci95"))
    return figures.ratio(float(value) if isinstance(value, (int, float)) else None, low, high)


def finite(value: Any) -> float | None:
    """Return a number that can be drawn, or ``None``."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def direction(source: Source, workload: str, metric: str) -> str:
    """Say which way a metric is better."""
    better = next((cell.get("better") for cell in source.cells_of(workload, metric)), None)
    return {"higher": "more is better", "lower": "less is better"}.get(str(better), "descriptive")


def names(entry: Mapping[str, Any], *keys: str) -> list[str]:
    """Return what an entry says for some keys, for as many cells of a table."""
    return [str(entry.get(key, "")) for key in keys]


def pair(entry: Mapping[str, Any]) -> str:
    """Name the two arms of a comparison."""
    return f"{entry.get('arm')} against {entry.get('reference')}"
