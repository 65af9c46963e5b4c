# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of what was measured and compared."""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.plugin_utils.plan import CONTROL_SUFFIX
from ansible_collections.datapath.lab.plugins.plugin_utils.report import figures
from ansible_collections.datapath.lab.plugins.plugin_utils.report.source import (
    ROWS_PER_TABLE,
    Source,
    count,
    direction,
    finite,
    interval,
    names,
    pair,
    ratio_text,
)
from ansible_collections.datapath.lab.plugins.plugin_utils.report.tables import Cell, Column, Table, verdict_cell

_CPU_METRIC = re.compile(r"(^|_)(cpu|user|system|sys|softirq|sd|service_demand|demand)(_|$)")


def comparison_tables(source: Source) -> list[Table]:
    """Return the table of all comparisons."""
    table = Table(
        "All comparisons. A ratio above 1 is better than the reference, whatever the metric.",
        [
            Column("Point"), Column("Workload"), Column("Metric"), Column("Compared"), Column("Ratio, 95 % interval", True),
            Column("Bootstrap", True), Column("Blocks", True), Column("Verdict"), Column("Witness"),
        ],
    )  # fmt: skip
    for entry in source.comparisons:
        low, high = interval(entry.get("bootstrap95"))
        table.add(
            *names(entry, "point", "workload", "metric"), pair(entry),
            ratio_text(entry),
            Cell(f"[{figures.number(low)}, {figures.number(high)}]") if low is not None or high is not None else Cell("–", "muted"),
            str(entry.get("blocks", "")), verdict_cell(str(entry.get("verdict"))), str(entry.get("witness", "missing")),
        )  # fmt: skip
    return [table.without_constants("Workload", "Metric", "Compared", "Witness").capped(ROWS_PER_TABLE, "analysis.json")] if table.rows else []


_REPLICATED = {"yes": "better", "no": "worse", "not resolved": "inconclusive"}


def published(source: Source) -> tuple[list[Table], str]:
    """Return the published figures beside ours, and one sentence on how many replicated."""
    compared = [entry for entry in source.comparisons if finite(entry.get("published_speedup")) is not None]
    tables = []
    table = Table(
        "Published ratios beside ours.",
        [
            Column("Point"),
            Column("Workload"),
            Column("Compared"),
            Column("Published", True),
            Column("Ours, 95 % interval", True),
            Column("Verdict"),
            Column("Replicated"),
        ],
    )
    for entry in compared:
        state = str(entry.get("replicated", "not resolved"))
        table.add(
            str(entry.get("point")), _workload_and_metric(source, entry), pair(entry),
            figures.ratio(finite(entry.get("published_speedup")), *interval(entry.get("published_ci95"))),
            ratio_text(entry), verdict_cell(str(entry.get("verdict"))),
            Cell(state, _REPLICATED.get(state, "")),
        )  # fmt: skip
    if table.rows:
        tables.append(table.without_constants("Point", "Workload", "Compared").capped(ROWS_PER_TABLE, "analysis.json"))
    tables.extend(_published_values(source))
    if not compared:
        return tables, "" if tables else "The plan holds no published ratio to set beside ours."
    counts = {state: sum(str(entry.get("replicated")) == state for entry in compared) for state in ("yes", "no", "not resolved")}
    sentence = f"Of {count(len(compared), 'published ratio')}, {counts['yes']} replicated, {counts['no']} did not, "
    sentence += f"and {counts['not resolved']} cannot be told apart by these intervals."
    return tables, sentence


def _workload_and_metric(source: Source, entry: Mapping[str, Any]) -> str:
    workload, metric = str(entry.get("workload")), str(entry.get("metric"))
    return workload if len(source.primary.get(workload, [])) < 2 else f"{workload} {metric}"


def _published_values(source: Source) -> list[Table]:
    table = Table(
        "Published absolute values beside ours. The machines differ: only ratios can replicate.",
        [Column("Point"), Column("Workload"), Column("Metric"), Column("Arm"), Column("Published", True), Column("Ours", True)],
        heads=3,
    )
    # An arm that several others were compared with was published once.
    listed: list[list[Cell | str | None]] = []
    for entry in source.plan.get("published") or ():
        for arm, value in (entry.get("values") or {}).items():
            if not isinstance(value, dict):
                continue
            half = finite(value.get("ci_half_width_relative"))
            stated = finite(value.get("value"))
            shown = "–" if stated is None else f"{stated:,.6g}".replace(",", "\u202f")
            published = f"{shown} {value.get('unit', '')}" + (f" ±{half * 100:.3g} %" if half else "")
            cell = source.cell_of.get((entry.get("point"), entry.get("workload"), arm, entry.get("metric")))
            ran = any((entry.get("point"), entry.get("workload"), arm, other) in source.cell_of for other in source.metrics_of(str(entry.get("workload"))))
            ours: Cell | str | None = None if ran else Cell("no valid run", "muted")
            if cell and finite(cell.get("mean")) is not None:
                scale = figures.scale_of(str(cell.get("unit", "")), [cell.get("mean")])
                ours = f"{figures.mean_and_deviation(float(cell['mean']), finite(cell.get('sd')), scale)} {scale.unit}"
            row = [*names(entry, "point", "workload", "metric"), str(arm), published, ours]
            if row not in listed:
                listed.append(row)
                table.add(*row)
    return [table.without_constants("Point", "Metric").capped(ROWS_PER_TABLE, "plan.json")] if table.rows else []


def cells(source: Source) -> tuple[list[Table], list[Table]]:
    """Return a table per primary metric, and those of the other metrics."""
    primary: list[Table] = []
    further: list[Table] = []
    for workload in source.workloads:
        for metric in source.metrics_of(workload):
            for unit, points in source.units_of(workload, metric).items():
                table = _cell_table(source, workload, metric, unit, points)
                (primary if metric in source.primary.get(workload, []) else further).append(table)
    return primary, further


def _cell_table(source: Source, workload: str, metric: str, unit: str, points: Sequence[str]) -> Table:
    scale = figures.scale_of(unit, source.means(workload, metric, points))
    table = Table(
        f"{workload} {metric}" + (f", in {scale.unit}" if scale.unit else "") + f" ({direction(source, workload, metric)})",
        [
            Column("Point"), Column("Arm"), Column("Mean ± sd", True), Column("95 % interval", True), Column("Median", True),
            Column("Range", True), Column("Runs", True),
        ],
        heads=2,
    )  # fmt: skip
    for point in points:
        for arm in source.arms:
            cell = source.cell_of.get((point, workload, arm, metric))
            if cell is not None and finite(cell.get("mean")) is not None:
                table.add(point, arm, *_spread(cell, scale), str(cell.get("n", "")))
            elif not arm.endswith(CONTROL_SUFFIX) and source.planned(point, workload, arm):
                # A control runs at a few points only; that it lacks elsewhere is no gap.
                table.add(point, arm, None, None, None, None, "0")
    return table.capped(ROWS_PER_TABLE, "analysis.json")


def _spread(cell: Mapping[str, Any], scale: figures.Scale) -> tuple[Cell | str | None, ...]:
    mean, deviation = float(cell["mean"]), finite(cell.get("sd"))
    low, high = interval(cell.get("ci95"))
    decimals = figures.decimals_for([deviation / scale.factor], 2) if deviation else figures.decimals_for([mean / scale.factor], 4)

    def shown(value: Any) -> str:
        known = finite(value)
        return "–" if known is None else figures.fixed(known / scale.factor, decimals)

    bounds = Cell(f"[{shown(low)}, {shown(high)}]") if low is not None or high is not None else Cell("–", "muted")
    return (
        figures.mean_and_deviation(mean, deviation, scale),
        bounds,
        shown(cell.get("median")),
        f"{shown(cell.get('min'))} … {shown(cell.get('max'))}",
    )


def cpu(source: Source) -> list[Table]:
    """One row per cell, one column per metric of processor time; a gap is shown as not measured."""
    tables = []
    for workload in source.workloads:
        metrics = [metric for metric in source.metrics_of(workload) if _CPU_METRIC.search(metric) and source.cells_of(workload, metric)]
        if not metrics:
            continue
        units = {metric: source.units_of(workload, metric) for metric in metrics}
        scales = {
            (metric, point): figures.scale_of(unit, source.means(workload, metric, points))
            for metric in metrics
            for unit, points in units[metric].items()
            for point in points
        }
        columns = [Column("Point"), Column("Arm")]
        for metric in metrics:
            shown_units = {scale.unit for (name, _point), scale in scales.items() if name == metric}
            columns.append(Column(f"{metric}, {shown_units.pop()}" if len(shown_units) == 1 else metric, True))
        table = Table(f"{workload}: processor time, mean ± sd.", columns, heads=2)
        for point in source.points:
            for arm in source.shown_arms:
                found = [source.cell_of.get((point, workload, arm, metric)) for metric in metrics]
                if any(found) or any((point, workload, arm, metric) in source.cell_of for metric in source.primary.get(workload, [])):
                    texts = [_mean(cell, scales[metric, point], with_unit=len(units[metric]) > 1) if cell else None for metric, cell in zip(metrics, found)]
                    table.add(point, arm, *texts)
        tables.append(table.without_constants("Point").capped(ROWS_PER_TABLE, "analysis.json"))
    return tables


def _mean(cell: Mapping[str, Any], scale: figures.Scale, with_unit: bool) -> str | None:
    mean = finite(cell.get("mean"))
    if mean is None:
        return None
    text = figures.mean_and_deviation(mean, finite(cell.get("sd")), scale)
    return f"{text} {scale.unit}" if with_unit else text


def losses(source: Source) -> list[Table]:
    """What was sent beside what arrived, where a workload measures both."""
    table = Table(
        "Sent and received. The result is what was received.",
        [Column("Workload"), Column("Point"), Column("Arm"), Column("Sent", True), Column("Received", True), Column("Lost", True)],
        heads=3,
    )
    for workload in source.workloads:
        metrics = source.metrics_of(workload)
        # Bits and packets of one stream lose alike: one of them is enough, bits if they are there.
        named = sorted((name for name in metrics if "sent" in name.split("_")), key=lambda name: "throughput" not in name)
        pairs = [(name, _received(name, metrics)) for name in named]
        sent, received = next(((name, other) for name, other in pairs if other), ("", None))
        if not received:
            continue
        for point in source.points:
            for arm in source.shown_arms:
                out, into = (source.cell_of.get((point, workload, arm, metric)) for metric in (sent, received))
                if not out or not into or not finite(out.get("mean")) or out.get("unit") != into.get("unit"):
                    continue
                scale = figures.scale_of(str(out.get("unit", "")), [out.get("mean")])
                lost = max(0.0, 1 - float(into["mean"]) / float(out["mean"]))
                table.add(workload, point, arm, *(_mean(cell, scale, with_unit=True) for cell in (out, into)), f"{lost * 100:.1f} %")
    return [table.without_constants("Workload", "Point").capped(ROWS_PER_TABLE, "analysis.json")] if table.rows else []


def _received(sent: str, metrics: Sequence[str]) -> str | None:
    """Return the metric that counts what arrived of ``sent``."""
    names = (sent.replace("sent", "received"), "_".join(word for word in sent.split("_") if word != "sent"))
    return next((name for name in names if name in metrics), None)


def repeatability(source: Source) -> Table | None:
    """Return the split of the variance within and between tries, where the analysis made one."""
    entries = [entry for entry in source.analysis.get("repeatability") or () if isinstance(entry, dict)]
    if not entries:
        return None
    table = Table(
        "Repeatability: deviation within a try, between tries, and of both, its part of the mean, and the tries' part of the variance.",
        [
            Column("Point"), Column("Workload"), Column("Metric"), Column("Arm"), Column("Tries", True), Column("Within", True),
            Column("Between", True), Column("Both", True), Column("Of the mean", True), Column("Between, of variance", True),
        ],
        heads=4,
    )  # fmt: skip
    for entry in entries:
        scale = figures.scale_of(str(entry.get("unit") or ""), [finite(entry.get("s_R"))])
        deviations = [finite(entry.get(key)) for key in ("s_r", "s_b", "s_R")]
        shares = [finite(entry.get(key)) for key in ("cv_R", "icc")]
        table.add(
            *names(entry, "point", "workload", "metric", "arm", "tries"),
            *("–" if d is None else f"{figures.number(d / scale.factor, 3)} {scale.unit}" for d in deviations),
            *("–" if share is None else f"{share * 100:.2g} %" for share in shares),
        )  # fmt: skip
    return table.without_constants("Point", "Workload", "Metric").capped(ROWS_PER_TABLE, "analysis.json")


def distributions(source: Source) -> Table | None:
    """Return the quantiles of single observations, where workloads gave enough of them."""
    entries = [entry for entry in source.analysis.get("distributions") or () if isinstance(entry, dict) and entry.get("quantiles")]
    if not entries:
        return None
    shares = sorted({float(q["q"]) for entry in entries for q in entry["quantiles"]})
    table = Table(
        "Single observations over all runs of a cell: quantiles with their 95 % interval, in the metric's unit.",
        [
            Column("Point"), Column("Workload"), Column("Sample"), Column("Arm"), *(Column(f"P{share * 100:g}", True) for share in shares),
            Column("Observations", True),
        ],
        heads=4,
    )  # fmt: skip
    for entry in entries:
        known = {float(q["q"]): q for q in entry["quantiles"]}
        table.add(
            *names(entry, "point", "workload", "sample", "arm"),
            *(_quantile(known.get(share)) for share in shares), str(entry.get("n", "")),
        )  # fmt: skip
    return table.without_constants("Point", "Workload", "Sample").capped(ROWS_PER_TABLE, "analysis.json")


def _quantile(quantile: Mapping[str, Any] | None) -> str:
    value = finite(quantile.get("value")) if quantile else None
    if quantile is None or value is None:
        return "–"
    low, high = finite(quantile.get("low")), finite(quantile.get("high"))
    return figures.number(value) + (f" [{figures.number(low)}, {figures.number(high)}]" if low is not None and high is not None else "")
