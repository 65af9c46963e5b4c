# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The irqbalance daemon, which moves interrupts that others have placed."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from typing import Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, MissingCapabilityError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import Irqbalance

ABSENT = Irqbalance(False, False)
_TIMEOUT_S = 5.0


def read(host: Host) -> Irqbalance:
    """Read whether the daemon runs, and which interrupts it leaves alone where its socket tells."""
    pid = _pid(host)
    installed = pid is not None or host.exists("/usr/sbin/irqbalance")
    if pid is None:
        return Irqbalance(installed, False)
    path = _socket_path(host, pid)
    return Irqbalance(True, True, pid, parse_setup(_talk(host, path, "setup")) if path else None)


def parse_setup(text: str) -> Tuple[int, ...]:
    """Read the banned interrupts from the answer to ``setup``.

    SLEEP 10 IRQ 34 LOAD 0 DIFF 24 CLASS 3 IRQ 35 LOAD 0 DIFF 24 CLASS 3 BANNED 00000000
    """
    if not text.startswith("SLEEP "):
        raise ParseError("irqbalance socket", "expected an answer that begins with SLEEP", text)
    return tuple(sorted({int(number) for number in re.findall(r"\bIRQ (\d+) LOAD", text)}))


def ban(host: Host, state: Irqbalance, numbers: Sequence[int]) -> None:
    """Tell the running daemon to leave exactly these interrupts alone; the daemon replaces its list."""
    path = _socket_path(host, state.pid) if state.pid else None
    if not path:
        raise MissingCapabilityError(
            "irqbalance offers no control socket below /run/irqbalance, so interrupts cannot be banned: use irqbalance 'stop', or 'keep'."
        )
    _talk(host, path, "settings ban irqs " + (" ".join(str(number) for number in sorted(numbers)) or "NONE"))
    host.mutated(f"irqbalance bans {list(numbers)}")


def set_active(host: Host, active: bool, state: Irqbalance) -> None:
    """Start or stop the daemon through its service."""
    if not host.exists("/run/systemd/system"):
        raise MissingCapabilityError(
            f"irqbalance (process {state.pid}) is not run by systemd on this node, so it cannot be {'started' if active else 'stopped'} reliably: "
            f"{'start' if active else 'stop'} it by hand, or use irqbalance 'ban' or 'keep'."
        )
    verb = "start" if active else "stop"
    host.command(["systemctl", verb, "irqbalance.service"], f"{verb} irqbalance")
    deadline = time.monotonic() + _TIMEOUT_S
    while (_pid(host) is not None) != active:
        if time.monotonic() > deadline:
            raise CommandError(f"irqbalance did not {verb} within {_TIMEOUT_S:g} s: see 'systemctl status irqbalance.service'.")
        time.sleep(0.05)


def _pid(host: Host) -> Optional[int]:
    for entry in host.listdir("/proc"):
        if entry.isdigit() and host.read_or(f"/proc/{entry}/comm").strip() == "irqbalance":
            return int(entry)
    return None


def _socket_path(host: Host, pid: int) -> Optional[str]:
    # irqbalance 1.9: /run/irqbalance/irqbalancePID.sock; older ones used an abstract socket or /var/run.
    for directory in ("/run/irqbalance", "/run", "/tmp"):
        path = f"{directory}/irqbalance{pid}.sock"
        if host.exists(path):
            return path
    return None


def _talk(host: Host, path: str, words: str) -> str:
    """Send one command and return the answer; the daemon wants the sender's credentials with it."""
    credentials = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("iII", os.getpid(), os.getuid(), os.getgid()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(_TIMEOUT_S)
        try:
            channel.connect(host.path(path))
            channel.sendmsg([words.encode()], [credentials])
            answer = b""
            if not words.startswith("settings"):
                while True:
                    part = channel.recv(65536)
                    answer += part
                    if len(part) < 65536:
                        break
        except OSError as error:
            raise CommandError(f"irqbalance did not answer '{words.split()[0]}' on {path}: {error}.") from error
    return answer.decode(errors="replace")
