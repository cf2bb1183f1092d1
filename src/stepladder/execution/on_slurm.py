"""Training in jobs of SLURM, by submitit; in processes of this machine where there is no SLURM, by the same means.

A job waits in a queue before it begins: pieces are longer here. Options are given by name behind the colon, those of
submitit as they are (``timeout_min``, ``mem_gb``, ``cpus_per_task``), those of sbatch too (``partition``, ``account``).
"""

import re
import shlex
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stepladder._base import registry, signals
from stepladder._base.machine import n_cores
from stepladder._base.wording import how_to_install, option, shown
from stepladder.errors import LadderError
from stepladder.execution import children
from stepladder.execution.children import LostError
from stepladder.execution.place import PIECE_S, Place
from stepladder.execution.places import seconds

MOST_JOBS = 100  # in SLURM's queue at once
PIECE_IN_JOB_S = 600.0
LOOK_S = 0.5
FOLDER = "slurm-jobs"  # what is written of jobs, which must see it under the same path
NO_SLURM = "there is no SLURM here (no sbatch on the PATH): jobs are processes of this machine"
SPARE_MIN = 10  # a job may take longer than its piece: an epoch, and what comes before the first


def _whole(text: str) -> int:
    if (found := int(text)) < 1:
        raise ValueError(text)
    return found


def _above_0(text: str) -> float:
    if not 0 < (found := float(text)) < float("inf"):
        raise ValueError(text)
    return found


def _yes(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


# What is more than a text: how it is read, and what it is. AutoExecutor knows the first six by these names; all else is
# SLURM's own, and takes a prefix.
_KINDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "name": (str, "a text"),
    "timeout_min": (_whole, "a whole number from 1 on"),
    "mem_gb": (_above_0, "a number above 0"),
    "cpus_per_task": (_whole, "a whole number from 1 on"),
    "gpus_per_node": (_whole, "a whole number from 1 on"),
    "stderr_to_stdout": (_yes, "true or false"),
    "use_srun": (_yes, "true or false"),
    "srun_args": (shlex.split, "words of a shell"),
    "setup": (lambda text: [text], "a command"),
    "teardown": (lambda text: [text], "a command"),
}
_SUBMITITS = tuple(_KINDS)[:6]
LONGEST_PIECE_S = 365 * 24 * 3600.0
_ONE_EACH = ("nodes", "tasks_per_node", "ntasks_per_node", "ntasks")  # a job trains one piece of one run


@contextmanager
def place(rest: str, *, jobs: int | None) -> Iterator[Place]:
    """SLURM, with options such as ``partition=short,timeout_min=60``; ``piece_s`` is how long a piece takes.

    ``jobs`` is how many jobs are in the queue at once. Raises LadderError without submitit, or for an option that it
    does not know.
    """
    try:
        import submitit
    except ImportError:
        raise LadderError(f"{option('on', 'slurm')} needs submitit: {how_to_install('slurm')}") from None
    options = _options(rest)
    folder = Path(options.pop("folder", FOLDER))
    try:
        executor = submitit.AutoExecutor(folder=folder / "%j")
    except OSError as error:
        raise LadderError(
            f"{option('on', f'slurm:{rest}')}: jobs cannot be kept in {folder.absolute()} ({error.strerror}): give"
            " a folder that all machines see, as in slurm:folder=/home/me/jobs"
        ) from None
    is_local = executor.cluster == "local"
    default = PIECE_S if is_local else PIECE_IN_JOB_S
    piece_s = seconds(options.pop("piece_s"), on=f"slurm:{rest}") if "piece_s" in options else default
    defaults = {"name": "stepladder", "timeout_min": str(int(min(piece_s, LONGEST_PIECE_S) // 60) + SPARE_MIN)}
    _set(executor, defaults | options, rest)
    workers = _Jobs(executor)
    n = jobs or (n_cores() if is_local else MOST_JOBS)
    try:
        notes = [NO_SLURM] if is_local else []
        yield Place(workers, most=lambda: n, piece_s=piece_s, stop=workers.stop, notes=lambda: notes)
    finally:
        workers.shutdown()
        with suppress(OSError):
            for each in (folder / "%j", folder):  # nothing is left in them unless a job failed
                each.rmdir()


def _options(rest: str) -> dict[str, str]:
    """Options by name. Raises LadderError for what is none, or there twice."""
    options: dict[str, str] = {}
    for each in filter(None, re.split(r",(?![^\[]*\])", rest)):  # a comma in brackets is one of nodelist=n[1,3]
        name, equals, value = each.partition("=")
        if not (name.isidentifier() and equals and value):
            raise LadderError(
                f"{option('on', f'slurm:{rest}')}: write options as name=value, as in slurm:partition=short,mem_gb=4"
            )
        if name in options:
            raise LadderError(f"{option('on', f'slurm:{rest}')}: {name} is there twice: leave one out")
        if name in _ONE_EACH:
            raise LadderError(f"{option('on', f'slurm:{rest}')}: a job trains one run, on one node: leave {name} out")
        options[name] = value
    return options


def _set(executor: Any, options: Mapping[str, str], rest: str) -> None:
    """Tell submitit, in its names and its values. Raises LadderError for what it does not know."""
    for name, text in options.items():
        kind, words = _KINDS.get(name, (str, ""))
        try:
            value = kind(text)
        except (ValueError, KeyError):
            raise LadderError(f"{option('on', f'slurm:{rest}')}: {name} is {words}, not {shown(text)}") from None
        try:
            executor.update_parameters(**{name if name in _SUBMITITS else f"slurm_{name}": value})
        except NameError:
            raise LadderError(
                f"{option('on', f'slurm:{rest}')}: no option {shown(name)}; known are folder, piece_s,"
                f" {', '.join(_SUBMITITS)}, and of sbatch partition, account, qos, constraint, gres, nodelist and what"
                " else submitit passes on"
            ) from None
        except Exception as error:  # whichever: it is a library's
            raise LadderError(
                f"{option('on', f'slurm:{rest}')}: {name} cannot be {shown(text)} ({registry.reason(error)})"
            ) from None


class _Jobs(Executor):
    """Jobs of submitit as futures."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._jobs: dict[Future[Any], tuple[str, Any]] = {}  # ticket and job of each
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        ticket, given = (str(args[0]), _train) if fn is children.train_in_child else ("", fn)
        with signals.blocked():  # it is us who end a job on this machine
            job = self._executor.submit(given, *args, **kwargs)
        with self._lock:
            self._jobs[future] = (ticket, job)
        return future

    def stop(self, tickets: Sequence[str]) -> None:
        with self._lock:
            jobs = [job for ticket, job in self._jobs.values() if ticket in tickets]
        for job in jobs:
            with suppress(Exception):  # it has ended, or nobody listens
                _cancel(job)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        self._is_over.set()
        self._thread.join()
        self._jobs.clear()  # now: when Python ends, they complain

    def _look(self) -> None:
        """Now and then: which jobs have ended?"""
        while not self._is_over.wait(LOOK_S):
            with self._lock:
                found = list(self._jobs.items())
            for future, (_, job) in found:
                if job.done():
                    with self._lock:
                        del self._jobs[future]
                    _pass_on(job, future)


def _pass_on(job: Any, future: Future[Any]) -> None:
    import submitit

    try:
        future.set_result(job.result())
    except submitit.core.utils.FailedJobError as error:
        future.set_exception(RuntimeError(str(error).strip().splitlines()[-1]))
    except submitit.core.utils.UncompletedJobError:
        future.set_exception(LostError(f"its job {job.job_id} ended without a result: see {job.paths.stderr}"))
    except Exception as error:  # whatever submitit finds: it is of this job alone
        future.set_exception(error)
    else:
        shutil.rmtree(job.paths.folder, ignore_errors=True)


def _cancel(job: Any) -> None:
    """One on this machine is a process that passes SIGTERM on; to Ctrl-C, which submitit would send, it is deaf."""
    process = getattr(job, "_process", None)
    if process is None:
        job.cancel(check=False)
    else:
        process.terminate()


def _train(ticket: str, order: str) -> str:
    """In a job: as train_in_child, but SIGTERM ends it, and with it its child. submitit lets that pass by otherwise."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return children.train_in_child(ticket, order)
