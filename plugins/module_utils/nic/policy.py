# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user wants (a policy) and what that means for one device (target values). Pure: reads and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask, irqmap
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import (
    Channels,
    Device,
    Feature,
    Irq,
    RxQueue,
    System,
    Topology,
    TxQueue,
    Values,
    mask_value,
)
from ansible_collections.datapath.lab.plugins.module_utils.nic.parse import FEATURE_ALIASES

RSS = ("spread", "cpu0", "list", "default")
RPS = ("off", "all_but_irq", "numa", "mask")
XPS = ("off", "one_per_queue", "rxqs", "list")
IRQ = ("one_per_queue", "numa_local", "list")
IRQBALANCE = ("stop", "ban", "keep")
CHANNEL_KINDS = ("rx", "tx", "other", "combined")
MAX_FLOW_ENTRIES = 1 << 29

# The settings of the published load-balancer runs: every interrupt on CPU 0 with RPS on all the others (mask fe on 8 CPUs) and RFS 32768,
# which is 8192 for each of 4 queues; one CPU per queue; all steering off.
PROFILES: Dict[str, Dict[str, Any]] = {
    "published": {"rss": "cpu0", "rps": "all_but_irq", "rfs": 32768, "irqbalance": "stop"},
    "one_cpu_per_queue": {"rss": "spread", "irq": "one_per_queue", "rps": "off", "rfs": 0, "xps": "one_per_queue", "irqbalance": "stop"},
    "off": {"rss": "cpu0", "rps": "off", "rfs": 0, "xps": "off", "irqbalance": "stop"},
}


@dataclass(frozen=True)
class Policy:
    """A wish for a device, in the field's terms; None or empty leaves a thing as it is.

    ``lenient``: what the device does not have is left out with a note instead of being refused.
    """

    channels: Mapping[str, Any] = field(default_factory=dict)
    rings: Mapping[str, Any] = field(default_factory=dict)
    coalesce: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=dict)
    rss: Optional[str] = None
    rss_queues: Tuple[int, ...] = ()
    rss_key: Optional[str] = None
    rss_function: Optional[str] = None
    hash_fields: Mapping[str, str] = field(default_factory=dict)
    rps: Optional[str] = None
    rps_mask: Optional[str] = None
    rfs: Optional[int] = None
    rfs_flow_count: Optional[int] = None
    xps: Optional[str] = None
    xps_cpus: Tuple[str, ...] = ()
    irq: Optional[str] = None
    irq_cpus: Optional[str] = None
    irqbalance: str = "keep"
    cpus: Optional[str] = None
    attributes: Mapping[str, int] = field(default_factory=dict)
    backlog: Optional[int] = None
    lenient: bool = False

    @property
    def of_node_alone(self) -> bool:
        """Tell whether it wants nothing of any device."""
        return self == Policy(irqbalance=self.irqbalance, backlog=self.backlog, lenient=self.lenient)

    @classmethod
    def of(cls, wish: Mapping[str, Any]) -> Policy:
        """Make a policy of options; ``profile`` gives the values of those that are None or absent."""
        given = {name: value for name, value in wish.items() if value is not None}
        profile = given.pop("profile", None)
        merged = {**PROFILES.get(profile or "", {}), **given}
        if "irq" in given and profile and merged.get("rss") == "cpu0" and "rss" not in given:
            # An interrupt policy of the user's own replaces the profile's.
            del merged["rss"]
        for name in ("rss_queues", "xps_cpus"):
            if name in merged:
                merged[name] = tuple(merged[name])
        policy = cls(**merged)
        policy.validate()
        return policy

    def validate(self) -> None:
        """Refuse a policy that contradicts itself, whatever the device."""
        for name, allowed in (("rss", RSS), ("rps", RPS), ("xps", XPS), ("irq", IRQ), ("irqbalance", IRQBALANCE)):
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise InvalidValueError(f"{name} cannot be {value!r}: allowed are {', '.join(allowed)}.")
        for policy, word, needed in (
            ("rss", "list", "rss_queues"),
            ("rps", "mask", "rps_mask"),
            ("xps", "list", "xps_cpus"),
            ("irq", "list", "irq_cpus"),
        ):
            if (getattr(self, policy) == word) != bool(getattr(self, needed)):
                raise InvalidValueError(f"{policy} {word!r} and {needed} belong together: give both, or neither.")
        if self.rss == "cpu0" and self.irq:
            raise InvalidValueError(
                f"rss 'cpu0' puts every interrupt of the card on CPU 0, and irq is {self.irq!r}: leave one of them out."
            )
        if self.rfs is not None and not 0 <= self.rfs <= MAX_FLOW_ENTRIES:
            raise InvalidValueError(f"rfs cannot be {self.rfs}: allowed are 0 (off) to {MAX_FLOW_ENTRIES} entries.")
        if self.rfs_flow_count is not None and not 0 <= self.rfs_flow_count <= MAX_FLOW_ENTRIES:
            raise InvalidValueError(
                f"rfs_flow_count cannot be {self.rfs_flow_count}: allowed are 0 to {MAX_FLOW_ENTRIES} entries per queue."
            )
        if self.rps_mask is not None and cpumask.parse_mask(self.rps_mask) == 0:
            raise InvalidValueError(
                f"rps_mask cannot be {self.rps_mask!r}: a mask of zero names no CPU; allowed are masks of online CPUs, or rps 'off'."
            )
        if self.backlog is not None and self.backlog < 1:
            raise InvalidValueError(f"backlog cannot be {self.backlog}: allowed are 1 packet and more.")


@dataclass(frozen=True)
class Target:
    """What a policy means for one device: wanted knob values, and sentences about what was left out or adapted."""

    values: Values
    notes: Tuple[str, ...] = ()


class _Resolver:
    """Turns one policy into one device's target, collecting values and notes."""

    def __init__(self, policy: Policy, device: Device, topology: Topology) -> None:
        self.policy = policy
        self.device = device
        self.topology = topology
        self.values: Values = {}
        self.notes: List[str] = []
        self.usable = self._usable()

    # CPUs

    def _usable(self) -> int:
        if self.policy.cpus is None:
            return self.topology.usable
        return self.cpus_online(cpumask.parse_list(self.policy.cpus), "cpus", self.policy.cpus)

    def cpus_online(self, mask: int, knob: str, value: Any) -> int:
        """Refuse a set that is empty or names a CPU that is missing or offline."""
        name = self.device.name
        allowed = cpumask.format_list(self.topology.online)
        if not mask:
            raise InvalidValueError(f"{name}: {knob} cannot be {value!r}: it names no CPU; allowed are the online CPUs {allowed}.")
        missing = mask & ~self.topology.possible
        if missing:
            raise InvalidValueError(
                f"{name}: {knob} cannot be {value!r}: this node has no CPU {cpumask.format_list(missing)}; allowed are the online CPUs {allowed}."
            )
        offline = mask & ~self.topology.online
        if offline:
            raise InvalidValueError(
                f"{name}: {knob} cannot be {value!r}: CPU {cpumask.format_list(offline)} is offline; allowed are the online CPUs {allowed}."
            )
        return mask

    def lacks(self, sentence: str) -> None:
        """Refuse, or take a note if the policy is lenient."""
        if not self.policy.lenient:
            raise MissingCapabilityError(f"{self.device.name}: {sentence}")
        self.notes.append(f"{self.device.name}: {sentence}")

    # Knobs that ethtool sets

    def channels(self) -> None:
        for kind, wanted in self.policy.channels.items():
            have = self.device.channels
            if have is None or kind not in have.maximum:
                kinds = ", ".join(have.maximum) if have else "none"
                self.lacks(f"channels {kind} cannot be set: driver {self.device.identity.driver or 'unknown'} offers the kinds {kinds}.")
                continue
            most = have.maximum[kind]
            least = 0 if kind == "other" or (kind != "combined" and have.maximum.get("combined")) else 1
            count = most if wanted == "max" else int(wanted)
            if not least <= count <= most:
                raise InvalidValueError(f"{self.device.name}: channels {kind} cannot be {wanted}: allowed are {least} to {most}.")
            self.values[f"channels/{kind}"] = count

    def rings(self) -> None:
        for name, wanted in self.policy.rings.items():
            have = self.device.rings
            if have is None or name not in have.current:
                names = ", ".join(have.current) if have else "none"
                self.lacks(f"rings {name} cannot be set: driver {self.device.identity.driver or 'unknown'} offers {names}.")
                continue
            most = have.maximum.get(name)
            value = most if wanted == "max" and most is not None else wanted
            if most is not None and not 1 <= int(value) <= most:
                raise InvalidValueError(f"{self.device.name}: rings {name} cannot be {wanted}: allowed are 1 to {most}.")
            self.values[f"rings/{name}"] = value

    def coalesce(self) -> None:
        for name, wanted in self.policy.coalesce.items():
            have = self.device.coalesce
            if have is None or name not in have:
                self.lacks(
                    f"coalesce {name} cannot be set: driver {self.device.identity.driver or 'unknown'} offers {', '.join(have) if have else 'none'}."
                )
                continue
            if isinstance(have[name], bool) != isinstance(wanted, bool) or (
                not isinstance(wanted, bool) and not 0 <= int(wanted) < 1 << 32
            ):
                allowed = "true and false" if isinstance(have[name], bool) else f"0 to {(1 << 32) - 1}"
                raise InvalidValueError(f"{self.device.name}: coalesce {name} cannot be {wanted!r}: allowed are {allowed}.")
            self.values[f"coalesce/{name}"] = wanted

    def features(self) -> None:
        have = self.device.features
        for alias, wanted in self.policy.features.items():
            name = FEATURE_ALIASES.get(alias, alias)
            now = have.get(name) if have else None
            if now is None:
                self.lacks(
                    f"feature {alias} cannot be set: the device has no feature of that name; 'ethtool -k {self.device.name}' lists them."
                )
            elif now.fixed and now.active != wanted:
                self.lacks(
                    f"feature {name} cannot be {'on' if wanted else 'off'}: the driver keeps it {'on' if now.active else 'off'} (fixed)."
                )
            else:
                self.values[f"features/{name}"] = wanted

    def rss(self) -> None:
        policy, now = self.policy, self.device.rss
        wants_table = policy.rss in ("spread", "list", "default")
        if not (wants_table or policy.rss_key or policy.rss_function):
            return
        if now is None:
            self.lacks(f"rss cannot be set: driver {self.device.identity.driver or 'unknown'} offers no RSS table here.")
            return
        queues = len(self.device.rx)
        if policy.rss == "default":
            self.values["rss/default"] = True
        elif policy.rss == "spread":
            shares = now.shares()
            even = sorted(shares) == list(range(queues)) and max(shares.values()) - min(shares.values()) <= 1
            if not even and queues <= len(now.table):
                self.values["rss/table"] = [at % queues for at in range(len(now.table))]
            elif queues > len(now.table):
                self.lacks(f"rss 'spread' cannot reach {queues} queues: the table has {len(now.table)} entries.")
        elif policy.rss == "list":
            missing = [queue for queue in policy.rss_queues if not 0 <= queue < queues]
            if missing:
                raise InvalidValueError(
                    f"{self.device.name}: rss_queues cannot be {list(policy.rss_queues)}: queue {', '.join(map(str, missing))} is missing; "
                    f"allowed are the queues 0 to {queues - 1}."
                )
            self.values["rss/table"] = [policy.rss_queues[at % len(policy.rss_queues)] for at in range(len(now.table))]
        if policy.rss_key:
            size = now.key.count(":") + 1 if now.key else 0
            wanted = policy.rss_key.lower()
            octets = wanted.split(":")
            if not size:
                self.lacks(f"rss_key cannot be set: driver {self.device.identity.driver or 'unknown'} does not show its key.")
            elif len(octets) != size or not all(len(octet) == 2 and set(octet) <= set("0123456789abcdef") for octet in octets):
                raise InvalidValueError(
                    f"{self.device.name}: rss_key cannot be {policy.rss_key!r}: allowed are {size} hex bytes with colons between."
                )
            else:
                self.values["rss/key"] = wanted
        if policy.rss_function:
            if now.function is None:
                self.lacks(f"rss_function cannot be set: driver {self.device.identity.driver or 'unknown'} does not tell its function.")
            elif now.functions and policy.rss_function not in now.functions:
                raise InvalidValueError(
                    f"{self.device.name}: rss_function cannot be {policy.rss_function!r}: allowed are {', '.join(now.functions)}."
                )
            else:
                self.values["rss/function"] = policy.rss_function

    def hash_fields(self) -> None:
        for flow, letters in self.policy.hash_fields.items():
            if flow not in self.device.hash_fields:
                self.lacks(f"hash_fields {flow} cannot be set: the driver does not tell which fields of such flows it hashes.")
            else:
                order = "mvtsdfner"
                wrong = sorted(set(letters) - set(order))
                if wrong or not letters:
                    raise InvalidValueError(
                        f"{self.device.name}: hash_fields {flow} cannot be {letters!r}: allowed are letters out of {order} as 'man ethtool' has them."
                    )
                self.values[f"hash/{flow}"] = "".join(letter for letter in order if letter in letters)

    # Knobs that are files

    def irq(self) -> None:
        policy = self.policy
        if not policy.irq and policy.rss != "cpu0":
            return
        if not self.device.irqs:
            why = (
                "it is down"
                if self.device.identity.bus and not self.device.up
                else f"driver {self.device.identity.driver or 'unknown'} has none"
            )
            self.lacks(f"interrupts cannot be placed: the device shows no interrupts ({why}).")
            return
        if policy.rss == "cpu0":
            zero = self.cpus_online(1, "rss", "cpu0")
            self.values.update({f"irq/{it.key}": mask_value(zero) for it in self.device.irqs})
            return
        for it in self.device.irqs:
            if it.queue is not None:
                self.values[f"irq/{it.key}"] = mask_value(1 << self._irq_cpus()[it.queue % len(self._irq_cpus())])

    def _irq_cpus(self) -> List[int]:
        if self.policy.irq == "list":
            wanted = self.policy.irq_cpus or ""
            return cpumask.members(self.cpus_online(cpumask.parse_list(wanted), "irq_cpus", wanted))
        if self.policy.irq == "numa_local":
            local = self.local()
            return cpumask.members(local)
        return cpumask.members(self.usable)

    def local(self) -> int:
        """Return the usable CPUs near the card; all of them, with a note, where it has no node or its node has no usable CPU."""
        node = self.device.numa_node
        local = self.usable & self.topology.local_to(node)
        if node < 0:
            note = f"{self.device.name}: the device belongs to no NUMA node (numa_node -1), so all usable CPUs count as local."
        elif not local:
            note = f"{self.device.name}: NUMA node {node} has no usable CPU, so all usable CPUs are taken."
        else:
            return local
        if note not in self.notes:
            self.notes.append(note)
        return local or self.usable

    def interrupted(self, queue: int) -> int:
        """Return the CPUs that the interrupts of a receive queue reach: as wanted, else as they are."""
        mask = 0
        for it in self.device.irqs:
            if it.queue == queue and it.serves_rx():
                wanted = self.values.get(f"irq/{it.key}")
                # The kernel moves an interrupt when it next fires; until then what is in effect may lie outside of what is set.
                mask |= cpumask.parse_mask(wanted) if wanted is not None else (it.effective & it.affinity or it.affinity)
        return mask

    def rps(self) -> None:
        kind = self.policy.rps
        if kind is None:
            return
        for queue in self.device.rx:
            if kind == "off":
                mask = 0
            elif kind == "mask":
                given = self.policy.rps_mask or ""
                mask = self._housekept(self.cpus_online(cpumask.parse_mask(given), "rps_mask", given), given)
            elif kind == "numa":
                mask = self.local() & self.topology.housekeeping
            else:
                mask = self.usable & ~self.interrupted(queue) & self.topology.housekeeping
                if not mask:
                    taken = cpumask.format_list(self.interrupted(queue))
                    raise InvalidValueError(
                        f"{self.device.name}: rps cannot be 'all_but_irq' on rx-{queue}: its interrupt takes CPU {taken} "
                        f"and the usable CPUs are {cpumask.format_list(self.usable)}, so none is left; allowed are policies that leave one, or rps 'off'."
                    )
            self.values[f"rx-{queue}/rps_cpus"] = mask_value(mask)

    def _housekept(self, mask: int, given: str) -> int:
        kept = mask & self.topology.housekeeping
        if not kept:
            raise InvalidValueError(
                f"{self.device.name}: rps_mask cannot be {given!r}: all of its CPUs are isolated and the kernel takes those out; "
                f"allowed are CPUs {cpumask.format_list(self.topology.housekeeping)}."
            )
        if kept != mask:
            note = (
                f"{self.device.name}: CPUs {cpumask.format_list(mask & ~kept)} of rps_mask {given!r} are isolated; "
                f"the kernel takes them out and the mask reads back as {cpumask.format_mask(kept)}."
            )
            if note not in self.notes:
                self.notes.append(note)
        return kept

    def rfs(self) -> None:
        if self.policy.rfs is None and self.policy.rfs_flow_count is None:
            return
        count = self.policy.rfs_flow_count
        if count is None:
            count = (self.policy.rfs or 0) // max(len(self.device.rx), 1)
        for queue in self.device.rx:
            self.values[f"rx-{queue}/rps_flow_cnt"] = cpumask.round_up_power_of_two(count)

    def xps(self) -> None:
        kind = self.policy.xps
        if kind is None:
            return
        if all(it.xps_cpus is None for it in self.device.tx.values()):
            if kind != "off":
                self.notes.append(f"{self.device.name}: a device with a single transmit queue has no XPS; nothing to set.")
            return
        cpus, senders = cpumask.members(self.usable), len(self.device.tx)
        for queue in self.device.tx:
            if kind == "rxqs":
                self.values[f"tx-{queue}/xps_rxqs"] = mask_value(1 << queue % max(len(self.device.rx), 1))
                continue
            if kind == "off":
                mask = 0
            elif kind == "list":
                text = self.policy.xps_cpus[queue % len(self.policy.xps_cpus)]
                mask = self.cpus_online(cpumask.parse_list(text), "xps_cpus", text)
            else:
                # Each usable CPU belongs to one queue; with more queues than CPUs the queues share.
                mask = cpumask.of(cpus[at] for at in range(len(cpus)) if at % senders == queue) or 1 << cpus[queue % len(cpus)]
            self.values[f"tx-{queue}/xps_cpus"] = mask_value(mask)
            if kind == "off" and self.device.tx[queue].xps_rxqs is not None:
                self.values[f"tx-{queue}/xps_rxqs"] = "0"

    def attributes(self) -> None:
        for name, wanted in self.policy.attributes.items():
            if name not in self.device.attributes:
                self.lacks(f"{name} cannot be set: this kernel has no such attribute.")
            elif not 0 <= wanted < (2 if name == "threaded" else 1 << 31):
                allowed = "0 and 1" if name == "threaded" else f"0 to {(1 << 31) - 1}"
                raise InvalidValueError(f"{self.device.name}: {name} cannot be {wanted}: allowed are {allowed}.")
            else:
                self.values[f"attributes/{name}"] = wanted


def device_target(policy: Policy, device: Device, topology: Topology) -> Target:
    """Return what a policy means for a device as it is (its queues and interrupts); raises before anything is changed.

    The channels must be right already, see :func:`with_channels`.
    """
    resolver = _Resolver(policy, device, topology)
    resolver.channels()
    resolver.rings()
    resolver.coalesce()
    resolver.features()
    resolver.rss()
    resolver.hash_fields()
    resolver.irq()
    resolver.xps()
    resolver.rfs()
    resolver.rps()
    resolver.attributes()
    return Target(resolver.values, tuple(resolver.notes))


def channels_target(policy: Policy, device: Device, topology: Topology) -> Values:
    """Return only the wanted channels; refuses what would leave the card's table or its rules naming queues that go away."""
    resolver = _Resolver(policy, device, topology)
    resolver.channels()
    have = device.channels
    if have is None:
        return resolver.values
    queues = receive_queues({**have.current, **{knob.split("/")[1]: count for knob, count in resolver.values.items()}})
    if policy.rss is None and device.rss and not device.rss.is_default(len(device.rx)) and max(device.rss.table) >= queues:
        raise InvalidValueError(
            f"{device.name}: channels cannot go down to {queues} receive queues: the RSS table names queue {max(device.rss.table)}; "
            f"allowed are {max(device.rss.table) + 1} and more, or give an rss policy with it."
        )
    named = [int(word) for rule in device.ntuple or () for word in _rule_queues(rule)]
    if named and max(named) >= queues:
        raise InvalidValueError(
            f"{device.name}: channels cannot go down to {queues} receive queues: a classification rule (ethtool -n) directs to queue {max(named)}; "
            f"allowed are {max(named) + 1} and more."
        )
    return resolver.values


def _rule_queues(rule: str) -> List[str]:
    return [part.rsplit(" ", 1)[-1] for part in rule.split("; ") if part.startswith("Action: Direct to queue ")]


def receive_queues(channels: Mapping[str, int]) -> int:
    """Return the number of receive queues that these channels make."""
    return channels.get("combined", 0) + channels.get("rx", 0)


def with_channels(device: Device, wanted: Values) -> Device:
    """Return the device as it will be once its channels are as wanted: the prediction that check mode rests on."""
    if device.channels is None or not wanted:
        return device
    current = {**device.channels.current, **{knob.split("/")[1]: count for knob, count in wanted.items()}}
    if current == device.channels.current:
        return device
    rx = receive_queues(current)
    tx = current.get("combined", 0) + current.get("tx", 0)
    roles = irqmap.assign({it.number: it.action for it in device.irqs}, rx, tx)
    multi = tx > 1
    template = TxQueue(0 if multi else None, 0 if multi else None)
    table = device.rss
    if table and table.is_default(len(device.rx)):
        table = replace(table, table=tuple(at % rx for at in range(len(table.table))))
    return replace(
        device,
        channels=Channels(current, device.channels.maximum),
        rx={index: device.rx.get(index, RxQueue(0, 0)) for index in range(rx)},
        tx={index: device.tx.get(index, template) if multi else template for index in range(tx)},
        irqs=tuple(replace(it, role=roles[it.number][0], queue=roles[it.number][1]) for it in device.irqs),
        rss=table,
    )


def system_target(policy: Policy, devices: Sequence[Device], system: System) -> Target:
    """Return what a policy means for the node as a whole."""
    values: Values = {}
    notes: List[str] = []
    if policy.rfs is not None:
        name = "net.core.rps_sock_flow_entries"
        if name in system.sysctls:
            values[f"sysctl/{name}"] = str(cpumask.round_up_power_of_two(policy.rfs))
        elif policy.rfs:
            sentence = f"rfs cannot be {policy.rfs}: {name} does not exist here (a network namespace does not have it); allowed is 0, or the node itself."
            if not policy.lenient:
                raise MissingCapabilityError(sentence)
            notes.append(sentence)
    if policy.backlog is not None:
        values["sysctl/net.core.netdev_max_backlog"] = str(policy.backlog)
    moved: List[Irq] = [it for device in devices for it in device.irqs]
    balancer = system.irqbalance
    if policy.irqbalance == "stop" and balancer.active:
        values["irqbalance/active"] = False
    elif policy.irqbalance == "ban" and balancer.active and moved:
        values["irqbalance/banned"] = sorted({*(balancer.banned or ()), *(it.number for it in moved)})
    elif policy.irqbalance == "keep" and balancer.active and moved and (policy.irq or policy.rss == "cpu0"):
        notes.append("irqbalance is running and will move the interrupts that were placed: use irqbalance 'stop' or 'ban'.")
    return Target(values, tuple(notes))


def active_values(features: Optional[Mapping[str, Feature]]) -> Values:
    """Return the features as they are in force, which is what a policy is compared with (the journal keeps what was requested)."""
    return {f"features/{name}": it.active for name, it in (features or {}).items()}
