# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the measurements of an experiment to what they support.

Rules that this file keeps:

- No value is left out for being far off. A run is left out only for a signal that was declared beforehand (the workload failed, a tool
  error, a rule in the plan's ``invalidation``), and with it its whole pair. Of a block that was repeated, the latest attempt in
  which both runs of a pair are valid counts.
- Without a witness that proves every run that was used, a verdict is ``invalid``.
- A sentence exists only if its verdict does. What the numbers do not decide is listed with the reason.
- An A/A control that differs from itself (t test, Holm's correction over the controls) makes the rig unusable. Then only those sentences
  stay whose verdict would be the same after the whole bias of the control was taken away from them.
"""

from __future__ import annotations

import math
import os
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.datapath.lab.plugins.plugin_utils import physics
from ansible_collections.datapath.lab.plugins.plugin_utils import statistics as st
from ansible_collections.datapath.lab.plugins.plugin_utils.fast_json import without_collection
from ansible_collections.datapath.lab.plugins.plugin_utils.plan import CONTROL_SUFFIX, counted
from ansible_collections.datapath.lab.plugins.plugin_utils.record import Record, read_records, unmeasured_rules
from ansible_collections.datapath.lab.plugins.plugin_utils.results import read_plan

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 1
# Single observations are kept for quantiles up to this many numbers in all.
SAMPLES_KEPT = 2_000_000
QUANTILES = (0.5, 0.9, 0.95, 0.99)

Cell = Tuple[str, str, str]  # point, workload, arm

_ABSENT = array("d", [math.nan])


class Slot:
    """What is kept of one (cell, block, attempt): a row of values per repeat, and whether they may be used.

    There is one for each of a hundred thousand runs, so it is small: a row holds the metrics in the order in which the
    workload first gave them, and NaN (or nothing, at its end) where a metric was not measured.
    """

    __slots__ = ("rows", "repeats", "excluded", "witness")

    def __init__(self) -> None:
        self.rows: List[array] = []
        self.repeats = 0
        self.excluded = False
        self.witness = "proved"

    @property
    def proved(self) -> bool:
        """Whether every run in it is proved."""
        return self.witness == "proved"

    def values(self, column: int) -> List[float]:
        """Return the values of a metric that were measured, by its place in the row."""
        if len(self.rows) == 1:  # The usual case, a hundred thousand times.
            row = self.rows[0]
            return [row[column]] if column < len(row) and row[column] == row[column] else []
        return [row[column] for row in self.rows if column < len(row) and row[column] == row[column]]


_WITNESS_RANK = {"proved": 0, "missing": 1, "refuted": 2}


def worst_witness(states: Iterable[str]) -> str:
    """Return the state of the least favourable witness; ``missing`` if there is none."""
    return max(states, key=lambda state: _WITNESS_RANK.get(state, 1), default="missing")


class Measured:
    """The measurements of an experiment, read one by one and kept as few numbers."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.plan = plan
        self.rules: Mapping[str, Any] = plan["invalidation"]
        self.repeats = int(plan.get("repeats") or 1)
        self.slots: Dict[Cell, Dict[int, Dict[int, Slot]]] = defaultdict(lambda: defaultdict(dict))
        # By point too: one workload may count transactions at one point and bits at another.
        self.metrics: Dict[Tuple[str, str, str], Tuple[str, str]] = {}
        self.columns: Dict[str, Dict[str, int]] = defaultdict(dict)
        self.mixed: Set[Tuple[str, str, str]] = set()
        self.invalid_runs: List[Dict[str, Any]] = []
        self.repeated: Set[Tuple[int, str, str]] = set()
        self.unmeasured: Dict[str, int] = defaultdict(int)
        self.samples: Dict[Tuple[str, str, str, str], array] = defaultdict(lambda: array("d"))
        self.sample_room = SAMPLES_KEPT
        self.runs = 0
        self.measured_runs = 0
        self.first_attempts = 0

    def add(self, record: Record) -> None:
        """Take in one record."""
        self.runs += 1
        cell = (record.point, record.workload, record.arm)
        attempts = self.slots[cell][record.block]
        slot = attempts.get(record.attempt)
        if slot is None:
            slot = attempts[record.attempt] = Slot()
        slot.repeats += 1
        if record.attempt > 1:
            self.repeated.add((record.block, record.point, record.workload))
        else:
            self.first_attempts += 1
        reasons = record.why_excluded(self.rules)
        state = str(record.witness.get("state") or "missing")
        if reasons:
            slot.excluded = True
        else:
            if state != "proved":
                slot.witness = worst_witness([slot.witness, state])
                reasons = record.why_invalid(self.rules)
        if reasons:
            self.invalid_runs.append(
                {
                    "run": record.run,
                    "attempt": record.attempt,
                    "block": record.block,
                    "point": record.point,
                    "workload": record.workload,
                    "arm": record.arm,
                    "reasons": reasons,
                }
            )
        if record.measurement is not None:
            self.measured_runs += 1
            for name in unmeasured_rules(record.measurement.get("counters") or {}, self.rules):
                self.unmeasured[name] += 1
            if not slot.excluded:
                self._add_values(cell, slot, record.measurement)

    def _add_values(self, cell: Cell, slot: Slot, measurement: Mapping[str, Any]) -> None:
        point, workload, _arm = cell
        columns = self.columns[workload]
        row = _ABSENT * len(columns)
        for name, metric in measurement["metrics"].items():
            known = self.metrics.setdefault((point, workload, name), (metric["unit"], metric["better"]))
            if known != (metric["unit"], metric["better"]):
                self.mixed.add((point, workload, name))
            column = columns.setdefault(name, len(columns))
            if column < len(row):
                row[column] = metric["value"]
            else:
                row.append(metric["value"])
        slot.rows.append(row)
        for name, values in (measurement.get("samples") or {}).items():
            if values and len(values) <= self.sample_room and slot.repeats <= self.repeats:
                self.sample_room -= len(values)
                self.samples[(*cell, name)].extend(values)

    def unit_of(self, point: str, workload: str, metric: str) -> Tuple[Optional[str], Optional[str]]:
        """Return (unit, better) of a metric; None each if it was never measured there."""
        return self.metrics.get((point, workload, metric), (None, None))

    def column_of(self, workload: str, metric: str) -> Optional[int]:
        """Return the place of a metric in a workload's rows; None if it was never measured."""
        return self.columns[workload].get(metric)

    def complete(self, slot: Optional[Slot], column: int) -> Optional[List[float]]:
        """Return the values of a metric in all repeats of a slot; None unless all are there and may be used."""
        if slot is None or slot.excluded or slot.repeats != self.repeats:
            return None
        values = slot.values(column)
        return values if len(values) == slot.repeats else None


def read_measured(directory: str, plan: Mapping[str, Any]) -> Measured:
    """Read the measurements of a results directory."""
    st.require_numerics()
    measured = Measured(plan)
    for record in read_records(directory):
        measured.add(record)
    return measured


@dataclass
class Question:
    """One comparison that is to be made: an arm against its reference at a point, and what was found for it."""

    point: str
    workload: str
    metric: str
    reference: str
    arm: str
    headline: bool
    planned: int
    blocks: List[int] = field(default_factory=list)
    witness: str = "missing"
    ratios: Optional[np.ndarray] = None
    reason: Optional[str] = None
    measured: bool = True
    found: Dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name it for people."""
        return f"{self.arm} against {self.reference} at {self.point} ({self.workload}, {self.metric})"


def pair_up(measured: Measured, question: Question) -> None:
    """Find the blocks of a comparison that are complete, and their log-ratios; else say why there are none."""
    _unit, better = measured.unit_of(question.point, question.workload, question.metric)
    column = measured.column_of(question.workload, question.metric)
    reference_blocks = measured.slots.get((question.point, question.workload, question.reference), {})
    arm_blocks = measured.slots.get((question.point, question.workload, question.arm), {})
    reference_values: List[float] = []
    arm_values: List[float] = []
    states: Set[str] = set()
    for block in sorted(reference_blocks.keys() & arm_blocks.keys()) if column is not None else []:
        pair = _latest_pair(measured, reference_blocks[block], arm_blocks[block], int(column or 0))
        if pair is None:
            continue
        question.blocks.append(block)
        states.add(pair[2])
        reference_values.append(_middle(pair[0]))
        arm_values.append(_middle(pair[1]))
    question.witness = worst_witness(states)
    if not question.blocks:
        shared = reference_blocks.keys() & arm_blocks.keys()
        latest = [_latest_slot(measured, blocks[block]) for block in shared for blocks in (reference_blocks, arm_blocks)]
        valid = [slot for slot in latest if slot is not None]
        question.witness = worst_witness(slot.witness for slot in valid)
        question.measured = not valid or (column is not None and any(slot.values(column) for slot in valid))
        question.reason = "no block has a valid run of both arms" if question.measured else f"{question.metric} was not measured"
    elif (question.point, question.workload, question.metric) in measured.mixed:
        question.reason = f"the runs gave {question.metric} in different units or directions"
    else:
        try:
            question.ratios = st.log_ratios(reference_values, arm_values, str(better))
        except st.StatisticsError as error:
            question.reason = str(error)
    question.found = {
        "reference_mean": math.fsum(reference_values) / len(reference_values) if reference_values else None,
        "arm_mean": math.fsum(arm_values) / len(arm_values) if arm_values else None,
    }


def _latest_pair(
    measured: Measured, reference: Mapping[int, Slot], arm: Mapping[int, Slot], column: int
) -> Optional[Tuple[List[float], List[float], str]]:
    """Return the values of both and the state of their witnesses, in the latest attempt in which both are valid and proved; failing that,
    in the latest in which both are valid.
    """
    fallback: Optional[Tuple[List[float], List[float], str]] = None
    for attempt in sorted(reference.keys() & arm.keys(), reverse=True) if len(reference) > 1 else reference.keys() & arm.keys():
        first, second = measured.complete(reference[attempt], column), measured.complete(arm[attempt], column)
        if first is None or second is None:
            continue
        if reference[attempt].proved and arm[attempt].proved:
            return first, second, "proved"
        fallback = fallback or (first, second, worst_witness([reference[attempt].witness, arm[attempt].witness]))
    return fallback


def _middle(values: Sequence[float]) -> float:
    """Return the geometric mean of a block's repeats (their logarithms are what is averaged), or the value itself."""
    if len(values) == 1 or min(values) <= 0:
        return values[0] if len(values) == 1 else min(values)
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))


def judge_all(questions: Sequence[Question], margin: float) -> None:
    """Judge the comparisons, those with equally many blocks together."""
    groups: Dict[int, List[Question]] = defaultdict(list)
    for question in questions:
        if question.ratios is None:
            continue
        if len(question.ratios) < 2:
            question.reason = f"only one block is complete (its ratio is {math.exp(float(question.ratios[0])):.3g}); an interval needs two"
        elif st.no_spread(question.ratios):
            question.reason = (
                f"all {len(question.ratios)} blocks gave exactly the ratio {math.exp(float(question.ratios[0])):.4g}: "
                "the tool's resolution hides how much it varies"
            )
        else:
            groups[len(question.ratios)].append(question)
            continue
        question.found["speedup"] = math.exp(float(question.ratios.mean()))
    for group in groups.values():
        judged = st.judge([question.ratios for question in group], margin)
        for index, question in enumerate(group):
            bootstrap95 = None
            if judged.bootstrap_low is not None and judged.bootstrap_high is not None:
                bootstrap95 = [float(judged.bootstrap_low[index]), float(judged.bootstrap_high[index])]
            question.found.update(
                speedup=float(judged.speedup[index]),
                ci95=[float(judged.low[index]), float(judged.high[index])],
                bootstrap95=bootstrap95,
                numeric=str(judged.verdict[index]),
                p=float(judged.p[index]),
                p_one=float(judged.p_one[index]),
            )


def outcome(measured: Measured, question: Question) -> Dict[str, Any]:
    """Return the entry of a comparison in analysis.json."""
    unit, better = measured.unit_of(question.point, question.workload, question.metric)
    found = question.found
    reason = question.reason
    if question.witness != "proved":
        verdict = "invalid"
        reason = reason or f"the witness of a run is {question.witness}, so that it is not known whether the arm was in force"
    elif found.get("ci95") is None:
        verdict = "inconclusive" if question.ratios is not None or not question.measured else "invalid"
    else:
        verdict = found["numeric"]
    return {
        "point": question.point,
        "workload": question.workload,
        "metric": question.metric,
        "unit": unit,
        "better": better,
        "reference": question.reference,
        "arm": question.arm,
        "headline": question.headline,
        "reference_mean": found.get("reference_mean"),
        "arm_mean": found.get("arm_mean"),
        "speedup": found.get("speedup"),
        "ci95": found.get("ci95"),
        "bootstrap95": found.get("bootstrap95"),
        "blocks": len(question.blocks),
        "blocks_planned": question.planned,
        "verdict": verdict,
        "reason": reason,
        "witness": question.witness,
        "p": found.get("p"),
    }


def planned_blocks(plan: Mapping[str, Any]) -> Dict[Cell, int]:
    """Return for each cell of the plan in how many blocks it is."""
    blocks: Dict[Cell, Set[int]] = defaultdict(set)
    for run in plan["runs"]:
        blocks[run["point"], run["workload"], run["arm"]].add(run["block"])
    return {cell: len(numbers) for cell, numbers in blocks.items()}


def questions_of(plan: Mapping[str, Any], planned: Mapping[Cell, int]) -> List[Question]:
    """Return the comparisons of a plan, over their points, without those that the plan does not run."""
    made: List[Question] = []
    for entry in plan["comparisons"]:
        for point in entry.get("points") or [point["name"] for point in plan["points"]]:
            blocks = [planned.get((point, entry["workload"], arm), 0) for arm in (entry["reference"], entry["arm"])]
            if min(blocks) > 0:
                headline = bool(entry.get("headline"))
                made.append(
                    Question(point, entry["workload"], entry["metric"], entry["reference"], entry["arm"], headline, min(blocks))
                )
    return made


def controls_of(plan: Mapping[str, Any], planned: Mapping[Cell, int], measured: Measured) -> List[Question]:
    """Return the A/A comparisons of a plan: the control's arm with itself in each primary metric that has a direction."""
    arm = plan["control"]["arm"]
    made: List[Question] = []
    for point in plan["control"]["points"]:
        for workload in plan["workloads"]:
            blocks = planned.get((point, workload["name"], arm + CONTROL_SUFFIX), 0)
            for metric in workload["metrics"]:
                if blocks and measured.unit_of(point, workload["name"], metric)[1] != "neither":
                    made.append(Question(point, workload["name"], metric, arm, arm + CONTROL_SUFFIX, False, blocks))
    return made


def published_of(plan: Mapping[str, Any], entry: Mapping[str, Any]) -> Optional[Tuple[float, float, float]]:
    """Return the published (ratio, low, high) of a comparison, above 1 better, or None if nothing was published for it.

    Where the document gives no interval, low and high are the ratio itself.
    """
    for published in plan.get("published") or []:
        if any(published[key] != entry[key] for key in ("point", "workload", "metric", "reference", "arm")):
            continue
        values = published.get("values") or {}
        reference, arm = values.get(entry["reference"]), values.get(entry["arm"])
        interval = None
        if reference and arm and entry["better"] in ("higher", "lower"):
            halves = [float(value.get("ci_half_width_relative") or 0.0) for value in (reference, arm)]
            interval = st.ratio_of_published(float(reference["value"]), float(arm["value"]), halves[0], halves[1], entry["better"])
        if published.get("speedup") is None:
            return interval
        ratio = float(published["speedup"])
        given = published.get("ci95")
        if given:
            return ratio, float(given[0]), float(given[1])
        return (ratio, interval[1], interval[2]) if interval else (ratio, ratio, ratio)
    return None


def replicated(entry: Mapping[str, Any], published: Optional[Tuple[float, float, float]], margin: float) -> str:
    """Tell whether a published ratio was replicated.

    - ``not published``: the document has no figure for it.
    - ``not resolved``: our verdict is invalid or has no interval; or the published interval itself decides nothing against the margin;
      or ours is inconclusive and contradicts nothing.
    - ``yes``: our verdict is the published one; or our interval excludes 1 on the published side and overlaps the published interval.
    - ``no``: our verdict is another; or ours is inconclusive and no value in it would have the published verdict.
    """
    if published is None:
        return "not published"
    _ratio, low, high = published
    theirs = str(st.verdicts(low, high, margin))
    if entry["verdict"] == "invalid" or entry["ci95"] is None or theirs == "inconclusive":
        return "not resolved"
    ours_low, ours_high = entry["ci95"]
    overlaps = ours_low <= high and low <= ours_high
    same_side = (low > 1 and ours_low > 1) or (high < 1 and ours_high < 1)
    if entry["verdict"] == theirs or (same_side and overlaps):
        return "yes"
    if entry["verdict"] != "inconclusive":
        return "no"
    region = {"better": (1 + margin, math.inf), "worse": (0.0, 1 - margin), "equivalent": (1 - margin, 1 + margin)}[theirs]
    return "not resolved" if ours_low <= region[1] and region[0] <= ours_high else "no"


def adjust(entries: Sequence[Dict[str, Any]]) -> List[str]:
    """Add Holm's adjusted p value to each comparison that has a verdict; return what to note about it."""
    decided = [entry for entry in entries if entry["verdict"] in ("better", "worse", "equivalent")]
    tested = [entry for entry in entries if entry["p"] is not None]
    for entry, p in zip(tested, st.holm([entry["p"] for entry in tested])):
        entry["p_holm"] = p
        entry["survives_holm"] = bool(entry in decided and p <= 1 - st.LEVEL)
    for entry in entries:
        entry.setdefault("p_holm", None)
        entry.setdefault("survives_holm", None)
    if len(tested) < 2:
        return []
    lost = [entry for entry in decided if not entry["survives_holm"]]
    said = f"{len(tested)} comparisons were made at 95 % each; {len(decided)} of them have a verdict."
    if not lost:
        return [said + " All of these hold as well after Holm's correction for so many comparisons."]
    names = "; ".join(f"{entry['arm']} against {entry['reference']} at {entry['point']} ({entry['metric']})" for entry in lost[:10])
    return [said + f" After Holm's correction for so many comparisons {len(lost)} of these would not hold: {names}."]


def judge_rig(controls: Sequence[Dict[str, Any]], p_one: Sequence[Optional[float]]) -> Tuple[str, List[str], float]:
    """Judge the rig by its A/A controls; return (state, notes, bias).

    The state is ``usable``, ``unusable`` or ``unproved``. The bias is the farthest end of the intervals of the controls that
    exclude 1, as the absolute logarithm of a ratio; 0 on a usable rig.
    """
    tested = [(entry, p) for entry, p in zip(controls, p_one) if p is not None and entry["witness"] == "proved"]
    for entry in controls:
        entry["excludes_one"] = None
    if not tested:
        unknown = "No A/A control is complete, so that it is not known whether the rig finds a difference where there is none."
        return "unproved", [unknown], 0.0
    notes: List[str] = []
    bias = 0.0
    for (entry, _p), adjusted in zip(tested, st.holm([p for _entry, p in tested])):
        entry["excludes_one"] = adjusted <= 1 - st.LEVEL
        if entry["excludes_one"]:
            low, high = entry["ci95"]
            bias = max(bias, abs(math.log(low)), abs(math.log(high)))
            notes.append(
                f"The rig is unusable: {entry['reference']} against itself at {entry['point']} ({entry['workload']}, {entry['metric']}) "
                f"gives {figure(entry['speedup'])}, 95 % interval {figure(low)} to {figure(high)}, which excludes 1."
            )
    return ("unusable" if notes else "usable"), notes, bias


def figure(value: float) -> str:
    """Return a ratio for people: three significant figures, four close to 1."""
    if value <= 0 or not math.isfinite(value):
        return str(value)
    if 0.9 <= value < 1.1:
        return f"{value:.3f}"
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"


_TIME_UNITS = ("s", "ms", "us", "µs", "ns")


def sentence(entry: Mapping[str, Any], accelerator: str) -> str:
    """Return what a comparison with a verdict says, with its figures."""
    low, high = entry["ci95"]
    speedup, verdict = entry["speedup"], entry["verdict"]
    reference, arm, metric = entry["reference"], entry["arm"], entry["metric"]
    label = ", emulated" if accelerator == "emulated" else ""
    inverse = False
    if verdict == "equivalent":
        says = f"{arm} and {reference} do not differ in {metric} of {entry['workload']} by more than the margin: {figure(speedup)} times"
    elif entry["better"] == "higher":
        says = f"{arm} reaches {figure(speedup)} times the {metric} of {reference} in {entry['workload']}"
    elif entry["unit"] in _TIME_UNITS:
        if verdict == "better":
            says = f"{arm} is {figure(speedup)} times as fast as {reference} in {entry['workload']} ({metric})"
        else:
            says = f"{arm} takes {figure(1 / speedup)} times as long as {reference} in {entry['workload']} ({metric})"
            inverse = True
    else:
        says = f"{arm} needs {figure(1 / speedup)} times the {metric} of {reference} in {entry['workload']}"
        inverse = True
    if inverse:
        low, high = 1 / high, 1 / low
    return f"At {entry['point']}, {says} (95 % interval {figure(low)} to {figure(high)}, {counted(entry['blocks'], 'block')}{label})."


def _unresolved(entry: Mapping[str, Any], margin: float) -> str:
    name = f"At {entry['point']}, {entry['arm']} against {entry['reference']} in {entry['metric']} of {entry['workload']}"
    if entry["verdict"] == "invalid":
        return f"{name}: invalid, since {entry['reason']}."
    if entry["ci95"] is None:
        return f"{name}: not resolved, since {entry['reason']}."
    low, high = entry["ci95"]
    blocks = counted(entry["blocks"], "block")
    why = f"the 95 % interval {figure(low)} to {figure(high)} ({blocks}) reaches across a limit of 1 ± {margin:g}"
    if str(st.verdicts(low, high, margin)) != "inconclusive":
        b_low, b_high = entry["bootstrap95"]
        why = f"the t interval {figure(low)} to {figure(high)} and the bootstrap's {figure(b_low)} to {figure(b_high)} disagree"
    return f"{name}: not resolved, {figure(entry['speedup'])} times, since {why}."


def sentences_of(
    entries: Sequence[Mapping[str, Any]], margin: float, accelerator: str, bias: float
) -> Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]:
    """Return the sentences that the verdicts support, and what is not resolved.

    Each is ``{text, verdict, comparison, headline}``; ``comparison`` is the index in ``entries``.
    """
    said: List[Dict[str, Any]] = []
    open_: List[Dict[str, Any]] = []
    for index, entry in enumerate(entries):
        made = {"verdict": entry["verdict"], "comparison": index, "headline": entry["headline"]}
        if entry["verdict"] not in ("better", "worse", "equivalent"):
            open_.append({"text": _unresolved(entry, margin), **made})
            continue
        text = sentence(entry, accelerator)
        if bias > 0:
            low, high = entry["ci95"]
            if str(st.verdicts(low * math.exp(-bias), high * math.exp(bias), margin)) != entry["verdict"]:
                reason = "the rig's A/A control differs from itself by as much as would undo the verdict"
                open_.append({"text": f"{text[:-1]}: not to be relied on, since {reason}.", **made})
                continue
            text += " (The rig's A/A control differs from itself, by less than would undo this.)"
        said.append({"text": text, **made})
    return said, open_


def answers_of(plan: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """Return one answer per headline comparison: at how many points it has which verdict, and the range of the ratios there."""
    supported = {each["comparison"] for each in said}
    chosen = [index for index, entry in enumerate(entries) if entry["headline"]] or list(range(len(entries)))
    groups: Dict[Tuple[str, str, str, str], List[int]] = {}
    for index in chosen:
        entry = entries[index]
        groups.setdefault((entry["reference"], entry["arm"], entry["workload"], entry["metric"]), []).append(index)
    label = " (emulated)" if plan["accelerator"] == "emulated" else ""
    made: List[Dict[str, Any]] = []
    for (reference, arm, workload, metric), indices in groups.items():
        parts: List[str] = []
        counts: Dict[str, int] = {}
        for verdict, words in (("better", "better than"), ("worse", "worse than"), ("equivalent", "equivalent to")):
            here = [entries[index] for index in indices if entries[index]["verdict"] == verdict and index in supported]
            if here:
                counts[verdict] = len(here)
                ratios = sorted(entry["speedup"] for entry in here)
                span = figure(ratios[0]) if len(ratios) == 1 else f"{figure(ratios[0])} to {figure(ratios[-1])}"
                parts.append(f"{words} {reference} at {len(here)} of {counted(len(indices), 'point')} (ratio {span})")
        rest = len(indices) - sum(counts.values())
        if rest:
            counts["not resolved"] = rest
            parts.append(f"not resolved at {rest} of {len(indices)}")
        text = f"{arm} in {metric} of {workload}{label}: {', '.join(parts)}."
        made.append({"question": plan["question"], "text": text, "verdicts": counts, "comparisons": indices})
    return made


def _latest_slot(measured: Measured, attempts: Mapping[int, Slot]) -> Optional[Slot]:
    """Return the latest attempt that is valid and proved; failing that, the latest that is valid."""
    valid = [attempts[attempt] for attempt in sorted(attempts, reverse=True)]
    valid = [slot for slot in valid if not slot.excluded and slot.repeats == measured.repeats]
    return next((slot for slot in valid if slot.proved), valid[0] if valid else None)


def cells_of(plan: Mapping[str, Any], measured: Measured) -> Tuple[List[Dict[str, Any]], List[Dict[str, Any]], List[str]]:
    """Describe each cell in each metric; return (cells, repeatability, notes).

    Used are, per block, the runs of the latest attempt that is valid (and proved, where one is). With several repeats per block the block
    is the unit of the interval.
    """
    cells: List[Dict[str, Any]] = []
    tables: List[Dict[str, Any]] = []
    notes: Set[str] = set()
    primary = {(workload["name"], metric) for workload in plan["workloads"] for metric in workload["metrics"]}
    for cell in sorted(measured.slots):
        point, workload, arm = cell
        best = [_latest_slot(measured, attempts) for _block, attempts in sorted(measured.slots[cell].items())]
        for metric, column in sorted(measured.columns[workload].items()):
            found_values = [measured.complete(slot, column) for slot in best]
            tries = [values for values in found_values if values is not None]
            if not tries or (point, workload, metric) in measured.mixed:
                continue
            unit, better = measured.unit_of(point, workload, metric)
            described = st.summary([value for values in tries for value in values])
            if measured.repeats > 1:
                described["ci95"] = st.summary([math.fsum(values) / len(values) for values in tries])["ci95"]
            is_primary = (workload, metric) in primary
            cells.append(
                {"point": point, "workload": workload, "arm": arm, "metric": metric, "unit": unit, "better": better, "primary": is_primary}
                | described
            )
            if is_primary and measured.repeats >= st.MIN_REPEATS:
                try:
                    found = st.repeatability(tries)
                    tables.append({"point": point, "workload": workload, "arm": arm, "metric": metric, "unit": unit, **found.as_dict()})
                except st.StatisticsError as error:
                    notes.add(str(error))
    return cells, tables, sorted(notes)


def distributions_of(measured: Measured) -> List[Dict[str, Any]]:
    """Return the quantiles of single observations per cell, where workloads gave at least 20 of them."""
    made: List[Dict[str, Any]] = []
    for (point, workload, arm, name), values in sorted(measured.samples.items()):
        if len(values) < 20:
            continue
        quantiles = [st.quantile(values, q).__dict__ for q in QUANTILES]
        made.append({"point": point, "workload": workload, "arm": arm, "sample": name, "n": len(values), "quantiles": quantiles})
    return made


def _notes(plan: Mapping[str, Any], measured: Measured, questions: Sequence[Question]) -> List[str]:
    notes: List[str] = []
    planned = len(plan["runs"])
    if measured.first_attempts < planned:
        notes.append(f"The experiment is not complete: {measured.first_attempts} of {planned} planned runs are recorded.")
    for arm in plan["arms"]:
        if arm.get("rules_out"):
            notes.append(f"The arm {arm['name']} was ruled out: {arm['rules_out']}")
    for question in questions:
        missing = question.planned - len(question.blocks)
        if missing > 0:
            notes.append(f"{question.name}: {missing} of {counted(question.planned, 'block')} have no valid pair and were left out.")
    if measured.invalid_runs:
        notes.append(
            f"{counted(len(measured.invalid_runs), 'run')} of {measured.runs} failed or broke a rule declared beforehand; "
            f"{counted(len(measured.repeated), 'block')} were repeated for it."
        )
    for name, count in sorted(measured.unmeasured.items()):
        notes.append(
            f"{name}, for which the plan has a rule, was not measured in {count} of {counted(measured.measured_runs, 'run')}; "
            "the rule could not be applied to them."
        )
    for point, workload, metric in sorted(measured.mixed):
        notes.append(f"{metric} of {workload} at {point} came in different units or directions and is not analysed.")
    if plan["accelerator"] == "emulated":
        notes.append("The nodes were emulated: absolute figures mean nothing, ratios of the same work in this run do.")
    return notes


def analyse(plan: Mapping[str, Any], measured: Measured, created: str) -> Dict[str, Any]:
    """Return the content of analysis.json.

    :param plan: the content of plan.json.
    :param measured: the measurements.
    :param created: time of the analysis, RFC 3339.
    """
    margin = float(plan["margin"])
    planned = planned_blocks(plan)
    questions = questions_of(plan, planned)
    controls = controls_of(plan, planned, measured)
    for question in [*questions, *controls]:
        pair_up(measured, question)
    judge_all([*questions, *controls], margin)

    entries = [outcome(measured, question) for question in questions]
    for entry in entries:
        published = published_of(plan, entry)
        entry["published_speedup"] = published[0] if published else None
        entry["published_ci95"] = list(published[1:]) if published and published[1] < published[2] else None
        entry["replicated"] = replicated(entry, published, margin)
    control_entries = [outcome(measured, question) for question in controls]
    for entry in control_entries:
        entry.update(published_speedup=None, published_ci95=None, replicated="not published")
    adjustment = adjust(entries)
    adjust(control_entries)
    rig, rig_notes, bias = judge_rig(control_entries, [question.found.get("p_one") for question in controls])
    said, unresolved = sentences_of(entries, margin, plan["accelerator"], bias)
    cells, tables, cell_notes = cells_of(plan, measured)
    return {
        "schema": SCHEMA,
        "experiment": plan["experiment"],
        "created": created,
        "substrate": plan["substrate"],
        "accelerator": plan["accelerator"],
        "preset": plan["preset"],
        "margin": margin,
        "complete": measured.first_attempts >= len(plan["runs"]),
        "rig": rig,
        "answers": answers_of(plan, entries, said),
        "sentences": said,
        "not_resolved": unresolved,
        "comparisons": entries,
        "controls": control_entries,
        "cells": cells,
        "repeatability": tables,
        "distributions": distributions_of(measured),
        "physics": physics.checks(plan, cells),
        "invalid_runs": measured.invalid_runs,
        "repeated_blocks": len(measured.repeated),
        "runs": measured.runs,
        "ruled_out": [{"arm": arm["name"], "sentence": arm["rules_out"]} for arm in plan["arms"] if arm.get("rules_out")],
        "notes": [*rig_notes, *_notes(plan, measured, questions), *adjustment, *cell_notes],
    }


@without_collection()
def analyse_directory(directory: str, created: str) -> Dict[str, Any]:
    """Return the analysis of a results directory."""
    plan = read_plan(directory)
    return analyse(plan, read_measured(directory, plan), created)


def compare_results(before: str, after: str) -> List[Dict[str, Any]]:
    """Compare two results directories cell by cell, as unpaired samples (Fieller); the second against the first.

    :returns: per point, workload, arm and primary metric that both have: the values, ``speedup`` (above 1: the second is better),
        ``ci95`` (None if unbounded), ``unbounded``, ``verdict`` by the second's margin, and ``reason`` where there is none.
    """
    plans = [read_plan(directory) for directory in (before, after)]
    tables = []
    for directory, plan in zip((before, after), plans):
        tables.append(_block_means(plan, read_measured(os.fspath(directory), plan)))
    made: List[Dict[str, Any]] = []
    for key in sorted(set(tables[0]) & set(tables[1])):
        point, workload, arm, metric = key
        (old, unit, better), (new, new_unit, new_better) = tables[0][key], tables[1][key]
        entry: Dict[str, Any] = {
            "point": point,
            "workload": workload,
            "arm": arm,
            "metric": metric,
            "unit": unit,
            "better": better,
            "before": math.fsum(old) / len(old),
            "after": math.fsum(new) / len(new),
            "n": [len(old), len(new)],
            "speedup": None,
            "ci95": None,
            "unbounded": False,
            "verdict": "inconclusive",
            "reason": None,
        }
        if (unit, better) != (new_unit, new_better) or better not in ("higher", "lower"):
            entry["reason"] = f"{metric} has no common unit and direction in the two"
        else:
            try:
                found = st.fieller(old, new) if better == "higher" else st.fieller(new, old)
                entry.update(speedup=found.ratio, unbounded=found.unbounded)
                if found.low is not None and found.high is not None:
                    entry["ci95"] = [found.low, found.high]
                    entry["verdict"] = str(st.verdicts(found.low, found.high, float(plans[1]["margin"])))
                else:
                    entry["reason"] = "the interval of the ratio is unbounded: the values vary as much as they are large"
            except st.StatisticsError as error:
                entry["reason"] = str(error)
        made.append(entry)
    return made


def _block_means(plan: Mapping[str, Any], measured: Measured) -> Dict[Tuple[str, str, str, str], Tuple[List[float], str, str]]:
    primary = {(workload["name"], metric) for workload in plan["workloads"] for metric in workload["metrics"]}
    made: Dict[Tuple[str, str, str, str], Tuple[List[float], str, str]] = {}
    for (point, workload, arm), blocks in measured.slots.items():
        best = [_latest_slot(measured, attempts) for attempts in blocks.values()]
        for metric, column in measured.columns[workload].items():
            if (workload, metric) not in primary or (point, workload, metric) in measured.mixed:
                continue
            complete = [measured.complete(slot, column) for slot in best if slot is not None and slot.proved]
            values = [math.fsum(each) / len(each) for each in complete if each]
            unit, better = measured.unit_of(point, workload, metric)
            if values:
                made[point, workload, arm, metric] = (values, str(unit), str(better))
    return made
