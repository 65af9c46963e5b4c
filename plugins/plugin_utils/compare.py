# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between two environments, and between the nodes of one.

An environment is the content of ``environment.json``: ``{"nodes": {host: facts}, "lab": {…}, "controller": {…}}``. Facts are
compared as flat keys (``kernel.release``, ``nics.eth0.driver``), so that a diff shows the one sysctl that changed and not the
whole node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

ABSENT = "–"

# Facts that differ each time somebody looks; as a difference between two runs they say nothing about the setting.
VOLATILE = re.compile(
    r"(^|[._])(uptime(_s)?|captured|recorded|created|now|boot_time|boot_id|loadavg|load_average"
    r"|mem(ory)?_(free|available)(_\w+)?|free_(kb|kib|bytes|mib)|steal\w*)$"
)
# What names an element of a list, so that two lists are compared by element and not by place.
_NAMES = ("name", "interface", "ifname", "device", "host", "id")


@dataclass(frozen=True)
class Difference:
    """One fact that differs: ``before`` and ``after`` as people read them, ``–`` where it does not exist."""

    node: str
    key: str
    before: str
    after: str

    def as_dict(self) -> dict[str, str]:
        """Return it for a module's result."""
        return {"node": self.node, "key": self.key, "before": self.before, "after": self.after}


def flatten(value: Any, prefix: str = "") -> dict[str, str]:
    """Return nested facts as flat keys with readable values."""
    if isinstance(value, Mapping):
        flat: dict[str, str] = {}
        for key, inner in value.items():
            flat.update(flatten(inner, f"{prefix}.{key}" if prefix else str(key)))
        return flat or {prefix: "none"}
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(element, Mapping) for element in value):
            name = next((name for name in _NAMES if all(name in element for element in value)), None)
            flat = {}
            for place, element in enumerate(value):
                rest = {key: inner for key, inner in element.items() if key != name}
                flat.update(flatten(rest, f"{prefix}.{element[name] if name else place}"))
            return flat
        return {prefix: ", ".join(_readable(element) for element in value) or "none"}
    return {prefix: _readable(value)}


def _readable(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (Mapping, list, tuple)):
        return "; ".join(f"{key} {inner}" if key else inner for key, inner in flatten(value).items())
    text = " ".join(str(value).split())
    return text or "empty"


def diff_environments(before: Mapping[str, Any], after: Mapping[str, Any], volatile: bool = False) -> list[Difference]:
    """Return what differs between two environments, node by node.

    :param before: content of one ``environment.json``.
    :param after: content of another one.
    :param volatile: also list facts that differ each time somebody looks, such as the uptime.
    """
    differences: list[Difference] = []
    nodes_before, nodes_after = before.get("nodes") or {}, after.get("nodes") or {}
    for node in [*nodes_before, *(name for name in nodes_after if name not in nodes_before)]:
        if node not in nodes_after or node not in nodes_before:
            present = node in nodes_before
            differences.append(Difference(node, "node", "present" if present else ABSENT, ABSENT if present else "present"))
            continue
        differences.extend(_diff(node, nodes_before[node], nodes_after[node], volatile))
    for part in ("lab", "controller"):
        differences.extend(_diff(part, before.get(part) or {}, after.get(part) or {}, volatile))
    return differences


def _diff(node: str, before: Any, after: Any, volatile: bool) -> list[Difference]:
    old, new = flatten(before), flatten(after)
    keys = [*old, *(key for key in new if key not in old)]
    return [
        Difference(node, key, old.get(key, ABSENT), new.get(key, ABSENT))
        for key in keys
        if old.get(key) != new.get(key) and key and (volatile or not VOLATILE.search(key))
    ]


@dataclass(frozen=True)
class NodeFact:
    """One fact over all nodes; ``same`` if they agree."""

    group: str
    key: str
    values: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether all nodes have the same value."""
        return len(set(self.values)) == 1


def facts_of_nodes(nodes: Mapping[str, Any]) -> list[NodeFact]:
    """Return the facts of all nodes side by side, in the order in which the first node that has them lists them."""
    flat = {node: flatten(facts) for node, facts in nodes.items()}
    keys: dict[str, None] = {}
    for facts in flat.values():
        keys.update(dict.fromkeys(facts))
    return [NodeFact(key.split(".")[0], key, tuple(facts.get(key, ABSENT) for facts in flat.values())) for key in keys if key]


def same_question(plan_before: Mapping[str, Any], plan_after: Mapping[str, Any]) -> Sequence[str]:
    """Return sentences on what makes two runs' cells hard to compare: another experiment, substrate, accelerator or preset."""
    return [
        f"The {word} differs: {plan_before.get(key)} there, {plan_after.get(key)} here."
        for key, word in (("experiment", "experiment"), ("substrate", "substrate"), ("accelerator", "accelerator"), ("preset", "preset"))
        if plan_before.get(key) != plan_after.get(key)
    ]
