# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters at both ends of a workload: read just before it and just after it."""

from __future__ import annotations

import json
import resource
import socket
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Tuple, TypeVar

from ansible_collections.datapath.lab.plugins.module_utils.counters.delta import delta
from ansible_collections.datapath.lab.plugins.module_utils.counters.model import Delta
from ansible_collections.datapath.lab.plugins.module_utils.counters.parse import snapshot_of
from ansible_collections.datapath.lab.plugins.module_utils.counters.responder import capture
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Metric

Capture = Callable[[], Dict[str, Any]]
T = TypeVar("T")
DEFAULT_PORT = 7117
# A snapshot of a machine with hundreds of CPUs is some megabytes.
LARGEST_ANSWER = 64 * 1024 * 1024


@dataclass(frozen=True)
class Ends:
    """What was counted during a workload.

    ``local``: on the node that ran the tool; ``remote``: on the server's, if it was asked; ``client_s``: CPU seconds of the tool's
    own processes.
    """

    local: Delta
    remote: Optional[Delta]
    client_s: float

    @property
    def same_machine(self) -> bool:
        """Both ends are namespaces of one machine, whose CPU counters cannot be told apart."""
        return self.remote is not None and self.remote.boot_id == self.local.boot_id

    @property
    def servers_s(self) -> float:
        """CPU seconds that the servers at the other end used."""
        return self.remote.processes_s if self.remote else 0.0

    @property
    def local_foreign_s(self) -> float:
        """CPU seconds that processes of nobody here used on this end's machine."""
        return self.local.foreign_s(self.servers_s if self.same_machine else 0.0, self.client_s)

    @property
    def remote_foreign_s(self) -> float:
        """The same at the other end; on one machine this end's figure, which sees all processes."""
        if self.remote is None or self.same_machine:
            return self.local_foreign_s
        return self.remote.foreign_s(self.servers_s, 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return ``measurement.counters``: the rates of each end, with the part of CPU time that nobody of the workload used."""
        local = self.local.rates()
        local["cpu"].update(
            workload_s=self.client_s + (self.servers_s if self.same_machine else 0.0),
            foreign_cpu_fraction=self.local.part(self.local_foreign_s),
        )
        ends: dict[str, Any] = {"scope": self.local.scope, "same_machine": self.same_machine, "local": local}
        if self.remote is not None:
            remote = self.remote.rates()
            remote["cpu"].update(
                workload_s=self.servers_s + (self.client_s if self.same_machine else 0.0),
                # On one machine the figure of the local pair, with its interval.
                foreign_cpu_fraction=(self.local if self.same_machine else self.remote).part(self.remote_foreign_s),
            )
            ends["remote"] = remote
        return ends


def answer_of(address: str, port: int, timeout_s: float = 5.0) -> dict[str, Any]:
    """Return the counters of the node whose responder listens on ``address``."""
    way_out = "Start it there with the role workloads, or leave counters_remote out."
    try:
        with socket.create_connection((address, port), timeout=timeout_s) as connection:
            parts = []
            size = 0
            while True:
                part = connection.recv(65536)
                if not part:
                    break
                parts.append(part)
                size += len(part)
                if size > LARGEST_ANSWER:
                    raise ParseError("counters responder", f"the answer of {address}:{port} is longer than {LARGEST_ANSWER} bytes")
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(f"The counters responder on {address} port {port} did not answer ({reason}). {way_out}") from error
    try:
        document = json.loads(b"".join(parts).decode("utf-8", errors="replace"))
    except ValueError as error:
        text = b"".join(parts[:1]).decode("utf-8", errors="replace")
        raise ParseError("counters responder", f"what listens on {address}:{port} did not answer with JSON", text) from error
    if not isinstance(document, dict):
        raise ParseError("counters responder", f"{address}:{port} did not answer with a snapshot", str(document))
    return document


def cpu_seconds() -> float:
    """Return the CPU time that this process and its ended children have used."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def metered(
    action: Callable[[], T], remote: Optional[Capture] = None, local: Capture = capture, used: Callable[[], float] = cpu_seconds
) -> Tuple[T, Ends]:
    """Run an action between two snapshots at each end; the local ones are the inner pair.

    An end that does not answer raises before the action is started.
    """
    remote_before = snapshot_of(remote()) if remote else None
    # The captures are read later: on a slow node that takes longer than a short load.
    local_before = local()
    used_before = used()
    result = action()
    client_s = used() - used_before
    local_after = local()
    remote_after = snapshot_of(remote()) if remote else None
    remote_delta = delta(remote_before, remote_after) if remote_before and remote_after else None
    return result, Ends(delta(snapshot_of(local_before), snapshot_of(local_after)), remote_delta, client_s)


def cost_metrics(ends: Ends, requests: Optional[float], transferred: Optional[float]) -> dict[str, Metric]:
    """Return the CPU time that one unit of work cost: all time in which the CPUs were not idle, but for that of other processes.

    ``cpu_us_per_request`` and ``cpu_us_per_kb`` are the sum of both ends and exist where both were counted; ``cpu_local_…`` and
    ``cpu_remote_…`` exist where the ends are different machines. KB is 1024 bytes, as in netperf's service demand. An end whose
    processes cannot all be seen has no cost.
    """
    cost: dict[str, float] = {}
    local = None if ends.local.other_process_ticks is None else max(0.0, ends.local.occupied_s - ends.local_foreign_s)
    if ends.same_machine:
        if local is not None:
            cost["cpu"] = local
    elif ends.local.scope == "node":
        if local is not None:
            cost["cpu_local"] = local
        if ends.remote is not None and ends.remote.other_process_ticks is not None:
            cost["cpu_remote"] = max(0.0, ends.remote.occupied_s - ends.remote_foreign_s)
        if len(cost) == 2:
            cost["cpu"] = cost["cpu_local"] + cost["cpu_remote"]
    metrics = {}
    for name, seconds in cost.items():
        if requests:
            metrics[f"{name}_us_per_request"] = Metric(seconds * 1e6 / requests, "us/request", "lower")
        if transferred:
            metrics[f"{name}_us_per_kb"] = Metric(seconds * 1e6 * 1024 / transferred, "us/KB", "lower")
    return metrics
