"""Images that are sent to machines that have none."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_LADDER
from elsewhere import elsewhere

from stepladder.climbing.climbing import climb, plan
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.errors import DataError
from stepladder.execution import children, sent_images
from stepladder.execution.sent_run import Order
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.ladder import Ladder
from stepladder.ladders.ladder_file import load
from stepladder.runs.store import Store


@pytest.fixture
def ladder(tmp_path: Path, digits: Path) -> Ladder:
    """One rung, on images of a folder of its own."""
    shutil.copytree(digits, tmp_path / "digits")
    path = tmp_path / "one.toml"
    path.write_text(
        TINY_LADDER.format(data=str(tmp_path / "digits"), epochs=2).partition('\n[[rung]]\nname = "dropout"')[0]
    )
    return load(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


class Away(ProcessPoolExecutor):
    """Workers that do not see the images."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        sent.append(fn)
        if fn is children.train_in_child:
            ticket, text = args
            order = Order.model_validate_json(text)
            assert order.sends_images
            args = (ticket, order.model_copy(update={"source": "/nowhere/digits"}).model_dump_json())
        return super().submit(fn, *args, **kwargs)


sent: list[Callable[..., Any]] = []


def test_they_travel_once_and_change_no_number(ladder: Ladder, tmp_path: Path) -> None:
    engine = choose_engine()[0]
    away, here = (Store.open(tmp_path / name, create=True) for name in ("away", "here"))
    with elsewhere(tmp_path / "elsewhere") as executor:
        executor.__class__ = Away
        sent.clear()
        assert climb(ladder, seeds=[1, 2, 3], store=away, engine=engine, executor=executor) == []
    assert sent.count(sent_images.keep) == 1
    (kept,) = (tmp_path / "cache elsewhere" / "images").iterdir()
    assert kept.name == f"{data_identity(ladder).sha256}.npz"
    assert climb(ladder, seeds=[1, 2, 3], store=here, engine=engine) == []
    for task in plan(ladder, seeds=[1, 2, 3], engine=engine):
        runs = [store.find(task.identity, set_aside=False) for store in (away, here)]
        assert runs[0] is not None
        assert runs[1] is not None
        assert runs[0].numbers() == runs[1].numbers()
        assert away.weights_file(runs[0]) == here.weights_file(runs[1])


def test_a_worker_that_cannot_keep_them_says_so(ladder: Ladder, tmp_path: Path) -> None:
    (tmp_path / "cache elsewhere").mkdir()
    (tmp_path / "cache elsewhere" / "images").write_text("not a folder")
    with elsewhere(tmp_path / "elsewhere") as executor:
        executor.__class__ = Away
        with pytest.raises(DataError, match=r"cannot be kept in .*images .*: set STEPLADDER_CACHE there to a folder"):
            climb(ladder, seeds=[1], store=Store(tmp_path / "runs"), engine=choose_engine()[0], executor=executor)


class Losing(Away):
    """Loses what is sent, or is broken when that is tried."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if fn is not sent_images.keep:
            return super().submit(fn, *args, **kwargs)
        lost: Future[Any] = Future()
        lost.set_exception(OSError("lost on the way"))
        if next(TIMES) % 2:
            raise RuntimeError("cannot send")
        return lost


TIMES = count()


def test_images_that_never_arrive_end_the_climb_with_one_message(ladder: Ladder, tmp_path: Path) -> None:
    with elsewhere(tmp_path / "elsewhere") as executor:
        executor.__class__ = Losing
        with pytest.raises(DataError, match=r"again and again, and are not found on .*: set STEPLADDER_CACHE there"):
            climb(ladder, seeds=[1], store=Store(tmp_path / "runs"), engine=choose_engine()[0], executor=executor)


def test_what_is_kept_is_what_was_sent(ladder: Ladder, cache: Path) -> None:
    images, identity = data.load(ladder.data), data_identity(ladder)
    assert sent_images.find(identity) is None
    sent_images.keep(sent_images.name_of(identity), sent_images.packed(images))
    found = sent_images.find(identity)
    assert found is not None
    assert np.array_equal(found.train.images, images.train.images)
    assert np.array_equal(found.test.labels, images.test.labels)
    assert found.sha256 == identity.sha256
    assert len(list(cache.iterdir())) == 1


def test_a_set_with_its_own_validation_images_is_kept_whole(ladder: Ladder, cache: Path, tmp_path: Path) -> None:
    images = data.load(ladder.data)
    own = replace(images, validation=images.test)
    np.savez(
        tmp_path / "own.npz",
        x_train=own.train.images,
        y_train=own.train.labels,
        x_test=own.test.images,
        y_test=own.test.labels,
        x_val=own.test.images,
        y_val=own.test.labels,
    )
    identity = data_identity(replace(ladder, data=str(tmp_path / "own.npz"), evaluate_on="dev", dev_images=None))
    assert identity.validation_sha256 == data.load(str(tmp_path / "own.npz")).validation_sha256
    sent_images.keep(sent_images.name_of(identity), sent_images.packed(data.load(str(tmp_path / "own.npz"))))
    found = sent_images.find(identity)
    assert found is not None
    assert found.validation_sha256 == identity.validation_sha256
    assert found.validation is not None
    assert [path.suffix for path in cache.iterdir()] == [".npz"]


@pytest.mark.parametrize("damage", [b"", b"half", b"PK\x03\x04"])
def test_what_is_damaged_is_as_good_as_none(ladder: Ladder, cache: Path, damage: bytes) -> None:
    identity = data_identity(ladder)
    sent_images.keep(sent_images.name_of(identity), damage)
    assert sent_images.find(identity) is None
    assert not list(cache.iterdir())


def test_another_set_under_that_name_is_not_taken(ladder: Ladder, cache: Path) -> None:
    identity, images = data_identity(ladder), data.load(ladder.data)
    other = replace(images, test=images.train)
    sent_images.keep(sent_images.name_of(identity), sent_images.packed(other))
    assert sent_images.find(identity) is None
    assert not list(cache.iterdir())


def test_the_last_sets_are_kept(cache: Path) -> None:
    for number in range(sent_images.MOST_SETS + 3):
        sent_images.keep(f"{number:064}", b"images")
    assert len(list(cache.iterdir())) == sent_images.MOST_SETS
    assert (cache / f"{number:064}.npz").exists()


def test_what_has_just_come_stays_where_the_clock_went_backwards(cache: Path) -> None:
    """And where a set was removed by another climb in the middle of it."""
    cache.mkdir(parents=True)
    for number in range(sent_images.MOST_SETS):
        path = cache / f"{number:064}.npz"
        path.write_bytes(b"images of tomorrow")
        os.utime(path, (2**33, 2**33 + number))
    (cache / "gone.npz").symlink_to("removed meanwhile")
    sent_images.keep("f" * 64, b"images")
    assert (cache / f"{'f' * 64}.npz").exists()
    assert len(list(cache.iterdir())) == sent_images.MOST_SETS
    assert not (cache / f"{0:064}.npz").exists()
