# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module hyperfine against raw hyperfine on a constant command: the harness must add no bias.

Both measure the same command in mirrored pairs, one right after the other; the module runs as the process that Ansible would start. A
command that sleeps shows what the harness adds to the measured time, one that computes shows what it does to the state of the CPU.
With the rights for it both run in real time, before all other processes, so that a busy neighbour does not decide.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NAMES = ("hyperfine_bias_sleeping", "hyperfine_bias_computing")

ROOT = Path(__file__).resolve().parent.parent.parent
PAIRS = 30
RUNS = 4
WARMUP = 1
# The part by which the module's mean may differ from raw hyperfine's.
TARGET = 0.01
COMMANDS = {
    "hyperfine_bias_sleeping": ["sleep", "0.1"],
    "hyperfine_bias_computing": [sys.executable, "-I", "-S", "-c", "sum(range(3000000))"],
}

# Inherited by hyperfine and by what it measures, the same for both.
FIRST = ["chrt", "--fifo", "1"] if os.geteuid() == 0 else []

sys.path.insert(0, str(ROOT / ".collections"))


def run() -> list[dict[str, Any]]:
    """Measure both commands and return the ratio module/raw of each."""
    return [_compare(name, argv) for name, argv in COMMANDS.items()]


def _compare(name: str, argv: list[str]) -> dict[str, Any]:
    """Return the ratio of the mean times over mirrored pairs, with its 95 % interval from the paired logarithms."""
    from ansible_collections.datapath.lab.plugins.plugin_utils.statistics import t_interval

    logarithms = []
    for pair in range(PAIRS):
        first, second = (_raw, _module) if pair % 2 == 0 else (_module, _raw)
        times = {first: first(argv), second: second(argv)}
        logarithms.append(math.log(times[_module] / times[_raw]))
    middle, low, high = (math.exp(float(value)) for value in t_interval(logarithms))
    return {
        "name": name,
        "value": middle,
        "unit": "module/raw",
        "better": "neither",
        "ci95": [low, high],
        "target": 1 + TARGET,
        "met": abs(middle - 1) <= TARGET,
        "substrate": "hosts",
        "accelerator": "native",
    }


def _raw(argv: list[str]) -> float:
    """Return the mean time that hyperfine itself measures, in s."""
    with tempfile.TemporaryDirectory() as directory:
        export = os.path.join(directory, "export.json")
        line = " ".join(f"'{word}'" for word in argv)
        options = ["-N", "--style=none", f"--warmup={WARMUP}", f"--runs={RUNS}", "--export-json", export]
        # The module runs everything in the C locale, which a program loads faster than another one.
        subprocess.run([*FIRST, "hyperfine", *options, line], env={**os.environ, "LC_ALL": "C"}, check=True, capture_output=True)
        with open(export, encoding="utf-8") as file:
            return float(json.load(file)["results"][0]["mean"])


def _module(argv: list[str]) -> float:
    """Return the mean time that the module measures, in s."""
    options = {"commands": [{"name": "constant", "argv": argv}], "blocks": 1, "runs": RUNS, "warmup": WARMUP}
    done = subprocess.run(
        [*FIRST, sys.executable, "-m", "ansible_collections.datapath.lab.plugins.modules.hyperfine"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"The module failed: {done.stderr or done.stdout}")
    measurement = json.loads(done.stdout)["measurement"]
    if measurement["invalid"]:
        raise SystemExit(f"The constant command failed: {measurement['invalid'][0]}")
    return float(measurement["metrics"]["time_mean"]["value"])


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
