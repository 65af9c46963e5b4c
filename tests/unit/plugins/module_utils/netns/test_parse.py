# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsers of the netns substrate: raw captures against golden JSON, and arbitrary text."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.attachments.apply import namespaces_of, routes_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.netns.links import links_of
from ansible_collections.datapath.lab.plugins.module_utils.netns.state import Holder
from ansible_collections.datapath.lab.plugins.module_utils.path_witness.observe import answers_of, counters_of, features_of, route_of
from hypothesis import given, settings
from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[4] / "fixtures"
PARSERS = {
    "ip_address": links_of,
    "ip_route": routes_of,
    "ip_netns": namespaces_of,
    "ip_counters": counters_of,
    "ip_route_get": route_of,
    "ping_quiet": answers_of,
    "ethtool_features": features_of,
}
CAPTURES = [(kind, path) for kind in PARSERS for path in sorted((FIXTURES / kind).glob("*.out"))]


def plain(value):
    """Return a value as JSON has it."""
    if dataclasses.is_dataclass(value):
        return {key: plain(each) for key, each in dataclasses.asdict(value).items()}
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def test_each_parser_has_a_capture():
    assert {kind for kind, _path in CAPTURES} == set(PARSERS)


@pytest.mark.parametrize(("kind", "path"), CAPTURES, ids=lambda value: getattr(value, "stem", value))
def test_capture_is_read_as_the_golden_file_says(kind, path):
    assert plain(PARSERS[kind](path.read_text())) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("read", [*PARSERS.values(), Holder.of], ids=lambda read: read.__qualname__)
@settings(max_examples=60, deadline=None)
@given(
    text=st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["ifname", "ifindex", "dst", "dev", "name", "stats64", "flags"]), inner)
        ),
    ).map(json.dumps)
)
def test_any_text_is_a_value_or_a_typed_error(read, text):
    try:
        read(text)
    except ParseError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (links_of, "Device does not exist."),
        (links_of, '[{"ifname": "eth0", "ifindex": 2}]'),
        (counters_of, '[{"ifname": "eth0"}]'),
        (route_of, "[]"),
        (route_of, '[{"dst": "198.18.0.1", "dev": "eth0"}, {"dst": "198.18.0.1", "dev": "eth1"}]'),
        (routes_of, '[{"dev": "eth0"}]'),
        (answers_of, "connect: Network is unreachable"),
        (features_of, "[]"),
        (namespaces_of, '[{"id": 1}]'),
        (Holder.of, '{"lab": "x"}'),
    ],
)
def test_what_is_not_known_is_refused(read, text):
    with pytest.raises(ParseError):
        read(text)


def test_a_macvlan_has_its_mode_and_the_index_of_its_card():
    link = links_of((FIXTURES / "ip_address" / "ip-6.15.0-macvlan.out").read_text())["eth0"]
    assert (link.kind, link.mode, link.lower) == ("macvlan", "bridge", 3)


def test_link_local_addresses_are_nobodys_choice():
    text = '[{"ifindex":2,"ifname":"a","flags":[],"mtu":1500,"addr_info":[{"local":"fe80::1","prefixlen":64,"scope":"link"}]}]'
    assert links_of(text)["a"].addresses == ()


def test_the_kernels_own_routes_are_left_out():
    assert routes_of((FIXTURES / "ip_route" / "ip-6.1.0-node.out").read_text()) == {}
