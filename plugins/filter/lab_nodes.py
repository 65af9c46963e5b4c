# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_nodes
short_description: Gather the nodes of the embedded lab from an inventory
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes the variables of all hosts and returns the variable C(lab_node) of the named ones, as M(datapath.lab.lab_spec) takes it.
  - A host without it gets an empty dictionary, which M(datapath.lab.lab_spec) then refuses by name.
positional: _names
options:
  _input:
    description: The variables of all hosts, usually C(hostvars).
    type: dict
    required: true
  _names:
    description: Names of the hosts that are nodes of the lab.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
nodes: "{{ hostvars | datapath.lab.lab_nodes(groups['lab_nodes']) }}"
"""

RETURN = r"""
_value:
  description: The nodes by name.
  type: dict
  sample: {lb1: {index: 1, cpus: 2, memory_mib: 2048, nics: [{network: data, address: 198.18.0.1/24}]}}
"""

from typing import Any, Callable, Mapping, Sequence


def lab_nodes(hostvars: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Return each named host's ``lab_node``; an empty dictionary for a host that has none, which the check of the lab then refuses."""
    return {name: hostvars[name].get("lab_node", {}) for name in names}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"lab_nodes": lab_nodes}
