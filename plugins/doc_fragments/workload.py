# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that the modules of load generators share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of each module that puts load on the lab."""

    DOCUMENTATION = r"""
requirements:
  - GNU timeout on the node
options:
  host:
    description: Address or name of the server, as the client reaches it.
    type: str
    required: true
  counters:
    description:
      - Whether to read the kernel's counters just before and just after the run, on this node and with O(counters_remote) on the
        server's, and to return what was counted in between.
    type: bool
    default: true
  counters_remote:
    description:
      - Address on which the counters responder of the server's node listens (the role C(datapath.lab.workloads) starts it).
      - If not given, only this node's counters are read.
    type: str
  counters_port:
    description: Port of the counters responder.
    type: int
    default: 7117
  raw_dir:
    description: Directory on the node into which the tool's raw output is also written, one file per run; not written if not given.
    type: path
  namespace:
    description: >-
      Network namespace of this node in which the tool is started, as C(ip netns) names it; the node's own if not given. The counters are
      the node's in either case.
    type: str
  cpus:
    description: >-
      CPUs on which the tool runs, as a CPU list such as V(0-1,3); any if not given. Where client and server share a machine, CPUs of its
      own for each keep the scheduler's choice out of the result.
    type: str
  timeout_s:
    description: Seconds after which the tool is ended and the run fails; the predicted run time and a minute if not given.
    type: float
"""
