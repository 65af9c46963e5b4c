# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the table that there is and the one that is wanted to the lines that `ipvsadm -R` must be given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.ipvs.model import Rule, Table, counts, lines

STATES = ("present", "exact", "absent")
CLEARING = ("disjoint", "shorter")
# More lines than a person reads; beyond it a diff holds only what differs, and of that as many.
MAX_DIFF_LINES = 200


@dataclass(frozen=True)
class Tally:
    """How many services and destinations."""

    services: int = 0
    destinations: int = 0

    def as_dict(self) -> Dict[str, int]:
        """Return ``{services, destinations}``."""
        return {"services": self.services, "destinations": self.destinations}


@dataclass(frozen=True)
class Plan:
    """What to do: ``commands`` for one `ipvsadm -R` in their order, the table that they lead to, and how much they touch."""

    commands: Tuple[str, ...]
    predicted: Mapping[str, Rule]
    added: Tally
    changed: Tally
    removed: Tally

    def __bool__(self) -> bool:
        return bool(self.commands)


def plan(have: Table, want: Table, state: str, clear: str = "disjoint") -> Plan:
    """Return the way from one table to the other.

    :param state: ``present`` adds and modifies what is declared and leaves the rest; ``exact`` also removes what is not declared;
        ``absent`` removes the declared services with all their destinations.
    :param clear: when ``exact`` clears the whole table, which takes one request however large it is: ``disjoint`` only if no
        service stays, ``shorter`` also if there are then fewer lines to load; services that stay lose their connections.
    """
    if state == "absent":
        return _removal(have, [designator for designator in want if designator in have])
    if state == "exact" and have and have.keys().isdisjoint(want):
        return _replacement(have, want)
    update = _update(have, want, exact=state == "exact")
    if state == "exact" and clear == "shorter" and len(update.commands) > 1 + sum(counts(want)):
        return _replacement(have, want)
    return update


def _replacement(have: Table, want: Table) -> Plan:
    """Return the plan that clears the table and loads all of the other one."""
    return Plan(("-C", *lines(want)), dict(want), Tally(*counts(want)), Tally(), Tally(*counts(have)))


def _removal(have: Mapping[str, Rule], gone: List[str]) -> Plan:
    """Return the plan that removes these services."""
    named = set(gone)
    predicted = {designator: rule for designator, rule in have.items() if designator not in named}
    removed = Tally(len(gone), sum(len(have[designator].destinations) for designator in gone))
    commands = ("-C",) if gone and not predicted else tuple(f"-D {designator}" for designator in gone)
    return Plan(commands, predicted, Tally(), Tally(), removed)


def _update(have: Mapping[str, Rule], want: Mapping[str, Rule], exact: bool) -> Plan:
    """Return the plan that adds and modifies, and removes the rest if ``exact``."""
    removals: List[str] = []
    edits: List[str] = []
    additions: List[str] = []
    predicted: Table = {}
    removed_services = removed_destinations = changed_services = changed_destinations = added_services = added_destinations = 0
    for designator, rule in have.items():
        wanted = want.get(designator)
        if wanted is None:
            if exact:
                removals.append(f"-D {designator}")
                removed_services += 1
                removed_destinations += len(rule.destinations)
            else:
                predicted[designator] = rule
            continue
        if wanted == rule:
            predicted[designator] = rule
            continue
        if wanted.settings != rule.settings:
            edits.append(f"-E {designator} {wanted.settings}")
            changed_services += 1
        kept: Dict[str, str] = {}
        for at, settings in rule.destinations.items():
            if at in wanted.destinations:
                if wanted.destinations[at] != settings:
                    edits.append(f"-e {designator} -r {at} {wanted.destinations[at]}")
                    changed_destinations += 1
                kept[at] = wanted.destinations[at]
            elif exact:
                removals.append(f"-d {designator} -r {at}")
                removed_destinations += 1
            else:
                kept[at] = settings
        for at, settings in wanted.destinations.items():
            if at not in rule.destinations:
                additions.append(f"-a {designator} -r {at} {settings}")
                kept[at] = settings
                added_destinations += 1
        predicted[designator] = Rule(wanted.settings, kept)
    for designator, rule in want.items():
        if designator not in have:
            additions.extend(lines({designator: rule}))
            predicted[designator] = rule
            added_services += 1
            added_destinations += len(rule.destinations)
    return Plan(
        (*removals, *edits, *additions),
        predicted,
        Tally(added_services, added_destinations),
        Tally(changed_services, changed_destinations),
        Tally(removed_services, removed_destinations),
    )


def difference(have: Mapping[str, Rule], predicted: Mapping[str, Rule]) -> Dict[str, str]:
    """Return Ansible's ``before`` and ``after`` as lines of `ipvsadm -Sn`; of large tables only what differs, and its number."""
    before, after = list(lines(have)), list(lines(predicted))
    if max(len(before), len(after)) > MAX_DIFF_LINES:
        common = set(before) & set(after)
        before, after = list(_shortened(before, common)), list(_shortened(after, common))
    return {"before": "".join(f"{line}\n" for line in before), "after": "".join(f"{line}\n" for line in after)}


def _shortened(rows: List[str], common: set[str]) -> Iterator[str]:
    """Yield the lines that only this side has, at most :data:`MAX_DIFF_LINES`, and how many are not shown."""
    own = [row for row in rows if row not in common]
    yield f"# {len(rows)} lines, {len(own)} of them differ"
    yield from own[:MAX_DIFF_LINES]
    if len(own) > MAX_DIFF_LINES:
        yield f"# {len(own) - MAX_DIFF_LINES} more lines that differ"
