# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module hyperfine as Ansible starts it: options in, one JSON document out."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.modules import hyperfine


@pytest.fixture
def start(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a module's main() and return its result."""

    def run(module: Any, **options: Any) -> Dict[str, Any]:
        with patch_module_args(options), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def fake_hyperfine(monkeypatch: pytest.MonkeyPatch) -> List[List[str]]:
    """Let each visit take 0.5 s of time and 0.25 s of user time; return the calls."""
    calls: List[List[str]] = []

    def run(argv: Sequence[str], stdin: Any = None, environ: Any = None) -> Completed:
        calls.append(list(argv))
        if argv[-1] == "--version":
            return Completed(tuple(argv), 0, "hyperfine 1.19.0\n", "")
        with open(argv[list(argv).index("--export-json") + 1], "w", encoding="utf-8") as file:
            json.dump({"results": [{"times": [0.5], "user": 0.25, "system": 0.1, "exit_codes": [0]}]}, file)
        return Completed(tuple(argv), 0, "", "")

    monkeypatch.setattr(hyperfine, "runner_of", lambda _module: run)
    return calls


COMMANDS = [{"name": "base", "argv": ["a"]}, {"name": "patched", "argv": ["b"]}]


def test_hyperfine_returns_a_measurement_per_command_and_as_facts(start: Any, fake_hyperfine: List[List[str]]) -> None:
    result = start(hyperfine, commands=COMMANDS, rounds=2)
    assert result["changed"] is False
    assert set(result["measurements"]) == {"base", "patched"}
    assert result["ansible_facts"]["datapath_lab"]["hyperfine"]["base"] == result["measurements"]["base"]
    assert result["measurements"]["base"]["samples"]["time"] == [0.5, 0.5]
    assert len(fake_hyperfine) == 5


def test_hyperfine_in_check_mode_runs_nothing(start: Any, fake_hyperfine: List[List[str]]) -> None:
    result = start(hyperfine, commands=COMMANDS, _ansible_check_mode=True)
    assert "measurements" not in result
    assert set(result["argv"]) == {"base", "patched"}
    assert fake_hyperfine == []


def test_hyperfine_refuses_bad_values_in_a_sentence(start: Any, fake_hyperfine: List[List[str]]) -> None:
    result = start(hyperfine, commands=COMMANDS, blocks=0)
    assert (result["failed"], "exception" in result) == (True, False)
    assert result["msg"] == "blocks 0 is not allowed; give a whole number from 1 to 100000."
