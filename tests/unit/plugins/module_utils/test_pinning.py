# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that are kept on some CPUs."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.pinning import pinned, usable_cpus


@pytest.mark.parametrize("cpus", [None, ""])
def test_none_named_means_any(cpus: str) -> None:
    assert pinned("netperf", cpus, [0, 1]) == []


def test_the_list_is_written_as_the_kernel_does() -> None:
    assert pinned("netperf", " 1,0,3", range(8)) == ["/usr/bin/taskset", "--cpu-list", "0-1,3"]


def test_the_program_runs_there() -> None:
    last = str(max(usable_cpus()))
    script = "import os; print(*os.sched_getaffinity(0))"
    done = subprocess.run([*pinned("netperf", last, usable_cpus()), "python3", "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == last
    assert set(usable_cpus()) == os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("cpus", "sentence"),
    [
        ("1,5-6", "netperf: cpus '1,5-6' names CPU 5; allowed are 0-3, the CPUs that are online here."),
        (" ", "netperf: cpus ' ' names no CPU; allowed are 0-3, the CPUs that are online here."),
        ("one", "CPU list 'one' holds 'one': allowed are numbers and ranges such as '0-3,8'."),
    ],
)
def test_what_is_refused(cpus: str, sentence: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        pinned("netperf", cpus, range(4))
    assert str(error.value) == sentence
