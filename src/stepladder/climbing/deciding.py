"""Climb until all is decided: train seeds, compare, and train as many again for the rungs that are not decided.

Looking again costs nothing (intervals). What is decided at n seeds comes from the first n seeds of the rungs that were
trained for it, whatever else is stored: so a killed climb goes the same way again.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from stepladder._base.wording import is_are, n_of
from stepladder.analysis.comparing import Comparison, compare
from stepladder.climbing.climbing import Failure, Watcher, climb
from stepladder.engines import Engine
from stepladder.errors import LadderError
from stepladder.execution.place import Place
from stepladder.ladders.ladder import Plan
from stepladder.runs.results import Results, collect
from stepladder.runs.stats import summarise
from stepladder.runs.store import Store

Seeds = tuple[int, ...]


def climb_until_decided(
    ladder: Plan,
    *,
    seeds: Sequence[int],
    max_seeds: int,
    store: Store,
    engine: Engine,
    jobs: int | None = None,
    executor: Executor | Place | None = None,
    watcher: Watcher | None = None,
) -> tuple[list[Failure], Results]:
    """Train every rung with these seeds, then twice as many and so on until each verdict is decided, or ``max_seeds``.

    Further seeds go on from the last one, for the rungs that an open verdict is about. Returns the runs that failed
    twice, which end the climb, and the results of the seeds it trained. Raises what ``climb`` raises.
    """
    if max_seeds < len(seeds):
        raise LadderError(
            f"the {len(seeds)} seeds to begin with are more than {max_seeds}, the most to go on to: raise --max-seeds,"
            " or begin with fewer --seeds"
        )
    wanted, trained = [rung.name for rung in ladder.trained], dict[str, Seeds]()
    n = len(seeds)
    while True:
        trained |= dict.fromkeys(wanted, _first(n, seeds))
        some = tuple(rung for rung in ladder.trained if rung.name in wanted)
        part = ladder if some == ladder.trained else ladder.with_rungs(some)
        failures = climb(
            part, seeds=_first(n, seeds), store=store, engine=engine, jobs=jobs, executor=executor, watcher=watcher
        )
        results = _of_seeds(collect(ladder, store, engine=engine.identity), trained)
        if failures:
            return failures, results
        found = compare(results)
        more = min(2 * n, max_seeds)
        still = [each for each in found if is_open(each)]
        if watcher and found:
            watcher.noted(_progress_text(found, n=n, more=more))
        if not still or more == n:
            return [], results
        wanted, n = [name for each in still for name in (each.below, each.rung)], more


def _first(n: int, seeds: Sequence[int]) -> Seeds:
    """These seeds and those that come after the largest of them, n in all."""
    n_more = n - len(seeds)
    return (*seeds, *range(max(seeds) + 1, max(seeds) + 1 + n_more)) if n_more else tuple(seeds)


def _of_seeds(results: Results, seeds: Mapping[str, Seeds]) -> Results:
    """The same without the runs of other seeds than those of their rung."""
    rungs, n = [], len(results.rungs)
    for result in results.trained:
        runs = tuple(run for run in result.runs if run.identity.seed in seeds[result.rung.name])
        rungs.append(replace(result, runs=runs, summary=summarise(runs, result.rung.target)))
    return replace(results, rungs=tuple(rungs[:n]), variants=tuple(rungs[n:]))


def is_open(comparison: Comparison) -> bool:
    """Whether more seeds could decide a verdict that is not."""
    return not comparison.diverged and not comparison.decided


def _progress_text(found: Sequence[Comparison], *, n: int, more: int) -> str:
    """How many verdicts are decided with n seeds, and what comes next."""
    n_open, n_diverged = sum(map(is_open, found)), sum(each.diverged for each in found)
    n_found, n_decided = len(found), len(found) - n_open - n_diverged
    text = f"{n_of(n, 'seed')}: {n_decided} of {n_of(n_found, 'verdict')} {is_are(n_found)} decided"
    if n_diverged:
        text += f"; more seeds cannot decide {n_diverged}, where runs diverged"
    if n_open:
        text += f"; going on with {more}" if more > n else "; --max-seeds allows no more"
    return text
