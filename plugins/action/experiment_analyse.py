# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of the module experiment_analyse: writes analysis.json and lets latest point to the run."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, Dict

from ansible_collections.datapath.lab.plugins.module_utils.measurement import utc_now
from ansible_collections.datapath.lab.plugins.plugin_utils.analysis import analyse_directory
from ansible_collections.datapath.lab.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.datapath.lab.plugins.plugin_utils.record import write_json
from ansible_collections.datapath.lab.plugins.plugin_utils.results import ANALYSIS, LATEST, point_latest_to, read_json


class ActionModule(ControllerAction):
    """Analyses a run directory."""

    ARGUMENTS = {"path": {"type": "path", "required": True}}

    def act(self, arguments: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        """Analyse, write, and return the summary."""
        directory = os.path.abspath(arguments["path"])
        analysis = analyse_directory(directory, utc_now())
        target = os.path.join(directory, ANALYSIS)
        before = read_json(target, "analysis") if os.path.exists(target) else {}
        changed = {**before, "created": None} != {**analysis, "created": None}
        latest = os.path.join(os.path.dirname(directory), LATEST)
        relinked = not os.path.islink(latest) or os.readlink(latest) != os.path.basename(directory)
        if not check_mode:
            if changed:
                write_json(target, analysis)
            if relinked:
                point_latest_to(directory)
        comparisons = analysis["comparisons"]
        return {
            "changed": changed or relinked,
            "path": target,
            "latest": latest,
            "rig": analysis["rig"],
            "complete": analysis["complete"],
            "verdicts": dict(Counter(entry["verdict"] for entry in comparisons)),
            "witnesses": dict(Counter(entry["witness"] for entry in comparisons)),
            "answers": [entry["text"] for entry in analysis["answers"]],
            "sentences": [entry["text"] for entry in analysis["sentences"]],
            "not_resolved": [entry["text"] for entry in analysis["not_resolved"]],
            "comparisons": comparisons,
            "notes": analysis["notes"],
            "msg": " ".join(entry["text"] for entry in analysis["answers"]),
        }
