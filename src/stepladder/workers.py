"""Processes to train in: one thread each, quiet on Ctrl-C, gone when their parent is, replaced when they die."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing import get_context, parent_process
from typing import Any

from pebble import ProcessPool

from stepladder import signals
from stepladder.machine import blas_kernels


class WorkerProcesses(Executor):
    """An executor in which a worker that dies costs its own task only: the pool replaces it (Pebble)."""

    def __init__(self, n_workers: int) -> None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = "1"  # read by the workers' libraries when they start
        if kernels := blas_kernels():
            os.environ["OPENBLAS_CORETYPE"] = kernels  # likewise
        self._pool = ProcessPool(n_workers, initializer=_begin_worker, context=get_context("spawn"))

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
