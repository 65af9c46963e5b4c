# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The published profile as the kernel and ethtool show it, on both cards."""

from __future__ import annotations

import json
from typing import Any

import pytest

testinfra_hosts = ["ansible://mq1", "ansible://igb1"]

NET = "/sys/class/net/data0"


def interrupts(host: Any) -> dict[str, str]:
    """Return the affinity of each interrupt of the card by its name in /proc/irq."""
    vectors = host.run(f"ls {NET}/device/msi_irqs 2>/dev/null || ls $(readlink -f {NET}/device/..)/msi_irqs").stdout.split()
    found = {}
    for number in vectors:
        for name in host.run(f"ls -d /proc/irq/{number}/*/").stdout.split():
            found[name.rstrip("/").rsplit("/", 1)[-1]] = host.check_output(f"cat /proc/irq/{number}/smp_affinity").strip()
    return found


def test_the_card_has_four_channels_and_an_even_table(host: Any) -> None:
    current = host.check_output("ethtool -l data0").split("Current hardware settings:")[1]
    assert "Combined:\t4" in current
    (table,) = json.loads(host.check_output("ethtool --json -x data0"))
    entries = table["rss-indirection-table"]
    assert {queue: entries.count(queue) for queue in set(entries)} == dict.fromkeys(range(4), len(entries) // 4)


def test_every_interrupt_of_the_card_goes_to_cpu_zero(host: Any) -> None:
    found = interrupts(host)
    assert sum("rx" in name.lower() or "input" in name for name in found) == 4
    assert set(found.values()) == {"1"}


@pytest.mark.parametrize("queue", range(4))
def test_each_queue_hands_over_to_the_other_cpus_and_follows_flows(host: Any, queue: int) -> None:
    assert host.check_output(f"cat {NET}/queues/rx-{queue}/rps_cpus").strip() == "e"
    assert host.check_output(f"cat {NET}/queues/rx-{queue}/rps_flow_cnt").strip() == "8192"


def test_the_node_has_the_flow_table_and_no_daemon_moves_interrupts(host: Any) -> None:
    assert host.check_output("cat /proc/sys/net/core/rps_sock_flow_entries").strip() == "32768"
    assert not host.service("irqbalance").is_running


def test_the_originals_are_on_the_nodes_disk(host: Any) -> None:
    journal = json.loads(host.file("/var/lib/datapath-lab/tuning/node.json").content_string)
    originals = journal["devices"]["data0"]["originals"]
    assert originals["rx-0/rps_cpus"] == "0"
    assert journal["system"]["sysctl/net.core.rps_sock_flow_entries"] == "0"
    assert journal["deadman"] is None
