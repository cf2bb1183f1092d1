"""How many fresh seeds would tell whether a claim of a record holds.

"Would tell" is: in four of five cases (intervals.POWER), if further seeds are like all there are, the record's and the
fresh ones. How those are is known roughly, so that the answer is a range. It is for planning, and decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from math import comb
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stepladder.intervals import ALPHA, MOST_SEEDS, POWER, fewest, share_interval, spread_range, typical
from stepladder.record import Claim, HeldClaim, MeanClaim, Numbers, ParamsClaim, WorstClaim

Floats = NDArray[np.float64]

FEW = 500  # are looked through first


@dataclass(frozen=True)
class SeedsToTell:
    """Between how many fresh seeds would tell; ``most`` is None where no number up to MOST_SEEDS is surely enough."""

    least: int
    most: int | None


def seeds_to_tell(claim: Claim, *, claimed: Numbers, found: Numbers) -> SeedsToTell | None:
    """For a claim that the fresh seeds leave open; None where no number of seeds is known to tell."""
    match claim:
        case MeanClaim():
            return _beyond(found, _for_mean(claim, claimed=claimed, found=found))
        case HeldClaim():
            return _beyond(found, _for_share(claim, claimed=claimed, found=found))
        case WorstClaim():
            n = len(claimed.seeds)
            return None if found.n_below(Fraction(claim.at_least)) or len(found.seeds) >= n else SeedsToTell(n, n)
        case ParamsClaim():
            return None


def _beyond(found: Numbers, needed: SeedsToTell | None) -> SeedsToTell | None:
    """More than there are: where those should have been enough, up to twice as many."""
    n = len(found.seeds)
    if needed is None or needed.least > n:
        return needed
    return SeedsToTell(n + 1, None if needed.most is None else max(needed.most, 2 * n))


def _for_mean(claim: MeanClaim, *, claimed: Numbers, found: Numbers) -> SeedsToTell | None:
    """From the mean of all seeds, and between what their spread may be."""
    samples = [[float(each) for each in of.accuracies] for of in (claimed, found)]
    pooled = typical(samples)
    if claimed.diverged or found.diverged or not pooled:
        return None
    margin = abs(fmean(samples[0] + samples[1]) - float(claim.at_least))
    spread = max(pooled.spread, found.image)
    ends = [seeds_for_mean(margin, each) for each in spread_range(spread, pooled.dof)]
    return SeedsToTell(ends[0] or MOST_SEEDS, ends[1])


def seeds_for_mean(margin: float, spread: float) -> int | None:
    """The fewest seeds whose Student interval leaves out what is ``margin`` from their mean; None above MOST_SEEDS."""
    beyond = float(special.ndtri(POWER))

    def tells(n: int) -> bool:
        return bool(margin * n**0.5 >= spread * (float(special.stdtrit(n - 1, 1 - ALPHA / 2)) + beyond))

    return fewest(tells)


def _for_share(claim: HeldClaim, *, claimed: Numbers, found: Numbers) -> SeedsToTell:
    """Between what the share may be, four times of five, from all seeds."""
    k, n = claimed.n_held + found.n_held, len(claimed.seeds) + len(found.seeds)
    low, high = share_interval(k, n, alpha=1 - POWER) or (0.0, 1.0)
    share = float(claim.share_at_least)
    ends = [seeds_for_share(share, true) for true in (low, high)]
    least = min((each for each in ends if each is not None), default=MOST_SEEDS)
    if None in ends or low < share <= high:  # in between is what no number tells
        return SeedsToTell(least, None)
    return SeedsToTell(least, max(each for each in ends if each is not None))


def seeds_for_share(claimed: float, true: float) -> int | None:
    """The fewest seeds whose exact interval tells a claimed share from the true one; None above MOST_SEEDS."""
    few = _enough(claimed, true, np.arange(1.0, FEW + 1))
    return few or _enough(claimed, true, np.arange(FEW + 1.0, MOST_SEEDS + 1))


def _enough(claimed: float, true: float, n: Floats) -> int | None:
    """The first of these numbers of seeds that is enough; None if none is."""
    tail = ALPHA / 2
    if true >= claimed:  # so many of n stand, as intervals.share_interval has it
        chance = _at_least(_largest(lambda k: _at_least(k, n, claimed) > tail, n) + 1, n, true)
    else:  # so many fail
        chance = 1 - _at_least(_largest(lambda k: 1 - _at_least(k + 1, n, claimed) < tail, n) + 1, n, true)
    enough = np.flatnonzero(chance >= POWER)
    return int(n[enough[0]]) if len(enough) else None


def _at_least(k: Floats, n: Floats, share: float) -> Floats:
    """The chance of k or more of n."""
    inside = special.betainc(np.clip(k, 1, n), n - np.clip(k, 1, n) + 1, share)
    return np.where(k < 1, 1.0, np.where(k > n, 0.0, inside))


def _largest(holds: Callable[[Floats], NDArray[np.bool_]], n: Floats) -> Floats:
    """For each n the largest k of 0 .. n for which something holds that holds for all smaller ones; -1 if none is."""
    low, high = np.full_like(n, -1), n + 1
    while (high - low > 1).any():
        middle = np.clip(np.floor((low + high) / 2), 0, n)
        is_low = holds(middle)
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return low


def fewest_below(n_new: int, n_record: int) -> int | None:
    """How many of so many fresh seeds must be below a record's worst for the claim to fail; None if all are too few."""
    return next(
        (k for k in range(1, n_new + 1) if chance_of_worst(k, n_new=n_new, n_record=n_record) <= ALPHA / 2), None
    )


def fewest_new(n_record: int) -> int:
    """With fewer fresh seeds the claim of a worst seed cannot fail, though all of them are below it."""
    return next(n for n in count(1) if fewest_below(n, n_record))


def chance_of_worst(k: int, *, n_new: int, n_record: int) -> float:
    """The probability that the k worst of all seeds are all among the new ones, if all are alike."""
    return comb(n_new, k) / comb(n_new + n_record, k)
