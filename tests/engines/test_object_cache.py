"""Whatever lies in the cache of machine code: the numbers are those without it, and nothing foreign is run."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from conftest import stepladder_command
from here import train_here
from processes import Climb

from stepladder.climbing.climbing import plan
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.engines.jit.code import object_cache
from stepladder.engines.jit.code.machine_code import assembly, labelled, object_code
from stepladder.engines.jit.code.target import host
from stepladder.engines.jit.engine import kernels_for
from stepladder.engines.jit.engine import plan as plan_code
from stepladder.ladders.ladder_file import load
from stepladder.runs.run import Run, RunIdentity
from stepladder.runs.store import Store

LADDER = """\
name = "cached"
data = {data!r}
evaluate_on = "test"
budget = {{ params = 1000, epochs = 9 }}
target = {{ accuracy = 2, last_epochs = 1 }}

[[rung]]
name = "start"
why = "quickly compiled"
[rung.recipe]
network = ["gap", "linear 10"]
lr = 0.05
epochs = 2

[[rung]]
name = "smoothed"
why = "other code"
change.loss = {{ label_smoothing = 0.1 }}

[[rung]]
name = "too fast"
why = "diverges"
change.lr = 1e38
"""

Result = tuple[dict[str, object], bytes]
NOBODY = 54321


class Place:
    """A ladder of little work, its stores and caches."""

    def __init__(self, folder: Path, digits: Path) -> None:
        few = folder / "few.npz"
        images = data.load(str(digits))
        train, test = images.train[:400], images.test[:100]
        np.savez(
            few,
            x_train=train.images[:, 0],
            y_train=train.labels,
            x_test=test.images[:, 0],
            y_test=test.labels,
        )
        self.folder, self.source = folder, str(few)
        self.ladder = folder / "cached.toml"
        self.ladder.write_text(LADDER.format(data=self.source))
        self.engine, _ = choose_engine("jit")
        self.start, self.smoothed, self.too_fast = (
            task.identity for task in plan(load(self.ladder), seeds=[1], engine=self.engine)
        )

    def trained(self, store: Path, *identities: RunIdentity) -> tuple[list[Result], list[str]]:
        """Numbers and weights of runs trained in a new store, and what was said."""
        opened = Store.open(store, create=True)
        notes = [note for each in identities for note in train_here(Store.open(store), self.source, each)]
        runs = [self.run(store, each) for each in identities]
        return [(run.numbers(), (store / f"{run.identity.key}.safetensors").read_bytes()) for run in runs], [
            *notes,
            *opened.notes,
        ]

    def run(self, store: Path, identity: RunIdentity) -> Run:
        run = Store.open(store).find(identity, set_aside=False)
        assert run is not None
        return run

    def code(self, identity: RunIdentity, *, made_wrong: Callable[[str], str]) -> tuple[str, bytes, bytes]:
        """The key of a run's code in the cache, what lies there, and code made of a changed text under that key."""
        splits = data.splits(data.load(self.source), n_dev=0)
        recipe = identity.recipe
        planned = plan_code(recipe.network_for(splits.image), recipe, n_train=len(splits.train), target=host())
        text = assembly(kernels_for(planned, recipe, host()))
        right = {object_code(text + labelled(path.name), host()): path.name for path in entries()}
        (key,) = [name for code, name in right.items() if object_cache.read(name) == code]
        kept = object_cache.read(key)
        assert kept is not None
        return key, kept, object_code(made_wrong(text) + labelled(key), host())


def entries() -> list[Path]:
    return sorted(object_cache.folder().glob("[!.]*"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Place:
    return Place(tmp_path_factory.mktemp("cached"), digits)


@pytest.fixture(scope="module")
def filled(place: Place) -> Path:
    """A cache with the code of two runs."""
    folder = place.folder / "filled"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEPLADDER_CACHE", str(folder))
        place.trained(place.folder / "filling", place.start, place.smoothed)
        assert len(entries()) == 2
    return folder


@pytest.fixture(scope="module")
def without(place: Place) -> list[Result]:
    """What is right: numbers and weights of two runs trained without any cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEPLADDER_CACHE", "/dev/null/none")
        results, notes = place.trained(place.folder / "without", place.start, place.smoothed)
    assert notes == []
    return results


@pytest.fixture
def cache(tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a test may damage."""
    shutil.copytree(filled, tmp_path / "cache", copy_function=shutil.copy2)
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    assert all(object_cache.read(path.name) for path in entries())
    return tmp_path / "cache"


def swapped(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def swapped_with_right_digests(one: Path, other: Path) -> None:
    first, second = object_cache.read(one.name), object_cache.read(other.name)
    assert first is not None
    assert second is not None
    object_cache.write(one.name, second)
    object_cache.write(other.name, first)


def one_for_both(one: Path, other: Path) -> None:
    shutil.copy2(one, other)


def garbage(one: Path, other: Path) -> None:
    one.write_bytes(Random(1).randbytes(4000))
    other.write_bytes(b"")


def garbage_with_right_digests(one: Path, other: Path) -> None:
    object_cache.write(one.name, b"\x7fELF" + Random(1).randbytes(4000))
    object_cache.write(other.name, b"")


def truncated(one: Path, other: Path) -> None:
    one.write_bytes(one.read_bytes()[:-1])
    other.write_bytes(other.read_bytes()[:40])


def one_bit(one: Path, other: Path) -> None:
    for path, at in ((one, 3), (other, 2000)):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)


def linked(one: Path, other: Path) -> None:
    for path in (one, other):
        path.rename(path.with_name("." + path.name))
        path.symlink_to(path.with_name("." + path.name))


def writable_by_others(one: Path, other: Path) -> None:
    one.chmod(0o620)
    other.chmod(0o602)


def of_another_user(one: Path, other: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(one, NOBODY, 0)
    os.chown(other, NOBODY, NOBODY)


def no_files(one: Path, other: Path) -> None:
    for path in (one, other):
        path.unlink()
    os.mkfifo(one)
    other.mkdir()


@pytest.mark.usefixtures("cache")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
@pytest.mark.parametrize(
    "damage",
    [
        swapped,
        swapped_with_right_digests,
        one_for_both,
        garbage,
        garbage_with_right_digests,
        truncated,
        one_bit,
        linked,
        writable_by_others,
        of_another_user,
        no_files,
    ],
)
def test_a_wrong_entry_is_compiled_again(
    damage: Callable[[Path, Path], None], place: Place, tmp_path: Path, without: list[Result]
) -> None:
    before = {path: path.read_bytes() for path in entries()}
    damage(*entries())
    assert place.trained(tmp_path / "runs", place.start, place.smoothed) == (without, [])
    if damage is not no_files:  # a folder in the place of a file stays: nothing of anybody's is removed
        assert {path: path.read_bytes() for path in entries()} == before
        assert not any(path.is_symlink() or path.stat().st_mode & 0o022 for path in entries())


@pytest.mark.usefixtures("cache")
def test_what_is_whole_is_loaded(place: Place, tmp_path: Path, without: list[Result]) -> None:
    before = {path: path.stat().st_ino for path in entries()}
    assert place.trained(tmp_path / "runs", place.start, place.smoothed) == (without, [])
    assert {path: path.stat().st_ino for path in entries()} == before, "they were compiled again"


def folder_linked(cache: Path) -> None:
    (cache / "machine-code").rename(cache / "elsewhere")
    (cache / "machine-code").symlink_to(cache / "elsewhere")


def named_folder_linked(cache: Path) -> None:
    cache.rename(cache.with_name("elsewhere"))
    cache.symlink_to(cache.with_name("elsewhere"))


def folder_of_another_user(cache: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    os.chown(cache / "machine-code", NOBODY, NOBODY)


def named_folder_of_another_user(cache: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    os.chown(cache, NOBODY, NOBODY)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda cache: (cache / "machine-code").chmod(0o770), "other users can write to {cache}/machine-code"),
        (lambda cache: (cache / "machine-code").chmod(0o1777), "other users can write to {cache}/machine-code"),
        (lambda cache: cache.chmod(0o775), "other users can write to {cache}"),
        (lambda cache: cache.parent.chmod(0o707), "other users can write to {cache.parent}"),
        (folder_linked, "{cache}/machine-code is a link"),
        (named_folder_linked, "{cache} is a link"),
        (folder_of_another_user, "{cache}/machine-code belongs to another user"),
        (named_folder_of_another_user, "{cache} belongs to another user"),
    ],
)
def test_a_folder_that_is_not_ones_own_is_neither_read_nor_written(
    damage: Callable[[Path], None], fault: str, place: Place, cache: Path, tmp_path: Path, without: list[Result]
) -> None:
    damage(cache)
    swapped(*entries())
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in entries()}
    results, notes = place.trained(tmp_path / "runs", place.start, place.smoothed)
    assert results == without
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in entries()} == before
    assert len(set(notes)) == 1
    assert f"every process compiles anew: {fault.format(cache=cache)};" in notes[0]
    assert "set STEPLADDER_CACHE to a folder of your own" in notes[0]


def test_a_new_cache_is_this_users_alone_whatever_the_umask(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "new" / "cache"))
    before = os.umask(0)
    try:
        place.trained(tmp_path / "runs", place.start)
    finally:
        os.umask(before)
    (entry,) = entries()
    assert object_cache.read(entry.name)
    made = (entry, object_cache.folder(), tmp_path / "new" / "cache", tmp_path / "new")
    assert [path.stat().st_mode & 0o777 for path in made] == [0o600, 0o700, 0o700, 0o700]


@pytest.mark.usefixtures("cache")
def test_code_that_kills_the_worker_is_not_loaded_twice(place: Place, tmp_path: Path, without: list[Result]) -> None:
    """Nothing tells this code from ours but that it is none; what it would take is to be this user and to mean it."""
    before = {path: path.read_bytes() for path in entries()}
    for path in entries():
        object_cache.write(path.name, b"\x7fELF" + path.name.encode() + Random(1).randbytes(4000))
    bottom = tmp_path / "two.toml"
    bottom.write_text(place.ladder.read_text().partition('[[rung]]\nname = "too fast"')[0])
    with Climb(bottom, tmp_path / "runs", "--seeds", 1, "--jobs", 1) as climbing:
        returncode, _, err = climbing.finish()
    assert returncode == 0, err
    assert err.count("lost its worker") == err.count("it is tried once more") == 2
    runs = [place.run(tmp_path / "runs", each) for each in (place.start, place.smoothed)]
    assert [run.numbers() for run in runs] == [numbers for numbers, _ in without]
    assert {path: path.read_bytes() for path in entries()} == before


@pytest.mark.usefixtures("cache")
def test_a_check_of_runs_reads_no_code_that_could_end_it(place: Place, tmp_path: Path) -> None:
    place.trained(tmp_path / "runs", place.start, place.smoothed)
    before = {path: path.read_bytes() for path in entries()}
    for path in entries():
        object_cache.write(path.name, path.name.encode() + b"garbage" * 100)
    command = [*stepladder_command(), "runs", "check", str(place.ladder), "--store", str(tmp_path / "runs")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked
    assert "2 agree with their records" in checked.stdout
    healed = {path: path.read_bytes() == content for path, content in before.items()}
    assert any(healed.values()), "what was compiled is put in the place of what was there"


@pytest.mark.usefixtures("cache")
def test_a_divergence_that_wrong_code_made_is_not_stored(place: Place, tmp_path: Path, without: list[Result]) -> None:
    """Code under its own key and digest that divides where it should multiply."""
    key, right, wrong = place.code(place.start, made_wrong=lambda text: text.replace("= fmul ", "= fdiv "))
    assert wrong != right
    object_cache.write(key, wrong)
    (result,), notes = place.trained(tmp_path / "runs", place.start)
    assert result == without[0]
    assert len(notes) == 1
    assert "machine code" in notes[0]
    assert "trained from the start" in notes[0]
    assert object_cache.read(key) == right


def test_a_true_divergence_is_the_same_with_and_without_a_cache(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[list[Result], list[str]]] = []
    for cache in ("/dev/null/none", str(tmp_path / "cache"), str(tmp_path / "cache")):
        monkeypatch.setenv("STEPLADDER_CACHE", cache)
        found.append(place.trained(tmp_path / f"runs {len(found)}", place.too_fast))
    assert found[0] == found[1] == found[2]
    assert found[0][0][0][0]["diverged_at_epoch"] is not None
    assert place.run(tmp_path / "runs 2", place.too_fast).provenance.n_resumed == 0
    assert not list(tmp_path.rglob("*.partial.safetensors"))
