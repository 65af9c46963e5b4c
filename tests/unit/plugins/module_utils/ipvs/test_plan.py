# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From one table to another: which lines, and what they count."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.model import Rule, Table, counts
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.plan import MAX_DIFF_LINES, Tally, difference, plan
from hypothesis import given
from hypothesis import strategies as st

A, B, C = "-t 10.0.0.1:80", "-u 10.0.0.1:53", "-f 7"
X, Y = "10.1.0.1:80", "10.1.0.2:80"
HAVE: Table = {A: Rule("-s rr", {X: "-m -w 1", Y: "-m -w 1"}), B: Rule("-s wlc", {X: "-m -w 1"})}


@pytest.mark.parametrize(
    ("state", "want", "commands"),
    [
        ("present", {}, []),
        ("present", HAVE, []),
        ("present", {A: Rule("-s rr", {X: "-m -w 1"})}, []),
        ("present", {A: Rule("-s rr", {X: "-m -w 5"})}, [f"-e {A} -r {X} -m -w 5"]),
        ("present", {A: Rule("-s sh", {})}, [f"-E {A} -s sh"]),
        ("present", {B: Rule("-s wlc", {Y: "-m -w 2"})}, [f"-a {B} -r {Y} -m -w 2"]),
        ("present", {C: Rule("-s rr", {X: "-g -w 1"})}, [f"-A {C} -s rr", f"-a {C} -r {X} -g -w 1"]),
        ("exact", HAVE, []),
        ("exact", {}, ["-C"]),
        ("exact", {C: Rule("-s rr", {X: "-g -w 1"})}, ["-C", f"-A {C} -s rr", f"-a {C} -r {X} -g -w 1"]),
        ("exact", {A: HAVE[A]}, [f"-D {B}"]),
        ("exact", {A: Rule("-s rr", {X: "-m -w 1"}), B: HAVE[B]}, [f"-d {A} -r {Y}"]),
        (
            "exact",
            {A: Rule("-s sh", {X: "-m -w 2", "10.1.0.3:80": "-m -w 1"}), C: Rule("-s rr", {})},
            [f"-d {A} -r {Y}", f"-D {B}", f"-E {A} -s sh", f"-e {A} -r {X} -m -w 2", f"-a {A} -r 10.1.0.3:80 -m -w 1", f"-A {C} -s rr"],
        ),
        ("absent", {}, []),
        ("absent", {C: Rule("-s rr", {})}, []),
        ("absent", {A: Rule("-s other", {})}, [f"-D {A}"]),
        ("absent", HAVE, ["-C"]),
    ],
)
def test_the_lines_of_a_plan(state: str, want: Table, commands: List[str]) -> None:
    planned = plan(HAVE, want, state)
    assert list(planned.commands) == commands
    assert bool(planned) == bool(commands)


def test_a_plan_counts_what_it_touches() -> None:
    want = {A: Rule("-s sh", {X: "-m -w 2", "10.1.0.3:80": "-m -w 1"}), C: Rule("-s rr", {})}
    planned = plan(HAVE, want, "exact")
    assert (planned.added, planned.changed, planned.removed) == (Tally(1, 1), Tally(1, 1), Tally(1, 2))


def test_a_load_into_an_empty_table_clears_nothing() -> None:
    assert "-C" not in plan({}, HAVE, "exact").commands


designators = st.sampled_from([A, B, C, "-f 7 -6"])
rules = st.builds(
    Rule, st.sampled_from(["-s rr", "-s wlc", "-s sh"]), st.dictionaries(st.sampled_from([X, Y]), st.sampled_from(["-m -w 1", "-g -w 0"]))
)
tables: Any = st.dictionaries(designators, rules)


def run(have: Table, commands: Any) -> Dict[str, Any]:
    """Carry the lines out on a copy, as the kernel would, and refuse what it would refuse."""
    table: Dict[str, Any] = {designator: [rule.settings, dict(rule.destinations)] for designator, rule in have.items()}
    for line in commands:
        verb, _space, rest = line.partition(" ")
        designator, _space, destination = rest.partition(" -r ")
        at, _space, settings = destination.partition(" ")
        if verb == "-C":
            table.clear()
        elif verb in ("-A", "-E"):
            designator, _space, settings = rest.partition(" -s ")
            assert (designator in table) == (verb == "-E"), line
            table.setdefault(designator, ["", {}])[0] = f"-s {settings}"
        elif verb == "-D":
            del table[designator]
        elif verb == "-d":
            del table[designator][1][at]
        else:
            assert (at in table[designator][1]) == (verb == "-e"), line
            table[designator][1][at] = settings
    return {designator: Rule(settings, destinations) for designator, (settings, destinations) in table.items()}


@given(have=tables, want=tables, state=st.sampled_from(["present", "exact", "absent"]), clear=st.sampled_from(["disjoint", "shorter"]))
def test_a_plan_leads_to_what_it_predicts_and_there_is_nothing_left_to_do(have: Table, want: Table, state: str, clear: str) -> None:
    planned = plan(have, want, state, clear)
    after = run(have, planned.commands)
    assert after == planned.predicted
    assert not plan(after, want, state, clear)
    if state == "exact":
        assert after == want
    if state == "absent":
        assert after == {designator: rule for designator, rule in have.items() if designator not in want}
    if state == "present":
        assert set(after) == set(have) | set(want)
    services = counts(have)[0] + planned.added.services - planned.removed.services
    destinations = counts(have)[1] + planned.added.destinations - planned.removed.destinations
    assert counts(after) == (services, destinations)


def test_a_small_difference_shows_both_tables() -> None:
    shown = difference(HAVE, {A: HAVE[A]})
    assert shown["before"].splitlines() == [
        f"-A {A} -s rr",
        f"-a {A} -r {X} -m -w 1",
        f"-a {A} -r {Y} -m -w 1",
        f"-A {B} -s wlc",
        f"-a {B} -r {X} -m -w 1",
    ]
    assert shown["after"].splitlines() == shown["before"].splitlines()[:3]


def test_a_large_difference_shows_what_differs_and_how_much() -> None:
    have = {f"-f {mark}": Rule("-s rr", {}) for mark in range(1, 1001)}
    want = {**have, "-f 5": Rule("-s sh", {}), "-f 2000": Rule("-s rr", {})}
    shown = difference(have, want)
    assert shown["before"].splitlines() == ["# 1000 lines, 1 of them differ", "-A -f 5 -s rr"]
    assert shown["after"].splitlines() == ["# 1001 lines, 2 of them differ", "-A -f 5 -s sh", "-A -f 2000 -s rr"]


def test_a_difference_is_never_longer_than_a_person_reads() -> None:
    have = {f"-f {mark}": Rule("-s rr", {}) for mark in range(1, 1001)}
    shown = difference(have, {})["before"].splitlines()
    assert len(shown) == MAX_DIFF_LINES + 2
    assert shown[-1] == f"# {1000 - MAX_DIFF_LINES} more lines that differ"


def test_a_table_in_use_is_never_cleared_because_that_is_shorter() -> None:
    have = {f"-f {mark}": Rule("-s rr", {}) for mark in range(1, 9)}
    want = {"-f 1": Rule("-s rr", {})}
    assert "-C" not in plan(have, want, "exact").commands
    assert plan(have, want, "exact", "shorter").commands == ("-C", "-A -f 1 -s rr")
    assert not plan(want, want, "exact", "shorter")
