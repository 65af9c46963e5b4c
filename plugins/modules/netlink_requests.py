#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netlink_requests
short_description: Prove by its netlink requests which path a command takes
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs a command, counts the netlink requests that it and its children make, and returns a witness against what was expected.
  - A tool that can list everything with one request falls back to one request per entry in silence on a kernel that lacks the fast
    path; no output and no exit status tells.
  - The command's output is thrown away. The witness is V(missing), with the reason, where the node has no way of counting or the command
    fails; the task itself fails only for invalid options.
requirements:
  - A kernel with kprobe events and histogram triggers, as Debian's, or strace 5.5 or later
extends_documentation_fragment:
  - datapath.lab.attributes.measurement
options:
  argv:
    description: The command and its arguments.
    type: list
    elements: str
  expect: &expect
    description: What the command must ask for; at least one bound.
    type: dict
    suboptions:
      min:
        description: Least number of netlink requests in all, look-ups of families included.
        type: raw
      max:
        description: Greatest number of netlink requests in all, look-ups of families included.
        type: raw
      commands:
        description:
          - Bounds of single generic netlink commands, a mapping from the name to a mapping with C(min), C(max) or both.
          - Names are those of the family IPVS, such as V(GET_DEST) or V(GET_SERVICE_DEST), or a family and a command with a blank between
            them, such as V(nlctrl GETFAMILY).
        type: dict
        default: {}
  commands:
    description: Several commands in one task, instead of O(argv) and O(expect); each is run once, one after the other.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the witness in the result.
        type: str
        required: true
      argv:
        description: The command and its arguments.
        type: list
        elements: str
        required: true
      expect:
        <<: *expect
        required: true
  method:
    description:
      - How requests are counted. V(tracing) has the kernel count, which costs next to nothing and sees generic netlink; V(strace) stops the
        command at each request, which is about five times slower with thousands of them, and sees other netlink families too.
      - V(auto) is tracing where the node can do it, else strace.
    type: str
    choices: [auto, tracing, strace]
    default: auto
  timeout_s:
    description: Seconds that each command may take while it is observed.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Prove that the patched ipvsadm lists 16,000 services with one request
  datapath.lab.netlink_requests:
    argv: [/usr/local/sbin/ipvsadm-patched, -Sn]
    expect:
      max: 10
      commands:
        GET_SERVICE_DEST: {min: 1, max: 1}
        GET_DEST: {max: 0}
  register: fast

- name: Prove both arms in one task
  datapath.lab.netlink_requests:
    commands:
      - name: base
        argv: [/usr/local/sbin/ipvsadm-base, -Sn]
        expect: {commands: {GET_DEST: {min: 16000, max: 16000}}}
      - name: patched
        argv: [/usr/local/sbin/ipvsadm-patched, -Sn]
        expect: {max: 10}
  register: arms
"""

RETURN = r"""
witness:
  description: The witness of the command given by O(argv).
  type: dict
  returned: success with O(argv), except in check mode
  contains: &witness
    state:
      description: V(proved), V(refuted), or V(missing) where it could not be counted.
      type: str
      returned: always
      sample: proved
    evidence:
      description: The evidence in a sentence.
      type: str
      returned: always
      sample: The command made 1 GET_SERVICE_DEST requests where exactly 1 were expected.
    data:
      description:
        - The numbers, C(requests) in all and C(by_command), C(sockets) opened where strace counted, the C(method) with a C(note) on why it
          was not tracing, the command's C(rc), C(duration_s) in seconds.
      type: dict
      returned: always
      sample:
        argv: [/usr/local/sbin/ipvsadm-patched, -Sn]
        expected: {GET_SERVICE_DEST: exactly 1}
        requests: 5
        sockets: null
        by_command: {IPVS GET_INFO: 1, IPVS GET_SERVICE_DEST: 1, nlctrl GETFAMILY: 3}
        method: tracing
        note: ""
        rc: 0
        duration_s: 0.7
witnesses:
  description: The witnesses of O(commands) by name, each as RV(witness).
  type: dict
  returned: success with O(commands), except in check mode
  sample:
    patched: {state: proved, evidence: The command made 5 netlink requests where at most 10 were expected., data: {requests: 5}}
argv:
  description: The commands that would be observed.
  type: list
  elements: list
  returned: in check mode
  sample: [[/usr/local/sbin/ipvsadm-patched, -Sn]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils import netlink_requests
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError


def main() -> None:
    bounds = {"min": {"type": "raw"}, "max": {"type": "raw"}, "commands": {"type": "dict", "default": {}}}
    command = {
        "name": {"type": "str", "required": True},
        "argv": {"type": "list", "elements": "str", "required": True},
        "expect": {"type": "dict", "required": True, "options": bounds},
    }
    module = AnsibleModule(
        argument_spec={
            "argv": {"type": "list", "elements": "str"},
            "expect": {"type": "dict", "options": bounds},
            "commands": {"type": "list", "elements": "dict", "options": command},
            "method": {"type": "str", "choices": list(netlink_requests.METHODS), "default": "auto"},
            "timeout_s": {"type": "float", "default": 300},
        },
        mutually_exclusive=[("argv", "commands")],
        required_one_of=[("argv", "commands")],
        required_by={"argv": "expect"},
        supports_check_mode=True,
    )
    try:
        result = netlink_requests.witnesses(module.params, module.get_bin_path("strace") is not None, module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
