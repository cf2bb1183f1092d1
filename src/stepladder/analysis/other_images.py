"""How far a difference would be another one on other images of the kind of those that were evaluated."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special  # not stats, which takes a second to import

from stepladder.analysis.intervals import ALPHA
from stepladder.runs.run import Run


def image_error(below: Sequence[Run], above: Sequence[Run], *, are_paired: bool = False) -> float | None:
    """Half the width, in points, of a 95% interval of the difference for all images of the kind of those evaluated.

    Runs are finished ones. Images and seeds are both samples (crossed random effects). Each image has its own
    difference: the share of the second rung's runs that were right, less the first's. Their variance over their number
    is the images' part, and has in it what chance decides run by run and image by image. What a seed gives or takes on
    all images alike is not in it: that is by how much runs spread beyond such chance. Normal approximation. None with
    one run of either, or if the wrong images kept are not those that were counted.
    """
    if min(len(below), len(above)) < 2:
        return None
    wrong = [_wrong(each) for each in (below, above)]
    if wrong[0] is None or wrong[1] is None:
        return None
    seen = _distinct(np.concatenate([wrong[0][1], wrong[1][1]]))  # what all have right adds nothing to any sum below
    low, high = (_right(len(runs), *each, seen) for runs, each in ((below, wrong[0]), (above, wrong[1])))
    n_images = below[0].epochs[-1].n_evaluated
    gained = (high.mean(0) - low.mean(0)).astype(np.float64)
    squares = float(np.square(gained).sum()) - float(gained.sum()) ** 2 / n_images
    of_seeds = _of_seeds(high - low, n_images) if are_paired else _of_seeds(low, n_images) + _of_seeds(high, n_images)
    variance = max(0.0, squares) / n_images**2 + of_seeds
    return 100 * float(special.ndtri(1 - ALPHA / 2)) * sqrt(variance) or None


def _wrong(runs: Sequence[Run]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Each time that a run has an image wrong, which run and which image; None if it does not add up."""
    finals = [run.epochs[-1] for run in runs]
    n_wrong = [len(run.wrong_images) for run in runs]
    if n_wrong != [final.n_evaluated - final.n_correct for final in finals]:
        return None
    indices = [image.index for run in runs for image in run.wrong_images]
    whose = np.repeat(np.arange(len(runs)), n_wrong)
    most = max(final.n_evaluated for final in finals)
    if indices and not 0 <= min(indices) <= max(indices) < most:
        return None
    images = np.array(indices, np.int64)
    if len(_distinct(whose * most + images)) < len(images):  # one is there twice
        return None
    return whose, images


def _distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """As np.unique gives them, of whole numbers from 0 on; its tables of hashes take longer than sorting does."""
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _right(
    n_runs: int, whose: NDArray[np.int64], images: NDArray[np.int64], seen: NDArray[np.int64]
) -> NDArray[np.float32]:
    """1 for each of the images ``seen`` (run, image) that a run has right, 0 for what it has wrong."""
    right = np.ones((n_runs, len(seen)), np.float32)
    right[whose, np.searchsorted(seen, images)] = 0
    return right


def _of_seeds(values: NDArray[np.float32], n_images: int) -> float:
    """The variance of the mean over images of values (run, image) that is due to what a run has in common on all.

    Of the images that have no column, all runs have the same value.
    """
    by_chance = float(values.var(0, ddof=1, dtype=np.float64).sum()) / n_images**2
    of_runs = float((values.sum(1, dtype=np.float64) / n_images).var(ddof=1))
    return max(0.0, of_runs - by_chance) / len(values)
