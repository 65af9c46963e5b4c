# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All workload servers of a node in one go, as units or supervised: each step of its own would cost an emulated node seconds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.pinning import pinned, usable_cpus
from ansible_collections.datapath.lab.plugins.module_utils.services import units
from ansible_collections.datapath.lab.plugins.module_utils.services.catalogue import SERVERS, files_of, services
from ansible_collections.datapath.lab.plugins.module_utils.services.supervise import Keeper, Service

DIRECTORY = "/usr/local/lib/datapath.lab"


@dataclass(frozen=True)
class Node:
    """The node as this code sees it; ``booted`` exists where systemd runs."""

    run: Run
    keeper: Keeper
    directory: str = DIRECTORY
    unit_directory: str = units.UNITS
    booted: str = "/run/systemd/system"
    missing: Callable[[Sequence[str]], Sequence[str]] = units.missing
    cpus: Callable[[], Iterable[int]] = usable_cpus

    def has_systemd(self, supervision: str) -> bool:
        """Tell whether the servers shall be units."""
        return supervision == "systemd" or (supervision == "auto" and os.path.isdir(self.booted))


def present(
    node: Node,
    names: Sequence[str],
    address: str,
    ports: Mapping[str, int],
    supervision: str,
    check_mode: bool,
    cpus: Optional[str] = None,
) -> dict[str, Any]:
    """Have these servers run, on some CPUs if they are named, and return a module's result.

    Servers that are not named are left as they are.
    """
    prefix = pinned("workload_servers", cpus, node.cpus())
    wanted = services(names, address, ports, node.directory, prefix)
    lacking = node.missing([*prefix[:1], *(server["program"] for server in wanted)])
    if lacking and not check_mode:
        raise MissingCapabilityError(f"These programs of workload servers are not installed on this node: {', '.join(lacking)}.")
    texts = {os.path.join(node.directory, name): text for name, text in files_of(wanted).items()}
    changed_files = {path: text for path, text in texts.items() if _read(path) != text}
    touched = [server["name"] for server in wanted if any(os.path.join(node.directory, name) in changed_files for name in server["files"])]
    if not check_mode:
        for path, text in changed_files.items():
            units.put(path, text)
    diff = {path: (_read(path) if check_mode else None, text) for path, text in changed_files.items()}
    if node.has_systemd(supervision):
        changed = _units(node, {units.unit_name(server["name"]): units.unit_text(server) for server in wanted}, touched, check_mode, False)
    else:
        changed = [
            server["name"]
            for server in wanted
            if node.keeper.bring(
                server["name"],
                Service(server["name"], tuple(server["argv"]), {}, units.USER),
                check_mode,
                restart=server["name"] in touched,
            )["changed"]
        ]
    return _result(changed, diff, [server["target"] for server in wanted])


def absent(node: Node, supervision: str, check_mode: bool) -> dict[str, Any]:
    """End all workload servers of this node and remove what they need, and return a module's result."""
    if node.has_systemd(supervision):
        changed = _units(node, {}, (), check_mode, True)
    else:
        names = [name.replace("_", "-") for name in SERVERS]
        changed = [name for name in names if node.keeper.bring(name, None, check_mode)["changed"]]
    diff: dict[str, tuple[Optional[str], Optional[str]]] = {}
    for name in sorted({name for server in SERVERS.values() for name in server.files}):
        path = os.path.join(node.directory, name)
        text = _read(path)
        if text is not None:
            diff[path] = (text, None)
            if not check_mode:
                os.remove(path)
    if not check_mode and os.path.isdir(node.directory) and not os.listdir(node.directory):
        os.rmdir(node.directory)
    return _result(changed, diff, [])


def _units(node: Node, texts: Mapping[str, str], touched: Sequence[str], check_mode: bool, others: bool) -> list[str]:
    systemd = units.Systemd(node.run, node.unit_directory)
    steps = units.plan(systemd.have(list(texts), others), texts, [units.unit_name(name) for name in touched])
    if steps and not check_mode:
        systemd.apply(steps, texts)
    return list(dict.fromkeys([*steps.end, *steps.remove, *steps.write, *steps.enable, *steps.restart]))


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _result(changed: Sequence[str], diff: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    before = {path: "present" if old else "absent" for path, (old, _new) in diff.items()}
    after = {path: "present" if new else "absent" for path, (_old, new) in diff.items()}
    return {
        "changed": bool(changed or diff),
        "services": list(changed),
        "diff": {"before": {"files": before, "services": []}, "after": {"files": after, "services": list(changed)}},
        "targets": list(targets),
    }
