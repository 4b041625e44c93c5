"""The page of results: of a training, of probes, of a study, or of whatever has tables and curves.

It knows no method, no network and no probe: it shows the sections that it is given, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from singleimg.report.charts import Chart
from singleimg.report.page import render

_LONG = 16  # letters of a cell that stays on one line


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, and the number by which it is sorted (None: by the text)."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table that a reader can sort; ``heads``: of the columns. Rows may end early."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def is_number(self, place: int) -> bool:
        """Whether a column holds numbers."""
        cells = [row[place] for row in self.rows if place < len(row)]
        return any(cell.value is not None for cell in cells)

    def is_long(self, place: int) -> bool:
        """Whether a column holds texts that are to be broken into lines."""
        return any(len(row[place].text) > _LONG for row in self.rows if place < len(row))


@dataclass(frozen=True)
class Picture:
    """A picture, ``text`` for who cannot see it, and what stands below it."""

    image: Image.Image
    text: str
    caption: str


@dataclass
class Section:
    """A heading and what stands below it, in this order; ``parts`` have smaller headings."""

    title: str
    said: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    parts: list[Section] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Whether nothing stands below the heading."""
        return not any((self.said, self.charts, self.tables, self.pictures, self.items,
                        self.commands, self.parts))  # fmt: skip


@dataclass
class ResultsPage:
    """All of it. lead: a sentence. facts: names and values."""

    title: str
    lead: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def html(self) -> str:
        """The whole page, one file; a section without content is left out."""
        shown = [section for section in self.sections if not section.is_empty()]
        return render("results.html", title=self.title, page=self, sections=shown)


def two_columns(heads: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> Table:
    """A table of names and values."""
    return Table(heads, [[Cell(name), Cell(value)] for name, value in pairs])
