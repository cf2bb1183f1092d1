"""The command line: each command is one library call, and what it says is laid out elsewhere.

Modules are imported inside the commands, so that --help and completion stay instant.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import click

from stepladder import __version__
from stepladder._base import plain, signals, streams
from stepladder.cli import ending
from stepladder.cli.check import check
from stepladder.cli.compare import compare
from stepladder.cli.new import new
from stepladder.cli.options import (
    DEVICE,
    DOWN,
    FORCE,
    JOBS,
    JSON,
    LADDER,
    MAX,
    MAX_SEEDS,
    SEEDS,
    STORE,
    UNTIL_DECIDED,
    Duration,
    FreshSeeds,
)
from stepladder.cli.predict import predict
from stepladder.cli.printing import (
    echo_notes,
    print_descent,
    print_found,
    print_json,
    print_page,
    print_records,
    print_reproduction,
    print_results,
    print_verdicts,
)
from stepladder.cli.runs import runs
from stepladder.cli.schema import schema
from stepladder.cli.usage import Choice, Commands
from stepladder.errors import EXIT_CODES, TARGET_MISSED, LadderError, UnfinishedClimbError

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:3} {meaning}" for code, meaning in EXIT_CODES.items())


GOES_ON = ("climb", "reproduce", "search")  # started again, these go on where they were stopped


class _Group(Commands):
    """A click group that ends with one message and a documented exit code, whatever happens (see ending)."""

    def main(self, args: Sequence[str] | None = None, *more: Any, standalone_mode: bool = True, **named: Any) -> Any:
        run = partial(super().main, args, *more, standalone_mode=False, **named)
        if not standalone_mode:
            return run()
        streams.make_sound()
        given = list(sys.argv[1:] if args is None else args)

        def again() -> str:
            return ending.command_line(given) if given[:1] and given[0] in GOES_ON else ""

        sys.exit(_until_stopped(partial(ending.exit_code, run, again=again)))


def _until_stopped(command: Callable[[], int]) -> int:
    """The exit code of a command, also where a signal comes as it begins or has just ended."""
    try:
        signals.raise_when_stopped()
        code = command()
        signals.left_to_the_system()
    except signals.Stopped as stopped:
        return stopped.exit_code
    return code


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__, prog_name="stepladder")
def main() -> None:
    """Climb to the accuracy you need, one concept at a time, inside a budget, and prove that it holds.

    LADDER is the name of a shipped ladder (see 'stepladder ladders') or a TOML file of your own.
    """


main.add_command(check)


@main.command(short_help="Train every rung with every seed; what is stored is kept.")
@LADDER
@SEEDS
@JOBS
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="Engine to train with: jit (fast, CPU), or torch (PyTorch, CPU or GPU), which needs PyTorch.",
)
@DEVICE
@click.option("--top", is_flag=True, help="The top rung alone.")
@DOWN
@UNTIL_DECIDED
@MAX
@click.option("--live", is_flag=True, help="Serve the report on this machine while climbing; it updates by itself.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the live report [default: one that is free].")
@STORE
@JSON
def climb(
    ladder: str,
    seeds: Sequence[int],
    jobs: int | None,
    engine: str,
    device: str,
    top: bool,
    down: bool,
    until_decided: bool,
    max_seeds: int | None,
    live: bool,
    port: int | None,
    store: str,
    as_json: bool,
) -> None:
    """Train every rung with every seed; stored runs are not trained again.

    Exits with 1 unless the top rung holds its target with every seed. With --down, the top rung and what is left of it
    without each change are trained instead, and the verdicts of 'compare --down' shown. With --until-decided, rungs get
    more seeds until it is decided what their changes did, and verdicts are shown as 'compare' does, of these seeds.
    """
    from stepladder.datasets.data import describe
    from stepladder.engines import choose_engine
    from stepladder.ladders import checking, ladder_file
    from stepladder.ladders.descent import descent
    from stepladder.runs.results import collect
    from stepladder.runs.store import Store

    _refuse_mixed(top=top, down=down, until_decided=until_decided, max_seeds=max_seeds, live=live, port=port)
    written = ladder_file.load(ladder)
    checking.require_declared(written)
    whole = written.top if top else written
    way = descent(written) if down else None
    loaded = way.as_plan if way else whole
    info = describe(loaded.data)
    rungs = checking.check_rungs(loaded, info)  # before an engine is imported or a folder made
    checking.require_within_budget(loaded, rungs)
    checking.require_effects(loaded, info)
    chosen, reason = choose_engine(engine, device=device)
    opened = Store.open(store, create=True)
    most = (max_seeds or MAX_SEEDS) if until_decided else None
    with ExitStack() as stack:
        page = _live_report(whole, opened, chosen, seeds=None if most else seeds, port=port or 0) if live else None
        watcher = _watchers(stack, page)
        watcher.noted(f"engine {reason}")
        for note in checking.notes_of(rungs):
            watcher.noted(note)
        failures, results = _train(loaded, opened, chosen, seeds=seeds, most=most, jobs=jobs, watcher=watcher)
    if way:
        up = collect(way.ladder, opened, engine=chosen.identity, seeds=seeds)
        print_descent(way, up, results, as_json)
    elif until_decided:
        print_verdicts(results, as_json)
    else:
        print_results(results, as_json)
    if failures:
        raise UnfinishedClimbError("not trained: " + "; ".join(map(str, failures)))
    if not results.reached:
        sys.exit(TARGET_MISSED)


@main.command(short_help="The results of a ladder's stored runs.")
@LADDER
@click.option("--engine", help="Show the runs of this engine, such as 'jit' or 'torch cuda'.")
@STORE
@JSON
def show(ladder: str, engine: str | None, store: str, as_json: bool) -> None:
    """Show the results of a ladder's stored runs."""
    from stepladder.ladders import ladder_file
    from stepladder.runs.results import collect
    from stepladder.runs.store import Store

    opened = Store.open(store)
    results = collect(ladder_file.load(ladder), opened, engine=engine)
    echo_notes(opened)
    print_results(results, as_json)


main.add_command(compare)


@main.command(short_help="Write a page with all results that works offline.")
@LADDER
@click.option("--engine", help="Report the runs of this engine, such as 'jit' or 'torch cuda'.")
@click.option(
    "--format",
    "form",
    type=Choice(["html", "markdown", "json", "csv"], place="format"),
    help="One HTML page; Markdown; everything as JSON; or every epoch as a line of CSV [default: by the ending of -o].",
)
@click.option("-o", "--output", help="File to write, - for stdout [default: LADDER-report.html; stdout if not HTML].")
@FORCE
@STORE
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def report(
    ladder: str, engine: str | None, form: str | None, output: str | None, force: bool, store: str, as_json: bool
) -> None:
    """Write a report of a ladder's stored runs: one page that works offline, or the same for machines.

    Verdicts, curves, confusion, the images that are misclassified, what the networks see, and a digit to draw. The runs
    of 'climb --down' are in it where there are any.
    """
    from stepladder._base.outputs import is_stdout
    from stepladder.ladders import ladder_file
    from stepladder.reporting.writing import form_of, report_text, require_form, write_report
    from stepladder.runs.store import Store

    if as_json and form not in (None, "json"):
        raise LadderError(f"--json and --format {form} contradict each other: give one")
    form = "json" if as_json else form or form_of(output)
    require_form(output, form)
    opened = Store.open(store)
    loaded = ladder_file.load(ladder)
    text = report_text(loaded, opened, engine=engine, form=form)
    echo_notes(opened)
    if output == "-" or (output is None and form != "html"):
        click.echo(text, nl=not text.endswith("\n"))
    else:
        written = write_report(text, loaded, output=output, force=force)
        if not is_stdout(written):
            click.echo(plain.neutral(str(written)))


@main.command(short_help="Look for the best network, or the smallest (extra 'search').")
@LADDER
@click.option("--params", type=click.IntRange(min=1), help="The most parameters [default: the ladder's budget].")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of a training [default: those of the top rung].")
@click.option("--smallest", is_flag=True, help="Look for the fewest parameters that hold the target with every seed.")
@click.option("--seeds", type=click.IntRange(1, 64), default=4, show_default=True, help="Seeds for the best of them.")
@click.option("--trials", type=click.IntRange(min=1), default=60, show_default=True, help="Networks to try, in all.")
@click.option("--max-time", type=Duration(), help="Be at the end by then, as 90s, 30m or 1h30m.")
@JOBS
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
    with LiveSearch() as watcher:
        watcher.noted(f"engine {reason}")
        found = search_networks(sought, store=opened, engine=chosen, watcher=watcher, **how)
    print_found(found, path, as_json, force=force)
    if found.failures:
        raise UnfinishedClimbError("not trained: " + "; ".join(found.failures))
    if not found.reached:
        sys.exit(TARGET_MISSED)


@main.command(short_help="Climb a record again: do its claims stand?")
@click.argument("name", required=False)
@click.option(
    "--seeds",
    type=FreshSeeds(),
    default="8",
    show_default=True,
    help="How many to train, after the record's last seed; or which, as FIRST-LAST: 401-401 for seed 401 alone.",
)
@JOBS
@click.option("--engine", default="auto", show_default=True, help="Engine to train with, as for 'climb'.")
@DEVICE
@STORE
@JSON
def reproduce(
    name: str | None, seeds: int | Sequence[int], jobs: int | None, engine: str, device: str, store: str, as_json: bool
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
    from stepladder.records import record as records
    from stepladder.records.reproducing import fresh_seeds
    from stepladder.records.reproducing import reproduce as climb_again
    from stepladder.reporting.pages.record_page import seeds_note
    from stepladder.runs.store import Store
    from stepladder.watching.live import LiveClimb

    if name is None:
        print_records([records.load(each) for each in records.shipped()], as_json)
        return
    record, ladder = records.load(name)
    wanted = fresh_seeds(record, seeds)
    chosen, reason = choose_engine(engine, device=device)
    opened = Store.open(store, create=True)
    with LiveClimb() as watcher:
        watcher.noted(seeds_note(record, wanted))
        watcher.noted(f"engine {reason}")
        failures, again = climb_again(
            record, ladder, seeds=wanted, store=opened, engine=chosen, jobs=jobs, watcher=watcher
        )
    print_reproduction(again, as_json)
    if failures:
        raise UnfinishedClimbError("not trained: " + "; ".join(map(str, failures)))
    if again.fails:
        sys.exit(TARGET_MISSED)


@main.command(short_help="The ladders that come with Stepladder.")
@JSON
def ladders(as_json: bool) -> None:
    """List the ladders that come with Stepladder."""
    from stepladder.ladders import ladder_file

    found = [ladder_file.load(name) for name in ladder_file.shipped()]
    if as_json:
        from stepladder.reporting.data.check_json import ladders_dict

        print_json(ladders_dict(found))
    else:
        from stepladder.reporting.tables import Entry

        print_page([Entry(ladder.name, ladder.about) for ladder in found])


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


def _live_report(ladder: Any, store: Any, engine: Any, *, seeds: Sequence[int] | None, port: int) -> Any:
    from stepladder.watching.live_report import live_report

    return live_report(ladder, store.folder, engine=engine.identity, seeds=seeds, port=port)


def _watchers(stack: ExitStack, page: Any) -> Any:
    """The terminal, and the live page if there is one, both for as long as the stack lasts."""
    from stepladder.climbing.climbing import Watchers
    from stepladder.watching.live import LiveClimb

    watcher = Watchers([stack.enter_context(each) for each in (LiveClimb(), page) if each])
    if page:
        page.complain = watcher.noted
        watcher.noted(f"live report at {page.url}")
    return watcher


def _train(
    ladder: Any, store: Any, engine: Any, *, seeds: Sequence[int], most: int | None, jobs: int | None, watcher: Any
) -> tuple[Any, Any]:
    """What failed, and the results; with ``most`` given, seeds up to that until each verdict is decided."""
    from stepladder.climbing.climbing import climb as climb_ladder
    from stepladder.climbing.deciding import climb_until_decided
    from stepladder.runs.results import collect

    how = {"seeds": seeds, "store": store, "engine": engine, "jobs": jobs, "watcher": watcher}
    if most:
        return climb_until_decided(ladder, max_seeds=most, **how)
    failures = climb_ladder(ladder, **how)
    return failures, collect(ladder, store, engine=engine.identity, seeds=seeds)


main.add_command(new)
main.add_command(predict)
main.add_command(runs)
main.add_command(schema)
