"""Compact results: what runs that are not in the repository came to, so that pages are made and checked without them.

A file of docs/results has, for each rung and seed, the counts and losses of all epochs, and the images that the last
one got wrong. Weights, times, probabilities and earlier confusions are not kept. ``results`` gives Results, from which
verdicts are found as from the runs themselves; a rung whose recipe has changed since is not found by its key.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from stepladder._base.files import write_atomically
from stepladder.ladders.evaluated import DataIdentity
from stepladder.ladders.ladder import Plan, Rung
from stepladder.runs.results import Results, RungResult, collect
from stepladder.runs.run import EngineIdentity, Epoch, Provenance, Run, RunIdentity, WrongImage, experiment_key
from stepladder.runs.stats import summarise
from stepladder.runs.store import Store

FOLDER = Path(__file__).parent.parent / "docs" / "results"
FORMAT_VERSION = 1
SAME = ("format_version", "engine", "data")  # of what is kept in one file
N_DECIMALS = 6  # of a loss
NOT_KEPT = 0.0
NONE: dict[str, Any] = {"params": 0, "runs": ()}  # of what is not trained


def write(name: str, found: Sequence[Results]) -> None:
    """Keep what one or more ladders' runs, of one engine on the same images, came to, beside what is kept already."""
    runs = [run for results in found for each in results.trained for run in each.runs]
    first, finished = runs[0], sorted(run.provenance.finished_at for run in runs)
    if any((run.identity.engine, run.identity.data) != (first.identity.engine, first.identity.data) for run in runs):
        raise ValueError("one engine, and the same images, for all runs of one file")
    rungs: dict[str, dict[str, Any]] = {}
    for results in found:
        for each, params in zip(results.trained, results.trained_params, strict=True):
            if each.runs:
                rungs[each.runs[0].identity.experiment] = {
                    "rung": each.rung.name,
                    "params": params,
                    "runs": [_run_dict(run) for run in each.runs],
                }
    kept = {
        "format_version": FORMAT_VERSION,
        "engine": first.identity.engine.model_dump(),
        "data": first.identity.data.model_dump(),
        "versions": first.provenance.versions,
        "cpus": sorted({run.provenance.cpu for run in runs}),
        "finished": [finished[0], finished[-1]],
        "n_train": first.epochs[0].n_train,
        "class_sizes": [sum(row) for row in first.epochs[0].confusion],
        "experiments": rungs,
    }
    if (FOLDER / f"{name}.json").exists() and all((before := read(name))[each] == kept[each] for each in SAME):
        kept["experiments"] = before["experiments"] | rungs
        kept["cpus"] = sorted(set(before["cpus"]) | {run.provenance.cpu for run in runs})
        kept["finished"] = [min(before["finished"][0], finished[0]), max(before["finished"][1], finished[-1])]
    FOLDER.mkdir(exist_ok=True)
    write_atomically(FOLDER / f"{name}.json", _text(kept).encode())


def read(name: str) -> dict[str, Any]:
    """A file as it is; ValueError for one of another version."""
    kept: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if kept["format_version"] != FORMAT_VERSION:
        raise ValueError(f"{name} is of format {kept['format_version']}, not {FORMAT_VERSION}")
    return kept


def whole(ladder: Plan, store: Store, seeds: Collection[int]) -> Results:
    """A ladder's results with all of these seeds; ValueError if a run is missing."""
    found = collect(ladder, store, seeds=seeds)
    missing = [each.rung.name for each in found.rungs if len(each.runs) != len(seeds)]
    if missing:
        raise ValueError(f"{ladder.name}: not all seeds of {', '.join(missing)}")
    return found


def results(kept: dict[str, Any], ladder: Plan, *, some: bool = False) -> Results:
    """A ladder's results, as ``stepladder.runs.results.collect`` would find them.

    KeyError for a rung or variant that has none, unless ``some`` will do: then it is not trained yet.
    """
    data, engine = DataIdentity.model_validate(kept["data"]), EngineIdentity.model_validate(kept["engine"])
    keys = [experiment_key(rung.recipe, data) for rung in ladder.trained]
    found = [kept["experiments"].get(key, NONE) if some else kept["experiments"][key] for key in keys]
    rungs = tuple(_rung_result(rung, each, kept) for rung, each in zip(ladder.trained, found, strict=True))
    params, n = tuple(each["params"] for each in found), len(ladder.rungs)
    return Results(
        ladder=ladder,
        engine=engine,
        rungs=rungs[:n],
        params=params[:n],
        others={},
        n_test_looks=0,
        variants=rungs[n:],
        variant_params=params[n:],
    )


def _rung_result(rung: Rung, found: dict[str, Any], kept: dict[str, Any]) -> RungResult:
    runs = tuple(_run(rung, each, kept) for each in found["runs"])
    return RungResult(rung, runs, summarise(runs, rung.target))


def _run_dict(run: Run) -> dict[str, Any]:
    return {
        "seed": run.identity.seed,
        "diverged_at_epoch": run.diverged_at_epoch,
        "n_train_correct": [epoch.n_train_correct for epoch in run.epochs],
        "train_loss": [round(epoch.train_loss, N_DECIMALS) for epoch in run.epochs],
        "n_correct": [epoch.n_correct for epoch in run.epochs],
        "loss": [round(epoch.loss, N_DECIMALS) for epoch in run.epochs],
        "wrong": " ".join(f"{each.index}:{each.label}>{each.predicted}" for each in run.wrong_images),
    }


def _run(rung: Rung, found: dict[str, Any], kept: dict[str, Any]) -> Run:
    wrong = tuple(_wrong_images(found["wrong"]))
    data, engine = DataIdentity.model_validate(kept["data"]), EngineIdentity.model_validate(kept["engine"])
    columns = (found[name] for name in ("n_train_correct", "train_loss", "n_correct", "loss"))
    epochs = [
        Epoch(
            n_train=kept["n_train"],
            n_train_correct=n_train_correct,
            train_loss=train_loss,
            n_evaluated=sum(kept["class_sizes"]),
            n_correct=n_correct,
            loss=loss,
            confusion=(),
            train_s=NOT_KEPT,
            evaluate_s=NOT_KEPT,
        )
        for n_train_correct, train_loss, n_correct, loss in zip(*columns, strict=True)
    ]
    if epochs and found["diverged_at_epoch"] is None:
        epochs[-1] = epochs[-1].model_copy(update={"confusion": _confusion(kept["class_sizes"], wrong)})
    return Run(
        identity=RunIdentity(recipe=rung.recipe, data=data, seed=found["seed"], engine=engine),
        epochs=tuple(epochs),
        diverged_at_epoch=found["diverged_at_epoch"],
        wrong_images=wrong,
        weights_sha256=f"not kept, of seed {found['seed']} of {rung.name}",
        provenance=Provenance(
            versions=kept["versions"],
            cpu=", ".join(kept["cpus"]),
            platform="",
            finished_at=kept["finished"][1],
            n_resumed=0,
        ),
    )


def _wrong_images(text: str) -> Iterator[WrongImage]:
    for each in text.split():
        index, label, predicted = map(int, re.split("[:>]", each))
        yield WrongImage(index=index, label=label, predicted=predicted, probability=NOT_KEPT)


def _confusion(class_sizes: Sequence[int], wrong: Sequence[WrongImage]) -> tuple[tuple[int, ...], ...]:
    counts = [
        [size if row == column else 0 for column in range(len(class_sizes))] for row, size in enumerate(class_sizes)
    ]
    for each in wrong:
        counts[each.label][each.label] -= 1
        counts[each.label][each.predicted] += 1
    return tuple(map(tuple, counts))


def _text(kept: dict[str, Any]) -> str:
    """JSON with a line for each run, and one for each other value."""
    text = json.dumps(kept | {"experiments": None}, indent=1).partition('"experiments"')[0]
    parts = []
    for key, rung in kept["experiments"].items():
        runs = ",\n   ".join(json.dumps(run) for run in rung["runs"])
        parts.append(
            f'"{key}": {{"rung": {json.dumps(rung["rung"])}, "params": {rung["params"]}, "runs": [\n   {runs}\n  ]}}'
        )
    return text + '"experiments": {\n  ' + ",\n  ".join(parts) + "\n }\n}\n"
