# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one door through which tuning reads and changes a node.

Every change goes through :meth:`Host.write`, :meth:`Host.command` or :meth:`Host.rss_table`, and each of them ends in
:meth:`Host.mutated`. A test overrides that to kill the process after any single change; a simulated kernel overrides ``write``.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import signal
import socket
import struct
import subprocess
from typing import Dict, List, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed, Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, LabError

# <linux/sockios.h>, <linux/ethtool.h>
_SIOCETHTOOL = 0x8946
_ETHTOOL_SRXFHINDIR = 0x39


class KernelRefusal(LabError):
    """The kernel refused a write; ``code`` is its errno."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


class Host:
    """A node: files below ``root`` and commands.

    :param run: starts a command; never raises for a status other than 0.
    :param root: where ``/sys``, ``/proc``, ``/run`` and ``/var`` are found; another directory in tests.
    """

    def __init__(self, run: Run, root: str = "/") -> None:
        self.run = run
        self.root = root

    # Reading

    def path(self, path: str) -> str:
        """Return where an absolute path of the node really lies."""
        return path if self.root == "/" else self.root.rstrip("/") + path

    def read(self, path: str) -> str:
        """Return a file's text; raises ``OSError``."""
        with open(self.path(path), encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def read_or(self, path: str, missing: str = "") -> str:
        """Return a file's text without its last newline, or ``missing`` where the file is absent or has no value on this device.

        ``xps_cpus`` of a single-queue device exists and gives ENOENT; ``speed`` of a device that is down gives EINVAL.
        """
        try:
            return self.read(path).rstrip("\n")
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EOPNOTSUPP, errno.ENODEV):
                return missing
            raise

    def exists(self, path: str) -> bool:
        """Tell whether a path is there."""
        return os.path.exists(self.path(path))

    def listdir(self, path: str) -> List[str]:
        """Return the sorted names in a directory; none where it is absent."""
        try:
            return sorted(os.listdir(self.path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def directories(self, path: str) -> List[str]:
        """Return the sorted names of the directories in a directory."""
        try:
            with os.scandir(self.path(path)) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def resolve(self, path: str) -> Optional[str]:
        """Return the node's own absolute path behind a symbolic link, or None where it is absent."""
        real = self.path(path)
        if not os.path.exists(real):
            return None
        real = os.path.realpath(real)
        base = os.path.realpath(self.root)
        return real if base == "/" else real[len(base) :]

    def query(self, argv: Sequence[str]) -> Completed:
        """Start a command that only reads."""
        return self.run(list(argv))

    def boot_id(self) -> str:
        """Return the kernel's identifier of this boot."""
        return self.read_or("/proc/sys/kernel/random/boot_id")

    def namespace(self) -> str:
        """Return ``node``, or ``netns-INODE`` in a network namespace other than that of the first process."""
        own, first = self.path("/proc/self/ns/net"), self.path("/proc/1/ns/net")
        try:
            here, init = os.stat(own).st_ino, os.stat(first).st_ino
        except OSError:
            return "node"
        return "node" if here == init else f"netns-{here}"

    # Changing

    def mutated(self, what: str) -> None:
        """Take note that the node has just been changed; nothing to do on a real one."""

    def write(self, path: str, text: str) -> None:
        """Write a value in one call to a file of the kernel; raises :class:`KernelRefusal`."""
        try:
            descriptor = os.open(self.path(path), os.O_WRONLY)
            try:
                os.write(descriptor, (text + "\n").encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            code = error.errno or errno.EIO
            raise KernelRefusal(f"writing {text!r} to {path}: {os.strerror(code)}", code) from error
        self.mutated(f"{path} = {text}")

    def command(self, argv: Sequence[str], what: str, accept: Sequence[int] = (0,)) -> Completed:
        """Start a command that changes the node; raises ``CommandError`` with its last words."""
        done = self.run(list(argv))
        if done.rc not in accept:
            done.require(what)
        self.mutated(" ".join(argv))
        return done

    def install(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Put a file on the node, whole or not at all."""
        real = self.path(path)
        os.makedirs(os.path.dirname(real), exist_ok=True)
        draft = f"{real}.new"
        with open(draft, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), mode)
        os.replace(draft, real)
        self.mutated(f"{path} installed")

    def discard(self, path: str) -> bool:
        """Remove a file; tells whether it was there."""
        try:
            os.unlink(self.path(path))
        except FileNotFoundError:
            return False
        self.mutated(f"{path} removed")
        return True

    def spawn(self, argv: Sequence[str]) -> int:
        """Start a process that outlives this one and has no ties to it; returns its number."""
        child = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/"
        )
        self.mutated(" ".join(argv))
        return child.pid

    def terminate(self, pid: int) -> None:
        """End a process that was spawned here."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        self.mutated(f"process {pid} ended")

    def rss_table(self, interface: str, table: Sequence[int]) -> None:
        """Write an RSS table entry by entry, for the tables that ``ethtool -X`` has no words for."""
        # struct ethtool_rxfh_indir { __u32 cmd; __u32 size; __u32 ring_index[]; }
        request = array.array("I", [_ETHTOOL_SRXFHINDIR, len(table), *table])
        self._ethtool_ioctl(interface, request, f"set the RSS table of {interface}")
        self.mutated(f"{interface} rss table = {list(table)}")

    def _ethtool_ioctl(self, interface: str, request: array.array[int], what: str) -> None:
        # struct ifreq { char ifr_name[16]; void *ifr_data; }
        frame = struct.pack("16sP16x", interface.encode(), request.buffer_info()[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            try:
                fcntl.ioctl(channel.fileno(), _SIOCETHTOOL, frame)
            except OSError as error:
                raise CommandError(f"Could not {what}: the driver answered {os.strerror(error.errno or 0)}.") from error


def subprocess_runner() -> Run:
    """Return a :data:`Run` without Ansible, for the program that stays on the node."""

    def run(argv: Sequence[str], stdin: Optional[str] = None, environ: Optional[Dict[str, str]] = None) -> Completed:
        try:
            done = subprocess.run(
                list(argv), input=stdin, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C", **(environ or {})}
            )
        except FileNotFoundError as error:
            return Completed(tuple(argv), 127, "", str(error))
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    return run
