# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cpumask
short_description: A CPU list as the kernel's mask
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes a CPU list, or a list of CPU numbers, and returns the hexadecimal mask in groups of 32 bits.
positional: width
options:
  _input:
    description: A CPU list such as V(1-7), or a list of numbers.
    type: raw
    required: true
  width:
    description: Number of bits to pad to; V(0) writes no leading zeros.
    type: int
    default: 0
"""

EXAMPLES = r"""
mask: "{{ '1-7' | datapath.lab.cpumask }}"
"""

RETURN = r"""
_value:
  description: The mask.
  type: str
  sample: fe
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask as masks


def cpumask(cpus: Any, width: int = 0) -> str:
    """Return the mask of a CPU list or of CPU numbers."""
    try:
        return masks.format_mask(masks.parse_list(str(cpus)) if isinstance(cpus, (str, int)) else masks.of(int(cpu) for cpu in cpus), width)
    except (LabError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"cpumask: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"cpumask": cpumask}
