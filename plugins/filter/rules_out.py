# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: rules_out
short_description: The arms that a node cannot run
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes capabilities as M(datapath.lab.node_capabilities) returns them and tells which arms of an experiment lack one.
positional: _arms
options:
  _input:
    description: The capabilities by name.
    type: dict
    required: true
  _arms:
    description: The experiment's arms, each with C(name) and perhaps C(requires), a list of capabilities.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
experiment_rules_out: "{{ probe.capabilities | datapath.lab.rules_out(experiment_spec.arms) }}"
"""

RETURN = r"""
_value:
  description: The sentence that rules an arm out, by arm.
  type: dict
  sample: {macvlan: "On lb1 the macvlan arms cannot be made: making a link failed with 'Error: Unknown device type'."}
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def rules_out(capabilities: Mapping[str, Mapping[str, Any]], arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the sentence of the first capability that each arm lacks; an arm that lacks none is not in it."""
    lacking: dict[str, str] = {}
    for arm in arms:
        for name in arm.get("requires", []):
            if name not in capabilities:
                raise AnsibleFilterError(f"The arm {arm['name']} requires the capability {name!r}, which was not tried.")
            if not capabilities[name]["available"]:
                lacking.setdefault(str(arm["name"]), str(capabilities[name]["rules_out"]))
    return lacking


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"rules_out": rules_out}
