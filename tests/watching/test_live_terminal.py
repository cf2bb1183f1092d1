"""Bars on a real terminal while a real climb goes on; lines where there is none."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TINY_LADDER
from records import make_epoch, make_run
from terminals import ANSI, on_terminal

from stepladder import Store, collect, load
from stepladder.climbing.climbing import Failure, plan
from stepladder.engines import choose_engine
from stepladder.reporting.numbers import percent
from stepladder.runs.stats import accuracy
from stepladder.watching import live
from stepladder.watching.live import LiveClimb

SEEN = re.compile(r"  rotation +seed (\d) +epoch +(\d+) of 100 +test (\d+\.\d\d%) +[━╸╺]+")
MOVES = re.compile(r"\x1b\[1A|\r|\n")  # between the lines that a terminal is told to draw, and draw again
TASKS = plan(load("mnist-8k"), seeds=range(1, 9), engine=choose_engine()[0])


def test_each_bar_shows_the_last_accuracy(tmp_path: Path, digits: Path) -> None:
    ladder = tmp_path / "tiny.toml"
    ladder.write_text(TINY_LADDER.format(data=str(digits), epochs=100))
    written = on_terminal("climb", ladder, "--top", "--seeds", 2, "--jobs", 2, "--store", tmp_path / "runs", columns=80)
    lines = [ANSI.sub("", line) for line in MOVES.split(written)]
    seen = {found.groups() for line in lines if (found := SEEN.search(line))}
    runs = {str(run.identity.seed): run for run in collect(load(ladder).top, Store.open(tmp_path / "runs")).top.runs}
    assert {seed for seed, *_ in seen} == set(runs) == {"1", "2"}
    assert len({epoch for _, epoch, _ in seen}) > 2  # it moves
    for seed, epoch, shown in seen:
        assert shown == f"{percent(accuracy(runs[seed].epochs[int(epoch) - 1]))}%"
    assert max(map(len, lines)) <= 80
    assert any(re.match(r"climb +\d of 2 runs +[━╸╺]+ .* left", line) for line in lines)
    assert any(line.startswith("rung 'rotation', seed 2: test ") for line in lines)


@pytest.mark.parametrize(
    ("columns", "name", "beside"),
    [
        (140, "n" * 40, r" +[━╸╺]+ +50% *"),
        (104, "n+…", r" +[━╸╺]+ +50% *"),
        (80, "n+…", r" +[━╸╺]+ *"),
        (66, "n+…", r" +[━╸╺]+ *"),
        (60, "n+…", " *"),
        (50, "n+…", " *"),
    ],
)
def test_on_a_narrow_terminal_a_name_is_cut_and_numbers_are_not(
    columns: int, name: str, beside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    named = replace(TASKS[0], rung=replace(TASKS[0].rung, name="n" * 40))
    with LiveClimb() as watcher:
        watcher.planned({named.identity.key: (named, 0)}, n_stored=0)
        watcher.advanced(named, epochs=[make_epoch(9_891)] * 7)
        with watcher._console.capture() as captured:
            watcher._console.print(watcher._progress.get_renderable())
    lines = [ANSI.sub("", line) for line in MOVES.split(captured.get())]
    assert max(map(len, lines)) <= columns
    assert any(re.fullmatch(rf"  {name} +seed 1  epoch  7 of 14  test 98\.91%{beside}", line) for line in lines)


@pytest.mark.parametrize("columns", [47, 30, 20])
def test_where_words_find_no_room_numbers_do(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    with LiveClimb() as watcher:
        watcher.planned({task.identity.key: (task, 0) for task in TASKS}, n_stored=0)
        watcher.advanced(TASKS[0], epochs=[make_epoch(9_891)] * 7)
        with watcher._console.capture() as captured:
            watcher._console.print(watcher._progress.get_renderable())
    lines = [ANSI.sub("", line).rstrip() for line in MOVES.split(captured.get())]
    assert max(map(len, lines)) <= columns
    assert any(re.fullmatch(r"climb +0/48 runs", line) for line in lines), lines
    assert any(re.fullmatch(r"  skel\S+ 7/14 98\.91%", line) for line in lines), lines


def watched(tell: Callable[[LiveClimb], None]) -> None:
    with LiveClimb() as watcher:
        watcher.planned({task.identity.key: (task, 0) for task in TASKS}, n_stored=0)
        tell(watcher)


def test_without_a_terminal_a_finished_run_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def tell(watcher: LiveClimb) -> None:
        for task in TASKS[:6]:
            watcher.advanced(task, epochs=[make_epoch(9_000)] * 3)
        watcher.finished(TASKS[0], make_run(1, [9_800] * 14))

    watched(tell)
    first, finished = capsys.readouterr().err.splitlines()
    assert first == "0 of 48 runs are stored; 48 to train."
    assert finished.startswith("rung 'skeleton', seed 1: test 98.00%, below ")


def test_without_a_terminal_a_line_now_and_then_has_the_last_accuracies(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(watcher: LiveClimb) -> None:
        for number, task in enumerate(TASKS[:6]):
            watcher.advanced(task, epochs=[make_epoch(9_000 + number)] * 3)
        monkeypatch.setattr(live, "LINE_EVERY_S", 0)
        watcher.advanced(TASKS[0], epochs=[make_epoch(9_399)] * 4)
        monkeypatch.setattr(live, "LINE_EVERY_S", 60)
        watcher.advanced(TASKS[0], epochs=[make_epoch(9_500)] * 5)

    watched(tell)
    _, line = capsys.readouterr().err.splitlines()
    assert re.match(r"3% done, about \d+ (s|min|h).* left; rung 'skeleton', seed 1: epoch 4 of 14, test 93.99%; ", line)
    assert "; rung 'skeleton', seed 4: epoch 3 of 14, test 90.03%; 2 more runs" in line
    assert "seed 5" not in line


def test_a_run_that_was_never_to_be_trained_may_fail(capsys: pytest.CaptureFixture[str]) -> None:
    """One that a newer Stepladder has stored."""
    with LiveClimb() as watcher:
        watcher.planned({}, n_stored=0)
        watcher.failed(Failure(TASKS[0], "a newer Stepladder wrote it"))
    assert "note: rung 'skeleton', seed 1: a newer Stepladder wrote it; the others go on" in capsys.readouterr().err
