# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A path as it is claimed, what was observed of it, and what the observation proves; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

KINDS = ("card", "veth", "macvlan")


@dataclass(frozen=True)
class Path:
    """The way that the packets of one arm are claimed to take.

    ``name``: of the arm; ``kind``: card (a card of the node itself), veth (a namespace behind a pair) or macvlan; ``interface``: the first
    one on the way, in ``namespace``; ``through``: interfaces of the node that the packets then leave by, in order; ``mode``: a macvlan's.
    """

    name: str
    kind: str
    namespace: Optional[str]
    interface: str
    through: Tuple[str, ...]
    mode: Optional[str]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Path:
        """Read and check one path of the module's parameters."""
        kind, name, mode = str(given["kind"]), str(given["name"]), given.get("mode")
        if kind not in KINDS:
            raise InvalidValueError(f"Path {name}: the kind {kind!r} is none of {', '.join(KINDS)}.")
        if kind == "veth" and len(given["through"]) < 2:
            raise InvalidValueError(f"Path {name}: a routed veth pair leads through its end on the node and an uplink; name both in 'through'.")
        if kind == "macvlan" and len(given["through"]) != 1:
            raise InvalidValueError(f"Path {name}: a macvlan leads through the one card below it; name it in 'through'.")
        if kind == "card" and given["through"]:
            raise InvalidValueError(f"Path {name}: nothing lies between a card and the wire; leave 'through' empty.")
        return cls(name, kind, given.get("namespace"), str(given["interface"]), tuple(map(str, given["through"])), mode)

    def hops(self) -> List[Tuple[Optional[str], str]]:
        """Return namespace and name of each interface on the way."""
        return [(self.namespace, self.interface), *((None, name) for name in self.through)]


@dataclass(frozen=True)
class Seen:
    """One interface at two moments: what it is, and how many packets it sent and received in between."""

    kind: Optional[str]
    mode: Optional[str]
    index: int
    lower: Optional[int]
    sent: int
    received: int


@dataclass(frozen=True)
class Observation:
    """What was observed while probes went from a path's namespace to the target.

    ``route_interface``: the interface that the namespace's route to the target leaves by; ``gateway``: its gateway; ``interfaces``: by
    namespace and name; ``probes``, ``answers``: packets sent to the target and answers that came back.
    """

    route_interface: Optional[str]
    gateway: Optional[str]
    interfaces: Mapping[Tuple[Optional[str], str], Seen]
    probes: int
    answers: int


@dataclass(frozen=True)
class Witness:
    """Whether an arm was in force: ``proved``, ``refuted`` or ``missing``, with one sentence of evidence and the figures behind it."""

    state: str
    evidence: str
    data: Mapping[str, Any]

    def as_dict(self, more: Mapping[str, Any]) -> Dict[str, Any]:
        """Return the form that is recorded with a measurement, with more data beside the figures."""
        return {"state": self.state, "evidence": self.evidence, "data": {**self.data, **more}}


def place(namespace: Optional[str], name: str) -> str:
    """Return how a sentence calls an interface."""
    return f"{name} in {namespace}" if namespace else name


def judge(path: Path, seen: Observation, others: Sequence[Path]) -> Witness:
    """Decide what an observation proves.

    :param path: the claim.
    :param seen: what was observed while this path's probes were sent.
    :param others: the other paths of the same node: their own interfaces must have stayed idle.
    """
    data = _data(path, seen)
    absent = [place(*hop) for hop in path.hops() if hop not in seen.interfaces]
    if absent:
        return Witness("missing", f"There is no interface {absent[0]}, so nothing can be said about the way of the packets.", data)
    objection = _objection(path, seen, others)
    if objection:
        return Witness("refuted", objection, data)
    first = seen.interfaces[(path.namespace, path.interface)]
    what = f"{first.kind or 'card'}{f', mode {first.mode}' if first.mode else ''}"
    counted = ", ".join(f"{place(*hop)} sent {seen.interfaces[hop].sent} and received {seen.interfaces[hop].received}" for hop in path.hops())
    route = f"{path.interface}{f' via {seen.gateway}' if seen.gateway else ''}"
    return Witness("proved", f"The route leaves by {route} ({what}); for {seen.probes} probes {counted} packets, and no other arm's.", data)


def _objection(path: Path, seen: Observation, others: Sequence[Path]) -> Optional[str]:
    """Return the first sentence that speaks against the claim, or None."""
    where = f"namespace {path.namespace}" if path.namespace else "the node"
    if seen.route_interface != path.interface:
        return f"In {where} the route to the target leaves by {seen.route_interface or 'no interface'} instead of {path.interface}."
    first = seen.interfaces[(path.namespace, path.interface)]
    if path.kind == "card" and first.kind == "macvlan" or path.kind != "card" and first.kind != path.kind:
        return f"{place(path.namespace, path.interface)} is a {first.kind or 'card'} instead of a {path.kind}."
    if path.mode is not None and first.mode != path.mode:
        return f"{place(path.namespace, path.interface)} is in mode {first.mode} instead of {path.mode}."
    if path.kind != "card":
        lower = seen.interfaces[(None, path.through[0])]
        if first.lower != lower.index:
            return f"{place(path.namespace, path.interface)} is not joined to {path.through[0]}."
    if seen.answers < seen.probes:
        return f"Of {seen.probes} probes over {path.interface} only {seen.answers} were answered."
    for hop in path.hops():
        there = seen.interfaces[hop]
        if there.sent < seen.probes or there.received < seen.probes:
            return f"For {seen.probes} probes {place(*hop)} sent {there.sent} and received {there.received} packets: they took another way."
    return _bystander(path, seen, others)


def _bystander(path: Path, seen: Observation, others: Sequence[Path]) -> Optional[str]:
    """Return what speaks for another arm's path having carried the probes: its own interfaces were busy."""
    ours = set(path.hops())
    for other in others:
        for hop in other.hops():
            there = seen.interfaces.get(hop)
            if hop not in ours and there is not None and there.sent >= seen.probes and there.received >= seen.probes:
                return f"{place(*hop)}, which belongs to arm {other.name}, carried {there.sent} packets while {path.name} was probed."
    return None


def _data(path: Path, seen: Observation) -> Dict[str, Any]:
    return {
        "route": {"interface": seen.route_interface, "gateway": seen.gateway},
        "probes": seen.probes,
        "answers": seen.answers,
        "mode": next((found.mode for (namespace, name), found in seen.interfaces.items() if (namespace, name) == path.hops()[0]), None),
        "packets": {place(*key): {"sent": found.sent, "received": found.received} for key, found in sorted(seen.interfaces.items(), key=str)},
    }
