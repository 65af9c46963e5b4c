# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that the modules which build from Debian's sources share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of each module that builds inside a Debian tree on the builder."""

    DOCUMENTATION = r"""
requirements:
  - mmdebstrap and root on the builder
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: In C(check_mode) nothing is built; whether a finished build is there is returned.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside C(check_mode), with the same arguments, the second invocation indicates no change.
    support: full
options:
  patches:
    description: Patches in the order in which they are applied, each without any fuzz.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: File name of the patch, for messages.
        type: str
        required: true
      text:
        description: The patch, a unified diff whose paths have one leading component.
        type: str
        required: true
  cache_dir:
    description: Directory of the cache; needs about 2 GiB.
    type: path
    required: true
  suite:
    description: Debian release of the nodes.
    type: str
    default: trixie
  mirror:
    description: URI of the archive, in place of the one that the builder's own apt configuration names. Empty means unset.
    type: str
"""
