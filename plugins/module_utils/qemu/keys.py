# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's keys: one client key, one host key per node, and the known_hosts file that binds them to the forwarded ports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.qemu.spec import Node


class Keys:
    """Keys of a lab in its state directory."""

    def __init__(self, run: Run, lab: str, state: Path) -> None:
        self._run = run
        self._lab = lab
        self.directory = state / "ssh"

    @property
    def client(self) -> Path:
        """The private key that opens every node."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Host keys by port."""
        return self.directory / "known_hosts"

    def host(self, node: str) -> Path:
        """A node's private host key."""
        return self.directory / f"host_{node}"

    def ssh_argv(self, port: int, *command: str) -> List[str]:
        """Return the argv that runs a command on the node behind a port."""
        options = (
            "BatchMode=yes", "ConnectTimeout=5", "GlobalKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR",
            "StrictHostKeyChecking=yes", f"UserKnownHostsFile={self.known_hosts}",
        )
        given = [word for option in options for word in ("-o", option)]
        return ["ssh", "-F", "none", *given, "-i", str(self.client), "-p", str(port), "root@127.0.0.1", *command]

    def missing(self, nodes: Sequence[Node]) -> List[Path]:
        """Return the private keys that are not there yet."""
        return [key for key in (self.client, *(self.host(node.name) for node in nodes)) if not self._whole(key)]

    @staticmethod
    def _whole(key: Path) -> bool:
        return key.is_file() and public_of(key).is_file()

    def make(self, key: Path) -> None:
        """Make one key; a half of a pair that a killed run left is replaced."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for half in (key, public_of(key)):
            half.unlink(missing_ok=True)
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"datapath-lab-{self._lab}", "-f", str(key)]
        self._run(argv).require(f"make the key {key}")

    def known_hosts_text(self, nodes: Sequence[Node]) -> str:
        """Return what known_hosts shall hold; a node whose key is not made yet has no line."""
        lines = []
        for node in nodes:
            public = public_of(self.host(node.name))
            if public.is_file():
                kind, blob = public.read_text().split()[:2]
                lines.append(f"[127.0.0.1]:{node.port} {kind} {blob}\n")
        return "".join(lines)

    def write_known_hosts(self, text: str) -> None:
        """Replace known_hosts in one step."""
        partial = self.known_hosts.with_suffix(".new")
        partial.write_text(text)
        os.rename(partial, self.known_hosts)


def public_of(key: Path) -> Path:
    """Return the public half's path."""
    return key.with_name(key.name + ".pub")
