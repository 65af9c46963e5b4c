# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the embedded lab takes from an inventory, and what it says of itself."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from ansible_collections.datapath.lab.plugins.filter.lab_lines import FilterModule as Lines
from ansible_collections.datapath.lab.plugins.filter.lab_nodes import FilterModule as Nodes

GUEST = {"name": "lb1", "state": "running", "accelerator": "emulated", "pid": 4242, "boot_seconds": 8.6}


def test_nodes_are_gathered_and_one_without_a_description_is_not_dropped() -> None:
    lab_nodes = Nodes().filters()["lab_nodes"]
    variables: Dict[str, Any] = {"lb1": {"lab_node": {"index": 1}}, "lb2": {}, "other": {"lab_node": {"index": 3}}}
    assert lab_nodes(variables, ["lb1", "lb2"]) == {"lb1": {"index": 1}, "lb2": {}}


@pytest.mark.parametrize(
    ("guest", "line"),
    [
        (GUEST, "lb1: running (emulated), process 4242, up over SSH after 8.6 s"),
        ({**GUEST, "boot_seconds": None}, "lb1: running (emulated), process 4242, not up over SSH yet"),
        ({**GUEST, "accelerator": None}, "lb1: running (accelerator unknown), process 4242, up over SSH after 8.6 s"),
        ({**GUEST, "state": "stopped", "pid": None}, "lb1: stopped"),
    ],
)
def test_a_guest_is_told_in_one_line(guest: Dict[str, Any], line: str) -> None:
    assert Lines().filters()["lab_lines"]({"guests": [guest]}) == [line]


def test_no_lab_says_how_to_make_one() -> None:
    assert Lines().filters()["lab_lines"]({"guests": []}) == ["No lab is there; the playbook lab_up makes one."]


@pytest.mark.parametrize(
    ("node", "line"),
    [
        (
            {"name": "lb1", "runs": True, "pid": 4711, "cards": {"data0": {"addresses": ["198.18.1.1/24"]}}},
            "lb1: running (namespaces), process 4711, data0 198.18.1.1/24",
        ),
        ({"name": "wire.data", "runs": True, "pid": 12, "cards": {}}, "wire.data: running (namespaces), process 12, no card"),
        ({"name": "lb1", "runs": False, "pid": None, "cards": {}}, "lb1: ended"),
    ],
)
def test_a_node_of_namespaces_is_told_in_one_line(node: Dict[str, Any], line: str) -> None:
    assert Lines().filters()["lab_lines"]({"nodes": [node]}) == [line]
