"""Training on the workers of a Dask scheduler: of a cluster on this machine, or one that is there already.

A task of Dask goes on when it is cancelled, and when its client is gone; so each looks whether it is still wanted, and
ends its child when it is not. Workers need Stepladder, and nothing else of this machine: one without it ends as it is
given a task, and tells nobody; so each is asked first.
"""

import importlib
import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

from stepladder._base import registry, signals
from stepladder._base.machine import n_cores
from stepladder._base.wording import how_to_install, option
from stepladder.errors import LadderError, UnfinishedClimbError
from stepladder.execution import children, sent_images
from stepladder.execution.place import PIECE_S, Place
from stepladder.execution.places import seconds

CONNECT_S = 10
LOOK_S = 0.5
COUNT_EVERY_S = 2.0
ANSWERS_WITHIN_S = 5.0  # a worker that has nothing to do; one at work answers later
NOBODY_AFTER_S = 5.0
NOBODY = "the Dask scheduler has no worker: nothing trains until one is started, with 'dask worker ADDRESS'"
WITH_PORT = ("tcp", "tls", "ws", "wss", "ucx")  # protocols whose addresses have one


@contextmanager
def place(rest: str, *, jobs: int | None) -> Iterator[Place]:
    """A cluster of one worker per job on this machine, or with ``//host:port`` that of a scheduler.

    ``?piece_s=10`` behind it says how long a piece takes. Raises LadderError without Dask, or where nothing answers.
    """
    try:
        import distributed
    except ImportError:
        raise LadderError(f"{option('on', 'dask')} needs Dask: {how_to_install('dask')}") from None
    address, _, more = rest.partition("?")
    given = option("on", f"dask:{rest}")
    if more and not more.startswith("piece_s="):
        raise LadderError(f"{given}: the one option is piece_s, as in dask://host:8786?piece_s=10")
    piece_s = seconds(more.removeprefix("piece_s="), on=f"dask:{rest}") if more else PIECE_S
    for name in [each for each in logging.root.manager.loggerDict if each.partition(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is said here
    with ExitStack() as stack:
        client = stack.enter_context(_client(distributed, address, jobs))
        looking = stack.enter_context(ThreadPoolExecutor(1))
        workers = _Workers(client, most=jobs if address else None)
        workers.require_able(where=given)
        yield Place(
            workers,
            most=workers.count,
            piece_s=piece_s,
            stop=workers.stop,
            spread=lambda name, content: looking.submit(_spread, client, name, content),
            notes=workers.notes,
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
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Mismatched versions")  # of what decides numbers we say it
                client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise LadderError(
                f"{option('on', f'dask:{rest}')}: no scheduler answers there ({error}): start one with 'dask"
                " scheduler', and workers with 'dask worker ADDRESS'"
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
            f"{option('on', f'dask:{rest}')}: that is no address of a scheduler: write host and port, as in"
            " dask://10.0.0.1:8786; dask alone is a cluster on this machine"
        ) from None
    if protocol == "tls" and distributed.Security().get_connection_args("client").get("ssl_context") is None:
        raise LadderError(
            f"{option('on', f'dask:{rest}')}: tls needs certificates: name them in Dask's configuration, below"
            " distributed.comm.tls"
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
        self._asked: dict[str, Any] = {}  # each worker's address, and the task that has to find Stepladder there
        self._able: set[str] = set()  # those of them that found it
        self._last_seen = time.monotonic()  # any of them

    def count(self) -> int:
        """How many pieces those can train at once that have Stepladder; 0 while there is none of them."""
        n, at = self._counted
        if time.monotonic() - at > COUNT_EVERY_S:
            try:
                n = self._threads(self._client.nthreads())
            except Exception:
                n = max(n, 1)  # the next that is submitted tells what is wrong
            self._counted = (n, time.monotonic())
        return min(n, self._most or n)

    def _threads(self, workers: Mapping[str, int]) -> int:
        """How many threads those of these workers have that can import Stepladder; each is asked once."""
        if workers:
            self._last_seen = time.monotonic()
        for address in workers:
            if address not in self._asked:
                import_it = (importlib.import_module, "stepladder")
                self._asked[address] = self._client.submit(*import_it, workers=[address], pure=False, retries=0)
            elif (task := self._asked[address]) and task.status == "finished":
                self._able.add(address)
                self._asked[address] = None  # so that nothing of it is kept there
        return sum(n for address, n in workers.items() if address in self._able)

    def require_able(self, *, where: str) -> None:
        """Raise LadderError if there are workers, and none of them has Stepladder."""
        self.count()
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        for task in filter(None, self._asked.values()):
            with suppress(Exception):  # it is at work, or gone: what it lacks is said when it tells
                task.exception(timeout=max(0.0, deadline - time.monotonic()))
        self._counted = (0, float("-inf"))
        lacking = self._lacking()
        if lacking and len(lacking) == len(self._asked):
            raise LadderError(f"{where}: {lacking[0]}")

    def _lacking(self) -> list[str]:
        """A sentence for each worker that cannot import Stepladder."""
        return [
            f"the Dask worker {address} has no Stepladder ({registry.reason(task.exception())}): install the same"
            " version in the environment that it is started in"
            for address, task in self._asked.items()
            if task and task.status == "error"
        ]

    def notes(self) -> list[str]:
        """What is worth saying by now."""
        self.count()
        nobody = [NOBODY] if time.monotonic() - self._last_seen > NOBODY_AFTER_S else []
        return [*self._lacking(), *nobody]

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
