# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPU sets as integers: bit n is CPU n.

The kernel prints the same set in several forms: ``fe`` (``/proc/irq`` of a small machine), ``00000000,000000fe`` (padded to the
width of that file), ``1-7`` (a list). Two forms of one set are equal only as integers, so everything here is an ``int``.
"""

from __future__ import annotations

import re
from typing import Iterable

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError

# More CPUs than any kernel configuration of Linux offers (NR_CPUS is at most 8192).
MAX_CPUS = 8192

_GROUP = re.compile(r"[0-9a-fA-F]{1,8}\Z")
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
# "3", "0-7" or "0-31:2/4" (of every 4 CPUs from 0 to 31 the first 2).
_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+)/(\d+))?)?\Z")


def of(cpus: Iterable[int]) -> int:
    """Return the set that holds the given CPU numbers."""
    mask = 0
    for cpu in cpus:
        if not 0 <= cpu < MAX_CPUS:
            raise InvalidValueError(f"CPU number {cpu} is out of range: allowed are 0 to {MAX_CPUS - 1}.")
        mask |= 1 << cpu
    return mask


def members(mask: int) -> list[int]:
    """Return the CPU numbers in a set, ascending."""
    cpus = []
    while mask:
        lowest = mask & -mask
        cpus.append(lowest.bit_length() - 1)
        mask ^= lowest
    return cpus


def parse_mask(text: str) -> int:
    """Read a hexadecimal mask: ``fe``, ``0xfe``, or comma-separated groups of 32 bits, the most significant first.

    A group may be short only when it is the first: ``1,2`` is refused by nobody in the kernel and means CPUs 1 and 32,
    so short groups are read as the kernel reads them, with leading zeros.
    """
    stripped = text.strip()
    body = stripped[2:] if stripped[:2] in ("0x", "0X") else stripped
    groups = body.split(",")
    if len(groups) == 1 and _HEX.match(body):
        mask = int(body, 16)
    elif body and all(_GROUP.match(group) for group in groups):
        mask = 0
        for group in groups:
            mask = mask << 32 | int(group, 16)
    else:
        raise InvalidValueError(
            f"CPU mask {text!r} is not hexadecimal: allowed are hex digits, longer ones in groups of 32 bits, such as 'fe' or 'ff,ffffffff'."
        )
    if mask >> MAX_CPUS:
        raise InvalidValueError(f"CPU mask {text!r} names CPU {mask.bit_length() - 1}: allowed are CPUs 0 to {MAX_CPUS - 1}.")
    return mask


def format_mask(mask: int, width: int = 0) -> str:
    """Write a set as the kernel does: groups of 8 hex digits.

    :param width: number of bits to pad to, as the kernel pads to its number of possible CPUs; 0 writes no leading zeros.
    """
    if mask < 0:
        raise InvalidValueError(f"A CPU mask cannot be negative: {mask}.")
    bits = max(width, mask.bit_length(), 1)
    digits = -(-bits // 4)
    text = f"{mask:0{digits if width else 1}x}"
    head = len(text) % 8
    groups = ([text[:head]] if head else []) + [text[at : at + 8] for at in range(head, len(text), 8)]
    return ",".join(groups)


def parse_list(text: str) -> int:
    """Read a CPU list such as ``0-3,8``; the kernel's ``0-31:2/4`` form is known too; an empty text is the empty set."""
    mask = 0
    for part in text.strip().split(","):
        if not part.strip():
            if text.strip():
                raise InvalidValueError(f"CPU list {text!r} has an empty part: allowed are numbers and ranges such as '0-3,8'.")
            return 0
        match = _RANGE.match(part.strip())
        if not match:
            raise InvalidValueError(f"CPU list {text!r} holds {part.strip()!r}: allowed are numbers and ranges such as '0-3,8'.")
        low, high = int(match[1]), int(match[2] or match[1])
        used, group = int(match[3] or 1), int(match[4] or 1)
        if low > high or high >= MAX_CPUS:
            raise InvalidValueError(f"CPU list {text!r} holds {part.strip()!r}: a range goes upwards and CPUs go from 0 to {MAX_CPUS - 1}.")
        if not 0 < used <= group:
            raise InvalidValueError(f"CPU list {text!r} holds {part.strip()!r}: of every group at least 1 and at most all CPUs are used.")
        if used == group:
            mask |= ((1 << (high - low + 1)) - 1) << low
        else:
            mask |= of(cpu for cpu in range(low, high + 1) if (cpu - low) % group < used)
    return mask


def format_list(mask: int) -> str:
    """Write a set as a CPU list, such as ``0-3,8``; the empty set is the empty text."""
    if mask < 0:
        raise InvalidValueError(f"A CPU mask cannot be negative: {mask}.")
    parts = []
    base = 0
    while mask:
        zeros = (mask & -mask).bit_length() - 1
        mask >>= zeros
        base += zeros
        ones = (~mask & (mask + 1)).bit_length() - 1
        parts.append(str(base) if ones == 1 else f"{base}-{base + ones - 1}")
        mask >>= ones
        base += ones
    return ",".join(parts)


def parse_any(text: str) -> int:
    """Read what a user wrote: ``0x…`` or groups with hex letters are a mask, everything else is a CPU list.

    A bare ``10`` is CPU 10: a list is what a person means; a mask is written ``0x10``.
    """
    stripped = text.strip()
    if stripped[:2] in ("0x", "0X"):
        return parse_mask(stripped)
    return parse_list(stripped)


def round_up_power_of_two(value: int) -> int:
    """Return what the kernel makes of a flow table's size: 0 stays 0, anything else becomes the next power of two."""
    return 0 if value <= 0 else 1 << (value - 1).bit_length()
