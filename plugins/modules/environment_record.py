#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: environment_record
short_description: Keep the environment of the nodes beside the measurements
version_added: "0.1.0"
description:
  - Writes C(environment.json) of a run directory - what is known of each node, of the lab and of the controller.
  - Nodes that were recorded before and are not named keep what was recorded.
  - Runs on the controller only.
author:
  - Datapath Lab contributors (@datapath-lab)
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: Nothing is written.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
  idempotent:
    description: When run twice in a row outside C(check_mode), with the same arguments, the second invocation indicates no change.
    support: full
    details: The file is left alone if it says the same.
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  bypass_host_loop:
    description: Forces a global task that does not execute per host.
    support: none

options:
  path:
    description: The run directory.
    type: path
    required: true
  nodes:
    description: Facts by node.
    type: dict
    required: true
  lab:
    description: Further facts of the lab; the plan's substrate and accelerator are added.
    type: dict
    default: {}
  controller:
    description: Further facts of the controller.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Keep the environment beside the measurements
  datapath.lab.environment_record:
    path: "{{ plan.path }}"
    nodes:
      lb1: "{{ hostvars['lb1']['environment'] }}"
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /srv/lab/results/ipvs_dump/20261120T050000Z/environment.json
"""
