# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that gather what the embedded lab needs from an inventory."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence


def lab_nodes(hostvars: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Return each named host's ``lab_node``; an empty dictionary for a host that has none, which the check of the lab then refuses."""
    return {name: hostvars[name].get("lab_node", {}) for name in names}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"lab_nodes": lab_nodes}
