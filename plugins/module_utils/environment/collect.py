# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a reader of a result must know about the node that it was measured on.

A fact that this node does not have (a virtual interface has no firmware, a guest no frequency governor) is None, which the report
shows as unknown; it is never left out, so that two environments have the same keys.
"""

from __future__ import annotations

import glob
import gzip
import os
import platform
import re
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.counters.parse import parse_interfaces, parse_stat
from ansible_collections.datapath.lab.plugins.module_utils.environment import parse
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError

# A secret; and a hash key that is drawn anew with each boot.
NEVER_SHOWN = frozenset({"tcp_fastopen_key", "netdev_rss_key"})
SYSCTLS = (
    "net/core/*",
    "net/ipv4/tcp_*",
    "net/ipv4/udp_*",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/vs/*",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_buckets",
    "net/ipv4/conf/all/rp_filter",
    "net/bridge/bridge-nf-call-iptables",
    "kernel/numa_balancing",
    "kernel/sched_autogroup_enabled",
    "kernel/timer_migration",
)
# Program: command line that prints the version, and what the version looks like in it.
TOOLS = {
    "netperf": (("netperf", "-V"), r"Netperf version (\S+)"),
    "iperf3": (("iperf3", "--version"), r"iperf (\d\S*)"),
    "wrk": (("wrk", "-v"), r"wrk (\S+)"),
    "sockperf": (("sockperf", "--version"), r"version (\S+)"),
    "redis-benchmark": (("redis-benchmark", "--version"), r"redis-benchmark (\d\S*)"),
    "redis-server": (("redis-server", "--version"), r"v=(\S+)"),
    "nginx": (("nginx", "-v"), r"nginx/(\S+)"),
    "hyperfine": (("hyperfine", "--version"), r"hyperfine (\S+)"),
    "ipvsadm": (("ipvsadm", "--version"), r"ipvsadm v(\S+)"),
    "ping": (("ping", "-V"), r"iputils[- ]s?(\S+)"),
    "fping": (("fping", "-v"), r"Version (\S+)"),
    "ethtool": (("ethtool", "--version"), r"ethtool version (\S+)"),
    "python3": (("python3", "--version"), r"Python (\S+)"),
}


@dataclass(frozen=True)
class Machine:
    """Where facts are read from; ``root`` is / except in a test."""

    run: Run
    root: str = "/"
    release: str = platform.release()
    version: str = platform.version()

    def text(self, path: str) -> Optional[str]:
        """Return a file's text without the white space around it, or None where this node has no such file or value."""
        try:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as stream:
                return stream.read().strip()
        except OSError:
            # Some files of sysfs exist and refuse to be read: the speed of an interface without one is EINVAL.
            return None

    def number(self, path: str) -> Optional[int]:
        """Return a file's whole number, or None."""
        text = self.text(path)
        return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else None

    def paths(self, pattern: str) -> list[str]:
        """Return the paths below the root that match a pattern, relative to it."""
        return sorted(os.path.relpath(path, self.root) for path in glob.glob(os.path.join(self.root, pattern)))

    def output(self, *argv: str) -> Optional[str]:
        """Return what a command printed, or None if it is not there or refuses."""
        try:
            completed = self.run(list(argv))
        except CommandError:
            return None
        return completed.stdout if completed.rc == 0 else None


def collect(machine: Machine) -> dict[str, Any]:
    """Return the environment of this node."""
    return {
        "os": parse.parse_os_name(machine.text("etc/os-release") or ""),
        "kernel": kernel(machine),
        "cpu": cpu(machine),
        "memory": {
            "total_kib": parse.parse_memory_total(machine.text("proc/meminfo") or ""),
            "transparent_hugepages": parse.parse_selected(machine.text("sys/kernel/mm/transparent_hugepage/enabled") or ""),
        },
        "machine": {
            "vendor": machine.text("sys/class/dmi/id/sys_vendor"),
            "product": machine.text("sys/class/dmi/id/product_name"),
        },
        "nics": nics(machine),
        "sysctls": sysctls(machine),
        "tools": tools(machine),
    }


def kernel(machine: Machine) -> dict[str, Any]:
    """Return the kernel's release, build, command line and the hash of its configuration."""
    config, source = None, None
    packed = os.path.join(machine.root, "proc/config.gz")
    if os.path.exists(packed):
        with gzip.open(packed, "rt", encoding="utf-8", errors="replace") as stream:
            config, source = stream.read(), "/proc/config.gz"
    else:
        config = machine.text(f"boot/config-{machine.release}")
        source = f"/boot/config-{machine.release}" if config is not None else None
    return {
        "release": machine.release,
        "build": machine.version,
        "command_line": machine.text("proc/cmdline"),
        "config_sha256": parse.config_hash(config) if config is not None else None,
        "config_source": source,
        "clocksource": machine.text("sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "lockdown": parse.parse_selected(machine.text("sys/kernel/security/lockdown") or ""),
        "tainted": machine.number("proc/sys/kernel/tainted"),
    }


def cpu(machine: Machine) -> dict[str, Any]:
    """Return model, number, frequency control, mitigations and the part of all time that a hypervisor took."""
    times, _switches = parse_stat(machine.text("proc/stat") or "")
    total = sum(each.total for each in times.values())
    policy = "sys/devices/system/cpu/cpu0/cpufreq"
    governors = {machine.text(path) for path in machine.paths("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")}
    return {
        **parse.parse_cpuinfo(machine.text("proc/cpuinfo") or ""),
        "online": machine.text("sys/devices/system/cpu/online"),
        "isolated": machine.text("sys/devices/system/cpu/isolated"),
        "smt": machine.text("sys/devices/system/cpu/smt/control"),
        "frequency": {
            "driver": machine.text(f"{policy}/scaling_driver"),
            "governor": ", ".join(sorted(str(governor) for governor in governors)) or None,
            "min_khz": machine.number(f"{policy}/scaling_min_freq"),
            "max_khz": machine.number(f"{policy}/scaling_max_freq"),
            "turbo_off": machine.text("sys/devices/system/cpu/intel_pstate/no_turbo"),
            "boost": machine.text("sys/devices/system/cpu/cpufreq/boost"),
        },
        "idle_driver": machine.text("sys/devices/system/cpu/cpuidle/current_driver"),
        "mitigations": {os.path.basename(path): machine.text(path) for path in machine.paths("sys/devices/system/cpu/vulnerabilities/*")},
        "steal_fraction_since_boot": sum(each.steal for each in times.values()) / total if total else None,
    }


def nics(machine: Machine) -> dict[str, Any]:
    """Return each interface of this network namespace but the loopback."""
    # procfs tells the interfaces of this very process; a mount of sysfs may be older than the namespace.
    names = parse_interfaces(machine.text("proc/net/dev") or "")
    return {name: nic(machine, name) for name in sorted(names) if name != "lo"}


def nic(machine: Machine, name: str) -> dict[str, Any]:
    """Return driver, firmware, offloads, queues, MTU and speed of one interface."""
    base = f"sys/class/net/{name}"
    driver = machine.output("ethtool", "-i", name)
    features = machine.output("ethtool", "--json", "-k", name)
    speed = machine.number(f"{base}/speed")
    return {
        **(parse.parse_driver(driver) if driver is not None else dict.fromkeys(("driver", "driver_version", "firmware", "bus"))),
        "mtu": machine.number(f"{base}/mtu"),
        # -1 is how a driver without a speed, or an interface that is down, says that it does not know.
        "speed_mbit_s": speed if speed is not None and speed > 0 else None,
        "state": machine.text(f"{base}/operstate"),
        "rx_queues": len(machine.paths(f"{base}/queues/rx-*")),
        "tx_queues": len(machine.paths(f"{base}/queues/tx-*")),
        "tx_queue_length": machine.number(f"{base}/tx_queue_len"),
        "numa_node": machine.number(f"{base}/device/numa_node"),
        "gro_flush_timeout_ns": machine.number(f"{base}/gro_flush_timeout"),
        "offloads_on": sorted(key for key, on in parse.parse_features(features).items() if on) if features is not None else None,
    }


def sysctls(machine: Machine) -> dict[str, str]:
    """Return the selected sysctls by name."""
    found = {}
    for pattern in SYSCTLS:
        for path in machine.paths(f"proc/sys/{pattern}"):
            name = os.path.relpath(path, "proc/sys")
            value = None if os.path.basename(path) in NEVER_SHOWN else machine.text(path)
            if value is not None:
                found[name.replace("/", ".")] = " ".join(value.split())
    return found


def tools(machine: Machine) -> dict[str, Optional[str]]:
    """Return the version of each tool, None where it is not installed or does not tell."""
    versions: dict[str, Optional[str]] = {}
    for name, (argv, pattern) in TOOLS.items():
        try:
            completed = machine.run(list(argv))
        except CommandError:
            versions[name] = None
            continue
        found = re.search(pattern, completed.stdout + completed.stderr)
        versions[name] = found.group(1) if found else None
    return versions
