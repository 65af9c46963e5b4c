# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Readers of ethtool and /proc against captures of real tools."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.nic import parse
from hypothesis import given
from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[4] / "fixtures"

READERS: dict[str, Callable[[str], Any]] = {
    "l": parse.channels,
    "g": parse.rings,
    "g-json": parse.rings_json,
    "c": parse.coalesce,
    "c-json": parse.coalesce_json,
    "k": parse.features,
    "k-json": parse.features_json,
    "x": parse.rss,
    "x-json": parse.rss_json,
    "n": parse.ntuple,
    "i": parse.driver,
    "S": parse.statistics,
    "rxhash-tcp4": parse.hash_fields,
    "rxhash-udp4": parse.hash_fields,
    "interrupts": parse.interrupts,
    "softirqs": lambda text: parse.softirqs(text, "NET_RX"),
    "softnet_stat": lambda text: parse.softnet(text, [0, 1, 2, 3]),
}


def reader_of(path: Path) -> Callable[[str], Any]:
    """Return the reader of a capture; the end of its name tells."""
    return READERS[max((name for name in READERS if path.stem.endswith("-" + name)), key=len)]


def as_json(value: Any) -> Any:
    """Return a value as JSON has it."""

    def plain(it: Any) -> Any:
        if dataclasses.is_dataclass(it) and not isinstance(it, type):
            return dataclasses.asdict(it)
        raise TypeError(type(it))

    return json.loads(json.dumps(value, default=plain))


CAPTURES = sorted([*FIXTURES.glob("ethtool/*.out"), *FIXTURES.glob("sysfs/*.out")])


def test_there_are_captures_of_both_cards() -> None:
    names = " ".join(path.name for path in CAPTURES)
    assert "virtio" in names
    assert "igb" in names


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_capture_is_read_as_its_golden_value(path: Path) -> None:
    assert as_json(reader_of(path)(path.read_text())) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("shape", ["igb-4q", "virtio-4q"])
@pytest.mark.parametrize("option", ["g", "c", "x", "k"])
def test_text_and_json_of_one_card_say_the_same(shape: str, option: str) -> None:
    text = FIXTURES / "ethtool" / f"ethtool-6.14-{shape}-{option}.out"
    other = text.with_name(f"{text.stem}-json.out")
    from_text, from_json = reader_of(text)(text.read_text()), reader_of(other)(other.read_text())
    if option == "x":
        # Only the text lists the functions that the card could use.
        from_text = dataclasses.replace(from_text, functions=())
    assert from_text == from_json


@pytest.mark.parametrize("name", [name for name in READERS if name != "i"])
@given(text=st.text(max_size=200))
def test_a_reader_never_ends_otherwise_than_with_a_value_or_a_parse_error(name: str, text: str) -> None:
    try:
        READERS[name](text)
    except ParseError as error:
        assert "printed" in str(error)


@pytest.mark.parametrize("name", READERS)
def test_an_empty_text_is_no_silent_zero(name: str) -> None:
    if name == "interrupts":
        pytest.raises(ParseError, parse.interrupts, "")
    else:
        with pytest.raises(ParseError):
            READERS[name]("")


def test_old_versions_print_zero_for_what_a_card_lacks() -> None:
    text = "Channel parameters for eth0:\nPre-set maximums:\nRX:\t\t0\nTX:\t\t0\nOther:\t\t1\nCombined:\t63\n"
    text += "Current hardware settings:\nRX:\t\t0\nTX:\t\t0\nOther:\t\t1\nCombined:\t16\n"
    assert parse.channels(text).current == {"other": 1, "combined": 16}


def test_a_feature_that_waits_for_another_keeps_what_was_requested() -> None:
    found = parse.features("Features for eth0:\nlarge-receive-offload: off [requested on]\ntx-gso-partial: off [fixed]\n")
    assert (found["large-receive-offload"].active, found["large-receive-offload"].requested) == (False, True)
    assert found["tx-gso-partial"].fixed


def test_rules_and_their_queues() -> None:
    text = "4 RX rings available\nTotal 1 rules\n\nFilter: 15\n\tFlow Type: Raw Ethernet\n\tAction: Direct to queue 1\n\n"
    assert parse.ntuple(text) == ("Filter: 15; Flow Type: Raw Ethernet; Action: Direct to queue 1",)


def test_rows_of_softnet_belong_to_the_cpu_that_they_name_and_not_to_their_place() -> None:
    def row(cpu: int) -> str:
        return " ".join(["0000000a", *["00000000"] * 8, "00000003", "00000000", "00000000", f"{cpu:08x}", "00000000", "00000000"])

    assert set(parse.softnet(f"{row(0)}\n{row(2)}\n", [0, 2])) == {0, 2}
    assert parse.softnet(f"{row(0)}\n{row(2)}\n", [0, 2])[2]["received_rps"] == 3


def test_rows_of_an_old_softnet_follow_the_online_cpus() -> None:
    row = " ".join(["0000000a", *["00000000"] * 9, "00000000"])
    assert set(parse.softnet(f"{row}\n{row}\n", [0, 5])) == {0, 5}
    with pytest.raises(ParseError, match="without CPU numbers"):
        parse.softnet(f"{row}\n", [0, 5])
