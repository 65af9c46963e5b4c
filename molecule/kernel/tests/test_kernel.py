# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both builds of ip_vs are on the node, and one command exchanges them."""

from __future__ import annotations

import json
from typing import Any

import pytest

testinfra_hosts = ["ansible://loadbalancers"]
COMMAND = "/usr/local/sbin/datapath-ipvs-variant"


def exchange(host: Any, variant: str) -> Any:
    """Put a build in force and return what the command says of it."""
    host.check_output(f"{COMMAND} {variant} --flush")
    return json.loads(host.check_output(f"{COMMAND} status"))


@pytest.mark.parametrize("variant", ["patched", "stock", "patched"])
def test_one_command_exchanges_the_builds(host: Any, variant: str) -> None:
    status = exchange(host, variant)
    assert status["variant"] == variant
    assert status["build_id"] == status["build_ids"][variant]


def test_the_builds_differ(host: Any) -> None:
    builds = json.loads(host.check_output(f"{COMMAND} status"))["build_ids"]
    assert builds["stock"] != builds["patched"]


def test_modprobe_goes_on_finding_the_distributions_module(host: Any) -> None:
    assert "datapath-lab" not in host.check_output("modinfo -F filename ip_vs")


def test_the_schedulers_came_with_the_build(host: Any) -> None:
    release = host.check_output("uname -r")
    names = host.check_output(f"find /lib/modules/{release}/datapath-lab/patched -name 'ip_vs*.ko*'")
    assert {"ip_vs.ko", "ip_vs_rr.ko", "ip_vs_wrr.ko", "ip_vs_mh.ko"} <= {line.rsplit("/", 1)[-1] for line in names.splitlines()}
