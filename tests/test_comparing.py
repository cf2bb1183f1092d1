"""Verdicts: known answers, and simulated rungs whose true difference is known."""

from fractions import Fraction
from itertools import product
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import make_run
from scipy import stats

from stepladder.comparing import (
    Comparison,
    against_target,
    compare,
    compare_rungs,
    holm,
    interval_of_mean,
    least_seeds,
    seeds_needed,
    sign_flip_test,
)
from stepladder.ladder_file import load
from stepladder.report import compare_page
from stepladder.results import Results, RungResult
from stepladder.run import Run
from stepladder.stats import summarise

LADDER = load("mnist-8k")


def result(rung: int, runs: list[Run]) -> RungResult:
    return RungResult(LADDER.rungs[rung], tuple(runs), summarise(runs, LADDER.rungs[rung].target))


def rung_result(rung: int, n_correct: list[int]) -> RungResult:
    """Runs of seeds 1, 2, ... that end with so many images of 10,000 right."""
    return result(rung, [make_run(seed, [n] * 6) for seed, n in enumerate(n_correct, 1)])


def results(*n_correct: list[int]) -> Results:
    rungs = tuple(rung_result(rung, each) for rung, each in enumerate(n_correct))
    return Results(ladder=LADDER, engine=None, rungs=rungs, params=(0,) * len(rungs), others={}, n_test_looks=0)


hundredths_of_points = st.lists(st.integers(-20, 20), min_size=2, max_size=9)


@given(hundredths_of_points)
@settings(deadline=None, max_examples=60)
def test_the_sign_flip_test_counts_all_ways(hundredths: list[int]) -> None:
    values = [Fraction(each, 100) for each in hundredths]
    ways = [
        abs(sum(sign * value for sign, value in zip(signs, hundredths, strict=True)))
        for signs in product((1, -1), repeat=len(hundredths))
    ]
    expected = sum(way >= abs(sum(hundredths)) for way in ways) / len(ways)
    assert sign_flip_test(values) == pytest.approx(expected)


@given(hundredths_of_points)
@settings(deadline=None)
def test_the_interval_is_scipys(hundredths: list[int]) -> None:
    values = [each / 100 for each in hundredths]
    if len(set(values)) > 1:
        theirs = stats.ttest_1samp(values, 0).confidence_interval()
        assert interval_of_mean(values) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize(("n", "error"), [(40, 0.01), (1000, 0.001)])
def test_many_seeds_are_counted_too(n: int, error: float) -> None:
    values = [Fraction(round(10_000 * each), 10_000) for each in np.random.default_rng(1).normal(0.01, 0.05, n)]
    theirs = stats.ttest_1samp([float(each) for each in values], 0).pvalue
    assert sign_flip_test(values) == pytest.approx(theirs, abs=error)
    assert sign_flip_test([Fraction(1, 3)] * 60) == pytest.approx(2 / 2**60)
    assert sign_flip_test([Fraction(1, 3)] * 59 + [Fraction(-2, 7)]) == pytest.approx(2 * 2 / 2**60)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_never_lowers_and_keeps_the_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(new >= old and new <= 1 for new, old in zip(corrected, values, strict=True))
    assert corrected[int(np.argmin(values))] == pytest.approx(min(1, len(values) * min(values)))
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("n_comparisons", [1, 2, 5, 10])
def test_the_least_seeds_are_those_that_can_be_significant(n_comparisons: int) -> None:
    n = least_seeds(n_comparisons)
    assert n_comparisons * sign_flip_test([Fraction(1)] * n) <= 0.05 < n_comparisons * 2 / 2 ** (n - 1)


@pytest.mark.parametrize(("spread", "difference"), [(0.05, 0.05), (0.1, 0.05), (0.03, 0.05), (0.2, 0.05)])
def test_the_seeds_needed_reach_a_power_of_80_percent(spread: float, difference: float) -> None:
    n = seeds_needed(spread, difference=difference)
    assert n is not None
    rng = np.random.default_rng(0)
    for seeds, least, most in ((n, 0.78, 1.0), (n - 1, 0.0, 0.82)):
        if seeds >= 6:  # below, the sign-flip test decides
            found = stats.ttest_1samp(rng.normal(difference, spread, (20_000, seeds)), 0, axis=1).pvalue <= 0.05
            assert least <= found.mean() <= most
    more = seeds_needed(spread, difference=difference, n_comparisons=5)
    assert more is not None
    assert more > n
    assert seeds_needed(0.0, difference=0.05) == 6
    assert seeds_needed(100.0, difference=0.05) is None


def test_a_clear_difference_is_better_and_its_mirror_worse() -> None:
    low, high = [9900, 9910, 9905, 9890, 9900, 9912, 9903, 9895], [9930, 9931, 9929, 9925, 9931, 9935, 9930, 9922]
    (better,), (worse,) = compare(results(low, high)), compare(results(high, low))
    assert (better.outcome, worse.outcome) == ("better", "worse")
    assert better.difference == -(worse.difference or 0) == Fraction(sum(high) - sum(low), 800)
    assert better.p == pytest.approx(2 / 2**8)
    assert better.n_agreeing == 8
    assert better.correlation == pytest.approx(np.corrcoef(low, high)[0, 1])
    text = compare_page.verdict(better)
    assert text == f"better by 0.27 points {compare_page.interval_text(better.interval)}, 8/8 seeds"
    assert compare_page.verdict(worse).startswith("worse by 0.27 points [-0.3")


def test_runs_are_paired_by_seed_and_not_by_place() -> None:
    below = result(0, [make_run(seed, [9900 + seed] * 6) for seed in (3, 1, 2, 9)])
    above = result(1, [make_run(seed, [9910 + seed] * 6) for seed in (2, 7, 3, 1)])
    found = compare_rungs(below, above)
    assert found.seeds == (1, 2, 3)
    assert found.differences == (Fraction(1, 10),) * 3


def test_what_cannot_be_known_is_unknown() -> None:
    good = [9940] * 8
    assert compare(results(good, [9950] * 7))[0].outcome == "better"  # one comparison needs 6 seeds
    (few,) = compare(results([9900] * 5, [9990] * 5))
    assert few.outcome == "unknown"
    assert compare_page.verdict(few) == "unknown: 5 seeds in common: 6 are the least that could tell"
    for seven in compare(results(*([9900 + 20 * rung] * 7 for rung in range(6)))):
        assert seven.problem == "7 seeds in common: 8 are the least that could tell"
    (single,) = compare(results([9900], [9990]))
    assert compare_page.verdict(single) == "unknown: 1 of at least 2 seeds in common"
    (none,) = compare(results([], [9990] * 8))
    assert none.outcome == "unknown"
    runs = [make_run(seed, [9990] * 6, diverged_at_epoch=3 if seed == 4 else None) for seed in range(1, 9)]
    diverged = result(1, runs)
    found = compare_rungs(rung_result(0, good), diverged)
    assert (found.outcome, found.p) == ("unknown", None)
    assert found.problem == "1 of 8 runs of 'lighter' diverged"


def test_no_difference_says_what_it_would_take() -> None:
    low, high = [9930, 9951, 9935, 9918, 9940, 9946, 9931, 9938], [9935, 9936, 9933, 9934, 9935, 9941, 9929, 9949]
    (found,) = compare(results(low, high))
    assert found.outcome == "no detectable difference"
    assert compare_page.verdict(found) == (
        f"no detectable difference {compare_page.interval_text(found.interval)};"
        f" 0.05 points would need {found.seeds_needed} seeds"
    )
    (equal,) = compare(results(low, low))
    assert (equal.outcome, equal.p, equal.interval) == ("no detectable difference", 1.0, (0.0, 0.0))


def test_no_true_difference_gives_few_false_alarms() -> None:
    """Six equal rungs over eight seeds: some verdict of the five in at most 5% of ladders, noise aside."""
    rng = np.random.default_rng(0)
    n_ladders, alarms = 400, 0
    for _ in range(n_ladders):
        rungs = rng.binomial(10_000, 0.993, (6, 8)).tolist()
        alarms += any(each.outcome != "no detectable difference" for each in compare(results(*rungs)))
    assert alarms <= 0.05 * n_ladders + 3 * (0.05 * 0.95 * n_ladders) ** 0.5


@pytest.mark.parametrize("true_difference", [0.0, 0.1])
def test_the_interval_covers_the_true_difference(true_difference: float) -> None:
    """Accuracies with a common part of each seed, the luck of training and of 10,000 images."""
    rng = np.random.default_rng(1)
    n_covered, n_pairs = 0, 2000
    for _ in range(n_pairs):
        common = rng.normal(0, 0.05, 8)
        below = rng.binomial(10_000, (99.3 + common + rng.normal(0, 0.05, 8)).clip(0, 100) / 100) / 100
        above = (
            rng.binomial(10_000, (99.3 + true_difference + common + rng.normal(0, 0.05, 8)).clip(0, 100) / 100) / 100
        )
        low, high = interval_of_mean(list(above - below))
        n_covered += low <= true_difference <= high
    assert 0.93 <= n_covered / n_pairs <= 0.97


def test_a_true_difference_is_found() -> None:
    rng = np.random.default_rng(2)
    outcomes = [
        compare(results(rng.normal(9920, 5, 8).astype(int).tolist(), rng.normal(9940, 5, 8).astype(int).tolist()))[0]
        for _ in range(50)
    ]
    assert sum(each.outcome == "better" for each in outcomes) >= 49
    assert mean(float(each.difference or 0) for each in outcomes) == pytest.approx(0.2, abs=0.01)


def test_the_share_of_seeds_that_hold_is_clopper_and_pearsons() -> None:
    runs = [make_run(seed, [9900, 9950, 9950, 9950, 9950, 9950]) for seed in range(1, 8)]
    runs.append(make_run(8, [9950, 9950, 9950, 9900, 9950, 9950]))
    found = against_target(result(5, runs))
    assert (found.n_held, found.n_seeds) == (7, 8)
    assert found.interval == pytest.approx((stats.beta.ppf(0.025, 7, 2), stats.beta.ppf(0.975, 8, 1)))
    assert (found.consistent_median, found.consistent_worst) == (2, 5)
    never = against_target(result(5, [*runs[:2], make_run(9, [9900] * 6)]))
    assert (never.consistent_median, never.consistent_worst) == (2, None)
    assert against_target(result(5, [])).interval is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(Fraction(9, 100), "+0.09"), (Fraction(-1, 3), "-0.33"), (0, "+0.00"), (0.0004, "+0.0004"), (None, "–")],
)
def test_differences_have_a_sign_and_are_not_rounded_away(value: float | None, text: str) -> None:
    assert compare_page.points(value) == text


def test_a_comparison_of_nothing_agrees_with_nothing() -> None:
    assert Comparison("a", "b", ()).n_agreeing == 0
    assert Comparison("a", "b", ()).difference is None
