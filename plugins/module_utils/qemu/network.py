# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's data network: one network namespace with a bridge for each network, and the taps that QEMU holds.

Taps live as long as the QEMU process that holds them, so a killed guest leaves none behind. QEMU itself stays outside, for its
management port; only the opening of a tap happens inside.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError, ParseError

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
IFF_MULTI_QUEUE = 0x0100
NAMESPACES = Path("/run/netns")


def namespace_of(lab: str) -> str:
    """Return the name of a lab's network namespace."""
    return f"datapath-lab-{lab}"


def bridge_of(network: str) -> str:
    """Return the name of a network's bridge."""
    return f"br-{network}"


def tap_of(node: str, card: int) -> str:
    """Return the name of a card's tap."""
    return f"{node}.{card}"


def parse_bridges(text: str) -> List[str]:
    """Read ``ip -json link show type bridge``.

    Sample: ``[{"ifindex":2,"ifname":"br-data","operstate":"UP"}]``; an ip without any prints nothing.
    """
    try:
        return [link["ifname"] for link in json.loads(text or "[]") if link]
    except (ValueError, KeyError, TypeError):
        raise ParseError("ip -json link", "expected a list of links with an ifname each", text) from None


class Network:
    """Makes and removes a lab's namespace and bridges."""

    def __init__(self, run: Run, lab: str, namespaces: Path = NAMESPACES) -> None:
        self._run = run
        self.namespace = namespace_of(lab)
        self._path = namespaces / self.namespace

    @property
    def path(self) -> Path:
        """The namespace's file."""
        return self._path

    def exists(self) -> bool:
        """Return whether the namespace is there."""
        return self._path.exists()

    def bridges(self) -> List[str]:
        """Return the bridges that are there."""
        if not self.exists():
            return []
        done = self._run(["ip", "-n", self.namespace, "-json", "link", "show", "type", "bridge"])
        return parse_bridges(done.require(f"list the bridges of {self.namespace}").stdout)

    def create(self, networks: Sequence[str]) -> None:
        """Make what is missing of the namespace and its bridges."""
        if not self.exists():
            done = self._run(["ip", "netns", "add", self.namespace])
            if done.rc != 0:
                raise MissingCapabilityError(
                    "This machine cannot make a network namespace, which the lab's data network needs "
                    f"(ip netns add said: {done.stderr.strip()}); "
                    "run as root on a kernel with CONFIG_NET_NS, outside an unprivileged container."
                )
        have = self.bridges()
        for network in networks:
            name = bridge_of(network)
            if name in have:
                continue
            ip = ["ip", "-n", self.namespace, "link"]
            done = self._run([*ip, "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"])
            done.require(f"make the bridge {name}; the kernel needs CONFIG_BRIDGE")
            self._run([*ip, "set", name, "up"]).require(f"bring the bridge {name} up")

    def remove(self) -> None:
        """Remove the namespace with everything in it."""
        if self.exists():
            self._run(["ip", "netns", "delete", self.namespace]).require(f"remove the namespace {self.namespace}")


@contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """Let this thread work in another network namespace, and bring it back."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(handle: int) -> None:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise MissingCapabilityError(
                f"Cannot enter the network namespace {namespace}: {os.strerror(code)}; the lab must be run as root."
            )

    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(str(namespace), os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(home)


def open_tap(name: str, queues: int, device: str = "/dev/net/tun") -> List[int]:
    """Make a tap in the current namespace and return one inheritable file descriptor per queue.

    :param name: the tap's name.
    :param queues: number of queues.
    :param device: the clone device.
    """
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
    handles: List[int] = []
    try:
        for _queue in range(queues):
            handles.append(os.open(device, os.O_RDWR | os.O_NONBLOCK))
            fcntl.ioctl(handles[-1], TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
            os.set_inheritable(handles[-1], True)
    except OSError as error:
        for handle in handles:
            os.close(handle)
        raise MissingCapabilityError(
            f"Cannot make the tap {name} through {device}: {error.strerror}; "
            "the lab's data network needs root and a kernel with CONFIG_TUN."
        ) from None
    return handles
