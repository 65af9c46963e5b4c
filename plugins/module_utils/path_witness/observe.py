# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe the way of packets: routes, kinds of interfaces, and their counters while probes are sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.netns.links import Link, links_of, objects_of
from ansible_collections.datapath.lab.plugins.module_utils.path_witness.judge import Observation, Path, Seen, place

Counters = Dict[str, Tuple[int, int]]
FEATURES = (
    "rx-checksumming",
    "tx-checksumming",
    "scatter-gather",
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
    "large-receive-offload",
    "tx-udp-segmentation",
)
SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) (?:packets )?received")


def counters_of(text: str) -> Counters:
    """Return packets sent and received by each interface.

    [{"ifname":"data0",...,"stats64":{"rx":{"bytes":238,"packets":3,...},"tx":{"bytes":824,"packets":10,...}}}]
    """
    try:
        return {str(entry["ifname"]): (int(entry["stats64"]["tx"]["packets"]), int(entry["stats64"]["rx"]["packets"])) for entry in objects_of(text)}
    except (KeyError, TypeError, ValueError) as error:
        raise ParseError("ip -j -s link", f"an interface has no packet counters ({error!r})", text) from error


def route_of(text: str) -> Tuple[Optional[str], Optional[str]]:
    """Return interface and gateway of the route that ``ip -j route get`` found.

    [{"dst":"198.18.0.1","gateway":"198.19.0.1","dev":"eth0","prefsrc":"198.19.0.2","flags":[],"uid":0,"cache":[]}]
    """
    found = objects_of(text)
    if len(found) != 1 or not isinstance(found[0].get("dev"), str):
        raise ParseError("ip -j route get", "there is not one route with an interface", text)
    return found[0]["dev"], found[0].get("gateway")


def answers_of(text: str) -> Tuple[int, int]:
    """Return how many probes were sent and how many were answered.

    20 packets transmitted, 20 received, 0% packet loss, time 21ms
    """
    found = SUMMARY.search(text)
    if found is None:
        raise ParseError("ping", "there is no line of packets transmitted and received", text)
    return int(found.group(1)), int(found.group(2))


def features_of(text: str) -> Dict[str, bool]:
    """Return the offloads that decide how much work a packet is, by name.

    [{"ifname":"data0","rx-checksumming":{"active":true,"fixed":true,"requested":true},"tcp-segmentation-offload":{"active":true,...},...}]
    """
    try:
        (entry,) = objects_of(text)
        return {name: bool(entry[name]["active"]) for name in FEATURES if name in entry}
    except (KeyError, TypeError, ValueError) as error:
        raise ParseError("ethtool --json -k", f"there is not one interface with its features ({error!r})", text) from error


def features(run: Run, path: Path) -> Dict[str, Dict[str, bool]]:
    """Return the offloads of each interface on a path; one that is not there is left out."""
    found = {}
    for namespace, name in path.hops():
        argv = ["ethtool", "--json", "-k", name]
        said = run(["nsenter", f"--net=/run/netns/{namespace}", "--", *argv] if namespace else argv)
        if said.rc == 0:
            found[place(namespace, name)] = features_of(said.stdout)
    return found


@dataclass(frozen=True)
class Snapshot:
    """The interfaces of a namespace, and the packets that each had sent and received, at one moment."""

    links: Mapping[str, Link]
    counters: Counters


Places = Mapping[Optional[str], Optional[Snapshot]]


def observe(run: Run, paths: Sequence[Path], target: str, probes: int) -> Dict[str, Observation]:
    """Send probes over each path in turn, and count packets on the interfaces of all paths in between; by the path's name."""
    hops = {hop for path in paths for hop in path.hops()}
    namespaces: List[Optional[str]] = sorted({namespace for namespace, _name in hops}, key=str)
    # What was counted after one path's probes is what was there before the next one's.
    before: Places = {namespace: _snapshot(run, namespace) for namespace in namespaces}
    found = {}
    for path in paths:
        if before[path.namespace] is None:
            found[path.name] = Observation(None, None, {}, probes, 0)
            continue
        route = run(["ip", *_where(path.namespace), "-j", "route", "get", target])
        interface, gateway = route_of(route.stdout) if route.rc == 0 else (None, None)
        sent, answered = _ping(run, path.namespace, target, probes)
        after: Places = {namespace: _snapshot(run, namespace) for namespace in namespaces}
        interfaces = {hop: seen for hop in hops for seen in [_seen(hop, before, after)] if seen is not None}
        found[path.name] = Observation(interface, gateway, interfaces, sent, answered)
        before = after
    return found


def _ping(run: Run, namespace: Optional[str], target: str, probes: int) -> Tuple[int, int]:
    """Return how many probes were sent and answered, as fast as the answers came and within two seconds."""
    argv = ["ping", "-q", "-n", "-c", str(probes), "-i", "0.002", "-w", "2", target]
    said = run(["nsenter", f"--net=/run/netns/{namespace}", "--", *argv] if namespace else argv)
    sent, answered = answers_of(said.stdout) if said.rc in (0, 1) else (probes, 0)
    return max(sent, probes), answered


def _seen(hop: Tuple[Optional[str], str], before: Places, after: Places) -> Optional[Seen]:
    namespace, name = hop
    first, last = before[namespace], after[namespace]
    if first is None or last is None or name not in first.counters or name not in last.counters:
        return None
    link = last.links[name]
    (sent, received), (sent_before, received_before) = last.counters[name], first.counters[name]
    return Seen(link.kind, link.mode, link.index, link.lower, sent - sent_before, received - received_before)


def _where(namespace: Optional[str]) -> List[str]:
    return ["-n", namespace] if namespace else []


def _snapshot(run: Run, namespace: Optional[str]) -> Optional[Snapshot]:
    """Return a namespace's interfaces and counters, or None when there is no such namespace."""
    listing = run(["ip", *_where(namespace), "-j", "-d", "-s", "address", "show"])
    if namespace is not None and listing.rc != 0:
        return None
    text = listing.require("list the interfaces of the node").stdout
    return Snapshot(links_of(text), counters_of(text))
