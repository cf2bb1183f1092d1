"""One queue of trainings for climb, search and reproduce, over any concurrent.futures executor.

Whoever wants runs submits jobs, and is given each back when it has ended, with its run or the reason why there is none.
A run is trained in pieces (see piece), each of which may be computed anywhere; what comes back of it is put into the
store here, and nowhere else, so that workers need not see the store, and a killed climb goes on from what it received.
Teachers are trained first, as runs like any others. How often a piece is tried, what is said meanwhile, and how all
ends when a signal comes is seen to here too.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import current_process
from queue import Empty, SimpleQueue
from threading import Event
from typing import Generic, Protocol, Self, TypeVar
from uuid import uuid4

from stepladder._base.files import NewerFormatError
from stepladder._base.machine import limit_in_words
from stepladder._base.registry import reason
from stepladder._base.wording import shown
from stepladder.datasets import data as data_sets
from stepladder.datasets import kinds
from stepladder.errors import LadderError, StepladderError, StoreError
from stepladder.execution import children, place, sent_run
from stepladder.execution.children import LostError
from stepladder.execution.place import Place
from stepladder.execution.sending import Sending
from stepladder.execution.sent_run import Order, Report
from stepladder.runs import speeds
from stepladder.runs.conditions import Origin, conditions
from stepladder.runs.run import Epoch, Run, RunIdentity
from stepladder.runs.run_files import DamagedError, epochs_of
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


@dataclass(eq=False)
class _Training(Generic[J]):
    """A run on its way: who wants it, where it stands, which runs it learns from, and how it is tried.

    ``ticket`` names the present piece where it is trained. ``resumes`` if it was interrupted since its checkpoint.
    """

    identity: RunIdentity
    name: str
    teachers: tuple[RunIdentity, ...]
    jobs: list[J] = field(default_factory=list)
    waits_for: set[str] = field(default_factory=set)  # keys
    has_begun: bool = False
    checkpoint: bytes | None = None
    epochs: Sequence[Epoch] = ()
    resumes: bool = True
    number: int = 1  # of this try
    ticket: str = ""

    @property
    def key(self) -> str:
        return self.identity.key


def require_own_process() -> None:
    """Refuse to train in an executor's process that is running the script which trains, once more, to begin with."""
    if getattr(current_process(), "_inheriting", False):
        raise LadderError(
            "this script climbs or searches again in each process of its own executor: put what it does under"
            ' if __name__ == "__main__":, or leave the executor out'
        )


class JobQueue(Generic[J]):
    """The trainings under way at a place; on ``jobs`` processes of this machine if there is none.

    ``source`` is Ladder.data. ``tell`` is told what is worth saying. Leave the queue (``with``), and nothing is begun
    any more; what is being trained is stopped, as far as the place can.
    """

    def __init__(self, at: Place | None, *, source: str, store: Store, jobs: int, tell: Callable[[str], None]) -> None:
        self._place = at or place.own(jobs)
        self._is_own = at is None
        self._source, self._store, self._tell = source, store, tell
        self._trainings: dict[str, _Training[J]] = {}
        self._waiting: deque[_Training[J]] = deque()
        self._under_way: dict[Future[str], _Training[J]] = {}
        self._news = Event()  # something was heard, or has ended
        self._heard: SimpleQueue[tuple[_Training[J], str]] = SimpleQueue()
        self._moved: dict[str, _Training[J]] = {}
        self._ended: list[Ended[J]] = []
        self._said: set[str] = set()
        self._first: Origin | None = None
        self._sending = Sending[_Training[J]](self._place, source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Jobs that were submitted, and not yet given back."""
        return sum(len(training.jobs) for training in self._trainings.values()) + len(self._ended)

    def submit(self, job: J) -> None:
        self._wanted(job.identity, str(job)).jobs.append(job)
        self._begin()

    def wait(self) -> list[Ended[J]]:
        """The jobs that have ended, after POLL_S at most.

        Raises EngineError for a run that another engine computed, and what a worker refuses to train for: DataError,
        EngineError or LadderError; StoreError where nothing can be kept.
        """
        if not self._ended:
            self._news.wait(POLL_S)
            self._news.clear()
        done = [(future, self._under_way.pop(future)) for future in list(self._under_way) if future.done()]
        self._begin()  # so that no worker waits until all is looked at
        if trouble := self._place.trouble():
            self._say(trouble)
        self._hear()
        for future, training in done:
            self._collect(future, training)
        self._waiting.extendleft(self._sending.go_on())
        self._begin()
        ended, self._ended = self._ended, []
        return ended

    def advanced(self) -> Iterator[tuple[J, Sequence[Epoch]]]:
        """The jobs under way of which more was heard since this was last asked, each with all its epochs so far."""
        moved, self._moved = self._moved, {}
        for training in moved.values():
            for job in training.jobs:
                yield job, training.epochs

    def close(self) -> None:
        """Begin nothing more, and stop what is being trained; what was heard of it is kept."""
        self._waiting.clear()
        self._place.stop([training.ticket for future, training in self._under_way.items() if not future.cancel()])
        self._under_way.clear()
        if self._is_own:
            self._place.executor.shutdown(cancel_futures=True)
        with suppress(StepladderError, OSError):
            self._hear()
        self._trainings.clear()
        children.close_idle()

    def _wanted(self, identity: RunIdentity, name: str) -> _Training[J]:
        """The training of a run, which begins when those of its teachers have ended."""
        if identity.key in self._trainings:
            return self._trainings[identity.key]
        training: _Training[J] = _Training(identity, name, _teachers(identity))
        for teacher in training.teachers:
            if self._store.find(teacher, set_aside=False) is None:
                self._wanted(teacher, f"{name}: its teacher of seed {teacher.seed}")
                training.waits_for.add(teacher.key)
        self._trainings[identity.key] = training
        if not training.waits_for:
            self._waiting.append(training)
        return training

    def _begin(self) -> None:
        """Give the executor what waits, as far as it is to have it now."""
        while self._waiting and (self._place.most is None or len(self._under_way) < self._place.most()):
            training = self._waiting.popleft()
            try:
                order = self._order(training)
            except (LeftAloneError, NewerFormatError) as error:
                self._fail(training, str(error))
            else:
                if order is not None:
                    self._give(training, order)

    def _order(self, training: _Training[J]) -> Order | None:
        """The next piece of a run; None if the run is there, because another climb has trained it meanwhile."""
        if not training.has_begun:
            run = self._store.find(training.identity, set_aside=False)
            if run is not None:
                self._end(training, run)
                return None
            info = data_sets.describe(self._source)
            training.checkpoint = self._store.resume(training.identity, info=info)
            training.has_begun = True
        return Order(
            identity=training.identity,
            source=kinds.from_anywhere(self._source),
            sends_images=not self._place.is_own,
            checkpoint=training.checkpoint,
            resumes=training.resumes,
            teachers=self._weights_of_teachers(training),
            seconds=None if self._place.is_own else self._place.piece_s,
            use_cache=training.number == 1,  # of machine code that was kept, the first try may have died
        )

    def _weights_of_teachers(self, training: _Training[J]) -> tuple[bytes, ...]:
        """None of them if one diverged."""
        runs = [self._store.find(teacher, set_aside=False) for teacher in training.teachers]
        if any(run is None or run.diverged_at_epoch is not None for run in runs):
            return ()
        return tuple(self._store.weights_file(run) for run in runs if run is not None)

    def _give(self, training: _Training[J], order: Order) -> None:
        training.ticket = uuid4().hex
        how = (training.ticket, order.model_dump_json())
        try:
            if self._place.is_own:

                def hear(text: str) -> None:
                    self._heard.put((training, text))
                    self._news.set()

                future = self._place.executor.submit(children.train_in_child, *how, hear)
            else:
                future = self._place.executor.submit(children.train_in_child, *how)
            self._require_new(future)
            future.add_done_callback(lambda _: self._news.set())
        except (StepladderError, KeyboardInterrupt):  # the place is gone; somebody wants an end
            raise
        except RuntimeError as error:  # a broken executor takes nothing any more
            self._fail(training, f"not tried: {error}{limit_in_words()}")
        except BaseException as error:  # whatever an outsider's executor does
            self._fail(training, f"not tried: {reason(error)}")
        else:
            self._under_way[future] = training

    def _require_new(self, given: object) -> None:
        if not isinstance(given, Future):
            raise TypeError(f"its executor gave {shown(given)} for a training, which is no concurrent.futures.Future")
        if given in self._under_way:
            raise TypeError("its executor gave one Future for two trainings")

    def _hear(self) -> None:
        """Take in the newest of each training: earlier ones, where epochs are quick, would keep watchers waiting."""
        newest: dict[str, tuple[_Training[J], str]] = {}
        with suppress(Empty):
            while True:
                training, text = self._heard.get_nowait()
                newest[training.key] = (training, text)
        for training, text in newest.values():
            if self._trainings.get(training.key) is training:
                try:
                    self._keep(training, sent_run.reported(text))
                except (DamagedError, OSError, ValueError) as error:
                    self._say(f"{training.name}: its epochs cannot be kept ({reason(error)}); it goes on")

    def _collect(self, future: Future[str], training: _Training[J]) -> None:
        try:
            report = sent_run.reported(future.result())
        except (LostError, BrokenExecutor) as error:
            self._try_again(training, "lost its worker", str(error))
            return
        except (StepladderError, KeyboardInterrupt):  # the place is gone; somebody wants an end
            raise
        except BaseException as error:  # whatever went wrong in this run: the others go on
            self._try_again(training, "failed", reason(error))
            return
        if report.error is None:
            try:
                self._receive(training, report)
            except (DamagedError, StoreError, OSError, ValueError) as error:  # what came back, or the store
                self._try_again(training, "failed", reason(error))
            return
        match report.error.refusal():
            case None:
                self._try_again(training, "failed", str(report.error))
            case refusal:
                raise refusal

    def _receive(self, training: _Training[J], report: Report) -> None:
        """The last report of a piece."""
        if report.needs_images:
            self._sending.ask(report.machine, training, training.identity.data)
        elif report.run is not None:
            self._finish(training, report)
        else:
            n_before = len(training.epochs)
            self._keep(training, report)
            if len(training.epochs) <= n_before:
                self._try_again(training, "failed", "its worker brought no epoch that is new")
                return
            training.resumes, training.number = False, 1
            self._waiting.appendleft(training)  # what has begun is ended first

    def _keep(self, training: _Training[J], report: Report) -> None:
        """Keep where a training stands."""
        sent_run.require_engine(report, training.identity)
        assert report.checkpoint is not None
        training.epochs = epochs_of(report.checkpoint, training.identity)
        training.checkpoint = report.checkpoint
        self._moved[training.key] = training
        self._store.checkpoint(training.identity, report.checkpoint)

    def _finish(self, training: _Training[J], report: Report) -> None:
        run, weights = report.run, report.weights
        assert run is not None
        assert weights is not None
        sent_run.require_engine(report, training.identity)
        if run.identity.key != training.key:
            raise ValueError("what came back from its worker is another run")
        for note in (*report.notes, *self._unlike(report.computed_by)):
            self._say(note)
        self._store.save(run, weights)
        if run.elapsed_s > 0 and training.jobs:
            macs_per_s = training.jobs[0].macs_per_epoch * len(run.epochs) / run.elapsed_s
            speeds.note(self._store.folder, tag=run.identity.engine.tag, macs_per_s=macs_per_s)
        self._end(training, run)

    def _say(self, note: str) -> None:
        """Once: every worker says it."""
        if note not in self._said:
            self._said.add(note)
            self._tell(note)

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

    def _try_again(self, training: _Training[J], what: str, reason: str) -> None:
        if training.number < N_TRIES:
            self._tell(f"{training.name} {what} ({reason}); it is tried once more")
            training.number, training.resumes = training.number + 1, True
            self._waiting.appendleft(training)
        else:
            self._fail(training, f"{what} twice ({reason})")

    def _end(self, training: _Training[J], run: Run) -> None:
        """Give back the jobs of a run, and let those begin that learn from it."""
        self._leave(training)
        self._ended += [Ended(job, run) for job in training.jobs]
        for other in self._trainings.values():
            if training.key in other.waits_for:
                other.waits_for.remove(training.key)
                if not other.waits_for:
                    self._waiting.append(other)

    def _fail(self, training: _Training[J], reason: str) -> None:
        """Give back the jobs of a run that cannot be had, and those that learn from it."""
        self._leave(training)
        self._ended += [Ended(job, None, reason) for job in training.jobs]
        for other in list(self._trainings.values()):
            if training.key in other.waits_for:
                self._fail(other, f"its teacher, seed {training.identity.seed}: {reason}")

    def _leave(self, training: _Training[J]) -> None:
        self._trainings.pop(training.key, None)
        self._moved.pop(training.key, None)


def _teachers(identity: RunIdentity) -> tuple[RunIdentity, ...]:
    """The runs that a run learns from, if any: ones like any others."""
    recipe, distill = identity.recipe.teacher, identity.recipe.distill
    if recipe is None or distill is None:
        return ()
    seeds = distill.seeds_for(identity.seed)
    return tuple(identity.model_copy(update={"recipe": recipe, "seed": seed}) for seed in seeds)
