# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that the modules of attachments share."""

from __future__ import annotations


class ModuleDocFragment:
    """What is returned about attachments."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) makes each as described and corrects what differs; an interface that must be another kind is made again.
      - V(absent) removes each, and its namespace when nothing else is in it. An interface that this collection did not make is never
        touched.
    type: str
    choices: [present, absent]
    default: present
"""
