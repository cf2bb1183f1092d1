"""How often verdicts are false, by simulation: many ladders at once, with the arithmetic of ``intervals``.

``shown_intervals`` is what ``interval_of_difference`` shows of unpaired rungs, for arrays; a test compares the two.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stepladder.analysis.intervals import (
    ALPHA,
    FEWEST,
    FIRST,
    OWN_DOF,
    SHARE,
    UNLIKE,
    Floats,
    always_factors,
    dof_of_median,
    median_of_variance,
)

Factor = Callable[[Floats, Floats, float], Floats]

NOTHING = 1e-45  # a sum of squares of variances, in points: equal runs give as much or less by rounding
N_LADDERS = 2_000
N_SEEDS = 16  # that a simulated ladder's rungs are trained with, one after the other


def shown_intervals(
    values: Floats, n_seeds: Sequence[int], *, n_comparisons: int, least_spread: float
) -> tuple[Floats, Floats]:
    """Both ends of the interval of each rung against the one below, (ladder, comparison), in points.

    ``values`` (ladder, rung, seed) are accuracies; of each rung the first ``n_seeds`` are there, at least two. Without
    end where a rung has fewer than FEWEST.
    """
    alpha = SHARE * ALPHA / n_comparisons
    low, high, differences = _ends(values, n_seeds, least_spread=least_spread, alpha=alpha, factor=always_factors)
    whole = [rung for rung, n in enumerate(n_seeds) if n >= FIRST]
    pairs = [rung for rung in whole if rung + 1 in whole]
    if pairs:
        firsts = _ends(values[:, whole], [FIRST] * len(whole), least_spread=least_spread, alpha=alpha, factor=_once)
        at = [whole.index(rung) for rung in pairs]
        both_low, both_high = np.maximum(low[:, pairs], firsts[0][:, at]), np.minimum(high[:, pairs], firsts[1][:, at])
        agree = (both_low <= differences[:, pairs]) & (differences[:, pairs] <= both_high)
        low[:, pairs] = np.where(agree, both_low, low[:, pairs])
        high[:, pairs] = np.where(agree, both_high, high[:, pairs])
    few = [rung for rung, n in enumerate(pairwise(n_seeds)) if min(n) < FEWEST]
    low[:, few], high[:, few] = -np.inf, np.inf
    return low, high


def _ends(
    values: Floats, n_seeds: Sequence[int], *, least_spread: float, alpha: float, factor: Factor
) -> tuple[Floats, Floats, Floats]:
    """Both ends of one of the two intervals, of unpaired neighbours; their differences."""
    parts = [values[:, rung, :n] for rung, n in enumerate(n_seeds)]
    means = np.stack([part.mean(1) for part in parts], axis=1)
    variances = np.stack([part.var(1, ddof=1) for part in parts], axis=1)
    dofs, ns = np.array(n_seeds) - 1, np.array(n_seeds)
    units = 1 / ns[:-1] + 1 / ns[1:]
    errors = variances / ns
    both = errors[:, 1:] + errors[:, :-1]
    own, own_dof = both / units, _welch(errors, both, dofs)
    known = [rung for rung, n in enumerate(n_seeds) if n >= FEWEST]
    if len(known) >= 3:
        right = np.array([median_of_variance(each) for each in dofs[known]])
        ladder, ladder_dof = np.median(variances[:, known] / right, axis=1, keepdims=True), dof_of_median(dofs[known])
        alone = (own_dof >= OWN_DOF) | (own > UNLIKE * ladder)
        own, own_dof = np.where(alone, own, np.maximum(own, ladder)), np.where(alone, own_dof, own_dof.clip(ladder_dof))
    half = np.sqrt(np.maximum(own, least_spread**2)) * factor(units, own_dof, alpha)
    differences = means[:, 1:] - means[:, :-1]
    return differences - half, differences + half, differences


def _welch(errors: Floats, both: Floats, dofs: NDArray[np.int_]) -> Floats:
    """Degrees of freedom of two rungs' own spread (Welch 1947)."""
    parts = errors**2 / dofs
    most = dofs[1:] + dofs[:-1]
    return np.where(both**2 > NOTHING, both**2 / np.maximum(parts[:, 1:] + parts[:, :-1], NOTHING), most)


def _once(units: Floats, dofs: Floats, alpha: float) -> Floats:
    """``intervals.once_factor`` of arrays."""
    known, which = np.unique(dofs.round(3), return_inverse=True)  # it takes its time
    return np.asarray(special.stdtrit(known, 1 - alpha / 2)[which].reshape(dofs.shape) * np.sqrt(units))


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
    for n in range(FEWEST, N_SEEDS + 1):
        ends = shown_intervals(values[:, : declared + 1], [n] * (declared + 1), n_comparisons=declared, least_spread=0)
        wrong |= are_wrong(ends).any(1)
    for rungs in range(declared + 2, n_comparisons + 2):
        for n in range(FEWEST, N_SEEDS + 1):
            n_seeds = [*[N_SEEDS] * (rungs - 1), n]
            ends = shown_intervals(values[:, :rungs], n_seeds, n_comparisons=rungs - 1, least_spread=0)
            wrong |= are_wrong(ends).any(1)
    return float(wrong.mean())
