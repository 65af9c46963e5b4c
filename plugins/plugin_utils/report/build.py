# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing a report into its results directory; a file that would not change is not touched."""

from __future__ import annotations

import filecmp
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Callable, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError
from ansible_collections.datapath.lab.plugins.plugin_utils import plots
from ansible_collections.datapath.lab.plugins.plugin_utils.fast_json import without_collection
from ansible_collections.datapath.lab.plugins.plugin_utils.report.beside import compare_runs
from ansible_collections.datapath.lab.plugins.plugin_utils.report.render import render_html, render_markdown
from ansible_collections.datapath.lab.plugins.plugin_utils.report.results import Digest, digest_runs, read_results
from ansible_collections.datapath.lab.plugins.plugin_utils.report.view import View, build_view

# What a terminal shows of what is not resolved; the report shows all.
LEFT_OPEN_SHOWN = 6
FORMATS = ("html", "md", "csv")


@dataclass
class Report:
    """What was written (in check mode: what would be)."""

    html: Path | None = None
    markdown: Path | None = None
    csv: Path | None = None
    plots: list[Path] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    changed: list[Path] = field(default_factory=list)


@without_collection()
def build_report(path: str | Path, formats: Sequence[str] = FORMATS, compare_with: str | Path | None = None, dry: bool = False) -> Report:
    """Make the report of a results directory from what lies in it.

    :param path: the run's directory.
    :param formats: which of ``html``, ``md`` and ``csv`` to write; Markdown brings its plots along.
    :param compare_with: another run's directory, to be set beside this one.
    :param dry: write nothing and say what would change.
    :raises LabError: the directory lacks what a report needs, or cannot be written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise InvalidValueError(f"The report has no format {', '.join(map(repr, unknown)) or 'at all'}: choose among {', '.join(FORMATS)}.")
    results = read_results(path)
    report = Report()
    has_runs = (results.path / "measurements.jsonl").is_file()
    try:
        if "csv" in formats and has_runs:
            report.csv = results.path / "measurements.csv"
            digest = _publish(report, report.csv, lambda stream: digest_runs(results, stream), dry)
        else:
            digest = digest_runs(results)
        view = build_view(results, digest)
        if compare_with:
            view.comparison = compare_runs(results, read_results(compare_with))
        report.answer = answer_lines(view)
        if "html" in formats:
            report.html = results.path / "report.html"
            _publish_text(report, report.html, render_html(view), dry)
        if "md" in formats:
            _publish_plots(report, results.path / "plots", view, dry)
            report.markdown = results.path / "report.md"
            _publish_text(report, report.markdown, render_markdown(view), dry)
    except OSError as error:
        raise LabError(f"The report cannot be written to {results.path}: {error.strerror or error}.") from error
    return report


def answer_lines(view: View) -> list[str]:
    """Return what a terminal shows: the answers, or why there is none."""
    lines = [view.rig_sentence] if view.rig_sentence else [f"{view.headline}."] if view.headline else []
    lines += [answer.text for answer in view.answers]
    lines += view.sentences
    if view.no_answer_note:
        lines.append(view.no_answer_note)
    left = [*view.unresolved, *view.invalid]
    lines += left[:LEFT_OPEN_SHOWN]
    if len(left) > LEFT_OPEN_SHOWN:
        lines.append(f"{len(left) - LEFT_OPEN_SHOWN} more comparisons are not resolved or invalid; the report lists them.")
    return lines


def all_plots(view: View) -> list[plots.Drawing]:
    """Return every drawing of a view."""
    beside = view.comparison.plots if view.comparison else []
    return [plot.drawing for plot in [*beside, *view.ratio_plots, *view.curve_plots, *view.value_plots, *view.percentile_plots]]


def _publish_plots(report: Report, directory: Path, view: View, dry: bool) -> None:
    if not dry:
        directory.mkdir(exist_ok=True)
    for drawing in all_plots(view):
        for suffix, theme in (("", "light"), ("-dark", "dark")):
            target = directory / f"{drawing.name}{suffix}.svg"
            _publish_text(report, target, plots.themed(drawing.wide, theme), dry)
            report.plots.append(target)
    # A plot of an earlier report that this one lacks would be taken for its own.
    if directory.is_dir():
        for stale in sorted(set(directory.glob("*.svg")) - set(report.plots)):
            report.changed.append(stale)
            if not dry:
                stale.unlink()


def _publish_text(report: Report, target: Path, text: str, dry: bool) -> None:
    with suppress(FileNotFoundError):
        if target.read_bytes() == text.encode():
            return
    report.changed.append(target)
    if dry:
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    draft.write_bytes(text.encode())
    os.replace(draft, target)


def _publish(report: Report, target: Path, write: Callable[[IO[str]], Digest], dry: bool) -> Digest:
    """Stream a file that may be long; the old one stays in place until the new one is whole."""
    if dry:
        comparing = _Comparing(target)
        digest = write(comparing)  # type: ignore[arg-type]
        if not comparing.close():
            report.changed.append(target)
        return digest
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="") as stream:
            digest = write(stream)
        if target.is_file() and filecmp.cmp(draft, target, shallow=False):
            return digest
        report.changed.append(target)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return digest


class _Comparing:
    """A stream that only looks whether a file already holds what is written to it."""

    def __init__(self, target: Path) -> None:
        self._file = target.open("rb") if target.is_file() else None
        self.same = self._file is not None

    def write(self, text: str) -> int:
        data = text.encode()
        if self.same and self._file is not None and self._file.read(len(data)) != data:
            self.same = False
        return len(text)

    def close(self) -> bool:
        """Return whether the file held exactly what was written."""
        if self._file is not None:
            self.same = self.same and not self._file.read(1)
            self._file.close()
        return self.same
