# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the JSON of ``ip -j -d address show``; shared by everything that looks at links."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError


@dataclass(frozen=True)
class Link:
    """One interface as the kernel has it.

    ``kind``: veth, macvlan, bridge, … or None for a card; ``mode``: a macvlan's; ``lower``: index of the device below or of the peer;
    ``lower_name``: its name when it is in the same namespace; ``master``: the bridge that it is a port of; ``alias``: the
    free text that its maker has left on it; ``state``: UP when it carries packets.
    """

    name: str
    index: int
    kind: Optional[str]
    mode: Optional[str]
    lower: Optional[int]
    lower_name: Optional[str]
    master: Optional[str]
    mac: str
    mtu: int
    up: bool
    tx_queues: int
    rx_queues: int
    addresses: Tuple[str, ...]
    alias: Optional[str] = None
    state: str = "UNKNOWN"


def links_of(text: str) -> Dict[str, Link]:
    """Return the interfaces by name.

    [{"ifindex":2,"link_index":2,"ifname":"data0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"link_netnsid":0,
      "address":"02:00:00:00:00:01","linkinfo":{"info_kind":"veth"},"num_tx_queues":2,"num_rx_queues":2,
      "addr_info":[{"family":"inet","local":"198.18.0.11","prefixlen":24,"scope":"global"}]}]
    """
    found = {link.name: link for link in map(_link_of, objects_of(text))}
    # ip prints the name of the device below in place of its index when both are in one namespace.
    indexes = {name: link.index for name, link in found.items()}
    return {
        name: link if link.lower is not None or link.lower_name not in indexes else replace(link, lower=indexes[link.lower_name])
        for name, link in found.items()
    }


def objects_of(text: str) -> List[Mapping[str, Any]]:
    """Return the list of objects that ``ip -j`` printed; it may print nothing for an empty list, and ``{}`` for what a filter left out."""
    if not text.strip():
        return []
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ParseError("ip -j", f"the output is not JSON ({error})", text) from error
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ParseError("ip -j", "the output is not a list of objects", text)
    return [entry for entry in found if entry]


def _link_of(entry: Mapping[str, Any]) -> Link:
    try:
        info = entry.get("linkinfo") or {}
        data = info.get("info_data") or {}
        return Link(
            name=str(entry["ifname"]),
            index=int(entry["ifindex"]),
            kind=info.get("info_kind"),
            mode=data.get("mode") if info.get("info_kind") in ("macvlan", "macvtap") else None,
            lower=entry.get("link_index"),
            lower_name=entry.get("link"),
            master=entry.get("master"),
            mac=str(entry.get("address", "")),
            mtu=int(entry["mtu"]),
            up="UP" in entry["flags"],
            tx_queues=int(entry.get("num_tx_queues", 1)),
            rx_queues=int(entry.get("num_rx_queues", 1)),
            addresses=tuple(
                f"{address['local']}/{address['prefixlen']}" for address in entry.get("addr_info", []) if address.get("scope") != "link"
            ),
            alias=entry.get("ifalias"),
            state=str(entry.get("operstate", "UNKNOWN")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ParseError("ip -j", f"an interface lacks what each has ({error!r})", json.dumps(entry, default=str)) from error
