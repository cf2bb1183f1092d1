"""The protocol of records: the rules that a record is made by, and is held to again when it is read.

A file tells which seeds a record has, and its ladder tells the rest. What it cannot tell is whether somebody has chosen
by these seeds before, or trained others first: that is asked of the store, when a record is made.
"""

from collections.abc import Sequence

from stepladder._base.wording import is_are, n_of
from stepladder.datasets.data import describe
from stepladder.ladders.ladder import Plan, budget_excess

FIRST_SEED = 101  # seeds 1 to 100 are for choosing; a record takes seeds that nobody has chosen with
LEAST_SEEDS = 100
MOST_EPOCHS = 15
MOST_SEED = 10**18


def against_rules(ladder: Plan, *, seeds: Sequence[int]) -> list[str]:
    """How a ladder or the seeds break the protocol, as far as a record's file tells; empty if neither does."""
    return [*_against_ladder(ladder), *_against_seeds(seeds)]


def _against_ladder(ladder: Plan) -> list[str]:
    top = ladder.rungs[-1]
    problems = budget_excess(top, top.network(describe(ladder.data).image))
    if ladder.evaluate_on != "test":
        problems.append(f"{ladder.source} is evaluated on {ladder.evaluate_on}, a record on test")
    if top.recipe.epochs > MOST_EPOCHS:
        problems.append(f"rung {top.name!r} trains for {top.recipe.epochs} epochs, a record for {MOST_EPOCHS} at most")
    return problems


def _against_seeds(seeds: Sequence[int]) -> list[str]:
    first, last = min(seeds, default=FIRST_SEED), max(seeds, default=FIRST_SEED)
    problems = []
    if len(seeds) < LEAST_SEEDS:
        problems.append(
            f"{n_of(len(seeds), 'seed')} {is_are(len(seeds))} too few: a record takes {LEAST_SEEDS} at least"
        )
    if len(seeds) != last + 1 - first or list(seeds) != list(range(first, last + 1)):
        problems.append("the seeds are no unbroken range in order: no seed may be left out")
    if first < FIRST_SEED:
        problems.append(f"seed {first} may have been chosen with: a record takes seeds from {FIRST_SEED} on")
    if last > MOST_SEED:
        problems.append(beyond_the_largest(last))
    return problems


def against_store(seeds: Sequence[int], *, stored: Sequence[int]) -> list[str]:
    """What a store's seeds of the same experiment say against the choice of a record's; empty if nothing."""
    first = min(seeds, default=FIRST_SEED)
    problems = []
    if missing := sorted(set(seeds) - set(stored)):
        n = len(missing)
        problems.append(f"{n} of its seeds {is_are(n)} not trained by this engine, the first of them {missing[0]}")
    if left_out := [seed for seed in stored if FIRST_SEED <= seed < first]:
        problems.append(f"seed {left_out[0]} is trained too: begin with the first fresh seed that was")
    return problems


def beyond_the_largest(seed: int) -> str:
    """That a seed is larger than any that a record can hold, or be compared with."""
    return f"seed {seed} is beyond the largest that a record can have, {MOST_SEED}"
