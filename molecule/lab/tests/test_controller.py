# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller: nothing of the lab is reachable from elsewhere, and its data network is not the host's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

testinfra_hosts = ["local://"]
STATE = Path(os.environ["HOME"]) / ".local/state/datapath.lab/molecule"


def test_the_data_network_is_in_a_namespace_of_its_own(host: Any) -> None:
    inside = {link["ifname"] for link in json.loads(host.check_output("ip -n datapath-lab-molecule -json link"))}
    outside = {link["ifname"] for link in json.loads(host.check_output("ip -json link"))}
    assert {"br-data", "lb1.0"} <= inside
    assert not outside & {"br-data", "lb1.0"}


def test_a_node_is_reached_through_the_loopback_alone(host: Any) -> None:
    listening = host.check_output("ss --listening --tcp --numeric --no-header sport = :22301").splitlines()
    assert [line.split()[3] for line in listening] == ["127.0.0.1:22301"]


def test_the_private_keys_are_private() -> None:
    for path in (STATE / "ssh/id_ed25519", STATE / "ssh/host_lb1", STATE / "nodes/lb1/initrd"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_accelerator_was_found_out_and_recorded() -> None:
    assert json.loads((STATE / "nodes/lb1/guest.json").read_text(encoding="utf-8"))["accelerator"] in ("kvm", "emulated")
