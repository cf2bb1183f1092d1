"""Verdicts: each rung against the rung below, paired by seed, and against its target.

The difference of two rungs is the mean over seeds of the difference of their final accuracies. Its interval is
Student's. Its test turns the signs of the differences around in all 2**n ways (Fisher 1935): exact if the change does
nothing, because then each difference could as well have had the other sign. The p-values of a ladder are corrected
together (Holm 1979), its intervals are not. What cannot be known is unknown, never better.

Verdicts are about seeds: the evaluated images are taken as they are, and what others would change is a number of its
own (``image_error``).

Where seeds are bought until verdicts are clear (deciding), each look at a pair is paid for: the k-th one may spend
ALPHA / 2**k, so that all of them, however many there will be, spend at most ALPHA. A pair's p-value is then the least
of 2**k p_k over those looks that point where the present mean does. The present seeds are one of the looks that were
kept, or the next one, from the moment on when the first seed is bought for the pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, gcd, lcm, log2
from statistics import correlation, mean, median, stdev
from typing import Literal

import numpy as np
from scipy import special  # not stats, which takes a second to import

from stepladder.looks import NO_LOOKS, Looks, Seeds, pair_key
from stepladder.results import Results, RungResult
from stepladder.run import Epoch, Run
from stepladder.stats import accuracy

ALPHA = 0.05
POWER = 0.8
WORTH_KNOWING = 0.05  # points: a smaller difference is not; for this one a verdict tells how many seeds it would need
IMAGES_WORTH_KNOWING = 5  # WORTH_KNOWING in images, at least, to tell smaller ones: 10,000 evaluated images just do
MOST_SEEDS = 10_000
N_DRAWS = 1_000  # of seeds, to find the power of the sign-flip test: standard error 0.013 at POWER

Outcome = Literal["better", "worse", "no detectable difference", "unknown"]


@dataclass(frozen=True)
class Comparison:
    """A rung against the one below; differences in percentage points, in the order of ``seeds``.

    ``p`` is corrected for all comparisons of the ladder, and for looks; the ``interval`` is not. ``correlation`` is
    that of the two rungs' accuracies over seeds. ``seeds_needed`` would show a difference of WORTH_KNOWING, corrected
    alike (Bonferroni 1936), with a power of about 80%; None if too many to tell. ``problem`` says why an outcome is
    unknown; ``diverged``: because runs diverged, which no further seed can help. ``negligible``: the difference is
    known to be less than WORTH_KNOWING, whichever way. ``look`` says which look at the pair this is, from 1; 0 if no
    climb ever bought seeds until its verdict was clear. ``image_error``: as an estimate for all images of the kind of
    the ``n_evaluated``, the difference is uncertain by another so many points (95%); None if that is not known.
    ``identical``: of each seed, the two runs are equal in every number, weights included: the change did nothing.
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
    diverged: bool = False
    negligible: bool = False
    look: int = 0
    n_evaluated: int | None = None
    image_error: float | None = None
    identical: bool = False

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
    def excludes_0(self) -> bool:
        """Whether the interval, which is not corrected, does."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


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
    corrected = holm([1.0 if each.p is None else each.p for each in found])
    return [each if each.p is None else _judged(replace(each, p=p)) for each, p in zip(found, corrected, strict=True)]


def looks_at(below: RungResult, above: RungResult, *, looks: Looks) -> tuple[Seeds, ...] | None:
    """The looks at two rungs that were kept, None if no climb bought seeds for them; raises StoreError if unknown."""
    if not below.runs or not above.runs:
        return None
    return looks.at(pair_key(below.runs[0].identity, above.runs[0].identity))


def compare_rungs(
    below: RungResult, above: RungResult, *, n_comparisons: int = 1, looks: Sequence[Seeds] | None = None
) -> Comparison:
    """Two rungs by the seeds they share, after these looks; no outcome yet, and p corrected for the looks alone."""
    runs = [{run.identity.seed: run for run in result.runs} for result in (below, above)]
    seeds = tuple(sorted(runs[0].keys() & runs[1].keys()))
    pairs = [(runs[0][seed], runs[1][seed]) for seed in seeds]
    identical = bool(pairs) and all(_is_identical(*pair) for pair in pairs)
    comparison = Comparison(
        below.rung.name, above.rung.name, seeds, look=look_number(looks, seeds), identical=identical
    )
    if len(seeds) < 2:
        return replace(comparison, problem=f"{len(seeds)} of at least 2 seeds in common")
    for result, of_rung in zip((below, above), zip(*pairs, strict=True), strict=True):
        if n_diverged := sum(run.final is None for run in of_rung):
            problem = f"{n_diverged} of {len(seeds)} runs of '{result.rung.name}' diverged"
            return replace(comparison, problem=problem, diverged=True)
    return _measured(comparison, pairs, looks=looks or (), n_comparisons=n_comparisons)


def _is_identical(one: Run, other: Run) -> bool:
    """Whether two trainings ended in the same numbers, weights included, whatever was trained."""
    return (
        one.weights_sha256 == other.weights_sha256
        and one.numbers() == other.model_copy(update={"identity": one.identity}).numbers()
    )


def _measured(
    comparison: Comparison, pairs: Sequence[tuple[Run, Run]], *, looks: Sequence[Seeds], n_comparisons: int
) -> Comparison:
    """The same with its numbers, from the runs of each seed."""
    finals = [[_final(run) for run in of_rung] for of_rung in zip(*pairs, strict=True)]
    accuracies = [[accuracy(final) for final in of_rung] for of_rung in finals]
    differences = tuple(high - low for low, high in zip(*accuracies, strict=True))
    values, n_evaluated = [float(each) for each in differences], finals[0][0].n_evaluated
    seen = _seen(looks, dict(zip(comparison.seeds, differences, strict=True)), present=comparison.look)
    alpha = alpha_left(n_comparisons, look=comparison.look)
    problem = ""
    if all(len(each) < least_seeds(alpha_left(n_comparisons, look=number)) for number, each in seen.items()):
        problem = f"{len(differences)} seeds in common: {least_seeds(alpha)} are the least that could tell"
    return replace(
        comparison,
        differences=differences,
        interval=interval_of_mean(values),
        p=_p_of_looks(seen, direction=sum(differences)),
        correlation=_correlation(*accuracies),
        seeds_needed=_seeds_needed_from(values, look=comparison.look, n_comparisons=n_comparisons),
        problem=problem,
        negligible=len(values) >= least_seeds(alpha) and _is_negligible(values, n_evaluated=n_evaluated, alpha=alpha),
        n_evaluated=n_evaluated,
        image_error=image_error(pairs),
    )


def look_number(looks: Sequence[Seeds] | None, seeds: Seeds) -> int:
    """Which look at a pair these seeds are: one of those made, else the next. 0 if no climb bought seeds for it."""
    if looks is None:
        return 0
    return looks.index(seeds) + 1 if seeds in looks else len(looks) + 1


def alpha_left(n_comparisons: int, *, look: int = 0) -> float:
    """What one of several comparisons may spend of ALPHA at this look."""
    return ALPHA / n_comparisons / float(2**look)


def _seen(
    looks: Sequence[Seeds], by_seed: Mapping[int, Fraction], *, present: int
) -> Mapping[int, tuple[Fraction, ...]]:
    """The differences that each look saw, by its number: all of them now, and before if their runs are there."""
    made = {number: seeds for number, seeds in enumerate(looks, 1) if by_seed.keys() >= set(seeds)}
    before = {number: tuple(by_seed[seed] for seed in seeds) for number, seeds in made.items()}
    return {**before, present: tuple(by_seed.values())}


def _p_of_looks(seen: Mapping[int, tuple[Fraction, ...]], *, direction: Fraction | int) -> float:
    """The least p-value of those looks that point in a direction, each paid for; 1 if none does.

    What points the other way speaks against a verdict: it must not lend it a p-value.
    """
    agreeing = [
        float(2**number) * sign_flip_test(differences)
        for number, differences in seen.items()
        if sum(differences) * direction > 0
    ]
    return min([1.0, *agreeing])


def _is_negligible(values: Sequence[float], *, n_evaluated: int, alpha: float) -> bool:
    """Whether the mean is known to be less than WORTH_KNOWING, whichever way.

    Differences of few evaluated images are all alike by chance, and equal ones would make an interval of no width. So
    there must be images enough (of 100, with one more right in a tenth of the seeds, a difference of 0.1 points was
    called negligible in 45% of simulations), and the spread counts as one image at least. It is about seeds like
    these: that one in twenty collapses is not seen.
    """
    image = 100 / n_evaluated
    low, high = interval_of_mean(values, alpha=alpha, least_spread=image)
    return n_evaluated * WORTH_KNOWING >= 100 * IMAGES_WORTH_KNOWING and low > -WORTH_KNOWING and high < WORTH_KNOWING


def image_error(pairs: Sequence[tuple[Run, Run]]) -> float | None:
    """Half the width, in points, of a 95% interval of the mean difference due to the choice of evaluated images.

    Each image has its own difference: in how many seeds the second network was right, less the first. Their standard
    deviation over the root of their number is the standard error (normal approximation). None if the wrong images
    kept are not those that were counted, or no image tells the two apart.
    """
    n_evaluated = _final(pairs[0][0]).n_evaluated
    gained = np.zeros(n_evaluated)  # seeds, by image
    for pair in pairs:
        for run, sign in zip(pair, (1, -1), strict=True):
            final, wrong = _final(run), {image.index for image in run.wrong_images}
            n_wrong = n_evaluated - final.n_correct
            if not len(wrong) == len(run.wrong_images) == n_wrong or not all(0 <= each < n_evaluated for each in wrong):
                return None
            gained[list(wrong)] += sign
    standard_error = 100 * float(gained.std()) / len(pairs) / n_evaluated**0.5
    return float(special.ndtri(1 - ALPHA / 2)) * standard_error or None


def _final(run: Run) -> Epoch:
    assert run.final is not None
    return run.final


def _judged(comparison: Comparison) -> Comparison:
    """Better or worse only where the corrected test and the interval say so, and could have said so."""
    assert comparison.difference is not None
    assert comparison.p is not None
    if comparison.problem:
        return comparison
    if comparison.p <= ALPHA and comparison.excludes_0:
        return replace(comparison, outcome="better" if comparison.difference > 0 else "worse")
    return replace(comparison, outcome="no detectable difference")


def least_seeds(alpha: float) -> int:
    """The fewest seeds with which the sign-flip test can be significant: 2 / 2**n <= alpha."""
    return max(2, ceil(log2(2 / alpha)))


def sign_flip_test(differences: Sequence[Fraction]) -> float:
    """Two-sided p-value of a change that does nothing, exact for any number of differences.

    A change that does nothing makes differences that are symmetric about 0; a mean of 0 alone is not enough. The 2**n
    ways to choose signs are counted by their sums, in whole numbers, one difference after the other: as a share of all
    ways, so that it stays within floating point (relative error about n times 1e-16).
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


def interval_of_mean(
    values: Sequence[float], *, alpha: float = ALPHA, least_spread: float = 0.0
) -> tuple[float, float]:
    """Student's interval of the mean of at least two values, at 95% unless another ``alpha`` is given."""
    center, spread = mean(values), max(stdev(values), least_spread)
    half = float(special.stdtrit(len(values) - 1, 1 - alpha / 2)) * spread / len(values) ** 0.5
    return center - half, center + half


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979)."""
    corrected, largest = list(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _seeds_needed_from(values: Sequence[float], *, look: int, n_comparisons: int) -> int | None:
    """Seeds to show WORTH_KNOWING: more than these will be at the next look, if looks are paid for."""
    spread = stdev(values)
    needed = seeds_needed(spread, difference=WORTH_KNOWING, alpha=alpha_left(n_comparisons, look=look))
    if look and (needed is None or needed > len(values)):
        return seeds_needed(spread, difference=WORTH_KNOWING, alpha=alpha_left(n_comparisons, look=look + 1))
    return needed


@lru_cache(maxsize=1024)
def seeds_needed(spread: float, *, difference: float, alpha: float = ALPHA) -> int | None:
    """Seeds to show this difference with a power of about 80%; None above MOST_SEEDS.

    ``spread`` is the standard deviation of the differences, taken as normal. Few seeds make few ways to turn signs
    around, and the sign-flip test has less power than Student's then (0.63 instead of 0.80 with the fewest that can
    tell), so that it is simulated there. Beyond, the two agree to 0.01 at an ``alpha`` above 0.01, else to 0.03.
    """
    least = least_seeds(alpha)
    if spread == 0:
        return least
    effect = abs(difference) / spread
    start = _seeds_for_student(effect, alpha)
    if start is None:
        return None
    n = max(start, least)
    while n <= least + 6 and _power_of_sign_flips(n, effect, alpha) < POWER:
        n += 1
    return n


def _seeds_for_student(effect: float, alpha: float) -> int | None:
    """Seeds for a paired t-test to show an effect (a mean in standard deviations); None above MOST_SEEDS."""
    powers = (2**k for k in range(1, MOST_SEEDS.bit_length() + 1))
    high = next((n for n in powers if _power_of_student(n, effect, alpha) >= POWER), MOST_SEEDS + 1)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power_of_student(middle, effect, alpha) >= POWER else (middle, high)
    return high if high <= MOST_SEEDS else None


def _power_of_student(n: int, effect: float, alpha: float) -> float:
    """Of a two-sided paired t-test with n pairs, to find an effect with its sign."""
    if n < 2:
        return 0.0
    from scipy import stats  # only here: the noncentral t's upper tail is nowhere else

    return float(stats.nct.sf(special.stdtrit(n - 1, 1 - alpha / 2), n - 1, effect * n**0.5))


def _power_of_sign_flips(n: int, effect: float, alpha: float) -> float:
    """Of a verdict: the sign-flip test at ``alpha`` and Student's interval at ALPHA, to find an effect with its sign.

    By simulation, the same every time. Turning the signs of some differences around lowers their sum by twice their
    sum. So the test is significant if few sets of absolute differences add up to no more than the negative ones do.
    """
    n_ways = floor(alpha * 2 ** (n - 1))  # that the test allows in one direction, none turned around included
    draws = np.random.default_rng(0).standard_normal((N_DRAWS, n)) + effect  # (draw, seed)
    student = draws.mean(1) / draws.std(1, ddof=1) * n**0.5
    draws = draws[student > special.stdtrit(n - 1, 1 - ALPHA / 2)]
    sums = np.zeros((len(draws), 1))  # (draw, set): the least sums of sets
    for sizes in np.sort(np.abs(draws), axis=1).T:
        sums = np.concatenate([sums, sums + sizes[:, None]], axis=1)
        if sums.shape[1] > n_ways + 1:
            sums = np.partition(sums, n_ways, axis=1)[:, : n_ways + 1]
    negative = -np.minimum(draws, 0).sum(1)
    return int((sums.max(1) > negative + 1e-9).sum()) / N_DRAWS


def _correlation(first: Sequence[Fraction], second: Sequence[Fraction]) -> float | None:
    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return correlation([float(x) for x in first], [float(x) for x in second])


def against_target(result: RungResult) -> TargetVerdict:
    """How often a rung holds its target, and how sure that share is."""
    summary, n = result.summary, len(result.summary.seeds)
    epochs = [epoch if epoch is not None else float("inf") for epoch in summary.consistent_from]
    middle, worst = (median(epochs), max(epochs)) if epochs else (float("inf"), float("inf"))
    return TargetVerdict(
        rung=result.rung.name,
        n_held=summary.n_held,
        n_seeds=n,
        interval=share_interval(summary.n_held, n),
        consistent_median=None if middle == float("inf") else middle,
        consistent_worst=None if worst == float("inf") else int(worst),
    )


def share_interval(k: int, n: int) -> tuple[float, float] | None:
    """The exact 95% interval of a share, k of n (Clopper & Pearson 1934); None of nothing."""
    if not n:
        return None
    low = float(special.betaincinv(k, n - k + 1, ALPHA / 2)) if k else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - ALPHA / 2)) if k < n else 1.0
    return low, high
