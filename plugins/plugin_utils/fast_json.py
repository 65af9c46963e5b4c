# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the journal of a hundred thousand runs in seconds: with orjson where it is installed, else with Python's own reader."""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from typing import Any, Iterator

try:
    import orjson

    def loads(line: bytes) -> Any:
        """Return what a line says.

        :raises ValueError: it is not JSON.
        """
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            # Python's reader takes a little more (NaN) and says where it stumbled.
            return json.loads(line)

except ImportError:

    def loads(line: bytes) -> Any:
        """Return what a line says.

        :raises ValueError: it is not JSON.
        """
        return json.loads(line)


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep the garbage collector still, also as a decorator: what is read makes no cycles, and looking for some would take a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
