# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests: their command line, when they are started anew, and that a failure shows what the guest said last."""

from __future__ import annotations

import itertools
import socket
import stat
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import guest as guests
from ansible_collections.datapath.lab.plugins.module_utils.qemu import inspect, seed, spec
from ansible_collections.datapath.lab.plugins.module_utils.qemu.image import UP_MARKER
from ansible_collections.datapath.lab.plugins.module_utils.qemu.process import ProcessIdentity

from .test_cpio import unpack

NODE = spec.node_of(
    "default",
    22200,
    "lb1",
    {"index": 1, "cpus": 4, "memory_mib": 512, "nics": [{"network": "data", "queues": 4, "address": "198.18.0.1/24"}, {"network": "data"}]},
)
BOOT = guests.Boot("emulated", Path("/c/images/k/disk.raw"), Path("/c/images/k/cloud/vmlinuz"), Path("/c/images/k/cloud/initrd"))
WANT = guests.Want(NODE, BOOT, b"seed")
ALIVE = ProcessIdentity(4242, 7, "boot")
RECORD = guests.Record(WANT.fingerprint, "emulated", str(BOOT.disk), 22201, ALIVE, 8.6, ("qemu-system-x86_64",))


def after(argv: Sequence[str], option: str) -> List[str]:
    return [value for name, value in zip(argv, argv[1:]) if name == option]


def test_the_command_line_of_an_emulated_guest() -> None:
    argv = guests.qemu_argv("default", NODE, BOOT, Path("/s/nodes/lb1"), [[7, 8, 9, 10], [11]])
    assert after(argv, "-smp") == ["4"] and after(argv, "-m") == ["512M"]
    assert after(argv, "-accel") == ["tcg,thread=multi"] and "kvm" not in " ".join(argv)
    assert "accel=" not in after(argv, "-M")[0], "QEMU refuses an accelerator that is named twice"
    user, many, one = after(argv, "-netdev")
    assert "restrict=on" in user and "hostfwd=tcp:127.0.0.1:22201-198.19.255.15:22" in user
    assert many == "tap,id=data0,vhost=off,fds=7:8:9:10" and one == "tap,id=data1,vhost=off,fd=11"
    cards = [each for each in after(argv, "-device") if each.startswith("virtio-net-pci")]
    assert cards[0] == f"virtio-net-pci,netdev=mgmt,mac={spec.management_mac('default', 1)}"
    assert cards[1] == f"virtio-net-pci,netdev=data0,mac={NODE.nics[0].mac},mq=on,vectors=10,rss=on,hash=on"
    assert cards[2] == f"virtio-net-pci,netdev=data1,mac={NODE.nics[1].mac}"
    assert "mitigations=off" in after(argv, "-append")[0]


def test_a_guest_under_kvm_keeps_its_guards() -> None:
    argv = guests.qemu_argv("default", NODE, replace(BOOT, accelerator="kvm"), Path("/s"), [[7], [8]])
    assert after(argv, "-cpu") == ["host"] and after(argv, "-M")[0].endswith("accel=kvm") and not after(argv, "-accel")
    assert "mitigations" not in after(argv, "-append")[0]


@pytest.mark.parametrize(("nested", "word"), [(True, "svm=on"), (False, "svm=off")])
def test_only_a_nodes_own_guests_need_virtualisation(nested: bool, word: str) -> None:
    assert word in guests.machine_argv("emulated", nested)[-1]


def test_an_intel_card_is_one() -> None:
    node = spec.node_of("default", 22200, "igb1", {"index": 7, "kernel_flavour": "generic", "nics": [{"network": "data", "model": "igb"}]})
    argv = guests.qemu_argv("default", node, BOOT, Path("/s"), [[7]])
    assert f"igb,netdev=data0,mac={node.nics[0].mac}" in after(argv, "-device")


def test_the_fingerprint_follows_all_that_a_guest_is_made_from() -> None:
    others = [
        guests.Want(replace(NODE, cpus=2), BOOT, b"seed"),
        guests.Want(replace(NODE, nics=NODE.nics[:1]), BOOT, b"seed"),
        guests.Want(NODE, replace(BOOT, accelerator="kvm"), b"seed"),
        guests.Want(NODE, replace(BOOT, disk=Path("/c/images/l/disk.raw")), b"seed"),
        guests.Want(NODE, BOOT, b"other"),
    ]
    prints = {each.fingerprint for each in (*others, WANT)}
    assert len(prints) == len(others) + 1
    assert guests.Want(replace(NODE), replace(BOOT), b"seed").fingerprint == WANT.fingerprint


STOPPED = replace(RECORD, process=None, boot_seconds=None)
CHANGED = replace(RECORD, fingerprint="other")


@pytest.mark.parametrize(
    ("record", "process", "overlay", "steps"),
    [
        (RECORD, ALIVE, True, []),
        (replace(RECORD, boot_seconds=None), ALIVE, True, ["wait"]),
        (RECORD, None, True, ["start", "wait"]),
        (STOPPED, None, True, ["start", "wait"]),
        (None, None, False, ["disk", "start", "wait"]),
        (RECORD, None, False, ["disk", "start", "wait"]),
        (CHANGED, ALIVE, True, ["stop", "start", "wait"]),
        (CHANGED, None, True, ["start", "wait"]),
        (replace(CHANGED, disk="/c/images/old/disk.raw"), ALIVE, True, ["stop", "disk", "start", "wait"]),
        # QEMU runs and its record is lost: nothing is known of it but that it is ours.
        (None, ALIVE, True, ["stop", "disk", "start", "wait"]),
    ],
)
def test_the_plan(record: Optional[guests.Record], process: Optional[ProcessIdentity], overlay: bool, steps: List[str]) -> None:
    assert guests.plan_started(guests.Have(record, process, overlay), WANT) == steps


def test_no_plan_starts_what_runs_or_leaves_what_does_not() -> None:
    for record, process, overlay in itertools.product((None, RECORD, STOPPED, CHANGED), (None, ALIVE), (True, False)):
        steps = guests.plan_started(guests.Have(record, process, overlay), WANT)
        assert ("start" in steps) == (process is None or "stop" in steps)
        assert not steps or steps[-1] == "wait"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"fingerprint": "x", "process": {"pid": "a"}}'])
def test_half_a_record_is_none(text: str) -> None:
    assert guests.Record.from_text(text) is None


@pytest.mark.parametrize("record", [RECORD, STOPPED])
def test_a_record_comes_back(record: guests.Record) -> None:
    assert guests.Record.from_text(record.as_text()) == record


def test_the_consoles_end_is_shown_without_what_only_a_terminal_knows() -> None:
    text = "\x1bc\x1b[0mSeaBIOS\n\n" + "".join(f"[ {number}.0] line {number}\r\n" for number in range(40))
    lines = guests.console_tail(text, 3)
    assert lines == ["[ 37.0] line 37", "[ 38.0] line 38", "[ 39.0] line 39"]
    assert guests.console_tail("") == []
    assert guests.console_tail("\x1bc\x1b[0mSeaBIOS\n") == ["[0mSeaBIOS"]


@pytest.fixture
def server() -> Iterator[Callable[[bytes], int]]:
    """Start servers on free ports of 127.0.0.1 that say something to whoever connects."""
    sockets = []

    def start(said: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def serve() -> None:
            connection, _peer = listener.accept()
            with connection:
                connection.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for each in sockets:
        each.close()


@pytest.mark.parametrize(("said", "up"), [(b"SSH-2.0-OpenSSH_10.0\r\n", True), (b"HTTP/1.1 400\r\n", False), (b"", False)])
def test_only_an_ssh_banner_counts(server: Callable[[bytes], int], said: bytes, up: bool) -> None:
    assert guests.banner_on(server(said)) is up


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_nobody_there_is_not_up() -> None:
    assert not guests.banner_on(free_port())


class Nobody:
    """Processes on a machine without guests."""

    def runs(self, _identity: Any) -> bool:
        return False

    def holder_of(self, _option: str, _value: str) -> None:
        return None

    def qemu_command_lines(self) -> List[List[str]]:
        return []


def no_run(argv: Sequence[str], **_more: Any) -> Completed:
    """Let qemu-img make a file, and every other command do nothing."""
    if argv[0] == "qemu-img":
        Path(argv[-1]).write_text("qcow2", encoding="utf-8")
    return Completed(tuple(argv), 0, "", "")


def guest_in(state: Path, processes: Any = None, run: Any = no_run) -> guests.Guest:
    return guests.Guest(run, "default", "lb1", state, processes or Nobody())


def test_a_port_that_another_process_has_is_named_with_the_way_out(tmp_path: Path) -> None:
    guest = guest_in(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        node = replace(NODE, port=int(listener.getsockname()[1]))
        with pytest.raises(InvalidValueError, match=f"Port {node.port} .*'lb1'.*already taken.*lab_port_base"):
            guest.check_port(node, guests.Have(None, None, False))
        # Its own QEMU may well have it.
        guest.check_port(node, guests.Have(RECORD, ALIVE, True))
    guest.check_port(replace(NODE, port=free_port()), guests.Have(None, None, False))


class Once:
    """A guest's process: ``alive`` tells whether it runs."""

    def __init__(self, alive: bool = True) -> None:
        self.alive = alive
        self.killed: List[ProcessIdentity] = []

    def runs(self, identity: Optional[ProcessIdentity]) -> bool:
        return self.alive and identity == ALIVE

    def holder_of(self, _option: str, _value: str) -> Optional[ProcessIdentity]:
        return ALIVE if self.alive else None

    def identify(self, _pid: int) -> Optional[ProcessIdentity]:
        return ALIVE if self.alive else None

    def qemu_command_lines(self) -> List[List[str]]:
        return []

    def wait_gone(self, _identity: ProcessIdentity, _limit_s: float) -> bool:
        return not self.alive

    def kill(self, identity: ProcessIdentity) -> None:
        if self.alive:
            self.killed.append(identity)
        self.alive = False


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Start a guest without cards whose QEMU is replaced by a function; returns what start() gives and the processes."""
    node = replace(NODE, nics=(), port=free_port())
    initrd = tmp_path / "initrd"
    initrd.write_bytes(b"image")
    want = guests.Want(node, replace(BOOT, initrd=initrd), b"own")

    def start(console: str, status: int = 0, alive: bool = True, banner: bool = False) -> Any:
        processes = Once(alive)
        guest = guest_in(tmp_path, processes)
        guest.directory.mkdir(parents=True)

        def qemu(argv: Sequence[str], **options: Any) -> Any:
            assert options["cwd"] == guest.directory and options["start_new_session"] is True
            (guest.directory / "console.log").write_text(console, encoding="utf-8")
            (guest.directory / "qemu.pid").write_text("4242\n", encoding="utf-8")
            options["stdout"].write("qemu-system-x86_64: no such device\n" if status else "")
            return subprocess.CompletedProcess(argv, status)

        monkeypatch.setattr(guests.subprocess, "run", qemu)
        monkeypatch.setattr(guests, "banner_on", lambda port: banner and port == node.port)
        return guest.apply(["disk", "start", "wait"], want, Path("/none"), 0.0), guest, want

    return start


def test_a_guest_that_comes_up_is_recorded(started: Callable[..., Any]) -> None:
    seconds, guest, want = started(f"booting\n{UP_MARKER}\r\n", banner=True)
    have = guest.have()
    assert seconds is not None and have.record is not None
    assert (have.record.boot_seconds, have.record.process, have.record.port) == (seconds, ALIVE, want.node.port)
    assert have.overlay and have.state == "running"
    assert guests.plan_started(have, want) == []
    initrd = guest.directory / "initrd"
    assert initrd.read_bytes() == b"imageown"
    # It holds the node's private host key.
    assert stat.S_IMODE(initrd.stat().st_mode) == 0o600


def test_a_guest_that_does_not_come_up_shows_its_consoles_end(started: Callable[..., Any]) -> None:
    with pytest.raises(LabError, match=r"Node 'lb1' did not come up: no SSH server.* within 0 s.*\n(.*\n)*the last words$"):
        started("".join(f"{number}\n" for number in range(99)) + "the last words\n")


def test_a_guest_that_says_it_is_up_but_cannot_be_reached_is_not(started: Callable[..., Any]) -> None:
    with pytest.raises(LabError, match="no SSH server answered"):
        started(f"{UP_MARKER}\n", banner=False)


def test_a_panic_is_not_waited_for(started: Callable[..., Any]) -> None:
    with pytest.raises(LabError, match="its kernel panicked"):
        started("[ 1.0] Kernel panic - not syncing: VFS\n")


def test_a_qemu_that_ends_is_not_waited_for(started: Callable[..., Any]) -> None:
    with pytest.raises(LabError, match=r"its QEMU process ended.*\(it wrote nothing\)"):
        started("", alive=False)


def test_a_qemu_that_refuses_is_quoted(started: Callable[..., Any]) -> None:
    with pytest.raises(LabError, match="QEMU refused to start node 'lb1': qemu-system-x86_64: no such device"):
        started("", status=1)


def recorded(state: Path, processes: Any, run: Any = no_run) -> guests.Guest:
    guest = guest_in(state, processes, run)
    guest.directory.mkdir(parents=True)
    (guest.directory / "guest.json").write_text(RECORD.as_text(), encoding="utf-8")
    (guest.directory / "overlay.qcow2").touch()
    return guest


def test_a_guest_is_shut_down_over_ssh(tmp_path: Path) -> None:
    processes, started = Once(), []

    def ssh(argv: Sequence[str], **_more: Any) -> Completed:
        started.append(list(argv))
        processes.alive = False
        return Completed(tuple(argv), 255, "", "closed by remote host")

    guest = recorded(tmp_path, processes, ssh)
    assert guest.stop(60.0)
    assert started[0][-3:] == ["root@127.0.0.1", "systemctl", "poweroff"] and "22201" in started[0]
    assert guest.have().state == "stopped" and not processes.killed
    assert not guest.stop(60.0)


def test_a_guest_that_hears_nothing_is_ended_and_its_disk_kept(tmp_path: Path) -> None:
    processes = Once()
    guest = recorded(tmp_path, processes)
    assert guest.stop(1.0)
    assert processes.killed == [ALIVE]
    assert guest.have().state == "stopped"


def test_removing_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    processes = Once()
    guest = recorded(tmp_path, processes)
    assert guest.remove()
    assert processes.killed == [ALIVE] and not guest.directory.exists()
    assert not guest.remove()


def test_a_guest_whose_directory_is_lost_is_ended_all_the_same(tmp_path: Path) -> None:
    processes = Once()
    guest = guest_in(tmp_path, processes)
    assert guest.have().state == "running" and not guest.directory.exists()
    assert guest.stop(0.0)
    assert processes.killed == [ALIVE]


class Machine(Once):
    """Two labs' guests run; one has no directory any more."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        self.state = state

    def qemu_command_lines(self) -> List[List[str]]:
        return [
            [
                "qemu-system-x86_64",
                "-name",
                "default/lost,process=x",
                "-pidfile",
                f"{self.state}/nodes/lost/qemu.pid",
                "-kernel",
                "/c/images/k/cloud/vmlinuz",
            ],
            [
                "qemu-system-x86_64",
                "-name",
                "other/lb1,process=y",
                "-pidfile",
                "/other/nodes/lb1/qemu.pid",
                "-kernel",
                "/c/images/k/cloud/vmlinuz",
            ],
            ["qemu-system-x86_64", "-name", "mine", "-kernel", "/boot/vmlinuz"],
        ]


def test_what_is_there_is_found_by_directories_and_processes(tmp_path: Path) -> None:
    processes = Machine(tmp_path)
    recorded(tmp_path, processes)
    found = inspect.guests(no_run, "default", tmp_path, processes)  # type: ignore[arg-type]
    assert [(each["name"], each["state"], each["accelerator"]) for each in found] == [
        ("lb1", "running", "emulated"),
        ("lost", "running", None),
    ]
    assert inspect.users_of(Path("/c"), processes) == ["default/lost", "other/lb1"]  # type: ignore[arg-type]
    assert inspect.rootfs_of(found[0]["disk"]) == "/c/rootfs/k"


def test_a_lab_that_was_never_there_has_no_guests(tmp_path: Path) -> None:
    assert inspect.guests(no_run, "default", tmp_path / "none", Nobody()) == []  # type: ignore[arg-type]


def test_a_nodes_own_files() -> None:
    files = seed.files("default", NODE, "client key", "host key", "host key, public")
    assert files["etc/hostname"][1] == b"lb1\n" and b"127.0.1.1 lb1\n" in files["etc/hosts"][1]
    assert files["etc/ssh/ssh_host_ed25519_key"] == (0o600, b"host key")
    rules = files["etc/udev/rules.d/85-datapath-lab.rules"][1].decode().splitlines()
    assert len(rules) == 3
    assert 'NAME="mgmt0"' in rules[0] and "address replace 198.19.255.15/24 dev mgmt0" in rules[0]
    assert f'ATTR{{address}}=="{NODE.nics[0].mac}"' in rules[1] and "address replace 198.18.0.1/24 dev data0" in rules[1]
    assert "address replace" not in rules[2] and "link set data1 up" in rules[2]
    archived = unpack(seed.archive(files))
    assert archived["seed/root/.ssh/authorized_keys"] == (stat.S_IFREG | 0o600, b"client key")
    # sshd refuses keys in a directory that others can write to.
    assert all(stat.S_IMODE(archived[path][0]) == 0o700 for path in ("seed/root", "seed/root/.ssh"))
