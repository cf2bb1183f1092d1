"""What a store holds, what a check of it found, and what a merge did: as pages, and for machines.

SCHEMA_VERSION history: 1, the first. 2, without "looks_added": verdicts need no ledger of looks any more.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepladder._base.wording import n_of
from stepladder.execution.rechecking import Checked
from stepladder.recipes.recipe import Recipe, changed_fields, describe, describe_network
from stepladder.reporting.numbers import NOTHING
from stepladder.reporting.tables import Page, Table
from stepladder.runs.housekeeping import Deleted, Experiment, Merged, StoredRun
from stepladder.runs.run import RunIdentity

SCHEMA_VERSION = 2


def size(n_bytes: int) -> str:
    """``812 bytes``, ``356 KB``, ``1.2 MB``; a KB has 1,000 bytes."""
    if n_bytes < 1000:
        return n_of(n_bytes, "byte")
    for unit in ("KB", "MB"):
        n_bytes_of = 1000 if unit == "KB" else 1_000_000
        if n_bytes < 1000 * n_bytes_of:
            return f"{n_bytes / n_bytes_of:.3g} {unit}"
    return f"{n_bytes / 1e9:,.3g} GB"


def list_page(store: Path, found: Sequence[Experiment]) -> Page:
    """What ``stepladder runs list`` prints."""
    rows = [row for experiment in found for row in _list_rows(experiment)]
    n_bytes = sum(each.n_bytes for each in found)
    table = Table(
        f"Runs in {store}: {n_of(len(found), 'experiment')}, {size(n_bytes)}",
        ("what", "folder", "engine", "seeds", "state", "size"),
        tuple(rows),
        numeric=frozenset({5}),
        words=frozenset({0, 3, 4}),
        dropped_first=(2,),
    )
    problems = [f"{run.key}: {run.problem}" for each in found for run in each.runs if run.problem]
    return [table, *([NAMELESS] if any(not each.names and each.identity for each in found) else []), *problems]


NAMELESS = (
    "A network in the column 'what' is a run of no ladder that was asked for: 'stepladder runs list LADDER' gives those"
    " of a ladder file of yours the names of its rungs."
)


def _list_rows(experiment: Experiment) -> list[tuple[str, ...]]:
    """A row for each engine and state."""
    groups: dict[tuple[str, str], list[StoredRun]] = {}
    for run in experiment.runs:
        groups.setdefault((run.engine, _state(run)), []).append(run)
    what = what_is(experiment)
    return [
        (what, experiment.folder, engine, ranges([run.seed for run in runs]), state, size(sum(r.n_bytes for r in runs)))
        for (engine, state), runs in groups.items()
    ] or [(what, experiment.folder, NOTHING, NOTHING, "empty", size(0))]


def what_is(experiment: Experiment) -> str:
    """The rungs that an experiment is, as ``ladder: rung``; else its network and images."""
    if experiment.names:
        return "; ".join(f"{ladder}: {rung}" for ladder, rung in experiment.names)
    return what_trains(experiment.identity) if experiment.identity else NOTHING


def what_trains(identity: RunIdentity) -> str:
    """A network, its images, and every field of its recipe that is not as it would be by itself."""
    recipe, data = identity.recipe, identity.data
    plain = Recipe(network=recipe.network, epochs=recipe.epochs)
    others = (
        f"{name.replace('_', ' ')} {describe(name, getattr(recipe, name))}" for name in changed_fields(plain, recipe)
    )
    part = f"{data.name} ({data.evaluate_on})"
    return "; ".join([describe_network(recipe.network), n_of(recipe.epochs, "epoch"), part, *others])


def _state(run: StoredRun) -> str:
    if run.state == "under way" and run.identity:
        return f"under way, epoch {run.n_epochs} of {run.identity.recipe.epochs}"
    return run.state


def ranges(numbers: Sequence[int]) -> str:
    """``1 to 8, 11``: numbers in order."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]} to {part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def list_dict(store: Path, found: Sequence[Experiment]) -> dict[str, Any]:
    """What ``stepladder runs list --json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "store": str(store),
        "bytes": sum(each.n_bytes for each in found),
        "experiments": [
            {
                "folder": each.folder,
                "rungs": [{"ladder": ladder, "rung": rung} for ladder, rung in each.names],
                "what": what_is(each),
                "bytes": each.n_bytes,
                "runs": [_run_dict(run) for run in each.runs],
            }
            for each in found
        ],
    }


def _run_dict(run: StoredRun) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "engine": run.engine,
        "state": run.state,
        "epochs_done": run.n_epochs,
        "epochs": run.identity.recipe.epochs if run.identity else None,
        "bytes": run.n_bytes,
        "problem": run.problem,
    }


def check_page(
    store: Path, found: Sequence[Experiment], checked: Sequence[Checked], problems: Sequence[str], *, what: str = ""
) -> Page:
    """What ``stepladder runs check`` prints; ``what`` says which were asked for, if not all."""
    if not checked:
        return [f"No runs{f' of {what}' if what else ''} are in {store}: there is nothing to check.", *problems]
    names = {each.folder: what_is(each) for each in found}
    rows = tuple((names[each.stored.experiment], each.stored.key, each.outcome, each.words) for each in checked)
    table = Table(
        f"Stored weights in {store}, evaluated again",
        ("what", "run", "outcome", ""),
        rows,
        numeric=frozenset(),
        words=frozenset({0, 3}),
    )
    n = {outcome: sum(each.outcome == outcome for each in checked) for outcome in OUTCOMES}
    summary = f"{n_of(len(checked), 'run')}: " + ", ".join(
        f"{n[outcome]:,} {words}" for outcome, words in OUTCOMES.items()
    )
    return [table, summary + ".", *problems]


OUTCOMES = {
    "agrees": "agree with their records",
    "differs": "differ",
    "damaged": "damaged",
    "not checked": "not checked",
}


def check_dict(store: Path, checked: Sequence[Checked], problems: Sequence[str]) -> dict[str, Any]:
    """What ``stepladder runs check --json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "store": str(store),
        "runs": [
            {
                "experiment": each.stored.experiment,
                "seed": each.stored.seed,
                "engine": each.stored.engine,
                "outcome": each.outcome,
                "words": each.words,
            }
            for each in checked
        ],
        "problems": list(problems),
    }


def merge_page(into: Path, other: Path, merged: Merged) -> Page:
    """What ``stepladder runs merge`` prints."""
    return [
        *([f"{into} is a new store, made now."] if merged.is_new else []),
        f"{n_of(len(merged.copied), 'run')} copied from {other} to {into}, {len(merged.equal):,} there already with"
        " equal numbers.",
        *(line for run in merged.conflicts for line in _conflict_lines(run, into=into, other=other)),
        *merged.problems,
    ]


def _conflict_lines(run: StoredRun, *, into: Path, other: Path) -> list[str]:
    """What has other numbers in each store, and what to do about it."""
    what = what_trains(run.identity) if run.identity else run.experiment
    delete = shlex.join(
        ["stepladder", "runs", "delete", run.experiment, "--seeds", str(run.seed), "--store", str(into)]
    )
    return [
        f"Conflict: {run.key} has other numbers in each store; that of {into} is kept. It is {what}.",
        f"  To take that of {other}: {delete}, and merge again."
        " 'stepladder runs check --store' evaluates the weights of either.",
    ]


def merge_dict(into: Path, other: Path, merged: Merged) -> dict[str, Any]:
    """What ``stepladder runs merge --json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "into": str(into),
        "into_is_new": merged.is_new,
        "from": str(other),
        "copied": merged.copied,
        "equal": merged.equal,
        "conflicts": [run.key for run in merged.conflicts],
        "problems": merged.problems,
    }


def delete_lines(found: Sequence[Experiment], runs: Sequence[StoredRun]) -> list[str]:
    """What will be deleted, a line for each run and one for all."""
    what = {each.folder: what_is(each) for each in found}
    lines = [f"{what[run.experiment]}, {run.key}: {_state(run)}, {size(run.n_bytes)}" for run in runs]
    return [*lines, f"{n_of(len(runs), 'run')}, {size(sum(run.n_bytes for run in runs))}"]


def deleted_lines(deleted: Deleted, *, n_runs: int) -> list[str]:
    """What is gone and what is left, where not all of ``n_runs`` could be deleted."""
    gone = [f"Deleted: {key}" for key in deleted.keys]
    return [*gone, *deleted.problems, f"{len(deleted.keys):,} of {n_of(n_runs, 'run')} deleted."]
