"""Verdicts: each rung against the rung below, and against its target.

The difference of two rungs is that of the mean final accuracies of their runs. One interval decides what it is called,
and is the one that is shown: better or worse where it has no 0, less than what is worth knowing where it lies within
that, else not decided yet. What it promises is in ``intervals``.

Rungs are compared as they are, not seed by seed: the seed is the same, but a change turns a training into another one,
and after epochs enough little is left of what they share. Only where two trainings are the same up to how they are
evaluated are their runs paired.

Verdicts are about seeds: the evaluated images are taken as they are, and how far other images would change a
difference, seeds included, is a number of its own (``image_error``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from math import floor, isfinite, log10
from statistics import median
from typing import Literal

from stepladder._base.late import FACES, Drawn, Named, late
from stepladder._base.wording import n_of
from stepladder.analysis.intervals import (
    FIRST,
    Design,
    Estimate,
    Interval,
    Typical,
    fewest_seeds,
    interval_of_difference,
    interval_of_mean,
    paired,
    pooled,
    seeds_needed,
    share_interval,
    spread_range,
    typical,
    unpaired,
)
from stepladder.analysis.other_images import image_error
from stepladder.runs.results import Results, RungResult, require_results
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import exact_mean, measured, one_image

IMAGES_WORTH_KNOWING = 5
MOST_WORTH_KNOWING = 10.0  # points: where five images are more, nothing can be said to be too little to know
ERRORS_WORTH_KNOWING = Fraction(1, 20)  # of those that the target allows
OF_EVALUATION = {"average": None, "recalibrate_images": 0}  # concepts that leave a training as it is
FIRST_SEEDS = frozenset(range(1, FIRST + 1))

Outcome = Literal["better", "worse", "negligible", "undecided"]
Needed = tuple[int, int | None]  # seeds, from and to: None where there are too many to tell


@dataclass(frozen=True)
class Comparison(Drawn):
    """A rung against the one below, or a variant against the rung that it hangs on; differences in percentage points.

    Printed, it is one line.


    ``seeds_below`` and ``seeds`` are those of the two rungs' runs. The ``interval`` is simultaneous over all the
    comparisons of the ladder. ``worth_knowing``: a smaller difference is not; "negligible" says that this one is
    smaller, whichever way. ``needed_seen`` and ``needed_worth``: with how many seeds of each rung, from and to, an
    interval would in four of five cases have no 0 in it, if the difference is the one seen, or the one worth knowing;
    None where that is decided or unknown. ``paired``: the trainings are the same up to how they are evaluated.
    ``problem`` says why there is no interval; ``diverged``: because runs diverged, which no further seed can help.
    ``image_error``: as an estimate for all images of the kind of the ``n_evaluated``, the difference is uncertain by so
    many points, seeds included (95%, of this comparison alone); None if that is not known. ``identical``: of each seed
    that both have, the two runs are equal in every number, weights included: the change did nothing.
    """

    below: str
    rung: str
    seeds_below: tuple[int, ...]
    seeds: tuple[int, ...]
    difference: Fraction | None = None
    interval: Interval | None = None
    spread: float | None = None
    worth_knowing: float | None = None
    needed_seen: Needed | None = None
    needed_worth: Needed | None = None
    outcome: Outcome = "undecided"
    paired: bool = False
    measure: str = "accuracy"
    problem: str = ""
    diverged: bool = False
    n_evaluated: int | None = None
    image_error: float | None = None
    identical: bool = False

    def __repr__(self) -> str:
        return f"<Comparison of {self.rung!r} with {self.below!r}: {self.outcome}>"

    def __str__(self) -> str:
        line: str = late(f"{FACES}:line")(self)
        return line

    @property
    def decided(self) -> bool:
        """Whether it is known what the change did: better, worse, or nothing worth knowing."""
        return self.outcome != "undecided"


@dataclass(frozen=True)
class TargetVerdict:
    """A rung against its target. ``interval`` is that of the share of seeds that hold it (Clopper & Pearson 1934).

    ``consistent_median`` and ``consistent_worst`` are epochs; None if that seed, or half of them, never get there.
    """

    rung: str
    n_held: int
    n_seeds: int
    interval: Interval | None
    consistent_median: float | None
    consistent_worst: int | None


class Verdicts(Named[Comparison]):
    """Comparisons in the order of their rungs, then of the variants; printed, a line each.

    ``verdicts["rotation"]`` is that of the rung or variant of this name.
    """

    kind = "verdict on a rung"

    @staticmethod
    def name_of(one: Comparison) -> str:
        return one.rung


def compare(results: Results) -> Verdicts:
    """Every rung but the first against the one below, then every variant against the rung that it hangs on.

    A verdict each (see Comparison). One interval decides. It holds after every seed: compare as often as you like, and
    stop when you like. Raises LadderError for what is no results of one ladder.
    """
    require_results(results, of="compare")
    return Verdicts(verdicts(results.pairs, declared=results.ladder.comparisons))


def compare_with_top(results: Results) -> list[Comparison]:
    """The last rung against each of the others, as an ablation makes them (ablation.Ablation.as_plan)."""
    top = results.rungs[-1]
    return verdicts([(each, top) for each in results.rungs[:-1]], declared=results.ladder.comparisons)


def mean_interval(result: RungResult) -> Interval | None:
    """The 95% interval of a rung's mean, of what its target speaks of; it needs two seeds, and none that diverged.

    In percent, within 0 and 100: of two seeds that differ much it is wide, and there are no accuracies beyond.
    """
    target = result.rung.target
    finals = [run.final for run in result.runs if run.final is not None]
    if result.summary.final_mean is None or len(finals) < 2:
        return None
    least_spread = float(one_image(finals[0], balanced=target.balanced))
    low, high = interval_of_mean([float(measured(final, target)) for final in finals], least_spread=least_spread)
    return max(0.0, low), min(100.0, high)


def verdicts(pairs: Sequence[tuple[RungResult, RungResult]], *, declared: int) -> list[Comparison]:
    """The second of each pair against the first, as many comparisons as were declared ahead, or more."""
    rungs: list[RungResult] = []
    for each in (each for pair in pairs for each in pair):
        if each not in rungs:
            rungs.append(each)
    scale = _Scale(rungs, n_comparisons=max(declared, len(pairs)))
    return [_compared(below, above, scale) for below, above in pairs]


class _Scale:
    """What the comparisons of a ladder share: how far runs spread, and what is worth knowing."""

    def __init__(self, rungs: Sequence[RungResult], *, n_comparisons: int) -> None:
        whole = [each for each in rungs if all(run.final for run in each.runs)]
        accuracies = [_accuracies(each) for each in whole]
        self.n_comparisons = n_comparisons
        self.now = typical(accuracies)
        self.first = typical([_accuracies(each, FIRST_SEEDS) for each in whole if _has_first(each)])
        self.worth_knowing: float | None = None
        known = (self.now.spread, 0) if self.now else pooled(accuracies)
        if known:
            final = next(_final(run) for each in whole for run in each.runs)
            image = max(float(one_image(final, balanced=each.rung.target.balanced)) for each in rungs)
            target = max(each.rung.target.accuracy for each in rungs)
            self.worth_knowing = worth_knowing(target, spread=known[0], image=image)


def worth_knowing(target: Decimal, *, spread: float, image: float) -> float | None:
    """The least difference, in points, that a ladder can care for; None where images are too few to say.

    It is a twentieth of the errors that the target allows, or the typical spread of a run, whichever is more, rounded
    to a 1, 2 or 5 with zeros; and five images at least, each worth ``image`` points. On MNIST, with a target of 99.4%,
    that is 0.05.
    """
    allowed = float((100 - Fraction(target)) * ERRORS_WORTH_KNOWING)
    images = _rounded_up(IMAGES_WORTH_KNOWING * image)
    return None if images > MOST_WORTH_KNOWING else max(_round_number(max(allowed, spread)), images)


def _rounded_up(value: float) -> float:
    """To two digits, so that it is shown as it is."""
    unit = Decimal(1).scaleb(floor(log10(value)) - 1)
    return float((Decimal(repr(value)) / unit).to_integral_value(ROUND_CEILING) * unit)


def _round_number(value: float) -> float:
    """The nearest of 1, 2 and 5, with zeros, on a logarithmic scale; 0 for nothing."""
    if value <= 0:
        return 0.0
    power = 10.0 ** floor(log10(value))
    return float(min((1, 2, 5, 10), key=lambda digit: abs(log10(digit * power / value))) * power)


def _compared(below: RungResult, above: RungResult, scale: _Scale) -> Comparison:
    comparison = Comparison(
        below.rung.name,
        above.rung.name,
        seeds_below=_seeds(below),
        seeds=_seeds(above),
        worth_knowing=scale.worth_knowing,
        paired=trains_alike(below, above),
        measure=above.rung.target.measure,
        identical=_are_identical(below, above),
    )
    for each in (below, above):
        if n_diverged := sum(run.final is None for run in each.runs):
            problem = f"{n_diverged} of {len(each.runs)} runs of '{each.rung.name}' diverged"
            return replace(comparison, problem=problem, diverged=True)
    if few := next((each for each in (below, above) if not each.runs), None):
        return replace(comparison, problem=f"'{few.rung.name}' is not trained yet")
    if comparison.paired:
        below, above = _of_both(below, above)
        if not above.runs:
            return replace(comparison, problem="no seed in common")
    return _judged(_measured(comparison, below, above), below, above, scale)


def _of_both(below: RungResult, above: RungResult) -> tuple[RungResult, RungResult]:
    """Two rungs with the runs of those seeds alone that both have, in the same order."""
    both = sorted(set(_seeds(below)) & set(_seeds(above)))
    runs = [{run.identity.seed: run for run in each.runs} for each in (below, above)]
    low, high = (tuple(of_rung[seed] for seed in both) for of_rung in runs)
    return replace(below, runs=low), replace(above, runs=high)


def _seeds(result: RungResult) -> tuple[int, ...]:
    return tuple(sorted(run.identity.seed for run in result.runs))


def trains_alike(below: RungResult, above: RungResult) -> bool:
    """Whether two rungs' trainings are the same up to how they are evaluated: then seeds go together."""
    recipes = [each.rung.recipe.model_copy(update=OF_EVALUATION) for each in (below, above)]
    return recipes[0] == recipes[1]


def _measured(comparison: Comparison, below: RungResult, above: RungResult) -> Comparison:
    """The same with its difference."""
    target = above.rung.target  # all rungs of a ladder have one measure
    low, high = (exact_mean(measured(_final(run), target) for run in each.runs) for each in (below, above))
    error = None if target.balanced else image_error(below.runs, above.runs, are_paired=comparison.paired)
    return replace(comparison, difference=high - low, n_evaluated=_final(above.runs[0]).n_evaluated, image_error=error)


def _judged(comparison: Comparison, below: RungResult, above: RungResult, scale: _Scale) -> Comparison:
    """The same with its interval, and what that says."""
    image = float(one_image(_final(above.runs[0]), balanced=above.rung.target.balanced))
    now = _estimate(comparison.paired, below, above, scale.now, image=image)
    n_rungs = scale.now.n_rungs if scale.now else 2
    design = Design(comparison.paired, n_rungs, scale.n_comparisons)
    least = fewest_seeds(replace(design, n_rungs=2))  # whatever the other rungs have
    too_few = _too_few(least, comparison.paired, below, above)
    if now is None:
        return replace(comparison, problem=too_few)
    first = None
    if _has_first(below) and _has_first(above):
        first = _estimate(comparison.paired, below, above, scale.first, image=image, seeds=FIRST_SEEDS)
    interval = interval_of_difference(now, first, n_comparisons=scale.n_comparisons)
    comparison = replace(comparison, spread=now.spread)
    if not all(map(isfinite, interval)):
        return replace(comparison, problem=too_few)
    interval = max(-100.0, interval[0]), min(100.0, interval[1])
    outcome = _outcome(interval, worth=comparison.worth_knowing)
    comparison = replace(comparison, interval=interval, outcome=outcome)
    return comparison if comparison.decided else _with_needed(comparison, now, design)


def _estimate(
    are_paired: bool,
    below: RungResult,
    above: RungResult,
    ladder: Typical | None,
    *,
    image: float,
    seeds: frozenset[int] | None = None,
) -> Estimate | None:
    if are_paired:
        low, high = _by_seed(below), _by_seed(above)
        chosen = [seed for seed in low if seeds is None or seed in seeds]
        return paired([float(high[seed] - low[seed]) for seed in chosen], least_spread=image)
    return unpaired(_accuracies(below, seeds), _accuracies(above, seeds), ladder=ladder, least_spread=image)


def _outcome(interval: Interval, *, worth: float | None) -> Outcome:
    low, high = interval
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "negligible" if worth is not None and -worth < low and high < worth else "undecided"


def _with_needed(comparison: Comparison, now: Estimate, design: Design) -> Comparison:
    """The same with the seeds that it would take, for as far as their spread is known."""
    n = min(len(comparison.seeds_below), len(comparison.seeds))

    def needed(difference: float | None) -> Needed | None:
        if not difference:
            return None
        least, most = (seeds_needed(design, effect=difference / spread) for spread in spread_range(now.spread, now.dof))
        if least is None:
            return None
        if least > n:
            return least, most
        return n + 1, None if most is None else max(most, 2 * n)  # those that are there should have been enough

    seen = needed(None if comparison.difference is None else abs(float(comparison.difference)))
    return replace(comparison, needed_seen=seen, needed_worth=needed(comparison.worth_knowing))


def _too_few(least: int | None, are_paired: bool, below: RungResult, above: RungResult) -> str:
    counts = sorted({len(above.runs)} if are_paired else {len(below.runs), len(above.runs)})
    there = f"there {'is' if counts == [1] else 'are'} {' and '.join(map(str, counts))}"
    if least is None:
        return f"no number of seeds could tell, with that many comparisons, and {there}"
    return f"{n_of(least, 'seed')}{' in common' if are_paired else ''} are the least that could tell, and {there}"


def _by_seed(result: RungResult) -> dict[int, Fraction]:
    return {run.identity.seed: measured(_final(run), result.rung.target) for run in result.runs}


def _accuracies(result: RungResult, seeds: frozenset[int] | None = None) -> list[float]:
    """Of all runs, or of those of these seeds, in percent."""
    return [float(value) for seed, value in _by_seed(result).items() if seeds is None or seed in seeds]


def _has_first(result: RungResult) -> bool:
    return FIRST_SEEDS.issubset(_seeds(result))


def _are_identical(below: RungResult, above: RungResult) -> bool:
    """Whether the runs of each seed that both have ended in the same numbers, weights included."""
    runs = [{run.identity.seed: run for run in each.runs} for each in (below, above)]
    both = runs[0].keys() & runs[1].keys()
    return bool(both) and all(_is_identical(runs[0][seed], runs[1][seed]) for seed in both)


def _is_identical(one: Run, other: Run) -> bool:
    """Whether two trainings ended in the same numbers, weights included, whatever was trained."""
    return (
        one.weights_sha256 == other.weights_sha256
        and one.numbers() == other.model_copy(update={"identity": one.identity}).numbers()
    )


def _final(run: Run) -> Epoch:
    assert run.final is not None
    return run.final


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
