# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller must have for an embedded lab, and where it comes from."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.qemu.accelerator import MIN_QEMU_EMULATED, parse_qemu_version
from ansible_collections.datapath.lab.plugins.module_utils.qemu.guest import QEMU
from ansible_collections.datapath.lab.plugins.module_utils.qemu.mirror import INDEXTARGETS, Source, parse_indextargets

# What proves that a package is there: a command, or a file.
EVIDENCE = {
    QEMU: "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
SUPPORTED = "Debian 12 or newer and Ubuntu LTS from 24.04"
BACKPORTS = {"12": "bookworm-backports"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Host:
    """The controller as it is. ``distribution``: "debian"; ``version``: "12"; ``qemu``: None without; ``sources``: of its apt."""

    distribution: str
    version: str
    codename: str
    missing: Tuple[str, ...]
    qemu: Optional[Tuple[int, ...]]
    sources: Tuple[Source, ...]


@dataclass(frozen=True)
class Plan:
    """What must be installed: ``packages``, from ``release`` (None: the default one), for which ``source`` must be added (deb822)."""

    packages: Tuple[str, ...]
    release: Optional[str]
    source: Optional[str]

    def as_dict(self) -> Dict[str, Any]:
        """Return the form that the module returns."""
        return {"packages": list(self.packages), "release": self.release, "source": self.source}


def parse_os_release(text: str) -> Dict[str, str]:
    """Read /etc/os-release.

    Sample: ``ID=debian`` and ``VERSION_ID="12"``, one on a line.
    """
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _equals, value in pairs}


def check_supported(distribution: str, version: str) -> None:
    """Refuse a distribution whose packages are not known."""
    major = version.split(".", maxsplit=1)[0]
    number = int(major) if major.isdigit() else None
    # Debian's testing has no VERSION_ID: it is newer than every release.
    if distribution == "debian" and (number is None or number >= 12):
        return
    if distribution == "ubuntu" and number is not None and number >= 24:
        return
    raise MissingCapabilityError(
        f"The embedded lab runs on {SUPPORTED}; this machine has {distribution or 'an unknown system'} {version}: "
        "use an inventory of real hosts or of namespaces here."
    )


def plan(host: Host) -> Plan:
    """Return what the controller lacks; nothing but values, so that every distribution is tested on any.

    :param host: the controller.
    """
    check_supported(host.distribution, host.version)
    packages = {EVIDENCE[evidence] for evidence in host.missing}
    # Debian 12's own QEMU is one under which emulated guests panic.
    backports = BACKPORTS.get(host.version) if host.distribution == "debian" else None
    if backports and host.qemu is not None and host.qemu[0] < MIN_QEMU_EMULATED:
        packages.update(("qemu-system-x86", "qemu-utils"))
    release = backports if packages & {"qemu-system-x86", "qemu-utils"} else None
    source = None
    if release and not any(each.suite == release for each in host.sources):
        uri = next((each.uri for each in host.sources if each.suite == host.codename and each.component == "main"), None)
        if uri is None:
            raise MissingCapabilityError(
                f"The apt configuration names no archive for {host.codename} main, so QEMU {MIN_QEMU_EMULATED} cannot be had "
                f"from {release}; add it there."
            )
        source = f"Types: deb\nURIs: {uri}\nSuites: {release}\nComponents: main\nSigned-By: {KEYRING}\n"
    return Plan(tuple(sorted(packages)), release, source)


def look(run: Run, root: Path = Path("/"), which: Callable[[str], Optional[str]] = shutil.which) -> Host:
    """Look at the controller.

    :param run: runs a command.
    :param root: where its file system begins.
    :param which: finds a command.
    """
    path = root / "etc/os-release"
    release = parse_os_release(path.read_text()) if path.is_file() else {}
    distribution = release.get("ID", "")
    check_supported(distribution, release.get("VERSION_ID", ""))
    missing = [name for name in EVIDENCE if not ((root / name[1:]).exists() if name.startswith("/") else which(name))]
    qemu = None if QEMU in missing else parse_qemu_version(run([QEMU, "--version"]).require("ask QEMU for its version").stdout)
    sources = parse_indextargets(run(list(INDEXTARGETS)).require("read apt's configuration").stdout)
    return Host(
        distribution, release.get("VERSION_ID", ""), release.get("VERSION_CODENAME", ""), tuple(missing), qemu, tuple(sources)
    )


def check_kernel(root: Path = Path("/"), euid: Optional[int] = None) -> None:
    """Refuse a controller on which no lab can be made, before anything is changed.

    :param root: where its file system begins.
    :param euid: the user, by default the one who runs this.
    """
    if (os.geteuid() if euid is None else euid) != 0:
        raise MissingCapabilityError(
            "The embedded lab makes network namespaces, taps and a system image, for which it must be run as root: "
            "add --become or use sudo."
        )
    if not (root / "proc/self/ns/net").exists():
        raise MissingCapabilityError(
            "This kernel has no network namespaces (CONFIG_NET_NS), which the lab's data network needs; use an inventory of real hosts."
        )
    if not (root / "dev/net/tun").exists():
        raise MissingCapabilityError(
            "This machine has no /dev/net/tun (CONFIG_TUN, module tun), which the guests' data network needs; load the module, "
            "or give the container the device."
        )
