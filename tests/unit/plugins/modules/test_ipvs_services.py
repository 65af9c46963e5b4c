# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules as Ansible starts them: options in, one JSON document out, and no trace of Python for a user's mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.apply import Node
from ansible_collections.datapath.lab.plugins.modules import ipvs_info, ipvs_services

EMPTY = (
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
)


class Ipvsadm:
    """Keeps the lines that it is given."""

    def __init__(self) -> None:
        self.lines: List[str] = []

    def __call__(self, argv: Sequence[str], stdin: Any = None, environ: Any = None) -> Completed:
        if argv[1] == "-R":
            self.lines += stdin.splitlines()
        listed = "".join(f"{line}\n" for line in self.lines) if argv[1] == "-Sn" else EMPTY
        return Completed(tuple(argv), 0, listed, "")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a module's main() on a node with an empty table and return (its result, the ipvsadm)."""
    ipvsadm = Ipvsadm()
    (tmp_path / "net").mkdir()
    shown = tmp_path / "net/ip_vs"
    shown.write_text(EMPTY, encoding="utf-8")

    def run(argv: Sequence[str], stdin: Any = None, environ: Any = None) -> Completed:
        done = ipvsadm(argv, stdin, environ)
        services = sum(line.startswith("-A") for line in ipvsadm.lines)
        shown.write_text(EMPTY + services * "TCP  0A000001:7530 rr\n" + (len(ipvsadm.lines) - services) * "  -> x\n", encoding="utf-8")
        return done

    for module in (ipvs_services, ipvs_info):
        monkeypatch.setattr(module, "Node", lambda _run, name: Node(run, name, proc=str(tmp_path), modules=str(tmp_path)))

    def start(module: Any, **options: Any) -> Dict[str, Any]:
        with patch_module_args(options), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    start.ipvsadm = ipvsadm  # type: ignore[attr-defined]
    return start


WEB = {"address": "10.0.0.1", "port": 80, "scheduler": "rr", "destinations": [{"address": "10.1.0.1"}]}


def test_services_are_declared_and_read_back(call: Any) -> None:
    result = call(ipvs_services, services=[WEB])
    assert (result["changed"], result["services"], result["destinations"], result["lines"]) == (True, 1, 1, 2)
    assert result["duration_s"] >= 0
    assert call.ipvsadm.lines == ["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1"]
    info = call(ipvs_info, table=False)
    assert (info["changed"], info["ipvs"]["services"], info["ipvs"]["destinations"]) == (False, 1, 1)


def test_check_mode_and_diff(call: Any) -> None:
    result = call(ipvs_services, services=[WEB], _ansible_check_mode=True, _ansible_diff=True)
    assert result["changed"] is True
    assert result["diff"] == {"before": "", "after": "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n"}
    assert call.ipvsadm.lines == []


def test_ranges_travel_as_one_entry(call: Any) -> None:
    run = {
        "address": "10.0.0.1",
        "first_port": "30000",
        "services": "2",
        "destination_address": "10.1.0.1",
        "first_destination_port": 10000,
    }
    assert call(ipvs_services, ranges=[run])["lines"] == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"services": [{**WEB, "port": 70000}]}, "services[0]: port 70000"),
        ({"services": [{**WEB, "port": "http"}]}, "services[0]: port 'http'"),
        ({"services": [{**WEB, "address": "10.0.0.300"}]}, "services[0]: address '10.0.0.300'"),
        ({"services": [{**WEB, "scheduler": "quick"}]}, "services[0]: scheduler 'quick'"),
        ({"services": [WEB], "thresholds": False, "ranges": [{"address": "10.0.0.1"}]}, "ranges[0]: first_port is missing"),
    ],
)
def test_bad_input_is_one_sentence_and_loads_nothing(call: Any, options: Dict[str, Any], words: str) -> None:
    result = call(ipvs_services, **options)
    assert result["failed"] is True
    assert words in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert "exception" not in result
    assert call.ipvsadm.lines == []


def test_a_table_in_an_unknown_form_is_one_sentence(call: Any) -> None:
    call.ipvsadm.lines.append("something that ipvsadm never prints")
    for module in (ipvs_services, ipvs_info):
        result = call(module)
        assert result["failed"] is True
        assert "something that ipvsadm never prints" in result["msg"]
        assert "exception" not in result
