"""``stepladder reproduce``: climb a record again, and say whether its claims stand."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import click

from stepladder.cli.options import DEVICE, JOBS, JSON, LOG_DIR, ON, STORE, TRACK, FreshSeeds
from stepladder.cli.printing import print_records, print_reproduction
from stepladder.cli.told import refuse_untracked, tracked, watchers
from stepladder.cli.usage import Command
from stepladder.errors import TARGET_MISSED, UnfinishedClimbError


@click.command(cls=Command, short_help="Climb a record again: do its claims stand?")
@click.argument("name", required=False)
@click.option(
    "--seeds",
    type=FreshSeeds(),
    default="8",
    show_default=True,
    help="How many to train, after the record's last seed; or which, as FIRST-LAST: 401-401 for seed 401 alone.",
)
@JOBS
@ON
@click.option("--engine", default="auto", show_default=True, help="Engine to train with, as for 'climb'.")
@DEVICE
@TRACK
@LOG_DIR
@STORE
@JSON
def reproduce(
    name: str | None,
    seeds: int | Sequence[int],
    jobs: int | None,
    on: str,
    engine: str,
    device: str,
    trackers: tuple[str, ...],
    log_dir: str | None,
    store: str,
    as_json: bool,
) -> None:
    """Climb a record again, and say whether each of its claims stands; without a NAME, list the records.

    NAME is a shipped record, or a record's JSON file. The top rung of its ladder is trained with fresh seeds: those
    after the record's last one, or the range that you give. The first line of the output names them. A claim that is
    true fails in at most 2.5% of cases; where a claim cannot be told, you see how many seeds would tell. The record's
    own seeds are no fresh evidence: trained again, they must repeat it, and where they do not, what decides their
    numbers is shown (engine, CPU, images). Exits with 1 if a claim fails, or if a number differs although all that
    decides it is the same.
    """
    from stepladder.engines import choose_engine
    from stepladder.execution.places import opened as opened_place
    from stepladder.records import record as records
    from stepladder.records.reproducing import fresh_seeds
    from stepladder.records.reproducing import reproduce as climb_again
    from stepladder.reporting.pages.record_page import seeds_note
    from stepladder.runs.store import Store

    refuse_untracked(trackers, log_dir)
    if name is None:
        print_records([records.load(each) for each in records.shipped()], as_json)
        return
    record, ladder = records.load(name)
    wanted = fresh_seeds(record, seeds)
    chosen, reason = choose_engine(engine, device=device)
    opened = Store.open(store, create=True)
    with ExitStack() as stack:
        told = tracked(ladder, trackers, opened, log_dir=log_dir)
        watcher = watchers(stack, told, first=seeds_note(record, wanted))
        executor = stack.enter_context(opened_place(on, jobs=jobs))
        watcher.noted(f"engine {reason}")
        how: dict[str, Any] = {"jobs": jobs, "executor": executor, "watcher": watcher}
        failures, again = climb_again(record, ladder, seeds=wanted, store=opened, engine=chosen, **how)
    print_reproduction(again, as_json)
    if failures:
        raise UnfinishedClimbError("not trained: " + "; ".join(map(str, failures)))
    if again.fails:
        sys.exit(TARGET_MISSED)
