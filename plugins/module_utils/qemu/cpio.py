# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives in the form that the kernel unpacks as its first root file system (cpio "newc").

Written here because no packaged tool makes one from values with chosen owners and modes without a staging tree: several such
archives in a row are one initramfs, which is how a node's own files reach it without a second disk.
"""

from __future__ import annotations

import stat
from typing import Iterable, Mapping, Tuple

# path -> (mode with type bits, content; the target for a symlink, empty for a directory)
Entries = Mapping[str, Tuple[int, bytes]]

DIRECTORY = stat.S_IFDIR | 0o755
SYMLINK = stat.S_IFLNK | 0o777


def regular(mode: int) -> int:
    """Return the mode of a regular file with these permissions."""
    return stat.S_IFREG | mode


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _member(number: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    fields = (number, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    return _padded(b"070701" + b"".join(b"%08X" % field for field in fields) + name) + _padded(content)


def _parents(paths: Iterable[str]) -> list[str]:
    """Return every directory above the given paths, each before what lies in it."""
    found: set[str] = set()
    for path in paths:
        parts = path.split("/")[:-1]
        found.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    return sorted(found)


def archive(entries: Entries) -> bytes:
    """Return the archive of these files; owner root, no times, so that equal entries give equal bytes.

    :param entries: by path relative to the root; missing parents are added as directories with mode 0755.
    """
    members = dict.fromkeys(_parents(entries), (DIRECTORY, b""))
    members.update({path: (mode, content) for path, (mode, content) in sorted(entries.items())})
    # A directory sorts before its content because its path is a prefix.
    body = b"".join(_member(number, path, mode, content) for number, (path, (mode, content)) in enumerate(sorted(members.items()), 1))
    whole = body + _member(0, "TRAILER!!!", 0, b"")
    return whole + b"\0" * (-len(whole) % 512)
