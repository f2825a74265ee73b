"""Tables that stay readable on narrow terminals: what matters least makes room for the sentence at the end of each line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

GAP = 2
SENTENCE = 32
"""Columns that the last one gets before any other may stay; longer sentences fold."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, its cells, and when it goes (0 never, then the highest first)."""

    title: str
    cells: Sequence[str | Text]
    goes: int = 0

    @property
    def width(self) -> int:
        """Columns that it takes."""
        return max([cell_len(self.title), *(cell_len(str(cell)) for cell in self.cells)])


def fit_table(columns: Sequence[Column], width: int, *, one_line: bool = False) -> Table:
    """Return a table of those columns that leave the last one room enough in a terminal of this width.

    What does not fit into the last column folds, or with `one_line` is cut: a view of so many lines must not grow.
    """
    *facts, sentence = columns
    needed = min(sentence.width, SENTENCE)
    kept = list(facts)
    while sum(column.width + GAP for column in kept) + needed > width:
        least = max(kept, key=lambda column: column.goes, default=None)
        if least is None or least.goes == 0:
            break
        kept.remove(least)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in kept:
        table.add_column(column.title, no_wrap=True)
    table.add_column(sentence.title, no_wrap=one_line, overflow="ellipsis" if one_line else "fold")
    for row in zip(*(column.cells for column in kept), sentence.cells, strict=True):
        table.add_row(*row)
    return table
