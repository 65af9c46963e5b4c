# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Static routes: what is refused, and what has to be done."""

from __future__ import annotations

import json

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.routes import StaticRoute, find, plan

WANT = StaticRoute("198.19.0.0/30", "198.18.0.2", None)


@pytest.mark.parametrize(
    ("have", "present", "commands"),
    [
        ({}, True, [["ip", "-4", "route", "replace", "198.19.0.0/30", "via", "198.18.0.2"]]),
        ({WANT.to: StaticRoute(WANT.to, WANT.via, "data0")}, True, []),
        (
            {WANT.to: StaticRoute(WANT.to, "198.18.0.9", "data0")},
            True,
            [["ip", "-4", "route", "replace", "198.19.0.0/30", "via", "198.18.0.2"]],
        ),
        (
            {WANT.to: StaticRoute(WANT.to, WANT.via, "data0")},
            False,
            [["ip", "-4", "route", "delete", "198.19.0.0/30", "via", "198.18.0.2"]],
        ),
        ({WANT.to: StaticRoute(WANT.to, "198.18.0.9", "data0")}, False, []),
        ({}, False, []),
    ],
)
def test_only_what_differs_is_done_and_only_our_own_route_is_removed(have, present, commands):
    assert plan(have, [WANT], present) == commands


def test_a_route_out_of_another_interface_is_another():
    want = StaticRoute(WANT.to, WANT.via, "data1")
    assert plan({WANT.to: StaticRoute(WANT.to, WANT.via, "data0")}, [want], True) == [
        ["ip", "-4", "route", "replace", "198.19.0.0/30", "via", "198.18.0.2", "dev", "data1"]
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": "198.19.0.1/24", "via": "198.18.0.2"}, "'to' is a prefix"),
        ({"to": "198.19.0.0/24", "via": "here"}, "'via' an address"),
        ({"to": "2001:db8::/64", "via": "198.18.0.2"}, "one is IPv6, the other IPv4"),
    ],
)
def test_what_is_no_route_is_refused(given, said):
    with pytest.raises(InvalidValueError) as refused:
        StaticRoute.of(given)
    assert said in str(refused.value)


def test_the_nodes_routes_are_asked_for_exactly_and_by_family():
    calls = []

    def run(argv):
        calls.append(argv)
        entry = {"dst": argv[-1], "gateway": "198.18.0.2", "dev": "data0", "flags": []}
        return Completed(tuple(argv), 0, json.dumps([entry] if argv[1] == "-4" else []), "")

    six = StaticRoute.of({"to": "2001:db8::/64", "via": "2001:db8:1::1"})
    assert find(run, [WANT, six]) == {WANT.to: StaticRoute(WANT.to, "198.18.0.2", "data0")}
    assert calls[1] == ["ip", "-6", "-j", "route", "show", "exact", "2001:db8::/64"]
