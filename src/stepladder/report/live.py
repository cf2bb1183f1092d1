"""A climb on a terminal while it goes on (rich)."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stepladder.climbing import Task
from stepladder.report import tables
from stepladder.run import Run
from stepladder.stats import accuracy, holds


class LiveClimb:
    """A Watcher: finished runs as lines, and bars with the time left below them, all on stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            speed_estimate_period=3600,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._overall = self._progress.add_task("climb", total=None, left="left", start=False)
        self._n_left = 0

    def __enter__(self) -> "LiveClimb":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, to_train: Sequence[Task], stored: Sequence[Task]) -> None:
        self._n_left = len(to_train)
        self._say(f"{len(stored)} of {len(stored) + len(to_train)} runs are stored; {len(to_train)} to train.")
        self._progress.update(self._overall, total=sum(_total(task) for task in to_train))
        self._progress.start_task(self._overall)

    def advanced(self, task: Task, epochs_done: int) -> None:
        key = task.identity.key
        epochs = task.identity.recipe.epochs
        if key not in self._bars:
            self._bars[key] = self._progress.add_task("", total=epochs, left="")
        bar = self._bars[key]
        step = epochs_done - self._progress.tasks[self._progress.task_ids.index(bar)].completed
        if step > 0:
            words = f"  {task.rung.name}, seed {task.identity.seed}: epoch {epochs_done} of {epochs}"
            self._progress.update(bar, completed=epochs_done, description=escape(words))
            self._progress.advance(self._overall, step * task.cost)

    def finished(self, task: Task, run: Run) -> None:
        self.advanced(task, task.identity.recipe.epochs)
        self._progress.remove_task(self._bars.pop(task.identity.key))
        self._n_left -= 1
        self._say(f"{task}: {outcome_text(task, run)} ({tables.duration(run.elapsed_s)}; {self._n_left} to go)")

    def noted(self, text: str) -> None:
        self._say(f"note: {text}")

    def _say(self, text: str) -> None:
        self._progress.console.print(escape(text), soft_wrap=True)


def outcome_text(task: Task, run: Run) -> str:
    """A finished run in words."""
    if run.final is None:
        return f"diverged at epoch {run.diverged_at_epoch}"
    target = task.rung.target
    held = "holds" if holds(run, target) else "misses"
    split = run.identity.data.evaluate_on
    return f"{split} {tables.percent(accuracy(run.final), target=target.accuracy)}%, {held} {target.accuracy}%"


def _total(task: Task) -> int:
    return task.cost * task.identity.recipe.epochs
