# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of the module experiment_report: makes the report of a results directory."""

from __future__ import annotations

from typing import Any

from ansible_collections.datapath.lab.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.datapath.lab.plugins.plugin_utils.report.build import FORMATS, build_report


class ActionModule(ControllerAction):
    """Writes report.html, report.md with its plots, and measurements.csv."""

    ARGUMENTS = {
        "path": {"type": "path", "required": True},
        "formats": {"type": "list", "elements": "str", "choices": list(FORMATS), "default": list(FORMATS)},
        "compare_with": {"type": "path"},
    }

    def act(self, arguments: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        """Write what would change; in check mode only say so."""
        report = build_report(arguments["path"], arguments["formats"], arguments["compare_with"], dry=check_mode)
        return {
            "changed": bool(report.changed),
            "report_html": str(report.html) if report.html else None,
            "report_md": str(report.markdown) if report.markdown else None,
            "csv": str(report.csv) if report.csv else None,
            "plots": [str(path) for path in report.plots],
            "answer": report.answer,
        }
