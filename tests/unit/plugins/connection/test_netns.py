# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection to a node: how it is entered, and what is told when it cannot be."""

from __future__ import annotations

import os

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import shell_loader
from ansible_collections.datapath.lab.plugins.connection.netns import Connection
from ansible_collections.datapath.lab.plugins.module_utils.netns import state


def connection_with(options):
    """Return a connection with these options, without Ansible's loader of plugins."""
    made = Connection(PlayContext(), shell=shell_loader.get("sh"))
    made.get_option = options.__getitem__
    made.given = options
    return made


@pytest.fixture
def connection(tmp_path, monkeypatch):
    """Return a connection to a node that is recorded as this very process, with a stand-in for nsenter that only runs the command."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    stand_in = bin_dir / "nsenter"
    stand_in.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/entered\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    directory = state.StateDir(str(tmp_path / "netns"), "demo")
    start = state.start_time(os.getpid())
    directory.write(state.Holder("demo", "n1", os.getpid(), start, state.boot_id(), "/tree"))
    made = connection_with({"remote_addr": "n1", "lab_name": "demo", "state_dir": str(tmp_path / "netns")})
    made._connect()
    return made


def test_a_command_runs_in_all_namespaces_of_the_node_with_an_environment_of_its_own(connection, tmp_path, monkeypatch):
    monkeypatch.setenv("CONTROLLERS_SECRET", "x")
    status, out, _err = connection.exec_command("cat; echo ${CONTROLLERS_SECRET:-none} $HOME; exit 3", in_data=b"given ")
    assert (status, out) == (3, b"given none /root\n")
    entered = (tmp_path / "entered").read_text()
    assert entered.startswith(f"--target {os.getpid()} --mount --uts --ipc --net --pid -- /bin/sh -c")


def test_files_go_in_and_come_out_unchanged(connection, tmp_path):
    content = bytes(range(256)) * 1000
    (tmp_path / "here").write_bytes(content)
    connection.put_file(str(tmp_path / "here"), str(tmp_path / "there"))
    connection.fetch_file(str(tmp_path / "there"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_files_that_are_not_there_are_told_by_name(connection, tmp_path):
    with pytest.raises(AnsibleFileNotFound, match="nothing"):
        connection.put_file(str(tmp_path / "nothing"), "/x")
    with pytest.raises(AnsibleError, match="Could not read /nothing in node n1"):
        connection.fetch_file("/nothing", str(tmp_path / "back"))
    with pytest.raises(AnsibleError, match="Could not write /nothing/x in node n1"):
        (tmp_path / "here").write_text("")
        connection.put_file(str(tmp_path / "here"), "/nothing/x")


def test_a_node_that_does_not_run_is_told_with_the_way_out(connection):
    connection.given["remote_addr"] = "n2"
    with pytest.raises(AnsibleConnectionFailure, match="Node n2 of lab 'demo' has no record .* playbook lab_up"):
        connection.exec_command("true")


def test_a_node_that_was_started_anew_is_entered_by_its_new_process(connection, tmp_path):
    assert connection.exec_command("true")[0] == 0
    directory = state.StateDir(str(tmp_path / "netns"), "demo")
    directory.write(state.Holder("demo", "n1", os.getpid(), 1, state.boot_id(), "/tree"))
    with pytest.raises(AnsibleConnectionFailure, match="which has ended"):
        connection.exec_command("true")


def test_only_root_enters(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    made = connection_with({})
    with pytest.raises(AnsibleConnectionFailure, match="run the playbook as root"):
        made._connect()


def test_a_controller_without_nsenter_is_told_what_to_install(connection, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AnsibleConnectionFailure, match="install the package util-linux"):
        connection.exec_command("true")
