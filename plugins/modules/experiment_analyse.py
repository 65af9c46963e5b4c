#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: experiment_analyse
short_description: Analyse the measurements of an experiment
version_added: "0.1.0"
description:
  - Reads the plan and the measurements of a run directory and writes C(analysis.json) - ratios with intervals, verdicts, controls,
    checks against
    physics, and the sentences that the numbers support.
  - Lets C(latest) beside the run directory point to it.
  - Runs on the controller only.
author:
  - Datapath Lab contributors (@datapath-lab)
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: The analysis is made and returned, and nothing is written.
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
"""

EXAMPLES = r"""
- name: Analyse the measurements
  datapath.lab.experiment_analyse:
    path: "{{ plan.path }}"
  register: analysis

- name: Show the answers
  ansible.builtin.debug:
    var: analysis.sentences
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /srv/lab/results/ipvs_dump/20261120T050000Z/analysis.json
latest:
  description: The symbolic link to the newest run.
  returned: success
  type: str
  sample: /srv/lab/results/ipvs_dump/latest
rig:
  description: V(usable) unless an A/A control differs from itself; V(unproved) if there is no complete control.
  returned: success
  type: str
  sample: usable
verdicts:
  description: How many comparisons have which verdict.
  returned: success
  type: dict
  sample: {"better": 12}
witnesses:
  description: How many comparisons have which state of their witnesses.
  returned: success
  type: dict
  sample: {"proved": 12}
complete:
  description: Whether every planned run is recorded.
  returned: success
  type: bool
  sample: true
sentences:
  description: What the numbers support, in words.
  returned: success
  type: list
  elements: str
  sample: ["At 16000x1, patched is 6.59 times as fast as base (95 % interval 6.41 to 6.78, 10 blocks, emulated)."]
not_resolved:
  description: What the numbers do not decide, each with the reason.
  returned: success
  type: list
  elements: str
  sample: []
comparisons:
  description: The comparisons of C(analysis.json).
  returned: success
  type: list
  elements: dict
  sample: [{"point": "16000x1", "reference": "base", "arm": "patched", "speedup": 6.59, "ci95": [6.41, 6.78], "verdict": "better"}]
notes:
  description: What a reader must know beside the figures.
  returned: success
  type: list
  elements: str
  sample: []
"""
