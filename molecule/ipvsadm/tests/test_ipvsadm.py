# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both builds of ipvsadm list the same; the patched one asks once."""

from __future__ import annotations

import json
from typing import Any

import pytest

testinfra_hosts = ["ansible://loadbalancers"]
BASE, PATCHED = "/usr/local/sbin/ipvsadm-base", "/usr/local/sbin/ipvsadm-patched"


@pytest.mark.parametrize("options", ["-Sn", "-Ln", "-Ln --nosort", "-Ln --stats", "-Ln --rate", "-Ln --thresholds"])
def test_the_output_is_the_same_byte_for_byte(host: Any, options: str) -> None:
    base, patched = (host.check_output(f"{program} {options}") for program in (BASE, PATCHED))
    assert len(base.splitlines()) >= 5000
    assert base == patched


def requests(host: Any, program: str) -> int:
    """Count the sends of one listing, as strace sees them."""
    host.check_output(f"strace -f -qq -e trace=sendmsg,sendto -o /var/tmp/sends {program} -Sn > /dev/null")
    return len([line for line in host.check_output("cat /var/tmp/sends").splitlines() if "= -1" not in line])


def test_the_patched_program_asks_a_few_times_and_the_other_once_per_service(host: Any) -> None:
    assert requests(host, BASE) > 1000
    assert requests(host, PATCHED) < 10


def test_dumps_agree_and_survive_changes_without_a_kernel_warning(host: Any) -> None:
    found = json.loads(host.check_output("python3 /var/tmp/ipvs_races.py --quick"))
    assert found["ok"] is True, found["failures"]
    assert len(found["checks"]) >= 10
    assert "WARNING" not in host.check_output("dmesg --level=err,warn")
