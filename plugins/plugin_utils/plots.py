# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plots of a report as SVG text, drawn with matplotlib.

Each plot is drawn twice, once for a wide page and once for a phone, since an SVG that is scaled down has letters nobody can
read. Colours are written as roles (ink, grid, a series' colour …) and become real colours only in :func:`themed`: custom
properties of CSS inside the HTML page, which follow the reader's light or dark mode, and plain colours in the files that the
Markdown report shows.

Nothing here decides anything: verdicts and intervals come in as they are and are shown.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError

# Only plots need it: the collection loads without.
MISSING: ImportError | None = None
try:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
except ImportError as error:
    MISSING = error

WIDE = 760
NARROW = 330
# Letters of a label beside a wide plot.
LABEL = 30

# A role of colour → (light, dark). The series follow Okabe and Ito's idea: told apart by the colour-blind, and by marker besides.
PALETTE: Mapping[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#16191d"),
    "ink": ("#1d2228", "#e4e7ea"),
    "muted": ("#5b6672", "#9ba6b2"),
    "grid": ("#dfe3e7", "#2f363e"),
    "band": ("#eef0f2", "#22282f"),
    "better": ("#11734b", "#5fcb9a"),
    "worse": ("#b3261e", "#ff8f85"),
    "equivalent": ("#2a5d9f", "#8cb9f4"),
    "inconclusive": ("#85610a", "#dfb557"),
    "invalid": ("#737d88", "#8a95a1"),
    "series0": ("#66717d", "#a6b0bb"),
    "series1": ("#1f6fb2", "#6cb4ef"),
    "series2": ("#c2560c", "#f49c57"),
    "series3": ("#23804f", "#62c68f"),
    "series4": ("#7d48a8", "#c29ae6"),
    "series5": ("#a8326c", "#ef8dbb"),
    "series6": ("#00798c", "#5cc4d3"),
    "series7": ("#7a6a00", "#d3c04a"),
}
SERIES = tuple(name for name in PALETTE if name.startswith("series"))
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")

# matplotlib wants a colour while it draws; these stand in for the roles and occur nowhere else.
_STAND_IN = {role: f"#0a0b{number:02x}" for number, role in enumerate(PALETTE)}
_ROLE_OF = {colour: role for role, colour in _STAND_IN.items()}

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "datapath.lab",
    # A name with dollar signs is a name, not mathematics.
    "text.parse_math": False,
    "font.size": 12,
    "font.family": "sans-serif",
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "figure.dpi": 72,
}
_FONT_LIST = re.compile(r"'DejaVu Sans'(?:, [^;\"]*)?sans-serif")
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Drawing:
    """One plot in its two widths; the SVG text carries stand-in colours until :func:`themed`."""

    name: str
    title: str
    alt: str
    wide: str
    narrow: str


@dataclass(frozen=True)
class ForestRow:
    """One comparison: the ratio with its interval (``None`` where a bound does not exist), its verdict, the published figure.

    ``text`` is the ratio in words, ``word`` the verdict's; an invalid comparison shows neither ratio nor interval.
    """

    label: str
    ratio: float | None
    low: float | None
    high: float | None
    verdict: str
    text: str
    word: str = ""
    published: float | None = None
    published_low: float | None = None
    published_high: float | None = None


@dataclass(frozen=True)
class Value:
    """A mean with its 95 % interval; the interval is ``None`` where there were too few runs for one."""

    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Values of one arm; ``values[i]`` belongs to row or abscissa ``i``, ``None`` where there is none. ``slot`` fixes its colour."""

    label: str
    slot: int
    values: Sequence[Value | None]


@dataclass(frozen=True)
class Ceiling:
    """A bound that no run can pass, such as the line rate."""

    value: float
    label: str


def printable(text: object, limit: int = 60) -> str:
    """Return ``text`` on one line, without characters that XML does not allow, cut to ``limit`` characters."""
    line = "".join(char if char.isprintable() else " " for char in str(text))
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def themed(svg: str, theme: str) -> str:
    """Put colours in: ``theme`` is ``light``, ``dark`` (a file with a background) or ``page`` (custom properties of the HTML page)."""
    index = {"light": 0, "dark": 1}.get(theme)

    def colour(match: re.Match[str]) -> str:
        role = _ROLE_OF.get(match.group(0))
        if role is None:
            return match.group(0)
        return f"var(--{role})" if index is None else PALETTE[role][index]

    coloured = re.sub(r"#0a0b[0-9a-f]{2}", colour, svg)
    if index is None:
        return coloured
    paper = f'<rect width="100%" height="100%" fill="{PALETTE["paper"][index]}"/>'
    head, tag, rest = coloured.partition("<!--paper-->")
    return head + paper + rest if tag else coloured


def palette_css() -> str:
    """Return the custom properties that ``themed(…, 'page')`` refers to, for light and for dark."""
    light = "".join(f"--{role}:{colours[0]};" for role, colours in PALETTE.items())
    dark = "".join(f"--{role}:{colours[1]};" for role, colours in PALETTE.items())
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}"


def ratio_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most ``most`` round ratios between ``low`` and ``high``, for a logarithmic axis; 1 is among them if it lies inside."""
    if not 0 < low < high:
        raise ValueError(f"A logarithmic axis needs 0 < low < high, not {low} and {high}.")
    if high / low < 3:
        # Less than half a decade: equal steps, as a ruler has them.
        smallest = 10.0 ** math.floor(math.log10((high - low) / most))
        for step in (smallest * factor for factor in (1, 2, 2.5, 5, 10, 20, 25, 50)):
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if 2 <= last - first + 1 <= most:
                return [float(f"{number * step:.10g}") for number in range(first, last + 1)]
        return [1.0] if low <= 1 <= high else [float(f"{(low * high) ** 0.5:.3g}")]
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for leading in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = sorted(round(lead * 10.0**decade, 9) for decade in decades for lead in leading)
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def forest(name: str, title: str, rows: Sequence[ForestRow], margin: float, reference: str, arm: str) -> Drawing:
    """Draw ratios with their intervals on a logarithmic axis, the published ratio as another mark and the margin as a band.

    :param name: base name of the file.
    :param title: what is compared, shown to readers who cannot see the plot.
    :param rows: one per comparison, first at the top.
    :param margin: the equivalence margin δ; the band spans 1 − δ to 1 + δ.
    :param reference: name of what stands left of 1.
    :param arm: name of what stands right of it.
    """
    alt = ". ".join(f"{row.label}: {row.text} {row.word}".strip() + (f", published {row.published:.3g}" if row.published else "") for row in rows)
    return Drawing(name, title, alt, *(_finish(_forest(rows, margin, reference, arm, wide), name, title, alt, wide) for wide in (True, False)))


def values(name: str, title: str, unit: str, labels: Sequence[str], series: Sequence[Series]) -> Drawing:
    """Draw the mean of each arm with its interval, one row per label, on one axis from zero (logarithmic if the values span decades)."""
    alt = _alt_of_series(labels, series, unit)
    return Drawing(name, title, alt, *(_finish(_values(labels, series, unit, wide), name, title, alt, wide) for wide in (True, False)))


def curves(name: str, title: str, x_label: str, y_label: str, xs: Sequence[float], series: Sequence[Series], ceiling: Ceiling | None = None) -> Drawing:
    """Draw one line per arm over a numeric axis with its interval as a band, and the ceiling that no run can pass."""
    alt = _alt_of_series([f"{x_label} {x:g}" for x in xs], series, y_label)
    if ceiling:
        alt += f". Ceiling: {ceiling.value:.4g} ({ceiling.label})"
    drawn = (_finish(_curves(x_label, y_label, xs, series, ceiling, wide), name, title, alt, wide) for wide in (True, False))
    return Drawing(name, title, alt, *drawn)


def percentiles(name: str, title: str, unit: str, percents: Sequence[float], series: Sequence[Series]) -> Drawing:
    """Draw latency over its percentile, one line per arm, on a logarithmic axis."""
    labels = [f"P{percent:g}" for percent in percents]
    alt = _alt_of_series(labels, series, unit)
    return Drawing(name, title, alt, *(_finish(_percentiles(labels, series, unit, wide), name, title, alt, wide) for wide in (True, False)))


def _alt_of_series(labels: Sequence[str], series: Sequence[Series], unit: str) -> str:
    parts = []
    for one in series:
        known = [f"{label} {value.mean:.4g}" for label, value in zip(labels, one.values) if value is not None]
        parts.append(f"{one.label}: " + (", ".join(known) if known else "not measured"))
    return f"Means in {unit}. " + ". ".join(parts)


def _ink(role: str) -> str:
    return _STAND_IN[role]


def _colour(slot: int) -> str:
    return _STAND_IN[SERIES[slot % len(SERIES)]]


def _marker(slot: int) -> str:
    return MARKERS[slot % len(MARKERS)]


@contextmanager
def _figure(width: int, height: float) -> Iterator[Figure]:
    if MISSING is not None:
        raise MissingCapabilityError(f"The plots of a report need matplotlib on the controller ({MISSING}); 'make deps' installs it.")
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")
        figure.set_canvas(FigureCanvasSVG(figure))
        yield figure


def _axes(figure: Figure, left: float, right: float, top: float, bottom: float) -> Any:
    """Add axes; the four arguments are margins in pixels."""
    width, height = figure.get_size_inches() * 72
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box, facecolor="none")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_ink("muted"))
    axes.tick_params(colors=_ink("muted"), labelcolor=_ink("muted"), labelsize=11, length=3, width=0.8, pad=4)
    axes.tick_params(axis="y", length=0)
    axes.minorticks_off()
    return axes


class _Marks:
    """Marks and horizontal lines that are drawn together where they look alike: a plot of fifty rows would else be a thousand artists."""

    def __init__(self) -> None:
        self._points: dict[tuple[tuple[str, Any], ...], tuple[list[float], list[float]]] = {}
        self._lines: dict[tuple[tuple[str, Any], ...], list[tuple[float, float, float]]] = {}

    def point(self, x: float, y: float, **style: Any) -> None:
        """Keep a mark; ``style`` is that of ``Axes.plot``."""
        xs, ys = self._points.setdefault(tuple(sorted(style.items())), ([], []))
        xs.append(x)
        ys.append(y)

    def line(self, start: float, end: float, y: float, **style: Any) -> None:
        """Keep a horizontal line; ``style`` is that of ``Axes.hlines``."""
        self._lines.setdefault(tuple(sorted(style.items())), []).append((y, start, end))

    def draw(self, axes: Any) -> None:
        """Draw what was kept."""
        for style, lines in self._lines.items():
            axes.hlines(*zip(*lines), **dict(style))
        for style, (xs, ys) in self._points.items():
            axes.plot(xs, ys, linestyle="none", **dict(style))


def _columns(labels: Sequence[str], wide: bool) -> int:
    """Return how many entries of a legend fit beside each other: each has a mark of about 5 letters before it."""
    letters = max((min(len(label), 30) for label in labels), default=0) + 6
    return max(1, min(len(labels), (110 if wide else 46) // letters))


def _legend(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    figure.legend(
        handles=handles,
        loc="upper left",
        # Letters reach a little above their line.
        bbox_to_anchor=(0, 1 - 3 / (figure.get_size_inches()[1] * 72)),
        ncols=columns,
        frameon=False,
        borderpad=0.1,
        borderaxespad=0,
        columnspacing=1.4,
        handlelength=1.6,
        handletextpad=0.5,
        labelcolor=_ink("ink"),
        fontsize=11.5,
    )


def _room(labels: Iterable[str]) -> float:
    """Return how many pixels the longest label on the left of a wide plot needs; letters are at most 7.6 pixels wide on the average."""
    return min(max(7.6 * min(len(label), LABEL) for label in labels) + 14, 250.0)


def _write(figure: Figure) -> str:
    text = io.StringIO()
    with warnings.catch_warnings():
        # A letter that matplotlib's own font lacks only makes its measure of the text rough; the reader's font draws it.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.canvas.print_svg(text, metadata={"Date": None})  # type: ignore[attr-defined]
    return text.getvalue()


def _finish(raw: str, name: str, title: str, alt: str, wide: bool) -> str:
    """Turn matplotlib's file into an SVG element that may stand inside a page: own ids, a title, no address of another host."""
    prefix = f"{name}-{'w' if wide else 'n'}-"
    body = raw[raw.index("<svg") :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.S)
    body = _FONT_LIST.sub(_FONTS.replace('"', "'"), body)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}\1"', body)
    body = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", body)
    # matplotlib's only style sheet would reach every element of the page.
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.S)
    body = re.sub(r"\n(?=[LMCQ zZ])", " ", body)
    view = re.search(r'viewBox="([^"]+)"', body)
    if view is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox.")
    box = view.group(1)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{box.split()[2]}" height="{box.split()[3]}" role="img"'
        f' aria-labelledby="{prefix}title {prefix}desc" stroke-linejoin="round">'
        f'<title id="{prefix}title">{escape(printable(title, 200))}</title><desc id="{prefix}desc">{escape(printable(alt, 4000))}</desc>'
        "<!--paper-->"
    )
    return head + body[body.index(">") + 1 :].strip() + "\n"


def _bounds(rows: Sequence[ForestRow], margin: float) -> tuple[float, float]:
    valid = [row for row in rows if row.verdict != "invalid"]
    centres = [row.ratio for row in valid if row.ratio and row.ratio > 0] + [row.published for row in rows if row.published and row.published > 0]
    centres += [1 - margin, 1 + margin]
    ends = [end for row in valid for end in (row.low, row.high, row.published_low, row.published_high) if end is not None and end > 0 and math.isfinite(end)]
    # One interval without end must not squeeze all others into a line.
    low = max(min([*centres, *ends]), min(centres) / 3)
    high = min(max([*centres, *ends]), max(centres) * 3)
    room = (high / low) ** 0.04
    return low / room, high * room


def _forest(rows: Sequence[ForestRow], margin: float, reference: str, arm: str, wide: bool) -> str:
    step = 25.0 if wide else 41.0
    top, bottom = (33.0, 44.0) if wide else (47.0, 44.0)
    left, right = (_room(row.label for row in rows), 222.0) if wide else (14.0, 14.0)
    height = top + bottom + step * len(rows) + 4
    with _figure(WIDE if wide else NARROW, height) as figure:
        axes = _axes(figure, left, right, top, bottom)
        axes.set_xscale("log")
        low, high = _bounds(rows, margin)
        axes.set_xlim(low, high)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks([])
        ticks = ratio_ticks(low, high, 8 if wide else 6)
        axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
        axes.minorticks_off()
        axes.grid(axis="x", color=_ink("grid"), linewidth=0.8)
        axes.set_axisbelow(True)
        axes.axvspan(1 - margin, 1 + margin, color=_ink("band"), linewidth=0, zorder=0.4)
        axes.axvline(1, color=_ink("muted"), linewidth=1.1, zorder=1)
        across = axes.get_yaxis_transform()
        # Words that stand over the grid cover it.
        behind = {"facecolor": _ink("paper"), "edgecolor": "none", "pad": 1.5}
        marks = _Marks()
        for y, row in enumerate(rows):
            words_beside = f"{row.text} {row.word}".strip()
            if not wide and len(row.label) + len(words_beside) > 44:
                words_beside = row.text
            # On a phone the words stand above their mark, beside it there is no room.
            mark = y if wide else y + 0.2
            words = y if wide else y - 0.22
            colour = _ink(row.verdict if row.verdict in PALETTE else "invalid")
            _interval(marks, row, mark, low, high, colour)
            if row.published and row.published_low and row.published_high:
                ends = max(row.published_low, low), min(row.published_high, high)
                marks.line(*ends, mark, color=_ink("ink"), linewidth=1, linestyle=(0, (2, 2)), zorder=3.8)
            if row.published and low <= row.published <= high:
                marks.point(
                    row.published,
                    mark,
                    marker="D",
                    markersize=7,
                    markerfacecolor="none",
                    markeredgecolor=_ink("ink"),
                    markeredgewidth=1.2,
                    zorder=4,
                )
            axes.text(
                -8 / (WIDE - left - right) if wide else -12 / (NARROW - left - right),
                words,
                printable(row.label, LABEL if wide else 24),
                transform=across,
                ha="right" if wide else "left",
                va="center",
                color=_ink("ink"),
                fontsize=12,
                bbox=None if wide else behind,
                zorder=5,
            )
            axes.text(
                1 + 12 / (WIDE - left - right) if wide else 1 + 12 / (NARROW - left - right),
                words,
                printable(words_beside, 40),
                transform=across,
                ha="left" if wide else "right",
                va="center",
                color=colour,
                fontsize=12 if wide else 11.5,
                bbox=None if wide else behind,
                zorder=5,
            )
        marks.draw(axes)
        sides = [printable(reference, 40), printable(arm, 40)]
        says = " is better" if wide or len("".join(sides)) <= 22 else ""
        for text, place, align in ((f"← {sides[0]}{says}", 0.0, "left"), (f"{sides[1]}{says} →", 1.0, "right")):
            _under(axes, printable(text, 52 if wide else 23), 28, place, align)
        handles: list[Any] = [
            Line2D([], [], color=_ink("ink"), marker="o", markersize=7, linewidth=2, label="measured, 95 % interval"),
            Patch(facecolor=_ink("band"), edgecolor=_ink("grid"), label=f"margin ±{margin:.0%}".replace("%", " %")),
        ]
        if any(row.published for row in rows):
            handles.insert(
                1,
                Line2D([], [], color="none", marker="D", markersize=7, markerfacecolor="none", markeredgecolor=_ink("ink"), label="published"),
            )
        if any(row.verdict == "inconclusive" for row in rows):
            handles.append(Line2D([], [], color=_ink("inconclusive"), marker="o", markersize=7, markerfacecolor="none", linewidth=2, label="not resolved"))
        _legend(figure, handles, 4 if wide else 2)
        return _write(figure)


def _under(axes: Any, text: str, distance: int, place: float = 0.5, align: str = "center") -> None:
    """Write ``text`` under the axes, ``distance`` pixels below their edge, at a fraction of their width."""
    axes.annotate(
        printable(text, 90),
        xy=(place, 0),
        xycoords="axes fraction",
        xytext=(0, -distance),
        textcoords="offset points",
        ha=align,
        va="center",
        color=_ink("muted"),
        fontsize=11,
        annotation_clip=False,
    )


def _interval(marks: _Marks, row: ForestRow, y: float, low: float, high: float, colour: str) -> None:
    if row.ratio is None or row.ratio <= 0 or row.verdict == "invalid":
        marks.point(1, y, marker="x", markersize=7, color=colour, zorder=3)
        return
    start = row.low if row.low is not None and row.low > 0 else 0.0
    end = row.high if row.high is not None else math.inf
    marks.line(max(start, low), min(end, high), y, color=colour, linewidth=2, capstyle="butt", zorder=2)
    for bound, edge, arrow in ((start, low, "<"), (end, high, ">")):
        outside = bound < low if arrow == "<" else bound > high
        if outside:
            marks.point(edge, y, marker=arrow, markersize=6, color=colour, clip_on=False, zorder=3)
        else:
            marks.point(bound, y, marker="|", markersize=8, color=colour, markeredgewidth=1.6, zorder=3)
    solid = row.verdict in ("better", "worse", "equivalent")
    face = colour if solid else _ink("paper")
    marks.point(row.ratio, y, marker="o", markersize=7, markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.6, zorder=3.5)


def _ends(series: Sequence[Series]) -> list[float]:
    return [
        end
        for one in series
        for value in one.values
        if value is not None
        for end in (value.mean, value.low, value.high)
        if end is not None and math.isfinite(end)
    ]


def _values(labels: Sequence[str], series: Sequence[Series], unit: str, wide: bool) -> str:
    single = len(labels) == 1
    names = [one.label for one in series] if single else list(labels)
    step = 26.0 if single else 11.0 + 13.0 * len(series)
    if not wide:
        step += 18.0
    columns = _columns([one.label for one in series], wide)
    legend_rows = 0 if single else math.ceil(len(series) / columns)
    top, bottom = 10.0 + 18.0 * legend_rows, 44.0
    left, right = (_room(names), 96.0 if single else 30.0) if wide else (10.0, 22.0)
    with _figure(WIDE if wide else NARROW, top + bottom + step * len(names)) as figure:
        axes = _axes(figure, left, right, top, bottom)
        ends = [end for end in _ends(series) if end >= 0]
        least, most = (min(ends), max(ends)) if ends else (0.0, 1.0)
        if least > 0 and most / least > 40:
            axes.set_xscale("log")
            axes.set_xlim(least / 1.25, most * 1.25)
            ticks = ratio_ticks(least / 1.25, most * 1.25, 7 if wide else 5)
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        else:
            axes.set_xlim(0, most * 1.06 or 1)
            axes.locator_params(axis="x", nbins=7 if wide else 4)
            axes.xaxis.set_major_formatter(lambda x, _position: f"{x:,.10g}")
        axes.minorticks_off()
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks([])
        axes.grid(axis="x", color=_ink("grid"), linewidth=0.8)
        axes.set_axisbelow(True)
        across = axes.get_yaxis_transform()
        for y, label in enumerate(names):
            if wide:
                axes.text(
                    -10 / (WIDE - left - right),
                    y,
                    printable(label, LABEL),
                    transform=across,
                    ha="right",
                    va="center",
                    color=_ink("ink"),
                    fontsize=12,
                )
            else:
                axes.text(0, y - 0.5 + 9 / step, printable(label, 44), transform=across, ha="left", va="center", color=_ink("ink"), fontsize=12)
        if len(names) > 1 and not single:
            axes.hlines([y - 0.5 for y in range(1, len(names))], 0, 1, transform=across, color=_ink("grid"), linewidth=0.8, zorder=0.5)
        marks = _Marks()
        for number, one in enumerate(series):
            for row, value in enumerate(one.values):
                if value is None:
                    continue
                place = float(number) if single else row + (13.0 / step) * (number - (len(series) - 1) / 2)
                _value_mark(marks, value, place if wide else place + 9.0 / step, one.slot)
        marks.draw(axes)
        _under(axes, unit, 28)
        if not single:
            _legend(figure, [_handle(one) for one in series], columns)
        return _write(figure)


def _value_mark(marks: _Marks, value: Value, y: float, slot: int) -> None:
    if value.low is not None and value.high is not None:
        marks.line(value.low, value.high, y, color=_colour(slot), linewidth=2, capstyle="butt", zorder=2)
    marks.point(value.mean, y, marker=_marker(slot), markersize=6, color=_colour(slot), zorder=3)


def _handle(one: Series, line: bool = False) -> Line2D:
    colour = _colour(one.slot)
    return Line2D([], [], color=colour, marker=_marker(one.slot), markersize=6, linewidth=1.8 if line else 0, label=printable(one.label, 30))


def _curves(x_label: str, y_label: str, xs: Sequence[float], series: Sequence[Series], ceiling: Ceiling | None, wide: bool) -> str:
    columns = _columns([one.label for one in series], wide)
    top = 29.0 + 18.0 * math.ceil(len(series) / columns)
    with _figure(WIDE if wide else NARROW, (380 if wide else 300) + top) as figure:
        axes = _axes(figure, 66.0 if wide else 46.0, 16.0 if wide else 8.0, top, 46.0)
        axes.grid(axis="y", color=_ink("grid"), linewidth=0.8)
        axes.set_axisbelow(True)
        for one in series:
            known = [(x, value) for x, value in zip(xs, one.values) if value is not None]
            banded = [(x, value.low, value.high) for x, value in known if value.low is not None and value.high is not None]
            if banded:
                axes.fill_between([b[0] for b in banded], [b[1] for b in banded], [b[2] for b in banded], color=_colour(one.slot), alpha=0.18, linewidth=0)
            axes.plot(
                [x for x, _value in known],
                [value.mean for _x, value in known],
                color=_colour(one.slot),
                marker=_marker(one.slot),
                markersize=5,
                linewidth=1.8,
            )
        most = max([*_ends(series), ceiling.value if ceiling else 0.0], default=1.0)
        axes.set_ylim(0, most * 1.08 or 1)
        spread = (max(xs) - min(xs)) or 1.0
        axes.set_xlim(min(0, *xs) if min(xs) <= spread * 0.1 else min(xs) - spread * 0.03, max(xs) + spread * 0.03)
        axes.locator_params(axis="x", nbins=10 if wide else 5)
        axes.locator_params(axis="y", nbins=6)
        axes.xaxis.set_major_formatter(lambda x, _position: f"{x:,.10g}")
        axes.yaxis.set_major_formatter(_short)
        if ceiling:
            axes.axhline(ceiling.value, color=_ink("ink"), linewidth=1.2, linestyle=(0, (5, 3)), zorder=1.5)
            axes.annotate(
                printable(f"ceiling: {ceiling.label}", 60 if wide else 40),
                xy=(1, ceiling.value),
                xycoords=axes.get_yaxis_transform(),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                va="bottom",
                color=_ink("ink"),
                fontsize=11,
            )
        _under(axes, x_label, 32)
        figure.text(
            0,
            1 - (top - 12) / (figure.get_size_inches()[1] * 72),
            printable(y_label),
            ha="left",
            va="center",
            color=_ink("muted"),
            fontsize=11,
        )
        _legend(figure, [_handle(one, line=True) for one in series], columns)
        return _write(figure)


def _short(value: float, _position: int = 0) -> str:
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{suffix}"
    return f"{value:.4g}"


def _percentiles(labels: Sequence[str], series: Sequence[Series], unit: str, wide: bool) -> str:
    columns = _columns([one.label for one in series], wide)
    top = 29.0 + 18.0 * math.ceil(len(series) / columns)
    with _figure(WIDE if wide else NARROW, (300 if wide else 260) + top) as figure:
        axes = _axes(figure, 66.0 if wide else 46.0, 16.0 if wide else 10.0, top, 30.0)
        axes.grid(axis="y", color=_ink("grid"), linewidth=0.8)
        axes.set_axisbelow(True)
        for number, one in enumerate(series):
            # Lines that share an abscissa would hide each other's intervals: each arm stands a little aside.
            aside = 0.06 * (number - (len(series) - 1) / 2)
            known = [(x + aside, value) for x, value in enumerate(one.values) if value is not None]
            for x, value in known:
                if value.low is not None and value.high is not None and value.low > 0:
                    axes.plot([x, x], [value.low, value.high], color=_colour(one.slot), linewidth=1.6, solid_capstyle="butt")
            axes.plot(
                [x for x, _value in known],
                [value.mean for _x, value in known],
                color=_colour(one.slot),
                marker=_marker(one.slot),
                markersize=5.5,
                linewidth=1.6,
            )
        ends = [end for end in _ends(series) if end > 0]
        if ends:
            low, high = min(ends) / 1.2, max(ends) * 1.2
            axes.set_yscale("log")
            axes.set_ylim(low, high)
            ticks = ratio_ticks(low, high, 7)
            axes.set_yticks(ticks, [_short(tick) for tick in ticks])
            axes.minorticks_off()
        axes.set_xlim(-0.4, len(labels) - 0.6)
        axes.set_xticks(range(len(labels)), labels)
        figure.text(
            0,
            1 - (top - 12) / (figure.get_size_inches()[1] * 72),
            printable(unit),
            ha="left",
            va="center",
            color=_ink("muted"),
            fontsize=11,
        )
        _legend(figure, [_handle(one, line=True) for one in series], columns)
        return _write(figure)
