# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds of the collection as a whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())
GROUPS = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]


def test_the_group_all_has_every_module() -> None:
    assert GROUPS["all"] == MODULES


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_a_group_names_modules_that_exist(group: str) -> None:
    assert set(GROUPS[group]) <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_documentation_and_wiring(module: str) -> None:
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8"))
    code = [node for node in tree.body if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant))]
    lines = sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in code)
    assert lines <= 120, f"{module} has {lines} lines of code; move its logic to module_utils"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_what_it_takes_and_fits_on_a_screen(role: str) -> None:
    here = ROOT / "roles" / role
    specs = yaml.safe_load((here / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    assert "main" in specs
    assert 5 <= len((here / "README.md").read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_named_after_their_role(role: str) -> None:
    path = ROOT / "roles" / role / "defaults" / "main.yml"
    defaults = yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}
    assert [name for name in defaults if not name.startswith(f"{role}_")] == []
