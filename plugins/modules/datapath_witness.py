#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: datapath_witness
short_description: Prove which way the packets of an arm take through a node
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - For each path, looks up the route to the target in the path's network namespace, checks the kind and the mode of the interfaces on
    the way and that they are joined, sends probes, and counts packets on the interfaces of all paths meanwhile.
  - A path is V(proved) when every probe was answered, each interface on the way carried all of them in both directions, and no other
    path's own interface did; V(refuted) when something speaks against it; V(missing) when an interface of it is not there.
  - Counters are those of the whole interface; run it before the load of a step, not during it.
extends_documentation_fragment:
  - datapath.lab.attributes.info
options:
  target:
    description: Address to which the probes are sent.
    type: str
    required: true
  probes:
    description: Number of probes for each path.
    type: int
    default: 20
  features:
    description: Also return the offloads of each interface on the way.
    type: bool
    default: false
  paths:
    description: The paths that are claimed.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the arm.
        type: str
        required: true
      kind:
        description:
          - V(card) for a card of the node itself, V(veth) for a namespace behind a routed pair, V(macvlan) for a macvlan on a card.
        type: str
        choices: [card, veth, macvlan]
        required: true
      namespace:
        description: Network namespace in which the workload's client runs; the node's own by default.
        type: str
      interface:
        description: The first interface on the way, in that namespace.
        type: str
        required: true
      through:
        description: Interfaces of the node that the packets then go through, in order.
        type: list
        elements: str
        default: []
      mode:
        description: Mode of the macvlan; any by default.
        type: str
        choices: [private, vepa, bridge, passthru]
"""

EXAMPLES = r"""
- name: Prove the three arms
  datapath.lab.datapath_witness:
    target: 198.18.0.1
    paths:
      - {name: bare, kind: card, interface: data0}
      - {name: veth, kind: veth, namespace: veth, interface: eth0, through: [veth-pod, data0]}
      - {name: macvlan, kind: macvlan, namespace: macvlan, interface: eth0, through: [data0], mode: bridge}
"""

RETURN = r"""
witnesses:
  description: >-
    For each path, by its name, whether it is proved, one sentence of evidence, and the figures (numbers of packets, and with O(features)
    the offloads).
  returned: success
  type: dict
  sample:
    bare:
      state: proved
      evidence: >-
        The route leaves by data0 (card); for 20 probes data0 sent 20 and received 20 packets, and no other arm's.
      data:
        route: {interface: data0, gateway: null}
        probes: 20
        answers: 20
        mode: null
        packets: {data0: {sent: 20, received: 20}}
"""

import ipaddress

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.module_utils.path_witness.judge import KINDS, Path, judge
from ansible_collections.datapath.lab.plugins.module_utils.path_witness.observe import features, observe


def checked_target(text):
    """Return the target's address in normal form."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InvalidValueError(f"The target {text!r} is not an address, such as 198.18.0.1.") from error


def main():
    """Observe each path and judge it."""
    path = {
        "name": {"type": "str", "required": True},
        "kind": {"type": "str", "choices": list(KINDS), "required": True},
        "namespace": {"type": "str"},
        "interface": {"type": "str", "required": True},
        "through": {"type": "list", "elements": "str", "default": []},
        "mode": {"type": "str", "choices": ["private", "vepa", "bridge", "passthru"]},
    }
    module = AnsibleModule(
        argument_spec={
            "target": {"type": "str", "required": True},
            "probes": {"type": "int", "default": 20},
            "features": {"type": "bool", "default": False},
            "paths": {"type": "list", "elements": "dict", "required": True, "options": path},
        },
        supports_check_mode=True,
    )
    run = runner_of(module)
    try:
        target = checked_target(module.params["target"])
        if not 5 <= module.params["probes"] <= 500:
            raise InvalidValueError(f"{module.params['probes']} probes are outside 5 to 500: fewer could be noise, more would take too long.")
        paths = [Path.of(given) for given in module.params["paths"]]
        seen = observe(run, paths, target, module.params["probes"])
        witnesses = {path.name: judge(path, seen[path.name], [other for other in paths if other != path]) for path in paths}
        offloads = {path.name: {"features": features(run, path)} for path in paths if module.params["features"]}
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, witnesses={name: witness.as_dict(offloads.get(name, {})) for name, witness in witnesses.items()})


if __name__ == "__main__":
    main()
