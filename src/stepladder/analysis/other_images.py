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
    low, high = _right(below), _right(above)
    if low is None or high is None:
        return None
    gained = high.mean(0) - low.mean(0)
    of_seeds = _of_seeds(high - low) if are_paired else _of_seeds(low) + _of_seeds(high)
    variance = float(gained.var(dtype=np.float64)) / len(gained) + of_seeds
    return 100 * float(special.ndtri(1 - ALPHA / 2)) * sqrt(variance) or None


def _right(runs: Sequence[Run]) -> NDArray[np.float32] | None:
    """1 for each image (run, image) that a run has right; None if it does not add up."""
    right = np.ones((len(runs), runs[0].epochs[-1].n_evaluated), np.float32)
    for row, run in zip(right, runs, strict=True):
        indices = {image.index for image in run.wrong_images}
        n_wrong = len(row) - run.epochs[-1].n_correct
        if not len(indices) == len(run.wrong_images) == n_wrong or not all(0 <= each < len(row) for each in indices):
            return None
        row[list(indices)] = 0
    return right


def _of_seeds(values: NDArray[np.float32]) -> float:
    """The variance of the mean of values (run, image) that is due to what a run has in common on all images."""
    n_runs, n_images = len(values), values.shape[1]
    by_chance = float(values.var(0, ddof=1, dtype=np.float64).mean()) / n_images
    of_runs = float(values.mean(1, dtype=np.float64).var(ddof=1))
    return float(max(0.0, of_runs - by_chance)) / n_runs
