"""Intervals: of a mean, of a share, and of the difference of two rungs, which decides a verdict.

The interval of a difference makes one promise, whoever compares after every seed, adds seeds by hand, stops when a
verdict is there, or adds a rung on top: of 100 ladders at most five ever show one that misses what it speaks of, all
their comparisons together (ALPHA, shared out evenly: Bonferroni 1936). It spends that on two intervals:

- Student's of seeds 1 to 8, a set that is fixed before anyone looks;
- one of all seeds there are, valid after any number of them: those differences that a Bayes factor of a linear model
  with unknown variance does not reject (Lai 1976; Lindon, Ham, Tingley & Bojinov 2022, arXiv 2210.08589). That factor
  is a martingale if the difference is true, so it ever exceeds 1 / alpha with probability alpha at most (Ville 1939).

What they have in common is shown, if the difference of all seeds lies in it. If it does not, seeds 1 to 8 say otherwise
than all do: then the second is shown alone, which promises as much by itself.

Each has two fifths. The last fifth is kept back for what the two take for granted and seeds do not keep to: that runs
are normal, spread alike and are independent (benchmarks/verdicts.py simulates runs that are not).

Few runs know little of their spread. So a difference is judged by the larger of its own two rungs' (Welch 1947) and the
ladder's typical one, the median of its rungs' variances: no single rung, and no seed that collapses, speaks for others.
It is judged by its own alone, and by what these two rungs know of it, where that is much the larger (UNLIKE) or known
well enough (OWN_DOF), and in a ladder of two. With fewer than FEWEST runs of either rung nothing is said: two that lie
close by chance would speak for a spread that they do not show.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite, log, sqrt
from statistics import mean, median, stdev, variance

import numpy as np
from numpy.typing import NDArray
from scipy import special  # not stats, which takes a second to import

ALPHA = 0.05
POWER = 0.8
FIRST = 8  # seeds of the set that is fixed before anyone looks
SHARE = 0.4  # of ALPHA, for each of the two intervals
EFFECT_VARIANCE = 6.0  # of the differences that the Bayes factor looks for, in variances of a run
FEWEST = 5  # runs of a rung, below which nothing is said of it; benchmarks/verdicts.py has what fewer would do
UNLIKE = 2  # times the ladder's variance: above it two rungs spread by more than it does (alike, one pair in ten does)
OWN_DOF = 40  # from which two rungs know their spread well enough
MEDIAN_WEIGHT = 2 / 3  # what a run tells of a median of variances, beside their mean
MOST_SEEDS = 10_000

Interval = tuple[float, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Typical:
    """The spread of a ladder's runs: their standard deviation in points, its degrees of freedom, and rungs."""

    spread: float
    dof: float
    n_rungs: int


@dataclass(frozen=True)
class Estimate:
    """A difference in points, and what is known of its error.

    ``spread`` is the standard deviation of a run (of a seed's difference, where runs are paired), known from ``dof``
    degrees of freedom; the error's standard deviation is ``spread * sqrt(unit)``.
    """

    difference: float
    spread: float
    dof: float
    unit: float


def typical(rungs: Sequence[Sequence[float]]) -> Typical | None:
    """The median of the variances of rungs, from the accuracies of their runs; None for fewer than three rungs.

    Rungs with fewer than FEWEST runs do not count. A median of variances is lower than what it estimates, the more the
    fewer the runs: each is set right for that. And it is known no better than from rungs with as many runs as the
    middle one has.
    """
    known = [of_rung for of_rung in rungs if len(of_rung) >= FEWEST]
    if len(known) < 3:
        return None
    dofs = [len(of_rung) - 1 for of_rung in known]
    middle = median(variance(of_rung) / median_of_variance(dof) for dof, of_rung in zip(dofs, known, strict=True))
    return Typical(sqrt(middle), dof_of_median(dofs), len(known))


def pooled(samples: Sequence[Sequence[float]]) -> tuple[float, int] | None:
    """The standard deviation of samples that spread alike, and its degrees of freedom; None where none has two."""
    known = [(len(sample) - 1, variance(sample)) for sample in samples if len(sample) > 1]
    dof = sum(each for each, _ in known)
    return (sqrt(sum(each * spread for each, spread in known) / dof), dof) if known else None


def dof_of_median(dofs: Iterable[int]) -> float:
    """How well a median of variances is known, from the degrees of freedom of each."""
    known = [float(dof) for dof in dofs]
    most = median(known)
    return MEDIAN_WEIGHT * sum(min(dof, most) for dof in known)


def median_of_variance(dof: float) -> float:
    """Of a sample's variance, where the true one is 1."""
    return float(special.chdtri(dof, 0.5)) / dof


def unpaired(
    below: Sequence[float], above: Sequence[float], *, ladder: Typical | None, least_spread: float
) -> Estimate | None:
    """The second rung's mean less the first's; None with fewer than FEWEST runs of either."""
    if min(len(below), len(above)) < FEWEST:
        return None
    unit = 1 / len(below) + 1 / len(above)
    parts = [(variance(each) / len(each), len(each) - 1) for each in (below, above)]
    error, n_dof = sum(part for part, _ in parts), sum(dof for _, dof in parts)
    dof = error**2 / sum(part**2 / dof for part, dof in parts) if error else float(n_dof)
    spread = sqrt(error / unit)
    if ladder is not None and not stands_alone(spread, dof, ladder):
        spread, dof = max(spread, ladder.spread), max(dof, ladder.dof)
    return Estimate(mean(above) - mean(below), max(spread, least_spread), dof, unit)


def stands_alone(spread: float, dof: float, ladder: Typical) -> bool:
    """Whether two rungs are judged by their own spread alone: they know it, or it is much larger than the ladder's."""
    return dof >= OWN_DOF or spread**2 > UNLIKE * ladder.spread**2


def paired(differences: Sequence[float], *, least_spread: float) -> Estimate | None:
    """The mean of differences by seed, where two rungs share their trainings; None with fewer than FEWEST."""
    n = len(differences)
    if n < FEWEST:
        return None
    return Estimate(mean(differences), max(stdev(differences), least_spread), n - 1, 1 / n)


def interval_of_difference(now: Estimate, first: Estimate | None, *, n_comparisons: int) -> Interval:
    """The interval that decides, of all seeds and, where they are all there, of seeds 1 to 8. It may have no end.

    The difference of all seeds lies in it.
    """
    alpha = SHARE * ALPHA / n_comparisons
    always = _around(now, always_factor(now.unit, now.dof, alpha))
    if first is None:
        return always
    once = _around(first, once_factor(first.unit, first.dof, alpha))
    low, high = max(always[0], once[0]), min(always[1], once[1])
    return (low, high) if low <= now.difference <= high else always


def _around(estimate: Estimate, factor: float) -> Interval:
    half = estimate.spread * factor
    return estimate.difference - half, estimate.difference + half


def once_factor(unit: float, dof: float, alpha: float) -> float:
    """Half the width of Student's interval, in spreads."""
    return float(special.stdtrit(dof, 1 - alpha / 2)) * sqrt(unit)


def always_factor(unit: float, dof: float, alpha: float) -> float:
    """Half the width, in spreads, of the interval that is valid after any number of seeds; infinite for few."""
    return float(always_factors(np.float64(unit), np.float64(dof), alpha))


def always_factors(units: Floats | np.float64, dofs: Floats | np.float64, alpha: float) -> Floats:
    """``always_factor`` of arrays.

    With t the difference in its standard errors, the Bayes factor of differences spread by EFFECT_VARIANCE against
    none is sqrt(r) ((1 + t^2 / dof) / (1 + r t^2 / dof))^((dof + 1) / 2), r = unit / (unit + EFFECT_VARIANCE): at
    1 / alpha there it ends.
    """
    ratio = units / (units + EFFECT_VARIANCE)
    exponent = (log(1 / alpha) - np.log(ratio) / 2) * 2 / (dofs + 1)
    at_limit = np.exp(np.minimum(exponent, -np.log(ratio)))
    with np.errstate(divide="ignore"):
        factors = np.sqrt(dofs * (at_limit - 1) / np.maximum(1 - at_limit * ratio, 0.0) * units)
    return np.where(exponent + np.log(ratio) < 0, factors, np.inf)


@dataclass(frozen=True)
class Design:
    """How a difference would be told with n seeds: how its error and what is known of the spread grow."""

    paired: bool
    n_rungs: int
    n_comparisons: int

    def factor(self, n: int) -> float:
        """Half the width of the interval, in spreads."""
        alpha = SHARE * ALPHA / self.n_comparisons
        always = always_factor(self.unit(n), self.dof(n), alpha)
        first = once_factor(self.unit(FIRST), self.dof(FIRST), alpha) if n >= FIRST else inf
        return min(always, first)

    def unit(self, n: int) -> float:
        return 1 / n if self.paired else 2 / n

    def dof(self, n: int) -> float:
        """With more seeds never less, though two rungs that know their spread do without the ladder's."""
        if self.paired:
            return n - 1
        own = 2 * (n - 1)
        of_ladder = MEDIAN_WEIGHT * self.n_rungs * min(n - 1, OWN_DOF / 2) if self.n_rungs > 2 else 0.0
        return max(own, of_ladder)


@lru_cache(maxsize=4096)
def seeds_needed(design: Design, *, effect: float) -> int | None:
    """The fewest seeds for each rung that find a difference, in spreads, in four of five cases; None above MOST_SEEDS.

    Where the interval of seeds 1 to 8 is not the one to find it, its error does not count.
    """
    if not effect:
        return None
    beyond = float(special.ndtri(POWER))
    return fewest(lambda n: abs(effect) >= design.factor(n) + beyond * sqrt(design.unit(n)))


@lru_cache(maxsize=256)
def fewest_seeds(design: Design) -> int | None:
    """With fewer seeds an interval has no end, and nothing can be told."""
    return fewest(lambda n: isfinite(design.factor(n)))


def fewest(holds: Callable[[int], bool], *, least: int = FEWEST) -> int | None:
    """The fewest seeds, ``least`` at least, with which something holds that holds with more; None above MOST_SEEDS."""
    numbers = range(least, MOST_SEEDS + 1)
    at = bisect_left(numbers, True, key=holds)
    return numbers[at] if at < len(numbers) else None


def spread_range(spread: float, dof: float, *, level: float = POWER) -> Interval:
    """Between what a spread may be, four times of five, that was measured with this many degrees of freedom."""
    tail = (1 - level) / 2
    low, high = (spread * sqrt(dof / float(special.chdtri(dof, part))) for part in (tail, 1 - tail))
    return low, high


def interval_of_mean(values: Sequence[float], *, alpha: float = ALPHA, least_spread: float = 0.0) -> Interval:
    """Student's interval of the mean of at least two values, at 95% unless another ``alpha`` is given."""
    center, spread = mean(values), max(stdev(values), least_spread)
    half = float(special.stdtrit(len(values) - 1, 1 - alpha / 2)) * spread / len(values) ** 0.5
    return center - half, center + half


def share_interval(k: int, n: int, *, alpha: float = ALPHA) -> Interval | None:
    """The exact interval of a share, k of n (Clopper & Pearson 1934), at 95% unless told; None of nothing."""
    if not n:
        return None
    low = float(special.betaincinv(k, n - k + 1, alpha / 2)) if k else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - alpha / 2)) if k < n else 1.0
    return low, high
