# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: workload_services
short_description: Say how each workload server is started and asked
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Takes names of workload servers and returns for each its command line, port and check, as M(datapath.lab.supervised_service) and
    M(datapath.lab.service_check) take them.
positional: _address, _ports, _directory
options:
  _input:
    description: Names of C(netserver), C(iperf3), C(sockperf_tcp), C(sockperf_udp), C(redis), C(nginx), C(counters).
    type: list
    elements: str
    required: true
  _address:
    description: The one address that all of them listen on.
    type: str
    required: true
  _ports:
    description: A port by name, for those that shall not use their own.
    type: dict
    required: true
  _directory:
    description: Where the role has put the files that some of them need.
    type: str
    required: true
"""

EXAMPLES = r"""
services: "{{ ['netserver', 'counters'] | datapath.lab.workload_services('10.0.0.2', {}, '/usr/local/lib/datapath.lab') }}"
"""

RETURN = r"""
_value:
  description: C(name), C(argv), C(target) (name, address, port, check) and C(replaces) (units of the distribution) of each.
  type: list
  elements: dict
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.services.catalogue import services


def workload_services(names: Sequence[str], address: str, ports: Mapping[str, int], directory: str) -> list[dict[str, Any]]:
    """Return name, command line, port and check of each wanted workload server."""
    try:
        return services(names, address, ports, directory)
    except LabError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"workload_services": workload_services}
