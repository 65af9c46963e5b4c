# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest: its command line, its record on disk, its start and its end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import network, seed
from ansible_collections.datapath.lab.plugins.module_utils.qemu.image import UP_MARKER
from ansible_collections.datapath.lab.plugins.module_utils.qemu.keys import Keys
from ansible_collections.datapath.lab.plugins.module_utils.qemu.process import Processes, ProcessIdentity
from ansible_collections.datapath.lab.plugins.module_utils.qemu.spec import MANAGEMENT_NETWORK, Nic, Node, management_mac

QEMU = "qemu-system-x86_64"
CONSOLE_LINES = 15
# Without the parts of a PC for which the guest would only load drivers.
MACHINE = "q35,sata=off,smbus=off,i8042=off,vmport=off,usb=off"


@dataclass(frozen=True)
class Boot:
    """What a guest starts from: the accelerator, and files of the image."""

    accelerator: str
    disk: Path
    kernel: Path
    initrd: Path

    def as_dict(self) -> Dict[str, str]:
        """Return the form that is recorded."""
        return {"accelerator": self.accelerator, "disk": str(self.disk), "kernel": str(self.kernel), "initrd": str(self.initrd)}


def machine_argv(accelerator: str, nested: bool) -> List[str]:
    """Return the machine and CPU for an accelerator, "kvm" or "emulated"; ``nested``: the guest has guests itself."""
    if accelerator == "kvm":
        return ["-M", f"{MACHINE},accel=kvm", "-cpu", "host"]
    # Five-level page tables make every emulated page walk longer and serve no guest of this size.
    return ["-M", MACHINE, "-accel", "tcg,thread=multi", "-cpu", f"max,la57=off,svm={'on' if nested else 'off'}"]


def append_line(accelerator: str) -> str:
    """Return the guest's kernel command line."""
    words = [
        "console=ttyS0", "root=/dev/vda", "rw", "loglevel=5", "systemd.show_status=auto", "systemd.firstboot=no",
        "systemd.condition_needs_update=no", "panic=0",
    ]
    # An emulated CPU has no speculation to guard against, but would pay for the guards.
    return " ".join([*words, "mitigations=off"] if accelerator == "emulated" else words)


def _card(nic: Nic, number: int, handles: Sequence[int]) -> List[str]:
    """Return the arguments for a card whose tap queues are these file descriptors."""
    fds = ":".join(str(handle) for handle in handles)
    netdev = f"tap,id=data{number},vhost=off," + (f"fds={fds}" if len(handles) > 1 else f"fd={fds}")
    common = f"netdev=data{number},mac={nic.mac}"
    if nic.model == "virtio":
        device = f"virtio-net-pci,{common}"
        if nic.queues > 1:
            device += f",mq=on,vectors={2 * nic.queues + 2},rss=on,hash=on"
    else:
        device = f"{nic.model},{common}"
    return ["-netdev", netdev, "-device", device]


def qemu_argv(lab: str, node: Node, boot: Boot, directory: Path, taps: Sequence[Sequence[int]]) -> List[str]:
    """Return the whole command.

    :param lab: name of the lab.
    :param node: the node.
    :param boot: what it starts from.
    :param directory: the node's directory; QEMU is started in it, so that the monitor socket's path is short.
    :param taps: per card, the file descriptors of its queues.
    """
    forward = f"hostfwd=tcp:127.0.0.1:{node.port}-{seed.MANAGEMENT_ADDRESS}:22"
    argv = [
        QEMU, "-name", f"{lab}/{node.name},process={node.name}.{lab}", "-nodefaults", "-no-user-config", "-display", "none",
        "-daemonize", "-pidfile", str(directory / "qemu.pid"),
        *machine_argv(boot.accelerator, node.nested), "-smp", str(node.cpus), "-m", f"{node.memory_mib}M",
        "-kernel", str(boot.kernel), "-initrd", str(directory / "initrd"), "-append", append_line(boot.accelerator),
        "-drive", f"file={directory / 'overlay.qcow2'},if=none,id=root,format=qcow2,cache=writeback,discard=unmap",
        "-device", "virtio-blk-pci,drive=root",
        "-chardev", f"file,id=console,path={directory / 'console.log'},append=off", "-serial", "chardev:console",
        "-qmp", "unix:qmp.sock,server=on,wait=off",
        "-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
        "-netdev", f"user,id=mgmt,restrict=on,ipv6=off,net={MANAGEMENT_NETWORK},host={seed.MANAGEMENT_HOST},{forward}",
        "-device", f"virtio-net-pci,netdev=mgmt,mac={management_mac(lab, node.index)}",
    ]
    for number, (nic, handles) in enumerate(zip(node.nics, taps)):
        argv += _card(nic, number, handles)
    return argv


def fingerprint(node: Node, boot: Boot, initrd: bytes) -> str:
    """Return what identifies a guest's configuration: another one means that it must be started anew."""
    body = json.dumps([node.as_dict(), boot.as_dict(), hashlib.sha256(initrd).hexdigest(), append_line(boot.accelerator)], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """What is on disk about a guest. ``process``: None once it was stopped; ``boot_seconds``: power-on to SSH, None until then."""

    fingerprint: str
    accelerator: str
    disk: str
    port: int
    process: Optional[ProcessIdentity]
    boot_seconds: Optional[float]
    argv: Tuple[str, ...]

    def as_text(self) -> str:
        """Return the text of the record."""
        data = {
            "fingerprint": self.fingerprint, "accelerator": self.accelerator, "disk": self.disk, "port": self.port,
            "process": self.process.as_dict() if self.process else None,
            "boot_seconds": self.boot_seconds, "argv": list(self.argv),
        }
        return json.dumps(data, indent=1) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Optional[Record]:
        """Read a record; None if it is not whole, since a guest whose record is lost is found through its pid file."""
        try:
            data = json.loads(text)
            process = ProcessIdentity.from_dict(data["process"]) if data["process"] else None
            return cls(
                data["fingerprint"], data["accelerator"], data["disk"], data["port"], process, data["boot_seconds"],
                tuple(data["argv"]),
            )
        except (ValueError, KeyError, TypeError, LabError):
            return None


@dataclass(frozen=True)
class Want:
    """A guest as it shall be: the node, what it boots from, and its own files as an archive."""

    node: Node
    boot: Boot
    seed: bytes

    @property
    def fingerprint(self) -> str:
        """Return what identifies this configuration."""
        return fingerprint(self.node, self.boot, self.seed)


@dataclass(frozen=True)
class Have:
    """A guest as it is."""

    record: Optional[Record]
    process: Optional[ProcessIdentity]
    overlay: bool

    @property
    def running(self) -> bool:
        """Whether its QEMU runs."""
        return self.process is not None

    @property
    def state(self) -> str:
        """One word: running, stopped (there is a disk) or absent."""
        return "running" if self.running else "stopped" if self.overlay else "absent"


def plan_started(have: Have, want: Want) -> List[str]:
    """Return the steps that make a guest run as wanted; empty if it does."""
    same = have.record is not None and have.record.fingerprint == want.fingerprint
    ready = have.record is not None and have.record.boot_seconds is not None
    if have.running and same and ready:
        return []
    steps = []
    if have.running and not same:
        steps.append("stop")
    if not have.overlay or have.record is None or have.record.disk != str(want.boot.disk):
        steps.append("disk")
    if not have.running or not same:
        steps.append("start")
    return [*steps, "wait"]


def console_tail(text: str, lines: int = CONSOLE_LINES) -> List[str]:
    """Return the last lines that a guest wrote, without what only a terminal understands."""
    clean = "".join(char for char in text.replace("\x1bc", "").replace("\x1b", "") if char == "\n" or char.isprintable())
    return [line.rstrip() for line in clean.splitlines() if line.strip()][-lines:]


def banner_on(port: int, limit_s: float = 15.0) -> bool:
    """Return whether an SSH server answers on a port of 127.0.0.1: QEMU accepts connections long before the guest does.

    The limit is a long one: an emulated guest on a loaded machine takes seconds to answer, and each client that gives up costs it more.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=limit_s) as connection:
            connection.settimeout(limit_s)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def port_taken(port: int) -> bool:
    """Return whether a port of 127.0.0.1 cannot be listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def monitor(directory: Path, command: str, limit_s: float = 5.0) -> None:
    """Send one command to a guest's monitor.

    :param directory: the node's directory, which holds the socket.
    :param command: such as "quit".
    :raises LabError: if the monitor does not answer.
    """
    from qemu.qmp import QMPClient, QMPError  # pylint: disable=import-outside-toplevel

    async def send(path: str) -> None:
        client = QMPClient("datapath-lab")
        await client.connect(path)
        try:
            await client.execute(command)
        finally:
            await client.disconnect()

    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise LabError(f"The guest in {directory} has no monitor any more: {error.strerror}.") from None
    try:
        # A socket's path may have 107 characters; the way through the directory's handle is always short.
        asyncio.run(asyncio.wait_for(send(f"/proc/self/fd/{handle}/qmp.sock"), limit_s))
    except (OSError, QMPError, asyncio.TimeoutError, EOFError) as error:
        raise LabError(f"The monitor of the guest in {directory} did not take {command!r}: {error or 'no answer in time'}.") from None
    finally:
        os.close(handle)


class Guest:
    """A node's QEMU process and its directory; only this changes them."""

    def __init__(self, run: Run, lab: str, name: str, state: Path, processes: Optional[Processes] = None) -> None:
        self._run = run
        self._lab = lab
        self._name = name
        self._state = state
        self.directory = state / "nodes" / name
        self._processes = processes or Processes()

    # --- what is there

    def have(self) -> Have:
        """Look up the guest."""
        record_file = self.directory / "guest.json"
        record = Record.from_text(record_file.read_text()) if record_file.is_file() else None
        return Have(record, self._running(record), (self.directory / "overlay.qcow2").is_file())

    def _running(self, record: Optional[Record]) -> Optional[ProcessIdentity]:
        if record and self._processes.runs(record.process):
            return record.process
        return self._processes.holder_of("-pidfile", str(self.directory / "qemu.pid"))

    # --- towards running

    def check_port(self, node: Node, have: Have) -> None:
        """Refuse a port on which something else listens."""
        if not have.running and port_taken(node.port):
            raise InvalidValueError(
                f"Port {node.port} on 127.0.0.1, the SSH port of node {node.name!r}, is already taken by another process; "
                "choose another lab_port_base."
            )

    def apply(self, steps: Sequence[str], want: Want, namespace: Path, limit_s: float) -> Optional[float]:
        """Do the steps of :func:`plan_started`; return the seconds from power-on to SSH if it was started.

        :param steps: the plan.
        :param want: the guest as it shall be.
        :param namespace: file of the lab's network namespace.
        :param limit_s: how long to wait for SSH.
        """
        if "stop" in steps:
            # Nothing that is about to be thrown away needs an orderly end.
            self.stop(0.0 if "disk" in steps else 30.0)
        self.check_port(want.node, self.have())
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if "disk" in steps:
            self._make_overlay(want)
        power_on = time.monotonic()
        if "start" in steps:
            self._start(want, namespace)
        elif "wait" not in steps:
            return None
        return self._wait(want, power_on, limit_s, measured="start" in steps)

    def _make_overlay(self, want: Want) -> None:
        overlay = self.directory / "overlay.qcow2"
        partial = self.directory / "overlay.qcow2.new"
        argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(want.boot.disk), str(partial)]
        self._run(argv).require(f"make the disk of node {self._name!r}")
        os.rename(partial, overlay)

    def _write_record(self, record: Record) -> None:
        partial = self.directory / "guest.json.new"
        partial.write_text(record.as_text())
        os.rename(partial, self.directory / "guest.json")

    def _start(self, want: Want, namespace: Path) -> None:
        (self.directory / "initrd").write_bytes(want.boot.initrd.read_bytes() + want.seed)
        os.chmod(self.directory / "initrd", 0o600)
        (self.directory / "qemu.pid").unlink(missing_ok=True)
        (self.directory / "qmp.sock").unlink(missing_ok=True)
        taps: List[List[int]] = []
        try:
            if want.node.nics:
                with network.inside(namespace):
                    for number, nic in enumerate(want.node.nics):
                        tap = network.tap_of(want.node.name, number)
                        taps.append(network.open_tap(tap, nic.queues))
                        bridge = network.bridge_of(nic.network)
                        self._run(["ip", "link", "set", tap, "master", bridge, "up"]).require(f"connect the tap {tap} to {bridge}")
            argv = qemu_argv(self._lab, want.node, want.boot, self.directory, taps)
            record = Record(want.fingerprint, want.boot.accelerator, str(want.boot.disk), want.node.port, None, None, tuple(argv))
            self._write_record(record)
            # Not through the module's runner: the taps' descriptors must pass, and the pipes must not outlive this call.
            with (self.directory / "qemu.log").open("w+") as log:
                done = subprocess.run(
                    argv, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, start_new_session=True,
                    pass_fds=[handle for tap in taps for handle in tap],
                )
                log.seek(0)
                said = log.read().strip()
        finally:
            for tap_handles in taps:
                for handle in tap_handles:
                    os.close(handle)
        if done.returncode != 0:
            raise LabError(f"QEMU refused to start node {self._name!r}: {' '.join(said.splitlines()[-2:]) or f'status {done.returncode}'}")
        identity = self._processes.identify(int((self.directory / "qemu.pid").read_text()))
        self._write_record(replace(record, process=identity))

    def _wait(self, want: Want, power_on: float, limit_s: float, measured: bool) -> Optional[float]:
        # The console is asked first, since that costs the guest nothing; the banner then proves the way to it.
        while not (UP_MARKER in self.console() and banner_on(want.node.port)):
            have = self.have()
            if not have.running:
                raise LabError(self._failure("its QEMU process ended"))
            if "Kernel panic" in self.console():
                raise LabError(self._failure("its kernel panicked"))
            if time.monotonic() - power_on > limit_s:
                raise LabError(self._failure(f"no SSH server answered on port {want.node.port} within {limit_s:.0f} s"))
            time.sleep(0.1)
        seconds = round(time.monotonic() - power_on, 1)
        have = self.have()
        if have.record is not None:
            self._write_record(replace(have.record, process=have.process, boot_seconds=seconds))
        return seconds if measured else None

    def console(self) -> str:
        """Return what the guest wrote to its serial console since it was started."""
        path = self.directory / "console.log"
        return path.read_text(errors="replace") if path.is_file() else ""

    def _failure(self, reason: str) -> str:
        tail = console_tail(self.console())
        shown = "\n".join(["", *tail]) if tail else "(it wrote nothing)"
        return f"Node {self._name!r} did not come up: {reason}. The last lines of its console: {shown}"

    # --- towards stopped

    def stop(self, limit_s: float) -> bool:
        """End the guest: in order if it has ``limit_s`` seconds for it, else at once; return whether it ran."""
        have = self.have()
        if have.process is None:
            return False
        if limit_s > 0 and have.record is not None:
            # A guest without a login service does not listen to its power button.
            self._run(Keys(self._run, self._lab, self._state).ssh_argv(have.record.port, "systemctl", "poweroff"))
            self._processes.wait_gone(have.process, limit_s)
        if self._processes.runs(have.process):
            # A monitor that does not answer is no reason to leave a guest running: what follows needs none.
            with contextlib.suppress(LabError):
                monitor(self.directory, "quit")
                self._processes.wait_gone(have.process, 5.0)
            self._processes.kill(have.process)
        if have.record is not None:
            self._write_record(replace(have.record, process=None, boot_seconds=None))
        return True

    def remove(self) -> bool:
        """End the guest without ceremony and delete its directory; return whether there was anything."""
        there = self.directory.exists()
        self.stop(0.0)
        if there:
            shutil.rmtree(self.directory)
        return there


def describe(have: Have) -> Mapping[str, Any]:
    """Return a guest's state in the words of the diff."""
    return {"state": have.state, "configuration": have.record.fingerprint[:12] if have.record else None}
