# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of where and how it was measured, how to repeat it, and what the report cannot say."""

from __future__ import annotations

import re
import shlex
from typing import Any

from ansible_collections.datapath.lab.plugins.plugin_utils.compare import VOLATILE, NodeFact, facts_of_nodes
from ansible_collections.datapath.lab.plugins.plugin_utils.plan import CONTROL_SUFFIX
from ansible_collections.datapath.lab.plugins.plugin_utils.report import figures
from ansible_collections.datapath.lab.plugins.plugin_utils.report.source import Source, count, finite
from ansible_collections.datapath.lab.plugins.plugin_utils.report.tables import Cell, Column, Table

# What a reader asks first; the rest stands in its group.
MAIN_FACTS = re.compile(r"^(os|kernel\.(release|command_line)|cpu\.(model|count|hypervisor|frequency\.governor)|memory\.total_kib|nics\.[^.]+\.driver)$")


def environment(source: Source) -> tuple[list[Table], list[Table]]:
    """Return where the nodes differ, and the facts of nodes, lab and controller by group."""
    nodes = source.results.environment.get("nodes") or {}
    shown = dict(list(nodes.items())[:8])
    tables: list[Table] = []
    groups: list[Table] = []
    if shown:
        facts = facts_of_nodes(shown)
        main = Table("Nodes.", [Column("Fact"), *(Column(name) for name in shown)])
        for fact in facts:
            if MAIN_FACTS.search(fact.key):
                main.add(Cell(fact.key, "code"), *fact.values)
        if main.rows:
            tables.append(main.capped(40, "environment.json"))
        differing = Table("Where the nodes differ besides.", [Column("Fact"), *(Column(name) for name in shown)])
        by_group: dict[str, list[NodeFact]] = {}
        for fact in facts:
            by_group.setdefault(fact.group, []).append(fact)
            if not fact.same and not MAIN_FACTS.search(fact.key) and not VOLATILE.search(fact.key):
                differing.add(Cell(fact.key, "code"), *fact.values)
        if len(shown) > 1 and differing.rows:
            tables.append(differing.capped(60, "environment.json"))
        for group, members in by_group.items():
            table = Table(group, [Column("Fact"), *(Column(name) for name in shown)])
            for fact in members:
                table.add(Cell(fact.key, "code"), *fact.values)
            groups.append(table.capped(400, "environment.json"))
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


def arms(source: Source) -> Table | None:
    """Return what each arm is and whether it could run."""
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


def plan_facts(source: Source) -> list[tuple[str, str]]:
    """Return the schedule, the rules declared before the run, and predicted beside real time."""
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
        facts.append(("A run is invalid with", _rule(str(rule), limit)))
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


def _rule(rule: str, limit: Any) -> str:
    kind, name = rule.partition("_")[::2]
    what = name.replace("_", " ")
    if kind == "max":
        return f"a {what} above {limit}"
    return what if kind == "forbid" and limit is True else f"{rule.replace('_', ' ')}: {limit}"


def commands(source: Source) -> list[str]:
    """Return the command lines that repeat the experiment, ready for a shell."""
    repeat = source.plan.get("repeat")
    if isinstance(repeat, str):
        return [repeat]
    if not isinstance(repeat, list) or not repeat:
        return []
    if all(isinstance(word, str) for word in repeat):
        # One argv, or a list of finished command lines: only the latter have blanks in their first element.
        return [str(line) for line in repeat] if " " in repeat[0] else [shlex.join(repeat)]
    return [shlex.join(str(word) for word in argv) for argv in repeat if isinstance(argv, list)]


def tools(source: Source) -> Table:
    """Return the tools that measured, with their versions."""
    table = Table("Tools that measured.", [Column("Tool"), Column("Version"), Column("Runs", True)])
    for (tool, version), runs in sorted(source.digest.tools.items()):
        table.add(tool, version or Cell("unknown", "muted"), str(runs))
    return table


def argv(source: Source) -> Table | None:
    """Return the command of each workload and arm."""
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


def limits(source: Source) -> list[str]:
    """Return what this report cannot say, and why."""
    plan, analysis, digest = source.plan, source.analysis, source.digest
    limits = list(source.results.absent)
    if digest.unreadable:
        limits.append(f"{count(digest.unreadable, 'line')} of measurements.jsonl could not be read and is left out.")
    could_not_run = {arm.get("name") for arm in plan.get("arms") or () if arm.get("rules_out")}
    compared = {tuple(str(entry.get(key)) for key in ("reference", "arm", "workload", "metric")) for entry in source.comparisons}
    for wanted in plan.get("comparisons") or ():
        key = tuple(str(wanted.get(name)) for name in ("reference", "arm", "workload", "metric"))
        if key not in compared and not could_not_run & {wanted.get("reference"), wanted.get("arm")}:
            limits.append(f"{key[1]} against {key[0]} ({key[2]} {key[3]}) was planned and could not be compared.")
    missing = _not_measured(source)
    if missing:
        limits.extend(f"Not measured: {line}." for line in missing)
    if not source.results.environment.get("nodes") and source.results.environment:
        limits.append("No node's environment was recorded.")
    if not commands(source):
        limits.append("The plan does not hold the command that started the experiment; the seed and the preset above repeat it.")
    limits.extend(str(note) for note in analysis.get("notes") or ())
    return limits


def _not_measured(source: Source) -> list[str]:
    """Return metrics that some arms of a workload have at a point and others lack."""
    lacking: dict[tuple[str, str, str], list[str]] = {}
    for workload in source.workloads:
        for metric in source.metrics_of(workload):
            for point in source.points:
                have = [arm for arm in source.shown_arms if (point, workload, arm, metric) in source.cell_of]
                ran = {str(cell.get("arm")) for cell in source.cells if cell.get("point") == point and cell.get("workload") == workload}
                for arm in source.shown_arms if have else ():
                    if arm in ran and arm not in have:
                        lacking.setdefault((workload, metric, arm), []).append(point)
    several = len(source.points) > 1
    return [f"{workload} {metric} of {arm}" + (f" at {', '.join(points)}" if several else "") for (workload, metric, arm), points in lacking.items()]
