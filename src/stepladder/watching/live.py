"""A climb while it goes on: finished runs as lines, bars with the time left (rich), or a line a minute."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stepladder._base.plain import message, neutral
from stepladder._base.wording import is_are, n_of
from stepladder.climbing.climbing import Failure, Task
from stepladder.reporting.numbers import percent
from stepladder.reporting.tables import duration
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import holds, measured, reaches

LINE_EVERY_S = 60


class LiveClimb:
    """A Watcher that writes to stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
            transient=True,
            speed_estimate_period=3600,
            disable=not self._console.is_terminal,
        )
        self._overall = self._progress.add_task("climb", total=None, start=False)
        self._bars: dict[str, TaskID] = {}
        self._epochs_done: dict[str, int] = {}
        self._n_left = 0
        self._macs_left = 0
        self._macs_done_here = 0
        self._started_at = self._last_line_at = time.monotonic()

    def __enter__(self) -> "LiveClimb":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        self._n_left = len(to_train)
        n = n_stored + len(to_train)
        self._say(f"{n_stored} of {n_of(n, 'run')} {is_are(n)} stored; {len(to_train)} to train.")
        self._epochs_done = {key: done for key, (_, done) in to_train.items()}
        self._macs_left = sum(
            task.macs_per_epoch * (task.identity.recipe.epochs - done) for task, done in to_train.values()
        )
        self._macs_done_here = 0  # a climb until decided is planned once for each purchase
        self._started_at = self._last_line_at = time.monotonic()
        self._progress.reset(self._overall, total=self._macs_left)

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        self._move(task, epochs_done=len(epochs))

    def _move(self, task: Task, *, epochs_done: int) -> None:
        key, epochs = task.identity.key, task.identity.recipe.epochs
        words = neutral(f"  {task.rung.name}, seed {task.identity.seed}: epoch {epochs_done} of {epochs}")
        if key not in self._bars:
            self._bars[key] = self._progress.add_task(words, total=epochs, completed=self._epochs_done[key])
        self._progress.update(self._bars[key], completed=epochs_done, description=words)
        macs = max(0, epochs_done - self._epochs_done[key]) * task.macs_per_epoch
        self._epochs_done[key] = max(epochs_done, self._epochs_done[key])
        self._macs_done_here += macs
        self._progress.advance(self._overall, macs)
        self._line()

    def finished(self, task: Task, run: Run) -> None:
        self._leave(task)
        text = f"{task}: {outcome_text(task, run)} ({duration(run.elapsed_s)}; {self._n_left} to go)"
        self._say(text, style="green" if holds(run, task.rung.target) else "red" if run.final is None else "")

    def failed(self, failure: Failure) -> None:
        self._leave(failure.task)
        self._say(f"note: {failure}; the others go on ({self._n_left} to go)")

    def noted(self, text: str) -> None:
        self._say(f"note: {text}")

    def _leave(self, task: Task) -> None:
        self._move(task, epochs_done=task.identity.recipe.epochs)
        self._progress.remove_task(self._bars.pop(task.identity.key))
        self._n_left -= 1

    def _line(self) -> None:
        """Where there are no bars, how far it is and how long it will take, once a minute."""
        now = time.monotonic()
        if self._console.is_terminal or now - self._last_line_at < LINE_EVERY_S or not self._macs_done_here:
            return
        self._last_line_at = now
        left_s = (now - self._started_at) * (self._macs_left / self._macs_done_here - 1)
        self._say(f"{self._macs_done_here / self._macs_left:.0%} done, about {duration(left_s)} left")

    def _say(self, text: str, *, style: str = "") -> None:
        """A line; on a terminal it is broken between words, elsewhere not at all."""
        self._progress.console.print(message(text), style=style, soft_wrap=not self._console.is_terminal)


def outcome_text(task: Task, run: Run) -> str:
    """A finished run in words."""
    if run.final is None:
        return f"diverged at epoch {run.diverged_at_epoch}"
    target = task.rung.target
    n_last = target.last_epochs
    n_reached = sum(reaches(epoch, target) for epoch in run.epochs[-n_last:])
    held = f"holds {target.accuracy}%"
    if not holds(run, target):
        where = f"at {n_reached} of the last {n_last} epochs" if n_reached and n_last > 1 else ""
        held = f"{target.accuracy}% or more only {where}" if where else f"below {target.accuracy}%"
    split, kind = run.identity.data.evaluate_on, " balanced" if target.balanced else ""
    return f"{split} {percent(measured(run.final, target), target=target.accuracy)}%{kind}, {held}"
