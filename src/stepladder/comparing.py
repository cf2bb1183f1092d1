"""Verdicts: each rung against the rung below, paired by seed, and against its target.

The difference of two rungs is the mean over seeds of the difference of their final accuracies. Its interval is
Student's. Its test turns the signs of the differences around in all 2**n ways (Fisher 1935): exact, whatever the
distribution. The p-values of a ladder are corrected together (Holm 1979). What cannot be known is unknown, never
better.

Where seeds were bought until verdicts were clear (deciding), each look at a pair is paid for: the k-th one may spend
ALPHA / 2**k, so that all of them, however many there will be, spend at most ALPHA. A pair's p-value is then the least
of 2**k p_k over its looks. The present seeds are one of the looks that were kept, or the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, gcd, lcm, log2
from statistics import mean, median, stdev
from typing import Literal

import numpy as np
from scipy import stats

from stepladder.looks import NO_LOOKS, Looks, Seeds, pair_key
from stepladder.results import Results, RungResult
from stepladder.run import Run
from stepladder.stats import accuracy

ALPHA = 0.05
POWER = 0.8
WORTH_KNOWING = 0.05  # points: a smaller difference is not; for this one a verdict tells how many seeds it would need
MOST_SEEDS = 10_000

Outcome = Literal["better", "worse", "no detectable difference", "unknown"]


@dataclass(frozen=True)
class Comparison:
    """A rung against the one below; differences in percentage points, in the order of ``seeds``.

    ``p`` is corrected for all comparisons of the ladder, and for looks. ``correlation`` is that of the two rungs'
    accuracies over seeds. ``seeds_needed`` would show a difference of WORTH_KNOWING, corrected alike (Bonferroni 1936),
    with a power of 80%; None if too many to tell. ``problem`` says why an outcome is unknown. ``negligible``: the
    difference is known to be less than WORTH_KNOWING, whichever way. ``n_looks`` says which look at the pair this is;
    0 if no climb ever bought seeds until its verdict was clear.
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
    negligible: bool = False
    n_looks: int = 0

    @property
    def difference(self) -> Fraction | None:
        return mean(self.differences) if self.differences else None

    @property
    def n_agreeing(self) -> int:
        """Seeds whose difference points where the mean does."""
        total = sum(self.differences)
        return sum(each * total > 0 for each in self.differences)

    @property
    def clear(self) -> bool:
        """Whether it is known what the change did: better, worse, or nothing worth knowing."""
        return self.outcome in ("better", "worse") or self.negligible

    @property
    def diverged(self) -> bool:
        """Whether it is unknown because a run diverged, which no further seed can help."""
        return len(self.seeds) > 1 and not self.differences


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
    return verdicts(list(zip(results.rungs, results.rungs[1:], strict=False)), looks=results.looks)


def compare_with_top(results: Results) -> list[Comparison]:
    """The last rung against each of the others, as climbing down makes them (descent.Descent.as_ladder)."""
    return verdicts([(each, results.rungs[-1]) for each in results.rungs[:-1]], looks=results.looks)


def verdicts(pairs: Sequence[tuple[RungResult, RungResult]], *, looks: Looks = NO_LOOKS) -> list[Comparison]:
    """The second of each pair against the first, corrected for the number of pairs and for looks.

    Raises StoreError if the looks cannot be known.
    """
    found = [
        compare_rungs(below, above, n_comparisons=len(pairs), looks=looks_at(below, above, looks=looks))
        for below, above in pairs
    ]
    corrected = iter(holm([each.p for each in found if each.p is not None]))
    return [each if each.p is None else _judged(replace(each, p=next(corrected))) for each in found]


def looks_at(below: RungResult, above: RungResult, *, looks: Looks) -> tuple[Seeds, ...]:
    """The looks at two rungs that were kept; raises StoreError if they cannot be known."""
    if not below.runs or not above.runs:
        return ()
    return looks.at(pair_key(below.runs[0].identity, above.runs[0].identity))


def compare_rungs(
    below: RungResult, above: RungResult, *, n_comparisons: int = 1, looks: Sequence[Seeds] = ()
) -> Comparison:
    """Two rungs by the seeds they share, after these looks; no outcome yet, and p corrected for the looks alone."""
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
    values, by_seed = [float(each) for each in differences], dict(zip(seeds, differences, strict=True))
    number = look_number(looks, seeds)
    heard = _heard(looks, seeds)
    share = n_comparisons * 2**number  # of ALPHA, by which it is divided
    problem = ""
    if all(len(each) < least_seeds(n_comparisons * 2**k) for k, each in heard.items()):
        problem = f"{len(seeds)} seeds in common: {least_seeds(share)} are the least that could tell"
    return replace(
        comparison,
        differences=differences,
        interval=interval_of_mean(values),
        p=min(1.0, *(2**k * sign_flip_test([by_seed[seed] for seed in each]) for k, each in heard.items())),
        correlation=_correlation(*accuracies),
        seeds_needed=seeds_needed(float(stdev(differences)), difference=WORTH_KNOWING, n_comparisons=share),
        problem=problem,
        negligible=len(seeds) >= least_seeds(share) and _is_negligible(values, alpha=ALPHA / share),
        n_looks=number,
    )


def look_number(looks: Sequence[Seeds], seeds: Seeds) -> int:
    """Which look at a pair these seeds are: one of those made, else the next. 0 if nobody ever looked."""
    if seeds in looks:
        return looks.index(seeds) + 1
    return len(looks) + 1 if looks else 0


def _heard(looks: Sequence[Seeds], seeds: Seeds) -> Mapping[int, Seeds]:
    """The looks that speak for these seeds, by number: the present one, and those made that saw no other seeds."""
    made = {number: each for number, each in enumerate(looks, 1) if set(each) <= set(seeds)}
    return {**made, look_number(looks, seeds): seeds}


def _is_negligible(values: Sequence[float], *, alpha: float) -> bool:
    low, high = interval_of_mean(values, alpha=alpha)
    return low > -WORTH_KNOWING and high < WORTH_KNOWING


def _final(run: Run) -> Fraction:
    assert run.final is not None
    return accuracy(run.final)


def _judged(comparison: Comparison) -> Comparison:
    """Better or worse only where the corrected test and the interval say so, and could have said so."""
    difference, interval, p = comparison.difference, comparison.interval, comparison.p
    assert difference is not None
    assert interval is not None
    assert p is not None
    if comparison.problem:
        return comparison
    if p <= ALPHA and (interval[0] > 0 or interval[1] < 0):
        return replace(comparison, outcome="better" if difference > 0 else "worse")
    return replace(comparison, outcome="no detectable difference")


def least_seeds(n_comparisons: int) -> int:
    """The fewest seeds with which the sign-flip test can be significant after correction: 2 k / 2**n <= alpha."""
    return max(2, ceil(log2(2 * n_comparisons / ALPHA)))


def sign_flip_test(differences: Sequence[Fraction]) -> float:
    """Two-sided p-value of a mean of 0, exact for any number of differences.

    The 2**n ways to choose signs are counted by their sums, in whole numbers, one difference after the other: as a
    share of all ways, so that it stays within floating point (relative error about n times 1e-16).
    """
    unit = lcm(*(each.denominator for each in differences))
    sizes = [abs(int(each * unit)) for each in differences]
    step = gcd(*sizes)
    if step == 0:
        return 1.0
    sizes = [size // step for size in sizes]
    total, observed = sum(sizes), abs(int(sum(differences) * unit)) // step
    share = np.zeros(total + 1)  # share[s]: of the ways, those in which the positive differences add up to s
    share[0] = 1.0
    for size in sizes:
        share[size:] = (share[size:] + share[: total + 1 - size]) / 2
        share[:size] /= 2
    sums = np.abs(2 * np.arange(total + 1) - total)
    return min(1.0, float(share[sums >= observed].sum()))


def interval_of_mean(values: Sequence[float], *, alpha: float = ALPHA) -> tuple[float, float]:
    """Student's interval of the mean of at least two values, at 95% unless another ``alpha`` is given."""
    center, spread = mean(values), stdev(values)
    half = float(stats.t.ppf(1 - alpha / 2, len(values) - 1)) * spread / len(values) ** 0.5
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
