"""Climb a record again, with fresh seeds, and say whether its claims stand.

A claim *stands* or *fails* only where the new seeds alone show it; with few of them it *cannot be told*, and it is said
how many would tell. Looked at once, each kind of claim fails with a probability of 2.5% at most although it is true:

- mean: Student's 95% interval of the new seeds' mean lies above the claimed mean, or below it. That takes seeds that
  are spread normally, or with a tail to the worse.
- held: the exact 95% interval of the share (Clopper & Pearson 1934) lies above the claimed share, or below it.
- worst: no seed of the record's n was below. If the recipe is the same, all n + N seeds are alike, and the k worst of
  them are all among the N new ones with a probability of C(N, k) / C(n + N, k) at most, whatever the distribution. The
  claim fails if that is at most 2.5%: 2 of 8 new seeds are below, or 6 of 100, with n = 100. It stands if none of at
  least n new seeds is below: as many as it was claimed of.
- params: counted.

That a claim stands although it is false has a bound of 2.5% for a share alone. For a mean it has one where seeds are
spread normally: 8 seeds do not meet what befalls one in twenty in two of three cases. For a worst seed it has none.

A seed that the record has is no new evidence. It must give the same numbers, bit for bit, where all that decides them
is the same (see conditions), and does not count for the claims.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import fmean, quantiles, variance
from typing import Literal

from scipy import special

from stepladder.analysis.intervals import ALPHA, interval_of_mean, share_interval
from stepladder.climbing.climbing import Failure, Watcher, climb
from stepladder.engines import Engine
from stepladder.errors import LadderError
from stepladder.execution.place import Place
from stepladder.ladders.ladder import Plan
from stepladder.records.protocol import MOST_SEED, beyond_the_largest
from stepladder.records.record import (
    Claim,
    HeldClaim,
    MeanClaim,
    Numbers,
    ParamsClaim,
    Record,
    SeedResult,
    WorstClaim,
    numbers,
    numbers_of,
    params_of,
    seed_result,
)
from stepladder.records.seeds_to_tell import SeedsToTell, chance_of_worst, seeds_to_tell
from stepladder.runs.conditions import Condition, Origin, are_equal, conditions, origin_of
from stepladder.runs.results import collect
from stepladder.runs.run import Run
from stepladder.runs.store import Store

Outcome = Literal["stands", "fails", "cannot be told"]
Interval = tuple[float, float]

FAR = 8  # spreads below the record's median: in seeds with an exponential tail, one of a thousand
MIDDLE_HALF = Fraction("1.349")  # standard deviations between a normal distribution's quartiles
SURELY = 1e-3


@dataclass(frozen=True)
class ClaimVerdict:
    """What new seeds say of a claim.

    ``value`` is the mean or the worst accuracy in percent, the share of seeds that hold the target, or the parameters;
    ``interval`` the 95% interval of the mean, of the share below the claimed worst, or of the share that holds.
    ``n_missed`` seeds are below the claimed worst, or do not hold, or, for a mean, diverged. ``p`` is the probability
    that this many of the worst seeds are among the new ones by chance, for a claim of the worst alone. ``needed`` says
    how many seeds would tell what cannot be told, where that is known.
    """

    claim: Claim
    outcome: Outcome
    value: Fraction | None = None
    interval: Interval | None = None
    n_missed: int | None = None
    p: float | None = None
    needed: SeedsToTell | None = None


@dataclass(frozen=True)
class Repeat:
    """Seeds of the record that were trained again.

    ``conditions`` are what decides the numbers, of the record and of a run here: of one whose numbers are other ones,
    if there is any. ``must_be_equal``: all of them are told and equal, and it is no GPU. ``numbers`` has what was
    recorded and what was found of each seed that is different.
    """

    equal: tuple[int, ...]
    different: tuple[int, ...]
    must_be_equal: bool
    conditions: tuple[Condition, ...]
    numbers: tuple[tuple[SeedResult, SeedResult], ...]


@dataclass(frozen=True)
class Reproduction:
    """A record climbed again: ``found`` is about the fresh seeds, and so are the verdicts.

    ``difference`` is the new mean less the record's, in points, with Welch's 95% interval; None without two seeds.
    ``collapsed`` are fresh seeds far below the record's, with their accuracies in percent.
    """

    record: Record
    ladder: Plan
    claimed: Numbers
    found: Numbers
    verdicts: tuple[ClaimVerdict, ...]
    difference: tuple[float, Interval] | None
    repeat: Repeat | None
    collapsed: tuple[tuple[int, Fraction], ...]
    runs: tuple[Run, ...]

    @property
    def fails(self) -> bool:
        """Whether a claim fails, or a seed does not repeat that must."""
        broken = self.repeat is not None and self.repeat.must_be_equal and bool(self.repeat.different)
        return broken or any(verdict.outcome == "fails" for verdict in self.verdicts)


def fresh_seeds(record: Record, seeds: int | Sequence[int]) -> Sequence[int]:
    """So many seeds after the record's last one, or exactly those that are given.

    Raises LadderError if that goes beyond the largest seed.
    """
    last = record.seeds[-1]
    if not isinstance(seeds, int):
        _check_seeds(seeds)
        return seeds
    if last + seeds > MOST_SEED:
        raise LadderError(
            f"{beyond_the_largest(last + seeds)}: the record ends at seed {last}, so give seeds below its first,"
            f" {record.seeds[0]}, as in --seeds 101-108"
        )
    return range(last + 1, last + 1 + seeds)


def _check_seeds(seeds: Sequence[int]) -> None:
    """Raise LadderError for a seed whose result cannot be kept, before anything trains."""
    if (largest := max(seeds, default=0)) > MOST_SEED:
        raise LadderError(f"{beyond_the_largest(largest)}: give smaller ones")


def reproduce(
    record: Record,
    ladder: Plan,
    *,
    seeds: Sequence[int],
    store: Store,
    engine: Engine,
    jobs: int | None = None,
    executor: Executor | Place | None = None,
    watcher: Watcher | None = None,
) -> tuple[list[Failure], Reproduction]:
    """Climb the top rung alone with these seeds, as ``climb`` does with ``jobs`` or an ``executor``.

    Returns the runs that failed twice, and what the others say.

    Raises LadderError for a seed beyond the largest, and what ``climb`` raises.
    """
    _check_seeds(seeds)
    top = ladder.top
    failures = climb(top, seeds=seeds, store=store, engine=engine, jobs=jobs, executor=executor, watcher=watcher)
    results = collect(top, store, engine=engine.identity, seeds=seeds)
    return failures, reproduction(record, ladder, results.rungs[-1].runs)


def reproduction(record: Record, ladder: Plan, runs: Sequence[Run]) -> Reproduction:
    """What these runs of the top rung say of a record."""
    target = ladder.rungs[-1].target
    ordered = tuple(sorted(runs, key=lambda run: run.identity.seed))
    fresh = [seed_result(run, target) for run in ordered if run.identity.seed not in record.seeds]
    claimed = numbers_of(record, ladder)
    found = numbers(fresh, n_evaluated=record.n_evaluated, target=target)
    params = params_of(ladder)
    verdicts = [judge(claim, claimed=claimed, found=found, params=params) for claim in record.claims]
    return Reproduction(
        record=record,
        ladder=ladder,
        claimed=claimed,
        found=found,
        verdicts=tuple(with_needed(each, claimed=claimed, found=found) for each in verdicts),
        collapsed=collapsed(found, claimed),
        difference=difference_of_means(found, claimed),
        repeat=_repeat(record, ladder, ordered),
        runs=ordered,
    )


def with_needed(verdict: ClaimVerdict, *, claimed: Numbers, found: Numbers) -> ClaimVerdict:
    """With how many seeds would tell, if it cannot be told."""
    if verdict.outcome != "cannot be told":
        return verdict
    return replace(verdict, needed=seeds_to_tell(verdict.claim, claimed=claimed, found=found))


def judge(claim: Claim, *, claimed: Numbers, found: Numbers, params: int) -> ClaimVerdict:
    """What new seeds say of a claim that rests on others."""
    match claim:
        case MeanClaim():
            return _judge_mean(claim, claimed=claimed, found=found)
        case WorstClaim():
            return _judge_worst(claim, claimed=claimed, found=found)
        case HeldClaim():
            return _judge_held(claim, found)
        case ParamsClaim():
            return ClaimVerdict(claim, "stands" if params <= claim.at_most else "fails", value=Fraction(params))


def _judge_mean(claim: MeanClaim, *, claimed: Numbers, found: Numbers) -> ClaimVerdict:
    """Seeds that diverged have no accuracy, so that there is no mean: it fails if they are too many to be chance."""
    n_diverged = len(found.diverged)
    if n_diverged:
        p = chance_of_worst(n_diverged, n_new=len(found.seeds), n_record=len(claimed.seeds))
        return ClaimVerdict(claim, "fails" if p <= ALPHA / 2 else "cannot be told", n_missed=n_diverged)
    outcome = _by_interval(found.mean_interval, Fraction(claim.at_least))
    return ClaimVerdict(claim, outcome, value=found.mean, interval=found.mean_interval, n_missed=0)


def _judge_worst(claim: WorstClaim, *, claimed: Numbers, found: Numbers) -> ClaimVerdict:
    n, n_below = len(found.seeds), found.n_below(Fraction(claim.at_least))
    p = chance_of_worst(n_below, n_new=n, n_record=len(claimed.seeds))
    outcome: Outcome = "cannot be told"
    if p <= ALPHA / 2:
        outcome = "fails"
    elif not n_below and n >= len(claimed.seeds):
        outcome = "stands"
    return ClaimVerdict(
        claim, outcome, value=found.worst, interval=share_interval(n_below, n), n_missed=n_below, p=p if n else None
    )


def _judge_held(claim: HeldClaim, found: Numbers) -> ClaimVerdict:
    n = len(found.seeds)
    return ClaimVerdict(
        claim,
        _by_interval(found.held_interval, Fraction(claim.share_at_least)),
        value=Fraction(found.n_held, n) if n else None,
        interval=found.held_interval,
        n_missed=n - found.n_held,
    )


def _by_interval(interval: Interval | None, least: Fraction) -> Outcome:
    if interval is None:
        return "cannot be told"
    low, high = interval
    return "stands" if low >= least else "fails" if high < least else "cannot be told"


def collapsed(found: Numbers, claimed: Numbers) -> tuple[tuple[int, Fraction], ...]:
    """New seeds that did not diverge, but are FAR spreads below the record's median.

    Its spread is that of the middle half of its seeds, as of a normal distribution, and one image at least.
    """
    if len(claimed.accuracies) < 2:
        return ()
    lower, middle, upper = quantiles(claimed.accuracies, n=4)
    least = middle - FAR * max((upper - lower) / MIDDLE_HALF, Fraction(found.image))
    return tuple((seed, accuracy) for seed, accuracy in found.by_seed.items() if accuracy < least)


def difference_of_means(found: Numbers, claimed: Numbers) -> tuple[float, Interval] | None:
    """The first mean less the second, in points, with Welch's 95% interval; None without two accuracies of each.

    The spread of each counts as one image at least, as in Numbers.mean_interval. The interval ends where the first mean
    would be no percentage, wherever the second may be (99.9%).
    """
    if found.sd is None or claimed.sd is None:
        return None
    samples = [[float(each) for each in of.accuracies] for of in (found, claimed)]
    errors = [max(variance(of), found.image**2) / len(of) for of in samples]  # of the means, squared
    freedom = sum(errors) ** 2 / sum(error**2 / (len(of) - 1) for error, of in zip(errors, samples, strict=True))
    half = float(special.stdtrit(freedom, 1 - ALPHA / 2)) * sum(errors) ** 0.5
    difference = fmean(samples[0]) - fmean(samples[1])
    low, high = interval_of_mean(samples[1], alpha=SURELY, least_spread=found.image)
    return difference, (max(difference - half, -high), min(difference + half, 100 - low))


def _repeat(record: Record, ladder: Plan, runs: Sequence[Run]) -> Repeat | None:
    """How the record's own seeds came out again; None if none was trained."""
    kept = {run.seed: run for run in record.runs}
    target = ladder.rungs[-1].target
    again = [run for run in runs if run.identity.seed in kept]
    if not again:
        return None
    numbers = {run.identity.seed: (kept[run.identity.seed], seed_result(run, target)) for run in again}
    different = {seed: pair for seed, pair in numbers.items() if pair[0] != pair[1]}
    of_each = [_conditions(record, run) for run in again if not different or run.identity.seed in different]
    decisive = next(filter(are_equal, of_each), of_each[0])
    return Repeat(
        equal=tuple(seed for seed in numbers if seed not in different),
        different=tuple(different),
        must_be_equal=record.engine.device == "cpu" and are_equal(decisive),
        conditions=decisive,
        numbers=tuple(different.values()),
    )


def _conditions(record: Record, run: Run) -> tuple[Condition, ...]:
    """All that decides the numbers of a seed. Recipe and images are a record's own, as long as its ladder was read."""
    experiment = Condition("experiment", record.experiment, run.identity.experiment)
    return (experiment, *conditions(Origin(record.engine, record.versions, record.cpu), origin_of(run)))
