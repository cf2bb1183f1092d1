"""How well a rung's runs fit: their accuracies on the training and the evaluated images, and the target's.

Accuracies are in percent, their differences in points, losses in nats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from statistics import mean, stdev
from typing import Literal

from stepladder.analysis.intervals import ALPHA, interval_of_mean
from stepladder.analysis.movements import CLEAR_GAP, WINDOW, clearly_falls, losses_of, mean_curve, windows_of
from stepladder.analysis.outliers import ONE_ANSWER, has_learned, largest_answer
from stepladder.ladders.ladder import Rung
from stepladder.networks.geometry import Network
from stepladder.networks.ops import Dropout
from stepladder.recipes.happening import simplified
from stepladder.recipes.recipe import Augment, Recipe
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import accuracy, exact_mean, train_accuracy

CLEAR_RISE = 0.10  # of the lowest loss: mnist-8k's skeleton, whose loss is flat, ends 4% above its lowest window
FAR = 3  # times the mistakes that the target allows: mnist-8k's skeleton is nearer from its second epoch on

FitKind = Literal["none", "overfitting", "gap", "underfitting", "balanced", "masked", "unknown"]
Mask = Literal["dropout", "augment"]


@dataclass(frozen=True)
class Rise:
    """How the evaluated loss rises: the mean of the last WINDOW epochs, clearly above its lowest such mean.

    That ended with epoch ``lowest_at``. ``harmful``: the train loss clearly fell since, so that what training goes on
    to learn does harm.
    """

    lowest: float
    last: float
    lowest_at: int
    harmful: bool

    @property
    def part(self) -> float:
        """By which part of the lowest; infinite where that is 0."""
        return self.last / self.lowest - 1 if self.lowest else inf


@dataclass(frozen=True)
class Decline:
    """How the evaluated accuracy falls: the mean of the last WINDOW epochs, clearly below its highest such mean.

    That ended with epoch ``highest_at``. ``harmful``: the train loss fell since, and the evaluated loss did not.
    """

    highest: Fraction
    last: Fraction
    highest_at: int
    harmful: bool


@dataclass(frozen=True)
class Fit:
    """Final accuracies on the training and the evaluated images, means over runs, and the target's.

    ``target`` is None where it speaks of balanced accuracy: training counts no classes, so there is nothing to compare
    with it.

    ``error`` is the standard error of their gap in points: from the numbers of images and the spread over runs.
    ``n_runs`` and ``n_epochs`` are those they are of. ``masks`` lower the train accuracy of the last epoch, which is
    counted during training: dropout, and distortion unless the last epochs are without it. ``loss_rise``: the evaluated
    loss clearly rises, whatever the train loss does; ``rise`` and ``lowest_at`` are of one that harms, else None.
    ``decline``: the evaluated accuracy clearly falls.

    The kind is "none" where one class is the answer nearly always, naming the most frequent one would be as good, and
    the others are hardly recalled; "overfitting" where training goes on and does harm: the evaluated loss rises or the
    accuracy falls while the train loss falls; "gap" where train is clearly above evaluated, and no such harm shows;
    "underfitting" where both are short of the target and train is not clearly above, or more is missing from train to
    the target than from evaluated to train; "masked" instead where masks are in use: the accuracies cannot tell then;
    "balanced" also where no more is missing to the target than the choice of images explains.
    """

    kind: FitKind = "unknown"
    train: Fraction | None = None
    evaluated: Fraction | None = None
    target: Fraction | None = None
    error: float | None = None
    masks: tuple[Mask, ...] = ()
    loss_rise: Rise | None = None
    decline: Decline | None = None
    n_runs: int = 0
    n_epochs: int = 0

    @property
    def rise(self) -> float | None:
        """The part by which the evaluated loss rises while the train loss falls."""
        return self.loss_rise.part if self.loss_rise and self.loss_rise.harmful else None

    @property
    def lowest_at(self) -> int | None:
        """The epoch with which the lowest mean loss ended before such a rise."""
        return self.loss_rise.lowest_at if self.loss_rise and self.loss_rise.harmful else None

    @property
    def gap(self) -> Fraction | None:
        """Train minus evaluated accuracy, in points."""
        return None if self.train is None or self.evaluated is None else self.train - self.evaluated

    @property
    def chance(self) -> float | None:
        """The largest gap, either way, that chance explains, in points."""
        return None if self.error is None else CLEAR_GAP * self.error

    @property
    def clear_gap(self) -> bool:
        """Whether train is above evaluated by more than chance explains."""
        return self.gap is not None and self.chance is not None and self.gap > self.chance

    @property
    def clearly_below(self) -> bool:
        """Whether train is below evaluated by more than chance explains."""
        return self.gap is not None and self.chance is not None and self.gap < -self.chance

    @property
    def short(self) -> Fraction | None:
        """Target minus train accuracy, in points."""
        return None if self.train is None or self.target is None else self.target - self.train

    @property
    def weak(self) -> bool:
        """Whether more is missing from train to the target than from evaluated to train."""
        return self.short is not None and self.gap is not None and self.short > max(self.gap, Fraction(0))

    @property
    def harms(self) -> bool:
        """Whether what training goes on to learn harms the evaluated images."""
        return self.rise is not None or (self.decline is not None and self.decline.harmful)

    @property
    def can_tell_harm(self) -> bool:
        """Whether there are runs and epochs enough to see harm: one run cannot tell a rise from bouncing."""
        return self.n_runs > 1 and self.n_epochs >= 2 * WINDOW

    @property
    def near(self) -> bool:
        """Whether no more is missing to the target than the choice of images and seeds explains."""
        if self.evaluated is None or self.target is None or self.chance is None:
            return False
        return self.target - self.evaluated <= self.chance

    @property
    def far(self) -> bool:
        """Whether both accuracies are far below the target. To one of 100% there is no measure."""
        if self.train is None or self.evaluated is None or self.target is None:
            return False
        return 0 < FAR * (100 - self.target) < 100 - max(self.train, self.evaluated)


def fit_of(rung: Rung, runs: Sequence[Run], network: Network) -> Fit:
    """The fit of runs that did not diverge, at least one."""
    finals = [run.epochs[-1] for run in runs]
    fit = Fit(
        train=exact_mean(map(train_accuracy, finals)),
        evaluated=exact_mean(map(accuracy, finals)),
        target=None if rung.target.balanced else Fraction(rung.target.accuracy),
        error=_error_of_gap(finals),
        masks=masks_of(rung.recipe, network),
        loss_rise=rise_of_loss(runs),
        decline=_decline(runs),
        n_runs=len(runs),
        n_epochs=len(runs[0].epochs),
    )
    return replace(fit, kind=_fit_kind(fit, finals))


def _fit_kind(fit: Fit, finals: Sequence[Epoch]) -> FitKind:
    """In one epoch train accuracy counts the untrained start: that it is low says nothing."""
    assert fit.train is not None
    assert fit.evaluated is not None
    if not any(map(has_learned, finals)) and mean(map(largest_answer, finals)) >= ONE_ANSWER:
        return "none"
    if fit.harms and not fit.far:
        return "overfitting"
    if fit.clear_gap and not fit.weak:
        return "gap"
    if fit.masks:
        return "masked"
    if fit.n_epochs == 1:
        return "unknown"
    below = fit.target is not None and max(fit.train, fit.evaluated) < fit.target
    return "underfitting" if below and not fit.near else "balanced"


def _error_of_gap(finals: Sequence[Epoch]) -> float:
    """Standard error in points: both sets of images are samples, the same in each run, and so are the seeds.

    Of images that are all right, or all wrong, as if it were one of two more that is not (Laplace's rule): that none of
    them was otherwise does not say that none could be. And chance explains at least one image.
    """
    least = Fraction(1, finals[0].n_evaluated + 2)
    share = min(max(exact_mean(map(accuracy, finals)) / 100, least), 1 - least)
    per_image = Fraction(1, finals[0].n_evaluated) + Fraction(1, finals[0].n_train)
    one_image = 100 / finals[0].n_evaluated
    of_images = max(100 * float(share * (1 - share) * per_image) ** 0.5, one_image / CLEAR_GAP)
    gaps = [train_accuracy(epoch) - accuracy(epoch) for epoch in finals]
    of_seeds = float(stdev(gaps)) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
    return float((of_images**2 + of_seeds**2) ** 0.5)


def masks_of(recipe: Recipe, network: Network) -> tuple[Mask, ...]:
    """What lowers the last train accuracy: dropout that some block applies, distortion up to the last epoch."""
    plain, _ = simplified(recipe)
    drops = plain.dropout > 0 and any(row.has(Dropout) for row in network.rows)
    found: tuple[Mask, ...] = ("dropout",) if drops else ()
    return (*found, "augment") if plain.augment != Augment() and not plain.clean_epochs else found


def rise_of_loss(runs: Sequence[Run]) -> Rise | None:
    """How the loss has risen from its lowest window, if that is clear.

    One run cannot tell a rise from bouncing; the windows must not share an epoch. The lowest of many is low by chance
    too, so the interval is corrected for their number (Bonferroni): of losses that only bounce, 1 in 40 may seem to
    rise.
    """
    losses = losses_of(runs)
    lowest = _lowest_before_rise(losses)
    if lowest is None:
        return None
    train, average = windows_of(_train_losses(runs)), windows_of(mean_curve(losses))
    harmful = clearly_falls(train[lowest], train[-1])
    return Rise(average[lowest], average[-1], lowest_at=lowest + WINDOW, harmful=harmful)


def _lowest_before_rise(curves: Sequence[Sequence[float]]) -> int | None:
    """The lowest window of losses or mistakes, counted from 0, if they end clearly higher: never in one run."""
    if len(curves) < 2 or len(curves[0]) < 2 * WINDOW:
        return None
    of_runs = [windows_of(curve) for curve in curves]
    average = mean_curve(of_runs)
    lowest = min(range(len(average)), key=average.__getitem__)
    n_windows = len(average) - WINDOW
    if lowest >= n_windows:
        return None
    low, _ = interval_of_mean([curve[-1] - curve[lowest] for curve in of_runs], alpha=ALPHA / n_windows)
    clear = average[-1] - average[lowest] >= CLEAR_RISE * average[lowest]
    return lowest if low > 0 and clear and mean_curve(curves)[-1] > average[lowest] else None


def _train_losses(runs: Sequence[Run]) -> list[float]:
    return mean_curve([[epoch.train_loss for epoch in run.epochs] for run in runs])


def _decline(runs: Sequence[Run]) -> Decline | None:
    """How the accuracy falls, if mistakes rise as clearly as a loss must."""
    lowest = _lowest_before_rise([[epoch.n_evaluated - epoch.n_correct for epoch in run.epochs] for run in runs])
    if lowest is None:
        return None
    right = [exact_mean(accuracy(run.epochs[number]) for run in runs) for number in range(len(runs[0].epochs))]
    highest, last = exact_mean(right[lowest : lowest + WINDOW]), exact_mean(right[-WINDOW:])
    train, loss = windows_of(_train_losses(runs)), windows_of(mean_curve(losses_of(runs)))
    harmful = clearly_falls(train[lowest], train[-1]) and loss[-1] >= loss[lowest]
    return Decline(highest, last, lowest + WINDOW, harmful)
