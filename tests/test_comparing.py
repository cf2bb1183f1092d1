"""Verdicts: known answers, and simulated rungs whose true difference is known."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from records import make_run
from scipy import stats

from stepladder.comparing import (
    Comparison,
    TargetVerdict,
    against_target,
    alpha_left,
    compare,
    compare_rungs,
    holm,
    image_error,
    interval_of_mean,
    least_seeds,
    seeds_needed,
    sign_flip_test,
)
from stepladder.ladder_file import load
from stepladder.report import compare_page
from stepladder.report.compare_json import comparison_dict
from stepladder.results import Results, RungResult
from stepladder.run import Run, WrongImage
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
    n = least_seeds(alpha_left(n_comparisons))
    assert n_comparisons * sign_flip_test([Fraction(1)] * n) <= 0.05 < n_comparisons * 2 / 2 ** (n - 1)


def power(n: int, spread: float, *, alpha: float, difference: float = 0.05) -> float:
    """Of verdicts with n seeds: how many of 1,000 find a difference, with normal differences of this spread."""
    draws = np.random.default_rng(7).normal(difference, spread, (1_000, n))
    able = stats.ttest_1samp(draws, 0, axis=1).pvalue <= 0.05
    in_thousandths = [[Fraction(round(1_000 * each), 1_000) for each in draw] for draw in draws[able]]
    return sum(sign_flip_test(each) <= alpha for each in in_thousandths) / len(draws)


@pytest.mark.parametrize(
    ("spread", "n_comparisons", "look"),
    [(0.03, 1, 0), (0.05, 1, 0), (0.1, 1, 0), (0.03, 5, 0), (0.04, 5, 0), (0.05, 5, 0), (0.025, 10, 0), (0.04, 5, 3)],
)
def test_the_seeds_needed_reach_a_power_of_80_percent(spread: float, n_comparisons: int, look: int) -> None:
    """That of the verdict; Student's test would promise it with fewer seeds, where they are few."""
    alpha = alpha_left(n_comparisons, look=look)
    n = seeds_needed(spread, difference=0.05, alpha=alpha)
    assert n is not None
    assert power(n, spread, alpha=alpha) >= 0.77
    assert n == least_seeds(alpha) or power(n - 1, spread, alpha=alpha) <= 0.83


def test_more_comparisons_and_wider_spreads_need_more_seeds() -> None:
    for spread in (0.02, 0.05, 0.1, 0.2):
        needed = [seeds_needed(spread, difference=0.05, alpha=alpha_left(n)) for n in (1, 2, 5, 10, 100)]
        assert needed == sorted(set(needed), key=lambda n: n or 0)
    spreads = np.arange(0.01, 0.2, 0.01)
    needed = [seeds_needed(float(spread), difference=0.05, alpha=0.01) for spread in spreads]
    assert needed == sorted(needed, key=lambda n: n or 0)
    assert seeds_needed(0.0, difference=0.05) == 6
    assert seeds_needed(0.001, difference=0.05, alpha=0.01) == 8
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
        f" 0.05 points would need about {found.seeds_needed} seeds"
    )
    (equal,) = compare(results(low, low))
    assert (equal.outcome, equal.p, equal.interval) == ("no detectable difference", 1.0, (0.0, 0.0))


def test_seeds_that_are_there_are_not_said_to_be_needed() -> None:
    low = [9930] * 12
    (found,) = compare(results(low, [9926 + 6 * (seed % 3) for seed in range(12)]))
    assert (found.outcome, found.negligible) == ("no detectable difference", False)
    assert found.seeds_needed is not None
    assert found.seeds_needed <= 12
    assert compare_page.verdict(found) == f"no detectable difference {compare_page.interval_text(found.interval)}"


def test_what_correction_takes_away_is_said_to_be_so() -> None:
    """An interval without 0, and a p-value above 0.05 for five comparisons."""
    gains = [9938, 9935, 9941, 9931, 9929, 9939, 9936, 9935]
    one, five = compare(results([9930] * 8, gains)), compare(results([9930] * 8, gains, *[[9930] * 8] * 4))
    assert one[0].outcome == "better"
    interval = compare_page.interval_text(one[0].interval)
    assert interval == "[0.02, 0.09]"
    assert (five[0].outcome, five[0].interval) == ("no detectable difference", one[0].interval)
    assert compare_page.verdict(five[0]).startswith(f"no detectable difference after correction {interval}")
    assert "its 95% interval (Student), which is not corrected" in compare_page.comparison_notes(five)[0]
    assert "needs both: p ≤ 0.05, and an interval without 0" in compare_page.comparison_notes(five)[0]


def test_what_is_unknown_is_corrected_for_too() -> None:
    """Of three comparisons two are unknown, because a run diverged: the p-value counts three times."""
    rungs = list(results([9900] * 8, [9930] * 8, [9960] * 8, [9990] * 8).rungs)
    rungs[2] = result(2, [make_run(seed, [9960] * 6, diverged_at_epoch=3 if seed == 4 else None) for seed in range(8)])
    found = compare(replace(results([9900] * 8), rungs=tuple(rungs)))
    assert [each.outcome for each in found] == ["better", "unknown", "unknown"]
    assert [each.diverged for each in found] == [False, True, True]
    assert found[0].p == pytest.approx(3 * 2 / 2**8)


@pytest.mark.parametrize("n_ladders", [80, pytest.param(400, marks=pytest.mark.evidence)])
def test_no_true_difference_gives_few_false_alarms(n_ladders: int) -> None:
    """Six equal rungs over eight seeds: some verdict of the five in at most 5% of ladders, noise aside."""
    rng, alarms = np.random.default_rng(0), 0
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
    [
        (Fraction(47, 1000), "+0.047"),
        (Fraction(53, 1000), "+0.05"),
        (-0.0496, "-0.0496"),
        (Fraction(9, 100), "+0.09"),
        (Fraction(-1, 3), "-0.33"),
        (0, "+0.00"),
        (0.0004, "+0.0004"),
        (None, "–"),
    ],
)
def test_differences_have_a_sign_and_are_not_rounded_away(value: float | None, text: str) -> None:
    assert compare_page.points(value) == text


def test_a_comparison_of_nothing_agrees_with_nothing() -> None:
    assert Comparison("a", "b", ()).n_agreeing == 0
    assert Comparison("a", "b", ()).difference is None


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (None, "–"),
        ((-0.13, 0.08), "[-0.13, 0.08]"),
        ((-0.0481, 0.0496), "[-0.0481, 0.0496]"),
        ((0.003, 0.012), "[0.003, 0.012]"),
        ((-0.0004, 0.31), "[-0.0004, 0.3100]"),
        ((0.0, 0.0), "[0.00, 0.00]"),
        ((-1e-17, 0.1), "[0.00, 0.10]"),
        ((0.05, 0.052), "[0.05, 0.05]"),
    ],
)
def test_intervals_are_not_rounded_to_what_they_do_not_reach(interval: tuple[float, float] | None, text: str) -> None:
    assert compare_page.interval_text(interval) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0503, "0.0503"), (0.05003, "0.05003"), (0.0497, "0.050"), (0.0009, "< 0.001"), (0.0312, "0.031"), (1, "1.000")],
)
def test_a_p_value_too_large_is_not_rounded_to_what_a_verdict_needs(p: float, text: str) -> None:
    assert compare_page.p_text(p) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0, 0.3694, "0% to 37%"), (0.003, 0.9996, "0.3% to 99.96%"), (0.6306, 1, "63% to 100%")],
)
def test_only_none_is_0_percent_and_only_all_is_100(low: float, high: float, text: str) -> None:
    found = TargetVerdict("top", 1, 2, (low, high), None, None)
    assert compare_page._target_row(found, "99.4%")[3] == text


# What other evaluated images would change.


def run_of(seed: int, right: NDArray[np.bool_], *, rung: int = 0) -> Run:
    """A run that got these of the evaluated images right."""
    run = make_run(seed, [int(right.sum())] * 6, n=len(right), recipe=LADDER.rungs[rung].recipe)
    wrong = [WrongImage(index=int(i), label=4, predicted=9, probability=0.6) for i in np.flatnonzero(~right)]
    return run.model_copy(update={"wrong_images": tuple(wrong)})


def paired(right: NDArray[np.bool_]) -> tuple[RungResult, RungResult]:
    """Two rungs from what is right, by (rung, seed, image)."""
    below, above = ([run_of(seed, each, rung=k) for seed, each in enumerate(of, 1)] for k, of in enumerate(right))
    return result(0, below), result(1, above)


def test_the_error_due_to_images_is_that_of_their_mean() -> None:
    rng = np.random.default_rng(3)
    right = rng.random((2, 8, 400)) < np.array([0.9, 0.95])[:, None, None]
    found = compare_rungs(*paired(right))
    by_image = 100 * (right[1].mean(0) - right[0].mean(0))
    assert found.n_evaluated == 400
    assert found.difference == pytest.approx(by_image.mean())
    assert found.image_error == pytest.approx(1.959964 * by_image.std() / 20)


def test_the_error_due_to_images_covers_what_others_would_give() -> None:
    """A tenth of the images is hard, and the second network gets 0.05 more of them right: 0.5 points in truth."""
    rng, n_covered, n_sets = np.random.default_rng(4), 0, 200
    for _ in range(n_sets):
        hard, chance = rng.random(1_000) < 0.1, rng.beta(2, 2, 1_000)
        chances = np.where(hard, [chance, 0.8 * chance + 0.15], 0.999)  # (rung, image); 0.5 of the hard ones, and 0.55
        found = compare_rungs(*paired(rng.random((2, 4, 1_000)) < chances[:, None]))
        assert found.difference is not None
        assert found.image_error is not None
        n_covered += abs(float(found.difference) - 0.5) <= found.image_error
    assert 0.92 <= n_covered / n_sets <= 0.98


def test_where_the_wrong_images_are_not_those_counted_the_error_is_not_known() -> None:
    rng = np.random.default_rng(3)
    below, above = paired(rng.random((2, 8, 400)) < 0.9)
    runs = list(above.runs)
    for wrong in (runs[3].wrong_images[1:], (runs[3].wrong_images[0],) * len(runs[3].wrong_images), ()):
        changed = [*runs[:3], runs[3].model_copy(update={"wrong_images": wrong}), *runs[4:]]
        found = compare_rungs(below, result(1, changed))
        assert (found.image_error, found.p is None) == (None, False)
    far = runs[3].wrong_images[0].model_copy(update={"index": 400})
    changed = [runs[3].model_copy(update={"wrong_images": (far, *runs[3].wrong_images[1:])})]
    assert image_error([(below.runs[3], changed[0])]) is None
    assert compare_rungs(below, result(1, list(below.runs))).image_error is None, "no image tells them apart"


def test_the_page_says_that_images_are_taken_as_they_are() -> None:
    rng = np.random.default_rng(3)
    below, above = paired(rng.random((2, 8, 400)) < 0.9)
    found = [compare_rungs(below, above), compare_rungs(below, result(1, list(above.runs[:4])))]
    errors = sorted(each.image_error or 0 for each in found)
    said = compare_page.comparison_notes(found)[-1]
    assert said == (
        "Verdicts are about seeds, on the 400 images evaluated. For all images of their kind, these differences are"
        f" uncertain by another ±{errors[0]:.2f} to ±{errors[1]:.2f} points (95%)."
    )
    assert f"another ±{found[0].image_error:.2f} points" in compare_page.comparison_notes(found[:1])[-1]
    assert "images" not in " ".join(compare_page.comparison_notes(compare(results([9900] * 8, [9950] * 8))))
    assert comparison_dict(found[0])["image_error"] == found[0].image_error


def test_a_rung_whose_runs_equal_those_below_is_said_to_have_changed_nothing() -> None:
    found = compare(results([9900, 9910, 9905], [9900, 9910, 9905], [9900, 9910, 9906]))
    assert [each.identical for each in found] == [True, False]
    assert comparison_dict(found[0])["identical"] is True
    names = [rung.name for rung in LADDER.rungs]
    said = [each for each in compare_page.comparison_notes(found) if "changed nothing" in each]
    assert said == [
        f"rung '{names[1]}' changed nothing: its runs equal those of '{names[0]}' in every number (seeds 1 to 3)"
    ]


def test_equal_accuracies_with_other_weights_are_not_identical() -> None:
    below = rung_result(0, [9900, 9910])
    above = result(1, [run.model_copy(update={"weights_sha256": "1" * 64}) for run in below.runs])
    assert not compare_rungs(below, above).identical
    assert not compare_rungs(below, result(1, [])).identical
    assert compare_rungs(below, result(1, [*below.runs[:1]])).identical, "one seed in common"
