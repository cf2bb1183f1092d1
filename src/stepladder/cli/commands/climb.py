"""``stepladder climb``: train what the store lacks, and show what came of it."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import click

from stepladder.cli.options import (
    DEVICE,
    DOWN,
    JOBS,
    JSON,
    LADDER,
    LOG_DIR,
    MAX,
    MAX_SEEDS,
    ON,
    SEEDS,
    STORE,
    TRACK,
    UNTIL_DECIDED,
)
from stepladder.cli.printing import print_ablation, print_results, print_verdicts
from stepladder.cli.told import refuse_untracked, tracked, watchers
from stepladder.cli.usage import Command
from stepladder.errors import TARGET_MISSED, LadderError, UnfinishedClimbError


@click.command(cls=Command, short_help="Train every rung with every seed; what is stored is kept.")
@LADDER
@SEEDS
@JOBS
@ON
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="Engine to train with: jit (fast, CPU), torch (PyTorch, CPU or GPU), which needs PyTorch, or a package's own.",
)
@DEVICE
@click.option("--top", is_flag=True, help="Train the top rung alone.")
@DOWN
@UNTIL_DECIDED
@MAX
@click.option("--live", is_flag=True, help="Serve the report on this machine while climbing; it updates by itself.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the live report [default: one that is free].")
@TRACK
@LOG_DIR
@STORE
@JSON
def climb(
    ladder: str,
    seeds: Sequence[int],
    jobs: int | None,
    on: str,
    engine: str,
    device: str,
    top: bool,
    down: bool,
    until_decided: bool,
    max_seeds: int | None,
    live: bool,
    port: int | None,
    trackers: tuple[str, ...],
    log_dir: str | None,
    store: str,
    as_json: bool,
) -> None:
    """Train every rung with every seed; stored runs are not trained again.

    Exits with 1 unless the top rung holds its target with every seed. With --down, an ablation is trained instead, the
    top rung and the top rung without each change, and the verdicts of 'compare --down' are shown. With --until-decided,
    rungs get more seeds until it is decided what their changes did, and the verdicts of 'compare' are shown.
    """
    from stepladder.engines import choose_engine
    from stepladder.execution.places import opened as opened_place
    from stepladder.ladders import ladder_file
    from stepladder.ladders.ablation import ablate
    from stepladder.ladders.checking import require_declared
    from stepladder.runs.results import collect
    from stepladder.runs.store import Store

    _refuse_mixed(top=top, down=down, until_decided=until_decided, max_seeds=max_seeds, live=live, port=port)
    refuse_untracked(trackers, log_dir)
    written = ladder_file.load(ladder)
    require_declared(written)
    whole = written.top if top else written
    ablation = ablate(written) if down else None
    loaded = ablation.as_plan if ablation else whole
    notes = _checked(loaded)  # before an engine is imported or a folder made
    chosen, reason = choose_engine(engine, device=device)
    opened = Store.open(store, create=True)
    most = (max_seeds or MAX_SEEDS) if until_decided else None
    with ExitStack() as stack:
        page = _live_report(whole, opened, chosen, seeds=None if most else seeds, port=port or 0) if live else None
        of_all = loaded if ablation else written  # the top alone would be told of as a start
        watcher = watchers(stack, tracked(of_all, trackers, opened, log_dir=log_dir), page=page)
        watcher.noted(f"engine {reason}")
        for note in notes:
            watcher.noted(note)
        how = {"jobs": jobs, "executor": stack.enter_context(opened_place(on, jobs=jobs)), "watcher": watcher}
        failures, results = _train(loaded, opened, chosen, seeds=seeds, most=most, **how)
    if ablation:
        up = collect(ablation.ladder, opened, engine=chosen.identity, seeds=seeds)
        print_ablation(ablation, up, results, as_json)
    else:
        (print_verdicts if until_decided else print_results)(results, as_json)
    if failures:
        raise UnfinishedClimbError("not trained: " + "; ".join(map(str, failures)))
    if not results.reached:
        sys.exit(TARGET_MISSED)


def _refuse_mixed(
    *, top: bool, down: bool, until_decided: bool, max_seeds: int | None, live: bool, port: int | None
) -> None:
    """Options of a climb that make no sense together."""
    if top and (down or until_decided):
        raise LadderError("--top trains one rung, and nothing to compare it with: leave --down or --until-decided out")
    if down and until_decided:
        raise LadderError("--until-decided is about each rung and the rung below: leave --down out")
    if max_seeds and not until_decided:
        raise LadderError("--max-seeds goes with --until-decided: add that, or say how many with --seeds")
    if port is not None and not live:
        raise LadderError("--port is that of the live report: add --live")


def _checked(ladder: Any) -> list[str]:
    """What is to be said of a ladder that can be climbed; one that cannot is refused."""
    from stepladder.datasets.data import describe
    from stepladder.ladders import checking

    info = describe(ladder.data)
    rungs = checking.check_rungs(ladder, info)
    checking.require_within_budget(ladder, rungs)
    checking.require_effects(ladder, info)
    return checking.notes_of(rungs)


def _live_report(ladder: Any, store: Any, engine: Any, *, seeds: Sequence[int] | None, port: int) -> Any:
    from stepladder.watching.live_report import live_report

    return live_report(ladder, store.folder, engine=engine.identity, seeds=seeds, port=port)


def _train(
    ladder: Any, store: Any, engine: Any, *, seeds: Sequence[int], most: int | None, **how: Any
) -> tuple[Any, Any]:
    """What failed, and the results; with ``most`` given, seeds up to that until each verdict is decided."""
    from stepladder.climbing.climbing import climb as climb_ladder
    from stepladder.climbing.deciding import climb_until_decided
    from stepladder.runs.results import collect

    how |= {"seeds": seeds, "store": store, "engine": engine}
    if most:
        return climb_until_decided(ladder, max_seeds=most, **how)
    failures = climb_ladder(ladder, **how)
    return failures, collect(ladder, store, engine=engine.identity, seeds=seeds)
