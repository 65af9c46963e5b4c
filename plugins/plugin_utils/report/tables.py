# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table as data: HTML and Markdown show the same one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

# What a verdict is called in a cell; the kind also chooses the colour, never alone.
VERDICT_WORDS = {
    "better": "better",
    "worse": "worse",
    "equivalent": "equivalent",
    "inconclusive": "not resolved",
    "invalid": "invalid",
}


@dataclass(frozen=True)
class Cell:
    """Text of one cell; ``kind`` is a verdict, ``muted``, ``code`` or empty."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Column:
    """A heading; numbers are set to the right."""

    title: str
    numeric: bool = False


@dataclass
class Table:
    """A table whose first ``heads`` columns name the row."""

    caption: str
    columns: Sequence[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    heads: int = 1
    note: str = ""

    def add(self, *cells: Cell | str | None) -> None:
        """Append one row; a ``None`` is a value that was not measured."""
        row = [cell if isinstance(cell, Cell) else Cell("not measured", "muted") if cell is None else Cell(cell) for cell in cells]
        if len(row) != len(self.columns):
            raise ValueError(f"Table {self.caption!r} has {len(self.columns)} columns, not {len(row)}.")
        self.rows.append(row)

    def spans(self) -> list[list[int]]:
        """Return for each row how many rows its first and second head cover; 0 where a row above covers it already."""
        levels = max(0, self.heads - 1)
        spans = [[1] * len(self.columns) for _row in self.rows]
        for level in range(levels):
            start = 0
            for number in range(1, len(self.rows)):
                if self.rows[number][: level + 1] == self.rows[start][: level + 1]:
                    spans[start][level] += 1
                    spans[number][level] = 0
                else:
                    start = number
        return spans

    def without_constants(self, *titles: str) -> Table:
        """Return the table without those of the columns that say the same in each row; the caption says it once."""
        if len(self.rows) < 2:
            return self
        constant = [place for place, column in enumerate(self.columns) if column.title in titles and len({row[place].text for row in self.rows}) == 1]
        if not constant:
            return self
        said = ", ".join(self.rows[0][place].text for place in constant if self.rows[0][place].text)
        kept = [place for place in range(len(self.columns)) if place not in constant]
        heads = max(1, self.heads - sum(place < self.heads for place in constant))
        rows = [[row[place] for place in kept] for row in self.rows]
        return Table(
            f"{self.caption.rstrip('.')} ({said})." if said else self.caption,
            [self.columns[place] for place in kept],
            rows,
            heads,
            self.note,
        )

    def capped(self, most: int, where: str) -> Table:
        """Return the table with at most ``most`` rows and a note that says how many are elsewhere."""
        if len(self.rows) <= most:
            return self
        note = f"{len(self.rows) - most} more rows of {len(self.rows)} are in {where}."
        return Table(self.caption, self.columns, self.rows[:most], self.heads, f"{self.note} {note}".strip())


def verdict_cell(verdict: str) -> Cell:
    """Return a verdict's word in its colour."""
    return Cell(VERDICT_WORDS.get(verdict, verdict), verdict if verdict in VERDICT_WORDS else "")
