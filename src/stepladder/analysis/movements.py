"""How the evaluated loss of a rung's runs moves from epoch to epoch, and what the learning rate has to do with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from statistics import fmean, linear_regression, mean, median, stdev

from stepladder.analysis.intervals import interval_of_mean
from stepladder.recipes.recipe import Augment, Recipe
from stepladder.recipes.schedule import learning_rate
from stepladder.recipes.schedules import Plateau
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import accuracy, exact_mean

CLEAR_GAP = 2.0  # standard errors: by chance alone train is so far above the evaluated accuracy in 2% of rungs
WINDOW = 3  # epochs averaged: on MNIST the mean loss of 8 seeds moves by 3 to 4% an epoch at lr 0.01, averaged by 2%
CLEAR_FALL = 0.05  # of a loss or of mistakes: with 5% fewer at 99.3%, 4 of 10,000 images, seeds differ by more

BOUNCE_SIZE = 0.05  # of the loss, per epoch: on MNIST 8 to 12% at lr 0.01, 2 to 3% after its drop to 0.001
BOUNCE_OVER_TREND = 2.0  # times the trend per epoch: no more than half of the movement leads anywhere
BOUNCE_TURNS = 0.5  # of pairs of changes in a row: 0 on a smooth curve, 2/3 for pure noise (Bienaymé 1874)
BOUNCE_EPOCHS = 4  # with fewer there are not two pairs of changes to go by
BACK_AND_FORTH = 1 / 3  # of such pairs, halfway: with less the loss was falling, and had nothing to settle from
SETTLED = 0.5  # of the movement before the drop: on MNIST it is a fifth to an eighth
CUT = 0.5  # of a learning rate: what lowers it by less at once is no cut
FAST = 2  # epochs before a cut, in each of which the loss falls by CLEAR_FALL


@dataclass(frozen=True)
class Movement:
    """How the evaluated loss moves within the epochs ``first`` to ``last``, at one learning rate; means over runs.

    ``step`` is the absolute change from epoch to epoch, ``slope`` the trend per epoch (least squares), ``level`` the
    loss, ``low`` and ``high`` the lowest and highest of a run (medians over runs); ``turns`` is the share
    of pairs of changes in a row that go opposite ways.
    """

    first: int
    last: int
    lr: float
    step: float
    slope: float
    level: float
    low: float
    high: float
    turns: float

    @property
    def size(self) -> float:
        """The change per epoch as a fraction of the loss."""
        return self.step / self.level if self.level > 0 else 0.0

    @property
    def bounces(self) -> bool:
        """Whether the loss goes up and down by much, rather than along a trend."""
        return (
            self.last - self.first + 1 >= BOUNCE_EPOCHS
            and self.size >= BOUNCE_SIZE
            and self.step >= BOUNCE_OVER_TREND * abs(self.slope)
            and self.turns >= BOUNCE_TURNS
        )

    @property
    def restless(self) -> bool:
        """Whether the loss goes back and forth by much, be it along a trend."""
        return self.size >= BOUNCE_SIZE and self.turns >= BACK_AND_FORTH


@dataclass(frozen=True)
class Drop:
    """The first fall of the learning rate, after epoch ``epoch``: how the loss moves before and after.

    ``accuracy_before`` and ``accuracy_after`` are those of this epoch and the next, means over runs.
    """

    epoch: int
    before: Movement
    after: Movement
    accuracy_before: Fraction
    accuracy_after: Fraction

    @property
    def calms(self) -> bool:
        """Whether the loss moves much less after it."""
        return self.after.step <= SETTLED * self.before.step

    @property
    def settles(self) -> bool:
        """Whether it calms a loss that went up and down, for good and not at a higher level."""
        calm = self.calms and not self.after.bounces
        return self.before.restless and calm and self.after.level <= self.before.level

    @property
    def fails(self) -> bool:
        """Whether a loss that went up and down goes on to."""
        return self.before.restless and self.after.bounces and not self.calms


@dataclass(frozen=True)
class EarlyCut:
    """A cut of the learning rate while the loss fell fast, after epoch ``epoch``, that all but ended its fall.

    In each of the FAST epochs before, the mean loss fell, by ``fall`` of itself on average; they brought more than all
    the ``n_after`` epochs after it.
    """

    epoch: int
    fall: float
    n_after: int


def _rates(recipe: Recipe, epochs: Sequence[Epoch]) -> list[float]:
    """The learning rate at the first step of each epoch; of a plateau one that is never the same.

    That falls at another epoch with each seed, so that nothing can be said of its stretches over seeds.
    """
    steps = ceil(epochs[0].n_train / recipe.batch_size)
    if isinstance(recipe.schedule, Plateau):
        return [recipe.lr / (number + 1) for number in range(len(epochs))]
    return [learning_rate(recipe, step=number * steps, steps_per_epoch=steps) for number in range(len(epochs))]


def movements_of(recipe: Recipe, runs: Sequence[Run]) -> list[Movement]:
    """One for each stretch of at least three epochs at one learning rate; of the first stretch, its second half.

    In the first half the loss falls fast, which is no bouncing.
    """
    rates = _rates(recipe, runs[0].epochs)
    starts = [0, *(number for number in range(1, len(rates)) if rates[number] != rates[number - 1])]
    found = []
    for start, end in pairwise([*starts, len(rates)]):
        first = start + 1 if start else (end + 1) // 2
        if end - first >= 2:
            found.append(_movement(losses_of(runs), first, end, rates[start]))
    return found


def _movement(losses: Sequence[Sequence[float]], first: int, last: int, lr: float) -> Movement:
    curves = [curve[first - 1 : last] for curve in losses]
    changes = [[after - before for before, after in pairwise(curve)] for curve in curves]
    average = mean_curve(curves)
    return Movement(
        first=first,
        last=last,
        lr=lr,
        step=mean(abs(change) for of_run in changes for change in of_run),
        slope=linear_regression(range(len(average)), average).slope,
        level=mean(average),
        low=median(map(min, curves)),
        high=median(map(max, curves)),
        turns=mean(one * next_one < 0 for of_run in changes for one, next_one in pairwise(of_run)),
    )


def flat_from(runs: Sequence[Run]) -> int | None:
    """The epoch from which the mean loss is flat, as Diagnosis says; None of one run."""
    if len(runs) < 2:
        return None
    losses = losses_of(runs)
    average = mean_curve(losses)
    lowest = min(range(len(average)), key=average.__getitem__)
    first = next((number for number in range(lowest) if _same(losses, number, lowest)), lowest)
    ends_higher = average[-1] > (1 + CLEAR_FALL) * average[first]
    return None if ends_higher or first + 1 >= len(average) - WINDOW else first + 1


def _same(losses: Sequence[Sequence[float]], one: int, lowest: int) -> bool:
    """Whether the mean loss at an epoch is hardly above the lowest, and not by more than chance explains."""
    before, after = [curve[one] for curve in losses], [curve[lowest] for curve in losses]
    falls = [each - later for each, later in zip(before, after, strict=True)]
    return mean(falls) <= CLEAR_GAP * stdev(falls) / len(falls) ** 0.5 and not clearly_falls(mean(before), mean(after))


def first_drop(movements: Sequence[Movement], runs: Sequence[Run]) -> Drop | None:
    """The fall of the learning rate between the first two movements, if it is one."""
    if len(movements) < 2 or movements[0].last + 1 != movements[1].first or movements[1].lr >= movements[0].lr:
        return None
    before, after = movements[:2]
    return Drop(
        epoch=before.last,
        before=before,
        after=after,
        accuracy_before=exact_mean(accuracy(run.epochs[before.last - 1]) for run in runs),
        accuracy_after=exact_mean(accuracy(run.epochs[after.first - 1]) for run in runs),
    )


def early_cut(recipe: Recipe, runs: Sequence[Run]) -> EarlyCut | None:
    """The first cut, if it came while the loss of the mean curve, and of most runs, fell fast, and ended that."""
    losses, rates = losses_of(runs), _rates(recipe, runs[0].epochs)
    epoch = next((n for n in range(1, len(rates)) if rates[n] <= CUT * rates[n - 1]), None)
    if isinstance(recipe.schedule, Plateau) or epoch is None or epoch <= FAST or len(rates) - epoch < WINDOW:
        return None
    average = mean_curve(losses)
    before = average[epoch - 1 - FAST : epoch]
    fast = all(clearly_falls(one, other) for one, other in pairwise(before))
    shared = sum(curve[epoch - 1] < curve[epoch - 1 - FAST] for curve in losses) > len(losses) / 2
    if not (fast and shared) or before[-1] - min(average[epoch:]) >= before[0] - before[-1]:
        return None
    return EarlyCut(epoch, mean(1 - other / one for one, other in pairwise(before)), len(rates) - epoch)


def still_learning(recipe: Recipe, runs: Sequence[Run]) -> float | None:
    """One run cannot tell learning from bouncing, and a fall that a lower learning rate brought does not go on.

    Nor does one of training's mistakes that the first images without distortion brought.
    """
    epochs = runs[0].epochs
    cleaned = recipe.augment != Augment() and 0 < recipe.clean_epochs < 2 * WINDOW
    if len(runs) < 2 or len(epochs) < 2 * WINDOW or len(set(_rates(recipe, epochs)[-2 * WINDOW :])) > 1 or cleaned:
        return None
    losses = losses_of(runs)
    windows = [windows_of(curve) for curve in losses]
    wrong = [windows_of([epoch.n_train - epoch.n_train_correct for epoch in run.epochs]) for run in runs]
    still = linear_regression(range(WINDOW), mean_curve(losses)[-WINDOW:]).slope < 0
    if not (still and _fell(windows) and _fell(wrong)):
        return None
    average = mean_curve(windows)
    return 1 - average[-1] / average[-1 - WINDOW]


def _fell(windows: Sequence[Sequence[float]]) -> bool:
    """Whether, over runs, the last window is clearly below the one before it, by more than chance explains."""
    average = mean_curve(windows)
    low, _ = interval_of_mean([curve[-1 - WINDOW] - curve[-1] for curve in windows])
    return low > 0 and clearly_falls(average[-1 - WINDOW], average[-1])


# Curves of a rung's runs, epoch by epoch: their means over runs, and averages of a few epochs.


def losses_of(runs: Sequence[Run]) -> list[list[float]]:
    return [[epoch.loss for epoch in run.epochs] for run in runs]


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean curve, epoch by epoch."""
    return [fmean(values) for values in zip(*curves, strict=True)]


def windows_of(curve: Sequence[float]) -> list[float]:
    """Means of WINDOW epochs in a row; the first ends with epoch WINDOW."""
    return [fmean(curve[start : start + WINDOW]) for start in range(len(curve) - WINDOW + 1)]


def clearly_falls(before: float, after: float) -> bool:
    """Whether a loss or a number of mistakes clearly falls."""
    return before - after >= CLEAR_FALL * before > 0
