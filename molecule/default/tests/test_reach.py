# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verifier reaches the guests themselves: what it sees is true in a guest and false on the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

testinfra_hosts = ["ansible://lab_default"]


def test_the_verifier_asks_the_guest_and_not_the_controller(host: Any) -> None:
    seen = host.check_output("cat /proc/sys/kernel/hostname /sys/class/dmi/id/sys_vendor /etc/machine-id").split("\n")
    assert seen[:2] == ["lb1", "QEMU"]
    assert seen[2] != Path("/etc/machine-id").read_text(encoding="utf-8").strip()
