"""A climb that is tracked: it ends with what a replay would have written, and no tracker stops or slows it."""

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from here import Here
from stored import LADDER

import stepladder as sl
from stepladder.cli.main import main
from stepladder.climbing.climbing import Failure, Watcher, climb, plan
from stepladder.engines import Engine, choose_engine
from stepladder.errors import LadderError, TrackerError
from stepladder.ladders.ladder import Ladder
from stepladder.runs.run import Epoch
from stepladder.runs.store import Store
from stepladder.tracking.replaying import replay, stored_runs
from stepladder.tracking.told import TrackedRun
from stepladder.tracking.tracked_climb import TrackedClimb
from stepladder.tracking.trackers import choose_tracker


class Listening:
    """A tracker that keeps all that it is told, in order, after ``delay_s``, and fails ``fails_at`` these times."""

    where = "here"

    def __init__(self, *, delay_s: float = 0.0, fails_at: Collection[int] = ()) -> None:
        self.told: list[TrackedRun] = []
        self.n_asked = -1
        self.is_closed = False
        self._delay_s, self._fails_at = delay_s, fails_at

    def tell(self, run: TrackedRun) -> bool:
        time.sleep(self._delay_s)
        self.n_asked += 1
        if self.n_asked in self._fails_at:
            raise ConnectionResetError("the server hung up")
        self.told.append(run)
        return True

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(scope="module")
def engine() -> Engine:
    return choose_engine()[0]


@pytest.fixture
def ladder(tmp_path: Path) -> Ladder:
    mnist, few = sl.dataset("mnist"), slice(0, 300)
    parts: dict[str, Any] = {"x_train": mnist.train.images[few, 0], "y_train": mnist.train.labels[few]}
    np.savez(tmp_path / "small.npz", **parts, x_test=mnist.test.images[few, 0], y_test=mnist.test.labels[few])
    (tmp_path / "small.toml").write_text(LADDER)
    return sl.load(tmp_path / "small.toml")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "runs", create=True)


def climbed(ladder: Ladder, store: Store, engine: Engine, watcher: Watcher, *, seeds: Sequence[int] = (1, 2)) -> None:
    with Here() as executor:
        assert not climb(ladder, seeds=seeds, store=store, engine=engine, executor=executor, watcher=watcher)


def files(folder: Path) -> dict[str, bytes]:
    """Those that have something in them: of a file that grew an empty one is left."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if content}


def test_a_climb_ends_with_what_a_replay_writes(ladder: Ladder, store: Store, engine: Engine, tmp_path: Path) -> None:
    with TrackedClimb(ladder, "tensorboard", log_dir=str(tmp_path / "live")) as watcher:
        climbed(ladder, store, engine, watcher)
    replayed = choose_tracker("tensorboard", log_dir=str(tmp_path / "replayed"))
    told = [each.is_new for each in replay(stored_runs(store, [ladder], only=True), replayed)]
    assert told == [True] * 4
    assert files(tmp_path / "live") == files(tmp_path / "replayed") != {}


def test_a_teacher_is_told_at_the_end(ladder: Ladder, store: Store, engine: Engine, tmp_path: Path) -> None:
    """It is trained by the run that wants it, and stored as a run of its own."""
    taught = (
        LADDER
        + '\n[[rung]]\nname = "taught"\nwhy = "?"\nchange.distill = { network = ["conv 2", "gap", "linear 10"] }\n'
    )
    Path(ladder.source).write_text(taught)
    ladder = sl.load(ladder.source)
    with TrackedClimb(ladder, "tensorboard", log_dir=str(tmp_path / "live"), store=store) as watcher:
        climbed(ladder, store, engine, watcher, seeds=[1])
    replayed = choose_tracker("tensorboard", log_dir=str(tmp_path / "replayed"))
    groups = [each.run.group for each in replay(stored_runs(store, [ladder], only=True), replayed)]
    assert sorted(groups) == ["slower", "start", "taught", "teacher of taught"]
    assert files(tmp_path / "live") == files(tmp_path / "replayed")


def test_what_is_stored_is_told_too(ladder: Ladder, store: Store, engine: Engine, tmp_path: Path) -> None:
    """As after a climb that was not tracked, or was killed before it told its last run."""
    quiet = Listening()
    with TrackedClimb(ladder, quiet) as watcher:
        climbed(ladder, store, engine, watcher, seeds=[1])
    tracker = Listening()
    with TrackedClimb(ladder, tracker, store=store) as watcher:
        climbed(ladder, store, engine, watcher)
    ends = {(run.group, run.seed) for run in tracker.told if run.is_over}
    assert ends == {("start", 1), ("start", 2), ("slower", 1), ("slower", 2)}
    assert tracker.is_closed
    assert tmp_path.exists()


def epochs_of(store: Store, ladder: Ladder, engine: Engine) -> Iterator[tuple[sl.Run, Sequence[Epoch]]]:
    for task in plan(ladder, seeds=[1], engine=engine):
        run = store.find(task.identity, set_aside=False)
        assert run is not None
        yield run, run.epochs


def test_epochs_are_told_while_a_run_trains(ladder: Ladder, store: Store, engine: Engine) -> None:
    climbed(ladder, store, engine, TrackedClimb(ladder, Listening()), seeds=[1])
    tracker, tasks = Listening(), plan(ladder, seeds=[1], engine=engine)
    with TrackedClimb(ladder, tracker) as watcher:
        watcher.planned({task.identity.key: (task, 0) for task in tasks}, 0)
        for task, (run, epochs) in zip(tasks, epochs_of(store, ladder, engine), strict=True):
            for n in range(1, len(epochs) + 1):
                watcher.advanced(task, epochs=epochs[:n])
                wait_until(lambda n=n: tracker.told and len(tracker.told[-1].points) == n)
            watcher.finished(task, run)
    states = [(run.group, run.state, len(run.points)) for run in tracker.told]
    assert states == [
        (group, state, n)
        for group in ("start", "slower")
        for state, n in (("running", 1), ("running", 2), ("finished", 2))
    ]


def wait_until(is_so: object) -> None:
    assert callable(is_so)
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_slow_tracker_is_told_how_it_is_now_and_keeps_nobody_waiting(
    ladder: Ladder, store: Store, engine: Engine
) -> None:
    climbed(ladder, store, engine, TrackedClimb(ladder, Listening()), seeds=[1])
    task, (run, epochs) = plan(ladder, seeds=[1], engine=engine)[0], next(epochs_of(store, ladder, engine))
    tracker = Listening(delay_s=0.3)
    with TrackedClimb(ladder, tracker) as watcher:
        began = time.monotonic()
        for n in (1, 2) * 50:
            watcher.advanced(task, epochs=epochs[:n])
        watcher.finished(task, run)
        assert time.monotonic() - began < 0.3
    assert len(tracker.told) <= 2
    assert tracker.told[-1].state == "finished"


def test_a_tracker_that_fails_for_good_is_said_and_the_climb_goes_on(
    ladder: Ladder, store: Store, engine: Engine
) -> None:
    said: list[str] = []
    with TrackedClimb(ladder, Listening(fails_at=range(1, 1000)), complain=said.append) as watcher:
        climbed(ladder, store, engine, watcher)
    first, last = said
    assert "the server hung up" in first
    assert first.endswith("; the climb goes on, and it is tried again")
    assert last == "Listening was not told all: sl.replay tells it the rest"
    assert len(list(stored_runs(store, [ladder], only=True))) == 4


def test_what_a_tracker_was_not_told_is_told_by_the_command_that_is_named(
    ladder: Ladder, store: Store, engine: Engine, tmp_path: Path
) -> None:
    logs = tmp_path / "my logs"
    logs.write_text("no folder yet")
    said: list[str] = []
    with TrackedClimb(ladder, "tensorboard", log_dir=logs, store=store, complain=said.append) as watcher:
        climbed(ladder, store, engine, watcher, seeds=[1])
    first, last = said
    assert "give another folder with --log-dir" in first
    logs.unlink()
    command = last.removeprefix("tensorboard was not told all: ").removesuffix(" tells it the rest")
    done = CliRunner().invoke(main, shlex.split(command)[1:], catch_exceptions=False)
    assert "2 runs told to tensorboard, 2 new" in done.stdout
    assert {name.split("/")[0] for name in files(logs)} == {ladder.name}


class Leaving(Listening):
    """A tracker whose library ends the program, when it is told and when it is closed."""

    def tell(self, run: TrackedRun) -> bool:  # noqa: ARG002
        raise SystemExit(0)

    def close(self) -> None:
        raise SystemExit(0)


def test_a_library_that_ends_the_program_ends_neither_climb_nor_replay(
    ladder: Ladder, store: Store, engine: Engine
) -> None:
    said: list[str] = []
    with TrackedClimb(ladder, Leaving(), complain=said.append) as watcher:
        climbed(ladder, store, engine, watcher, seeds=[1])
    assert "the tracker does not take it (SystemExit: 0); the climb goes on" in said[0]
    assert said[-1] == "Leaving was not told all: sl.replay tells it the rest"
    results = sl.collect(ladder, store)
    with pytest.raises(TrackerError, match=r"does not take it .SystemExit: 0"):
        sl.replay(results, Leaving())
    only_closing = Leaving()
    only_closing.tell = lambda run: run.is_over  # type: ignore[method-assign]
    with pytest.raises(TrackerError, match=r"Leaving could not be closed .SystemExit: 0.: replay again"):
        sl.replay(results, only_closing)


class Nowhere(Listening):
    @property
    def where(self) -> str:  # type: ignore[override]
        raise OSError("gone")


@pytest.mark.parametrize(
    ("to", "said"), [(5, "the tracker 5 is none: it has no where"), (Nowhere(), "cannot say where it writes to")]
)
def test_what_is_no_tracker_is_refused_before_anything_trains(to: Any, said: str, ladder: Ladder) -> None:
    with pytest.raises(TrackerError, match=said):
        TrackedClimb(ladder, to)


def test_what_is_no_ladder_is_refused(ladder: Ladder) -> None:
    with pytest.raises(LadderError, match=r"TrackedClimb takes a ladder, not 'small\.toml'"):
        TrackedClimb("small.toml", Listening())  # type: ignore[arg-type]
    with pytest.raises(LadderError, match="replay takes the results of one ladder, not"):
        sl.replay(ladder, Listening())  # type: ignore[arg-type]


def test_a_tracker_that_fails_for_a_while_is_told_all(
    ladder: Ladder, store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.tracking.tracked_climb.TRY_AGAIN_S", 0.05)
    said: list[str] = []
    tracker = Listening(fails_at=(1, 2, 4))
    with TrackedClimb(ladder, tracker, complain=said.append) as watcher:
        climbed(ladder, store, engine, watcher)
        wait_until(lambda: len(tracker.told) == 4)
    assert {(run.group, run.seed) for run in tracker.told if run.is_over} == {
        (group, seed) for group in ("start", "slower") for seed in (1, 2)
    }
    assert len(said) == 2
    assert tracker.is_closed


def test_what_trains_when_a_climb_breaks_off_is_stopped(ladder: Ladder, engine: Engine, store: Store) -> None:
    climbed(ladder, store, engine, TrackedClimb(ladder, Listening()), seeds=[1])
    tasks, tracker = plan(ladder, seeds=[1], engine=engine), Listening()
    found = list(epochs_of(store, ladder, engine))
    with suppress(KeyboardInterrupt), TrackedClimb(ladder, tracker) as watcher:
        for task, (_, epochs) in zip(tasks, found, strict=True):
            watcher.advanced(task, epochs=epochs[:1])
        watcher.failed(Failure(tasks[0], "it was killed twice"))
        raise KeyboardInterrupt
    ends = {run.group: run.state for run in tracker.told}
    assert ends == {"start": "stopped", "slower": "stopped"}
    assert tracker.is_closed


def test_a_tracker_that_hangs_does_not_hold_up_an_end(
    ladder: Ladder, engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.tracking.tracked_climb.STOPPED_WITHIN_S", 0.2)
    climbed(ladder, store, engine, TrackedClimb(ladder, Listening()), seeds=[1])
    task, (_, epochs) = plan(ladder, seeds=[1], engine=engine)[0], next(epochs_of(store, ladder, engine))
    released = threading.Event()

    class Hanging(Listening):
        def tell(self, run: TrackedRun) -> bool:
            released.wait(30)
            return super().tell(run)

    began = time.monotonic()
    with suppress(KeyboardInterrupt), TrackedClimb(ladder, Hanging()) as watcher:
        watcher.advanced(task, epochs=epochs[:1])
        raise KeyboardInterrupt
    assert time.monotonic() - began < 5
    released.set()


def test_without_a_block_all_is_told_before_the_process_ends(tmp_path: Path) -> None:
    script = (
        "import stepladder as sl\n"
        "from records import make_run\n"
        "from stepladder.climbing.climbing import plan\n"
        "ladder = sl.load('mnist-8k')\n"
        "task = plan(ladder, seeds=[1], engine=sl.choose_engine()[0])[0]\n"
        "watcher = sl.TrackedClimb(ladder, 'tensorboard', log_dir='logs')\n"
        "watcher.finished(task, make_run(1, [9_000, 9_500]))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, check=True)
    assert len(list(tmp_path.glob("logs/mnist-8k/*/seed-1-*/events*"))) == 1
