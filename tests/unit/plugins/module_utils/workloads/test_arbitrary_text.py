# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a tool prints: a reading or a typed error, never another exception, never a silent zero."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.workloads import iperf3, netperf, ping, redis_benchmark, sockperf, wrk
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Tool
from hypothesis import given, settings
from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[4] / "fixtures"
CASES = [
    (netperf.TOOL, {"test": "TCP_RR"}),
    (netperf.TOOL, {"test": "UDP_STREAM"}),
    (iperf3.TOOL, {}),
    (iperf3.TOOL, {"protocol": "udp"}),
    (iperf3.TOOL, {"direction": "both"}),
    (wrk.TOOL, {}),
    (sockperf.TOOL, {}),
    (redis_benchmark.TOOL, {}),
    (ping.TOOL, {}),
    (ping.TOOL, {"program": "fping"}),
]
IDS = [f"{tool.name}-{'-'.join(given.values())}" for tool, given in CASES]
CAPTURES = {tool.name: [] for tool, _given in CASES}
for name, texts in CAPTURES.items():
    # fping prints to standard error.
    paths = sorted(path for path in (FIXTURES / name.replace("_", "-")).iterdir() if path.suffix in (".out", ".err"))
    texts += filter(None, (path.read_text() for path in paths))
# Words that a broken number may be.
WORDS = ("nan", "-nan", "inf", "-1", "", "0", "1e999", "null", "1_0", "٣", "-", '"', "{}", "[]", "true", "\x00", "99999999999999999999")


def judge(tool: Tool, given_params: dict, text: str, stderr: str, rc: int) -> None:
    """Read, and check that a reading holds what a reading may hold."""
    params = {"host": "10.0.0.2", **{option.name: option.default for option in tool.options}, **given_params}
    try:
        reading = tool.read(Completed((tool.name,), rc, text, stderr), params)
    except LabError:
        return
    assert reading.metrics
    assert all(math.isfinite(metric.value) for metric in reading.metrics.values())
    assert not set(reading.not_measured) & set(reading.metrics)
    moved = [m.value for n, m in reading.metrics.items() if n in ("throughput", "request_rate", "message_rate", "get_rate", "set_rate")]
    assert all(value > 0 for value in moved) or reading.invalid


@pytest.mark.parametrize(("tool", "params"), CASES, ids=IDS)
@given(text=st.text(), stderr=st.text(max_size=40), rc=st.sampled_from([0, 1, 2, 255]))
@settings(max_examples=60, deadline=None)
def test_arbitrary_text(tool: Tool, params: dict, text: str, stderr: str, rc: int) -> None:
    judge(tool, params, text, stderr, rc)


@pytest.mark.parametrize(("tool", "params"), CASES, ids=IDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_captures_that_were_cut_and_spoiled(tool: Tool, params: dict, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(CAPTURES[tool.name]))
    generator = random.Random(data.draw(st.integers(0, 2**32)))
    for _change in range(data.draw(st.integers(1, 4))):
        start = generator.randrange(len(text) + 1)
        end = min(len(text), start + generator.choice((0, 1, 3, 10, 200)))
        text = text[:start] + generator.choice(WORDS) + text[end:]
    judge(tool, params, text, text, data.draw(st.sampled_from([0, 0, 0, 1])))


@pytest.mark.parametrize(("tool", "params"), CASES, ids=IDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_captures_with_another_number(tool: Tool, params: dict, data: st.DataObject) -> None:
    words = data.draw(st.sampled_from([text for text in CAPTURES[tool.name] if any(map(str.isdigit, text))]))
    places = [index for index, char in enumerate(words) if char.isdigit() and not words[index - 1 : index].isdigit()]
    place = data.draw(st.sampled_from(places))
    end = place
    while end < len(words) and (words[end].isdigit() or words[end] == "."):
        end += 1
    judge(tool, params, words[:place] + data.draw(st.sampled_from(WORDS)) + words[end:], words if words.startswith("10.") else "", 0)


KEYS = st.sampled_from(["start", "end", "intervals", "sum", "sum_sent", "sum_received", "test_start", "blksize", "errors", "latency_us"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@given(document=JSON, udp=st.booleans())
@settings(max_examples=150, deadline=None)
def test_json_of_another_shape(document: object, udp: bool) -> None:
    judge(iperf3.TOOL, {"protocol": "udp" if udp else "tcp"}, json.dumps(document), "", 0)
    judge(wrk.TOOL, {}, wrk.MARK + json.dumps(document), "", 0)
