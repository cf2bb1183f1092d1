"""Climb a ladder: train every rung with every seed, over any concurrent.futures executor, and keep what is finished."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from stepladder._base.files import NewerFormatError
from stepladder._base.frozen import without_collecting
from stepladder._base.machine import n_cores
from stepladder._base.wording import shown
from stepladder.datasets import data as data_sets
from stepladder.datasets.sources import DataInfo
from stepladder.engines import Engine, require_code
from stepladder.errors import LadderError
from stepladder.execution import place
from stepladder.execution.job_queue import JobQueue, require_own_process
from stepladder.execution.place import Place
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
from stepladder.runs.run import Epoch, Run, RunIdentity
from stepladder.runs.store import LeftAloneError, Store


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

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        """A run is being trained: all the epochs that it has behind it, each with its metrics."""

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

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        for watcher in self.watchers:
            watcher.advanced(task, epochs=epochs)

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
    """The runs of a climb, rung by rung; raises BudgetError, DataError, EngineError or LadderError before anything
    trains.
    """
    if not seeds:
        raise LadderError("0 seeds train nothing: give at least 1, as in --seeds 8")
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed, n in Counter(seeds).items() if n > 1)
        raise LadderError(f"seed {twice} is given more than once, and trains the same run: give each seed once")
    require_declared(ladder)
    info = data_sets.describe(ladder.data)
    require_within_budget(ladder, check_rungs(ladder, info))
    require_effects(ladder, info)
    _require_code(ladder, engine, info)
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


def _require_code(ladder: Plan, engine: Engine, info: DataInfo) -> None:
    """Raise EngineError if the engine cannot compute the network of a rung, or that of its teacher."""
    for rung in ladder.trained:
        require_code(engine, rung.network(info.image), who=f"rung {shown(rung.name)}")
        if rung.recipe.teacher is not None:
            teacher = rung.recipe.teacher.network_for(info.image)
            require_code(engine, teacher, who=f"the teacher of rung {shown(rung.name)}")


def climb(
    ladder: Plan,
    *,
    seeds: Sequence[int],
    store: Store,
    engine: Engine,
    jobs: int | None = None,
    executor: Executor | Place | None = None,
    watcher: Watcher | None = None,
) -> list[Failure]:
    """Train every rung and every variant with every seed, except what the store already holds.

    ``jobs`` processes (one per core unless given) train one run each, on one thread. With an ``executor``, each of its
    workers does, piece by piece, in a process of its own; it may stand in another folder, or on another machine.
    Returns the runs that failed twice; raises BudgetError, DataError, EngineError, LadderError or StoreError.
    """
    if jobs is not None and jobs < 1:
        raise LadderError(f"{jobs} jobs train nothing: give at least 1")
    require_own_process()
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
    Store.open(store.folder, create=True)  # before anything is stored
    n_jobs = min(jobs or n_cores(), len(to_train))
    at = place.of(executor)
    with JobQueue[Task](at, source=ladder.data, store=store, jobs=n_jobs, tell=watcher.noted) as queue:
        for task in to_train.values():
            queue.submit(task)
        failures = _watched(queue, watcher)
    _pass_on_notes(store, watcher)
    return newer + failures


def _watched(queue: JobQueue[Task], watcher: Watcher) -> list[Failure]:
    """See all that a queue holds trained; the failures among it."""
    failures = []
    while queue:
        for ended in queue.wait():
            if ended.run is not None:
                watcher.finished(ended.job, ended.run)
            else:
                failures.append(Failure(ended.job, ended.reason))
                watcher.failed(failures[-1])
        for task, epochs in queue.advanced():
            watcher.advanced(task, epochs=epochs)
    return failures


def _stored(tasks: Sequence[Task], store: Store, info: DataInfo) -> tuple[dict[str, Run | None], list[Failure]]:
    """What the store holds of these runs, by key, and the failures of those that a newer Stepladder has stored."""
    found: dict[str, Run | None] = {}
    newer = []
    with without_collecting():
        for task in tasks:
            try:
                found[task.identity.key] = store.find(task.identity, set_aside=True, info=info)
            except (NewerFormatError, LeftAloneError) as error:  # it is left alone, and so must not be trained over
                newer.append(Failure(task, str(error)))
    store.index.keep()
    return found, newer


def _pass_on_notes(store: Store, watcher: Watcher) -> None:
    for note in store.notes:
        watcher.noted(note)
    store.notes.clear()
