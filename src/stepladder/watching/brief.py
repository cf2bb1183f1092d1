"""A climb in a few lines, for scripts and notebooks: how much there is to do, how far it is, what is worth a note."""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType

from stepladder._base.plain import message
from stepladder._base.wording import n_of
from stepladder.climbing.climbing import Failure, Task
from stepladder.reporting.tables import duration
from stepladder.runs.run import Epoch, Run
from stepladder.watching.so_far import planned_text
from stepladder.watching.work import Work

SHARES = 6  # of the work: a line after each but the last
MOST_NOTES = 4  # that are told; others are counted


class BriefClimb:
    """A Watcher that writes at most 12 lines to stderr: the first, five on the way, four notes and the last.

    Without the five where something else shows how far it is (``on_the_way``).
    """

    def __init__(self, *, on_the_way: bool = True) -> None:
        self._notes: list[str] = []
        self._work = Work()
        self._n_to_train = 0
        self._n_failed = 0
        self._shares_told = 0 if on_the_way else SHARES
        self._has_begun = False

    def __enter__(self) -> "BriefClimb":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None or not self._has_begun:
            return
        n_untold = max(0, len(self._notes) - MOST_NOTES)
        more = f" {n_of(n_untold, 'more note')}." if n_untold else ""
        failed = f"; {n_of(self._n_failed, 'run')} failed" if self._n_failed else ""
        n_trained, took = self._n_to_train - self._n_failed, duration(self._work.elapsed_s)
        if self._n_to_train or more:
            self._say(f"{n_of(n_trained, 'run')} trained in {took}{failed}.{more}")

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        if not self._has_begun:
            self._say(planned_text(to_train, n_stored))
        self._has_begun = True
        self._n_to_train += len(to_train)  # a climb until decided is planned once for each purchase
        self._work.plan(to_train)

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        self._move(task, epochs_done=len(epochs))

    def _move(self, task: Task, *, epochs_done: int) -> None:
        self._work.move(task, epochs_done=epochs_done)
        share, left_s = SHARES * self._work.macs_done // max(1, self._work.macs), self._work.left_s
        if self._shares_told < share < SHARES and left_s is not None:
            self._shares_told = share
            self._say(f"{self._work.share:.0%} done, about {duration(left_s)} left.")

    def finished(self, task: Task, run: Run) -> None:  # noqa: ARG002 (a Watcher is told)
        self._move(task, epochs_done=task.identity.recipe.epochs)

    def failed(self, failure: Failure) -> None:
        self._n_failed += 1
        self.noted(f"{failure}; the others go on")
        self._move(failure.task, epochs_done=failure.task.identity.recipe.epochs)

    def noted(self, text: str) -> None:
        if text in self._notes:
            return
        self._notes.append(text)
        if len(self._notes) <= MOST_NOTES:
            self._say(f"note: {text}")

    def _say(self, text: str) -> None:
        print(" ".join(message(text).split("\n")), file=sys.stderr, flush=True)
