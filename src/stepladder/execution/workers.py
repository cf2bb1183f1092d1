"""Processes to train in: one thread each, quiet on Ctrl-C, gone when their parent is, replaced when they die."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from pebble import ProcessPool

from stepladder._base import signals
from stepladder._base.machine import library_settings, set_environment


class _Process(SpawnProcess):
    """A process that does not run the script of its parent once more before it begins: a worker needs nothing of it.

    So a script needs no ``if __name__ == "__main__"``, and its imports cost no worker time or memory. Python hands
    down the way to the main module: while it looks, there is one without (joblib's loky leaves it out likewise).
    """

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802 (as multiprocessing calls it)
        with _HIDING:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                return SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = main


class _Context(SpawnContext):
    Process = _Process


_HIDING = threading.Lock()


class WorkerProcesses(Executor):
    """An executor in which a worker that dies costs its own task only: the pool replaces it (Pebble)."""

    def __init__(self, n_workers: int) -> None:
        set_environment(library_settings())
        self._pool = ProcessPool(n_workers, initializer=_begin_worker, context=_Context())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with signals.blocked():
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


def _begin_worker() -> None:
    """A worker leaves Ctrl-C to its parent, and does not outlive it."""
    signals.left_to_the_parent()
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
