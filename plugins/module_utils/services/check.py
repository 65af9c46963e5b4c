# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a server really answers: a request of its own kind where that is cheap, a connection otherwise."""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError

MOST_ANSWER = 1 << 22
# Number of the message, flags, length; in network order.
SOCKPERF_HEADER = struct.Struct("!QHI")
SOCKPERF_FROM_CLIENT, SOCKPERF_ANSWER = 1, 2
MOST_WAIT_S = 600.0
LEAST_TIMEOUT_S, MOST_TIMEOUT_S = 0.1, 60.0


@dataclass(frozen=True)
class Target:
    """A server to ask: ``check`` is a key of :data:`CHECKS`; ``expect`` a text that the answer must hold."""

    name: str
    address: str
    port: int
    check: str
    expect: str = ""


class NoAnswerError(Exception):
    """Why a server did not answer as it should; becomes part of the sentence that the user reads."""


def _tcp(target: Target, timeout: float, request: bytes = b"", enough: Callable[[bytes], bool] = lambda _answer: False) -> bytes:
    with socket.create_connection((target.address, target.port), timeout=timeout) as connection:
        if not request:
            return b""
        connection.sendall(request)
        return _received(connection, enough)


def _received(connection: socket.socket, enough: Callable[[bytes], bool]) -> bytes:
    answer = b""
    while not enough(answer) and len(answer) < MOST_ANSWER:
        part = connection.recv(65536)
        if not part:
            break
        answer += part
    return answer


def check_tcp(target: Target, timeout: float) -> None:
    """Connect; netserver and iperf3 have no request that costs nothing."""
    _tcp(target, timeout)


def check_sockperf_tcp(target: Target, timeout: float) -> None:
    """Send sockperf one message of its own over TCP and look for its answer."""
    _sockperf(target, timeout, socket.SOCK_STREAM)


def check_sockperf_udp(target: Target, timeout: float) -> None:
    """Send sockperf one message of its own over UDP and look for its answer.

    Never anything else: after a datagram that is shorter than its header sockperf 3.7 answers nobody any more.
    """
    _sockperf(target, timeout, socket.SOCK_DGRAM)


def _sockperf(target: Target, timeout: float, kind: int) -> None:
    family, _kind, _protocol, _name, where = socket.getaddrinfo(target.address, target.port, type=kind)[0]
    with socket.socket(family, kind) as connection:
        connection.settimeout(timeout)
        connection.connect(where)
        connection.sendall(SOCKPERF_HEADER.pack(1, SOCKPERF_FROM_CLIENT | SOCKPERF_ANSWER, SOCKPERF_HEADER.size))
        answer = connection.recv(1500)
    if answer != SOCKPERF_HEADER.pack(1, SOCKPERF_ANSWER, SOCKPERF_HEADER.size):
        raise NoAnswerError(f"it answered {answer[:80]!r} to a message of sockperf")


def check_redis(target: Target, timeout: float) -> None:
    """Ask redis for an answer to PING."""
    answer = _tcp(target, timeout, b"PING\r\n", lambda got: got.endswith(b"\r\n"))
    if answer != b"+PONG\r\n":
        raise NoAnswerError(f"it answered {answer[:80]!r} to PING")


def check_http(target: Target, timeout: float) -> None:
    """Get the page / and look for what is expected in it; by default the server's own address."""
    host = f"[{target.address}]" if ":" in target.address else target.address
    answer = _tcp(target, timeout, f"GET / HTTP/1.0\r\nHost: {host}:{target.port}\r\n\r\n".encode())
    head, _empty, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].split(b" ")
    if len(status) < 2 or status[1] != b"200":
        raise NoAnswerError(f"it answered {head.splitlines()[:1]!r} to GET /")
    if (target.expect or target.address).encode() not in body:
        raise NoAnswerError(f"its page / is {body[:80]!r}, without {target.expect or target.address!r}")


def check_counters(target: Target, timeout: float) -> None:
    """Read one document of the counters responder."""
    with socket.create_connection((target.address, target.port), timeout=timeout) as connection:
        answer = _received(connection, lambda _got: False)
    try:
        document: Any = json.loads(answer)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "boot_id" not in document:
        raise NoAnswerError(f"it answered {answer[:80]!r}, which is no snapshot of counters")


CHECKS: Mapping[str, Callable[[Target, float], None]] = {
    "tcp": check_tcp,
    "sockperf_tcp": check_sockperf_tcp,
    "sockperf_udp": check_sockperf_udp,
    "redis": check_redis,
    "http": check_http,
    "counters": check_counters,
}


def target_of(given: Mapping[str, Any]) -> Target:
    """Return a target from a module's option; values are checked."""
    check, port = str(given["check"]), given["port"]
    if check not in CHECKS:
        raise InvalidValueError(f"The check of {given['name']} must be one of {', '.join(CHECKS)}, not {check!r}.")
    if not 1 <= port <= 65535:
        raise InvalidValueError(f"The port of {given['name']} must be 1 to 65535, not {port}.")
    return Target(str(given["name"]), str(given["address"]), port, check, str(given.get("expect") or ""))


def ask(
    targets: Sequence[Target],
    wait_s: float,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    checks: Optional[Mapping[str, Callable[[Target, float], None]]] = None,
) -> list[Dict[str, Any]]:
    """Ask each server until it answers, all of them within ``wait_s``; raise with a sentence on those that do not.

    :returns: for each server ``name`` and ``seconds``, the time that its answer took.
    """
    # Written so that not-a-number is refused too.
    if not 0 <= wait_s <= MOST_WAIT_S or not LEAST_TIMEOUT_S <= timeout_s <= MOST_TIMEOUT_S:
        raise InvalidValueError(
            f"wait_s must be 0 to {MOST_WAIT_S:g} seconds and timeout_s {LEAST_TIMEOUT_S} to {MOST_TIMEOUT_S:g}, "
            f"not {wait_s} and {timeout_s}."
        )
    deadline = clock() + wait_s
    answers = []
    silent = []
    for target in targets:
        reason: Optional[str] = None
        while True:
            began = clock()
            try:
                (checks or CHECKS)[target.check](target, timeout_s)
                answers.append({"name": target.name, "seconds": round(clock() - began, 6)})
                break
            except (OSError, NoAnswerError) as error:
                reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            if clock() >= deadline:
                silent.append(f"{target.name} on {target.address} port {target.port} ({reason})")
                break
            sleep(0.2)
    if silent:
        raise CommandError(
            f"{len(silent)} of {len(targets)} servers did not answer within {wait_s:g} s: {'; '.join(silent)}. "
            "Start them with the role workloads, and look at their logs."
        )
    return answers
