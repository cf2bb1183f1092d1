"""How many fresh seeds would tell whether a claim of a record holds.

"Would tell" is: in four of five cases (intervals.POWER), if further seeds are like all there are, the record's and the
fresh ones. How those are is known roughly, so that the answer is a range. The fresh seeds that there are count as they
came out: what they miss, more seeds have to make up for. It is for planning, and decides nothing.
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

from stepladder.analysis.intervals import ALPHA, MOST_SEEDS, POWER, fewest, pooled, share_interval, spread_range
from stepladder.records.record import Claim, HeldClaim, MeanClaim, Numbers, ParamsClaim, WorstClaim

Floats = NDArray[np.float64]

FEW = 500  # are looked through first


@dataclass(frozen=True)
class SeedsToTell:
    """Between how many fresh seeds would tell, those that there are included.

    ``most`` is None where no number up to MOST_SEEDS is surely enough, and so is ``least`` where none is at all.
    """

    least: int | None
    most: int | None


@dataclass(frozen=True)
class SoFar:
    """The fresh seeds that there are, ``n`` of them: how many hold the target, or what they say of a claimed mean.

    ``margin`` is how far from it theirs is, in points, below 0 if on the other side than all seeds' mean; ``squares``
    the sum of their squared distances from their own mean.
    """

    n: int = 0
    n_held: int = 0
    margin: float = 0.0
    squares: float = 0.0


NONE_YET = SoFar()


def can_stand(claim: Claim, found: Numbers) -> bool:
    """Whether further seeds, whatever they are, could make a claim stand; else it can only fail.

    An interval ends below 100%, of however many seeds. A seed below the claimed worst, or one that diverged, stays.
    """
    match claim:
        case MeanClaim():
            return claim.at_least < 100 and not found.diverged
        case HeldClaim():
            return claim.share_at_least < 1
        case WorstClaim():
            return not found.n_below(Fraction(claim.at_least))
        case ParamsClaim():
            return True


def seeds_to_tell(claim: Claim, *, claimed: Numbers, found: Numbers) -> SeedsToTell | None:
    """For a claim that the fresh seeds leave open; None where it can only fail, or no number is known to tell."""
    if not can_stand(claim, found):
        return None
    match claim:
        case MeanClaim():
            return _for_mean(claim, claimed=claimed, found=found)
        case HeldClaim():
            return _for_share(claim, claimed=claimed, found=found)
        case WorstClaim():
            n = len(claimed.seeds)
            return None if len(found.seeds) >= n else SeedsToTell(n, n)
        case ParamsClaim():
            return None


def _for_mean(claim: MeanClaim, *, claimed: Numbers, found: Numbers) -> SeedsToTell | None:
    """From the mean of all seeds, and between what their spread may be."""
    samples = [[float(each) for each in of.accuracies] for of in (claimed, found)]
    spread_known = pooled(samples)
    if claimed.diverged or found.diverged or not spread_known:
        return None
    least = float(claim.at_least)
    margin = fmean(samples[0] + samples[1]) - least
    side = 1 if margin > 0 else -1
    so_far, fresh = NONE_YET, samples[1]
    if fresh:
        center = fmean(fresh)
        squares = sum((each - center) ** 2 for each in fresh)
        so_far = SoFar(len(fresh), margin=side * (center - least), squares=squares)
    spreads = [max(spread, found.image) for spread in spread_range(*spread_known)]
    return SeedsToTell(*(seeds_for_mean(abs(margin), spread, so_far=so_far) for spread in spreads))


def seeds_for_mean(margin: float, spread: float, *, so_far: SoFar = NONE_YET) -> int | None:
    """The fewest seeds whose Student interval leaves out what is ``margin`` from their mean; None above MOST_SEEDS."""
    beyond = float(special.ndtri(POWER))

    def tells(n: int) -> bool:
        n_more = n - so_far.n
        if n_more <= 0:
            return False
        apart = so_far.n * n_more / n * (so_far.margin - margin) ** 2
        squares = so_far.squares + (n_more - 1 + so_far.n / n) * spread**2 + apart  # as is to be expected of all n
        half = float(special.stdtrit(n - 1, 1 - ALPHA / 2)) * (squares / (n - 1) / n) ** 0.5
        center = (so_far.n * so_far.margin + n_more * margin) / n
        return bool(center >= half + beyond * spread * n_more**0.5 / n)

    return fewest(tells, least=2)


def _for_share(claim: HeldClaim, *, claimed: Numbers, found: Numbers) -> SeedsToTell:
    """Between what the share may be, four times of five, from all seeds."""
    k, n = claimed.n_held + found.n_held, len(claimed.seeds) + len(found.seeds)
    low, high = share_interval(k, n, alpha=1 - POWER) or (0.0, 1.0)
    share, so_far = float(claim.share_at_least), SoFar(len(found.seeds), n_held=found.n_held)
    at_low, at_high = (seeds_for_share(share, true, so_far=so_far) for true in (low, high))
    if low < share <= high:  # in between is what no number tells
        return SeedsToTell(at_high if Fraction(k, n) >= Fraction(claim.share_at_least) else at_low, None)
    sooner, later = (at_high, at_low) if low >= share else (at_low, at_high)
    return SeedsToTell(sooner, None if sooner is None else later)


def seeds_for_share(claimed: float, true: float, *, so_far: SoFar = NONE_YET) -> int | None:
    """The fewest seeds whose exact interval tells a claimed share from the true one; None above MOST_SEEDS."""
    first = so_far.n + 1.0
    few = _enough(claimed, true, np.arange(first, first + FEW), so_far)
    return few or _enough(claimed, true, np.arange(first + FEW, MOST_SEEDS + 1), so_far)


def _enough(claimed: float, true: float, n: Floats, so_far: SoFar) -> int | None:
    """The first of these numbers of seeds that is enough; None if none is."""
    tail, more = ALPHA / 2, n - so_far.n
    if true >= claimed:  # how many of n stand, as intervals.share_interval has it
        least = _largest(lambda k: _at_least(k, n, claimed) > tail, n) + 1
        chance = _at_least(least - so_far.n_held, more, true)
    else:  # how many fail
        most = _largest(lambda k: 1 - _at_least(k + 1, n, claimed) < tail, n)
        chance = 1 - _at_least(most + 1 - so_far.n_held, more, true)
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
    """How many of ``n_new`` fresh seeds must be below a record's worst for the claim to fail, or None."""
    return next(
        (k for k in range(1, n_new + 1) if chance_of_worst(k, n_new=n_new, n_record=n_record) <= ALPHA / 2), None
    )


def fewest_new(n_record: int) -> int:
    """With fewer fresh seeds the claim of a worst seed cannot fail, though all of them are below it."""
    return next(n for n in count(1) if fewest_below(n, n_record))


def chance_of_worst(k: int, *, n_new: int, n_record: int) -> float:
    """The probability that the k worst of all seeds are all among the new ones, if all are alike."""
    return comb(n_new, k) / comb(n_new + n_record, k)
