# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.datapath.lab.plugins.module_utils import ipvs_variant as variant
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed

RELEASE = "6.12.107+deb13-cloud-amd64"
STOCK_ID, PATCHED_ID = "11" * 20, "22" * 20
HEADING = (
    "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
)


def note(build_id: str) -> bytes:
    return bytes.fromhex("040000001400000003000000474e5500" + build_id)


def elf(build_id: str) -> bytes:
    # Another note of the same owner comes first, as in real modules.
    return b"\x7fELF" + bytes.fromhex("040000001000000005000000474e5500") + b"\0" * 16 + note(build_id) + b"rest"


class Node:
    """A node whose kernel obeys insmod, rmmod and modprobe."""

    def __init__(self, root: Path) -> None:
        self.sys, self.proc, self.modules = root / "sys", root / "proc", root / "modules"
        self.stock = self.modules / RELEASE / "kernel" / "ip_vs.ko.xz"
        self.stock.parent.mkdir(parents=True)
        self.stock.write_bytes(lzma.compress(elf(STOCK_ID)))
        self.variant_dir = self.modules / RELEASE / "datapath-lab" / "patched"
        self.variant_dir.mkdir(parents=True)
        for name in ("ip_vs", "ip_vs_rr", "ip_vs_ftp"):
            (self.variant_dir / f"{name}.ko").write_bytes(elf(PATCHED_ID))
        (self.proc / "self" / "net").mkdir(parents=True)
        (self.proc / "self" / "ns").mkdir()
        (self.proc / "self" / "ns" / "net").write_text("own")
        self.calls: list[list[str]] = []
        self.refuse: set[str] = set()
        self.busy = 0
        self.pauses: list[float] = []
        self.unload()

    @property
    def note(self) -> Path:
        return self.sys / "module" / "ip_vs" / "notes" / ".note.gnu.build-id"

    def force(self, build_id: str) -> None:
        self.note.parent.mkdir(parents=True, exist_ok=True)
        self.note.write_bytes(note(build_id))
        (self.proc / "modules").write_text(
            "xt_ipvs 16384 0 - Live 0x0\nip_vs_wrr 12288 0 - Live 0x0 (OE)\nip_vs_rr 12288 0 - Live 0x0\n"
            "ip_vs 233472 6 xt_ipvs,ip_vs_wrr,ip_vs_rr, Live 0x0\nnf_conntrack 204800 1 ip_vs, Live 0x0\n"
        )

    def unload(self) -> None:
        if self.note.exists():
            self.note.unlink()
        (self.proc / "modules").write_text("nf_conntrack 204800 0 - Live 0x0\n")

    def services(self, pid: str, count: int) -> None:
        directory = self.proc / pid
        (directory / "net").mkdir(parents=True, exist_ok=True)
        (directory / "ns").mkdir(exist_ok=True)
        if not (directory / "ns" / "net").exists():
            (directory / "ns" / "net").write_text(pid)
        lines = "".join(
            f"TCP  0A000001:{30000 + n:04X} rr \n  -> 0A010001:2710      Masq    1      0          0         \n" for n in range(count)
        )
        (directory / "net" / "ip_vs").write_text(HEADING + lines)

    def run(self, argv: list[str]) -> Completed:
        self.calls.append(list(argv))
        program = argv[0]
        if program in self.refuse:
            return Completed(tuple(argv), 1, "", f"{program}: ERROR: refused\n")
        out = ""
        if argv[:2] == ["modinfo", "-k"]:
            out = f"{self.stock}\n"
        elif program == "modinfo":
            out = "nf_conntrack,libcrc32c\nip_vs\n"
        elif program == "rmmod":
            if self.busy:
                self.busy -= 1
                return Completed(tuple(argv), 1, "", "rmmod: ERROR: Module ip_vs is in use\n")
            self.unload()
        elif argv == ["modprobe", "ip_vs"]:
            self.force(STOCK_ID)
        elif program == "insmod" and argv[1].endswith("/ip_vs.ko"):
            self.force(PATCHED_ID)
        return Completed(tuple(argv), 0, out, "")

    def ipvs(self) -> variant.Ipvs:
        return variant.Ipvs(self.run, RELEASE, str(self.sys), str(self.proc), str(self.modules), self.pauses.append)

    def programs(self) -> list[str]:
        return [call[0] for call in self.calls if call[0] != "modinfo"]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_build_id_is_found_behind_another_note() -> None:
    assert variant.build_id_of(elf(PATCHED_ID)) == PATCHED_ID


@pytest.mark.parametrize("content", [b"", b"\x7fELF", note(PATCHED_ID)[:-1]])
def test_no_build_id(content: bytes) -> None:
    assert variant.build_id_of(content) is None


def test_modules_are_removed_before_what_they_stand_on() -> None:
    text = "ip_vs_rr 1 0 - Live 0x0\nxt_ipvs 1 0 - Live 0x0\nip_vs 1 6 xt_ipvs,ip_vs_rr, Live 0x0 (OE)\nnf_conntrack 1 1 ip_vs, Live 0x0\n"
    assert variant.loaded_ipvs_modules(text) == ["xt_ipvs", "ip_vs_rr", "ip_vs"]
    assert variant.loaded_ipvs_modules("nf_conntrack 1 0 - Live 0x0\n") == []


def test_only_services_are_counted() -> None:
    text = (
        HEADING
        + "TCP  0A000001:7530 rr \n  -> 0A010001:2710      Masq    1      0          0\nUDP  [2001:db8::1]:0035 rr\nFWM  00000001 wlc\n"
    )
    assert variant.count_services(text) == 3


def test_status_knows_what_is_in_force(node: Node) -> None:
    assert node.ipvs().status().as_dict() == {
        "release": RELEASE,
        "variant": "none",
        "build_id": None,
        "build_ids": {"stock": STOCK_ID, "patched": PATCHED_ID},
    }
    node.force(PATCHED_ID)
    assert node.ipvs().status().variant == "patched"
    node.force("33" * 20)
    assert node.ipvs().status().variant == "unknown"


def test_switch_loads_everything_but_what_is_loaded_on_demand(node: Node) -> None:
    node.force(STOCK_ID)
    before, after = node.ipvs().switch("patched")
    assert (before.variant, after.variant) == ("stock", "patched")
    assert ["rmmod", "xt_ipvs", "ip_vs_wrr", "ip_vs_rr", "ip_vs"] in node.calls
    assert ["modprobe", "-a", "libcrc32c", "nf_conntrack"] in node.calls
    assert [Path(call[1]).stem for call in node.calls if call[0] == "insmod"] == ["ip_vs", "ip_vs_rr"]


def test_switch_back_to_stock(node: Node) -> None:
    node.force(PATCHED_ID)
    assert node.ipvs().switch("stock")[1].variant == "stock"
    assert node.programs() == ["rmmod", "modprobe"]


def test_nothing_is_done_when_the_variant_is_in_force(node: Node) -> None:
    node.force(PATCHED_ID)
    node.services("self", 5)
    before, after = node.ipvs().switch("patched", flush=True)
    assert before == after
    assert node.programs() == []


def test_a_reload_makes_the_same_variant_fresh(node: Node) -> None:
    node.force(PATCHED_ID)
    before, after = node.ipvs().switch("patched", reload=True)
    assert before == after
    programs = node.programs()
    assert programs.index("rmmod") < programs.index("insmod")


def test_dry_run_predicts_and_does_nothing(node: Node) -> None:
    node.force(STOCK_ID)
    before, after = node.ipvs().switch("patched", dry=True)
    assert (before.variant, after.variant, after.loaded) == ("stock", "patched", PATCHED_ID)
    assert node.programs() == []


@pytest.mark.parametrize("dry", [True, False])
def test_services_of_any_namespace_are_in_the_way(node: Node, dry: bool) -> None:
    node.force(STOCK_ID)
    node.services("self", 2)
    node.services("4711", 3)
    # A process in a namespace that was counted already.
    (node.proc / "4712" / "ns").mkdir(parents=True)
    os.link(node.proc / "4711" / "ns" / "net", node.proc / "4712" / "ns" / "net")
    node.services("4712", 3)
    with pytest.raises(variant.VariantError, match=r"IPVS services: 5, network namespaces that have any: 2.*flush: true"):
        node.ipvs().switch("patched", dry=dry)
    assert node.programs() == []


def test_flush_enters_the_other_namespaces(node: Node) -> None:
    node.force(STOCK_ID)
    node.services("self", 2)
    node.services("4711", 3)
    node.ipvs().switch("patched", flush=True)
    assert ["ipvsadm", "-C"] in node.calls
    assert ["nsenter", "--net=/proc/4711/ns/net", "--", "ipvsadm", "-C"] in node.calls
    assert node.programs().index("nsenter") < node.programs().index("rmmod")


def test_unknown_variant(node: Node) -> None:
    node.force(STOCK_ID)
    with pytest.raises(variant.VariantError, match=r"no variant 'other'.*there are: patched, stock.*role datapath.lab.kernel"):
        node.ipvs().switch("other")
    assert node.programs() == []


def test_built_in_cannot_be_exchanged(node: Node) -> None:
    node.stock = Path("(builtin)")
    with pytest.raises(variant.VariantError, match="built into kernel"):
        node.ipvs().switch("patched")


def test_unloading_waits_for_the_last_reference(node: Node) -> None:
    node.force(STOCK_ID)
    node.busy = 3
    assert node.ipvs().switch("patched")[1].variant == "patched"
    assert node.pauses == [variant.UNLOAD_PAUSE_S] * 3


def test_unloading_gives_up(node: Node) -> None:
    node.force(STOCK_ID)
    node.busy = 1000
    with pytest.raises(variant.VariantError, match=r"within 10 s: rmmod: ERROR: Module ip_vs is in use; a service in a network namespace"):
        node.ipvs().switch("patched")
    assert node.programs().count("rmmod") == variant.UNLOAD_TRIES


def test_a_build_that_does_not_load_leaves_the_old_one(node: Node) -> None:
    node.force(STOCK_ID)
    node.refuse.add("insmod")
    with pytest.raises(variant.VariantError, match="Could not load ip_vs patched"):
        node.ipvs().switch("patched")
    assert node.ipvs().status().variant == "stock"


def test_another_build_in_force_is_an_error(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.force(STOCK_ID)
    monkeypatch.setattr(variant.Ipvs, "_load", lambda _self, _variant: node.force("33" * 20))
    with pytest.raises(variant.VariantError, match="something else loads ip_vs"):
        node.ipvs().switch("patched")


def test_the_program_needs_no_collection(tmp_path: Path) -> None:
    program = tmp_path / "datapath-ipvs-variant"
    program.write_text(Path(variant.__file__).read_text())

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-I", str(program), *arguments], capture_output=True, text=True, check=False)

    status = call("status")
    assert status.returncode == 0, status.stderr
    assert set(json.loads(status.stdout)) == {"release", "variant", "build_id", "build_ids"}
    missing = call("no-such-variant")
    assert missing.returncode == 1 and missing.stderr.startswith("datapath-ipvs-variant: There is no variant 'no-such-variant'")
    assert call().returncode == 2
