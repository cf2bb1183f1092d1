"""Climb a ladder: train every rung with every seed, over any concurrent.futures executor, and keep what is finished.

Workers report through the store alone, so an executor needs no channel of its own, and a killed climb resumes.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from multiprocessing import get_context, parent_process, resource_tracker
from pathlib import Path
from platform import platform
from typing import Any, Protocol

from pebble import ProcessPool

from stepladder import data as data_sets
from stepladder import sources, speeds
from stepladder.checking import epoch_cost
from stepladder.engines import Engine, choose_engine
from stepladder.engines.training import train, weights
from stepladder.errors import LadderError, StepladderError
from stepladder.ladder import Ladder, Rung, require_within_budget
from stepladder.machine import cpu_name, n_cores, versions
from stepladder.run import EngineIdentity, Progress, Provenance, Run, RunIdentity, data_identity
from stepladder.store import Store, weights_file

POLL_S = 0.3
N_TRIES = 2


@dataclass(frozen=True)
class Task:
    """One run that is wanted: where it belongs on the ladder, and all that decides its numbers."""

    rung: Rung
    identity: RunIdentity
    cost: int

    def __str__(self) -> str:
        return f"rung {self.rung.name!r}, seed {self.identity.seed}"


@dataclass(frozen=True)
class Failure:
    """A run that could not be trained, after its second try."""

    task: Task
    reason: str

    def __str__(self) -> str:
        return f"{self.task}: {self.reason}"


class Watcher(Protocol):
    """Who is told how a climb goes on."""

    def planned(self, to_train: Sequence[Task], stored: Sequence[Task]) -> None: ...

    def advanced(self, task: Task, epochs_done: int) -> None: ...

    def finished(self, task: Task, run: Run) -> None: ...

    def noted(self, text: str) -> None: ...


class _Silent:
    """A Watcher that does not look."""

    def planned(self, to_train: Sequence[Task], stored: Sequence[Task]) -> None: ...

    def advanced(self, task: Task, epochs_done: int) -> None: ...

    def finished(self, task: Task, run: Run) -> None: ...

    def noted(self, text: str) -> None: ...


def plan(ladder: Ladder, *, seeds: Sequence[int], engine: Engine) -> list[Task]:
    """The runs of a climb, rung by rung; raises BudgetError before anything trains."""
    if not seeds:
        raise LadderError("0 seeds train nothing: give at least 1, as in --seeds 8")
    info = sources.describe(ladder.data)
    require_within_budget(ladder, info.image)
    data_sets.require_sha256(ladder.data, ladder.data_sha256)
    data = data_identity(ladder)
    return [
        Task(
            rung,
            RunIdentity(recipe=rung.recipe, data=data, seed=seed, engine=engine.identity),
            cost=epoch_cost(ladder, rung, info),
        )
        for rung in ladder.rungs
        for seed in seeds
    ]


def climb(
    ladder: Ladder,
    *,
    seeds: Sequence[int],
    store: Store,
    engine: Engine,
    jobs: int | None = None,
    executor: Executor | None = None,
    watcher: Watcher | None = None,
) -> list[Failure]:
    """Train every rung with every seed, except what the store already holds.

    Without an ``executor``, ``jobs`` processes (one per core unless given) train one run each, on one thread.
    Returns the runs that failed twice; raises BudgetError, DataError, LadderError or StoreError.
    """
    watcher = watcher or _Silent()
    tasks = plan(ladder, seeds=seeds, engine=engine)
    found = {task.identity.key: store.find(task.identity, set_aside=True) for task in tasks}
    _pass_on_notes(store, watcher)
    to_train = list({task.identity.key: task for task in tasks if found[task.identity.key] is None}.values())
    watcher.planned(to_train, [task for task in tasks if found[task.identity.key] is not None])
    if not to_train:
        return []
    data_sets.splits(data_sets.load(ladder.data), n_dev=tasks[0].identity.data.dev_images)  # bad data ends here
    if jobs is not None and jobs < 1:
        raise LadderError(f"{jobs} jobs train nothing: give at least 1")
    n_workers = min(jobs or n_cores(), len(to_train))
    work = _Work(ladder.data, tasks[0].identity.data.dev_images, store.folder, engine.identity)
    context: AbstractContextManager[Executor] = nullcontext(executor) if executor else WorkerProcesses(n_workers)
    with context as pool:
        return _Climb(pool, work, store, watcher).run(to_train)


class _Climb:
    """The runs under way of one climb."""

    def __init__(self, pool: Executor, work: "_Work", store: Store, watcher: Watcher) -> None:
        self.pool = pool
        self.work = work
        self.store = store
        self.watcher = watcher
        self.under_way: dict[Future[list[str]], Task] = {}
        self.n_tries: dict[str, int] = {}
        self.failures: list[Failure] = []

    def run(self, tasks: Sequence[Task]) -> list[Failure]:
        for task in tasks:
            self.submit(task)
        while self.under_way:
            done, _ = wait(self.under_way, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                self.collect(future, self.under_way.pop(future))
            for task in self.under_way.values():
                if epochs_done := self.store.epochs_done(task.identity)[0]:
                    self.watcher.advanced(task, epochs_done)
        return self.failures

    def submit(self, task: Task) -> None:
        self.n_tries[task.identity.key] = self.n_tries.get(task.identity.key, 0) + 1
        try:
            self.under_way[self.pool.submit(train_one, self.work, task.identity)] = task
        except RuntimeError as error:  # a broken executor takes nothing any more
            self.failures.append(Failure(task, f"not tried: {error}"))

    def collect(self, future: Future[list[str]], task: Task) -> None:
        try:
            for note in future.result():
                self.watcher.noted(note)
        except StepladderError:
            raise
        except Exception as error:  # whatever killed the worker: the others go on
            reason = f"{type(error).__name__}: {error}"
            if self.n_tries[task.identity.key] < N_TRIES:
                self.watcher.noted(f"{task} lost its worker ({reason}); it is tried once more")
                self.submit(task)
            else:
                self.failures.append(Failure(task, f"lost its worker twice ({reason})"))
                self.watcher.noted(f"{task} failed twice ({reason}); the others go on")
            return
        run = self.store.find(task.identity, set_aside=False)
        if run is None:
            self.failures.append(Failure(task, "its record cannot be read back: is the store's disk full?"))
            return
        if run.elapsed_s > 0:
            speeds.note(self.store.folder, run.identity.engine.tag, task.cost * len(run.epochs) / run.elapsed_s)
        self.watcher.finished(task, run)


def _pass_on_notes(store: Store, watcher: Watcher) -> None:
    for note in store.notes:
        watcher.noted(note)
    store.notes.clear()


@dataclass(frozen=True)
class _Work:
    """What a worker needs besides a run's identity; small enough to send anywhere."""

    data: str
    n_dev: int
    store: Path
    engine: EngineIdentity


@lru_cache(maxsize=2)
def _prepared(work: _Work) -> tuple[Engine, data_sets.Splits]:
    engine, _ = choose_engine(work.engine.name, device=work.engine.device)
    images = data_sets.load(work.data)
    return engine, data_sets.splits(images, n_dev=work.n_dev)


def train_one(work: _Work, identity: RunIdentity) -> list[str]:
    """Train one run from its last checkpoint, in a worker; returns what is to be said of the store."""
    engine, splits = _prepared(work)
    store = Store.open(work.store, create=True)
    progress = store.resume(identity)
    for after_epoch in train(engine, identity.recipe, splits, seed=identity.seed, resume=progress):
        store.checkpoint(identity, after_epoch)
        progress = after_epoch
    finish(store, identity, progress, engine, splits)
    return store.notes


def finish(store: Store, identity: RunIdentity, progress: Progress, engine: Engine, splits: data_sets.Splits) -> None:
    """Make a finished training a Run in the store."""
    assert progress.arrays is not None
    content = weights_file(weights(identity.recipe.network_for(splits.image), progress.arrays))
    run = Run(
        identity=identity,
        epochs=progress.epochs,
        diverged_at_epoch=progress.diverged_at_epoch,
        wrong_images=progress.wrong_images,
        weights_sha256=sha256(content).hexdigest(),
        provenance=Provenance(
            versions=versions() | engine.versions,
            cpu=cpu_name(),
            platform=platform(),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            n_resumed=progress.n_resumed,
        ),
    )
    store.save(run, content)


class WorkerProcesses(Executor):
    """Processes of one thread each. One that dies costs its own run only: the pool replaces it (Pebble)."""

    def __init__(self, n_workers: int) -> None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = "1"  # read by the workers' libraries when they start
        self._pool = ProcessPool(n_workers, initializer=_begin_worker, context=get_context("spawn"))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with _ctrl_c_blocked():
            future: Future[Any] = self._pool.schedule(fn, args=args, kwargs=kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.close()
        if cancel_futures:
            self._pool.stop()
        if wait:
            self._pool.join()

    def __exit__(self, exc_type: object, exc_value: object, traceback: object) -> None:
        self.shutdown(cancel_futures=exc_type is not None)


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Threads begun inside, and the processes they spawn, never see Ctrl-C: not even while Python starts in them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # now: starting it later would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """A worker leaves Ctrl-C to its parent, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
