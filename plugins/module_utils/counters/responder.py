# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel of this node has counted so far, captured as text; and a small server that hands out such captures.

This file stands alone: the role ``workloads`` copies it to a node and runs it there with the node's python3, so that a workload
module on the client reads the counters of the server's end just before and just after its run, at the cost of one TCP
connection and without a task of its own. The server writes one JSON document per connection and reads nothing at all.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, Iterable, Optional, Sequence

# Kernel files that a capture holds, below /proc.
FILES = ("stat", "interrupts", "softirqs", "net/softnet_stat", "net/dev")
# A client that does not take its answer within this time is dropped, so that it cannot hold up the next one.
CLIENT_TIMEOUT_S = 5.0
NOBODY = 65534
# Where a node that is a set of namespaces finds the /proc of its machine; only its root may look.
MACHINE_PROC = "/run/datapath.lab/machine/proc"
# Bit of the flags in /proc/PID/stat that marks a thread of the kernel (PF_KTHREAD in include/linux/sched.h).
KERNEL_THREAD = 0x00200000


def capture(proc: str = "/proc", commands: Iterable[str] = (), shared: Optional[Sharing] = None) -> dict[str, Any]:
    """Read the counters of this node once.

    :param proc: the root of procfs.
    :param commands: names of programs (as in /proc/PID/comm) whose CPU time is summed up.
    :param shared: what :func:`sharing` found, if that is known already.
    :returns: a document that ``snapshot_of`` in parse.py reads.
    """
    now = time.monotonic()
    known = shared or sharing(proc)
    wanted = frozenset(commands)
    return {
        "schema": 1,
        "monotonic_s": now,
        "boot_id": _read(proc, "sys/kernel/random/boot_id").strip(),
        "scope": known.scope,
        "ticks_per_second": os.sysconf("SC_CLK_TCK"),
        "files": {name: _read(proc, name) for name in FILES},
        "process_ticks": process_ticks(proc, wanted, known.foreign_processes) if wanted else {},
        "other_process_ticks": other_process_ticks(known.machine_proc) if known.machine_proc else None,
    }


@dataclass(frozen=True)
class Sharing:
    """What this node shares with others on its machine.

    ``scope``: whose CPUs /proc/stat counts, ``node``, or ``host`` where this node is a set of namespaces of a machine: net/dev is
    per network namespace, but the CPU counters are always those of the whole machine. ``foreign_processes``: processes of other
    nodes are visible here. ``machine_proc``: the procfs that shows every process of the machine, None if there is none to be seen.
    """

    scope: str
    foreign_processes: bool
    machine_proc: Optional[str] = None


def sharing(proc: str = "/proc") -> Sharing:
    """Find out what this node shares with others."""
    # This knob is that of the whole machine, so that only its first network namespace shows it; reading /proc/1/ns/net needs rights.
    own_network = not os.path.exists(os.path.join(proc, "sys/net/core/netdev_budget"))
    # The first PID namespace of a machine has this fixed number (PROC_PID_INIT_INO); another one means namespaces on a machine.
    own_processes = os.readlink(os.path.join(proc, "self/ns/pid")) != "pid:[4026531836]"
    machine = MACHINE_PROC if own_processes else proc
    # With hidepid, or in a directory that is closed to us, process 1 cannot be seen.
    seen = os.path.exists(os.path.join(machine, "1/stat"))
    return Sharing("host" if own_network or own_processes else "node", own_network and not own_processes, machine if seen else None)


def process_ticks(proc: str, commands: frozenset[str], foreign_processes: bool) -> dict[str, int]:
    """Return the CPU time in clock ticks that processes of these names, and their ended children, have used.

    :param foreign_processes: count only processes of this network namespace, since the others belong to other nodes.
    """
    ours = os.readlink(os.path.join(proc, "self/ns/net")) if foreign_processes else ""
    ticks = dict.fromkeys(sorted(commands), 0)
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            # 4711 (redis-server) S 1 4711 4711 0 -1 4194560 1520 0 0 0 31 12 0 0 20 0 5 0 ...
            text = _read(proc, f"{pid}/stat")
            if foreign_processes and os.readlink(os.path.join(proc, pid, "ns/net")) != ours:
                continue
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            # It ended while we looked, or it has more rights than we, which no server of ours has.
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        if name in ticks:
            ticks[name] += sum(int(field) for field in text[text.rindex(")") + 2 :].split()[11:15])
    return ticks


def other_process_ticks(proc: str) -> int:
    """Return the CPU time in clock ticks that all processes but our own, and their ended children, have used.

    Threads of the kernel are left out: they work for whoever sends packets. The time of an ended process moves to the one that waited
    for it, so that the sum loses it only where nobody waits (a parent that ignores SIGCHLD).
    """
    ours = os.readlink(os.path.join(proc, "self"))
    ticks = 0
    for pid in filter(str.isdigit, os.listdir(proc)):
        if pid == ours:
            continue
        try:
            text = _read(proc, f"{pid}/stat")
        except (FileNotFoundError, ProcessLookupError):
            # It ended while we looked.
            continue
        fields = text[text.rindex(")") + 2 :].split()
        if not int(fields[6]) & KERNEL_THREAD:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks


def _read(proc: str, name: str) -> str:
    with open(os.path.join(proc, name), encoding="utf-8", errors="replace") as stream:
        return stream.read()


def serve(listener: socket.socket, commands: Sequence[str], shared: Sharing) -> None:
    """Answer each connection with one capture, one after another, for ever."""
    while True:
        client, _address = listener.accept()
        with client:
            client.settimeout(CLIENT_TIMEOUT_S)
            try:
                client.sendall(json.dumps(capture(commands=commands, shared=shared)).encode())
            except OSError as error:
                sys.stderr.write(f"a client went away: {error}\n")


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket on one address of either family."""
    family, _kind, _protocol, _name, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(where)
    listener.listen(8)
    return listener


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the server until it is ended."""
    parser = argparse.ArgumentParser(description="Hand out what the kernel of this node has counted, one JSON document per connection.")
    parser.add_argument("--listen", required=True, help="the one address to listen on")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--command", action="append", default=[], help="a program whose CPU time is summed up; may be repeated")
    options = parser.parse_args(argv)
    shared = sharing()
    listener = listen(options.listen, options.port)
    # Counting needs no rights, except where processes of other nodes must be told apart from ours.
    if os.geteuid() == 0 and not shared.foreign_processes:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    serve(listener, options.command, shared)


if __name__ == "__main__":
    main()
