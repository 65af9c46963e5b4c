# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tuning modules share: their common options, and the way from options to a result."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError
from ansible_collections.datapath.lab.plugins.module_utils.nic import tuning
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host
from ansible_collections.datapath.lab.plugins.module_utils.nic.journal import DIRECTORY, Store
from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import Policy
from ansible_collections.datapath.lab.plugins.module_utils.nic.read import ATTRIBUTES

JOURNAL: Dict[str, Any] = {"journal_directory": {"type": "path", "default": DIRECTORY}}
COMMON: Dict[str, Any] = {
    **JOURNAL,
    "lenient": {"type": "bool", "default": False},
    "confirm_within": {"type": "int", "default": 0},
}
# The options of the documentation fragment "steering".
STEERING: Dict[str, Any] = {
    "rps": {"type": "str", "choices": ["off", "all_but_irq", "numa", "mask"]},
    "rps_mask": {"type": "str"},
    "rfs": {"type": "int"},
    "rfs_flow_count": {"type": "int"},
    "xps": {"type": "str", "choices": ["off", "one_per_queue", "rxqs", "list"]},
    "xps_cpus": {"type": "list", "elements": "str"},
    "cpus": {"type": "str"},
    "threaded": {"type": "bool"},
    "backlog": {"type": "int"},
}


def host_of(module: Any) -> Host:
    """Return the node on which a module runs."""
    return Host(runner_of(module))


def store_of(module: Any) -> Store:
    """Return the node's journal."""
    return Store(host_of(module), module.params["journal_directory"])


def plain(values: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """Read ethtool parameters as a playbook or a command line gives them: rx_usecs is rx-usecs, 'on' is true, '3' is 3."""
    found: Dict[str, Any] = {}
    for name, value in (values or {}).items():
        text = str(value).strip().lower()
        if isinstance(value, bool) or text in ("on", "off", "yes", "no", "true", "false"):
            found[name.replace("_", "-")] = boolean(value)
        elif text.isdigit():
            found[name.replace("_", "-")] = int(text)
        elif text == "max":
            found[name.replace("_", "-")] = text
        else:
            raise InvalidValueError(
                f"{name} cannot be {value!r}: allowed are whole numbers, true, false and, where there is a maximum, 'max'."
            )
    return found


def switches(values: Optional[Mapping[str, Any]]) -> Dict[str, bool]:
    """Read offloads that are switched on or off; names stay as ethtool has them."""
    found: Dict[str, bool] = {}
    for name, value in (values or {}).items():
        try:
            found[name] = boolean(value)
        except TypeError as error:
            raise InvalidValueError(f"feature {name} cannot be {value!r}: allowed are true and false.") from error
    return found


def given(params: Mapping[str, Any], *names: str) -> Dict[str, Any]:
    """Return the options among these that were given."""
    return {name: params[name] for name in names if params[name] is not None}


def attributes(params: Mapping[str, Any]) -> Dict[str, int]:
    """Return the settings that every device has in sysfs, of those that were given."""
    return {name: int(value) for name, value in given({name: params.get(name) for name in ATTRIBUTES}, *ATTRIBUTES).items()}


def steering(params: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the part of a policy that the options of STEERING make."""
    return given(params, "rps", "rps_mask", "rfs", "rfs_flow_count", "xps", "xps_cpus", "cpus", "backlog")


def irq_wish(policy: str, cpus: Optional[str]) -> Dict[str, Any]:
    """Return the part of a policy that places interrupts."""
    if policy == "cpu0":
        return {"rss": "cpu0"}
    return {"irq": policy, "irq_cpus" if policy == "list" else "cpus": cpus}


def tune(module: Any, names: Sequence[str], wish: Mapping[str, Any], persistent: Optional[bool] = None) -> Dict[str, Any]:
    """Bring devices to a policy as a module does it, and return the module's result."""
    params = module.params
    if not 0 <= params["confirm_within"] <= 86400:
        raise InvalidValueError(f"confirm_within cannot be {params['confirm_within']}: allowed are 0 (no timer) to 86400 seconds.")
    full = {**wish, "lenient": params["lenient"]}
    result = tuning.tune(store_of(module), list(names), Policy.of(full), full, module.check_mode, params["confirm_within"], persistent)
    return as_result(result)


def as_result(result: tuning.Result) -> Dict[str, Any]:
    """Return the JSON form of what was done."""
    return {
        "changed": result.changed,
        "changes": [change.as_dict() for change in result.changes],
        "notes": list(result.notes),
        "diff": result.diff(),
        "deadman": result.deadman,
    }
