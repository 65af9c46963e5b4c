# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers run as units, for nobody, on the one address that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

testinfra_hosts = ["ansible://loadbalancers"]
ADDRESS = "198.18.0.1"
TCP_PORTS = {"netserver": 12865, "iperf3": 5201, "sockperf_tcp": 11111, "redis": 6379, "nginx": 8080, "counters": 7117}


@pytest.mark.parametrize(("server", "port"), sorted(TCP_PORTS.items()))
def test_a_server_listens_on_the_data_address_and_on_no_other(host: Any, server: str, port: int) -> None:
    listeners = host.check_output(f"ss -Hltn sport = :{port}").splitlines()
    assert [line.split()[3] for line in listeners] == [f"{ADDRESS}:{port}"], server


def test_no_server_is_root(host: Any) -> None:
    units = host.check_output("systemctl list-units --plain --no-legend 'datapath-lab-*'").splitlines()
    names = [line.split()[0] for line in units]
    assert len(names) >= len(TCP_PORTS)
    for name in names:
        pid = host.check_output(f"systemctl show --property=MainPID --value {name}")
        assert host.check_output(f"stat -c %U /proc/{pid}") != "root", name


def test_nginx_returns_its_own_address(host: Any) -> None:
    assert host.check_output(f"curl -s --max-time 10 http://{ADDRESS}:8080/").strip() == ADDRESS
