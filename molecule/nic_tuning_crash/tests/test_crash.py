# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every point of death gave the former state."""

from __future__ import annotations

import re
from typing import Any

testinfra_hosts = ["ansible://mq1", "ansible://igb1"]


def test_every_point_gave_a_byte_identical_state(host: Any) -> None:
    said = host.file("/root/crash_on_node.out").content_string
    same, points = re.search(r"^(\d+) of (\d+) points", said, re.MULTILINE).groups()
    assert same == points
    assert int(points) > 15


def test_no_journal_is_left(host: Any) -> None:
    assert not host.file("/var/lib/datapath-lab/tuning/node.json").exists
