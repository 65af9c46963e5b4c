# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find what there is of a lab, and carry a plan out."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.netns import holder as holders
from ansible_collections.datapath.lab.plugins.module_utils.netns import state
from ansible_collections.datapath.lab.plugins.module_utils.netns.links import links_of
from ansible_collections.datapath.lab.plugins.module_utils.netns.model import Lab, Nic
from ansible_collections.datapath.lab.plugins.module_utils.netns.plan import (
    BRIDGE,
    Action,
    Configure,
    EndNode,
    HaveNode,
    Plug,
    StartNode,
    Unplug,
    alias_of,
    is_wire,
)

CARRIER_SECONDS = 10.0


def check_machine(want: Lab, find_program: Callable[[str], Optional[str]], effective_uid: int) -> None:
    """Raise when this machine cannot hold the lab; before anything is changed."""
    if effective_uid != 0:
        raise MissingCapabilityError(
            "The netns substrate needs root on this machine, since it makes namespaces and mounts: run the playbook as root."
        )
    for program, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
        if find_program(program) is None:
            raise MissingCapabilityError(
                f"The netns substrate needs the program {program!r}, which is not in PATH: install the package {package}."
            )
    if not os.path.isdir(want.rootfs):
        raise InvalidValueError(f"The nodes' root file system {want.rootfs!r} is not a directory: build it first, with role lab.")
    for path in ("usr/bin/python3", "bin/sh"):
        if not os.path.lexists(os.path.join(want.rootfs, path)):
            raise InvalidValueError(
                f"The nodes' root file system {want.rootfs!r} has no /{path}: it is not a finished Debian tree; "
                "build it again, with role lab."
            )


class NetnsLab:
    """One lab of namespaces on this machine."""

    def __init__(
        self, directory: state.StateDir, run: Run, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Keep where the records are and how commands are run."""
        self.directory = directory
        self.run = run
        self.clock = clock
        self.sleep = sleep
        self.holders: Dict[str, state.Holder] = {}

    def find(self) -> Dict[str, HaveNode]:
        """Return what there is: what was recorded, and what runs without a record."""
        self.holders = self.directory.read()
        # A holder without a record cannot come from us (it waits for its record); it is found all the same when the records were lost.
        for node, pid, start in state.marked(self.directory.base, self.directory.lab):
            if node not in self.holders or not self.holders[node].alive():
                self.holders[node] = state.Holder(self.directory.lab, node, pid, start, state.boot_id(), "")
        return {name: self._found(found) for name, found in self.holders.items()}

    def _found(self, found: state.Holder) -> HaveNode:
        if not found.alive():
            return HaveNode(False, found.rootfs, {})
        listing = self._inside(found.node, ["-j", "-d", "address", "show"], f"list the interfaces of node {found.node}")
        return HaveNode(True, found.rootfs, links_of(listing))

    def _inside(self, node: str, arguments: Sequence[str], purpose: str, stdin: Optional[str] = None) -> str:
        argv = ["nsenter", f"--net={self.holders[node].namespace('net')}", "--", "ip", *arguments]
        return self.run(argv, stdin=stdin).require(purpose).stdout

    def _batch(self, node: str, lines: Sequence[str], purpose: str) -> None:
        self._inside(node, ["-batch", "-"], purpose, stdin="\n".join(lines) + "\n")

    def carry_out(self, actions: Sequence[Action], want: Optional[Lab]) -> None:
        """Do what was planned."""
        for action in actions:
            if isinstance(action, EndNode):
                self._end(action.node)
            elif isinstance(action, StartNode):
                self._start(action, _required(want))
            elif isinstance(action, Unplug):
                self._unplug(action)
            elif isinstance(action, Plug):
                self._plug(action)
            else:
                self._configure(action)
        if want is None:
            self.directory.remove()
        elif actions:
            self._wait_for_carrier(want)

    def _wait_for_carrier(self, want: Lab) -> None:
        """Return when every wire carries packets: the kernel tells the bridge and the routes of a new carrier up to a second late."""
        deadline = self.clock() + CARRIER_SECONDS
        for node in (*want.nodes, *want.switches()):
            while True:
                listing = self._inside(node.name, ["-j", "-d", "address", "show"], f"list the interfaces of node {node.name}")
                down = [link.name for link in links_of(listing).values() if is_wire(link) and link.state != "UP"]
                if not down:
                    break
                if self.clock() > deadline:
                    raise LabError(
                        f"Card {down[0]} of {node.name} has no carrier {CARRIER_SECONDS:.0f} s after it was joined; run lab_up again."
                    )
                self.sleep(0.02)

    def _end(self, node: str) -> None:
        found = self.holders.pop(node)
        if found.alive():
            holders.end(found.pid, found.start)
        self.directory.forget(node)

    def _start(self, action: StartNode, want: Lab) -> None:
        os.makedirs(self.directory.root, mode=0o755, exist_ok=True)
        name = action.node.name
        wanted = holders.Start(
            want.name, name, want.rootfs, want.disk_mib, self.directory.root, state.mark(self.directory.base, want.name, name)
        )

        def record(pid: int, start: int) -> None:
            self.holders[name] = state.Holder(want.name, name, pid, start, state.boot_id(), want.rootfs)
            self.directory.write(self.holders[name])

        try:
            holders.start(wanted, record)
        except LabError:
            self.directory.forget(name)
            raise
        lines = ["link set lo up"]
        if action.switch:
            # A plain switch: it forwards at once and learns nothing about trees.
            lines += [f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0", f"link set {BRIDGE} up"]
        self._batch(name, lines, f"set up the first interfaces of {name}")

    def _unplug(self, action: Unplug) -> None:
        # The other end may have taken the whole wire with it.
        listing = self._inside(action.node, ["-j", "-d", "address", "show"], f"list the interfaces of node {action.node}")
        if action.nic in links_of(listing):
            self._batch(action.node, [f"link delete {action.nic}"], str(action))

    def _plug(self, action: Plug) -> None:
        peer = self.holders[action.node_b].namespace("net")
        self._batch(
            action.node_a, [f"link add {_veth_end(action.nic_a)} type veth peer {_veth_end(action.nic_b)} netns {peer}"], str(action)
        )
        self._batch(action.node_a, [f"link set {action.nic_a.name} alias '{alias_of(action.node_b, action.nic_b)}'"], str(action))
        self._batch(action.node_b, [f"link set {action.nic_b.name} alias '{alias_of(action.node_a, action.nic_a)}'"], str(action))

    def _configure(self, action: Configure) -> None:
        name = action.nic.name
        lines: List[str] = []
        if action.mtu:
            lines.append(f"link set {name} mtu {action.mtu}")
        lines += [f"address delete {address} dev {name}" for address in action.drop_addresses]
        lines += [f"address add {address} dev {name}" for address in action.add_addresses]
        if action.port:
            lines.append(f"link set {name} master {BRIDGE}")
        if action.up:
            lines.append(f"link set {name} up")
        self._batch(action.node, lines, str(action))


def _veth_end(nic: Nic) -> str:
    return f"name {nic.name} address {nic.mac} mtu {nic.mtu} numtxqueues {nic.queues} numrxqueues {nic.queues}"


def _required(want: Optional[Lab]) -> Lab:
    if want is None:
        raise LabError("A node can only be started for a lab that is wanted.")
    return want


def have_as_dict(have: Mapping[str, HaveNode]) -> Dict[str, Any]:
    """Return what was found as the ``before`` of a diff."""
    return {
        name: {
            "runs": node.alive,
            "cards": {
                link.name: {"addresses": sorted(link.addresses), "mtu": link.mtu, "queues": link.tx_queues, "mac": link.mac}
                for link in node.links.values()
                if is_wire(link)
            },
        }
        for name, node in sorted(have.items())
    }


def want_as_dict(want: Optional[Lab]) -> Dict[str, Any]:
    """Return what is wanted as the ``after`` of a diff, in the form of :func:`have_as_dict`."""
    if want is None:
        return {}
    return {
        node.name: {
            "runs": True,
            "cards": {
                nic.name: {"addresses": sorted(nic.addresses), "mtu": nic.mtu, "queues": nic.queues, "mac": nic.mac} for nic in node.nics
            },
        }
        for node in sorted((*want.nodes, *want.switches()), key=lambda node: node.name)
    }
