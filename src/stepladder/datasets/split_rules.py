"""Which of the training images are the validation split (dev): a choice made from their labels alone.

"last": those at the end, or a part of their size before them. Published sets are ordered by writer or source, and a
random choice would put the same hands on both sides. "stratified": the same of each class, where the end of the set
does not have its share of every class. "given": the set's own validation images, which are chosen from nothing here.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stepladder.errors import DataError

SplitRule = Literal["last", "stratified", "given"]


def last(n: int, *, n_dev: int, part: int = 0) -> slice:
    """The last ``n_dev`` of n, or those ``part`` times ``n_dev`` before them. Raises DataError if there are too few."""
    stop = n - part * n_dev
    if not n_dev <= stop <= n:
        raise DataError(
            f"{n:,} training images have no part {part} of {n_dev:,}, counted from 0 at the end: hold fewer out"
        )
    return slice(stop - n_dev, stop)


def has_its_share_of_each(labels: NDArray[np.int64], held_out: slice) -> bool:
    """Whether each class has at least half its proportional share in what is held out, and images left beside it."""
    n_of, n_held = np.bincount(labels), np.bincount(labels[held_out], minlength=labels.max() + 1)
    n_dev = held_out.stop - held_out.start
    return bool(((2 * n_held * len(labels) >= n_of * n_dev) & (n_held < n_of) | (n_of == 0)).all())


def rule_for(labels: NDArray[np.int64], *, n_dev: int, part: int = 0) -> SplitRule:
    """How ``n_dev`` training images are chosen: the last ones wherever that gives each class its share.

    Also where no rule could: see ``problem``.
    """
    if problem(labels, n_dev=n_dev) or has_its_share_of_each(labels, last(len(labels), n_dev=n_dev, part=part)):
        return "last"
    return "stratified"


def problem(labels: NDArray[np.int64], *, n_dev: int) -> str | None:
    """Why ``n_dev`` images cannot be held out so that every class is on both sides, with the remedy; None if they can.

    An end of the set that has its share of every class needs no more.
    """
    n_of = np.bincount(labels)
    n_classes = len(n_of)
    if (n_of == 1).any():
        return (
            f"class {int(np.flatnonzero(n_of == 1)[0])} has one training image: it cannot be both trained on and in the"
            ' validation split (dev): add images of it, leave the class out, or set evaluate_on = "test"'
        )
    if n_dev < n_classes:
        return (
            f"{n_dev:,} validation images (dev) cannot have one of each of the {n_classes:,} classes: set dev_images to"
            f" at least {n_classes:,}"
        )
    if len(labels) - n_dev < n_classes:
        return (
            f"with {n_dev:,} of {len(labels):,} training images held out as the validation split (dev), none is left"
            f" of some of the {n_classes:,} classes: set dev_images to fewer"
        )
    return None


def stratified(labels: NDArray[np.int64], *, n_dev: int, part: int = 0) -> NDArray[np.int64]:
    """The rows to hold out, ascending: of each class its share of ``n_dev``, at the end of its images.

    ``part`` counts such blocks of each class from the end; a class that has no more than a piece of one left gives its
    first images. Needs labels without a ``problem``.
    """
    by_class = np.argsort(labels, kind="stable")
    n_of = np.bincount(labels)
    starts = n_of.cumsum() - n_of
    chosen = []
    for start, n, share in zip(starts.tolist(), n_of.tolist(), shares(n_of, n_dev).tolist(), strict=True):
        first = max(0, n - (part + 1) * share)
        chosen.append(by_class[start + first : start + first + share])
    return np.sort(np.concatenate(chosen))


def shares(n_of: NDArray[np.int64], n_dev: int) -> NDArray[np.int64]:
    """How many of each class add up to ``n_dev``: in proportion (largest remainders), at least 1 and never all."""
    exact = n_of * (n_dev / n_of.sum())
    found: NDArray[np.int64] = np.clip(n_of * n_dev // n_of.sum(), 1, n_of - 1)
    while (missing := n_dev - int(found.sum())) > 0:
        room = np.where(found < n_of - 1, exact - found, -np.inf)
        found[_largest(room, missing)] += 1
    while (missing := n_dev - int(found.sum())) < 0:
        excess = np.where(found > 1, found - exact, -np.inf)
        found[_largest(excess, -missing)] -= 1
    return found


def _largest(values: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Where the n largest finite values are, or fewer where there are fewer; of equal ones the first."""
    order: NDArray[np.int64] = np.argsort(-values, kind="stable")[:n]
    found: NDArray[np.int64] = order[np.isfinite(values[order])]
    return found
