"""One queue of trainings for climb, search and reproduce, over any concurrent.futures executor.

Whoever wants runs submits jobs, and is given each back when it has ended, with its run or the reason why there is none.
A run is trained in pieces (see piece), each of which may be computed anywhere; what comes back of it is put into the
store here, and nowhere else, so that workers need not see the store, and a killed climb goes on from what it received.
Runs of the same experiment that stand at the same epoch are one piece, as many as their engine trains at once (packs).
Teachers are trained first, as runs like any others. How often a piece is tried, what is said meanwhile, and how all
ends when a signal comes is seen to here too.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import current_process
from queue import Empty, SimpleQueue
from threading import Event
from typing import Generic, Self

from stepladder._base.files import NewerFormatError
from stepladder._base.machine import limit_in_words
from stepladder._base.registry import reason
from stepladder._base.wording import n_of, shown
from stepladder.datasets import data as data_sets
from stepladder.datasets import kinds
from stepladder.errors import LadderError, StepladderError, StoreError
from stepladder.execution import children, place, sent_run
from stepladder.execution.children import LostError
from stepladder.execution.packs import most_together
from stepladder.execution.place import Place
from stepladder.execution.sending import Sending
from stepladder.execution.sent_run import Came, Order, Report, Standing
from stepladder.execution.trainings import J, Piece, Training, teachers_of
from stepladder.runs import speeds
from stepladder.runs.conditions import Origin, conditions
from stepladder.runs.run import Epoch, Run, RunIdentity
from stepladder.runs.run_files import DamagedError, epochs_of
from stepladder.runs.store import LeftAloneError, Store

POLL_S = 0.3
N_TRIES = 2


@dataclass(frozen=True)
class Ended(Generic[J]):
    """A job that has its run, or the reason why it has none."""

    job: J
    run: Run | None
    reason: str = ""


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
        self._trainings: dict[str, Training[J]] = {}
        self._waiting: deque[Training[J]] = deque()
        self._under_way: dict[Future[str], Piece[J]] = {}
        self._news = Event()  # something was heard, or has ended
        self._heard: SimpleQueue[tuple[Piece[J], str]] = SimpleQueue()
        self._moved: dict[str, Training[J]] = {}
        self._ended: list[Ended[J]] = []
        self._said: set[str] = set()
        self._first: Origin | None = None
        self._sending = Sending[tuple[Training[J], ...]](self._place, source)
        n_processes = jobs if self._place.is_own else self._place.most() if self._place.most else 1
        self._most = partial(most_together, source=source, n_processes=n_processes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Jobs that were submitted, and not yet given back."""
        return sum(len(training.jobs) for training in self._trainings.values()) + len(self._ended)

    def submit(self, job: J) -> None:
        self._wanted(job.identity, str(job)).jobs.append(job)
        if self._most(job.identity) == 1:
            self._begin()  # else when all are there that are trained with it

    def wait(self) -> list[Ended[J]]:
        """The jobs that have ended, after POLL_S at most.

        Raises EngineError for a run that another engine computed, and what a worker refuses to train for: DataError,
        EngineError or LadderError; StoreError where nothing can be kept.
        """
        self._begin()
        if not self._ended:
            self._news.wait(POLL_S)
            self._news.clear()
        done = [(future, self._under_way.pop(future)) for future in list(self._under_way) if future.done()]
        self._begin()  # so that no worker waits until all is looked at
        self._hear()
        for note in self._place.notes():
            self._say(note)
        for future, piece in done:
            self._collect(future, piece)
        self._waiting.extendleft(training for trainings in self._sending.go_on() for training in trainings)
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
        self._place.stop([piece.ticket for future, piece in self._under_way.items() if not future.cancel()])
        self._under_way.clear()
        if self._is_own:
            self._place.executor.shutdown(cancel_futures=True)
        with suppress(StepladderError, OSError):
            self._hear()
        self._trainings.clear()
        children.close_idle()

    def _wanted(self, identity: RunIdentity, name: str) -> Training[J]:
        """The training of a run, which begins when those of its teachers have ended."""
        if identity.key in self._trainings:
            return self._trainings[identity.key]
        training: Training[J] = Training(identity, name, teachers_of(identity))
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
            first = self._waiting.popleft()
            if self._is_to_train(first):
                together = [first, *self._others_with(first)]
                standing = [(each, found) for each in together if (found := self._standing(each)) is not None]
                if standing:
                    self._give(
                        Piece([each for each, _ in standing]),
                        self._order([found for _, found in standing], use_cache=first.number == 1),
                    )

    def _others_with(self, first: Training[J]) -> list[Training[J]]:
        """Those that wait and are trained together with this one, taken from what waits."""
        most, found = self._most(first.identity), list[Training[J]]()
        for other in list(self._waiting):
            if len(found) + 1 >= most or first.number > 1:
                break
            if other.goes_with(first):
                is_to_train, stands_there = self._is_to_train(other), len(other.epochs) == len(first.epochs)
                if stands_there or not is_to_train:
                    self._waiting.remove(other)
                if stands_there and is_to_train:
                    found.append(other)
        return found

    def _is_to_train(self, training: Training[J]) -> bool:
        """Find where a training stands; False if the run is there, because another climb has trained it meanwhile."""
        if training.has_begun:
            return True
        try:
            run = self._store.find(training.identity, set_aside=False)
            if run is not None:
                self._end(training, run)
                return False
            info = data_sets.describe(self._source)
            training.checkpoint = self._store.resume(training.identity, info=info)
        except (LeftAloneError, NewerFormatError) as error:
            self._fail(training, str(error))
            return False
        if training.checkpoint is not None:
            training.epochs = epochs_of(training.checkpoint, training.identity)
        training.has_begun = True
        return True

    def _standing(self, training: Training[J]) -> Standing | None:
        """The run as it is sent; None if it cannot be had."""
        try:
            teachers = self._weights_of_teachers(training)
        except (LeftAloneError, NewerFormatError) as error:
            self._fail(training, str(error))
            return None
        at, resumes = training.checkpoint, training.resumes
        return Standing(identity=training.identity, checkpoint=at, resumes=resumes, teachers=teachers)

    def _order(self, standing: Sequence[Standing], *, use_cache: bool) -> Order:
        first, *others = standing
        return Order(
            **dict(first),
            source=kinds.from_anywhere(self._source),
            sends_images=not self._place.is_own,
            seconds=None if self._place.is_own else self._place.piece_s,
            use_cache=use_cache,  # of machine code that was kept: the first try may have died of it
            others=tuple(others),
        )

    def _weights_of_teachers(self, training: Training[J]) -> tuple[bytes, ...]:
        """None of them if one diverged."""
        runs = [self._store.find(teacher, set_aside=False) for teacher in training.teachers]
        if any(run is None or run.diverged_at_epoch is not None for run in runs):
            return ()
        return tuple(self._store.weights_file(run) for run in runs if run is not None)

    def _give(self, piece: Piece[J], order: Order) -> None:
        how = (piece.ticket, order.model_dump_json())
        try:
            if self._place.is_own:

                def hear(text: str) -> None:
                    self._heard.put((piece, text))
                    self._news.set()

                future = self._place.executor.submit(children.train_in_child, *how, hear)
            else:
                future = self._place.executor.submit(children.train_in_child, *how)
            self._require_new(future)
            future.add_done_callback(lambda _: self._news.set())
        except (StepladderError, KeyboardInterrupt):  # the place is gone; somebody wants an end
            raise
        except RuntimeError as error:  # a broken executor takes nothing any more
            self._fail_all(piece, f"not tried: {error}{limit_in_words()}")
        except BaseException as error:  # whatever an outsider's executor does
            self._fail_all(piece, f"not tried: {reason(error)}")
        else:
            self._under_way[future] = piece

    def _require_new(self, given: object) -> None:
        if not isinstance(given, Future):
            raise TypeError(f"its executor gave {shown(given)} for a training, which is no concurrent.futures.Future")
        if given in self._under_way:
            raise TypeError("its executor gave one Future for two trainings")

    def _hear(self) -> None:
        """Take in the newest of each piece: earlier ones, where epochs are quick, would keep watchers waiting."""
        newest: dict[str, tuple[Piece[J], str]] = {}
        with suppress(Empty):
            while True:
                piece, text = self._heard.get_nowait()
                newest[piece.ticket] = (piece, text)
        for piece, text in newest.values():
            try:
                self._take(piece, sent_run.reported(text), self._say_unkept)
            except ValueError as error:
                self._say_unkept(piece.trainings[0], error)

    def _say_unkept(self, training: Training[J], error: Exception) -> None:
        self._say(f"{training.name}: its epochs cannot be kept ({reason(error)}); it goes on")

    def _collect(self, future: Future[str], piece: Piece[J]) -> None:
        try:
            report = sent_run.reported(future.result())
        except (LostError, BrokenExecutor) as error:
            self._try_again(piece, "lost its worker", str(error))
            return
        except (StepladderError, KeyboardInterrupt):  # the place is gone; somebody wants an end
            raise
        except BaseException as error:  # whatever went wrong in these runs: the others go on
            self._try_again(piece, "failed", reason(error))
            return
        if report.error is None:
            self._receive(piece, report)
            return
        match report.error.refusal():
            case None:
                self._try_again(piece, "failed", str(report.error))
            case refusal:
                raise refusal

    def _receive(self, piece: Piece[J], report: Report) -> None:
        """The last report of a piece."""
        if report.needs_images:
            self._sending.ask(report.machine, tuple(piece.trainings), piece.trainings[0].identity.data)
            return
        failed: set[str] = set()  # keys

        def fail(training: Training[J], error: Exception) -> None:
            failed.add(training.key)
            self._try_again(Piece([training]), "failed", reason(error))

        n_before = {training.key: len(training.epochs) for training in piece.trainings}
        try:
            self._take(piece, report, fail)
        except ValueError as error:
            self._try_again(piece, "failed", reason(error))
            return
        for training in piece.trainings:
            is_new = len(training.epochs) > n_before[training.key]
            if self._is_under_way(training) and training.key not in failed and not is_new:
                failed.add(training.key)
                self._try_again(Piece([training]), "failed", "its worker brought no epoch that is new")
        go_on = [each for each in piece.trainings if self._is_under_way(each) and each.key not in failed]
        for training in go_on:
            training.resumes, training.number = False, 1
        self._waiting.extendleft(reversed(go_on))  # what has begun is ended first

    def _take(self, piece: Piece[J], report: Report, fail: Callable[[Training[J], Exception], None]) -> None:
        """Take in where each run of a piece stands. Raises ValueError for a report of others; ``fail`` is told of what
        is wrong with one, or with the store.
        """
        came = (report, *report.others)
        if len(came) != len(piece.trainings):
            raise ValueError(f"what came back is of {n_of(len(came), 'run')}, not of {len(piece.trainings):,}")
        for training, each in zip(piece.trainings, came, strict=True):
            if self._is_under_way(training):  # else it has ended in the middle of the piece
                try:
                    self._keep(training, each, report) if each.run is None else self._finish(training, each, report)
                except (DamagedError, StoreError, OSError, ValueError) as error:
                    fail(training, error)

    def _is_under_way(self, training: Training[J]) -> bool:
        return self._trainings.get(training.key) is training

    def _keep(self, training: Training[J], came: Came, report: Report) -> None:
        """Keep where a training stands."""
        sent_run.require_engine(report, training.identity)
        assert came.checkpoint is not None
        training.epochs = epochs_of(came.checkpoint, training.identity)
        training.checkpoint = came.checkpoint
        self._moved[training.key] = training
        self._store.checkpoint(training.identity, came.checkpoint)

    def _finish(self, training: Training[J], came: Came, report: Report) -> None:
        run, weights = came.run, came.weights
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

    def _try_again(self, piece: Piece[J], what: str, reason: str) -> None:
        """Once more, each run alone: one of them may have brought down the others."""
        trainings = [each for each in piece.trainings if self._is_under_way(each)]
        again = [each for each in trainings if each.number < N_TRIES]
        if again:
            n_others = len(again) - 1
            them = f", and with it {n_of(n_others, 'other run')}; each is tried once more, alone"
            self._tell(f"{again[0].name} {what} ({reason}){them if n_others else '; it is tried once more'}")
        for training in reversed(again):
            training.number, training.resumes = training.number + 1, True
            self._waiting.appendleft(training)
        for training in trainings:
            if training not in again:
                self._fail(training, f"{what} twice ({reason})")

    def _end(self, training: Training[J], run: Run) -> None:
        """Give back the jobs of a run, and let those begin that learn from it."""
        self._leave(training)
        self._ended += [Ended(job, run) for job in training.jobs]
        for other in self._trainings.values():
            if training.key in other.waits_for:
                other.waits_for.remove(training.key)
                if not other.waits_for:
                    self._waiting.append(other)

    def _fail(self, training: Training[J], reason: str) -> None:
        """Give back the jobs of a run that cannot be had, and those that learn from it."""
        self._leave(training)
        self._ended += [Ended(job, None, reason) for job in training.jobs]
        for other in list(self._trainings.values()):
            if training.key in other.waits_for:
                self._fail(other, f"its teacher, seed {training.identity.seed}: {reason}")

    def _fail_all(self, piece: Piece[J], reason: str) -> None:
        for training in piece.trainings:
            self._fail(training, reason)

    def _leave(self, training: Training[J]) -> None:
        self._trainings.pop(training.key, None)
        self._moved.pop(training.key, None)
