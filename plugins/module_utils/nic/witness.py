# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where did packets really go? Counters at two times, and what their differences prove about a policy."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask, parse, read
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import Device, Topology

PROVED, REFUTED, MISSING = "proved", "refuted", "missing"

# Names of the packets that one receive queue has had, in `ethtool -S`:
# rx_queue_0_packets (igb, ixgbe, ice, older virtio_net), rx0_packets (mlx5, newer virtio_net), rx-0.packets (i40e), queue_0_rx_cnt (ena),
# [0]: rx_ucast_packets (bnxt).
_RX_PACKETS = re.compile(
    r"(?:rx_queue_(\d+)_packets|rx(\d+)_packets|rx-(\d+)\.(?:rx_)?packets|queue_(\d+)_rx_cnt|\[(\d+)\]: rx_ucast_packets)\Z"
)

# Share of the work that must be where the policy wants it; the rest is what other devices and the node itself receive.
ENOUGH = 0.8
# The same where flows follow their application: the kernel then takes the application's CPU even if the RPS mask lacks it.
ENOUGH_WITH_FLOWS = 0.5
# Share of all packets that may arrive where the policy wants none.
STRAY = 0.02


@dataclass(frozen=True)
class Counters:
    """What the kernel had counted at one time. All but ``rx_packets`` is of the whole node or of the device's interrupts, by CPU number."""

    at: float
    rx_packets: Mapping[int, int]
    interrupts: Mapping[int, Mapping[int, int]]
    net_rx: Mapping[int, int]
    softnet: Mapping[int, Mapping[str, int]]

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON form, whose keys are texts."""
        return {
            "at": self.at,
            "rx_packets": {str(queue): count for queue, count in self.rx_packets.items()},
            "interrupts": {str(irq): {str(cpu): count for cpu, count in row.items()} for irq, row in self.interrupts.items()},
            "net_rx": {str(cpu): count for cpu, count in self.net_rx.items()},
            "softnet": {str(cpu): dict(row) for cpu, row in self.softnet.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Counters:
        """Read the JSON form."""
        try:
            return cls(
                float(data["at"]),
                {int(queue): int(count) for queue, count in data["rx_packets"].items()},
                {int(irq): {int(cpu): int(count) for cpu, count in row.items()} for irq, row in data["interrupts"].items()},
                {int(cpu): int(count) for cpu, count in data["net_rx"].items()},
                {int(cpu): {name: int(count) for name, count in row.items()} for cpu, row in data["softnet"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidValueError(
                f"since is not what this module returned as 'counters' ({error}): pass that value on unchanged."
            ) from error


def count(host: Host, device: Device, topology: Topology) -> Counters:
    """Read all counters now."""
    wanted = {it.number for it in device.irqs}
    done = host.query(["ethtool", "-S", device.name])
    rx_packets = {}
    if done.rc == 0 and done.stdout.startswith("NIC statistics"):
        for name, value in parse.statistics(done.stdout).items():
            match = _RX_PACKETS.match(name)
            if match:
                rx_packets[int(next(group for group in match.groups() if group is not None))] = value
    return Counters(
        time.time(),
        rx_packets,
        {irq: row for irq, row in parse.interrupts(host.read("/proc/interrupts")).items() if irq in wanted},
        parse.softirqs(host.read("/proc/softirqs"), "NET_RX"),
        parse.softnet(host.read("/proc/net/softnet_stat"), cpumask.members(topology.online)),
    )


def difference(before: Counters, after: Counters) -> Counters:
    """Return what was counted between two times; ``at`` becomes the seconds between them."""

    def rows(first: Mapping[int, int], last: Mapping[int, int]) -> Dict[int, int]:
        # A counter that went back started anew; softnet's are 32 bits wide and wrap, which the caller's mask takes care of.
        return {key: value - first.get(key, 0) if value >= first.get(key, 0) else value for key, value in last.items()}

    def wrapped(first: Mapping[str, int], last: Mapping[str, int]) -> Dict[str, int]:
        return {name: value if name == "backlog" else (value - first.get(name, 0)) & 0xFFFFFFFF for name, value in last.items()}

    return Counters(
        after.at - before.at,
        rows(before.rx_packets, after.rx_packets),
        {irq: rows(before.interrupts.get(irq, {}), row) for irq, row in after.interrupts.items()},
        rows(before.net_rx, after.net_rx),
        {cpu: wrapped(before.softnet.get(cpu, {}), row) for cpu, row in after.softnet.items()},
    )


def effective_number(counts: Sequence[int]) -> float:
    """Return how many equal shares would be as even as these: 4 queues with equal counts give 4, one that has all gives 1."""
    total = sum(counts)
    return 0.0 if not total else 1 / sum((count / total) ** 2 for count in counts)


def _shares(counts: Mapping[int, int], name: str) -> str:
    total = sum(counts.values()) or 1
    return ", ".join(f"{name}{key} {100 * value / total:.0f} %" for key, value in sorted(counts.items()) if value)


@dataclass(frozen=True)
class Claim:
    """One thing that a policy says, and what the counters say about it."""

    name: str
    state: str
    evidence: str

    def as_dict(self) -> Dict[str, str]:
        """Return the JSON form."""
        return {"name": self.name, "state": self.state, "evidence": self.evidence}


def judge_rss(expected: str, device: Device, delta: Counters, min_packets: int) -> Claim:
    """Judge where the card's interrupts went: ``spread`` over its queues, or all on one CPU (``cpu0``)."""
    receiving = {it.number: it for it in device.irqs if it.serves_rx()}
    by_cpu: Dict[int, int] = {}
    for number, row in delta.interrupts.items():
        if number in receiving:
            for cpu, times in row.items():
                by_cpu[cpu] = by_cpu.get(cpu, 0) + times
    fired = sum(by_cpu.values())
    if expected == "cpu0":
        if not fired:
            return Claim("rss", MISSING, f"{device.name}: no receive interrupt was counted in {delta.at:.1f} s.")
        elsewhere = (fired - by_cpu.get(0, 0)) / fired
        state = PROVED if elsewhere <= STRAY else REFUTED
        return Claim(
            "rss",
            state,
            f"{device.name}: {fired} receive interrupts, of which {100 * (1 - elsewhere):.1f} % on CPU 0 ({_shares(by_cpu, 'CPU ')}).",
        )
    packets = dict(delta.rx_packets) or {
        it.queue: sum(delta.interrupts.get(number, {}).values()) for number, it in receiving.items() if it.queue is not None
    }
    packets = {queue: value for queue, value in packets.items() if queue in device.rx}
    total, queues = sum(packets.values()), len(device.rx)
    what = "packets" if delta.rx_packets else "receive interrupts"
    if total < min_packets:
        return Claim("rss", MISSING, f"{device.name}: {total} {what} in {delta.at:.1f} s, at least {min_packets} are needed to tell.")
    effective = effective_number(list(packets.values()))
    state = PROVED if effective > max(1.5, queues / 2 - 1e-9) else REFUTED
    return Claim(
        "rss",
        state,
        f"{device.name}: {total} {what} spread over an effective {effective:.1f} of {queues} queues ({_shares(packets, 'queue ')}).",
    )


def judge_rps(device: Device, delta: Counters, min_packets: int) -> Claim:
    """Judge whether the protocol work ran on the CPUs of the RPS masks that are set; without a mask, whether none was moved."""
    wanted = 0
    for queue in device.rx.values():
        wanted |= queue.rps_cpus
    moved = {cpu: row.get("received_rps", 0) for cpu, row in delta.softnet.items()}
    processed = {cpu: row["processed"] for cpu, row in delta.softnet.items()}
    total = sum(processed.values())
    if total < min_packets:
        return Claim(
            "rps", MISSING, f"{device.name}: {total} packets were processed in {delta.at:.1f} s, at least {min_packets} are needed to tell."
        )
    if not wanted:
        state = PROVED if sum(moved.values()) <= STRAY * total else REFUTED
        return Claim(
            "rps",
            state,
            f"{device.name}: RPS is off; of {total} packets {sum(moved.values())} inter-CPU hand-overs ({_shares(processed, 'CPU ')}).",
        )
    inside = sum(value for cpu, value in processed.items() if wanted >> cpu & 1)
    follows = any(queue.rps_flow_cnt for queue in device.rx.values())
    enough = ENOUGH_WITH_FLOWS if follows else ENOUGH
    state = PROVED if inside >= enough * total and any(value for cpu, value in moved.items() if wanted >> cpu & 1) else REFUTED
    return Claim(
        "rps",
        state,
        f"{device.name}: {100 * inside / total:.0f} % of {total} packets were processed on the wanted CPUs {cpumask.format_list(wanted)}, "
        f"{'of which flows may leave to follow their application, ' if follows else ''}"
        f"with {sum(moved.values())} inter-CPU hand-overs ({_shares(processed, 'CPU ')}).",
    )


def judge_rfs(device: Device, delta: Counters, application: int, min_packets: int) -> Claim:
    """Judge whether packets were processed where the application runs.

    It can be told only if the application keeps to a part of the CPUs that RPS may choose.
    """
    wanted = 0
    for queue in device.rx.values():
        wanted |= queue.rps_cpus if queue.rps_flow_cnt else 0
    if not wanted:
        return Claim("rfs", REFUTED, f"{device.name}: no receive queue has flow entries and an RPS mask, so flows cannot follow anything.")
    if not application:
        return Claim("rfs", MISSING, f"{device.name}: it was not told on which CPUs the application runs.")
    inside_mask = application & wanted
    if not inside_mask or inside_mask == wanted:
        return Claim(
            "rfs",
            MISSING,
            f"{device.name}: the application runs on CPUs {cpumask.format_list(application)} and RPS chooses from {cpumask.format_list(wanted)}: "
            "following it cannot be told from plain RPS.",
        )
    processed = {cpu: row["processed"] for cpu, row in delta.softnet.items()}
    total = sum(processed.values())
    if total < min_packets:
        return Claim(
            "rfs", MISSING, f"{device.name}: {total} packets were processed in {delta.at:.1f} s, at least {min_packets} are needed to tell."
        )
    inside = sum(value for cpu, value in processed.items() if application >> cpu & 1) / total
    blind = bin(inside_mask).count("1") / bin(wanted).count("1")
    # Following must take it well beyond the share that a blind choice among the RPS CPUs gives.
    state = PROVED if inside >= blind + (1 - blind) / 2 else REFUTED
    return Claim(
        "rfs",
        state,
        f"{device.name}: {100 * inside:.0f} % of {total} packets were processed on the application's CPUs {cpumask.format_list(application)}; "
        f"a blind choice among {cpumask.format_list(wanted)} gives {100 * blind:.0f} % ({_shares(processed, 'CPU ')}).",
    )


def application_cpus(host: Host, process: str) -> int:
    """Return the CPUs on which the threads of a process (by its name) last ran.

    /proc/PID/task/TID/stat, after the name in parentheses: field 39 is the processor.
    """
    cpus = 0
    for pid in host.listdir("/proc"):
        if not pid.isdigit() or host.read_or(f"/proc/{pid}/comm").strip() != process:
            continue
        for thread in host.listdir(f"/proc/{pid}/task"):
            text = host.read_or(f"/proc/{pid}/task/{thread}/stat")
            if not text:
                continue
            fields = text.rpartition(")")[2].split()
            if len(fields) < 37:
                raise ParseError("/proc/PID/stat", f"expected 39 fields or more, found {len(fields) + 2}", text)
            cpus |= 1 << int(fields[36])
    return cpus


def combine(claims: Sequence[Claim]) -> Tuple[str, str]:
    """Return the state of all claims together, and their evidence: refuted if one is, else missing if one is, else proved."""
    states = [claim.state for claim in claims]
    state = next((it for it in (REFUTED, MISSING) if it in states), PROVED if states else MISSING)
    return state, " ".join(claim.evidence for claim in claims) or "Nothing was asked."


def judge(
    device: Device,
    delta: Counters,
    rss: Optional[str] = None,
    rps: bool = False,
    rfs: bool = False,
    application: int = 0,
    min_packets: int = 1000,
) -> List[Claim]:
    """Judge each claim that was asked for."""
    claims = []
    if rss:
        claims.append(judge_rss(rss, device, delta, min_packets))
    if rps:
        claims.append(judge_rps(device, delta, min_packets))
    if rfs:
        claims.append(judge_rfs(device, delta, application, min_packets))
    return claims


def rates(delta: Counters) -> Dict[str, Any]:
    """Return the counters per second."""
    seconds = delta.at or 1.0
    data = delta.as_dict()
    return {
        "interval_s": round(delta.at, 3),
        "rx_packets_per_queue": {queue: round(value / seconds, 2) for queue, value in data["rx_packets"].items()},
        "interrupts_per_cpu": {
            irq: {cpu: round(value / seconds, 2) for cpu, value in row.items()} for irq, row in data["interrupts"].items()
        },
        "net_rx_per_cpu": {cpu: round(value / seconds, 2) for cpu, value in data["net_rx"].items()},
        "processed_per_cpu": {cpu: round(row["processed"] / seconds, 2) for cpu, row in data["softnet"].items()},
        "received_rps_per_cpu": {cpu: round(row.get("received_rps", 0) / seconds, 2) for cpu, row in data["softnet"].items()},
        "dropped_per_cpu": {cpu: round(row["dropped"] / seconds, 2) for cpu, row in data["softnet"].items()},
    }


def as_result(claims: Sequence[Claim], delta: Counters) -> Dict[str, Any]:
    """Return the witness as a measurement records it."""
    state, evidence = combine(claims)
    return {"state": state, "evidence": evidence, "data": {"claims": [claim.as_dict() for claim in claims], "rates": rates(delta)}}


def look(host: Host, name: str) -> Tuple[Device, Topology]:
    """Read the device and the CPUs that a judgement is about."""
    return read.device(host, name), read.topology(host)
