# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: systemd_argv
short_description: Write a command line as a systemd unit takes it
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Quotes each word for C(ExecStart), so that none of them is split, expanded or taken for a specifier.
options:
  _input:
    description: The program and its arguments.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
line: "{{ ['/usr/sbin/nginx', '-g', 'daemon off;'] | datapath.lab.systemd_argv }}"
# "/usr/sbin/nginx" "-g" "daemon off;"
"""

RETURN = r"""
_value:
  description: The line.
  type: str
"""

from typing import Any, Callable, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.services.catalogue import unit_argv


def systemd_argv(argv: Sequence[str]) -> str:
    """Return a command line as ExecStart of a systemd unit takes it."""
    try:
        return unit_argv(argv)
    except LabError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"systemd_argv": systemd_argv}
