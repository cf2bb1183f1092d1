"""Folders and files of TensorBoard: named after rungs, replaced whole, and read while they grow."""

from dataclasses import replace
from pathlib import Path

import pytest

from stepladder.errors import TrackerError
from stepladder.testing.trackers import made_up
from stepladder.tracking.event_file import event_file
from stepladder.tracking.tensorboard import LIVE, TensorBoard


def files(folder: Path) -> dict[str, bytes]:
    """Those that have something in them."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if content}


def test_a_run_has_a_folder_in_that_of_its_rung(tmp_path: Path) -> None:
    TensorBoard(str(tmp_path)).tell(made_up(group="with rotation", seed=7))
    (name,) = files(tmp_path)
    assert name.startswith("suite/with rotation/seed-7-")
    assert "/events.out.tfevents.1700000030." in name


def test_nothing_is_written_over_what_is_the_same(tmp_path: Path) -> None:
    TensorBoard(str(tmp_path)).tell(made_up())
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = path.stat()
    assert not TensorBoard(str(tmp_path)).tell(made_up())
    assert path.stat() == before


def test_a_run_moves_with_its_rung(tmp_path: Path) -> None:
    """It is one run in TensorBoard, whatever the rung is called by now."""
    run = made_up()
    TensorBoard(str(tmp_path)).tell(run)
    renamed = replace(run, group="begin", tags={**run.tags, "rung": "begin"})
    assert TensorBoard(str(tmp_path)).tell(renamed)
    (content,) = files(tmp_path).values()
    assert content == event_file(renamed)
    assert {name.split("/")[1] for name in files(tmp_path)} == {"begin"}


@pytest.mark.parametrize(("one", "other"), [("日本", "中文"), ("a/b", "a b"), ("x" * 101, "x" * 102), ("a", "a-")])
def test_two_ladders_are_two_folders(one: str, other: str, tmp_path: Path) -> None:
    """An experiment on both is in both, and replaying one leaves the other's alone."""
    runs = [replace(made_up(), project=project) for project in (one, other)]
    assert [TensorBoard(str(tmp_path)).tell(run) for run in runs] == [True, True]
    assert [TensorBoard(str(tmp_path)).tell(run) for run in runs] == [False, False]
    assert sorted(files(tmp_path).values()) == sorted(map(event_file, runs))


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    """A file that is cut off, one that grew, and one on its way."""
    TensorBoard(str(tmp_path)).tell(made_up())
    (whole,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    whole.write_bytes(whole.read_bytes()[:100])
    (whole.parent / LIVE).write_bytes(b"half")
    assert TensorBoard(str(tmp_path)).tell(made_up())
    assert files(whole.parent) == {whole.name: event_file(made_up())}
    assert not TensorBoard(str(tmp_path)).tell(made_up())
    assert [path.name for path in whole.parent.iterdir()] == [whole.name]


def test_a_reader_that_saw_a_run_grow_has_each_epoch_once_at_the_end(tmp_path: Path) -> None:
    """The final file begins a session: what TensorBoard read of the growing one is forgotten."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker, late = TensorBoard(str(tmp_path)), made_up()
    tracker.tell(made_up(n=1, state="running"))
    (folder,) = tmp_path.glob("suite/start/*")
    reader = EventAccumulator(str(folder)).Reload()
    for n in (2, 3):
        tracker.tell(made_up(n=n, state="running"))
        assert [each.step for each in reader.Reload().Scalars("train/loss")] == list(range(1, n + 1))
    later = tuple(replace(point, at_s=point.at_s + 1) for point in late.points)
    tracker.tell(replace(late, points=later))
    scalars = reader.Reload().Scalars("train/loss")
    assert [each.step for each in scalars] == [1, 2, 3]
    assert [each.wall_time for each in scalars] == [point.at_s for point in later]


def test_a_folder_that_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrackerError, match=r"cannot write to .*give another folder with --log-dir"):
        TensorBoard(str(tmp_path / "file")).tell(made_up())
    with pytest.raises(TrackerError, match="an empty path is no folder"):
        TensorBoard("")
