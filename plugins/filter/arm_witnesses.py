# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter: the witness of each arm of a step."""

from __future__ import annotations

DOCUMENTATION = r"""
name: arm_witnesses
short_description: The witness of each arm of a step
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Joins what was proved once for an arm with what each step checks anew.
  - An arm without a witness is C(missing), so that its comparisons become invalid instead of being trusted.
  - The control of an arm, such as C(base#control), has the arm's witness.
positional: arms, checked, evidence
options:
  _input:
    description: From an arm's name to its witness, with the keys C(state), C(evidence) and C(data).
    type: dict
    required: true
  arms:
    description: Names of the arms of the step.
    type: list
    elements: str
    required: true
  checked:
    description: What this step has checked; becomes part of the witness's C(data).
    type: dict
    default: {}
  evidence:
    description: A sentence on what this step has checked, added to the evidence.
    type: str
    default: ""
"""

EXAMPLES = r"""
# {{ {'base': {'state': 'proved', 'evidence': 'The command made 1001 requests.', 'data': {}}} | datapath.lab.arm_witnesses(['base']) }}
"""

RETURN = r"""
_value:
  description: From each arm's name to its witness.
  type: dict
  sample: {base: {state: proved, evidence: The command made 1001 requests., data: {}}}
"""

from typing import Any, Callable, Dict, Mapping, Optional, Sequence


def arm_witnesses(
    witnesses: Mapping[str, Mapping[str, Any]], arms: Sequence[str], checked: Optional[Mapping[str, Any]] = None, evidence: str = ""
) -> Dict[str, Dict[str, Any]]:
    """Return the witness of each arm, ``missing`` where there is none."""
    found: Dict[str, Dict[str, Any]] = {}
    for arm in arms:
        name = arm.split("#")[0]
        witness = witnesses.get(name, {"state": "missing", "evidence": f"Nothing proves that {name} was in force.", "data": {}})
        found[arm] = {
            "state": witness["state"],
            "evidence": " ".join(part for part in (witness["evidence"], evidence) if part),
            "data": {**witness.get("data", {}), **(checked or {})},
        }
    return found


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"arm_witnesses": arm_witnesses}
