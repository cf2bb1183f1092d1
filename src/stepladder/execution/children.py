"""Every training in a child process, which is begun where an executor's worker stands, and can be killed alone.

A child is a new Python whatever the process is that begins it: a thread of a script without ``if __name__ ==
"__main__"``, a notebook, a forked, spawned or daemonic process, a worker on another machine. It imports nobody's main
module, has libraries that no one has loaded with other settings, and may die without breaking anybody's pool. What
goes in and out are lines of text. One that has trained waits a while for the next training, warm: beginning one takes a
second or so, and reading images anew.

A child ends when its stdin does, or when its parent is gone (``child``). This module imports nothing that computes.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing import parent_process
from signal import Signals

from stepladder._base import signals
from stepladder._base.machine import library_settings, limit_in_words

BEGIN = (
    "import json, sys; parent, sys.path[:] = json.loads(sys.stdin.buffer.readline());"
    " from stepladder.execution.child import serve; serve(parent)"
)
ANSWER = "stepladder answers: "  # begins a line of stdout that is one; others are what somebody prints,
MEANWHILE = "stepladder reports: "  # or what is told before the answer
WARM_S = 30  # so long a child is taken again after its last training; it leaves by itself later than that
STOP_S = 5


class LostError(Exception):
    """A child ended in the middle of a training; how is what the message says."""


class _Child:
    """A process that trains one run after another. Only the thread that has taken it asks."""

    def __init__(self) -> None:
        with signals.blocked():
            self._process = subprocess.Popen(
                [sys.executable, "-c", BEGIN],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(),
            )
        self._first = json.dumps([os.getpid(), _absolute(sys.path)]) + "\n"
        self.idle_since = time.monotonic()

    def ask(self, order: str, heard: Callable[[str], None] | None) -> str:
        """What the child answers; what it tells before is ``heard``. Raises LostError if it ends instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):  # it is gone
            self._process.stdin.write(f"{self._first}{order}\n".encode())
            self._process.stdin.flush()
            self._first = ""
            for line in self._process.stdout:
                if not line.endswith(b"\n"):
                    continue
                if line.startswith(ANSWER.encode()):
                    self.idle_since = time.monotonic()
                    return line.decode().removeprefix(ANSWER)
                if heard and line.startswith(MEANWHILE.encode()):
                    heard(line.decode().removeprefix(MEANWHILE))
        raise LostError(self._end())

    def _end(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"it ended with exit code {code}{limit_in_words()}"
        name = next((each.name for each in Signals if each == -code), f"signal {-code}")
        guess = ", as by a system that is short of memory" if name == "SIGKILL" else ""
        return f"it was killed by {name}{guess}{limit_in_words()}"

    @property
    def is_warm(self) -> bool:
        return self._process.poll() is None and time.monotonic() - self.idle_since < WARM_S

    def terminate(self) -> None:
        self._process.terminate()

    def close(self, *, until: float) -> None:
        """See it end: by itself, as nothing more is asked, or killed when this moment is reached."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # it is gone, and with it who would read the rest
                    pipe.close()
        self.wait(until=until)

    def wait(self, *, until: float) -> None:
        try:
            self._process.wait(max(0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    """This process's, but for what decides how libraries compute: that follows from the machine alone."""
    settings = library_settings()
    rest = {name: value for name, value in os.environ.items() if name not in settings}
    return rest | {name: value for name, value in settings.items() if value is not None}


def _absolute(folders: Iterable[str]) -> list[str]:
    """Where modules are looked for, from any folder; those relative to a folder that is gone are left out."""
    found = []
    for folder in folders:
        with suppress(OSError):
            found.append(os.path.abspath(folder))  # noqa: PTH100 (a Path of "" would be ".", and stay so)
    return found


class _Children:
    """The children of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[_Child] = []
        self.training: dict[str, _Child] = {}
        self.stopped: set[str] = set()
        self.is_watched = False

    def take(self, ticket: str) -> _Child:
        """A child for this training. Raises LostError if it was stopped before it began."""
        self._watch()
        with self.lock:
            cold = [child for child in self.idle if not child.is_warm]
            self.idle = [child for child in self.idle if child not in cold]
            child = self.idle.pop() if self.idle else None
        _close(cold)
        child = child or _Child()
        with self.lock:
            self.training[ticket] = child
            is_stopped = ticket in self.stopped
        if is_stopped:
            self.drop(ticket)
            raise LostError("it was stopped")
        return child

    def give_back(self, ticket: str) -> None:
        with self.lock:
            self.idle.append(self.training.pop(ticket))

    def drop(self, ticket: str) -> None:
        """End the child of a training: nothing more is asked of it."""
        with self.lock:
            child = self.training.pop(ticket)
            self.stopped.discard(ticket)
        child.terminate()
        _close([child])

    def stop(self, tickets: Iterable[str]) -> None:
        with self.lock:
            self.stopped.update(tickets)
            found = [self.training[ticket] for ticket in tickets if ticket in self.training]
        for child in found:
            child.terminate()
        until = time.monotonic() + STOP_S
        for child in found:
            child.wait(until=until)

    def close_idle(self) -> None:
        with self.lock:
            idle, self.idle = self.idle, []
        _close(idle)

    def _watch(self) -> None:
        """A worker process of an executor whose own parent is gone trains no more: nobody waits for it."""
        with self.lock:
            parent, is_watched, self.is_watched = parent_process(), self.is_watched, True
        if parent is None or is_watched:
            return

        def outlive_nobody() -> None:
            parent.join()
            self.stop(list(self.training))

        threading.Thread(target=outlive_nobody, daemon=True).start()


def _close(children: Iterable[_Child]) -> None:
    until = time.monotonic() + STOP_S
    for child in children:
        child.close(until=until)


_here = _Children()
_of_parents: list[_Children] = []  # what a fork has of its parent's, kept so that nothing of it is ever closed


def _after_fork() -> None:
    global _here  # noqa: PLW0603
    _of_parents.append(_here)
    _here = _Children()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def train_in_child(ticket: str, order: str, heard: Callable[[str], None] | None = None) -> str:
    """Have a piece of a run trained (see sent_run): this is what an executor runs, wherever it does.

    ``ticket`` is a name of this try alone, to stop it by. What is reported before the last report is ``heard``. Raises
    LostError if the child dies. One that answers with an error is not used again, and none goes on that nobody waits
    for any more.
    """
    child = _here.take(ticket)
    try:
        answer = child.ask(order, heard)
    except BaseException:
        _here.drop(ticket)
        raise
    if json.loads(answer).get("error") is None:
        _here.give_back(ticket)
    else:
        _here.drop(ticket)
    return answer


def stop(tickets: Iterable[str]) -> None:
    """Kill the children that train these in this process; those that would begin later do not."""
    _here.stop(list(tickets))


def close_idle() -> None:
    """End the children of this process that wait for a training."""
    _here.close_idle()
