"""``stepladder replay``: tell a tracker of stored runs."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click

from stepladder._base import plain
from stepladder._base.wording import n_of
from stepladder.cli.options import JSON, LOG_DIR, STORE
from stepladder.cli.printing import echo_notes, print_json
from stepladder.cli.usage import Command
from stepladder.errors import LadderError

SCHEMA_VERSION = 1


@click.command(cls=Command, short_help="Tell TensorBoard, MLflow, W&B or trackio of stored runs.")
@click.argument("what", metavar="[LADDER|STORE]...", nargs=-1)
@click.option("--to", "tracker", required=True, help="tensorboard, mlflow, wandb, trackio, or a package's own.")
@LOG_DIR
@STORE
@JSON
@click.pass_context
def replay(
    context: click.Context, what: tuple[str, ...], tracker: str, log_dir: str | None, store: str, as_json: bool
) -> None:
    """Tell a tracker of stored runs: a run for each seed, in a group for each rung, its epochs at the times they ended.

    Tells of the runs of each LADDER, named after its rungs; without one, of all that is stored, named after the shipped
    ladders or by the keys of their experiments. A STORE may stand here instead of behind --store. Replaying again adds
    only what is new. Nothing goes over a network unless the tracker's own variables say so, such as MLFLOW_TRACKING_URI
    or WANDB_MODE=online.
    """
    from stepladder.ladders import ladder_file
    from stepladder.runs.store import Store
    from stepladder.tracking.replaying import replay as replay_runs
    from stepladder.tracking.replaying import stored_runs
    from stepladder.tracking.trackers import choose_tracker, close

    shipped = ladder_file.shipped()
    ladders, folder = _sorted(what, store, is_given=context.get_parameter_source("store") is _GIVEN, shipped=shipped)
    opened = Store.open(folder)
    loaded = [ladder_file.load(name) for name in ladders or shipped]
    chosen = choose_tracker(tracker, log_dir=log_dir)
    found = []
    for each in replay_runs(stored_runs(opened, loaded, only=bool(ladders)), chosen):
        found.append(each)
    close(chosen, tracker)
    echo_notes(opened)
    if as_json:
        print_json(_dict(found, to=tracker, where=chosen.where))
    else:
        click.echo(plain.neutral("\n".join(_lines(found, to=tracker, where=chosen.where))))


_GIVEN = click.core.ParameterSource.COMMANDLINE


def _sorted(what: Sequence[str], store: str, *, is_given: bool, shipped: Collection[str]) -> tuple[list[str], str]:
    """Ladders, each once, and the store: a folder is one, unless it is called as a shipped ladder and no store.

    Raises LadderError for two stores.
    """
    folders = [
        each
        for each in what
        if Path(each).is_dir() and not (each in shipped and not (Path(each) / "store.json").exists())
    ]
    if len(folders) + is_given > 1:
        both = " and ".join([*folders, *[store] * is_given])
        raise LadderError(f"one store at a time, and {both} are given: leave one out")
    return list(dict.fromkeys(each for each in what if each not in folders)), (folders or [store])[0]


def _lines(found: Sequence[Any], *, to: str, where: str) -> list[str]:
    """How many runs of each rung are new there, and where to look."""
    groups = Counter((each.run.project, each.run.group) for each in found)
    new = Counter((each.run.project, each.run.group) for each in found if each.is_new)
    if not found:
        return ["There are no runs to replay."]
    rungs = [
        f"{project}: {group}: {n_of(n, 'run')}, {new[project, group]} new" for (project, group), n in groups.items()
    ]
    return [*rungs, f"{n_of(len(found), 'run')} told to {to}, {new.total()} new, in {where}"]


def _dict(found: Sequence[Any], *, to: str, where: str) -> dict[str, Any]:
    runs = [
        {
            "id": each.run.id,
            "project": each.run.project,
            "group": each.run.group,
            "seed": each.run.seed,
            "engine": each.run.tags["engine"],
            "state": each.run.state,
            "epochs": len(each.run.points),
            "new": each.is_new,
        }
        for each in found
    ]
    return {"schema_version": SCHEMA_VERSION, "to": to, "where": where, "runs": runs}
