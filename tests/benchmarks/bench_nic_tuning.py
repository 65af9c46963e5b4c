# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Setting a 64-queue device in one task against the usual loop of shell tasks over its queues.

The device is a real one: a tap with 64 queues in a network namespace of its own. Both ways are whole runs of ansible-playbook, start-up
included, in mirrored blocks; both must leave the same settings. Needs root.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("nic_tuning_one_task", "nic_tuning_second_run")

ROOT = Path(__file__).resolve().parent.parent.parent
QUEUES = 64
BLOCKS = 3
TARGET = 20.0
INTERFACE = "bench0"

_PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
"""
_ONE_TASK = (
    _PLAY
    + f"""
    - datapath.lab.nic_tuning:
        interfaces: [{INTERFACE}]
        rps: mask
        rps_mask: "1"
        rfs_flow_count: 512
        xps: list
        xps_cpus: ["0"]
        journal_directory: JOURNAL
"""
)
_LOOP = _PLAY + "".join(
    f"""
    - ansible.builtin.shell: echo {value} > /sys/class/net/{INTERFACE}/queues/{kind}-{{{{ item }}}}/{name}
      loop: "{{{{ range({QUEUES}) | list }}}}"
"""
    for kind, name, value in (("rx", "rps_cpus", "1"), ("rx", "rps_flow_cnt", "512"), ("tx", "xps_cpus", "1"))
)


def run() -> list[dict[str, Any]]:
    """Measure in a namespace of its own and return the results."""
    with tempfile.TemporaryDirectory(prefix="bench-nic-") as directory:
        command = ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, __file__, directory]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"A {QUEUES}-queue tap could not be measured (it needs root and /dev/net/tun): {done.stderr[-2000:]}")
        found = json.loads(Path(directory, "result.json").read_text(encoding="utf-8"))
    logs = [math.log(loop / one) for one, loop in zip(found["one"], found["loop"])]
    mean = sum(logs) / len(logs)
    # Student's t for 2 degrees of freedom, 95 %, two-sided.
    half = 4.303 * math.sqrt(sum((it - mean) ** 2 for it in logs) / (len(logs) - 1) / len(logs))
    ratio = math.exp(mean)
    place = {"substrate": "netns", "accelerator": "native"}
    return [
        {
            "name": "nic_tuning_one_task", "value": ratio, "unit": "times faster than the loop", "better": "higher",
            "ci95": [math.exp(mean - half), math.exp(mean + half)], "target": TARGET, "met": ratio >= TARGET, **place,
        },
        {
            "name": "nic_tuning_second_run", "value": found["second_changed"], "unit": "changed tasks", "better": "lower",
            "ci95": None, "target": 0, "met": found["second_changed"] == 0, **place,
        },
    ]  # fmt: skip


def _tap() -> list[int]:
    """Make the device; it has its queues as long as these descriptors are open."""
    # <linux/if_tun.h>: TUNSETIFF with IFF_TAP, IFF_NO_PI and IFF_MULTI_QUEUE
    request = struct.pack("16sH22x", INTERFACE.encode(), 0x0002 | 0x1000 | 0x0100)
    descriptors = []
    for _queue in range(QUEUES):
        descriptors.append(os.open("/dev/net/tun", os.O_RDWR))
        fcntl.ioctl(descriptors[-1], 0x400454CA, request)
    return descriptors


def _settings() -> dict[str, int]:
    queues = Path("/sys/class/net", INTERFACE, "queues")
    found = {}
    for path in sorted([*queues.glob("rx-*/rps_*"), *queues.glob("tx-*/xps_cpus")]):
        text = path.read_text(encoding="ascii").strip()
        found[f"{path.parent.name}/{path.name}"] = int(text) if path.name == "rps_flow_cnt" else int(text.replace(",", ""), 16)
    return found


def _clear() -> None:
    queues = Path("/sys/class/net", INTERFACE, "queues")
    for path in [*queues.glob("rx-*/rps_*"), *queues.glob("tx-*/xps_cpus")]:
        path.write_text("0\n", encoding="ascii")


def _play(directory: Path, name: str, text: str) -> tuple[float, int]:
    """Run a playbook; returns seconds and the number of changed tasks."""
    path = directory / f"{name}.yml"
    path.write_text(text.replace("JOURNAL", str(directory / "journal")), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    began = time.monotonic()
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    argv = [program, "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", str(path)]
    done = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True, env=environment)
    seconds = time.monotonic() - began
    recap = next((line for line in done.stdout.splitlines() if "changed=" in line), "")
    if done.returncode != 0 or not recap:
        raise SystemExit(f"{name} failed: {done.stdout[-1500:]}{done.stderr[-500:]}")
    return seconds, int(recap.split("changed=")[1].split()[0])


def _inside(directory: Path) -> None:
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    descriptors = _tap()
    times: dict[str, list[float]] = {"one": [], "loop": []}
    states = []
    for block in range(BLOCKS):
        for name in ("one", "loop") if block % 2 == 0 else ("loop", "one"):
            _clear()
            seconds, changed = _play(directory, name, _ONE_TASK if name == "one" else _LOOP)
            if not changed:
                raise SystemExit(f"{name} changed nothing.")
            times[name].append(seconds)
            states.append(_settings())
    if any(state != states[0] for state in states):
        raise SystemExit("The two ways did not leave the same settings.")
    _clear()
    _play(directory, "one", _ONE_TASK)
    _seconds, second_changed = _play(directory, "one", _ONE_TASK)
    Path(directory, "result.json").write_text(json.dumps({**times, "second_changed": second_changed}), encoding="utf-8")
    for descriptor in descriptors:
        os.close(descriptor)


if __name__ == "__main__":
    _inside(Path(sys.argv[1]))
