# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way of tasks into a node: the verifier reaches each node through the connection plugin."""

from __future__ import annotations

from typing import Any

testinfra_hosts = ["ansible://netns_nodes?force_ansible=True"]


def test_the_connection_enters_the_node_that_it_names(host: Any) -> None:
    assert host.check_output("hostname") == host.backend.host
