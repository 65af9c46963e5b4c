# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the description of links by ``ip`` leaves to the reader."""

from __future__ import annotations

import json

from ansible_collections.datapath.lab.plugins.module_utils.netns.links import links_of


def test_the_device_below_is_known_by_its_index_when_ip_names_it() -> None:
    text = json.dumps(
        [
            {"ifindex": 3, "ifname": "data0", "flags": ["UP"], "mtu": 1500},
            {"ifindex": 6, "ifname": "mv0", "link": "data0", "flags": ["UP"], "mtu": 1500, "linkinfo": {"info_kind": "macvlan", "info_data": {"mode": "vepa"}}},
        ]
    )
    assert links_of(text)["mv0"].lower == 3
