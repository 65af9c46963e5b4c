# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.datapath.lab.plugins.module_utils import kernel_build as build
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, MissingCapabilityError

RELEASE = "6.12.107+deb13-cloud-amd64"
KERNEL = build.Kernel(RELEASE, "6.12.107-1")
PLACE = build.Place("trixie", ("deb http://mirror.example/debian trixie main", "deb http://mirror.example/security trixie-security main"), {})
CTL = "net/netfilter/ipvs/ip_vs_ctl.c"
FITTING = f"--- a/{CTL}\n+++ b/{CTL}\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"
MISFIT = f"--- a/{CTL}\n+++ b/{CTL}\n@@ -1,3 +1,3 @@\n one\n-zwei\n+TWO\n three\n"
SHOWSRC = """Package: ipvsadm
Binary: ipvsadm
Version: 1:1.31-5
Checksums-Sha256:
 {dsc} 2055 ipvsadm_1.31-5.dsc
 {orig} 50389 ipvsadm_1.31.orig.tar.gz
 {debian} 15240 ipvsadm_1.31-5.debian.tar.xz
Section: net

"""


class Builder:
    """A builder on which every command does what it would, except that no Debian tree is made and nothing is compiled."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.apt = Completed((), 0, "", "")
        self.fetched: dict[str, bytes] = {}
        self.make_fails = False
        self.showsrc = ""

    def __call__(self, argv: list[str], stdin: str | None = None, environ: dict[str, str] | None = None) -> Completed:
        argv = list(argv)
        self.calls.append(argv)
        if argv[0] == "mmdebstrap":
            if self.apt.rc == 0:
                next(Path(word) for word in argv if word.endswith("/tree")).mkdir()
            return self.apt
        assert argv[0] == "chroot"
        tree, inner = Path(argv[1]), argv[2:]
        return self.inside(tree, inner)

    def inside(self, tree: Path, argv: list[str]) -> Completed:
        bench, out, rc = tree / "build", "", 0
        if argv[0] == "patch":
            real = [word.replace("/build", str(bench), 1) if "=/build" in word else word for word in argv]
            done = subprocess.run(real, capture_output=True, text=True, check=False)
            return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)
        if argv[0] == "tar":
            target = bench / ("source" if "--directory=/build/source" in argv else "")
            for path in (CTL, "libipvs/libipvs.c"):
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (target / path).write_text("one\ntwo\nthree\n")
        elif argv[0] == "make":
            if self.make_fails:
                return Completed(tuple(argv), 2, "", "ip_vs_ctl.c:7:1: error: unknown type name 'u33'\nmake: *** [Makefile:1] Error 2\n")
            if "modules" in argv:
                for name in ("ip_vs_rr", "ip_vs"):
                    (bench / "net/netfilter/ipvs" / f"{name}.ko").write_text(f"{name} {(bench / CTL).read_text()}")
            elif "ipvsadm" in argv:
                directory = bench / argv[argv.index("-C") + 1].rsplit("/", 1)[1]
                (directory / "ipvsadm").write_bytes((directory / "libipvs/libipvs.c").read_bytes())
        elif argv[0] == "gcc":
            out = "gcc (Debian 14.2.0-19) 14.2.0\nCopyright\n"
        elif argv[0] == "dpkg-buildflags":
            out = {"CFLAGS": "-O2\n", "CPPFLAGS": "-DX\n", "LDFLAGS": "-Wl,-z,relro\n"}[argv[2]]
        elif argv[0] == "pkg-config":
            out = "-I/usr/include/libnl3\n"
        elif argv[0] == "apt-cache":
            out = self.showsrc
        elif argv[0] == "env" and "source" in argv:
            for name, content in self.fetched.items():
                (bench / name).write_bytes(content)
            rc = 0 if any(name.endswith(".dsc") for name in self.fetched) else 100
        elif argv[0] == "dpkg-source":
            (bench / "source/libipvs").mkdir(parents=True)
            (bench / "source/libipvs/libipvs.c").write_text("one\ntwo\nthree\n")
        return Completed(tuple(argv), rc, out, "E: Failed to fetch\n" if rc else "")

    def made_trees(self) -> int:
        return sum(1 for call in self.calls if call[0] == "mmdebstrap")


@pytest.fixture
def builder() -> Builder:
    return Builder()


def modules(builder: Builder, cache: Path, *patches: build.Patch) -> build.IpvsModules:
    return build.IpvsModules(build.Workshop(builder, cache), KERNEL, patches, "trixie")


def test_kernel_of_a_node() -> None:
    kernel = build.kernel_of(RELEASE, "#1 SMP PREEMPT_DYNAMIC Debian 6.12.107-1 (2026-10-01)")
    assert kernel == KERNEL and kernel.series == "6.12"


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.12.107-custom", "#1 SMP Debian 6.12.107-1 (2026-10-01)"),
        ("6.8.0-45-generic", "#45-Ubuntu SMP"),
        (RELEASE, "#3 SMP Mon Nov 9 2026"),
    ],
)
def test_a_kernel_without_packaged_headers(release: str, version: str) -> None:
    with pytest.raises(MissingCapabilityError, match=rf"Kernel {re.escape(release)} is not one of Debian's packages.*boot the node with"):
        build.kernel_of(release, version)


def test_paths_of_a_patch() -> None:
    text = f"From 0\nSubject: x\n\n{FITTING}--- /dev/null\n+++ b/include/net/ip_vs.h\n@@ -0,0 +1 @@\n+x\n"
    assert build.Patch("p", text).paths == (CTL, "include/net/ip_vs.h")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no diff at all\n", "is no unified diff"),
        ("--- a/net/core/dev.c\n+++ b/net/core/dev.c\n", r"changes net/core/dev.c, but only .* is built for ip_vs"),
        ("--- a/../x\n+++ b/../x\n", "lies outside of the source"),
        ("--- a/net/netfilter/ipvsx/x\n+++ b/net/netfilter/ipvsx/x\n", "is built for ip_vs"),
    ],
)
def test_patches_that_cannot_be_built(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        build.check_patches([build.Patch("0001-x.patch", text)], build.IPVS_PATHS, "ip_vs")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "checking file a.c\nHunk #1 succeeded\nHunk #3 FAILED at 3580.\n1 out of 12 hunks FAILED\n",
            "hunk #3 does not fit line 3580 of a.c",
        ),
        (
            "checking file a.c\nReversed (or previously applied) patch detected!  Skipping patch.\n",
            "what it does to a.c has been done already",
        ),
        ("can't find file to patch at input line 3\n", "a file that it changes is not there"),
        ("", "patch(1) did not say why"),
    ],
)
def test_refused_hunk(output: str, expected: str) -> None:
    assert build.refused_hunk(output) == expected


def test_reason_of_apt() -> None:
    stderr = "I: running apt-get\nE: Unable to locate package linux-headers-6.12.1-amd64\nE: apt-get install failed\nE: mmdebstrap failed\n"
    assert build.apt_refusal(stderr) == "Unable to locate package linux-headers-6.12.1-amd64"
    assert build.apt_refusal("died\n") == "died"
    assert build.apt_refusal("") == "no reason"


def test_key_depends_on_everything_that_decides(builder: Builder, tmp_path: Path) -> None:
    one, two = build.Patch("1", FITTING), build.Patch("2", MISFIT)
    workshop = build.Workshop(builder, tmp_path)
    works = [
        modules(builder, tmp_path),
        modules(builder, tmp_path, one),
        modules(builder, tmp_path, one, two),
        modules(builder, tmp_path, two, one),
        build.IpvsModules(workshop, build.Kernel(RELEASE, "6.12.107-2"), [one], "trixie"),
        build.IpvsModules(workshop, KERNEL, [one], "forky"),
    ]
    assert len({build.key_of(work.inputs) for work in works}) == len(works)


def test_build_of_modules(builder: Builder, tmp_path: Path) -> None:
    work = modules(builder, tmp_path, build.Patch("0001-x.patch", FITTING))
    workshop = build.Workshop(builder, tmp_path)
    assert workshop.finished(work.inputs) is None
    with workshop.lock():
        manifest = work.build(PLACE)
    assert manifest["modules"] == ["ip_vs", "ip_vs_rr"] and manifest["compiler"] == "gcc (Debian 14.2.0-19) 14.2.0"
    assert workshop.finished(work.inputs) == manifest
    with tarfile.open(workshop.directory(work.inputs) / "modules.tar") as tar:
        names = tar.getnames()
        content = tar.extractfile("ip_vs.ko")
        assert content is not None and content.read() == b"ip_vs one\nTWO\nthree\n"
    assert names == ["ip_vs.ko", "ip_vs_rr.ko"]
    include = next(word for word in builder.calls[0] if word.startswith("--include="))
    assert f"linux-headers-{RELEASE}=6.12.107-1" in include and "linux-source-6.12=6.12.107-1" in include
    assert not list(tmp_path.glob("build/toolchain/*/build")) and not list(tmp_path.glob("build/unfinished/*"))


def test_a_second_build_uses_the_same_tree(builder: Builder, tmp_path: Path) -> None:
    modules(builder, tmp_path).build(PLACE)
    modules(builder, tmp_path, build.Patch("0001-x.patch", FITTING)).build(PLACE)
    assert builder.made_trees() == 1


def test_a_patch_that_does_not_apply(builder: Builder, tmp_path: Path) -> None:
    work = modules(builder, tmp_path, build.Patch("0001-good.patch", FITTING), build.Patch("0002-bad.patch", MISFIT))
    message = rf"^The patch 0002-bad.patch does not apply to linux-source-6.12 6.12.107-1: hunk #1 does not fit line 1 of \S*{CTL}\.$"
    with pytest.raises(InvalidValueError, match=message):
        work.build(PLACE)
    assert build.Workshop(builder, tmp_path).finished(work.inputs) is None
    assert not list(tmp_path.glob("build/toolchain/*/build"))
    assert not any(call[2:3] == ["make"] for call in builder.calls)


def test_no_fuzz(builder: Builder, tmp_path: Path) -> None:
    near = FITTING.replace("\n one\n", "\n eins\n")
    with pytest.raises(InvalidValueError, match="hunk #1 does not fit"):
        modules(builder, tmp_path, build.Patch("0001-near.patch", near)).build(PLACE)


def test_headers_that_the_archive_lacks(builder: Builder, tmp_path: Path) -> None:
    builder.apt = Completed((), 25, "", f"E: Unable to locate package linux-headers-{RELEASE}\nE: mmdebstrap failed to run\n")
    message = rf"headers and source of kernel {re.escape(RELEASE)} 6.12.107-1 \(Unable to locate.*boot the node"
    with pytest.raises(MissingCapabilityError, match=message):
        modules(builder, tmp_path).build(PLACE)
    assert not list(tmp_path.glob("build/toolchain/*")) and not list(tmp_path.glob("build/unfinished/*"))


def test_a_compiler_error_is_one_sentence(builder: Builder, tmp_path: Path) -> None:
    builder.make_fails = True
    work = modules(builder, tmp_path)
    with pytest.raises(LabError, match="Could not build ip_vs: ip_vs_ctl.c:7:1: error: unknown type name 'u33'"):
        work.build(PLACE)
    assert build.Workshop(builder, tmp_path).finished(work.inputs) is None


def test_what_a_killed_build_left_is_removed(builder: Builder, tmp_path: Path) -> None:
    left = tmp_path / "build" / "unfinished" / "result.x"
    left.mkdir(parents=True)
    with build.Workshop(builder, tmp_path).lock():
        assert not left.exists()


def test_packing_depends_on_content_only(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_text("a")
    build.pack(tmp_path / "1.tar", [tmp_path / "a.ko"])
    (tmp_path / "a.ko").touch()
    (tmp_path / "a.ko").chmod(0o600)
    build.pack(tmp_path / "2.tar", [tmp_path / "a.ko"])
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


@pytest.mark.parametrize(
    ("uid", "program", "free", "message"),
    [
        (1000, "/usr/bin/mmdebstrap", 9999, "needs root"),
        (0, None, 9999, "install the package mmdebstrap"),
        (0, "/usr/bin/mmdebstrap", 100, "has 100 MiB left but a build needs 2048 MiB"),
    ],
)
def test_a_builder_that_cannot_build(uid: int, program: str | None, free: int, message: str) -> None:
    with pytest.raises(MissingCapabilityError, match=message):
        build.check_builder(uid, program, free, Path("/cache"))


def test_a_builder_that_can_build() -> None:
    build.check_builder(0, "/usr/bin/mmdebstrap", build.NEEDED_MIB, Path("/cache"))


def tarball() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz"):
        pass
    return buffer.getvalue()


def ipvsadm(builder: Builder, cache: Path, original: bytes) -> build.Ipvsadm:
    builder.showsrc = SHOWSRC.format(dsc="0" * 64, orig=hashlib.sha256(original).hexdigest(), debian="1" * 64)
    patch = build.Patch("0001-y.patch", FITTING.replace(CTL, "libipvs/libipvs.c"))
    return build.Ipvsadm(build.Workshop(builder, cache), "1.31", [patch], "trixie")


def test_build_of_ipvsadm(builder: Builder, tmp_path: Path) -> None:
    builder.fetched = {"ipvsadm_1.31-5.dsc": b"", "ipvsadm_1.31.orig.tar.gz": tarball()}
    work = ipvsadm(builder, tmp_path, tarball())
    manifest = work.build(PLACE)
    directory = build.Workshop(builder, tmp_path).directory(work.inputs)
    assert (directory / "ipvsadm-base").read_text() == "one\ntwo\nthree\n"
    assert (directory / "ipvsadm-patched").read_text() == "one\nTWO\nthree\n"
    assert manifest["packaging"] == "debian"
    assert manifest["flags"]["CFLAGS"] == "-O2 -DX -DLIBIPVS_USE_NL -I/usr/include/libnl3"
    flags = {word for call in builder.calls for word in call if word.startswith("CFLAGS=")}
    assert len(flags) == 2, "base and patched are built with the same flags, the library without those of the linker"
    assert any("deb-src http" in word for word in builder.calls[0])


def test_ipvsadm_from_the_upstream_archive(builder: Builder, tmp_path: Path) -> None:
    builder.fetched = {"ipvsadm_1.31.orig.tar.gz": tarball()}
    assert ipvsadm(builder, tmp_path, tarball()).build(PLACE)["packaging"] == "upstream"


@pytest.mark.parametrize("fetched", [{}, {"ipvsadm_1.31.orig.tar.gz": b"half of it"}])
def test_ipvsadm_without_its_source(builder: Builder, tmp_path: Path, fetched: dict[str, bytes]) -> None:
    builder.fetched = fetched
    with pytest.raises(LabError, match="fetch ipvsadm's source package"):
        ipvsadm(builder, tmp_path, tarball()).build(PLACE)


@pytest.mark.parametrize(("upstream", "full"), [("1.31", "1:1.31-5"), ("1.3", None), ("1.32", None)])
def test_version_of_the_source_package(upstream: str, full: str | None) -> None:
    assert build.source_version(SHOWSRC, upstream) == full


def test_ipvsadm_that_the_archive_lacks(builder: Builder, tmp_path: Path) -> None:
    work = ipvsadm(builder, tmp_path, b"")
    builder.showsrc = ""
    with pytest.raises(InvalidValueError, match="has no source package ipvsadm 1.31"):
        work.build(PLACE)


def test_place_is_what_apt_says() -> None:
    def run(argv: list[str]) -> Completed:
        text = {
            "apt-get": "http://mirror.example/debian/|bookworm|main\nhttp://mirror.example/security/|bookworm-security|main\n",
            "apt-config": 'Acquire::http::Proxy "http://proxy.example:3128/";\n',
        }[argv[0]]
        return Completed(tuple(argv), 0, text, "")

    place = build.place_of(run, "trixie", "", "debian", "bookworm")
    assert place.archives == ("deb http://mirror.example/debian trixie main", "deb http://mirror.example/security trixie-security main")
    assert place.proxy == {"Acquire::http::Proxy": "http://proxy.example:3128/"}
    assert build.place_of(run, "trixie", "http://own.example/debian", "debian", "bookworm").archives == ("deb http://own.example/debian trixie main",)
