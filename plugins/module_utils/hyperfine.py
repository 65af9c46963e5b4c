# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyperfine over several commands in interleaved blocks.

hyperfine runs all of A and then all of B, so that a machine which warms up or slows down makes one of them look better. Here each
block visits every command once, in an order drawn from a seed, and each visit is a hyperfine of its own: fresh process per run,
clock and reader of the output exactly hyperfine's.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import resource
import shlex
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed, Run
from ansible_collections.datapath.lab.plugins.module_utils.counters.model import NO_TIME, CpuTimes
from ansible_collections.datapath.lab.plugins.module_utils.counters.parse import parse_stat
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, MissingCapabilityError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Measurement, Metric, utc_now

TOOL = "hyperfine"
ORDERS = ("abba", "random", "fixed")
OUTPUTS = ("null", "pipe")
# GNU timeout's own status when it had to end its child.
TIMED_OUT = (124, 137)
KILL_AFTER_S = 5
MAX_RUNS = 100_000
_NAME = re.compile(r"[\w.#:+-]{1,64}")


@dataclass(frozen=True)
class Settings:
    """How the commands are run: ``blocks`` rounds, in each of which every command gets ``warmup`` unmeasured and ``runs`` measured runs."""

    blocks: int = 10
    runs: int = 1
    warmup: int = 0
    order: str = "abba"
    seed: int = 0
    output: str = "null"
    timeout_s: float = 600.0

    def validate(self) -> None:
        """Raise :class:`InvalidValueError` for a value outside its range."""
        for name, value, low in (("blocks", self.blocks, 1), ("runs", self.runs, 1), ("warmup", self.warmup, 0)):
            if not low <= value <= MAX_RUNS:
                raise InvalidValueError(f"{name} {value} is not allowed; give a whole number from {low} to {MAX_RUNS}.")
        if self.blocks * (self.runs + self.warmup) > MAX_RUNS:
            raise InvalidValueError(f"{self.blocks} blocks of {self.runs + self.warmup} runs are too many; give at most {MAX_RUNS} in all.")
        if self.order not in ORDERS:
            raise InvalidValueError(f"order {self.order!r} is not known; give {', '.join(ORDERS)}.")
        if self.output not in OUTPUTS and not self.output.startswith("/"):
            raise InvalidValueError(f"output {self.output!r} is not known; give {' or '.join(OUTPUTS)}, or the absolute path of a file.")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise InvalidValueError(f"timeout_s {self.timeout_s} is not allowed; give seconds above 0.")


@dataclass(frozen=True)
class Visit:
    """One hyperfine: which command in which block, when it began, how long it took in all, and what came of it.

    ``times`` in s, one per run; ``user`` and ``system`` in s, the mean over these runs (hyperfine gives no single ones); ``fault``
    is empty or says why the visit must not be used; ``load`` is what the CPUs did meanwhile.
    """

    name: str
    block: int
    started: str
    duration_s: float
    times: Tuple[float, ...] = ()
    user: Optional[float] = None
    system: Optional[float] = None
    fault: str = ""
    raw: Optional[Mapping[str, Any]] = None
    load: Optional[Load] = None


@dataclass(frozen=True)
class Load:
    """What the node's CPUs did: their time together in clock ticks, context switches, and the CPU seconds that this module's own
    processes took of it (hyperfine and the command).
    """

    cpus: int
    times: CpuTimes
    context_switches: int
    own_s: float

    def __add__(self, other: Load) -> Load:
        return Load(self.cpus, self.times + other.times, self.context_switches + other.context_switches, self.own_s + other.own_s)

    def as_dict(self, ticks_per_second: int) -> Dict[str, Any]:
        """Return the counters; the fractions only where the clock is fine enough for them.

        The kernel counts in ticks. In less than 100 of them per CPU one tick that fell to another process would look like a busy
        neighbour.
        """
        cpu: Dict[str, Any] = {"count": self.cpus, "busy_s": self.times.busy / ticks_per_second, "workload_s": self.own_s}
        if self.times.total >= 100 * self.cpus:
            foreign = self.times.in_tasks / ticks_per_second - self.own_s
            cpu["fractions"] = self.times.fractions()
            cpu["steal_fraction"] = cpu["fractions"]["steal"]
            cpu["foreign_cpu_fraction"] = max(0.0, foreign) / (self.times.total / ticks_per_second)
        return {"cpu": cpu, "context_switches": self.context_switches}


@dataclass(frozen=True)
class Gauge:
    """Where the load is read: the text of /proc/stat, and the CPU seconds of this process and its ended children."""

    stat: Callable[[], str]
    own_s: Callable[[], float]
    ticks_per_second: int = 100

    def read(self) -> Tuple[Dict[str, CpuTimes], int, float]:
        """Return the time of each CPU, the number of context switches, and the own CPU seconds."""
        return (*parse_stat(self.stat()), self.own_s())

    def since(self, before: Tuple[Dict[str, CpuTimes], int, float]) -> Load:
        """Return the load since an earlier reading."""
        earlier, switches, own_s = before
        cpus, switches_now, own_now = self.read()
        times = sum((now.since(earlier[cpu]) for cpu, now in cpus.items() if cpu in earlier), NO_TIME)
        return Load(len(cpus), times, max(0, switches_now - switches), own_now - own_s)


def node_gauge() -> Gauge:
    """Return the gauge of the node that this runs on."""

    def stat() -> str:
        with open("/proc/stat", encoding="ascii") as file:
            return file.read()

    def own_s() -> float:
        usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    return Gauge(stat, own_s, os.sysconf("SC_CLK_TCK"))


def check_commands(commands: Sequence[Mapping[str, Any]]) -> Dict[str, List[str]]:
    """Return the commands by name, in their order.

    :raises InvalidValueError: for no command, a name that is doubled or cannot be a file's name, an empty argv.
    """
    named: Dict[str, List[str]] = {}
    for index, command in enumerate(commands):
        name, argv = str(command["name"]), [str(word) for word in command["argv"]]
        if not _NAME.fullmatch(name):
            raise InvalidValueError(f"commands[{index}]: name {name!r} is not allowed; give 1 to 64 letters, digits or any of _ . # : + -.")
        if name in named:
            raise InvalidValueError(f"commands[{index}]: name {name!r} is given twice; give each command a name of its own.")
        if not argv or not argv[0]:
            raise InvalidValueError(f"commands[{index}]: argv is empty; give the program and its arguments as a list.")
        named[name] = argv
    if not named:
        raise InvalidValueError("commands is empty; give at least one command with name and argv.")
    return named


def schedule(names: Sequence[str], settings: Settings) -> List[Tuple[int, str]]:
    """Return (block, name) for every visit in order.

    ``abba`` draws an order for each odd block and mirrors it in the even one after it, so that a steady drift cancels; ``random``
    draws for each block; ``fixed`` keeps the order given.
    """
    generator = random.Random(settings.seed)
    visits: List[Tuple[int, str]] = []
    order = list(names)
    for block in range(1, settings.blocks + 1):
        if settings.order == "random" or (settings.order == "abba" and block % 2 == 1):
            generator.shuffle(order)
        elif settings.order == "abba":
            order.reverse()
        visits.extend((block, name) for name in order)
    return visits


def argv_of(command: Sequence[str], settings: Settings, export: Optional[str] = None) -> List[str]:
    """Return hyperfine's argv for one visit.

    hyperfine takes the command as one word and splits it by the rules of a shell that is never started.
    """
    line = " ".join(shlex.quote(word) for word in command)
    exported = [] if export is None else ["--export-json", export]
    return [
        TOOL, "--shell=none", "--style=none", "--ignore-failure", f"--warmup={settings.warmup}", f"--runs={settings.runs}",
        f"--output={settings.output}", *exported, line,
    ]  # fmt: skip


def version(run: Run) -> str:
    """Return hyperfine's version, such as ``1.19.0``.

    :raises MissingCapabilityError: if it is not installed, or too old for `--output`.
    """
    try:
        text = run([TOOL, "--version"]).require("ask hyperfine for its version").stdout
    except CommandError as error:
        raise MissingCapabilityError(f"hyperfine is not usable on this node; install the package hyperfine. {error}") from error
    match = re.fullmatch(r"hyperfine ([0-9]+)\.([0-9]+)\.([0-9]+)\S*\s*", text)
    if not match:
        raise ParseError("hyperfine --version", "expected 'hyperfine X.Y.Z'", text)
    if (int(match[1]), int(match[2])) < (1, 13):
        raise MissingCapabilityError(f"hyperfine {text.split()[1]} is too old; install 1.13 or later, which can run without a shell.")
    return text.split()[1]


def parse_export(text: str) -> Mapping[str, Any]:
    """Return the only result of a JSON export.

    A sample of the text::

        {"results": [{"command": "ipvsadm -Sn", "mean": 0.31, "stddev": null, "median": 0.31, "user": 0.1, "system": 0.2,
                      "min": 0.31, "max": 0.31, "times": [0.31], "exit_codes": [0]}]}

    :raises ParseError: if anything that is used here is missing, or is not a finite number that can be a time.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ParseError(TOOL, "expected its JSON export", text) from None
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or len(results) != 1 or not isinstance(results[0], dict):
        raise ParseError(TOOL, "expected a JSON export with one result", text)
    result = results[0]
    times, codes = result.get("times"), result.get("exit_codes")
    if not isinstance(times, list) or not times or not all(map(_is_time, times)):
        raise ParseError(TOOL, "expected 'times' with the seconds of each run", text)
    for key in ("user", "system"):
        if not _is_time(result.get(key)):
            raise ParseError(TOOL, f"expected '{key}' in seconds", text)
    # A run that a signal ended has null for a code.
    if not isinstance(codes, list) or len(codes) != len(times) or not all(code is None or _is_whole(code) for code in codes):
        raise ParseError(TOOL, "expected 'exit_codes' with one for each run", text)
    return result


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, float)) and math.isfinite(value) and value >= 0


def failures(codes: Sequence[Optional[int]]) -> str:
    """Return a sentence about runs that did not end with status 0, empty if all did."""
    bad = [code for code in codes if code != 0]
    if not bad:
        return ""
    kinds = ", ".join(sorted({"a signal" if code is None else str(code) for code in bad}))
    return f"{len(bad)} of {len(codes)} runs did not end with status 0 but with {kinds}."


def measure(
    commands: Mapping[str, Sequence[str]],
    settings: Settings,
    run: Run,
    environment: Optional[Mapping[str, str]] = None,
    gauge: Optional[Gauge] = None,
) -> List[Visit]:
    """Make all visits and return them in their order.

    A visit that fails or takes too long is recorded with its fault, and its command is not visited again: the rest of its blocks
    could not be compared any more.
    """
    visits: List[Visit] = []
    given_up = set()
    with tempfile.TemporaryDirectory(prefix="datapath-hyperfine-") as directory:
        export = os.path.join(directory, "export.json")
        for block, name in schedule(list(commands), settings):
            if name in given_up:
                continue
            started, before = utc_now(), time.monotonic()
            idle = gauge.read() if gauge else None
            argv = ["timeout", f"--kill-after={KILL_AFTER_S}", f"{settings.timeout_s:g}", *argv_of(commands[name], settings, export)]
            done = run(argv, environ=dict(environment or {}))
            load = gauge.since(idle) if gauge and idle else None
            visit = replace(_visit(name, block, started, time.monotonic() - before, done, export, settings), load=load)
            if visit.fault:
                given_up.add(name)
            visits.append(visit)
    return visits


def _visit(name: str, block: int, started: str, duration: float, done: Completed, export: str, settings: Settings) -> Visit:
    """Return what came of one hyperfine; its export is removed, so that none is ever taken for a later one's."""
    if done.rc in TIMED_OUT:
        return Visit(name, block, started, duration, fault=f"Block {block} took longer than timeout_s, {settings.timeout_s:g} s.")
    if done.rc != 0 or not os.path.exists(export):
        said = (done.stderr.strip() or done.stdout.strip() or f"status {done.rc}").splitlines()[-1].strip()
        return Visit(name, block, started, duration, fault=f"hyperfine failed in block {block}: {said}")
    with open(export, encoding="utf-8") as file:
        result = parse_export(file.read())
    os.unlink(export)
    failed = failures(result["exit_codes"])
    fault = f"Block {block}: {failed}" if failed else ""
    return Visit(name, block, started, duration, tuple(result["times"]), result["user"], result["system"], fault, result)


def summarise(
    name: str, argv: Sequence[str], visits: Sequence[Visit], settings: Settings, tool_version: str, ticks_per_second: int = 100
) -> Measurement:
    """Return the measurement of one command over all its visits."""
    own = [visit for visit in visits if visit.name == name]
    times = [value for visit in own for value in visit.times]
    metrics: Dict[str, Metric] = {}
    samples: Dict[str, List[float]] = {}
    if times:
        measured = [visit for visit in own if visit.user is not None and visit.system is not None]
        runs = sum(len(visit.times) for visit in measured)
        metrics = {
            "time_mean": Metric(statistics.fmean(times), "s", "lower"),
            "time_median": Metric(statistics.median(times), "s", "lower"),
            "time_min": Metric(min(times), "s", "lower"),
            "time_max": Metric(max(times), "s", "lower"),
            "user_mean": Metric(math.fsum((visit.user or 0.0) * len(visit.times) for visit in measured) / runs, "s", "lower"),
            "system_mean": Metric(math.fsum((visit.system or 0.0) * len(visit.times) for visit in measured) / runs, "s", "lower"),
            "runs": Metric(float(len(times)), "runs", "neither"),
        }
        if len(times) > 1:
            metrics["time_stddev"] = Metric(statistics.stdev(times), "s", "neither")
        samples = {
            "time": times,
            "user": [visit.user for visit in measured if visit.user is not None],
            "system": [visit.system for visit in measured if visit.system is not None],
        }
    invalid = [f"{name}: {visit.fault}" for visit in own if visit.fault]
    return Measurement(
        tool=TOOL,
        tool_version=tool_version,
        argv=argv_of(argv, settings),
        started=own[0].started if own else utc_now(),
        duration_s=math.fsum(visit.duration_s for visit in own),
        metrics=metrics,
        samples=samples,
        counters={"visits": len(own), "warmup_runs": settings.warmup * len(own), **_counters(own, ticks_per_second)},
        invalid=invalid,
    )


def _counters(visits: Sequence[Visit], ticks_per_second: int) -> Dict[str, Any]:
    """Return what the node's CPUs did during these visits, added up."""
    loads = [visit.load for visit in visits if visit.load is not None]
    if not loads:
        return {}
    total = loads[0]
    for load in loads[1:]:
        total += load
    return {"local": total.as_dict(ticks_per_second)}


def as_result(measurements: Mapping[str, Measurement], visits: Sequence[Visit], settings: Settings) -> Dict[str, Any]:
    """Return the module's result: measurements by name, the same as facts, and what hyperfine exported."""
    by_name = {name: measurement.as_dict() for name, measurement in measurements.items()}
    result: Dict[str, Any] = {
        "measurements": by_name,
        "ansible_facts": {"datapath_lab": {TOOL: by_name}},
        "raw": raw_visits(visits),
        "schedule": [{"block": block, "name": name} for block, name in schedule(list(measurements), settings)],
    }
    if len(by_name) == 1:
        result["measurement"] = next(iter(by_name.values()))
    return result


def raw_visits(visits: Sequence[Visit]) -> List[Dict[str, Any]]:
    """Return what hyperfine exported, visit by visit in their order."""
    return [
        {"order": order, "name": visit.name, "block": visit.block, "started": visit.started, "fault": visit.fault, "export": visit.raw}
        for order, visit in enumerate(visits, 1)
    ]


def write_raw(directory: str, visits: Sequence[Visit]) -> List[str]:
    """Write each visit's export into a file of its own and return the paths.

    :raises InvalidValueError: if the directory cannot be written.
    """
    paths = []
    try:
        os.makedirs(directory, exist_ok=True)
        for entry in raw_visits(visits):
            path = os.path.join(directory, f"hyperfine-{entry['order']:05d}-{entry['name']}.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(entry, file, indent=1)
                file.write("\n")
            paths.append(path)
    except OSError as error:
        raise InvalidValueError(f"raw_dir {directory!r} cannot be written: {error.strerror}; give a directory that can.") from error
    return paths


def benchmark(
    commands: Sequence[Mapping[str, Any]],
    settings: Settings,
    run: Run,
    environment: Mapping[str, Any],
    raw_dir: Optional[str],
    check_mode: bool,
    gauge: Optional[Gauge] = None,
) -> Dict[str, Any]:
    """Measure the commands, or say what would be run, and return the module's result.

    :raises LabError: before any command was run, or if hyperfine's export is not in its known form.
    """
    settings.validate()
    named = check_commands(commands)
    if check_mode:
        return {
            "argv": {name: argv_of(argv, settings) for name, argv in named.items()},
            "schedule": [{"block": block, "name": name} for block, name in schedule(list(named), settings)],
        }
    tool_version = version(run)
    visits = measure(named, settings, run, {key: str(value) for key, value in environment.items()}, gauge)
    ticks = gauge.ticks_per_second if gauge else 100
    measurements = {name: summarise(name, argv, visits, settings, tool_version, ticks) for name, argv in named.items()}
    result = as_result(measurements, visits, settings)
    if raw_dir is not None:
        result["raw_files"] = write_raw(raw_dir, visits)
    return result
