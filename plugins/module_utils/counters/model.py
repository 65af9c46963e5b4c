# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel had counted at one moment, and what it counted between two."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Dict, List, Mapping, Optional

# A count by CPU number (as text, since JSON knows no other keys).
Cells = Dict[str, int]


@dataclass(frozen=True)
class CpuTimes:
    """Time of one CPU, or of several, by state, in clock ticks."""

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int

    @property
    def busy(self) -> int:
        """Time in which this CPU did work of ours; steal is time that a hypervisor took."""
        return self.user + self.nice + self.system + self.irq + self.softirq

    @property
    def in_tasks(self) -> int:
        """Time in processes, without what the kernel did in interrupts."""
        return self.user + self.nice + self.system

    @property
    def total(self) -> int:
        """All time."""
        return self.busy + self.idle + self.iowait + self.steal

    def __add__(self, other: CpuTimes) -> CpuTimes:
        return CpuTimes(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def since(self, before: CpuTimes) -> CpuTimes:
        """Return the time since ``before``; idle and iowait may run backwards by a tick in the kernel, which counts as none."""
        return CpuTimes(*(max(0, getattr(self, field.name) - getattr(before, field.name)) for field in fields(self)))

    def fractions(self) -> dict[str, float]:
        """Return each state's part of all time; empty if no time has passed."""
        return {field.name: getattr(self, field.name) / self.total for field in fields(self)} if self.total else {}


NO_TIME = CpuTimes(0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Interrupt:
    """Counts of one interrupt by CPU, and what the kernel says about it (chip, number, action)."""

    cells: Cells
    description: str


@dataclass(frozen=True)
class SoftnetRow:
    """One row of softnet_stat: the CPU, where the kernel tells it, and its counts."""

    cpu: Optional[str]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Snapshot:
    """All counters at one moment.

    ``monotonic_s``: the node's own clock; ``scope``: ``node``, or ``host`` if the CPU counters are those of a machine shared with
    other nodes; ``process_ticks``: CPU time of the servers by name; ``other_process_ticks``: that of all processes of the machine but the
    reader's own and the kernel's threads, None where they cannot be seen.
    """

    monotonic_s: float
    boot_id: str
    scope: str
    ticks_per_second: int
    cpus: Mapping[str, CpuTimes]
    context_switches: int
    interrupts: Mapping[str, Interrupt]
    softirqs: Mapping[str, Cells]
    softnet: List[SoftnetRow]
    interfaces: Mapping[str, Mapping[str, int]]
    process_ticks: Mapping[str, int]
    other_process_ticks: Optional[int] = None


@dataclass(frozen=True)
class Delta:
    """What was counted between two snapshots; the same shapes, and ``interval_s`` seconds in between."""

    interval_s: float
    boot_id: str
    scope: str
    ticks_per_second: int
    cpus: Mapping[str, CpuTimes]
    context_switches: int
    interrupts: Mapping[str, Interrupt]
    softirqs: Mapping[str, Cells]
    softnet: List[SoftnetRow]
    interfaces: Mapping[str, Mapping[str, int]]
    process_ticks: Mapping[str, int]
    other_process_ticks: Optional[int] = None

    @property
    def all_cpus(self) -> CpuTimes:
        """The time of all CPUs together."""
        return sum(self.cpus.values(), NO_TIME)

    @property
    def busy_s(self) -> float:
        """Seconds of CPU time in which work was done."""
        return self.all_cpus.busy / self.ticks_per_second

    @property
    def occupied_s(self) -> float:
        """Seconds of CPU time in which the CPUs were not idle, in interrupts as in processes.

        Taken from the idle time, which the kernel measures. The busy states are sampled at its ticks, and miss most of a load that runs in
        pieces shorter than a tick: 0.5 s of 0.9 s with TCP_RR. Interrupts cannot be added to the time of processes instead: without
        CONFIG_IRQ_TIME_ACCOUNTING the kernel has counted them there already.
        """
        everything = self.all_cpus
        idle = everything.idle + everything.iowait + everything.steal
        return max(0.0, len(self.cpus) * self.interval_s - idle / self.ticks_per_second)

    @property
    def processes_s(self) -> float:
        """Seconds of CPU time that the named servers used."""
        return sum(self.process_ticks.values()) / self.ticks_per_second

    def foreign_s(self, servers_s: float, client_s: float) -> float:
        """Return the CPU seconds that processes other than the workload's used.

        :param servers_s: what the workload's servers on this machine used.
        :param client_s: what the reader and its ended children used, which is the tool.

        Where all processes can be seen: their time without the servers'. Elsewhere at least (time in processes - the workload's), which
        is too small by the interrupts that the kernel counted as the workload's.
        """
        if self.other_process_ticks is not None:
            return max(0.0, self.other_process_ticks / self.ticks_per_second - servers_s)
        return max(0.0, self.all_cpus.in_tasks / self.ticks_per_second - servers_s - client_s)

    def part(self, seconds: float) -> float:
        """Return CPU seconds as a part of all CPU time of the interval."""
        return seconds / (len(self.cpus) * self.interval_s) if self.cpus else 0.0

    def rates(self) -> dict[str, Any]:
        """Return the JSON form: fractions of CPU time, and everything else per second; what did not move is left out."""
        everything = self.all_cpus
        fractions = everything.fractions()
        return {
            "interval_s": round(self.interval_s, 6),
            "scope": self.scope,
            "cpu": {
                "count": len(self.cpus),
                "busy_s": self.busy_s,
                "occupied_s": round(self.occupied_s, 6),
                "servers_s": self.processes_s,
                "fractions": fractions,
                "steal_fraction": fractions.get("steal", 0.0),
                "per_cpu": {cpu: times.fractions() for cpu, times in self.cpus.items()},
            },
            "context_switches_per_s": self._per_s(self.context_switches),
            "interrupts": {
                key: {"description": interrupt.description, **self._cells(interrupt.cells)}
                for key, interrupt in self.interrupts.items()
                if any(interrupt.cells.values())
            },
            "softirqs": {kind: self._cells(cells) for kind, cells in self.softirqs.items() if any(cells.values())},
            "softnet": self._softnet(),
            "interfaces": {
                name: {f"{key}_per_s": self._per_s(count) for key, count in counts.items() if count}
                for name, counts in self.interfaces.items()
                if any(counts.values())
            },
        }

    def _per_s(self, count: int) -> float:
        return count / self.interval_s

    def _cells(self, cells: Cells) -> dict[str, Any]:
        return {"per_s": self._per_s(sum(cells.values())), "per_cpu": {cpu: self._per_s(count) for cpu, count in cells.items() if count}}

    def _softnet(self) -> dict[str, Any]:
        names = sorted({name for row in self.softnet for name in row.counts})
        total = {name: sum(row.counts.get(name, 0) for row in self.softnet) for name in names}
        return {
            # Losses are few and each one matters, so they are given as counts as well.
            "counts": total,
            "per_s": {name: self._per_s(count) for name, count in total.items()},
            "per_cpu": {
                row.cpu: {name: self._per_s(count) for name, count in row.counts.items()}
                for row in self.softnet
                if row.cpu is not None
            },
        }
