# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where results lie: ``<root>/<experiment>/<run>/`` with plan.json, environment.json, measurements.jsonl and what is made from them."""

from __future__ import annotations

import datetime
import json
import os
import re
import secrets
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.plugin_utils.plan import SCHEMA, Costs, measured_costs, pending
from ansible_collections.datapath.lab.plugins.plugin_utils.record import read_records, write_json

PLAN = "plan.json"
ENVIRONMENT = "environment.json"
ANALYSIS = "analysis.json"
LATEST = "latest"

_RUN = re.compile(r"\d{8}T\d{6}Z(-\d+)?\Z")


def read_json(path: str, what: str) -> Dict[str, Any]:
    """Return the dictionary that a JSON file holds.

    :param what: what the file is, for the error's text.
    :raises InvalidValueError: there is no such file, or it is not a JSON dictionary.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
    except OSError as error:
        raise InvalidValueError(f"Cannot read {what} {path}: {error.strerror}.") from error
    except ValueError as error:
        raise LabError(f"The {what} {path} is not JSON ({error}).") from error
    if not isinstance(data, dict):
        raise LabError(f"The {what} {path} does not hold a dictionary.")
    return data


def read_plan(directory: str) -> Dict[str, Any]:
    """Return the plan of a results directory.

    :raises LabError: it has none, or one that this version cannot read.
    """
    plan = read_json(os.path.join(directory, PLAN), "plan")
    if plan.get("schema") != SCHEMA:
        raise LabError(f"The plan in {directory} has the schema {plan.get('schema')!r}; this version reads schema {SCHEMA} only.")
    return plan


def new_seed() -> int:
    """Draw a seed for a schedule."""
    return secrets.randbelow(2**31)


def experiment_directory(root: str, experiment: str) -> str:
    """Return the directory of one experiment's runs."""
    return os.path.join(os.path.abspath(os.path.expanduser(root)), experiment)


def run_directories(root: str, experiment: str) -> List[str]:
    """Return the run directories of an experiment, newest first."""
    parent = experiment_directory(root, experiment)
    if not os.path.isdir(parent):
        return []
    return [os.path.join(parent, name) for name in sorted(os.listdir(parent), reverse=True) if _RUN.match(name)]


def unfinished_run(root: str, experiment: str, identity: str, seed: Optional[int] = None) -> Optional[str]:
    """Return the newest run directory with the same identity (and seed, where one is given) that still misses runs, or None."""
    for directory in run_directories(root, experiment):
        if not os.path.exists(os.path.join(directory, PLAN)):
            continue
        plan = read_plan(directory)
        if plan.get("spec_hash") != identity or (seed is not None and plan["seed"] != seed):
            continue
        # Only the newest run of an identity is looked at: what was abandoned before it is not taken up again.
        return directory if pending(plan, read_records(directory)).steps else None
    return None


def earlier_costs(root: str, experiment: str, preset: str) -> Optional[Costs]:
    """Return what steps cost in the newest earlier run of the same preset, or None if there is none."""
    for directory in run_directories(root, experiment):
        if not os.path.exists(os.path.join(directory, PLAN)):
            continue
        plan = read_plan(directory)
        if plan["preset"] == preset:
            costs, _spent = measured_costs(plan, list(read_records(directory)))
            if costs.steps:
                return costs
    return None


def make_run_directory(root: str, plan: Mapping[str, Any]) -> str:
    """Make the directory of a new run, named by the time, with plan.json in it; return its path."""
    stamp = datetime.datetime.fromisoformat(plan["created"].replace("Z", "+00:00")).strftime("%Y%m%dT%H%M%SZ")
    parent = experiment_directory(root, plan["experiment"])
    try:
        os.makedirs(parent, exist_ok=True)
        for number in range(1, 1000):
            path = os.path.join(parent, stamp if number == 1 else f"{stamp}-{number}")
            try:
                os.mkdir(path)
            except FileExistsError:
                continue
            os.mkdir(os.path.join(path, "raw"))
            write_json(os.path.join(path, PLAN), plan)
            return path
    except OSError as error:
        raise InvalidValueError(f"Cannot make a run directory in {parent}: {error.strerror}; choose another place.") from error
    raise LabError(f"{parent} has a thousand runs of the same second; remove some.")


def point_latest_to(directory: str) -> str:
    """Let ``latest`` beside a run directory point to it, without a moment at which it is missing; return the link's path."""
    directory = os.path.abspath(directory)
    link = os.path.join(os.path.dirname(directory), LATEST)
    if os.path.exists(link) and not os.path.islink(link):
        raise LabError(f"{link} is not a symbolic link; move it away, since it must point to the newest run.")
    temporary = f"{link}.{os.getpid()}.tmp"
    os.symlink(os.path.basename(directory), temporary)
    os.replace(temporary, link)
    return link
