#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_services
short_description: Declare IPVS services and destinations, thousands in one task
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Brings the node's IPVS table to the declared services and destinations, with one C(ipvsadm -R) however many lines change.
  - All or nothing. Everything is validated before anything is changed; if the kernel refuses a line, the former table is put back
    and the message names the line.
  - Services that are already as declared are not touched, and keep their connections and counters.
  - A node whose kernel has no IPVS fails with one sentence before anything is changed.
requirements:
  - ipvsadm 1.31 or later on the node
extends_documentation_fragment:
  - datapath.lab.attributes.state
options:
  services:
    description: Services, each with its destinations.
    type: list
    elements: dict
    default: []
    suboptions:
      protocol:
        description: Protocol of a service by O(services[].address) and O(services[].port).
        type: str
        choices: [tcp, udp, sctp]
        default: tcp
      address:
        description: Virtual address, IPv4 or IPv6, without a prefix length.
        type: str
      port:
        description: Virtual port from 1 to 65535; 0 means every port and needs O(services[].persistent).
        type: raw
      fwmark:
        description: Firewall mark from 1 to 4294967295, instead of address and port.
        type: raw
      family:
        description: Address family of a service by O(services[].fwmark), V(ipv4) if not given. For an address it is taken from the address.
        type: str
        choices: [ipv4, ipv6]
      scheduler: &scheduler
        description: Scheduler, one that the node's kernel has, such as V(rr), V(wrr), V(lc), V(wlc), V(sh) or V(mh).
        type: str
        default: wlc
      scheduler_flags: &scheduler_flags
        description:
          - Flags of the scheduler. V(sh-fallback) and V(sh-port) go with V(sh), V(mh-fallback) and V(mh-port) with V(mh),
            V(flag-1), V(flag-2) and V(flag-3) with the others.
        type: list
        elements: str
        default: []
      persistent: &persistent
        description: Connections of one client go to one destination for so many seconds, 1 to 2678400. Not persistent if not given.
        type: raw
      netmask: &netmask
        description: Which clients count as one for O(services[].persistent), as IPv4 mask or as length; one address if not given.
        type: str
      persistence_engine: &persistence_engine
        description: Persistence engine, V(sip) or none; needs O(services[].persistent).
        type: str
      one_packet: &one_packet
        description: Each packet of a UDP or fwmark service is scheduled on its own.
        type: bool
        default: false
      destinations:
        description: Real servers of this service.
        type: list
        elements: dict
        default: []
        suboptions:
          address:
            description: Address of the real server.
            type: str
            required: true
          port:
            description: Port of the real server, the service's own if not given; another one needs V(masquerade).
            type: raw
          weight:
            description: Weight from 0 to 65535; a server of weight 0 gets no new connections.
            type: raw
            default: 1
          method:
            description: How packets reach the real server.
            type: str
            choices: [masquerade, gatewaying, tunnel]
            default: masquerade
          tunnel_type:
            description: Encapsulation for V(tunnel), V(ipip) if not given.
            type: str
            choices: [ipip, gue, gre]
          tunnel_port:
            description: Port for a tunnel of type V(gue), 1 to 65535.
            type: raw
          tunnel_checksum:
            description: Checksum of a tunnel of type V(gue) or V(gre), V(none) if not given; V(remote) is for V(gue) only.
            type: str
            choices: [none, checksum, remote]
          upper_threshold:
            description: No new connections are sent there beyond so many; V(0) means no limit.
            type: raw
            default: 0
          lower_threshold:
            description: New connections are sent there again below so many; at most O(services[].destinations[].upper_threshold).
            type: raw
            default: 0
  ranges:
    description:
      - Runs of alike services, so that 16,000 of them do not travel as 16,000 entries.
      - "Service i (from 0) of a run by address has port O(ranges[].first_port) + i; of a run by mark, mark O(ranges[].first_fwmark) + i."
      - "With O(ranges[].first_destination_port), the k-th destination of the whole run, k = i × O(ranges[].destinations) + j for
        destination j of service i, has port O(ranges[].first_destination_port) + k at O(ranges[].destination_address); where 65535
        would be passed, numbering goes on at the next address with O(ranges[].first_destination_port) again."
      - "Without it, destination j of every service is O(ranges[].destination_address) + j at the service's own port, which is 0 for
        a mark."
    type: list
    elements: dict
    default: []
    suboptions:
      protocol:
        description: Protocol of services by O(ranges[].address) and O(ranges[].first_port).
        type: str
        choices: [tcp, udp, sctp]
        default: tcp
      address:
        description: Virtual address of all services of the run.
        type: str
      first_port:
        description: Port of the first service.
        type: raw
      first_fwmark:
        description: Firewall mark of the first service, instead of address and port.
        type: raw
      family:
        description: Address family of services by O(ranges[].first_fwmark), V(ipv4) if not given.
        type: str
        choices: [ipv4, ipv6]
      services:
        description: How many services.
        type: raw
        default: 1
      destinations:
        description: How many destinations each service has, V(0) for none.
        type: raw
        default: 1
      destination_address:
        description: Address of the first destination; required unless O(ranges[].destinations) is V(0).
        type: str
      first_destination_port:
        description: Port of the first destination, 1 to 65535; how the others are numbered stands at O(ranges).
        type: raw
      weight:
        description: Weight of all destinations, 0 to 65535.
        type: raw
        default: 1
      method:
        description: How packets reach the real servers.
        type: str
        choices: [masquerade, gatewaying, tunnel]
        default: masquerade
      scheduler: *scheduler
      scheduler_flags: *scheduler_flags
      persistent: *persistent
      netmask: *netmask
      persistence_engine: *persistence_engine
      one_packet: *one_packet
  state:
    description:
      - V(present) adds and modifies what is declared and leaves everything else, also further destinations of a declared service.
      - V(exact) makes the table what is declared and removes all else; without any entry it empties the table.
      - V(absent) removes the declared services with all their destinations, whichever destinations are named.
    type: str
    choices: [present, exact, absent]
    default: present
  clear:
    description:
      - When O(state=exact) clears the whole table in one request and loads everything anew, instead of changing what differs.
      - V(disjoint) does so only if no present service is declared, so that services which stay keep their connections and counters;
        V(shorter) also where fewer lines are to be loaded then, which is for tables that carry no traffic.
    type: str
    choices: [disjoint, shorter]
    default: disjoint
  thresholds:
    description:
      - Whether the destinations' connection thresholds are read, compared, and put back after a failure.
      - ipvsadm -S leaves them out, so that this costs a second listing. Set V(false) for a table that is known to have none.
    type: bool
    default: true
  load_module:
    description: Whether to load the kernel module ip_vs if IPVS is not in force; it is not loaded in check mode.
    type: bool
    default: false
  ipvsadm:
    description: The ipvsadm to use, a name or a path.
    type: str
    default: ipvsadm
seealso:
  - module: datapath.lab.ipvs_info
"""

EXAMPLES = r"""
- name: A web service with two real servers
  datapath.lab.ipvs_services:
    services:
      - address: 198.18.0.10
        port: 80
        scheduler: rr
        destinations:
          - {address: 198.18.1.1, port: 8080}
          - {address: 198.18.1.2, port: 8080, weight: 2}

- name: Make the table 16,000 services with one destination each, and nothing else
  datapath.lab.ipvs_services:
    state: exact
    clear: shorter
    thresholds: false
    ipvsadm: /usr/local/sbin/ipvsadm-patched
    ranges:
      - address: 10.0.0.1
        first_port: 30000
        services: 16000
        destinations: 1
        destination_address: 10.1.0.1
        first_destination_port: 10000
        scheduler: rr

- name: Empty the table
  datapath.lab.ipvs_services:
    state: exact
"""

RETURN = r"""
services:
  description: Number of services in the table after the task, counted by the kernel; in check mode the predicted number.
  type: int
  returned: success
  sample: 16000
destinations:
  description: Number of destinations in the table after the task, counted by the kernel; in check mode the predicted number.
  type: int
  returned: success
  sample: 16000
added:
  description: How many services and destinations were added, or would be.
  type: dict
  returned: success
  sample: {services: 16000, destinations: 16000}
modified:
  description: How many services and destinations got other settings, or would.
  type: dict
  returned: success
  sample: {services: 0, destinations: 0}
removed:
  description: How many services and destinations were removed, or would be; destinations of removed services are counted.
  type: dict
  returned: success
  sample: {services: 1000, destinations: 4000}
lines:
  description: How many lines C(ipvsadm -R) was given, or would be.
  type: int
  returned: success
  sample: 32001
duration_s:
  description: Seconds that reading, planning, loading and verifying took on the node.
  type: float
  returned: success
  sample: 10.2
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.apply import Node, ensure

NUMBER = {"type": "raw"}
FAMILY = {"type": "str", "choices": ["ipv4", "ipv6"]}
PROTOCOL = {"type": "str", "choices": ["tcp", "udp", "sctp"], "default": "tcp"}
METHOD = {"type": "str", "choices": ["masquerade", "gatewaying", "tunnel"], "default": "masquerade"}
SETTINGS = {
    "scheduler": {"type": "str", "default": "wlc"},
    "scheduler_flags": {"type": "list", "elements": "str", "default": []},
    "persistent": NUMBER,
    "netmask": {"type": "str"},
    "persistence_engine": {"type": "str"},
    "one_packet": {"type": "bool", "default": False},
}
DESTINATION = {
    "address": {"type": "str", "required": True},
    "port": NUMBER,
    "weight": {"type": "raw", "default": 1},
    "method": METHOD,
    "tunnel_type": {"type": "str", "choices": ["ipip", "gue", "gre"]},
    "tunnel_port": NUMBER,
    "tunnel_checksum": {"type": "str", "choices": ["none", "checksum", "remote"]},
    "upper_threshold": {"type": "raw", "default": 0},
    "lower_threshold": {"type": "raw", "default": 0},
}
SERVICE = {
    "protocol": PROTOCOL,
    "address": {"type": "str"},
    "port": NUMBER,
    "fwmark": NUMBER,
    "family": FAMILY,
    "destinations": {"type": "list", "elements": "dict", "default": [], "options": DESTINATION},
    **SETTINGS,
}
RANGE = {
    "protocol": PROTOCOL,
    "address": {"type": "str"},
    "first_port": NUMBER,
    "first_fwmark": NUMBER,
    "family": FAMILY,
    "services": {"type": "raw", "default": 1},
    "destinations": {"type": "raw", "default": 1},
    "destination_address": {"type": "str"},
    "first_destination_port": NUMBER,
    "weight": {"type": "raw", "default": 1},
    "method": METHOD,
    **SETTINGS,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "dict", "default": [], "options": SERVICE},
            "ranges": {"type": "list", "elements": "dict", "default": [], "options": RANGE},
            "state": {"type": "str", "choices": ["present", "exact", "absent"], "default": "present"},
            "clear": {"type": "str", "choices": ["disjoint", "shorter"], "default": "disjoint"},
            "thresholds": {"type": "bool", "default": True},
            "load_module": {"type": "bool", "default": False},
            "ipvsadm": {"type": "str", "default": "ipvsadm"},
        },
        supports_check_mode=True,
    )
    started = time.monotonic()
    try:
        result = ensure(Node(runner_of(module), module.params["ipvsadm"]), module.params, module.check_mode, module._diff)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(duration_s=round(time.monotonic() - started, 3), **result)


if __name__ == "__main__":
    main()
