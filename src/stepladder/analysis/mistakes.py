"""What a rung's finished runs get wrong at their last epoch: classes taken for others, and the same images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from statistics import median

from stepladder.ladders.terms import Target
from stepladder.runs.run import Run
from stepladder.runs.stats import exact_mean, measured, reaches

BOTH_WAYS = 0.5  # of the more frequent direction
MOST_PAIRS = 3  # on MNIST those that follow are about equally frequent
MOST_TIED = 5  # with the third; of more that are equally frequent none stands out
HARD = Fraction(1, 2)  # of the mistakes that the target allows


@dataclass(frozen=True)
class Pair:
    """``n`` images of class ``label`` taken for ``predicted`` at the last epoch, over all runs; ``n_back`` reversed."""

    label: int
    predicted: int
    n: int
    n_back: int
    n_runs: int

    @property
    def both_ways(self) -> bool:
        return min(self.n, self.n_back) >= BOTH_WAYS * max(self.n, self.n_back)


@dataclass(frozen=True)
class HardImages:
    """Evaluated images that the final networks of all runs, of half or more but not of one alone, of any get wrong.

    ``typical`` is the median of the runs' numbers of wrong images, ``allowed`` how many may be wrong at the target.
    """

    n_runs: int
    in_all: int
    in_half: int
    in_any: int
    typical: Fraction
    allowed: int

    @property
    def many(self) -> bool:
        """Whether the same images use up much of what the target allows."""
        return self.in_half > 0 and self.in_half >= HARD * self.allowed


@dataclass(frozen=True)
class Shortfall:
    """What is missing to the target: of the mean, in points and whole images; and at how many of the epochs that count.

    The epochs that count are the last ones of each run, as many as the target asks for; at none of those missed are
    more than ``most_images`` missing. Of balanced accuracy no number of images tells: both are None.
    """

    points: Fraction
    images: int | None
    n_evaluated: int
    n_missed: int
    n_counted: int
    most_images: int | None


def confused_pairs(runs: Sequence[Run]) -> tuple[Pair, ...]:
    """The classes taken for another most often; once in all runs is no pattern.

    Of equally frequent ones all are named or none.
    """
    total: Counter[tuple[int, int]] = Counter()
    n_runs: Counter[tuple[int, int]] = Counter()
    for run in runs:
        for label, row in enumerate(run.epochs[-1].confusion):
            for predicted, n in enumerate(row):
                if n and predicted != label:
                    total[label, predicted] += n
                    n_runs[label, predicted] += 1
    ranked = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    least = ranked[MOST_PAIRS - 1][1] if len(ranked) > MOST_PAIRS else 2
    named = [pair for pair in ranked if pair[1] >= max(2, least)]
    if len(named) > MOST_TIED:
        named = [pair for pair in named if pair[1] > least]
    return tuple(
        Pair(label, predicted, n, total[predicted, label], n_runs[label, predicted]) for (label, predicted), n in named
    )


def hard_images(runs: Sequence[Run], target: Target) -> HardImages | None:
    """None for fewer than two runs, where the wrong images are not those counted, or images do not count alike."""
    n_wrong = [run.epochs[-1].n_evaluated - run.epochs[-1].n_correct for run in runs]
    if len(runs) < 2 or target.balanced or sum(len(run.wrong_images) for run in runs) != sum(n_wrong):
        return None
    counts = Counter(image.index for run in runs for image in run.wrong_images).values()
    n_evaluated = runs[0].epochs[-1].n_evaluated
    return HardImages(
        n_runs=len(runs),
        in_all=sum(n == len(runs) for n in counts),
        in_half=sum(n > 1 and 2 * n >= len(runs) for n in counts),
        in_any=len(counts),
        typical=Fraction(median(n_wrong)),
        allowed=n_evaluated - ceil(Fraction(target.accuracy) * n_evaluated / 100),
    )


def shortfall_of(runs: Sequence[Run], target: Target) -> Shortfall:
    """What these runs are missing to the target."""
    missing = max(Fraction(0), Fraction(target.accuracy) - exact_mean(measured(run.epochs[-1], target) for run in runs))
    n_evaluated = runs[0].epochs[-1].n_evaluated
    counted = [epoch for run in runs for epoch in run.epochs[-target.last_epochs :]]
    at_target = ceil(Fraction(target.accuracy) * n_evaluated / 100)
    return Shortfall(
        points=missing,
        images=None if target.balanced else ceil(missing * n_evaluated / 100),
        n_evaluated=n_evaluated,
        n_missed=sum(not reaches(epoch, target) for epoch in counted),
        n_counted=len(counted),
        most_images=None if target.balanced else max(0, *(at_target - each.n_correct for each in counted)),
    )
