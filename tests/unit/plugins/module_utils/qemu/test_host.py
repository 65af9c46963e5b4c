# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which archive the guests are made from, and what the controller must install: every distribution is tested on any."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import host
from ansible_collections.datapath.lab.plugins.module_utils.qemu.mirror import Source, archive_lines

BOOKWORM = (
    Source("http://mirror.example/debian", "bookworm", "main"),
    Source("http://mirror.example/security", "bookworm-security", "main"),
)
BACKPORTS = (*BOOKWORM, Source("http://mirror.example/debian", "bookworm-backports", "main"))


def test_the_controllers_own_mirror_is_taken() -> None:
    assert archive_lines(BOOKWORM, "debian", "bookworm", "trixie", None, None) == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/security trixie-security main",
    ]


@pytest.mark.parametrize(
    ("mirror", "security", "expected"),
    [
        ("http://mine.example/debian/", None, ["deb http://mine.example/debian trixie main"]),
        (
            "http://mine.example/debian",
            "http://mine.example/s",
            ["deb http://mine.example/debian trixie main", "deb http://mine.example/s trixie-security main"],
        ),
        (None, "", ["deb http://mirror.example/debian trixie main"]),
    ],
)
def test_a_variable_overrides_it(mirror: Optional[str], security: Optional[str], expected: List[str]) -> None:
    assert archive_lines(BOOKWORM, "debian", "bookworm", "trixie", mirror, security) == expected


def test_another_distributions_mirror_has_no_debian() -> None:
    sources = (Source("http://archive.example/ubuntu", "noble", "main"), Source("http://archive.example/ubuntu", "noble-security", "main"))
    with pytest.raises(MissingCapabilityError, match="set lab_mirror to a Debian archive"):
        archive_lines(sources, "ubuntu", "noble", "trixie", None, None)
    assert archive_lines(sources, "ubuntu", "noble", "trixie", "http://mirror.example/debian", None) == ["deb http://mirror.example/debian trixie main"]


def test_no_mirror_says_which_variable() -> None:
    with pytest.raises(MissingCapabilityError, match="lab_mirror"):
        archive_lines(BOOKWORM[1:], "debian", "bookworm", "trixie", None, None)


def plan(
    distribution: str = "debian",
    version: str = "12",
    codename: str = "bookworm",
    missing: Sequence[str] = (),
    qemu: Optional[Tuple[int, ...]] = (10, 0, 2),
    sources: Sequence[Source] = BOOKWORM,
) -> host.Plan:
    return host.plan(host.Host(distribution, version, codename, tuple(missing), qemu, tuple(sources)))


def test_nothing_is_installed_where_everything_is() -> None:
    assert plan() == host.Plan((), None, None)


def test_debian_12_gets_qemu_from_its_backports() -> None:
    made = plan(qemu=(7, 2, 22))
    assert (made.packages, made.release) == (("qemu-system-x86", "qemu-utils"), "bookworm-backports")
    assert made.source is not None and "URIs: http://mirror.example/debian\nSuites: bookworm-backports\n" in made.source
    assert plan(qemu=None, missing=[host.QEMU, "qemu-img"]).source == made.source


def test_a_source_that_is_there_is_not_added() -> None:
    made = plan(qemu=(7, 2, 22), sources=BACKPORTS)
    assert (made.release, made.source) == ("bookworm-backports", None)


def test_other_packages_of_debian_12_are_its_own() -> None:
    assert plan(missing=["mmdebstrap", "/usr/share/keyrings/debian-archive-keyring.gpg"]) == host.Plan(
        ("debian-archive-keyring", "mmdebstrap"), None, None
    )


@pytest.mark.parametrize(
    ("distribution", "version", "codename"),
    [("debian", "13", "trixie"), ("debian", "", "forky"), ("ubuntu", "24.04", "noble"), ("ubuntu", "26.04", "resolute")],
)
def test_newer_systems_have_it_in_main(distribution: str, version: str, codename: str) -> None:
    made = plan(distribution, version, codename, [host.QEMU], None, ())
    assert made == host.Plan(("qemu-system-x86",), None, None)


@pytest.mark.parametrize(("distribution", "version"), [("debian", "11"), ("ubuntu", "22.04"), ("fedora", "42"), ("", "")])
def test_elsewhere_one_sentence_says_where_it_runs(distribution: str, version: str) -> None:
    with pytest.raises(MissingCapabilityError, match="Debian 12 or newer and Ubuntu LTS"):
        plan(distribution, version)


def test_without_a_mirror_there_are_no_backports() -> None:
    with pytest.raises(MissingCapabilityError, match="names no archive for bookworm main"):
        plan(qemu=(7, 2, 22), sources=())


class Apt:
    """Answers for QEMU and apt."""

    def __call__(self, argv: Sequence[str], stdin: Any = None, environ: Any = None) -> Completed:
        text = "QEMU emulator version 7.2.22 (Debian 1:7.2)\n" if argv[0] == host.QEMU else "http://mirror.example/debian/|bookworm|main\n"
        return Completed(tuple(argv), 0, text, "")


def root_of(directory: Path, release: str = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n') -> Path:
    for path in ("etc", "usr/share/keyrings", "proc/self/ns", "dev/net"):
        (directory / path).mkdir(parents=True)
    (directory / "etc/os-release").write_text(release, encoding="utf-8")
    return directory


def test_the_controller_is_looked_at(tmp_path: Path) -> None:
    root = root_of(tmp_path)
    seen = host.look(Apt(), root, lambda name: None if name == "mmdebstrap" else f"/usr/bin/{name}")
    assert seen.missing == ("mmdebstrap", "/usr/share/keyrings/debian-archive-keyring.gpg")
    assert (seen.qemu, seen.sources) == ((7, 2, 22), (Source("http://mirror.example/debian", "bookworm", "main"),))
    (root / "usr/share/keyrings/debian-archive-keyring.gpg").touch()
    assert host.look(Apt(), root, lambda name: None).qemu is None


def test_an_unknown_system_is_not_asked_for_its_apt(tmp_path: Path) -> None:
    def forbidden(*_argv: Any, **_more: Any) -> Completed:
        raise AssertionError("nothing may be run")

    with pytest.raises(MissingCapabilityError, match="alpine 3.20"):
        host.look(forbidden, root_of(tmp_path, "ID=alpine\nVERSION_ID=3.20\n"), lambda name: None)


def test_what_the_kernel_and_the_user_lack_is_said_one_after_the_other(tmp_path: Path) -> None:
    root = root_of(tmp_path)
    with pytest.raises(MissingCapabilityError, match="run as root"):
        host.check_kernel(root, 1000)
    with pytest.raises(MissingCapabilityError, match="CONFIG_NET_NS"):
        host.check_kernel(root, 0)
    (root / "proc/self/ns/net").touch()
    with pytest.raises(MissingCapabilityError, match="/dev/net/tun"):
        host.check_kernel(root, 0)
    (root / "dev/net/tun").touch()
    host.check_kernel(root, 0)
