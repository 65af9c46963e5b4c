# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the program that stays on the node: it works without Ansible and without the controller."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.module_utils.nic import resident, tuning
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host, subprocess_runner
from ansible_collections.datapath.lab.plugins.module_utils.nic.journal import DIRECTORY, Store
from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import Policy

# How long a dead-man timer waits for a tuning that holds the lock before it restores all the same.
_PATIENCE_S = 30.0


def main(arguments: Optional[Sequence[str]] = None, host: Optional[Host] = None) -> int:
    """Run one operation; returns the exit status."""
    parser = argparse.ArgumentParser(description="Restore, apply or show the packet steering of this node.")
    parser.add_argument("operation", choices=("restore", "apply", "deadman", "status"))
    parser.add_argument("--directory", default=DIRECTORY)
    parser.add_argument("--journal", default="")
    parser.add_argument("--policy")
    parser.add_argument("--token", default="")
    parser.add_argument("--wait", type=float, default=0.0)
    options = parser.parse_args(arguments)
    store = Store(host or Host(subprocess_runner()), options.directory, options.journal)
    try:
        if options.operation == "status":
            said = json.dumps(tuning.status(store), indent=1, sort_keys=True)
        elif options.operation == "restore":
            said = f"{len(tuning.restore(store).changes)} settings put back."
        elif options.operation == "apply":
            said = _at_boot(store, options.policy)
        else:
            said = _deadman(store, options.token, options.wait)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


def _at_boot(store: Store, policy_path: str) -> str:
    """Apply the policy again; a tuning that nobody had confirmed before the reboot is undone instead."""
    journal = store.load()
    if journal is not None and journal.deadman:
        restored = tuning.restore(store)
        resident.leave_words(store, f"put {len(restored.changes)} settings back at boot, since nobody had confirmed the tuning")
        return f"{len(restored.changes)} settings put back."
    wish = json.loads(store.host.read(policy_path))
    result = tuning.tune(store, wish["interfaces"], Policy.of(wish["policy"]), wish["policy"])
    return f"{len(result.changes)} settings changed."


def _deadman(store: Store, token: str, wait_s: float) -> str:
    time.sleep(wait_s)
    journal = store.load()
    if journal is None or not journal.deadman or journal.deadman["token"] != token:
        return "Nothing to do: the tuning was confirmed, or put back."
    try:
        restored = tuning.restore(store, patience_s=_PATIENCE_S)
    except LabError as error:
        resident.leave_words(store, f"could not restore ({error})")
        raise
    words = f"put {len(restored.changes)} settings back, since nobody confirmed the tuning"
    resident.leave_words(store, words)
    return words
