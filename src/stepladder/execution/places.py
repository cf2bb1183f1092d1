"""Places by name, as ``--on`` gives them: ``local``, ``dask``, ``slurm``, ``python``, or what a package brings.

What is behind the name belongs to the place: ``dask://10.0.0.1:8786``, ``slurm:partition=short``,
``python:module:factory``. No library of a cluster is imported until its place is asked for.
"""

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from stepladder._base import registry
from stepladder._base.given import require
from stepladder._base.wording import option, shown
from stepladder.errors import LadderError
from stepladder.execution import children, place
from stepladder.execution.place import Place

Opens = Callable[..., AbstractContextManager[Place | None]]  # (rest: str, *, jobs: int | None)


def opened(on: str, *, jobs: int | None) -> AbstractContextManager[Place | None]:
    """The place of a name, for as long as it is entered; None for processes of this machine.

    ``jobs`` is how many runs it is to train at once, as many as it has workers unless given. Raises LadderError for one
    that cannot be had, with the remedy.
    """
    require(str, on, of="on", takes="the name of a place to train", remedy='as in on="dask"')
    name = re.split("[:?]", on, maxsplit=1)[0]
    registry.EXECUTORS.require_alone(name)
    opens: Opens = registry.EXECUTORS.load(name)
    return opens(on.removeprefix(name).removeprefix(":"), jobs=jobs)


@contextmanager
def local(rest: str, *, jobs: int | None) -> Iterator[None]:  # noqa: ARG001
    """Processes of this machine."""
    if rest:
        raise LadderError(
            f"{option('on', f'local:{rest}')}: local takes nothing behind a colon; give --jobs to say how many"
        )
    yield


@contextmanager
def of_python(rest: str, *, jobs: int | None) -> Iterator[Place]:
    """The executor that a function gives, ``module:factory``, which is called without arguments and left at the end."""
    make, where = _factory(rest), option("on", f"python:{rest}")
    try:
        executor = make()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever somebody's function does
        raise LadderError(f"{where}: it cannot be made ({registry.reason(error)})") from error
    if isinstance(executor, type):
        raise LadderError(f"{where}: it gives the class {shown(executor.__name__)}: let it return one of it")
    if not isinstance(executor, Executor) and not callable(getattr(executor, "submit", None)):
        raise LadderError(
            f"{where}: it gives {shown(type(executor).__name__)}, not an executor of concurrent.futures: let it return"
            " something with submit()"
        )
    with _left_at_the_end(executor, where):
        found = place.of(executor)
        assert found is not None
        most = (lambda: jobs) if jobs else found.most
        yield place.Place(executor, most=most, stop=partial(_stop, executor))


def _stop(executor: Any, tickets: Sequence[str]) -> None:
    """End these trainings: in threads one by one, in processes of this machine with those, as it is us who have them.

    What they were at is lost; to wait for it would take half a minute, and then it would be lost as well.
    """
    children.stop(tickets)
    if isinstance(executor, ProcessPoolExecutor):
        for process in list((executor._processes or {}).values()):
            process.kill()  # their children end with them


@contextmanager
def _left_at_the_end(executor: Any, where: str) -> Iterator[None]:
    """Enter an executor, and leave it, if it can be. What goes wrong then hides nothing that went wrong before."""
    if not all(hasattr(type(executor), name) for name in ("__enter__", "__exit__")):
        yield
        return
    try:
        executor.__enter__()
    except registry.OUTSIDERS as error:
        raise LadderError(f"{where}: it cannot be entered ({registry.reason(error)})") from error
    try:
        yield
    except BaseException as error:
        with suppress(*registry.OUTSIDERS):
            executor.__exit__(type(error), error, error.__traceback__)
        raise
    try:
        executor.__exit__(None, None, None)
    except registry.OUTSIDERS as error:
        raise LadderError(
            f"{where}: it cannot be left ({registry.reason(error)}); what was trained is stored"
        ) from error


def seconds(value: str, *, on: str) -> float:
    """How long a piece takes, as an option says. Raises LadderError for what is no such number."""
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise LadderError(f"{option('on', on)}: piece_s is a number of seconds above 0, not {shown(value)}")
    return found


def _factory(rest: str) -> Callable[[], Any]:
    """Raises LadderError if it cannot be had."""
    module, _, name = rest.partition(":")
    if not (module and name):
        raise LadderError(f"{option('on', f'python:{rest}')}: write python:module:function, as in python:cluster:make")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        found: Callable[[], Any] = getattr(importlib.import_module(module), name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever somebody's module does
        raise LadderError(
            f"{option('on', f'python:{rest}')}: it does not load ({registry.reason(error)}): name a function of a"
            " module that is installed, or in the working directory"
        ) from error
    finally:
        sys.path.pop(0)
    return found
