# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tuning with undo: apply a policy, restore the original state, tell what has changed since."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import engine, read, resident
from ansible_collections.datapath.lab.plugins.module_utils.nic.journal import Entry, Journal, Store, begin
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import Change, Device, System, Topology, Values
from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import (
    Policy,
    channels_target,
    device_target,
    system_target,
    with_channels,
)


@dataclass(frozen=True)
class Result:
    """What an operation did or would do."""

    changes: Tuple[Change, ...] = ()
    notes: Tuple[str, ...] = ()
    devices: Mapping[str, Device] = field(default_factory=dict)
    deadman: Optional[Dict[str, Any]] = None
    changed: bool = False

    def diff(self) -> Dict[str, Any]:
        """Return the diff: the knobs that change, before and after."""
        before: Dict[str, Dict[str, Any]] = {}
        after: Dict[str, Dict[str, Any]] = {}
        for change in self.changes:
            before.setdefault(change.scope, {})[change.knob] = change.have
            after.setdefault(change.scope, {})[change.knob] = change.want
        return {"before": before, "after": after}


def _policy_target(policy: Policy, device: Device, topology: Topology) -> Values:
    return device_target(policy, with_channels(device, channels_target(policy, device, topology)), topology).values


def _policy_goal(name: str, policy: Policy, topology: Topology) -> engine.Goal:
    return engine.Goal(name, lambda device: _policy_target(policy, device, topology), in_force=True)


def _state_goal(name: str, values: Values) -> engine.Goal:
    def target(device: Device) -> Values:
        table = values.get("rss/table")
        if values.get("rss/default") and table and max(table) >= len(device.rx):
            # The device has come back with fewer queues: its default is what it makes of those.
            return {knob: value for knob, value in values.items() if knob != "rss/table"}
        return values

    return engine.Goal(name, target)


def predict(policy: Policy, devices: Mapping[str, Device], system: System) -> Result:
    """Return the changes that a policy needs; pure, and what check mode returns."""
    changes: List[Change] = []
    notes: List[str] = []
    for name, device in devices.items():
        coming = with_channels(device, channels_target(policy, device, system.topology))
        target = device_target(policy, coming, system.topology)
        notes.extend(target.notes)
        changes.extend(engine.plan(name, _policy_goal(name, policy, system.topology).have(device), target.values))
    whole = system_target(policy, list(devices.values()), system)
    changes.extend(engine.plan(engine.SYSTEM, system.values(), whole.values))
    notes.extend(whole.notes)
    return Result(tuple(changes), tuple(dict.fromkeys(notes)), devices, changed=bool(changes))


def tune(
    store: Store,
    names: Sequence[str],
    policy: Policy,
    wish: Mapping[str, Any],
    check: bool = False,
    confirm_within: int = 0,
    persistent: Optional[bool] = None,
) -> Result:
    """Bring devices to a policy, all of it or nothing.

    :param names: interfaces.
    :param wish: the policy as options, for the program that applies it again at boot.
    :param check: only predict.
    :param confirm_within: seconds after which the node restores itself unless the tuning has been confirmed; 0 arms nothing.
    :param persistent: True applies the policy again at each boot, False no longer does, None leaves that as it is.
    """
    host = store.host
    flows = tuple(sorted(policy.hash_fields))
    if check:
        return _predict_whole(store, names, policy, wish, persistent, flows)
    with store.lock():
        predicted = _predict_whole(store, names, policy, wish, persistent, flows)
        if not predicted.changed:
            return predicted
        previous = store.load()
        system = read.system(host)
        journal = _recorded(store, previous, predicted.devices, system, flows)
        store.save(journal)
        if confirm_within:
            journal = _arm(store, journal, confirm_within)
        try:
            outcome = engine.converge(
                host,
                [_policy_goal(name, policy, system.topology) for name in names],
                system_target(policy, list(predicted.devices.values()), system).values,
                system,
                dict(predicted.devices),
                flows,
            )
            if outcome.wanting:
                raise LabError(
                    f"Tuning did not take: {engine.describe(outcome.wanting[0])}, "
                    f"and {len(outcome.wanting) - 1} more settings do not read back as written; allowed is what the driver keeps."
                )
            journal = _persist(store, journal, names, wish, persistent)
        except (LabError, OSError) as error:
            raise LabError(f"{error} {_roll_back(store, previous, journal, predicted.devices, system, flows)}") from error
        store.save(_finished(journal, outcome))
        return replace(predicted, changes=outcome.made or predicted.changes, devices=outcome.devices, deadman=journal.deadman)


def _predict_whole(
    store: Store, names: Sequence[str], policy: Policy, wish: Mapping[str, Any], persistent: Optional[bool], flows: Sequence[str]
) -> Result:
    if not names and not policy.of_node_alone:
        raise InvalidValueError("No interface was named: give at least one of those that 'nic_info' lists.")
    host = store.host
    system = read.system(host)
    for name in names:
        read.require_interface(host, name)
    if (
        policy.channels
        or policy.rings
        or policy.coalesce
        or policy.features
        or policy.hash_fields
        or policy.rss in ("spread", "list", "default")
    ):
        read.require_ethtool(host)
    predicted = predict(policy, {name: read.device(host, name, flows) for name in names}, system)
    if persistent is None:
        return predicted
    have = resident.persistent(host, store)
    want = resident.persistent_policy(names, wish) if persistent else None
    if have == want:
        return predicted
    if persistent:
        resident.require_persistence(host)
    change = Change(engine.SYSTEM, "persistent", have, want)
    return replace(predicted, changes=(*predicted.changes, change), changed=True)


def _recorded(store: Store, previous: Optional[Journal], devices: Mapping[str, Device], system: System, flows: Tuple[str, ...]) -> Journal:
    entries = {name: Entry(device.identity, device.values()) for name, device in devices.items()}
    kept: Dict[str, Entry] = {}
    for recorded, entry in (previous.devices if previous else {}).items():
        now, _how = read.find(store.host, entry.identity)
        if now is None and recorded in entries:
            raise LabError(
                f"{recorded}: the tuning journal {store.path} records another device of this name ({entry.identity.driver}, "
                f"{entry.identity.bus or entry.identity.mac}), which is gone; restore cannot put it back: 'forget' the journal first."
            )
        kept[now or recorded] = entry
    previous = replace(previous, devices=kept) if previous else None
    return begin(previous, store.host.boot_id(), system.values(), entries, flows)


def _finished(journal: Journal, outcome: engine.Outcome) -> Journal:
    devices = {
        name: replace(entry, applied=outcome.devices[name].values()) if name in outcome.devices else entry
        for name, entry in journal.devices.items()
    }
    return replace(journal, devices=devices, system_applied=outcome.system.values())


def _arm(store: Store, journal: Journal, seconds: int) -> Journal:
    older = journal.deadman
    journal = replace(journal, deadman=resident.arm(store, seconds))
    # The token reaches the disk before the first write: a timer that fires restores only what it was armed for.
    store.save(journal)
    resident.disarm(store.host, older)
    return journal


def _persist(store: Store, journal: Journal, names: Sequence[str], wish: Mapping[str, Any], persistent: Optional[bool]) -> Journal:
    if persistent is None:
        return journal
    if not persistent:
        resident.unpersist(store)
        return replace(journal, persistent=None)
    policy = resident.persistent_policy(names, wish)
    resident.persist(store, policy)
    return replace(journal, persistent=policy)


def _roll_back(
    store: Store, previous: Optional[Journal], journal: Journal, before: Mapping[str, Device], system: System, flows: Sequence[str]
) -> str:
    """Undo a tuning that was refused on its way; returns the sentence that says how that went."""
    host = store.host
    try:
        now = {name: read.device(host, name, flows) for name in before}
        outcome = engine.converge(
            host,
            [_state_goal(name, device.values()) for name, device in before.items()],
            system.values(),
            read.system(host),
            now,
            flows,
        )
    except (LabError, OSError) as error:
        return f"Rolling back what was applied before it failed too ({error}): run the restore, the journal {store.path} has the original values."
    if outcome.wanting:
        return (
            f"What was applied before it was rolled back, but {engine.describe(outcome.wanting[0])}: "
            f"run the restore, the journal {store.path} has the original values."
        )
    if previous is None:
        resident.unpersist(store)
        resident.disarm(host, journal.deadman)
        store.remove()
    else:
        if journal.deadman != previous.deadman:
            resident.disarm(host, journal.deadman)
            previous = replace(previous, deadman=None)
        if resident.persistent(host, store) != previous.persistent:
            resident.unpersist(store)
            if previous.persistent:
                resident.persist(store, previous.persistent)
        store.save(previous)
    return (
        f"What was applied before it ({len(outcome.made)} settings) was rolled back." if outcome.made else "Nothing else had been changed."
    )


# Restoring


@dataclass(frozen=True)
class _Found:
    """A recorded device: its entry, its name now (None: gone), how it was recognised or what was looked for."""

    entry: Entry
    name: Optional[str]
    how: str


def _find(store: Store, journal: Journal, only: Sequence[str]) -> Dict[str, _Found]:
    unknown = [name for name in only if name not in journal.devices]
    if unknown:
        raise InvalidValueError(f"Interface {', '.join(unknown)} is not in the tuning journal: it records {', '.join(journal.devices)}.")
    return {
        recorded: _Found(entry, *read.find(store.host, entry.identity))
        for recorded, entry in journal.devices.items()
        if not only or recorded in only
    }


def _system_originals(store: Store, journal: Journal) -> Values:
    same_boot = journal.boot == store.host.boot_id()
    # A ban names interrupts by number, and numbers are of one boot only: after another boot the daemon has its own configured bans again.
    return {knob: value for knob, value in journal.system.items() if same_boot or knob != "irqbalance/banned"}


def restore(store: Store, only: Sequence[str] = (), check: bool = False, patience_s: Optional[float] = None) -> Result:
    """Put back what the journal records, read everything again, and only then take the journal away.

    :param only: recorded interfaces; none means all, and the node's own settings with the last one.
    :param check: only predict.
    """
    if check:
        return _restore(store, only, check=True)
    with store.lock(patience_s):
        return _restore(store, only, check=False)


def _restore(store: Store, only: Sequence[str], check: bool) -> Result:
    host = store.host
    journal = store.load()
    if journal is None:
        return Result(notes=("Nothing is tuned: there is no journal.",))
    found = _find(store, journal, only)
    system = read.system(host)
    present = {it.name: it for it in found.values() if it.name}
    devices = {name: read.device(host, name, journal.flows) for name in present}
    goals = [_state_goal(name, it.entry.originals) for name, it in present.items()]
    rest = {recorded: entry for recorded, entry in journal.devices.items() if recorded not in found}
    whole = {} if rest else _system_originals(store, journal)
    notes = [f"{recorded}: recognised as {it.name} by its {it.how}." for recorded, it in found.items() if it.name and it.name != recorded]
    if check:
        changes = [change for goal in goals for change in goal.changes(devices[goal.name])]
        changes += [it for it in engine.plan(engine.SYSTEM, system.values(), whole) if it.knob in system.values()]
        return Result(tuple(changes), tuple(notes), devices, changed=True)
    outcome = engine.converge(host, goals, whole, system, devices, journal.flows)
    missing, failed = _split(outcome)
    gone = [it.how for it in found.values() if it.name is None]
    if failed or gone:
        reasons = [engine.describe(it) for it in failed[:3]] + [f"the device is gone: {it}" for it in gone]
        raise LabError(
            f"Restoring is not complete: {'; '.join(reasons)}. The journal {store.path} is kept: "
            f"bring the device {'back' if gone else 'up'} and restore again, or 'forget' it."
        )
    notes += [f"{it.scope}: {it.knob} no longer exists on the device; nothing to put back." for it in missing]
    if rest:
        store.save(replace(journal, devices=rest))
    else:
        resident.unpersist(store)
        resident.disarm(host, journal.deadman)
        store.remove()
    return Result(outcome.made, tuple(notes), outcome.devices, changed=True)


def _split(outcome: engine.Outcome) -> Tuple[List[Change], List[Change]]:
    """Divide what still differs into knobs that no longer exist, and those that a restore must reach.

    The interrupts of a card that is down do not show; they come back with it, so a restore waits for them.
    """
    missing: List[Change] = []
    failed: List[Change] = []
    for it in outcome.wanting:
        device = outcome.devices.get(it.scope)
        absent = it.have is None and device is not None
        hidden = absent and it.knob.startswith("irq/") and device is not None and not device.up
        (missing if absent and not hidden else failed).append(it)
    return missing, failed


# Looking, confirming, forgetting


def status(store: Store) -> Dict[str, Any]:
    """Return what the journal records, what differs from the originals, and what another hand has changed since the tuning."""
    journal = store.load()
    if journal is None:
        return {"state": "none", "path": store.path, "devices": {}, "drift": [], "differs": [], "deadman": None, "persistent": None}
    host = store.host
    system = read.system(host)
    drift: List[Change] = []
    differs: List[Change] = []
    devices: Dict[str, Any] = {}
    for recorded, it in _find(store, journal, ()).items():
        devices[recorded] = {"identity": it.entry.identity.as_dict(), "name": it.name, "recognised_by": it.how if it.name else None}
        if it.name is None:
            continue
        now = read.device(host, it.name, journal.flows).values()
        differs += _compare(it.name, it.entry.originals, now)
        if it.entry.applied is not None and not journal.interrupted:
            drift += _compare(it.name, it.entry.applied, now)
    differs += _compare(engine.SYSTEM, _system_originals(store, journal), system.values())
    if journal.system_applied is not None:
        drift += _compare(engine.SYSTEM, journal.system_applied, system.values())
    return {
        "state": "interrupted" if journal.interrupted else "applied",
        "path": store.path,
        "created": journal.created,
        "same_boot": journal.boot == host.boot_id(),
        "devices": devices,
        "differs": [it.as_dict() for it in differs],
        "drift": [it.as_dict() for it in drift],
        "deadman": journal.deadman,
        "persistent": journal.persistent,
    }


def _compare(scope: str, then: Values, now: Values) -> List[Change]:
    """Return the knobs that differ, also those that have gone or come."""
    return [Change(scope, knob, then.get(knob), now.get(knob)) for knob in sorted({*then, *now}) if then.get(knob) != now.get(knob)]


def confirm(store: Store, check: bool = False) -> Result:
    """Keep the tuning: the node's dead-man timer is disarmed."""
    with store.lock():
        journal = store.load()
        if journal is None:
            raise LabError(f"There is no tuning to confirm: {resident.last_words(store) or 'nothing is tuned on this node.'}")
        if journal.deadman is None:
            return Result()
        if not check:
            resident.disarm(store.host, journal.deadman)
            store.save(replace(journal, deadman=None))
        return Result(changed=True, deadman=journal.deadman)


def forget(store: Store, check: bool = False) -> Result:
    """Give the original state up: what is set now stays, and nothing can be restored any more."""
    with store.lock():
        journal = store.load()
        if journal is None:
            return Result()
        if not check:
            resident.unpersist(store)
            resident.disarm(store.host, journal.deadman)
            store.remove()
        return Result(changed=True)
