# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text about a node's hardware and kernel in, values out."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Optional

from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError


def parse_cpuinfo(text: str) -> dict[str, Any]:
    """Read the model, the microcode and whether a hypervisor is below us from /proc/cpuinfo.

    Sample (x86; other architectures name other keys, or no model at all)::

        processor	: 0
        model name	: Intel(R) Xeon(R) Processor @ 2.60GHz
        microcode	: 0x1
        flags		: fpu vme … hypervisor lahf_lm
    """
    fields: dict[str, str] = {}
    processors = 0
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            processors += key.strip() == "processor"
            fields.setdefault(key.strip(), value.strip())
    if not processors:
        raise ParseError("/proc/cpuinfo", "there is no line 'processor'", text)
    return {
        "model": fields.get("model name") or fields.get("Model") or fields.get("CPU part"),
        "microcode": fields.get("microcode"),
        "count": processors,
        "hypervisor": "hypervisor" in fields.get("flags", "").split(),
    }


def parse_memory_total(text: str) -> int:
    """Read the total in KiB from /proc/meminfo: ``MemTotal:       24689764 kB``."""
    found = re.search(r"^MemTotal:\s+([0-9]+) kB$", text, re.MULTILINE)
    if not found:
        raise ParseError("/proc/meminfo", "there is no line MemTotal in kB", text)
    return int(found.group(1))


def parse_features(text: str) -> dict[str, bool]:
    """Read ``ethtool --json -k IFACE``: each offload by name, and whether it is on.

    Sample::

        [ {"ifname": "eth0",
           "rx-checksumming": {"active": true, "fixed": false, "requested": true}} ]
    """
    name = "ethtool"
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ParseError(name, f"this is not JSON ({error})", text) from error
    if not isinstance(document, list) or len(document) != 1 or not isinstance(document[0], dict):
        raise ParseError(name, "this is not a list of one interface", text)
    features = {}
    for feature, state in document[0].items():
        if feature == "ifname":
            continue
        if not isinstance(state, dict) or not isinstance(state.get("active"), bool):
            raise ParseError(name, f"the feature {feature!r} is neither on nor off", text)
        features[feature] = state["active"]
    return features


def parse_driver(text: str) -> dict[str, Optional[str]]:
    """Read ``ethtool -i IFACE``, which has no JSON; empty values are unknown.

    Sample::

        driver: virtio_net
        version: 1.0.0
        firmware-version:
        bus-info: 0000:00:03.0
    """
    fields = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields[key.strip()] = value.strip()
    if "driver" not in fields:
        raise ParseError("ethtool", "there is no line 'driver:'", text)
    return {
        "driver": fields["driver"] or None,
        "driver_version": fields.get("version") or None,
        "firmware": fields.get("firmware-version") or None,
        "bus": fields.get("bus-info") or None,
    }


def parse_selected(text: str) -> Optional[str]:
    """Read a choice that sysfs marks with brackets: ``always [madvise] never``; None where none is marked."""
    found = re.search(r"\[([^][\s]+)\]", text)
    return found.group(1) if found else None


def config_hash(text: str) -> str:
    """Return the SHA-256 of a kernel configuration's symbols, without comments, whatever their order.

    The header holds a date, and lines such as ``# CONFIG_X is not set`` depend on the tool that wrote them.
    """
    symbols = sorted(line.strip() for line in text.splitlines() if line.startswith("CONFIG_"))
    if not symbols:
        raise ParseError("kernel configuration", "there is no line CONFIG_…", text)
    return hashlib.sha256("\n".join(symbols).encode()).hexdigest()


def parse_os_name(text: str) -> Optional[str]:
    """Read the name from /etc/os-release: ``PRETTY_NAME="Debian GNU/Linux 13 (trixie)"``."""
    found = re.search(r"^PRETTY_NAME=[\"']?([^\"'\n]*)", text, re.MULTILINE)
    return found.group(1) if found else None
