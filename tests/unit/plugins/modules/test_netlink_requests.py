# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module netlink_requests as Ansible starts it: options in, one JSON document out."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.datapath.lab.plugins.module_utils import netlink_requests as counting
from ansible_collections.datapath.lab.plugins.module_utils.netlink_requests import Count, Ended, Observation
from ansible_collections.datapath.lab.plugins.modules import netlink_requests


@pytest.fixture
def start(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a module's main() and return its result."""

    def run(module: Any, **options: Any) -> Dict[str, Any]:
        with patch_module_args(options), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_netlink_requests_returns_a_witness(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "observe", lambda *_rest: Observation(Count({("IPVS", "GET_DEST"): 3}), Ended(1, 0, ""), "tracing"))
    result = start(netlink_requests, argv=["ipvsadm", "-Sn"], expect={"commands": {"GET_DEST": {"min": 3}}})
    assert result["changed"] is False
    assert result["witness"]["state"] == "proved"
    assert result["witness"]["data"]["requests"] == 3
    commands = [{"name": "base", "argv": ["ipvsadm"], "expect": {"max": 2}}]
    assert start(netlink_requests, commands=commands)["witnesses"]["base"]["state"] == "refuted"


def test_netlink_requests_in_check_mode_runs_nothing(start: Any) -> None:
    result = start(netlink_requests, argv=["no-such-program"], expect={"max": 1}, _ansible_check_mode=True)
    assert result["argv"] == [["no-such-program"]]
    assert "witness" not in result


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"argv": ["x"], "expect": {"min": 5, "max": 4}}, "min 5 is above max 4"),
        ({"argv": ["x"], "expect": {}}, "expect is empty"),
        ({"argv": ["x"]}, "expect"),
        ({}, "argv, commands"),
    ],
)
def test_netlink_requests_refuses_bad_values_in_a_sentence(start: Any, options: Dict[str, Any], words: str) -> None:
    result = start(netlink_requests, **options)
    assert (result["failed"], "exception" in result) == (True, False)
    assert words in result["msg"]
