# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment of a node: captures of tools in, facts out, and nothing missing where a node has nothing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Dict, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.environment import collect, parse
from ansible_collections.datapath.lab.plugins.module_utils.environment.collect import Machine
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, ParseError
from hypothesis import given, settings
from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[4] / "fixtures"
CPUINFO = "processor\t: 0\nmodel name\t: AMD EPYC\nmicrocode\t: 0x1\nflags\t\t: fpu hypervisor\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n"
SECRET = "00000000-11111111-22222222-33333333"


def capture(name: str) -> str:
    return (FIXTURES / "environment" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("version", ["6.1", "6.14"])
def test_features_of_a_capture(version: str) -> None:
    features = parse.parse_features(capture(f"ethtool-{version}-features.out"))
    raw = json.loads(capture(f"ethtool-{version}-features.out"))[0]
    assert features == {name: state["active"] for name, state in raw.items() if name != "ifname"}
    assert features["tcp-segmentation-offload"] is True and features["tx-checksum-ipv4"] is False


def test_driver_of_a_capture() -> None:
    found = parse.parse_driver(capture("ethtool-6.14-driver.out"))
    assert found == {"driver": "veth", "driver_version": "1.0", "firmware": None, "bus": None}


class TestConfigHash:
    def test_dates_and_order_do_not_change_it(self) -> None:
        first = "#\n# Linux/x86 6.12.1 Kernel Configuration\n# Mon Jan 1\nCONFIG_A=y\n# CONFIG_C is not set\nCONFIG_B=m\n"
        second = "#\n# Linux/x86 6.12.1 Kernel Configuration\n# Tue Jan 2\nCONFIG_B=m\nCONFIG_A=y\n"
        assert parse.config_hash(first) == parse.config_hash(second)

    def test_a_symbol_does(self) -> None:
        assert parse.config_hash("CONFIG_A=y\n") != parse.config_hash("CONFIG_A=m\n")

    def test_no_symbol_is_an_error(self) -> None:
        with pytest.raises(ParseError):
            parse.config_hash("# nothing\n")


def test_the_marked_choice() -> None:
    assert parse.parse_selected("always [madvise] never") == "madvise"
    assert parse.parse_selected("none") is None


PARSERS = [parse.parse_cpuinfo, parse.parse_memory_total, parse.parse_features, parse.parse_driver, parse.config_hash]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@given(text=st.text() | st.text(alphabet='processor: driver\nMemTotal: 0123kB[]{}"active,trueCONFIG_=y'))
@settings(max_examples=100, deadline=None)
def test_arbitrary_text_is_a_value_or_a_parse_error(parser: Any, text: str) -> None:
    try:
        assert parser(text) is not None
    except ParseError:
        return


def root(tmp_path: Path) -> Path:
    """Make the files of a small machine."""
    files = {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n',
        "proc/meminfo": "MemTotal:        1000 kB\nMemFree: 5 kB\n",
        "proc/cpuinfo": CPUINFO,
        "proc/cmdline": "root=/dev/vda quiet\n",
        "proc/stat": "cpu  0 0 0 0 0 0 0 0\ncpu0 50 0 0 40 0 0 0 10 0 0\nctxt 1\n",
        "proc/net/dev": (FIXTURES / "proc/proc-6.18-dev.out").read_text(),
        "proc/sys/net/core/somaxconn": "4096\n",
        "proc/sys/net/core/netdev_rss_key": "aa:bb\n",
        "proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t33554432\n",
        "proc/sys/net/ipv4/tcp_fastopen_key": SECRET,
        "proc/sys/net/ipv4/vs/conntrack": "0\n",
        "proc/sys/kernel/tainted": "0\n",
        "sys/devices/system/cpu/vulnerabilities/meltdown": "Not affected\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "3700000\n",
        "sys/class/net/eth0/mtu": "1500\n",
        "sys/class/net/eth0/speed": "-1\n",
        "sys/class/net/eth0/queues/rx-0/rps_cpus": "0\n",
        "sys/class/net/eth0/queues/rx-1/rps_cpus": "0\n",
        "sys/class/net/eth0/queues/tx-0/xps_cpus": "0\n",
        "boot/config-6.12.1": "CONFIG_A=y\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def machine(tmp_path: Path, commands: Dict[str, Completed]) -> Machine:
    def run(argv: Sequence[str]) -> Completed:
        line = " ".join(argv)
        if line not in commands:
            raise CommandError(f"Could not start '{argv[0]}'.")
        return commands[line]

    return Machine(run, str(tmp_path), "6.12.1", "#1 SMP")


COMMANDS = {
    "ethtool -i eth0": Completed((), 0, capture("ethtool-6.14-driver.out"), ""),
    "ethtool --json -k eth0": Completed((), 0, capture("ethtool-6.14-features.out"), ""),
    "netperf -V": Completed((), 0, "Netperf version 2.7.1\n", ""),
    "wrk -v": Completed((), 1, "wrk debian/4.1.0-4+b1 [epoll] Copyright\n", ""),
    "nginx -v": Completed((), 0, "", "nginx version: nginx/1.26.3\n"),
}


def test_the_environment(tmp_path: Path) -> None:
    found = collect.collect(machine(root(tmp_path), COMMANDS))
    assert found["os"] == "Debian GNU/Linux 13 (trixie)"
    assert found["kernel"]["command_line"] == "root=/dev/vda quiet"
    assert found["kernel"]["config_sha256"] == parse.config_hash("CONFIG_A=y\n")
    assert found["kernel"]["config_source"] == "/boot/config-6.12.1"
    assert (found["cpu"]["model"], found["cpu"]["count"], found["cpu"]["hypervisor"]) == ("AMD EPYC", 2, True)
    assert found["cpu"]["frequency"]["governor"] == "performance" and found["cpu"]["frequency"]["max_khz"] == 3700000
    assert found["cpu"]["mitigations"] == {"meltdown": "Not affected"}
    assert found["cpu"]["steal_fraction_since_boot"] == 0.1
    assert found["memory"]["total_kib"] == 1000
    assert set(found["nics"]) == {"eth0", "ifb0", "ifb1"}
    eth0 = found["nics"]["eth0"]
    assert (eth0["driver"], eth0["mtu"], eth0["rx_queues"], eth0["tx_queues"]) == ("veth", 1500, 2, 1)
    assert "tcp-segmentation-offload" in eth0["offloads_on"] and "tx-checksum-ipv4" not in eth0["offloads_on"]
    assert found["sysctls"] == {
        "net.core.somaxconn": "4096",
        "net.ipv4.tcp_rmem": "4096 131072 33554432",
        "net.ipv4.vs.conntrack": "0",
    }
    assert (found["tools"]["netperf"], found["tools"]["wrk"], found["tools"]["nginx"]) == ("2.7.1", "debian/4.1.0-4+b1", "1.26.3")
    assert json.loads(json.dumps(found)) == found


def test_no_secret_is_shown(tmp_path: Path) -> None:
    text = json.dumps(collect.collect(machine(root(tmp_path), COMMANDS)))
    assert SECRET not in text and "aa:bb" not in text


def test_what_a_node_does_not_have_is_null_and_not_left_out(tmp_path: Path) -> None:
    rich = collect.collect(machine(root(tmp_path), COMMANDS))
    (tmp_path / "boot/config-6.12.1").unlink()
    poor = collect.collect(machine(tmp_path, {}))
    assert poor["kernel"]["config_sha256"] is None and poor["tools"]["netperf"] is None
    # A speed of -1 is how a driver says that it does not know.
    assert rich["nics"]["eth0"]["speed_mbit_s"] is None
    for group in ("kernel", "cpu", "memory", "machine", "tools"):
        assert set(poor[group]) == set(rich[group])
    assert set(poor["nics"]["eth0"]) == set(rich["nics"]["eth0"])


def test_a_packed_configuration_comes_first(tmp_path: Path) -> None:
    with gzip.open(root(tmp_path) / "proc/config.gz", "wt") as stream:
        stream.write("CONFIG_Z=y\n")
    found = collect.kernel(machine(tmp_path, {}))
    assert (found["config_sha256"], found["config_source"]) == (parse.config_hash("CONFIG_Z=y\n"), "/proc/config.gz")
