"""Climb until the verdicts are clear: buy seeds, look, and buy as many again for the rungs whose verdicts are not.

What is decided at n seeds comes from the first n seeds of the rungs that were bought for, whatever else is stored, and
each look is kept before it is used. So a killed climb goes the same way again, and its looks count once. That seeds are
bought for a pair is kept before the first of them trains, so that nobody looks for free in between.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import pairwise

from stepladder import looks
from stepladder.climbing import Failure, Watcher, climb, plan
from stepladder.comparing import Comparison, alpha_left, compare, least_seeds, look_number, looks_at
from stepladder.engines import Engine
from stepladder.errors import LadderError
from stepladder.ladder import Ladder
from stepladder.looks import Seeds, pair_key
from stepladder.results import Results, RungResult, collect
from stepladder.stats import summarise
from stepladder.store import Store
from stepladder.wording import n_of


def climb_until_decided(
    ladder: Ladder,
    *,
    seeds: Sequence[int],
    max_seeds: int,
    store: Store,
    engine: Engine,
    jobs: int | None = None,
    executor: Executor | None = None,
    watcher: Watcher | None = None,
) -> tuple[list[Failure], Results]:
    """Train every rung with these seeds, then twice as many and so on until each verdict is clear, or ``max_seeds``.

    Further seeds go on from the last one, for the rungs that an unclear verdict is about. Returns the runs that failed
    twice, which end the climb after a look at the pairs that are whole, and the results of the seeds it bought. Raises
    what ``climb`` raises, and StoreError if the store's looks cannot be known.
    """
    if max_seeds < len(seeds):
        raise LadderError(
            f"the {len(seeds)} seeds to begin with are more than {max_seeds}, the most to buy: raise --max-seeds, or"
            " begin with fewer --seeds"
        )
    looks.mark(store.folder, _pairs(ladder, seeds=seeds, engine=engine))
    wanted, bought = [rung.name for rung in ladder.rungs], dict[str, Seeds]()
    n = len(seeds)
    while True:
        bought |= dict.fromkeys(wanted, _first(n, seeds))
        part = replace(ladder, rungs=tuple(rung for rung in ladder.rungs if rung.name in wanted))
        failures = climb(
            part, seeds=_first(n, seeds), store=store, engine=engine, jobs=jobs, executor=executor, watcher=watcher
        )
        results = _of_seeds(collect(ladder, store, engine=engine.identity), bought)
        whole = [each.rung.name for each in results.rungs if len(each.runs) == len(bought[each.rung.name])]
        results = look(results, store, rungs=whole)
        if failures:
            return failures, results
        found = compare(results)
        more = min(2 * n, max_seeds)
        unclear = [each for each in found if is_open(each)]
        if watcher and found:
            watcher.noted(_progress_text(found, n=n, more=more))
        # Where n seeds are too few for a look (8 for five changes), the next is at 2 n. One at the least that could
        # tell (9) would spend half of ALPHA on a test that is significant only if all seeds agree.
        if not unclear or more == n:
            return [], results
        wanted, n = [name for each in unclear for name in (each.below, each.rung)], more


def _pairs(ladder: Ladder, *, seeds: Sequence[int], engine: Engine) -> list[str]:
    """The pairs that seeds are to be bought for, by pair_key; raises what ``plan`` raises."""
    identities = {task.rung.name: task.identity for task in plan(ladder, seeds=seeds, engine=engine)}
    return [pair_key(identities[below.name], identities[above.name]) for below, above in pairwise(ladder.rungs)]


def _first(n: int, seeds: Sequence[int]) -> Seeds:
    """These seeds and those that come after the largest of them, n in all."""
    n_more = n - len(seeds)
    return (*seeds, *range(max(seeds) + 1, max(seeds) + 1 + n_more)) if n_more else tuple(seeds)


def _of_seeds(results: Results, seeds: Mapping[str, Seeds]) -> Results:
    """The same without the runs of other seeds than those of their rung."""
    rungs = []
    for result in results.rungs:
        runs = tuple(run for run in result.runs if run.identity.seed in seeds[result.rung.name])
        rungs.append(RungResult(result.rung, runs, summarise(runs, result.rung.target)))
    return replace(results, rungs=tuple(rungs))


def look(results: Results, store: Store, *, rungs: Collection[str] | None = None) -> Results:
    """Look at each pair of rungs with the seeds they share, and keep that: the results after it.

    Only at pairs of these ``rungs``, if they are given: those whose runs are all there. A look is made where it could
    tell a difference, and no run diverged. A pair whose verdict was clear before is looked at again if its rungs got
    seeds for the sake of their other neighbours: what is judged is always paid for.
    """
    made = {}
    n_comparisons = len(results.rungs) - 1
    for below, above, each in zip(results.rungs, results.rungs[1:], compare(results), strict=False):
        if not each.differences or (rungs is not None and not {each.below, each.rung} <= set(rungs)):
            continue
        number = max(1, look_number(looks_at(below, above, looks=results.looks), each.seeds))
        if len(each.seeds) >= least_seeds(alpha_left(n_comparisons, look=number)):
            made[pair_key(below.runs[0].identity, above.runs[0].identity)] = each.seeds
    looks.note(store.folder, made)
    return replace(results, looks=looks.read(store.folder))


def is_open(comparison: Comparison) -> bool:
    """Whether more seeds could make a verdict clear that is not."""
    return not comparison.diverged and not comparison.clear


def _progress_text(found: Sequence[Comparison], *, n: int, more: int) -> str:
    """How many verdicts are clear with n seeds, and what comes next."""
    n_open, n_diverged = sum(map(is_open, found)), sum(each.diverged for each in found)
    least = max(least_seeds(alpha_left(len(found), look=each.look)) for each in found)
    if n_open == len(found) and all(each.outcome == "unknown" for each in found):
        verb = "is" if n == 1 else "are"
        text = f"{n_of(n, 'seed')} {verb} too few for a look at {n_of(len(found), 'verdict')}, {least} are the least"
    else:
        verb = "is" if len(found) == 1 else "are"
        text = f"{n_of(n, 'seed')}: {len(found) - n_open - n_diverged} of {n_of(len(found), 'verdict')} {verb} clear"
    if n_diverged:
        text += f"; more seeds cannot clear {n_diverged}, where runs diverged"
    if n_open:
        text += f"; going on with {more}" if more > n else "; --max-seeds allows no more"
    return text
