# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of the module environment_record: keeps the environment of the nodes beside the measurements."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any, Dict

from ansible.release import __version__ as ansible_version
from ansible_collections.datapath.lab.plugins.module_utils.measurement import utc_now
from ansible_collections.datapath.lab.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.datapath.lab.plugins.plugin_utils.record import write_json
from ansible_collections.datapath.lab.plugins.plugin_utils.results import ENVIRONMENT, read_json, read_plan


class ActionModule(ControllerAction):
    """Writes environment.json: the facts of each node, of the lab and of the controller."""

    ARGUMENTS = {
        "path": {"type": "path", "required": True},
        "nodes": {"type": "dict", "required": True},
        "lab": {"type": "dict", "default": {}},
        "controller": {"type": "dict", "default": {}},
    }

    def act(self, arguments: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        """Write the file unless it holds the same already; a node that is not named keeps what was recorded before."""
        plan = read_plan(arguments["path"])
        target = os.path.join(arguments["path"], ENVIRONMENT)
        before = read_json(target, "environment") if os.path.exists(target) else {}
        controller = {
            "kernel": platform.release(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "python": sys.version.split()[0],
            "ansible_core": ansible_version,
            **arguments["controller"],
        }
        after = {
            "nodes": {**before.get("nodes", {}), **arguments["nodes"]},
            "lab": {"substrate": plan["substrate"], "accelerator": plan["accelerator"], **arguments["lab"]},
            "controller": controller,
        }
        changed = {key: before.get(key) for key in after} != after
        if changed and not check_mode:
            write_json(target, {"recorded": utc_now(), **after})
        return {"changed": changed, "path": target}
