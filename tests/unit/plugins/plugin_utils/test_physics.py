# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks against physics, on published figures and on planted impossibilities."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.plugin_utils import physics

# The published latency (µs, sockperf: half a round trip) and TCP_RR rate of each datapath, by pod IP and by cluster IP.
PUBLISHED = {
    "Calico, pod IP": (51.3, 9985.7),
    "Cilium, pod IP": (29.1, 17571.3),
    "macvlan, same subnet, pod IP": (24.3, 19793.9),
    "macvlan, across subnets, pod IP": (26.2, 19215.2),
    "node to node": (32.2, 47560.5),
    "Calico, cluster IP": (51.9, 9782.2),
    "Cilium, cluster IP": (30.2, 17236.5),
    "macvlan and kube-proxy, cluster IP": (36.8, 16002.3),
    "macvlan and eBPF, cluster IP": (27.7, 18992.9),
}


@pytest.mark.parametrize("row", sorted(PUBLISHED))
def test_of_the_published_rows_only_node_to_node_disagrees_with_itself(row: str) -> None:
    """It is off by a factor of three."""
    latency, rate = PUBLISHED[row]
    found = physics.round_trips(rate, latency * 1e-6)
    assert found.state == ("disagree" if row == "node to node" else "agree")
    assert ("off by a factor of 3.1" in found.sentence) == (row == "node to node")


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (physics.packets_fit(1e5, 128, 1e9), "agree"),
        (physics.packets_fit(1e6, 128, 1e9), "disagree"),
        (physics.received_of_sent(954.5e6, 3634.7e6), "agree"),
        (physics.received_of_sent(952.9e6, 952.9e6), "agree"),
        (physics.received_of_sent(1.0e9, 0.9e9), "disagree"),
        (physics.littles_law(800, 100_000, 0.008), "agree"),
        (physics.littles_law(800, 100_000, 0.004), "disagree"),
        (physics.littles_law(800, 100_000, 0.016), "disagree"),
        (physics.below_line_rate(941e6, 1e9), "agree"),
        (physics.below_line_rate(1.2e9, 1e9), "disagree"),
    ],
)
def test_what_is_possible_agrees_and_what_is_not_disagrees(check: physics.Check, state: str) -> None:
    """Each with a sentence that ends."""
    assert check.state == state and check.sentence.endswith(".")
    assert check.found is not None and check.expected is not None


def test_a_loss_that_no_error_counter_shows_is_told() -> None:
    """The published etun row: sent 3634.7, received 954.5 Mbit/s, "0 errors"."""
    assert "73.7 % lost" in physics.received_of_sent(954.5e6, 3634.7e6).sentence


@pytest.mark.parametrize(
    "check",
    [
        physics.round_trips(None, 1e-5),
        physics.round_trips(1e4, None),
        physics.packets_fit(1e5, None, 1e9),
        physics.received_of_sent(None, 1.0),
        physics.littles_law(None, None, None),
        physics.below_line_rate(1e9, None),
        physics.round_trips(0.0, 1e-5),
    ],
)
def test_what_was_not_measured_is_said_to_be_so(check: physics.Check) -> None:
    """Never a verdict on a zero."""
    assert check.state == "not measured" and check.sentence.startswith("Not measured: ")


def cell(workload: str, metric: str, mean: float, unit: str, point: str = "p", arm: str = "a") -> dict[str, Any]:
    """Return a cell of an analysis."""
    return {"point": point, "workload": workload, "arm": arm, "metric": metric, "mean": mean, "unit": unit}


PLAN: dict[str, Any] = {
    "points": [{"name": "p"}, {"name": "rr", "test": "TCP_RR"}],
    "workloads": [
        {"name": "rr", "tool": "netperf", "test": "TCP_RR"},
        {"name": "latency", "tool": "sockperf"},
        {"name": "stream", "tool": "netperf", "test": "UDP_STREAM", "message_size": 1400},
        {"name": "web", "tool": "wrk"},
    ],
    "line_rate_bit_s": 1e9,
}


def states(cells: list[dict[str, Any]], plan: dict[str, Any] | None = None) -> dict[tuple[str, str], str]:
    """Return the state of each check that is made, by its name and point."""
    return {(check["check"], check["point"]): check["state"] for check in physics.checks(plan or PLAN, cells)}


def test_the_checks_find_the_figures_of_the_tools_by_their_names_and_units() -> None:
    """Across workloads, at one place."""
    cells = [
        cell("rr", "throughput", 47560.5, "transactions/s"),
        cell("latency", "half_rtt_mean", 32.2, "us"),
        cell("stream", "throughput", 954.5, "Mbit/s"),
        cell("stream", "throughput_sent", 3634.7, "Mbit/s"),
        cell("stream", "packet_rate", 85223, "packets/s"),
        cell("web", "request_rate", 100_000, "requests/s"),
        cell("web", "connections", 800, "connections"),
        cell("web", "latency_closed_loop_mean", 8000, "us"),
    ]
    assert states(cells) == {
        ("transactions against latency", "p"): "disagree",
        ("received against sent", "p"): "agree",
        ("packets against bandwidth", "p"): "agree",
        ("line rate", "p"): "agree",
        ("Little's law", "p"): "agree",
    }


def test_a_point_may_name_the_test() -> None:
    """As an experiment does that has the tests as points."""
    plan = {**PLAN, "workloads": [{"name": "netperf", "tool": "netperf"}, {"name": "latency", "tool": "sockperf"}]}
    cells = [cell("netperf", "throughput", 9985.7, "transactions/s", "rr"), cell("latency", "half_rtt_mean", 51.3, "us", "rr")]
    assert states(cells, plan) == {("transactions against latency", "rr"): "agree"}


def test_a_partner_that_is_missing_at_a_place_is_not_measured() -> None:
    """The other place has it."""
    cells = [cell("rr", "throughput", 1e4, "transactions/s"), cell("latency", "half_rtt_mean", 50, "us", arm="b")]
    assert states(cells)[("transactions against latency", "p")] == "not measured"


def test_an_experiment_without_such_tools_has_no_checks() -> None:
    """Nothing is made up."""
    plan = {"points": [{"name": "p"}], "workloads": [{"name": "dump", "tool": "hyperfine"}]}
    assert physics.checks(plan, [cell("dump", "time_mean", 0.1, "s")]) == []
