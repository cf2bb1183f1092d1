"""A climb while it goes on: finished runs as lines, bars with the last accuracy of each (rich), or a line a minute."""

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.progress import Task as Bar
from rich.table import Column
from rich.text import Text

from stepladder._base.plain import message, neutral
from stepladder._base.wording import n_of
from stepladder.climbing.climbing import Failure, Task
from stepladder.reporting.tables import duration
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import holds
from stepladder.watching.so_far import accuracy_text, outcome_text, planned_text, so_far_text
from stepladder.watching.work import Work

LINE_EVERY_S = 60
MOST_IN_LINE = 4  # runs under way that such a line names
WIDE, MIDDLE = 104, 66  # columns of a terminal that has room for bars and both times; for short bars and what is left
NARROW = 48  # with fewer there is room for a name and numbers alone


class LiveClimb:
    """A Watcher that writes to stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress = _Bars(self._console)
        self._overall = self._progress.add_task(
            "climb", total=None, start=False, seed="", epoch="", last="", brief="", has_times=True
        )
        self._bars: dict[str, TaskID] = {}
        self._so_far: dict[str, str] = {}  # of runs under way, in words, in the order in which they began
        self._work = Work()
        self._n_left = self._n_planned = 0
        self._last_line_at = time.monotonic()

    def __enter__(self) -> "LiveClimb":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        self._n_left = self._n_planned = len(to_train)
        self._say(planned_text(to_train, n_stored))
        self._work = Work()  # a climb until decided is planned once for each purchase
        self._work.plan(to_train)
        self._last_line_at = time.monotonic()
        self._progress.reset(self._overall, total=self._work.macs)
        self._count()

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        key = task.identity.key
        self._so_far[key] = f"{task}: {so_far_text(task, epochs)}"
        last = accuracy_text(task, epochs[-1]) if epochs else ""
        brief = " ".join([f"{len(epochs)}/{task.identity.recipe.epochs}", *last.split()[1:2]])  # 7/14 98.91%
        seen: dict[str, Any] = {
            "completed": len(epochs),
            "epoch": _aligned(task, len(epochs)),
            "last": last,
            "brief": brief,
        }
        if key in self._bars:
            self._progress.update(self._bars[key], **seen)
        else:
            seen |= {"total": task.identity.recipe.epochs, "seed": f"seed {task.identity.seed}", "has_times": False}
            self._bars[key] = self._progress.add_task(neutral(f"  {task.rung.name}"), **seen)
        self._work.move(task, epochs_done=len(epochs))
        self._count()

    def finished(self, task: Task, run: Run) -> None:
        self._leave(task)
        text = f"{task}: {outcome_text(task, run)} ({duration(run.elapsed_s)}; {self._n_left} to go)"
        self._say(text, style="green" if holds(run, task.rung.target) else "red" if run.final is None else "")

    def failed(self, failure: Failure) -> None:
        if self._work.knows(failure.task):  # others were never to be trained
            self._leave(failure.task)
        self._say(f"note: {failure}; the others go on ({self._n_left} to go)")

    def noted(self, text: str) -> None:
        self._say(f"note: {text}")

    def _leave(self, task: Task) -> None:
        self._so_far.pop(task.identity.key, None)
        if (bar := self._bars.pop(task.identity.key, None)) is not None:
            self._progress.remove_task(bar)
        self._n_left -= 1
        self._work.end(task)
        self._count()

    def _count(self) -> None:
        n_done, n = self._n_planned - self._n_left, self._n_planned
        done, brief = f"{n_done} of {n_of(n, 'run')}", f"{n_done}/{n} runs"
        self._progress.update(self._overall, completed=self._work.macs_done, epoch=done, brief=brief)
        self._line()

    def _line(self) -> None:
        """Where there are no bars, once a minute: how far it is, how long it will take, and the last accuracies."""
        now, left_s = time.monotonic(), self._work.left_s
        if self._console.is_terminal or now - self._last_line_at < LINE_EVERY_S or left_s is None:
            return
        self._last_line_at = now
        n_more = len(self._so_far) - MOST_IN_LINE
        more = [f"{n_of(n_more, 'more run')}"] if n_more > 0 else []
        runs = [*list(self._so_far.values())[:MOST_IN_LINE], *more]
        done = f"{self._work.share:.0%} done, about {duration(left_s)} left"
        self._say("; ".join([done, *runs]))

    def _say(self, text: str, *, style: str = "") -> None:
        """A line; on a terminal it is broken between words, elsewhere not at all."""
        self._progress.console.print(message(text), style=style, soft_wrap=not self._console.is_terminal)


class _Bars(Progress):
    """A bar for the climb and one for each run under way, with as much beside them as the terminal has room for."""

    def __init__(self, console: Console) -> None:
        self._on = console
        super().__init__(console=console, transient=True, speed_estimate_period=3600, disable=not console.is_terminal)

    def get_renderables(self) -> Iterable[RenderableType]:
        width = self._on.width
        beside = _WIDE if width >= WIDE else _MIDDLE if width >= MIDDLE else ()
        self.columns = (*_WORDS, *beside) if width >= NARROW else _NARROW
        yield from super().get_renderables()


class _Name(ProgressColumn):
    """What a bar is about; cut where the terminal is too narrow, and never broken."""

    def __init__(self) -> None:
        super().__init__(Column(min_width=8))

    def render(self, task: Bar) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


def _text(field: str) -> TextColumn:
    return TextColumn(f" {{task.fields[{field}]}}", markup=False)


def _aligned(task: Task, n_done: int) -> str:
    """``epoch  7 of 14``: as wide as the last epoch will be."""
    n = task.identity.recipe.epochs
    return f"epoch {n_done:>{len(str(n))}} of {n}"


def _bar(width: int) -> BarColumn:
    return BarColumn(width, complete_style="cyan", finished_style="cyan")


class _Times(ProgressColumn):
    """How long the climb has gone on and will go on; of a single run, whose epochs are few, that would jump."""

    def __init__(self, *, with_elapsed: bool) -> None:
        super().__init__(Column(no_wrap=True))
        self._with_elapsed = with_elapsed

    def render(self, task: Bar) -> Text:
        if not task.fields["has_times"] or task.elapsed is None:
            return Text()
        elapsed = [f"{duration(task.elapsed)} elapsed"] if self._with_elapsed else []
        left = [f"{duration(task.time_remaining)} left"] if task.time_remaining else []
        return Text(", ".join([*elapsed, *left]))


# A column for each, so that numbers stand below each other and nothing moves but what is new.
_WORDS = (_Name(), _text("seed"), _text("epoch"), _text("last"))
_NARROW = (_Name(), TextColumn("{task.fields[brief]}", markup=False))
_MIDDLE = (_bar(10), _Times(with_elapsed=False))
_WIDE = (_bar(28), TextColumn("{task.percentage:>3.0f}%"), _Times(with_elapsed=True))
