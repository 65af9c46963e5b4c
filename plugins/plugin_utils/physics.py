# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of one tool's figure against another's, or against what is possible: a wrong run is often visible only there.

Each check is a pure function that returns a :class:`Check`; its state is ``agree``, ``disagree`` or ``not measured``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

# Two tools send messages of different sizes (14 against 100 bytes in the published runs): only a gross difference means a wrong run.
# In the published table the rows that are right differ by up to 18 %, the wrong one by a factor of three.
RR_TOLERANCE = 0.25
LITTLE_TOLERANCE = 0.15
# Clocks and rounding at both ends.
EXCESS_TOLERANCE = 0.01


@dataclass(frozen=True)
class Check:
    """``check``: its name; ``found`` and ``expected`` in ``unit``, None where not measured; ``sentence``: what it says."""

    check: str
    state: str
    sentence: str
    found: Optional[float] = None
    expected: Optional[float] = None
    unit: str = ""

    def as_dict(self) -> Dict[str, Any]:
        """Return it for analysis.json."""
        return dict(self.__dict__)


def _missing(check: str, **values: Optional[float]) -> Optional[Check]:
    lacking = [name.replace("_", " ") for name, value in values.items() if value is None or value <= 0]
    if not lacking:
        return None
    return Check(check, "not measured", f"Not measured: {', '.join(lacking)}.")


def round_trips(transactions_per_s: Optional[float], half_round_trip_s: Optional[float]) -> Check:
    """Check netperf's TCP_RR against sockperf: one transaction at a time takes two half round trips."""
    name = "transactions against latency"
    missing = _missing(name, transaction_rate=transactions_per_s, latency=half_round_trip_s)
    if missing or transactions_per_s is None or half_round_trip_s is None:
        return missing or Check(name, "not measured", "Not measured.")
    expected = 1.0 / (2.0 * half_round_trip_s)
    factor = transactions_per_s / expected
    agrees = 1 / (1 + RR_TOLERANCE) <= factor <= 1 + RR_TOLERANCE
    says = f"{transactions_per_s:.0f} transactions/s where a half round trip of {half_round_trip_s * 1e6:.1f} µs allows {expected:.0f}/s"
    if not agrees:
        says += f": off by a factor of {max(factor, 1 / factor):.1f}, so that one of the two did not measure this path"
    return Check(name, "agree" if agrees else "disagree", says + ".", transactions_per_s, expected, "1/s")


def packets_fit(packets_per_s: Optional[float], size_bytes: Optional[float], bandwidth_bit_s: Optional[float]) -> Check:
    """Check that packets times their size stay below the bandwidth that was measured or that the line has."""
    name = "packets against bandwidth"
    missing = _missing(name, packet_rate=packets_per_s, packet_size=size_bytes, bandwidth=bandwidth_bit_s)
    if missing or packets_per_s is None or size_bytes is None or bandwidth_bit_s is None:
        return missing or Check(name, "not measured", "Not measured.")
    found = packets_per_s * size_bytes * 8
    fits = found <= bandwidth_bit_s * (1 + EXCESS_TOLERANCE)
    relation = "fit into" if fits else "do not fit into"
    says = f"{packets_per_s:.0f} packets/s of {size_bytes:.0f} bytes are {found / 1e6:.1f} Mbit/s"
    says += f" and {relation} {bandwidth_bit_s / 1e6:.1f} Mbit/s."
    return Check(name, "agree" if fits else "disagree", says, found, bandwidth_bit_s, "bit/s")


def received_of_sent(received: Optional[float], sent: Optional[float], unit: str = "bit/s") -> Check:
    """Check that no more was received than was sent; tell the loss."""
    name = "received against sent"
    missing = _missing(name, received=received, sent=sent)
    if missing or received is None or sent is None:
        return missing or Check(name, "not measured", "Not measured.")
    possible = received <= sent * (1 + EXCESS_TOLERANCE)
    loss = max(0.0, 1 - received / sent)
    says = f"{received:.4g} of {sent:.4g} {unit} sent were received: {100 * loss:.1f} % lost." if possible else (
        f"{received:.4g} {unit} were received where {sent:.4g} {unit} were sent, which cannot be."
    )
    return Check(name, "agree" if possible else "disagree", says, received, sent, unit)


def littles_law(connections: Optional[float], requests_per_s: Optional[float], mean_latency_s: Optional[float]) -> Check:
    """Check a closed loop such as wrk's: the connections in use are the request rate times the mean latency."""
    name = "Little's law"
    missing = _missing(name, connections=connections, request_rate=requests_per_s, mean_latency=mean_latency_s)
    if missing or connections is None or requests_per_s is None or mean_latency_s is None:
        return missing or Check(name, "not measured", "Not measured.")
    found = requests_per_s * mean_latency_s
    agrees = abs(found / connections - 1) <= LITTLE_TOLERANCE
    says = f"{requests_per_s:.0f} requests/s at {mean_latency_s * 1e3:.3g} ms keep {found:.1f} of {connections:.0f} connections busy"
    if not agrees:
        says += ", so that connections stood idle, failed, or the latency is not that of all requests"
    return Check(name, "agree" if agrees else "disagree", says + ".", found, connections, "connections")


def below_line_rate(throughput_bit_s: Optional[float], line_rate_bit_s: Optional[float]) -> Check:
    """Check that nothing is faster than the line."""
    name = "line rate"
    missing = _missing(name, throughput=throughput_bit_s, line_rate=line_rate_bit_s)
    if missing or throughput_bit_s is None or line_rate_bit_s is None:
        return missing or Check(name, "not measured", "Not measured.")
    possible = throughput_bit_s <= line_rate_bit_s * (1 + EXCESS_TOLERANCE)
    relation = "is within" if possible else "cannot pass"
    says = f"{throughput_bit_s / 1e6:.1f} Mbit/s {relation} a line of {line_rate_bit_s / 1e6:.0f} Mbit/s."
    return Check(name, "agree" if possible else "disagree", says, throughput_bit_s, line_rate_bit_s, "bit/s")


# Unit as tools give it → (base unit, factor).
_UNITS: Mapping[str, Tuple[str, float]] = {
    **{unit: ("s", factor) for unit, factor in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9))},
    **{unit: ("bit/s", factor) for unit, factor in (("bit/s", 1.0), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9))},
    **dict.fromkeys(("1/s", "requests/s", "transactions/s", "packets/s", "messages/s"), ("1/s", 1.0)),
    "connections": ("connections", 1.0),
}

Place = Tuple[str, str]  # point, arm


class _Cells:
    """The means of an experiment's cells in base units, found by place, tool and metric."""

    def __init__(self, plan: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> None:
        self.workloads: Dict[str, Mapping[str, Any]] = {workload["name"]: workload for workload in plan["workloads"]}
        self.points: Dict[str, Mapping[str, Any]] = {point["name"]: point for point in plan["points"]}
        self.means: Dict[Tuple[str, str, str, str, str], float] = {}
        for cell in cells:
            if cell["unit"] in _UNITS:
                base, factor = _UNITS[cell["unit"]]
                self.means[cell["point"], cell["arm"], cell["workload"], cell["metric"], base] = cell["mean"] * factor
        self.places: List[Place] = sorted({(key[0], key[1]) for key in self.means})

    def of(self, place: Place, workload: str, *metrics: str, unit: str) -> Optional[float]:
        """Return the first of these metrics that a workload has at a place in this base unit."""
        for metric in metrics:
            if (*place, workload, metric, unit) in self.means:
                return self.means[(*place, workload, metric, unit)]
        return None

    def run_by(self, tool: str) -> List[Mapping[str, Any]]:
        """Return the workloads that a tool runs."""
        return [workload for workload in self.workloads.values() if workload["tool"] == tool]

    def stated(self, place: Place, workload: Mapping[str, Any], key: str) -> Any:
        """Return what the point or, failing that, the workload states under a key, such as ``test``."""
        value = self.points.get(place[0], {}).get(key)
        return workload.get(key) if value is None else value

    def given(self, place: Place, workload: Mapping[str, Any], *keys: str) -> Optional[float]:
        """Return the first number that is stated under one of these keys, such as ``connections``."""
        for key in keys:
            value = self.stated(place, workload, key)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return float(value)
        return None


def checks(plan: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """Make every check for which an experiment has the workloads; return them for analysis.json, with point, arm and workloads."""
    known = _Cells(plan, cells)
    made: List[Dict[str, Any]] = []

    def add(check: Check, place: Place, *workloads: Mapping[str, Any]) -> None:
        names = [workload["name"] for workload in workloads]
        made.append({"point": place[0], "arm": place[1], "workloads": names, **check.as_dict()})

    line_rate = plan.get("line_rate_bit_s")
    for place in known.places:
        for workload in known.workloads.values():
            name, tool, test = workload["name"], workload["tool"], str(known.stated(place, workload, "test") or "")
            received = known.of(place, name, "throughput", unit="bit/s")
            sent = known.of(place, name, "throughput_sent", unit="bit/s")
            if tool == "netperf" and test.endswith("TCP_RR"):
                rate = known.of(place, name, "throughput", unit="1/s")
                for sockperf in known.run_by("sockperf"):
                    half = known.of(place, sockperf["name"], "half_rtt_mean", "half_rtt_avg", unit="s")
                    add(round_trips(rate, half), place, workload, sockperf)
            if tool == "wrk" and known.of(place, name, "request_rate", unit="1/s") is not None:
                connections = known.of(place, name, "connections", unit="connections")
                latency = known.of(place, name, "latency_mean", "latency_closed_loop_mean", unit="s")
                add(littles_law(connections, known.of(place, name, "request_rate", unit="1/s"), latency), place, workload)
            if sent is not None:
                add(received_of_sent(received, sent), place, workload)
            packets = known.of(place, name, "packet_rate", unit="1/s")
            size = known.given(place, workload, "packet_size", "message_size", "size")
            if packets is not None and size is not None and (line_rate or received):
                add(packets_fit(packets, size, line_rate or received), place, workload)
            if line_rate and received is not None:
                add(below_line_rate(received, float(line_rate)), place, workload)
    return made
