# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Static routes of a node, as values and as a plan."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.netns.links import objects_of


@dataclass(frozen=True)
class StaticRoute:
    """A route to a prefix through a gateway, out of an interface when one is named."""

    to: str
    via: str
    dev: Optional[str]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> StaticRoute:
        """Read and check one route of the module's parameters."""
        try:
            to = ipaddress.ip_network(str(given["to"]))
            via = ipaddress.ip_address(str(given["via"]))
        except ValueError as error:
            raise InvalidValueError(
                f"The route to {given['to']!r} via {given['via']!r} is not one: 'to' is a prefix such as "
                f"198.19.0.0/24, 'via' an address ({error})."
            ) from error
        if to.version != via.version:
            raise InvalidValueError(f"The route to {to} cannot go via {via}: one is IPv{to.version}, the other IPv{via.version}.")
        return cls(to.with_prefixlen, str(via), given.get("dev"))

    @property
    def family(self) -> str:
        """The option of ``ip`` for its address family."""
        return "-6" if ":" in self.to else "-4"

    def __str__(self) -> str:
        return f"{self.to} via {self.via}{f' dev {self.dev}' if self.dev else ''}"


def find(run: Run, wanted: Sequence[StaticRoute]) -> Dict[str, StaticRoute]:
    """Return the node's routes to the wanted prefixes, by prefix.

    [{"dst":"198.19.0.0/30","gateway":"198.18.0.11","dev":"data0","flags":[]}]
    """
    found: Dict[str, StaticRoute] = {}
    for route in wanted:
        text = run(["ip", route.family, "-j", "route", "show", "exact", route.to]).require(f"list the route to {route.to}").stdout
        for entry in objects_of(text):
            if entry.get("gateway"):
                found[route.to] = StaticRoute(route.to, str(entry["gateway"]), entry.get("dev"))
    return found


def plan(have: Mapping[str, StaticRoute], wanted: Sequence[StaticRoute], present: bool) -> List[List[str]]:
    """Return the commands that make the wanted routes, or remove them; empty when all is as wanted."""
    if not present:
        return [["ip", route.family, "route", "delete", route.to, "via", route.via] for route in wanted if _same(have.get(route.to), route)]
    return [
        ["ip", route.family, "route", "replace", route.to, "via", route.via, *(["dev", route.dev] if route.dev else [])]
        for route in wanted
        if not _same(have.get(route.to), route)
    ]


def _same(have: Optional[StaticRoute], want: StaticRoute) -> bool:
    return have is not None and have.via == want.via and want.dev in (None, have.dev)
