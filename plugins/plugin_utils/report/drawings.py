# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which plots a report has, and from which figures they are drawn."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.plugin_utils import plots
from ansible_collections.datapath.lab.plugins.plugin_utils.report import figures
from ansible_collections.datapath.lab.plugins.plugin_utils.report.source import Source, direction, finite, interval, ordered, ratio_text
from ansible_collections.datapath.lab.plugins.plugin_utils.report.tables import VERDICT_WORDS

ROWS_PER_PLOT = 36


PLOTS_AT_MOST = 24


_PERCENTILE = re.compile(r"^(?P<family>.*?)_?p(?P<percent>\d{2}(?:[._]\d+)?|\d{3,4})$")


@dataclass(frozen=True)
class Plot:
    """A drawing with its heading and the sentence under it."""

    title: str
    drawing: plots.Drawing
    caption: str


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return slug[:48] or "plot"


class _Names:
    """Base names for plot files; two plots never share one."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, *parts: str) -> str:
        """Return a file name made of letters, digits and dashes only, whatever the parts hold."""
        base = _slug("-".join(parts))
        name, count = base, 1
        while name in self._given:
            count += 1
            name = f"{base}-{count}"
        self._given.add(name)
        return name


def ratio_plots(source: Source) -> list[Plot]:
    """Draw the comparisons, one plot per pair of arms and metric, what was asked for first."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    crowded = len({entry.get("workload") for entry in source.comparisons}) > 1 and len(source.points) > 1
    for entry in sorted(source.comparisons, key=lambda entry: not entry.get("headline")):
        key: tuple[str, ...] = (str(entry.get("reference")), str(entry.get("arm")), str(entry.get("metric")))
        groups.setdefault((*key, str(entry.get("workload"))) if crowded else key, []).append(entry)
    # Where every comparison is invalid there is nothing to draw; the tables and the answer name them.
    groups = {key: entries for key, entries in groups.items() if any(entry.get("verdict") != "invalid" for entry in entries)}
    several = len({key[2:] for key in groups}) > 1
    names = _Names()
    drawn: list[Plot] = []
    for key, entries in list(groups.items())[:PLOTS_AT_MOST]:
        reference, arm, metric = key[:3]
        title = f"{arm} against {reference}" + (f": {' '.join(reversed(key[2:]))}" if several else "")
        rows = [
            plots.ForestRow(
                label=row_label(entries, entry),
                ratio=finite(entry.get("speedup")),
                low=interval(entry.get("ci95"))[0],
                high=interval(entry.get("ci95"))[1],
                verdict=str(entry.get("verdict")),
                text="" if entry.get("verdict") == "invalid" else ratio_text(entry),
                word=VERDICT_WORDS.get(str(entry.get("verdict")), ""),
                published=finite(entry.get("published_speedup")),
                published_low=interval(entry.get("published_ci95"))[0],
                published_high=interval(entry.get("published_ci95"))[1],
            )
            for entry in entries[:ROWS_PER_PLOT]
        ]
        left_out = f" {len(entries) - ROWS_PER_PLOT} more are in the table." if len(entries) > ROWS_PER_PLOT else ""
        drawing = plots.forest(names.of("ratio", *key), f"Ratio of {metric}, {title}", rows, source.margin, reference, arm)
        caption = f"Ratio of {metric} with its 95 % interval; above 1, {arm} is better, whatever the metric.{left_out}"
        drawn.append(Plot(title, drawing, caption))
    return drawn


def row_label(entries: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> str:
    """Name a comparison among others by what tells them apart."""
    varying = [name for name in ("point", "workload", "metric") if len({str(other.get(name)) for other in entries}) > 1]
    return " · ".join(str(entry.get(name)) for name in varying or ("point",))


def _axis(source: Source) -> str | None:
    """Return the key of the points that serves as a numeric axis: the plan's own, or the only one that tells them all apart."""
    points = [point for point in source.plan.get("points") or () if isinstance(point, dict)]
    declared = source.plan.get("axis")
    if isinstance(declared, str) and all(isinstance(point.get(declared), (int, float)) for point in points):
        return declared
    if len(points) < 4:
        return None
    keys = [key for key in points[0] if key != "name" and all(_is_number(point.get(key)) for point in points)]
    telling = [key for key in keys if len({point[key] for point in points}) == len(points)]
    return telling[0] if len(telling) == 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _value_of(cell: Mapping[str, Any] | None, factor: float) -> plots.Value | None:
    mean = finite(cell.get("mean")) if cell else None
    if cell is None or mean is None:
        return None
    low, high = interval(cell.get("ci95"))
    return plots.Value(mean / factor, None if low is None else low / factor, None if high is None else high / factor)


def _series(source: Source, workload: str, metric: str, points: Sequence[str], factor: float) -> list[plots.Series]:
    series = [
        plots.Series(arm, source.slot(arm), [_value_of(source.cell_of.get((point, workload, arm, metric)), factor) for point in points])
        for arm in source.shown_arms
    ]
    return [one for one in series if any(value is not None for value in one.values)]


def curve_and_value_plots(source: Source) -> tuple[list[Plot], list[Plot]]:
    """Draw each primary metric: as curves over the points' axis, else as one row per point, or per workload where there is one point."""
    axis, names = _axis(source), _Names()
    curve_plots: list[Plot] = []
    # Where there is one point, workloads that share metric and unit share a plot.
    panels: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for workload in source.workloads:
        for metric in source.primary.get(workload, []):
            for unit, points in source.units_of(workload, metric).items():
                if axis:
                    curve_plots.extend(_curves(source, workload, metric, unit, points, axis, names))
                else:
                    key = (metric, unit, workload) if len(source.points) > 1 else (metric, unit)
                    panels.setdefault(key, []).extend((point, workload) for point in points)
    value_plots = [_value_plot(source, key[0], key[1], rows, names) for key, rows in list(panels.items())[:PLOTS_AT_MOST]]
    return curve_plots[:PLOTS_AT_MOST], value_plots


def _value_plot(source: Source, metric: str, unit: str, rows: Sequence[tuple[str, str]], names: _Names) -> Plot:
    """Draw one metric in one unit; ``rows`` are points with workloads."""
    workloads = ordered((), (workload for _point, workload in rows))
    points = ordered((), (point for point, _workload in rows))
    scale = figures.scale_of(unit, (mean for workload in workloads for mean in source.means(workload, metric, points)))
    series = [
        plots.Series(
            arm,
            source.slot(arm),
            [_value_of(source.cell_of.get((point, workload, arm, metric)), scale.factor) for point, workload in rows],
        )
        for arm in source.shown_arms
    ]
    series = [one for one in series if any(value is not None for value in one.values)]
    what = f"{workloads[0]} {metric}" if len(workloads) == 1 and len(source.workloads) > 1 else metric
    if len(source.units_of(workloads[0], metric)) > 1:
        what += f", in {scale.unit}"
    labels = [point if len(source.points) > 1 else workload for point, workload in rows]
    if len(labels) == 1:
        what += f" at {labels[0]}" if len(source.points) > 1 else ""
    title = f"{what}: mean of each arm"
    drawing = plots.values(names.of("values", metric, *workloads[:1]), title, f"{metric}, {scale.unit}".rstrip(", "), labels, series)
    return Plot(what, drawing, f"Mean of each arm and its 95 % interval; {direction(source, workloads[0], metric)}.")


def _curves(source: Source, workload: str, metric: str, unit: str, measured: Sequence[str], axis: str, names: _Names) -> list[Plot]:
    scale = figures.scale_of(unit, source.means(workload, metric, measured))
    what = f"{workload} {metric}" if len(source.workloads) > 1 else metric
    # Points that differ in more than the axis (steering, backend) are lines of different plots.
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for point in source.plan.get("points") or ():
        if str(point.get("name")) in measured:
            rest = tuple(f"{key} {value}" for key, value in point.items() if key not in ("name", axis) and not _is_number(value))
            groups.setdefault(rest, []).append(point)
    drawn = []
    for rest, points in groups.items():
        points = sorted(points, key=lambda point: float(point[axis]))
        series = _series(source, workload, metric, [str(point["name"]) for point in points], scale.factor)
        if not series:
            continue
        where = f" ({', '.join(rest)})" if len(groups) > 1 and rest else ""
        title = f"{what} over {axis}{where}"
        xs = [float(point[axis]) for point in points]
        ceiling = _ceiling(source, workload, metric, scale)
        drawing = plots.curves(names.of("curve", workload, metric, *rest), title, axis, f"{what}, {scale.unit}", xs, series, ceiling)
        caption = "Mean of each arm, its 95 % interval as a band" + (f", and the ceiling ({ceiling.label})." if ceiling else ".")
        drawn.append(Plot(title, drawing, caption))
    return drawn


def _ceiling(source: Source, workload: str, metric: str, scale: figures.Scale) -> plots.Ceiling | None:
    """Return the bound that the plan states for a metric: ``ceiling: {metric, value, unit, label}`` of its workload."""
    for planned in source.plan.get("workloads") or ():
        ceiling = planned.get("ceiling") if planned.get("name") == workload else None
        if isinstance(ceiling, dict) and ceiling.get("metric", metric) == metric and _is_number(ceiling.get("value")):
            return plots.Ceiling(float(ceiling["value"]) / scale.factor, str(ceiling.get("label") or "stated in the plan"))
    return None


def percentile_of(metric: str) -> tuple[str, float] | None:
    """Return the family and the percentile of a metric's name: ``latency_p99`` → ``("latency", 99.0)``, ``p999`` → ``("", 99.9)``."""
    match = _PERCENTILE.match(metric)
    if match is None:
        return None
    digits = match.group("percent").replace("_", ".")
    percent = float(digits) if "." in digits or len(digits) == 2 else float(f"{digits[:2]}.{digits[2:]}")
    return (match.group("family"), percent)


def percentile_plots(source: Source) -> list[Plot]:
    """Draw latency over its percentiles, where a workload measured at least two of them."""
    names = _Names()
    drawn: list[Plot] = []
    for workload in source.workloads:
        families: dict[str, list[tuple[float, str]]] = {}
        for metric in source.metrics_of(workload):
            found = percentile_of(metric)
            if found:
                families.setdefault(found[0], []).append((found[1], metric))
        for family, members in families.items():
            # Half a round trip has the shape of the whole one.
            if len(members) < 2 or (family.startswith("half_") and family[5:] in families):
                continue
            members.sort()
            measured = {cell.get("point") for cell in source.cells_of(workload, members[0][1])}
            points = [point for point in source.points if point in measured]
            if len(points) > 3:
                points = [points[0], points[len(points) // 2], points[-1]]
            for point in points:
                if len(drawn) < PLOTS_AT_MOST:
                    drawn.extend(_percentile_plot(source, workload, family, members, point, names))
    return drawn


def _percentile_plot(source: Source, workload: str, family: str, members: Sequence[tuple[float, str]], point: str, names: _Names) -> list[Plot]:
    found = [source.cell_of.get((point, workload, arm, metric)) for arm in source.shown_arms for _percent, metric in members]
    cells = [cell for cell in found if cell]
    if not cells:
        return []
    scale = figures.scale_of(str(cells[0].get("unit") or ""), (cell.get("mean") for cell in cells))
    series = []
    for arm in source.shown_arms:
        values = [_value_of(source.cell_of.get((point, workload, arm, metric)), scale.factor) for _percent, metric in members]
        if any(value is not None for value in values):
            series.append(plots.Series(arm, source.slot(arm), values))
    what = f"{family or 'latency'} percentiles of {workload}" + (f" at {point}" if len(source.points) > 1 else "")
    drawing = plots.percentiles(
        names.of("percentiles", workload, family, point), what, f"{family or 'latency'}, {scale.unit}", [p for p, _m in members], series
    )
    return [Plot(what, drawing, "Mean over the runs of each arm, with its 95 % interval; less is better.")]
