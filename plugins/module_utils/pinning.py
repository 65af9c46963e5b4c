# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start a program on some CPUs only."""

from __future__ import annotations

import os
from typing import Iterable, List, Optional

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask

TASKSET = "/usr/bin/taskset"


def usable_cpus() -> Iterable[int]:
    """Return the CPUs of this node that are online and that this process may use."""
    return os.sched_getaffinity(0)


def pinned(what: str, cpus: Optional[str], usable: Iterable[int]) -> List[str]:
    """Return the beginning of a command line that keeps a program on some CPUs; nothing if none are named.

    :param what: whose option it is, for the error.
    :param cpus: a CPU list such as ``0-1,3``.
    :param usable: the CPUs that there are.
    """
    if not cpus:
        return []
    wanted, there = cpumask.parse_list(cpus), cpumask.of(usable)
    missing = cpumask.members(wanted & ~there)
    if missing or not wanted:
        named = f"names CPU {missing[0]}" if missing else "names no CPU"
        raise InvalidValueError(f"{what}: cpus {cpus!r} {named}; allowed are {cpumask.format_list(there)}, the CPUs that are online here.")
    return [TASKSET, "--cpu-list", cpumask.format_list(wanted)]
