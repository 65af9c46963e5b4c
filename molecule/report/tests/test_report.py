# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report stands alone: one HTML file that loads nothing, Markdown, CSV."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

testinfra_hosts = ["local://"]
HERE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "copied")


@pytest.mark.parametrize("name", ["report.html", "report.md", "measurements.csv"])
def test_each_form_exists(name: str) -> None:
    assert (HERE / name).stat().st_size > 1000


def test_the_html_loads_nothing() -> None:
    text = (HERE / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)[^"']*""", text)
    assert "<script" not in text


def test_one_line_per_run_and_metric_in_the_csv() -> None:
    lines = (HERE / "measurements.csv").read_text(encoding="utf-8").splitlines()
    runs = (HERE / "measurements.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) > len(runs)
