# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of the workloads: how they are started, and whether they answer."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Callable, Dict, Iterator, List

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.services.catalogue import PROCESSES, SERVERS, files_of, services
from ansible_collections.datapath.lab.plugins.module_utils.services.check import (
    CHECKS,
    SOCKPERF_HEADER,
    NoAnswerError,
    Target,
    ask,
    target_of,
)


class TestCatalogue:
    def test_each_server_listens_on_the_one_address_and_has_a_check(self) -> None:
        for service in services(list(SERVERS), "10.0.0.2", {}, "/lib"):
            target = service["target"]
            assert (target["address"], target["check"] in CHECKS) == ("10.0.0.2", True)
            # nginx's address stands in its configuration.
            assert service["name"] == "nginx" or "10.0.0.2" in service["argv"]
            assert service["argv"][0].startswith("/")
            assert target_of(target).port == target["port"]

    def test_netserver_keeps_its_cpu_time(self) -> None:
        (netserver,) = services(["netserver"], "fd00::2", {}, "/lib")
        assert netserver["argv"] == ["/usr/bin/netserver", "-D", "-f", "-L", "fd00::2", "-6", "-p", "12865"]
        assert netserver["replaces"] == ["netperf.service"]

    def test_the_responder_sums_up_all_servers(self) -> None:
        (counters,) = services(["counters"], "10.0.0.2", {}, "/lib")
        assert [word for before, word in zip(counters["argv"], counters["argv"][1:]) if before == "--command"] == list(PROCESSES)
        assert {server.process for name, server in SERVERS.items() if name != "counters"} == set(PROCESSES)

    def test_ports_by_name(self) -> None:
        (iperf3,) = services(["iperf3"], "10.0.0.2", {"iperf3": 6000}, "/lib")
        assert iperf3["argv"][-1] == "6000" and iperf3["target"]["port"] == 6000

    def test_a_name_twice_is_one_server(self) -> None:
        assert len(services(["redis", "redis"], "10.0.0.2", {}, "/lib")) == 1

    @pytest.mark.parametrize(
        ("names", "address", "ports", "says"),
        [
            (["apache"], "10.0.0.2", {}, "no workload server 'apache'"),
            (["redis"], "10.0.0.2", {"apache": 1}, "no workload server 'apache'"),
            (["redis"], "web1", {}, "must be an IP address"),
            (["redis"], "10.0.0.2", {"redis": 0}, "1 to 65535"),
            (["redis"], "10.0.0.2", {"redis": "6379"}, "1 to 65535"),
            (["redis", "nginx"], "10.0.0.2", {"redis": 8080}, "cannot both listen on port 8080"),
        ],
    )
    def test_refused(self, names: List[str], address: str, ports: Dict[str, Any], says: str) -> None:
        with pytest.raises(InvalidValueError, match=says):
            services(names, address, ports, "/lib")

    def test_udp_and_tcp_share_a_number(self) -> None:
        assert len(services(["sockperf_tcp", "sockperf_udp"], "10.0.0.2", {}, "/lib")) == 2


class TestFiles:
    def test_only_what_is_wanted(self) -> None:
        assert files_of(services(["netserver", "redis"], "10.0.0.2", {}, "/lib")) == {}
        assert set(files_of(services(list(SERVERS), "10.0.0.2", {}, "/lib"))) == {"nginx.conf", "counters_responder.py"}

    @pytest.mark.parametrize(("address", "where"), [("10.0.0.2", "10.0.0.2:81"), ("fd00::2", "[fd00::2]:81")])
    def test_the_web_server_tells_its_address(self, address: str, where: str) -> None:
        text = files_of(services(["nginx"], address, {"nginx": 81}, "/lib"))["nginx.conf"]
        assert f"listen {where} backlog" in text and f'return 200 "{address}\\n";' in text and "@" not in text

    def test_the_responder_stands_alone(self) -> None:
        text = files_of(services(["counters"], "10.0.0.2", {}, "/lib"))["counters_responder.py"]
        assert "ansible_collections" not in text
        compile(text, "responder", "exec")


@pytest.fixture
def serving() -> Iterator[Callable[..., int]]:
    """Return what starts a server on loopback: it waits for a request if there is one, and answers; it ends with the test."""
    sockets = []

    def make(answer: bytes, kind: int = socket.SOCK_STREAM, reads: bool = True) -> int:
        listener = socket.socket(socket.AF_INET, kind)
        listener.bind(("127.0.0.1", 0))
        sockets.append(listener)

        def stream() -> None:
            try:
                client, _address = listener.accept()
            except OSError:
                # The test has ended without a word to us.
                return
            with client:
                if reads:
                    client.recv(1500)
                client.sendall(answer)

        def datagram() -> None:
            _request, client = listener.recvfrom(1500)
            listener.sendto(answer, client)

        if kind == socket.SOCK_STREAM:
            listener.listen()
        threading.Thread(target=stream if kind == socket.SOCK_STREAM else datagram, daemon=True).start()
        return listener.getsockname()[1]

    yield make
    for each in sockets:
        each.close()


PONG = SOCKPERF_HEADER.pack(1, 2, 14)
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n127.0.0.1\n"
SNAPSHOT = json.dumps({"schema": 1, "boot_id": "x"}).encode()


@pytest.mark.parametrize(
    ("check", "answer", "kind"),
    [
        ("tcp", b"", socket.SOCK_STREAM),
        ("redis", b"+PONG\r\n", socket.SOCK_STREAM),
        ("http", PAGE, socket.SOCK_STREAM),
        ("counters", SNAPSHOT, socket.SOCK_STREAM),
        ("sockperf_tcp", PONG, socket.SOCK_STREAM),
        ("sockperf_udp", PONG, socket.SOCK_DGRAM),
    ],
)
def test_the_right_answer(serving: Callable[..., int], check: str, answer: bytes, kind: int) -> None:
    port = serving(answer, kind, reads=check != "counters")
    (found,) = ask([Target("it", "127.0.0.1", port, check)], 0, 5)
    assert found["name"] == "it" and found["seconds"] >= 0


@pytest.mark.parametrize(
    ("check", "answer", "kind", "says"),
    [
        ("redis", b"-DENIED\r\n", socket.SOCK_STREAM, "DENIED"),
        ("http", b"HTTP/1.1 404 Not Found\r\n\r\n", socket.SOCK_STREAM, "404"),
        ("http", PAGE.replace(b"127.0.0.1", b"127.0.0.2"), socket.SOCK_STREAM, "without '127.0.0.1'"),
        ("http", b"", socket.SOCK_STREAM, "GET /"),
        ("counters", b"[]", socket.SOCK_STREAM, "no snapshot"),
        ("counters", b"hello", socket.SOCK_STREAM, "no snapshot"),
        ("sockperf_udp", b"x", socket.SOCK_DGRAM, "message of sockperf"),
        ("sockperf_tcp", b"", socket.SOCK_STREAM, "message of sockperf"),
    ],
)
def test_a_wrong_answer(serving: Callable[..., int], check: str, answer: bytes, kind: int, says: str) -> None:
    port = serving(answer, kind, reads=check != "counters")
    with pytest.raises(CommandError, match=says):
        ask([Target("it", "127.0.0.1", port, check)], 0, 5)


@pytest.mark.parametrize("check", sorted(set(CHECKS)))
def test_nobody_listens(check: str) -> None:
    kind = socket.SOCK_DGRAM if check.endswith("udp") else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if kind == socket.SOCK_DGRAM:
            taken.close()
        with pytest.raises(CommandError, match=f"1 of 1 servers did not answer.*it on 127.0.0.1 port {port} .*refused"):
            ask([Target("it", "127.0.0.1", port, check)], 0, 0.5)


def test_it_asks_again_until_the_time_is_over() -> None:
    now = [0.0]
    asked = []

    def check(target: Target, timeout: float) -> None:
        asked.append(target.name)
        if target.name == "never" or len(asked) < 3:
            raise NoAnswerError("not yet")

    def sleep(seconds: float) -> None:
        now[0] += seconds

    late, never = Target("late", "a", 1, "tcp"), Target("never", "b", 2, "tcp")
    with pytest.raises(CommandError, match=r"1 of 2 servers did not answer within 2 s: never on b port 2 \(not yet\)"):
        ask([late, never], 2.0, 1.0, lambda: now[0], sleep, {"tcp": check})
    assert asked[:3] == ["late"] * 3 and now[0] == pytest.approx(2.0, abs=0.25)


@pytest.mark.parametrize(("wait", "timeout"), [(-1, 1), (601, 1), (float("nan"), 1), (1, 0), (1, 61), (1, float("nan"))])
def test_times_that_are_none(wait: float, timeout: float) -> None:
    with pytest.raises(InvalidValueError, match="wait_s must be"):
        ask([], wait, timeout)


def test_targets_that_are_none() -> None:
    with pytest.raises(InvalidValueError, match="check of it must be one of"):
        target_of({"name": "it", "address": "a", "port": 1, "check": "ping"})
    with pytest.raises(InvalidValueError, match="1 to 65535"):
        target_of({"name": "it", "address": "a", "port": 0, "check": "tcp"})
