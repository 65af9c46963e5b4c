# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is there of a lab, whatever the inventory says now: what a run that was killed has left is found by its processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.qemu.guest import Guest
from ansible_collections.datapath.lab.plugins.module_utils.qemu.process import Processes


def value_of(argv: List[str], option: str) -> Optional[str]:
    """Return the argument behind an option, or None."""
    return next((value for name, value in zip(argv, argv[1:]) if name == option), None)


def _names(state: Path, processes: Processes) -> List[str]:
    """Return the names of nodes with a directory or a process."""
    nodes = state / "nodes"
    names = {path.name for path in nodes.iterdir()} if nodes.is_dir() else set()
    for argv in processes.qemu_command_lines():
        pid_file = Path(value_of(argv, "-pidfile") or "")
        if pid_file.parent.parent == nodes:
            names.add(pid_file.parent.name)
    return sorted(names)


def guests(run: Run, lab: str, state: Path, processes: Processes) -> List[Dict[str, Any]]:
    """Return every guest of a lab.

    :param run: runs a command.
    :param lab: name of the lab.
    :param state: its state directory.
    :param processes: looks at processes.
    """
    found = []
    for name in _names(state, processes):
        have = Guest(run, lab, name, state, processes).have()
        record = have.record
        found.append(
            {
                "name": name, "state": have.state, "pid": have.process.pid if have.process else None,
                "boot_seconds": record.boot_seconds if record else None, "accelerator": record.accelerator if record else None,
                "disk": record.disk if record else None,
            }
        )
    return found


def rootfs_of(disk: str) -> str:
    """Return the unpacked tree that belongs to a disk of the cache: CACHE/images/KEY/disk.raw has CACHE/rootfs/KEY."""
    path = Path(disk)
    return str(path.parent.parent.parent / "rootfs" / path.parent.name)


def users_of(cache: Path, processes: Processes) -> List[str]:
    """Return the guests of any lab that run from a cache, as LAB/NODE."""
    users = []
    for argv in processes.qemu_command_lines():
        kernel = value_of(argv, "-kernel")
        if kernel and cache in Path(kernel).parents:
            users.append((value_of(argv, "-name") or "unknown").split(",", maxsplit=1)[0])
    return sorted(users)
