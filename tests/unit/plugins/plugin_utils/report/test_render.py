# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Escaping: what a name holds is shown and never acts."""

from __future__ import annotations

import pytest
from ansible_collections.datapath.lab.plugins.plugin_utils.report.render import html_prose, markdown_code, markdown_prose, markdown_text
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time_mean", "time_mean"),
        ("_x_ *y* `z`", r"\_x\_ \*y\* \`z\`"),
        ("a|b", r"a\|b"),
        ("<script>", "&lt;script&gt;"),
        ("[x](http://e)", r"\[x](http:&#47;&#47;e)"),
        ("# no heading", r"\# no heading"),
        ("1. no list", r"1\. no list"),
        ("3.13", "3.13"),
        ("- no list", r"\- no list"),
        ("a\nb", "a b"),
        ("$x$", "&#36;x&#36;"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, expected: str) -> None:
    assert markdown_text(text) == expected


def shown(markdown: str) -> tuple[str, set[str]]:
    """Return the text that a reader sees in the first paragraph, and which kinds of markup it holds."""
    texts, kinds = [], set()
    for token in MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown):
        kinds.add(token.type)
        for child in token.children or ():
            kinds.add(child.type)
            texts.append(child.content)
    return "".join(texts), kinds


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=60))
def test_no_text_becomes_markup(text: str) -> None:
    wanted = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    text_shown, kinds = shown(markdown_text(text))
    assert text_shown == wanted
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}


@given(st.text(alphabet="|`<>&*_a b", max_size=30))
def test_a_code_span_keeps_a_table_whole(text: str) -> None:
    code = markdown_code(text)
    _shown, kinds = shown(f"| a | b |\n| - | - |\n| {code} | x |\n")
    rows = MarkdownIt("gfm-like", {"linkify": False}).render(f"| a | b |\n| - | - |\n| {code} | x |\n")
    assert rows.count("<td>") == 2
    assert "<td>x</td>" in rows
    assert "html_block" not in kinds


def test_names_between_backticks_are_code_in_both() -> None:
    assert str(html_prose("run `ipvsadm -Sn` <b>")) == "run <code class=nb>ipvsadm -Sn</code> &lt;b&gt;"
    assert str(markdown_prose("run `ipvsadm -Sn` <b>")) == "run `ipvsadm -Sn` &lt;b&gt;"


def test_a_number_is_not_parted_from_its_unit() -> None:
    assert str(html_prose("95 % of 3 s")) == "95\u00a0% of 3\u00a0s"
