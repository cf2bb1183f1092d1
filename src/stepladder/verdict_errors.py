"""How often verdicts are false, by simulation: many ladders at once, with the arithmetic of ``intervals``.

``shown_intervals`` is what ``interval_of_difference`` shows of unpaired rungs, for arrays; a test compares the two.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stepladder.intervals import ALPHA, FIRST, SHARE, always_factor, dof_of_median, median_of_variance, once_factor

Floats = NDArray[np.float64]
Factor = Callable[[float, float, float], float]

NOTHING = 1e-45  # a sum of squares of variances, in points: equal runs give as much or less by rounding
N_LADDERS = 2_000
N_SEEDS = 16  # that a simulated ladder's rungs are trained with, one after the other


def shown_intervals(
    values: Floats, n_seeds: Sequence[int], *, n_comparisons: int, least_spread: float
) -> tuple[Floats, Floats]:
    """Both ends of the interval of each rung against the one below, (ladder, comparison), in points.

    ``values`` (ladder, rung, seed) are accuracies; of each rung the first ``n_seeds`` are there, at least two.
    """
    alpha = SHARE * ALPHA / n_comparisons
    low, high = _ends(values, n_seeds, least_spread=least_spread, alpha=alpha, factor=always_factor)
    whole = [rung for rung, n in enumerate(n_seeds) if n >= FIRST]
    pairs = [rung for rung in whole if rung + 1 in whole]
    if not pairs:
        return low, high
    firsts = _ends(values[:, whole], [FIRST] * len(whole), least_spread=least_spread, alpha=alpha, factor=once_factor)
    at = [whole.index(rung) for rung in pairs]
    first_low, first_high = (ends[:, at] for ends in firsts)
    both_low, both_high = np.maximum(low[:, pairs], first_low), np.minimum(high[:, pairs], first_high)
    apart = both_low > both_high
    low[:, pairs] = np.where(apart, np.minimum(low[:, pairs], first_low), both_low)
    high[:, pairs] = np.where(apart, np.maximum(high[:, pairs], first_high), both_high)
    return low, high


def _ends(
    values: Floats, n_seeds: Sequence[int], *, least_spread: float, alpha: float, factor: Factor
) -> tuple[Floats, Floats]:
    """Both ends of one of the two intervals, of unpaired neighbours."""
    parts = [values[:, rung, :n] for rung, n in enumerate(n_seeds)]
    means = np.stack([part.mean(1) for part in parts], axis=1)
    variances = np.stack([part.var(1, ddof=1) for part in parts], axis=1)
    dofs = np.array(n_seeds) - 1
    if len(n_seeds) < 3:
        ladder, dof = (variances * dofs).sum(1, keepdims=True) / dofs.sum(), float(dofs.sum())
    else:
        right = np.array([median_of_variance(each) for each in dofs])
        ladder, dof = np.median(variances / right, axis=1, keepdims=True), dof_of_median(dofs.tolist())
    errors = variances / np.array(n_seeds)
    units = np.array([1 / below + 1 / above for below, above in pairwise(n_seeds)])
    own = (errors[:, 1:] + errors[:, :-1]) / units
    spread = np.sqrt(np.maximum(np.maximum(own, ladder), least_spread**2))
    half = spread * _factors(errors, dofs, units, dof=dof, alpha=alpha, factor=factor)
    differences = means[:, 1:] - means[:, :-1]
    return differences - half, differences + half


def _factors(
    errors: Floats, dofs: NDArray[np.int_], units: Floats, *, dof: float, alpha: float, factor: Factor
) -> Floats:
    """Half the widths in spreads, (ladder, comparison): by the ladder's degrees of freedom, or more of Welch's."""
    found = np.tile([factor(unit, dof, alpha) for unit in units], (len(errors), 1))
    most = dofs[1:] + dofs[:-1]
    if (most <= dof).all():
        return found
    both = (errors[:, 1:] + errors[:, :-1]) ** 2
    parts = errors**2 / dofs
    welch = np.where(both > NOTHING, both / np.maximum(parts[:, 1:] + parts[:, :-1], NOTHING), most)
    for at in zip(*np.nonzero(welch > dof), strict=True):
        found[at] = factor(units[at[1]], float(welch[at]), alpha)
    return found


def are_wrong(ends: tuple[Floats, Floats]) -> NDArray[np.bool_]:
    """Of rungs that are alike: which intervals say that they are not."""
    return (ends[0] > 0) | (ends[1] < 0)


@lru_cache(maxsize=64)
def error_of_growth(declared: int, n_comparisons: int) -> float:
    """The share of ladders that show a false verdict at some time, if they grow beyond the comparisons declared.

    All rungs are alike, with normal accuracies. The ladder is compared after every seed; then rungs are added on top,
    one by one, each compared after every seed of its own.
    """
    by_rung = np.random.default_rng(0).standard_normal((n_comparisons + 1, N_LADDERS, N_SEEDS))
    values = by_rung.transpose(1, 0, 2)  # the lower rungs of a taller ladder are the same
    wrong = np.zeros(N_LADDERS, bool)
    for n in range(2, N_SEEDS + 1):
        ends = shown_intervals(values[:, : declared + 1], [n] * (declared + 1), n_comparisons=declared, least_spread=0)
        wrong |= are_wrong(ends).any(1)
    for rungs in range(declared + 2, n_comparisons + 2):
        for n in range(2, N_SEEDS + 1):
            n_seeds = [*[N_SEEDS] * (rungs - 1), n]
            ends = shown_intervals(values[:, :rungs], n_seeds, n_comparisons=rungs - 1, least_spread=0)
            wrong |= are_wrong(ends).any(1)
    return float(wrong.mean())
