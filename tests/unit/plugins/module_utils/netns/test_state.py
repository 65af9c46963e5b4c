# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of running nodes, and how a process is recognised."""

from __future__ import annotations

import os

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.netns import state

BOOT = "0b1f7c3e-0000-4000-8000-000000000000"


@pytest.fixture
def proc(tmp_path):
    """Return a /proc with one boot and no process."""
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text(BOOT + "\n")
    return tmp_path / "proc"


def add_process(proc, pid, start, arguments=("/usr/bin/python3",), name="labinit", flag="S"):
    (proc / str(pid)).mkdir()
    fields = ["0"] * 30
    fields[19] = str(start)
    fields[0] = flag
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (proc / str(pid) / "cmdline").write_bytes(b"\0".join(each.encode() for each in arguments) + b"\0")


def holder(pid=4711, start=100, node="n1", boot=BOOT):
    return state.Holder("demo", node, pid, start, boot, "/tree")


def test_a_record_is_read_as_it_was_written(tmp_path):
    directory = state.StateDir(str(tmp_path / "netns"), "demo")
    directory.write(holder())
    directory.write(holder(node="n2"))
    assert directory.read() == {"n1": holder(), "n2": holder(node="n2")}


def test_removal_leaves_nothing_and_spares_other_labs(tmp_path):
    one, two = state.StateDir(str(tmp_path / "x/netns"), "one"), state.StateDir(str(tmp_path / "x/netns"), "two")
    one.write(holder())
    two.write(holder())
    one.remove()
    assert two.read()
    two.remove()
    assert not (tmp_path / "x").exists()
    two.remove()


@pytest.mark.parametrize(
    ("pid", "start", "boot", "alive"),
    [(4711, 100, BOOT, True), (4711, 101, BOOT, False), (4711, 100, "x", False), (4712, 100, BOOT, False)],
)
def test_a_number_that_was_used_again_is_not_our_process(proc, pid, start, boot, alive):
    add_process(proc, 4711, 100)
    assert holder(pid, start, boot=boot).alive(str(proc)) is alive


@pytest.mark.parametrize("name", ["labinit", "a b", "x) S 1 (y"])
def test_the_start_time_is_found_behind_any_name(proc, name):
    add_process(proc, 1, 42, name=name)
    assert state.start_time(1, str(proc)) == 42


def test_a_process_that_has_ended_has_no_start_time(proc):
    add_process(proc, 1, 42, flag="Z")
    assert state.start_time(1, str(proc)) is None
    assert state.start_time(2, str(proc)) is None


def test_a_stat_that_is_too_short_is_refused(proc):
    (proc / "1").mkdir()
    (proc / "1/stat").write_text("1 (x) S 1 1\n")
    with pytest.raises(ParseError):
        state.start_time(1, str(proc))


def test_holders_without_a_record_are_found_by_their_mark_and_only_those_of_this_lab(proc):
    add_process(proc, 10, 1, ("/usr/bin/python3", state.mark("/run/x", "demo", "n1")))
    add_process(proc, 11, 2, ("/usr/bin/python3", state.mark("/run/x", "demo2", "n2")))
    add_process(proc, 12, 3, ("/usr/bin/python3", state.mark("/run/y", "demo", "n3")))
    add_process(proc, 13, 4, ("grep", "-r", state.mark("/run/x", "demo", "n4") + "/more"))
    add_process(proc, 14, 5, ("/usr/bin/python3", state.mark("/run/x", "demo", "n5")), flag="Z")
    (proc / "self").mkdir()
    assert list(state.marked("/run/x", "demo", str(proc))) == [("n1", 10, 1)]


def test_a_node_that_does_not_run_is_refused_with_the_way_out(tmp_path, proc):
    with pytest.raises(LabError, match="has no record .* bring the lab up with playbook lab_up"):
        state.running_node(str(tmp_path / "netns"), "demo", "n1", str(proc))
    state.StateDir(str(tmp_path / "netns"), "demo").write(holder())
    with pytest.raises(LabError, match="process 4711, which has ended"):
        state.running_node(str(tmp_path / "netns"), "demo", "n1", str(proc))
    add_process(proc, 4711, 100)
    assert state.running_node(str(tmp_path / "netns"), "demo", "n1", str(proc)) == holder()


def test_check_mode_makes_no_directory(tmp_path):
    with state.StateDir(str(tmp_path / "netns"), "demo").locked(shared=True):
        assert not (tmp_path / "netns").exists()
    with state.StateDir(str(tmp_path / "netns"), "demo").locked(shared=False):
        assert os.listdir(tmp_path / "netns") == []
