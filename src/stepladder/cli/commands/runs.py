"""The commands about what a store holds: ``stepladder runs list``, ``check``, ``delete`` and ``merge``."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stepladder.cli.options import JSON, STORE, TheseSeeds
from stepladder.cli.printing import print_json, print_page
from stepladder.cli.usage import Commands
from stepladder.errors import LadderError, StoreError

LADDERS = click.argument("ladders", metavar="[LADDER]...", nargs=-1)
SOME = click.option(
    "--seeds", type=TheseSeeds(), help="This seed alone (9 is seed 9, not 1 to 9), or FIRST to LAST [default: all]."
)


@click.group(cls=Commands, short_help="What is stored: list, check, delete or merge runs.")
def runs() -> None:
    """What the store holds: list it, check it, delete from it, merge another one into it."""


@runs.command(name="list")
@LADDERS
@STORE
@JSON
def list_runs(ladders: tuple[str, ...], store: str, as_json: bool) -> None:
    """List what is stored: which rungs, folders, seeds, sizes.

    Rungs are named after each LADDER and the shipped ladders.
    """
    from stepladder.reporting.pages.runs_page import list_dict, list_page
    from stepladder.runs.housekeeping import experiments
    from stepladder.runs.store import Store

    opened = Store.open(store)
    found = experiments(opened, [*_ladders(ladders), *(_ladders(()) if ladders else ())])
    _print(list_dict(opened.folder, found) if as_json else list_page(opened.folder, found))


@runs.command()
@LADDERS
@SOME
@STORE
@JSON
def check(ladders: tuple[str, ...], seeds: Sequence[int] | None, store: str, as_json: bool) -> None:
    """Evaluate stored weights again and compare.

    Says of each run of each LADDER whether its weights give the counts of its record; without a LADDER, of all stored
    runs on MNIST; with --seeds, of these seeds alone. Every file of these runs is checked too. Exits with 2 if anything
    is damaged or differs.
    """
    from dataclasses import replace

    from stepladder.execution.rechecking import check_runs, other_problems
    from stepladder.reporting.pages.runs_page import check_dict, check_page
    from stepladder.runs.housekeeping import experiments
    from stepladder.runs.store import Store

    opened, loaded = Store.open(store), _ladders(ladders)
    found = experiments(opened, loaded, only=bool(ladders))
    if seeds is not None:
        found = [replace(each, runs=tuple(run for run in each.runs if run.seed in seeds)) for each in found]
    what = " or ".join(ladder.name for ladder in loaded) if ladders else ""
    what = f"{what or 'any ladder'} with these seeds" if seeds is not None else what
    checked = []
    for each in check_runs(opened, found, sources=sorted({ladder.data for ladder in loaded})):
        checked.append(each)
        if not as_json and sys.stderr.isatty():
            click.echo(f"{each.stored.key}: {each.outcome}", err=True)
    problems = other_problems(opened)
    _print(
        check_dict(opened.folder, checked, problems)
        if as_json
        else check_page(opened.folder, found, checked, problems, what=what)
    )
    n_bad = sum(each.outcome in ("differs", "damaged") for each in checked) + len(problems)
    if n_bad:
        raise StoreError(f"{n_bad} of the files or runs in {store} are damaged or differ: see above")


@runs.command()
@click.argument("what", metavar="LADDER|FOLDER")
@click.option("--rung", help="The runs of this rung alone.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@SOME
@STORE
def delete(what: str, rung: str | None, yes: bool, seeds: Sequence[int] | None, store: str) -> None:
    """Delete the runs of a ladder or a folder.

    Deletes the runs of a LADDER, or of a FOLDER that 'runs list' names, with their weights and checkpoints. It says
    what will go, and asks first.
    """
    from stepladder.reporting.pages.runs_page import delete_lines, deleted_lines
    from stepladder.runs.housekeeping import chosen, experiments
    from stepladder.runs.housekeeping import delete as delete_runs
    from stepladder.runs.store import Store

    opened = Store.open(store)
    if re.fullmatch("[0-9a-f]{4,16}", what) and not Path(what).exists():
        found = _in_folder(experiments(opened, _ladders(())), what, opened.folder)
    else:
        found = experiments(opened, _ladders((what,)), only=True)
    doomed = chosen(found, rung=rung, seeds=seeds)
    if not doomed:
        raise StoreError(f"nothing of {what} is in {opened.folder}: 'stepladder runs list' shows what is")
    for line in delete_lines(found, doomed):
        click.echo(line)
    if not yes:
        if not sys.stdin.isatty():
            raise LadderError("nobody can be asked here: add --yes to delete all of that")
        if not click.confirm("Delete all of that?"):
            click.echo("Nothing is deleted.")
            return
    deleted = delete_runs(opened, doomed)
    if deleted.problems:
        for line in deleted_lines(deleted, n_runs=len(doomed)):
            click.echo(line)
        raise StoreError("not all of that is deleted: see above; move away what is in the way, and delete again")
    click.echo("Deleted.")


@runs.command()
@click.argument("into", metavar="A")
@click.argument("other", metavar="B")
@JSON
def merge(into: str, other: str, as_json: bool) -> None:
    """Copy into store A what store B has.

    Copies the finished runs that A lacks, each verified first. A may be a folder that is empty or does not exist yet;
    any other folder that is not a store is refused. Exits with 2 if a run is damaged, or has different numbers in the
    two stores.
    """
    from stepladder.reporting.pages.runs_page import merge_dict, merge_page
    from stepladder.runs.housekeeping import merge as merge_stores
    from stepladder.runs.store import Store

    theirs = Store.open(other)
    ours, is_new = Store.open_or_make(into)
    merged = merge_stores(ours, theirs)
    merged.is_new = is_new
    show = merge_dict if as_json else merge_page
    _print(show(ours.folder, theirs.folder, merged))
    if not merged.whole:
        raise StoreError(f"not all of {theirs.folder} is merged: see above")


def _in_folder(found: list[Any], start: str, store: Path) -> list[Any]:
    """The one experiment whose folder begins so. Raises StoreError."""
    names = [each.folder for each in found if each.folder.startswith(start)]
    if len(names) > 1:
        raise StoreError(f"more than one folder in {store} begins with {start}: {', '.join(names[:8])}")
    if not names:
        raise StoreError(f"no folder in {store} begins with {start}: 'stepladder runs list' shows which there are")
    return [each for each in found if each.folder == names[0]]


def _ladders(names: Sequence[str]) -> list[Any]:
    """These ladders; all shipped ones if there is no name."""
    from stepladder.ladders import ladder_file

    return [ladder_file.load(name) for name in names or ladder_file.shipped()]


def _print(found: Any) -> None:
    """JSON or a page to stdout."""
    if isinstance(found, dict):
        print_json(found)
    else:
        print_page(found)
