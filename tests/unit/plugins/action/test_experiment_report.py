# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of experiment_report and its documentation."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from ansible_collections.datapath.lab.plugins.action.experiment_report import ActionModule
from ansible_collections.datapath.lab.plugins.modules import experiment_report

FIXTURES = Path(__file__).parents[3] / "fixtures" / "results"


def test_the_documented_options_are_the_ones_it_takes() -> None:
    documented = yaml.safe_load(experiment_report.DOCUMENTATION)["options"]
    assert set(documented) == set(ActionModule.ARGUMENTS)
    for name, option in ActionModule.ARGUMENTS.items():
        for key, value in option.items():
            assert documented[name][key] == value, (name, key)


def test_it_returns_what_it_documents_and_check_mode_writes_nothing(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(FIXTURES / "ipvs_dump" / "20261120T050000Z", tmp_path / "run"))
    action = ActionModule.__new__(ActionModule)
    arguments = {"path": str(directory), "formats": ["html", "md", "csv"], "compare_with": None}
    predicted = action.act(arguments, True)
    assert predicted["changed"] and not (directory / "report.html").exists()
    made = action.act(arguments, False)
    assert made == predicted
    assert set(made) == set(yaml.safe_load(experiment_report.RETURN)) | {"changed"}
    assert Path(made["report_html"]).is_file() and Path(made["report_md"]).is_file() and Path(made["csv"]).is_file()
    assert made["answer"][0].startswith("patched in time_mean of dump (emulated): better than base at 5 of 6 points")
    assert not action.act(arguments, False)["changed"]
