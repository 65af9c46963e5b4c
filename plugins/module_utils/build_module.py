# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules that build from Debian's sources share: their options, the cache, and the form of their result."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Union

from ansible.module_utils.facts.system.distribution import Distribution
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.kernel_build import (
    Ipvsadm,
    IpvsModules,
    Patch,
    Workshop,
    check_builder,
    place_of,
)
from ansible_collections.datapath.lab.plugins.module_utils.qemu.image import free_bytes

Work = Union[IpvsModules, Ipvsadm]
PATCH = {"name": {"type": "str", "required": True}, "text": {"type": "str", "required": True}}


def spec(own: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the argument spec: a module's own options and those of the documentation fragment ``build``."""
    return {
        **own,
        "patches": {"type": "list", "elements": "dict", "default": [], "options": PATCH},
        "cache_dir": {"type": "path", "required": True},
        "suite": {"type": "str", "default": "trixie"},
        "mirror": {"type": "str"},
    }


def build(module: Any, work_of: Callable[[Workshop, Mapping[str, Any], List[Patch]], Work], files_of: Callable[[Path], Mapping[str, Any]]) -> None:
    """Find the build in the cache or make it, and end the module.

    :param work_of: returns what is to be built, of the workshop, the module's parameters and the patches.
    :param files_of: returns what the module's result says of the directory that holds the build.
    """
    given, run = module.params, runner_of(module)
    cache = Path(given["cache_dir"])
    workshop = Workshop(run, cache)
    try:
        work = work_of(workshop, given, [Patch(**patch) for patch in given["patches"]])
        manifest = workshop.finished(work.inputs)
        changed = manifest is None
        if changed:
            check_builder(os.geteuid(), module.get_bin_path("mmdebstrap"), free_bytes(cache) // 1024**2, cache)
        if changed and not module.check_mode:
            host = Distribution(module).get_distribution_facts()
            place = place_of(run, given["suite"], given["mirror"], host["distribution"].lower(), host["distribution_release"])
            with workshop.lock():
                # Another run may have built it while this one waited.
                manifest = workshop.finished(work.inputs) or work.build(place)
    except LabError as error:
        module.fail_json(msg=str(error))
    directory = workshop.directory(work.inputs)
    result = {"key": directory.name, "directory": str(directory), "finished": manifest is not None, **files_of(directory)}
    if manifest is not None:
        result["build"] = {name: value for name, value in manifest.items() if name != "inputs"}
    diff = {"before": "" if changed else f"{directory.name}\n", "after": f"{directory.name}\n"}
    module.exit_json(changed=changed, diff=diff, **result)
