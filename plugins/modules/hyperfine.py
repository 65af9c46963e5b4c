#!/usr/bin/python
# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hyperfine
short_description: Measure the run time of several commands in interleaved blocks
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Measures commands with hyperfine. hyperfine runs all of A and then all of B; this module visits every command once in each block,
    in an order drawn from a seed, so that a drift of the machine falls on all of them alike.
  - Each run is a fresh process, started without a shell.
  - A command that ends with another status than 0, or takes too long, makes its measurement invalid, and it is not visited again.
requirements:
  - hyperfine 1.13 or later on the node
  - GNU timeout on the node
extends_documentation_fragment:
  - datapath.lab.attributes.measurement
options:
  commands:
    description: The commands to compare.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the command in the result, 1 to 64 letters, digits or any of C(_.#:+-).
        type: str
        required: true
      argv:
        description: The program and its arguments.
        type: list
        elements: str
        required: true
  blocks:
    description: How many blocks; in each one every command is visited once.
    type: int
    default: 10
    aliases: [rounds]
  runs:
    description: Measured runs per visit.
    type: int
    default: 1
  warmup:
    description: Runs per visit that are made first and not measured.
    type: int
    default: 0
  order:
    description:
      - V(abba) draws the order of every odd block and mirrors it in the block after it; V(random) draws every block's; V(fixed) keeps
        the order of O(commands).
    type: str
    choices: [abba, random, fixed]
    default: abba
  seed:
    description: Seed of the order; one seed always gives the same order.
    type: int
    default: 0
  output:
    description:
      - Where the commands' standard output goes, V(null), V(pipe), or the absolute path of a file.
      - To F(/dev/null) a write costs next to nothing, and some programs notice it and do less; through a pipe the cost of copying and
        of a reader on the same machine is measured too.
    type: str
    default: "null"
  timeout_s:
    description: Seconds that one visit may take, warm-up included.
    type: float
    default: 600
  environment:
    description: Environment variables for the commands, beside LC_ALL=C and those of the module.
    type: dict
    default: {}
  raw_dir:
    description: Directory on the node into which each visit's JSON export is written; not written if not given.
    type: path
"""

EXAMPLES = r"""
- name: Compare two builds of one tool over twenty blocks
  datapath.lab.hyperfine:
    blocks: 20
    seed: 4711
    commands:
      - {name: base, argv: [/usr/local/sbin/ipvsadm-base, -Sn]}
      - {name: patched, argv: [/usr/local/sbin/ipvsadm-patched, -Sn]}
  register: dump
"""

RETURN = r"""
measurements:
  description:
    - One measurement per command, by name.
    - C(counters.local) is what the node's CPUs did during the visits, added up. The fractions are missing where the visits are too
      short for the kernel's clock, with less than 100 ticks per CPU.
  type: dict
  returned: success, except in check mode
  sample:
    base:
      tool: hyperfine
      tool_version: 1.19.0
      argv: [hyperfine, --shell=none, "…"]
      started: "2026-11-20T05:00:00Z"
      duration_s: 12.3
      metrics:
        time_mean: {value: 0.31, unit: s, better: lower}
        time_median: {value: 0.31, unit: s, better: lower}
        time_min: {value: 0.30, unit: s, better: lower}
        time_max: {value: 0.32, unit: s, better: lower}
        time_stddev: {value: 0.01, unit: s, better: neither}
        user_mean: {value: 0.1, unit: s, better: lower}
        system_mean: {value: 0.2, unit: s, better: lower}
        runs: {value: 20, unit: runs, better: neither}
      samples: {time: [0.31, 0.30], user: [0.1, 0.1], system: [0.2, 0.2]}
      counters:
        visits: 20
        warmup_runs: 0
        local:
          context_switches: 412
          cpu: {count: 2, busy_s: 6.3, workload_s: 6.2, steal_fraction: 0.0, foreign_cpu_fraction: 0.004}
      invalid: []
measurement:
  description: The measurement of the command, if there is just one.
  type: dict
  returned: success with one command, except in check mode
  sample: {tool: hyperfine, metrics: {time_mean: {value: 0.31, unit: s, better: lower}}, invalid: []}
raw:
  description: What hyperfine exported, visit by visit in the order of running, times in seconds.
  type: list
  elements: dict
  returned: success, except in check mode
  sample:
    - {order: 1, name: base, block: 1, started: "2026-11-20T05:00:00Z", fault: "", export: {times: [0.31]}}
raw_files:
  description: Paths of the files written to O(raw_dir).
  type: list
  elements: str
  returned: success with O(raw_dir), except in check mode
  sample: [/var/tmp/raw/hyperfine-00001-base.json]
schedule:
  description: Block and command of each visit, in order.
  type: list
  elements: dict
  returned: success
  sample:
    - {block: 1, name: base}
    - {block: 1, name: patched}
argv:
  description: The command lines that would be run, by name.
  type: dict
  returned: in check mode
  sample: {base: [hyperfine, --shell=none, "…"]}
ansible_facts:
  description: The measurements as facts.
  type: dict
  returned: success, except in check mode
  contains:
    datapath_lab:
      description: Facts of this collection.
      type: dict
      returned: success, except in check mode
      sample: {hyperfine: {base: {tool: hyperfine}}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.datapath.lab.plugins.module_utils import hyperfine
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError


def main() -> None:
    command = {"name": {"type": "str", "required": True}, "argv": {"type": "list", "elements": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "commands": {"type": "list", "elements": "dict", "required": True, "options": command},
            "blocks": {"type": "int", "default": 10, "aliases": ["rounds"]},
            "runs": {"type": "int", "default": 1},
            "warmup": {"type": "int", "default": 0},
            "order": {"type": "str", "choices": list(hyperfine.ORDERS), "default": "abba"},
            "seed": {"type": "int", "default": 0},
            "output": {"type": "str", "default": "null"},
            "timeout_s": {"type": "float", "default": 600},
            "environment": {"type": "dict", "default": {}},
            "raw_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        settings = hyperfine.Settings(**{key: params[key] for key in ("blocks", "runs", "warmup", "order", "seed", "output", "timeout_s")})
        result = hyperfine.benchmark(
            params["commands"],
            settings,
            runner_of(module),
            params["environment"],
            params["raw_dir"],
            module.check_mode,
            hyperfine.node_gauge(),
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
