# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of the module experiment_plan: makes a plan or takes up an unfinished one."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from ansible.utils.display import Display
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import utc_now
from ansible_collections.datapath.lab.plugins.plugin_utils import plan as planning
from ansible_collections.datapath.lab.plugins.plugin_utils import results
from ansible_collections.datapath.lab.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.datapath.lab.plugins.plugin_utils.record import FILE_NAME, Journal, Record, read_records
from ansible_collections.datapath.lab.plugins.plugin_utils.spec import PRESETS, read_spec

display = Display()


class ActionModule(ControllerAction):
    """Makes the plan of an experiment in a new run directory, or takes up the newest unfinished one of the same spec."""

    ARGUMENTS = {
        "spec": {"type": "dict"},
        "path": {"type": "path"},
        "preset": {"type": "str", "default": "quick", "choices": list(PRESETS)},
        "seed": {"type": "int"},
        "results": {"type": "path", "default": "results"},
        "blocks": {"type": "int"},
        "resume": {"type": "bool", "default": True},
        "substrate": {"type": "str", "default": "hosts"},
        "accelerator": {"type": "str", "default": "native", "choices": list(planning.ACCELERATORS)},
        "rules_out": {"type": "dict", "default": {}},
        "capabilities": {"type": "dict", "default": {}},
        "context": {"type": "dict", "default": {}},
    }
    RULES = {"required_one_of": [("spec", "path")], "mutually_exclusive": [("spec", "path")]}

    def act(self, arguments: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        """Return the plan's summary and what is still to do."""
        if arguments["path"]:
            return _outcome(results.read_plan(arguments["path"]), arguments["path"], check_mode, resumed=True, changed=False)
        spec = read_spec(
            arguments["spec"], arguments["preset"], arguments["blocks"], arguments["rules_out"], arguments["capabilities"]
        )
        same = ("preset", "blocks", "substrate", "accelerator", "rules_out", "capabilities", "context")
        identity = planning.spec_hash(arguments["spec"], **{key: arguments[key] for key in same})
        root = arguments["results"]
        found = results.unfinished_run(root, spec.name, identity, arguments["seed"]) if arguments["resume"] else None
        if found:
            made = _outcome(results.read_plan(found), found, check_mode, resumed=True, changed=False)
        else:
            seed = arguments["seed"] if arguments["seed"] is not None else results.new_seed()
            costs = results.earlier_costs(root, spec.name, spec.preset)
            plan = planning.make_plan(spec, seed, utc_now(), arguments["substrate"], arguments["accelerator"], costs, identity)
            path = None if check_mode else results.make_run_directory(root, plan)
            made = _outcome(plan, path, check_mode, resumed=False, changed=True)
        for line in made["lines"]:
            display.display(line)
        return made


def _outcome(plan: Dict[str, Any], path: Optional[str], check_mode: bool, resumed: bool, changed: bool) -> Dict[str, Any]:
    records, repaired = _records(path, check_mode)
    left = planning.pending(plan, records)
    costs, _spent = planning.measured_costs(plan, records)
    predicted = planning.predicted_seconds(plan, left.steps, costs) if records else plan["predicted_s"]
    lines = planning.summary_lines(plan, left, predicted)
    if resumed and records:
        lines.insert(0, f"Going on with {path}: {left.done} of {left.total} runs are done.")
    if repaired:
        lines.insert(0, repaired)
    return {
        "changed": changed,
        "path": path,
        "run": os.path.basename(path) if path else None,
        "resumed": resumed,
        "repaired": repaired,
        "plan": {key: value for key, value in plan.items() if key != "runs"},
        "retries": plan["retries"],
        "pending": left.steps,
        "done": left.done,
        "total": left.total,
        "repeated": [_unit(unit) for unit in left.repeated],
        "given_up": [_unit(unit) for unit in left.given_up],
        "predicted_s": round(predicted, 1),
        "predicted_text": planning.duration_text(predicted),
        "lines": lines,
        "msg": lines[-1],
    }


def _unit(unit: tuple[int, str, str]) -> Dict[str, Any]:
    return {"block": unit[0], "point": unit[1], "workload": unit[2]}


def _records(path: Optional[str], check_mode: bool) -> tuple[List[Record], Optional[str]]:
    """Return what is recorded; outside check mode a torn last line is moved aside first."""
    if path is None or not os.path.exists(os.path.join(path, FILE_NAME)):
        return [], None
    if check_mode:
        return list(read_records(path)), None
    try:
        with Journal(path) as journal:
            return journal.records, journal.repaired
    except OSError as error:
        raise InvalidValueError(f"Cannot open the record in {path}: {error.strerror}.") from error
