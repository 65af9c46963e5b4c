# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The measurement: what every workload module returns.

A measurement carries values, units, direction, time and evidence; verdicts live in the analysis. Its JSON form is a contract:

    {"tool": "hyperfine", "tool_version": "1.19.0", "argv": ["..."], "started": "2026-11-20T05:00:00Z", "duration_s": 12.3,
     "metrics": {"time_mean": {"value": 0.31, "unit": "s", "better": "lower"}},
     "samples": {"time": [0.31, 0.30]}, "counters": {}, "invalid": []}
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

BETTER = ("higher", "lower", "neither")


@dataclass(frozen=True)
class Metric:
    """One value with its unit; ``better`` tells which direction is an improvement (``neither`` for a descriptive value)."""

    value: float
    unit: str
    better: str

    def __post_init__(self) -> None:
        if self.better not in BETTER:
            raise InvalidValueError(f"A metric's direction must be one of {', '.join(BETTER)}, not {self.better!r}.")
        if not math.isfinite(self.value):
            raise InvalidValueError(f"A metric's value must be a finite number, not {self.value!r}; leave the metric out if it was not measured.")

    def as_dict(self) -> dict[str, Any]:
        """Return ``{value, unit, better}``."""
        return {"value": self.value, "unit": self.unit, "better": self.better}


@dataclass(frozen=True)
class Measurement:
    """One run's structured facts.

    ``argv``: the command as started; ``started``: UTC, RFC 3339; ``duration_s``: wall time in seconds; ``metrics``: by name;
    ``samples``: single observations by name, in the metric's unit; ``counters``: what the kernel counted at each end during the
    run; ``invalid``: one sentence per reason for which this run must not enter an analysis (empty: valid).
    """

    tool: str
    tool_version: str
    argv: Sequence[str]
    started: str
    duration_s: float
    metrics: Mapping[str, Metric]
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    counters: Mapping[str, Any] = field(default_factory=dict)
    invalid: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the contract's JSON form."""
        return {
            "tool": self.tool,
            "tool_version": self.tool_version,
            "argv": list(self.argv),
            "started": self.started,
            "duration_s": self.duration_s,
            "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()},
            "samples": {name: list(values) for name, values in self.samples.items()},
            "counters": dict(self.counters),
            "invalid": list(self.invalid),
        }

    def as_result(self) -> dict[str, Any]:
        """Return a module's result: ``measurement``, and the same under ``ansible_facts.datapath_lab.<tool>``."""
        measurement = self.as_dict()
        return {"measurement": measurement, "ansible_facts": {"datapath_lab": {self.tool: measurement}}}


def utc_now() -> str:
    """Return the current time in UTC as RFC 3339 with whole seconds, such as ``2026-11-20T05:00:00Z``."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
