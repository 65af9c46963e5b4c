# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of a node and its network devices: values without behaviour towards the kernel.

A *knob* is one setting that can be read, written and put back. Its name is a path that stays true over a reboot, a renumbered
interrupt or another interface index: ``rx-3/rps_cpus``, ``channels/combined``, ``irq/{if}-TxRx-0``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask

# Knob name to value as JSON has it; a mask is hexadecimal without leading zeros or commas, so that equal sets are equal texts.
Values = Dict[str, Any]

ARPHRD_LOOPBACK = 772


def mask_value(mask: int) -> str:
    """Return a CPU set in the one form in which knobs hold it."""
    return f"{mask:x}"


@dataclass(frozen=True)
class Topology:
    """The CPUs of a node, as sets.

    ``housekeeping``: possible CPUs that are neither isolated nor in full tick-less mode; the kernel takes all others out of RPS masks.
    """

    online: int
    possible: int
    isolated: int = 0
    tickless: int = 0
    nodes: Mapping[int, int] = field(default_factory=dict)

    @property
    def housekeeping(self) -> int:
        """Return the CPUs on which the kernel lets network work of its own choice run."""
        return self.possible & ~self.isolated & ~self.tickless

    @property
    def usable(self) -> int:
        """Return the CPUs that a policy may take when it names none: online and not isolated (all online ones if that leaves none)."""
        return self.online & self.housekeeping or self.online

    def local_to(self, node: int) -> int:
        """Return the CPUs of a NUMA node; all of them for node -1 (the device belongs to none) and for a node without CPUs."""
        return self.nodes.get(node, 0) or self.possible

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON form, with CPU lists."""
        lists = {name: cpumask.format_list(getattr(self, name)) for name in ("online", "possible", "isolated", "tickless")}
        return {**lists, "nodes": {str(node): cpumask.format_list(cpus) for node, cpus in sorted(self.nodes.items())}}


@dataclass(frozen=True)
class Identity:
    """What a device is known by, from the strongest to the weakest: bus address and port with driver, MAC address, name."""

    name: str
    ifindex: int
    mac: str
    bus: str
    driver: str
    port: str = "0"

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "ifindex": self.ifindex, "mac": self.mac, "bus": self.bus, "driver": self.driver, "port": self.port}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Identity:
        """Read the JSON form."""
        return cls(data["name"], int(data["ifindex"]), data["mac"], data["bus"], data["driver"], data.get("port", "0"))


@dataclass(frozen=True)
class Irq:
    """One interrupt of a device.

    ``key``: stays the same when numbers or device numbers change; ``role``: ``rx``, ``tx``, ``rxtx`` or ``other``;
    ``queue``: index of the queue it serves, None for ``other`` and for a vector whose queue is not in use.
    """

    number: int
    action: str
    key: str
    role: str
    queue: Optional[int]
    affinity: int
    effective: int = 0

    def serves_rx(self) -> bool:
        """Tell whether it announces received packets of a queue in use."""
        return self.queue is not None and self.role in ("rx", "rxtx")


@dataclass(frozen=True)
class Channels:
    """Numbers of channels: ``current`` and ``maximum`` by kind (``rx``, ``tx``, ``other``, ``combined``); a kind that the card lacks is absent."""

    current: Mapping[str, int]
    maximum: Mapping[str, int]


@dataclass(frozen=True)
class Rings:
    """Ring parameters: ``current`` by option of ``ethtool -G``; ``maximum`` for those that have one."""

    current: Mapping[str, Any]
    maximum: Mapping[str, int]


@dataclass(frozen=True)
class Feature:
    """One offload. ``requested``: what the owner asked for; ``active``: what is in force; ``aggregate``: only sums up others."""

    active: bool
    requested: bool
    fixed: bool = False
    aggregate: bool = False


@dataclass(frozen=True)
class Rss:
    """Receive-side scaling: ``table`` of queue numbers; ``key`` as hex bytes with colons and ``function`` where the card tells them."""

    table: Tuple[int, ...]
    key: Optional[str] = None
    function: Optional[str] = None
    functions: Tuple[str, ...] = ()

    def is_default(self, queues: int) -> bool:
        """Tell whether the table looks like one that nobody has configured.

        The kernel's default deals the queues out in turn (0 1 2 3 0 1 …); igb's own gives each queue one block (0 0 … 1 1 …).
        The kernel does not show its *configured by the user* flag, so this is what can be known.
        """
        size = len(self.table)
        if not size or queues < 1:
            return False
        return self.table in (
            tuple(at % queues for at in range(size)),
            tuple(at * queues // size for at in range(size)),
        )

    def shares(self) -> Dict[int, int]:
        """Return how many entries each queue has."""
        counts: Dict[int, int] = {}
        for queue in self.table:
            counts[queue] = counts.get(queue, 0) + 1
        return counts


@dataclass(frozen=True)
class RxQueue:
    """Receive steering of one queue: the RPS mask and the number of its RFS flow entries."""

    rps_cpus: int
    rps_flow_cnt: int


@dataclass(frozen=True)
class TxQueue:
    """Transmit steering of one queue; None where the device has a single queue and the kernel offers none."""

    xps_cpus: Optional[int]
    xps_rxqs: Optional[int]


@dataclass(frozen=True)
class Device:
    """A network device as it is now. What its driver does not offer is None."""

    identity: Identity
    arphrd: int
    up: bool
    numa_node: int
    rx: Mapping[int, RxQueue]
    tx: Mapping[int, TxQueue]
    irqs: Tuple[Irq, ...] = ()
    attributes: Mapping[str, int] = field(default_factory=dict)
    channels: Optional[Channels] = None
    rings: Optional[Rings] = None
    coalesce: Optional[Mapping[str, Any]] = None
    features: Optional[Mapping[str, Feature]] = None
    rss: Optional[Rss] = None
    hash_fields: Mapping[str, str] = field(default_factory=dict)
    ntuple: Optional[Tuple[str, ...]] = None

    @property
    def name(self) -> str:
        """Return the interface name."""
        return self.identity.name

    def values(self) -> Values:
        """Return every knob of the device with its value: what the journal records."""
        values: Values = {}
        if self.channels:
            values.update({f"channels/{kind}": count for kind, count in self.channels.current.items()})
        if self.rings:
            values.update({f"rings/{name}": value for name, value in self.rings.current.items()})
        if self.coalesce:
            values.update({f"coalesce/{name}": value for name, value in self.coalesce.items()})
        if self.features:
            values.update({f"features/{name}": it.requested for name, it in self.features.items() if not it.fixed and not it.aggregate})
        if self.rss:
            values["rss/table"] = list(self.rss.table)
            values["rss/default"] = self.rss.is_default(len(self.rx))
            if self.rss.key is not None:
                values["rss/key"] = self.rss.key
            if self.rss.function is not None:
                values["rss/function"] = self.rss.function
        values.update({f"hash/{flow}": fields for flow, fields in self.hash_fields.items()})
        if self.ntuple is not None:
            values["ntuple"] = list(self.ntuple)
        values.update({f"attributes/{name}": value for name, value in self.attributes.items()})
        values.update({f"irq/{irq.key}": mask_value(irq.affinity) for irq in self.irqs})
        for index, sender in self.tx.items():
            if sender.xps_cpus is not None:
                values[f"tx-{index}/xps_cpus"] = mask_value(sender.xps_cpus)
            if sender.xps_rxqs is not None:
                values[f"tx-{index}/xps_rxqs"] = mask_value(sender.xps_rxqs)
        for index, receiver in self.rx.items():
            values[f"rx-{index}/rps_flow_cnt"] = receiver.rps_flow_cnt
            values[f"rx-{index}/rps_cpus"] = mask_value(receiver.rps_cpus)
        return values


@dataclass(frozen=True)
class Irqbalance:
    """The daemon that moves interrupts: ``active``; its process; interrupts that it must leave alone (None: not asked or not known)."""

    installed: bool
    active: bool
    pid: Optional[int] = None
    banned: Optional[Tuple[int, ...]] = None


@dataclass(frozen=True)
class System:
    """Settings that a node has once."""

    topology: Topology
    sysctls: Mapping[str, str]
    irq_default: Optional[int]
    irqbalance: Irqbalance

    def values(self) -> Values:
        """Return the knobs of the node with their values."""
        values: Values = {f"sysctl/{name}": value for name, value in self.sysctls.items()}
        if self.irq_default is not None:
            values["irq_default"] = mask_value(self.irq_default)
        values["irqbalance/active"] = self.irqbalance.active
        if self.irqbalance.banned is not None:
            values["irqbalance/banned"] = list(self.irqbalance.banned)
        return values


@dataclass(frozen=True)
class Change:
    """One knob that is to be set: ``scope`` is an interface or ``system``; ``have`` is None for what an earlier change will make."""

    scope: str
    knob: str
    have: Any
    want: Any

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON form."""
        return {"scope": self.scope, "knob": self.knob, "before": self.have, "after": self.want}
