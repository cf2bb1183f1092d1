"""What was checked once is not checked again while it is as it was, and nothing that is shown is wrong for that."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Once
from stored import LADDER, make_store

from stepladder._base.files import sealed
from stepladder.errors import StoreError
from stepladder.ladders.ladder import Ladder
from stepladder.ladders.ladder_file import load
from stepladder.runs import index
from stepladder.runs.housekeeping import experiments
from stepladder.runs.results import Results, collect
from stepladder.runs.run import Run
from stepladder.runs.store import Store

OPENED: set[str] = set()  # what this process opens
TICK_S = 0.02  # a few of the clock that files' times are of


def _note_opened(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        OPENED.add(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else "")


sys.addaudithook(_note_opened)


@pytest.fixture
def ladder(tmp_path: Path, once: Once, monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """A ladder beside a store of its four runs, all old enough to be noted."""
    shutil.copytree(once("stored to be indexed", make_store), tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "runs" / "index", ignore_errors=True)
    time.sleep(TICK_S)
    monkeypatch.setattr(index, "SETTLED_NS", 0)
    (tmp_path / "small.toml").write_text(LADDER)
    return load(tmp_path / "small.toml")


def folder_of(ladder: Ladder) -> Path:
    return Path(ladder.source).parent / "runs"


def shown(ladder: Ladder, folder: Path | None = None) -> tuple[Results, list[str]]:
    """What a command shows of the runs, and notes."""
    store = Store.open(folder or folder_of(ladder))
    return collect(ladder, store), store.notes


def n_checked(ladder: Ladder, folder: Path | None = None) -> int:
    """Of how many runs the weights are read when they are shown."""
    OPENED.clear()
    shown(ladder, folder)
    return sum(name.endswith("cpu-r2.safetensors") for name in OPENED)


def first_run(ladder: Ladder) -> tuple[Run, Path]:
    """A run, and its record."""
    run = shown(ladder)[0].rungs[0].runs[0]
    return run, folder_of(ladder) / f"{run.identity.key}.json"


def change_in_place(path: Path, content: bytes) -> None:
    """Other bytes of the same size in the same file, and its time as it was."""
    was = path.stat()
    assert len(content) == was.st_size
    time.sleep(TICK_S)
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (was.st_mtime_ns, was.st_ino)


def flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 64]) + content[-2:]


@contextmanager
def indexed(ladder: Ladder) -> Iterator[dict[str, dict[str, Any]]]:
    """What the index says, by experiment; what is changed of it is written as the index itself would."""
    files = sorted((folder_of(ladder) / "index").iterdir())
    content = {path.name.partition(".")[0]: json.loads(path.read_bytes())["index"] for path in files}
    yield content
    for path in files:
        path.write_bytes(sealed("index", content[path.name.partition(".")[0]], version=index.FORMAT_VERSION))


def test_what_was_checked_is_not_checked_again(ladder: Ladder) -> None:
    assert n_checked(ladder) == 4
    once_more, notes = shown(ladder)
    assert n_checked(ladder) == 0
    shutil.rmtree(folder_of(ladder) / "index")
    anew, _ = shown(ladder)
    assert [each.runs for each in once_more] == [each.runs for each in anew]
    assert not notes
    assert n_checked(ladder) == 0


def test_what_is_too_fresh_to_be_known_by_its_time_is_checked_again(
    ladder: Ladder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's racily clean files: with other bytes of the same size, written in the same tick, they would look alike."""
    monkeypatch.undo()
    assert [n_checked(ladder), n_checked(ladder)] == [4, 4]
    assert not list((folder_of(ladder) / "index").iterdir())


def test_weights_changed_in_place_with_the_same_size_and_time_are_seen(ladder: Ladder) -> None:
    run, record = first_run(ladder)
    weights = record.with_suffix(".safetensors")
    change_in_place(weights, flipped(weights.read_bytes()))
    results, notes = shown(ladder)
    assert run not in results.rungs[0].runs
    assert len(results.rungs[0].runs) == 1
    assert "weights are missing or damaged" in "".join(notes)


def test_a_record_changed_in_place_with_the_same_size_and_time_is_seen(ladder: Ladder) -> None:
    run, record = first_run(ladder)
    tree = run.model_dump(mode="json")
    tree["provenance"]["finished_at"] = tree["provenance"]["finished_at"].replace("20", "21", 1)
    version = json.loads(record.read_bytes())["format_version"]
    change_in_place(record, sealed("run", tree, version=version))
    assert n_checked(ladder) == 1
    (again, _), (_, notes) = first_run(ladder), shown(ladder)
    assert again.provenance.finished_at == tree["provenance"]["finished_at"]
    tree["epochs"][-1]["n_correct"] += 1 if tree["epochs"][-1]["n_correct"] % 10 < 9 else -1
    assert not notes
    change_in_place(record, sealed("run", tree, version=version))  # of a right checksum, and it cannot be true
    results, notes = shown(ladder)
    assert len(results.rungs[0].runs) == 1
    assert "contradicts itself" in "".join(notes)


def test_a_run_replaced_by_another_of_the_same_size_is_checked(ladder: Ladder) -> None:
    _, record = first_run(ladder)
    weights = record.with_suffix(".safetensors")
    other = weights.with_name(weights.name.replace("seed-1.", "seed-2."))
    assert other.stat().st_size == weights.stat().st_size
    shutil.copy2(other, weights)
    results, notes = shown(ladder)
    assert len(results.rungs[0].runs) == 1
    assert "damaged" in "".join(notes)


@pytest.mark.parametrize("copy", [shutil.copy, shutil.copy2], ids=["cp -r", "rsync -t"])
def test_a_copied_store_is_checked_once(ladder: Ladder, tmp_path: Path, copy: Callable[[str, str], str]) -> None:
    shown(ladder)
    shutil.copytree(folder_of(ladder), tmp_path / "copied", copy_function=copy)
    time.sleep(TICK_S)
    assert [n_checked(ladder, tmp_path / "copied") for _ in range(2)] == [4, 0]


def whole(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def newer(path: Path) -> None:
    body = json.loads(path.read_bytes())
    path.write_bytes(sealed("index", body["index"], version=index.FORMAT_VERSION + 1))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: whole(path, b""),
    "cut": lambda path: whole(path, path.read_bytes()[:90]),
    "flipped": lambda path: whole(path, flipped(path.read_bytes())),
    "foreign": lambda path: whole(path, b'{"some": "file"}'),
    "a list": lambda path: whole(path, sealed("index", [1], version=1)),
    "no entries": lambda path: whole(path, sealed("index", {"checks": "", "runs": 3}, version=1)),
    "newer": newer,
    "deleted": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_index_costs_time_alone(ladder: Ladder, damage: Callable[[Path], object]) -> None:
    before, _ = shown(ladder)
    for path in (folder_of(ladder) / "index").iterdir():
        damage(path)
    OPENED.clear()
    after, notes = shown(ladder)
    assert sum(name.endswith("cpu-r2.safetensors") for name in OPENED) == 4
    assert [each.runs for each in before] == [each.runs for each in after]
    assert not notes
    assert n_checked(ladder) == 0, "it was written anew"


@pytest.mark.parametrize("entry", [7, [], ["x"], [None] * 5, ["", -1, 0.5, True, {}], "12345"], ids=str)
def test_entries_that_are_none_count_as_none(ladder: Ladder, entry: object) -> None:
    shown(ladder)
    with indexed(ladder) as content:
        for each in content.values():
            each["runs"] = dict.fromkeys(each["runs"], entry)
    assert n_checked(ladder) == 4
    assert n_checked(ladder) == 0


def test_what_another_version_checked_is_checked_again(ladder: Ladder) -> None:
    shown(ladder)
    with indexed(ladder) as content:
        for each in content.values():
            each["checks"] = "0" * 64
    assert n_checked(ladder) == 4


def test_an_index_that_cannot_be_written_is_done_without(ladder: Ladder, tmp_path: Path) -> None:
    (folder_of(ladder) / "index").touch()
    assert [n_checked(ladder), n_checked(ladder)] == [4, 4]
    (folder_of(ladder) / "index").unlink()
    (tmp_path / "elsewhere").mkdir()
    (folder_of(ladder) / "index").symlink_to(tmp_path / "elsewhere")
    assert [n_checked(ladder), n_checked(ladder)] == [4, 4]
    assert not list((tmp_path / "elsewhere").iterdir()), "nothing is written behind a link out of the store"


def test_two_processes_lose_nothing_but_time(ladder: Ladder) -> None:
    stores = [Store.open(folder_of(ladder)) for _ in range(2)]
    found = [collect(ladder, store, seeds=[1]) for store in stores]  # neither knows of the other's
    for store in stores:
        collect(ladder, store)
    assert found[0] == found[1]
    assert n_checked(ladder) == 0


def test_weights_that_fail_when_they_are_used_are_not_believed_again(ladder: Ladder) -> None:
    """As when a disk loses bits and no time changes: here the index is made to say that they are sound."""
    run, record = first_run(ladder)
    weights = record.with_suffix(".safetensors")
    weights.write_bytes(flipped(weights.read_bytes()))
    now = weights.stat()
    with indexed(ladder) as content:
        entry = content[run.identity.experiment]["runs"][record.stem]
        entry[1:] = [now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino]
    store = Store.open(folder_of(ladder))
    assert run in collect(ladder, store).rungs[0].runs
    states = {each.key: each.state for found in experiments(store, [ladder]) for each in found.runs}
    assert states[run.identity.key] == "damaged", "what is about to check or copy runs trusts no index"
    with pytest.raises(StoreError, match="its weights are missing or damaged"):
        store.weights(run)
    assert run not in collect(ladder, store).rungs[0].runs
    assert run not in shown(ladder)[0].rungs[0].runs


def test_what_is_gone_leaves_the_index(ladder: Ladder) -> None:
    run, record = first_run(ladder)
    record.unlink()
    record.with_suffix(".safetensors").unlink()
    other = record.with_name(record.name.replace("seed-1.", "seed-2."))
    with suppress(FileNotFoundError):
        os.utime(other.with_suffix(".safetensors"))  # it is checked again, and its file of the index written
    time.sleep(TICK_S)
    shown(ladder)
    with indexed(ladder) as content:
        assert list(content[run.identity.experiment]["runs"]) == [other.stem]
