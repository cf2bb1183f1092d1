"""What stands behind a rung's numbers: confusion, the images it gets wrong, and the network that a page shows."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from stepladder.runs.run import Run


@dataclass(frozen=True)
class Mistake:
    """An evaluated image that some seeds' networks get wrong in the final epoch.

    ``predicted`` is the wrong class that most of these seeds give (of equals the smallest), ``probability`` the mean
    of theirs for it; ``others`` are further wrong classes. ``n_wrong`` of ``n_seeds`` seeds are wrong.
    """

    index: int
    label: int
    predicted: int
    others: tuple[int, ...]
    probability: float
    n_wrong: int
    n_seeds: int


def mistakes(runs: Sequence[Run]) -> list[Mistake]:
    """All wrong images of the finished runs of one rung, those wrong with most seeds first, then the surest."""
    return first_mistakes(runs, most=None)[0]


def first_mistakes(runs: Sequence[Run], *, most: int | None) -> tuple[list[Mistake], int]:
    """The first of ``mistakes``, as many as there is room for, and how many there are: of many seeds, thousands."""
    finished = [run for run in runs if run.final is not None]
    answers: dict[int, list[tuple[int, float]]] = {}
    labels: dict[int, int] = {}
    for run in finished:
        for wrong in run.wrong_images:
            answers.setdefault(wrong.index, []).append((wrong.predicted, wrong.probability))
            labels[wrong.index] = wrong.label
    n_wrong = sorted(map(len, answers.values()), reverse=True)
    least = n_wrong[most] if most is not None and most < len(n_wrong) else 0  # of those alike, the surest are first
    found = [_mistake(index, labels[index], of, len(finished)) for index, of in answers.items() if len(of) >= least]
    return sorted(found, key=lambda each: (-each.n_wrong, -each.probability, each.index))[:most], len(answers)


def _mistake(index: int, label: int, given: Sequence[tuple[int, float]], n_seeds: int) -> Mistake:
    if len(given) == 1:  # as most images are that any of many seeds gets wrong
        ((predicted, probability),) = given
        return Mistake(index, label, predicted, (), probability, n_wrong=1, n_seeds=n_seeds)
    classes = [predicted for predicted, _ in given]
    predicted = classes[0]
    if classes.count(predicted) == len(classes):  # as nearly all others are
        return Mistake(index, label, predicted, (), fmean([each for _, each in given]), len(given), n_seeds)
    counts = Counter(classes)
    predicted = min(counts, key=lambda each: (-counts[each], each))
    return Mistake(
        index=index,
        label=label,
        predicted=predicted,
        others=tuple(sorted(set(counts) - {predicted})),
        probability=fmean(probability for answer, probability in given if answer == predicted),
        n_wrong=len(given),
        n_seeds=n_seeds,
    )


def confusion(runs: Iterable[Run]) -> NDArray[np.int64] | None:
    """The final epochs' confusion[label][predicted], summed over finished runs; None if there are none."""
    matrices = [np.array(run.final.confusion, np.int64) for run in runs if run.final is not None]
    return sum(matrices[1:], matrices[0]) if matrices else None
