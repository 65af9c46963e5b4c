#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: measurement_record
short_description: Append the runs of one step to an experiment's record
version_added: "0.1.0"
description:
  - Appends one line per run to C(measurements.jsonl) of a run directory, and returns when the lines are on the disk.
  - A run is recorded once per attempt; a second time is refused.
  - A line that a killed controller left unfinished is moved aside to C(raw/) first and never counted.
  - Runs on the controller only.
author:
  - Datapath Lab contributors (@datapath-lab)
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: Everything is checked and nothing is written.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
  idempotent:
    description: When run twice in a row outside C(check_mode), with the same arguments, the second invocation indicates no change.
    support: none
    details: Each run is recorded once; a second time is refused.
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
  runs:
    description: Run ids of the plan, or the RV(datapath.lab.experiment_plan#module:pending[].runs) of a step.
    type: list
    elements: raw
    required: true
  attempt:
    description: The attempt at these runs, where O(runs) has ids only.
    type: int
    default: 1
  host:
    description: The node that was measured.
    type: str
    default: ""
  witness:
    description: The witness of all these runs - C(state) V(proved), V(refuted) or V(missing), C(evidence) as text, C(data).
    type: dict
  witnesses:
    description: The same by arm; takes precedence. A control takes its arm's. An arm without a witness gets the state V(missing).
    type: dict
    default: {}
  measurement:
    description: The measurement of a step with one run, as a workload module returns it.
    type: dict
  measurements:
    description: Measurements by arm. An arm without one is recorded as failed. The control of the arm C(base) is the arm C(base#control).
    type: dict
    default: {}
  failed:
    description: Why the step failed, in one sentence. Its runs are recorded as failed, and their block is repeated.
    type: str
"""

EXAMPLES = r"""
- name: Record what a step has measured
  datapath.lab.measurement_record:
    path: "{{ plan.path }}"
    runs: "{{ step.runs }}"
    host: "{{ inventory_hostname }}"
    witnesses:
      base: {state: proved, evidence: 1001 netlink requests, data: {requests: 1001}}
      patched: {state: proved, evidence: 1 netlink request, data: {requests: 1}}
    measurements:
      base: "{{ measured_base.measurement }}"
      patched: "{{ measured_patched.measurement }}"

- name: Record that a step failed
  datapath.lab.measurement_record:
    path: "{{ plan.path }}"
    runs: "{{ step.runs }}"
    failed: The load balancer did not answer within 30 s.
"""

RETURN = r"""
recorded:
  description: Ids of the runs that were recorded.
  returned: success
  type: list
  elements: str
  sample: [r00001, r00002]
invalid:
  description: Why runs will not count, by arm.
  returned: success
  type: dict
  sample: {"patched": ["steal_fraction at server was 0.03, above the declared limit of 0.01."]}
repaired:
  description: What was moved aside if the record's last line was torn, else V(null).
  returned: success
  type: str
  sample: null
done:
  description: Number of runs that are recorded.
  returned: success
  type: int
  sample: 14
total:
  description: Number of runs, with those of repeated blocks.
  returned: success
  type: int
  sample: 35
percent:
  description: Progress by time, in percent.
  returned: success
  type: int
  sample: 45
block:
  description: The latest block that was begun.
  returned: success
  type: int
  sample: 3
blocks:
  description: Number of blocks.
  returned: success
  type: int
  sample: 10
elapsed_s:
  description: Time spent on the experiment so far, without interruptions, in seconds.
  returned: success
  type: float
  sample: 294.1
remaining_s:
  description: Predicted time for the rest, in seconds.
  returned: success
  type: float
  sample: 359.4
text:
  description: Progress for people.
  returned: success
  type: str
  sample: "block 3 of 10 · 45 % · 6 min left"
"""
