# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plots: well-formed, legible in both themes, safe against names, and true to the figures they were given."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError
from ansible_collections.datapath.lab.plugins.plugin_utils import plots
from hypothesis import given, settings
from hypothesis import strategies as st

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert('$\\frac{1}')</script>\x00\n& \"x\" $$"

ROWS = [
    plots.ForestRow("1000×4", 3.13, 3.0, 3.27, "better", "3.13 [3.00, 3.27]", "better", published=2.63),
    plots.ForestRow("100×100", 1.04, 0.95, 1.12, "inconclusive", "1.04 [0.95, 1.12]", "not resolved", 1.09, 1.05, 1.13),
    plots.ForestRow("8000×2", 9.99, 9.0, 11.0, "invalid", "", "invalid"),
    plots.ForestRow("open", 1.5, None, None, "inconclusive", "1.5 [unbounded, unbounded]", "not resolved"),
]
SERIES = [
    plots.Series("base", 0, [plots.Value(4.0, 3.9, 4.1), plots.Value(2.0), None]),
    plots.Series(HOSTILE, 1, [plots.Value(0.6, 0.5, 0.7), plots.Value(1.0), plots.Value(3.0)]),
]


def all_drawings() -> list[plots.Drawing]:
    return [
        plots.forest("ratio", HOSTILE, ROWS, 0.05, HOSTILE, "patched"),
        plots.values("values", "v", "s", ["a", "b", HOSTILE], SERIES),
        plots.values("one", "v", "s", ["a"], SERIES),
        plots.curves("curve", "c", "pods", "requests/s", [1, 10, 40], SERIES, plots.Ceiling(4.5, HOSTILE)),
        plots.percentiles("percentiles", "p", "ms", [50, 90, 99.9], SERIES),
    ]


@pytest.mark.parametrize("drawing", all_drawings(), ids=lambda drawing: drawing.name)
def test_each_plot_is_one_svg_with_title_description_and_own_ids(drawing: plots.Drawing) -> None:
    seen: set[str] = set()
    for svg in (drawing.wide, drawing.narrow):
        root = ElementTree.fromstring(svg)
        assert root.tag == f"{SVG}svg"
        assert root.get("role") == "img"
        title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None and title.text
        assert description is not None and description.text
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        assert not seen & set(ids)
        seen |= set(ids)  # type: ignore[arg-type]
        assert set(str(root.get("aria-labelledby")).split()) == {title.get("id"), description.get("id")}
        # What is referred to exists: a marker or a clip path that lost its id would vanish from the plot.
        referred = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
        assert referred <= set(ids)
        assert not [element for element in root.iter() if element.tag.endswith(("script", "metadata", "style", "image"))]


@pytest.mark.parametrize("drawing", all_drawings(), ids=lambda drawing: drawing.name)
def test_no_stand_in_colour_survives_a_theme(drawing: plots.Drawing) -> None:
    for svg in (drawing.wide, drawing.narrow):
        assert "#0a0b" in svg
        for theme in ("light", "dark", "page"):
            assert "#0a0b" not in plots.themed(svg, theme)
    assert "var(--ink)" in plots.themed(drawing.wide, "page")
    assert f'fill="{plots.PALETTE["paper"][1]}"' in plots.themed(drawing.wide, "dark")
    assert f'fill="{plots.PALETTE["paper"][0]}"' not in plots.themed(drawing.wide, "page")


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("role", [role for role in plots.PALETTE if role not in ("paper", "grid", "band")])
@pytest.mark.parametrize("theme", [0, 1])
def test_words_and_marks_stand_out_from_the_paper(role: str, theme: int) -> None:
    light, dark = sorted((luminance(plots.PALETTE[role][theme]), luminance(plots.PALETTE["paper"][theme])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= (3.0 if role == "invalid" else 4.5)


def test_the_forest_says_what_it_shows_and_shows_no_invalid_ratio() -> None:
    drawing = plots.forest("ratio", "patched against base", ROWS, 0.05, "base", "patched")
    assert "1000×4: 3.13 [3.00, 3.27] better, published 2.63" in drawing.alt
    # The invalid ratio of 9.99 would stretch the axis beyond 5.
    ticks = [float(text[:-1]) for text in re.findall(r">([0-9.]+×)</text>", drawing.wide) if text.endswith("×") for text in [text]]
    assert ticks and max(ticks) < 5


def test_a_ratio_stands_where_the_axis_says() -> None:
    svg = plots.forest("ratio", "t", [plots.ForestRow("p", 2.0, 1.0, 4.0, "better", "2")], 0.05, "a", "b").wide
    places = {text: float(x) for x, text in re.findall(r'<text [^>]*?x="([0-9.]+)"[^>]*>([0-9.]+×)</text>', svg)}
    marks = [float(x) for x in re.findall(r'<use href="[^"]+" x="([0-9.]+)" y="[0-9.]+"', svg)]
    for tick in ("1×", "2×", "4×"):
        assert any(abs(mark - places[tick]) < 0.01 for mark in marks), tick


@settings(max_examples=200, deadline=None)
@given(low=st.floats(1e-6, 1e6), factor=st.floats(1.001, 1e9), most=st.integers(2, 9))
def test_ticks_lie_inside_and_are_not_too_many(low: float, factor: float, most: int) -> None:
    high = low * factor
    ticks = plots.ratio_ticks(low, high, most)
    assert 1 <= len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert all(low * 0.99 <= tick <= high * 1.01 for tick in ticks)


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.3), (0.5, 8.0), (0.98, 1.01), (0.2, 30.0)])
def test_one_is_a_tick_where_the_axis_crosses_it(low: float, high: float) -> None:
    assert 1.0 in plots.ratio_ticks(low, high, 6)


def test_an_empty_or_inverted_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="logarithmic axis"):
        plots.ratio_ticks(2.0, 1.0, 5)


@given(st.text(max_size=200))
def test_printable_text_fits_xml_and_one_line(text: str) -> None:
    line = plots.printable(text, 40)
    assert len(line) <= 40
    assert line.isprintable()


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=30))
def test_any_name_can_stand_in_a_plot(name: str) -> None:
    drawing = plots.forest("n", name, [plots.ForestRow(name, 1.2, 1.1, 1.3, "better", name)], 0.05, name, name)
    ElementTree.fromstring(drawing.wide)
    ElementTree.fromstring(drawing.narrow)


def test_the_palette_is_given_for_both_modes() -> None:
    css = plots.palette_css()
    light, dark = css.split("@media")
    assert "prefers-color-scheme: dark" in dark
    for role in plots.PALETTE:
        assert f"--{role}:" in light and f"--{role}:" in dark


def test_without_matplotlib_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "MISSING", ImportError("No module named 'matplotlib'"))
    with pytest.raises(MissingCapabilityError, match=r"need matplotlib on the controller \(No module named 'matplotlib'\); 'make deps'"):
        plots.values("v", "t", "s", ["a"], SERIES)
