# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's counters: text in, values out; two snapshots in, rates out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.counters import parse
from ansible_collections.datapath.lab.plugins.module_utils.counters.delta import WRAP, delta
from ansible_collections.datapath.lab.plugins.module_utils.counters.model import CpuTimes, Interrupt, Snapshot, SoftnetRow
from ansible_collections.datapath.lab.plugins.module_utils.counters.parse import snapshot_of
from ansible_collections.datapath.lab.plugins.module_utils.counters.sample import take
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, ParseError
from hypothesis import given, settings
from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[4] / "fixtures" / "proc"
FILES = {
    "stat": "stat",
    "interrupts": "interrupts",
    "softirqs": "softirqs",
    "net/softnet_stat": "softnet_stat",
    "net/dev": "dev",
}
PARSERS = [parse.parse_stat, parse.parse_interrupts, parse.parse_softirqs, parse.parse_softnet, parse.parse_interfaces]


def document(**given: Any) -> Dict[str, Any]:
    """Return a capture made of the fixtures."""
    return {
        "schema": 1,
        "monotonic_s": 100.0,
        "boot_id": "0b1f",
        "scope": "node",
        "ticks_per_second": 100,
        "files": {name: (FIXTURES / f"proc-6.18-{file}.out").read_text() for name, file in FILES.items()},
        "process_ticks": {"netserver": 40},
        **given,
    }


def test_a_capture_of_a_kernel() -> None:
    snapshot = snapshot_of(document())
    golden = json.loads((FIXTURES / "proc-6.18.json").read_text())
    assert {cpu: vars(times) for cpu, times in snapshot.cpus.items()} == golden["cpus"]
    assert snapshot.context_switches == golden["context_switches"]
    assert {key: [value.cells, value.description] for key, value in snapshot.interrupts.items()} == golden["interrupts"]
    assert snapshot.softirqs == golden["softirqs"]
    assert [[row.cpu, row.counts] for row in snapshot.softnet] == golden["softnet"]
    assert snapshot.interfaces == golden["interfaces"]


def row(*columns: int) -> str:
    return " ".join(f"{column:08x}" for column in columns)


class TestSoftnet:
    def test_the_cpu_is_in_column_13_and_not_the_row(self) -> None:
        # CPU 1 is offline: the second row is that of CPU 2.
        text = "\n".join((row(16, 1, 2, *[0] * 6, 5, 6, 7, 0, 8, 9), row(17, *[0] * 11, 2, 0, 0)))
        first, second = parse.parse_softnet(text)
        assert (first.cpu, second.cpu) == ("0", "2")
        assert first.counts == {"processed": 16, "dropped": 1, "time_squeeze": 2, "received_rps": 5, "flow_limit": 6, "backlog": 7}

    def test_columns_are_hexadecimal(self) -> None:
        assert parse.parse_softnet("000000ff 00000010 00000000\n")[0].counts == {"processed": 255, "dropped": 16, "time_squeeze": 0}

    @pytest.mark.parametrize("columns", [3, 9, 10, 11, 12])
    def test_an_old_kernel_tells_no_cpu(self, columns: int) -> None:
        (only,) = parse.parse_softnet(row(*range(1, columns + 1)))
        assert only.cpu is None
        assert ("received_rps" in only.counts) == (columns >= 10)
        assert ("flow_limit" in only.counts) == (columns >= 11)

    def test_without_cpu_ids_there_are_sums_only(self) -> None:
        before = snapshot(softnet=[SoftnetRow(None, {"processed": 5}), SoftnetRow(None, {"processed": 7})])
        after = snapshot(10.0, softnet=[SoftnetRow(None, {"processed": 6}), SoftnetRow(None, {"processed": 9})])
        softnet = delta(before, after).rates()["softnet"]
        assert softnet["counts"] == {"processed": 3} and softnet["per_cpu"] == {}

    def test_without_cpu_ids_a_cpu_that_went_is_refused(self) -> None:
        before = snapshot(softnet=[SoftnetRow(None, {"processed": 5}), SoftnetRow(None, {"processed": 7})])
        with pytest.raises(InvalidValueError, match="number of online CPUs changed from 2 to 1"):
            delta(before, snapshot(10.0, softnet=[SoftnetRow(None, {"processed": 6})]))

    def test_a_backlog_is_a_length_and_has_no_rate(self) -> None:
        before = snapshot(softnet=[SoftnetRow("0", {"processed": 5, "backlog": 9})])
        after = snapshot(10.0, softnet=[SoftnetRow("0", {"processed": 6, "backlog": 2})])
        assert delta(before, after).rates()["softnet"]["counts"] == {"processed": 1}


def test_errors_of_the_whole_machine_are_not_those_of_a_cpu() -> None:
    interrupts = parse.parse_interrupts("           CPU0       CPU2\n  7:   1   2  chip 3-edge  virtio0\nERR:   5\n")
    assert interrupts == {"7": Interrupt({"0": 1, "2": 2}, "chip 3-edge virtio0"), "ERR": Interrupt({"all": 5}, "")}


def test_an_interface_may_have_a_colon() -> None:
    text = (FIXTURES / "proc-6.18-dev.out").read_text().replace("  eth0:", "eth0:1:")
    assert "eth0:1" in parse.parse_interfaces(text)


def snapshot(at: float = 0.0, **given: Any) -> Snapshot:
    """Return a small snapshot."""
    made: Dict[str, Any] = {
        "monotonic_s": at,
        "boot_id": "0b1f",
        "scope": "node",
        "ticks_per_second": 100,
        "cpus": {"0": CpuTimes(0, 0, 0, 0, 0, 0, 0, 0)},
        "context_switches": 0,
        "interrupts": {},
        "softirqs": {},
        "softnet": [],
        "interfaces": {},
        "process_ticks": {},
        **given,
    }
    return Snapshot(**made)


class TestDelta:
    def test_rates_and_fractions(self) -> None:
        before = snapshot(
            cpus={"0": CpuTimes(100, 0, 50, 1000, 0, 0, 10, 5)},
            context_switches=1000,
            interrupts={"38": Interrupt({"0": 10, "1": 20}, "virtio2-input.0"), "LOC": Interrupt({"0": 5, "1": 5}, "timer")},
            softirqs={"NET_RX": {"0": 100, "1": 0}, "HI": {"0": 0, "1": 0}},
            interfaces={"eth0": {"rx_bytes": 1000, "tx_bytes": 5}},
            process_ticks={"netserver": 30},
        )
        after = snapshot(
            10.0,
            cpus={"0": CpuTimes(300, 0, 250, 1480, 0, 0, 110, 25)},
            context_switches=6000,
            interrupts={"38": Interrupt({"0": 10, "1": 120}, "virtio2-input.0"), "LOC": Interrupt({"0": 5, "1": 5}, "timer")},
            softirqs={"NET_RX": {"0": 300, "1": 100}, "HI": {"0": 0, "1": 0}},
            interfaces={"eth0": {"rx_bytes": 11000, "tx_bytes": 5}},
            process_ticks={"netserver": 180},
        )
        found = delta(before, after)
        rates = found.rates()
        assert rates["cpu"]["fractions"] == {
            "user": 0.2, "nice": 0.0, "system": 0.2, "idle": 0.48, "iowait": 0.0, "irq": 0.0, "softirq": 0.1, "steal": 0.02,
        }  # fmt: skip
        assert rates["cpu"]["steal_fraction"] == 0.02 and rates["cpu"]["busy_s"] == 5.0 and rates["cpu"]["servers_s"] == 1.5
        assert rates["context_switches_per_s"] == 500
        assert rates["interrupts"] == {"38": {"description": "virtio2-input.0", "per_s": 10.0, "per_cpu": {"1": 10.0}}}
        assert rates["softirqs"] == {"NET_RX": {"per_s": 30.0, "per_cpu": {"0": 20.0, "1": 10.0}}}
        assert rates["interfaces"] == {"eth0": {"rx_bytes_per_s": 1000.0}}
        # Idle for 4.8 s and taken away for 0.2 s of 10 s.
        assert rates["cpu"]["occupied_s"] == pytest.approx(5.0)
        assert json.loads(json.dumps(rates)) == rates

    def test_time_of_others(self) -> None:
        cpus = {"0": CpuTimes(0, 0, 0, 0, 0, 0, 0, 0)}, {"0": CpuTimes(200, 0, 200, 300, 0, 0, 250, 50)}
        before = snapshot(cpus=cpus[0], other_process_ticks=1000)
        blind = delta(before, snapshot(10.0, cpus=cpus[1]))
        # 4 s in processes, of which the workload had 3, of 10 s in all.
        assert blind.foreign_s(1.0, 2.0) == pytest.approx(1.0)
        assert blind.foreign_s(4.0, 5.0) == 0.0
        seeing = delta(before, snapshot(10.0, cpus=cpus[1], other_process_ticks=1250))
        # 2.5 s in all processes but the reader's, of which the server had 1; what the tool had is the reader's.
        assert seeing.foreign_s(1.0, 99.0) == pytest.approx(1.5)
        assert seeing.part(1.5) == pytest.approx(0.15)
        assert delta(before, snapshot(10.0, cpus=cpus[1], other_process_ticks=900)).foreign_s(0.0, 0.0) == 0.0

    def test_the_ticks_miss_short_loads_and_the_idle_time_does_not(self) -> None:
        before = snapshot(cpus={cpu: CpuTimes(0, 0, 0, 0, 0, 0, 0, 0) for cpu in "01"})
        after = snapshot(1.0, cpus={"0": CpuTimes(5, 0, 10, 40, 5, 0, 10, 5), "1": CpuTimes(5, 0, 10, 60, 0, 0, 10, 0)})
        found = delta(before, after)
        assert found.busy_s == pytest.approx(0.5)
        assert found.occupied_s == pytest.approx(0.9)

    def test_counters_of_32_bits_wrap(self) -> None:
        before = snapshot(
            interrupts={"1": Interrupt({"0": WRAP - 5}, "")},
            softirqs={"NET_RX": {"0": WRAP - 1}},
            softnet=[SoftnetRow("0", {"processed": WRAP - 100})],
        )
        after = snapshot(
            1.0, interrupts={"1": Interrupt({"0": 5}, "")}, softirqs={"NET_RX": {"0": 1}}, softnet=[SoftnetRow("0", {"processed": 100})]
        )
        found = delta(before, after)
        assert found.interrupts["1"].cells == {"0": 10}
        assert found.softirqs["NET_RX"] == {"0": 2}
        assert found.softnet[0].counts == {"processed": 200}

    def test_idle_time_that_runs_backwards_counts_as_none(self) -> None:
        before = snapshot(cpus={"0": CpuTimes(0, 0, 0, 100, 50, 0, 0, 0)})
        after = snapshot(1.0, cpus={"0": CpuTimes(0, 0, 0, 200, 49, 0, 0, 0)})
        assert delta(before, after).cpus["0"] == CpuTimes(0, 0, 0, 100, 0, 0, 0, 0)

    def test_a_cpu_that_came_online_does_not_bring_its_past(self) -> None:
        old = CpuTimes(1, 0, 0, 9, 0, 0, 0, 0)
        before = snapshot(cpus={"0": old}, softnet=[SoftnetRow("0", {"processed": 1})], interrupts={"1": Interrupt({"0": 1}, "")})
        after = snapshot(
            1.0,
            cpus={"0": old, "1": CpuTimes(9999, 0, 0, 0, 0, 0, 0, 0)},
            softnet=[SoftnetRow("0", {"processed": 3}), SoftnetRow("1", {"processed": 9999})],
            interrupts={"1": Interrupt({"0": 2, "1": 9999}, "")},
        )
        found = delta(before, after)
        assert set(found.cpus) == {"0"} and found.interrupts["1"].cells == {"0": 1}
        assert [row.counts for row in found.softnet] == [{"processed": 2}]

    def test_a_reboot_is_refused(self) -> None:
        with pytest.raises(InvalidValueError, match="booted in between"):
            delta(snapshot(), snapshot(1.0, boot_id="another"))

    def test_the_order_matters(self) -> None:
        with pytest.raises(InvalidValueError, match="later than the first"):
            delta(snapshot(5.0), snapshot(5.0))

    @given(counts=st.lists(st.integers(0, 2**40), min_size=8, max_size=8), more=st.lists(st.integers(0, 2**40), min_size=8, max_size=8))
    def test_fractions_are_a_whole(self, counts: list, more: list) -> None:
        before, after = CpuTimes(*counts), CpuTimes(*[old + new for old, new in zip(counts, more)])
        fractions = delta(snapshot(cpus={"0": before}), snapshot(1.0, cpus={"0": after})).rates()["cpu"]["fractions"]
        assert not any(more) or math.isclose(sum(fractions.values()), 1.0)
        assert all(0 <= part <= 1 for part in fractions.values())


class TestSample:
    def test_rates_wait_between_two_readings(self) -> None:
        readings = iter([document(), document(monotonic_s=110.0)])
        waited = []
        result = take("rates", 10.0, None, ["netserver"], waited.append, lambda commands: next(readings))
        assert waited == [10.0] and result["counters"]["interval_s"] == 10.0

    def test_a_snapshot_and_the_difference_to_it(self) -> None:
        first = take("snapshot", 10.0, None, [], lambda _s: None, lambda commands: document())
        result = take("delta", 10.0, first["snapshot"], [], lambda _s: None, lambda commands: document(monotonic_s=104.0))
        assert result["counters"]["interval_s"] == 4.0

    @pytest.mark.parametrize("interval", [0.0, -1.0, 86401.0, float("nan"), float("inf")])
    def test_an_interval_that_is_none(self, interval: float) -> None:
        with pytest.raises(InvalidValueError, match="interval must be"):
            take("rates", interval, None, [], lambda _s: None, lambda commands: document())

    def test_what_is_no_snapshot(self) -> None:
        with pytest.raises(ParseError, match="schema 1"):
            take("delta", 1.0, {"schema": 2}, [], lambda _s: None, lambda commands: document())


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@given(text=st.text() | st.text(alphabet="cpu0123456789 :\nCPUabcdefx|Receive-"))
@settings(max_examples=150, deadline=None)
def test_arbitrary_text_is_a_value_or_a_parse_error(parser: Any, text: str) -> None:
    try:
        assert parser(text) is not None
    except ParseError:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
)


@given(key=st.sampled_from(sorted(document())), value=JSON)
@settings(max_examples=200, deadline=None)
def test_an_answer_of_another_shape_is_a_value_or_a_parse_error(key: str, value: Any) -> None:
    try:
        snapshot_of({**document(), key: value})
    except LabError:
        return


def test_what_a_missing_file_means() -> None:
    broken = document()
    del broken["files"]["softirqs"]
    with pytest.raises(ParseError, match="incomplete"):
        snapshot_of(broken)
    assert replace(snapshot_of(document()), scope="host").scope == "host"
