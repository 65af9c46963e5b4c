# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node as the role made it, seen from inside."""

from __future__ import annotations

from typing import Any

testinfra_hosts = ["ansible://lb1"]


def test_the_kernel_is_the_packaged_one_with_what_the_experiments_need(host: Any) -> None:
    release = host.check_output("uname -r")
    assert release.endswith("-cloud-amd64")
    assert host.run("modprobe --dry-run --all ip_vs vxlan macvlan vhost_net veth tun").succeeded
    assert host.package(f"linux-image-{release}").is_installed


def test_only_the_data_card_is_on_the_data_network(host: Any) -> None:
    assert host.interface("data0").addresses == ["198.18.0.1"]
    assert host.check_output("ethtool -l data0").count("Combined:\t2") == 2
    # The management network leads nowhere.
    assert host.check_output("ip -json route show default") == "[]"


def test_nothing_runs_but_what_a_node_needs(host: Any) -> None:
    running = host.check_output("systemctl list-units --type=service --state=running --no-legend --plain").splitlines()
    assert {line.split()[0] for line in running} <= {"ssh.service", "systemd-journald.service", "systemd-udevd.service"}
    assert host.check_output("systemctl is-system-running") == "running"


def test_there_is_no_password(host: Any) -> None:
    settings = host.check_output("sshd -T").splitlines()
    assert "passwordauthentication no" in settings and "permitrootlogin without-password" in settings
    assert host.user("root").password in ("*", "!", "!*")
