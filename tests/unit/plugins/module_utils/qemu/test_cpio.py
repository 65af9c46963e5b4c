# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives for the initramfs, read back by the rules of the format."""

from __future__ import annotations

import stat
from typing import Dict, Tuple

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.qemu import cpio
from hypothesis import given
from hypothesis import strategies as st


def unpack(data: bytes) -> Dict[str, Tuple[int, bytes]]:
    """Read an archive as the kernel does: 13 fields of 8 hex digits, then name and content, each padded to 4 bytes."""
    found: Dict[str, Tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)]
        size, name_size = fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        begin = at + 110 + name_size
        begin += -begin % 4
        if name == "TRAILER!!!":
            assert not any(data[begin:])
            return found
        assert name not in found
        assert (fields[2], fields[3], fields[5]) == (0, 0, 0), "owner root and no time"
        found[name] = (fields[1], data[begin : begin + size])
        at = begin + size + -(begin + size) % 4


NAMES = st.lists(st.sampled_from(["a", "b", "a-b", "etc", "x.y"]), min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(NAMES, st.binary(max_size=9)))
def test_what_was_put_in_comes_out_below_its_directories(files: Dict[str, bytes]) -> None:
    # A name cannot be a file and a directory at once.
    entries = {
        path: (cpio.regular(0o640), content) for path, content in files.items() if not any(other.startswith(f"{path}/") for other in files)
    }
    found = unpack(cpio.archive(entries))
    assert {path: value for path, value in found.items() if not stat.S_ISDIR(value[0])} == entries
    seen = set()
    for path in found:
        parent = path.rpartition("/")[0]
        assert not parent or parent in seen
        seen.add(path)


def test_equal_entries_give_equal_bytes_and_archives_can_follow_each_other() -> None:
    one = cpio.archive({"b": (cpio.regular(0o644), b"1"), "a": (cpio.SYMLINK, b"b")})
    assert one == cpio.archive({"a": (cpio.SYMLINK, b"b"), "b": (cpio.regular(0o644), b"1")})
    assert len(one) % 512 == 0


def test_a_given_directory_keeps_its_mode() -> None:
    found = unpack(cpio.archive({"root/.ssh/authorized_keys": (cpio.regular(0o600), b"k"), "root/.ssh": (stat.S_IFDIR | 0o700, b"")}))
    assert found["root/.ssh"][0] == stat.S_IFDIR | 0o700
    assert found["root"][0] == cpio.DIRECTORY


@pytest.mark.parametrize("mode", [0o600, 0o755])
def test_a_regular_file_has_its_type(mode: int) -> None:
    assert stat.S_ISREG(cpio.regular(mode)) and stat.S_IMODE(cpio.regular(mode)) == mode
