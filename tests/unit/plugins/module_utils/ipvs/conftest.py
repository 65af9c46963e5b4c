# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kernel with IPVS and the ipvsadm on it, as far as the collection uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.apply import Node

TITLES = "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"


class FakeKernel:
    """Behaves like ipvsadm 1.31 with `-R`: goes on after a refused line, and its status is that of the last line.

    ``refuse`` holds lines that the kernel does not take; ``meddle`` is called before each load, as another process would be.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.table: Dict[str, List[Any]] = {}
        self.refuse: Dict[str, str] = {}
        self.meddle: Optional[Callable[[FakeKernel], None]] = None
        self.calls: List[List[str]] = []
        self.loads: List[str] = []
        (root / "net").mkdir(parents=True)
        (root / "sys/kernel").mkdir(parents=True)
        (root / "sys/kernel/osrelease").write_text("6.12.0-test\n", encoding="utf-8")
        self.show()

    def node(self) -> Node:
        return Node(self.run, proc=str(self.root), modules=str(self.root / "no-modules"))

    def show(self) -> None:
        rows = ["IP Virtual Server version 1.2.1 (size=4096)\n", TITLES]
        for _settings, destinations in self.table.values():
            rows.append("TCP  0A000001:7530 rr\n")
            rows.extend("  -> 0A010001:2710      Masq    1      0          0\n" for _destination in destinations)
        (self.root / "net/ip_vs").write_text("".join(rows), encoding="utf-8")

    def load(self, text: str) -> str:
        """Take the lines as `ipvsadm -R` does, unobserved, and return what it said."""
        return self.run(["ipvsadm", "-R"], stdin=text).stderr

    def run(self, argv: Sequence[str], stdin: Optional[str] = None, environ: Any = None) -> Completed:
        self.calls.append(list(argv))
        if list(argv[1:]) == ["-Sn"]:
            return Completed(tuple(argv), 0, "".join(self._saved()), "")
        if list(argv[1:]) == ["-Ln", "--thresholds"]:
            return Completed(tuple(argv), 0, self._thresholds(), "")
        assert list(argv[1:]) == ["-R"], argv
        assert stdin is not None
        self.loads.append(stdin)
        if self.meddle:
            self.meddle(self)
        said, status = "", 0
        for line in stdin.splitlines():
            complaint = self.refuse.get(line) or self._take(line)
            status = -1 if complaint else 0
            if complaint == "usage":
                return Completed(tuple(argv), 2, "", said + "illegal something specified\n")
            said += f"{complaint}\n" if complaint else ""
        self.show()
        return Completed(tuple(argv), status & 255, "", said)

    def _take(self, line: str) -> str:
        verb, _space, rest = line.partition(" ")
        designator, _space, destination = rest.partition(" -r ")
        if verb == "-C":
            self.table.clear()
        elif verb in ("-A", "-E"):
            designator, _space, settings = rest.partition(" -s ")
            if (designator in self.table) != (verb == "-E"):
                return "Service already exists" if verb == "-A" else "No such service"
            self.table.setdefault(designator, ["", {}])[0] = f"-s {settings}"
        elif designator not in self.table:
            return "No such service"
        elif verb == "-D":
            del self.table[designator]
        else:
            at, _space, settings = destination.partition(" ")
            if (at in self.table[designator][1]) != (verb in ("-e", "-d")):
                return "Destination already exists" if verb == "-a" else "No such destination"
            if verb == "-d":
                del self.table[designator][1][at]
            else:
                self.table[designator][1][at] = settings
        return ""

    def _saved(self) -> List[str]:
        rows = []
        for designator, (settings, destinations) in sorted(self.table.items()):
            rows.append(f"-A {designator} {settings}\n")
            rows.extend(f"-a {designator} -r {at} {own.partition(' -x ')[0]}\n" for at, own in sorted(destinations.items()))
        return rows

    def _thresholds(self) -> str:
        rows = ["IP Virtual Server version 1.2.1 (size=4096)\nProt\n  -> RemoteAddress:Port\n"]
        for designator, (_settings, destinations) in sorted(self.table.items()):
            option, _space, where = designator.partition(" ")
            rows.append(f"{ {'-t': 'TCP ', '-u': 'UDP ', '-f': 'FWM '}[option] } {where} rr\n")
            for at, own in sorted(destinations.items()):
                words = own.split()
                upper = words[words.index("-x") + 1] if "-x" in words else "0"
                lower = words[words.index("-y") + 1] if "-y" in words else "0"
                rows.append(f"  -> {at} {upper} {lower} 0 0\n")
        return "".join(rows)


@pytest.fixture
def kernel(tmp_path: Path) -> FakeKernel:
    """A kernel with an empty table."""
    return FakeKernel(tmp_path / "proc")
