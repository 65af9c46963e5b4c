# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading and changing the node's IPVS table; the only part of this package that touches the node.

What ipvsadm 1.31 does with `-R` decides how: it takes the lines of every command, `-C`, `-D`, `-d`, `-E` and `-e` included, so that one
process makes any change; after a line that the kernel refuses it goes on and its exit status is that of the *last* line; it prints
the reason without the line. So a load is good only if nothing was printed and the kernel counts what was predicted, and a refused
line is found by reading the table again.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed, Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.declare import table_of
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.model import SCHEDULERS, Rule, Table, counts
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.parse import kernel_counts, saved_table, threshold_options, with_thresholds
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.plan import Plan, difference, plan


@dataclass(frozen=True)
class Node:
    """Where to look and what to run: the runner, the binary and the roots of the kernel's file systems."""

    run: Run
    ipvsadm: str = "ipvsadm"
    proc: str = "/proc"
    modules: str = "/lib/modules"

    def has_ipvs(self) -> bool:
        """Tell whether ip_vs is in force on this node."""
        return os.path.exists(f"{self.proc}/net/ip_vs")

    def require_ipvs(self, load_module: bool) -> None:
        """Make sure that the kernel has IPVS.

        :param load_module: whether to load ip_vs if it is not.
        :raises MissingCapabilityError: if it is not in force afterwards.
        """
        if self.has_ipvs():
            return
        if not load_module:
            raise MissingCapabilityError(
                "This node's kernel has no IPVS in force (/proc/net/ip_vs is missing); load the module ip_vs, or set load_module to true. "
                "Without it every experiment with IPVS is ruled out."
            )
        done = self.run(["modprobe", "ip_vs"])
        if done.rc != 0 or not self.has_ipvs():
            raise MissingCapabilityError(
                f"This node's kernel has no IPVS and the module ip_vs cannot be loaded: {_last_words(done)} "
                "Without it every experiment with IPVS is ruled out."
            )

    def schedulers(self) -> FrozenSet[str]:
        """Return the schedulers that this kernel offers: those in its modules' directory, else the known ones, and what is loaded."""
        release = (read(f"{self.proc}/sys/kernel/osrelease") or "").strip()
        installed = [read(f"{self.modules}/{release}/{name}") or "" for name in ("modules.dep", "modules.builtin")]
        loaded = read(f"{self.proc}/modules") or ""
        return (schedulers_in("\n".join(installed)) or frozenset(SCHEDULERS)) | schedulers_in(loaded)

    def table(self, thresholds: bool) -> Table:
        """Return the present table.

        :param thresholds: whether the destinations' thresholds are read too, which costs a second listing.
        """
        table = saved_table(self.run([self.ipvsadm, "-Sn"]).require("list the IPVS services").stdout)
        if not thresholds or not any(rule.destinations for rule in table.values()):
            return table
        shown = self.run([self.ipvsadm, "-Ln", "--thresholds"]).require("list the IPVS thresholds").stdout
        return with_thresholds(table, threshold_options(shown))

    def restore(self, commands: Sequence[str]) -> Completed:
        """Give the lines to one `ipvsadm -R`."""
        return self.run([self.ipvsadm, "-R"], stdin="".join(f"{line}\n" for line in commands))

    def counted(self) -> Tuple[int, int]:
        """Return the kernel's own number of services and destinations."""
        return kernel_counts(read(f"{self.proc}/net/ip_vs") or "")


# In modules.dep and modules.builtin a path ends with .ko, perhaps compressed; in /proc/modules the bare name begins the line.
_MODULE = re.compile(r"(?:^|/)ip_vs_(\w+)(?:\.ko(?:\.\w+)?:?| [0-9]+ .*)(?: |$)", re.MULTILINE | re.ASCII)
_NO_SCHEDULERS = frozenset(("ftp", "pe_sip"))


def schedulers_in(text: str) -> FrozenSet[str]:
    """Return the schedulers among the modules that modules.dep, modules.builtin or /proc/modules name.

    A sample of each::

        kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz
        kernel/net/netfilter/ipvs/ip_vs_rr.ko
        ip_vs_rr 12288 3 - Live 0xffffffffc0a41000
    """
    return frozenset(_MODULE.findall(text)) - _NO_SCHEDULERS


def change(node: Node, have: Table, planned: Plan, thresholds: bool) -> None:
    """Carry out a plan: all of it, or the table stays as it was.

    :param have: the table that the plan was made for.
    :param thresholds: whether ``have`` holds the thresholds.
    :raises CommandError: if the kernel refused a line; the former table is back then, or the message says what is not.
    """
    done = node.restore(planned.commands)
    wanted = counts(planned.predicted)
    if done.rc == 0 and not done.stderr.strip() and node.counted() == wanted:
        return
    now = node.table(thresholds)
    refused = first_refused(planned.commands, now, planned.predicted)
    if refused is None and now == planned.predicted:
        return
    raise CommandError(f"{_refusal(planned.commands, refused, done)} {_put_back(node, have, now, thresholds)}")


def first_refused(commands: Sequence[str], now: Mapping[str, Rule], predicted: Mapping[str, Rule]) -> Optional[int]:
    """Return the index of the first line whose effect is not in the table, ``None`` if each one's is."""
    for index, line in enumerate(commands):
        verb, _space, rest = line.partition(" ")
        designator, _space, at = rest.partition(" -r ")
        if verb in ("-A", "-E"):
            designator = rest.partition(" -s ")[0]
            good = designator in now and now[designator].settings == predicted[designator].settings
        elif verb in ("-a", "-e"):
            at = at.partition(" ")[0]
            good = designator in now and now[designator].destinations.get(at) == predicted[designator].destinations[at]
        elif verb == "-d":
            good = designator not in now or at not in now[designator].destinations
        elif verb == "-D":
            good = designator not in now
        else:
            good = all(designator in predicted for designator in now)
        if not good:
            return index
    return None


def _refusal(commands: Sequence[str], refused: Optional[int], done: Completed) -> str:
    """Return the sentence that says which line was refused and why."""
    said = done.stderr.strip().splitlines()
    reason = said[0].rstrip(" .") if said else f"it ended with status {done.rc} and gave no reason"
    if refused is None:
        return f"The IPVS table is not the declared one after 'ipvsadm -R': somebody else changes it at the same time ({reason})."
    return f"'ipvsadm -R' refused line {refused + 1} of {len(commands)}, '{commands[refused]}': {reason}."


def _put_back(node: Node, have: Table, now: Table, thresholds: bool) -> str:
    """Restore the former table and return the sentence that says so."""
    services, destinations = counts(have)
    undo = plan(now, have, "exact")
    if undo:
        done = node.restore(undo.commands)
        try:
            back = node.table(thresholds) == have
        except LabError:
            back = False
        if not back:
            return f"The former table of {services} services and {destinations} destinations could not be put back: {_last_words(done)}"
    return f"Nothing was loaded: the former table of {services} services and {destinations} destinations is in force."


def _last_words(done: Completed) -> str:
    """Return what a tool said last, as a sentence."""
    said = (done.stderr.strip() or done.stdout.strip() or f"status {done.rc}").splitlines()[-1]
    return said if said.endswith(".") else f"{said}."


def read(path: str) -> Optional[str]:
    """Return a file's text, ``None`` if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def ensure(node: Node, params: Mapping[str, Any], check_mode: bool, with_diff: bool) -> Dict[str, Any]:
    """Bring the table to the declared state, or say what that would change.

    :param params: the options of the module ipvs_services, as it documents them.
    :param check_mode: whether to change nothing.
    :param with_diff: whether to add the diff, which costs time for a large table.
    :returns: the module's result but for its duration.
    :raises LabError: before anything was changed, or after the former table was put back.
    """
    want = table_of(params["services"], params["ranges"], node.schedulers())
    thresholds = params["thresholds"]
    settings = (text for rule in want.values() for text in rule.destinations.values())
    if not thresholds and any(" -x " in text or " -y " in text for text in settings):
        raise InvalidValueError("Thresholds are declared although thresholds is false; leave them out, or set thresholds to true.")
    if check_mode and params["load_module"] and not node.has_ipvs():
        have: Table = {}
    else:
        node.require_ipvs(params["load_module"])
        have = node.table(thresholds)
    planned = plan(have, want, params["state"], params["clear"])
    if planned and not check_mode:
        change(node, have, planned, thresholds)
    services, destinations = counts(planned.predicted)
    result: Dict[str, Any] = {
        "changed": bool(planned),
        "services": services,
        "destinations": destinations,
        "added": planned.added.as_dict(),
        "modified": planned.changed.as_dict(),
        "removed": planned.removed.as_dict(),
        "lines": len(planned.commands),
    }
    if with_diff:
        result["diff"] = difference(have, planned.predicted)
    return result
