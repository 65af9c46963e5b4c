# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: netns_nodes
short_description: Turn checked nodes into what the module netns_lab takes
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes the nodes as M(datapath.lab.lab_spec) returns them and keeps what a node of namespaces has; sizes are the machine's own.
positional: _mtu
options:
  _input:
    description: The nodes by name.
    type: dict
    required: true
  _mtu:
    description: MTU of all cards in bytes.
    type: int
    default: 1500
"""

EXAMPLES = r"""
nodes: "{{ __netns_lab_spec.nodes | datapath.lab.netns_nodes(1500) }}"
"""

RETURN = r"""
_value:
  description: The option C(nodes) of M(datapath.lab.netns_lab).
  type: list
  elements: dict
  sample: [{name: lb1, nics: [{name: data0, network: data, addresses: [198.18.0.1/24], mac: "52:54:37:a8:01:01", mtu: 1500, queues: 2}]}]
"""

from typing import Any, Callable, Mapping


def netns_nodes(nodes: Mapping[str, Mapping[str, Any]], mtu: int = 1500) -> list[dict[str, Any]]:
    """Return the nodes with their cards; the card's model is of no account, since each is one end of a veth pair."""
    return [{"name": name, "nics": [_nic(nic, mtu) for nic in node["nics"]]} for name, node in nodes.items()]


def _nic(nic: Mapping[str, Any], mtu: int) -> dict[str, Any]:
    return {
        "name": nic["interface"],
        "network": nic["network"],
        "addresses": [nic["address"]] if nic.get("address") else [],
        "mac": nic["mac"],
        "mtu": mtu,
        "queues": nic["queues"],
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"netns_nodes": netns_nodes}
