# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: address_in
short_description: An address in the network of another
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes an address with prefix and returns the one with a given number in the same network.
positional: _number
options:
  _input:
    description: An address with prefix.
    type: str
    required: true
  _number:
    description: Number of the wanted address, counted from the network's.
    type: int
    required: true
"""

EXAMPLES = r"""
address: "{{ '198.18.1.2/24' | datapath.lab.address_in(245) }}"
"""

RETURN = r"""
_value:
  description: The address with the same prefix.
  type: str
  sample: 198.18.1.245/24
"""

import ipaddress
from typing import Any, Callable

from ansible.errors import AnsibleFilterError


def address_in(text: str, number: int) -> str:
    """Return the address of that number in the network of ``text``, with its prefix."""
    try:
        given = ipaddress.ip_interface(text)
    except ValueError as error:
        raise AnsibleFilterError(f"{text!r} is no address with a prefix, such as 198.18.1.2/24: {error}.") from error
    if not 0 < number < given.network.num_addresses - 1:
        raise AnsibleFilterError(
            f"The network {given.network} has no host of the number {number}; it has 1 to {given.network.num_addresses - 2}."
        )
    return f"{given.network.network_address + number}/{given.network.prefixlen}"


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"address_in": address_in}
