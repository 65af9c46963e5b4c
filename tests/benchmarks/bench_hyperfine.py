# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module hyperfine against raw hyperfine on a constant command: the harness must add no bias.

Both measure the same command in mirrored pairs, one right after the other; the module runs as the process that Ansible would start. A
command that sleeps shows what the harness adds to the measured time, one that computes shows what it does to the state of the CPU.
Both run on one CPU and, with the rights for it, in real time, before all other processes, so that a busy neighbour does not decide.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

import bias
from bias import ROOT

NAMES = ("hyperfine_bias_sleeping", "hyperfine_bias_computing")

WARMUP = 1
CPU = max(os.sched_getaffinity(0))
# The command, how many pairs, and how many runs in each half of one: what computes feels every neighbour on the same core.
COMMANDS = {
    "hyperfine_bias_sleeping": (["sleep", "0.1"], 20, 8),
    "hyperfine_bias_computing": ([sys.executable, "-I", "-S", "-c", "sum(range(3000000))"], 60, 25),
}

# Inherited by hyperfine and by what it measures, the same for both.
FIRST = ["taskset", "--cpu-list", str(CPU), *(["chrt", "--fifo", "1"] if os.geteuid() == 0 else [])]


def run() -> list[dict[str, Any]]:
    """Measure both commands and return the ratio module/raw of each."""
    return [_compare(name, *given) for name, given in COMMANDS.items()]


def _compare(name: str, argv: list[str], pairs: int, runs: int) -> dict[str, Any]:
    return bias.entry(name, bias.pairs(name, pairs, lambda: _raw(argv, runs), lambda: _module(argv, runs), CPU), "hosts")


def _raw(argv: list[str], runs: int) -> float:
    """Return the mean time that hyperfine itself measures, in s."""
    with tempfile.TemporaryDirectory() as directory:
        export = os.path.join(directory, "export.json")
        line = " ".join(f"'{word}'" for word in argv)
        options = ["-N", "--style=none", f"--warmup={WARMUP}", f"--runs={runs}", "--export-json", export]
        # The module runs everything in the C locale, which a program loads faster than another one.
        subprocess.run([*FIRST, "hyperfine", *options, line], env={**os.environ, "LC_ALL": "C"}, check=True, capture_output=True)
        with open(export, encoding="utf-8") as file:
            return float(json.load(file)["results"][0]["mean"])


def _module(argv: list[str], runs: int) -> float:
    """Return the mean time that the module measures, in s."""
    options = {"commands": [{"name": "constant", "argv": argv}], "blocks": 1, "runs": runs, "warmup": WARMUP}
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
