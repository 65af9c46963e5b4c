# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: arm_series
short_description: The runs of a step's arms, one after another
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes the arms of a step in their order and returns for each its name and the network namespace that it runs in.
positional: _namespaces
options:
  _input:
    description: The arms; an A/A control is called like its arm with C(#control) behind.
    type: list
    elements: str
    required: true
  _namespaces:
    description: Network namespace by arm, V(null) for the node's own.
    type: dict
    required: true
"""

EXAMPLES = r"""
series: "{{ ['veth', 'bare'] | datapath.lab.arm_series({'bare': none, 'veth': 'pod1'}) }}"
"""

RETURN = r"""
_value:
  description: One entry for each arm.
  type: list
  elements: dict
  sample: [{name: veth, namespace: pod1}, {name: bare, namespace: null}]
"""

from typing import Any, Callable, Mapping, Optional, Sequence

from ansible.errors import AnsibleFilterError


def arm_series(arms: Sequence[str], namespaces: Mapping[str, Optional[str]]) -> list[dict[str, Optional[str]]]:
    """Return name and namespace of each arm, in the order of the arms; a control runs where its arm does."""
    unknown = [arm for arm in arms if arm.partition("#")[0] not in namespaces]
    if unknown:
        raise AnsibleFilterError(f"There is no namespace for the arm {unknown[0]!r}; there are some for {', '.join(namespaces)}.")
    return [{"name": arm, "namespace": namespaces[arm.partition("#")[0]]} for arm in arms]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"arm_series": arm_series}
