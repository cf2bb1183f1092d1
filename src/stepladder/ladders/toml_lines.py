"""On which line of a TOML text each of its values starts: in one pass over its tokens, whatever its length."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

Location = tuple[str | int, ...]

# Of a text that tomllib has read: what is no string, comment, bracket or mark is a run of plain characters.
_TOKEN = re.compile(
    r"""
      (?P<space> [ \t\r]++ | \#[^\n]*+ )
    | (?P<newline> \n )
    | (?P<string> \"\"\" (?: [^"\\]++ | \\. | "(?!"") )*+ "{3,5}
                | ''' (?: [^']++ | '(?!'') )*+ '{3,5}
                | " (?: [^"\\\n]++ | \\. )*+ "
                | ' [^'\n]*+ ' )
    | (?P<mark> [\[\]{},=.] )
    | (?P<plain> [^\s\[\]{},=."'\#]++ | . )
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    text: str
    kind: str
    line: int


def line_of(text: str, where: Location) -> int:
    """The line, from 1, on which the value at ``where`` starts in a TOML text, or the nearest thing around it."""
    return nearest(lines_of(text), where)


def nearest(lines: dict[Location, int], where: Location) -> int:
    """The line of a place among those of ``lines_of``, or of the nearest thing around it."""
    return next((lines[where[:depth]] for depth in range(len(where), 0, -1) if where[:depth] in lines), 1)


def lines_of(text: str) -> dict[Location, int]:
    """The line, from 1, on which each table and value of a text starts that tomllib has read."""
    found = _Lines(text)
    with suppress(RecursionError, StopIteration):  # brackets deeper than Python goes: as far as it was read
        found.read()
    return found.lines


class Place(NamedTuple):
    """Where a text breaks off: the lists and tables in brackets open there, outermost first, and what was last.

    ``opened`` are brackets with the lines on which they stand; ``last`` is the token before, on line ``last_line``.
    """

    opened: tuple[tuple[str, int], ...]
    last: str
    last_line: int


def place_in(text: str) -> Place:
    """Where the end of a text is in its brackets, for the beginning of a text that is TOML as far as it goes."""
    opened: list[tuple[str, int]] = []
    last, last_line, is_header, at_start = "", 1, False, True
    for token in _tokens(text):
        if token.kind == "newline":
            at_start, is_header = True, False
            continue
        if token.kind == "mark" and token.text in "[{" and (opened or not at_start) and not is_header:
            opened.append((token.text, token.line))
        elif token.kind == "mark" and token.text in "]}" and opened:
            opened.pop()
        is_header = is_header or (token.text == "[" and at_start and not opened)
        if token.kind != "end":
            last, last_line, at_start = token.text, token.line, False
    return Place(tuple(opened), last, last_line)


class _Lines:
    """A text on its way to its lines."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Location, int] = {}
        self._lengths: dict[Location, int] = {}  # of arrays of tables
        self._tokens = _tokens(text)
        self._now = _Token("", "newline", 1)

    def _next(self, *, over_lines: bool = False) -> _Token:
        """Go to the next token that is no space, nor, within an array, the end of a line."""
        self._now = next(self._tokens)
        while over_lines and self._now.kind == "newline":
            self._now = next(self._tokens)
        return self._now

    def read(self) -> None:
        here: Location = ()
        while self._next().kind != "end":
            if self._now.text == "[" and self._now.kind == "mark":
                here = self._header()
            elif self._now.kind != "newline":
                self._key_value(here)

    def _header(self) -> Location:
        """``[table]`` or ``[[array of tables]]``: where the keys after it belong."""
        line = self._now.line
        is_array = self._next().text == "["
        if is_array:
            self._next()
        here: Location = ()
        key = self._key()
        for number, part in enumerate(key, 1):
            here = (*here, part)
            self.lines.setdefault(here, line)
            if number == len(key) and is_array:
                self._lengths[here] = self._lengths.get(here, 0) + 1
            if here in self._lengths:
                here = (*here, self._lengths[here] - 1)
                self.lines.setdefault(here, line)
        while self._now.kind not in ("newline", "end"):
            self._next()
        return here

    def _key(self) -> list[str]:
        """``a.b."c d"``, up to what follows it."""
        parts = []
        while self._now.text not in ("=", "]") or self._now.kind != "mark":
            if self._now.kind == "string":
                parts.append(str(tomllib.loads(f"k = {self._now.text}")["k"]))
            elif self._now.kind == "plain":
                parts.append(self._now.text)
            self._next()
        return parts

    def _key_value(self, here: Location) -> None:
        line = self._now.line
        for part in self._key():
            here = (*here, part)
            self.lines.setdefault(here, line)
        self._next()
        self._value(here)

    def _value(self, here: Location) -> None:
        """One value, up to what follows it; the token now is its first."""
        if self._now.kind == "mark" and self._now.text == "[":
            self._array(here)
        elif self._now.kind == "mark" and self._now.text == "{":
            self._inline_table(here)
        while not (self._now.kind in ("newline", "end") or (self._now.kind == "mark" and self._now.text in ",]}")):
            self._next()

    def _array(self, here: Location) -> None:
        index = 0
        self._next(over_lines=True)
        while self._now.text != "]" or self._now.kind != "mark":
            self.lines[*here, index] = self._now.line
            self._value((*here, index))
            index += 1
            while self._now.kind == "newline" or (self._now.text == "," and self._now.kind == "mark"):
                self._next(over_lines=True)
        self._next()

    def _inline_table(self, here: Location) -> None:
        self._next(over_lines=True)
        while self._now.text != "}" or self._now.kind != "mark":
            self._key_value(here)
            while self._now.kind == "newline" or (self._now.text == "," and self._now.kind == "mark"):
                self._next(over_lines=True)
        self._next()


def _tokens(text: str) -> Iterator[_Token]:
    """All tokens but spaces and comments, with the lines on which they start, and an end."""
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            yield _Token(match[0], match.lastgroup or "", line)
        line += match[0].count("\n")
    yield _Token("", "end", line)
