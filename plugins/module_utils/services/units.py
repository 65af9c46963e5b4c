# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workload servers as systemd units: their text, what is there, what is wanted, and the few commands from one to the other."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, ParseError

PREFIX = "datapath-lab-"
UNITS = "/etc/systemd/system"
# An account that every Debian has and that owns nothing; systemd warns of nobody, and DynamicUser brings a system call filter.
USER = "daemon"

TEMPLATE = """\
# Managed by the role datapath.lab.workloads.
[Unit]
Description=datapath.lab workload server {name}
After=network-online.target
Wants=network-online.target
{conflicts}
[Service]
ExecStart={command}
Restart=always
RestartSec=1
# iperf3 ends with 1 when it is asked to end.
SuccessExitStatus=1
User={user}
Group={user}
LimitNOFILE=65536
# Only what costs the server no time. No option that brings a system call filter (DynamicUser, RestrictAddressFamilies and so on): each
# of its system calls would pass it, and the server would be measured with it.
CapabilityBoundingSet=
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Unit:
    """A unit as it is: ``text`` is None where there is none."""

    text: Optional[str]
    active: bool
    enabled: bool


@dataclass(frozen=True)
class UnitPlan:
    """What to do, in this order: disable and end, remove, write, have systemd read it all again, enable, restart."""

    end: Sequence[str] = ()
    remove: Sequence[str] = ()
    write: Sequence[str] = ()
    enable: Sequence[str] = ()
    restart: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any((self.end, self.remove, self.write, self.enable, self.restart))


def command_line(argv: Sequence[str]) -> str:
    """Return a command line as ExecStart takes it: quoted, with ``%`` and ``$`` doubled."""
    quoted = []
    for word in argv:
        if re.search(r"[\x00-\x1f\x7f]", word):
            raise InvalidValueError(f"A command line must not hold control characters: {word!r}.")
        escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
        quoted.append(f'"{escaped}"')
    return " ".join(quoted)


def unit_name(server: str) -> str:
    """Return the unit of a server."""
    return f"{PREFIX}{server}.service"


def unit_text(server: Mapping[str, Any]) -> str:
    """Return the text of a server's unit."""
    # The distribution's own unit holds the same port on all addresses.
    conflicts = f"Conflicts={' '.join(server['replaces'])}\n" if server["replaces"] else ""
    return TEMPLATE.format(name=server["name"], conflicts=conflicts, command=command_line(server["argv"]), user=USER)


def plan(have: Mapping[str, Unit], want: Mapping[str, str], touched: Sequence[str]) -> UnitPlan:
    """Return what to do; a unit in ``have`` and not in ``want`` is to go, one in ``touched`` reads a file that changes."""
    gone = [name for name in have if name not in want]
    write = [name for name, text in want.items() if name not in have or have[name].text != text]
    return UnitPlan(
        end=[name for name in gone if have[name].active or have[name].enabled],
        remove=[name for name in gone if have[name].text is not None],
        write=write,
        enable=[name for name in want if name not in have or not have[name].enabled],
        restart=[name for name in want if name in write or name in touched or not have[name].active],
    )


def parse_states(text: str) -> dict[str, tuple[bool, bool]]:
    """Read ``systemctl show --property=Id,ActiveState,UnitFileState``: whether each unit is active, and enabled.

    Sample (an empty line between units)::

        Id=datapath-lab-redis.service
        ActiveState=active
        UnitFileState=enabled
    """
    states = {}
    for block in text.strip().split("\n\n") if text.strip() else ():
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if not {"Id", "ActiveState", "UnitFileState"} <= set(values):
            raise ParseError("systemctl", "a unit has no Id, ActiveState or UnitFileState", block)
        active = values["ActiveState"] in ("active", "activating", "reloading")
        states[values["Id"]] = (active, values["UnitFileState"] == "enabled")
    return states


@dataclass(frozen=True)
class Systemd:
    """The units of this node; ``directory`` is where they lie."""

    run: Run
    directory: str = UNITS

    def path(self, name: str) -> str:
        """Return the file of a unit."""
        return os.path.join(self.directory, name)

    def have(self, wanted: Sequence[str], others: bool) -> dict[str, Unit]:
        """Return the wanted units, and with ``others`` all that have our prefix."""
        found = [os.path.basename(path) for path in sorted(glob.glob(self.path(f"{PREFIX}*.service")))] if others else []
        names = list(dict.fromkeys([*wanted, *found]))
        if not names:
            return {}
        done = self.run(["systemctl", "show", "--property=Id,ActiveState,UnitFileState", *names]).require("read the workload servers' units")
        states = parse_states(done.stdout)
        return {name: Unit(self._text(name), *states.get(name, (False, False))) for name in names}

    def _text(self, name: str) -> Optional[str]:
        try:
            with open(self.path(name), encoding="utf-8") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def apply(self, steps: UnitPlan, texts: Mapping[str, str]) -> None:
        """Carry a plan out with at most four commands, however many units there are."""
        if steps.end:
            self._systemctl("end the workload servers", "disable", "--now", "--no-reload", "--quiet", *steps.end)
        for name in steps.remove:
            os.remove(self.path(name))
        for name in steps.write:
            put(self.path(name), texts[name])
        if steps.write or steps.remove:
            self._systemctl("have systemd read the units again", "daemon-reload")
        if steps.enable:
            self._systemctl("enable the workload servers", "enable", "--no-reload", "--quiet", *steps.enable)
        if steps.restart:
            self._systemctl("start the workload servers", "restart", *steps.restart)

    def _systemctl(self, purpose: str, *words: str) -> None:
        self.run(["systemctl", *words]).require(purpose)


def put(path: str, text: str) -> None:
    """Write a file that everybody may read, at once or not at all."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)


def missing(programs: Sequence[str]) -> List[str]:
    """Return those of these programs that are not there."""
    return sorted({program for program in programs if not os.access(program, os.X_OK)})
