# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a report shows, as data: built from a results directory, rendered by templates.

Verdicts, intervals and sentences are the analysis'; here they are only chosen, ordered and put into words. A sentence of the
analysis is shown as an answer only while a verdict supports it.
"""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.plugin_utils import plots
from ansible_collections.datapath.lab.plugins.plugin_utils.compare import NodeFact, facts_of_nodes
from ansible_collections.datapath.lab.plugins.plugin_utils.report import figures
from ansible_collections.datapath.lab.plugins.plugin_utils.report.results import KEPT, Digest, Results
from ansible_collections.datapath.lab.plugins.plugin_utils.report.tables import VERDICT_WORDS, Cell, Column, Table, verdict_cell

SUPPORTING = ("better", "worse", "equivalent")
ANSWERS_SHOWN = 6
ROWS_PER_PLOT = 36
PLOTS_AT_MOST = 24
ROWS_PER_TABLE = 120
CONTROL_SUFFIX = "#control"

LABELS = {
    "emulated": (
        "emulated",
        "The nodes' processors were emulated in software. Absolute figures say nothing about hardware; ratios of the same work in one run are usable.",
    ),
    "kvm": (
        "kvm",
        "The nodes were virtual machines with hardware virtualisation. Absolute figures hold for such machines; a bare host may differ.",
    ),
    "native": ("native", "The work ran on the processor itself, without a virtual machine. Figures hold for the machine described below."),
}
UNKNOWN_LABEL = "The results do not say whether the nodes ran natively, virtualised or emulated: take no absolute figure from them."

_PERCENTILE = re.compile(r"^(?P<family>.*?)_?p(?P<percent>\d{2}(?:[._]\d+)?|\d{3,4})(?P<rest>_.*)?$")
_CPU_METRIC = re.compile(r"(^|_)(cpu|user|system|sys|softirq|sd|service_demand|demand)(_|$)")


@dataclass(frozen=True)
class Plot:
    """A drawing with its heading and the sentence under it."""

    drawing: plots.Drawing
    caption: str


@dataclass
class View:
    """Everything that the templates read."""

    title: str
    question: str
    experiment: str
    run: str
    label: str
    label_sentence: str
    headline: str
    rig_sentence: str
    answers: list[str]
    unresolved: list[str]
    invalid: list[str]
    facts: list[tuple[str, str]]
    ratio_plots: list[Plot]
    value_plots: list[Plot]
    curve_plots: list[Plot]
    percentile_plots: list[Plot]
    plots_note: str
    comparisons: list[Table]
    published: list[Table]
    published_sentence: str
    cells: list[Table]
    further_cells: list[Table]
    cpu: list[Table]
    losses: list[Table]
    witnesses: Table
    control: Table | None
    control_sentence: str
    troubles: Table | None
    troubles_sentence: str
    physics: Table | None
    environment: list[Table]
    environment_groups: list[Table]
    arms: Table | None
    plan_facts: list[tuple[str, str]]
    commands: list[str]
    tools: Table
    argv: Table | None
    limits: list[str]
    comparison: Comparison | None = None


@dataclass
class Comparison:
    """This run beside another one."""

    other: str
    sentences: list[str]
    plots: list[Plot] = field(default_factory=list)
    table: Table | None = None
    environment: Table | None = None


@dataclass
class _Source:
    """The documents with the look-ups that the builders share."""

    results: Results
    digest: Digest

    def __post_init__(self) -> None:
        plan, analysis = self.results.plan, self.results.analysis
        self.plan = plan
        self.analysis = analysis
        self.comparisons = [entry for entry in analysis.get("comparisons") or () if isinstance(entry, dict)]
        self.cells = [entry for entry in analysis.get("cells") or () if isinstance(entry, dict)]
        self.cell_of = {(c.get("point"), c.get("workload"), c.get("arm"), c.get("metric")): c for c in self.cells}
        self.points = _ordered(
            [str(p.get("name")) for p in plan.get("points") or ()], (c.get("point") for c in [*self.comparisons, *self.cells])
        )
        self.workloads = _ordered(
            [str(w.get("name")) for w in plan.get("workloads") or ()], (c.get("workload") for c in [*self.comparisons, *self.cells])
        )
        planned_arms = [str(a.get("name")) for a in plan.get("arms") or ()]
        self.arms = _ordered(planned_arms, (c.get("arm") for c in self.cells))
        self.shown_arms = [arm for arm in self.arms if not arm.endswith(CONTROL_SUFFIX)]
        self.primary = {str(w.get("name")): [str(metric) for metric in w.get("metrics") or ()] for w in plan.get("workloads") or ()}
        for entry in self.comparisons:
            known = self.primary.setdefault(str(entry.get("workload")), [])
            if entry.get("metric") not in known:
                known.append(str(entry.get("metric")))
        self.margin = float(plan.get("margin", analysis.get("margin", 0.05)))

    def metrics_of(self, workload: str) -> list[str]:
        """Return the metrics that the analysis has cells of, the primary ones first."""
        return _ordered(self.primary.get(workload, []), (c.get("metric") for c in self.cells if c.get("workload") == workload))

    def unit_of(self, workload: str, metric: str) -> str:
        return next((str(c.get("unit", "")) for c in self.cells if c.get("workload") == workload and c.get("metric") == metric), "")

    def slot(self, arm: str) -> int:
        return self.shown_arms.index(arm) if arm in self.shown_arms else len(self.shown_arms)


def _ordered(first: Iterable[str], found: Iterable[Any]) -> list[str]:
    """Return names in the plan's order, then those that only the results have."""
    names = dict.fromkeys(first)
    names.update(dict.fromkeys(str(name) for name in found if name is not None))
    return list(names)


def build_view(results: Results, digest: Digest) -> View:
    """Choose and order what the report of ``results`` shows."""
    source = _Source(results, digest)
    analysis, plan = results.analysis, results.plan
    experiment = str(plan.get("experiment") or analysis.get("experiment") or "experiment")
    accelerator = str(analysis.get("accelerator") or plan.get("accelerator") or "")
    label, label_sentence = LABELS.get(accelerator, (accelerator or "unknown", UNKNOWN_LABEL))
    rig_sentence = _rig_sentence(source)
    answers = [] if rig_sentence else _answers(source)
    unresolved = _grouped(source, "inconclusive")
    invalid = _grouped(source, "invalid")
    ratio_plots = _ratio_plots(source)
    curve_plots, value_plots = _curve_and_value_plots(source)
    percentile_plots = _percentile_plots(source)
    drawn = len(ratio_plots) + len(curve_plots) + len(value_plots) + len(percentile_plots)
    published, published_sentence = _published(source)
    cells, further = _cells(source)
    environment, groups = _environment(source)
    control, control_sentence = _control(source)
    return View(
        title=str(plan.get("title") or experiment),
        question=str(plan.get("question") or ""),
        experiment=experiment,
        run=results.run,
        label=label,
        label_sentence=label_sentence,
        headline=_headline(source, rig_sentence, answers, unresolved, invalid),
        rig_sentence=rig_sentence,
        answers=answers,
        unresolved=unresolved,
        invalid=invalid,
        facts=_facts(source),
        ratio_plots=ratio_plots,
        value_plots=value_plots,
        curve_plots=curve_plots,
        percentile_plots=percentile_plots,
        plots_note="" if drawn < PLOTS_AT_MOST else "Some plots were left out; the tables below and measurements.csv hold all figures.",
        comparisons=_comparison_tables(source),
        published=published,
        published_sentence=published_sentence,
        cells=cells,
        further_cells=further,
        cpu=_cpu(source),
        losses=_losses(source),
        witnesses=_witnesses(source),
        control=control,
        control_sentence=control_sentence,
        troubles=_troubles(source),
        troubles_sentence=_troubles_sentence(source),
        physics=_physics(source),
        environment=environment,
        environment_groups=groups,
        arms=_arms(source),
        plan_facts=_plan_facts(source),
        commands=_commands(source),
        tools=_tools(source),
        argv=_argv(source),
        limits=_limits(source),
    )


# The answer


def _excludes_one(bounds: Any) -> bool:
    low, high = interval(bounds)
    return (low is not None and low > 1) or (high is not None and high < 1)


def interval(value: Any) -> tuple[float | None, float | None]:
    """Return the two ends of an interval, ``None`` for one that does not exist."""
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return tuple(float(end) if isinstance(end, (int, float)) and math.isfinite(end) else None for end in value)  # type: ignore[return-value]
    return (None, None)


def _rig_sentence(source: _Source) -> str:
    """Say why the rig is unusable, or return nothing: an A/A comparison whose interval excludes 1 says so by the declared rule."""
    if source.analysis.get("rig_usable", True) is True:
        return ""
    off = [entry for entry in source.analysis.get("controls") or () if isinstance(entry, dict) and _excludes_one(entry.get("ci95"))]
    where = "; ".join(f"{_place(source, entry)} {ratio_text(entry)}" for entry in off)
    return (
        "This rig is unusable: the same arm measured twice came out different"
        + (f" ({where})" if where else "")
        + ". No ratio below may be believed until the cause is found."
    )


def _answers(source: _Source) -> list[str]:
    """Return the analysis' sentences whose verdict supports them."""
    supported = any(entry.get("verdict") in SUPPORTING and entry.get("witness") == "proved" for entry in source.comparisons)
    answers = []
    for entry in source.analysis.get("sentences") or ():
        if isinstance(entry, dict):
            if entry.get("verdict") in SUPPORTING:
                answers.append(str(entry.get("sentence") or entry.get("text") or ""))
        elif supported:
            answers.append(str(entry))
    return [answer for answer in answers if answer]


def _headline(source: _Source, rig: str, answers: Sequence[str], unresolved: Sequence[str], invalid: Sequence[str]) -> str:
    if rig:
        return "The rig is unusable"
    if answers:
        return ""
    if invalid and not unresolved:
        return "No answer: the comparisons are invalid"
    if unresolved:
        return "No answer: the measurements do not resolve the question"
    return "No answer: nothing was compared"


def _grouped(source: _Source, verdict: str) -> list[str]:
    """Return one line per pair of arms and metric that has comparisons of this verdict."""
    groups: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = {}
    for entry in source.comparisons:
        if entry.get("verdict") == verdict:
            key = (str(entry.get("arm")), str(entry.get("reference")), str(entry.get("workload")), str(entry.get("metric")))
            groups.setdefault(key, []).append(entry)
    lines = []
    for (arm, reference, workload, metric), entries in groups.items():
        places = []
        for entry in entries[:12]:
            detail = ratio_text(entry) if verdict == "inconclusive" else _why_invalid(entry)
            places.append(f"{entry.get('point')} ({detail})")
        if len(entries) > 12:
            places.append(f"{len(entries) - 12} more")
        lines.append(f"{arm} against {reference}, {workload} {metric}: {', '.join(places)}")
    return lines


def _why_invalid(entry: Mapping[str, Any]) -> str:
    if entry.get("reason"):
        return str(entry["reason"])
    if entry.get("witness") != "proved":
        return f"witness {entry.get('witness', 'missing')}"
    return f"{entry.get('blocks', 0)} usable blocks"


def ratio_text(entry: Mapping[str, Any]) -> str:
    """Return a comparison's ratio with its interval."""
    value = entry.get("speedup")
    low, high = interval(entry.get("ci95"))
    return figures.ratio(float(value) if isinstance(value, (int, float)) else None, low, high)


def _place(source: _Source, entry: Mapping[str, Any]) -> str:
    parts = [str(entry.get("point"))] if len(source.points) > 1 else []
    parts += [str(entry.get("workload"))] if len(source.workloads) > 1 or not parts else []
    parts += [str(entry.get("metric"))] if len(source.primary.get(str(entry.get("workload")), [])) > 1 else []
    return " · ".join(parts)


def _facts(source: _Source) -> list[tuple[str, str]]:
    plan, digest = source.plan, source.digest
    blocks = plan.get("blocks") or max((int(entry.get("blocks") or 0) for entry in source.comparisons), default=0)
    facts = [("Run", source.results.run)]
    substrate = plan.get("substrate") or source.analysis.get("substrate")
    if substrate:
        facts.append(("Substrate", str(substrate)))
    if plan.get("preset"):
        facts.append(("Preset", str(plan["preset"])))
    facts.append(("Blocks", str(blocks)))
    if digest.lines:
        facts.append(("Runs", f"{digest.valid} valid of {digest.lines}" if digest.troubled else f"{digest.valid}, all valid"))
    elapsed = digest.elapsed_s()
    if elapsed is not None:
        facts.append(("Took", figures.duration(elapsed)))
    return facts


# Plots


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


def _ratio_plots(source: _Source) -> list[Plot]:
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    crowded = len(source.comparisons) > ROWS_PER_PLOT
    for entry in source.comparisons:
        key: tuple[str, ...] = (str(entry.get("reference")), str(entry.get("arm")))
        groups.setdefault((*key, str(entry.get("workload"))) if crowded else key, []).append(entry)
    names = _Names()
    drawn: list[Plot] = []
    for key, entries in list(groups.items())[:PLOTS_AT_MOST]:
        reference, arm = key[0], key[1]
        title = f"{arm} against {reference}" + (f", {key[2]}" if len(key) > 2 else "")
        rows = [
            plots.ForestRow(
                label=_row_label(entries, entry),
                ratio=finite(entry.get("speedup")),
                low=interval(entry.get("ci95"))[0],
                high=interval(entry.get("ci95"))[1],
                verdict=str(entry.get("verdict")),
                text=f"{ratio_text(entry)} {VERDICT_WORDS.get(str(entry.get('verdict')), '')}".strip(),
                published=finite(entry.get("published_speedup")),
            )
            for entry in entries[:ROWS_PER_PLOT]
        ]
        metrics = _ordered((), (entry.get("metric") for entry in entries))
        left_out = f" {len(entries) - ROWS_PER_PLOT} more are in the table." if len(entries) > ROWS_PER_PLOT else ""
        drawing = plots.forest(
            names.of("ratio", *key), f"Ratio of {title}", rows, source.margin, f"← worse than {reference}   ·   better →"
        )
        drawn.append(Plot(drawing, f"{title}: ratio of {', '.join(metrics)} with its 95 % interval; above 1, {arm} is better.{left_out}"))
    return drawn


def finite(value: Any) -> float | None:
    """Return a number that can be drawn, or ``None``."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _row_label(entries: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> str:
    varying = [name for name in ("point", "workload", "metric") if len({str(other.get(name)) for other in entries}) > 1]
    return " · ".join(str(entry.get(name)) for name in varying or ("point",))


def _axis(source: _Source) -> str | None:
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


def _series(source: _Source, workload: str, metric: str, points: Sequence[str], factor: float) -> list[plots.Series]:
    series = [
        plots.Series(arm, source.slot(arm), [_value_of(source.cell_of.get((point, workload, arm, metric)), factor) for point in points])
        for arm in source.shown_arms
    ]
    return [one for one in series if any(value is not None for value in one.values)]


def _curve_and_value_plots(source: _Source) -> tuple[list[Plot], list[Plot]]:
    axis, names = _axis(source), _Names()
    curve_plots: list[Plot] = []
    value_plots: list[Plot] = []
    for workload in source.workloads:
        for metric in source.primary.get(workload, []):
            if len(curve_plots) + len(value_plots) >= PLOTS_AT_MOST:
                break
            cells = [c for c in source.cells if c.get("workload") == workload and c.get("metric") == metric]
            scale = figures.scale_of(source.unit_of(workload, metric), (c.get("mean") for c in cells))
            what = f"{workload} {metric}" if len(source.workloads) > 1 else metric
            if axis:
                curve_plots.extend(_curves(source, workload, metric, what, axis, scale, names))
                continue
            points = [point for point in source.points if any(c.get("point") == point for c in cells)]
            series = _series(source, workload, metric, points, scale.factor)
            if series:
                labels = points if len(points) > 1 else [what]
                title = f"{what} of each arm, in {scale.unit}"
                drawing = plots.values(names.of("values", workload, metric), title, scale.unit, labels, series)
                value_plots.append(
                    Plot(drawing, f"{what}: mean of each arm and its 95 % interval, {_direction(source, workload, metric)}.")
                )
    return curve_plots, value_plots


def _direction(source: _Source, workload: str, metric: str) -> str:
    better = next((c.get("better") for c in source.cells if c.get("workload") == workload and c.get("metric") == metric), None)
    better = better or source.digest.better.get((workload, metric))
    return {"higher": "more is better", "lower": "less is better"}.get(str(better), "descriptive")


def _curves(source: _Source, workload: str, metric: str, what: str, axis: str, scale: figures.Scale, names: _Names) -> list[Plot]:
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for point in source.plan.get("points") or ():
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
        caption = (
            f"{title}: mean of each arm, its 95 % interval as a band" + (f", and the ceiling ({ceiling.label})" if ceiling else "") + "."
        )
        drawn.append(Plot(drawing, caption))
    return drawn


def _ceiling(source: _Source, workload: str, metric: str, scale: figures.Scale) -> plots.Ceiling | None:
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
    return (match.group("family") + (match.group("rest") or ""), percent)


def _percentile_plots(source: _Source) -> list[Plot]:
    names = _Names()
    drawn: list[Plot] = []
    for workload in source.workloads:
        families: dict[str, list[tuple[float, str]]] = {}
        for metric in source.metrics_of(workload):
            found = percentile_of(metric)
            if found:
                families.setdefault(found[0], []).append((found[1], metric))
        for family, members in families.items():
            if len(members) < 2:
                continue
            members.sort()
            points = [
                p
                for p in source.points
                if any(c.get("point") == p and c.get("workload") == workload and c.get("metric") == members[0][1] for c in source.cells)
            ]
            if len(points) > 3:
                points = [points[0], points[len(points) // 2], points[-1]]
            for point in points:
                if len(drawn) < PLOTS_AT_MOST:
                    drawn.extend(_percentile_plot(source, workload, family, members, point, names))
    return drawn


def _percentile_plot(
    source: _Source, workload: str, family: str, members: Sequence[tuple[float, str]], point: str, names: _Names
) -> list[Plot]:
    cells = [source.cell_of.get((point, workload, arm, metric)) for arm in source.shown_arms for _percent, metric in members]
    unit = source.unit_of(workload, members[0][1])
    scale = figures.scale_of(unit, (cell.get("mean") for cell in cells if cell))
    series = []
    for arm in source.shown_arms:
        values = [_value_of(source.cell_of.get((point, workload, arm, metric)), scale.factor) for _percent, metric in members]
        if any(value is not None for value in values):
            series.append(plots.Series(arm, source.slot(arm), values))
    if not series:
        return []
    what = f"{family or 'latency'} percentiles of {workload}" + (f" at {point}" if len(source.points) > 1 else "")
    drawing = plots.percentiles(
        names.of("percentiles", workload, family, point), what, f"{family or 'latency'}, {scale.unit}", [p for p, _m in members], series
    )
    return [Plot(drawing, f"{what}: mean over the runs of each arm, with its 95 % interval; less is better.")]


# Tables of results


def _comparison_tables(source: _Source) -> list[Table]:
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
            str(entry.get("point")), str(entry.get("workload")), str(entry.get("metric")), f"{entry.get('arm')} against {entry.get('reference')}",
            ratio_text(entry),
            Cell(f"[{figures.number(low)}, {figures.number(high)}]") if low is not None or high is not None else Cell("–", "muted"),
            str(entry.get("blocks", "")), verdict_cell(str(entry.get("verdict"))), str(entry.get("witness", "missing")),
        )  # fmt: skip
    return [table.without_constants("Workload", "Metric", "Compared", "Witness").capped(ROWS_PER_TABLE, "analysis.json")] if table.rows else []


_REPLICATED = {"yes": "better", "no": "worse", "not resolved": "inconclusive"}


def _published(source: _Source) -> tuple[list[Table], str]:
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
            str(entry.get("point")), _workload_and_metric(source, entry), f"{entry.get('arm')} against {entry.get('reference')}",
            figures.ratio(finite(entry.get("published_speedup"))), ratio_text(entry), verdict_cell(str(entry.get("verdict"))),
            Cell(state, _REPLICATED.get(state, "")),
        )  # fmt: skip
    if table.rows:
        tables.append(table.without_constants("Point", "Workload", "Compared").capped(ROWS_PER_TABLE, "analysis.json"))
    tables.extend(_published_values(source))
    if not compared:
        return tables, "" if tables else "The plan holds no published ratio to set beside ours."
    counts = {state: sum(str(entry.get("replicated")) == state for entry in compared) for state in ("yes", "no", "not resolved")}
    sentence = f"Of {len(compared)} published ratios, {counts['yes']} replicated, {counts['no']} did not, and {counts['not resolved']} are not resolved by our interval."
    return tables, sentence


def _workload_and_metric(source: _Source, entry: Mapping[str, Any]) -> str:
    workload, metric = str(entry.get("workload")), str(entry.get("metric"))
    return workload if len(source.primary.get(workload, [])) < 2 else f"{workload} {metric}"


def _published_values(source: _Source) -> list[Table]:
    table = Table(
        "Published absolute values beside ours. The machines differ: only ratios can replicate.",
        [Column("Point"), Column("Workload"), Column("Metric"), Column("Arm"), Column("Published", True), Column("Ours", True)],
    )
    for entry in source.plan.get("published") or ():
        for arm, value in (entry.get("values") or {}).items():
            if not isinstance(value, dict):
                continue
            half = finite(value.get("ci_half_width_relative"))
            published = f"{figures.number(finite(value.get('value')), 5)} {value.get('unit', '')}" + (
                f" ±{half * 100:.3g} %" if half else ""
            )
            cell = source.cell_of.get((entry.get("point"), entry.get("workload"), arm, entry.get("metric")))
            ours: Cell | str | None = None
            if cell and finite(cell.get("mean")) is not None:
                scale = figures.scale_of(str(cell.get("unit", "")), [cell.get("mean")])
                ours = f"{figures.mean_and_deviation(float(cell['mean']), finite(cell.get('sd')), scale)} {scale.unit}"
            table.add(str(entry.get("point")), str(entry.get("workload")), str(entry.get("metric")), str(arm), published, ours)
    return [table.without_constants("Point", "Metric").capped(ROWS_PER_TABLE, "plan.json")] if table.rows else []


def _cells(source: _Source) -> tuple[list[Table], list[Table]]:
    primary: list[Table] = []
    further: list[Table] = []
    for workload in source.workloads:
        for metric in source.metrics_of(workload):
            table = _cell_table(source, workload, metric)
            if table.rows:
                (primary if metric in source.primary.get(workload, []) else further).append(table)
    return primary, further


def _cell_table(source: _Source, workload: str, metric: str) -> Table:
    cells = [c for c in source.cells if c.get("workload") == workload and c.get("metric") == metric]
    scale = figures.scale_of(source.unit_of(workload, metric), (c.get("median") for c in cells))
    table = Table(
        f"{workload} {metric}" + (f", in {scale.unit}" if scale.unit else "") + f" ({_direction(source, workload, metric)})",
        [
            Column("Point"),
            Column("Arm"),
            Column("Mean ± sd", True),
            Column("95 % interval", True),
            Column("Median", True),
            Column("Range", True),
            Column("Runs", True),
        ],
        heads=2,
    )
    for point in source.points:
        here = [c for c in cells if c.get("point") == point]
        if not here:
            continue
        for arm in source.arms:
            cell = source.cell_of.get((point, workload, arm, metric))
            if cell is None or finite(cell.get("mean")) is None:
                # A control runs at a few points only; that it lacks elsewhere is no gap.
                if not arm.endswith(CONTROL_SUFFIX) and not _ruled_out(source, arm):
                    table.add(point, arm, None, None, None, None, "0")
                continue
            table.add(point, arm, *_spread(cell, scale), str(cell.get("n", "")))
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


def _ruled_out(source: _Source, arm: str) -> bool:
    return any(planned.get("name") == arm and planned.get("rules_out") for planned in source.plan.get("arms") or ())


def _cpu(source: _Source) -> list[Table]:
    """One row per cell, one column per metric of processor time; a gap is shown as not measured."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for workload in source.workloads:
        metrics = tuple(metric for metric in source.metrics_of(workload) if _CPU_METRIC.search(metric))
        if metrics:
            groups.setdefault(metrics, []).append(workload)
    tables = []
    for metrics, workloads in groups.items():
        columns = [Column("Workload"), Column("Point"), Column("Arm")]
        scales = {}
        for workload in workloads:
            for metric in metrics:
                cells = [c for c in source.cells if c.get("workload") == workload and c.get("metric") == metric]
                scales[workload, metric] = figures.scale_of(source.unit_of(workload, metric), (c.get("mean") for c in cells))
        units = {metric: {scales[workload, metric].unit for workload in workloads} for metric in metrics}
        for metric in metrics:
            one = next(iter(units[metric])) if len(units[metric]) == 1 else ""
            columns.append(Column(f"{metric}, {one}" if one else metric, True))
        table = Table("Processor time, mean ± sd.", columns, heads=3)
        for workload in workloads:
            for point in source.points:
                for arm in source.shown_arms:
                    cells = [source.cell_of.get((point, workload, arm, metric)) for metric in metrics]
                    if not any(cells) and not any((point, workload, arm, m) in source.cell_of for m in source.primary.get(workload, [])):
                        continue
                    shown: list[Cell | str | None] = []
                    for metric, cell in zip(metrics, cells):
                        if cell is None or finite(cell.get("mean")) is None:
                            shown.append(None)
                            continue
                        scale = scales[workload, metric]
                        text = figures.mean_and_deviation(float(cell["mean"]), finite(cell.get("sd")), scale)
                        shown.append(text if len(units[metric]) == 1 else f"{text} {scale.unit}")
                    table.add(workload, point, arm, *shown)
        if table.rows:
            tables.append(table.without_constants("Workload", "Point").capped(ROWS_PER_TABLE, "analysis.json"))
    return tables


def _losses(source: _Source) -> list[Table]:
    """What was sent beside what arrived, where a workload measures both."""
    table = Table(
        "Sent and received. The result is what was received.",
        [Column("Workload"), Column("Point"), Column("Arm"), Column("Sent", True), Column("Received", True), Column("Lost", True)],
        heads=3,
    )
    for workload in source.workloads:
        metrics = source.metrics_of(workload)
        for sent in (metric for metric in metrics if "sent" in metric.split("_")):
            names = (sent.replace("sent", "received"), "_".join(word for word in sent.split("_") if word != "sent"))
            received = next((name for name in names if name in metrics), None)
            if received is None:
                continue
            for point in source.points:
                for arm in source.shown_arms:
                    out, into = (source.cell_of.get((point, workload, arm, metric)) for metric in (sent, received))
                    if not out or not into or not finite(out.get("mean")) or out.get("unit") != into.get("unit"):
                        continue
                    scale = figures.scale_of(str(out.get("unit", "")), [out.get("mean")])
                    lost = max(0.0, 1 - float(into["mean"]) / float(out["mean"]))
                    table.add(
                        workload, point, arm, *(f"{figures.mean_and_deviation(float(c['mean']), finite(c.get('sd')), scale)} {scale.unit}" for c in (out, into)),
                        f"{lost * 100:.1f} %",
                    )  # fmt: skip
    return [table.without_constants("Workload", "Point").capped(ROWS_PER_TABLE, "analysis.json")] if table.rows else []


# Trust


def _witnesses(source: _Source) -> Table:
    table = Table("How each arm was proved to be in force.", [Column("Arm"), Column("Proved", True), Column("Evidence")])
    for arm in _ordered(source.arms, source.digest.arms):
        seen = source.digest.arms.get(arm)
        if seen is None:
            continue
        total = sum(seen.states.values())
        proved = seen.states.get("proved", 0)
        examples = [text for text in seen.evidence if text]
        evidence = "; ".join(examples[:2])
        if len(examples) > 2:
            evidence += f"; and {len(examples) - 2 + (1 if seen.more else 0)}{' or more' if seen.more else ''} further wordings"
        table.add(
            arm,
            Cell(f"{proved} of {total}", "" if proved == total else "worse"),
            Cell(evidence) if evidence else Cell("none recorded", "muted"),
        )
    return table


def _control(source: _Source) -> tuple[Table | None, str]:
    controls = [entry for entry in source.analysis.get("controls") or () if isinstance(entry, dict)]
    if not controls:
        return None, "There was no A/A control: this report cannot show that the rig reads the same arm twice as the same."
    table = Table(
        "The same arm against itself.",
        [
            Column("Point"),
            Column("Workload"),
            Column("Metric"),
            Column("Arm"),
            Column("Ratio, 95 % interval", True),
            Column("Blocks", True),
            Column("Interval holds 1"),
        ],
    )
    for entry in controls:
        off = _excludes_one(entry.get("ci95"))
        table.add(
            str(entry.get("point")), str(entry.get("workload")), str(entry.get("metric")), str(entry.get("reference")),
            ratio_text(entry), str(entry.get("blocks", "")), Cell("no", "worse") if off else Cell("yes", "better"),
        )  # fmt: skip
    off_count = sum(_excludes_one(entry.get("ci95")) for entry in controls)
    sentence = "An arm measured against a second copy of itself must come out at 1. "
    sentence += "Each control's interval holds 1." if not off_count else f"{off_count} of {len(controls)} intervals exclude 1."
    return table.without_constants("Workload", "Metric", "Arm").capped(ROWS_PER_TABLE, "analysis.json"), sentence


def _troubles(source: _Source) -> Table | None:
    digest = source.digest
    if not digest.troubles:
        return None
    table = Table(
        "Runs that entered no comparison.",
        [Column("Run"), Column("Block", True), Column("Attempt", True), Column("Point"), Column("Workload"), Column("Arm"), Column("Why")],
    )
    for trouble in digest.troubles:
        table.add(trouble.run, trouble.block, trouble.attempt, trouble.point, trouble.workload, trouble.arm, "; ".join(trouble.reasons))
    capped = table.capped(60, "measurements.csv")
    if digest.troubled > KEPT:
        capped.note = f"{digest.troubled - len(capped.rows)} more rows of {digest.troubled} are in measurements.csv."
    return capped


def _troubles_sentence(source: _Source) -> str:
    digest = source.digest
    if not digest.lines:
        return "No run was recorded."
    blocks = int(source.analysis.get("repeated_blocks") or 0)
    repeated = f"{_count(blocks, 'block')} had to be repeated." if blocks else "No block had to be repeated."
    if not digest.troubled:
        return f"All {digest.lines} runs were valid. {repeated}"
    return f"{digest.troubled} of {digest.lines} runs are not used, {digest.failed} of them because they failed. {repeated} No value was dropped for being an outlier."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_STATE_KINDS = {
    "holds": "better",
    "ok": "better",
    "passed": "better",
    "yes": "better",
    "violated": "worse",
    "failed": "worse",
    "no": "worse",
}


def _physics(source: _Source) -> Table | None:
    checks = [entry for entry in source.analysis.get("physics") or () if isinstance(entry, dict)]
    if not checks:
        return None
    table = Table(
        "Do the figures agree with each other and with what is possible?",
        [Column("Check"), Column("Where"), Column("State"), Column("Finding")],
    )
    # What went wrong first.
    ordered = sorted(checks, key=lambda entry: _STATE_KINDS.get(str(entry.get("state")), "inconclusive") == "better")
    for entry in ordered:
        where = " · ".join(str(entry[name]) for name in ("point", "workload", "arm") if entry.get(name))
        state = str(entry.get("state", ""))
        table.add(
            str(entry.get("check") or entry.get("name") or ""),
            where or Cell("–", "muted"),
            Cell(state, _STATE_KINDS.get(state, "inconclusive")),
            str(entry.get("sentence", "")),
        )
    return table.capped(ROWS_PER_TABLE, "analysis.json")


# Environment, plan, repetition


def _environment(source: _Source) -> tuple[list[Table], list[Table]]:
    nodes = source.results.environment.get("nodes") or {}
    shown = dict(list(nodes.items())[:8])
    tables, groups = [], []
    if shown:
        facts = facts_of_nodes(shown)
        differing = Table("Where the nodes differ.", [Column("Fact"), *(Column(name) for name in shown)])
        by_group: dict[str, list[NodeFact]] = {}
        for fact in facts:
            by_group.setdefault(fact.group, []).append(fact)
            if not fact.same:
                differing.add(Cell(fact.key, "code"), *fact.values)
        if len(shown) > 1 and differing.rows:
            tables.append(differing.capped(60, "environment.json"))
        for group, members in by_group.items():
            table = Table(group, [Column("Fact"), *(Column(name) for name in shown)])
            for fact in members:
                table.add(Cell(fact.key, "code"), *fact.values)
            groups.append(table.capped(ROWS_PER_TABLE, "environment.json"))
        if len(nodes) > len(shown):
            groups[-1].note = f"{len(nodes) - len(shown)} more nodes are in environment.json."
    for part in ("lab", "controller"):
        facts = facts_of_nodes({part: source.results.environment.get(part) or {}})
        if facts:
            table = Table(part, [Column("Fact"), Column("Value")])
            for fact in facts:
                table.add(Cell(fact.key, "code"), fact.values[0])
            groups.append(table.capped(60, "environment.json"))
    return tables, groups


def _arms(source: _Source) -> Table | None:
    planned = source.plan.get("arms") or ()
    if not planned:
        return None
    table = Table("Arms.", [Column("Arm"), Column("What it is"), Column("Setup"), Column("Could run")])
    for arm in planned:
        ruled = arm.get("rules_out")
        table.add(
            str(arm.get("name")), str(arm.get("description") or "–"), str(arm.get("setup") or arm.get("name")),
            Cell(f"no: {ruled}", "inconclusive") if ruled else Cell("yes"),
        )  # fmt: skip
    return table


def _plan_facts(source: _Source) -> list[tuple[str, str]]:
    plan, digest = source.plan, source.digest
    facts = []
    for key, term in (
        ("seed", "Seed of the order"),
        ("blocks", "Blocks"),
        ("preset", "Preset"),
        ("retries", "Repeats of a block, at most"),
    ):
        if plan.get(key) is not None:
            facts.append((term, str(plan[key])))
    facts.append(("Margin of equivalence", f"±{source.margin * 100:g} %"))
    for rule, limit in (plan.get("invalidation") or {}).items():
        facts.append(("A run is invalid", f"{str(rule).replace('_', ' ')}: {limit}"))
    runs = plan.get("runs")
    if runs is not None:
        facts.append(("Runs planned", str(len(runs))))
    facts.append(("Runs recorded", str(digest.lines)))
    predicted = finite(plan.get("predicted_s"))
    if predicted is not None:
        facts.append(("Predicted time", figures.duration(predicted)))
    elapsed = digest.elapsed_s()
    if elapsed is not None:
        facts.append(("Real time, first run to last record", figures.duration(elapsed)))
        facts.append(("of it under load", figures.duration(digest.busy_s)))
    return facts


def _commands(source: _Source) -> list[str]:
    repeat = source.plan.get("repeat")
    if isinstance(repeat, str):
        return [repeat]
    if not isinstance(repeat, list) or not repeat:
        return []
    if all(isinstance(word, str) for word in repeat):
        # One argv, or a list of finished command lines: only the latter have blanks in their first element.
        return [str(line) for line in repeat] if " " in repeat[0] else [shlex.join(repeat)]
    return [shlex.join(str(word) for word in argv) for argv in repeat if isinstance(argv, list)]


def _tools(source: _Source) -> Table:
    table = Table("Tools that measured.", [Column("Tool"), Column("Version"), Column("Runs", True)])
    for (tool, version), count in sorted(source.digest.tools.items()):
        table.add(tool, version or Cell("unknown", "muted"), str(count))
    return table


def _argv(source: _Source) -> Table | None:
    table = Table(
        "The command of each workload and arm, as started in its first run.",
        [Column("Workload"), Column("Arm"), Column("Command")],
        heads=2,
    )
    order = {arm: place for place, arm in enumerate(source.arms)}
    for (workload, arm), argv in sorted(source.digest.argv.items(), key=lambda item: (item[0][0], order.get(item[0][1], len(order)))):
        if argv and not arm.endswith(CONTROL_SUFFIX):
            table.add(workload, arm, Cell(shlex.join(argv), "code"))
    return table.capped(60, "measurements.jsonl") if table.rows else None


def _limits(source: _Source) -> list[str]:
    """Return what this report cannot say, and why."""
    plan, analysis, digest = source.plan, source.analysis, source.digest
    limits = list(source.results.absent)
    for arm in plan.get("arms") or ():
        if arm.get("rules_out"):
            limits.append(f"Nothing is said about the arm {arm.get('name')}: {arm['rules_out']}")
    accelerator = analysis.get("accelerator") or plan.get("accelerator")
    if accelerator == "emulated":
        limits.append("Absolute times and rates are those of emulated processors; no figure here says how fast this is on hardware.")
    pending = {str(run.get("run")) for run in plan.get("runs") or ()} - digest.recorded_runs
    if pending:
        limits.append(f"{_count(len(pending), 'planned run')} of {len(plan['runs'])} did not take place.")
    if digest.unreadable:
        limits.append(f"{_count(digest.unreadable, 'line')} of measurements.jsonl could not be read and is left out.")
    if digest.lines and not analysis.get("controls"):
        limits.append("Without an A/A control nothing shows that the rig itself is free of bias.")
    compared = {tuple(str(entry.get(key)) for key in ("reference", "arm", "workload", "metric")) for entry in source.comparisons}
    for wanted in plan.get("comparisons") or ():
        key = tuple(str(wanted.get(name)) for name in ("reference", "arm", "workload", "metric"))
        if key not in compared:
            limits.append(f"{key[1]} against {key[0]} ({key[2]} {key[3]}) was planned and could not be compared.")
    missing = _not_measured(source)
    if missing:
        limits.append("Not measured: " + "; ".join(missing) + ".")
    if not source.results.environment.get("nodes") and source.results.environment:
        limits.append("No node's environment was recorded.")
    if not _commands(source):
        limits.append("The plan does not hold the command that started the experiment; the seed and the preset above repeat it.")
    limits.extend(str(note) for note in analysis.get("notes") or ())
    return limits


def _not_measured(source: _Source) -> list[str]:
    """Return metrics that some arms of a workload have and others lack."""
    lines = []
    for workload in source.workloads:
        for metric in source.metrics_of(workload):
            have = {c.get("arm") for c in source.cells if c.get("workload") == workload and c.get("metric") == metric}
            ran = {c.get("arm") for c in source.cells if c.get("workload") == workload}
            lacking = [arm for arm in source.shown_arms if arm in ran and arm not in have]
            if have and lacking:
                lines.append(f"{workload} {metric} of {', '.join(lacking)}")
    return lines
