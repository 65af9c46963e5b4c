# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences between two environments and between nodes."""

from __future__ import annotations

import copy

from ansible_collections.datapath.lab.plugins.plugin_utils.compare import diff_environments, facts_of_nodes, flatten, same_question

ENVIRONMENT = {
    "recorded": "2026-11-20T05:00:00Z",
    "nodes": {
        "lb1": {
            "kernel": {"release": "6.12.107"},
            "nics": [{"name": "eth0", "driver": "igb", "queues": 4}, {"name": "eth1", "driver": "virtio_net", "queues": 1}],
            "uptime_s": 12.0,
            "flags": ["a", "b"],
            "tso": True,
            "firmware": None,
        }
    },
    "lab": {"substrate": "qemu"},
    "controller": {"python": "3.11.2"},
}


def test_facts_become_flat_keys_with_readable_values() -> None:
    flat = flatten(ENVIRONMENT["nodes"]["lb1"])  # type: ignore[index]
    assert flat["kernel.release"] == "6.12.107"
    assert flat["nics.eth0.driver"] == "igb"
    assert flat["flags"] == "a, b"
    assert flat["tso"] == "yes"
    assert flat["firmware"] == "unknown"


def test_equal_environments_do_not_differ() -> None:
    assert diff_environments(ENVIRONMENT, copy.deepcopy(ENVIRONMENT)) == []


def test_one_changed_fact_is_one_difference_and_list_order_is_none() -> None:
    after = copy.deepcopy(ENVIRONMENT)
    after["nodes"]["lb1"]["nics"].reverse()  # type: ignore[index]
    after["nodes"]["lb1"]["kernel"]["release"] = "6.12.120"  # type: ignore[index]
    after["nodes"]["lb1"]["uptime_s"] = 99.0  # type: ignore[index]
    found = [difference.as_dict() for difference in diff_environments(ENVIRONMENT, after)]
    assert found == [{"node": "lb1", "key": "kernel.release", "before": "6.12.107", "after": "6.12.120"}]
    with_volatile = [difference.key for difference in diff_environments(ENVIRONMENT, after, volatile=True)]
    assert with_volatile == ["kernel.release", "uptime_s"]


def test_facts_and_nodes_that_come_and_go_are_named() -> None:
    after = copy.deepcopy(ENVIRONMENT)
    after["nodes"]["client1"] = {}  # type: ignore[index]
    del after["nodes"]["lb1"]["tso"]  # type: ignore[index]
    after["controller"]["python"] = "3.13.1"  # type: ignore[index]
    found = {
        (difference.node, difference.key): (difference.before, difference.after) for difference in diff_environments(ENVIRONMENT, after)
    }
    assert found == {
        ("lb1", "tso"): ("yes", "–"),
        ("client1", "node"): ("–", "present"),
        ("controller", "python"): ("3.11.2", "3.13.1"),
    }


def test_nodes_stand_side_by_side() -> None:
    facts = facts_of_nodes({"a": {"kernel": {"release": "6.12"}, "x": 1}, "b": {"kernel": {"release": "6.12"}}})
    assert [(fact.key, fact.values, fact.same) for fact in facts] == [
        ("kernel.release", ("6.12", "6.12"), True),
        ("x", ("1", "–"), False),
    ]


def test_two_plans_say_what_makes_them_hard_to_compare() -> None:
    before = {"experiment": "e", "substrate": "qemu", "accelerator": "emulated", "preset": "quick"}
    assert same_question(before, dict(before)) == []
    assert same_question(before, {**before, "accelerator": "kvm"}) == ["The accelerator differs: emulated there, kvm here."]
