# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsers of the embedded lab on untouched captures: each raw .out has its golden .json beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import accelerator, host, image, mirror, network, process

FIXTURES = Path(__file__).parents[4] / "fixtures"
BUILTIN = (FIXTURES / "modules_dep/depmod-34-cloud.builtin").read_text(encoding="utf-8")

PARSERS: Dict[str, Callable[[str], Any]] = {
    "apt_indextargets": lambda text: [[each.uri, each.suite, each.component] for each in mirror.parse_indextargets(text)],
    "apt_config": image.proxy_settings,
    "qemu_version": lambda text: list(accelerator.parse_qemu_version(text)),
    "ip_bridges": network.parse_bridges,
    "proc_pid_stat": process.start_ticks,
    "os_release": lambda text: {name: host.parse_os_release(text)[name] for name in ("ID", "VERSION_ID", "VERSION_CODENAME")},
    "modules_dep": lambda text: image.module_files(text, BUILTIN, image.EARLY_MODULES),
}
CAPTURES = [(tool, path) for tool in PARSERS for path in sorted((FIXTURES / tool).glob("*.out"))]


@pytest.mark.parametrize(("tool", "path"), CAPTURES, ids=[f"{tool}-{path.stem}" for tool, path in CAPTURES])
def test_a_capture_gives_its_golden_value(tool: str, path: Path) -> None:
    golden = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert PARSERS[tool](path.read_text(encoding="utf-8")) == golden


def test_every_parser_has_a_capture() -> None:
    assert {tool for tool, _path in CAPTURES} == set(PARSERS)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (mirror.parse_indextargets, "http://mirror.example/debian trixie main"),
        (mirror.parse_indextargets, "|trixie|main"),
        (accelerator.parse_qemu_version, "command not found"),
        (network.parse_bridges, '{"ifname": "br-data"}'),
        (network.parse_bridges, "Cannot open network namespace"),
        (network.parse_bridges, '[{"ifindex": 2}]'),
        (process.start_ticks, "4242 (qemu) S 1 2"),
        (lambda text: image.module_files(text, "", ["ext4"]), "kernel/fs/ext4/ext4.ko.xz kernel/fs/jbd2/jbd2.ko.xz"),
    ],
)
def test_what_is_not_known_is_refused(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ParseError):
        parse(text)
