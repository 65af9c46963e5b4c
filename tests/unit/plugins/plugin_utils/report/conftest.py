# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results directories to report on."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest

FIXTURES = Path(__file__).parents[5] / "tests" / "fixtures" / "results"
RUN = "20261120T050000Z"
EXPERIMENTS = ("ipvs_dump", "netns_datapath", "lb_scaling")


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """The script that makes the synthetic results."""
    spec = importlib.util.spec_from_file_location("generate_results", FIXTURES / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def results(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies one experiment's synthetic results to where a test may change them."""

    def copy(experiment: str) -> Path:
        return Path(shutil.copytree(FIXTURES / experiment / RUN, tmp_path / experiment / RUN))

    return copy


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives a directory with its report, made once; for tests that only read."""
    from ansible_collections.datapath.lab.plugins.plugin_utils.report.build import build_report

    made: dict[str, Path] = {}

    def directory_of(experiment: str) -> Path:
        if experiment not in made:
            made[experiment] = Path(shutil.copytree(FIXTURES / experiment / RUN, tmp_path_factory.mktemp(experiment) / RUN))
            build_report(made[experiment])
        return made[experiment]

    return directory_of


@pytest.fixture
def edit() -> Callable[[Path, Callable[[dict[str, Any]], None]], None]:
    """Return a function that changes a JSON document in place."""

    def change(path: Path, how: Callable[[dict[str, Any]], None]) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        how(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    return change
