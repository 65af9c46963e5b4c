# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_lines
short_description: Tell in lines to be read what is there of a lab
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes what M(datapath.lab.lab_info) or M(datapath.lab.netns_lab_info) returns and says it, one line per guest or node.
options:
  _input:
    description: The result of M(datapath.lab.lab_info) or M(datapath.lab.netns_lab_info).
    type: dict
    required: true
"""

EXAMPLES = r"""
msg: "{{ lab | datapath.lab.lab_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample: ["lb1: running (emulated), process 4242, up over SSH after 8.6 s"]
"""

from typing import Any, Callable, Mapping


def _line(guest: Mapping[str, Any]) -> str:
    if guest["state"] != "running":
        return f"{guest['name']}: {guest['state']}"
    seconds = guest["boot_seconds"]
    up = "not up over SSH yet" if seconds is None else f"up over SSH after {seconds} s"
    return f"{guest['name']}: running ({guest['accelerator'] or 'accelerator unknown'}), process {guest['pid']}, {up}"


def _node_line(node: Mapping[str, Any]) -> str:
    if not node["runs"]:
        return f"{node['name']}: ended"
    cards = (f"{name} {' '.join(card['addresses'])}".rstrip() for name, card in sorted(node["cards"].items()))
    return f"{node['name']}: running (namespaces), process {node['pid']}, {', '.join(cards) or 'no card'}"


def lab_lines(info: Mapping[str, Any]) -> list[str]:
    """Return what is there of a lab, one line per guest or node."""
    lines = [_line(guest) for guest in info.get("guests", [])] + [_node_line(node) for node in info.get("nodes", [])]
    return lines or ["No lab is there; the playbook lab_up makes one."]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"lab_lines": lab_lines}
