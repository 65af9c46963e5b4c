# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the lab's modules end when something is wrong: with one sentence."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError


@contextlib.contextmanager
def told(module: Any, purpose: str) -> Iterator[None]:
    """End the module with one sentence for what a user can put right: a mistake, or what the machine refuses.

    :param module: an ``AnsibleModule``.
    :param purpose: what the module was about, as in "make the guests' image".
    """
    try:
        yield
    except LabError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        # A full or read-only disk, a directory that is a file, a command that is not there.
        where = f" ({error.filename})" if error.filename else ""
        module.fail_json(msg=f"Could not {purpose}: {error.strerror or error}{where}.")
