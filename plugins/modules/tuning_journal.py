#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tuning_journal
short_description: Restore, confirm or look at what tuning has changed on a node
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Works from the journal that every tuning module of this collection writes before its first change.
  - A restore finds a device again by bus address, MAC address or name, whatever its index is now, also after a reboot or after a tuning that was killed.
    It reads every knob again and takes the journal away only when all are as they were.
extends_documentation_fragment:
  - datapath.lab.attributes.state
  - datapath.lab.tuning.journal
options:
  state:
    description:
      - V(status) returns what is recorded, what differs from the originals, and what another hand has changed since the tuning (C(drift)).
      - V(restore) puts everything back, ends persistence, and disarms the dead-man timer.
      - V(confirm) disarms the dead-man timer and keeps the tuning.
      - V(forget) gives the originals up and keeps what is set now.
    type: str
    choices: [status, restore, confirm, forget]
    default: status
  interfaces:
    description:
      - Names of recorded interfaces to restore; all by default.
      - The node's own settings are put back with the last recorded interface.
    type: list
    elements: str
    default: []
seealso:
  - module: datapath.lab.nic_tuning
"""

EXAMPLES = r"""
- name: Put everything back
  datapath.lab.tuning_journal:
    state: restore

- name: The node still answers, so the tuning stays
  datapath.lab.tuning_journal:
    state: confirm

- name: What has somebody else changed?
  datapath.lab.tuning_journal:
  register: journal
"""

RETURN = r"""
journal:
  description:
    - The journal after the operation; C(state) is V(none), V(applied) or V(interrupted) (a tuning was killed on its way).
    - C(differs) has knobs with the original value before and the present one after; C(drift) the value right after the tuning and the present one.
  returned: success
  type: dict
  sample:
    state: applied
    path: /var/lib/datapath-lab/tuning/node.json
    devices: {"eth0": {"name": "eth0", "recognised_by": "bus address"}}
    differs: [{"scope": "eth0", "knob": "rx-0/rps_cpus", "before": "0", "after": "fe"}]
    drift: []
    deadman: null
    persistent: null
changes:
  description: The settings that were put back, or would be.
  returned: success
  type: list
  elements: dict
  sample: [{"scope": "eth0", "knob": "rx-0/rps_cpus", "before": "fe", "after": "0"}]
notes:
  description: What could not be put back because it no longer exists, and devices that have another name now.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import tuning, wiring


def main():
    """Carry the operation out and report the journal."""
    module = AnsibleModule(
        argument_spec={
            **wiring.JOURNAL,
            "state": {"type": "str", "choices": ["status", "restore", "confirm", "forget"], "default": "status"},
            "interfaces": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    store = wiring.store_of(module)
    operations = {
        "status": tuning.Result,
        "restore": lambda: tuning.restore(store, module.params["interfaces"], module.check_mode),
        "confirm": lambda: tuning.confirm(store, module.check_mode),
        "forget": lambda: tuning.forget(store, module.check_mode),
    }
    try:
        result = operations[module.params["state"]]()
        journal = tuning.status(store)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**{**wiring.as_result(result), "journal": journal})


if __name__ == "__main__":
    main()
