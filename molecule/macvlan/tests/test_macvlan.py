# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles macvlan and netns_pod made, as the kernel has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

testinfra_hosts = ["ansible://lab_default"]


def link(host: Any, name: str, *where: str) -> Any:
    """Return one interface as ``ip`` describes it."""
    return json.loads(host.check_output(" ".join(["ip", *where, "-j", "-d", "address", "show", "dev", name])))[0]


@pytest.mark.parametrize(("namespace", "mode"), [("bridge1", "bridge"), ("bridge2", "bridge"), ("private1", "private")])
def test_each_namespace_has_its_macvlan_in_its_mode(host: Any, namespace: str, mode: str) -> None:
    found = link(host, "eth0", "-n", namespace)
    assert found["linkinfo"] == {"info_kind": "macvlan", "info_data": {**found["linkinfo"]["info_data"], "mode": mode}}
    assert found["link_index"] == link(host, "data0")["ifindex"]


def test_a_macvlan_of_the_node_itself_has_the_address_that_was_asked_for(host: Any) -> None:
    assert link(host, "mv0")["address"] == "02:00:00:00:77:01"


def test_bridge_mode_connects_neighbours_and_private_mode_does_not(host: Any) -> None:
    assert host.run("ip netns exec bridge1 ping -c 3 -i 0.3 -W 2 198.18.0.232").rc == 0
    assert host.run("ip netns exec private1 ping -c 2 -i 0.3 -W 1 198.18.0.232").rc != 0


def test_the_mtu_is_the_one_asked_for(host: Any) -> None:
    assert link(host, "eth0", "-n", "bridge2")["mtu"] == 1400


def test_the_namespace_behind_veth_is_routed_and_only_its_interfaces_forward(host: Any) -> None:
    assert host.run("ip netns exec routed1 ping -c 3 -i 0.3 -W 2 198.18.0.1").rc == 0
    (route,) = json.loads(host.check_output("ip -n routed1 -j route get 198.18.0.9"))
    assert route["gateway"] == "198.19.78.1"
    forwarding = {
        name: host.file(f"/proc/sys/net/ipv4/conf/{name}/forwarding").content_string.strip() for name in ("routed1", "data0", "lo")
    }
    assert forwarding == {"routed1": "1", "data0": "1", "lo": "0"}
