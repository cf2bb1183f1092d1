"""check, climb, compare, report and replay, as Python calls them; load and collect need only what their rooms give."""

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any, cast, overload

from stepladder._base.files import name_for
from stepladder._base.machine import n_cores
from stepladder._base.wording import did_you_mean, n_of, shown
from stepladder.analysis.comparing import Verdicts
from stepladder.analysis.comparing import compare as compare_rungs
from stepladder.analysis.tops import Tops, compare_tops
from stepladder.climbing.climbing import Failure, Watcher, Watchers
from stepladder.climbing.climbing import climb as climb_ladder
from stepladder.climbing.deciding import climb_until_decided
from stepladder.datasets import data as data_sets
from stepladder.engines import Engine, choose_engine
from stepladder.errors import LadderError, StoreError, UnfinishedClimbError
from stepladder.execution.place import Place
from stepladder.execution.places import opened as opened_place
from stepladder.ladders.checking import (
    Check,
    check_rungs,
    notes_of,
    require_declared,
    require_effects,
    require_within_budget,
)
from stepladder.ladders.checking import check as check_ladder
from stepladder.ladders.ladder import Plan, require_ladder
from stepladder.reporting.writing import FORMS, SUFFIXES, form_of, require_form, text_of, write_report
from stepladder.runs import speeds
from stepladder.runs.results import Results, collect, require_results
from stepladder.runs.store import Store
from stepladder.tracking.replaying import replay as replay_runs
from stepladder.tracking.replaying import runs_of
from stepladder.tracking.trackers import Tracker, close, named_tracker
from stepladder.watching.brief import BriefClimb

MAX_SEEDS = 64  # that a climb until decided goes on to


def check(ladder: Plan, *, seeds: int = 8, jobs: int | None = None, store: str | Path = "runs") -> Check:
    """Sizes, receptive fields, budgets, and the time that a climb with this many ``seeds`` takes; trains nothing.

    The same as ``ladder.check()``. Printed, it is the page of ``stepladder check``. ``jobs`` are processes, one per
    core unless given; speeds are those measured in the ``store``, if there is one. Being over budget is a finding
    (``excess``). Raises DataError, and LadderError for what cannot be trained on these images.
    """
    require_ladder(ladder, of="check")
    _require_number("seeds", seeds)
    _require_number("jobs", jobs)
    return check_ladder(ladder, n_seeds=seeds, jobs=jobs or n_cores(), speeds=speeds.read(store))


def climb(
    ladder: Plan,
    *,
    seeds: int | Sequence[int] = 8,
    store: Store | str | Path = "runs",
    engine: str | Engine = "auto",
    device: str = "auto",
    jobs: int | None = None,
    executor: Executor | Place | None = None,
    on: str = "local",
    until_decided: bool = False,
    max_seeds: int = MAX_SEEDS,
    progress: bool = True,
    watcher: Watcher | None = None,
) -> Results:
    """Train every rung with every seed, except what the store already holds, and return the results of these seeds.

    ``seeds`` is how many, from 1 on, or which: a range or a list. ``store`` is a folder, made where it is not there.
    ``engine`` is "auto", "jit", "torch" or the name of a package's own, ``device`` "auto", "cpu" or "cuda". ``jobs``
    processes (one per core unless given) train one run each, or the workers of an ``executor``, or those that ``on``
    names as ``--on`` does: "dask", "dask://host:port", "slurm:partition=short". With ``until_decided``, rungs get twice
    as many seeds, and again, until every verdict is decided or they have ``max_seeds``. ``progress`` goes to stderr:
    bars on a terminal, elsewhere at most 12 lines, and in a notebook into an output of the cell, which is kept up to
    date; a ``watcher`` is told everything, with or without.

    Stopped, and called again, it goes on where it was. Raises UnfinishedClimbError, whose ``results`` are what there
    is, if runs failed twice; BudgetError, DataError, EngineError, LadderError or StoreError before anything trains.
    """
    require_ladder(ladder, of="climb")
    _require_number("jobs", jobs)
    _require_number("max_seeds", max_seeds)
    _require_able("engine", engine, str, "identity", like='"jit" or "torch"')
    _require_able("device", device, str, like='"cpu" or "cuda"')
    _require_able("on", on, str, like='"dask", "slurm" or "dask://10.0.0.1:8786"')
    _require_able("executor", executor, NoneType, "submit", like="one of concurrent.futures")
    _require_able("watcher", watcher, NoneType, "finished", like="a stepladder.climbing.climbing.Watcher")
    wanted, notes = seeds_of(seeds), _notes(ladder)
    chosen, reason = choose_engine(engine, device=device) if isinstance(engine, str) else (engine, "")
    opened = store if isinstance(store, Store) else Store.open(store, create=True)
    how: dict[str, Any] = {"seeds": wanted, "store": opened, "engine": chosen, "jobs": jobs}
    with _watched(progress, watcher) as told, _place(executor, on, jobs) as how["executor"]:
        for note in notes if not reason or reason.endswith("the default") else (f"engine {reason}", *notes):
            told.noted(note)
        if until_decided:
            failures, results = climb_until_decided(ladder, max_seeds=max_seeds, watcher=told, **how)
        else:
            failures = climb_ladder(ladder, watcher=told, **how)
            results = collect(ladder, opened, engine=chosen.identity, seeds=wanted)
    if failures:
        raise _unfinished(failures, results)
    return results


def _place(executor: Executor | Place | None, on: str, jobs: int | None) -> AbstractContextManager[Any]:
    """What an executor of the caller's own is, or a place by its name."""
    if executor is None:
        return opened_place(on, jobs=jobs)
    if on != "local":
        raise LadderError(f"an executor and on={on!r} both say where to train: give one of them")
    return nullcontext(executor)


def _notes(ladder: Plan) -> list[str]:
    """What is to be said of a ladder that can be climbed: one that cannot is refused here, before a folder is made."""
    info = data_sets.describe(ladder.data)
    rungs = check_rungs(ladder, info)
    require_declared(ladder)
    require_within_budget(ladder, rungs)
    require_effects(ladder, info)
    return notes_of(rungs)


def _require_number(name: str, given: object) -> None:
    """Raise LadderError unless it is a whole number from 1 on, or None."""
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
        raise LadderError(f"{name} is a whole number from 1 on, not {shown(given)}")


def _require_able(name: str, given: object, kind: type, ability: str = "", *, like: str) -> None:
    """Raise LadderError unless it is of a kind, or has an ability; a class has none, but what it makes."""
    if not isinstance(given, kind) and (isinstance(given, type) or not (ability and hasattr(given, ability))):
        raise LadderError(f"{name} is none: {shown(given)}; give {like}, or leave {name} out")


def seeds_of(seeds: int | Collection[int]) -> tuple[int, ...]:
    """Seeds 1 to n of a number n, or those given. Raises LadderError for what is neither."""
    given = range(1, seeds + 1) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds
    if not isinstance(given, Collection) or isinstance(given, str):
        raise LadderError(f"seeds are a number such as 8, or a range or list of them, not {shown(seeds)}")
    for seed in given:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise LadderError(f"a seed is a whole number from 0 on, not {shown(seed)}")
    if not given:
        raise LadderError("0 seeds train nothing: give at least 1, as in seeds=8")
    return tuple(given)


@overload
def compare(results: Results, /) -> Verdicts: ...
@overload
def compare(results: Sequence[Results], /) -> Tops: ...
@overload
def compare(first: Results, second: Results, /, *more: Results) -> Tops: ...
def compare(results: Results | Sequence[Results], /, *others: Results) -> Verdicts | Tops:
    """What each change of a ladder did; of several ladders, how their top rungs differ from that of the first.

    Of one ladder: every rung but the first against the one below, then every variant against the rung that it hangs on,
    an ``sl.Comparison`` each. One interval decides. It holds after every seed: compare as often as you like, and stop
    when you like. Of several, one after the other or in a list: as ``stepladder compare a.toml b.toml``, with one
    promise for all of them together; ladders that were not trained and evaluated on the same images, by one engine, are
    not compared, and ``problem`` says why. Raises LadderError for what is no results.
    """
    if isinstance(results, Results) and not others:
        return compare_rungs(results)
    found = _several(results, others)
    for each in found:
        require_results(each, of="compare")
    if len(found) == 1:
        raise LadderError("compare takes a list of two ladders' results or more: give those of one without the list")
    return compare_tops(_told_apart(found))


def _several(results: Results | Sequence[Results], others: Sequence[Results]) -> list[Results]:
    """Those of a list, or those one after the other: whatever they are."""
    if isinstance(results, list | tuple) and results and not others:
        return [*results]
    return [cast(Results, results), *others]


def _told_apart(found: Sequence[Results]) -> list[Results]:
    """The same; ladders of one name, such as two that share their lower rungs, are told of with their top rungs'."""
    n_of_name = Counter(each.ladder.source for each in found)
    return [
        replace(each, ladder=replace(each.ladder, source=f"{each.ladder.source}: {each.top.rung.name}"))
        if n_of_name[each.ladder.source] > 1
        else each
        for each in found
    ]


def report(results: Results, path: str | Path | None = None, *, format: str | None = None, force: bool = False) -> Path:
    """Write a report of results, and return where it is.

    ``path`` says the form by its ending: ``.html`` (one page that works offline), ``.md``, ``.csv`` or ``.json``; or
    ``format`` does: "html", "markdown", "csv" or "json". Without a path it is LADDER-report.html in the working
    directory. A file that Stepladder did not write is left as it is, unless by ``force``. Raises StoreError if it
    cannot be written, DataError if the images are not there.
    """
    require_results(results, of="report")
    if results.store is None:
        raise StoreError("these results are of no store, where a report looks for networks: climb, or collect them")
    output = None if path is None else str(path)
    form = format or form_of(output)
    if form not in FORMS:
        raise LadderError(f"no format {shown(form)}{did_you_mean(form, list(FORMS), place='format')}")
    require_form(output, form)
    if output is None and form != "html":
        output = name_for(results.ladder.name, f"-report{SUFFIXES[form]}")
    text = text_of(results, results.store, form=form)
    return write_report(text, results.ladder, output=output, force=force)


def replay(results: Results, to: str | Tracker, *, log_dir: str | Path | None = None) -> int:
    """Tell a tracker of all runs of results, and return how many were not there, or not whole.

    ``to`` is "tensorboard", "mlflow", "wandb", "trackio", the name of a package's own, or one that you have;
    ``log_dir`` is the folder that it writes to. Replayed again, the same results add nothing. Raises TrackerError.
    """
    name, tracker = named_tracker(to, log_dir=log_dir)
    require_results(results, of="replay")
    n_new = sum(each.is_new for each in replay_runs(runs_of(results), tracker))
    close(tracker, name)
    return n_new


@contextmanager
def _watched(progress: bool, watcher: Watcher | None) -> Iterator[Watcher]:
    """Who is told: whoever shows it here, and a watcher of the caller's own."""
    with ExitStack() as stack:
        shown_here = [stack.enter_context(each) for each in (_shown_here() if progress else [])]
        yield Watchers([*shown_here, *([watcher] if watcher else [])])


def _shown_here() -> list[Any]:
    """Bars on a terminal, in a notebook an output of its own beside a few lines, elsewhere a few lines more."""
    if sys.stderr.isatty():
        from stepladder.watching.live import LiveClimb  # only now: rich takes its time

        return [LiveClimb()]
    if "IPython" in sys.modules:
        from stepladder.watching.notebook import NotebookClimb, in_notebook

        if in_notebook():
            return [BriefClimb(on_the_way=False), NotebookClimb()]
    return [BriefClimb()]


def _unfinished(failures: Sequence[Failure], results: Results) -> UnfinishedClimbError:
    error = UnfinishedClimbError(
        f"{n_of(len(failures), 'run')} not trained, the others are stored: {'; '.join(map(str, failures))}"
    )
    error.results = results
    return error
