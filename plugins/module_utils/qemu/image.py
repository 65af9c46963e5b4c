# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests' system: a Debian tree, made once, kept by the hash of what it is made from, never half built.

    CACHE/rootfs/KEY/           the unpacked tree; also the read-only lower layer of other roots
    CACHE/images/KEY/           disk.raw, and per kernel flavour vmlinuz and initrd; manifest.json is the mark of a finished build
    CACHE/building/KEY.XXXX/    a build under way; renamed into place when everything is there
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import lzma
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, MissingCapabilityError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import cpio

# Raised whenever this file makes something else from the same inputs.
RECIPE = 1
KERNEL_PACKAGES = {"cloud": "linux-image-cloud-amd64", "generic": "linux-image-amd64"}
# What the kernel needs before it can read its root disk.
EARLY_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
PROBE_MARKER = "datapath-lab-probe: guest is up"
# What a node writes to its console when its SSH server listens.
UP_MARKER = "datapath-lab: node is up"
# Measured: 450 MiB of tree, 560 MiB of disk image, and the packages while they are unpacked.
NEEDED_MIB = 2048

BASE_PACKAGES = (
    "busybox-static", "ethtool", "iproute2", "iputils-ping", "kmod", "openssh-server", "procps", "python3", "systemd", "systemd-sysv",
    "udev",
)
# Nothing of these is read on a node that only moves packets, and writing them costs a third of the build.
EXCLUDED_PATHS = (
    "/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*",
    *(
        f"/usr/lib/modules/*/kernel/{directory}/*"
        for directory in (
            "sound", "drivers/gpu", "drivers/hid", "drivers/iio", "drivers/infiniband", "drivers/input", "drivers/media",
            "drivers/net/wireless", "drivers/staging",
        )
    ),
)
# What every Debian starts and a node that only moves packets has no use for: half of an emulated boot.
MASKED_UNITS = (
    "dev-hugepages.mount", "dev-mqueue.mount", "getty-static.service", "modprobe@configfs.service", "modprobe@dm_mod.service",
    "modprobe@drm.service", "modprobe@efi_pstore.service", "modprobe@fuse.service", "modprobe@loop.service",
    "proc-sys-fs-binfmt_misc.automount", "proc-sys-fs-binfmt_misc.mount", "run-lock.mount", "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount", "systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-binfmt.service",
    "systemd-creds.socket", "systemd-hibernate-clear.service", "systemd-hostnamed.socket", "systemd-hwdb-update.service",
    "systemd-journal-flush.service", "systemd-pstore.service", "systemd-random-seed.service", "systemd-rfkill.socket",
    "systemd-sysext.socket", "systemd-tmpfiles-clean.timer", "systemd-udev-load-credentials.service",
    "systemd-update-utmp-runlevel.service", "systemd-update-utmp.service",
)
MASKED_GENERATORS = ("debug", "getty", "gpt-auto", "hibernate-resume", "rc-local", "run", "ssh", "system-update", "sysv", "tpm2")

SYSTEM_FILES: Mapping[str, str] = {
    "etc/fstab": "",
    "etc/hostname": "lab\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    # A node gets its own from its seed.
    "etc/machine-id": "",
    "etc/ssh/sshd_config.d/datapath-lab.conf": (
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        "UseDNS no\nPrintMotd no\nMaxSessions 64\nMaxStartups 64\n"
        # Every client comes from one address, and one that gave up on a slow guest shall not lock out the rest.
        "PerSourcePenalties no\n"
    ),
    # The journal of a disposable node is read while it runs; memory spares the emulated disk.
    "etc/systemd/journald.conf.d/datapath-lab.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\nAudit=no\n",
    "etc/systemd/system.conf.d/datapath-lab.conf": "[Manager]\nDefaultTimeoutStopSec=10s\n",
    # Debian's unit, but after the cards are named, and without the check of its own configuration.
    "etc/systemd/system/ssh.service": (
        "[Unit]\nDescription=OpenBSD Secure Shell server\nAfter=systemd-udev-trigger.service\n\n"
        "[Service]\nType=notify\nExecStart=/usr/sbin/sshd -D\n"
        f"ExecStartPost=/bin/sh -c 'echo {UP_MARKER} >/dev/console'\nExecReload=/bin/kill -HUP $MAINPID\nKillMode=process\nRestart=on-failure\n"
        # A load generator that is started over SSH opens more sockets than the 1024 files of the default.
        "LimitNOFILE=65536\n"
        "RuntimeDirectory=sshd\nRuntimeDirectoryMode=0755\n\n[Install]\nWantedBy=multi-user.target\n"
    ),
    # The devices that a guest has, in place of the hundreds of consoles and platform devices that it could have.
    "etc/systemd/system/systemd-udev-trigger.service.d/datapath-lab.conf": (
        "[Service]\nExecStart=\nExecStart=-/usr/bin/udevadm trigger --type=devices --action=add"
        + "".join(f" --subsystem-match={subsystem}" for subsystem in ("pci", "virtio", "net", "block", "misc"))
        + "\n"
    ),
    # A lab's network carries what an experiment sends and nothing else.
    "etc/sysctl.d/50-datapath-lab.conf": "net.ipv6.conf.default.accept_ra=0\nnet.ipv6.conf.default.autoconf=0\n",
}
SYSTEM_LINKS: Mapping[str, str] = {
    "etc/systemd/system/default.target": "/usr/lib/systemd/system/multi-user.target",
    "etc/systemd/system/multi-user.target.wants/ssh.service": "/etc/systemd/system/ssh.service",
    **{f"etc/systemd/system/{unit}": "/dev/null" for unit in MASKED_UNITS},
    **{f"etc/systemd/system-generators/systemd-{generator}-generator": "/dev/null" for generator in MASKED_GENERATORS},
}

# The whole of early user space: modules, root disk, the node's own files, and over to systemd.
INIT = f"""#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
case " $(busybox cat /proc/cmdline) " in
*" datapath_lab.probe "*)
    echo '{PROBE_MARKER}' >/dev/console
    busybox poweroff -f ;;
esac
for module in $(busybox cat /early-modules); do
    busybox insmod "$module"
done
tries=0
until [ -b /dev/vda ] || [ $tries -ge 200 ]; do
    tries=$((tries + 1))
    busybox usleep 50000
done
busybox mount -t ext4 -o noatime,noinit_itable /dev/vda /root || {{
    echo 'datapath-lab: the root disk /dev/vda cannot be mounted' >/dev/console
    busybox poweroff -f
}}
busybox cp -a /seed/. /root/
busybox umount /proc
busybox mount -o move /dev /root/dev
exec busybox switch_root /root /sbin/init
"""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the tree holds, except the day and the mirror."""

    suite: str
    packages: Tuple[str, ...]
    disk_gib: int

    def inputs(self) -> Dict[str, Any]:
        """Return what goes into the key."""
        return {
            "recipe": RECIPE, "suite": self.suite, "packages": list(self.packages), "disk_gib": self.disk_gib,
            "kernels": KERNEL_PACKAGES, "early_modules": EARLY_MODULES, "excluded": EXCLUDED_PATHS, "files": dict(SYSTEM_FILES),
            "links": dict(SYSTEM_LINKS), "init": INIT,
        }

    @property
    def key(self) -> str:
        """Return the name under which the finished tree and image are kept."""
        return hashlib.sha256(json.dumps(self.inputs(), sort_keys=True).encode()).hexdigest()[:16]


def recipe_of(suite: str, packages: Sequence[str], disk_gib: int) -> Recipe:
    """Return a recipe; refuse a package name that mmdebstrap would take for an option or a list."""
    for package in packages:
        if not package or not set(package) <= set("abcdefghijklmnopqrstuvwxyz0123456789.+-") or package[0] in "-+.":
            raise InvalidValueError(f"lab_packages holds {package!r}, which is not the name of a Debian package.")
    if not 1 <= disk_gib <= 256:
        raise InvalidValueError(f"lab_disk_gib must be from 1 to 256, not {disk_gib}.")
    return Recipe(suite, tuple(sorted({*packages, *BASE_PACKAGES, *KERNEL_PACKAGES.values()})), disk_gib)


@dataclass(frozen=True)
class Image:
    """A finished image in the cache."""

    key: str
    cache: Path

    @property
    def rootfs(self) -> Path:
        """The unpacked tree."""
        return self.cache / "rootfs" / self.key

    @property
    def directory(self) -> Path:
        """The disk and the kernels."""
        return self.cache / "images" / self.key

    @property
    def disk(self) -> Path:
        """The disk that every node's overlay stands on."""
        return self.directory / "disk.raw"

    @property
    def manifest(self) -> Path:
        """Written last; without it there is no image."""
        return self.directory / "manifest.json"

    @property
    def finished(self) -> bool:
        """Whether tree and image are complete."""
        return self.manifest.is_file() and self.rootfs.is_dir()

    def kernel(self, flavour: str) -> Path:
        """The kernel of a flavour."""
        return self.directory / flavour / "vmlinuz"

    def initrd(self, flavour: str) -> Path:
        """The initramfs of a flavour."""
        return self.directory / flavour / "initrd"

    def as_result(self) -> Dict[str, Any]:
        """Return what the module returns about a finished image."""
        manifest = json.loads(self.manifest.read_text())
        return {
            "key": self.key, "rootfs": str(self.rootfs), "disk": str(self.disk),
            "kernels": {
                flavour: {**data, "kernel": str(self.kernel(flavour)), "initrd": str(self.initrd(flavour))}
                for flavour, data in manifest["kernels"].items()
            },
            "built": manifest["built"], "build_seconds": manifest["build_seconds"], "archives": manifest["archives"],
        }


def module_files(modules_dep: str, builtin: str, wanted: Sequence[str]) -> List[str]:
    """Return the files of modules and all that they need, in the order in which they must be loaded.

    :param modules_dep: text of modules.dep. Sample: ``kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz``
    :param builtin: text of modules.builtin. Sample: ``kernel/drivers/block/virtio_blk.ko``
    :param wanted: names of modules.
    """

    def name_of(path: str) -> str:
        return path.rsplit("/", maxsplit=1)[-1].split(".ko", maxsplit=1)[0].replace("-", "_")

    needs: Dict[str, List[str]] = {}
    for line in modules_dep.splitlines():
        path, colon, rest = line.partition(":")
        if not colon:
            raise ParseError("modules.dep", "expected FILE: DEPENDENCIES on each line", line)
        needs[path] = rest.split()
    by_name = {name_of(path): path for path in needs}
    within = {name_of(path) for path in builtin.split()}
    ordered: List[str] = []
    for name in wanted:
        if name in within:
            continue
        if name not in by_name:
            raise MissingCapabilityError(
                f"The guests' kernel has no module {name}, which they need to start from their disk; choose another kernel package."
            )
        # depmod lists what must be loaded first last.
        for path in [*reversed(needs[by_name[name]]), by_name[name]]:
            if path not in ordered:
                ordered.append(path)
    return ordered


def initramfs(tree: Path, release: str) -> bytes:
    """Return the first root file system for a kernel of the tree.

    :param tree: root of the unpacked tree.
    :param release: the kernel's release, the name of its module directory.
    """
    modules = tree / "usr/lib/modules" / release
    entries: Dict[str, Tuple[int, bytes]] = {
        "init": (cpio.regular(0o755), INIT.encode()),
        "bin/busybox": (cpio.regular(0o755), (tree / "usr/bin/busybox").read_bytes()),
        "bin/sh": (cpio.SYMLINK, b"busybox"),
        "proc": (cpio.DIRECTORY, b""), "dev": (cpio.DIRECTORY, b""), "root": (cpio.DIRECTORY, b""), "seed": (cpio.DIRECTORY, b""),
    }
    paths = []
    for path in module_files((modules / "modules.dep").read_text(), (modules / "modules.builtin").read_text(), EARLY_MODULES):
        content = (modules / path).read_bytes()
        plain = path[: -len(".xz")] if path.endswith(".xz") else path
        entries[f"modules/{plain}"] = (cpio.regular(0o644), lzma.decompress(content) if plain != path else content)
        paths.append(f"/modules/{plain}")
    entries["early-modules"] = (cpio.regular(0o644), "".join(f"{path}\n" for path in paths).encode())
    return cpio.archive(entries)


def _fresh(path: Path) -> Path:
    """Make way for a file: its directory is there and nothing has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path


def flavour_of(release: str) -> str:
    """Return the flavour of a kernel release such as 6.12.107+deb13-cloud-amd64."""
    return "cloud" if "-cloud-" in release else "generic"


def mounts_below(directory: Path, mountinfo: str) -> List[str]:
    """Return what is mounted below a directory.

    :param mountinfo: text of /proc/self/mountinfo. Sample: ``36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw``
    """
    points = (line.split()[4] for line in mountinfo.splitlines() if len(line.split()) > 4)
    return [point for point in points if directory in Path(point).parents]


# What is mounted in the tree is mounted for the build alone, and a build whose module is killed ends with it.
CONFINED = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


class Builder:
    """Makes an image; only this changes the cache."""

    def __init__(self, run: Run, cache: Path, recipe: Recipe, mountinfo: Path = Path("/proc/self/mountinfo")) -> None:
        self._run = run
        self._mountinfo = mountinfo
        self._cache = cache
        self._recipe = recipe
        self.image = Image(recipe.key, cache)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one build at a time work in the cache; a second waits and then finds the work done."""
        self._cache.mkdir(parents=True, exist_ok=True)
        with (self._cache / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def build(self, archives: Sequence[str], proxy: Mapping[str, str]) -> None:
        """Build and move into place; a build that fails leaves nothing that looks finished.

        :param archives: deb lines.
        :param proxy: apt's proxy settings on the controller, by option name.
        """
        began = time.monotonic()
        self._sweep()
        building = self._cache / "building"
        building.mkdir(exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{self.image.key}.", dir=building))
        try:
            tree, result = work / "rootfs", work / "image"
            result.mkdir()
            self._bootstrap(tree, archives, proxy)
            self._configure(tree)
            kernels = self._kernels(tree, result)
            self._disk(tree, result / "disk.raw")
            manifest = {
                "inputs": self._recipe.inputs(), "archives": list(archives), "kernels": kernels,
                "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "build_seconds": round(time.monotonic() - began, 1),
            }
            (result / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
            self._install(tree, result)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what builds that were killed have left; the lock is held, so none of them still runs."""
        building = self._cache / "building"
        for leftover in building.iterdir() if building.is_dir() else ():
            mounted = mounts_below(leftover, self._mountinfo.read_text())
            if mounted:
                # Deleting through a bind mount would delete the machine's own files.
                raise LabError(
                    f"An interrupted build has left {mounted[0]} mounted; unmount it ('umount --recursive {leftover}') and run this again."
                )
            shutil.rmtree(leftover, ignore_errors=True)

    def _bootstrap(self, tree: Path, archives: Sequence[str], proxy: Mapping[str, str]) -> None:
        argv = [
            *CONFINED, "mmdebstrap", "--mode=root", "--variant=apt", "--architectures=amd64", "--skip=cleanup/apt/lists",
            '--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io",
            *(f'--aptopt={name} "{value}"' for name, value in sorted(proxy.items())),
            *(f"--dpkgopt=path-exclude={path}" for path in EXCLUDED_PATHS),
            f"--include={','.join(self._recipe.packages)}", self._recipe.suite, str(tree), *archives,
        ]
        # The initramfs is made here: Debian's own takes ten times as long to make and to start from.
        done = self._run(argv, environ={"INITRD": "No", "TMPDIR": str(tree.parent)})
        if done.rc != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))] or done.stderr.splitlines()
            raise LabError(f"mmdebstrap could not make the guests' system from {' and '.join(archives)}: {' '.join(lines[-3:])}")

    def _configure(self, tree: Path) -> None:
        # A node runs what an experiment starts on it: no service that a package has enabled stays so.
        for directory in [*(tree / "etc/systemd/system").glob("*.wants"), *(tree / "etc/systemd/system").glob("*.requires")]:
            shutil.rmtree(directory)
        for path, content in SYSTEM_FILES.items():
            _fresh(tree / path).write_text(content)
        for path, target in SYSTEM_LINKS.items():
            _fresh(tree / path).symlink_to(target)
        for key in (tree / "etc/ssh").glob("ssh_host_*"):
            key.unlink()

    def _kernels(self, tree: Path, result: Path) -> Dict[str, Dict[str, str]]:
        found: Dict[str, Dict[str, str]] = {}
        for directory in sorted((tree / "usr/lib/modules").iterdir()):
            release = directory.name
            flavour = flavour_of(release)
            (result / flavour).mkdir()
            shutil.copyfile(tree / "boot" / f"vmlinuz-{release}", result / flavour / "vmlinuz")
            (result / flavour / "initrd").write_bytes(initramfs(tree, release))
            version = self._run(["chroot", str(tree), "dpkg-query", "-W", "-f", "${Version}", f"linux-image-{release}"])
            found[flavour] = {"release": release, "package_version": version.require("look up the kernel's version").stdout.strip()}
        missing = sorted(set(KERNEL_PACKAGES) - set(found))
        if missing:
            raise LabError(
                f"The guests' system has no {missing[0]} kernel although {KERNEL_PACKAGES[missing[0]]} was installed; "
                "the archive may be half mirrored."
            )
        return found

    def _disk(self, tree: Path, disk: Path) -> None:
        # Lazy initialisation would run in each guest, in the midst of a measurement.
        argv = [
            "mke2fs", "-q", "-t", "ext4", "-L", "datapath-lab", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-N", "200000",
            "-d", str(tree), str(disk), f"{self._recipe.disk_gib}G",
        ]
        self._run(argv).require("write the guests' disk image")

    def _install(self, tree: Path, result: Path) -> None:
        for source, target in ((tree, self.image.rootfs), (result, self.image.directory)):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                shutil.rmtree(target)
            os.rename(source, target)


def proxy_settings(dump: str) -> Dict[str, str]:
    """Return apt's proxy options from the text of ``apt-config dump``.

    Sample: ``Acquire::http::Proxy "http://proxy.example:3128/";``
    """
    found = {}
    for line in dump.splitlines():
        name, _blank, value = line.partition(" ")
        # Exceptions for single hosts have the host's name behind: Acquire::http::Proxy::mirror.example "DIRECT".
        if name.startswith(("Acquire::http::Proxy", "Acquire::https::Proxy")) and value.startswith('"') and value.endswith('";'):
            found[name] = value[1:-2]
    return found


def free_bytes(path: Path) -> int:
    """Return the free space of the file system that will hold a path, which need not exist yet."""
    existing: Optional[Path] = path
    while existing is not None and not existing.exists():
        existing = existing.parent if existing.parent != existing else None
    return shutil.disk_usage(existing or "/").free
