"""What runs add up to. Integers and exact fractions inside; a comparison comes before any rounding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from statistics import stdev

from stepladder.ladders.terms import Target
from stepladder.runs.run import Epoch, Run

UNEVEN = 2  # times the smallest class: MNIST's and Fashion's largest are 1.3 and 1.0 times theirs


def exact_mean(values: Iterable[Fraction]) -> Fraction:
    """What statistics.mean gives of fractions, in a tenth of the time: there are thousands, of the same few images."""
    ratios = [value.as_integer_ratio() for value in values]
    whole = lcm(*{of for _, of in ratios})
    return Fraction(sum(n * (whole // of) for n, of in ratios), whole * len(ratios))


def exact_median(values: Iterable[Fraction]) -> Fraction:
    """What statistics.median gives of fractions, in a fraction of the time: it compares integers."""
    ratios = [value.as_integer_ratio() for value in values]
    whole, middle = lcm(*{of for _, of in ratios}), len(ratios) // 2
    ranked = sorted(n * (whole // of) for n, of in ratios)
    return Fraction(ranked[middle] + ranked[~middle], 2 * whole)


Spread = tuple[Fraction, Fraction, Fraction]  # the lowest, the mean, the highest


def spread_of(counts: Sequence[int], of: int) -> Spread:
    """The spread of counts of so many images each, in percent."""
    least, total, most = 100 * min(counts), 100 * sum(counts), 100 * max(counts)
    return Fraction(least, of), Fraction(total, of * len(counts)), Fraction(most, of)


def accuracies(epochs: Sequence[Epoch]) -> Spread:
    """The spread of the accuracy of epochs, of the same images, on the evaluated split, in percent."""
    return spread_of([epoch.n_correct for epoch in epochs], epochs[0].n_evaluated)


def train_accuracies(epochs: Sequence[Epoch]) -> Spread:
    """The same during training."""
    return spread_of([epoch.n_train_correct for epoch in epochs], epochs[0].n_train)


def accuracy(epoch: Epoch) -> Fraction:
    """Accuracy of an epoch on the evaluated split, in percent."""
    return Fraction(100 * epoch.n_correct, epoch.n_evaluated)


def train_accuracy(epoch: Epoch) -> Fraction:
    """Accuracy during an epoch of training, in percent: augmented images, dropout active."""
    return Fraction(100 * epoch.n_train_correct, epoch.n_train)


def class_sizes(epoch: Epoch) -> list[int]:
    """How many of the evaluated images each class has, of those that have any."""
    return [size for size in map(sum, epoch.confusion) if size]


def balanced_accuracy(epoch: Epoch) -> Fraction:
    """The mean over classes of the share of a class's images that is right, in percent; of classes that have images."""
    rows = [(row[label], sum(row)) for label, row in enumerate(epoch.confusion)]
    of_classes = [(right, n) for right, n in rows if n]
    whole = lcm(*(n for _, n in of_classes))
    return Fraction(100 * sum(right * (whole // n) for right, n in of_classes), whole * len(of_classes))


def is_uneven(epoch: Epoch) -> bool:
    """Whether the largest of the evaluated classes has more than twice the images of the smallest."""
    sizes = class_sizes(epoch)
    return max(sizes) > UNEVEN * min(sizes)


def accuracy_of(epoch: Epoch, *, balanced: bool) -> Fraction:
    """Either accuracy, in percent."""
    return balanced_accuracy(epoch) if balanced else accuracy(epoch)


def measured(epoch: Epoch, target: Target) -> Fraction:
    """What a target speaks of, in percent."""
    return accuracy_of(epoch, balanced=target.balanced)


def one_image(epoch: Epoch, *, balanced: bool) -> Fraction:
    """What an evaluated image is worth at most of either accuracy, in points."""
    if not balanced:
        return Fraction(100, epoch.n_evaluated)
    sizes = class_sizes(epoch)
    return Fraction(100, len(sizes) * min(sizes))


def reaches(epoch: Epoch, target: Target) -> bool:
    """Whether an epoch is at or above the target, exactly."""
    goal, of = target.accuracy.as_integer_ratio()
    if not target.balanced:  # there are thousands
        return 100 * epoch.n_correct * of >= goal * epoch.n_evaluated
    value = balanced_accuracy(epoch)
    return value.numerator * of >= goal * value.denominator


def consistent_from(run: Run, target: Target) -> int | None:
    """The epoch (from 1) from which every epoch to the last reaches the target; None if the last does not."""
    if run.diverged_at_epoch is not None:
        return None
    first = len(run.epochs) + 1
    for number, epoch in reversed(list(enumerate(run.epochs, 1))):
        if not reaches(epoch, target):
            break
        first = number
    return first if first <= len(run.epochs) else None


def holds(run: Run, target: Target) -> bool:
    """Whether every one of the run's last epochs reaches the target, as many as the target asks for."""
    return _holds_from(run, consistent_from(run, target), target)


def _holds_from(run: Run, first: int | None, target: Target) -> bool:
    """The same of a run that reaches it from this epoch on."""
    return first is not None and first <= len(run.epochs) - target.last_epochs + 1


@dataclass(frozen=True)
class Summary:
    """A rung's runs in numbers; accuracies in percent, of the final epoch, over all seeds.

    Accuracies are None where there is no run, and where a run diverged: a mean of the survivors would flatter.
    ``final_sd`` (of the sample) needs two runs. ``consistent_from`` stands in the order of ``seeds``.
    ``balanced_mean`` is of balanced accuracy; ``uneven``: classes are so unlike in size that it tells another thing.
    """

    seeds: tuple[int, ...]
    diverged: tuple[int, ...]
    final_mean: Fraction | None
    final_min: Fraction | None
    final_sd: float | None
    train_final_mean: Fraction | None
    consistent_from: tuple[int | None, ...]
    n_held: int
    balanced_mean: Fraction | None = None
    uneven: bool = False


def summarise(runs: Sequence[Run], target: Target) -> Summary:
    """Sum up the runs of one rung."""
    runs = sorted(runs, key=lambda run: run.identity.seed)
    finals = [run.final for run in runs if run.final is not None]
    complete = bool(runs) and len(finals) == len(runs)
    accuracies = [accuracy(epoch) for epoch in finals]
    firsts = [consistent_from(run, target) for run in runs]
    return Summary(
        seeds=tuple(run.identity.seed for run in runs),
        diverged=tuple(run.identity.seed for run in runs if run.final is None),
        final_mean=exact_mean(accuracies) if complete else None,
        final_min=min(accuracies) if complete else None,
        final_sd=float(stdev(accuracies)) if complete and len(finals) > 1 else None,
        train_final_mean=exact_mean(map(train_accuracy, finals)) if complete else None,
        consistent_from=tuple(firsts),
        n_held=sum(_holds_from(run, first, target) for run, first in zip(runs, firsts, strict=True)),
        balanced_mean=exact_mean(map(balanced_accuracy, finals)) if complete else None,
        uneven=any(map(is_uneven, finals[:1])),
    )


def typical_run(runs: Sequence[Run]) -> Run | None:
    """The finished run whose final accuracy is the median (the lower of two; of equals the smallest seed)."""
    finished = [(accuracy(run.final), run.identity.seed, run) for run in runs if run.final is not None]
    ranked = sorted(finished, key=lambda each: each[:2])
    if not ranked:
        return None
    middle = ranked[(len(ranked) - 1) // 2][0]
    return next(run for value, _, run in ranked if value == middle)
