# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data network and the keys: what is missing is made, what is there is left alone."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any, List, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import network, spec
from ansible_collections.datapath.lab.plugins.module_utils.qemu.keys import Keys, public_of


class Ip:
    """Stands for ip: namespaces are files, bridges are kept."""

    def __init__(self, directory: Path, refuses: str = "") -> None:
        self.directory, self.refuses = directory, refuses
        self.bridges: List[str] = []
        self.started: List[str] = []

    def __call__(self, argv: Sequence[str], stdin: Any = None, environ: Any = None) -> Completed:
        line = " ".join(argv)
        self.started.append(line)
        if self.refuses and self.refuses in line:
            return Completed(tuple(argv), 1, "", "RTNETLINK answers: Operation not permitted\n")
        if "netns add" in line:
            (self.directory / argv[-1]).touch()
        if "netns delete" in line:
            (self.directory / argv[-1]).unlink()
        if "link add" in line:
            self.bridges.append(argv[5])
        return Completed(tuple(argv), 0, json.dumps([{"ifname": name} for name in self.bridges]) if "-json" in argv else "", "")


def test_a_network_is_made_once_and_removed_whole(tmp_path: Path) -> None:
    ip = Ip(tmp_path)
    net = network.Network(ip, "default", tmp_path)
    assert not net.exists() and net.bridges() == []
    net.create(["data", "pods"])
    assert net.exists() and net.bridges() == ["br-data", "br-pods"]
    before = len(ip.started)
    net.create(["data", "pods"])
    assert not [line for line in ip.started[before:] if "add" in line or "set" in line]
    net.create(["data", "more"])
    assert net.bridges() == ["br-data", "br-pods", "br-more"]
    net.remove()
    assert not net.exists()
    net.remove()


def test_a_machine_without_namespaces_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(MissingCapabilityError, match="cannot make a network namespace.*Operation not permitted.*CONFIG_NET_NS"):
        network.Network(Ip(tmp_path, "netns add"), "default", tmp_path).create(["data"])


def test_a_machine_without_bridges_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="CONFIG_BRIDGE"):
        network.Network(Ip(tmp_path, "link add"), "default", tmp_path).create(["data"])


def test_a_tap_has_a_queue_for_each_descriptor_and_passes_to_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr(fcntl, "ioctl", lambda handle, request, argument: asked.append((request, argument)))
    (tmp_path / "tun").touch()
    handles = network.open_tap("lb1.0", 2, str(tmp_path / "tun"))
    assert len(handles) == 2 and all(os.get_inheritable(handle) for handle in handles)
    assert [request for request, _argument in asked] == [0x400454CA] * 2
    name, flags = asked[0][1][:16].rstrip(b"\0"), int.from_bytes(asked[0][1][16:18], "little")
    assert name == b"lb1.0" and flags == 0x0002 | 0x1000 | 0x4000 | 0x0100
    for handle in handles:
        os.close(handle)


def test_a_tap_that_cannot_be_made_leaves_no_descriptor_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tun").touch()
    closed = []
    close = os.close

    def refuse(_handle: int, _request: int, _argument: bytes) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    monkeypatch.setattr(os, "close", lambda handle: (closed.append(handle), close(handle)))
    with pytest.raises(MissingCapabilityError, match=r"tap lb1\.0.*Operation not permitted.*CONFIG_TUN"):
        network.open_tap("lb1.0", 2, str(tmp_path / "tun"))
    assert len(closed) == 1
    with pytest.raises(MissingCapabilityError, match="No such file"):
        network.open_tap("lb1.0", 1, str(tmp_path / "none"))


def test_names_fit_into_an_interfaces_name() -> None:
    longest = "a" * 12
    assert len(network.tap_of(longest, 7)) <= 15 and len(network.bridge_of(longest)) <= 15


class Keygen:
    """Stands for ssh-keygen: a pair whose public half names the file."""

    def __init__(self) -> None:
        self.made: List[Path] = []

    def __call__(self, argv: Sequence[str], stdin: Any = None, environ: Any = None) -> Completed:
        key = Path(argv[-1])
        assert not key.exists(), "ssh-keygen would ask whether to overwrite it"
        self.made.append(key)
        key.write_text("private", encoding="utf-8")
        public_of(key).write_text(f"ssh-ed25519 {key.name} comment\n", encoding="utf-8")
        return Completed(tuple(argv), 0, "", "")


def test_keys_are_made_once_and_known_by_port(tmp_path: Path) -> None:
    nodes = spec.lab_of("default", 22200, {"lb1": {"index": 1}, "client1": {"index": 2}})
    keygen = Keygen()
    keys = Keys(keygen, "default", tmp_path)
    assert [key.name for key in keys.missing(nodes)] == ["id_ed25519", "host_lb1", "host_client1"]
    assert keys.known_hosts_text(nodes) == ""
    for key in keys.missing(nodes):
        keys.make(key)
    assert keys.missing(nodes) == []
    text = keys.known_hosts_text(nodes)
    assert text == "[127.0.0.1]:22201 ssh-ed25519 host_lb1\n[127.0.0.1]:22202 ssh-ed25519 host_client1\n"
    keys.write_known_hosts(text)
    assert keys.known_hosts.read_text(encoding="utf-8") == text
    # A run was killed between the two halves.
    public_of(keys.host("lb1")).unlink()
    assert keys.missing(nodes) == [keys.host("lb1")]
    keys.make(keys.host("lb1"))
    assert keys.missing(nodes) == []


def test_ssh_trusts_the_labs_own_file_alone(tmp_path: Path) -> None:
    argv = Keys(Keygen(), "default", tmp_path).ssh_argv(22201, "true")
    assert "StrictHostKeyChecking=yes" in argv and f"UserKnownHostsFile={tmp_path}/ssh/known_hosts" in argv
    assert argv[-2:] == ["root@127.0.0.1", "true"] and argv[argv.index("-F") + 1] == "none"
