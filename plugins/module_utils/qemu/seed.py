# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that make a node this node: name, addresses, keys. They reach it as a second archive behind its initramfs."""

from __future__ import annotations

import hashlib
from typing import Dict, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.qemu import cpio
from ansible_collections.datapath.lab.plugins.module_utils.qemu.spec import MANAGEMENT_NETWORK, Node, management_mac

MANAGEMENT_ADDRESS = str(MANAGEMENT_NETWORK[15])
MANAGEMENT_HOST = str(MANAGEMENT_NETWORK[2])


def _rules(mac: str, interface: str, address: str | None) -> str:
    """Return the udev rule that names a card and brings it up, at boot and whenever its driver is loaded again."""
    own = [f"address replace {address} dev {interface}"] if address else []
    steps = [f"link set {interface} addrgenmode none", *own, f"link set {interface} up"]
    run = "".join(f', RUN+="/usr/sbin/ip {step}"' for step in steps)
    # Only the card itself: a bridge or a macvlan on it may have its hardware address.
    return f'ACTION=="add", SUBSYSTEM=="net", SUBSYSTEMS=="pci", ATTR{{address}}=="{mac}", NAME="{interface}"{run}\n'


def files(lab: str, node: Node, authorized_key: str, host_key: str, host_key_public: str) -> Dict[str, Tuple[int, bytes]]:
    """Return a node's own files by path.

    :param lab: name of the lab.
    :param node: the node.
    :param authorized_key: the lab's public key.
    :param host_key: the node's private host key.
    :param host_key_public: its public half.
    """
    rules = [_rules(management_mac(lab, node.index), "mgmt0", f"{MANAGEMENT_ADDRESS}/{MANAGEMENT_NETWORK.prefixlen}")]
    rules += [_rules(nic.mac, nic.interface, nic.address) for nic in node.nics]
    entries = {
        "etc/hostname": (0o644, f"{node.name}\n"),
        "etc/hosts": (0o644, f"127.0.0.1 localhost\n127.0.1.1 {node.name}\n::1 localhost\n"),
        "etc/machine-id": (0o444, hashlib.sha256(f"{lab}/{node.name}".encode()).hexdigest()[:32] + "\n"),
        "etc/ssh/ssh_host_ed25519_key": (0o600, host_key),
        "etc/ssh/ssh_host_ed25519_key.pub": (0o644, host_key_public),
        "etc/udev/rules.d/85-datapath-lab.rules": (0o644, "".join(rules)),
        "root/.ssh/authorized_keys": (0o600, authorized_key),
    }
    return {path: (mode, text.encode()) for path, (mode, text) in entries.items()}


def archive(entries: Dict[str, Tuple[int, bytes]]) -> bytes:
    """Return the archive that puts these files under /seed, from where the initramfs copies them over the root disk."""
    members: Dict[str, Tuple[int, bytes]] = {f"seed/{path}": (cpio.regular(mode), content) for path, (mode, content) in entries.items()}
    # sshd refuses keys in a directory that others may write to.
    members["seed/root"] = (cpio.DIRECTORY & ~0o077, b"")
    members["seed/root/.ssh"] = (cpio.DIRECTORY & ~0o077, b"")
    return cpio.archive(members)
