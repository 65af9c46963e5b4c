# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: read_patches
short_description: Read patches for a build
version_added: "0.1.0"
author: Datapath Lab contributors (@datapath-lab)
description:
  - Reads patch files on the controller, so that a build can run on another machine.
positional: _input
options:
  _input:
    description: Paths of the patches, in the order in which they are to be applied.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
patches: "{{ ['files/0001-ipvs-example.patch'] | datapath.lab.read_patches }}"
"""

RETURN = r"""
_value:
  description: A list of C(name) and C(text), as the build modules take it.
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

from ansible.errors import AnsibleFilterError


def read_patches(paths: Sequence[str]) -> List[Dict[str, str]]:
    """Return name and text of each patch."""
    if isinstance(paths, str):
        raise AnsibleFilterError(f"The patches must be a list of paths, not the text {paths!r}.")
    found = []
    for path in map(Path, paths):
        try:
            found.append({"name": path.name, "text": path.read_text(encoding="utf-8")})
        except (OSError, UnicodeDecodeError) as exception:
            raise AnsibleFilterError(f"The patch {path} cannot be read: {exception}.") from exception
    return found


class FilterModule:
    """Register the filter."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"read_patches": read_patches}
