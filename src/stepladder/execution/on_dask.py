"""Training on the workers of a Dask scheduler: of a cluster on this machine, or one that is there already.

A task of Dask goes on when it is cancelled, and when its client is gone; so each looks whether it is still wanted, and
ends its child when it is not. Workers need Stepladder, and nothing else of this machine.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

from stepladder._base import signals
from stepladder._base.machine import n_cores
from stepladder._base.wording import how_to_install
from stepladder.errors import LadderError, UnfinishedClimbError
from stepladder.execution import children, sent_images
from stepladder.execution.place import PIECE_S, Place
from stepladder.execution.places import seconds

CONNECT_S = 10
LOOK_S = 0.5
COUNT_EVERY_S = 2.0
WITHOUT_S = 10.0  # a scheduler without workers is waited for in silence
WITH_PORT = ("tcp", "tls", "ws", "wss", "ucx")  # protocols whose addresses have one


@contextmanager
def place(rest: str, *, jobs: int | None) -> Iterator[Place]:
    """A cluster of one worker per job on this machine, or with ``//host:port`` that of a scheduler.

    ``?piece_s=10`` behind it says how long a piece takes. Raises LadderError without Dask, or where nothing answers.
    """
    try:
        import distributed
    except ImportError:
        raise LadderError(f"--on dask needs Dask: {how_to_install('dask')}") from None
    address, _, option = rest.partition("?")
    if option and not option.startswith("piece_s="):
        raise LadderError(f"--on dask:{rest}: the one option is piece_s, as in dask://host:8786?piece_s=10")
    piece_s = seconds(option.removeprefix("piece_s="), on=f"dask:{rest}") if option else PIECE_S
    for name in [each for each in logging.root.manager.loggerDict if each.partition(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is said here
    with ExitStack() as stack:
        client = stack.enter_context(_client(distributed, address, jobs))
        looking = stack.enter_context(ThreadPoolExecutor(1))
        workers = _Workers(client, most=jobs if address else None)
        yield Place(
            workers,
            most=workers.count,
            piece_s=piece_s,
            stop=workers.stop,
            trouble=workers.trouble,
            spread=lambda name, content: looking.submit(_spread, client, name, content),
        )


@contextmanager
def _client(distributed: Any, rest: str, jobs: int | None) -> Iterator[Any]:
    with ExitStack() as stack:
        if rest:
            address: Any = _address(distributed, rest)
        else:
            with signals.held():  # half a cluster cannot be closed
                address = stack.enter_context(_local(distributed, jobs))
        try:
            client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise LadderError(
                f"--on dask:{rest}: no scheduler answers there ({error}): start one with 'dask scheduler', and workers"
                " with 'dask worker ADDRESS'"
            ) from None
        try:
            yield client
        finally:
            with suppress(Exception):  # its scheduler may be gone
                client.close(timeout=CONNECT_S)


def _local(distributed: Any, jobs: int | None) -> Any:
    """A cluster of this machine."""
    with signals.blocked():
        resource_tracker.ensure_running()  # now, as whoever begins it has signals unblocked
    with signals.blocked():  # for its threads and processes: it is us who end them
        return distributed.LocalCluster(
            n_workers=jobs or n_cores(),
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )


def _address(distributed: Any, rest: str) -> str:
    """That of a scheduler, as Dask writes it. Raises LadderError for what is none, or cannot be spoken to."""
    address = rest if "://" in rest else f"tcp://{rest.removeprefix('//')}"
    protocol, _, where = address.partition("://")
    try:
        distributed.comm.registry.get_backend(protocol)
        if protocol in WITH_PORT:
            host, port = distributed.comm.addressing.parse_host_port(where)
            if not (host and 0 < port < 2**16):
                raise ValueError(where)
    except (ValueError, TypeError, RuntimeError, ImportError):
        raise LadderError(
            f"--on dask:{rest}: that is no address of a scheduler: write host and port, as in dask://10.0.0.1:8786"
        ) from None
    if protocol == "tls" and distributed.Security().get_connection_args("client").get("ssl_context") is None:
        raise LadderError(
            f"--on dask:{rest}: tls needs certificates: name them in Dask's configuration, below distributed.comm.tls"
        )
    return address


def _spread(client: Any, name: str, content: bytes) -> None:
    """Have images kept once on each machine."""
    machines = {machine: address for address, machine in client.run(sent_images.machine).items()}
    client.run(sent_images.keep, name, content, workers=list(machines.values()))


class _Workers(Executor):
    """A client's workers as an executor of concurrent.futures, whose tasks can be stopped while they run."""

    def __init__(self, client: Any, *, most: int | None) -> None:
        self._client, self._most = client, most
        self._tasks: dict[str, Any] = {}  # by ticket
        self._counted = (0, float("-inf"))
        self._there_at = time.monotonic()  # a worker, or who waits for one

    def count(self) -> int:
        """How many pieces they can train at once; 1 while there is none of them, to wait for the first."""
        n = self._n_threads()
        return max(1, min(n, self._most or n))

    def trouble(self) -> str:
        """What is to be said if there has been no worker for a while."""
        if self._n_threads():
            self._there_at = time.monotonic()
        if time.monotonic() - self._there_at < WITHOUT_S:
            return ""
        return (
            "the Dask scheduler has no workers: start some with 'dask worker ADDRESS', where this version of Stepladder"
            " is installed (one without it ends as soon as it is to train)"
        )

    def _n_threads(self) -> int:
        n, at = self._counted
        if time.monotonic() - at > COUNT_EVERY_S:
            with suppress(Exception):  # the next that is submitted tells what is wrong
                n = sum(self._client.nthreads().values())
            self._counted = (n, time.monotonic())
        return n

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        ticket, given = (args[0], _train) if fn is children.train_in_child else ("", fn)
        ours: Future[Any] = Future()
        ours.set_running_or_notify_cancel()
        try:
            task = self._client.submit(given, *args, pure=False, retries=0, **kwargs)
        except Exception as error:  # the client is closed
            raise _lost(error) from None
        self._tasks[ticket] = task
        task.add_done_callback(lambda task: self._pass_on(task, ours, ticket))
        return ours

    def _pass_on(self, task: Any, ours: Future[Any], ticket: str) -> None:
        from distributed import KilledWorker

        self._tasks.pop(ticket, None)
        try:
            ours.set_result(task.result())
        except KilledWorker as error:
            why = "short of memory, or without this version of Stepladder"
            ours.set_exception(BrokenExecutor(f"{error.last_worker} ended, and others before it: {why}"))
        except Exception as error:
            ours.set_exception(_lost(error) if task.cancelled() else error)

    def stop(self, tickets: Sequence[str]) -> None:
        """Cancel these; each ends its child when it sees that (_watch)."""
        tasks = [self._tasks[ticket] for ticket in tickets if ticket in self._tasks]
        if tasks:
            with suppress(Exception):  # there is no scheduler any more
                self._client.cancel(tasks, force=True)


def _lost(error: Exception) -> UnfinishedClimbError:
    return UnfinishedClimbError(
        f"the Dask scheduler is gone ({type(error).__name__}): what was received is stored; start one, and give the"
        " same command again"
    )


def _train(ticket: str, order: str) -> str:
    """In a worker: as train_in_child, for as long as it is wanted."""
    from distributed import get_worker

    worker = get_worker()
    is_over = threading.Event()
    watching = threading.Thread(target=_watch, args=(worker, worker.get_current_task(), ticket, is_over), daemon=True)
    watching.start()
    try:
        return children.train_in_child(ticket, order)
    finally:
        is_over.set()


def _watch(worker: Any, key: str, ticket: str, is_over: threading.Event) -> None:
    """Stop a training whose task the scheduler has taken back, or whose worker is leaving."""
    while not is_over.wait(LOOK_S):
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled" or worker.status.name not in ("running", "paused"):
            children.stop([ticket])
            return
