# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that are namespaces: apart from each other and from the host, joined as the inventory says, and able to do what nodes do."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any, Callable

import pytest

# The controller itself: entering a node by its namespaces costs a thousandth of an Ansible task. test_connection.py tests the way of tasks.
testinfra_hosts = ["local://"]
RECORDS = Path("/run/datapath.lab/netns/molecule")
Run = Callable[[str], Any]


@pytest.fixture(params=["ns1", "ns2", "ns3"])
def name(request: Any) -> str:
    """Return the name of each node in turn."""
    return str(request.param)


def output(run: Run, command: str) -> str:
    """Return what a command printed, which must succeed."""
    done = run(command)
    assert done.rc == 0, done.stderr
    return str(done.stdout).strip()


@pytest.fixture
def run(host: Any, name: str) -> Run:
    """Return what runs a shell command in the node."""
    pid = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))["pid"]
    enter = f"nsenter --target {pid} --mount --uts --ipc --net --pid --"
    return lambda command: host.run(f"{enter} sh -c {shlex.quote(command)}")


def test_a_node_is_itself_and_not_the_host(run: Run, name: str) -> None:
    assert output(run, "hostname") == name
    for kind in ("net", "mnt", "uts", "ipc", "pid"):
        assert output(run, f"readlink /proc/self/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_its_root_is_the_labs_debian_and_what_it_writes_stays_in_it(run: Run, name: str) -> None:
    assert 'VERSION_ID="13"' in output(run, "cat /etc/os-release")
    output(run, "touch /etc/written-by-the-test")
    assert not os.path.exists("/etc/written-by-the-test")


def test_it_has_no_init_system_and_its_first_process_reaps(run: Run, name: str) -> None:
    assert output(run, "cat /proc/1/comm") == "labinit"
    output(run, "sh -c 'sleep 0.1 & exec true'")
    assert "Z" not in output(run, "sleep 0.3; ps -e -o stat=")


@pytest.mark.parametrize("address", ["198.18.0.11", "198.18.0.12", "198.18.0.13"])
def test_the_nodes_reach_each_other_over_the_switch(run: Run, address: str) -> None:
    assert run(f"ping -c 2 -i 0.2 -W 2 {address}").rc == 0


def test_two_cards_on_a_network_are_one_wire(run: Run, name: str) -> None:
    if name == "ns3":
        assert run("ip link show dev wire0").rc != 0
    else:
        other = {"ns1": "198.18.1.12", "ns2": "198.18.1.11"}[name]
        assert run(f"ping -c 2 -i 0.2 -W 2 {other}").rc == 0
        assert "datapath.lab wire to ns" in output(run, "ip link show dev wire0")


def test_only_its_root_sees_who_else_uses_the_cpus(run: Run, name: str) -> None:
    # Process 1 of the machine, and a knob of it that must not be turned from here.
    machine = "/run/datapath.lab/machine/proc"
    assert output(run, f"cat {machine}/1/comm") == Path("/proc/1/comm").read_text(encoding="utf-8").strip()
    assert "Read-only file system" in run(f"echo 1 > {machine}/sys/vm/drop_caches").stderr
    assert "Permission denied" in run(f"setpriv --reuid daemon --regid daemon --clear-groups cat {machine}/1/comm").stderr


def test_it_reaches_nothing_outside(run: Run, name: str) -> None:
    assert "unreachable" in run("ping -c 1 -W 1 192.0.2.1").stderr
    assert output(run, "ip route show default") == ""


def test_what_belongs_to_the_machine_is_read_only_and_what_belongs_to_the_network_is_not(run: Run, name: str) -> None:
    assert "Read-only" in run("echo 60 > /proc/sys/vm/swappiness").stderr
    assert run("echo 0 > /proc/sys/net/ipv4/ip_forward").rc == 0
    assert run("echo 1 > /sys/class/net/data0/queues/rx-0/rps_cpus").rc == 0
    assert run("touch /sys/kernel/x").rc != 0


def test_nested_namespaces_are_its_pods(run: Run, name: str) -> None:
    output(run, "ip netns add pod1")
    assert output(run, "ip netns exec pod1 ip -brief link show").split()[0] == "lo"
    output(run, "ip netns delete pod1")
    assert not os.path.exists("/run/netns/pod1")
