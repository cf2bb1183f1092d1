"""The curves of the runs under way, as a page asks for them: what is new to it, and never more than it can take."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from stepladder._base.plain import message, neutral
from stepladder._base.wording import n_of
from stepladder.climbing.climbing import Task
from stepladder.runs.run import Epoch
from stepladder.runs.stats import measured
from stepladder.watching.so_far import so_far_text

MOST_CURVES = 40  # that are told of at once, those that began first
MOST_POINTS = 200  # of one curve in one answer: of more epochs, every second, third, ...


@dataclass(eq=False)
class _Growing:
    """A run under way: its epochs' accuracies in percent, and at which change of the climb each was heard of."""

    task: Task
    number: int
    words: str = ""
    values: list[float] = field(default_factory=list)
    heard_at: list[int] = field(default_factory=list)

    def points(self, after: int) -> list[tuple[int, float]]:
        """The epochs, from 1, and accuracies that were heard of after a change; the last of them is among them."""
        first = bisect_right(self.heard_at, after)
        step = ceil((len(self.values) - first) / MOST_POINTS) or 1
        chosen = range(len(self.values) - 1, first - 1, -step)
        return [(index + 1, self.values[index]) for index in reversed(chosen)]


class GrowingCurves:
    """All runs under way, in the order in which they began. Changes of the climb are numbered by who keeps count."""

    def __init__(self) -> None:
        self._growing: dict[str, _Growing] = {}
        self._n_begun = 0

    def hear(self, task: Task, epochs: Sequence[Epoch], *, change: int) -> bool:
        """Take in all epochs of a run so far; whether that is news."""
        key, words = task.identity.key, message(f"{task}: {so_far_text(task, epochs)}")
        if key not in self._growing:
            self._n_begun += 1
            self._growing[key] = _Growing(task, self._n_begun)
        this = self._growing[key]
        if this.words == words:
            return False
        this.words = words
        new = epochs[len(this.values) :]
        this.values += [float(f"{float(measured(epoch, task.rung.target)):.6g}") for epoch in new]
        this.heard_at += [change] * len(new)
        return True

    def leave(self, task: Task) -> None:
        self._growing.pop(task.identity.key, None)

    def clear(self) -> None:
        self._growing.clear()

    def lines(self) -> list[str]:
        """Where each run is, in words."""
        n_more = len(self._growing) - MOST_CURVES
        more = [f"{n_of(n_more, 'more run')} under way."] if n_more > 0 else []
        return [each.words for each in self._told()] + more

    def curves(self, *, after: int) -> list[dict[str, Any]]:
        """Every run under way, each with the points of its curve that were heard of after a change."""
        return [
            {
                "number": each.number,
                "rung": neutral(each.task.rung.name),
                "seed": each.task.identity.seed,
                "epochs": each.task.identity.recipe.epochs,
                "target": float(each.task.rung.target.accuracy),
                "balanced": each.task.rung.target.balanced,
                "words": each.words,
                "points": each.points(after),
            }
            for each in self._told()
        ]

    def _told(self) -> list[_Growing]:
        return list(self._growing.values())[:MOST_CURVES]
