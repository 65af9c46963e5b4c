#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: experiment_plan
short_description: Plan an experiment, or take up an unfinished one
version_added: "0.1.0"
description:
  - Makes the schedule of an experiment - arms by points by workloads by blocks, randomised and mirrored (ABBA) from a recorded seed,
    with an
    A/A control - and predicts how long it takes.
  - Writes it to C(plan.json) in a new directory below O(results), or finds the newest unfinished run of the same spec and returns what
    is missing.
  - In check mode the plan is printed and returned, and nothing is touched.
  - Runs on the controller only.
author:
  - Datapath Lab contributors (@datapath-lab)
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: The plan is made, printed and returned; no directory is made.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
  idempotent:
    description: When run twice in a row outside C(check_mode), with the same arguments, the second invocation indicates no change.
    support: partial
    details: A second run takes up the unfinished run; once that is finished, a new run is made.
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  bypass_host_loop:
    description: Forces a global task that does not execute per host.
    support: none

options:
  spec:
    description:
      - The experiment as data. Required unless O(path) is given.
      - C(name) is the directory's name; C(title) and C(question) are for people.
      - C(arms) is a list of names or of dictionaries with C(name), C(description), C(setup) (arms with one setup share an applied
        state; by default the
        arm's name), C(requires) (capabilities), C(points) (by default all) and free data.
      - C(points) is a list of names or of dictionaries with C(name) and free data.
      - C(workloads) is a list of dictionaries with C(name), C(tool), C(metrics) (the primary ones), C(duration_s) (predicted seconds of
        one run, a number or a
        dictionary from point to number), C(arms) and C(points) (by default all) and free data.
      - C(comparisons) is a list of dictionaries with C(reference), C(arm), C(workload) (by default every one), C(metric) (by default
        every primary
        one), C(points) (by default all) and C(headline).
      - C(control) is a dictionary with C(arm) and C(points) of the A/A control; by default the first comparison's reference at the
        first point.
      - C(published) is a list of dictionaries with C(point), C(workload), C(metric), C(reference), C(arm) and C(speedup) or C(values)
        (arm to C(value),
        C(unit) and C(ci_half_width_relative)).
      - C(presets) is a dictionary from V(quick), V(standard) and V(published) to C(blocks), C(repeats), C(points) (a choice of them),
        C(workloads) (changes by
        name) and free data.
      - C(blocks) and C(repeats) are the defaults of all presets, 10 and 1. With an even C(repeats) each block mirrors itself.
      - C(margin) is the equivalence margin, 0.05 by default. C(retries) is how often a block with a failed or invalid run is repeated,
        2 by default.
      - C(invalidation) is a dictionary of rules declared beforehand, C(max_<counter>) to a number or C(forbid_<counter>) to a boolean;
        by default
        C(max_steal_fraction) 0.01 and C(max_foreign_cpu_fraction) 0.05.
      - C(costs) is a dictionary with C(step_s) and C(setup_change_s), for the prediction of time until it was measured.
    type: dict
  path:
    description: A run directory whose plan is read again, to get what is still missing. Nothing is ever made with it.
    type: path
  preset:
    description: Which of the spec's presets is planned.
    type: str
    choices: [quick, standard, published]
    default: quick
  seed:
    description: Seed of the randomisation, from 0. Without it one is drawn; it is recorded in either case.
    type: int
  results:
    description: The root of all results.
    type: path
    default: results
  blocks:
    description: Number of blocks; replaces the preset's.
    type: int
  resume:
    description: Whether to take up the newest run of the same spec, preset, substrate, accelerator and O(context) if it is unfinished.
    type: bool
    default: true
  substrate:
    description: What the nodes are.
    type: str
    default: hosts
  accelerator:
    description: How the nodes run.
    type: str
    choices: [kvm, emulated, native]
    default: native
  rules_out:
    description: Arms that this lab cannot run, each with the sentence that says why. They stay in the plan and the report.
    type: dict
    default: {}
  capabilities:
    description:
      - State of each capability that an arm may require; V(true), V(false), a sentence that says what is missing, or a dictionary with
        C(available) and C(rules_out) as a probe returns it.
    type: dict
    default: {}
  context:
    description: Whatever else must be the same for a run to be taken up, such as the kernels of the nodes.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Plan the experiment
  datapath.lab.experiment_plan:
    spec:
      name: ipvs_dump
      title: One dump request against one request per service
      question: Does one dump request beat one request per service?
      arms:
        - {name: stock, setup: stock}
        - {name: base, setup: patched}
        - {name: patched, setup: patched}
      points:
        - {name: 1000x4, services: 1000, destinations: 4}
        - {name: 16000x1, services: 16000, destinations: 1}
      workloads:
        - {name: dump, tool: hyperfine, metrics: [time_mean], duration_s: {1000x4: 2, 16000x1: 20}}
      comparisons:
        - {reference: base, arm: patched, headline: true}
        - {reference: stock, arm: patched}
      control: {arm: base, points: [1000x4]}
      presets:
        quick: {blocks: 5}
        published: {blocks: 20}
    preset: quick
    results: "{{ playbook_dir }}/results"
    substrate: qemu
    accelerator: emulated
  register: plan

- name: Show what a step looks like
  ansible.builtin.debug:
    var: plan.pending[0]

- name: Find what is still missing
  datapath.lab.experiment_plan:
    path: "{{ plan.path }}"
"""

RETURN = r"""
path:
  description: The run directory; V(null) in check mode where a new one would be made.
  returned: success
  type: str
  sample: /srv/lab/results/ipvs_dump/20261120T050000Z
run:
  description: Name of the run directory.
  returned: success
  type: str
  sample: 20261120T050000Z
resumed:
  description: Whether an existing run was taken up.
  returned: success
  type: bool
  sample: false
repaired:
  description: What was moved aside if the record's last line was torn, else V(null).
  returned: success
  type: str
  sample: null
plan:
  description: The plan without its runs.
  returned: success
  type: dict
  sample: {"experiment": "ipvs_dump", "seed": 20261120, "blocks": 5, "preset": "quick"}
retries:
  description: How often a block is repeated at most.
  returned: success
  type: int
  sample: 2
pending:
  description: >-
    The steps that are missing, in their order. The runs of a step share block, setup, point and workload, and their arms are in the
    order in which they
    are to be measured.
  returned: success
  type: list
  elements: dict
  sample:
    - step: 1
      block: 1
      repeat: 1
      attempt: 1
      setup: patched
      point: 1000x4
      point_data: {name: 1000x4, services: 1000, destinations: 4}
      workload: dump
      workload_data: {name: dump, tool: hyperfine, metrics: [time_mean], duration_s: 2}
      arms: [patched, base]
      runs:
        - {run: r00001, arm: patched, order: 1, attempt: 1}
        - {run: r00002, arm: base, order: 2, attempt: 1}
done:
  description: Number of runs that are recorded.
  returned: success
  type: int
  sample: 0
total:
  description: Number of runs, with those of repeated blocks.
  returned: success
  type: int
  sample: 35
repeated:
  description: Blocks that were or will be repeated, with point and workload.
  returned: success
  type: list
  elements: dict
  sample: [{"block": 2, "point": "1000x4", "workload": "dump"}]
given_up:
  description: Blocks with a failed or invalid run that are not repeated any more.
  returned: success
  type: list
  elements: dict
  sample: []
predicted_s:
  description: Predicted time for what is missing, in seconds.
  returned: success
  type: float
  sample: 412.5
predicted_text:
  description: The same for people.
  returned: success
  type: str
  sample: 7 min
lines:
  description: The plan for people.
  returned: success
  type: list
  elements: str
  sample: ["Does one dump request beat one request per service?"]
"""
