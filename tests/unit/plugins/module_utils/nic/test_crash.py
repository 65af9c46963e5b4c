# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Crash test: the tuning is killed after every single change, one at a time, and restored each time."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.nic import tuning
from ansible_collections.datapath.lab.plugins.module_utils.nic.journal import Store
from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import Policy
from ansible_collections.datapath.lab.tests.unit.plugins.module_utils.nic.simulated import Simulated, SimulatedHost

WISH: dict[str, Any] = {
    "profile": "published",
    "channels": {"combined": 3},
    "rings": {"rx": 512},
    "coalesce": {"rx-usecs": 10},
    "features": {"gro": False},
    "rss_key": ":".join(["5a"] * 40),
    "hash_fields": {"udp4": "sdfn"},
    "xps": "list",
    "xps_cpus": ["0-3"],
    "attributes": {"threaded": 1},
    "backlog": 3000,
}
SECOND: dict[str, Any] = {"profile": "one_cpu_per_queue", "channels": {"combined": 6}, "rss": "list", "rss_queues": [0, 2]}


def apply(host: SimulatedHost, wish: dict[str, Any], confirm_within: int = 0, persistent: bool | None = None) -> None:
    tuning.tune(Store(host), ["eth0"], Policy.of(wish), wish, confirm_within=confirm_within, persistent=persistent)


def in_a_process_that_dies(host: SimulatedHost, after: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed by SIGKILL right after its change of that number; tells whether it was."""
    child = os.fork()
    if child == 0:
        host.changes, host.kill_after = [], after
        try:
            work()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def fresh(tmp_path: Path, name: str, driver: str) -> SimulatedHost:
    return Simulated(tmp_path / name, driver=driver, irqbalance=True).build()


def points_of(tmp_path: Path, driver: str, prepare: Callable[[SimulatedHost], object], work: Callable[[SimulatedHost], object]) -> int:
    """Return the number of changes of one whole, undisturbed run."""
    host = fresh(tmp_path, "whole", driver)
    prepare(host)
    host.changes = []
    work(host)
    return len(host.changes)


@pytest.mark.parametrize("driver", ["igb", "virtio_net"])
@pytest.mark.parametrize(
    ("name", "prepare", "work"),
    [
        ("a tuning", lambda host: None, lambda host: apply(host, WISH)),
        ("a tuning with a timer and persistence", lambda host: None, lambda host: apply(host, WISH, confirm_within=60, persistent=True)),
        ("a second tuning on top", lambda host: apply(host, WISH), lambda host: apply(host, SECOND)),
        ("a restore", lambda host: apply(host, WISH, persistent=True), lambda host: tuning.restore(Store(host))),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_killed_after_every_single_change_it_restores_to_the_same_bytes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    driver: str,
    name: str,
    prepare: Callable[[SimulatedHost], object],
    work: Callable[[SimulatedHost], object],
) -> None:
    points = points_of(tmp_path, driver, prepare, work)
    assert points > 15
    same = []
    for point in range(1, points + 1):
        host = fresh(tmp_path, "mortal", driver)
        former = host.snapshot()
        prepare(host)
        killed = in_a_process_that_dies(host, point, lambda host=host: work(host))
        tuning.restore(Store(host))
        leftovers = [
            path
            for path in ("var/lib/datapath-lab/tuning/node.json", "etc/systemd/system/datapath-lab-tuning.service")
            if (host.machine.root / path).exists()
        ]
        if killed and host.snapshot() == former and not leftovers:
            same.append(point)
        shutil.rmtree(host.machine.root)
    with capsys.disabled():
        print(f"\n{driver}, {name} killed: {len(same)} of {points} points gave a byte-identical state")
    assert len(same) == points


@pytest.mark.parametrize("driver", ["igb", "virtio_net"])
def test_killed_during_the_rollback_of_a_refusal_it_restores_too(tmp_path: Path, driver: str) -> None:
    def refused(host: SimulatedHost) -> None:
        # The refused knob is written after all others but the flow masks.
        host.fail_at = (r"rx-2/rps_cpus$", 22)
        try:
            apply(host, WISH)
        except tuning.LabError:
            return

    points = points_of(tmp_path, driver, lambda host: None, refused)
    for point in range(1, points + 1):
        host = fresh(tmp_path, "mortal", driver)
        former = host.snapshot()
        assert in_a_process_that_dies(host, point, lambda host=host: refused(host))
        host.fail_at = None
        tuning.restore(Store(host))
        assert host.snapshot() == former, f"point {point} of {points}"
        shutil.rmtree(host.machine.root)


def test_a_journal_that_was_half_written_is_not_taken_for_one(tmp_path: Path) -> None:
    host = fresh(tmp_path, "machine", "igb")
    draft = host.machine.root / "var/lib/datapath-lab/tuning/node.json.new"
    draft.parent.mkdir(parents=True)
    draft.write_text('{"schema": 1, "devi')
    assert tuning.status(Store(host))["state"] == "none"
    apply(host, WISH)
    assert tuning.restore(Store(host)).changed


def test_an_interrupted_tuning_shows_in_the_status(tmp_path: Path) -> None:
    host = fresh(tmp_path, "machine", "igb")
    assert in_a_process_that_dies(host, 12, lambda: apply(host, WISH))
    status = tuning.status(Store(host))
    assert status["state"] == "interrupted"
    assert {it["knob"] for it in status["differs"]} >= {"channels/combined", "rings/rx"}
