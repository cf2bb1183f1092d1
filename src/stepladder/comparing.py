"""Verdicts: each rung against the rung below, paired by seed, and against its target.

The difference of two rungs is the mean over seeds of the difference of their final accuracies. Its interval is
Student's. Its test turns the signs of the differences around in all 2**n ways (Fisher 1935): exact, whatever the
distribution. The p-values of a ladder are corrected together (Holm 1979). What cannot be known is unknown, never
better.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, lcm, log2
from statistics import mean, median, stdev
from typing import Literal

import numpy as np
from scipy import stats

from stepladder.results import Results, RungResult
from stepladder.run import Run
from stepladder.stats import accuracy

ALPHA = 0.05
POWER = 0.8
WORTH_KNOWING = 0.05  # points: for this difference a verdict tells how many seeds it would need
MOST_EXACT_SEEDS = 16  # 65,536 ways; with more seeds as many ways, drawn at random
MOST_SEEDS = 10_000

Outcome = Literal["better", "worse", "no detectable difference", "unknown"]


@dataclass(frozen=True)
class Comparison:
    """A rung against the one below; differences in percentage points, in the order of ``seeds``.

    ``p`` is corrected for all comparisons of the ladder. ``correlation`` is that of the two rungs' accuracies over
    seeds. ``seeds_needed`` would show a difference of WORTH_KNOWING, corrected alike (Bonferroni 1936), with a power of
    80%; None if too many to tell.
    ``problem`` says why an outcome is unknown.
    """

    below: str
    rung: str
    seeds: tuple[int, ...]
    differences: tuple[Fraction, ...] = ()
    interval: tuple[float, float] | None = None
    p: float | None = None
    correlation: float | None = None
    seeds_needed: int | None = None
    outcome: Outcome = "unknown"
    problem: str = ""

    @property
    def difference(self) -> Fraction | None:
        return mean(self.differences) if self.differences else None

    @property
    def n_agreeing(self) -> int:
        """Seeds whose difference points where the mean does."""
        total = sum(self.differences)
        return sum(each * total > 0 for each in self.differences)


@dataclass(frozen=True)
class TargetVerdict:
    """A rung against its target. ``interval`` is that of the share of seeds that hold it (Clopper & Pearson 1934).

    ``consistent_median`` and ``consistent_worst`` are epochs; None if that seed, or half of them, never get there.
    """

    rung: str
    n_held: int
    n_seeds: int
    interval: tuple[float, float] | None
    consistent_median: float | None
    consistent_worst: int | None


def compare(results: Results) -> list[Comparison]:
    """Every rung but the first, against the one below."""
    return verdicts(list(zip(results.rungs, results.rungs[1:], strict=False)))


def compare_with_top(results: Results) -> list[Comparison]:
    """The last rung against each of the others, as climbing down makes them (descent.Descent.as_ladder)."""
    return verdicts([(each, results.rungs[-1]) for each in results.rungs[:-1]])


def verdicts(pairs: Sequence[tuple[RungResult, RungResult]]) -> list[Comparison]:
    """The second of each pair against the first, corrected for the number of pairs."""
    found = [compare_rungs(below, above, n_comparisons=len(pairs)) for below, above in pairs]
    corrected = iter(holm([each.p for each in found if each.p is not None]))
    least = least_seeds(len(pairs))
    return [each if each.p is None else _judged(replace(each, p=next(corrected)), least) for each in found]


def compare_rungs(below: RungResult, above: RungResult, *, n_comparisons: int = 1) -> Comparison:
    """Two rungs by the seeds they share; no outcome yet, and p not corrected."""
    runs = [{run.identity.seed: run for run in result.runs} for result in (below, above)]
    seeds = tuple(sorted(runs[0].keys() & runs[1].keys()))
    comparison = Comparison(below.rung.name, above.rung.name, seeds)
    if len(seeds) < 2:
        return replace(comparison, problem=f"{len(seeds)} of at least 2 seeds in common")
    pairs = [(runs[0][seed], runs[1][seed]) for seed in seeds]
    for result, of_rung in zip((below, above), zip(*pairs, strict=True), strict=True):
        if n_diverged := sum(run.final is None for run in of_rung):
            return replace(comparison, problem=f"{n_diverged} of {len(seeds)} runs of '{result.rung.name}' diverged")
    accuracies = [[_final(run) for run in of_rung] for of_rung in zip(*pairs, strict=True)]
    differences = tuple(high - low for low, high in zip(*accuracies, strict=True))
    spread = float(stdev(differences))
    return replace(
        comparison,
        differences=differences,
        interval=interval_of_mean([float(each) for each in differences]),
        p=sign_flip_test(differences),
        correlation=_correlation(*accuracies),
        seeds_needed=seeds_needed(spread, difference=WORTH_KNOWING, n_comparisons=n_comparisons),
    )


def _final(run: Run) -> Fraction:
    assert run.final is not None
    return accuracy(run.final)


def _judged(comparison: Comparison, least: int) -> Comparison:
    """Better or worse only where the corrected test and the interval say so, and could have said so."""
    difference, interval, p = comparison.difference, comparison.interval, comparison.p
    assert difference is not None
    assert interval is not None
    assert p is not None
    if len(comparison.seeds) < least:
        problem = f"{len(comparison.seeds)} seeds in common: {least} are the least that could tell"
        return replace(comparison, problem=problem)
    if p <= ALPHA and (interval[0] > 0 or interval[1] < 0):
        return replace(comparison, outcome="better" if difference > 0 else "worse")
    return replace(comparison, outcome="no detectable difference")


def least_seeds(n_comparisons: int) -> int:
    """The fewest seeds with which the sign-flip test can be significant after correction: 2 k / 2**n <= alpha."""
    return max(2, ceil(log2(2 * n_comparisons / ALPHA)))


def sign_flip_test(differences: Sequence[Fraction]) -> float:
    """Two-sided p-value of a mean of 0; exact for up to MOST_EXACT_SEEDS, else from as many draws with a fixed seed.

    Sums are taken of whole numbers, so that two ways with equal sums are equal.
    """
    unit = lcm(*(each.denominator for each in differences))
    values = np.array([float(each * unit) for each in differences])
    if not values.any():
        return 1.0
    exact = len(values) <= MOST_EXACT_SEEDS
    result = stats.permutation_test(
        (values,),
        lambda x, axis: x.sum(axis),
        permutation_type="samples",
        n_resamples=np.inf if exact else 2**MOST_EXACT_SEEDS,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def interval_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95% interval of the mean of at least two values."""
    center, spread = mean(values), stdev(values)
    half = float(stats.t.ppf(1 - ALPHA / 2, len(values) - 1)) * spread / len(values) ** 0.5
    return center - half, center + half


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979)."""
    corrected, largest = list(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def seeds_needed(spread: float, *, difference: float, n_comparisons: int = 1) -> int | None:
    """Seeds for a paired t-test to show this difference with a power of 80%; None above MOST_SEEDS.

    ``spread`` is the standard deviation of the differences; with several comparisons each gets its share of ALPHA.
    """
    alpha = ALPHA / n_comparisons
    powers = (2**k for k in range(1, MOST_SEEDS.bit_length() + 1))
    high = next((n for n in powers if _power(n, spread, difference, alpha) >= POWER), MOST_SEEDS + 1)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(middle, spread, difference, alpha) >= POWER else (middle, high)
    return max(high, least_seeds(n_comparisons)) if high <= MOST_SEEDS else None


def _power(n: int, spread: float, difference: float, alpha: float) -> float:
    """Of a two-sided paired t-test with n pairs."""
    if spread == 0:
        return 1.0
    if n < 2:
        return 0.0
    critical, shift = float(stats.t.ppf(1 - alpha / 2, n - 1)), difference / spread * n**0.5
    return float(stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift))


def _correlation(first: Sequence[Fraction], second: Sequence[Fraction]) -> float | None:
    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return float(stats.pearsonr([float(x) for x in first], [float(x) for x in second]).statistic)


def against_target(result: RungResult) -> TargetVerdict:
    """How often a rung holds its target, and how sure that share is."""
    summary, n = result.summary, len(result.summary.seeds)
    interval = None
    if n:
        found = stats.binomtest(summary.n_held, n).proportion_ci(1 - ALPHA, method="exact")
        interval = (float(found.low), float(found.high))
    epochs = [epoch if epoch is not None else float("inf") for epoch in summary.consistent_from]
    middle, worst = (median(epochs), max(epochs)) if epochs else (float("inf"), float("inf"))
    return TargetVerdict(
        rung=result.rung.name,
        n_held=summary.n_held,
        n_seeds=n,
        interval=interval,
        consistent_median=None if middle == float("inf") else middle,
        consistent_worst=None if worst == float("inf") else int(worst),
    )
