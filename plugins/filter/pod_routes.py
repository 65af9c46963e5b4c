# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pod_routes
short_description: The routes by which other nodes reach namespaces
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes namespaces as the option O(datapath.lab.netns_pod#module:pods) has them and returns a route to each of their networks.
positional: _via
options:
  _input:
    description: The namespaces.
    type: list
    elements: dict
    required: true
  _via:
    description: Address of the node that holds them.
    type: str
    required: true
"""

EXAMPLES = r"""
routes: "{{ netns_pod_pods | datapath.lab.pod_routes('198.18.0.2') }}"
"""

RETURN = r"""
_value:
  description: The option C(routes) of M(datapath.lab.ip_routes).
  type: list
  elements: dict
  sample: [{to: 198.19.0.0/30, via: 198.18.0.2}]
"""

import ipaddress
from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def pod_routes(pods: Sequence[Mapping[str, Any]], via: str) -> list[dict[str, str]]:
    """Return one route for each network in which a namespace has an address, in the order of the namespaces."""
    try:
        networks = [str(ipaddress.ip_interface(text).network) for pod in pods for text in pod.get("addresses", [])]
    except ValueError as error:
        raise AnsibleFilterError(f"A namespace has something that is no address with a prefix, such as 198.19.0.2/30: {error}.") from error
    return [{"to": network, "via": via} for network in dict.fromkeys(networks)]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"pod_routes": pod_routes}
