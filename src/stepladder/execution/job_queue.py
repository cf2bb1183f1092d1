"""One queue of trainings for climb, search and reproduce, over any concurrent.futures executor.

Whoever wants runs submits jobs, and is given each back when it has ended, with its run or the reason why there is none.
How often a training is tried, what is said meanwhile, and how all ends when a signal comes is seen to here. Workers
report through the store, which a killed climb goes on from; what comes back over the executor is a few lines.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import current_process
from typing import Generic, Protocol, Self, TypeVar
from uuid import uuid4

from stepladder._base.machine import limit_in_words
from stepladder.errors import LadderError
from stepladder.execution import children, sent_run
from stepladder.execution.children import LostError
from stepladder.execution.one_run import Work
from stepladder.execution.sent_run import Report
from stepladder.runs import speeds
from stepladder.runs.conditions import Origin, conditions
from stepladder.runs.run import Epoch, Run, RunIdentity
from stepladder.runs.store import LeftAloneError, Store

POLL_S = 0.3
N_TRIES = 2


class Job(Protocol):
    """A run that is wanted; its text names it in messages."""

    @property
    def identity(self) -> RunIdentity: ...

    @property
    def macs_per_epoch(self) -> int: ...


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Ended(Generic[J]):
    """A job that has its run, or the reason why it has none."""

    job: J
    run: Run | None
    reason: str = ""


@dataclass(frozen=True)
class _Try(Generic[J]):
    """One try of a job; the ticket names it where it is trained."""

    job: J
    number: int
    ticket: str


def require_own_process() -> None:
    """Refuse to train in an executor's process that is running the script which trains, once more, to begin with."""
    if getattr(current_process(), "_inheriting", False):
        raise LadderError(
            "this script climbs or searches again in each process of its own executor: put what it does under"
            ' if __name__ == "__main__":, or leave the executor out'
        )


class JobQueue(Generic[J]):
    """The trainings under way on an executor; on ``jobs`` processes of this machine if there is none.

    An executor of others is given all at once, as it knows how many workers it has. ``tell`` is told what is worth
    saying. Leave the queue (``with``), and nothing is begun any more; what trains in processes of this one is stopped.
    """

    def __init__(
        self, executor: Executor | None, work: Work, *, store: Store, jobs: int, tell: Callable[[str], None]
    ) -> None:
        self._own = ThreadPoolExecutor(jobs) if executor is None else None
        self._executor = executor or self._own
        self._most = 2 * jobs if executor is None else None  # each process has the next one at hand
        self._work, self._store, self._tell = work, store, tell
        self._waiting: deque[_Try[J]] = deque()
        self._under_way: dict[Future[str], _Try[J]] = {}
        self._ended: list[Ended[J]] = []
        self._said: set[str] = set()
        self._first: Origin | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Jobs that were submitted, and not yet given back."""
        return len(self._waiting) + len(self._under_way) + len(self._ended)

    def submit(self, job: J) -> None:
        self._waiting.append(_Try(job, 1, uuid4().hex))
        self._begin()

    def wait(self) -> list[Ended[J]]:
        """The jobs that have ended, after POLL_S at most.

        Raises EngineError for a run that another engine computed, and what a worker refuses to train for: DataError,
        EngineError, LadderError or StoreError.
        """
        if not self._ended:
            wait(self._under_way, timeout=POLL_S, return_when=FIRST_COMPLETED)
        done = [(future, self._under_way.pop(future)) for future in list(self._under_way) if future.done()]
        self._begin()  # so that no worker waits until all is looked at
        for future, trying in done:
            self._collect(future, trying)
        self._begin()
        ended, self._ended = self._ended, []
        return ended

    def advanced(self) -> Iterator[tuple[J, Sequence[Epoch]]]:
        """The jobs that are being trained, each with the epochs that it has behind it, if any."""
        for future, trying in self._under_way.items():
            if future.running() and (epochs := self._store.epochs_under_way(trying.job.identity)):
                yield trying.job, epochs

    def close(self) -> None:
        """Begin nothing more, and stop what is trained in processes of this one."""
        self._waiting.clear()
        children.stop([trying.ticket for future, trying in self._under_way.items() if not future.cancel()])
        self._under_way.clear()
        if self._own:
            self._own.shutdown(cancel_futures=True)
        children.close_idle()

    def _begin(self) -> None:
        """Give the executor what waits, as far as it is to have it now."""
        while self._waiting and (self._most is None or len(self._under_way) < self._most):
            trying = self._waiting.popleft()
            # Of machine code that was kept, the first try may have died.
            order = sent_run.order(replace(self._work, use_cache=trying.number == 1), trying.job.identity)
            try:
                assert self._executor is not None
                future = self._executor.submit(children.train_in_child, trying.ticket, order)
            except RuntimeError as error:  # a broken executor takes nothing any more
                self._fail(trying.job, f"not tried: {error}{limit_in_words()}")
            else:
                self._under_way[future] = trying

    def _collect(self, future: Future[str], trying: _Try[J]) -> None:
        try:
            report = Report.model_validate_json(future.result())
        except (LostError, BrokenExecutor) as error:
            self._try_again(trying, "lost its worker", str(error))
            return
        except Exception as error:  # whatever went wrong in this run: the others go on
            self._try_again(trying, "failed", f"{type(error).__name__}: {error}")
            return
        if report.error is None:
            self._finish(trying.job, report)
            return
        match report.error.refusal():
            case LeftAloneError() as refusal:
                self._fail(trying.job, str(refusal))
            case None:
                self._try_again(trying, "failed", str(report.error))
            case refusal:
                raise refusal

    def _finish(self, job: J, report: Report) -> None:
        sent_run.require_engine(report, job.identity)
        for note in (*report.notes, *self._unlike(report.computed_by)):
            if note not in self._said:  # every worker says it
                self._tell(note)
                self._said.add(note)
        run = self._store.find(job.identity, set_aside=False)
        if run is None:
            self._fail(job, "its record cannot be read back: is the store's disk full, or not one for all?")
            return
        if run.elapsed_s > 0:
            macs_per_s = job.macs_per_epoch * len(run.epochs) / run.elapsed_s
            speeds.note(self._store.folder, tag=run.identity.engine.tag, macs_per_s=macs_per_s)
        self._ended.append(Ended(job, run))

    def _unlike(self, origin: Origin | None) -> list[str]:
        """What is to be said where workers compute with other things that decide the last bits of a number."""
        if origin is None:
            return []
        self._first = self._first or origin
        other = [each.what for each in conditions(self._first, origin) if each.state == "other"]
        if not other:
            return []
        return [
            f"not all runs come from machines alike ({', '.join(other)} differ): trained on one of them alone, the last"
            " bits of the others' numbers may be other ones"
        ]

    def _try_again(self, trying: _Try[J], what: str, reason: str) -> None:
        if trying.number < N_TRIES:
            self._tell(f"{trying.job} {what} ({reason}); it is tried once more")
            self._waiting.appendleft(_Try(trying.job, trying.number + 1, uuid4().hex))
        else:
            self._fail(trying.job, f"{what} twice ({reason})")

    def _fail(self, job: J, reason: str) -> None:
        self._ended.append(Ended(job, None, reason))
