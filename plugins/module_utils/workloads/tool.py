# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all load generators have in common: options declared once, a command line, a reading of what was printed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.counters.meter import DEFAULT_PORT
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import Metric

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """One option of a module: its Ansible type, its allowed range, and the flag of the tool that it becomes.

    ``flag`` empty: the tool's own code places it. A ``bool`` becomes the bare flag when true.
    """

    name: str
    kind: str = "int"
    flag: str = ""
    default: Any = None
    required: bool = False
    choices: Tuple[Any, ...] = ()
    least: Optional[float] = None
    most: Optional[float] = None
    elements: str = ""

    def spec(self) -> dict[str, Any]:
        """Return the entry of an Ansible argument spec."""
        entry: dict[str, Any] = {"type": self.kind}
        if self.default is not None:
            entry["default"] = self.default
        if self.required:
            entry["required"] = True
        if self.choices:
            entry["choices"] = list(self.choices)
        if self.elements:
            entry["elements"] = self.elements
        return entry

    def check(self, tool: str, value: Any) -> None:
        """Raise if a value lies outside what is allowed."""
        if value is None or self.kind not in ("int", "float"):
            return
        low, high = self.least, self.most
        if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            bounds = f"{_number(low)} to {_number(high)}" if low is not None and high is not None else f"{_number(low)} or more"
            raise InvalidValueError(f"{tool}: {self.name} must be {bounds}, not {_number(value)}.")

    def argv(self, value: Any) -> list[str]:
        """Return the option as the tool takes it; nothing if it was not given."""
        if value is None or value is False or not self.flag:
            return []
        return [self.flag] if value is True else [self.flag, _number(value) if self.kind in ("int", "float") else str(value)]


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, (int, float)) and math.isfinite(value) and value == int(value) else str(value)


# What every workload module takes.
COMMON = (
    Option("host", "str", required=True),
    Option("counters", "bool", default=True),
    Option("counters_remote", "str"),
    Option("counters_port", default=DEFAULT_PORT, least=1, most=65535),
    Option("raw_dir", "path"),
    Option("timeout_s", "float", least=1),
    Option("namespace", "str"),
    Option("cpus", "str"),
)
# The name of a namespace is the name of a file in /run/netns.
NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Work:
    """What the run moved, for the CPU cost of one unit: requests (or transactions, or packets), and bytes of payload."""

    requests: Optional[float] = None
    transferred: Optional[float] = None


@dataclass(frozen=True)
class Reading:
    """What a tool's output says.

    ``facts``: further data of the tool, kept in ``measurement.counters.tool``; ``not_measured``: metrics that the tool could not
    take here, so that a reader does not look for them; ``warnings``: sentences for the user; ``invalid``: sentences that keep the
    run out of an analysis.
    """

    metrics: Mapping[str, Metric]
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    not_measured: Sequence[str] = ()
    warnings: Sequence[str] = ()
    invalid: Sequence[str] = ()
    work: Work = Work()


@dataclass(frozen=True)
class Tool:
    """A load generator.

    ``versions``: by program, the command lines of which the first that prints a version tells it; ``argv(params, scratch)``: the
    command line, beginning with the program, where ``scratch`` is the directory in which ``files`` were put; ``seconds(params)``:
    predicted run time; ``read(completed, params)``: what was printed, as values.
    """

    name: str
    options: Tuple[Option, ...]
    versions: Mapping[str, Tuple[Tuple[str, ...], ...]]
    parse_version: Callable[[str], Optional[str]]
    argv: Callable[[Params, str], List[str]]
    seconds: Callable[[Params], float]
    read: Callable[[Completed, Params], Reading]
    files: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[Params], None] = lambda params: None

    def spec(self) -> dict[str, Any]:
        """Return the argument spec of the tool's module."""
        return {option.name: option.spec() for option in (*COMMON, *self.options)}

    def validate(self, params: Params) -> None:
        """Raise before anything is started if the options do not make a run."""
        host = params["host"]
        # A host that begins with a dash would be read as an option.
        if not host or host.startswith("-") or any(char.isspace() for char in host):
            raise InvalidValueError(f"{self.name}: host must be an address or a name, not {host!r}.")
        namespace = params.get("namespace")
        if namespace is not None and not NAMESPACE.fullmatch(namespace):
            raise InvalidValueError(f"{self.name}: namespace must be the name of a network namespace, such as pod1, not {namespace!r}.")
        for option in (*COMMON, *self.options):
            option.check(self.name, params.get(option.name))
        self.check(params)

    def flags(self, params: Params) -> list[str]:
        """Return all options that have a flag of their own, in the order of their declaration."""
        return [part for option in self.options for part in option.argv(params.get(option.name))]


def finite(tool: str, value: Any, what: str, text: str) -> float:
    """Return a number that the tool printed, or raise: words, infinities and not-a-number are no measurement."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ParseError(tool, f"{what} is {value!r}, not a number", text)
    try:
        # float() alone would take "1_0" and digits of other scripts.
        number = float(value) if not isinstance(value, str) or (value.isascii() and "_" not in value) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ParseError(tool, f"{what} is {value!r}, not a number", text)
    return number


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of sorted values by linear interpolation between the nearest two (R's type 7, NumPy's default)."""
    position = (len(ordered) - 1) * percent / 100.0
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
