"""A climb in a few lines: never more than twelve, however many runs and notes there are."""

import random

import pytest
from records import make_epoch, make_run

from stepladder.climbing.climbing import Failure, Task, plan
from stepladder.engines import choose_engine
from stepladder.ladders.ladder_file import load
from stepladder.watching.brief import BriefClimb

LADDER = load("mnist-8k")
TASKS = plan(LADDER, seeds=range(1, 31), engine=choose_engine()[0])
MOST_LINES = 12


def climbed(tasks: list[Task], *, n_notes: int = 0, n_failures: int = 0) -> None:
    with BriefClimb() as watcher:
        watcher.planned({task.identity.key: (task, 0) for task in tasks}, n_stored=5)
        for number in range(n_notes):
            watcher.noted(f"number\n{number}")
            watcher.noted("the same again")
        for task in tasks[:n_failures]:
            watcher.failed(Failure(task, "failed twice"))
        for task in tasks[n_failures:]:
            for epoch in range(1, task.identity.recipe.epochs + 1):
                watcher.advanced(task, epochs=[make_epoch(9_000)] * epoch)
            watcher.finished(task, make_run(task.identity.seed, [9_900]))


@pytest.mark.parametrize("n", [1, 2, 5, 180])
@pytest.mark.parametrize("n_notes", [0, 3, 40])
@pytest.mark.parametrize("n_failures", [0, 1])
def test_it_is_at_most_twelve_lines(n: int, n_notes: int, n_failures: int, capsys: pytest.CaptureFixture[str]) -> None:
    climbed(random.Random(n).sample(TASKS, n), n_notes=n_notes, n_failures=n_failures)
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) <= MOST_LINES


def test_it_says_how_much_and_how_far(capsys: pytest.CaptureFixture[str]) -> None:
    climbed(TASKS, n_notes=6, n_failures=1)
    first, *between, last = capsys.readouterr().err.splitlines()
    assert first == "5 of 185 runs are stored; 180 to train."
    assert [line.partition("%")[0] for line in between if "% done" in line] == ["17", "33", "50", "67", "83"]
    assert [line for line in between if line.startswith("note: ")][:2] == ["note: number 0", "note: the same again"]
    assert last.startswith("179 runs trained in ")
    assert last.endswith("; 1 run failed. 4 more notes.")


def test_what_is_stored_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    climbed([])
    assert capsys.readouterr().err == "5 of 5 runs are stored; 0 to train.\n"


def test_a_climb_that_breaks_off_says_nothing_more(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = BriefClimb()
    watcher.planned({task.identity.key: (task, 0) for task in TASKS}, n_stored=0)
    with pytest.raises(KeyboardInterrupt), watcher:
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "0 of 180 runs are stored; 180 to train.\n"


def test_what_was_trained_before_does_not_count_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    task = TASKS[0]
    with BriefClimb() as watcher:
        watcher.planned({task.identity.key: (task, 7)}, n_stored=0)
        watcher.advanced(task, epochs=[make_epoch(9_000)] * 7)
        watcher.advanced(task, epochs=[make_epoch(9_000)] * 10)
    assert "43% done" in capsys.readouterr().err
