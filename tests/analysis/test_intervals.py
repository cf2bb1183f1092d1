"""Intervals: against other ways to the same numbers, and against simulated runs whose truth is known."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf, isfinite, isinf, log, sqrt
from statistics import mean, stdev, variance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from stepladder.analysis.intervals import (
    ALPHA,
    EFFECT_VARIANCE,
    FEWEST,
    FIRST,
    OWN_DOF,
    SHARE,
    Design,
    Estimate,
    Typical,
    always_factor,
    dof_of_median,
    fewest_seeds,
    interval_of_difference,
    interval_of_mean,
    median_of_variance,
    once_factor,
    paired,
    pooled,
    seeds_needed,
    share_interval,
    spread_range,
    typical,
    unpaired,
)
from stepladder.analysis.verdict_errors import shown_intervals

# The interval that is valid after any number of seeds.

CASES = [(2 / 5, 8.0, 0.01), (2 / 8, 56 / 3, 0.004), (1 / 8 + 1 / 16, 40.0, 0.004), (2 / 64, 252.0, 0.02)]


def bayes_factor(difference: float, *, unit: float, dof: float) -> float:
    """Of effects that are normal, against none, for a measured spread of 1: over effect and log of the true spread."""

    def likelihood(effect: float, log_sigma: float) -> float:
        sigma = np.exp(log_sigma)
        of_difference = stats.norm.pdf(difference, effect * sigma, sqrt(unit) * sigma)
        of_spread = stats.chi2.pdf(dof / sigma**2, dof) / sigma**2
        return float(of_difference * of_spread)

    effects = np.linspace(-25, 25, 4_001)
    log_sigmas = np.linspace(-2.5, 4, 1_301)
    prior = stats.norm.pdf(effects, 0, sqrt(EFFECT_VARIANCE))
    sigma = np.exp(log_sigmas)[:, None]
    of_difference = stats.norm.pdf(difference, effects * sigma, sqrt(unit) * sigma)
    of_spread = stats.chi2.pdf(dof / sigma[:, 0] ** 2, dof) / sigma[:, 0] ** 2
    above = integrate.trapezoid(integrate.trapezoid(of_difference * prior, effects, axis=1) * of_spread, log_sigmas)
    below = integrate.quad(lambda each: likelihood(0, each), -2.5, 4, limit=200)[0]
    return float(above / below)


@pytest.mark.parametrize(("unit", "dof", "alpha"), CASES)
def test_the_interval_ends_where_the_integrated_bayes_factor_is_1_over_alpha(
    unit: float, dof: float, alpha: float
) -> None:
    end = always_factor(unit, dof, alpha)
    assert bayes_factor(end, unit=unit, dof=dof) == pytest.approx(1 / alpha, rel=0.002)


def closed_form(difference: float, *, unit: float, dof: float) -> float:
    """The log of the ratio of two Student densities of the difference, with and without an effect."""
    wide = sqrt(unit + EFFECT_VARIANCE)
    return float(stats.t.logpdf(difference / wide, dof) - log(wide) - stats.t.logpdf(difference / sqrt(unit), dof)) + (
        log(unit) / 2
    )


@given(st.floats(0.002, 2), st.floats(0.6, 2_000), st.floats(1e-5, 0.05))
@settings(deadline=None, max_examples=150)
def test_the_end_is_the_root_of_a_ratio_of_student_densities(unit: float, dof: float, alpha: float) -> None:
    end = always_factor(unit, dof, alpha)
    limit = closed_form(1e9, unit=unit, dof=dof)
    if isinf(end):
        assert limit <= log(1 / alpha) + 1e-6, "however large, no difference is rejected"
    elif end < 1e6:
        root = optimize.brentq(lambda d: closed_form(d, unit=unit, dof=dof) - log(1 / alpha), 0, 1e9)
        assert end == pytest.approx(root, rel=1e-6)


def test_few_degrees_of_freedom_tell_nothing_and_more_tell_more() -> None:
    alpha = SHARE * ALPHA / 5
    factors = [always_factor(2 / n, 2 * (n - 1), alpha) for n in range(2, 300)]
    n_infinite = sum(map(isinf, factors))
    assert 1 <= n_infinite <= 3
    assert all(map(isinf, factors[:n_infinite]))
    assert all(more > less for more, less in pairwise(factors[n_infinite:]))
    by_dof = [always_factor(1 / 4, dof, alpha) for dof in (8, 16, 32, 1_000, 100_000)]
    assert by_dof == sorted(by_dof, reverse=True)
    assert isfinite(by_dof[0])


@pytest.mark.parametrize("n_comparisons", [1, 5, 40])
def test_an_interval_valid_at_any_time_is_wider_than_one_valid_once(n_comparisons: int) -> None:
    alpha = SHARE * ALPHA / n_comparisons
    for n in range(2, 200):
        assert always_factor(2 / n, 2 * (n - 1), alpha) > once_factor(2 / n, 2 * (n - 1), alpha)


@pytest.mark.parametrize("n_paths", [2_000, pytest.param(20_000, marks=pytest.mark.evidence)])
def test_it_is_ever_left_by_alpha_of_paths_at_most(n_paths: int) -> None:
    """Two rungs of normal runs, looked at after every seed: by their own spread, for which the theorem holds."""
    alpha, wrong = 0.05, np.zeros(n_paths, bool)
    runs = np.random.default_rng(5).normal(0, 1, (2, n_paths, 64))
    for n in range(2, 65):
        pooled = np.sqrt(runs[:, :, :n].var(2, ddof=1).mean(0))
        gained = runs[1, :, :n].mean(1) - runs[0, :, :n].mean(1)
        wrong |= np.abs(gained) > pooled * always_factor(2 / n, 2 * (n - 1), alpha)
    share = float(wrong.mean())
    assert 0 < share <= alpha + 3 * sqrt(alpha * (1 - alpha) / n_paths)


# The interval of seeds 1 to 8.


@pytest.mark.parametrize(("unit", "dof", "alpha"), CASES)
def test_the_interval_of_a_fixed_set_is_students(unit: float, dof: float, alpha: float) -> None:
    assert once_factor(unit, dof, alpha) == pytest.approx(stats.t.isf(alpha / 2, dof) * sqrt(unit))


accuracies = st.lists(st.integers(9_800, 9_999).map(lambda n: n / 100), min_size=5, max_size=12)


@given(accuracies, accuracies)
@settings(deadline=None)
def test_an_unpaired_difference_is_welchs(below: list[float], above: list[float]) -> None:
    found = unpaired(below, above, ladder=None, least_spread=0)
    assert found is not None
    assert found.difference == pytest.approx(mean(above) - mean(below), abs=1e-9)
    if len(set(below)) > 1 and len(set(above)) > 1:
        theirs = stats.ttest_ind(above, below, equal_var=False)
        assert found.dof == pytest.approx(theirs.df)
        assert found.spread * sqrt(found.unit) == pytest.approx(theirs._standard_error)


def test_a_difference_of_few_runs_is_none() -> None:
    ladder = Typical(0.05, 20, 5)
    many = [99.1, 99.2] * 8
    for few in range(FEWEST):
        assert unpaired([99.0] * few, many, ladder=ladder, least_spread=0.01) is None
        assert unpaired(many, [99.0] * few, ladder=ladder, least_spread=0.01) is None
        assert paired([0.1] * few, least_spread=0.01) is None


def test_the_larger_spread_counts_own_or_typical() -> None:
    below, above = [99.0, 99.1, 99.2] * 2, [99.3, 99.4, 99.5] * 2
    own = stdev(below)
    for spread, expected, dof in ((0.07, own, 30), (0.3, 0.3, 30), (0.06, own, 10)):
        found = unpaired(below, above, ladder=Typical(spread, 30, 5), least_spread=0.01)
        assert found is not None
        assert found.spread == pytest.approx(expected)
        assert found.dof == pytest.approx(dof), "what is much wider than the ladder speaks for itself, and knows little"
        assert found.unit == pytest.approx(2 / 6)


def test_rungs_that_know_their_spread_do_without_the_ladders() -> None:
    for n, expected in ((20, 0.3), (21, 0.1)):
        rung = [99.0 + 0.1 * (each % 2 * 2 - 1) for each in range(n)]
        found = unpaired(rung, rung, ladder=Typical(0.3, 100, 5), least_spread=0.01)
        assert found is not None
        assert found.spread == pytest.approx(expected, rel=0.06)
        assert found.dof == pytest.approx(100 if n == 20 else OWN_DOF)


def test_runs_that_are_alike_still_differ_by_an_image() -> None:
    for n_images in (100, 10_000):
        image = 100 / n_images
        found = unpaired([99.0] * 5, [99.0] * 5, ladder=typical([[99.0] * 5] * 3), least_spread=image)
        of_pairs = paired([0.0] * 5, least_spread=image)
        assert found is not None
        assert of_pairs is not None
        assert (found.spread, of_pairs.spread) == (image, image)
        low, high = interval_of_difference(found, None, n_comparisons=1)
        assert low < 0 < high


def test_pairs_are_students_of_their_differences() -> None:
    differences = [0.1, 0.12, 0.07, 0.11, 0.13]
    found = paired(differences, least_spread=0.01)
    assert found == Estimate(mean(differences), stdev(differences), 4, 1 / 5)


# The spread of a ladder.


@pytest.mark.parametrize("dof", [1, 2, 7, 15, 63])
def test_a_median_of_variances_is_set_right(dof: int) -> None:
    drawn = np.random.default_rng(dof).normal(0, 1, (200_001, dof + 1)).var(1, ddof=1)
    assert median_of_variance(dof) == pytest.approx(float(np.median(drawn)), rel=0.02)


@pytest.mark.parametrize(("n_rungs", "n_seeds"), [(3, 5), (6, 5), (6, 8), (11, 8)])
def test_the_typical_spread_is_right_on_average(n_rungs: int, n_seeds: int) -> None:
    """Rather too wide than too narrow where rungs and seeds are few; and known as its degrees of freedom say."""
    runs = np.random.default_rng(n_rungs).normal(99, 0.06, (600, n_rungs, n_seeds))
    found = [each for ladder in runs.tolist() if (each := typical(ladder))]
    of_variance = np.array([each.spread**2 for each in found]) / 0.06**2
    assert 0.96 <= of_variance.mean() <= (1.2 if n_seeds < 8 else 1.08)
    assert found[0].n_rungs == n_rungs
    assert 2 / of_variance.var() == pytest.approx(found[0].dof, rel=0.35)


def test_a_typical_spread_is_of_three_rungs_with_runs_enough() -> None:
    one, other, few = [99.0, 99.1, 99.3, 99.2, 99.1], [99.0, 99.4] * 3, [98.0, 99.9] * 2
    assert typical([]) is typical([[99.0], []]) is typical([one, other]) is typical([one, other, few]) is None
    found = typical([one, one, other, few])
    assert found is not None
    assert found.spread == pytest.approx(sqrt(variance(one) / median_of_variance(4)))
    assert found.dof == pytest.approx(dof_of_median([4, 4, 5]))
    assert found.n_rungs == 3


def test_samples_pool() -> None:
    one, other = [99.0, 99.1, 99.3], [99.0, 99.4]
    assert pooled([[99.0], []]) is None
    found = pooled([one, [99.0], other])
    assert found is not None
    assert found[0] == pytest.approx(sqrt((2 * variance(one) + variance(other)) / 3))
    assert found[1] == 3


def test_many_seeds_of_one_rung_tell_little_of_the_others() -> None:
    """A median that two rungs of two seeds decide is not known from the 64 of a third."""
    assert dof_of_median([63, 1, 1]) == dof_of_median([1, 1, 1])
    assert dof_of_median([7] * 6) == pytest.approx(28)
    assert dof_of_median([7] * 5 + [1]) == pytest.approx(24)
    runs, wrong = np.random.default_rng(1).normal(99, 0.06, (1_500, 3, 64)).round(2), np.zeros(1_500, bool)
    for n in range(2, 17):
        low, high = shown_intervals(runs, [64, n, n], n_comparisons=2, least_spread=0.01)
        wrong |= ((low > 0) | (high < 0)).any(1)
    assert wrong.mean() <= 0.025


def test_one_rung_that_collapses_changes_nothing_that_is_said_of_others() -> None:
    random = np.random.default_rng(2)
    for _ in range(20):
        runs = random.normal(99, 0.06, (6, 8)).tolist()
        widest = max(range(6), key=lambda rung: variance(runs[rung]))
        collapsed = [[*each[:-1], 11.35] if rung == widest else each for rung, each in enumerate(runs)]
        assert typical(collapsed) == typical(runs)
    for rung in range(6):
        collapsed = [[*each[:-1], 11.35] if k == rung else each for k, each in enumerate(runs)]
        before, after = typical(runs), typical(collapsed)
        assert before is not None
        assert after is not None
        assert after.spread <= 2 * before.spread
        assert after.dof == before.dof


# Two intervals in one.


def test_the_two_have_their_common_part_and_where_they_disagree_the_one_of_all_seeds_is_left() -> None:
    def ends(estimate: Estimate, factor: float) -> tuple[float, float]:
        return estimate.difference - estimate.spread * factor, estimate.difference + estimate.spread * factor

    now = Estimate(0.10, 0.05, 60, 2 / 20)
    alpha = SHARE * ALPHA / 5
    of_now = ends(now, always_factor(now.unit, now.dof, alpha))
    assert interval_of_difference(now, None, n_comparisons=5) == of_now
    for difference, part in ((0.12, "common"), (0.24, "beside"), (2.0, "apart")):
        first = Estimate(difference, 0.05, 28, 2 / 8)
        of_first = ends(first, once_factor(first.unit, first.dof, alpha))
        low, high = interval_of_difference(now, first, n_comparisons=5)
        if part == "common":
            assert (low, high) == (max(of_now[0], of_first[0]), min(of_now[1], of_first[1]))
        else:
            assert (of_now[1] < of_first[0]) == (part == "apart")
            assert of_first[0] > now.difference, "seeds 1 to 8 say otherwise than all"
            assert (low, high) == of_now


estimates = st.builds(
    Estimate,
    difference=st.floats(-5, 5).map(lambda each: round(each, 4)),
    spread=st.floats(0.001, 3),
    dof=st.floats(0.6, 500),
    unit=st.integers(2, 100).map(lambda n: 2 / n),
)


def mirrored(estimate: Estimate | None) -> Estimate | None:
    return estimate and Estimate(-estimate.difference, estimate.spread, estimate.dof, estimate.unit)


@given(estimates, st.none() | estimates, st.integers(1, 100))
@settings(deadline=None)
def test_what_is_worse_is_the_mirror_of_what_is_better(now: Estimate, first: Estimate | None, n: int) -> None:
    low, high = interval_of_difference(now, first, n_comparisons=n)
    assert not np.isnan([low, high]).any()
    assert low <= high
    other = mirrored(now)
    assert other is not None
    assert interval_of_difference(other, mirrored(first), n_comparisons=n) == pytest.approx((-high, -low))


@given(estimates, st.integers(1, 100))
@settings(deadline=None)
def test_more_comparisons_make_it_wider_and_less_spread_narrower(now: Estimate, n: int) -> None:
    low, high = interval_of_difference(now, None, n_comparisons=n)
    of_more = interval_of_difference(now, None, n_comparisons=n + 1)
    assert of_more[0] < low < high < of_more[1] or of_more == (-inf, inf)
    half = Estimate(now.difference, now.spread / 2, now.dof, now.unit)
    of_half = interval_of_difference(half, None, n_comparisons=n)
    assert of_half[1] - of_half[0] == pytest.approx((high - low) / 2)
    assert (low + high) / 2 == pytest.approx(now.difference, abs=1e-6) or isinf(high)


# Seeds that it takes.

EFFECTS = [3.0, 2.0, 1.4, 1.0, 0.7]


def power(n: int, effect: float, *, n_rungs: int, n_comparisons: int = 5) -> float:
    """The share of steps of so many spreads that are found with n seeds each."""
    n_ladders = 1 + 120_000 // (n_rungs * n)
    runs = np.random.default_rng(7).normal(0, 1, (n_ladders, n_rungs, n)) + effect * np.arange(n_rungs)[:, None]
    low, _ = shown_intervals(runs, [n] * n_rungs, n_comparisons=n_comparisons, least_spread=0)
    return float((low > 0).mean())


@pytest.mark.parametrize("n_rungs", [2, 3, 6])
@pytest.mark.parametrize("effect", EFFECTS)
def test_the_seeds_needed_find_about_four_in_five(n_rungs: int, effect: float) -> None:
    """Somewhat fewer where seeds are few: a pair is judged by the larger of two spreads."""
    n = seeds_needed(Design(False, n_rungs, 5), effect=effect)
    assert n is not None
    found = power(n, effect, n_rungs=n_rungs)
    assert found >= (0.75 if n > 2 * FIRST else 0.71)
    assert n <= FIRST or found <= 0.88
    assert power(max(2, n // 2), effect, n_rungs=n_rungs) < 0.75


def test_the_seeds_needed_of_pairs_find_four_in_five() -> None:
    design = Design(True, 2, 1)
    for effect in (2.0, 1.0, 0.5):
        n = seeds_needed(design, effect=effect)
        assert n is not None
        found = 0
        for differences in np.random.default_rng(3).normal(effect, 1, (800, n)).tolist():
            now, first = (paired(each, least_spread=0) for each in (differences, differences[:FIRST]))
            assert now is not None
            low, _ = interval_of_difference(now, first if n >= FIRST else None, n_comparisons=1)
            found += low > 0
        assert found / 800 >= 0.73


def test_smaller_effects_and_more_comparisons_take_more_seeds() -> None:
    for is_paired, n_rungs in ((False, 2), (False, 6), (True, 2)):
        by_effect = [needed(is_paired, n_rungs, 5, effect) for effect in (8, 4, 2, 1, 0.5, 0.25, 0.12)]
        assert by_effect == sorted(by_effect)
        assert len(set(by_effect)) >= 6
        by_comparisons = [needed(is_paired, n_rungs, n, 0.5) for n in (1, 2, 5, 10, 100)]
        assert by_comparisons == sorted(set(by_comparisons))
    assert needed(False, 6, 5, -0.5) == needed(False, 6, 5, 0.5)
    assert seeds_needed(Design(False, 6, 5), effect=0) is None
    assert seeds_needed(Design(False, 6, 5), effect=0.001) is None, "more than anybody trains"


def needed(is_paired: bool, n_rungs: int, n_comparisons: int, effect: float) -> int:
    found = seeds_needed(Design(is_paired, n_rungs, n_comparisons), effect=effect)
    assert found is not None
    return found


def test_with_fewer_than_the_fewest_seeds_nothing_has_an_end() -> None:
    designs: Sequence[Design] = [Design(p, r, k) for p, r in ((False, 2), (False, 6), (True, 2)) for k in (1, 5, 50)]
    for design in designs:
        least = fewest_seeds(design)
        assert least is not None
        assert isfinite(design.factor(least))
        assert all(isinf(design.factor(n)) for n in range(FEWEST, least))
    assert [fewest_seeds(Design(False, rungs, k)) for rungs in (2, 6) for k in (1, 5, 100)] == [FEWEST] * 6
    assert [fewest_seeds(Design(True, 2, k)) for k in (1, 5, 100)] == [5, 5, 6]


@pytest.mark.parametrize("dof", [3, 14, 28])
def test_a_range_of_spreads_is_right_four_times_of_five(dof: int) -> None:
    measured = np.sqrt(np.random.default_rng(dof).chisquare(dof, 4_000) / dof)
    ranges = [spread_range(float(each), dof) for each in measured]
    assert sum(low <= 1 <= high for low, high in ranges) / 4_000 == pytest.approx(0.8, abs=0.02)
    assert sum(high < 1 for _, high in ranges) / 4_000 == pytest.approx(0.1, abs=0.015)
    assert all(0 < low < each < high for (low, high), each in zip(ranges, measured, strict=True))


# Of a mean, and of a share.


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=9), st.sampled_from([0.05, 0.01]))
@settings(deadline=None)
def test_the_interval_of_a_mean_is_scipys(hundredths: list[int], alpha: float) -> None:
    values = [each / 100 for each in hundredths]
    if len(set(values)) > 1:
        theirs = stats.ttest_1samp(values, 0).confidence_interval(1 - alpha)
        assert interval_of_mean(values, alpha=alpha) == pytest.approx((theirs.low, theirs.high))
    else:
        assert interval_of_mean(values) == pytest.approx((values[0], values[0]))
        low, high = interval_of_mean(values, least_spread=0.01)
        assert low < values[0] < high


@given(st.integers(0, 30), st.integers(1, 30))
def test_the_interval_of_a_share_is_clopper_and_pearsons(k: int, n: int) -> None:
    k = min(k, n)
    theirs = stats.binomtest(k, n).proportion_ci(method="exact")
    assert share_interval(k, n) == pytest.approx((theirs.low, theirs.high))
    assert share_interval(0, 0) is None
