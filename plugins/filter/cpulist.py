# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cpulist
short_description: A kernel's CPU mask as a list
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes a hexadecimal mask, with or without groups, and returns the CPU list.
options:
  _input:
    description: A mask such as V(00000000,000000fe).
    type: str
    required: true
"""

EXAMPLES = r"""
cpus: "{{ '00000000,000000fe' | datapath.lab.cpulist }}"
"""

RETURN = r"""
_value:
  description: The CPU list; empty for a mask of zero.
  type: str
  sample: 1-7
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask


def cpulist(mask: Any) -> str:
    """Return the CPU list of a mask."""
    try:
        return cpumask.format_list(cpumask.parse_mask(str(mask)))
    except LabError as error:
        raise AnsibleFilterError(f"cpulist: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"cpulist": cpulist}
