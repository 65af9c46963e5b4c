# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stays on the node without Ansible: the program that restores and applies, its dead-man timer, and its service at boot."""

from __future__ import annotations

import importlib
import io
import json
import sys
import uuid
import zipfile
from typing import Any, Dict, Mapping, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.measurement import utc_now
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host
from ansible_collections.datapath.lab.plugins.module_utils.nic.journal import Store

_PACKAGE = "ansible_collections.datapath.lab.plugins.module_utils"
_MODULES = (
    "errors",
    "command",
    "measurement",
    "nic.cpumask",
    "nic.host",
    "nic.model",
    "nic.irqmap",
    "nic.parse",
    "nic.irqbalance",
    "nic.read",
    "nic.policy",
    "nic.engine",
    "nic.journal",
    "nic.resident",
    "nic.tuning",
    "nic.cli",
)
_MAIN = f"import sys\nfrom {_PACKAGE}.nic.cli import main\nsys.exit(main(sys.argv[1:]))\n"
_UNIT = "datapath-lab-tuning.service"
_UNIT_PATH = f"/etc/systemd/system/{_UNIT}"


# The program


def program() -> bytes:
    """Return the program as one file that any python3 runs: this package's own sources, packed."""
    from ansible_collections.datapath.lab.plugins.module_utils.nic import cli

    files: Dict[str, str] = {"__main__.py": _MAIN}
    parts = cli.__name__.split(".")[:-1]
    for depth in range(1, len(parts) + 1):
        files["/".join(parts[:depth]) + "/__init__.py"] = ""
    for name in _MODULES:
        module = importlib.import_module(f"{_PACKAGE}.{name}")
        loader = module.__spec__.loader if module.__spec__ else None
        source = loader.get_source(module.__name__) if loader is not None and hasattr(loader, "get_source") else None
        if source is None:
            raise LabError(f"The source of {module.__name__} is not at hand, so the program that restores without Ansible cannot be made.")
        files[module.__name__.replace(".", "/") + ".py"] = source
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            # A fixed date: the same sources make the same bytes, so installing them again is no change.
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), files[path], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def program_path(store: Store) -> str:
    """Return where the program lies on the node."""
    return f"{store.directory}/tuning.pyz"


def _install(store: Store) -> str:
    path = program_path(store)
    store.host.install(path, program(), 0o700)
    return path


def _arguments(store: Store) -> Sequence[str]:
    return ["--directory", store.directory, "--journal", store.name]


# The dead-man timer


def arm(store: Store, seconds: int) -> Dict[str, Any]:
    """Start a timer on the node that restores unless it is disarmed before; returns what is needed to disarm it."""
    host = store.host
    token = uuid.uuid4().hex
    argv = [sys.executable or "/usr/bin/python3", _install(store), "deadman", *_arguments(store), "--token", token]
    state: Dict[str, Any] = {"token": token, "seconds": seconds, "armed": utc_now()}
    if _has_systemd(host) and store.name == "node":
        unit = f"datapath-lab-deadman-{token[:8]}"
        timer = ["systemd-run", "--collect", f"--unit={unit}", f"--on-active={seconds}", "--timer-property=AccuracySec=1s", *argv]
        host.command(timer, "arm the dead-man timer")
        return {**state, "unit": unit}
    # No systemd, or a network namespace, where a unit would run outside: a process of our own that sleeps.
    return {**state, "pid": host.spawn([*argv, "--wait", str(seconds)])}


def disarm(host: Host, deadman: Optional[Mapping[str, Any]]) -> None:
    """Stop a timer; one that has already fired or gone with a reboot is no error."""
    if not deadman:
        return
    if "unit" in deadman:
        unit = f"{deadman['unit']}.timer"
        if host.query(["systemctl", "is-active", "--quiet", unit]).rc == 0:
            host.command(["systemctl", "stop", unit], "disarm the dead-man timer")
        return
    # The number may belong to another process by now: the token in its command line tells.
    if deadman["token"] in host.read_or(f"/proc/{deadman['pid']}/cmdline"):
        host.terminate(int(deadman["pid"]))


def leave_words(store: Store, words: str) -> None:
    """Note what the dead-man timer did, for the controller that comes back."""
    store.host.install(f"{store.directory}/{store.name}.deadman.json", json.dumps({"at": utc_now(), "words": words}).encode())


def last_words(store: Store) -> str:
    """Return what the dead-man timer noted last, or nothing."""
    text = store.host.read_or(f"{store.directory}/{store.name}.deadman.json")
    if not text:
        return ""
    noted = json.loads(text)
    return f"the dead-man timer {noted['words']} at {noted['at']}."


# At boot


def _has_systemd(host: Host) -> bool:
    return host.exists("/run/systemd/system")


def require_persistence(host: Host) -> None:
    """Refuse persistence where nothing would apply it."""
    if not _has_systemd(host) or host.namespace() != "node":
        raise MissingCapabilityError(
            "Tuning cannot be kept over a reboot here: that needs systemd and a node of its own, not a network namespace."
        )


def _policy_path(store: Store) -> str:
    return f"{store.directory}/policy.json"


def persistent_policy(names: Sequence[str], wish: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the JSON form of what the node applies at boot."""
    return json.loads(json.dumps({"interfaces": list(names), "policy": {name: value for name, value in wish.items() if value is not None}}))


def persistent(host: Host, store: Store) -> Optional[Dict[str, Any]]:
    """Return what the node applies at boot; None for nothing."""
    text = host.read_or(_policy_path(store))
    return json.loads(text) if text and host.exists(_UNIT_PATH) else None


def persist(store: Store, policy: Mapping[str, Any]) -> None:
    """Have the node apply a policy at each boot."""
    host = store.host
    path = _install(store)
    host.install(_policy_path(store), (json.dumps(policy, indent=1, sort_keys=True) + "\n").encode())
    start = " ".join([sys.executable or "/usr/bin/python3", path, "apply", *_arguments(store), "--policy", _policy_path(store)])
    unit = (
        "[Unit]\n"
        "Description=Packet steering of datapath.lab\n"
        "Wants=network-online.target\n"
        "After=network-online.target irqbalance.service\n\n"
        "[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        f"ExecStart={start}\n\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )
    host.install(_UNIT_PATH, unit.encode())
    host.command(["systemctl", "daemon-reload"], "read the unit of the tuning")
    host.command(["systemctl", "enable", "--quiet", _UNIT], "enable the tuning at boot")


def unpersist(store: Store) -> None:
    """Have the node apply nothing at boot."""
    host = store.host
    if host.exists(_UNIT_PATH):
        host.command(["systemctl", "disable", "--quiet", _UNIT], "disable the tuning at boot")
        host.discard(_UNIT_PATH)
        host.command(["systemctl", "daemon-reload"], "forget the unit of the tuning")
    host.discard(_policy_path(store))
