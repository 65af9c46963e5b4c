# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node's IPVS is and holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.info import connections, gather, sysctls

FIXTURES = Path(__file__).parents[5] / "tests/fixtures/ipvsadm"


def test_a_node_without_ipvs_says_so(kernel: Any) -> None:
    (kernel.root / "net/ip_vs").unlink()
    facts = gather(kernel.node(), table=True, with_statistics=True)
    assert facts["available"] is False
    assert kernel.calls == []


def test_the_numbers_alone_need_no_ipvsadm(kernel: Any, tmp_path: Path) -> None:
    kernel.load("-A -f 1 -s rr\n-a -f 1 -r 10.1.0.1:1 -m -w 1\n")
    kernel.calls.clear()
    (kernel.root / "net/ip_vs_conn").write_text(
        (FIXTURES / "ip_vs-6.12-connections-three.out").read_text(encoding="utf-8"), encoding="utf-8"
    )
    vs = kernel.root / "sys/net/ipv4/vs"
    vs.mkdir(parents=True)
    (vs / "conntrack").write_text("0\n", encoding="utf-8")
    (vs / "sync_threshold").write_text("3\t50\n", encoding="utf-8")
    (tmp_path / "sys/module/ip_vs/notes").mkdir(parents=True)
    (tmp_path / "sys/module/ip_vs/srcversion").write_text("5FB2C2DE51C9BA42D3AD0A3\n", encoding="utf-8")
    (tmp_path / "sys/module/ip_vs/taint").write_text("OE\n", encoding="utf-8")
    (tmp_path / "sys/module/ip_vs/notes/.note.gnu.build-id").write_bytes(b"\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0\xab\xcd\xef")
    facts = gather(kernel.node(), table=False, with_statistics=False, sys_root=str(tmp_path / "sys"))
    assert kernel.calls == []
    assert facts == {
        "available": True,
        "version": "1.2.1",
        "connection_table_size": 4096,
        "connections": 3,
        "services": 1,
        "destinations": 1,
        "srcversion": "5FB2C2DE51C9BA42D3AD0A3",
        "build_id": "abcdef",
        "taint": "OE",
        "sysctls": {"conntrack": 0, "sync_threshold": "3\t50"},
        "schedulers": facts["schedulers"],
    }


def test_the_table_comes_as_entries(kernel: Any) -> None:
    kernel.load("-A -f 1 -s rr\n-a -f 1 -r 10.1.0.1:1 -m -w 1 -x 9\n")
    facts = gather(kernel.node(), table=True, with_statistics=False)
    real = {"address": "10.1.0.1", "port": 1, "method": "masquerade", "weight": 1, "upper_threshold": 9}
    assert facts["table"] == [{"fwmark": 1, "family": "ipv4", "scheduler": "rr", "destinations": [real]}]


def test_a_file_in_another_form_is_not_counted_as_empty(kernel: Any) -> None:
    (kernel.root / "net/ip_vs").write_text("something else\n", encoding="utf-8")
    with pytest.raises(ParseError):
        gather(kernel.node(), table=False, with_statistics=False)
    with pytest.raises(ParseError):
        connections("something else\n")


def test_no_settings_where_there_is_no_directory(tmp_path: Path) -> None:
    assert sysctls(str(tmp_path / "none")) == {}
