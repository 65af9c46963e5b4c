# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter: the commands of the arms of a step."""

from __future__ import annotations

DOCUMENTATION = r"""
name: arm_commands
short_description: The commands of the arms of a step
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Gives each arm the command that stands for it, in the form of the option O(datapath.lab.hyperfine#module:commands).
  - The control of an arm, such as C(base#control), has the arm's own command, and its own name.
positional: argv
options:
  _input:
    description: Names of the arms, in order.
    type: list
    elements: str
    required: true
  argv:
    description: From an arm's name to its program and arguments.
    type: dict
    required: true
"""

EXAMPLES = r"""
# {{ ['base', 'base#control'] | datapath.lab.arm_commands({'base': ['ipvsadm', '-Sn']}) }}
"""

RETURN = r"""
_value:
  description: One entry per arm, with its name and argv.
  type: list
  elements: dict
  sample: [{name: base, argv: [ipvsadm, -Sn]}]
"""

from typing import Any, Callable, Dict, List, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def arm_commands(arms: Sequence[str], argv: Mapping[str, Sequence[str]]) -> List[Dict[str, Any]]:
    """Return ``[{name, argv}]`` for the arms, in their order."""
    commands = []
    for arm in arms:
        name = arm.split("#")[0]
        if name not in argv:
            raise AnsibleFilterError(f"arm_commands: there is no command for the arm {name!r}; there is one for: {', '.join(argv)}.")
        commands.append({"name": arm, "argv": list(argv[name])})
    return commands


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"arm_commands": arm_commands}
