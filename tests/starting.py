"""``stepladder ...`` as a process of its own that need not start Python: a fork of one that has imported everything.

Starting Python, importing and unpacking MNIST take seconds of computing, and a suite starts hundreds of commands. A
fork has its own memory, files, folder and environment, is run as ``python -m stepladder`` runs, and ends with its own
exit code.
"""

import atexit
import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import stepladder

TESTS = Path(__file__).parent
MOST_BYTES = 1_000_000  # of a request
# Read when it is needed: what else differs may have been read when Python or a library started.
READ_LATE = {"STEPLADDER_CACHE", "STEPLADDER_STORE", "NO_COLOR", "PYTEST_CURRENT_TEST"}


def start(arguments: Sequence[str], *, cwd: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """A process that starts from nothing."""
    command = [sys.executable, "-m", "stepladder", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


class Starter:
    """Runs commands, one after the other, in forks of a process that waits; those that it cannot, from nothing."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
        script = f"import starting; starting.serve({theirs.fileno()})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=TESTS,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # as its forks have them: Python looks at what kind of files they are
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.process.communicate()

    def can_fork(self, environment: dict[str, str]) -> bool:
        """Whether a fork would differ in nothing but the time it takes."""
        names = (environment.keys() | self.environment.keys()) - READ_LATE
        return all(environment.get(name) == self.environment.get(name) for name in names)

    def run(
        self, arguments: Sequence[str], *, cwd: Path, environment: dict[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        if not self.can_fork(environment):
            return start(arguments, cwd=cwd, environment=environment)
        request = json.dumps({"arguments": arguments, "cwd": str(cwd), "environment": environment}).encode()
        (out, their_out), (err, their_err) = os.pipe(), os.pipe()
        socket.send_fds(self.socket, [request], [their_out, their_err])
        for each in (their_out, their_err):
            os.close(each)
        said = dict[int, str]()
        threads = [threading.Thread(target=_read, args=(ours, said)) for ours in (out, err)]
        for thread in threads:
            thread.start()
        answer = self.socket.recv(100)
        assert answer, self.process.communicate()
        for thread in threads:
            thread.join()
        return subprocess.CompletedProcess(arguments, int(answer), said[out], said[err])


def _read(descriptor: int, said: dict[int, str]) -> None:
    with os.fdopen(descriptor) as file:
        said[descriptor] = file.read()


def serve(descriptor: int) -> None:
    """Import and unpack all that a command may, then fork for each request; returns when nobody asks any more.

    A fork does not return: it runs its command and ends as a process that was started for it.
    """
    exit_code: list[int] = []
    atexit.register(_end_at_once, exit_code)  # the first that is registered is called last
    _import_everything()
    stepladder.datasets.data.load("mnist")  # is read once in a process
    gc.freeze()  # what is never looked at again is never copied
    with socket.socket(fileno=descriptor) as asked:
        while True:
            request, (*descriptors,), _, _ = socket.recv_fds(asked, MOST_BYTES, 2)
            if not request:
                return
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which BLAS stops and starts by itself
                pid = os.fork()
            if pid == 0:
                break
            for each in descriptors:
                os.close(each)
            asked.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    try:
        _become(**json.loads(request), descriptors=descriptors)
        exit_code.append(0)
    except SystemExit as error:
        exit_code.append(error.code if isinstance(error.code, int) else int(error.code is not None))
        raise
    except BaseException:
        exit_code.append(1)
        raise


def _end_at_once(exit_code: list[int]) -> None:
    """All is said and done, by threads too; to take modules apart would take longer than many a command.

    The process that serves has no exit code: it ends as any.
    """
    if exit_code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code[0])


def _become(*, arguments: list[str], cwd: str, environment: dict[str, str], descriptors: list[int]) -> None:
    """Be ``python -m stepladder`` with these arguments in this folder."""
    for number, descriptor in enumerate(descriptors, 1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = cwd
    sys.argv = ["stepladder", *arguments]
    runpy.run_module("stepladder", run_name="__main__", alter_sys=True)


# What commands import when they come to it.
LATE = ("optuna", "scipy.stats", "sqlalchemy", "tomli_w")


def _import_everything() -> None:
    """But the torch engine: torch takes longer than all else together, and few ask for it."""
    for name in LATE:
        __import__(name)
    root = Path(stepladder.__file__).parent
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if parts[-1] != "__main__" and "torch" not in parts:
            __import__(name)
