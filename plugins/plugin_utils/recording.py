# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a step returned to the records of its runs: each run gets one, with its measurement or with why it has none."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import BETTER
from ansible_collections.datapath.lab.plugins.plugin_utils.plan import CONTROL_SUFFIX
from ansible_collections.datapath.lab.plugins.plugin_utils.record import WITNESS_STATES, Record

MISSING_WITNESS: Dict[str, Any] = {"state": "missing", "evidence": "", "data": {}}


def chosen_runs(plan: Mapping[str, Any], runs: Sequence[Any], attempt: int) -> List[Tuple[Mapping[str, Any], int]]:
    """Return the plan's runs that are named, each with its attempt.

    :param runs: run ids, or dictionaries with ``run`` and ``attempt`` as a step of the plan has them.
    :param attempt: for run ids.
    """
    by_id = {run["run"]: run for run in plan["runs"]}
    made: List[Tuple[Mapping[str, Any], int]] = []
    for entry in runs:
        name = entry.get("run") if isinstance(entry, Mapping) else entry
        number = entry.get("attempt", attempt) if isinstance(entry, Mapping) else attempt
        if name not in by_id:
            first, last = plan["runs"][0]["run"], plan["runs"][-1]["run"]
            raise InvalidValueError(f"runs names {name!r}, which is not in the plan; its runs are {first} to {last}.")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 1 + plan["retries"]:
            raise InvalidValueError(f"The attempt of run {name} must be a whole number from 1 to {1 + plan['retries']}, not {number!r}.")
        made.append((by_id[name], number))
    if not made:
        raise InvalidValueError("runs must name at least one run of the plan.")
    return made


def records_of(
    plan: Mapping[str, Any],
    runs: Sequence[Tuple[Mapping[str, Any], int]],
    host: str,
    recorded: str,
    witnesses: Mapping[str, Any],
    measurements: Mapping[str, Any],
    failed: Optional[str] = None,
) -> List[Record]:
    """Make the records of the runs of one step.

    :param witnesses: by arm; a control takes its arm's. An arm without one has the state ``missing``.
    :param measurements: by arm; an arm without one is recorded as failed.
    :param failed: why the whole step failed; then measurements are not looked at.
    """
    count = len(plan["runs"])
    for arm in measurements:
        if arm not in {run["arm"] for run, _attempt in runs}:
            raise InvalidValueError(f"measurements has the arm {arm!r}, which this step does not run; it runs: {_arms(runs)}.")
    for arm in witnesses:
        if arm not in {entry["name"] for entry in plan["arms"]} and not str(arm).endswith(CONTROL_SUFFIX):
            raise InvalidValueError(f"witnesses has the arm {arm!r}, which is not in the plan.")
    made: List[Record] = []
    for run, attempt in runs:
        arm = run["arm"]
        measurement = None if failed else measurements.get(arm)
        if measurement is not None:
            check_measurement(measurement, arm)
        why = failed
        if measurement is None and why is None:
            why = f"The workload returned no measurement for the arm {arm}."
        made.append(
            Record(
                run=run["run"],
                experiment=plan["experiment"],
                arm=arm,
                point=run["point"],
                workload=run["workload"],
                block=run["block"],
                order=run["order"] + (attempt - 1) * count,
                attempt=attempt,
                host=host,
                recorded=recorded,
                witness=check_witness(witnesses.get(arm) or witnesses.get(arm.split("#")[0]) or MISSING_WITNESS, arm),
                measurement=measurement,
                failed=why,
                repeat=run["repeat"],
            )
        )
    return made


def _arms(runs: Sequence[Tuple[Mapping[str, Any], int]]) -> str:
    return ", ".join(run["arm"] for run, _attempt in runs)


def check_witness(witness: Any, arm: str) -> Dict[str, Any]:
    """Return the witness with all of its keys, or say what is wrong with it."""
    if not isinstance(witness, Mapping) or witness.get("state") not in WITNESS_STATES:
        allowed = ", ".join(WITNESS_STATES)
        raise InvalidValueError(f"The witness of {arm} must be a dictionary whose state is one of {allowed}, not {witness!r}.")
    return {"state": witness["state"], "evidence": str(witness.get("evidence") or ""), "data": witness.get("data") or {}}


def check_measurement(measurement: Any, arm: str) -> None:
    """Refuse what does not keep the contract of a measurement."""
    place = f"The measurement of {arm}"
    if not isinstance(measurement, Mapping):
        raise InvalidValueError(f"{place} must be a dictionary, not {measurement!r}.")
    for key in ("tool", "started", "metrics"):
        if not measurement.get(key):
            raise InvalidValueError(f"{place} has no {key!r}.")
    if not isinstance(measurement["metrics"], Mapping):
        raise InvalidValueError(f"{place} has metrics that are not a dictionary.")
    for name, metric in measurement["metrics"].items():
        value = metric.get("value") if isinstance(metric, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InvalidValueError(f"{place} has the metric {name} with the value {value!r}; it must be a finite number.")
        if metric.get("better") not in BETTER or not isinstance(metric.get("unit"), str):
            raise InvalidValueError(f"{place} has the metric {name} without a unit or without a direction ({', '.join(BETTER)}).")
