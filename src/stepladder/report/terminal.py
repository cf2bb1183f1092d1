"""Pages on a terminal, in a file or in a pipe, as plain text."""

import re
import shutil
import sys
import textwrap
from dataclasses import replace

import tabulate  # rich's tables took 0.2 s of the half second that a check may take

from stepladder.plain import neutral
from stepladder.report.tables import Page, Table

PLAIN_WIDTH = 160  # columns when the output is no terminal
NARROWEST_WORDS = 16  # columns that a column of words may be folded to
GAP = 2  # columns between two columns
tabulate.MIN_PADDING = 0  # a header needs no room of its own


def show(page: Page) -> None:
    """Print a page to stdout."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH
    print(render(page, width=width))


def render(page: Page, *, width: int) -> str:
    """A page as text of at most so many columns, as far as its tables can be made so narrow."""
    parts = [
        _table(_neutral(part), width) if isinstance(part, Table) else textwrap.fill(neutral(part), width)
        for part in page
    ]
    return "\n".join(parts)


def _neutral(table: Table) -> Table:
    rows = tuple(tuple(map(neutral, row)) for row in table.rows)
    return replace(table, title=neutral(table.title), header=tuple(map(neutral, table.header)), rows=rows)


def _table(table: Table, width: int) -> str:
    """A table; where it is too wide its words are folded, then columns left out, and that is said."""
    shown = list(range(len(table.header)))
    for index in table.dropped_first:
        if sum(_narrowest(table, index) + GAP for index in shown) - GAP > width:
            shown.remove(index)
    rooms = _rooms(table, shown, width)
    text = tabulate.tabulate(
        [[_fold(row[index], rooms[index]) for index in shown] for row in table.rows],
        [table.header[index] for index in shown],
        tablefmt="simple",
        colalign=["right" if index in table.numeric else "left" for index in shown],
        disable_numparse=True,
    )
    lines = ["", *textwrap.wrap(table.title, width), text]
    left_out = [table.header[index] for index in range(len(table.header)) if index not in shown]
    if left_out:
        lines.append(textwrap.fill(f"(left out to fit: {', '.join(left_out)}; a wider terminal shows them)", width))
    return "\n".join([*lines, ""])


def _rooms(table: Table, shown: list[int], width: int) -> dict[int, int]:
    """The width of each column: its narrowest, and for words what is left, from the left."""
    rooms = {index: _narrowest(table, index) for index in shown}
    spare = width - sum(rooms.values()) - GAP * (len(shown) - 1)
    for index in shown:
        if index in table.words:
            wider = max(0, min(spare, _widest(table, index) - rooms[index]))
            rooms[index] += wider
            spare -= wider
    return rooms


def _narrowest(table: Table, index: int) -> int:
    widest = _widest(table, index)
    return min(widest, NARROWEST_WORDS) if index in table.words else widest


def _widest(table: Table, index: int) -> int:
    return max(len(cell) for cell in (table.header[index], *(row[index] for row in table.rows)))


def _fold(text: str, width: int) -> str:
    """Text on lines of at most so many columns, broken after spaces and hyphens (tabulate would break numbers).

    A hyphen before a digit, at the start of a word or after a bracket, is a minus and stays with its number.
    """
    lines = [""]
    for piece in re.findall(r"(?:[^ -]|(?<![^ \[(])-(?=[0-9.]))*[ -]?", text):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)
