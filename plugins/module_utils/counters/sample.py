# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The readings of one node's counters: a snapshot, the rates since one, or the rates over an interval."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.counters.delta import delta
from ansible_collections.datapath.lab.plugins.module_utils.counters.parse import snapshot_of
from ansible_collections.datapath.lab.plugins.module_utils.counters.responder import capture
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

LEAST_INTERVAL_S, MOST_INTERVAL_S = 0.1, 86400.0


def take(
    state: str,
    interval: float,
    since: Optional[Mapping[str, Any]],
    commands: Sequence[str],
    sleep: Callable[[float], None],
    read: Callable[..., Dict[str, Any]] = capture,
) -> dict[str, Any]:
    """Return ``{"snapshot": …}`` or ``{"counters": …}``; see the module node_counters."""
    if state == "snapshot":
        document = read(commands=commands)
        snapshot_of(document)
        return {"snapshot": document}
    if state == "delta":
        before: Mapping[str, Any] = since or {}
    else:
        # Written so that not-a-number is refused too.
        if not LEAST_INTERVAL_S <= interval <= MOST_INTERVAL_S:
            raise InvalidValueError(f"interval must be {LEAST_INTERVAL_S} to {MOST_INTERVAL_S:g} seconds, not {interval}.")
        before = read(commands=commands)
        sleep(interval)
    after = read(commands=commands)
    return {"counters": delta(snapshot_of(before), snapshot_of(after)).rates()}
