# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that give an arm its command and its witness."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.datapath.lab.plugins.filter.arm_commands import arm_commands
from ansible_collections.datapath.lab.plugins.filter.arm_witnesses import arm_witnesses

ARGV = {"base": ["ipvsadm-base", "-Sn"], "patched": ["ipvsadm-patched", "-Sn"]}
PROVED = {"state": "proved", "evidence": "It made 1001 requests.", "data": {"requests": 1001}}


def test_commands_keep_the_order_of_the_arms() -> None:
    assert [entry["name"] for entry in arm_commands(["patched", "base"], ARGV)] == ["patched", "base"]


def test_a_control_runs_its_arms_command_under_its_own_name() -> None:
    assert arm_commands(["base#control"], ARGV) == [{"name": "base#control", "argv": ["ipvsadm-base", "-Sn"]}]


def test_an_arm_without_a_command_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="no command for the arm 'stock'; there is one for: base, patched"):
        arm_commands(["stock"], ARGV)


def test_a_witness_carries_what_the_step_checked() -> None:
    found = arm_witnesses({"base": PROVED}, ["base", "base#control"], {"build_id": "ab12"}, "The patched ip_vs was loaded.")
    assert found["base"] == found["base#control"]
    assert found["base"]["state"] == "proved"
    assert found["base"]["evidence"] == "It made 1001 requests. The patched ip_vs was loaded."
    assert found["base"]["data"] == {"requests": 1001, "build_id": "ab12"}


def test_an_arm_that_nothing_proves_is_missing() -> None:
    found = arm_witnesses({"base": PROVED}, ["patched"])
    assert found["patched"]["state"] == "missing"
    assert "patched" in found["patched"]["evidence"]


def test_a_refuted_witness_stays_refuted() -> None:
    assert arm_witnesses({"base": {**PROVED, "state": "refuted"}}, ["base"], {}, "All was well.")["base"]["state"] == "refuted"
