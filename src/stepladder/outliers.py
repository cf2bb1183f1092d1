"""Seeds that stand apart from the others of their rung: those that collapsed, and those unusually low or high.

The others are known by their median and their median absolute deviation, which a few seeds cannot move. Accuracies are
in percent, their differences in points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Literal

from stepladder.run import Epoch, Run
from stepladder.stats import accuracy

NORMAL = 1.4826  # standard deviations of a normal distribution in its median absolute deviation
FAR_OFF = 8  # spreads: of 8 normal seeds one is as far off in 1% of rungs, and fewer with the least spread below
FAR_OFF_FEW = 25  # spreads, where the median absolute deviation of few seeds may be small by chance
FEW_SEEDS = 5
FEWEST_SEEDS = 3  # of two it is not known how far seeds spread
LEAST_SPREAD = 0.5  # standard deviations of the mistakes, were they independent: seeds rarely spread less
LOST = Fraction(1, 10)  # of what the others learned beyond naming the most frequent class
LOST_OF_TWO = Fraction(1, 2)  # of what the one other learned
ONE_ANSWER = 0.9  # of the answers: a network that learns the largest class alone gives it nearly always

OutlierKind = Literal["collapsed", "low", "high"]


@dataclass(frozen=True)
class Outlier:
    """A seed whose final accuracy is far from ``usual``, the median of the ``n_others`` that are not of its kind.

    ``learned`` says whether it is better than naming the most frequent class each time. ``best`` is the highest
    accuracy that a collapsed seed had, after epoch ``best_at``, if that was no collapse yet.
    """

    seed: int
    kind: OutlierKind
    accuracy: Fraction
    usual: Fraction
    n_others: int
    learned: bool = True
    best: Fraction | None = None
    best_at: int | None = None


def largest_class(epoch: Epoch) -> Fraction:
    """The part of the evaluated images that are of the most frequent class, in percent; 0 if they are all of one."""
    largest = max(map(sum, epoch.confusion), default=0)
    return Fraction(100 * largest, epoch.n_evaluated) if largest < epoch.n_evaluated else Fraction(0)


def largest_answer(epoch: Epoch) -> float:
    """The part of the evaluated images that are taken for the class that images are most often taken for."""
    return max(map(sum, zip(*epoch.confusion, strict=True)), default=0) / epoch.n_evaluated


def names_one_class(epoch: Epoch) -> bool:
    """Whether one class is the answer nearly always, and naming the most frequent one would be as good."""
    return 0 < largest_class(epoch) >= accuracy(epoch) and largest_answer(epoch) >= ONE_ANSWER


def outliers(runs: Sequence[Run]) -> tuple[Outlier, ...]:
    """The outliers of a rung's finished runs, by seed.

    A seed collapsed if it names one class where others learn, or if it is far below the others and lost a tenth or more
    of what they learned; of two seeds, the one that lost half or more of what the other learned. One that lost less is
    unusually low.
    """
    finals = {run.identity.seed: run.epochs[-1] for run in runs}
    blind = {seed for seed, epoch in finals.items() if names_one_class(epoch)}
    if len(blind) == len(finals):
        return ()
    learned = [accuracy(epoch) for seed, epoch in finals.items() if seed not in blind]
    usual, far = (max(learned), 0.0) if len(learned) == 2 else _far_off(learned, runs)
    lost = LOST_OF_TWO if len(learned) == 2 else LOST
    limit = usual - lost * max(Fraction(0), usual - largest_class(runs[0].epochs[-1]))
    kinds: dict[int, OutlierKind] = {}
    for seed, epoch in finals.items():
        value = accuracy(epoch)
        off = far is not None and abs(value - usual) > far
        if seed in blind or (off and value < limit):
            kinds[seed] = "collapsed"
        elif off and len(learned) > 2:
            kinds[seed] = "low" if value < usual else "high"
    by_seed = sorted(runs, key=lambda run: run.identity.seed)
    return tuple(_outlier(run, kinds, finals, limit) for run in by_seed if run.identity.seed in kinds)


def _far_off(accuracies: Sequence[Fraction], runs: Sequence[Run]) -> tuple[Fraction, float | None]:
    """The median, and what is far from it in points; None with too few seeds to tell."""
    usual = median(accuracies)
    if len(accuracies) < FEWEST_SEEDS:
        return usual, None
    n_evaluated = runs[0].epochs[-1].n_evaluated
    wrong = float(1 - usual / 100)
    by_chance = 100 * (wrong * (1 - wrong) / n_evaluated) ** 0.5
    deviation = float(median(abs(value - usual) for value in accuracies))
    spread = max(NORMAL * deviation, LEAST_SPREAD * by_chance, 100 / n_evaluated)
    return usual, spread * (FAR_OFF if len(accuracies) > FEW_SEEDS else FAR_OFF_FEW)


def _outlier(run: Run, kinds: dict[int, OutlierKind], finals: dict[int, Epoch], limit: Fraction) -> Outlier:
    seed, kind = run.identity.seed, kinds[run.identity.seed]
    others = [accuracy(epoch) for other, epoch in finals.items() if kinds.get(other) not in (kind, "collapsed")]
    outlier = Outlier(
        seed,
        kind,
        accuracy=accuracy(run.epochs[-1]),
        usual=median(others),
        n_others=len(others),
        learned=not names_one_class(run.epochs[-1]),
    )
    best = max(run.epochs, key=accuracy)
    if kind != "collapsed" or accuracy(best) < limit:
        return outlier
    return Outlier(**(vars(outlier) | {"best": accuracy(best), "best_at": run.epochs.index(best) + 1}))


def without_collapsed(runs: Sequence[Run], found: Sequence[Outlier]) -> list[Run]:
    """The runs that what is said of a rung is about: all but those that collapsed."""
    collapsed = {each.seed for each in found if each.kind == "collapsed"}
    return [run for run in runs if run.identity.seed not in collapsed]
