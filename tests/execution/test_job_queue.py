"""The queue of trainings, on executors that fail, lose and refuse."""

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from here import Here

from stepladder.climbing.climbing import Task, plan
from stepladder.engines import choose_engine
from stepladder.errors import DataError
from stepladder.execution import place, sent_images
from stepladder.execution.job_queue import Ended, JobQueue
from stepladder.execution.sent_run import Order, Report
from stepladder.ladders.ladder_file import load
from stepladder.runs.store import Store


class Failing(Here):
    """Fails so many tries of seed 1."""

    def __init__(self, error: Exception, *, n_times: int) -> None:
        self.error, self.n_left = error, n_times
        self.orders: list[Order] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.orders.append(Order.model_validate_json(args[1]))
        if self.orders[-1].identity.seed != 1 or not self.n_left:
            return super().submit(fn, *args, **kwargs)
        self.n_left -= 1
        failed: Future[Any] = Future()
        failed.set_exception(self.error)
        return failed


class Closed(Here):
    """Takes nothing."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ARG002
        raise BrokenExecutor("it is broken")


@dataclass
class Told:
    """What a queue gave back, and what it said meanwhile."""

    ended: list[Ended[Task]]
    said: list[str]


@pytest.fixture
def worked_off(tiny_ladder: Path, tmp_path: Path) -> Callable[[Here], Told]:
    """Put the first rung's runs of two seeds through a queue on an executor."""
    ladder, store = load(tiny_ladder), Store.open(tmp_path / "runs", create=True)
    tasks = plan(ladder, seeds=[1, 2], engine=choose_engine()[0])[:2]

    def work_off(executor: Here) -> Told:
        told = Told([], [])
        at = place.of(executor)
        with JobQueue[Task](at, source=ladder.data, store=store, jobs=1, tell=told.said.append) as queue:
            for task in tasks:
                queue.submit(task)
            while queue:
                told.ended += queue.wait()
        return told

    return work_off


def test_what_fails_once_is_tried_again_without_code_that_was_kept(worked_off: Callable[[Here], Told]) -> None:
    executor = Failing(OSError("no such luck"), n_times=1)
    told = worked_off(executor)
    assert [(each.identity.seed, each.use_cache) for each in executor.orders] == [(1, True), (2, True), (1, False)]
    assert sorted((each.job.identity.seed, each.reason) for each in told.ended) == [(1, ""), (2, "")]
    assert all(each.run is not None and each.run.identity == each.job.identity for each in told.ended)
    assert told.said == ["rung 'start', seed 1 failed (OSError: no such luck); it is tried once more"]


def test_what_fails_twice_is_given_back_with_the_reason(worked_off: Callable[[Here], Told]) -> None:
    told = worked_off(Failing(BrokenExecutor("a process died"), n_times=2))
    reasons = {each.job.identity.seed: (each.run is None, each.reason) for each in told.ended}
    assert reasons == {1: (True, "lost its worker twice (a process died)"), 2: (False, "")}


def test_an_executor_that_takes_nothing_ends_each_job(worked_off: Callable[[Here], Told]) -> None:
    told = worked_off(Closed())
    assert [(each.run, each.reason) for each in told.ended] == [(None, "not tried: it is broken")] * 2


class Swapping(Here):
    """Trains seed 2 whatever it is asked for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        order = Order.model_validate_json(args[1])
        other = order.model_copy(update={"identity": order.identity.model_copy(update={"seed": 2})})
        return super().submit(fn, args[0], other.model_dump_json(), **kwargs)


def test_another_run_than_was_asked_for_is_not_taken_for_it(worked_off: Callable[[Here], Told]) -> None:
    ended = {each.job.identity.seed: each for each in worked_off(Swapping()).ended}
    assert ended[1].run is None
    assert ended[1].reason == "failed twice (ValueError: what came back from its worker is another run)"
    assert ended[2].run is not None


class Odd(Closed):
    """Whatever it is given, it does this."""

    def __init__(self, odd: Callable[[], Any]) -> None:
        self.odd = odd

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ARG002
        given: Future[Any] = self.odd()
        return given


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise TypeError("it has no words")


class OtherworldlyError(BaseException):
    """What only a program's end is, by rights."""


def raising(error: BaseException) -> Callable[[], Any]:
    def submit() -> None:
        raise error

    return submit


def ending(result: object = None, error: BaseException | None = None) -> Callable[[], Any]:
    """A future that has ended."""

    def submit() -> Future[Any]:
        ended: Future[Any] = Future()
        ended.set_result(result) if error is None else ended.set_exception(error)
        return ended

    return submit


def cancelled() -> Future[Any]:
    future: Future[Any] = Future()
    future.cancel()
    future.set_running_or_notify_cancel()
    return future


NO_REPORT = "failed twice (ValueError: what came back from its worker is no report of a training ("


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (raising(OSError("no such luck")), "not tried: OSError: no such luck"),
        (raising(SystemExit(0)), "not tried: SystemExit: 0"),
        (raising(OtherworldlyError("no")), "not tried: OtherworldlyError: no"),
        (lambda: None, "not tried: TypeError: its executor gave None for a training, which is no concurrent.futures"),
        (ending("{"), f"{NO_REPORT}Invalid JSON"),
        (ending(None), f"{NO_REPORT}JSON input should be string"),
        (ending("{}"), f"{NO_REPORT}it brings nothing"),
        (ending(error=SystemExit(0)), "failed twice (SystemExit: 0)"),
        (ending(error=OtherworldlyError("no")), "failed twice (OtherworldlyError: no)"),
        (ending(error=SpeechlessError()), "failed twice (SpeechlessError)"),
        (ending(error=ValueError("two\n  lines")), "failed twice (ValueError: two lines)"),
        (cancelled, "failed twice (CancelledError)"),
    ],
)
def test_an_odd_executor_ends_each_job_with_one_line(
    odd: Callable[[], Any], reason: str, worked_off: Callable[[Here], Told]
) -> None:
    """Not the climb, nor the script that climbs."""
    ended = worked_off(Odd(odd)).ended
    assert [each.run for each in ended] == [None, None]
    assert all(each.reason.startswith(reason) and "\n" not in each.reason for each in ended), ended


def test_one_future_for_two_trainings_ends_the_second(worked_off: Callable[[Here], Told]) -> None:
    only = ending("{}")()
    reasons = [each.reason for each in worked_off(Odd(lambda: only)).ended]
    assert len(reasons) == 2
    assert "not tried: TypeError: its executor gave one Future for two trainings" in reasons


class Standing(Here):
    """Trains one epoch of a run, and never another."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        order = Order.model_validate_json(args[1])
        if order.checkpoint is None:
            return super().submit(fn, args[0], order.model_copy(update={"seconds": 1e-9}).model_dump_json(), **kwargs)
        done: Future[Any] = Future()
        done.set_result(Report(checkpoint=order.checkpoint).model_dump_json())
        return done


def test_a_worker_that_brings_nothing_new_is_not_asked_for_ever(worked_off: Callable[[Here], Told]) -> None:
    reasons = [each.reason for each in worked_off(Standing()).ended]
    assert reasons == ["failed twice (its worker brought no epoch that is new)"] * 2


class Nameless(Here):
    """Keeps no images, on a machine that has another name each time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ARG002
        done: Future[Any] = Future()
        done.set_result(
            None if fn is sent_images.keep else Report(machine=uuid4().hex, needs_images=True).model_dump_json()
        )
        return done


def test_a_machine_without_a_name_does_not_ask_for_images_for_ever(worked_off: Callable[[Here], Told]) -> None:
    with pytest.raises(DataError, match="sent again and again"):
        worked_off(Nameless())


@pytest.mark.parametrize(("n_workers", "most"), [(-5, 1), (0, 1), (3, 4), (True, 2), ("3", None)])
def test_as_many_pieces_as_workers_and_one(n_workers: Any, most: int | None) -> None:
    executor = Closed()
    executor._max_workers = n_workers  # type: ignore[attr-defined]
    found = place.of(executor)
    assert found is not None
    assert (found.most and found.most()) == most
