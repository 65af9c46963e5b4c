# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers that workloads run against: how each is started, and how a client finds out that it really answers."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.counters import responder
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

NGINX_FILE, RESPONDER_FILE = "nginx.conf", "counters_responder.py"
NGINX = """\
# Managed by the role datapath.lab.workloads.
worker_processes auto;
pid /tmp/datapath-lab-nginx.pid;
error_log stderr error;
events {
  worker_connections 16384;
}
http {
  access_log off;
  server_tokens off;
  default_type text/plain;
  # A load generator keeps its connections: the usual thousand requests would make it connect anew all the time.
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_body_temp_path /tmp/datapath-lab-nginx-body;
  proxy_temp_path /tmp/datapath-lab-nginx-proxy;
  fastcgi_temp_path /tmp/datapath-lab-nginx-fastcgi;
  uwsgi_temp_path /tmp/datapath-lab-nginx-uwsgi;
  scgi_temp_path /tmp/datapath-lab-nginx-scgi;
  server {
    listen @WHERE@ backlog=4096;
    # The server's own address, so that a client sees who answered.
    location = / {
      return 200 "@ADDRESS@\\n";
    }
    location = /small {
      return 200 "ok\\n";
    }
  }
}
"""


@dataclass(frozen=True)
class Server:
    """One kind of server.

    ``port``: by default; ``argv(address, port, directory)``: the command line, in the foreground, with ``directory`` holding its
    ``files``; ``check``: how check.py asks it; ``process``: its name in /proc/PID/comm; ``replaces``: units of the
    distribution that would hold its port.
    """

    port: int
    argv: Callable[[str, int, str], list[str]]
    check: str
    process: str
    replaces: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


# Whose CPU time the counters responder sums up: /proc/PID/comm of all servers below.
PROCESSES = ("iperf3", "netserver", "nginx", "redis-server", "sockperf")

SERVERS: Mapping[str, Server] = {
    "netserver": Server(
        12865,
        # -f: one process for all tests. A child's CPU time would be lost when it ends, since netserver ignores SIGCHLD.
        lambda address, port, _dir: ["/usr/bin/netserver", "-D", "-f", "-L", address, _family(address), "-p", str(port)],
        "tcp",
        "netserver",
        ("netperf.service",),
    ),
    "iperf3": Server(
        5201,
        lambda address, port, _dir: ["/usr/bin/iperf3", "-s", "-B", address, "-p", str(port)],
        "tcp",
        "iperf3",
        ("iperf3.service",),
    ),
    "sockperf_tcp": Server(
        11111,
        lambda address, port, _dir: ["/usr/bin/sockperf", "server", "--tcp", "-i", address, "-p", str(port)],
        "sockperf_tcp",
        "sockperf",
    ),
    "sockperf_udp": Server(
        11111,
        lambda address, port, _dir: ["/usr/bin/sockperf", "server", "-i", address, "-p", str(port)],
        "sockperf_udp",
        "sockperf",
    ),
    "redis": Server(
        6379,
        # It is bound to the data network alone; its protected mode would refuse everybody but the loopback.
        lambda address, port, _dir: [
            "/usr/bin/redis-server", "--bind", address, "--port", str(port), "--protected-mode", "no", "--save", "", "--appendonly", "no",
            "--daemonize", "no", "--dir", "/",
        ],
        "redis",
        "redis-server",
    ),  # fmt: skip
    "nginx": Server(
        8080,
        lambda _address, _port, directory: ["/usr/sbin/nginx", "-c", f"{directory}/{NGINX_FILE}", "-g", "daemon off;"],
        "http",
        "nginx",
        files=(NGINX_FILE,),
    ),
    "counters": Server(
        7117,
        lambda address, port, directory: [
            "/usr/bin/python3", "-I", f"{directory}/{RESPONDER_FILE}", "--listen", address, "--port", str(port),
            *(part for name in PROCESSES for part in ("--command", name)),
        ],
        "counters",
        "python3",
        files=(RESPONDER_FILE,),
    ),  # fmt: skip
}


def _family(address: str) -> str:
    return "-6" if ip_address(address).version == 6 else "-4"


def services(names: Sequence[str], address: str, ports: Mapping[str, int], directory: str, prefix: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return what a role starts for each wanted server.

    :param names: of :data:`SERVERS`.
    :param address: the one address that all of them listen on.
    :param ports: a port by name, for those that shall not use their own.
    :param prefix: what each command line begins with (taskset), but for that of the counters, which are no load.
    :returns: dictionaries with ``name``, ``program``, ``argv``, ``replaces``, ``files``, and ``target``: name, address, port and check, by
        which it is asked.
    """
    try:
        shown = str(ip_address(address))
    except ValueError:
        raise InvalidValueError(f"The address that workload servers listen on must be an IP address, not {address!r}.") from None
    unknown = [name for name in (*names, *ports) if name not in SERVERS]
    if unknown:
        raise InvalidValueError(f"There is no workload server {unknown[0]!r}; there are {', '.join(SERVERS)}.")
    made: list[dict[str, Any]] = []
    for name in dict.fromkeys(names):
        server = SERVERS[name]
        port = ports.get(name, server.port)
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise InvalidValueError(f"The port of the workload server {name} must be 1 to 65535, not {port!r}.")
        argv = server.argv(shown, port, directory)
        made.append(
            {
                "name": name.replace("_", "-"),
                "program": argv[0],
                "argv": [*(prefix if name != "counters" else ()), *argv],
                "target": {"name": name.replace("_", "-"), "address": shown, "port": port, "check": server.check},
                "replaces": list(server.replaces),
                "files": list(server.files),
            }
        )
    taken: dict[tuple[int, bool], str] = {}
    for service in made:
        key = (service["target"]["port"], service["target"]["check"] == "sockperf_udp")
        if key in taken:
            raise InvalidValueError(f"The workload servers {taken[key]} and {service['name']} cannot both listen on port {key[0]}.")
        taken[key] = service["name"]
    return made


def files_of(wanted: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the text of each file that these servers (of :func:`services`) need, by its name in their directory."""
    made = {}
    for server in wanted:
        for name in server["files"]:
            made[name] = _nginx(server["target"]) if name == NGINX_FILE else inspect.getsource(responder)
    return made


def _nginx(target: Mapping[str, Any]) -> str:
    address = target["address"]
    where = f"[{address}]" if ":" in address else address
    return NGINX.replace("@WHERE@", f"{where}:{target['port']}").replace("@ADDRESS@", address)
