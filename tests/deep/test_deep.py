# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What takes longer than CI allows, on guests of its own: the whole race test, the same under a kernel that watches itself, an experiment
that is killed in the middle, and netns_datapath on guests.

Needs root. The lab is called ``deep`` and is taken down whatever happens.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any, Iterator

import ansible_mitogen
import pytest
from ansible_collections.datapath.lab.plugins.module_utils import kernel_build

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "roles"
LAB = ["-e", "lab_name=deep", "-e", "lab_port_base=22400"]
# As `make run` has it: under emulation the start of Python is most of what a task takes.
MITOGEN = ["-e", "experiment_strategy=mitogen_linear"]
ENVIRONMENT = {
    **os.environ,
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
    "ANSIBLE_STRATEGY_PLUGINS": str(Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"),
    "ANSIBLE_DEPRECATION_WARNINGS": "false",
}


def play(*arguments: str) -> None:
    """Run ansible-playbook on the lab; its output is the test's."""
    subprocess.run(["ansible-playbook", "-i", "lab", *LAB, *MITOGEN, *arguments], cwd=ROOT, env=ENVIRONMENT, check=True, timeout=3600)


def on_node(*argv: str) -> str:
    """Run a command on the balancer and return what it printed."""
    done = subprocess.run(
        ["ansible", "lb1", "-i", "lab", *LAB, "-m", "ansible.builtin.command", "-a", json.dumps({"argv": list(argv)})],
        cwd=ROOT,
        env=ENVIRONMENT,
        check=False,
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # lb1 | CHANGED | rc=0 >>
    head, arrows, said = done.stdout.partition(" >>\n")
    assert arrows and "\n" not in head, done.stdout
    return said.strip()


@pytest.fixture(scope="module")
def lab() -> Iterator[None]:
    """The patched datapath on a guest."""
    try:
        play("playbooks/ipvs_dump.yml", "-t", "lab,kernel,ipvsadm")
        yield
    finally:
        play("playbooks/lab_down.yml")


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "measurements.jsonl").read_text(encoding="utf-8").splitlines()]


def debug_kernel() -> ModuleType:
    """Return the file beside this one."""
    spec = importlib.util.spec_from_file_location("debug_kernel", Path(__file__).with_name("debug_kernel.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_dumps_that_race_against_changes(lab: None) -> None:
    script = ROLES / "kernel/files/races/ipvs_races.py"
    copy = json.dumps({"src": str(script), "dest": "/var/tmp/ipvs_races.py", "mode": "0755"})
    subprocess.run(
        ["ansible", "lb1", "-i", "lab", *LAB, "-m", "ansible.builtin.copy", "-a", copy],
        cwd=ROOT,
        env=ENVIRONMENT,
        check=True,
        timeout=300,
    )
    on_node("/usr/local/sbin/datapath-ipvs-variant", "patched", "--flush")
    found = json.loads(on_node("python3", "/var/tmp/ipvs_races.py"))
    assert found["ok"] is True, found["failures"]
    print(f"{len(found['checks'])} of {len(found['checks'])} checks of dumps held")


def test_the_same_under_a_kernel_that_watches_itself(lab: None) -> None:
    debug = debug_kernel()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "datapath.lab"
    workshop = kernel_build.Workshop(debug.run, cache)
    host = platform.freedesktop_os_release()
    place = kernel_build.place_of(debug.run, "trixie", None, host["ID"], host["VERSION_CODENAME"])
    kernel = kernel_build.kernel_of(on_node("uname", "-r"), on_node("uname", "-v"))
    image = debug.build(workshop, place, kernel, debug.patches(ROLES / "kernel/files/patches" / kernel.series))
    programs = workshop.directory(kernel_build.Ipvsadm(workshop, "1.31", debug.patches(ROLES / "ipvsadm/files/patches/1.31"), "trixie").inputs)
    tools = {
        "ipvs_races.py": ROLES / "kernel/files/races/ipvs_races.py",
        **{name: programs / name for name in ("ipvsadm-base", "ipvsadm-patched")},
    }
    disk = max((cache / "images").glob("*/disk.raw"), key=lambda path: path.stat().st_mtime)

    found = debug.race(image, disk, tools)

    assert found["result"], found["last"]
    assert found["complaints"] == []
    assert found["result"]["ok"] is True, found["result"]["failures"]
    print(f"{len(found['result']['checks'])} checks of dumps held under KASAN, lockdep and PROVE_RCU, after {found['result']['seconds']:.0f} s")


def test_a_kernel_that_watches_itself_is_heard() -> None:
    debug = debug_kernel()
    console = "[  3.1] Run /bin/sh as init process\n[  9.4] BUG: KASAN: slab-use-after-free in ip_vs_genl_dump_service+0x1a/0x20\n"
    assert len(debug.complaints(console)) == 1
    assert debug.complaints("[  9.4] WARNING: possible circular locking dependency detected\n")
    fragment = "CONFIG_KASAN=y\nCONFIG_NET=y\nCONFIG_SMP=y\nCONFIG_IP_VS_TAB_BITS=12\n# CONFIG_WERROR is not set\n"
    assert debug.missing_symbols("CONFIG_KASAN=y\n# CONFIG_NET is not set\nCONFIG_SMP=m\n", fragment) == ["CONFIG_NET", "CONFIG_SMP"]


def test_an_experiment_that_is_killed_goes_on(lab: None, tmp_path: Path) -> None:
    command = ["ansible-playbook", "-i", "lab", *LAB, *MITOGEN, "playbooks/ipvs_dump.yml", "-t", "ipvs_dump"]
    command += ["-e", "experiment_blocks=3", "-e", f"experiment_results={tmp_path}"]
    first = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, start_new_session=True)
    journal = tmp_path / "ipvs_dump"
    deadline = time.monotonic() + 1800
    while not any(len(records(path.parent)) >= 12 for path in journal.glob("*/measurements.jsonl")):
        assert first.poll() is None, "the experiment ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(1)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    (run,) = {path.parent.resolve() for path in journal.glob("*/measurements.jsonl")}
    before = records(run)

    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, timeout=3600)

    after = records(run)
    assert after[: len(before)] == before
    counted = Counter((record["run"], record["attempt"]) for record in after)
    assert set(counted.values()) == {1}
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    assert {record["run"] for record in after} == {planned["run"] for planned in plan["runs"]}
    assert (run / "report.html").exists()
    print(f"killed after {len(before)} of {len(plan['runs'])} runs; {len(after)} records at the end, none lost, none doubled")


def test_the_namespaces_experiment_on_guests(lab: None, tmp_path: Path) -> None:
    play("playbooks/netns_datapath.yml", "-e", f"experiment_results={tmp_path}", "-e", "experiment_blocks=3")
    analysis = json.loads((tmp_path / "netns_datapath" / "latest" / "analysis.json").read_text(encoding="utf-8"))
    assert {entry["witness"] for entry in analysis["comparisons"]} == {"proved"}
    assert {entry["point"] for entry in analysis["comparisons"]} == {"TCP_STREAM", "TCP_MAERTS", "TCP_RR", "UDP_STREAM", "UDP_RR"}
