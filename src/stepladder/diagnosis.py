"""What a rung's runs show, found by rules: its fit, how its loss moves, what it confuses, and what could come next.

Numbers only; ``report.diagnosis_text`` puts them into words. Accuracies are in percent, their differences in points,
losses in nats. Nothing here is a test of a change against the rung below: that is ``comparing``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from math import ceil
from statistics import linear_regression, mean, stdev
from typing import Literal

from stepladder.comparing import ALPHA, interval_of_mean
from stepladder.geometry import Network
from stepladder.ladder import Rung, Target
from stepladder.layers import Conv, Depthwise, GlobalAvgPool, Linear, SqueezeExcite
from stepladder.recipe import Augment, Constant, Plateau, Recipe
from stepladder.results import RungResult
from stepladder.run import Epoch, Run
from stepladder.schedule import learning_rate
from stepladder.stats import accuracy, reaches, train_accuracy

CLEAR_GAP = 2.0  # standard errors: by chance alone train is so far above the evaluated accuracy in 2% of rungs
WINDOW = (
    3  # epochs averaged: on MNIST the mean loss of 8 seeds moves by 3 to 4% per epoch at lr 0.01, so averaged by 2%
)
CLEAR_RISE = 0.10  # of the lowest loss: mnist-8k's skeleton, whose loss is flat, ends 4% above its lowest window
CLEAR_FALL = 0.05  # of a loss or of mistakes: with 5% fewer at 99.3%, 4 of 10,000 images, seeds differ by more
FAR = 3  # times the mistakes that the target allows: mnist-8k's skeleton is nearer from its second epoch on
ONE_ANSWER = 0.9  # of the answers: a network that learns the largest class alone gives it nearly always
BOUNCE_SIZE = 0.05  # of the loss, per epoch: on MNIST 8 to 12% at lr 0.01, 2 to 3% after its drop to 0.001
BOUNCE_OVER_TREND = 2.0  # times the trend per epoch: no more than half of the movement leads anywhere
BOUNCE_TURNS = 0.5  # of pairs of changes in a row: 0 on a smooth curve, 2/3 for pure noise (Bienaymé 1874)
BOUNCE_EPOCHS = 4  # with fewer there are not two pairs of changes to go by
BACK_AND_FORTH = 1 / 3  # of such pairs, halfway: with less the loss was falling, and had nothing to settle from
SETTLED = 0.5  # of the movement before the drop: on MNIST it is a fifth to an eighth
BOTH_WAYS = 0.5  # of the more frequent direction
MOST_PAIRS = 3  # on MNIST those that follow are about equally frequent
MOST_TIED = 5  # with the third; of more that are equally frequent none stands out
HARD = Fraction(1, 2)  # of the mistakes that the target allows
ROOM = Fraction(1, 10)  # of the budget's parameters: of 8,000, what widens a layer of mnist-8k from 16 to 18 channels
MOST_STEPS = 2  # a rung changes one concept: a choice of more is no advice

FitKind = Literal["none", "overfitting", "underfitting", "balanced", "masked", "unknown"]
Mask = Literal["dropout", "augment"]
NextStep = Literal[
    "train",
    "more seeds",
    "lower lr",
    "fewer parameters",
    "dropout",
    "augment",
    "weight decay",
    "schedule",
    "more epochs",
    "higher lr",
    "another lr",
    "wider",
    "receptive field",
    "less dropout",
]


@dataclass(frozen=True)
class Fit:
    """Final accuracies on the training and the evaluated images, means over runs, and the target's.

    ``error`` is the standard error of their gap in points: from the numbers of images and the spread over runs.
    ``masks`` lower the train accuracy, which is counted during training. The fit is "none" where one class is the
    answer nearly always, and naming the most frequent one would be as good; "underfitting" also with a clear gap if the
    target is further; and "masked" where masks are in use and nothing shows overfitting: the accuracies cannot tell
    then. ``rise`` is the part by which the evaluated loss, averaged over the last WINDOW epochs, is above its lowest
    such average, that ended with epoch ``lowest_at``, where this is clear and the train loss fell; else both are None.
    """

    kind: FitKind = "unknown"
    train: Fraction | None = None
    evaluated: Fraction | None = None
    target: Fraction | None = None
    error: float | None = None
    masks: tuple[Mask, ...] = ()
    rise: float | None = None
    lowest_at: int | None = None

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
    def far(self) -> bool:
        """Whether both accuracies are far below the target. To one of 100% there is no measure."""
        if self.train is None or self.evaluated is None or self.target is None:
            return False
        return 0 < FAR * (100 - self.target) < 100 - max(self.train, self.evaluated)


@dataclass(frozen=True)
class Movement:
    """How the evaluated loss moves within the epochs ``first`` to ``last``, at one learning rate; means over runs.

    ``step`` is the absolute change from epoch to epoch, ``slope`` the trend per epoch (least squares), ``level`` the
    loss, ``low`` and ``high`` the lowest and highest of a run; ``turns`` is the share of pairs of changes in a row that
    go opposite ways.
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
        """The change per epoch as a part of the loss."""
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

    ``typical`` is the mean number of wrong images of a run, ``allowed`` how many may be wrong at the target.
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

    The epochs that count are the last ones of each run, as many as the target asks for.
    """

    points: Fraction
    images: int
    n_evaluated: int
    n_missed: int
    n_counted: int


@dataclass(frozen=True)
class Diagnosis:
    """What a rung's runs show. A finding is None, and the fit unknown, where the runs cannot tell or show nothing.

    ``bounce`` is the loss at the end if it bounces. ``flat_from`` is the first epoch since which the mean loss has
    fallen by less than CLEAR_FALL, and by no more than chance explains, if that is more than WINDOW epochs back and the
    loss does not end higher. ``learning`` is the part by which the loss of the last WINDOW epochs is below that of the
    WINDOW before, if that is clear, it falls within them too, and train accuracy clearly rises. ``pairs`` are the most
    confused, if they stand out. ``sees`` and ``image_size`` are pixels per side: the receptive field of the
    convolutions and pools (the average over all places, which sees all of them, does not count; None without any
    convolution), and the image. With a diverged run, fit, shortfall and learning stay unknown, and the rest is about
    the other runs.
    """

    n_runs: int
    n_finished: int
    fit: Fit
    bounce: Movement | None
    flat_from: int | None
    drop: Drop | None
    learning: float | None
    pairs: tuple[Pair, ...]
    hard: HardImages | None
    shortfall: Shortfall | None
    sees: int | None
    image_size: int
    params_left: int
    epochs_left: int
    next_steps: tuple[NextStep, ...] = ()


def diagnose(result: RungResult, network: Network) -> Diagnosis:
    """What the runs of a rung with this network show."""
    rung, runs = result.rung, [run for run in result.runs if run.final is not None]
    complete = bool(runs) and len(runs) == len(result.runs)
    movements = _movements(rung.recipe, runs) if runs else []
    last = movements[-1] if movements else None
    found = Diagnosis(
        n_runs=len(result.runs),
        n_finished=len(runs),
        fit=_fit(rung, runs, network) if complete else Fit(masks=_masks(rung.recipe, network)),
        bounce=last if last and last.bounces and last.last == len(runs[0].epochs) else None,
        flat_from=_flat_from(runs) if runs else None,
        drop=_drop(movements, runs),
        learning=_learning(rung.recipe, runs) if complete else None,
        pairs=_pairs(runs),
        hard=_hard_images(runs, rung.target),
        shortfall=_shortfall(runs, rung.target) if complete else None,
        sees=_sees(network),
        image_size=network.image.size,
        params_left=rung.budget.params - network.params,
        epochs_left=rung.budget.epochs - rung.recipe.epochs,
    )
    return replace(found, next_steps=_next_steps(found, rung, result))


def _sees(network: Network) -> int | None:
    if not any(isinstance(row.layer, Conv | Depthwise) for row in network.rows):
        return None
    gates = [row.rf_out - row.rf_in if isinstance(row.layer, SqueezeExcite) else 0 for row in network.rows]
    return max(
        row.rf_out - through_gates
        for row, through_gates in zip(network.rows, accumulate(gates), strict=True)
        if not isinstance(row.layer, GlobalAvgPool | Linear)
    )


def _losses(runs: Sequence[Run]) -> list[list[float]]:
    return [[epoch.loss for epoch in run.epochs] for run in runs]


def _means(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean curve, epoch by epoch."""
    return [mean(values) for values in zip(*curves, strict=True)]


# Fit.


def _fit(rung: Rung, runs: Sequence[Run], network: Network) -> Fit:
    finals = [run.epochs[-1] for run in runs]
    rise, lowest_at = _rise(runs) or (None, None)
    fit = Fit(
        train=mean(map(train_accuracy, finals)),
        evaluated=mean(map(accuracy, finals)),
        target=Fraction(rung.target.accuracy),
        error=_error_of_gap(finals),
        masks=_masks(rung.recipe, network),
        rise=rise,
        lowest_at=lowest_at,
    )
    return replace(fit, kind=_fit_kind(fit, finals, len(runs[0].epochs)))


def _fit_kind(fit: Fit, finals: Sequence[Epoch], n_epochs: int) -> FitKind:
    """In one epoch train accuracy counts the untrained start: that it is low says nothing."""
    assert fit.train is not None
    assert fit.evaluated is not None
    assert fit.target is not None
    if fit.evaluated <= _largest_class(finals[0]) and mean(map(_largest_answer, finals)) >= ONE_ANSWER:
        return "none"
    if (fit.clear_gap and not fit.weak) or (fit.rise is not None and not fit.far):
        return "overfitting"
    if fit.masks:
        return "masked"
    if n_epochs == 1:
        return "unknown"
    return "underfitting" if max(fit.train, fit.evaluated) < fit.target else "balanced"


def _largest_class(epoch: Epoch) -> Fraction:
    """The part of the evaluated images that are of the most frequent class, in percent; 0 if they are all of one."""
    largest = max(map(sum, epoch.confusion), default=0)
    return Fraction(100 * largest, epoch.n_evaluated) if largest < epoch.n_evaluated else Fraction(0)


def _largest_answer(epoch: Epoch) -> float:
    """The part of the evaluated images that are taken for the class that images are most often taken for."""
    return max(map(sum, zip(*epoch.confusion, strict=True)), default=0) / epoch.n_evaluated


def _error_of_gap(finals: Sequence[Epoch]) -> float:
    """Standard error in points: both sets of images are samples, the same in each run, and so are the seeds."""
    share = mean(map(accuracy, finals)) / 100
    per_image = Fraction(1, finals[0].n_evaluated) + Fraction(1, finals[0].n_train)
    of_images = 100 * float(share * (1 - share) * per_image) ** 0.5
    gaps = [train_accuracy(epoch) - accuracy(epoch) for epoch in finals]
    of_seeds = float(stdev(gaps)) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
    return float((of_images**2 + of_seeds**2) ** 0.5)


def _masks(recipe: Recipe, network: Network) -> tuple[Mask, ...]:
    """What lowers train accuracy: dropout that some block applies, augmentation."""
    drops = recipe.dropout > 0 and any("dropout" in row.steps for row in network.rows)
    found: tuple[Mask, ...] = ("dropout",) if drops else ()
    return (*found, "augment") if recipe.augment != Augment() else found


def _windows(curve: Sequence[float]) -> list[float]:
    """Means of WINDOW epochs in a row; the first ends with epoch WINDOW."""
    return [mean(curve[start : start + WINDOW]) for start in range(len(curve) - WINDOW + 1)]


def _rise(runs: Sequence[Run]) -> tuple[float, int] | None:
    """By which part the loss has risen from its lowest window, and with which epoch that ended, if that is clear.

    One run cannot tell a rise from bouncing; the windows must not share an epoch. The lowest of many is low by chance
    too, so the interval is corrected for their number (Bonferroni): of losses that only bounce, 1 in 40 may seem to
    rise.
    """
    if len(runs) < 2 or len(runs[0].epochs) < 2 * WINDOW:
        return None
    losses = _losses(runs)
    curves = [_windows(curve) for curve in losses]
    average = _means(curves)
    lowest = min(range(len(average)), key=average.__getitem__)
    n_windows = len(average) - WINDOW
    if lowest >= n_windows or average[lowest] == 0:
        return None
    train = _windows(_means([[epoch.train_loss for epoch in run.epochs] for run in runs]))
    low, _ = interval_of_mean([curve[-1] - curve[lowest] for curve in curves], alpha=ALPHA / n_windows)
    rise = average[-1] / average[lowest] - 1
    up = low > 0 and rise >= CLEAR_RISE and _means(losses)[-1] > average[lowest]
    return (rise, lowest + WINDOW) if up and _falls(train[lowest], train[-1]) else None


def _falls(before: float, after: float) -> bool:
    """Whether a loss or a number of mistakes clearly falls."""
    return before - after >= CLEAR_FALL * before > 0


# How the loss moves.


def _rates(recipe: Recipe, epochs: Sequence[Epoch]) -> list[float]:
    """The learning rate at the first step of each epoch; of a plateau one that is never the same.

    That falls at another epoch with each seed, so that nothing can be said of its stretches over seeds.
    """
    steps = ceil(epochs[0].n_train / recipe.batch_size)
    if isinstance(recipe.schedule, Plateau):
        return [recipe.lr / (number + 1) for number in range(len(epochs))]
    return [learning_rate(recipe, step=number * steps, steps_per_epoch=steps) for number in range(len(epochs))]


def _movements(recipe: Recipe, runs: Sequence[Run]) -> list[Movement]:
    """One for each stretch of at least three epochs at one learning rate; of the first stretch, its second half.

    In the first half the loss falls fast, which is no bouncing.
    """
    rates = _rates(recipe, runs[0].epochs)
    starts = [0, *(number for number in range(1, len(rates)) if rates[number] != rates[number - 1])]
    found = []
    for start, end in pairwise([*starts, len(rates)]):
        first = start + 1 if start else (end + 1) // 2
        if end - first >= 2:
            found.append(_movement(_losses(runs), first, end, rates[start]))
    return found


def _movement(losses: Sequence[Sequence[float]], first: int, last: int, lr: float) -> Movement:
    curves = [curve[first - 1 : last] for curve in losses]
    changes = [[after - before for before, after in pairwise(curve)] for curve in curves]
    average = _means(curves)
    return Movement(
        first=first,
        last=last,
        lr=lr,
        step=mean(abs(change) for of_run in changes for change in of_run),
        slope=linear_regression(range(len(average)), average).slope,
        level=mean(average),
        low=mean(map(min, curves)),
        high=mean(map(max, curves)),
        turns=mean(one * next_one < 0 for of_run in changes for one, next_one in pairwise(of_run)),
    )


def _flat_from(runs: Sequence[Run]) -> int | None:
    if len(runs) < 2:
        return None
    losses = _losses(runs)
    average = _means(losses)
    lowest = min(range(len(average)), key=average.__getitem__)
    first = next((number for number in range(lowest) if _same(losses, number, lowest)), lowest)
    ends_higher = average[-1] > (1 + CLEAR_FALL) * average[first]
    return None if ends_higher or first + 1 >= len(average) - WINDOW else first + 1


def _same(losses: Sequence[Sequence[float]], one: int, lowest: int) -> bool:
    """Whether the mean loss at an epoch is hardly above the lowest, and not by more than chance explains."""
    before, after = [curve[one] for curve in losses], [curve[lowest] for curve in losses]
    falls = [each - later for each, later in zip(before, after, strict=True)]
    return mean(falls) <= CLEAR_GAP * stdev(falls) / len(falls) ** 0.5 and not _falls(mean(before), mean(after))


def _drop(movements: Sequence[Movement], runs: Sequence[Run]) -> Drop | None:
    if len(movements) < 2 or movements[0].last + 1 != movements[1].first or movements[1].lr >= movements[0].lr:
        return None
    before, after = movements[:2]
    return Drop(
        epoch=before.last,
        before=before,
        after=after,
        accuracy_before=mean(accuracy(run.epochs[before.last - 1]) for run in runs),
        accuracy_after=mean(accuracy(run.epochs[after.first - 1]) for run in runs),
    )


def _learning(recipe: Recipe, runs: Sequence[Run]) -> float | None:
    """One run cannot tell learning from bouncing, and a fall that a lower learning rate brought does not go on."""
    epochs = runs[0].epochs
    if len(runs) < 2 or len(epochs) < 2 * WINDOW or len(set(_rates(recipe, epochs)[-2 * WINDOW :])) > 1:
        return None
    losses = _losses(runs)
    windows = [_windows(curve) for curve in losses]
    wrong = [_windows([epoch.n_train - epoch.n_train_correct for epoch in run.epochs]) for run in runs]
    still = linear_regression(range(WINDOW), _means(losses)[-WINDOW:]).slope < 0
    if not (still and _fell(windows) and _fell(wrong)):
        return None
    average = _means(windows)
    return 1 - average[-1] / average[-1 - WINDOW]


def _fell(windows: Sequence[Sequence[float]]) -> bool:
    """Whether, over runs, the last window is clearly below the one before it, by more than chance explains."""
    average = _means(windows)
    low, _ = interval_of_mean([curve[-1 - WINDOW] - curve[-1] for curve in windows])
    return low > 0 and _falls(average[-1 - WINDOW], average[-1])


# Mistakes.


def _pairs(runs: Sequence[Run]) -> tuple[Pair, ...]:
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


def _hard_images(runs: Sequence[Run], target: Target) -> HardImages | None:
    """None for fewer than two runs, and where the wrong images are not those that were counted."""
    n_wrong = sum(run.epochs[-1].n_evaluated - run.epochs[-1].n_correct for run in runs)
    if len(runs) < 2 or sum(len(run.wrong_images) for run in runs) != n_wrong:
        return None
    counts = Counter(image.index for run in runs for image in run.wrong_images).values()
    n_evaluated = runs[0].epochs[-1].n_evaluated
    return HardImages(
        n_runs=len(runs),
        in_all=sum(n == len(runs) for n in counts),
        in_half=sum(n > 1 and 2 * n >= len(runs) for n in counts),
        in_any=len(counts),
        typical=Fraction(n_wrong, len(runs)),
        allowed=n_evaluated - ceil(Fraction(target.accuracy) * n_evaluated / 100),
    )


def _shortfall(runs: Sequence[Run], target: Target) -> Shortfall:
    missing = max(Fraction(0), Fraction(target.accuracy) - mean(accuracy(run.epochs[-1]) for run in runs))
    n_evaluated = runs[0].epochs[-1].n_evaluated
    counted = [epoch for run in runs for epoch in run.epochs[-target.last_epochs :]]
    return Shortfall(
        points=missing,
        images=ceil(missing * n_evaluated / 100),
        n_evaluated=n_evaluated,
        n_missed=sum(not reaches(epoch, target.accuracy) for epoch in counted),
        n_counted=len(counted),
    )


# What could come next.


def _next_steps(found: Diagnosis, rung: Rung, result: RungResult) -> tuple[NextStep, ...]:
    """At most MOST_STEPS, the most telling first."""
    if not found.n_runs:
        return ("train",)
    if found.n_finished < found.n_runs:
        return ("lower lr",)
    if found.fit.kind == "none":
        return ("another lr",)
    held = result.summary.n_held == found.n_runs
    if found.n_runs == 1:
        return ("more seeds",) if held else ("more seeds", *_remedies(found, rung)[: MOST_STEPS - 1])
    return ("fewer parameters",) if held else tuple(_remedies(found, rung)[:MOST_STEPS])


def _remedies(found: Diagnosis, rung: Rung) -> list[NextStep]:
    """All that the findings speak for, the most telling first; what the recipe does already is not suggested."""
    recipe, fit = rung.recipe, found.fit
    constant, augments = isinstance(recipe.schedule, Constant), recipe.augment != Augment()
    overfits = fit.kind == "overfitting"
    far = fit.far and not overfits
    underfits = fit.kind == "underfitting" or far or (fit.clear_gap and not overfits)
    room, spare = found.params_left >= ROOM * rung.budget.params, found.epochs_left > 0
    learns = found.learning is not None
    stays = found.flat_from is not None or fit.rise is not None
    rules: list[tuple[NextStep, bool]] = [
        *((remedy, overfits) for remedy in _against_overfitting(recipe)),
        ("schedule", found.bounce is not None and constant),
        ("lower lr", found.bounce is not None and not constant),
        ("augment", found.hard is not None and found.hard.many and not augments and not underfits),
        ("more epochs", spare and (learns or (far and not stays))),
        ("higher lr", not spare and learns and found.bounce is None),
        ("another lr", far and not learns and found.bounce is None),
        ("wider", room and not overfits),
        ("receptive field", found.sees is not None and found.sees < found.image_size),
        ("less dropout", fit.kind == "masked" and "dropout" in fit.masks and fit.clearly_below),
    ]
    return list(dict.fromkeys(step for step, applies in rules if applies))


def _against_overfitting(recipe: Recipe) -> list[NextStep]:
    """The first of the usual remedies that is not in use, if any."""
    remedies: list[tuple[NextStep, bool]] = [
        ("dropout", recipe.dropout == 0),
        ("augment", recipe.augment == Augment()),
        ("weight decay", recipe.weight_decay == 0),
    ]
    return [remedy for remedy, unused in remedies if unused][:1]
