# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of the module measurement_record: appends the runs of one step to the record."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.datapath.lab.plugins.plugin_utils.plan import progress
from ansible_collections.datapath.lab.plugins.plugin_utils.record import Journal, now_precisely, read_records
from ansible_collections.datapath.lab.plugins.plugin_utils.recording import chosen_runs, records_of
from ansible_collections.datapath.lab.plugins.plugin_utils.results import read_plan


class ActionModule(ControllerAction):
    """Appends one record per run of a step: its measurement and witness, or why it failed."""

    ARGUMENTS = {
        "path": {"type": "path", "required": True},
        "runs": {"type": "list", "elements": "raw", "required": True},
        "attempt": {"type": "int", "default": 1},
        "host": {"type": "str", "default": ""},
        "witness": {"type": "dict"},
        "witnesses": {"type": "dict", "default": {}},
        "measurement": {"type": "dict"},
        "measurements": {"type": "dict", "default": {}},
        "failed": {"type": "str"},
    }

    def act(self, arguments: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        """Append, and return how far the experiment is."""
        path = arguments["path"]
        plan = read_plan(path)
        runs = chosen_runs(plan, arguments["runs"], arguments["attempt"])
        arms = [run["arm"] for run, _attempt in runs]
        measurements = dict(arguments["measurements"])
        if arguments["measurement"] is not None:
            if len(runs) != 1:
                raise InvalidValueError(f"measurement is for one run and runs names {len(runs)}; give measurements for: {', '.join(arms)}.")
            measurements[arms[0]] = arguments["measurement"]
        witnesses = dict(arguments["witnesses"])
        if arguments["witness"] is not None:
            witnesses = {**dict.fromkeys(arms, arguments["witness"]), **witnesses}
        made = records_of(plan, runs, arguments["host"], now_precisely(), witnesses, measurements, arguments["failed"])
        invalid = {record.arm: reasons for record in made if (reasons := record.why_invalid(plan["invalidation"]))}
        if check_mode:
            state = progress(plan, list(read_records(path)))
            return {"changed": True, "recorded": [record.run for record in made], "invalid": invalid, **state}
        try:
            with Journal(path) as journal:
                journal.append(made)
                records, repaired = journal.records, journal.repaired
        except OSError as error:
            raise InvalidValueError(f"Cannot write to the record in {path}: {error.strerror}.") from error
        state = progress(plan, records)
        return {
            "changed": True,
            "recorded": [record.run for record in made],
            "invalid": invalid,
            "repaired": repaired,
            "msg": state["text"],
            **state,
        }
