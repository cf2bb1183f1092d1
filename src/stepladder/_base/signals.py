"""Ctrl-C, SIGTERM and SIGHUP end a command alike: what is finished is kept, and the next one ends it at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
TO_ALL = tuple(each for each in STOPPING if each != signal.SIGTERM)  # a terminal sends these to workers too
SHOW_CURSOR = "\x1b[?25h"
AGAIN_S = 0.01
SAME_WISH_S = 0.5  # a shell passes on what its terminal sends, and fingers are quick: that is no second signal


class Stopped(KeyboardInterrupt):
    """A signal to end has come; ``exit_code`` is 128 and its number, as a shell says it."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


_raised: list[Stopped] = []  # in this command


def stopped() -> Stopped | None:
    """What was raised for a signal in this command. A library may have made another error of it, or none."""
    return _raised[-1] if _raised else None


def raise_when_stopped() -> None:
    """From now on the first signal to end raises Stopped in the main thread; a second one ends the process at once.

    A signal that is ignored (nohup, a shell's background) stays ignored, one with a handler keeps it.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _raised.clear()
    for number in STOPPING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)
    if not isinstance(sys.unraisablehook, _StopAgain):
        sys.unraisablehook = _StopAgain(sys.unraisablehook)


def left_to_the_system() -> None:
    """From now on a signal to end does that at once: there is nothing more to keep."""
    for number in STOPPING:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_DFL)


class _StopAgain:
    """A Stopped that came where Python lets no exception out, as in what is called when an object goes, comes again.

    Not at once: that would be in the same place. All else is for the hook ``before``.
    """

    def __init__(self, before: "Callable[[sys.UnraisableHookArgs], object]") -> None:
        self._before = before

    def __call__(self, unraisable: "sys.UnraisableHookArgs", /) -> None:
        stopped = unraisable.exc_value
        if not isinstance(stopped, Stopped):
            self._before(unraisable)
            return
        for each in STOPPING:
            if getattr(signal.getsignal(each), "__name__", "") == "stop_at_once":
                signal.signal(each, _stop)
        again = threading.Timer(AGAIN_S, _signal_main_thread, [stopped.exit_code - 128])
        again.daemon = True
        again.start()


def _signal_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill") and (main := threading.main_thread().ident):
        signal.pthread_kill(main, number)  # which wakes it where it waits
    else:
        signal.raise_signal(number)


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    stopped_at = time.monotonic()

    def stop_at_once(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if time.monotonic() - stopped_at > SAME_WISH_S:
            _end_at_once(number)

    for each in STOPPING:
        if signal.getsignal(each) is _stop:
            signal.signal(each, stop_at_once)
    _raised.append(Stopped(number))
    raise _raised[-1]


def _end_at_once(number: int) -> NoReturn:
    """Children end by themselves when their parent is gone (execution.child)."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())  # progress may have hidden it
    os._exit(128 + number)


@contextmanager
def blocked() -> Iterator[None]:
    """A process that this thread begins inside never sees a signal that goes to all: not while Python starts there."""
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TO_ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def held() -> Iterator[None]:
    """A SIGTERM that comes inside is answered at its end; a second one ends the process at once.

    Unlike what is ``blocked``, it is seen by the processes that are begun inside.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if came:
            _end_at_once(number)
        came.append(number)

    is_ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _stop
    if is_ours:
        signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, _stop)
        for number in came:
            signal.raise_signal(number)


def left_to_the_parent() -> None:
    """In a worker: what goes to all is for the parent to answer. SIGTERM is its word."""
    for each in TO_ALL:
        signal.signal(each, signal.SIG_IGN)
