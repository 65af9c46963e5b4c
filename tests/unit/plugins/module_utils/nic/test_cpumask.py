# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mask arithmetic against an independent reference that works with sets of numbers and single characters."""

from __future__ import annotations

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask
from hypothesis import given
from hypothesis import strategies as st

CPUS = st.integers(1, 4096)


@st.composite
def machines(draw: st.DrawFn) -> tuple[int, set[int]]:
    """A number of CPUs and some of them."""
    count = draw(CPUS)
    return count, draw(st.sets(st.integers(0, count - 1), max_size=64))


def reference_mask(cpus: set[int], width: int) -> str:
    """Write the kernel's form bit by bit: %*pb prints ceil(width / 32) groups, the first as short as the width makes it."""
    digits = []
    for nibble in range((width + 3) // 4):
        digits.append("0123456789abcdef"[sum(1 << bit for bit in range(4) if nibble * 4 + bit in cpus)])
        if nibble % 8 == 7 and nibble + 1 < (width + 3) // 4:
            digits.append(",")
    return "".join(reversed(digits))


def reference_list(cpus: set[int]) -> str:
    """Write the kernel's list form from runs of neighbours."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and runs[-1][-1] == cpu - 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@given(machines())
def test_a_set_is_written_as_the_kernel_writes_it(machine: tuple[int, set[int]]) -> None:
    count, cpus = machine
    mask = cpumask.of(cpus)
    assert cpumask.format_mask(mask, count) == reference_mask(cpus, count)
    assert cpumask.format_list(mask) == reference_list(cpus)
    assert cpumask.members(mask) == sorted(cpus)


@given(machines(), CPUS)
def test_any_form_of_a_set_reads_back_as_the_set(machine: tuple[int, set[int]], other_width: int) -> None:
    count, cpus = machine
    mask = sum(1 << cpu for cpu in cpus)
    wider = max(count, other_width)
    for text in (reference_mask(cpus, count), reference_mask(cpus, wider), reference_mask(cpus, wider).upper() + "\n", f"0x{mask:x}"):
        assert cpumask.parse_mask(text) == mask
    assert cpumask.parse_list(reference_list(cpus) + "\n") == mask
    assert cpumask.parse_mask(cpumask.format_mask(mask)) == mask


@given(st.integers(0, 4000), st.integers(0, 95), st.integers(1, 8), st.integers(0, 8))
def test_the_kernels_grouped_ranges(low: int, length: int, used: int, more: int) -> None:
    group = used + more
    wanted = sum(1 << cpu for cpu in range(low, low + length + 1) if (cpu - low) % group < used)
    assert cpumask.parse_list(f"{low}-{low + length}:{used}/{group}") == wanted


@given(st.integers(1, 1 << 31))
def test_flow_tables_round_up_to_powers_of_two(value: int) -> None:
    rounded = cpumask.round_up_power_of_two(value)
    assert bin(rounded).count("1") == 1
    assert rounded >= value
    assert rounded < 2 * value


def test_zero_flow_entries_stay_zero() -> None:
    assert cpumask.round_up_power_of_two(0) == 0


@given(st.text(alphabet="0123456789abcdefABCDEFx,-:/ \n", max_size=40))
def test_nothing_but_a_value_or_one_sentence_comes_of_any_text(text: str) -> None:
    for reader in (cpumask.parse_mask, cpumask.parse_list):
        try:
            assert reader(text) >= 0
        except InvalidValueError as error:
            assert "allowed" in str(error) or "CPUs go from" in str(error) or "CPUs is used" in str(error) or "CPUs are used" in str(error)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fe", 0xFE),
        ("00000000,000000fe", 0xFE),
        ("0000,00000001", 1),
        ("1,2", 1 << 32 | 2),
        ("ffffffff,ffffffff,ffffffff", (1 << 96) - 1),
    ],
)
def test_masks_as_files_of_the_kernel_have_them(text: str, wanted: int) -> None:
    assert cpumask.parse_mask(text) == wanted


@pytest.mark.parametrize("text", ["", "fg", "1,,2", "123456789,0", "-1", "0x", "1" + "0" * 3000])
def test_what_is_no_mask_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="CPU mask"):
        cpumask.parse_mask(text)


@pytest.mark.parametrize("text", ["3-1", "1,,2", "x", "0-99999", "1-2:0/2", "1-2:3/2", "-1"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="CPU list"):
        cpumask.parse_list(text)
