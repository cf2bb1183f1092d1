"""Pages on a terminal (rich)."""

import rich.box
import rich.table
from rich.console import Console
from rich.text import Text

from stepladder.report.tables import Page, Table

PLAIN_WIDTH = 200  # columns when the output is no terminal


def show(page: Page, console: Console) -> None:
    """Print a page."""
    for part in page:
        console.print(_grid(part) if isinstance(part, Table) else Text(part))


def plain_console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr, wide enough for every table when it writes into a file or pipe."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH)


def _grid(table: Table) -> rich.table.Table:
    grid = rich.table.Table(box=rich.box.SIMPLE_HEAD, title=Text(table.title) or None, title_justify="left")
    for index, header in enumerate(table.header):
        grid.add_column(header, justify="right" if index in table.numeric else "left", overflow="fold")
    for row in table.rows:
        grid.add_row(*map(Text, row))
    return grid
