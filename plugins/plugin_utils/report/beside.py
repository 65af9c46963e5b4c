# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run beside another: yesterday's kernel and today's."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.plugin_utils import plots
from ansible_collections.datapath.lab.plugins.plugin_utils.analysis import compare_results
from ansible_collections.datapath.lab.plugins.plugin_utils.compare import diff_environments, same_question
from ansible_collections.datapath.lab.plugins.plugin_utils.plan import CONTROL_SUFFIX
from ansible_collections.datapath.lab.plugins.plugin_utils.report import drawings, figures
from ansible_collections.datapath.lab.plugins.plugin_utils.report.results import Results
from ansible_collections.datapath.lab.plugins.plugin_utils.report.source import ROWS_PER_TABLE, count, finite, interval, names, ordered
from ansible_collections.datapath.lab.plugins.plugin_utils.report.tables import VERDICT_WORDS, Cell, Column, Table, verdict_cell
from ansible_collections.datapath.lab.plugins.plugin_utils.report.view import Comparison


def compare_runs(results: Results, other: Results) -> Comparison:
    """Set ``results`` beside an earlier run: cells unpaired, environments fact by fact.

    :raises InvalidValueError: both are the same directory.
    """
    if results.path == other.path:
        raise InvalidValueError(f"{results.path} cannot be compared with itself: name another run's directory.")
    entries = _in_order(compare_results(str(other.path), str(results.path)), results.plan)
    name = other.run if other.run != results.run else str(other.path)
    sentences = [*same_question(other.plan, results.plan), *_sentences(entries, name)]
    return Comparison(
        other=name,
        sentences=sentences,
        plots=_plots(entries, name, float(results.plan.get("margin", 0.05))),
        table=_table(entries),
        environment=_environment(results, other),
    )


def _in_order(entries: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Sort by the plan's arms, workloads and points; a control comes last."""

    def place(entry: Mapping[str, Any]) -> tuple[int, ...]:
        planned = ((str(one.get("name")) for one in plan.get(part) or ()) for part in ("arms", "workloads", "points"))
        listed = [list(known) for known in planned]
        said = names(entry, "arm", "workload", "point")
        return tuple(known.index(name) if name in known else len(known) for known, name in zip(listed, said))

    return sorted(entries, key=place)


def _sentences(entries: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    if not entries:
        return [f"This run and {name} have no cell in common."]
    counts = {verdict: sum(entry.get("verdict") == verdict for entry in entries) for verdict in VERDICT_WORDS}
    said = [f"{number} {VERDICT_WORDS[verdict]}" for verdict, number in counts.items() if number]
    return [
        f"Of {count(len(entries), 'cell')} that both runs have, against {name}: {', '.join(said)}.",
        "The runs share no blocks, so the cells are compared unpaired: what changed between the two sessions besides the arm, such as the "
        "machine's load, is part of the difference.",
    ]


def _plots(entries: Sequence[Mapping[str, Any]], name: str, margin: float) -> list[drawings.Plot]:
    drawn: list[drawings.Plot] = []
    for arm in ordered((), (entry.get("arm") for entry in entries)):
        if arm.endswith(CONTROL_SUFFIX):
            continue
        mine = [entry for entry in entries if entry.get("arm") == arm and finite(entry.get("speedup")) is not None]
        rows = [
            plots.ForestRow(
                label=drawings.row_label(mine, entry),
                ratio=finite(entry.get("speedup")),
                low=interval(entry.get("ci95"))[0],
                high=interval(entry.get("ci95"))[1],
                verdict=str(entry.get("verdict")),
                text=_ratio(entry),
                word=VERDICT_WORDS.get(str(entry.get("verdict")), ""),
            )
            for entry in mine[: drawings.ROWS_PER_PLOT]
        ]
        if rows and len(drawn) < drawings.PLOTS_AT_MOST:
            title = f"{arm}: this run against {name}"
            drawing = plots.forest(f"beside-{len(drawn) + 1}", title, rows, margin, name, "this run")
            drawn.append(drawings.Plot(title, drawing, "Ratio of the means with Fieller's 95 % interval; above 1, this run is better."))
    return drawn


def _ratio(entry: Mapping[str, Any]) -> str:
    return figures.ratio(finite(entry.get("speedup")), *interval(entry.get("ci95"))) if finite(entry.get("speedup")) is not None else "–"


def _table(entries: Sequence[Mapping[str, Any]]) -> Table | None:
    table = Table(
        "Cells of both runs, unpaired. A ratio above 1: this run is better.",
        [
            Column("Arm"), Column("Point"), Column("Workload"), Column("Metric"), Column("There", True), Column("Here", True),
            Column("Ratio, 95 % interval", True), Column("Runs there, here", True), Column("Verdict"), Column("Why not resolved"),
        ],
        heads=2,
    )  # fmt: skip
    for entry in entries:
        before, after = finite(entry.get("before")), finite(entry.get("after"))
        scale = figures.scale_of(str(entry.get("unit") or ""), [before, after])
        both = ["–" if value is None else f"{figures.number(value / scale.factor, 4)} {scale.unit}" for value in (before, after)]
        runs = ", ".join(str(number) for number in entry.get("n") or ())
        reason = str(entry.get("reason") or "")
        table.add(
            *names(entry, "arm", "point", "workload", "metric"),
            *both,
            _ratio(entry),
            runs,
            verdict_cell(str(entry.get("verdict"))),
            Cell(reason),
        )
    if not table.rows:
        return None
    return table.without_constants("Workload", "Metric", "Why not resolved").capped(ROWS_PER_TABLE, "the two measurements.jsonl")


def _environment(results: Results, other: Results) -> Table | None:
    differences = diff_environments(other.environment, results.environment)
    if not differences:
        return None
    table = Table("What differs between the two environments.", [Column("Node"), Column("Fact"), Column("There"), Column("Here")], heads=2)
    for difference in differences:
        table.add(difference.node, Cell(difference.key, "code"), difference.before, difference.after)
    return table.capped(ROWS_PER_TABLE, "the two environment.json")
