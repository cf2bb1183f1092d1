"""The store: what is written is found again, what is damaged is set aside, what is newer is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stepladder._base.files import sealed
from stepladder.climbing.climbing import climb, plan
from stepladder.datasets import data
from stepladder.engines import Engine, choose_engine
from stepladder.engines.training import train
from stepladder.errors import StoreError
from stepladder.execution.piece import finished
from stepladder.ladders.ladder_file import load
from stepladder.runs import speeds
from stepladder.runs.run import Progress, Run, RunIdentity
from stepladder.runs.run_files import checkpoint_file, progress_of
from stepladder.runs.store import ASIDE, LeftAloneError, Store

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return choose_engine()[0]


@pytest.fixture
def identity(tiny_ladder: Path, engine: Engine) -> RunIdentity:
    return plan(load(tiny_ladder), seeds=[1], engine=engine)[0].identity


@pytest.fixture
def steps(tiny_ladder: Path, identity: RunIdentity, engine: Engine) -> list[Progress]:
    splits = data.splits(data.load(load(tiny_ladder).data), n_dev=0)
    return list(train(engine, identity.recipe, splits=splits, seed=identity.seed, resume=Progress()))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "runs", create=True)


@pytest.fixture
def stored(store: Store, identity: RunIdentity, steps: list[Progress], tiny_ladder: Path, engine: Engine) -> Run:
    splits = data.splits(data.load(load(tiny_ladder).data), n_dev=0)
    store.checkpoint(identity, checkpoint_file(identity, steps[-1]))
    store.save(*finished(identity, progress=steps[-1], engine=engine, splits=splits))
    run = store.find(identity, set_aside=True)
    assert run is not None
    return run


def record(store: Store, identity: RunIdentity) -> Path:
    return store.folder / f"{identity.key}.json"


def test_a_finished_run_is_found_again(store: Store, stored: Run, steps: list[Progress], identity: RunIdentity) -> None:
    assert stored.identity == identity
    assert stored.epochs == steps[-1].epochs
    assert stored.final == steps[-1].epochs[-1]
    assert list(store.runs_of(identity.experiment)) == [stored]
    weights = store.weights(stored)
    assert sum(array.size for name, array in weights.items() if "running" not in name) == 342
    assert not store.partial_path(identity).exists()
    assert store.notes == []


def test_other_recipes_seeds_data_and_engines_are_other_runs(store: Store, stored: Run, identity: RunIdentity) -> None:
    others = [
        identity.model_copy(update={"seed": 2}),
        identity.model_copy(update={"recipe": identity.recipe.model_copy(update={"dropout": 0.5})}),
        identity.model_copy(update={"data": identity.data.model_copy(update={"sha256": "0" * 64})}),
        identity.model_copy(update={"data": identity.data.model_copy(update={"evaluate_on": "dev", "dev_images": 9})}),
        identity.model_copy(update={"data": identity.data.model_copy(update={"dev_part": 1})}),
        identity.model_copy(update={"engine": identity.engine.model_copy(update={"version": "0"})}),
        identity.model_copy(update={"engine": identity.engine.model_copy(update={"revision": 99})}),
    ]
    assert [store.find(other, set_aside=True) for other in others] == [None] * 7
    renamed = identity.model_copy(update={"data": identity.data.model_copy(update={"name": "another label"})})
    assert store.find(renamed, set_aside=True) == stored


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def change_a_number(path: Path) -> None:
    """A wrong number in an otherwise perfect file: only a checksum can tell."""
    content = json.loads(path.read_text())
    content["run"]["epochs"][-1]["n_correct"] += 1
    path.write_text(json.dumps(content))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)


def not_json_at_all(path: Path) -> None:
    path.write_text("[1, 2]")


@pytest.mark.parametrize("damage", [cut_in_half, empty, change_a_number, not_json_at_all])
def test_a_damaged_record_is_set_aside_and_said(store: Store, stored: Run, damage: Damage) -> None:
    path = record(store, stored.identity)
    damage(path)
    assert store.find(stored.identity, set_aside=True) is None
    assert not path.exists()
    (aside,) = (store.folder / "damaged").iterdir()
    assert {path.suffix for path in aside.iterdir()} == {".json", ".safetensors"}
    (note,) = store.notes
    assert str(path) in note
    assert str(aside) in note
    assert "trained again" in note


@pytest.mark.parametrize("damage", [cut_in_half, flip_a_bit, Path.unlink])
def test_damaged_weights_count_as_a_damaged_run(store: Store, stored: Run, damage: Damage) -> None:
    damage(store.folder / f"{stored.identity.key}.safetensors")
    assert store.find(stored.identity, set_aside=True) is None
    assert "weights are missing or damaged" in store.notes[0]


def test_reading_moves_nothing(store: Store, stored: Run) -> None:
    path = record(store, stored.identity)
    cut_in_half(path)
    assert list(store.runs_of(stored.identity.experiment)) == []
    assert path.exists()
    assert "left out" in store.notes[0]


def test_a_checkpoint_gives_back_the_whole_state(store: Store, steps: list[Progress], identity: RunIdentity) -> None:
    assert store.resume(identity) is None
    store.checkpoint(identity, checkpoint_file(identity, steps[1]))
    resumed = store.resume(identity)
    assert resumed is not None
    found = progress_of(resumed, identity)
    assert found.epochs == steps[1].epochs
    assert found.wrong_images == steps[1].wrong_images
    assert found.arrays is not None
    assert steps[1].arrays is not None
    assert all(np.array_equal(found.arrays[name], steps[1].arrays[name]) for name in found.arrays | steps[1].arrays)
    assert store.epochs_done(identity)[0] == 2


@pytest.mark.parametrize("damage", [cut_in_half, empty, flip_a_bit])
def test_a_damaged_checkpoint_is_set_aside(
    store: Store, steps: list[Progress], identity: RunIdentity, damage: Damage
) -> None:
    store.checkpoint(identity, checkpoint_file(identity, steps[1]))
    damage(store.partial_path(identity))
    assert store.resume(identity) is None
    assert "trained from the start" in store.notes[0]
    assert not store.partial_path(identity).exists()


def make_newer(path: Path) -> None:
    content = json.loads(path.read_text())
    content["format_version"] = 99
    path.write_text(json.dumps(content))


def test_a_newer_store_is_refused(store: Store) -> None:
    make_newer(store.folder / "store.json")
    for create in (False, True):
        with pytest.raises(StoreError, match=r"newer Stepladder \(format 99.*upgrade"):
            Store.open(store.folder, create=create)


def test_a_newer_run_is_refused_not_set_aside(store: Store, stored: Run) -> None:
    path = record(store, stored.identity)
    path.write_bytes(sealed("run", {"of": "another kind"}, version=99))
    with pytest.raises(StoreError, match="newer"):
        store.find(stored.identity, set_aside=True)
    assert path.exists()
    assert list(store.runs_of(stored.identity.experiment)) == []
    assert "newer Stepladder (format 99" in store.notes[-1]
    assert store.notes[-1].endswith("left out")


def test_a_version_that_is_no_longer_what_was_written_is_damage(store: Store, stored: Run) -> None:
    make_newer(record(store, stored.identity))
    assert store.find(stored.identity, set_aside=False) is None
    assert "its checksum differs" in store.notes[0]


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="choose another folder with store="):
        Store.open(tmp_path / "file" / "runs", create=True)


def test_a_store_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no runs at .*nowhere: climb first"):
        Store.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b"9" * 5000, b"[" * 100_000])
def test_a_damaged_marker_is_refused(store: Store, content: bytes) -> None:
    (store.folder / "store.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"store\.json is damaged"):
        Store.open(store.folder, create=True)


def test_weights_that_are_a_folder_and_records_without_end_count_as_damaged(store: Store, stored: Run) -> None:
    weights = store.folder / f"{stored.identity.key}.safetensors"
    weights.unlink()
    weights.mkdir()
    assert store.find(stored.identity, set_aside=False) is None
    record(store, stored.identity).write_text("[" * 100_000)
    assert store.find(stored.identity, set_aside=False) is None


def test_what_killed_writers_left_is_removed_after_an_hour(store: Store, stored: Run) -> None:
    fresh, stale = (record(store, stored.identity).with_name(f".seed-{n}.torch-1.json.0123abcd") for n in (1, 2))
    others = [store.folder / name for name in (".bashrc", ".store.json", ".secret.json.bak", "notes.txt", ".git")]
    for path in (fresh, stale, *others):
        path.write_text("half a rec")
    for path in (stale, *others):
        os.utime(path, (0, 0))
    Store.open(store.folder, create=True)
    assert fresh.exists()
    assert not stale.exists()
    assert all(path.exists() for path in others), "a store may be any folder: its other files are not ours"


def test_what_a_really_killed_writer_leaves_is_found(store: Store, identity: RunIdentity) -> None:
    """The kernel kills a writer in the middle of its write; a day later a climb opens the store."""
    target = record(store, identity)
    script = (
        "import pathlib, resource, signal, stepladder._base.files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        f"stepladder._base.files.write_atomically(pathlib.Path({str(target)!r}), bytes(1000))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGXFSZ
    (left,) = target.parent.iterdir()
    assert not target.exists()
    os.utime(left, (0, 0))
    Store.open(store.folder, create=True)
    assert not left.exists()


def test_a_folder_that_cannot_take_damaged_files_is_said(store: Store, stored: Run) -> None:
    for name in ASIDE:
        (store.folder / name).write_text("in the way")
    path = record(store, stored.identity)
    cut_in_half(path)
    before = path.read_bytes()
    with pytest.raises(LeftAloneError, match="cannot be set aside"):
        store.find(stored.identity, set_aside=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("is_link", [False, True])
def test_damaged_files_go_to_another_folder_of_the_store(
    store: Store, stored: Run, tmp_path: Path, is_link: bool
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    if is_link:
        (store.folder / "damaged").symlink_to(outside)
    else:
        (store.folder / "damaged").write_text("in the way")
    path = record(store, stored.identity)
    cut_in_half(path)
    before = path.read_bytes()
    assert store.find(stored.identity, set_aside=True) is None
    (aside,) = (store.folder / "damaged-2").iterdir()
    assert (aside / path.name).read_bytes() == before
    assert f"trained again, set aside in {aside}" in store.notes[0]
    assert not list(outside.iterdir())


def test_what_is_behind_a_link_out_of_the_store_is_left_alone(
    store: Store, stored: Run, steps: list[Progress], tmp_path: Path, tiny_ladder: Path, engine: Engine
) -> None:
    store.checkpoint(stored.identity, checkpoint_file(stored.identity, steps[0]))
    for path in (record(store, stored.identity), store.partial_path(stored.identity)):
        cut_in_half(path)
    folder, outside = record(store, stored.identity).parent, tmp_path / "outside"
    folder.rename(outside)
    folder.symlink_to(outside)
    before = {path.name: path.read_bytes() for path in outside.iterdir()}
    with pytest.raises(LeftAloneError, match="is a link out of this store: nothing there is moved"):
        store.resume(stored.identity)
    with pytest.raises(LeftAloneError):
        store.find(stored.identity, set_aside=True)
    (failure,) = climb(load(tiny_ladder), store=store, engine=engine, seeds=[1], jobs=1)
    assert "is a link out of this store" in failure.reason
    record(store, stored.identity).unlink()
    (failure,) = climb(load(tiny_ladder), store=store, engine=engine, seeds=[1], jobs=1)
    assert "is a link out of this store" in failure.reason
    assert {path.name: path.read_bytes() for path in outside.iterdir() if path.suffix != ".json"} == {
        name: content for name, content in before.items() if not name.endswith(".json")
    }


def test_two_climbs_may_set_the_same_file_aside(store: Store, stored: Run) -> None:
    cut_in_half(record(store, stored.identity))
    other = Store.open(store.folder)
    assert store.find(stored.identity, set_aside=True) is None
    assert other.find(stored.identity, set_aside=True) is None


def test_files_may_be_read_by_others_as_the_umask_allows(store: Store, stored: Run) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert record(store, stored.identity).stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize(
    "content", ['{"torch-x": 0}', '{"torch-x": NaN}', '{"torch-x": 1e-300}', '{"torch-x": -5}', "[]"]
)
def test_damaged_speeds_are_no_speeds(tmp_path: Path, content: str) -> None:
    (tmp_path / "speed.json").write_text(content)
    assert speeds.read(tmp_path) == {}


def test_speeds_that_cannot_be_kept_do_no_harm(tmp_path: Path) -> None:
    speeds.note(tmp_path, tag="torch-x", macs_per_s=1e9)
    assert speeds.read(tmp_path) == {"torch-x": 1e9}
    (tmp_path / "speed.json").unlink()
    (tmp_path / "speed.json").mkdir()
    speeds.note(tmp_path, tag="torch-x", macs_per_s=1e9)
    assert speeds.read(tmp_path) == {}


def test_a_store_opens_while_others_write_to_it(tmp_path: Path) -> None:
    """Files under way vanish between being listed and being looked at."""
    Store.open(tmp_path, create=True)
    script = (
        "import sys, pathlib\n"
        "from stepladder._base.files import write_atomically\n"
        "path = pathlib.Path(sys.argv[1]) / ('0' * 16) / 'seed-1.jit.partial.safetensors'\n"
        "while True: write_atomically(path, b'x')\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    try:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            Store.open(tmp_path, create=True)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
