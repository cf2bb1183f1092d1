"""A climb in a notebook: one output of the cell that climbs, which says how far it is and is kept up to date.

By IPython's own means, which are there wherever a notebook is: widgets would need ipywidgets, and are lost when a
notebook is saved.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any

from markupsafe import Markup

from stepladder._base.wording import is_are, n_of
from stepladder.climbing.climbing import Failure, Task
from stepladder.reporting.faces import Pictured, parts_html
from stepladder.reporting.numbers import percent
from stepladder.reporting.spark import mean_accuracies, sparks
from stepladder.reporting.tables import Table, duration
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import measured
from stepladder.watching.work import Work

UPDATE_EVERY_S = 0.5
MOST_ROWS = 12  # runs under way that are shown


def in_notebook() -> bool:
    """Whether a kernel runs this process, and so somebody else shows what it gives."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


class NotebookClimb:
    """A Watcher that shows the share that is done, and each run under way with its last accuracy and its curve.

    Notes are not shown here. Nothing is, if nothing is to be trained.
    """

    def __init__(self) -> None:
        self._work = Work()
        self._under_way: dict[str, tuple[Task, Sequence[Epoch]]] = {}
        self._n_stored = self._n_finished = self._n_to_train = 0
        self._handle: Any = None  # of the output, once there is one
        self._updated_at = 0.0

    def __enter__(self) -> "NotebookClimb":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._under_way.clear()
        self._show(self._count() if kind is None else f"{self._count()} The climb goes on no more.")

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        self._work.plan(to_train)
        self._n_stored, self._n_finished, self._n_to_train = n_stored, 0, len(to_train)
        if to_train and self._handle is None:
            display = import_module("IPython.display").display  # it is no dependency: a notebook has it
            self._handle = display(self._drawn(self._count()), raw=True, display_id=True)

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        self._under_way[task.identity.key] = (task, epochs)
        self._work.move(task, epochs_done=len(epochs))
        self._update()

    def finished(self, task: Task, run: Run) -> None:  # noqa: ARG002 (a Watcher is told)
        self._n_finished += 1
        self._leave(task)

    def failed(self, failure: Failure) -> None:
        self._leave(failure.task)

    def noted(self, text: str) -> None:
        """Notes are lines of their own."""

    def _leave(self, task: Task) -> None:
        self._under_way.pop(task.identity.key, None)
        self._work.end(task)
        self._update()

    def _update(self) -> None:
        if time.monotonic() - self._updated_at >= UPDATE_EVERY_S:
            left_s = self._work.left_s
            left = f" About {duration(left_s)} left." if left_s else ""
            self._show(f"{self._count()}{left}")

    def _count(self) -> str:
        n = self._n_stored + self._n_to_train
        return f"{self._n_stored + self._n_finished} of {n_of(n, 'run')} {is_are(n)} finished."

    def _show(self, words: str) -> None:
        self._updated_at = time.monotonic()
        if self._handle is not None:
            self._handle.update(self._drawn(words), raw=True)

    def _drawn(self, words: str) -> dict[str, str]:
        """What is displayed, by MIME type."""
        bar = Markup(
            '<progress max="1" value="{:.3f}" style="width: 100%" aria-label="Progress of the climb"></progress>'
        ).format(self._work.share)
        return {"text/plain": words, "text/html": "\n".join([parts_html([words]), bar, self._table()])}

    def _table(self) -> str:
        """The runs under way, those that began first."""
        shown = list(self._under_way.values())[:MOST_ROWS]
        if not shown:
            return ""
        split = shown[0][0].identity.data.evaluate_on
        curves = sparks(
            [
                (mean_accuracies([epochs], task.rung.target), task.rung.target, task.identity.recipe.epochs)
                for task, epochs in shown
            ]
        )
        header = ("rung", "seed", "epoch", f"{split} %")
        table = Table(title="", header=header, rows=tuple(_row(*each) for each in shown), numeric=frozenset({1, 2, 3}))
        n_more = len(self._under_way) - len(shown)
        more = [f"{n_of(n_more, 'more run')} under way."] if n_more else []
        return parts_html([Pictured(table, curves), *more])


def _row(task: Task, epochs: Sequence[Epoch]) -> tuple[str, ...]:
    target = task.rung.target
    last = percent(measured(epochs[-1], target) if epochs else None, target=target.accuracy)
    kind = " balanced" if target.balanced and epochs else ""
    epoch = f"{len(epochs)} of {task.identity.recipe.epochs}"
    return (task.rung.name, str(task.identity.seed), epoch, f"{last}{kind}")
