# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counters prove about steering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.nic import read, witness
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import Device
from ansible_collections.datapath.lab.plugins.module_utils.nic.witness import MISSING, PROVED, REFUTED, Counters
from ansible_collections.datapath.lab.tests.unit.plugins.module_utils.nic.simulated import Simulated, SimulatedHost
from hypothesis import given
from hypothesis import strategies as st


def card(tmp_path: Path, rps: str = "0", flows: str = "0", **wanted: Any) -> tuple[SimulatedHost, Device]:
    host = Simulated(tmp_path / "machine", **wanted).build()
    for queue in range(host.machine.queues):
        host.write(f"/sys/class/net/eth0/queues/rx-{queue}/rps_cpus", rps)
        host.write(f"/sys/class/net/eth0/queues/rx-{queue}/rps_flow_cnt", flows)
    return host, read.device(host, "eth0")


def counted(
    processed: dict[int, int], moved: dict[int, int] | None = None, packets: dict[int, int] | None = None, irqs: Any = None
) -> Counters:
    softnet = {cpu: {"processed": value, "dropped": 0, "received_rps": (moved or {}).get(cpu, 0)} for cpu, value in processed.items()}
    return Counters(5.0, packets or {}, irqs or {}, dict(processed), softnet)


@pytest.mark.parametrize(
    ("packets", "state"),
    [
        ({0: 2500, 1: 2500, 2: 2400, 3: 2600}, PROVED),
        ({0: 5000, 1: 2000, 2: 2000, 3: 1000}, PROVED),
        ({0: 10000, 1: 0, 2: 0, 3: 0}, REFUTED),
        ({0: 9000, 1: 1000, 2: 0, 3: 0}, REFUTED),
        ({0: 10, 1: 10, 2: 10, 3: 10}, MISSING),
    ],
)
def test_spread_is_a_matter_of_even_use(tmp_path: Path, packets: dict[int, int], state: str) -> None:
    _host, device = card(tmp_path)
    assert witness.judge_rss("spread", device, counted({0: 1}, packets=packets), 1000).state == state


def test_interrupts_stand_in_for_packets_that_a_driver_does_not_count_per_queue(tmp_path: Path) -> None:
    _host, device = card(tmp_path, driver="virtio_net")
    vectors = {it.number: it for it in device.irqs}
    even = {number: {0: 900} for number, it in vectors.items() if it.serves_rx()}
    claim = witness.judge_rss("spread", device, counted({0: 1}, irqs=even), 1000)
    assert claim.state == PROVED
    assert "receive interrupts spread over an effective 4.0 of 4 queues" in claim.evidence


@pytest.mark.parametrize(("cpus", "state"), [({0: 1000, 1: 0}, PROVED), ({0: 900, 1: 100}, REFUTED), ({0: 0, 1: 0}, MISSING)])
def test_all_on_cpu_zero_means_its_interrupts(tmp_path: Path, cpus: dict[int, int], state: str) -> None:
    _host, device = card(tmp_path)
    number = next(it.number for it in device.irqs if it.serves_rx())
    assert witness.judge_rss("cpu0", device, counted({0: 1}, irqs={number: cpus}), 1000).state == state


@pytest.mark.parametrize(
    ("rps", "processed", "moved", "state"),
    [
        ("fe", {0: 100, 1: 3000, 2: 3000, 3: 3900}, {1: 2000, 2: 2000, 3: 2000}, PROVED),
        ("fe", {0: 9000, 1: 500, 2: 500}, {1: 500, 2: 500}, REFUTED),
        ("fe", {0: 0, 1: 5000, 2: 5000}, {}, REFUTED),
        ("0", {0: 9000, 1: 1000}, {}, PROVED),
        ("0", {0: 9000, 1: 1000}, {1: 1000}, REFUTED),
        ("fe", {0: 3, 1: 3}, {1: 3}, MISSING),
    ],
)
def test_rps_is_proved_by_where_the_protocol_work_ran(
    tmp_path: Path, rps: str, processed: dict[int, int], moved: dict[int, int], state: str
) -> None:
    _host, device = card(tmp_path, rps=rps)
    assert witness.judge_rps(device, counted(processed, moved), 1000).state == state


@pytest.mark.parametrize(("flows", "state"), [("0", REFUTED), ("4096", PROVED)])
def test_flows_that_follow_their_application_may_leave_the_mask(tmp_path: Path, flows: str, state: str) -> None:
    _host, device = card(tmp_path, rps="e", flows=flows)
    claim = witness.judge_rps(device, counted({0: 3000, 1: 2300, 2: 2300, 3: 2400}, {1: 900}), 1000)
    assert claim.state == state
    assert ("follow their application" in claim.evidence) == (flows != "0")


@pytest.mark.parametrize(
    ("flows", "application", "processed", "state"),
    [
        ("4096", 0b1000, {1: 500, 2: 500, 3: 9000}, PROVED),
        ("4096", 0b1000, {1: 3300, 2: 3300, 3: 3400}, REFUTED),
        ("4096", 0b1110, {1: 5000, 2: 5000}, MISSING),
        ("4096", 0, {1: 5000, 2: 5000}, MISSING),
        ("0", 0b1000, {3: 9000}, REFUTED),
        ("4096", 0b1000, {3: 9}, MISSING),
    ],
)
def test_rfs_must_beat_a_blind_choice(tmp_path: Path, flows: str, application: int, processed: dict[int, int], state: str) -> None:
    _host, device = card(tmp_path, rps="e", flows=flows)
    assert witness.judge_rfs(device, counted(processed), application, 1000).state == state


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=64))
def test_the_effective_number_lies_between_one_and_all(counts: list[int]) -> None:
    effective = witness.effective_number(counts)
    assert effective == 0 if not sum(counts) else 1 - 1e-9 <= effective <= len(counts) + 1e-9


def test_counters_survive_the_way_through_json_and_wrap_where_the_kernels_do(tmp_path: Path) -> None:
    before = counted({0: (1 << 32) - 10})
    after = counted({0: 20})
    assert Counters.from_dict(before.as_dict()) == before
    assert witness.difference(before, after).softnet[0]["processed"] == 30
    with pytest.raises(InvalidValueError, match="since is not what this module returned"):
        Counters.from_dict({"at": 1})


def test_the_worst_claim_decides(tmp_path: Path) -> None:
    claims = [witness.Claim("rss", PROVED, "A."), witness.Claim("rps", MISSING, "B.")]
    assert witness.combine(claims) == (MISSING, "A. B.")
    assert witness.combine([*claims, witness.Claim("rfs", REFUTED, "C.")])[0] == REFUTED
    assert witness.combine([])[0] == MISSING


@pytest.mark.parametrize(
    ("line", "queue"),
    [
        ("rx_queue_3_packets", 3),
        ("rx3_packets", 3),
        ("rx-3.packets", 3),
        ("queue_3_rx_cnt", 3),
        ("[3]: rx_ucast_packets", 3),
    ],
)
def test_each_drivers_name_for_the_packets_of_a_queue(tmp_path: Path, line: str, queue: int) -> None:
    class Counting(SimulatedHost):
        def _ethtool(self, words: list[str]) -> tuple[int, str, str]:
            if words[0] == "-S":
                return 0, f"NIC statistics:\n     {line}: 17\n     rx_queue_9_bytes: 5\n", ""
            return super()._ethtool(words)

    plain, device = card(tmp_path)
    host = Counting(plain.machine)
    host.machine._put("proc/interrupts", "            CPU0\n 41:          9   PCI-MSIX  0-edge      eth0-TxRx-0\nNMI: 0 Non")
    host.machine._put("proc/softirqs", "                    CPU0\n      NET_RX:         20")
    host.machine._put("proc/net/softnet_stat", " ".join(["0000000a"] + ["00000000"] * 14))
    found = witness.count(host, device, read.topology(host))
    assert found.rx_packets == {queue: 17}
    assert found.interrupts == {41: {0: 9}}


def test_threads_of_an_application_tell_where_it_runs(tmp_path: Path) -> None:
    host, _device = card(tmp_path)
    fields = " ".join(["S", *["0"] * 35, "5", "0"])
    host.machine._put("proc/77/comm", "nginx")
    host.machine._put("proc/77/task/77/stat", f"77 (ng inx) {fields}")
    host.machine._put("proc/77/task/78/stat", f"78 (x) {fields.replace(' 5 ', ' 2 ')}")
    assert witness.application_cpus(host, "nginx") == 0b100100
    assert witness.application_cpus(host, "redis") == 0
    host.machine._put("proc/77/task/79/stat", "79 (x) S 1")
    with pytest.raises(ParseError, match="39 fields"):
        witness.application_cpus(host, "nginx")
