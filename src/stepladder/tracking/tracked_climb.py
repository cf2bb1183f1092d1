"""A climb that a tracker is told of while it goes on.

Trackers are slow: a server is far away, a library takes a second for each run. A thread tells them, and of a run that
went on meanwhile only how it is now; training never waits for that.
"""

import atexit
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from stepladder.climbing.climbing import Failure, Task
from stepladder.errors import StepladderError
from stepladder.ladders.ladder import Plan, require_ladder
from stepladder.runs.run import Epoch, Run
from stepladder.runs.store import Store
from stepladder.tracking.replaying import stored_runs
from stepladder.tracking.told import Place, TrackedRun, of_epochs, of_run, places
from stepladder.tracking.trackers import Tracker, close, named_tracker, told

STOPPED_WITHIN_S = 5.0  # when the climb breaks off
TRY_AGAIN_S = 30.0  # after which a tracker that failed is told again


class TrackedClimb:
    """A Watcher that tells a tracker: ``with TrackedClimb(ladder, "mlflow") as watcher``, and climb with that.

    ``to`` is the name of a tracker, or one that you have; ``log_dir`` is the folder that it is to write to. With a
    ``store``, what that holds of the ladder is told first, and at the end what it holds besides, such as teachers.
    Leaving the block waits until all is told, or a moment if the climb broke off. A tracker that fails is tried again,
    and at the end once more; the climb goes on, and ``complain`` is called with what is wrong.
    Raises TrackerError where there is no such tracker, DataError for the ladder's images.
    """

    def __init__(
        self,
        ladder: Plan,
        to: str | Tracker,
        *,
        log_dir: str | Path | None = None,
        store: Store | None = None,
        complain: Callable[[str], None] | None = None,
    ) -> None:
        require_ladder(ladder, of="TrackedClimb")
        self._name, self._tracker = named_tracker(to, log_dir=log_dir)
        self._replays = _command(ladder, to, log_dir, store) if isinstance(to, str) else "sl.replay"
        self._places: Mapping[str, Place] = places(ladder)
        self.complain = complain or (lambda _: None)
        self._changed = threading.Condition()  # guards all below
        self._ladder = ladder
        self._store = Store(store.folder) if store else None  # with notes of its own, which the climb has too
        self._waiting: dict[str, TrackedRun] = {run.id: run for run in self._stored()}
        self._over = set(self._waiting)  # told, or about to be
        self._training: dict[str, TrackedRun] = {}
        self._has_ended = False
        self._thread: threading.Thread | None = None

    @property
    def where(self) -> str:
        """Where all of it is, and what to type to see it, in words."""
        return self._tracker.where

    def __enter__(self) -> "TrackedClimb":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._tell_of_teachers()
        self._end(within_s=None if kind is None else STOPPED_WITHIN_S)

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:  # noqa: ARG002
        self._begin()

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        self._tell(of_epochs(task.identity, epochs, self._places[task.identity.experiment]))

    def finished(self, task: Task, run: Run) -> None:
        self._tell(of_run(run, self._places[task.identity.experiment]))

    def failed(self, failure: Failure) -> None:
        identity = failure.task.identity
        with self._changed:
            run = self._training.get(of_epochs(identity, (), self._places[identity.experiment]).id)
        if run is not None:
            self._tell(replace(run, state="stopped"))

    def noted(self, text: str) -> None:
        """A tracker keeps runs, and no notes."""

    def _tell_of_teachers(self) -> None:
        """No watcher is told of them: what is stored by now, and was not told."""
        try:
            for run in self._stored():
                if run.id not in self._over:
                    self._tell(run)
        except (StepladderError, OSError) as error:
            self.complain(f"{self._name}: {error}")

    def _stored(self) -> Iterator[TrackedRun]:
        return stored_runs(self._store, [self._ladder], only=True) if self._store else iter(())

    def _tell(self, run: TrackedRun) -> None:
        self._begin()
        if run.is_over:
            self._over.add(run.id)
        with self._changed:
            self._waiting[run.id] = run
            self._training.pop(run.id, None)
            if run.state == "running":
                self._training[run.id] = run
            self._changed.notify_all()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"tells {self._name}", daemon=True)
            self._thread.start()
            atexit.register(self._end, within_s=STOPPED_WITHIN_S)  # for who uses no block

    def _end(self, *, within_s: float | None) -> None:
        """Wait until all is told, for so many seconds at most; what still trains is stopped."""
        atexit.unregister(self._end)
        for run in list(self._training.values()):
            self._tell(replace(run, state="stopped"))
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(within_s)

    def _work(self) -> None:
        """Tell what waits, the oldest first, until the end; a tracker that fails is tried again now and then."""
        problem = ""
        while (run := self._next()) is not None:
            before, problem = problem, self._problem(run)
            if problem and not before:
                self.complain(f"{self._name}: {problem}; the climb goes on, and it is tried again")
            if problem and not self._waits_to_try_again(run):
                self.complain(f"{self._name} was not told all: {self._replays} tells it the rest")
                return
        try:
            close(self._tracker, self._name)
        except StepladderError as error:
            self.complain(str(error))

    def _next(self) -> TrackedRun | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._has_ended)
            return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    def _problem(self, run: TrackedRun) -> str:
        """What was wrong when the tracker was told of a run; empty if nothing was."""
        try:
            told(self._tracker, run)
        except StepladderError as error:
            return str(error)
        return ""

    def _waits_to_try_again(self, run: TrackedRun) -> bool:
        """False at once if all is over: then it was the last try."""
        with self._changed:
            if self._has_ended:
                return False
            self._waiting.setdefault(run.id, run)  # unless it went on meanwhile
            self._changed.wait_for(lambda: self._has_ended, TRY_AGAIN_S)
            return True


def _command(ladder: Plan, to: str, log_dir: str | Path | None, store: Store | None) -> str:
    """What is typed to tell a tracker of what is stored of a ladder."""
    folders = {"--store": store and store.folder, "--log-dir": log_dir}
    more = [word for name, folder in folders.items() if folder is not None for word in (name, str(folder))]
    return shlex.join(["stepladder", "replay", ladder.source, "--to", to, *more])
