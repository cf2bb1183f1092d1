"""Climb a ladder: train every rung with every seed, over any concurrent.futures executor, and keep what is finished.

Workers report through the store alone, so an executor needs no channel of its own, and a killed climb resumes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from multiprocessing import current_process
from typing import Protocol

from pebble import ProcessExpired

from stepladder._base.files import NewerFormatError
from stepladder._base.machine import limit_in_words, n_cores
from stepladder.datasets import data as data_sets
from stepladder.datasets.sources import DataInfo
from stepladder.engines import Engine
from stepladder.errors import LadderError, StepladderError
from stepladder.execution.one_run import Work
from stepladder.execution.sent_run import send
from stepladder.execution.workers import WorkerProcesses
from stepladder.ladders.checking import (
    check_rungs,
    macs_of_run,
    macs_per_epoch,
    require_declared,
    require_effects,
    require_within_budget,
)
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.image_notes import examined
from stepladder.ladders.ladder import Plan, Rung
from stepladder.runs import speeds
from stepladder.runs.run import Run, RunIdentity
from stepladder.runs.store import LeftAloneError, Store

POLL_S = 0.3
N_TRIES = 2


@dataclass(frozen=True)
class Task:
    """One run that is wanted: where it belongs on the ladder, all that decides its numbers, and its work."""

    rung: Rung
    identity: RunIdentity
    macs_per_epoch: int
    macs: int  # of the whole run, its teachers' own included

    def __str__(self) -> str:
        return f"rung {self.rung.name!r}, seed {self.identity.seed}"


@dataclass(frozen=True)
class Failure:
    """A run that could not be trained, after its second try."""

    task: Task
    reason: str

    def __str__(self) -> str:
        return f"{self.task}: {self.reason}"

    def __repr__(self) -> str:  # not the whole recipe
        return f"<Failure {self}>"


class Watcher(Protocol):
    """Who is told how a climb goes on."""

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        """The runs to train by key, each with the epochs it has behind it, and how many runs are stored."""

    def advanced(self, task: Task, *, epochs_done: int) -> None: ...

    def finished(self, task: Task, run: Run) -> None: ...

    def failed(self, failure: Failure) -> None: ...

    def noted(self, text: str) -> None: ...


class Watchers:
    """A Watcher that tells several."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        for watcher in self.watchers:
            watcher.planned(to_train, n_stored)

    def advanced(self, task: Task, *, epochs_done: int) -> None:
        for watcher in self.watchers:
            watcher.advanced(task, epochs_done=epochs_done)

    def finished(self, task: Task, run: Run) -> None:
        for watcher in self.watchers:
            watcher.finished(task, run)

    def failed(self, failure: Failure) -> None:
        for watcher in self.watchers:
            watcher.failed(failure)

    def noted(self, text: str) -> None:
        for watcher in self.watchers:
            watcher.noted(text)


def plan(ladder: Plan, *, seeds: Sequence[int], engine: Engine) -> list[Task]:
    """The runs of a climb, rung by rung; raises BudgetError, DataError or LadderError before anything trains."""
    if not seeds:
        raise LadderError("0 seeds train nothing: give at least 1, as in --seeds 8")
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed, n in Counter(seeds).items() if n > 1)
        raise LadderError(f"seed {twice} is given more than once, and trains the same run: give each seed once")
    require_declared(ladder)
    info = data_sets.describe(ladder.data)
    require_within_budget(ladder, check_rungs(ladder, info))
    require_effects(ladder, info)
    data = data_identity(ladder)
    return [
        Task(
            rung,
            RunIdentity(recipe=rung.recipe, data=data, seed=seed, engine=engine.identity),
            macs_per_epoch=macs_per_epoch(ladder, rung, info=info),
            macs=macs_of_run(ladder, rung, info=info),
        )
        for rung in ladder.trained
        for seed in seeds
    ]


def climb(
    ladder: Plan,
    *,
    seeds: Sequence[int],
    store: Store,
    engine: Engine,
    jobs: int | None = None,
    executor: Executor | None = None,
    watcher: Watcher | None = None,
) -> list[Failure]:
    """Train every rung and every variant with every seed, except what the store already holds.

    Without an ``executor``, ``jobs`` processes (one per core unless given) train one run each, on one thread.
    An ``executor``'s workers may stand in other folders and on other machines that share the store's.
    Returns the runs that failed twice; raises BudgetError, DataError, EngineError, LadderError or StoreError.
    """
    if jobs is not None and jobs < 1:
        raise LadderError(f"{jobs} jobs train nothing: give at least 1")
    _require_own_process()
    watcher = watcher or Watchers(())
    tasks = plan(ladder, seeds=seeds, engine=engine)
    found, newer = _stored(tasks, store, data_sets.describe(ladder.data))
    _pass_on_notes(store, watcher)
    to_train = {task.identity.key: task for task in tasks if found.get(task.identity.key, ...) is None}
    for task in tasks:
        if found.get(task.identity.key):
            store.drop_checkpoint(task.identity)
    epochs_done = {key: (task, store.epochs_done(task.identity)[0]) for key, task in to_train.items()}
    watcher.planned(epochs_done, sum(run is not None for run in found.values()))
    for failure in newer:
        watcher.failed(failure)
    if not to_train:
        return newer
    for note in examined(ladder, tasks[0].identity.data):  # bad images end the climb here
        watcher.noted(f"images: {note}")
    data_sets.load(ladder.data)  # and so does a damaged MNIST
    Store.open(store.folder, create=True)  # as workers do not
    n_workers = min(jobs or n_cores(), len(to_train))
    work = Work(ladder.data, store.folder)
    context: AbstractContextManager[Executor] = nullcontext(executor) if executor else WorkerProcesses(n_workers)
    with context as pool:
        failures = _Climb(pool, work, store=store, watcher=watcher).run(list(to_train.values()))
    _pass_on_notes(store, watcher)
    return newer + failures


def _stored(tasks: Sequence[Task], store: Store, info: DataInfo) -> tuple[dict[str, Run | None], list[Failure]]:
    """What the store holds of these runs, by key, and the failures of those that a newer Stepladder has stored."""
    found: dict[str, Run | None] = {}
    newer = []
    for task in tasks:
        try:
            found[task.identity.key] = store.find(task.identity, set_aside=True, info=info)
        except (NewerFormatError, LeftAloneError) as error:  # it is left alone, and so must not be trained over
            newer.append(Failure(task, str(error)))
    return found, newer


def _require_own_process() -> None:
    """Refuse to climb in an executor's process that is running the script which climbs, once more, to begin with."""
    if getattr(current_process(), "_inheriting", False):
        raise LadderError(
            "this script climbs again in each process of its own executor: put what it does under"
            ' if __name__ == "__main__":, or leave the executor out'
        )


def _pass_on_notes(store: Store, watcher: Watcher) -> None:
    for note in store.notes:
        watcher.noted(note)
    store.notes.clear()


class _Climb:
    """The runs under way of one climb."""

    def __init__(self, pool: Executor, work: Work, *, store: Store, watcher: Watcher) -> None:
        self.pool = pool
        self.work = work
        self.store = store
        self.watcher = watcher
        self.under_way: dict[Future[list[str]], Task] = {}
        self.n_tries: dict[str, int] = {}
        self.noted: set[str] = set()
        self.failures: list[Failure] = []

    def run(self, tasks: Sequence[Task]) -> list[Failure]:
        try:
            for task in tasks:
                self.submit(task)
            return self.until_all_are_done()
        finally:
            for future in self.under_way:  # of an executor that goes on when this climb does not
                future.cancel()

    def until_all_are_done(self) -> list[Failure]:
        while self.under_way:
            done, _ = wait(self.under_way, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                self.collect(future, self.under_way.pop(future))
            for future, task in self.under_way.items():
                if future.running() and (epochs_done := self.store.epochs_done(task.identity)[0]):
                    self.watcher.advanced(task, epochs_done=epochs_done)
        return self.failures

    def submit(self, task: Task) -> None:
        """Begin a try; the second one without cached machine code, of which the first may have died."""
        n_tries = self.n_tries[task.identity.key] = self.n_tries.get(task.identity.key, 0) + 1
        try:
            self.under_way[send(self.pool, replace(self.work, use_cache=n_tries == 1), task.identity)] = task
        except RuntimeError as error:  # a broken executor takes nothing any more
            self.fail(task, f"not tried: {error}{limit_in_words()}")

    def collect(self, future: Future[list[str]], task: Task) -> None:
        try:
            for note in future.result():
                if note not in self.noted:  # every worker says it
                    self.watcher.noted(note)
                    self.noted.add(note)
        except LeftAloneError as error:
            self.fail(task, str(error))
            return
        except StepladderError:
            raise
        except Exception as error:  # whatever went wrong in this run: the others go on
            self.try_again(task, error)
            return
        run = self.store.find(task.identity, set_aside=False)
        if run is None:
            self.fail(task, "its record cannot be read back: is the store's disk full, or not one for all?")
            return
        if run.elapsed_s > 0:
            macs_per_s = task.macs_per_epoch * len(run.epochs) / run.elapsed_s
            speeds.note(self.store.folder, tag=run.identity.engine.tag, macs_per_s=macs_per_s)
        self.watcher.finished(task, run)

    def try_again(self, task: Task, error: Exception) -> None:
        what = "lost its worker" if isinstance(error, ProcessExpired | BrokenExecutor) else "failed"
        reason = f"{type(error).__name__}: {error}"
        if self.n_tries[task.identity.key] < N_TRIES:
            self.watcher.noted(f"{task} {what} ({reason}); it is tried once more")
            self.submit(task)
        else:
            self.fail(task, f"{what} twice ({reason})")

    def fail(self, task: Task, reason: str) -> None:
        self.failures.append(Failure(task, reason))
        self.watcher.failed(self.failures[-1])
