# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Analysis and report of 100,000 measurements: wall time and memory of the process that makes both from the results directory.

The measurements are drawn, not measured: 4 arms, 50 points, 5 workloads and 100 blocks, in the form of real ones. These two figures are
absolute, since what is promised is.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("analysis_seconds_100000", "analysis_memory_100000")
TARGETS = {"analysis_seconds_100000": 10.0, "analysis_memory_100000": 500.0}
ARMS, POINTS, WORKLOADS, BLOCKS = 4, 50, 5, 100
BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
SPEC = {
    "name": "bench",
    "title": "Many measurements",
    "question": "How long does the analysis take?",
    "blocks": BLOCKS,
    "arms": [{"name": f"arm{number}", "description": "drawn"} for number in range(ARMS)],
    "points": [{"name": f"point{number}"} for number in range(POINTS)],
    "workloads": [{"name": f"load{number}", "tool": "netperf", "metrics": ["throughput", "latency_p99"], "duration_s": 1} for number in range(WORKLOADS)],
    "comparisons": [
        {"reference": "arm0", "arm": f"arm{arm}", "workload": f"load{load}", "metric": "throughput", "headline": load == 0}
        for arm in range(1, ARMS)
        for load in range(WORKLOADS)
    ],
    "control": {"arm": "arm0", "points": ["point0"]},
}
SCRIPT = """
import json, sys
from ansible_collections.datapath.lab.plugins.plugin_utils.analysis import analyse_directory
from ansible_collections.datapath.lab.plugins.plugin_utils.record import write_json
from ansible_collections.datapath.lab.plugins.plugin_utils.report.build import build_report
analysis = analyse_directory(sys.argv[1], "2026-01-09T00:00:00Z")
write_json(sys.argv[1] + "/analysis.json", analysis)
report = build_report(sys.argv[1])
assert analysis["complete"] and report.html and report.markdown
"""


def lines(plan: dict[str, Any]) -> Iterator[str]:
    """Yield the measurements of a plan as the journal has them."""
    rng = random.Random(5)
    ends = {
        name: {
            "interval_s": 1.004,
            "cpu": {"count": 2, "busy_s": 1.2, "steal_fraction": 0.001, "foreign_cpu_fraction": 0.004, "fractions": {"user": 0.1, "idle": 0.4}},
            "softirqs": {"NET_RX": {"per_s": 91234.5, "per_cpu": {"0": 45617.2, "1": 45617.3}}},
            "interrupts": {str(number): {"description": "PCI-MSIX virtio0-input.0", "per_s": 120.5} for number in range(30, 36)},
        }
        for name in ("local", "remote")
    }
    for number, run in enumerate(plan["runs"]):
        at = (BEGAN + datetime.timedelta(seconds=2 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        spread = rng.lognormvariate(0, 0.03)
        metrics = {
            "throughput": {"value": 9000 * spread, "unit": "Mbit/s", "better": "higher"},
            "latency_p99": {"value": 40 / spread, "unit": "us", "better": "lower"},
        }
        kept = {key: run[key] for key in ("run", "arm", "point", "workload", "block", "repeat", "order")}
        measurement = {
            "tool": "netperf", "tool_version": "2.7.1", "argv": ["netperf", "-H", "198.18.0.2", "-t", "TCP_STREAM", "-l", "1"], "started": at,
            "duration_s": 1.0, "metrics": metrics, "samples": {}, "counters": {"scope": "node", **ends}, "invalid": [],
        }  # fmt: skip
        witness = {"state": "proved", "evidence": "the route leaves by wire0", "data": {"probes": 20, "answers": 20}}
        done = {"attempt": 1, "host": "client1", "recorded": at, "witness": witness, "measurement": measurement, "failed": None}
        yield json.dumps({"experiment": "bench", **kept, **done}, separators=(",", ":")) + "\n"


def run() -> list[dict[str, Any]]:
    """Make the directory, then analyse and report it in a process of its own."""
    from ansible_collections.datapath.lab.plugins.plugin_utils.plan import make_plan
    from ansible_collections.datapath.lab.plugins.plugin_utils.spec import read_spec

    with tempfile.TemporaryDirectory() as directory:
        results = Path(directory) / "bench" / "20260101T000000Z"
        results.mkdir(parents=True)
        plan = make_plan(read_spec(SPEC, "quick", rules_out={}), 7, "2026-01-01T00:00:00Z", "netns", "native")
        (results / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        (results / "environment.json").write_text('{"schema": 1, "nodes": {}}', encoding="utf-8")
        with (results / "measurements.jsonl").open("w", encoding="utf-8") as journal:
            journal.writelines(lines(plan))
        began = time.monotonic()
        child = os.spawnve(
            os.P_NOWAIT,
            sys.executable,
            [sys.executable, "-c", SCRIPT, str(results)],
            {**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
        )
        _pid, status, usage = os.wait4(child, 0)
        seconds = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit("The analysis of the drawn measurements failed.")
    count = len(plan["runs"])
    values = {"analysis_seconds_100000": (seconds, "s"), "analysis_memory_100000": (usage.ru_maxrss / 1024, "MiB")}
    return [
        {
            "name": name,
            "value": value,
            "unit": f"{unit} for {count} measurements",
            "better": "lower",
            "ci95": None,
            "target": TARGETS[name],
            "met": value < TARGETS[name] and count >= 100_000,
            "substrate": "controller",
            "accelerator": "native",
        }
        for name, (value, unit) in values.items()
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
