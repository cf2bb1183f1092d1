"""Runs that are trained together, through the queue, the pieces and real climbs: on a CPU, by asking for it."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import Once
from here import Here
from processes import Climb
from random_networks import random_weights

from stepladder.climbing.climbing import Task, climb, plan
from stepladder.datasets import data
from stepladder.engines import Engine, choose_engine
from stepladder.engines.torch.engine import TOGETHER
from stepladder.engines.training import train
from stepladder.execution import packs, place
from stepladder.execution.job_queue import JobQueue
from stepladder.execution.piece import reports
from stepladder.execution.sent_run import Order, Report, Standing
from stepladder.ladders.evaluated import splits_for
from stepladder.ladders.ladder import Ladder
from stepladder.ladders.ladder_file import load
from stepladder.runs.arrays import PARAMETERS
from stepladder.runs.run import Progress, Run, RunIdentity
from stepladder.runs.run_files import checkpoint_file, progress_of
from stepladder.runs.store import Store
from stepladder.runs.weight_files import weights_file

SEEDS = [1, 2, 3, 4, 5]
LADDER = """\
name = "packs"
data = {data!r}
evaluate_on = "test"
budget = {{ params = 1000, epochs = 1000 }}
target = {{ accuracy = 10, last_epochs = 2 }}

[[rung]]
name = "start"
why = "small enough to train in a moment"
[rung.recipe]
network = ["conv 4 3x3", "gap", "linear 10"]
augment = {{ rotation_deg = 10.0 }}
dropout = 0.1
block = "conv relu norm dropout"
batch_size = 32
epochs = {epochs}

[[rung]]
name = "taught"
why = "needs what others have learned"
change.distill = {{ network = ["conv 3 3x3 stride 2", "gap", "linear 10"] }}
"""


@pytest.fixture(scope="module")
def images(once: Once) -> Path:
    """Every other pixel of the middles of some digits."""

    def make(folder: Path) -> None:
        mnist = data.load("mnist")
        arrays: dict[str, Any] = {}
        for name, part, n in (("train", mnist.train, 150), ("test", mnist.test, 100)):
            arrays |= {f"x_{name}": part.images[:n, 0, 4:24:2, 4:24:2], f"y_{name}": part.labels[:n]}
        np.savez(folder / "small.npz", **arrays)

    return once("small-digits", make) / "small.npz"


@pytest.fixture
def ladder(images: Path, tmp_path: Path) -> Path:
    return written(tmp_path / "packs.toml", images, epochs=3)


def written(path: Path, images: Path, *, epochs: int) -> Path:
    path.write_text(LADDER.format(data=str(images), epochs=epochs))
    return path


@pytest.fixture(autouse=True)
def four_together(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a climb on a CPU does only if it is asked to."""
    monkeypatch.setenv(TOGETHER, "4")
    packs._engine.cache_clear()
    yield
    packs._engine.cache_clear()


@pytest.fixture
def engine() -> Engine:
    return choose_engine("torch", device="cpu")[0]


def runs_of(ladder: Ladder, store: Path, engine: Engine, *, seeds: Sequence[int]) -> dict[str, Run]:
    opened = Store.open(store)
    found = {
        str(task): opened.find(task.identity, set_aside=False) for task in plan(ladder, seeds=seeds, engine=engine)
    }
    return {name: run for name, run in found.items() if run is not None}


def require_alike(found: dict[str, Run], expected: dict[str, Run]) -> None:
    """The same runs, but for float32's rounding."""
    assert found.keys() == expected.keys()
    for name, run in found.items():
        assert run.identity == expected[name].identity
        for ours, theirs in zip(run.epochs, expected[name].epochs, strict=True):
            assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4), name
            assert ours.loss == pytest.approx(theirs.loss, rel=1e-4), name
            assert abs(ours.n_correct - theirs.n_correct) <= 1, name


class Noting(Here):
    """Trains in this process; fails so many pieces of several runs before."""

    def __init__(self, *, n_failing: int = 0) -> None:
        self.seeds: list[tuple[int, ...]] = []
        self.n_failing = n_failing

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        order = Order.model_validate_json(args[1])
        self.seeds.append(tuple(each.identity.seed for each in (order, *order.others)))
        if order.others and self.n_failing:
            self.n_failing -= 1
            failed: Future[Any] = Future()
            failed.set_exception(OSError("no such luck"))
            return failed
        return super().submit(fn, *args, **kwargs)


def one_by_one(
    ladder: Path, store: Path, monkeypatch: pytest.MonkeyPatch, *, seeds: Sequence[int] = SEEDS
) -> dict[str, Run]:
    """The same runs, each trained alone."""
    with monkeypatch.context() as alone:
        alone.setenv(TOGETHER, "1")
        packs._engine.cache_clear()
        engine = choose_engine("torch", device="cpu")[0]
        executor = Noting()
        assert climb(load(ladder), seeds=seeds, store=Store(store), engine=engine, executor=executor) == []
        assert {len(seeds) for seeds in executor.seeds} == {1}
        packs._engine.cache_clear()
        return runs_of(load(ladder), store, engine, seeds=seeds)


def test_a_climb_packs_seeds_and_ends_as_one_that_does_not(
    ladder: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teachers are packed too, and their students wait for all of theirs."""
    executor = Noting()
    store = Store(tmp_path / "runs")
    assert climb(load(ladder), seeds=SEEDS, store=store, engine=engine, executor=executor) == []
    packed = [(1, 2, 3, 4), (5,)]
    assert sorted(executor.seeds) == sorted(3 * packed)
    found = runs_of(load(ladder), store.folder, engine, seeds=SEEDS)
    assert len(found) == 10
    require_alike(found, one_by_one(ladder, tmp_path / "alone", monkeypatch))
    assert all(run.elapsed_s > 0 for run in found.values())


def test_a_pack_that_fails_is_tried_once_more_run_by_run(ladder: Path, engine: Engine, tmp_path: Path) -> None:
    executor, said = Noting(n_failing=1), list[str]()
    tasks = plan(load(ladder), seeds=SEEDS, engine=engine)[:5]
    ended = worked_off(load(ladder), tasks, executor, tmp_path / "runs", said)
    assert executor.seeds == [(1, 2, 3, 4), (5,), (1,), (2,), (3,), (4,)]
    assert said == [
        "rung 'start', seed 1 failed (OSError: no such luck), and with it 3 other runs; each is tried once more, alone"
    ]
    assert all(run is not None and run.provenance.n_resumed == 0 for run in ended.values())


def worked_off(
    ladder: Ladder, tasks: list[Task], executor: Here, store: Path, said: list[str]
) -> dict[str, Run | None]:
    """What becomes of these in a queue."""
    opened = Store.open(store, create=True)
    ended: dict[str, Run | None] = {}
    with JobQueue[Task](place.of(executor), source=ladder.data, store=opened, jobs=1, tell=said.append) as queue:
        for task in tasks:
            queue.submit(task)
        while queue:
            ended |= {str(each.job): each.run for each in queue.wait()}
    return ended


class Short(Noting):
    """Loses what came back of the last run."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        report = Report.model_validate_json(super().submit(fn, *args, **kwargs).result())
        ended: Future[Any] = Future()
        ended.set_result(report.model_copy(update={"others": report.others[:-1]}).model_dump_json())
        return ended


def test_what_comes_back_must_be_of_each_run(ladder: Path, engine: Engine, tmp_path: Path) -> None:
    said: list[str] = []
    tasks = plan(load(ladder), seeds=SEEDS[:3], engine=engine)[:3]
    ended = worked_off(load(ladder), tasks, Short(), tmp_path / "runs", said)
    assert said[0].startswith("rung 'start', seed 1 failed (ValueError: what came back is of 2 runs, not of 3), and")
    assert all(ended.values())


def test_only_runs_at_the_same_epoch_are_packed(ladder: Path, engine: Engine, tmp_path: Path) -> None:
    """Two of four have begun, and stand at different epochs."""
    store = Store.open(tmp_path / "runs", create=True)
    tasks = plan(load(ladder), seeds=SEEDS[:4], engine=engine)[:4]
    for task, n_epochs in zip(tasks[1:3], (1, 2), strict=True):
        stands = begun(task.identity, engine, ladder)[n_epochs - 1]
        store.checkpoint(task.identity, checkpoint_file(task.identity, stands))
    executor = Noting()
    ended = worked_off(load(ladder), tasks, executor, store.folder, [])
    assert sorted(executor.seeds) == [(1, 4), (2,), (3,)]
    assert {run.identity.seed: run.provenance.n_resumed for run in ended.values() if run} == {1: 0, 2: 1, 3: 1, 4: 0}


def begun(identity: RunIdentity, engine: Engine, ladder: Path) -> list[Progress]:
    """Where a run stands after each epoch."""
    splits = splits_for(data.load(load(ladder).data), identity.data)
    return list(train(engine, identity.recipe, splits=splits, seed=identity.seed, resume=Progress()))


def test_a_run_of_a_pack_that_diverges_comes_back_at_once_and_the_others_go_on(ladder: Path, engine: Engine) -> None:
    first, broken, third = (task.identity for task in plan(load(ladder), seeds=SEEDS[:3], engine=engine)[:3])
    standing = {each.seed: begun(each, engine, ladder)[0] for each in (first, broken, third)}
    arrays = standing[broken.seed].arrays
    assert arrays is not None
    arrays[PARAMETERS] = np.full_like(arrays[PARAMETERS], np.inf)
    of_each = {each.seed: checkpoint_file(each, standing[each.seed]) for each in (first, broken, third)}
    order = Order(
        identity=first,
        checkpoint=of_each[first.seed],
        source=load(ladder).data,
        others=tuple(Standing(identity=each, checkpoint=of_each[each.seed]) for each in (broken, third)),
    )
    middle, end = reports(order.model_dump_json())
    assert middle.goes_on
    assert middle.others[0].run is not None
    assert middle.others[0].run.diverged_at_epoch == 2
    assert middle.checkpoint is not None
    assert len(progress_of(middle.checkpoint, first).epochs) == 2
    assert [each.run.diverged_at_epoch for each in (end, *end.others) if each.run] == [None, 2, None]
    assert [each.run.identity.seed for each in (end, *end.others) if each.run] == [1, 2, 3]


def test_a_student_without_a_teacher_diverges_and_the_others_do_not(ladder: Path, engine: Engine) -> None:
    taught = [task.identity for task in plan(load(ladder), seeds=SEEDS[:3], engine=engine)[-3:]]
    teacher = taught[0].recipe.teacher
    assert teacher is not None
    weights = weights_file(random_weights(teacher.network_for(data.describe(load(ladder).data).image)), None)
    others = (Standing(identity=taught[1]), Standing(identity=taught[2], teachers=(weights,)))
    order = Order(identity=taught[0], teachers=(weights,), source=load(ladder).data, others=others)
    *_, end = reports(order.model_dump_json())
    assert [each.run.diverged_at_epoch for each in (end, *end.others) if each.run] == [None, 1, None]


def test_stopped_and_killed_a_climb_of_packs_goes_on(
    images: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, then ``kill -9`` of the command and of all that trains; then it ends as one that was never stopped."""
    path = written(tmp_path / "long.toml", images, epochs=60)
    path.write_text(path.read_text().partition('\n[[rung]]\nname = "taught"')[0])
    store = tmp_path / "runs"
    how = ("--seeds", 3, "--engine", "torch", "--device", "cpu", "--jobs", 1)
    with Climb(path, store, *how) as climbing:
        climbing.wait_for("*/*.partial.safetensors", 3)
        workers = climbing.workers()
        assert len(workers) == 1
        os.killpg(climbing.process.pid, signal.SIGINT)
        returncode, _, err = climbing.finish()
        assert not psutil.wait_procs(workers, timeout=30)[1]
    assert returncode == 130
    assert "Go on with:" in err
    before = max(each.stat().st_mtime_ns for each in store.glob("*/*.partial.safetensors"))
    with Climb(path, store, *how) as climbing:
        while max(each.stat().st_mtime_ns for each in climbing.wait_for("*/*.partial.safetensors", 3)) == before:
            assert climbing.process.poll() is None
            time.sleep(0.01)
        climbing.kill_all()
    assert not list(store.glob("*/*.json")), "the kills came too late to mean anything"
    with Climb(path, store, *how) as climbing:
        returncode, _, err = climbing.finish()
    assert returncode in (0, 1), err
    found = runs_of(load(path), store, engine, seeds=SEEDS)
    resumed = [run.provenance.n_resumed for run in found.values()]
    assert set(resumed) <= {1, 2}
    assert 2 in resumed, "the second climb had kept nothing"
    require_alike(found, one_by_one(path, tmp_path / "alone", monkeypatch, seeds=SEEDS[:3]))
    assert not list(store.glob("*/*.partial.safetensors"))
