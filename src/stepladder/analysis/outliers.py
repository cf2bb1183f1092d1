"""Seeds that stand apart from the others of their rung: those that collapsed, and those unusually low or high.

The others are known by their median and their median absolute deviation, which a few seeds cannot move. Accuracies are
in percent, their differences in points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import sqrt
from typing import Literal

from stepladder.ladders.terms import Target
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import accuracy, accuracy_of, balanced_accuracy, class_sizes, exact_median, one_image

NORMAL = 1.4826  # standard deviations of a normal distribution in its median absolute deviation
FAR_OFF = 8  # spreads: of 8 normal seeds one is as far off in 1% of rungs, and fewer with the least spread below
FAR_OFF_FEW = 25  # spreads, where the median absolute deviation of few seeds may be small by chance
FEW_SEEDS = 5
FEWEST_SEEDS = 3  # of two it is not known how far seeds spread
LEAST_SPREAD = 0.5  # standard deviations of the mistakes, were they independent: seeds rarely spread less
LOST = Fraction(1, 10)  # of what the others learned beyond naming one class
LOST_OF_TWO = Fraction(1, 2)  # of what the one other learned
ONE_ANSWER = 0.9  # of the answers: a network that learns the largest class alone gives it nearly always
RECALLED = Fraction(1, 10)  # of what balanced accuracy can rise above naming one class: less, and the others are lost

OutlierKind = Literal["collapsed", "low", "high"]


@dataclass(frozen=True)
class Outlier:
    """A seed whose final accuracy is far from ``usual``, the median of the ``n_others`` that are not of its kind.

    Accuracies are balanced ones where the target speaks of those. ``learned`` says whether it is better than naming the
    most frequent class each time; ``naming_one`` is what that gives. ``best`` is the highest accuracy that a collapsed
    seed had, after epoch ``best_at``, if that was no collapse yet.
    """

    seed: int
    kind: OutlierKind
    accuracy: Fraction
    usual: Fraction
    n_others: int
    learned: bool = True
    naming_one: Fraction = Fraction(0)
    best: Fraction | None = None
    best_at: int | None = None


def largest_class(epoch: Epoch) -> Fraction:
    """The part of the evaluated images that are of the most frequent class, in percent; 0 if they are all of one."""
    largest = max(map(sum, epoch.confusion), default=0)
    return Fraction(100 * largest, epoch.n_evaluated) if largest < epoch.n_evaluated else Fraction(0)


def largest_answer(epoch: Epoch) -> float:
    """The part of the evaluated images that are taken for the class that images are most often taken for."""
    return max(map(sum, zip(*epoch.confusion, strict=True)), default=0) / epoch.n_evaluated


def naming_one(epoch: Epoch, *, balanced: bool) -> Fraction:
    """What naming the most frequent class each time gives, in percent; 0 if all images are of one class."""
    if not balanced or not largest_class(epoch):
        return largest_class(epoch)
    return Fraction(100, len(class_sizes(epoch)))


def has_learned(epoch: Epoch) -> bool:
    """Whether it is better than naming the most frequent class each time: more is right, or others are recalled too.

    Of very uneven classes, naming the largest is right more often than a network that finds nearly all of each.
    """
    if accuracy(epoch) > largest_class(epoch):
        return True
    chance = naming_one(epoch, balanced=True)
    return not chance or balanced_accuracy(epoch) - chance >= RECALLED * (100 - chance)


def names_one_class(epoch: Epoch) -> bool:
    """Whether one class is the answer nearly always, and naming the most frequent one would be as good."""
    return not has_learned(epoch) and largest_answer(epoch) >= ONE_ANSWER


def outliers(runs: Sequence[Run], target: Target | None = None) -> tuple[Outlier, ...]:
    """The outliers of a rung's finished runs, by seed, by what the target measures; by accuracy without one.

    A seed collapsed if it names one class where others learn, or if it is far below the others and lost a tenth or more
    of what they learned, of each class alike; of two seeds, the one that lost half or more of what the other learned.
    One that lost less is unusually low.
    """
    balanced = target is not None and target.balanced
    finals = {run.identity.seed: run.epochs[-1] for run in runs}
    if not any(map(has_learned, finals.values())):
        return ()
    blind = {seed for seed, epoch in finals.items() if names_one_class(epoch)}
    learned = [epoch for seed, epoch in finals.items() if seed not in blind]
    usual, far = _usual(learned, balanced=balanced), _far(learned, balanced=balanced)
    limits = {of_each: _limit(learned, balanced=of_each) for of_each in (balanced, True)}
    kinds: dict[int, OutlierKind] = {}
    for seed, epoch in finals.items():
        value = accuracy_of(epoch, balanced=balanced)
        off = far is not None and abs(value - usual) > far
        lost = all(accuracy_of(epoch, balanced=of_each) < limit for of_each, limit in limits.items())
        if seed in blind or (off and lost):
            kinds[seed] = "collapsed"
        elif off and len(learned) > 2:
            kinds[seed] = "low" if value < usual else "high"
    by_seed = sorted((run for run in runs if run.identity.seed in kinds), key=lambda run: run.identity.seed)
    return tuple(_outlier(run, kinds, finals, limits[balanced], balanced=balanced) for run in by_seed)


def _usual(epochs: Sequence[Epoch], *, balanced: bool) -> Fraction:
    values = [accuracy_of(epoch, balanced=balanced) for epoch in epochs]
    return max(values) if len(values) == 2 else exact_median(values)


def _limit(epochs: Sequence[Epoch], *, balanced: bool) -> Fraction:
    """What lost a tenth of what the others learned is below."""
    usual = _usual(epochs, balanced=balanced)
    lost = LOST_OF_TWO if len(epochs) == 2 else LOST
    return usual - lost * max(Fraction(0), usual - naming_one(epochs[0], balanced=balanced))


def _far(epochs: Sequence[Epoch], *, balanced: bool) -> float | None:
    """What is far from the usual seed, in points; of two seeds anything, None with fewer."""
    if len(epochs) < FEWEST_SEEDS:
        return 0.0 if len(epochs) == 2 else None
    values, usual = [accuracy_of(epoch, balanced=balanced) for epoch in epochs], _usual(epochs, balanced=balanced)
    sizes = class_sizes(epochs[0])
    per_image = Fraction(1, epochs[0].n_evaluated)
    if balanced:
        per_image = sum((Fraction(1, n) for n in sizes), Fraction(0)) / len(sizes) ** 2
    wrong = 1 - usual / 100
    by_chance = 100 * sqrt(wrong * (1 - wrong) * per_image)
    deviation = float(exact_median(abs(value - usual) for value in values))
    spread = max(NORMAL * deviation, LEAST_SPREAD * by_chance, float(one_image(epochs[0], balanced=balanced)))
    return spread * (FAR_OFF if len(values) > FEW_SEEDS else FAR_OFF_FEW)


def _outlier(
    run: Run, kinds: dict[int, OutlierKind], finals: dict[int, Epoch], limit: Fraction, *, balanced: bool
) -> Outlier:
    seed, kind = run.identity.seed, kinds[run.identity.seed]
    values = [accuracy_of(epoch, balanced=balanced) for epoch in run.epochs]
    others = [epoch for other, epoch in finals.items() if kinds.get(other) not in (kind, "collapsed")]
    outlier = Outlier(
        seed,
        kind,
        accuracy=values[-1],
        usual=exact_median(accuracy_of(epoch, balanced=balanced) for epoch in others),
        n_others=len(others),
        learned=not names_one_class(run.epochs[-1]),
        naming_one=naming_one(run.epochs[-1], balanced=balanced),
    )
    if kind != "collapsed" or max(values) < limit or values[-1] == max(values):
        return outlier
    return replace(outlier, best=max(values), best_at=values.index(max(values)) + 1)


def without_collapsed(runs: Sequence[Run], found: Sequence[Outlier]) -> list[Run]:
    """The runs that what is said of a rung is about: all but those that collapsed."""
    collapsed = {each.seed for each in found if each.kind == "collapsed"}
    return [run for run in runs if run.identity.seed not in collapsed]
