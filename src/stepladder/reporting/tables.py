"""Everything that is shown, as rows of strings (see ``numbers``); the renderers only lay them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stepladder.ladders.ladder import Rung
from stepladder.ladders.terms import Target
from stepladder.recipes.recipe import describe

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
    return (f"COMPOUND ({len(steps)} concepts) " if rung.compound else "") + "; ".join(steps)


def changes(rungs: Sequence[Rung]) -> list[str]:
    return [change(rung, below) for rung, below in zip(rungs, (None, *rungs[:-1]), strict=True)]


def target_text(target: Target) -> str:
    k = target.last_epochs
    what = f"{target.accuracy}%{' balanced accuracy' if target.balanced else ''}"
    return f"{what} at " + (f"each of the last {k} epochs" if k > 1 else "the last epoch")


def compound_notes(rungs: Sequence[Rung]) -> list[str]:
    """One sentence for each rung that changes several concepts at once."""
    return [
        f"Compound: rung '{rung.name}' changes {', '.join(rung.changes)} at once: {rung.compound.rstrip('.')}."
        for rung in rungs
        if rung.compound
    ]
