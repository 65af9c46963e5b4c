# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counting netlink requests: captures of strace and of the kernel's histograms, and what is concluded from them."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils import netlink_requests
from ansible_collections.datapath.lab.plugins.module_utils.errors import (
    CommandError,
    InvalidValueError,
    MissingCapabilityError,
    ParseError,
)
from ansible_collections.datapath.lab.plugins.module_utils.netlink_requests import (
    Bounds,
    Count,
    Ended,
    Observation,
    Tracing,
    count_histogram,
    expectation,
    family_of,
    judge,
    observe,
    parse_families,
    parse_histogram,
    parse_strace,
    witness,
    witnesses,
)
from hypothesis import given
from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[4] / "tests/fixtures"
STRACE = sorted((FIXTURES / "strace").glob("strace-*.out"))
FORKS = (FIXTURES / "tracing/hist-6.12-forks.out").read_text(encoding="utf-8")
REQUESTS = (FIXTURES / "tracing/hist-6.12-requests.out").read_text(encoding="utf-8")
FAMILIES = base64.b64decode((FIXTURES / "tracing/families-6.12-base64.out").read_bytes())
# The shell of the capture, which started ipvsadm twice on a table of two services.
SHELL, FIRST, SECOND = 619, 620, 621
ONE_LISTING = {("IPVS", "GET_INFO"): 1, ("IPVS", "GET_SERVICE"): 1, ("IPVS", "GET_DEST"): 2, ("nlctrl", "GETFAMILY"): 5}


@pytest.mark.parametrize("path", STRACE, ids=lambda path: path.stem)
def test_a_log_means_its_golden_value(path: Path) -> None:
    assert parse_strace(path.read_text(encoding="utf-8")).as_dict() == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def test_both_ways_of_counting_agree() -> None:
    """The same ipvsadm on the same table, once under strace and once under the probe."""
    by_strace = parse_strace((FIXTURES / "strace/strace-6.13-ipvsadm-save.out").read_text(encoding="utf-8"))
    by_probe = count_histogram(parse_histogram(REQUESTS), {FIRST}, parse_families(FAMILIES))
    assert dict(by_strace.requests) == dict(by_probe.requests) == ONE_LISTING


@given(text=st.text() | st.text(alphabet='sendmsg(3, {nlmsg_len=1, nlmsg_type=IPVS}"\\x08\n= -1 EPERM ('))
def test_arbitrary_text_is_no_log_or_counts_something(text: str) -> None:
    for parser in (parse_strace, parse_histogram):
        try:
            parser(text)
        except ParseError:
            continue


def test_several_messages_of_one_send_are_several_requests() -> None:
    one = "{nlmsg_len=20, nlmsg_type=IPVS, nlmsg_flags=NLM_F_REQUEST, nlmsg_seq=1, nlmsg_pid=0}"
    line = f'5 sendto(3, [[{one}, "\\x08\\x01\\x00\\x00"], [{one}, "\\x12\\x01\\x00\\x00"...]], 40, 0, NULL, 0) = 40\n'
    assert dict(parse_strace(line).requests) == {("IPVS", "GET_DEST"): 1, ("IPVS", "GET_SERVICE_DEST"): 1}


def test_a_send_that_failed_is_no_request_and_one_that_was_interrupted_is_one() -> None:
    header = "{nlmsg_len=20, nlmsg_type=0x22 /* NLMSG_??? */, nlmsg_flags=NLM_F_REQUEST, nlmsg_seq=1, nlmsg_pid=0}"
    text = f"[{header}, {{cmd=0x8, version=1}}], 20, 0, NULL, 0"
    failed = f"sendto(3, {text}) = -1 EPERM (Operation not permitted)\n"
    interrupted = (
        f"7 sendto(3, {text} <unfinished ...>\n8 socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC) = 3\n7 <... sendto resumed>) = 20\n"
    )
    assert parse_strace(failed).total() == 0
    assert parse_strace(interrupted) == Count({("0x22", "8"): 1}, 1)


def test_a_message_that_strace_does_not_decode_is_not_passed_over() -> None:
    with pytest.raises(ParseError):
        parse_strace("5 sendto(3, [{nlmsg_len=20, something else}], 20, 0, NULL, 0) = 20\n")
    with pytest.raises(ParseError):
        parse_strace("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n")


def test_children_belong_to_the_command_and_others_do_not() -> None:
    forks = parse_histogram(FORKS)
    assert family_of(forks, SHELL) == {SHELL, FIRST, SECOND}
    assert family_of(forks, FIRST) == {FIRST}
    both = count_histogram(parse_histogram(REQUESTS), family_of(forks, SHELL), parse_families(FAMILIES))
    assert dict(both.requests) == {key: 2 * number for key, number in ONE_LISTING.items()}


def test_a_process_of_another_namespace_is_not_taken_for_one_without_requests() -> None:
    with pytest.raises(ParseError, match="PID namespace"):
        family_of(parse_histogram(FORKS), 1)


@pytest.mark.parametrize("old,new", [("Dropped: 0", "Dropped: 3"), ("Hits: 18", "Hits: 19"), ("Totals:\n    Hits", "")])
def test_a_histogram_that_is_not_complete_is_refused(old: str, new: str) -> None:
    assert old in REQUESTS
    with pytest.raises(ParseError):
        parse_histogram(REQUESTS.replace(old, new))


def test_an_empty_histogram_is_no_request() -> None:
    assert parse_histogram("# event histogram\n\nTotals:\n    Hits: 0\n    Entries: 0\n    Dropped: 0\n") == []


def test_a_family_that_has_no_name_keeps_its_number() -> None:
    assert dict(count_histogram([({"common_pid": 1, "type": 99, "cmd": 4}, 2)], {1}, {}).requests) == {("family-99", "4"): 2}


def test_the_families_of_a_real_kernel() -> None:
    families = parse_families(FAMILIES)
    assert families[16] == "nlctrl"
    assert families[34] == "IPVS"


@given(data=st.binary(max_size=200), cut=st.integers(0, 2000))
def test_arbitrary_bytes_are_families_or_a_parse_error(data: bytes, cut: int) -> None:
    for text in (data, FAMILIES[:cut] + data):
        try:
            assert all(isinstance(name, str) for name in parse_families(text).values())
        except ParseError:
            continue


@pytest.mark.parametrize(
    ("expect", "state", "words"),
    [
        ({"max": 9}, "proved", "9 netlink requests where at most 9 were expected"),
        ({"max": 8}, "refuted", "9 netlink requests where at most 8 had been expected"),
        ({"min": 9, "max": 9}, "proved", "exactly 9"),
        ({"min": 10}, "refuted", "at least 10"),
        ({"min": 2, "max": 20}, "proved", "2 to 20"),
        ({"commands": {"GET_DEST": {"min": 2}, "nlctrl GETFAMILY": {"max": 5}}}, "proved", "2 GET_DEST requests"),
        (
            {"commands": {"GET_DEST": {"min": 2}, "nlctrl GETFAMILY": {"max": 4}}},
            "refuted",
            "5 nlctrl GETFAMILY requests where at most 4 had been",
        ),
        ({"commands": {"GET_SERVICE_DEST": {"min": 1}}}, "refuted", "0 GET_SERVICE_DEST requests where at least 1 had been"),
        ({"max": 20, "commands": {"GET_DEST": {"max": 0}}}, "refuted", "2 GET_DEST requests where at most 0 had been"),
    ],
)
def test_what_is_concluded(expect: Dict[str, Any], state: str, words: str) -> None:
    found, evidence = judge(Count(ONE_LISTING), expectation(expect))
    assert (found, words in evidence) == (state, True), evidence
    assert evidence.endswith(".")


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({}, "expect is empty"),
        ({"min": None, "max": None, "commands": {}}, "expect is empty"),
        ({"min": -1}, "expect.min -1"),
        ({"max": "many"}, "expect.max 'many'"),
        ({"max": True}, "expect.max True"),
        ({"min": 5, "max": 4}, "min 5 is above max 4"),
        ({"commands": {"GET_DESTS": {"max": 1}}}, "'GET_DESTS' is not a command"),
        ({"commands": {"GET_DEST": {}}}, "expect.commands.GET_DEST"),
        ({"commands": {"GET_DEST": 5}}, "expect.commands.GET_DEST"),
        ({"commands": {"GET_DEST": {"most": 5}}}, "expect.commands.GET_DEST"),
    ],
)
def test_an_expectation_that_proves_nothing_is_refused(expect: Dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        expectation(expect)
    assert words in str(caught.value)


class FakeTracefs:
    """A directory that stands for tracefs: an execution lays the captured histograms into the instance."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.written: List[str] = []
        self.instances: List[str] = []
        self.tracing = Tracing(str(root), tag="1")
        (root / "instances").mkdir()
        (root / "kprobe_events").touch()
        monkeypatch.setattr(netlink_requests, "_write", lambda path, text: self.written.append(f"{Path(path).relative_to(root)} {text}"))
        monkeypatch.setattr(netlink_requests, "read_families", lambda: parse_families(FAMILIES))
        monkeypatch.setattr(netlink_requests, "_remove", self.removed)

    def removed(self, path: str) -> None:
        self.instances.append(f"removed {Path(path).name}")

    def execute(self, argv: Sequence[str]) -> Ended:
        instance = self.root / "instances/datapath_lab_1/events"
        for place, text in (("sched/sched_process_fork", FORKS), ("datapath_lab/genl_1", REQUESTS)):
            (instance / place).mkdir(parents=True)
            (instance / place / "hist").write_text(text, encoding="utf-8")
        return Ended(FIRST, 0, "")


@pytest.fixture
def tracefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTracefs:
    """A usable tracefs."""
    return FakeTracefs(tmp_path, monkeypatch)


def test_the_kernel_s_tracing_counts_and_leaves_nothing_behind(tracefs: FakeTracefs) -> None:
    seen = observe(["ipvsadm", "-Sn"], "auto", tracefs.tracing, tracefs.execute, strace=False)
    assert dict(seen.count.requests) == ONE_LISTING
    assert seen.method == "tracing"
    assert tracefs.written == [
        "kprobe_events p:datapath_lab/genl_1 genl_rcv_msg type=+4($arg2):u16 cmd=+16($arg2):u8",
        "instances/datapath_lab_1/events/sched/sched_process_fork/trigger hist:keys=parent_pid,child_pid",
        "instances/datapath_lab_1/events/datapath_lab/genl_1/trigger hist:keys=common_pid,type,cmd",
        "kprobe_events -:datapath_lab/genl_1",
    ]
    assert tracefs.instances == ["removed datapath_lab_1"]


def test_the_probe_is_removed_although_the_command_cannot_be_run(tracefs: FakeTracefs) -> None:
    def fails(argv: Sequence[str]) -> Ended:
        raise CommandError("Could not start 'x': No such file or directory.")

    with pytest.raises(CommandError):
        observe(["x"], "auto", tracefs.tracing, fails, strace=True)
    assert tracefs.written[-1] == "kprobe_events -:datapath_lab/genl_1"
    assert tracefs.instances == ["removed datapath_lab_1"]


def writes_log(text: str, calls: List[List[str]]) -> Any:
    def execute(argv: Sequence[str]) -> Ended:
        calls.append(list(argv))
        Path(argv[list(argv).index("-o") + 1]).write_text(text, encoding="utf-8")
        return Ended(1, 0, "")

    return execute


LOG = (FIXTURES / "strace/strace-6.13-ipvsadm-save.out").read_text(encoding="utf-8")


def test_strace_is_used_where_tracing_is_not_usable_and_says_why(tmp_path: Path) -> None:
    calls: List[List[str]] = []
    seen = observe(["ipvsadm", "-Sn"], "auto", Tracing(str(tmp_path)), writes_log(LOG, calls), strace=True)
    assert (seen.method, dict(seen.count.requests), seen.count.sockets) == ("strace", ONE_LISTING, 5)
    assert "kprobe_events is missing" in seen.note
    assert calls[0][0] == "strace"
    assert calls[0][-2:] == ["ipvsadm", "-Sn"]


def test_strace_is_used_where_the_probe_sees_another_namespace(tracefs: FakeTracefs) -> None:
    calls: List[List[str]] = []

    def execute(argv: Sequence[str]) -> Ended:
        if argv[0] == "strace":
            return writes_log(LOG, calls)(argv)
        return Ended(tracefs.execute(argv).pid + 1000, 0, "")

    seen = observe(["ipvsadm", "-Sn"], "auto", tracefs.tracing, execute, strace=True)
    assert seen.method == "strace"
    assert "PID namespace" in seen.note


@pytest.mark.parametrize(("method", "strace"), [("auto", False), ("tracing", True), ("strace", False)])
def test_a_node_that_cannot_count_says_so(tmp_path: Path, method: str, strace: bool) -> None:
    with pytest.raises(MissingCapabilityError, match="cannot count netlink requests"):
        observe(["x"], method, Tracing(str(tmp_path)), writes_log(LOG, []), strace)


def test_a_witness_that_cannot_be_had_is_missing_and_says_why() -> None:
    def look(argv: Sequence[str]) -> Observation:
        raise MissingCapabilityError("This node cannot count.")

    assert witness(["x"], {"": Bounds(0, 1)}, look)["state"] == "missing"
    assert witness(["x"], {"": Bounds(0, 1)}, look)["evidence"] == "This node cannot count."


def test_a_command_that_failed_proves_nothing() -> None:
    found = witness(["x"], {"": Bounds(0, 9)}, lambda argv: Observation(Count(ONE_LISTING), Ended(1, 2, "no root\n"), "tracing"))
    assert found["state"] == "missing"
    assert "ended with status 2 and said: no root" in found["evidence"]


def test_a_witness_holds_its_numbers() -> None:
    found = witness(["x", "-y"], {"": Bounds(0, 9)}, lambda argv: Observation(Count(ONE_LISTING, 5), Ended(1, 0, ""), "strace", "why"))
    assert found["state"] == "proved"
    assert found["data"]["by_command"] == {"IPVS GET_DEST": 2, "IPVS GET_INFO": 1, "IPVS GET_SERVICE": 1, "nlctrl GETFAMILY": 5}
    assert (found["data"]["requests"], found["data"]["sockets"], found["data"]["method"], found["data"]["note"]) == (9, 5, "strace", "why")


def options(**changes: Any) -> Dict[str, Any]:
    return {"argv": None, "expect": None, "commands": None, "method": "auto", "timeout_s": 5.0, **changes}


def test_one_command_has_one_witness_and_several_have_names(tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink_requests, "observe", lambda *_rest: Observation(Count(ONE_LISTING), Ended(1, 0, ""), "tracing"))
    assert witnesses(options(argv=["x"], expect={"max": 9}), True, False)["witness"]["state"] == "proved"
    commands = [{"name": "a", "argv": ["x"], "expect": {"max": 9}}, {"name": "b", "argv": ["y"], "expect": {"max": 1}}]
    found = witnesses(options(commands=commands), True, False)["witnesses"]
    assert {name: entry["state"] for name, entry in found.items()} == {"a": "proved", "b": "refuted"}


def test_check_mode_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert witnesses(options(argv=["no-such-program"], expect={"max": 9}), True, True) == {"argv": [["no-such-program"]]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argv": [], "expect": {"max": 1}}, "argv is empty"),
        ({"argv": ["x"], "expect": {}}, "expect is empty"),
        ({"argv": ["x"], "expect": {"max": 1}, "timeout_s": 0.0}, "timeout_s 0.0"),
        ({"commands": [{"name": "a", "argv": ["x"], "expect": {"max": 1}}] * 2}, "commands[1]: name 'a' is given twice"),
        ({"commands": [{"name": "a", "argv": [], "expect": {"max": 1}}]}, "commands[0]: argv is empty"),
    ],
)
def test_a_bad_value_is_refused_before_anything_is_run(changes: Dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        witnesses(options(**changes), True, False)
    assert words in str(caught.value)


def test_a_command_is_run_with_its_output_thrown_away_and_its_error_kept(capfd: pytest.CaptureFixture[str]) -> None:
    ended = netlink_requests.executor(60)(
        [sys.executable, "-c", "import os, sys; print('out'); sys.stderr.write(str(os.getpid())); sys.exit(3)"]
    )
    assert (ended.rc, ended.stderr) == (3, str(ended.pid))
    assert capfd.readouterr().out == ""


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    sleeper = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeper!r}])"
    with pytest.raises(CommandError, match=r"took longer than timeout_s, 3 s"):
        netlink_requests.executor(3)([sys.executable, "-c", program])
    status = Path(f"/proc/{int(note.read_text(encoding='utf-8'))}/status")
    # The signal is sent; the kernel may take a moment to carry it out, and init one to reap.
    for _attempt in range(1000):
        if not status.exists() or "State:\tZ" in status.read_text(encoding="utf-8"):
            break
        time.sleep(0.01)
    else:
        pytest.fail("the command's child still runs")


def test_a_program_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(CommandError, match="Could not start 'no-such-program': No such file or directory"):
        netlink_requests.executor(5)(["no-such-program"])


def test_a_control_file_is_written_at_its_end_and_an_error_names_it(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("first\n", encoding="utf-8")
    netlink_requests._write(str(tmp_path / "events"), "second")
    assert (tmp_path / "events").read_text(encoding="utf-8") == "first\nsecond\n"
    with pytest.raises(OSError, match="No such file or directory for 'x'") as caught:
        netlink_requests._write(str(tmp_path / "none" / "events"), "x")
    assert caught.value.filename == str(tmp_path / "none" / "events")


def test_a_probe_is_named_by_its_process() -> None:
    assert Tracing().probe == f"datapath_lab/genl_{os.getpid()}"
