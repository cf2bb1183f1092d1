"""Processes to train in: one thread each, quiet on Ctrl-C, gone when their parent is, replaced when they die."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from typing import Any

from pebble import ProcessPool

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
    """Threads begun inside, and the processes they spawn, never see Ctrl-C: not even while Python starts in them.

    A Ctrl-C in the meantime comes when all have begun: one in the middle would leave half-begun processes behind.
    """
    came: list[bool] = []
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda *_: came.append(True)) if in_main_thread else None
    mask = None
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        resource_tracker.ensure_running()  # now: starting it later would unblock the signal again
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
            if came:
                signal.raise_signal(signal.SIGINT)


def _begin_worker() -> None:
    """A worker leaves Ctrl-C to its parent, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
