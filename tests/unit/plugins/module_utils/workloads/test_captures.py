# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every capture in tests/fixtures, of several versions of each tool, is read as its golden file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.workloads import iperf3, netperf, ping, redis_benchmark, sockperf, wrk

FIXTURES = Path(__file__).parents[4] / "fixtures"
TOOLS = {tool.name: tool for tool in (netperf.TOOL, iperf3.TOOL, wrk.TOOL, sockperf.TOOL, redis_benchmark.TOOL, ping.TOOL)}
CAPTURES = sorted(path for name in TOOLS for path in (FIXTURES / name.replace("_", "-")).glob("*.out"))


def meaning(path: Path, golden: Dict[str, Any]) -> Dict[str, Any]:
    """Read a capture as the golden file's options and exit status say."""
    tool = TOOLS[path.parent.name.replace("-", "_")]
    params = {"host": "10.99.6.1", **{option.name: option.default for option in tool.options}, **golden["params"]}
    errors = path.with_suffix(".err")
    stderr = errors.read_text(encoding="utf-8") if errors.exists() else ""
    try:
        reading = tool.read(Completed((tool.name,), golden["rc"], path.read_text(encoding="utf-8"), stderr), params)
    except LabError as error:
        return {"error": {"type": type(error).__name__, "message": str(error)}}
    return {
        "reading": {
            "metrics": {name: metric.as_dict() for name, metric in reading.metrics.items()},
            "samples": {name: list(values) for name, values in reading.samples.items()},
            "not_measured": list(reading.not_measured),
            "warnings": list(reading.warnings),
            "invalid": list(reading.invalid),
            "work": {"requests": reading.work.requests, "transferred": reading.work.transferred},
        }
    }


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_capture(path: Path) -> None:
    golden = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert meaning(path, golden) == {key: golden[key] for key in golden if key in ("reading", "error")}


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_each_tool_has_captures_of_what_works_and_of_what_is_broken(tool: str) -> None:
    goldens = [json.loads(path.with_suffix(".json").read_text()) for path in CAPTURES if path.parent.name == tool.replace("_", "-")]
    assert any("reading" in golden for golden in goldens)
    assert any("error" in golden for golden in goldens)
