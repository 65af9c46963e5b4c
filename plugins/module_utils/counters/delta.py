# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The difference of two snapshots."""

from __future__ import annotations

from ansible_collections.datapath.lab.plugins.module_utils.counters.model import Cells, Delta, Interrupt, Snapshot, SoftnetRow
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

# The kernel keeps interrupts, softirqs and softnet counts in 32 bits each: a busy machine wraps them within hours.
WRAP = 1 << 32


def _cells(before: Cells, after: Cells) -> Cells:
    # A CPU that is in one snapshot only was switched on or off in between; what it counted before is not known.
    return {cpu: (count - before[cpu]) % WRAP for cpu, count in after.items() if cpu in before}


def _softnet(before: Snapshot, after: Snapshot) -> list[SoftnetRow]:
    if any(row.cpu is None for row in before.softnet + after.softnet):
        # Without CPU ids only the sums can be compared, and those only while no CPU comes or goes.
        if len(before.softnet) != len(after.softnet):
            raise InvalidValueError(
                f"The number of online CPUs changed from {len(before.softnet)} to {len(after.softnet)} during the interval, and this "
                "kernel does not say which row of softnet_stat belongs to which: take both snapshots with the same CPUs online."
            )
        pairs = [(old.counts, new) for old, new in zip(before.softnet, after.softnet)]
    else:
        earlier = {row.cpu: row.counts for row in before.softnet}
        pairs = [(earlier[row.cpu], row) for row in after.softnet if row.cpu in earlier]
    # The backlog is a length, not a count: a difference of it says nothing.
    return [SoftnetRow(row.cpu, _cells(dict(old), {name: n for name, n in row.counts.items() if name != "backlog"})) for old, row in pairs]


def delta(before: Snapshot, after: Snapshot) -> Delta:
    """Return what was counted between two snapshots of one node.

    :raises InvalidValueError: if they are not of one machine and one boot, or not in order.
    """
    if before.boot_id != after.boot_id:
        raise InvalidValueError("The two snapshots are of different machines, or the node was booted in between: take both anew.")
    interval = after.monotonic_s - before.monotonic_s
    if interval <= 0:
        raise InvalidValueError(f"The second snapshot must be later than the first, not {-interval:.3f} s earlier: exchange them.")
    if after.context_switches < before.context_switches:
        raise InvalidValueError("The number of context switches went down between the snapshots: take both anew.")
    return Delta(
        interval_s=interval,
        boot_id=after.boot_id,
        scope=after.scope,
        ticks_per_second=after.ticks_per_second,
        cpus={cpu: times.since(before.cpus[cpu]) for cpu, times in after.cpus.items() if cpu in before.cpus},
        context_switches=after.context_switches - before.context_switches,
        interrupts={
            # An interrupt that was requested in between starts from nothing.
            key: Interrupt(_cells(before.interrupts[key].cells, now.cells) if key in before.interrupts else now.cells, now.description)
            for key, now in after.interrupts.items()
        },
        softirqs={kind: _cells(before.softirqs.get(kind, {}), cells) for kind, cells in after.softirqs.items()},
        softnet=_softnet(before, after),
        # An interface that was made in between starts from nothing; one that was replaced by another of its name went down.
        interfaces={
            name: {key: max(0, count - before.interfaces.get(name, {}).get(key, 0)) for key, count in counts.items()}
            for name, counts in after.interfaces.items()
        },
        process_ticks={name: max(0, ticks - before.process_ticks.get(name, 0)) for name, ticks in after.process_ticks.items()},
        other_process_ticks=(
            max(0, after.other_process_ticks - before.other_process_ticks)
            if after.other_process_ticks is not None and before.other_process_ticks is not None
            else None
        ),
    )
