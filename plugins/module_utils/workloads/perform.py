# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of a load generator, from the options of its module to the module's result."""

from __future__ import annotations

import math
import os
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed, Run, runner_of
from ansible_collections.datapath.lab.plugins.module_utils.counters.meter import Ends, answer_of, cost_metrics, metered
from ansible_collections.datapath.lab.plugins.module_utils.errors import (
    CommandError,
    InvalidValueError,
    LabError,
    MissingCapabilityError,
    ParseError,
)
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Measurement, utc_now
from ansible_collections.datapath.lab.plugins.module_utils.pinning import pinned, usable_cpus
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Params, Reading, Tool

# A tool that hangs (redis-benchmark 6 does so for ever when nobody listens) is ended this long after its predicted end.
GRACE_S = 60.0
# The status with which GNU timeout says that it has ended the command, by SIGTERM or in the end by SIGKILL.
TIMED_OUT = (124, 137)


@dataclass(frozen=True)
class Node:
    """The node as this code sees it: how a command is started, where a program is, and which CPUs there are."""

    run: Run
    find: Callable[[str], Optional[str]]
    meter: Callable[..., Tuple[Completed, Ends]] = metered
    cpus: Callable[[], Iterable[int]] = usable_cpus

    @staticmethod
    def of(module: Any) -> Node:
        """Return the node that an Ansible module runs on."""
        return Node(runner_of(module), module.get_bin_path)


def perform(tool: Tool, params: Params, node: Node, check_mode: bool) -> dict[str, Any]:
    """Run a load generator once.

    :returns: a module's result: ``measurement`` by the contract, ``raw``, ``warnings``; in check mode only ``argv`` and ``predicted_s``.
    """
    tool.validate(params)
    with tempfile.TemporaryDirectory(prefix="datapath-lab-") as scratch:
        program, *options = tool.argv(params, scratch)
        argv = [*pinned(tool.name, params.get("cpus"), node.cpus()), *_into(params.get("namespace")), program, *options]
        predicted = tool.seconds(params)
        if check_mode:
            return {"changed": False, "argv": argv, "predicted_s": predicted}
        if node.find(program) is None:
            raise MissingCapabilityError(f"{program} is not installed on this node: the role workloads installs it.")
        version = _version(tool, program, node.run)
        for name, text in tool.files.items():
            with open(os.path.join(scratch, name), "w", encoding="utf-8") as stream:
                stream.write(text)
        deadline = params.get("timeout_s") or predicted + GRACE_S
        started, began = utc_now(), time.monotonic()

        def run() -> Completed:
            # A machine may reap the tool late; timeout itself costs one fork before the load begins.
            return node.run(["timeout", "--kill-after=5", str(math.ceil(deadline)), *argv])

        completed, ends = _metered(params, node, run)
        duration = time.monotonic() - began
    raw = _raw(completed)
    written = _keep(params.get("raw_dir"), tool.name, started, raw)
    if completed.rc in TIMED_OUT:
        raise CommandError(
            f"{tool.name} did not end within {math.ceil(deadline)} s (predicted {predicted:g} s) and was ended; it printed: "
            f"{' '.join(raw.split())[:200]!r}. Look at the server and the path to it, or raise timeout_s."
        )
    reading = tool.read(completed, params)
    measurement = _measurement(tool, reading, argv, version, started, duration, ends)
    # What is no text is kept in the file; JSON has no way to carry it.
    shown = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    result = {"changed": False, **measurement.as_result(), "raw": shown, "not_measured": list(reading.not_measured)}
    if reading.warnings:
        result["warnings"] = list(reading.warnings)
    if written:
        result["raw_file"] = written
    return result


def _into(namespace: Optional[str]) -> list[str]:
    """Return what starts a command in a network namespace of this node; unlike ``ip netns exec`` it leaves the mounts alone."""
    return ["nsenter", f"--net=/run/netns/{namespace}", "--"] if namespace else []


def perform_series(tool: Tool, params: Params, node: Node, check_mode: bool) -> dict[str, Any]:
    """Run a load generator once for each entry of ``series``, one after another, so that a block of runs costs one task.

    :returns: a module's result: ``measurements``, ``raws`` and ``failed`` (a sentence) by the entries' names. A run that fails does not
        keep the others from being measured.
    """
    names = [str(entry["name"]) for entry in params["series"]]
    if len(set(names)) != len(names):
        raise InvalidValueError(f"{tool.name}: each entry of series needs a name of its own; there are {', '.join(names)}.")
    measurements: dict[str, Any] = {}
    raws: dict[str, str] = {}
    failed: dict[str, str] = {}
    argvs: dict[str, list[str]] = {}
    warnings: list[str] = []
    predicted = 0.0
    for entry in params["series"]:
        name = str(entry["name"])
        try:
            result = perform(tool, {**params, "namespace": entry.get("namespace")}, node, check_mode)
        except InvalidValueError:
            raise
        except LabError as error:
            failed[name] = str(error)
            continue
        warnings += [f"{name}: {warning}" for warning in result.get("warnings", [])]
        if check_mode:
            argvs[name] = result["argv"]
            predicted += result["predicted_s"]
        else:
            measurements[name], raws[name] = result["measurement"], result["raw"]
    if check_mode:
        return {"changed": False, "argvs": argvs, "predicted_s": predicted}
    if failed and not measurements:
        raise CommandError(next(iter(failed.values())))
    made: dict[str, Any] = {"changed": False, "measurements": measurements, "raws": raws, "failed_runs": failed}
    if warnings or failed:
        made["warnings"] = [*warnings, *(f"{name}: {sentence}" for name, sentence in failed.items())]
    return {**made, "ansible_facts": {"datapath_lab": {tool.name: measurements}}}


def _metered(params: Params, node: Node, run: Callable[[], Completed]) -> Tuple[Completed, Optional[Ends]]:
    if not params["counters"]:
        return run(), None
    address, port = params.get("counters_remote"), params["counters_port"]
    return node.meter(run, (lambda: answer_of(address, port)) if address else None)


def _measurement(
    tool: Tool, reading: Reading, argv: list[str], version: str, started: str, duration: float, ends: Optional[Ends]
) -> Measurement:
    metrics = dict(reading.metrics)
    counters: dict[str, Any] = {"tool": {**reading.facts, "not_measured": list(reading.not_measured)}}
    if ends is not None:
        metrics.update(cost_metrics(ends, reading.work.requests, reading.work.transferred))
        counters.update(ends.as_dict())
    return Measurement(tool.name, version, argv, started, round(duration, 6), metrics, reading.samples, counters, list(reading.invalid))


def _version(tool: Tool, program: str, run: Run) -> str:
    said = ""
    for argv in tool.versions[program]:
        try:
            completed = run(list(argv))
        except CommandError:
            # The program that would tell the version of an older release is not there; the next candidate may be.
            continue
        # Some print it with a status other than 0 (wrk -v), some on standard error.
        said = completed.stdout + completed.stderr
        version = tool.parse_version(said)
        if version:
            return version
    raise ParseError(tool.name, "it does not tell its version", said)


def _raw(completed: Completed) -> str:
    return completed.stdout + (f"\n--- standard error ---\n{completed.stderr}" if completed.stderr.strip() else "")


def _keep(directory: Optional[str], tool: str, started: str, raw: str) -> str:
    if not directory:
        return ""
    try:
        os.makedirs(directory, exist_ok=True)
        # The same second may see two runs, on nodes that share the directory.
        handle, path = tempfile.mkstemp(prefix=f"{tool}-{started.replace(':', '')}-", suffix=".out", dir=directory)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(raw)
    except OSError as error:
        raise LabError(f"Could not keep the raw output in raw_dir {directory}: {error.strerror}.") from error
    return path
