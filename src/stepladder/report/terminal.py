"""Pages on a terminal, in a file or in a pipe, as plain text."""

import shutil
import sys
import textwrap

import tabulate  # rich's tables took 0.2 s of the half second that a check may take

from stepladder.report.tables import Page, Table

PLAIN_WIDTH = 160  # columns when the output is no terminal
NARROWEST_WORDS = 16  # columns that a column of words may be folded to
GAP = 2  # columns between two columns
HEADER_PADDING = tabulate.MIN_PADDING


def show(page: Page) -> None:
    """Print a page to stdout."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH
    print(render(page, width=width))


def render(page: Page, *, width: int) -> str:
    """A page as text of at most so many columns, as far as its tables can be made so narrow."""
    parts = [_table(part, width) if isinstance(part, Table) else textwrap.fill(part, width) for part in page]
    return "\n".join(parts)


def _table(table: Table, width: int) -> str:
    """A table; where it is too wide its words are folded, then columns left out, and that is said."""
    shown = list(range(len(table.header)))
    for index in table.dropped_first:
        if _width(table, shown) > width:
            shown.remove(index)
    room = max(NARROWEST_WORDS, width - _width(table, shown) + NARROWEST_WORDS)
    text = tabulate.tabulate(
        [[row[index] for index in shown] for row in table.rows],
        [table.header[index] for index in shown],
        tablefmt="simple",
        colalign=["right" if index in table.numeric else "left" for index in shown],
        maxcolwidths=[room if index == table.words else None for index in shown],
        disable_numparse=True,
    )
    lines = ["", *textwrap.wrap(table.title, width), text]
    left_out = [table.header[index] for index in range(len(table.header)) if index not in shown]
    if left_out:
        lines.append(textwrap.fill(f"(left out to fit: {', '.join(left_out)}; a wider terminal shows them)", width))
    return "\n".join([*lines, ""])


def _width(table: Table, shown: list[int]) -> int:
    """The width of these columns with the column of words folded as far as it may be."""
    return sum(
        NARROWEST_WORDS
        if index == table.words
        else max(len(table.header[index]) + HEADER_PADDING, *(len(row[index]) for row in table.rows))
        for index in shown
    ) + GAP * (len(shown) - 1)
