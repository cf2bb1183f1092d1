"""What a rung's finished runs do with each class: those far below the others, those never answered, balanced accuracy.

The evaluated images are the same in every run. Shares are counted in images, and are of 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

from stepladder.analysis.outliers import ONE_ANSWER
from stepladder.runs.run import Run
from stepladder.runs.stats import balanced_accuracy, exact_mean, is_uneven

FAR_BELOW = 3  # times the mistakes that the usual class has
MUCH_LOWER = Fraction(1, 5)  # of a class's images, where the usual class has many mistakes too
CLEAR_ERRORS = 3  # standard errors: by chance 1 class in 740 is as low
LEAST_IMAGES = 5  # that a run gets wrong beyond what the usual class would: fewer are single images
MOST_NAMED = 3
MOST_MISTAKES = Fraction(1, 2)  # of all: a class that makes them comes first


@dataclass(frozen=True)
class WeakClass:
    """A class far below the others: how many of its ``n`` images a run gets right, as a share, and a usual class's.

    ``mistakes`` is its part of all the images that are wrong.
    """

    label: int
    n: int
    recall: Fraction
    usual: Fraction
    mistakes: Fraction


@dataclass(frozen=True)
class Classes:
    """``never`` are the classes that no run ever answers, ``weak`` those far below the others, the weakest first.

    ``one_answer``: on average a run takes this part of the images for one class, ``answer`` if it is the same in all
    runs, though ``answer_share`` of them are of it. ``unequal``: the fewest and the most images of a class, where they
    differ by much; then ``balanced`` is the mean of the classes' recalls.
    """

    never: tuple[WeakClass, ...] = ()
    weak: tuple[WeakClass, ...] = ()
    one_answer: Fraction | None = None
    answer: int | None = None
    answer_share: Fraction | None = None
    unequal: tuple[int, int] | None = None
    balanced: Fraction | None = None


@dataclass(frozen=True)
class Recall:
    """What part of a class's ``n`` evaluated images is right at the last epoch: the mean over runs, and the lowest."""

    label: int
    n: int
    mean: Fraction
    lowest: Fraction


def recalls(runs: Sequence[Run]) -> tuple[Recall, ...]:
    """One for each class that is evaluated on, in order; none without finished runs."""
    matrices = [run.final.confusion for run in runs if run.final is not None]
    found = []
    for label, n in enumerate(map(sum, matrices[0] if matrices else ())):
        if n:
            shares = [Fraction(each[label][label], n) for each in matrices]
            found.append(Recall(label, n, exact_mean(shares), min(shares)))
    return tuple(found)


def classes(runs: Sequence[Run]) -> Classes:
    """What the last epochs of these runs show; nothing of fewer than two classes."""
    if not runs:
        return Classes()
    matrices = [run.epochs[-1].confusion for run in runs]
    sizes = [sum(row) for row in matrices[0]]
    present = [label for label, n in enumerate(sizes) if n]
    if len(present) < 2:
        return Classes()
    shares = {
        label: exact_mean(Fraction(each[label][label], sum(each[label])) for each in matrices) for label in present
    }
    n_wrong = sum(((1 - shares[label]) * sizes[label] for label in present), Fraction(0))
    found = [_class(label, sizes, shares, n_wrong) for label in present]
    one_answer, answer, share = _one_answer(matrices)
    never = [each for each in found if not any(row[each.label] for matrix in matrices for row in matrix)]
    low = [each for each in found if each not in never and _far_below(each, len(runs))]
    few, most = min(sizes[label] for label in present), max(sizes)
    unequal = is_uneven(runs[0].epochs[-1])
    return Classes(
        never=tuple(never),
        weak=tuple(sorted(low, key=lambda each: each.recall)) if one_answer is None else (),
        one_answer=one_answer,
        answer=answer,
        answer_share=share,
        unequal=(few, most) if unequal else None,
        balanced=exact_mean(balanced_accuracy(run.epochs[-1]) for run in runs) / 100 if unequal else None,
    )


def _class(label: int, sizes: Sequence[int], recalls: dict[int, Fraction], n_wrong: Fraction) -> WeakClass:
    usual = median(recall for other, recall in recalls.items() if other != label)
    own = (1 - recalls[label]) * sizes[label]
    return WeakClass(label, sizes[label], recalls[label], usual, own / n_wrong if n_wrong else Fraction(0))


def _far_below(each: WeakClass, n_runs: int) -> bool:
    """Whether a class is lower by much, by more than the choice of its images explains, and by whole images."""
    lower = each.usual - each.recall
    usual = max(1 - each.usual, Fraction(1, each.n * n_runs))
    error = float(usual * (1 - usual) / each.n) ** 0.5
    much = 1 - each.recall >= FAR_BELOW * (1 - each.usual) or lower >= MUCH_LOWER
    return lower * each.n >= LEAST_IMAGES and much and float(lower) > CLEAR_ERRORS * error


def _one_answer(
    matrices: Sequence[Sequence[Sequence[int]]],
) -> tuple[Fraction | None, int | None, Fraction | None]:
    """The part of the images that a run takes for one class, if that is nearly all; the class; how many are of it."""
    given = [[sum(column) for column in zip(*matrix, strict=True)] for matrix in matrices]
    n = sum(given[0])
    part = Fraction(sum(map(max, given)), n * len(given))
    tops = {of_run.index(max(of_run)) for of_run in given}
    most = Fraction(max(sum(row) for row in matrices[0]), n)
    if part < Fraction(str(ONE_ANSWER)) or part - most < (1 - most) / 2:
        return None, None, None
    top = tops.pop() if len(tops) == 1 else None
    return part, top, None if top is None else Fraction(sum(matrices[0][top]), n)
