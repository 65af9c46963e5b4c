# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loading a table: one process, all or nothing, and a refusal that names its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs import apply
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.model import MAX_FWMARK
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.parse import saved_table

FORMER = "-A -t 10.0.0.9:9 -s rr\n-a -t 10.0.0.9:9 -r 10.1.0.9:9 -m -w 1 -x 7\n"
RUN = {"address": "10.0.0.1", "first_port": 30000, "services": 3, "destination_address": "10.1.0.1", "scheduler": "rr"}


def params(**changes: Any) -> Dict[str, Any]:
    return {"services": [], "ranges": [RUN], "state": "exact", "clear": "disjoint", "thresholds": True, "load_module": False, **changes}


def test_a_table_is_loaded_by_one_process_and_is_there(kernel: Any) -> None:
    result = apply.ensure(kernel.node(), params(), False, False)
    assert result["changed"] is True
    assert (result["services"], result["destinations"], result["lines"]) == (3, 3, 6)
    assert result["added"] == {"services": 3, "destinations": 3}
    assert len(kernel.loads) == 1
    assert set(kernel.table) == {"-t 10.0.0.1:30000", "-t 10.0.0.1:30001", "-t 10.0.0.1:30002"}


@pytest.mark.parametrize("state", ["present", "exact", "absent"])
def test_a_second_time_changes_nothing(kernel: Any, state: str) -> None:
    kernel.load(FORMER)
    apply.ensure(kernel.node(), params(state=state), False, False)
    kernel.loads.clear()
    assert apply.ensure(kernel.node(), params(state=state), False, False)["changed"] is False
    assert kernel.loads == []


@pytest.mark.parametrize("state", ["present", "exact", "absent"])
def test_check_mode_predicts_what_then_happens_and_touches_nothing(kernel: Any, state: str) -> None:
    kernel.load(FORMER + "-A -t 10.0.0.1:30001 -s wlc\n")
    kernel.loads.clear()
    predicted = apply.ensure(kernel.node(), params(state=state), True, True)
    assert kernel.loads == []
    assert apply.ensure(kernel.node(), params(state=state), False, True) == predicted
    assert predicted["changed"] is True
    assert kernel.node().table(True) == saved_table(predicted["diff"]["after"])


def test_removals_and_additions_go_through_one_process(kernel: Any) -> None:
    kernel.load(FORMER + "-A -t 10.0.0.1:30001 -s wlc\n")
    kernel.loads.clear()
    apply.ensure(kernel.node(), params(), False, False)
    assert len(kernel.loads) == 1
    assert kernel.loads[0].splitlines()[:2] == ["-D -t 10.0.0.9:9", "-E -t 10.0.0.1:30001 -s rr"]


@pytest.mark.parametrize("number", range(6))
def test_a_refused_line_is_named_and_the_former_table_is_back(kernel: Any, number: int) -> None:
    kernel.load(FORMER + "-A -t 10.0.0.1:30001 -s wlc\n")
    before = kernel.node().table(True)
    lines = apply.plan(before, apply.table_of([], [RUN], ["rr"]), "exact").commands
    kernel.refuse[lines[number]] = "Memory allocation problem"
    with pytest.raises(CommandError) as caught:
        apply.ensure(kernel.node(), params(), False, False)
    assert f"refused line {number + 1} of {len(lines)}, '{lines[number]}': Memory allocation problem." in str(caught.value)
    assert "Nothing was loaded: the former table of 2 services and 1 destinations is in force." in str(caught.value)
    assert kernel.node().table(True) == before


def test_a_refused_line_is_seen_although_the_last_one_was_taken(kernel: Any) -> None:
    kernel.refuse["-a -t 10.0.0.1:30000 -r 10.1.0.1:30000 -m -w 1"] = "No such file or directory"
    assert kernel.run(["ipvsadm", "-R"], stdin="-A -f 1 -s rr\n-A -f 1 -s rr\n-A -f 2 -s rr\n").rc == 0
    kernel.load("-C\n")
    with pytest.raises(CommandError, match="refused line 2 of 6"):
        apply.ensure(kernel.node(), params(), False, False)
    assert kernel.table == {}


def test_a_line_at_which_ipvsadm_gives_up_is_named(kernel: Any) -> None:
    kernel.refuse["-A -t 10.0.0.1:30001 -s rr"] = "usage"
    with pytest.raises(CommandError, match=r"refused line 3 of 6, '-A -t 10\.0\.0\.1:30001 -s rr': illegal something specified"):
        apply.ensure(kernel.node(), params(), False, False)
    assert kernel.table == {}


def test_thresholds_are_put_back_too(kernel: Any) -> None:
    kernel.load(FORMER)
    kernel.refuse["-A -t 10.0.0.1:30002 -s rr"] = "Memory allocation problem"
    with pytest.raises(CommandError):
        apply.ensure(kernel.node(), params(), False, False)
    assert kernel.table["-t 10.0.0.9:9"][1] == {"10.1.0.9:9": "-m -w 1 -x 7"}


def test_a_table_that_cannot_be_put_back_is_said(kernel: Any) -> None:
    kernel.load(FORMER)
    kernel.refuse["-A -t 10.0.0.1:30002 -s rr"] = "Memory allocation problem"
    kernel.refuse["-A -t 10.0.0.9:9 -s rr"] = "Memory allocation problem"
    with pytest.raises(CommandError, match="could not be put back"):
        apply.ensure(kernel.node(), params(), False, False)


def test_somebody_else_who_adds_a_service_meanwhile_is_noticed(kernel: Any) -> None:
    def meddle(other: Any) -> None:
        other.meddle = None
        other.table["-f 99"] = ["-s rr", {}]

    kernel.meddle = meddle
    with pytest.raises(CommandError, match="somebody else"):
        apply.ensure(kernel.node(), params(), False, False)
    assert kernel.table == {}


@pytest.mark.parametrize(
    "entry", [{"address": "10.0.0.1", "port": 70000}, {"address": "10.0.0.x", "port": 1}, {"fwmark": 1, "scheduler": "no"}]
)
def test_an_invalid_entry_is_refused_before_anything_is_run(kernel: Any, entry: Dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=r"services\[1\]"):
        apply.ensure(kernel.node(), params(services=[{"address": "10.0.0.5", "port": 5}, entry]), False, False)
    assert kernel.calls == []


def test_thresholds_cannot_be_declared_and_ignored(kernel: Any) -> None:
    service = {"address": "10.0.0.5", "port": 5, "destinations": [{"address": "10.1.0.1", "upper_threshold": 5}]}
    with pytest.raises(InvalidValueError, match="thresholds"):
        apply.ensure(kernel.node(), params(services=[service], thresholds=False), False, False)
    assert apply.ensure(kernel.node(), params(services=[service]), False, False)["destinations"] == 4


def test_a_lost_threshold_is_seen_only_if_it_is_asked_for(kernel: Any) -> None:
    kernel.load(FORMER)
    plain = {"address": "10.0.0.9", "port": 9, "scheduler": "rr", "destinations": [{"address": "10.1.0.9"}]}
    assert apply.ensure(kernel.node(), params(services=[plain], ranges=[], thresholds=False), True, False)["changed"] is False
    assert apply.ensure(kernel.node(), params(services=[plain], ranges=[]), True, False)["modified"]["destinations"] == 1


def test_a_kernel_without_ipvs_is_one_sentence(kernel: Any) -> None:
    (kernel.root / "net/ip_vs").unlink()
    with pytest.raises(MissingCapabilityError, match="no IPVS in force"):
        apply.ensure(kernel.node(), params(), False, False)
    assert kernel.calls == []


def test_check_mode_does_not_load_the_module_but_says_what_would_come(kernel: Any) -> None:
    (kernel.root / "net/ip_vs").unlink()
    assert apply.ensure(kernel.node(), params(load_module=True), True, False)["added"]["services"] == 3
    assert kernel.calls == []


def test_the_module_is_loaded_if_asked(kernel: Any) -> None:
    shown = (kernel.root / "net/ip_vs").read_text(encoding="utf-8")
    (kernel.root / "net/ip_vs").unlink()
    calls = []

    def run(argv: Any, stdin: Any = None, environ: Any = None) -> Completed:
        calls.append(list(argv))
        if argv[0] == "modprobe":
            (kernel.root / "net/ip_vs").write_text(shown, encoding="utf-8")
            return Completed(tuple(argv), 0, "", "")
        return kernel.run(argv, stdin, environ)

    node = apply.Node(run, proc=str(kernel.root), modules=str(kernel.root))
    assert apply.ensure(node, params(load_module=True), False, False)["services"] == 3
    assert calls[0] == ["modprobe", "ip_vs"]


def test_a_module_that_cannot_be_loaded_is_one_sentence(kernel: Any) -> None:
    (kernel.root / "net/ip_vs").unlink()
    node = apply.Node(lambda argv, **_rest: Completed(tuple(argv), 1, "", "modprobe: FATAL: Module ip_vs not found"), proc=str(kernel.root))
    with pytest.raises(MissingCapabilityError, match="FATAL: Module ip_vs not found"):
        node.require_ipvs(True)


def test_an_ipvsadm_that_fails_is_one_sentence(kernel: Any) -> None:
    node = apply.Node(lambda argv, **_rest: Completed(tuple(argv), 2, "", "Permission denied (you must be root)"), proc=str(kernel.root))
    with pytest.raises(LabError, match="you must be root"):
        apply.ensure(node, params(), False, False)


def test_the_kernel_s_own_schedulers_are_those_of_its_modules(kernel: Any) -> None:
    modules = kernel.root / "modules/6.12.0-test"
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text(
        "kernel/net/netfilter/ipvs/ip_vs_own.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n", encoding="utf-8"
    )
    (modules / "modules.builtin").write_text("kernel/net/netfilter/ipvs/ip_vs_rr.ko\n", encoding="utf-8")
    (kernel.root / "modules_loaded").touch()
    (kernel.root / "modules").joinpath("x").touch()
    node = apply.Node(kernel.run, proc=str(kernel.root), modules=str(kernel.root / "modules"))
    assert node.schedulers() == {"own", "rr"}


def test_without_a_list_of_modules_the_known_schedulers_and_the_loaded_ones_count(kernel: Any) -> None:
    (kernel.root / "modules").write_text(
        "ip_vs_own 12288 3 - Live 0xffffffffc0a41000\nip_vs 200704 1 ip_vs_own, Live 0x0\n", encoding="utf-8"
    )
    assert {"own", "rr", "mh"} <= kernel.node().schedulers()


@pytest.mark.parametrize(
    "line",
    [
        "-D -f 1",
        "-d -f 1 -r 10.1.0.1:80",
        "-e -f 2 -r 10.1.0.1:80 -m -w 1",
        "-E -f 2 -s rr",
        "-A -f 3 -s rr",
        "-a -f 2 -r 10.1.0.9:80 -m -w 1",
    ],
)
def test_each_kind_of_line_is_found_when_its_effect_is_missing(line: str) -> None:
    now = saved_table("-A -f 1 -s rr\n-a -f 1 -r 10.1.0.1:80 -m -w 1\n-A -f 2 -s wlc\n-a -f 2 -r 10.1.0.1:80 -m -w 7\n")
    predicted = saved_table("-A -f 2 -s rr\n-a -f 2 -r 10.1.0.1:80 -m -w 1\n-a -f 2 -r 10.1.0.9:80 -m -w 1\n-A -f 3 -s rr\n")
    assert apply.first_refused([line], now, predicted) == 0
    assert apply.first_refused([line], predicted, predicted) is None


def test_a_mark_that_ipvsadm_prints_as_negative_is_the_declared_one(kernel: Any, tmp_path: Path) -> None:
    kernel.table[f"-f {MAX_FWMARK}"] = ["-s rr", {}]

    def run(argv: Any, stdin: Any = None, environ: Any = None) -> Completed:
        done = kernel.run(argv, stdin, environ)
        return Completed(
            done.argv, done.rc, done.stdout.replace(f"-f {MAX_FWMARK}", "-f -1").replace(f"FWM  {MAX_FWMARK}", "FWM  -1"), done.stderr
        )

    node = apply.Node(run, proc=str(kernel.root), modules=str(tmp_path))
    service = {"fwmark": MAX_FWMARK, "scheduler": "rr"}
    assert apply.ensure(node, params(services=[service], ranges=[]), False, False)["changed"] is False


def test_a_table_without_traffic_may_be_cleared_where_that_is_shorter(kernel: Any) -> None:
    kernel.load("".join(f"-A -f {mark} -s rr\n" for mark in range(1, 9)))
    kernel.loads.clear()
    want = params(services=[{"fwmark": 1, "scheduler": "rr"}], ranges=[])
    assert apply.ensure(kernel.node(), {**want, "clear": "disjoint"}, True, False)["lines"] == 7
    assert apply.ensure(kernel.node(), {**want, "clear": "shorter"}, False, False)["lines"] == 2
    assert kernel.loads == ["-C\n-A -f 1 -s rr\n"]
    assert set(kernel.table) == {"-f 1"}
