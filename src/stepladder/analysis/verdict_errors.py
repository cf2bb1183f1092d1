"""How often verdicts are false, by simulation: many ladders at once, with the arithmetic of ``intervals``.

``shown_intervals`` is what ``interval_of_difference`` shows of unpaired rungs, for arrays; a test compares the two.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

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
    values: Floats, n_seeds: Sequence[int], *, n_comparisons: int, least_spread: float, below: Sequence[int] = ()
) -> tuple[Floats, Floats]:
    """Both ends of the interval of each rung but the first, (ladder, comparison), in points.

    ``values`` (ladder, rung, seed) are accuracies; of each rung the first ``n_seeds`` are there, at least two. Without
    end where a rung has fewer than FEWEST. ``below`` says which rung each of the others is compared with, from 0: the
    one before it, unless it is given, as (0, 0, 0) for three variants of one rung.
    """
    against = below or range(len(n_seeds) - 1)
    alpha = SHARE * ALPHA / n_comparisons
    how = {"least_spread": least_spread, "alpha": alpha}
    all_pairs = [(low, number + 1) for number, low in enumerate(against)]
    low, high, differences = _ends(values, n_seeds, all_pairs, factor=always_factors, **how)
    whole = [rung for rung, n in enumerate(n_seeds) if n >= FIRST]
    pairs = [number for number, pair in enumerate(all_pairs) if set(pair) <= set(whole)]
    if pairs:
        at = list(range(len(pairs)))
        of_whole = [(whole.index(all_pairs[number][0]), whole.index(all_pairs[number][1])) for number in pairs]
        firsts = _ends(values[:, whole], [FIRST] * len(whole), of_whole, factor=_once, **how)
        both_low, both_high = np.maximum(low[:, pairs], firsts[0][:, at]), np.minimum(high[:, pairs], firsts[1][:, at])
        agree = (both_low <= differences[:, pairs]) & (differences[:, pairs] <= both_high)
        low[:, pairs] = np.where(agree, both_low, low[:, pairs])
        high[:, pairs] = np.where(agree, both_high, high[:, pairs])
    few = [number for number, pair in enumerate(all_pairs) if min(n_seeds[rung] for rung in pair) < FEWEST]
    low[:, few], high[:, few] = -np.inf, np.inf
    return low, high


def _ends(
    values: Floats,
    n_seeds: Sequence[int],
    pairs: Sequence[tuple[int, int]],
    *,
    least_spread: float,
    alpha: float,
    factor: Factor,
) -> tuple[Floats, Floats, Floats]:
    """Both ends of one of the two intervals, of pairs of rungs that are not paired by seed; their differences."""
    low, high = [below for below, _ in pairs], [above for _, above in pairs]
    parts = [values[:, rung, :n] for rung, n in enumerate(n_seeds)]
    means = np.stack([part.mean(1) for part in parts], axis=1)
    variances = np.stack([part.var(1, ddof=1) for part in parts], axis=1)
    dofs, ns = np.array(n_seeds) - 1, np.array(n_seeds)
    units = 1 / ns[low] + 1 / ns[high]
    errors = variances / ns
    both = errors[:, high] + errors[:, low]
    own, own_dof = both / units, _welch(errors**2 / dofs, both, dofs, low, high)
    known = [rung for rung, n in enumerate(n_seeds) if n >= FEWEST]
    if len(known) >= 3:
        right = np.array([median_of_variance(each) for each in dofs[known]])
        ladder, ladder_dof = np.median(variances[:, known] / right, axis=1, keepdims=True), dof_of_median(dofs[known])
        alone = (own_dof >= OWN_DOF) | (own > UNLIKE * ladder)
        own, own_dof = np.where(alone, own, np.maximum(own, ladder)), np.where(alone, own_dof, own_dof.clip(ladder_dof))
    half = np.sqrt(np.maximum(own, least_spread**2)) * factor(units, own_dof, alpha)
    differences = means[:, high] - means[:, low]
    return differences - half, differences + half, differences


def _welch(parts: Floats, both: Floats, dofs: NDArray[np.int_], low: list[int], high: list[int]) -> Floats:
    """Degrees of freedom of two rungs' own spread (Welch 1947)."""
    most = dofs[high] + dofs[low]
    return np.where(both**2 > NOTHING, both**2 / np.maximum(parts[:, high] + parts[:, low], NOTHING), most)


def _once(units: Floats, dofs: Floats, alpha: float) -> Floats:
    """``intervals.once_factor`` of arrays."""
    known, which = np.unique(dofs.round(3), return_inverse=True)  # it takes its time
    return np.asarray(special.stdtrit(known, 1 - alpha / 2)[which].reshape(dofs.shape) * np.sqrt(units))


def are_wrong(ends: tuple[Floats, Floats]) -> NDArray[np.bool_]:
    """Of rungs that are alike: which intervals say that they are not."""
    return (ends[0] > 0) | (ends[1] < 0)


@lru_cache(maxsize=64)
def error_of_growth(declared: int, n_comparisons: int, below: tuple[int, ...] = ()) -> float:
    """The share of ladders that show a false verdict at some time, if they grow beyond the comparisons declared.

    All rungs are alike, with normal accuracies. The ladder is compared after every seed; then rungs are added, one by
    one, each compared after every seed of its own: on top, or with the rungs that ``below`` says (shown_intervals).
    """
    below = below or tuple(range(n_comparisons))
    by_rung = np.random.default_rng(0).standard_normal((n_comparisons + 1, N_LADDERS, N_SEEDS))
    values = by_rung.transpose(1, 0, 2)  # the lower rungs of a taller ladder are the same
    wrong = np.zeros(N_LADDERS, bool)
    for n in range(FEWEST, N_SEEDS + 1):
        ends = _grown(values, [n] * (declared + 1), below)
        wrong |= are_wrong(ends).any(1)
    for rungs in range(declared + 2, n_comparisons + 2):
        for n in range(FEWEST, N_SEEDS + 1):
            ends = _grown(values, [*[N_SEEDS] * (rungs - 1), n], below)
            wrong |= are_wrong(ends).any(1)
    return float(wrong.mean())


def _grown(values: Floats, n_seeds: Sequence[int], below: tuple[int, ...]) -> tuple[Floats, Floats]:
    """What is shown of the rungs that have seeds, as one comparison for each of them but the first."""
    n = len(n_seeds)
    return shown_intervals(values[:, :n], n_seeds, n_comparisons=n - 1, least_spread=0, below=below[: n - 1])
