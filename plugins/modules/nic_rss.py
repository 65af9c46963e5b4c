#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_rss
short_description: Set receive-side scaling of a network device
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Sets the RSS indirection table, its key and function, and the fields of a flow that are hashed.
  - Only the default removes the kernel's mark that the table is configured, so whether it was the default is recorded for the restore.
  - The kernel does not show that mark; a table in one of the two orders that drivers lay down is taken for the default.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning
options:
  interface:
    description: Name of the interface.
    type: str
    required: true
  table:
    description:
      - V(spread) gives each queue the same share; a table that does so already stays as it is.
      - V(list) uses only the queues of O(queues), in turn.
      - V(default) is the kernel's own.
    type: str
    choices: [spread, list, default]
  queues:
    description: Queue numbers, for O(table=list).
    type: list
    elements: int
  key:
    description: The hash key as hex bytes with colons between.
    type: str
  function:
    description: The hash function, such as V(toeplitz).
    type: str
  hash_fields:
    description: Flow type, such as C(tcp4) or C(udp4), to the letters of C(ethtool -N) for the fields that are hashed, such as V(sdfn).
    type: dict
    default: {}
seealso:
  - module: datapath.lab.tuning_journal
  - module: datapath.lab.nic_info
"""

EXAMPLES = r"""
- name: Only the first two queues
  datapath.lab.nic_rss:
    interface: eth0
    table: list
    queues: [0, 1]
"""

RETURN = r"""
changes:
  description: The settings that were changed, or would be; C(before) is null for what an earlier change makes.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "rss/table", "before": [0, 1, 2, 3], "after": [0, 1, 0, 1]}]
notes:
  description: What was left out or adapted, one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
deadman:
  description: The armed dead-man timer; null if none is armed.
  returned: success
  type: dict
  sample: null
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import wiring


def main():
    """Read the wish, carry it out, report."""
    module = AnsibleModule(
        argument_spec={
            **wiring.COMMON,
            "interface": {"type": "str", "required": True},
            "table": {"type": "str", "choices": ["spread", "list", "default"]},
            "queues": {"type": "list", "elements": "int"},
            "key": {"type": "str", "no_log": False},
            "function": {"type": "str"},
            "hash_fields": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wish = {
            "rss": params["table"],
            "rss_queues": params["queues"],
            "rss_key": params["key"],
            "rss_function": params["function"],
            "hash_fields": params["hash_fields"],
        }
        result = wiring.tune(module, [params["interface"]], wish)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
