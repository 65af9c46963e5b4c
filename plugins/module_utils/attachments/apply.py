# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the attachments of a node, and carry a plan out."""

from __future__ import annotations

import json
import os
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.attachments.model import Attachment, Route
from ansible_collections.datapath.lab.plugins.module_utils.attachments.plan import Action, Forward, HaveNode, Place
from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.netns.links import links_of, objects_of


def find(run: Run, wanted: Sequence[Attachment], proc: str = "/proc") -> HaveNode:
    """Return the node's own interfaces and those of the namespaces that are wanted."""
    names = namespaces_of(run(["ip", "-j", "netns", "list"]).require("list the network namespaces").stdout)
    asked = {attachment.namespace for attachment in wanted if attachment.namespace}
    own = _place(run, None)
    return HaveNode(own, {name: _place(run, name) for name in names if name in asked}, forwarding_of(own.links, proc))


def _place(run: Run, namespace: Optional[str]) -> Place:
    where = ["-n", namespace] if namespace else []
    links = run(["ip", *where, "-j", "-d", "address", "show"]).require(f"list the interfaces of {namespace or 'the node'}").stdout
    if namespace is None:
        return Place(links_of(links))
    routes = run(["ip", *where, "-j", "route", "show"]).require(f"list the routes of namespace {namespace}").stdout
    return Place(links_of(links), routes_of(routes))


def namespaces_of(text: str) -> List[str]:
    """Return the names that ``ip -j netns list`` prints.

    [{"name":"pod1","id":0},{"name":"pod2"}]
    """
    try:
        return [str(entry["name"]) for entry in objects_of(text)]
    except KeyError as error:
        raise ParseError("ip -j netns list", "an entry has no name", text) from error


def routes_of(text: str) -> Mapping[str, Tuple[Route, ...]]:
    """Return the routes by their interface.

    [{"dst":"default","gateway":"198.19.0.1","dev":"eth0","flags":[]},
     {"dst":"198.19.0.0/30","dev":"eth0","protocol":"kernel","scope":"link","prefsrc":"198.19.0.2","flags":[]}]
    """
    routes: Dict[str, List[Route]] = {}
    for entry in objects_of(text):
        if "dst" not in entry:
            raise ParseError("ip -j route", "a route has no destination", json.dumps(entry, default=str))
        if "dev" in entry and entry.get("protocol") != "kernel":
            routes.setdefault(str(entry["dev"]), []).append(Route(_prefix(str(entry["dst"])), entry.get("gateway")))
    return {name: tuple(found) for name, found in routes.items()}


def _prefix(destination: str) -> str:
    # ip leaves the prefix length of a host's route out.
    if destination == "default" or "/" in destination:
        return destination
    return f"{destination}/{128 if ':' in destination else 32}"


def _forwarding_path(interface: str, proc: str) -> str:
    return os.path.join(proc, "sys/net/ipv4/conf", interface, "forwarding")


def forwarding_of(links: Mapping[str, object], proc: str) -> Dict[str, bool]:
    """Return which interfaces forward IPv4; one that vanishes while we look is left out."""
    found = {}
    for name in links:
        path = _forwarding_path(name, proc)
        if os.path.exists(path):
            with open(path, encoding="ascii") as stream:
                found[name] = stream.read().strip() == "1"
    return found


def carry_out(run: Run, actions: Sequence[Action], proc: str = "/proc") -> None:
    """Do what was planned."""
    for action in actions:
        if isinstance(action, Forward):
            with open(_forwarding_path(action.interface, proc), "w", encoding="ascii") as stream:
                stream.write("1\n" if action.on else "0\n")
        else:
            where = ["-n", action.namespace] if action.namespace else []
            run(["ip", *where, "-batch", "-"], stdin="\n".join(action.lines) + "\n").require(str(action))
