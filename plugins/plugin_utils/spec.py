# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An experiment as data: reads what a playbook says, applies a preset, and refuses with one sentence that names the key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, MissingCapabilityError

PRESETS = ("quick", "standard", "published")
DEFAULT_MARGIN = 0.05
DEFAULT_RETRIES = 2
DEFAULT_INVALIDATION: Dict[str, Any] = {"max_steal_fraction": 0.01, "max_foreign_cpu_fraction": 0.05}
# Seconds for what surrounds a workload in a step (witness, counters, record) and for a change of setup, until this lab has
# measured them.
DEFAULT_STEP_S = 8.0
DEFAULT_SETUP_CHANGE_S = 10.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+×-]*( [A-Za-z0-9_.+×-]+)*\Z")
_RULE = re.compile(r"(max|forbid)_[a-z0-9_]+\Z")


class _Reader:
    """One mapping of the spec together with its place, so that each refusal names the key."""

    def __init__(self, data: Any, place: str) -> None:
        if not isinstance(data, Mapping):
            raise InvalidValueError(f"{place} must be a dictionary, not {shown(data)}.")
        self.data = data
        self.place = place
        self.read: Set[str] = set()

    def get(self, key: str) -> Any:
        self.read.add(key)
        return self.data.get(key)

    def text(self, key: str, default: Optional[str] = None) -> str:
        value = self.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise InvalidValueError(f"{self.place}.{key} must be a text that is not empty, not {shown(value)}.")
        return str(value)

    def name(self, key: str, default: Optional[str] = None) -> str:
        value = self.text(key, default)
        if not _NAME.match(value):
            raise InvalidValueError(
                f"{self.place}.{key} must be made of letters, digits, '_', '.', '+', 'x', '-' and single spaces, not {shown(value)}."
            )
        return value

    def number(self, key: str, default: Optional[float], low: float, high: float) -> float:
        value = self.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InvalidValueError(f"{self.place}.{key} must be a number from {low:g} to {high:g}, not {shown(value)}.")
        return float(value)

    def whole(self, key: str, default: Optional[int], low: int, high: int) -> int:
        value = self.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidValueError(f"{self.place}.{key} must be a whole number from {low} to {high}, not {shown(value)}.")
        return int(value)

    def items(self, key: str, required: bool = True) -> List[Any]:
        value = self.get(key)
        if value is None and not required:
            return []
        if not isinstance(value, (list, tuple)) or (required and not value):
            raise InvalidValueError(f"{self.place}.{key} must be a list with at least one entry, not {shown(value)}.")
        return list(value)

    def names(self, key: str, known: Sequence[str], what: str) -> Optional[Tuple[str, ...]]:
        """Return the chosen names of ``known`` or None where the key is absent (= all of them)."""
        if self.get(key) is None:
            return None
        chosen = self.items(key)
        for entry in chosen:
            if entry not in known:
                raise InvalidValueError(f"{self.place}.{key} names the {what} {shown(entry)}, which is not one of: {', '.join(known)}.")
        return tuple(dict.fromkeys(chosen))

    def one_of(self, key: str, known: Sequence[str], what: str) -> str:
        value = self.get(key)
        if value not in known:
            raise InvalidValueError(f"{self.place}.{key} must name one {what} of: {', '.join(known)}; it is {shown(value)}.")
        return str(value)

    def rest(self) -> Dict[str, Any]:
        return {key: value for key, value in self.data.items() if key not in self.read}

    def refuse_rest(self) -> None:
        rest = self.rest()
        if rest:
            raise InvalidValueError(
                f"{self.place} has the unknown key {sorted(map(str, rest))[0]!r}; it may have: {', '.join(sorted(self.read))}."
            )


def shown(value: Any) -> str:
    """Return a value for an error's text: short, and in quotes if it is text."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse_doubles(names: Sequence[str], place: str) -> None:
    seen: Set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidValueError(f"{place} has two entries with the name {name!r}; each name must be unique.")
        seen.add(name)


@dataclass(frozen=True)
class Arm:
    """One setting under comparison; arms with one ``setup`` share an applied state; ``rules_out``: why this lab cannot run it."""

    name: str
    description: str
    setup: str
    requires: Tuple[str, ...]
    points: Optional[Tuple[str, ...]]
    rules_out: Optional[str]
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        made: Dict[str, Any] = {"name": self.name, "description": self.description, "setup": self.setup, "rules_out": self.rules_out}
        if self.requires:
            made["requires"] = list(self.requires)
        if self.points is not None:
            made["points"] = list(self.points)
        return {**self.data, **made}


@dataclass(frozen=True)
class Point:
    """One operating point, with free data for the tasks that set it up."""

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        return {**self.data, "name": self.name}


@dataclass(frozen=True)
class Workload:
    """What is run and measured; ``durations``: predicted seconds of a run, by point; ``arms``, ``points``: where (None: everywhere)."""

    name: str
    tool: str
    metrics: Tuple[str, ...]
    durations: Mapping[str, float]
    arms: Optional[Tuple[str, ...]]
    points: Optional[Tuple[str, ...]]
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        made: Dict[str, Any] = {"name": self.name, "tool": self.tool, "metrics": list(self.metrics)}
        values = set(self.durations.values())
        made["duration_s"] = values.pop() if len(values) == 1 else dict(self.durations)
        if self.arms is not None:
            made["arms"] = list(self.arms)
        if self.points is not None:
            made["points"] = list(self.points)
        return {**self.data, **made}


@dataclass(frozen=True)
class Comparison:
    """``arm`` against ``reference`` in one metric of one workload, at ``points`` (None: at all)."""

    reference: str
    arm: str
    workload: str
    metric: str
    points: Optional[Tuple[str, ...]]
    headline: bool

    def as_dict(self) -> Dict[str, Any]:
        made: Dict[str, Any] = {
            "reference": self.reference,
            "arm": self.arm,
            "workload": self.workload,
            "metric": self.metric,
            "headline": self.headline,
        }
        if self.points is not None:
            made["points"] = list(self.points)
        return made


@dataclass(frozen=True)
class Spec:
    """An experiment as data, after a preset was chosen and every key was checked."""

    name: str
    title: str
    question: str
    preset: str
    blocks: int
    repeats: int
    arms: Tuple[Arm, ...]
    points: Tuple[Point, ...]
    workloads: Tuple[Workload, ...]
    comparisons: Tuple[Comparison, ...]
    control_arm: str
    control_points: Tuple[str, ...]
    published: Tuple[Mapping[str, Any], ...]
    margin: float
    invalidation: Mapping[str, Any]
    retries: int
    step_s: float
    setup_change_s: float
    data: Mapping[str, Any] = field(default_factory=dict)


def read_spec(
    data: Any,
    preset: str = "quick",
    blocks: Optional[int] = None,
    rules_out: Optional[Mapping[str, str]] = None,
    capabilities: Optional[Mapping[str, Any]] = None,
) -> Spec:
    """Check an experiment's spec and apply one of its presets.

    :param data: the spec; see the documentation of the module experiment_plan for its keys.
    :param preset: ``quick``, ``standard`` or ``published``.
    :param blocks: replaces the preset's number of blocks.
    :param rules_out: arm name to the sentence that says why this lab cannot run it.
    :param capabilities: capability name to True, or to False or a sentence where it is missing; looked up for each arm's ``requires``.
    :raises InvalidValueError: names the key, the value and what is allowed.
    """
    spec = _Reader(data, "spec")
    if preset not in PRESETS:
        raise InvalidValueError(f"preset must be one of {', '.join(PRESETS)}, not {shown(preset)}.")
    name = spec.name("name")
    if "/" in name or " " in name:
        raise InvalidValueError(f"spec.name becomes the name of a directory and must not hold a space, not {shown(name)}.")
    title = spec.text("title", name)
    question = spec.text("question", title)

    presets = _Reader(spec.get("presets") or {}, "spec.presets")
    chosen = _Reader(presets.get(preset) or {}, f"spec.presets.{preset}")
    for other in PRESETS:
        presets.get(other)
    presets.refuse_rest()
    if presets.data and preset not in presets.data:
        raise InvalidValueError(f"spec.presets has no {preset!r}; it has: {', '.join(presets.data)}.")

    default_blocks = spec.whole("blocks", 10, 1, 10_000)
    preset_blocks = chosen.whole("blocks", default_blocks, 1, 10_000)
    if blocks is not None and (isinstance(blocks, bool) or not isinstance(blocks, int) or not 1 <= blocks <= 10_000):
        raise InvalidValueError(f"blocks must be a whole number from 1 to 10000, not {shown(blocks)}.")
    repeats = chosen.whole("repeats", spec.whole("repeats", 1, 1, 100), 1, 100)

    points = _read_points(spec, chosen)
    point_names = [point.name for point in points]
    arms = _read_arms(spec, point_names, rules_out or {}, capabilities or {})
    arm_names = [arm.name for arm in arms]
    workloads = _read_workloads(spec, chosen, point_names, arm_names)
    comparisons = _read_comparisons(spec, arm_names, workloads, point_names)
    control_arm, control_points = _read_control(spec, arms, point_names, comparisons)
    published = _read_published(spec, arm_names, workloads)
    margin = spec.number("margin", DEFAULT_MARGIN, 0.0, 0.9)
    retries = spec.whole("retries", DEFAULT_RETRIES, 0, 20)
    invalidation = _read_invalidation(spec)
    costs = _Reader(spec.get("costs") or {}, "spec.costs")
    step_s = costs.number("step_s", DEFAULT_STEP_S, 0.0, 86_400.0)
    setup_change_s = costs.number("setup_change_s", DEFAULT_SETUP_CHANGE_S, 0.0, 86_400.0)
    costs.refuse_rest()
    return Spec(
        name=name,
        title=title,
        question=question,
        preset=preset,
        blocks=blocks if blocks is not None else preset_blocks,
        repeats=repeats,
        arms=arms,
        points=points,
        workloads=workloads,
        comparisons=comparisons,
        control_arm=control_arm,
        control_points=control_points,
        published=published,
        margin=margin,
        invalidation=invalidation,
        retries=retries,
        step_s=step_s,
        setup_change_s=setup_change_s,
        data={**spec.rest(), **({"preset_data": chosen.rest()} if chosen.rest() else {})},
    )


def _read_points(spec: _Reader, chosen: _Reader) -> Tuple[Point, ...]:
    every: List[Point] = []
    for index, entry in enumerate(spec.items("points")):
        reader = _Reader({"name": entry} if isinstance(entry, str) else entry, f"spec.points[{index}]")
        name = reader.name("name")
        every.append(Point(name, reader.rest()))
    _refuse_doubles([point.name for point in every], "spec.points")
    kept = chosen.names("points", [point.name for point in every], "point")
    return tuple(point for point in every if kept is None or point.name in kept)


def _read_arms(
    spec: _Reader, point_names: List[str], rules_out: Mapping[str, str], capabilities: Mapping[str, Any]
) -> Tuple[Arm, ...]:
    arms: List[Arm] = []
    all_points = [entry if isinstance(entry, str) else entry.get("name") for entry in spec.items("points")]
    for index, entry in enumerate(spec.items("arms")):
        place = f"spec.arms[{index}]"
        reader = _Reader({"name": entry} if isinstance(entry, str) else entry, place)
        name = reader.name("name")
        requires = tuple(str(need) for need in reader.items("requires", required=False))
        sentence = reader.get("rules_out") or rules_out.get(name)
        for need in requires:
            if sentence is None:
                sentence = _lack(name, need, capabilities.get(need, True))
        if sentence is not None and (not isinstance(sentence, str) or not sentence.strip()):
            raise InvalidValueError(f"{place}.rules_out must be a sentence, not {shown(sentence)}.")
        arms.append(
            Arm(
                name=name,
                description=reader.text("description", name),
                setup=reader.name("setup", name),
                requires=requires,
                points=_kept(reader.names("points", all_points, "point"), point_names),
                rules_out=sentence,
                data=reader.rest(),
            )
        )
    _refuse_doubles([arm.name for arm in arms], "spec.arms")
    unknown = [name for name in rules_out if name not in {arm.name for arm in arms}]
    if unknown:
        raise InvalidValueError(f"rules_out names the arm {unknown[0]!r}, which is not one of: {', '.join(arm.name for arm in arms)}.")
    return tuple(arms)


def _lack(arm: str, need: str, state: Any) -> Optional[str]:
    """Return the sentence that rules an arm out for a capability.

    Its state is True, False, a sentence, or an entry of what the capabilities module returns (``available``, ``rules_out``).
    """
    if isinstance(state, Mapping):
        state = True if state.get("available") else state.get("rules_out")
    if state is True:
        return None
    return state if isinstance(state, str) and state.strip() else f"This lab lacks the capability {need!r}, which the arm {arm} needs."


def _kept(names: Optional[Tuple[str, ...]], available: Sequence[str]) -> Optional[Tuple[str, ...]]:
    return None if names is None else tuple(name for name in names if name in available)


def _read_workloads(
    spec: _Reader, chosen: _Reader, point_names: List[str], arm_names: List[str]
) -> Tuple[Workload, ...]:
    entries = spec.items("workloads")
    every = [_Reader(entry, f"spec.workloads[{index}]").name("name") for index, entry in enumerate(entries)]
    changes = _Reader(chosen.get("workloads") or {}, f"{chosen.place}.workloads")
    for name in changes.data:
        if name not in every:
            raise InvalidValueError(f"{changes.place} names the workload {shown(name)}, which is not one of: {', '.join(every)}.")
    all_points = [entry if isinstance(entry, str) else entry.get("name") for entry in spec.items("points")]
    workloads: List[Workload] = []
    for index, entry in enumerate(entries):
        change = _Reader(changes.data.get(every[index]) or {}, f"{changes.place}.{every[index]}").data
        reader = _Reader({**entry, **change}, f"spec.workloads[{index}]")
        metrics = tuple(str(metric) for metric in reader.items("metrics"))
        per_point = reader.data.get("duration_s")
        if isinstance(per_point, Mapping):
            reader.read.add("duration_s")
            table = _Reader(per_point, f"{reader.place}.duration_s")
            durations = {point: table.number(point, None, 0.0, 604_800.0) for point in point_names}
        else:
            seconds = reader.number("duration_s", None, 0.0, 604_800.0)
            durations = dict.fromkeys(point_names, seconds)
        workloads.append(
            Workload(
                name=reader.name("name"),
                tool=reader.text("tool"),
                metrics=metrics,
                durations=durations,
                arms=reader.names("arms", arm_names, "arm"),
                points=_kept(reader.names("points", all_points, "point"), point_names),
                data=reader.rest(),
            )
        )
    _refuse_doubles([workload.name for workload in workloads], "spec.workloads")
    return tuple(workloads)


def _read_comparisons(
    spec: _Reader, arm_names: List[str], workloads: Tuple[Workload, ...], point_names: List[str]
) -> Tuple[Comparison, ...]:
    all_points = [entry if isinstance(entry, str) else entry.get("name") for entry in spec.items("points")]
    made: List[Comparison] = []
    for index, entry in enumerate(spec.items("comparisons")):
        reader = _Reader(entry, f"spec.comparisons[{index}]")
        reference = reader.one_of("reference", arm_names, "arm")
        arm = reader.one_of("arm", arm_names, "arm")
        if arm == reference:
            raise InvalidValueError(f"{reader.place} compares {arm} with itself; that is what spec.control is for.")
        by_name = {workload.name: workload for workload in workloads}
        wanted = [reader.one_of("workload", list(by_name), "workload")] if reader.get("workload") is not None else list(by_name)
        metric = reader.text("metric") if reader.get("metric") is not None else None
        points = _kept(reader.names("points", all_points, "point"), point_names)
        headline = bool(reader.get("headline"))
        reader.refuse_rest()
        for workload in wanted:
            for each in [metric] if metric else by_name[workload].metrics:
                made.append(Comparison(reference, arm, workload, each, points, headline))
    if len(set(made)) != len(made):
        raise InvalidValueError("spec.comparisons has the same comparison twice; each must be made once.")
    return tuple(made)


def _read_control(
    spec: _Reader, arms: Tuple[Arm, ...], point_names: List[str], comparisons: Tuple[Comparison, ...]
) -> Tuple[str, Tuple[str, ...]]:
    able = [arm.name for arm in arms if arm.rules_out is None]
    if not able:
        reasons = " ".join(str(arm.rules_out) for arm in arms)
        raise MissingCapabilityError(f"This lab can run no arm of {spec.data.get('name')}: {reasons}")
    reader = _Reader(spec.get("control") or {}, "spec.control")
    wanted = reader.one_of("arm", [arm.name for arm in arms], "arm") if reader.get("arm") is not None else comparisons[0].reference
    all_points = [entry if isinstance(entry, str) else entry.get("name") for entry in spec.items("points")]
    points = _kept(reader.names("points", all_points, "point"), point_names)
    reader.refuse_rest()
    arm = wanted if wanted in able else able[0]
    offered = next(each for each in arms if each.name == arm).points or tuple(point_names)
    # A control is made in every experiment: where nothing usable is named, at the first point that the arm has.
    usable = tuple(point for point in points or () if point in offered)
    return arm, usable or tuple(point for point in point_names if point in offered)[:1]


def _read_published(spec: _Reader, arm_names: List[str], workloads: Tuple[Workload, ...]) -> Tuple[Mapping[str, Any], ...]:
    all_points = [entry if isinstance(entry, str) else entry.get("name") for entry in spec.items("points")]
    made: List[Mapping[str, Any]] = []
    for index, entry in enumerate(spec.items("published", required=False)):
        place = f"spec.published[{index}]"
        reader = _Reader(entry, place)
        reader.one_of("point", all_points, "point")
        reader.one_of("workload", [workload.name for workload in workloads], "workload")
        reader.text("metric")
        reader.one_of("reference", arm_names, "arm")
        reader.one_of("arm", arm_names, "arm")
        has_speedup = reader.get("speedup") is not None
        if has_speedup:
            reader.number("speedup", None, 1e-9, 1e9)
        values = reader.get("values")
        if values is not None:
            for arm, value in _Reader(values, f"{place}.values").data.items():
                if arm not in arm_names:
                    raise InvalidValueError(f"{place}.values names the arm {shown(arm)}, which is not one of: {', '.join(arm_names)}.")
                each = _Reader(value, f"{place}.values.{arm}")
                each.number("value", None, 1e-300, 1e300)
                each.text("unit")
                each.number("ci_half_width_relative", 0.0, 0.0, 0.999)
        elif not has_speedup:
            raise InvalidValueError(f"{place} must have either 'speedup' or 'values'; it has neither.")
        made.append(dict(entry))
    return tuple(made)


def _read_invalidation(spec: _Reader) -> Dict[str, Any]:
    data = spec.get("invalidation")
    rules = _Reader(DEFAULT_INVALIDATION if data is None else data, "spec.invalidation")
    for key in rules.data:
        if not isinstance(key, str) or not _RULE.match(key):
            raise InvalidValueError(f"spec.invalidation has the key {shown(key)}; a rule is called max_<counter> or forbid_<counter>.")
        if key.startswith("max_"):
            rules.number(key, None, 0.0, 1e12)
        elif not isinstance(rules.data[key], bool):
            raise InvalidValueError(f"spec.invalidation.{key} must be true or false, not {shown(rules.data[key])}.")
    return dict(rules.data)
