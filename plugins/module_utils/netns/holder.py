# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start and end the process that holds a node's namespaces.

Nothing is pinned: no namespace has a name on the host and nothing is mounted in the host's mount namespace. When process 1 of a
node ends, for whatever reason, the kernel ends all its other processes and takes back its namespaces, its file system and its wires.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import time
from dataclasses import dataclass
from typing import Callable, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.counters.responder import MACHINE_PROC
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.netns import state, syscalls

# Process 1 of a node: reaps what is orphaned to it, ends on SIGTERM, and is named so that no one takes it for an init system.
INIT_NAME = "labinit"
INIT_PATH = "/usr/lib/datapath-lab/init.py"
INIT_PROGRAM = f'''\
"""Process 1 of a node: waits for what is orphaned to it, and for its own end."""
import os
import signal

with open("/proc/self/comm", "w") as stream:
    stream.write("{INIT_NAME}")
signals = {{signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}}
signal.pthread_sigmask(signal.SIG_SETMASK, signals)
while signal.sigwait(signals) == signal.SIGCHLD:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
'''

NAMESPACES = syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWPID

# Name, major, minor: what a Debian process expects in /dev; mode 0666 as udev gives them.
DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0), ("net/tun", 10, 200))
DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
# The host's own devices that a node may use when the host has them.
SHARED_DEVICES = ("/dev/kvm", "/dev/vhost-net")

# Debian's scripts ask this program before they start a daemon at installation; in a node the lab alone starts daemons.
POLICY_PATH = "/usr/sbin/policy-rc.d"
POLICY_PROGRAM = "#!/bin/sh\nexit 101\n"

GUARDED = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC

READY_SECONDS = 20.0
END_SECONDS = 10.0


@dataclass(frozen=True)
class Start:
    """What is needed to start one node."""

    lab: str
    node: str
    rootfs: str
    disk_mib: int
    mount_point: str
    mark: str

    def argv(self) -> Tuple[str, ...]:
        """Return the command line of the node's process 1."""
        return ("/usr/bin/python3", "-I", "-S", INIT_PATH, self.mark)


def start(wanted: Start, record: Callable[[int, int], None]) -> None:
    """Start a node and return when its process 1 runs in its own root.

    ``record(pid, start)`` is called before the new process does anything, so that a node never runs without a record: if we are killed
    first, the process reads the end of the pipe and ends.
    """
    go_read, go_write = os.pipe()
    report_read, report_write = os.pipe()
    launcher = os.fork()
    if launcher == 0:
        _launch(wanted, go_read, report_write, (go_write, report_read))
    os.close(go_read)
    os.close(report_write)
    try:
        os.waitpid(launcher, 0)
        first = _read_line(report_read, READY_SECONDS)
        if not first.startswith("pid "):
            raise LabError(f"Node {wanted.node} could not be started: {first or 'its launcher ended without a word'}.")
        pid = int(first[4:])
        started = state.start_time(pid)
        if started is None:
            raise LabError(f"Node {wanted.node} could not be started: its first process ended at once.")
        record(pid, started)
        os.write(go_write, b"go\n")
        complaint = _read_line(report_read, READY_SECONDS)
        if complaint:
            raise LabError(f"Node {wanted.node} could not be started: {complaint}.")
    finally:
        os.close(go_write)
        os.close(report_read)


def _read_line(descriptor: int, seconds: float) -> str:
    """Return one line from a pipe without its end, or an empty text when the other side has closed it."""
    text = b""
    deadline = time.monotonic() + seconds
    while not text.endswith(b"\n"):
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return f"nothing happened for {seconds:.0f} s"
        byte = os.read(descriptor, 1)
        if not byte:
            break
        text += byte
    return text.decode("utf-8", "replace").strip()


def _launch(wanted: Start, go_read: int, report_write: int, others: Tuple[int, ...]) -> None:
    """Enter new namespaces and fork process 1 of the node; runs in a child process and never returns."""
    try:
        for descriptor in others:
            os.close(descriptor)
        os.setsid()
        syscalls.unshare(NAMESPACES)
        holder = os.fork()
        if holder == 0:
            _become_init(wanted, go_read, report_write)
        os.write(report_write, f"pid {holder}\n".encode())
        os._exit(0)
    except OSError as error:
        os.write(report_write, f"{_sentence(error)}\n".encode())
        os._exit(1)


def _become_init(wanted: Start, go_read: int, report_write: int) -> None:
    """Build the node's root and become its process 1; the report's pipe closes by itself when the program is replaced."""
    try:
        # The launcher reports our number through the same pipe; we wait until it has been recorded.
        if _read_line(go_read, READY_SECONDS) != "go":
            os._exit(1)
        _detach(keep=report_write)
        os.umask(0o022)
        enter_root(wanted)
        syscalls.set_hostname(wanted.node)
        os.set_inheritable(report_write, False)
        os.execve(
            "/usr/bin/python3",
            list(wanted.argv()),
            {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "container": "datapath-lab"},
        )
    except OSError as error:
        os.write(report_write, f"{_sentence(error)}\n".encode())
        os._exit(1)


def _sentence(error: OSError) -> str:
    return " ".join(str(error).split())


def _detach(keep: int) -> None:
    """Leave the files of the process that started us, so that it can end while we run on."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for entry in os.listdir("/proc/self/fd"):
        descriptor = int(entry)
        if descriptor > 2 and descriptor != keep:
            try:
                os.close(descriptor)
            except OSError:
                continue  # The one that listed this directory.


def enter_root(wanted: Start) -> None:
    """Mount the overlay and the kernel's file systems, and make them the root of this mount namespace."""
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    base = wanted.mount_point
    syscalls.mount("tmpfs", base, "tmpfs", 0, f"size={wanted.disk_mib}m,mode=755")
    upper, work, root = (os.path.join(base, name) for name in ("upper", "work", "root"))
    for directory in (upper, work, root):
        os.mkdir(directory, 0o755)
    syscalls.mount("overlay", root, "overlay", 0, f"lowerdir={wanted.rootfs},upperdir={upper},workdir={work}")
    for path, text, mode in files_of(wanted):
        _put(root, path, text, mode)
    _mount_machine_proc(root)
    _mount_kernel(root)
    _make_devices(f"{root}/dev")
    os.chdir(root)
    syscalls.pivot_root(".", ".")
    syscalls.unmount(".", syscalls.MNT_DETACH)
    os.chdir("/")


def files_of(wanted: Start) -> Tuple[Tuple[str, str, int], ...]:
    """Return path, text and mode of the files that make the image into this node."""
    return (
        ("/etc/hostname", f"{wanted.node}\n", 0o644),
        ("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 {wanted.node}\n", 0o644),
        (INIT_PATH, INIT_PROGRAM, 0o644),
        (POLICY_PATH, POLICY_PROGRAM, 0o755),
    )


def _put(root: str, path: str, text: str, mode: int) -> None:
    target = root + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    # Never through a symbolic link of the image: it would be resolved outside the node's root.
    if os.path.lexists(target):
        os.unlink(target)
    with open(target, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(target, mode)


def _mount_machine_proc(root: str) -> None:
    """Let the node's root read the /proc of the machine, where the nodes' own shows only their processes.

    The CPUs are those of the machine, and only there can be seen whether somebody else used them during a run. The node's root is the
    machine's, so that this gives it no right that it lacks; its services run as another user, to whom the directory is closed.
    """
    target = root + MACHINE_PROC
    os.makedirs(target)
    os.chmod(os.path.dirname(target), 0o700)
    syscalls.mount("/proc", target, "", syscalls.MS_BIND)
    syscalls.mount("", target, "", syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | GUARDED)


def _mount_kernel(root: str) -> None:
    """Mount /proc and /sys; what belongs to the whole machine and not to a namespace is there to be read only."""
    for name in ("proc", "sys", "dev"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    syscalls.mount("proc", f"{root}/proc", "proc", GUARDED)
    syscalls.mount("sysfs", f"{root}/sys", "sysfs", GUARDED)
    for path, writable in (
        ("/proc/sys", "/proc/sys/net"),
        ("/proc/irq", ""),
        ("/proc/sysrq-trigger", ""),
        ("/sys", "/sys/devices/virtual/net"),
    ):
        if not os.path.exists(root + path):
            continue
        if path != "/sys":
            syscalls.mount(root + path, root + path, "", syscalls.MS_BIND | syscalls.MS_REC)
        if writable:
            syscalls.mount(root + writable, root + writable, "", syscalls.MS_BIND)
        syscalls.mount("", root + path, "", syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | GUARDED)


def _make_devices(dev: str) -> None:
    syscalls.mount("tmpfs", dev, "tmpfs", syscalls.MS_NOSUID, "size=64k,mode=755")
    for name in ("net", "pts", "shm"):
        os.mkdir(f"{dev}/{name}", 0o755)
    for name, major, minor in DEVICES:
        _make_device(f"{dev}/{name}", os.makedev(major, minor))
    for path in SHARED_DEVICES:
        if os.path.exists(path):
            _make_device(f"{dev}/{os.path.basename(path)}", os.stat(path).st_rdev)
    for name, target in DEVICE_LINKS:
        os.symlink(target, f"{dev}/{name}")
    syscalls.mount("devpts", f"{dev}/pts", "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    syscalls.mount("tmpfs", f"{dev}/shm", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=1777")


def _make_device(path: str, number: int) -> None:
    os.mknod(path, 0o666 | stat.S_IFCHR, number)
    os.chmod(path, 0o666)


def end(pid: int, started: int, proc: str = "/proc") -> None:
    """End a node's process 1, and with it the node; returns when the kernel has let go of it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # The descriptor names one process for good; the number alone might have been used again in between.
        if state.start_time(pid, proc) != started:
            return
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        if not select.select([descriptor], [], [], END_SECONDS)[0]:
            raise LabError(
                f"Process {pid} did not end within {END_SECONDS:.0f} s of SIGKILL: a process of that node hangs in "
                f"the kernel; see /proc/{pid}/stack."
            )
    finally:
        os.close(descriptor)
