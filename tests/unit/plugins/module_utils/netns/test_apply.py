# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding a lab and carrying a plan out, with commands and processes replaced."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.netns import apply, holder, state
from ansible_collections.datapath.lab.plugins.module_utils.netns.model import Lab
from ansible_collections.datapath.lab.plugins.module_utils.netns.plan import plan


@pytest.fixture
def lab(tmp_path):
    """Return a lab of two nodes on a tree that has what a tree needs."""
    for path in ("usr/bin/python3", "bin/sh"):
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text("")
    nics = [
        {"name": "data0", "network": "data", "addresses": [f"198.18.0.{number}/24"], "mtu": 1500, "queues": 2, "mac": None}
        for number in (1, 2)
    ]
    return Lab.of("demo", str(tmp_path / "tree"), 64, [{"name": "n1", "nics": [nics[0]]}, {"name": "n2", "nics": [nics[1]]}])


class Recorder:
    """Stands for the commands of a machine: keeps what was run, and shows links that are up."""

    def __init__(self, state_of_links="UP"):
        self.calls = []
        self.state_of_links = state_of_links

    def __call__(self, argv, stdin=None, environ=None):
        self.calls.append((tuple(argv), stdin))
        links = [
            {
                "ifindex": 2,
                "ifname": "data0",
                "flags": [],
                "mtu": 1500,
                "operstate": self.state_of_links,
                "ifalias": "datapath.lab wire to x/y",
            }
        ]
        return Completed(tuple(argv), 0, json.dumps(links) if "-j" in argv else "", "")


@pytest.fixture
def processes(monkeypatch):
    """Replace the start and the end of a node's process by notes about them."""
    notes = SimpleNamespace(started=[], ended=[])

    def start(wanted, record):
        notes.started.append(wanted)
        record(1000 + len(notes.started), 7)

    monkeypatch.setattr(holder, "start", start)
    monkeypatch.setattr(holder, "end", lambda pid, started: notes.ended.append((pid, started)))
    monkeypatch.setattr(state.Holder, "alive", lambda self, proc="/proc": True)
    return notes


def test_a_new_lab_is_started_recorded_and_joined_inside_its_own_namespaces(lab, tmp_path, processes):
    run = Recorder()
    made = apply.NetnsLab(state.StateDir(str(tmp_path / "run"), "demo"), run)
    made.carry_out(plan(made.find(), lab), lab)
    assert sorted(made.directory.read()) == ["n1", "n2"]
    assert [wanted.node for wanted in processes.started] == ["n1", "n2"]
    assert {argv[:2] for argv, _stdin in run.calls} == {("nsenter", "--net=/proc/1001/ns/net"), ("nsenter", "--net=/proc/1002/ns/net")}
    (joined,) = [stdin for _argv, stdin in run.calls if stdin and "type veth" in stdin]
    assert joined.endswith("netns /proc/1002/ns/net\n")
    assert "numtxqueues 2 numrxqueues 2" in joined


def test_a_lab_that_goes_ends_its_processes_and_leaves_no_file(lab, tmp_path, processes):
    made = apply.NetnsLab(state.StateDir(str(tmp_path / "run"), "demo"), Recorder())
    made.carry_out(plan({}, lab), lab)
    made.carry_out(plan(made.find(), None), None)
    assert processes.ended == [(1001, 7), (1002, 7)]
    assert not (tmp_path / "run").exists()


def test_a_node_that_cannot_be_started_is_not_recorded(lab, tmp_path, processes, monkeypatch):
    def fail(wanted, record):
        record(1, 1)
        raise LabError("Node n1 could not be started: no memory.")

    monkeypatch.setattr(holder, "start", fail)
    made = apply.NetnsLab(state.StateDir(str(tmp_path / "run"), "demo"), Recorder())
    with pytest.raises(LabError, match="no memory"):
        made.carry_out(plan({}, lab), lab)
    assert made.directory.read() == {}


def test_a_wire_without_carrier_is_told_with_its_card(lab, tmp_path, processes):
    ticks = iter(range(1000))
    made = apply.NetnsLab(
        state.StateDir(str(tmp_path / "run"), "demo"),
        Recorder(state_of_links="DOWN"),
        clock=lambda: next(ticks),
        sleep=lambda seconds: None,
    )
    with pytest.raises(LabError, match="Card data0 of n1 has no carrier"):
        made.carry_out(plan({}, lab), lab)


def test_a_command_that_fails_says_for_what_it_was(lab, tmp_path, processes):
    made = apply.NetnsLab(
        state.StateDir(str(tmp_path / "run"), "demo"), lambda argv, stdin=None: Completed(tuple(argv), 2, "", "Error: no")
    )
    with pytest.raises(CommandError, match="Could not set up the first interfaces of n1: .*Error: no"):
        made.carry_out(plan({}, lab), lab)


def test_machines_that_cannot_hold_a_lab_are_told_why(lab):
    def everything(name):
        return f"/bin/{name}"

    apply.check_machine(lab, everything, 0)
    with pytest.raises(MissingCapabilityError, match="needs root"):
        apply.check_machine(lab, everything, 1000)
    with pytest.raises(MissingCapabilityError, match="install the package iproute2"):
        apply.check_machine(lab, lambda name: None if name == "ip" else name, 0)
    with pytest.raises(InvalidValueError, match="is not a directory"):
        apply.check_machine(Lab("demo", lab.rootfs + "x", 64, ()), everything, 0)
    with pytest.raises(InvalidValueError, match="has no /usr/bin/python3"):
        apply.check_machine(Lab("demo", lab.rootfs + "/bin", 64, ()), everything, 0)


def test_the_diff_has_one_form_before_and_after(lab, tmp_path):
    assert apply.want_as_dict(None) == {}
    assert apply.want_as_dict(lab)["n1"]["cards"]["data0"]["queues"] == 2
    assert apply.have_as_dict({}) == {}


def test_the_files_of_a_node_never_go_through_a_link_of_the_image(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "root/etc/hostname").symlink_to(tmp_path / "outside")
    holder._put(str(tmp_path / "root"), "/etc/hostname", "n1\n", 0o644)
    assert (tmp_path / "outside").read_text() == "untouched"
    assert (tmp_path / "root/etc/hostname").read_text() == "n1\n"


def test_the_program_of_process_1_compiles_and_carries_the_mark():
    compile(holder.INIT_PROGRAM, holder.INIT_PATH, "exec")
    wanted = holder.Start("demo", "n1", "/tree", 64, "/run/x", state.mark("/run/x", "demo", "n1"))
    assert wanted.argv()[-1] == "datapath.lab.netns=/run/x/demo/n1"
    assert {path: text for path, text, _mode in holder.files_of(wanted)}["/etc/hostname"] == "n1\n"
