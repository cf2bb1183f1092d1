"""What runs add up to: known answers by hand, and definitions written out once more."""

from decimal import Decimal
from fractions import Fraction
from random import Random
from statistics import mean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import make_epoch, make_run

from stepladder.ladders.terms import Target
from stepladder.runs.run import Run
from stepladder.runs.stats import (
    Summary,
    accuracy,
    consistent_from,
    exact_mean,
    exact_median,
    holds,
    reaches,
    summarise,
    train_accuracy,
)

HIT, MISS = 9940, 9939  # at and just below 99.4% of 10,000


def target(accuracy: str = "99.4", *, last_epochs: int = 5) -> Target:
    return Target(accuracy=Decimal(accuracy), last_epochs=last_epochs)


@given(st.lists(st.fractions(), min_size=1, max_size=9))
def test_mean_and_median_of_fractions_are_those_of_the_library(values: list[Fraction]) -> None:
    assert exact_mean(values) == mean(values)
    assert exact_median(values) == median(values)


@pytest.mark.parametrize(
    ("n_correct", "n", "of", "reached"),
    [
        (9940, 10_000, "99.4", True),
        (9939, 10_000, "99.4", False),
        (10_000, 10_000, "100", True),
        (9_999, 10_000, "100", False),
        (994, 1000, "99.40", True),
        (497, 500, "99.4", True),
        (2, 3, "66.666666666666666666666666666666", True),
        (2, 3, "66.666666666666666666666666666667", False),  # a float would call it equal
        (59_640_000, 60_000_000, "99.4", True),
        (59_639_999, 60_000_000, "99.4", False),
    ],
)
def test_the_target_is_reached_exactly_at_the_boundary(n_correct: int, n: int, of: str, reached: bool) -> None:
    target = Target(accuracy=Decimal(of), last_epochs=1)
    assert reaches(make_epoch(n_correct, n=n), target) is reached


def test_accuracies_are_exact_fractions_in_percent() -> None:
    epoch = make_epoch(9940, n_train_correct=59_123)
    assert accuracy(epoch) == Fraction("99.4")
    assert train_accuracy(epoch) == Fraction(59_123, 600)


def test_a_target_given_as_a_float_means_its_decimal() -> None:
    assert Target.model_validate({"accuracy": 99.4}).accuracy == Decimal("99.4")
    assert Decimal.from_float(99.4) > Decimal("99.4"), "the nearest binary fraction would refuse 9940 of 10,000"


@pytest.mark.parametrize(
    ("n_correct", "first"),
    [
        ([HIT] * 6, 1),
        ([MISS, HIT, HIT, HIT, HIT, HIT], 2),
        ([HIT, HIT, HIT, MISS, HIT, HIT], 5),
        ([MISS, MISS, MISS, MISS, MISS, HIT], 6),
        ([HIT, HIT, HIT, HIT, HIT, MISS], None),
        ([MISS] * 6, None),
    ],
)
def test_consistent_from(n_correct: list[int], first: int | None) -> None:
    assert consistent_from(make_run(1, n_correct), target()) == first


@pytest.mark.parametrize(
    ("n_correct", "last_epochs", "held"),
    [
        ([HIT] * 5, 5, True),
        ([MISS, HIT, HIT, HIT, HIT, HIT], 5, True),
        ([MISS, MISS, HIT, HIT, HIT, HIT], 5, False),
        ([HIT, HIT, HIT, HIT, HIT, MISS], 5, False),
        ([HIT, HIT, HIT, MISS, HIT, HIT], 2, True),
        ([HIT, HIT, HIT, MISS, HIT, HIT], 3, False),
        ([MISS, HIT], 1, True),
        ([HIT, HIT], 3, False),  # two epochs are not three
    ],
)
def test_holds(n_correct: list[int], last_epochs: int, held: bool) -> None:
    assert holds(make_run(1, n_correct), target(last_epochs=last_epochs)) is held


@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_run_that_diverged_neither_holds_nor_is_consistent(at: int) -> None:
    run = make_run(1, [HIT] * 6, diverged_at_epoch=at)
    assert len(run.epochs) == at - 1
    assert run.final is None
    assert consistent_from(run, target(last_epochs=1)) is None
    assert not holds(run, target(last_epochs=1))


def brute_consistent_from(run: Run, goal: Target) -> int | None:
    """The definition: the first epoch such that it and all later ones reach the target."""
    hits = [100 * epoch.n_correct >= goal.accuracy * epoch.n_evaluated for epoch in run.epochs]
    starts = [k for k in range(1, len(hits) + 1) if all(hits[k - 1 :])]
    return min(starts) if starts and run.diverged_at_epoch is None else None


def brute_holds(run: Run, goal: Target) -> bool:
    """The definition: there are as many epochs as asked for, and each of the last ones reaches the target."""
    last = run.epochs[-goal.last_epochs :]
    hits = [100 * epoch.n_correct >= goal.accuracy * epoch.n_evaluated for epoch in last]
    return run.diverged_at_epoch is None and len(last) == goal.last_epochs and all(hits)


@st.composite
def runs(draw: st.DrawFn, *, seed: int = 1) -> Run:
    """Runs near a target of 99.4%, a few of them diverged."""
    n_correct = draw(st.lists(st.sampled_from([MISS, HIT, HIT, HIT + 1, 10_000]), min_size=1, max_size=9))
    at = draw(st.none() | st.integers(1, len(n_correct)))
    return make_run(seed, n_correct, diverged_at_epoch=at)


targets = st.builds(
    lambda accuracy, last_epochs: target(accuracy, last_epochs=last_epochs),
    st.sampled_from(["99.39", "99.4", "99.405", "100"]),
    st.integers(1, 10),
)


@given(runs(), targets)
@settings(deadline=None)
def test_consistent_from_and_holds_are_what_their_definitions_say(run: Run, goal: Target) -> None:
    assert consistent_from(run, goal) == brute_consistent_from(run, goal)
    assert holds(run, goal) is brute_holds(run, goal)


def test_a_summary_of_three_seeds() -> None:
    found = summarise(
        [
            make_run(7, [MISS, HIT, 9960], n_train_correct=59_400),
            make_run(3, [HIT, HIT, HIT], n_train_correct=58_800),
            make_run(5, [HIT, HIT, 9920], n_train_correct=59_100),
        ],
        target(last_epochs=2),
    )
    assert found == Summary(
        seeds=(3, 5, 7),
        diverged=(),
        final_mean=Fraction("99.4"),
        final_min=Fraction("99.2"),
        final_sd=0.2,
        train_final_mean=Fraction("98.5"),
        consistent_from=(1, None, 2),
        n_held=2,
        balanced_mean=Fraction("99.4"),
    )


def test_the_mean_of_two_seeds_is_exact_and_its_sd_that_of_the_sample() -> None:
    found = summarise([make_run(1, [9940]), make_run(2, [9951])], target(last_epochs=1))
    assert found.final_mean == Fraction("99.455")
    assert found.final_sd == pytest.approx(0.11 / 2**0.5, rel=1e-12)


def test_one_seed_has_no_sd() -> None:
    found = summarise([make_run(1, [HIT] * 5)], target())
    assert (found.final_mean, found.final_min, found.final_sd) == (Fraction("99.4"), Fraction("99.4"), None)
    assert (found.seeds, found.consistent_from, found.n_held) == ((1,), (1,), 1)


def test_no_runs_say_nothing() -> None:
    assert summarise([], target()) == Summary(
        seeds=(),
        diverged=(),
        final_mean=None,
        final_min=None,
        final_sd=None,
        train_final_mean=None,
        consistent_from=(),
        n_held=0,
    )


def test_a_diverged_seed_takes_the_averages_away() -> None:
    found = summarise(
        [make_run(2, [HIT] * 6, diverged_at_epoch=1), make_run(1, [HIT] * 6), make_run(3, [HIT] * 6)], target()
    )
    assert found == Summary(
        seeds=(1, 2, 3),
        diverged=(2,),
        final_mean=None,
        final_min=None,
        final_sd=None,
        train_final_mean=None,
        consistent_from=(1, None, 1),
        n_held=2,
    )


@given(st.lists(runs(), max_size=5), targets, st.integers(0))
@settings(deadline=None, max_examples=50)
def test_a_summary_does_not_depend_on_the_order_of_runs(found: list[Run], goal: Target, shuffle: int) -> None:
    seeded = [
        run.model_copy(update={"identity": run.identity.model_copy(update={"seed": seed})})
        for seed, run in enumerate(found, 1)
    ]
    summary = summarise(seeded, goal)
    assert summary.seeds == tuple(range(1, len(found) + 1))
    assert summary.consistent_from == tuple(brute_consistent_from(run, goal) for run in seeded)
    assert summary.n_held == sum(brute_holds(run, goal) for run in seeded)
    Random(shuffle).shuffle(seeded)
    assert summarise(seeded, goal) == summary
