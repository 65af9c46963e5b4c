# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that the modules which tune a network device share."""

from __future__ import annotations


class ModuleDocFragment:
    """The journal, and what every tuning does."""

    # A module that works on the journal alone.
    JOURNAL = r"""
options:
  journal_directory:
    description:
      - Directory on the node that holds the tuning journal, which is what a restore works from.
      - A network namespace keeps a journal of its own there, since namespaces that are nodes share one file system.
    type: path
    default: /var/lib/datapath-lab/tuning
requirements:
  - ethtool on the node, for channels, rings, coalescing, offloads and RSS
"""

    # A module that tunes.
    DOCUMENTATION = r"""
options:
  journal_directory:
    description:
      - Directory on the node that holds the tuning journal, which is what a restore works from.
      - A network namespace keeps a journal of its own there, since namespaces that are nodes share one file system.
    type: path
    default: /var/lib/datapath-lab/tuning
  lenient:
    description: Leave out, with a note, what the device does not have, instead of failing.
    type: bool
    default: false
  confirm_within:
    description:
      - Seconds after which the node puts everything back by itself, unless M(datapath.lab.tuning_journal) with O(ignore:state=confirm) comes first.
      - The timer runs on the node and needs neither the controller nor Ansible, so a tuning that cuts the management link undoes itself.
      - V(0) arms no timer.
    type: int
    default: 0
notes:
  - The original value of every knob of the device is on the node's disk before the first write; M(datapath.lab.tuning_journal) puts it back.
    A second tuning on top keeps the first originals.
  - A setting that the kernel or the driver refuses fails the task with one sentence, and everything that was set before it is rolled back.
requirements:
  - ethtool on the node, for channels, rings, coalescing, offloads and RSS
"""
