# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be changed (pure), and the one engine that changes it.

Applying a policy, rolling a refused one back and restoring an original state are the same thing: bring knobs to target values, in the one
order in which the kernel lets go of what it had and takes what it shall have.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask, irqbalance, read
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host, KernelRefusal
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import Change, Device, System, Topology, Values
from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import MAX_FLOW_ENTRIES, active_values

SYSTEM = "system"

# The order of writes; the first word of a knob's name, or the last where queues differ only by their number.
ORDER = (
    "channels",
    "rings",
    "coalesce",
    "features",
    "rss",
    "hash",
    "attributes",
    "sysctl",
    "irq",
    "xps_cpus",
    "xps_rxqs",
    "rps_flow_cnt",
    "rps_cpus",
    "irq_default",
    "irqbalance",
)
# What a change of these makes the driver lay out anew: queues, interrupts, tables.
_DISRUPTIVE = ("channels", "rings", "features")
# Knobs that are recorded and proved, and that nothing here changes.
_WITNESSED = ("ntuple",)


def kind(knob: str) -> str:
    """Return the place of a knob in :data:`ORDER`."""
    first, _sep, rest = knob.partition("/")
    return rest if first.startswith(("rx-", "tx-")) else first


def _position(knob: str) -> Tuple[int, int]:
    first, _sep, index = knob.partition("/")[0].partition("-")
    return ORDER.index(kind(knob)), int(index) if first in ("rx", "tx") and index.isdigit() else 0


def plan(scope: str, have: Values, want: Values) -> List[Change]:
    """Return the changes that bring ``have`` to ``want``, in the order of writing. Pure."""
    knobs = sorted((knob for knob in want if kind(knob) not in _WITNESSED and have.get(knob) != want[knob]), key=_position)
    return [Change(scope, knob, have.get(knob), want[knob]) for knob in knobs]


@dataclass(frozen=True)
class Goal:
    """A device and what is wanted of it as it is; ``target`` is asked again after a change that made the driver lay things out anew.

    ``in_force``: compare features with what is active (a policy), not with what was requested (an original state).
    """

    name: str
    target: Callable[[Device], Values]
    in_force: bool = False

    def have(self, device: Device) -> Values:
        """Return the values to compare with."""
        return {**device.values(), **active_values(device.features)} if self.in_force else device.values()

    def changes(self, device: Device) -> List[Change]:
        """Return what is still to be changed; knobs that the device does not have (any more) are none of it."""
        have = self.have(device)
        return [it for it in plan(self.name, have, self.target(device)) if it.knob in have]


class _Engine:
    def __init__(self, host: Host, topology: Topology, flows: Sequence[str]) -> None:
        self.host = host
        self.topology = topology
        self.flows = flows
        self.made: List[Change] = []

    def device(self, name: str) -> Device:
        return read.device(self.host, name, self.flows)

    def done(self, changes: Iterable[Change]) -> None:
        self.made.extend(changes)

    def only(self, changes: Sequence[Change], *kinds: str) -> List[Change]:
        return [it for it in changes if kind(it.knob) in kinds]

    # ethtool

    def options(self, flag: str, name: str, changes: Sequence[Change]) -> None:
        if not changes:
            return
        words = []
        for change in changes:
            value = change.want
            words += [change.knob.split("/", 1)[1], ("on" if value else "off") if isinstance(value, bool) else str(value)]
        try:
            # 80: it is already so.
            self.host.command(["ethtool", flag, name, *words], f"set {' '.join(words)} on {name}", accept=(0, 80))
        except LabError as error:
            wanted = ", ".join(f"{it.knob.replace('/', ' ')} = {it.want}" for it in changes)
            present = ", ".join(f"{it.knob.replace('/', ' ')} = {it.have}" for it in changes)
            raise LabError(f"{name}: {wanted} was refused by the driver; allowed is what it has now ({present}). {error}") from error
        self.done(changes)

    def set_rss(self, device: Device, goal: Goal) -> None:
        changes = {it.knob: it for it in self.only(goal.changes(device), "rss")}
        name = device.name
        if changes.get("rss/default") is not None and changes["rss/default"].want:
            self.host.command(["ethtool", "-X", name, "default"], f"set the RSS table of {name} to its default")
            self.done([changes["rss/default"]])
            changes = {it.knob: it for it in self.only(goal.changes(self.device(name)), "rss")}
        for knob, option in (("rss/function", "hfunc"), ("rss/key", "hkey")):
            if knob in changes:
                self.host.command(["ethtool", "-X", name, option, str(changes[knob].want)], f"set the RSS {option} of {name}")
                self.done([changes[knob]])
        if "rss/table" in changes:
            self.set_table(name, changes["rss/table"].want)
            self.done([changes["rss/table"]])

    def set_table(self, name: str, table: Sequence[int]) -> None:
        size, count = len(table), max(table) + 1
        start = min(table)
        if list(table) == [start + at % (count - start) for at in range(size)]:
            words = ["equal", str(count - start), *(["start", str(start)] if start else [])]
            self.host.command(["ethtool", "-X", name, *words], f"set the RSS table of {name}")
        elif list(table) == [at * count // size for at in range(size)]:
            self.host.command(["ethtool", "-X", name, "weight", *["1"] * count], f"set the RSS table of {name}")
        else:
            self.host.rss_table(name, table)

    # Files

    def system_path(self, knob: str) -> Tuple[str, str]:
        """Return the file of a knob of the node, and its name in a message."""
        if knob == "irq_default":
            return "/proc/irq/default_smp_affinity", "default_smp_affinity"
        name = knob.partition("/")[2]
        return "/proc/sys/" + name.replace(".", "/"), name

    def device_path(self, device: Device, knob: str) -> Tuple[str, str]:
        """Return the file of a knob of a device, and its name in a message."""
        first, _sep, rest = knob.partition("/")
        if first == "attributes":
            return f"/sys/class/net/{device.name}/{rest}", rest
        if first == "irq":
            irq = next(it for it in device.irqs if it.key == rest)
            return f"/proc/irq/{irq.number}/smp_affinity", f"affinity of interrupt {irq.number} ({irq.action})"
        return f"/sys/class/net/{device.name}/queues/{first}/{rest}", f"{rest} of {first}"

    def write(self, device: Optional[Device], change: Change) -> None:
        path, words = self.device_path(device, change.knob) if device else self.system_path(change.knob)
        text = str(change.want)
        if kind(change.knob) in ("irq", "irq_default", "rps_cpus", "xps_cpus", "xps_rxqs") or change.knob.endswith("bitmap"):
            text = cpumask.format_mask(cpumask.parse_mask(text))
        try:
            self.host.write(path, text)
        except KernelRefusal as refusal:
            raise LabError(self.refusal(change, words, text, refusal)) from refusal
        self.done([change])

    def refusal(self, change: Change, words: str, text: str, refusal: KernelRefusal) -> str:
        what = f"{change.scope}: {words} cannot be {text}"
        online = cpumask.format_list(self.topology.online)
        if refusal.code in (errno.EACCES, errno.EROFS) or (refusal.code == errno.EPERM and self.host.root == "/" and os.geteuid() != 0):
            return f"{what}: this needs root and a writable /sys and /proc; allowed after 'become: true'."
        name = kind(change.knob)
        if name == "irq" and refusal.code in (errno.EIO, errno.EPERM):
            have = cpumask.format_list(cpumask.parse_mask(change.have)) if change.have else "unknown"
            return f"{what}: the kernel manages this interrupt itself; allowed is only its present value, CPUs {have}."
        reason = os.strerror(refusal.code)
        if name in ("irq", "irq_default", "rps_cpus", "xps_cpus"):
            return f"{what}: the kernel refused the mask ({reason}); allowed are masks of online CPUs, {online}."
        if name == "rps_flow_cnt" or change.knob.endswith("rps_sock_flow_entries"):
            return f"{what}: the kernel refused the number ({reason}); allowed are 0 to {MAX_FLOW_ENTRIES} as far as memory reaches."
        return f"{what}: the kernel refused the value ({reason}); allowed is what it has now, {change.have}."

    # One device

    def converge(self, goal: Goal, device: Device) -> None:
        pending = goal.changes(device)
        channels = self.only(pending, "channels")
        if channels:
            if device.rss and not device.rss.is_default(len(device.rx)):
                # The kernel refuses fewer channels while a table names the queues that would go.
                self.host.command(["ethtool", "-X", device.name, "default"], f"set the RSS table of {device.name} to its default")
            self.options("-L", device.name, channels)
            device = self.device(device.name)
            pending = goal.changes(device)
        for flag, group in (("-G", "rings"), ("-C", "coalesce"), ("-K", "features")):
            self.options(flag, device.name, self.only(pending, group))
        if self.only(pending, *_DISRUPTIVE):
            device = self.device(device.name)
        self.set_rss(device, goal)
        pending = goal.changes(device)
        for change in self.only(pending, "hash"):
            flow = change.knob.split("/")[1]
            self.host.command(
                ["ethtool", "-N", device.name, "rx-flow-hash", flow, change.want], f"set the hash fields of {flow} on {device.name}"
            )
            self.done([change])
        for change in self.only(pending, "attributes", "irq", "xps_cpus", "xps_rxqs", "rps_flow_cnt", "rps_cpus"):
            self.write(device, change)


@dataclass(frozen=True)
class Outcome:
    """What the engine did: the changes that it made, and those that are still wanting after everything was read again."""

    made: Tuple[Change, ...]
    wanting: Tuple[Change, ...]
    devices: Dict[str, Device]
    system: System


def converge(
    host: Host,
    goals: Sequence[Goal],
    system_want: Values,
    system_now: System,
    devices_now: Dict[str, Device],
    flows: Sequence[str] = (),
) -> Outcome:
    """Bring a node to target values and read everything again.

    A write that the kernel refuses raises at once and leaves what was done before: the caller decides what becomes of it.

    :param system_want: target values of the node as a whole.
    :param system_now: as just read.
    :param devices_now: as just read, by name.
    """
    engine = _Engine(host, system_now.topology, flows)
    interrupts = any(kind(it.knob) in ("irq", "channels") for goal in goals for it in goal.changes(devices_now[goal.name]))
    balancer = system_now.irqbalance
    want_active = system_want.get("irqbalance/active", balancer.active)
    want_banned = system_want.get("irqbalance/banned")
    restart = balancer.active and want_active and interrupts and "irqbalance/active" in system_want
    if balancer.active and (not want_active or restart):
        irqbalance.set_active(host, False, balancer)
        if not want_active:
            engine.done([Change(SYSTEM, "irqbalance/active", True, False)])
    elif balancer.active and want_banned is not None and set(want_banned) > set(balancer.banned or ()):
        irqbalance.ban(host, balancer, want_banned)
        engine.done([Change(SYSTEM, "irqbalance/banned", list(balancer.banned or ()), want_banned)])

    for goal in goals:
        engine.converge(goal, devices_now[goal.name])
    for change in plan(SYSTEM, system_now.values(), system_want):
        if kind(change.knob) in ("sysctl", "irq_default") and change.knob in system_now.values():
            engine.write(None, change)

    # Read everything again before a daemon may move things.
    devices = {goal.name: engine.device(goal.name) for goal in goals}
    wanting: List[Change] = [it for goal in goals for it in plan(goal.name, goal.have(devices[goal.name]), goal.target(devices[goal.name]))]

    if want_active and (restart or not balancer.active):
        irqbalance.set_active(host, True, balancer)
        if not balancer.active:
            engine.done([Change(SYSTEM, "irqbalance/active", False, True)])
    system = read.system(host)
    if want_banned is not None and system.irqbalance.active and set(system.irqbalance.banned or ()) != set(want_banned):
        irqbalance.ban(host, system.irqbalance, want_banned)
        engine.done([Change(SYSTEM, "irqbalance/banned", list(system.irqbalance.banned or ()), want_banned)])
        system = read.system(host)
    wanting += [it for it in plan(SYSTEM, system.values(), system_want) if it.knob in system.values()]
    return Outcome(tuple(engine.made), tuple(wanting), devices, system)


def describe(change: Change) -> str:
    """Return a change as words for a message."""
    return f"{change.scope} {change.knob.replace('/', ' ')} is {_short(change.have)} and not {_short(change.want)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
