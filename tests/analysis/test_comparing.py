"""Verdicts: known answers, and simulated rungs whose true difference is known."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from statistics import mean, variance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import LADDER, of_rungs, result, results, rung_result
from numpy.typing import NDArray
from records import make_run
from scipy import stats

from stepladder.analysis.comparing import (
    Comparison,
    TargetVerdict,
    against_target,
    compare,
    compare_with_top,
    trains_alike,
    verdicts,
    worth_knowing,
)
from stepladder.analysis.intervals import ALPHA, SHARE, always_factor, dof_of_median, median_of_variance, once_factor
from stepladder.analysis.other_images import image_error
from stepladder.ladders.ladder import COMPARISONS
from stepladder.recipes.recipe import Average
from stepladder.reporting import numbers
from stepladder.reporting.data.compare_json import compare_dict, comparison_dict
from stepladder.reporting.pages import compare_page
from stepladder.runs.results import RungResult
from stepladder.runs.run import Run, WrongImage
from stepladder.runs.stats import summarise


def comparison_of(below: RungResult, above: RungResult) -> Comparison:
    """As the only one of a ladder, which declared no more."""
    (found,) = verdicts([(below, above)], declared=1)
    return found


def notes_of(found: Sequence[Comparison], *, comparisons: int = COMPARISONS) -> list[str]:
    return compare_page.comparison_notes(found, replace(LADDER, comparisons=comparisons))


# What a difference is called.

LOW, HIGH = [9900, 9910, 9905, 9890, 9900, 9912, 9903, 9895], [9930, 9931, 9929, 9925, 9931, 9935, 9930, 9922]


def test_a_clear_difference_is_better_and_its_mirror_worse() -> None:
    (better,), (worse,) = compare(results(LOW, HIGH)), compare(results(HIGH, LOW))
    assert (better.outcome, worse.outcome) == ("better", "worse")
    assert better.difference == -(worse.difference or 0) == Fraction(sum(HIGH) - sum(LOW), 800)
    assert better.interval is not None
    assert worse.interval == pytest.approx((-better.interval[1], -better.interval[0]))
    assert better.interval[0] > 0
    text = compare_page.verdict(better)
    assert text == f"better by 0.27 points {numbers.interval_text(better.interval)}"
    assert compare_page.verdict(worse).startswith("worse by 0.27 points [-0.3")
    assert (better.needed_seen, better.needed_worth) == (None, None), "it is decided"


def test_the_interval_is_the_textbooks() -> None:
    """Two rungs of 8 runs: Student's and the one that is always valid, of their own spread (Welch)."""
    (found,) = compare(results(LOW, HIGH, comparisons=1))
    spread = (variance([*map(float, LOW)]) + variance([*map(float, HIGH)])) ** 0.5 / 2**0.5 / 100
    dof = stats.ttest_ind(LOW, HIGH, equal_var=False).df
    half = spread * min(once_factor(2 / 8, dof, SHARE * ALPHA), always_factor(2 / 8, dof, SHARE * ALPHA))
    difference = (mean(HIGH) - mean(LOW)) / 100
    assert found.spread == pytest.approx(spread)
    assert found.interval == pytest.approx((difference - half, difference + half))
    assert half == pytest.approx(spread / 2 * stats.t.isf(SHARE * ALPHA / 2, dof))


def test_of_a_ladder_the_larger_spread_counts() -> None:
    """The middle one of its rungs', or the two rungs' own; 0.1 points in one, 0.02 in the others."""
    narrow, wide = [9900, 9904] * 4, [9900, 9920] * 4
    found = compare(results(narrow, narrow, narrow, wide))
    typical = 0.01 * (variance(map(float, narrow)) / median_of_variance(7)) ** 0.5
    own = 0.01 * ((variance(map(float, narrow)) + variance(map(float, wide))) / 2) ** 0.5
    assert [each.spread for each in found] == pytest.approx([typical, typical, own])
    half = (found[0].interval or (0, 0))[1]
    assert half == pytest.approx(typical * once_factor(2 / 8, dof_of_median([7] * 4), SHARE * ALPHA / 5))


def test_runs_are_not_paired_by_seed() -> None:
    """What each seed adds to both rungs widens the interval: they are compared as they are."""
    shuffled = [LOW[7], *LOW[:7]]
    (together,), (apart,) = compare(results(LOW, HIGH)), compare(results(shuffled, HIGH))
    assert together == apart
    below = result(0, [make_run(seed, [n] * 6, recipe=LADDER.rungs[0].recipe) for seed, n in enumerate(LOW, 1)])
    above = result(1, [make_run(seed, [n] * 6, recipe=LADDER.rungs[1].recipe) for seed, n in enumerate(HIGH, 21)])
    found = comparison_of(below, above)
    assert (found.seeds_below, found.seeds) == (tuple(range(1, 9)), tuple(range(21, 29)))
    assert (found.outcome, found.difference) == ("better", together.difference)
    assert not found.paired


def averaged(n_correct: list[int], *, first: int = 1) -> RungResult:
    """The second of two rungs that differ in their average alone: from this seed on."""
    recipe = LADDER.rungs[0].recipe.model_copy(update={"average": Average(horizon_epochs=2.0)})
    rung = replace(LADDER.rungs[1], recipe=recipe, changes=("average",))
    runs = [make_run(seed, [n] * 6, recipe=recipe) for seed, n in enumerate(n_correct, first)]
    return RungResult(rung, tuple(runs), summarise(runs, rung.target))


def test_rungs_that_train_alike_are_paired() -> None:
    seeds = [9900, 9930, 9870, 9910, 9950, 9890, 9860, 9940]
    gained = [6, 7, 8, 7, 6, 7, 8, 7]
    below = rung_result(0, seeds)
    above = averaged([a + b for a, b in zip(seeds, gained, strict=True)])
    found = comparison_of(below, above)
    assert (found.paired, found.outcome) == (True, "better")
    assert variance(gained) < 1
    assert found.spread == 0.01, "that of an image"
    assert any("compared seed by seed" in note for note in notes_of([found]))
    as_others = comparison_of(below, rung_result(1, [run.epochs[-1].n_correct for run in above.runs]))
    assert not as_others.paired
    assert as_others.outcome != "better"
    assert not any("seed by seed" in note for note in notes_of([as_others]))


def test_only_how_they_are_evaluated_leaves_a_training_as_it_is() -> None:
    def alike(**changes: object) -> bool:
        above = replace(LADDER.rungs[0], recipe=LADDER.rungs[0].recipe.model_copy(update=changes))
        empty = RungResult(above, (), summarise((), above.target))
        return trains_alike(rung_result(0, []), empty) and trains_alike(empty, rung_result(0, []))

    average = Average(horizon_epochs=2.0)
    assert alike()
    assert alike(average=average)
    assert alike(recalibrate_images=1_000)
    assert alike(average=average, recalibrate_images=1_000)
    assert not alike(epochs=15)
    assert not alike(dropout=0.3, average=average)
    assert not any(trains_alike(*(rung_result(each, []) for each in pair)) for pair in ((0, 1), (3, 4), (4, 5)))


def test_what_is_paired_speaks_of_the_seeds_that_both_have() -> None:
    below = rung_result(0, [9900, 9930, 9870, 9910, 9950, 9890, 9860, 9940])
    found = comparison_of(below, averaged([9893, 9868, 9947, *[9990] * 5], first=6))
    assert found.difference == Fraction((9893 - 9890) + (9868 - 9860) + (9947 - 9940), 300)
    assert found.problem == "5 seeds in common are the least that could tell, and there are 3"
    (one,) = verdicts([(below, averaged([9945, 9990], first=8))], declared=5)
    assert one.problem == "5 seeds in common are the least that could tell, and there is 1"
    (none,) = verdicts([(below, averaged([9945, 9990], first=9))], declared=5)
    assert (none.problem, none.outcome, none.difference) == ("no seed in common", "undecided", None)


def test_what_cannot_be_known_is_not_decided() -> None:
    good = [9940] * 8
    assert compare(results(good, [9950] * 5))[0].outcome == "better"
    (few,) = compare(results([9900] * 3, [9990] * 3))
    assert (few.outcome, few.interval, few.decided) == ("undecided", None, False)
    assert compare_page.verdict(few) == "not decided yet: 5 seeds are the least that could tell, and there are 3"
    for each in compare(results(*([9900 + 20 * rung] * 2 for rung in range(6)))):
        assert each.problem == "5 seeds are the least that could tell, and there are 2"
    (single,) = compare(results([9900], [9990]))
    assert compare_page.verdict(single) == "not decided yet: 5 seeds are the least that could tell, and there is 1"
    (uneven,) = compare(results([9900] * 8, [9990]))
    assert uneven.problem == "5 seeds are the least that could tell, and there are 1 and 8"
    assert "Too few seeds: climb with more" in " ".join(notes_of([few]))
    (none,) = compare(results([], [9990] * 8))
    assert (none.outcome, none.problem) == ("undecided", f"'{LADDER.rungs[0].name}' is not trained yet")


def test_a_diverged_run_leaves_it_undecided() -> None:
    runs = [make_run(seed, [9990] * 6, diverged_at_epoch=3 if seed == 4 else None) for seed in range(1, 9)]
    for pair in ((rung_result(0, [9940] * 8), result(1, runs)), (result(0, runs), rung_result(1, [9940] * 8))):
        found = comparison_of(*pair)
        assert (found.outcome, found.interval, found.diverged) == ("undecided", None, True)
        name = pair[0 if pair[0].runs[3].final is None else 1].rung.name
        assert found.problem == f"1 of 8 runs of '{name}' diverged"
        assert compare_page.verdict(found) == f"not decided: {found.problem}"
        assert "Too few seeds" not in " ".join(notes_of([found])), "more cannot help"


def test_a_rung_that_diverged_says_nothing_of_other_pairs() -> None:
    """Its comparisons count as such; its runs tell nothing of the spread of others."""
    rungs = list(results([9900, 9903] * 4, [9930, 9933] * 4, [9960] * 8, [9990] * 8).rungs)
    whole = [comparison_of(*rungs[:2]), *compare(of_rungs(*rungs[:2]))]
    rungs[2] = result(2, [make_run(seed, [9960] * 6, diverged_at_epoch=3 if seed == 4 else None) for seed in range(8)])
    found = compare(of_rungs(*rungs))
    assert [each.outcome for each in found] == ["better", "undecided", "undecided"]
    assert [each.diverged for each in found] == [False, True, True]
    assert whole[1].outcome == "better"


def test_one_collapse_is_not_said_of_other_pairs() -> None:
    """A seed of the third rung answers one class: the comparison of the first two is as it was."""
    alike = [[9900 + (7 * k + 3 * rung) % 11 + 30 * rung for k in range(8)] for rung in range(6)]
    collapsed = [[*each[:-1], 1135] if rung == 3 else each for rung, each in enumerate(alike)]
    before, after = compare(results(*alike)), compare(results(*collapsed))
    assert {each.outcome for each in before} == {"better"}
    assert [each.outcome for each in after] == ["better", "better", "undecided", "undecided", "better"]
    for rung in (0, 1, 4):
        widened = (after[rung].spread or 0) / (before[rung].spread or 1)
        assert 1 <= widened < 1.2


def test_few_images_are_no_exact_knowledge() -> None:
    """8 runs, each better by one image: the least a run's spread counts as is an image."""
    found = comparison_of(rung_result(0, [9900] * 8), rung_result(1, [9901] * 8))
    assert found.spread == pytest.approx(0.01)
    assert found.interval is not None
    assert found.interval[1] - found.interval[0] > 0.01
    assert found.outcome in ("negligible", "undecided")


# What is worth knowing, and how many seeds it takes.


@pytest.mark.parametrize(
    ("target", "spread", "n", "expected"),
    [
        ("99.4", 0.03, 10_000, 0.05),
        ("99.4", 0.06, 10_000, 0.05),
        ("99.4", 0.08, 10_000, 0.1),
        ("99.4", 0.0, 10_000, 0.05),
        ("99.99", 0.001, 10_000, 0.05),  # five images
        ("99.99", 0.001, 1_000_000, 0.001),
        ("99.99", 0.001, 4_000, 0.13),  # five images are 0.125: rounded up, so that it is shown as it is
        ("99.99", 0.001, 7_000, 0.072),
        ("92", 0.2, 10_000, 0.5),
        ("50", 0.2, 500, 2.0),
        ("100", 0.0, 100, 5.0),
        ("100", 0.0, 50, 10.0),
        ("90", 30.0, 10_000, 20.0),
    ],
)
def test_what_is_worth_knowing_follows_from_the_ladder(target: str, spread: float, n: int, expected: float) -> None:
    assert worth_knowing(Decimal(target), spread=spread, image=100 / n) == pytest.approx(expected)


@given(st.integers(1, 99_999), st.floats(0, 50), st.integers(1, 10**6))
def test_what_is_worth_knowing_is_five_images_at_least(thousandths: int, spread: float, n: int) -> None:
    target = Decimal(thousandths) / 1000
    found = worth_knowing(target, spread=spread, image=100 / n)
    if found is None:
        assert 500 / n > 9.9, "with so few images nothing can be said to be too little"
        return
    assert found >= 500 / n
    assert float(f"{found:.2g}") == found, "it is shown as it is"
    allowed = float(100 - target) / 20
    assert found >= 0.63 * max(allowed, spread)
    assert found <= max(1.6 * max(allowed, spread), 1.1 * 500 / n)


def test_a_difference_known_to_be_small_is_less_than_what_is_worth_knowing() -> None:
    found = comparison_of(*(rung_result(rung, [9930, 9931] * 16) for rung in (0, 1)))
    assert (found.outcome, found.decided, found.worth_knowing) == ("negligible", True, 0.05)
    interval = numbers.interval_text(found.interval, worth=0.05)
    assert compare_page.verdict(found) == f"less than 0.05 points {interval}"
    assert compare_page.tone(found) == "same"
    assert "0.05 points are the least that is worth knowing here" in " ".join(notes_of([found]))
    better = comparison_of(rung_result(0, [9930, 9931] * 16), rung_result(1, [9933, 9934] * 16))
    assert better.outcome == "better", "however small"
    assert compare_page.verdict(better).startswith("better by 0.03 points [0.0")


def test_what_is_not_decided_says_what_it_would_take() -> None:
    low, high = [9930, 9951, 9935, 9918, 9940, 9946, 9931, 9938], [9935, 9936, 9933, 9934, 9935, 9941, 9929, 9955]
    (found,) = compare(results(low, high))
    assert (found.outcome, found.worth_knowing) == ("undecided", 0.1)
    assert found.interval is not None
    assert found.interval[0] < 0 < found.interval[1]
    seen, worth = found.needed_seen, found.needed_worth
    assert seen is not None
    assert worth is not None
    assert 8 < worth[0] < (worth[1] or 0) < seen[0] < (seen[1] or 0)
    assert compare_page.verdict(found) == (
        f"not decided yet {numbers.interval_text(found.interval, worth=0.1)}; it takes about {seen[0]:,} to"
        f" {seen[1]:,} seeds to show what is seen, {worth[0]} to {worth[1]} seeds to show 0.1 points"
    )
    (equal,) = compare(results(low, low))
    assert equal.outcome == "undecided"
    assert equal.difference == 0
    assert equal.needed_seen is None
    assert "what is seen" not in compare_page.verdict(equal)


def test_seeds_that_are_there_are_not_said_to_be_needed() -> None:
    """A difference of a third of what is worth knowing, with more seeds than the whole of it would take."""
    found = comparison_of(
        rung_result(0, [9930 + 5 * (seed % 3) for seed in range(48)]),
        rung_result(1, [9932 + 5 * (seed % 3) for seed in range(48)]),
    )
    assert found.outcome == "undecided"
    assert found.needed_worth == (49, 96), "so many should have been enough: more, and up to twice as many"
    assert found.needed_seen is not None
    assert found.needed_seen[0] > 48
    few = replace(found, needed_seen=(30, 64), needed_worth=(49, 96))
    assert compare_page.verdict(few).endswith(
        "; it takes about 30 to 64 seeds to show what is seen, 49 to 96 seeds to show 0.05 points"
    )
    many = replace(found, needed_seen=(30, None), needed_worth=None)
    assert compare_page.verdict(many).endswith("; it takes about 30 or more seeds to show what is seen")


def test_what_was_declared_counts_and_what_grew_beyond_it_too() -> None:
    """The fewer comparisons a ladder is to have, the narrower its intervals; never fewer than there are."""
    rungs = [[9930 + (3 * k + 5 * rung) % 7 for k in range(8)] for rung in range(4)]
    widths = []
    for comparisons in (1, 3, 5, 20):
        found = compare(results(*rungs, comparisons=comparisons))
        widths.append([each.interval[1] - each.interval[0] for each in found if each.interval])
    assert widths[0] == widths[1]
    assert widths[1] < widths[2] < widths[3]
    said = " ".join(notes_of(found, comparisons=20))
    assert "for 20 comparisons together" in said
    assert "was to have" not in said
    grown = " ".join(notes_of(compare(results(*rungs, comparisons=1)), comparisons=1))
    assert "for 3 comparisons together" in grown
    assert "This ladder was to have 1 comparison, and has 3." in grown
    assert "It should have been set, before the first seed, to comparisons = 3 or more." in grown


def test_climbing_down_counts_like_climbing_up() -> None:
    below = results([9900, 9902] * 4, [9920, 9922] * 4, [9960, 9962] * 4)
    found = {each.below: each for each in compare_with_top(below)}
    assert [each.outcome for each in found.values()] == ["better", "better"]
    assert {each.rung for each in found.values()} == {LADDER.rungs[2].name}
    assert found[LADDER.rungs[1].name] == compare(below)[1]


def test_one_rung_alone_is_compared_with_nothing() -> None:
    assert compare(results([9900] * 8)) == []
    assert notes_of([]) == ["One rung alone is compared with nothing."]


def test_machines_read_what_is_shown() -> None:
    page = compare_dict(results(LOW, HIGH))
    assert (page["schema_version"], page["n_comparisons"]) == (2, 5)
    (each,) = page["comparisons"]
    (found,) = compare(results(LOW, HIGH))
    assert each["interval"] == found.interval
    assert (each["outcome"], each["worth_knowing"], each["paired"]) == ("better", found.worth_knowing, False)
    assert (each["seeds_below"], each["seeds"]) == ([*range(1, 9)], [*range(1, 9)])
    assert each["seeds_needed"] == {"seen": None, "worth_knowing": None}
    assert not {"p", "differences", "correlation", "negligible", "look"} & each.keys()


counts = st.lists(st.integers(0, 500), min_size=0, max_size=10)


@given(st.lists(counts, min_size=2, max_size=4), st.integers(1, 30))
@settings(deadline=None, max_examples=100)
def test_one_interval_says_it_all(n_correct: list[list[int]], comparisons: int) -> None:
    """Whatever the runs: the outcome follows from the interval that is shown, and no number is none."""
    for each in compare(results(*n_correct, comparisons=comparisons)):
        assert (each.interval is None) == bool(each.problem)
        if each.interval is None:
            assert each.outcome == "undecided"
            continue
        low, high = each.interval
        worth = each.worth_knowing or 0
        assert np.isfinite([low, high, worth]).all()
        assert each.difference is not None
        assert (each.outcome == "better") == (low > 0)
        assert (each.outcome == "worse") == (high < 0)
        assert (each.outcome == "negligible") == (low <= 0 <= high and -worth < low and high < worth)
        text = compare_page.verdict(each)
        assert "nan" not in text
        assert "inf" not in text


@pytest.mark.parametrize("n_ladders", [40, pytest.param(400, marks=pytest.mark.evidence)])
def test_no_true_difference_gives_few_false_alarms(n_ladders: int) -> None:
    """Six equal rungs over eight seeds: some verdict of the five in at most 5% of ladders, noise aside."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(n_ladders):
        rungs = rng.binomial(10_000, 0.993, (6, 8)).tolist()
        alarms += any(each.outcome in ("better", "worse") for each in compare(results(*rungs)))
    assert alarms <= 0.05 * n_ladders + 3 * (0.05 * 0.95 * n_ladders) ** 0.5


def test_a_true_difference_is_found() -> None:
    rng = np.random.default_rng(2)
    outcomes = [
        compare(results(rng.normal(9920, 5, 8).astype(int).tolist(), rng.normal(9940, 5, 8).astype(int).tolist()))[0]
        for _ in range(50)
    ]
    assert sum(each.outcome == "better" for each in outcomes) >= 49
    assert mean(float(each.difference or 0) for each in outcomes) == pytest.approx(0.2, abs=0.01)


# Against the target, and how numbers are written.


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
    assert numbers.points(value, worth=0.05) == text


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
    assert numbers.interval_text(interval, worth=0.05) == text


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


def with_images(right: NDArray[np.bool_]) -> tuple[RungResult, RungResult]:
    """Two rungs from what is right, by (rung, seed, image)."""
    below, above = ([run_of(seed, each, rung=k) for seed, each in enumerate(of, 1)] for k, of in enumerate(right))
    return result(0, below), result(1, above)


def test_the_error_due_to_images_is_that_of_their_mean() -> None:
    rng = np.random.default_rng(3)
    right = rng.random((2, 8, 400)) < np.array([0.9, 0.95])[:, None, None]
    found = comparison_of(*with_images(right))
    by_image = 100 * (right[1].mean(0) - right[0].mean(0))
    assert found.n_evaluated == 400
    assert found.difference == pytest.approx(by_image.mean())
    images = by_image.var() / 400
    of_runs = (100 * right.mean(2)).var(1, ddof=1) - (100**2 * right.var(1, ddof=1)).mean(1) / 400
    assert found.image_error == pytest.approx(1.959964 * (images + of_runs.clip(0).sum() / 8) ** 0.5)


def test_the_error_due_to_images_covers_what_others_would_give() -> None:
    """A tenth of the images is hard, and the second network gets 0.05 more of them right: 0.5 points in truth."""
    rng, n_covered, n_sets = np.random.default_rng(4), 0, 200
    for _ in range(n_sets):
        hard, chance = rng.random(1_000) < 0.1, rng.beta(2, 2, 1_000)
        chances = np.where(hard, [chance, 0.8 * chance + 0.15], 0.999)  # (rung, image); 0.5 of the hard ones, and 0.55
        found = comparison_of(*with_images(rng.random((2, 4, 1_000)) < chances[:, None]))
        assert found.difference is not None
        assert found.image_error is not None
        n_covered += abs(float(found.difference) - 0.5) <= found.image_error
    assert 0.92 <= n_covered / n_sets <= 0.995, "rather too wide: what seeds share is nothing here, and is not below 0"


def test_what_a_seed_gives_to_all_images_is_in_the_error() -> None:
    """Networks of luck that all images share, 2 points of it: there are few seeds, and images enough."""
    rng, n_covered, n_sets = np.random.default_rng(5), 0, 200
    for _ in range(n_sets):
        chances = np.clip(np.array([[0.80], [0.85]]) + rng.normal(0, 0.02, (2, 12)), 0, 1)
        found = comparison_of(*with_images(rng.random((2, 12, 1_000)) < chances[:, :, None]))
        assert found.difference is not None
        assert found.image_error is not None
        n_covered += abs(float(found.difference) - 5) <= found.image_error
    assert 0.89 <= n_covered / n_sets <= 0.98
    single = [result(rung, list(each.runs[:1])) for rung, each in enumerate(with_images(rng.random((2, 2, 100)) < 0.9))]
    assert comparison_of(*single).image_error is None, "of one seed no spread is known"


def test_where_the_wrong_images_are_not_those_counted_the_error_is_not_known() -> None:
    rng = np.random.default_rng(3)
    below, above = with_images(rng.random((2, 8, 400)) < 0.9)
    runs = list(above.runs)
    for wrong in (runs[3].wrong_images[1:], (runs[3].wrong_images[0],) * len(runs[3].wrong_images), ()):
        changed = [*runs[:3], runs[3].model_copy(update={"wrong_images": wrong}), *runs[4:]]
        found = comparison_of(below, result(1, changed))
        assert (found.image_error, found.difference is None) == (None, False)
    far = runs[3].wrong_images[0].model_copy(update={"index": 400})
    changed = [runs[3].model_copy(update={"wrong_images": (far, *runs[3].wrong_images[1:])})]
    assert image_error([below.runs[3]], [changed[0]]) is None
    same = comparison_of(*(result(rung, [below.runs[0], replace_seed(below.runs[0], 2)]) for rung in (0, 1)))
    assert same.image_error is None, "no image and no seed tells them apart"


def replace_seed(run: Run, seed: int) -> Run:
    return run.model_copy(update={"identity": run.identity.model_copy(update={"seed": seed})})


def test_the_page_says_that_images_are_taken_as_they_are() -> None:
    rng = np.random.default_rng(3)
    below, above = with_images(rng.random((2, 8, 400)) < 0.9)
    found = [comparison_of(below, above), comparison_of(below, result(1, list(above.runs[:4])))]
    errors = sorted(each.image_error or 0 for each in found)
    said = notes_of(found)[-1]
    assert said == (
        "Verdicts are about seeds, on the 400 images evaluated. For all images of their kind, each difference by"
        f" itself is uncertain by about ±{errors[0]:.2f} to ±{errors[1]:.2f} points in all, seeds included (95%)."
    )
    assert f"uncertain by about ±{found[0].image_error:.2f} points in all" in notes_of(found[:1])[-1]
    unknown = notes_of(compare(results([9900] * 8, [9950] * 8)))[-1]
    assert unknown == "Verdicts are about seeds, on the 10,000 images evaluated."
    assert comparison_dict(found[0])["image_error"] == found[0].image_error


def test_a_rung_whose_runs_equal_those_below_is_said_to_have_changed_nothing() -> None:
    found = compare(results([9900, 9910, 9905], [9900, 9910, 9905], [9900, 9910, 9906]))
    assert [each.identical for each in found] == [True, False]
    assert comparison_dict(found[0])["identical"] is True
    names = [rung.name for rung in LADDER.rungs]
    said = [each for each in notes_of(found) if "changed nothing" in each]
    assert said == [
        f"rung '{names[1]}' changed nothing: its runs equal those of '{names[0]}' in every number (seeds 1 to 3)"
    ]


def test_equal_accuracies_with_other_weights_are_not_identical() -> None:
    below = rung_result(0, [9900, 9910])
    above = result(1, [run.model_copy(update={"weights_sha256": "1" * 64}) for run in below.runs])
    assert not comparison_of(below, above).identical
    assert not comparison_of(below, result(1, [])).identical
    assert comparison_of(below, result(1, [*below.runs[:1]])).identical, "one seed in common"


def test_a_rung_that_is_in_many_pairs_is_one_rung() -> None:
    """As the page of concepts compares: each with a copy of the same rung below."""
    low, quiet, loud = [9900, 9930, 9915, 9921], [9910, 9911, 9912, 9913], [9880, 9990, 9930, 9910]
    one, copy = rung_result(0, low), rung_result(0, low)
    others = [rung_result(1, quiet), rung_result(2, loud)]
    shared = verdicts([(one, others[0]), (one, others[1])], declared=5)
    copied = verdicts([(one, others[0]), (copy, others[1])], declared=5)
    assert [each.spread for each in shared] == [each.spread for each in copied]
