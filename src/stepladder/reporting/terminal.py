"""Pages on a terminal, in a file or in a pipe, as plain text; colour and bold on a terminal that wants them."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace

import tabulate  # rich's tables took 0.2 s of the half second that a check may take

from stepladder._base.plain import neutral
from stepladder.reporting.tables import MARKS, Entry, Headline, Page, Part, Table, Tone

PLAIN_WIDTH = 160  # columns when the output is no terminal
NARROWEST_WORDS = 12  # columns that a column of words may be folded to
GAP = 2  # columns between two columns
tabulate.MIN_PADDING = 0  # a header needs no room of its own

BOLD = "1"
COLOURS: dict[Tone, str] = {
    "reached": "32",
    "better": "32",
    "winner": "1;32",
    "missed": "31",
    "worse": "31",
    "over": "1;31",
    "unknown": "33",
    "undecided": "2",
    "same": "2",
}  # a mark says the same without them


@dataclass(frozen=True)
class _Look:
    """How wide a page may be, and whether there are colours, and marks such as ✓."""

    width: int
    colour: bool
    marks: bool

    def styled(self, text: str, style: str) -> str:
        """Each line of a text in a style, if there are colours."""
        if not self.colour:
            return text
        return "\n".join(f"\x1b[{style}m{line}\x1b[0m" for line in text.split("\n"))

    def marked(self, text: str, tone: Tone) -> str:
        return f"{MARKS[tone]} {text}" if self.marks else text


def show(page: Page) -> None:
    """Print a page to stdout, as wide as COLUMNS says, or else the terminal, or PLAIN_WIDTH where it is none."""
    print(to_print(page, colour=sys.stdout.isatty() and _wants_colour()))


def to_print(page: Page, *, colour: bool = False) -> str:
    """A page as text that fits stdout."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _wanted_width() or PLAIN_WIDTH
    return render(page, width=width, colour=colour, marks=_can_say("".join(MARKS.values())))


def _wanted_width() -> int:
    """What COLUMNS says; 0 where it says nothing that is a width."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and len(columns) < 6 else 0


def _wants_colour() -> bool:
    """See no-color.org."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _can_say(text: str) -> bool:
    """Whether stdout's encoding has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def render(page: Page, *, width: int, colour: bool = False, marks: bool = True) -> str:
    """A page as text of at most ``width`` columns, as far as its tables can be made that narrow."""
    look = _Look(width, colour, marks)
    return "\n".join(_part(_neutral(part), look) for part in page)


def _neutral(part: Part) -> Part:
    """The same with nothing in it that steers a terminal."""
    match part:
        case Table():
            rows = tuple(tuple(map(neutral, row)) for row in part.rows)
            return replace(part, title=neutral(part.title), header=tuple(map(neutral, part.header)), rows=rows)
        case Headline():
            return replace(part, text=neutral(part.text))
        case Entry():
            return Entry(neutral(part.name), neutral(part.text))
        case str():
            return neutral(part)


def _part(part: Part, look: _Look) -> str:
    match part:
        case Table():
            return _table(part, look)
        case Headline():
            return look.styled(_filled(look.marked(part.text, part.tone), look.width), f"{BOLD};{COLOURS[part.tone]}")
        case Entry(name, text):
            entry = _filled(f"{name}: {' '.join(text.split())}", look.width, indent="  ")
            return look.styled(name, BOLD) + entry.removeprefix(name) if entry.startswith(name) else entry
        case str():
            return _filled(part, look.width)


def _filled(text: str, width: int, *, indent: str = "") -> str:
    """A paragraph; what is longer than a line, such as a command or a hash, is never broken."""
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _table(table: Table, look: _Look) -> str:
    """A table; where it is too wide its words are folded, then columns left out, and that is said."""
    cells = _Cells(table, look)
    shown = list(range(len(table.header)))
    for index in table.dropped_first:
        if sum(cells.narrowest(index) + GAP for index in shown) - GAP > look.width:
            shown.remove(index)
    rooms = _rooms(cells, shown, look.width)
    text = tabulate.tabulate(
        [[cells.folded(row, index, rooms[index]) for index in shown] for row in range(len(table.rows))],
        [look.styled(_fold(table.header[index], rooms[index]), BOLD) for index in shown],
        tablefmt="simple",
        colalign=["right" if index in table.numeric else "left" for index in shown],
        disable_numparse=True,
    )
    lines = [look.styled(_filled(table.title, look.width), BOLD), text] if table.title else [text]
    lines += [_filled(text, look.width) for index, text in table.legend if index in shown]
    left_out = [table.header[index] for index in range(len(table.header)) if index not in shown]
    if left_out:
        them = "it" if len(left_out) == 1 else "them"
        lines.append(_filled(f"(left out to fit: {', '.join(left_out)}; a wider terminal shows {them})", look.width))
    return "\n".join(["", *lines, ""])


@dataclass(frozen=True)
class _Cells:
    """The cells of a table with their marks, and how wide their columns must and may be."""

    table: Table
    look: _Look

    def text(self, row: int, index: int) -> str:
        tone, text = self.table.tones.get((row, index)), self.table.rows[row][index]
        return self.look.marked(text, tone) if tone else text

    def folded(self, row: int, index: int, width: int) -> str:
        tone, text = self.table.tones.get((row, index)), _fold(self.text(row, index), width)
        return self.look.styled(text, COLOURS[tone]) if tone else text

    def narrowest(self, index: int) -> int:
        """A header is folded at its words, other cells only if they are words; no word is broken."""
        if index not in self.table.words:
            return max(self.widest(index), _longest(self.table.header[index]))
        texts = (self.table.header[index], *self._column(index))
        return max(min(self.widest(index), NARROWEST_WORDS), *map(_longest, texts))

    def widest(self, index: int) -> int:
        return max(map(len, self._column(index)), default=0)

    def _column(self, index: int) -> list[str]:
        return [self.text(row, index) for row in range(len(self.table.rows))]


def _rooms(cells: _Cells, shown: list[int], width: int) -> dict[int, int]:
    """The width of each column: its narrowest, and what is left for words, in proportion, and then for headers."""
    rooms = {index: cells.narrowest(index) for index in shown}
    widest: tuple[Callable[[int], int], ...] = (cells.widest, lambda index: len(cells.table.header[index]))
    for most in widest:
        spare = max(0, width - sum(rooms.values()) - GAP * (len(shown) - 1))
        wanted = {index: max(0, most(index) - rooms[index]) for index in shown}
        share = min(1.0, spare / max(1, sum(wanted.values())))
        for index in shown:
            rooms[index] += int(share * wanted[index])
    return rooms


BREAKS = re.compile(r" (?![-0-9.]+\])")  # the two ends of an interval stay together
HYPHENS = re.compile(r"(?<=[\w\])]-)(?=\w)")  # not a minus, nor the dashes of an option


def _longest(text: str) -> int:
    """The least width that a text can be folded to."""
    return max(len(piece) for word in BREAKS.split(text) for piece in HYPHENS.split(word))


def _fold(text: str, width: int) -> str:
    """Text on lines of at most ``width`` columns, broken at spaces; a word that is longer than that, after hyphens."""
    lines = [""]
    for word in BREAKS.split(text):
        gap = " " if lines[-1] else ""
        for piece in [word] if len(word) <= width else HYPHENS.split(word):
            if lines[-1] and len(lines[-1] + gap + piece) > width:
                lines.append(piece)
            else:
                lines[-1] += gap + piece
            gap = ""
    return "\n".join(line.rstrip() for line in lines)
