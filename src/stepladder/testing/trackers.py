"""What is relied on in whoever is told of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pytest

from stepladder.tracking.told import Point, State, TrackedRun
from stepladder.tracking.trackers import Tracker

PAST_S = 1_700_000_000.0
EPOCH_S = 10.0
CLOSE = 1e-6  # of a value: float32 will do
CLOSE_S = 0.01


@dataclass(frozen=True)
class Seen:
    """A run as a tracker has it: its group, its parameters as texts, its values by metric and epoch, and their times.

    ``times_s`` are those of the epochs that have values, in seconds since 1970.
    """

    group: str
    params: Mapping[str, str]
    values: Mapping[str, Mapping[int, float]]
    times_s: Mapping[int, float]


def made_up(*, group: str = "start", seed: int = 1, n: int = 3, state: State = "finished") -> TrackedRun:
    """A run of n epochs of ten seconds each, long ago."""
    points = tuple(
        Point(epoch, PAST_S + EPOCH_S * epoch, {"train/loss": 2.0 / epoch + seed, "test/accuracy": 90.0 + epoch / 3})
        for epoch in range(1, n + 1)
    )
    return TrackedRun(
        id=sha256(f"{group}, {seed}".encode()).hexdigest()[:16],
        project="suite",
        group=group,
        seed=seed,
        params={"network": "conv 8 3x3, gap, linear 10", "lr": 0.05, "epochs": 3, "augment.mirror": False},
        tags={"rung": group, "seed": str(seed), "engine": "jit 1.0 on cpu, revision 1"},
        points=points,
        began_s=PAST_S,
        state=state,
    )


class TrackerConformance:
    """Tests that a tracker passes. Derive from it, name the class Test..., and give ``make_tracker`` and ``seen``.

    ``shows_running`` is False for one whose runs cannot be read before they are over.
    """

    shows_running: ClassVar[bool] = True

    def make_tracker(self, folder: Path) -> Tracker:
        """A new one, as another process would make it, on what is in the folder."""
        raise NotImplementedError("give make_tracker, which returns a tracker that writes to a folder")

    def seen(self, folder: Path) -> Sequence[Seen]:
        """All runs of the project "suite" that were written to a folder, in any order."""
        raise NotImplementedError("give seen, which reads what the tracker wrote to a folder")

    def leave(self, tracker: Tracker) -> None:
        """What becomes of a tracker whose process is killed: nothing, where that makes no difference to the next."""

    def tell(self, folder: Path, *runs: TrackedRun) -> list[bool]:
        """What a process does that is told of runs, and ends."""
        tracker = self.make_tracker(folder)
        said = [tracker.tell(run) for run in runs]
        tracker.close()
        return said

    def test_it_says_where_to_look(self, tmp_path: Path) -> None:
        assert str(tmp_path) in self.make_tracker(tmp_path).where

    def test_a_run_is_there_whole(self, tmp_path: Path) -> None:
        run = made_up()
        assert self.tell(tmp_path, run) == [True]
        (seen,) = self.seen(tmp_path)
        require_seen(seen, run)

    def test_what_is_told_again_changes_nothing(self, tmp_path: Path) -> None:
        """By the same process and by the next one; and what is new among it is added."""
        one, other = made_up(), made_up(seed=2)
        tracker = self.make_tracker(tmp_path)
        assert [tracker.tell(one), tracker.tell(one)] == [True, False]
        tracker.close()
        before = self.seen(tmp_path)
        assert self.tell(tmp_path, one) == [False]
        assert self.seen(tmp_path) == before
        assert self.tell(tmp_path, one, other) == [False, True]
        assert len(self.seen(tmp_path)) == 2

    def test_seeds_are_together_in_the_group_of_their_rung(self, tmp_path: Path) -> None:
        runs = [made_up(group=group, seed=seed) for group in ("start", "with rotation") for seed in (1, 2)]
        self.tell(tmp_path, *runs)
        groups = sorted(seen.group for seen in self.seen(tmp_path))
        assert groups == ["start", "start", "with rotation", "with rotation"]

    def test_a_run_grows_while_it_trains(self, tmp_path: Path) -> None:
        """And ends with what it would have been told at once."""
        tracker, run = self.make_tracker(tmp_path), made_up()
        for n in range(1, len(run.points) + 1):
            assert tracker.tell(made_up(n=n, state="running"))
            if self.shows_running:
                (seen,) = self.seen(tmp_path)
                require_seen(seen, made_up(n=n))
        assert not tracker.tell(made_up(state="running"))
        assert tracker.tell(run)
        tracker.close()
        (seen,) = self.seen(tmp_path)
        require_seen(seen, run)

    @pytest.mark.parametrize("state", ["running", "stopped"])
    def test_a_run_that_was_left_in_the_middle_is_made_whole(self, state: State, tmp_path: Path) -> None:
        """By another process, whether the first one was killed (it never closes) or stopped."""
        tracker = self.make_tracker(tmp_path)
        tracker.tell(made_up(n=1, state="running"))
        if state == "stopped":
            tracker.tell(made_up(n=2, state="stopped"))
            tracker.close()
        self.leave(tracker)
        assert self.tell(tmp_path, made_up()) == [True]
        (seen,) = self.seen(tmp_path)
        require_seen(seen, made_up())
        assert self.tell(tmp_path, made_up()) == [False]

    def test_a_run_that_is_over_stays_as_it_is(self, tmp_path: Path) -> None:
        run = made_up()
        self.tell(tmp_path, run)
        assert self.tell(tmp_path, made_up(n=1, state="running")) == [False]
        (seen,) = self.seen(tmp_path)
        require_seen(seen, run)

    def test_a_run_that_diverged_at_once_is_taken(self, tmp_path: Path) -> None:
        run = made_up(n=0, state="diverged")
        assert self.tell(tmp_path, run) == [True]
        assert self.tell(tmp_path, run) == [False]

    def test_odd_names_are_taken_and_lead_nowhere_else(self, tmp_path: Path) -> None:
        names = ("../../out", "a/b: \"ü\" 'c' | d\n", " ", "x" * 200)
        runs = [replace(made_up(seed=seed), group=name) for seed, name in enumerate(names, 1)]
        (tmp_path / "in").mkdir()
        assert self.tell(tmp_path / "in", *runs) == [True] * len(runs)
        assert len(self.seen(tmp_path / "in")) == len(runs)
        assert [path.name for path in tmp_path.iterdir()] == ["in"]


def require_seen(seen: Seen, run: TrackedRun) -> None:
    """All of a run, and nothing else: each metric at each epoch once, at its time."""
    assert seen.group == run.group
    for name, value in run.params.items():
        assert seen.params[name].lower() == str(value).lower(), name
    names = {name for point in run.points for name in point.metrics}
    assert set(seen.values) == names
    for name in names:
        wanted = {point.epoch: point.metrics[name] for point in run.points}
        assert seen.values[name] == pytest.approx(wanted, rel=CLOSE), name
    assert seen.times_s == pytest.approx({point.epoch: point.at_s for point in run.points}, abs=CLOSE_S, rel=0)
