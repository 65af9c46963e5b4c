# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schedule of an experiment: what is run, in which order, how long it will take, and what is still to do.

Everything here is pure: a spec and a seed go in, a plan (data for plan.json) comes out; a plan and the records made so far go in,
the steps that are missing come out.

How the order comes about. A *pass* measures every arm once at every point with every workload. Even passes are drawn at random
(setups, points within a setup, workloads within a point, arms within a workload); each odd pass is the mirror image of the one
before. Hence the last setup of one pass is the first of the next (ABBA: half the setup changes), and over the pair each arm sits at
the same mean position in time, so a steady drift of the machine cancels. With ``repeats: 1`` a block is one pass and blocks mirror
each other in pairs; with ``repeats: 2`` each block holds its own mirror.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.plugin_utils.record import Record, moment
from ansible_collections.datapath.lab.plugins.plugin_utils.spec import Spec, shown

SCHEMA = 1
ACCELERATORS = ("kvm", "emulated", "native")
CONTROL_SUFFIX = "#control"
# A pause longer than this between two records is an interruption of the experiment, not the cost of a step.
INTERRUPTION_S = 1800.0


@dataclass(frozen=True)
class Costs:
    """What steps cost on this lab, as measured: seconds per (workload, point), what else a step takes and what a change of setup takes."""

    steps: Mapping[Tuple[str, str], float] = field(default_factory=dict)
    setup_change_s: Optional[float] = None


def spec_hash(data: Any, **context: Any) -> str:
    """Return a short hash over a spec and what else must agree for a run to be resumed."""
    text = json.dumps([data, context], sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_plan(
    spec: Spec,
    seed: int,
    created: str,
    substrate: str,
    accelerator: str,
    measured_costs: Optional[Costs] = None,
    identity: str = "",
) -> Dict[str, Any]:
    """Make the plan (the content of plan.json).

    :param spec: a checked spec, from :func:`read_spec`.
    :param seed: of the randomisation; the same seed gives the same schedule.
    :param created: RFC 3339.
    :param substrate: what the nodes are.
    :param accelerator: ``kvm``, ``emulated`` or ``native``.
    :param measured_costs: what steps cost in earlier runs of the same preset; refines the prediction.
    :param identity: hash by which an unfinished run is found again.
    """
    if accelerator not in ACCELERATORS:
        raise InvalidValueError(f"accelerator must be one of {', '.join(ACCELERATORS)}, not {shown(accelerator)}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InvalidValueError(f"seed must be a whole number from 0 to 2^63-1, not {shown(seed)}.")
    runs = _schedule(spec, random.Random(seed))
    if not runs:
        raise InvalidValueError("spec leaves nothing to run: no arm that this lab can run has a point and a workload in common.")
    plan: Dict[str, Any] = {
        **spec.data,
        "schema": SCHEMA,
        "experiment": spec.name,
        "title": spec.title,
        "question": spec.question,
        "created": created,
        "seed": seed,
        "preset": spec.preset,
        "substrate": substrate,
        "accelerator": accelerator,
        "spec_hash": identity,
        "blocks": spec.blocks,
        "repeats": spec.repeats,
        "arms": [arm.as_dict() for arm in spec.arms],
        "points": [point.as_dict() for point in spec.points],
        "workloads": [workload.as_dict() for workload in spec.workloads],
        "comparisons": [comparison.as_dict() for comparison in spec.comparisons],
        "control": {"arm": spec.control_arm, "points": list(spec.control_points)},
        "published": [dict(entry) for entry in spec.published],
        "margin": spec.margin,
        "invalidation": dict(spec.invalidation),
        "retries": spec.retries,
        "costs": {"step_s": spec.step_s, "setup_change_s": spec.setup_change_s},
        "runs": runs,
    }
    plan["predicted_s"] = round(predicted_seconds(plan, _steps(plan, [(run, 1) for run in runs]), measured_costs), 1)
    return plan


def _schedule(spec: Spec, rng: random.Random) -> List[Dict[str, Any]]:
    cells = _cells(spec)
    runs: List[Dict[str, Any]] = []
    step = 0
    previous: List[Tuple[str, str, str, List[str]]] = []
    for number in range(spec.blocks * spec.repeats):
        if number % 2 == 0:
            current = _random_pass(cells, rng)
        else:
            current = [(setup, point, workload, arms[::-1]) for setup, point, workload, arms in reversed(previous)]
        previous = current
        for setup, point, workload, arms in current:
            step += 1
            for arm in arms:
                runs.append(
                    {
                        "run": f"r{len(runs) + 1:05d}",
                        "order": len(runs) + 1,
                        "step": step,
                        "block": number // spec.repeats + 1,
                        "repeat": number % spec.repeats + 1,
                        "point": point,
                        "workload": workload,
                        "arm": arm,
                        "setup": setup,
                        "attempt": 1,
                    }
                )
    return runs


def _cells(spec: Spec) -> Dict[str, Dict[str, Dict[str, List[str]]]]:
    """Return setup → point → workload → arms to run there, without those that are ruled out, with the control."""
    cells: Dict[str, Dict[str, Dict[str, List[str]]]] = {}
    for arm in spec.arms:
        if arm.rules_out is not None:
            continue
        for point in spec.points:
            if arm.points is not None and point.name not in arm.points:
                continue
            for workload in spec.workloads:
                if workload.points is not None and point.name not in workload.points:
                    continue
                if workload.arms is not None and arm.name not in workload.arms:
                    continue
                here = cells.setdefault(arm.setup, {}).setdefault(point.name, {}).setdefault(workload.name, [])
                here.append(arm.name)
                if arm.name == spec.control_arm and point.name in spec.control_points:
                    here.append(arm.name + CONTROL_SUFFIX)
    return cells


def _random_pass(
    cells: Mapping[str, Mapping[str, Mapping[str, List[str]]]], rng: random.Random
) -> List[Tuple[str, str, str, List[str]]]:
    made: List[Tuple[str, str, str, List[str]]] = []
    for setup in _shuffled(cells, rng):
        for point in _shuffled(cells[setup], rng):
            for workload in _shuffled(cells[setup][point], rng):
                made.append((setup, point, workload, _shuffled(cells[setup][point][workload], rng)))
    return made


def _shuffled(names: Iterable[str], rng: random.Random) -> List[str]:
    made = list(names)
    rng.shuffle(made)
    return made


def _unit(run: Mapping[str, Any]) -> Tuple[int, str, str]:
    """Return what is repeated as a whole when one of its runs failed: the block at that point with that workload."""
    return (run["block"], run["point"], run["workload"])


@dataclass(frozen=True)
class Left:
    """What a plan still misses.

    ``steps``: in the order in which to run them; ``done``, ``total``: runs (``total`` grows with repeated blocks); ``repeated``: blocks
    that were or will be repeated, as (block, point, workload); ``given_up``: those with an invalid run that are repeated no more.
    """

    steps: List[Dict[str, Any]]
    done: int
    total: int
    repeated: List[Tuple[int, str, str]]
    given_up: List[Tuple[int, str, str]]


def pending(plan: Mapping[str, Any], records: Iterable[Record]) -> Left:
    """Return the steps that are still to do.

    A run without a record is missing. When all runs of a (block, point, workload) are recorded and one of them failed or is invalid by the
    plan's rules, all of them are to be run again with the next attempt, up to ``retries`` times. An arm that was recorded more often
    than ``retries`` at a (point, workload) and never validly is taken for broken there, and no block is repeated for its sake.
    """
    kept = list(records)
    valid: Dict[Tuple[str, int], bool] = {record.key: not record.why_invalid(plan["invalidation"]) for record in kept}
    arm_of = {run["run"]: run["arm"] for run in plan["runs"]}
    tries: Dict[Tuple[str, str, str], List[bool]] = defaultdict(list)
    attempts: Dict[str, int] = defaultdict(int)
    cell_of = {run["run"]: (run["arm"], run["point"], run["workload"]) for run in plan["runs"]}
    for record in kept:
        if record.run in arm_of:
            tries[cell_of[record.run]].append(valid[record.key])
            attempts[record.run] = max(attempts[record.run], record.attempt)
    broken = {cell for cell, outcomes in tries.items() if len(outcomes) > plan["retries"] and not any(outcomes)}

    units: Dict[Tuple[int, str, str], List[Mapping[str, Any]]] = {}
    for run in plan["runs"]:
        units.setdefault(_unit(run), []).append(run)
    wanted: List[Tuple[Mapping[str, Any], int]] = []
    total, repeated, given_up = 0, [], []
    for unit, runs in units.items():
        attempt = max(1, max(attempts[run["run"]] for run in runs))
        missing = [run for run in runs if (run["run"], attempt) not in valid]
        if not missing:
            faulty = [run for run in runs if not valid[run["run"], attempt]]
            if any(cell_of[run["run"]] not in broken for run in faulty) and attempt <= plan["retries"]:
                attempt, missing = attempt + 1, list(runs)
            elif faulty:
                given_up.append(unit)
        if attempt > 1:
            repeated.append(unit)
        wanted.extend((run, attempt) for run in missing)
        total += len(runs) * attempt
    done = total - len(wanted)
    wanted.sort(key=lambda item: (item[1], item[0]["order"]))
    return Left(_steps(plan, wanted), done, total, repeated, given_up)


def _steps(plan: Mapping[str, Any], wanted: Sequence[Tuple[Mapping[str, Any], int]]) -> List[Dict[str, Any]]:
    """Group runs (with the attempt at each) into steps; give each the data of its point and workload."""
    points = {point["name"]: point for point in plan["points"]}
    workloads = {workload["name"]: workload for workload in plan["workloads"]}
    count, last_step = len(plan["runs"]), max(run["step"] for run in plan["runs"])
    steps: List[Dict[str, Any]] = []
    before: Optional[Tuple[int, int]] = None
    for run, attempt in wanted:
        if before != (run["step"], attempt):
            before = (run["step"], attempt)
            steps.append(
                {
                    "step": run["step"] + (attempt - 1) * last_step,
                    "block": run["block"],
                    "repeat": run["repeat"],
                    "attempt": attempt,
                    "setup": run["setup"],
                    "point": run["point"],
                    "point_data": points[run["point"]],
                    "workload": run["workload"],
                    "workload_data": workloads[run["workload"]],
                    "arms": [],
                    "runs": [],
                }
            )
        steps[-1]["arms"].append(run["arm"])
        steps[-1]["runs"].append({"run": run["run"], "arm": run["arm"], "order": run["order"] + (attempt - 1) * count, "attempt": attempt})
    return steps


def _step_prior(plan: Mapping[str, Any], step: Mapping[str, Any]) -> float:
    duration = step["workload_data"]["duration_s"]
    seconds = duration[step["point"]] if isinstance(duration, Mapping) else duration
    return float(plan["costs"]["step_s"]) + seconds * len(step["runs"])


def predicted_seconds(plan: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], costs: Optional[Costs] = None) -> float:
    """Predict how long these steps take: by what such steps took so far where that is known, else by the spec's durations."""
    costs = costs or Costs()
    known = [(seconds, key) for key, seconds in costs.steps.items()]
    priors = {(step["workload"], step["point"]): _step_prior(plan, step) for step in steps}
    shared = [seconds / priors[key] for seconds, key in known if key in priors and priors[key] > 0]
    scale = statistics.median(shared) if shared else 1.0
    change = costs.setup_change_s if costs.setup_change_s is not None else float(plan["costs"]["setup_change_s"])
    total, setup = 0.0, None
    for step in steps:
        total += costs.steps.get((step["workload"], step["point"]), scale * _step_prior(plan, step))
        if step["setup"] != setup:
            total += change
            setup = step["setup"]
    return total


def measured_costs(plan: Mapping[str, Any], records: Sequence[Record]) -> Tuple[Costs, float]:
    """Return what steps cost so far, and the seconds spent in all, from the times at which the records were made.

    A step's cost is the time from the record before it to its own last record. Pauses above :data:`INTERRUPTION_S` count as interruptions.
    """
    steps = {run["run"]: run for run in plan["runs"]}
    ends: List[Tuple[Tuple[int, int], float, Mapping[str, Any]]] = []
    for record in records:
        run = steps.get(record.run)
        if run is None:
            continue
        key = (run["step"], record.attempt)
        if ends and ends[-1][0] == key:
            ends[-1] = (key, moment(record.recorded), run)
        else:
            ends.append((key, moment(record.recorded), run))
    same: Dict[Tuple[str, str], List[float]] = defaultdict(list)
    changed: Dict[Tuple[str, str], List[float]] = defaultdict(list)
    spent, before, setup = 0.0, moment(plan["created"]), None
    for _key, when, run in ends:
        gap = when - before
        if 0 <= gap <= INTERRUPTION_S:
            spent += gap
            (same if run["setup"] == setup else changed)[run["workload"], run["point"]].append(gap)
        before, setup = when, run["setup"]
    costs = {cell: statistics.median(gaps) for cell, gaps in same.items()}
    extra = [gap - costs[cell] for cell, gaps in changed.items() if cell in costs for gap in gaps]
    change = max(0.0, statistics.median(extra)) if extra else None
    for cell, gaps in changed.items():
        if cell not in costs and change is not None:
            costs[cell] = max(0.0, statistics.median(gaps) - change)
    return Costs(costs, change), spent


def duration_text(seconds: float) -> str:
    """Return a duration for people: ``45 s``, ``6 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{max(0, math.ceil(seconds))} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def progress(plan: Mapping[str, Any], records: Sequence[Record]) -> Dict[str, Any]:
    """Return ``{done, total, percent, block, blocks, elapsed_s, remaining_s, text}``."""
    left = pending(plan, records)
    costs, spent = measured_costs(plan, records)
    remaining = predicted_seconds(plan, left.steps, costs)
    blocks = {run["run"]: run["block"] for run in plan["runs"]}
    block = max((blocks[record.run] for record in records if record.run in blocks), default=0)
    percent = round(100.0 * spent / (spent + remaining)) if left.steps and spent + remaining > 0 else (100 if not left.steps else 0)
    # A hundred is said only when nothing is left.
    percent = min(percent, 99) if left.steps else 100
    rest = f"{duration_text(remaining)} left" if left.steps else f"done in {duration_text(spent)}"
    return {
        "done": left.done,
        "total": left.total,
        "percent": percent,
        "block": block,
        "blocks": plan["blocks"],
        "elapsed_s": round(spent, 1),
        "remaining_s": round(remaining, 1),
        "text": f"block {block} of {plan['blocks']} · {percent} % · {rest}",
    }


def counted(number: int, noun: str) -> str:
    """Return ``1 block`` or ``3 blocks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def summary_lines(plan: Mapping[str, Any], left: Left, predicted_s: float) -> List[str]:
    """Return the plan for people: what will be run, in which order, what cannot be run and why, and how long it takes."""
    able = [arm for arm in plan["arms"] if arm["rules_out"] is None]
    lines = [
        plan["question"],
        f"{plan['experiment']}: {counted(len(able), 'arm')} ({', '.join(arm['name'] for arm in able)}), "
        f"{counted(len(plan['points']), 'point')}, {counted(len(plan['workloads']), 'workload')}, {counted(plan['blocks'], 'block')} of "
        f"{plan['repeats']} {'pass' if plan['repeats'] == 1 else 'passes'}: {len(plan['runs'])} runs, {left.done} of them done.",
        f"A/A control: {plan['control']['arm']} at {', '.join(plan['control']['points'])}. Seed {plan['seed']}, preset {plan['preset']}, "
        f"on {plan['substrate']} ({plan['accelerator']}).",
    ]
    lines += [f"Ruled out: {arm['name']}. {arm['rules_out']}" for arm in plan["arms"] if arm["rules_out"] is not None]
    lines.append(f"Predicted time: {duration_text(predicted_s)} for {counted(len(left.steps), 'step')}.")
    return lines
