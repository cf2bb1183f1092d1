"""``stepladder search``: the best network under a budget, or the smallest that holds a target."""

import sys
from typing import Any

import click

from stepladder.cli.options import DEVICE, FORCE, JOBS, JSON, LADDER, ON, STORE, Duration
from stepladder.cli.printing import print_found
from stepladder.cli.usage import Command
from stepladder.errors import TARGET_MISSED, UnfinishedClimbError


@click.command(cls=Command, short_help="Look for the best network, or the smallest (extra 'search').")
@LADDER
@click.option(
    "--params", type=click.IntRange(min=1), help="Most parameters a network may have [default: the ladder's budget]."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of a training [default: those of the top rung].")
@click.option("--smallest", is_flag=True, help="Look for the fewest parameters that hold the target with every seed.")
@click.option("--seeds", type=click.IntRange(1, 64), default=4, show_default=True, help="Seeds for the best networks.")
@click.option("--trials", type=click.IntRange(min=1), default=60, show_default=True, help="Networks to try, in all.")
@click.option("--max-time", type=Duration(), help="Be done within this time, such as 90s, 30m or 1h30m.")
@JOBS
@ON
@click.option("--engine", default="auto", show_default=True, help="Engine to train with, as for 'climb'.")
@DEVICE
@click.option(
    "--storage",
    envvar="STEPLADDER_STORAGE",
    show_envvar=True,
    help="Database that several searches share, as an SQLAlchemy URL [default: search.db in the store].",
)
@click.option("-o", "--output", help="Ladder file to write, its picture beside it [default: LADDER-search.toml].")
@FORCE
@STORE
@JSON
def search(
    ladder: str,
    params: int | None,
    epochs: int | None,
    smallest: bool,
    seeds: int,
    trials: int,
    max_time: float | None,
    jobs: int | None,
    on: str,
    engine: str,
    device: str,
    storage: str | None,
    output: str | None,
    force: bool,
    store: str,
    as_json: bool,
) -> None:
    """Search for the best network under the budget, or the smallest that holds the target; it never looks at test.

    It begins at the top rung, spends seeds and epochs by successive halving, and writes a ladder that leads to the
    winner one concept at a time. Started again, it goes on. Exits with 1 unless the winner holds the target with every
    seed.
    """
    from stepladder.engines import choose_engine
    from stepladder.execution.places import opened as opened_place
    from stepladder.ladders import ladder_file
    from stepladder.runs.store import Store
    from stepladder.searching.ladder_of_winner import output_path
    from stepladder.searching.searching import quest
    from stepladder.searching.searching import search as search_networks
    from stepladder.searching.study import require_optuna
    from stepladder.watching.live_search import LiveSearch

    require_optuna()
    sought = quest(ladder_file.load(ladder), params=params, epochs=epochs, n_seeds=seeds, smallest=smallest)
    path = output_path(sought, output, force=force)
    chosen, reason = choose_engine(engine, device=device)
    opened = Store.open(store, create=True)
    how: dict[str, Any] = {"storage": storage, "n_trials": trials, "jobs": jobs, "max_s": max_time}
    with opened_place(on, jobs=jobs) as executor, LiveSearch() as watcher:
        watcher.noted(f"engine {reason}")
        found = search_networks(sought, store=opened, engine=chosen, executor=executor, watcher=watcher, **how)
    print_found(found, path, as_json, force=force)
    if found.failures:
        raise UnfinishedClimbError("not trained: " + "; ".join(found.failures))
    if not found.reached:
        sys.exit(TARGET_MISSED)
