# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image: its key, its initramfs, and that a build which fails leaves nothing that looks finished."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any, List, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import image

from .test_cpio import unpack

RELEASES = ("6.12.1-cloud-amd64", "6.12.1-amd64")
ARCHIVES = ["deb http://mirror.example/debian trixie main"]
DEPENDENCIES = (
    "kernel/drivers/block/virtio_blk.ko.xz:\n"
    "kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko\n"
    "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz\n"
)


class Tools:
    """Stands for mmdebstrap, dpkg-query and mke2fs; a tool named in ``broken`` fails."""

    def __init__(self, broken: str = "", flavours: Sequence[str] = RELEASES) -> None:
        self.broken, self.flavours = broken, flavours
        self.started: List[List[str]] = []
        self.environ: Any = None

    def __call__(self, argv: Sequence[str], stdin: Any = None, environ: Any = None) -> Completed:
        self.started.append(list(argv))
        tool = next((each for each in ("mmdebstrap", "dpkg-query") if each in argv), argv[0])
        if tool == self.broken:
            return Completed(tuple(argv), 25, "", "I: working\nE: no such suite\n")
        if tool == "mmdebstrap":
            self.environ = environ
            self._tree(Path(next(each for each in argv if each.endswith("/rootfs"))))
        if tool == "mke2fs":
            Path(argv[-2]).write_text("disk", encoding="utf-8")
        return Completed(tuple(argv), 0, "6.12.1-1" if tool == "dpkg-query" else "", "")

    def _tree(self, tree: Path) -> None:
        for directory in ("usr/bin", "boot", "etc/ssh", "etc/systemd/system/multi-user.target.wants"):
            (tree / directory).mkdir(parents=True)
        (tree / "usr/bin/busybox").write_bytes(b"busybox")
        (tree / "etc/ssh/ssh_host_ed25519_key").write_text("the same for all nodes", encoding="utf-8")
        (tree / "etc/systemd/system/multi-user.target.wants/nginx.service").symlink_to("/usr/lib/systemd/system/nginx.service")
        for release in self.flavours:
            modules = tree / "usr/lib/modules" / release
            (modules / "kernel/drivers/block").mkdir(parents=True)
            (modules / "modules.dep").write_text("kernel/drivers/block/virtio_blk.ko.xz:\n", encoding="utf-8")
            (modules / "modules.builtin").write_text(
                "kernel/fs/ext4/ext4.ko kernel/x/virtio_pci.ko kernel/x/crc32c_generic.ko\n", encoding="utf-8"
            )
            (modules / "kernel/drivers/block/virtio_blk.ko.xz").write_bytes(lzma.compress(b"driver"))
            (tree / "boot" / f"vmlinuz-{release}").write_bytes(release.encode())


def builder_of(cache: Path, tools: Any) -> image.Builder:
    return image.Builder(tools, cache, image.recipe_of("trixie", ["ipvsadm"], 8))


def test_a_build_gives_a_tree_a_disk_and_two_kernels(tmp_path: Path) -> None:
    tools = Tools()
    builder = builder_of(tmp_path, tools)
    assert not builder.image.finished
    builder.build(ARCHIVES, {"Acquire::http::Proxy": "http://proxy.example:3128/"})
    made = builder.image
    assert made.finished and made.disk.read_text(encoding="utf-8") == "disk"
    result = made.as_result()
    assert result["kernels"]["generic"]["release"] == "6.12.1-amd64"
    assert result["kernels"]["cloud"]["package_version"] == "6.12.1-1"
    assert Path(result["kernels"]["cloud"]["kernel"]).read_bytes() == b"6.12.1-cloud-amd64"
    assert result["archives"] == ARCHIVES
    bootstrap = tools.started[0]
    assert bootstrap[-1] == ARCHIVES[0] and '--aptopt=Acquire::http::Proxy "http://proxy.example:3128/"' in bootstrap
    assert "ipvsadm" in next(each for each in bootstrap if each.startswith("--include=")).partition("=")[2].split(",")
    assert tools.environ["INITRD"] == "No"
    assert not list((tmp_path / "building").iterdir())


def test_no_node_starts_a_service_or_shares_a_key(tmp_path: Path) -> None:
    builder = builder_of(tmp_path, Tools())
    builder.build(ARCHIVES, {})
    root = builder.image.rootfs
    wanted = [path.name for path in (root / "etc/systemd/system").glob("*.wants/*")]
    assert wanted == ["ssh.service"]
    assert not list((root / "etc/ssh").glob("ssh_host_*"))
    assert (root / "etc/machine-id").read_text(encoding="utf-8") == ""


def test_the_initramfs_loads_the_disk_driver_unpacked(tmp_path: Path) -> None:
    builder = builder_of(tmp_path, Tools())
    builder.build(ARCHIVES, {})
    files = unpack(builder.image.initrd("cloud").read_bytes())
    assert files["early-modules"][1] == b"/modules/kernel/drivers/block/virtio_blk.ko\n"
    assert files["modules/kernel/drivers/block/virtio_blk.ko"][1] == b"driver"
    assert image.PROBE_MARKER.encode() in files["init"][1]


@pytest.mark.parametrize("broken", ["mmdebstrap", "dpkg-query", "mke2fs"])
def test_a_build_that_fails_leaves_nothing(tmp_path: Path, broken: str) -> None:
    builder = builder_of(tmp_path, Tools(broken))
    with pytest.raises(LabError, match="no such suite"):
        builder.build(ARCHIVES, {})
    assert not builder.image.finished
    assert not builder.image.rootfs.exists() and not builder.image.directory.exists()
    assert not list((tmp_path / "building").iterdir())


def test_an_archive_without_a_kernel_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no generic kernel although linux-image-amd64"):
        builder_of(tmp_path, Tools(flavours=RELEASES[:1])).build(ARCHIVES, {})


def test_a_killed_build_is_swept_away_and_its_half_is_not_taken_for_an_image(tmp_path: Path) -> None:
    builder = builder_of(tmp_path, Tools())
    half = tmp_path / "building" / f"{builder.image.key}.killed"
    half.mkdir(parents=True)
    # Killed between the two renames: the tree is in place, the manifest is not.
    builder.image.rootfs.mkdir(parents=True)
    assert not builder.image.finished
    builder.build(ARCHIVES, {})
    assert builder.image.finished and not half.exists()


def test_what_a_killed_build_left_mounted_is_not_deleted(tmp_path: Path) -> None:
    half = tmp_path / "building/k.killed"
    (half / "rootfs/dev").mkdir(parents=True)
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"22 1 0:5 / /dev rw - devtmpfs dev rw\n36 22 0:5 / {half}/rootfs/dev rw - devtmpfs dev rw\n", encoding="utf-8")
    builder = image.Builder(Tools(), tmp_path, image.recipe_of("trixie", [], 8), mountinfo)
    with pytest.raises(LabError, match="rootfs/dev mounted; unmount it"):
        builder.build(ARCHIVES, {})
    assert (half / "rootfs/dev").is_dir()


def test_a_second_build_replaces_the_first(tmp_path: Path) -> None:
    builder = builder_of(tmp_path, Tools())
    builder.build(ARCHIVES, {})
    (builder.image.directory / "stale").touch()
    builder.build(ARCHIVES, {})
    assert builder.image.finished and not (builder.image.directory / "stale").exists()


def test_the_key_follows_the_packages_and_not_their_order(tmp_path: Path) -> None:
    key = image.recipe_of("trixie", ["wrk", "ipvsadm"], 8).key
    assert key == image.recipe_of("trixie", ["ipvsadm", "wrk", "wrk"], 8).key
    assert (
        len(
            {
                key,
                image.recipe_of("trixie", ["wrk"], 8).key,
                image.recipe_of("sid", ["wrk", "ipvsadm"], 8).key,
                image.recipe_of("trixie", ["wrk", "ipvsadm"], 9).key,
            }
        )
        == 4
    )
    assert json.dumps(image.recipe_of("trixie", [], 8).inputs())


@pytest.mark.parametrize("package", ["--hook-dir=/tmp", "a,b", "", "Nginx", "a b"])
def test_what_is_no_package_is_refused(package: str) -> None:
    with pytest.raises(InvalidValueError, match="lab_packages"):
        image.recipe_of("trixie", [package], 8)


def test_a_disk_has_a_size() -> None:
    with pytest.raises(InvalidValueError, match="lab_disk_gib must be from 1 to 256, not 0"):
        image.recipe_of("trixie", [], 0)


def test_modules_come_after_what_they_need() -> None:
    files = image.module_files(DEPENDENCIES, "kernel/drivers/x/built-in.ko", ["built_in", "virtio_pci", "ext4"])
    assert [Path(path).name for path in files] == [
        "virtio_ring.ko",
        "virtio.ko",
        "virtio_pci.ko",
        "crc16.ko.xz",
        "jbd2.ko.xz",
        "ext4.ko.xz",
    ]


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingCapabilityError, match="no module igb"):
        image.module_files(DEPENDENCIES, "", ["igb"])


def test_free_space_of_a_directory_to_come_is_that_of_its_file_system(tmp_path: Path) -> None:
    assert image.free_bytes(tmp_path / "not/yet/there") > 0
