# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the netns substrate and of netns_datapath."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.datapath.lab.plugins.filter.address_in import address_in
from ansible_collections.datapath.lab.plugins.filter.arm_series import arm_series
from ansible_collections.datapath.lab.plugins.filter.netns_nodes import netns_nodes
from ansible_collections.datapath.lab.plugins.filter.pod_routes import pod_routes
from ansible_collections.datapath.lab.plugins.filter.rules_out import rules_out


def test_nodes_keep_their_cards_and_lose_what_a_namespace_has_not():
    nic = {"network": "data", "model": "virtio", "queues": 2, "address": None, "interface": "data0", "mac": "02:00:00:00:00:01"}
    given = {"n1": {"name": "n1", "cpus": 2, "nics": [nic, {**nic, "interface": "data1", "address": "198.18.0.1/24"}]}}
    (node,) = netns_nodes(given, 1400)
    assert node["nics"][0] == {"name": "data0", "network": "data", "addresses": [], "mac": "02:00:00:00:00:01", "mtu": 1400, "queues": 2}
    assert node["nics"][1]["addresses"] == ["198.18.0.1/24"]


def test_each_network_behind_a_node_gets_one_route():
    pods = [{"addresses": ["198.19.0.2/30"]}, {"addresses": ["198.19.0.1/30", "198.19.0.6/30"]}, {}]
    assert pod_routes(pods, "198.18.0.2") == [{"to": "198.19.0.0/30", "via": "198.18.0.2"}, {"to": "198.19.0.4/30", "via": "198.18.0.2"}]
    with pytest.raises(AnsibleFilterError, match="no address with a prefix"):
        pod_routes([{"addresses": ["x"]}], "198.18.0.2")


def test_an_address_is_found_in_the_network_of_another():
    assert address_in("198.18.1.2/24", 245) == "198.18.1.245/24"
    for number in (0, 255, -1):
        with pytest.raises(AnsibleFilterError, match="it has 1 to 254"):
            address_in("198.18.1.2/24", number)
    with pytest.raises(AnsibleFilterError, match="no address with a prefix"):
        address_in("here", 1)


def test_a_control_runs_where_its_arm_does_and_the_order_is_kept():
    namespaces = {"bare": None, "veth": "pod1"}
    assert arm_series(["veth", "bare#control", "bare"], namespaces) == [
        {"name": "veth", "namespace": "pod1"},
        {"name": "bare#control", "namespace": None},
        {"name": "bare", "namespace": None},
    ]
    with pytest.raises(AnsibleFilterError, match="no namespace for the arm 'x'"):
        arm_series(["x"], namespaces)


def test_an_arm_is_ruled_out_by_the_first_capability_it_lacks():
    capabilities = {"VETH": {"available": True, "rules_out": ""}, "MACVLAN": {"available": False, "rules_out": "On n1 no macvlan."}}
    arms = [{"name": "bare"}, {"name": "veth", "requires": ["VETH"]}, {"name": "macvlan", "requires": ["VETH", "MACVLAN"]}]
    assert rules_out(capabilities, arms) == {"macvlan": "On n1 no macvlan."}
    with pytest.raises(AnsibleFilterError, match="requires the capability 'VXLAN', which was not tried"):
        rules_out(capabilities, [{"name": "x", "requires": ["VXLAN"]}])
