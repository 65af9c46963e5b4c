#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: experiment_report
short_description: Report what an experiment's numbers support
version_added: "0.1.0"
description:
  - Makes the report of a run directory from its C(plan.json), C(environment.json), C(measurements.jsonl) and C(analysis.json), and
    from nothing else.
  - The answer stands first, and only where the analysis' verdict supports it. What is not resolved or invalid is named as such.
  - C(report.html) is one file that loads nothing from elsewhere, C(report.md) shows the plots from C(plots/) beside it,
    C(measurements.csv) has one line per run and metric.
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
    details: The same results give the same files; one that would not change is not touched.
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  bypass_host_loop:
    description: Forces a global task that does not execute per host.
    support: none
options:
  path:
    description: The run directory, or a link to it such as C(results/ipvs_dump/latest).
    type: path
    required: true
  formats:
    description: Which files to make. Markdown brings its plots along.
    type: list
    elements: str
    choices: [html, md, csv]
    default: [html, md, csv]
  compare_with:
    description:
      - Another run directory of the same experiment, such as yesterday's kernel, to be set beside this one.
      - The cells are compared unpaired, since runs of two sessions share no blocks; the two environments are compared fact by fact.
    type: path
seealso:
  - module: datapath.lab.experiment_analyse
"""

EXAMPLES = r"""
- name: Report the newest run
  datapath.lab.experiment_report:
    path: results/ipvs_dump/latest

- name: Set today's kernel beside yesterday's
  datapath.lab.experiment_report:
    path: results/ipvs_dump/20261121T050000Z
    compare_with: results/ipvs_dump/20261120T050000Z
    formats: [html]
"""

RETURN = r"""
report_html:
  description: The HTML report; null if it was not asked for.
  returned: success
  type: str
  sample: /srv/lab/results/ipvs_dump/20261120T050000Z/report.html
report_md:
  description: The Markdown report; null if it was not asked for.
  returned: success
  type: str
  sample: /srv/lab/results/ipvs_dump/20261120T050000Z/report.md
csv:
  description: All runs, one line per run and metric; null if it was not asked for or there is no C(measurements.jsonl).
  returned: success
  type: str
  sample: /srv/lab/results/ipvs_dump/20261120T050000Z/measurements.csv
plots:
  description: The plots that the Markdown report shows, each for a light and for a dark page.
  returned: success
  type: list
  elements: str
  sample:
    - /srv/lab/results/ipvs_dump/20261120T050000Z/plots/ratio-base-patched.svg
    - /srv/lab/results/ipvs_dump/20261120T050000Z/plots/ratio-base-patched-dark.svg
answer:
  description: What the numbers support, one sentence each; then what they leave open and what is invalid.
  returned: success
  type: list
  elements: str
  sample:
    - At 16000×1, patched is 6.6 times as fast as base (95 % interval 6.3 to 6.9).
"""
