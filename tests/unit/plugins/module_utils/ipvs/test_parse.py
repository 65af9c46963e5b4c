# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Raw captures of ipvsadm and the kernel against what they mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs import parse
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.apply import schedulers_in
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.info import connections
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.model import counts, lines
from hypothesis import given
from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[5] / "tests/fixtures/ipvsadm"
CAPTURES = sorted(FIXTURES.glob("*.out"))


def meaning(path: Path) -> Any:
    """Return what the capture's parser makes of it; the shape stands in the capture's name."""
    text, name = path.read_text(encoding="utf-8"), path.stem
    if "-save-" in name:
        return parse.entries(parse.saved_table(text))
    if "-stats-" in name:
        return {
            designator: [list(row), {at: list(own) for at, own in rest.items()}]
            for designator, (row, rest) in parse.statistics(text).items()
        }
    if "-thresholds-" in name:
        return parse.threshold_options(text)
    if "-table-" in name:
        head = parse.header(text)
        return {"version": head.version, "size": head.connection_table_size, "counts": list(parse.kernel_counts(text))}
    if "-connections-" in name:
        return connections(text)
    if "-modules-" in name:
        return sorted(schedulers_in(text))
    raise AssertionError(f"no parser for {path}")


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_capture_means_its_golden_value(path: Path) -> None:
    assert meaning(path) == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def test_there_are_captures_of_every_kind() -> None:
    kinds = {"-save-", "-stats-", "-thresholds-", "-table-", "-connections-", "-modules-"}
    assert {kind for kind in kinds for path in CAPTURES if kind in path.name} == kinds


def test_the_kernel_and_ipvsadm_count_the_same() -> None:
    saved = parse.saved_table((FIXTURES / "ipvsadm-1.31-save-mixed.out").read_text(encoding="utf-8"))
    shown = parse.kernel_counts((FIXTURES / "ip_vs-6.12-table-mixed.out").read_text(encoding="utf-8"))
    assert counts(saved) == shown


def test_the_saved_table_is_written_as_it_was_read_but_for_negative_marks() -> None:
    text = (FIXTURES / "ipvsadm-1.31-save-mixed.out").read_text(encoding="utf-8")
    written = "".join(f"{line}\n" for line in lines(parse.saved_table(text)))
    assert written == text.replace("-f -1 ", "-f 4294967295 ").replace("-f -2147483648 ", "-f 2147483648 ")


def test_a_tunnel_without_a_type_is_the_one_that_newer_versions_name() -> None:
    table = parse.saved_table("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -i -w 5\n")
    assert table["-t 10.0.0.1:80"].destinations == {"10.1.0.1:80": "-i -w 5 --tun-type ipip"}


@pytest.mark.parametrize(
    "text",
    [
        "-A -t 10.0.0.1:80 -s rr -z\n",
        "-A -t 10.0.0.1:80 -s sh -b \n",
        "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n",
        "-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.1:80 -s rr\n",
        "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:81 -r 10.1.0.1:80 -m -w 1\n",
        "-A -t 10.0.0.1:80 -s rr\n" + 2 * "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n",
        "-A --xxx-service 10.0.0.1:80 -s rr\n",
        "Permission denied (you must be root)\n",
    ],
)
def test_a_line_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse.saved_table(text)


@pytest.mark.parametrize(
    "parser", [parse.saved_table, parse.statistics, parse.threshold_options, parse.kernel_counts, parse.header, connections]
)
@given(text=st.text() | st.text(alphabet="-aAtufrsmgiwxyMpob 0123456789.:[]\n>TCPUDFWM"))
def test_arbitrary_text_gives_a_value_or_a_parse_error(parser: Any, text: str) -> None:
    try:
        parser(text)
    except ParseError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
@given(data=st.data())
def test_a_damaged_capture_gives_a_value_or_a_parse_error(path: Path, data: st.DataObject) -> None:
    text = path.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    broken = text[:start] + data.draw(st.text(max_size=4)) + text[data.draw(st.integers(start, len(text))) :]
    for parser in (parse.saved_table, parse.statistics, parse.threshold_options, parse.kernel_counts, connections):
        try:
            parser(broken)
        except ParseError:
            continue


def test_statistics_with_shortened_numbers_are_refused_and_not_read_as_small_ones() -> None:
    text = (FIXTURES / "ipvsadm-1.31-stats-traffic.out").read_text(encoding="utf-8").replace("      804 ", "  804789K ")
    with pytest.raises(ParseError, match="exact numbers"):
        parse.statistics(text)


def test_statistics_stand_with_their_services_in_the_entries() -> None:
    table = parse.saved_table("-A -t 127.0.0.1:8000 -s rr\n-a -t 127.0.0.1:8000 -r 127.0.0.1:22 -m -w 1\n")
    figures = parse.statistics((FIXTURES / "ipvsadm-1.31-stats-traffic.out").read_text(encoding="utf-8"))
    (entry,) = parse.entries(table, figures)
    assert entry["statistics"] == entry["destinations"][0]["statistics"]
    assert entry["statistics"]["connections"] == 3


def test_thresholds_are_added_to_their_destination_only() -> None:
    saved = parse.saved_table((FIXTURES / "ipvsadm-1.31-save-mixed.out").read_text(encoding="utf-8"))
    options = parse.threshold_options((FIXTURES / "ipvsadm-1.31-thresholds-mixed.out").read_text(encoding="utf-8"))
    merged = parse.with_thresholds(saved, options)
    changed = [line for line in lines(merged) if line not in set(lines(saved))]
    assert changed == ["-a -t 198.18.0.10:0 -r 198.18.1.1:0 -g -w 3 -x 100 -y 50"]
