# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: netns
short_description: Enter a node that is a set of namespaces of this machine
version_added: "0.1.0"
author:
  - Datapath Lab contributors (@datapath-lab)
description:
  - Runs tasks in a node that M(datapath.lab.netns_lab) has made. The controller is the machine that holds the node, and the play runs
    as root there.
  - A task enters the node's network, mount, UTS, IPC and PID namespaces with C(nsenter); there is no daemon and no login, and
    privilege escalation is not needed since the tasks are root in the node.
options:
  remote_addr:
    description: Name of the node.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_netns_node
  lab_name:
    description: Name of the lab that the node belongs to.
    type: str
    default: netns
    vars:
      - name: lab_name
      - name: ansible_netns_lab
  state_dir:
    description: Directory in which M(datapath.lab.netns_lab) keeps its records.
    type: path
    default: /run/datapath.lab/netns
    vars:
      - name: netns_lab_state_dir
      - name: ansible_netns_state_dir
  pipelining:
    description: Give a module to the node's Python through its standard input, with no file written in the node.
    type: boolean
    default: true
    vars:
      - name: ansible_pipelining
      - name: ansible_netns_pipelining
"""

import os
import resource
import shlex
import shutil
import subprocess

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.netns.state import Holder, running_node

display = Display()

# Nothing of the controller's own environment reaches a node.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
    "LANG": "C.UTF-8",
    "container": "datapath-lab",
}


def allow_many_files() -> None:
    """Raise the limit of open files as far as it goes: a login would, and a load generator with a thousand connections needs it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Connection(ConnectionBase):
    """The way into a node."""

    transport = "datapath.lab.netns"
    has_pipelining = True
    has_tty = False

    def _connect(self) -> Connection:
        if not self._connected:
            if os.geteuid() != 0:
                raise AnsibleConnectionFailure("A node of the netns substrate can only be entered by root: run the playbook as root.")
            self._connected = True
        return self

    def _holder(self) -> Holder:
        try:
            return running_node(self.get_option("state_dir"), self.get_option("lab_name"), self.get_option("remote_addr"))
        except LabError as error:
            raise AnsibleConnectionFailure(str(error)) from error

    def _enter(self, argv: list[str], stdin: bytes | None) -> tuple[int, bytes, bytes]:
        # Looked up for each command: the node may have been started anew in between.
        pid = self._holder().pid
        nsenter = shutil.which("nsenter")
        if nsenter is None:
            raise AnsibleConnectionFailure("The program 'nsenter' is not in PATH: install the package util-linux.")
        command = [nsenter, "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--", *argv]
        display.vvv(f"ENTER {shlex.join(command)}", host=self.get_option("remote_addr"))
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            preexec_fn=allow_many_files,
        ) as process:
            out, err = process.communicate(stdin)
            return process.returncode, out, err

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command in the node."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._enter(["/bin/sh", "-c", cmd], in_data)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the node."""
        super().put_file(in_path, out_path)
        if not os.path.exists(to_bytes(in_path, errors="surrogate_or_strict")):
            raise AnsibleFileNotFound(
                f"The file {in_path} to be copied into node {self.get_option('remote_addr')} does not exist on the controller."
            )
        with open(in_path, "rb") as stream:
            content = stream.read()
        status, _out, err = self._enter(["/bin/dd", f"of={out_path}", "bs=65536", "status=none"], content)
        if status != 0:
            raise AnsibleError(f"Could not write {out_path} in node {self.get_option('remote_addr')}: {to_text(err).strip()}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the node."""
        super().fetch_file(in_path, out_path)
        status, content, err = self._enter(["/bin/dd", f"if={in_path}", "bs=65536", "status=none"], None)
        if status != 0:
            raise AnsibleError(f"Could not read {in_path} in node {self.get_option('remote_addr')}: {to_text(err).strip()}")
        with open(out_path, "wb") as stream:
            stream.write(content)

    def reset(self) -> None:
        """Forget the connection; there is none to close."""
        self._connected = False

    def close(self) -> None:
        """Forget the connection; there is none to close."""
        self._connected = False
