# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What policies mean for devices, and what is refused before anything is touched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.nic import read
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import Topology, Values
from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import (
    Policy,
    channels_target,
    device_target,
    system_target,
    with_channels,
)
from ansible_collections.datapath.lab.tests.unit.plugins.module_utils.nic.simulated import VECTORS, Simulated


def meaning(tmp_path: Path, wish: dict[str, Any], **machine: Any) -> Values:
    """Return what a policy means on a simulated machine."""
    return meaning_and_notes(tmp_path, wish, **machine)[0]


def meaning_and_notes(tmp_path: Path, wish: dict[str, Any], **machine: Any) -> tuple[Values, tuple[str, ...]]:
    host = Simulated(tmp_path / "machine", **machine).build()
    device, topology = read.device(host, "eth0", tuple(wish.get("hash_fields", ()))), read.topology(host)
    policy = Policy.of(wish)
    target = device_target(policy, with_channels(device, channels_target(policy, device, topology)), topology)
    whole = system_target(policy, [device], read.system(host))
    return {**target.values, **whole.values}, (*target.notes, *whole.notes)


def of_queues(values: Values, item: str) -> list[Any]:
    """Return a setting of all queues in the order of their numbers."""
    found = {int(knob.split("/")[0].split("-")[1]): value for knob, value in values.items() if knob.endswith("/" + item)}
    return [found[index] for index in sorted(found)]


def test_the_published_profile_on_the_published_machine(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"profile": "published", "cpus": "0-7"}, driver="tg3", cpus=16, queues=4, irqbalance=True)
    assert of_queues(values, "rps_cpus") == ["fe"] * 4
    assert of_queues(values, "rps_flow_cnt") == [8192] * 4
    assert values["sysctl/net.core.rps_sock_flow_entries"] == "32768"
    assert {value for knob, value in values.items() if knob.startswith("irq/")} == {"1"}
    assert values["irqbalance/active"] is False


@pytest.mark.parametrize("driver", sorted(set(VECTORS) - {"tg3"}))
def test_one_cpu_per_queue_whatever_the_driver_calls_its_vectors(tmp_path: Path, driver: str) -> None:
    values = meaning(tmp_path, {"profile": "one_cpu_per_queue"}, driver=driver, cpus=8, queues=4)
    placed: dict[str, set[str]] = {}
    for knob, value in values.items():
        if knob.startswith("irq/"):
            queue = re.findall(r"\d+", knob.split("@")[0])[-1]
            placed.setdefault(queue, set()).add(value)
    assert placed == {"0": {"1"}, "1": {"2"}, "2": {"4"}, "3": {"8"}}
    assert of_queues(values, "xps_cpus") == ["11", "22", "44", "88"]


def test_more_queues_than_cpus_start_again(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"irq": "one_per_queue", "xps": "one_per_queue"}, cpus=3, queues=8)
    assert [values[f"irq/{{if}}-TxRx-{queue}"] for queue in range(8)] == ["1", "2", "4", "1", "2", "4", "1", "2"]
    assert of_queues(values, "xps_cpus") == ["1", "2", "4", "1", "2", "4", "1", "2"]


def test_a_list_of_cpus_is_used_in_its_order_of_numbers(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"irq": "list", "irq_cpus": "5,2"}, queues=3)
    assert [values[f"irq/{{if}}-TxRx-{queue}"] for queue in range(3)] == ["4", "20", "4"]


def test_numa_local_takes_the_cpus_of_the_cards_node(tmp_path: Path) -> None:
    machine = {"cpus": 8, "nodes": {0: "0-3", 1: "4-7"}, "numa_node": 1}
    values = meaning(tmp_path, {"irq": "numa_local", "rps": "numa"}, **machine)
    assert [values[f"irq/{{if}}-TxRx-{queue}"] for queue in range(4)] == ["10", "20", "40", "80"]
    assert of_queues(values, "rps_cpus") == ["f0"] * 4


def test_node_minus_one_is_no_node_and_not_node_zero(tmp_path: Path) -> None:
    values, notes = meaning_and_notes(tmp_path, {"rps": "numa"}, nodes={0: "0-3", 1: "4-7"}, numa_node=-1)
    assert of_queues(values, "rps_cpus") == ["ff"] * 4
    assert "numa_node -1" in notes[0]


def test_policies_leave_isolated_and_offline_cpus_alone(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"irq": "one_per_queue", "rps": "all_but_irq"}, cpus=8, online="0-5", isolated="4-5", queues=4)
    assert [values[f"irq/{{if}}-TxRx-{queue}"] for queue in range(4)] == ["1", "2", "4", "8"]
    assert of_queues(values, "rps_cpus") == ["e", "d", "b", "7"]


def test_a_mask_with_isolated_cpus_reads_back_without_them(tmp_path: Path) -> None:
    values, notes = meaning_and_notes(tmp_path, {"rps": "mask", "rps_mask": "fe"}, isolated="6-7")
    assert of_queues(values, "rps_cpus") == ["3e"] * 4
    assert notes == ("eth0: CPUs 6-7 of rps_mask 'fe' are isolated; the kernel takes them out and the mask reads back as 3e.",)


def test_all_but_irq_takes_the_interrupt_as_it_is_where_no_policy_moves_it(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"rps": "all_but_irq"}, cpus=4)
    assert of_queues(values, "rps_cpus") == ["e"] * 4


def test_an_interrupt_that_has_not_moved_yet_counts_where_it_will_be(tmp_path: Path) -> None:
    host = Simulated(tmp_path / "machine", cpus=4).build()
    host.write("/proc/irq/41/smp_affinity", "4")
    (tmp_path / "machine/proc/irq/41/effective_affinity").write_text("1\n")
    target = device_target(Policy.of({"rps": "all_but_irq"}), read.device(host, "eth0"), read.topology(host))
    assert of_queues(target.values, "rps_cpus") == ["b", "e", "e", "e"]


def test_masks_beyond_sixty_four_cpus(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"profile": "published"}, cpus=200, queues=2)
    assert of_queues(values, "rps_cpus") == [f"{(1 << 200) - 2:x}"] * 2


def test_flow_entries_are_divided_among_the_queues_and_rounded(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"rfs": 30000}, queues=3)
    assert of_queues(values, "rps_flow_cnt") == [16384] * 3
    assert values["sysctl/net.core.rps_sock_flow_entries"] == "32768"


def test_queues_that_a_channel_change_will_make_are_in_the_prediction(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"channels": {"combined": "max"}, "rps": "mask", "rps_mask": "2"}, queues=2, most=8)
    assert values["channels/combined"] == 8
    assert len(of_queues(values, "rps_cpus")) == 8


def test_an_even_table_is_left_as_the_driver_made_it(tmp_path: Path) -> None:
    assert "rss/table" not in meaning(tmp_path, {"rss": "spread"}, driver="igb")


def test_a_list_of_queues_is_dealt_out_in_turn(tmp_path: Path) -> None:
    assert meaning(tmp_path, {"rss": "list", "rss_queues": [3, 1]})["rss/table"][:4] == [3, 1, 3, 1]


def test_a_single_queue_has_no_xps_and_that_is_no_error(tmp_path: Path) -> None:
    values, notes = meaning_and_notes(tmp_path, {"xps": "one_per_queue"}, queues=1)
    assert of_queues(values, "xps_cpus") == []
    assert "single transmit queue" in notes[0]


def test_options_win_over_the_profile(tmp_path: Path) -> None:
    values = meaning(tmp_path, {"profile": "published", "irq": "one_per_queue", "rfs": 0})
    assert values["irq/{if}-TxRx-1"] == "2"
    assert of_queues(values, "rps_flow_cnt") == [0] * 4


def test_a_daemon_that_will_undo_it_is_told_of(tmp_path: Path) -> None:
    _values, notes = meaning_and_notes(tmp_path, {"irq": "one_per_queue"}, irqbalance=True)
    assert any("irqbalance is running" in note for note in notes)


@pytest.mark.parametrize(
    ("wish", "machine", "sentence"),
    [
        ({"irq": "list", "irq_cpus": "9"}, {}, r"eth0: irq_cpus cannot be '9': this node has no CPU 9; allowed are the online CPUs 0-7\."),
        (
            {"irq": "list", "irq_cpus": "6"},
            {"online": "0-5"},
            r"eth0: irq_cpus cannot be '6': CPU 6 is offline; allowed are the online CPUs 0-5\.",
        ),
        ({"rps": "mask", "rps_mask": "1ff"}, {}, r"rps_mask cannot be '1ff': this node has no CPU 8; allowed are the online CPUs 0-7\."),
        ({"rps": "mask", "rps_mask": "40"}, {"online": "0-5"}, r"rps_mask cannot be '40': CPU 6 is offline"),
        (
            {"rps": "mask", "rps_mask": "0"},
            {},
            r"rps_mask cannot be '0': a mask of zero names no CPU; allowed are masks of online CPUs, or rps 'off'\.",
        ),
        (
            {"rps": "mask", "rps_mask": "c0"},
            {"isolated": "6-7"},
            r"all of its CPUs are isolated and the kernel takes those out; allowed are CPUs 0-5\.",
        ),
        ({"rps": "mask", "rps_mask": "zz"}, {}, r"CPU mask 'zz' is not hexadecimal: allowed are"),
        ({"rps": "all_but_irq"}, {"cpus": 1}, r"rps cannot be 'all_but_irq' on rx-0: its interrupt takes CPU 0 and the usable CPUs are 0"),
        ({"xps": "list", "xps_cpus": ["0", "12"]}, {}, r"xps_cpus cannot be '12': this node has no CPU 12"),
        ({"rss": "cpu0"}, {"online": "1-7"}, r"rss cannot be 'cpu0': CPU 0 is offline; allowed are the online CPUs 1-7\."),
        ({"cpus": "64", "rps": "numa"}, {}, r"cpus cannot be '64': this node has no CPU 64"),
        ({"channels": {"combined": 9}}, {}, r"eth0: channels combined cannot be 9: allowed are 1 to 8\."),
        ({"channels": {"combined": 0}}, {}, r"channels combined cannot be 0: allowed are 1 to 8\."),
        ({"channels": {"rx": 2}}, {}, r"channels rx cannot be set: driver igb offers the kinds combined\."),
        ({"rings": {"rx": 5000}}, {}, r"eth0: rings rx cannot be 5000: allowed are 1 to 4096\."),
        ({"rings": {"rx-mini": 5}}, {}, r"rings rx-mini cannot be set: driver igb offers rx, tx\."),
        ({"coalesce": {"rx-usecs": True}}, {}, r"coalesce rx-usecs cannot be True: allowed are 0 to 4294967295\."),
        ({"coalesce": {"rx-frames": 1}}, {}, r"coalesce rx-frames cannot be set: driver igb offers adaptive-rx"),
        ({"features": {"warp": True}}, {}, r"feature warp cannot be set: the device has no feature of that name"),
        ({"features": {"rxhash": False}}, {}, r"feature receive-hashing cannot be off: the driver keeps it on \(fixed\)\."),
        ({"rss": "list", "rss_queues": [0, 4]}, {}, r"rss_queues cannot be \[0, 4\]: queue 4 is missing; allowed are the queues 0 to 3\."),
        ({"rss": "spread"}, {"rss": False}, r"rss cannot be set: driver igb offers no RSS table here\."),
        ({"rss_key": "zz"}, {}, r"rss_key cannot be 'zz': allowed are 40 hex bytes with colons between\."),
        ({"hash_fields": {"tcp4": "sq"}}, {}, r"hash_fields tcp4 cannot be 'sq': allowed are letters out of"),
        ({"hash_fields": {"esp4": "sd"}}, {}, r"hash_fields esp4 cannot be set"),
        ({"attributes": {"threaded": 2}}, {}, r"threaded cannot be 2: allowed are 0 and 1\."),
        ({"rfs": -1}, {}, r"rfs cannot be -1: allowed are 0 \(off\) to 536870912 entries\."),
        ({"rss": "cpu0", "irq": "one_per_queue"}, {}, r"rss 'cpu0' puts every interrupt of the card on CPU 0, and irq is 'one_per_queue'"),
        ({"rps": "mask"}, {}, r"rps 'mask' and rps_mask belong together"),
        ({"rps_mask": "fe"}, {}, r"rps 'mask' and rps_mask belong together|rps None"),
        ({"rss": "everywhere"}, {}, r"rss cannot be 'everywhere': allowed are spread, cpu0, list, default\."),
        ({"backlog": 0}, {}, r"backlog cannot be 0: allowed are 1 packet and more\."),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, wish: dict[str, Any], machine: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LabError, match=sentence) as caught:
        meaning(tmp_path, wish, **machine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["eth7", "lo"])
def test_an_unknown_interface_and_a_loopback_are_refused_with_those_that_exist(tmp_path: Path, name: str) -> None:
    host = Simulated(tmp_path / "machine").build()
    with pytest.raises(InvalidValueError, match=f"Interface '{name}'.*eth0"):
        read.device(host, name)


def test_channels_that_a_table_or_a_rule_names_cannot_go(tmp_path: Path) -> None:
    host = Simulated(tmp_path / "machine").build()
    host.rss_table("eth0", [0, 3] * 64)
    topology = read.topology(host)
    policy = Policy.of({"channels": {"combined": 2}})
    with pytest.raises(InvalidValueError, match="the RSS table names queue 3; allowed are 4 and more"):
        channels_target(policy, read.device(host, "eth0"), topology)
    assert channels_target(Policy.of({"channels": {"combined": 2}, "rss": "spread"}), read.device(host, "eth0"), topology) == {
        "channels/combined": 2
    }
    host.save({**host.load(), "rules": [3], "table": host.machine.default_table(4)})
    with pytest.raises(InvalidValueError, match="directs to queue 3; allowed are 4 and more"):
        channels_target(policy, read.device(host, "eth0"), topology)


def test_a_lenient_policy_leaves_out_what_the_device_lacks(tmp_path: Path) -> None:
    wish = {"rss": "spread", "rings": {"rx-mini": 1}, "rps": "mask", "rps_mask": "1", "lenient": True}
    values, notes = meaning_and_notes(tmp_path, wish, rss=False)
    assert of_queues(values, "rps_cpus") == ["1"] * 4
    assert len(notes) == 2


def test_a_namespace_has_no_table_of_flows(tmp_path: Path) -> None:
    host = Simulated(tmp_path / "machine").build()
    (tmp_path / "machine/proc/sys/net/core/rps_sock_flow_entries").unlink()
    with pytest.raises(MissingCapabilityError, match="rfs cannot be 1024: net.core.rps_sock_flow_entries does not exist here"):
        system_target(Policy.of({"rfs": 1024}), [], read.system(host))
    assert system_target(Policy.of({"rfs": 0}), [], read.system(host)).values == {}


def test_the_kernels_word_for_no_tickless_cpus_is_no_cpu() -> None:
    assert Topology(online=0xF, possible=0xF).usable == 0xF
    assert Topology(online=0xF, possible=0xF, isolated=0xF).usable == 0xF
