"""Everything that is shown, as rows of strings (see ``numbers``); the renderers only lay them out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stepladder.ladders.ladder import Rung
from stepladder.ladders.terms import Target
from stepladder.recipes.concepts import changed_concepts
from stepladder.recipes.recipe import changed_fields, describe

Tone = Literal["reached", "missed", "better", "worse", "same", "undecided", "unknown", "winner", "over"]
MARKS: dict[Tone, str] = {
    "reached": "✓",
    "missed": "✗",
    "better": "▲",
    "worse": "▼",
    "same": "≈",
    "undecided": "·",
    "unknown": "?",
    "winner": "★",
    "over": "!",
}  # say without colour what a colour says
VARIANTS = "Variants: each is the rung that it hangs on plus one change"
UNDECLARED = "the ladder does not say why, and is not climbed any further until it does ('stepladder check' says how)"


@dataclass(frozen=True)
class Table:
    """A title, column headers and rows of equal length.

    ``numeric`` columns align right; columns of ``words`` may be folded; ``dropped_first`` are the columns that a
    narrow page can do without, in this order. ``legend`` says what a reader of a column must know, where that column
    is shown. ``tones`` are those of cells, by row and column.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int]
    words: frozenset[int] = frozenset()
    dropped_first: tuple[int, ...] = ()
    legend: tuple[tuple[int, str], ...] = ()
    tones: Mapping[tuple[int, int], Tone] = field(default_factory=dict)


@dataclass(frozen=True)
class Headline:
    """What came out, in a sentence that stands apart."""

    text: str
    tone: Tone


@dataclass(frozen=True)
class Entry:
    """What a name stands for, in a sentence or two."""

    name: str
    text: str


Part = str | Table | Headline | Entry
Page = list[Part]


def duration(seconds: float) -> str:
    """A time as a person would say it: ``40 s``, ``13 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def hung(table: Table, on: Sequence[str], *, title: str) -> Table:
    """A table of rungs as one of variants: behind its name stands the rung that each of them hangs on."""

    def moved(column: int) -> int:
        return column + (column > 0)

    return Table(
        title=title,
        header=("variant", "on", *table.header[1:]),
        rows=tuple((row[0], name, *row[1:]) for row, name in zip(table.rows, on, strict=True)),
        numeric=frozenset(map(moved, table.numeric)),
        words=frozenset(map(moved, table.words)),
        dropped_first=tuple(map(moved, table.dropped_first)),
        legend=tuple((moved(column), text) for column, text in table.legend),
        tones={(row, moved(column)): tone for (row, column), tone in table.tones.items()},
    )


Step = tuple[Rung | None, Rung]
"""A rung, and the one that it is plus its change; none for the bottom of a ladder."""


def change(rung: Rung, below: Rung | None) -> str:
    """What a rung changes, in words, from what to what (a network only to what); compound steps say so."""
    if below is None:
        return "top rung alone" if rung.changes else "start"
    steps = [
        f"{name.replace('_', ' ')}: "
        + ("" if name == "network" else f"{describe(name, getattr(below.recipe, name))} → ")
        + describe(name, getattr(rung.recipe, name))
        for name in rung.changes
    ]
    concepts, mark = concepts_of((below, rung)), compound_mark((below, rung))
    return (f"{mark.upper()} ({len(concepts)} concepts) " if mark else "") + "; ".join(steps)


def changes(rungs: Sequence[Rung]) -> list[str]:
    return [change(rung, below) for below, rung in chain(rungs)]


def chain(rungs: Sequence[Rung]) -> list[Step]:
    """Rungs one above another, each with the one below."""
    return list(zip((None, *rungs[:-1]), rungs, strict=True))


def concepts_of(step: Step) -> tuple[str, ...]:
    """The concepts that a rung changes; its fields where the rung that it builds on is not at hand."""
    below, rung = step
    if below is None or rung.changes != changed_fields(below.recipe, rung.recipe):
        return rung.changes
    return tuple(map(str, changed_concepts(below.recipe, rung.recipe)))


def compound_mark(step: Step) -> str:
    """``compound``, ``compound, undeclared``; empty for a rung that changes one concept."""
    if step[1].compound:
        return "compound"
    return "compound, undeclared" if len(concepts_of(step)) > 1 else ""


def target_text(target: Target) -> str:
    k = target.last_epochs
    what = f"{target.accuracy}%{' balanced accuracy' if target.balanced else ''}"
    return f"{what} at " + (f"each of the last {k} epochs" if k > 1 else "the last epoch")


def compound_notes(steps: Iterable[Step]) -> list[str]:
    """One sentence for each rung that changes several concepts at once."""
    return [
        f"{compound_mark(step).capitalize()}: rung '{step[1].name}' changes {', '.join(concepts_of(step))} at once:"
        f" {step[1].compound.rstrip('.') if step[1].compound else UNDECLARED}."
        for step in steps
        if compound_mark(step)
    ]
