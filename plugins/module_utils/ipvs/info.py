# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node's IPVS is and holds, as facts."""

from __future__ import annotations

import os
import struct
from typing import Any, Dict, Optional, Union

from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.apply import Node, read
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.model import Table, counts
from ansible_collections.datapath.lab.plugins.module_utils.ipvs.parse import entries, header, kernel_counts, statistics


def gather(node: Node, table: bool, with_statistics: bool, sys_root: str = "/sys") -> Dict[str, Any]:
    """Return the facts that the module ipvs_info documents.

    :param table: whether to list the services with ipvsadm; without it only the kernel's files are read.
    :param with_statistics: whether to add each service's and destination's counters, at the cost of a second listing.
    """
    text = read(f"{node.proc}/net/ip_vs")
    if text is None:
        return {"available": False, "schedulers": sorted(node.schedulers())}
    head = header(text)
    services, destinations = kernel_counts(text)
    facts: Dict[str, Any] = {
        "available": True,
        "version": head.version,
        "connection_table_size": head.connection_table_size,
        "connections": connections(read(f"{node.proc}/net/ip_vs_conn") or ""),
        "services": services,
        "destinations": destinations,
        **module(f"{sys_root}/module/ip_vs"),
        "sysctls": sysctls(f"{node.proc}/sys/net/ipv4/vs"),
        "schedulers": sorted(node.schedulers()),
    }
    if table:
        listed: Table = node.table(thresholds=True)
        figures = None
        if with_statistics:
            shown = node.run([node.ipvsadm, "-Ln", "--stats", "--exact"]).require("list the IPVS statistics").stdout
            figures = statistics(shown)
        facts["table"] = entries(listed, figures)
        facts["services"], facts["destinations"] = counts(listed)
    return facts


def module(root: str) -> Dict[str, Optional[str]]:
    """Return what tells one build of ip_vs from another: checksum of its sources, identity of the build, and how it taints the kernel.

    Debian's own module has no checksum, and its taint is empty; one built outside the kernel's tree has ``O``.
    """
    taint = read(f"{root}/taint")
    return {
        "srcversion": (read(f"{root}/srcversion") or "").strip() or None,
        "build_id": build_id(f"{root}/notes/.note.gnu.build-id"),
        "taint": None if taint is None else taint.strip(),
    }


def build_id(path: str) -> Optional[str]:
    """Return the identity from an ELF note: sizes of name and value, type, name padded to four bytes, value."""
    try:
        with open(path, "rb") as file:
            note = file.read()
    except OSError:
        return None
    name, value = struct.unpack_from("=II", note) if len(note) >= 12 else (0, 0)
    start = 12 + (name + 3) // 4 * 4
    return note[start : start + value].hex() or None


def connections(text: str) -> int:
    """Return the number of entries in /proc/net/ip_vs_conn.

    A sample::

        Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
        TCP C6120001 D3B4 0A000001 7530 0A010001 2710 ESTABLISHED     897

    :raises ParseError: if the titles are others.
    """
    rows = text.splitlines()
    if rows and not rows[0].startswith("Pro FromIP"):
        raise ParseError("/proc/net/ip_vs_conn", "expected a line of column titles that begins with 'Pro FromIP'", text)
    return sum(1 for row in rows[1:] if row.strip())


def sysctls(root: str) -> Dict[str, Union[int, str]]:
    """Return every readable setting under net.ipv4.vs, numbers as integers."""
    found: Dict[str, Union[int, str]] = {}
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
        text = read(f"{root}/{name}")
        if text is not None:
            value = text.strip()
            found[name] = int(value) if value.lstrip("-").isdigit() else value
    return found
