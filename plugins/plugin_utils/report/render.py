# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a view to text: HTML and Markdown by templates, everything escaped unless a template wrote it itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

from ansible_collections.datapath.lab.plugins.plugin_utils import plots
from ansible_collections.datapath.lab.plugins.plugin_utils.report.view import View
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

# The templates belong to the role; in a checkout and in an installed collection they lie at the same place beside the plugins.
TEMPLATES = Path(__file__).parents[3] / "roles" / "report" / "templates"

# An underscore between letters is one; the other characters could begin markup.
_MARKDOWN_SPECIAL = re.compile(r"[\\`*\[|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BLOCK_START = re.compile(r"^([-+=#]|\d+[.)])(?= |$)")


def render_html(view: View) -> str:
    """Return the report as one HTML page that needs nothing from elsewhere."""
    environment = _environment(None)
    environment.globals["palette_css"] = Markup(plots.palette_css())
    environment.globals["style"] = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    environment.filters["prose"] = html_prose
    environment.filters["svg"] = lambda text: Markup(plots.themed(text, "page"))
    return environment.get_template("report.html.j2").render(view=view)


def render_markdown(view: View) -> str:
    """Return the report as GitHub's Markdown; plots are shown from ``plots/`` beside it."""
    environment = _environment(markdown_text)
    environment.filters["prose"] = markdown_prose
    environment.filters["code"] = lambda text: Markup(markdown_code(str(text)))
    environment.filters["cell"] = lambda cell: Markup(markdown_code(cell.text) if cell.kind == "code" else markdown_text(cell.text))
    environment.filters["attribute"] = lambda text: Markup(Markup.escape(plots.printable(text, 400)).replace("|", "&#124;"))
    text = environment.get_template("report.md.j2").render(view=view)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _environment(escape: Callable[[str], str] | None) -> Environment:
    def finalize(value: Any) -> Any:
        if value is None or isinstance(value, Markup) or escape is None:
            return value
        return Markup(escape(str(value)))

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        # Also for Markdown: what is no markup by then has gone through ``escape`` and is markup.
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


_CODE = re.compile(r"`([^`\n]+)`")
_UNIT = re.compile(r"(?<=\d) (?=%|(?:[mµnk]?s|k?B|min|h|pods?|runs?)\b)")


def html_prose(text: object) -> Markup:
    """Return a sentence as HTML: escaped, `names` between backticks set as code, a number never parted from its unit."""
    safe = str(Markup.escape(str(text)))
    safe = _UNIT.sub("\u00a0", safe).replace(" ± ", "\u00a0±\u00a0")
    return Markup(_CODE.sub(lambda match: f"<code{' class=nb' if len(match.group(1)) < 28 else ''}>{match.group(1)}</code>", safe))


def markdown_prose(text: object) -> Markup:
    """Return a sentence as Markdown: escaped, `names` between backticks kept as code."""
    parts = _CODE.split(str(text))
    return Markup("".join(markdown_code(part) if number % 2 else _edges(part) for number, part in enumerate(parts)))


def _edges(part: str) -> str:
    inner = markdown_text(part)
    return (" " if part[:1] == " " else "") + inner + (" " if part[-1:] == " " and part.strip() else "")


def markdown_text(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is: one line, no markup, no HTML, no mathematics, no link made of an address."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKDOWN_SPECIAL.sub(lambda match: "\\" + match.group(0), line)
    line = line.replace("$", "&#36;").replace("://", ":&#47;&#47;")
    line = re.sub(r"(?i)\bwww\.", "www&#46;", line)
    return _BLOCK_START.sub(lambda match: match.group(0)[:-1] + "\\" + match.group(0)[-1], line)


def markdown_code(text: str) -> str:
    """Return ``text`` as a code span, whatever backticks and bars it holds, also inside a table."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if not line:
        return ""
    if "|" in line or "`" in line:
        # Inside a table a bar ends the cell even within a code span; HTML has no such trouble.
        safe = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return "<code>" + re.sub(r"[|`*_\[\]\\~$]", lambda match: f"&#{ord(match.group(0))};", safe) + "</code>"
    return f"`{line}`"
