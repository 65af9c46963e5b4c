# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of why the figures may be believed: witnesses, the A/A control, runs that do not count, cross-checks."""

from __future__ import annotations

from ansible_collections.datapath.lab.plugins.plugin_utils.report.results import KEPT, ArmEvidence
from ansible_collections.datapath.lab.plugins.plugin_utils.report.source import ROWS_PER_TABLE, Source, count, names, ordered, ratio_text
from ansible_collections.datapath.lab.plugins.plugin_utils.report.tables import Cell, Column, Table


def witnesses(source: Source) -> Table:
    """Return how often each arm was proved in force, and by what."""
    table = Table("How each arm was proved to be in force.", [Column("Arm"), Column("Point"), Column("Proved", True), Column("Evidence")], heads=2)
    found = source.digest.witnesses
    for arm in ordered(source.arms, (arm for arm, _point in found)):
        here = {point: found[arm, point] for point in ordered(source.points, (p for a, p in found if a == arm)) if (arm, point) in found}
        if len(here) > 1 and len({_main_evidence(seen) for seen in here.values()}) == 1:
            everywhere = ArmEvidence()
            for seen in here.values():
                everywhere.states.update(seen.states)
                everywhere.evidence.update(seen.evidence)
                everywhere.more += seen.more
            here = {"all points": everywhere}
        for point, seen in here.items():
            table.add(arm, point, _proved(seen.states["proved"], sum(seen.states.values())), _evidence_cell(_evidence(seen)))
    return table.without_constants("Point").capped(ROWS_PER_TABLE, "measurements.jsonl")


def _proved(proved: int, total: int) -> Cell:
    return Cell(f"{proved} of {total}", "" if proved == total else "worse")


def _main_evidence(seen: ArmEvidence) -> str:
    return next((text for text, _number in seen.evidence.most_common() if text), "")


def _evidence(seen: ArmEvidence) -> str:
    """Return the commonest evidence, and how many others there are."""
    others = sum(bool(text) for text in seen.evidence) - 1
    said = _main_evidence(seen)
    return f"{said.rstrip('.')}; and {count(others, 'other wording')}{' or more' if seen.more else ''}" if others > 0 else said


def _evidence_cell(text: str) -> Cell:
    return Cell(text) if text else Cell("none recorded", "muted")


def control(source: Source) -> tuple[Table | None, str]:
    """Return the A/A comparisons and what they mean for the rig."""
    if not source.controls:
        return None, "There was no A/A control: this report cannot show that the rig reads the same arm twice as the same."
    table = Table(
        "The same arm against itself.",
        [
            Column("Point"), Column("Workload"), Column("Metric"), Column("Arm"), Column("Ratio, 95 % interval", True),
            Column("Blocks", True), Column("Differs from itself"),
        ],
    )  # fmt: skip
    for entry in source.controls:
        off = entry.get("excludes_one")
        differs = Cell("unknown", "muted") if off is None else Cell("yes", "worse") if off else Cell("no", "better")
        table.add(
            *names(entry, "point", "workload", "metric", "reference"), ratio_text(entry), str(entry.get("blocks", "")), differs,
        )  # fmt: skip
    sentence = "An arm measured against a second copy of itself must come out at 1"
    sentence += ", by a t test with Holm's correction over the controls. " if len(source.controls) > 1 else ", by a t test. "
    sentence += {
        "usable": "It does: the rig is usable.",
        "unusable": "It does not: the rig is unusable.",
    }.get(str(source.analysis.get("rig")), "No control is complete, so this is not known.")
    return table.without_constants("Workload", "Metric", "Arm").capped(ROWS_PER_TABLE, "analysis.json"), sentence


def troubles(source: Source) -> Table | None:
    """Return the runs that entered no comparison, and why."""
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


def troubles_sentence(source: Source) -> str:
    """Say how many runs are not used and how many blocks were repeated."""
    digest = source.digest
    if not digest.lines:
        return "No run was recorded."
    blocks = int(source.analysis.get("repeated_blocks") or 0)
    repeated = f"{count(blocks, 'block')} had to be repeated." if blocks else "No block had to be repeated."
    if not digest.troubled:
        return f"All {digest.lines} runs were valid. {repeated}"
    why = f"{digest.troubled} of {digest.lines} runs are not used, {digest.failed} of them because they failed."
    return f"{why} {main_reasons(source)} {repeated} No value was dropped for being far off."


def main_reasons(source: Source) -> str:
    """Say why runs are not used most often."""
    ranked = sorted(source.digest.reasons.values(), key=lambda told: -told[0])
    said = "; ".join(f"{told[1].rstrip('.')} ({count(told[0], 'run')})" for told in ranked[:2])
    return f"Most often: {said}." if len(ranked) > 1 else f"The reason: {said}."


_STATE_KINDS = {
    "holds": "better",
    "ok": "better",
    "passed": "better",
    "yes": "better",
    "violated": "worse",
    "failed": "worse",
    "no": "worse",
}


def physics(source: Source) -> tuple[Table | None, str]:
    """Return the checks of figures against each other, and how many agree."""
    checks = [entry for entry in source.analysis.get("physics") or () if isinstance(entry, dict)]
    if not checks:
        return None, "No cross-check applies to these metrics."
    table = Table(
        "Do the figures agree with each other and with what is possible?",
        [Column("Check"), Column("Point"), Column("Workload"), Column("Arm"), Column("State"), Column("Finding")],
    )
    # What went wrong first.
    rank = {"disagree": 0, "agree": 1, "not measured": 2}
    for entry in sorted(checks, key=lambda entry: rank.get(str(entry.get("state")), 0)):
        state = str(entry.get("state", ""))
        table.add(
            *names(entry, "check", "point"), ", ".join(map(str, entry.get("workloads") or ())), str(entry.get("arm", "")),
            Cell(state, _STATE_KINDS.get(state, "worse")), str(entry.get("sentence", "")),
        )  # fmt: skip
    counts = {state: sum(entry.get("state") == state for entry in checks) for state in rank}
    sentence = f"{counts['agree']} of {count(len(checks), 'check')} agree, {counts['disagree']} disagree"
    sentence += f", {counts['not measured']} could not be made for want of a metric." if counts["not measured"] else "."
    return table.without_constants("Point", "Workload").capped(60, "analysis.json"), sentence
