# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build patched Debian sources at native speed, in a Debian tree of the node's release, and keep what was built.

    CACHE/build/toolchain/KEY/      a Debian tree with compiler, headers and sources
    CACHE/build/done/KEY/           what was built; manifest.json is the mark of a finished build
    CACHE/build/unfinished/KEY.XXXX/

A key is the hash of everything that decides what comes out: the same inputs find the finished build, others never do.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.qemu.image import proxy_settings
from ansible_collections.datapath.lab.plugins.module_utils.qemu.mirror import INDEXTARGETS, archive_lines, parse_indextargets

# Raised whenever this file makes something else from the same inputs.
RECIPE = 1
# Measured: 740 MiB of tree for a kernel, 420 MiB for ipvsadm, the packages while they are unpacked, and what is built.
NEEDED_MIB = 2048
IPVS_PATHS = ("net/netfilter/ipvs", "include/net/ip_vs.h", "include/uapi/linux/ip_vs.h")
COMPILER_PACKAGES = ("dpkg-dev", "gcc", "libc6-dev", "make", "patch", "xz-utils")
IPVSADM_PACKAGES = (*COMPILER_PACKAGES, "libnl-3-dev", "libnl-genl-3-dev", "libpopt-dev", "pkgconf")


@dataclass(frozen=True)
class Patch:
    """A patch: its file name and its text."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """The hash of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def paths(self) -> Tuple[str, ...]:
        """The files that it changes, without the first component.

        Sample: ``+++ b/net/netfilter/ipvs/ip_vs_ctl.c``
        """
        found = re.findall(r"^(?:---|\+\+\+) [^/\s]+/(\S+)", self.text, re.MULTILINE)
        return tuple(dict.fromkeys(path for path in found if path != "dev/null" and not path.endswith("/null")))


@dataclass(frozen=True)
class Kernel:
    """A packaged kernel: release as in ``uname -r``, package version as in ``uname -v``."""

    release: str
    package_version: str

    @property
    def series(self) -> str:
        """The first two parts of the release, such as 6.12."""
        return ".".join(self.release.split(".")[:2])


def kernel_of(release: str, version: str) -> Kernel:
    """Return the packaged kernel that a node runs.

    :param release: ``uname -r``. Sample: ``6.12.107+deb13-cloud-amd64``
    :param version: ``uname -v``. Sample: ``#1 SMP PREEMPT_DYNAMIC Debian 6.12.107-1 (2026-10-01)``
    """
    found = re.search(r"\bDebian (\d\S*) \(", version)
    if found is None or not re.fullmatch(r"\d+\.\d+\.\d+\S*-amd64", release):
        raise MissingCapabilityError(
            f"Kernel {release} is not one of Debian's packages for amd64, so there are no packaged headers to build ip_vs for it: "
            "boot the node with linux-image-cloud-amd64 or linux-image-amd64 of Debian 13."
        )
    return Kernel(release, found.group(1))


def key_of(inputs: Mapping[str, Any]) -> str:
    """Return the name under which what is made from the inputs is kept."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def patch_inputs(patches: Sequence[Patch]) -> List[List[str]]:
    """Return what of patches goes into a key; their order matters."""
    return [[patch.name, patch.sha256] for patch in patches]


def check_patches(patches: Sequence[Patch], allowed: Sequence[str], what: str) -> None:
    """Raise if a patch changes nothing, or something that is not built here and would be left out in silence.

    :param allowed: files and directories that are built; empty if everything is.
    :param what: what is built, for the message.
    """
    for patch in patches:
        if not patch.paths:
            raise InvalidValueError(f"The patch {patch.name} is no unified diff: it has no lines '--- a/FILE' and '+++ b/FILE'.")
        for path in patch.paths:
            if ".." in path.split("/"):
                raise InvalidValueError(f"The patch {patch.name} changes {path}, which lies outside of the source.")
            if allowed and not any(path == place or path.startswith(f"{place}/") for place in allowed):
                raise InvalidValueError(
                    f"The patch {patch.name} changes {path}, but only {', '.join(allowed)} is built for {what}; leave that part out."
                )


def refused_hunk(output: str) -> str:
    """Return where a patch does not fit, from what patch(1) printed.

    Sample::

        checking file net/netfilter/ipvs/ip_vs_ctl.c
        Hunk #3 FAILED at 3580.
        1 out of 12 hunks FAILED
    """
    path = ""
    for line in output.splitlines():
        found = re.match(r"(?:checking|patching) file '?([^']*?)'?$", line)
        if found:
            path = found.group(1)
        found = re.match(r"Hunk #(\d+) FAILED at (\d+)", line)
        if found:
            return f"hunk #{found.group(1)} does not fit line {found.group(2)} of {path}"
        if "Reversed (or previously applied) patch detected" in line:
            return f"what it does to {path or 'the source'} has been done already"
        if line.startswith("can't find file to patch"):
            return "a file that it changes is not there"
    return " ".join(output.split())[:200] or "patch(1) did not say why"


def apt_refusal(stderr: str) -> str:
    """Return apt's reason from what mmdebstrap printed.

    Sample: ``E: Unable to locate package linux-headers-6.12.1-amd64``
    """
    lines = [line[2:].strip() for line in stderr.splitlines() if line.startswith("E:")]
    # mmdebstrap's own last words only say that apt failed.
    said = [line for line in lines if not line.startswith(("apt-get", "mmdebstrap", "setup failed", "run_chroot", "env "))]
    return (said or lines or stderr.strip().splitlines()[-1:] or ["no reason"])[0].rstrip(".")


@dataclass(frozen=True)
class Place:
    """What makes the Debian trees: ``suite``, ``archives`` as deb lines, ``proxy`` as apt options."""

    suite: str
    archives: Tuple[str, ...]
    proxy: Mapping[str, str]


class Workshop:
    """Builds on this machine; only this changes the cache."""

    def __init__(self, run: Run, cache: Path) -> None:
        """Keep how commands are run and where everything is kept."""
        self._run = run
        self._root = cache / "build"

    def finished(self, inputs: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        """Return the manifest of a finished build, None if there is none."""
        manifest = self.directory(inputs) / "manifest.json"
        return dict(json.loads(manifest.read_text())) if manifest.is_file() else None

    def directory(self, inputs: Mapping[str, Any]) -> Path:
        """Return where a build is kept once it is finished."""
        return self._root / "done" / key_of(inputs)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one build at a time work; a second waits and then finds the work done. Remove what a killed one has left."""
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            shutil.rmtree(self._root / "unfinished", ignore_errors=True)
            yield

    def toolchain(self, place: Place, packages: Sequence[str], with_sources: bool = False) -> Path:
        """Return a Debian tree that has these packages, made now unless it is there."""
        archives = [*place.archives]
        if with_sources:
            archives += [line.replace("deb ", "deb-src ", 1) for line in place.archives]
        inputs = {"recipe": RECIPE, "suite": place.suite, "archives": archives, "packages": sorted(packages)}
        tree = self._root / "toolchain" / key_of(inputs)
        if tree.is_dir():
            return tree
        work = self._unfinished("toolchain")
        argv = [
            "mmdebstrap",
            "--mode=root",
            "--variant=apt",
            "--architectures=amd64",
            "--dpkgopt=force-unsafe-io",
            '--aptopt=APT::Install-Recommends "false"',
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            *(f'--aptopt={name} "{value}"' for name, value in sorted(place.proxy.items())),
            *(["--skip=cleanup/apt/lists"] if with_sources else []),
            f"--include={','.join(sorted(packages))}",
            place.suite,
            str(work / "tree"),
            *archives,
        ]
        # Headers of a kernel may pull in the kernel itself, whose initramfs nobody boots.
        done = self._run(argv, environ={"INITRD": "No", "TMPDIR": str(work)})
        if done.rc != 0:
            shutil.rmtree(work, ignore_errors=True)
            raise LabError(apt_refusal(done.stderr))
        tree.parent.mkdir(parents=True, exist_ok=True)
        os.rename(work / "tree", tree)
        shutil.rmtree(work)
        return tree

    @contextmanager
    def bench(self, tree: Path) -> Iterator[Path]:
        """Lend an empty directory /build in a toolchain, and clear it afterwards."""
        work = tree / "build"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def inside(self, tree: Path, argv: Sequence[str], what: str) -> str:
        """Run a command in a toolchain and return what it printed."""
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
        done = self._run(["chroot", str(tree), *argv], environ=environ)
        if done.rc != 0:
            errors = [line for line in (done.stderr + done.stdout).splitlines() if "error" in line.lower()]
            if errors:
                raise LabError(f"Could not {what}: {' | '.join(line.strip() for line in errors[:3])}")
            done.require(what)
        return done.stdout

    def apply(self, tree: Path, source: str, patches: Sequence[Patch], base: str) -> None:
        """Apply patches in order, each without any fuzz; one that does not apply changes nothing.

        :param source: directory of the source as seen in the toolchain.
        :param base: name and version of what is patched, for the message.
        """
        for patch in patches:
            (tree / "build" / "patch").write_text(patch.text)
            argv = ["patch", "--strip=1", "--fuzz=0", "--force", f"--directory={source}", "--input=/build/patch"]
            tried = self._run(["chroot", str(tree), *argv, "--dry-run"])
            if tried.rc != 0:
                raise InvalidValueError(f"The patch {patch.name} does not apply to {base}: {refused_hunk(tried.stdout + tried.stderr)}.")
            self.inside(tree, argv, f"apply {patch.name}")

    def keep(self, inputs: Mapping[str, Any], result: Path, facts: Mapping[str, Any]) -> Dict[str, Any]:
        """Move a result into place and return its manifest."""
        manifest = {"inputs": inputs, "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts}
        (result / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        target = self.directory(inputs)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        os.rename(result, target)
        return manifest

    def unfinished(self) -> Path:
        """Return an empty directory for a result."""
        return self._unfinished("result")

    def _unfinished(self, prefix: str) -> Path:
        parent = self._root / "unfinished"
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{prefix}.", dir=parent))


def check_builder(effective_uid: int, mmdebstrap: Optional[str], free_mib: int, cache: Path) -> None:
    """Raise if nothing can be built on this machine; before anything is changed."""
    if effective_uid != 0:
        raise MissingCapabilityError(
            "The builder needs root to make a Debian tree and to enter it: run the playbook as root there, or set become for it."
        )
    if mmdebstrap is None:
        raise MissingCapabilityError(
            "The builder has no mmdebstrap, which makes the Debian tree to build in: install the package mmdebstrap."
        )
    if free_mib < NEEDED_MIB:
        raise MissingCapabilityError(
            f"The file system of {cache} on the builder has {free_mib} MiB left but a build needs {NEEDED_MIB} MiB: "
            "free some, or set the cache directory to another file system."
        )


class IpvsModules:
    """ip_vs with all its schedulers, for one packaged kernel, with patches."""

    def __init__(self, workshop: Workshop, kernel: Kernel, patches: Sequence[Patch], suite: str) -> None:
        """Check what is asked for."""
        check_patches(patches, IPVS_PATHS, "ip_vs")
        self._workshop = workshop
        self._kernel = kernel
        self._patches = tuple(patches)
        # Release and version fix configuration and compiler: Debian's headers depend on the compiler that built the kernel.
        self.inputs = {
            "recipe": RECIPE,
            "what": "ip_vs",
            "suite": suite,
            "release": kernel.release,
            "package_version": kernel.package_version,
            "patches": patch_inputs(patches),
        }

    def build(self, place: Place) -> Dict[str, Any]:
        """Build and return the manifest."""
        began = time.monotonic()
        kernel, workshop = self._kernel, self._workshop
        source_package = f"linux-source-{kernel.series}"
        packages = [
            *COMPILER_PACKAGES,
            f"linux-headers-{kernel.release}={kernel.package_version}",
            f"{source_package}={kernel.package_version}",
            "kmod",
        ]
        try:
            tree = workshop.toolchain(place, packages)
        except LabError as error:
            raise MissingCapabilityError(
                f"The archive {place.archives[-1].split()[1]} cannot provide headers and source "
                f"of kernel {kernel.release} {kernel.package_version} ({error}): "
                "boot the node with a kernel that the archive still has, or name a mirror that has this one."
            ) from error
        with workshop.bench(tree) as bench:
            workshop.inside(
                tree,
                [
                    "tar",
                    "--extract",
                    "--directory=/build",
                    "--strip-components=1",
                    f"--file=/usr/src/{source_package}.tar.xz",
                    *(f"{source_package}/{path}" for path in IPVS_PATHS),
                ],
                "unpack the kernel's source",
            )
            workshop.apply(tree, "/build", self._patches, f"{source_package} {kernel.package_version}")
            # The packaged headers hold the unpatched ip_vs.h, which a patched one must be found before.
            (bench / IPVS_PATHS[0] / "Kbuild").write_text(
                "NOSTDINC_FLAGS += -I$(src)/../../../include -I$(src)/../../../include/uapi\ninclude $(src)/Makefile\n"
            )
            headers = f"/lib/modules/{kernel.release}/build"
            workshop.inside(
                tree,
                ["make", "--silent", f"--jobs={os.cpu_count() or 1}", "-C", headers, f"M=/build/{IPVS_PATHS[0]}", "modules"],
                "build ip_vs",
            )
            modules = sorted((bench / IPVS_PATHS[0]).glob("*.ko"))
            if not any(path.name == "ip_vs.ko" for path in modules):
                raise LabError(
                    f"The configuration of kernel {kernel.release} does not have ip_vs as a module, so there was nothing to build."
                )
            workshop.inside(tree, ["strip", "--strip-debug", *(f"/{path.relative_to(tree)}" for path in modules)], "strip the modules")
            compiler = workshop.inside(tree, ["gcc", "--version"], "ask for the compiler's version").splitlines()[0]
            result = workshop.unfinished()
            pack(result / "modules.tar", modules)
        return workshop.keep(
            self.inputs,
            result,
            {
                "compiler": compiler,
                "modules": [path.stem for path in modules],
                "build_seconds": round(time.monotonic() - began, 1),
            },
        )


def pack(archive: Path, files: Sequence[Path]) -> None:
    """Write files into a tar archive that depends on nothing but their content."""
    with tarfile.open(archive, "w") as tar:
        for path in files:
            entry = tarfile.TarInfo(path.name)
            entry.size, entry.mode, entry.uname, entry.gname = path.stat().st_size, 0o644, "root", "root"
            with path.open("rb") as handle:
                tar.addfile(entry, handle)


class Ipvsadm:
    """ipvsadm twice, from Debian's source and from the patched one, with the same compiler and flags."""

    def __init__(self, workshop: Workshop, version: str, patches: Sequence[Patch], suite: str) -> None:
        """Check what is asked for."""
        check_patches(patches, (), "ipvsadm")
        self._workshop = workshop
        self._version = version
        self._patches = tuple(patches)
        self.inputs = {"recipe": RECIPE, "what": "ipvsadm", "suite": suite, "version": version, "patches": patch_inputs(patches)}

    def build(self, place: Place) -> Dict[str, Any]:
        """Build both and return the manifest."""
        began = time.monotonic()
        workshop = self._workshop
        try:
            tree = workshop.toolchain(place, IPVSADM_PACKAGES, with_sources=True)
        except LabError as error:
            raise MissingCapabilityError(
                f"The archive {place.archives[0].split()[1]} cannot provide what ipvsadm is built with: {error}."
            ) from error
        with workshop.bench(tree) as bench:
            source, packaging = self._source(tree, bench)
            shutil.copytree(source, bench / "base")
            shutil.copytree(source, bench / "patched")
            workshop.apply(tree, "/build/patched", self._patches, f"ipvsadm {self._version}")
            flags = self._flags(tree)
            result = workshop.unfinished()
            for variant in ("base", "patched"):
                cflags = f"CFLAGS={flags['CFLAGS']}"
                directory = f"/build/{variant}"
                workshop.inside(tree, ["make", "--silent", "-C", f"{directory}/libipvs", "libipvs.a", cflags], f"build libipvs, {variant}")
                workshop.inside(
                    tree, ["make", "--silent", "-C", directory, "ipvsadm", f"{cflags} {flags['LDFLAGS']}"], f"build ipvsadm, {variant}"
                )
                shutil.copy2(bench / variant / "ipvsadm", result / f"ipvsadm-{variant}")
            compiler = workshop.inside(tree, ["gcc", "--version"], "ask for the compiler's version").splitlines()[0]
        return workshop.keep(
            self.inputs,
            result,
            {
                "compiler": compiler,
                "flags": flags,
                "packaging": packaging,
                "build_seconds": round(time.monotonic() - began, 1),
            },
        )

    def _source(self, tree: Path, bench: Path) -> Tuple[Path, str]:
        """Return the unpacked source and its kind: "debian", or "upstream" if the archive does not serve Debian's own part of it."""
        wanted = self._version
        listed = self._workshop.inside(tree, ["apt-cache", "showsrc", "--only-source", "ipvsadm"], "look up ipvsadm's source package")
        full = source_version(listed, wanted)
        if full is None:
            raise InvalidValueError(
                f"The archive has no source package ipvsadm {wanted}: set ipvsadm_version to the one that it has, and give patches for it."
            )
        fetch = ["env", "--chdir=/build", "apt-get", "source", "--download-only", "--quiet", f"ipvsadm={full}"]
        try:
            self._workshop.inside(tree, fetch, "fetch ipvsadm's source package")
        except LabError as error:
            original = original_archive(listed, full)
            path = bench / original[0]
            # apt checks the sum of what it has fetched; this one proves that it did fetch all of it.
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != original[1]:
                raise error
            (bench / "source").mkdir()
            self._workshop.inside(
                tree,
                ["tar", "--extract", "--directory=/build/source", "--strip-components=1", f"--file=/build/{original[0]}"],
                "unpack ipvsadm's source",
            )
            return bench / "source", "upstream"
        description = next(bench.glob("*.dsc"))
        self._workshop.inside(
            tree, ["dpkg-source", "--extract", f"/build/{description.name}", "/build/source"], "unpack ipvsadm's source package"
        )
        return bench / "source", "debian"

    def _flags(self, tree: Path) -> Dict[str, str]:
        """Return Debian's flags, with what the sources' own makefiles would have added to theirs."""
        flags = {
            name: self._workshop.inside(tree, ["dpkg-buildflags", "--get", name], f"ask for Debian's {name}").strip()
            for name in ("CFLAGS", "CPPFLAGS", "LDFLAGS")
        }
        netlink = self._workshop.inside(tree, ["pkg-config", "--cflags", "libnl-genl-3.0"], "find libnl").strip()
        return {"CFLAGS": f"{flags['CFLAGS']} {flags['CPPFLAGS']} -DLIBIPVS_USE_NL {netlink}", "LDFLAGS": flags["LDFLAGS"]}


def source_version(showsrc: str, upstream: str) -> Optional[str]:
    """Return the full version of a source package.

    :param showsrc: text of ``apt-cache showsrc``. Sample: ``Version: 1:1.31-5``
    :param upstream: the version without epoch and revision.
    """
    for found in re.finditer(r"^Version: ((?:\d+:)?(\S+?)(?:-[^-\s]+)?)$", showsrc, re.MULTILINE):
        if found.group(2) == upstream:
            return found.group(1)
    return None


def original_archive(showsrc: str, version: str) -> Tuple[str, str]:
    """Return name and SHA-256 of the upstream archive in a source package.

    Sample, under ``Checksums-Sha256:``: `` 7276bcf2… 50389 ipvsadm_1.31.orig.tar.gz``
    """
    for paragraph in showsrc.split("\n\n"):
        if f"\nVersion: {version}\n" in paragraph:
            found = re.search(r"^ ([0-9a-f]{64}) \d+ (\S+\.orig\.tar\.\w+)$", paragraph, re.MULTILINE)
            if found:
                return found.group(2), found.group(1)
    raise LabError(f"The archive's index names no upstream source of ipvsadm {version}.")


def place_of(run: Run, suite: str, mirror: Optional[str], distribution: str, codename: str) -> Place:
    """Return what trees are made from, as the builder's own apt is configured unless a mirror is given.

    :param distribution: of the builder, such as debian.
    :param codename: its release, such as bookworm.
    """
    # An empty mirror is an unset one: role variables have no other way to say so.
    targets = run(list(INDEXTARGETS)).require("read apt's configuration")
    archives = archive_lines(parse_indextargets(targets.stdout), distribution, codename, suite, mirror or None, None)
    proxy = proxy_settings(run(["apt-config", "dump"]).require("read apt's configuration").stdout)
    return Place(suite, tuple(archives), proxy)
