"""How does cost grow with seeds, rungs, runs in a store, images, parameters, machines and trials of a search?

``python benchmarks/growth.py store``: commands about ladders of 6 and 30 rungs with 8 and 100 seeds, the last in a
store of 10,000 runs, without an index and with one. ``training``: an epoch, by images and by parameters.
``machines``: climbs of tiny runs in processes of this machine, and on the workers of a Dask cluster on it. ``search
--storage URL``: a trial of a study of up to 2,000 trials, by one process and by several, where each training is in the
store already.

Runs and outcomes are made up (many_runs.py), all else is what a person would call. CPU seconds are those of the process
and its children: on a machine that does other things too, they say more than the time that passes.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import places
from many_runs import ENGINE, make, tall_ladder
from places import Cost

from stepladder._base.files import checksum
from stepladder._base.machine import cpu_name, n_cores
from stepladder.climbing.climbing import Task, plan
from stepladder.datasets import data
from stepladder.datasets.sources import DataInfo
from stepladder.engines import choose_engine
from stepladder.engines.training import train
from stepladder.execution.place import PIECE_S
from stepladder.ladders.ladder_file import load
from stepladder.runs.run import Epoch, Progress, Provenance, Run, RunIdentity
from stepladder.runs.store import Store
from stepladder.searching.searching import Found, quest, search
from stepladder.searching.trials import Trial

if TYPE_CHECKING:
    from optuna import Study

SIZES = ((6, 8, 48), (6, 100, 600), (30, 8, 240), (30, 100, 10_000))  # rungs, seeds, runs in the store
COMMANDS = (
    ("show",),
    ("compare",),
    ("report", "-o", "page.html", "--force"),
    ("report", "--format", "markdown"),
    ("report", "--format", "csv"),
    ("report", "--format", "json"),
)
N_TIMES = 2
N_PROPOSED, N_TRIALS, N_MORE = 190, (1_000, 1_900), 10  # trials that are no copies; then with copies, so many more
N_IN_ALL, N_PROCESSES, MOST_S = 2_000, 8, 600.0
EACH_EPOCH = "dask:?piece_s=0.001"
MACHINES = (("local", 1), ("local", 2), ("dask", 1), (EACH_EPOCH, 1), ("dask", 2), (EACH_EPOCH, 2))  # place, jobs
N_TINY, N_TINY_EPOCHS = 8, 14


def heading() -> None:
    busy = f"{os.getloadavg()[0]:.1f} processes running besides" if hasattr(os, "getloadavg") else ""
    print(f"{cpu_name()}, {n_cores()} cores, {busy}; Python {platform.python_version()}\n")


def timed(arguments: list[str], *, folder: Path, source: Path | None = None) -> tuple[float, float]:
    """CPU seconds of a command, and seconds that pass; of the version whose modules are in ``source``, if given."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "stepladder", *arguments]
    unset = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")  # with the latter, modules are compiled anew each time
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"PYTHONPATH": str(source)} if source else {}
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=environment, **streams) as process:  # type: ignore[call-overload]
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said = process.stderr.read().decode()
    assert process.returncode == 0, said
    return used.ru_utime + used.ru_stime, time.perf_counter() - start


def of_store(kept: Path | None, before: Path | None) -> None:
    """Each command once without an index, then N_TIMES with it, in turn with an earlier version: the least of each."""
    print(
        "| rungs x seeds, runs in the store | command | CPU s, no index | CPU s | s | CPU s before |"
        "\n|---|---|---|---|---|---|"
    )
    for n_rungs, n_seeds, n_runs in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = kept / f"{n_rungs}x{n_seeds}" if kept else Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            ladder = tall_ladder(folder, n_rungs=n_rungs)
            if not (folder / "runs").exists():
                make(folder / "runs", load(ladder), n_runs=n_runs, n_seeds=n_seeds)
                time.sleep(3)  # or the last runs are too fresh to be noted
            size = f"{n_rungs} x {n_seeds}, {n_runs:,}"
            for arguments in (["check", "tall.toml"], *([each[0], "tall.toml", *each[1:]] for each in COMMANDS)):
                words = " ".join(word for word in arguments if word not in ("tall.toml", "-o", "page.html", "--force"))
                print(f"| {size} | {words} | {cells(arguments, folder=folder, before=before)} |", flush=True)
            start = time.process_time()
            n_found = planned(folder, n_seeds=n_seeds)
            print(
                f"| {size} | what a climb begins with | | {time.process_time() - start:.1f} | | |",
                flush=True,
            )
            assert n_found == n_rungs * n_seeds


def cells(arguments: list[str], *, folder: Path, before: Path | None) -> str:
    shutil.rmtree(folder / "runs" / "index", ignore_errors=True)
    first, _ = timed(arguments, folder=folder)
    now, earlier = [], []
    for _ in range(N_TIMES):
        now.append(timed(arguments, folder=folder))
        if before:
            earlier.append(timed(arguments, folder=folder, source=before))
    told = f"{first:.1f} | {min(now)[0]:.1f} | {min(elapsed for _, elapsed in now):.1f}"
    return f"{told} | {min(earlier)[0]:.1f}" if earlier else f"{told} |"


def planned(folder: Path, *, n_seeds: int) -> int:
    """Plan a climb of what is there already, and look for it; how many runs are found."""
    from stepladder.climbing.climbing import _stored

    class Engine:
        identity = ENGINE

        def lacks(self, network: object) -> list[str]:
            del network
            return []

    ladder = load(folder / "tall.toml")
    tasks: list[Task] = plan(ladder, seeds=range(1, n_seeds + 1), engine=Engine())  # type: ignore[arg-type]
    found, _ = _stored(tasks, Store.open(folder / "runs"), data.describe(ladder.data))
    return sum(run is not None for run in found.values())


def of_training() -> None:
    """One epoch, without the first, in which code is compiled; evaluated on 1,000 images."""
    images = data.load("mnist")
    print("| images | parameters | CPU s an epoch | microseconds an image |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for n_images, width in ((2_500, 8), (10_000, 8), (40_000, 8), (10_000, 16), (10_000, 32), (10_000, 64)):
            path = part_of(images, n_images, Path(folder))
            recipe = load(tall_ladder(Path(folder), n_rungs=1, source=str(path), width=width, epochs=5)).rungs[0].recipe
            splits = data.splits(data.load(str(path)), n_dev=0)
            epochs = train(choose_engine("jit")[0], recipe, splits=splits, seed=1, resume=Progress())
            next(epochs)
            start = time.process_time()
            list(islice(epochs, 2))
            used = (time.process_time() - start) / 2
            params = recipe.network_for(splits.image).params
            print(f"| {n_images:,} | {params:,} | {used:.2f} | {1e6 * used / n_images:.0f} |", flush=True)


def part_of(images: data.ImageSet, n_images: int, folder: Path) -> Path:
    """The first of the training images, and of the test images 1,000, as a file."""
    path = folder / f"{n_images}.npz"
    parts = {"x_train": images.train.images[:n_images, 0], "y_train": images.train.labels[:n_images]}
    tests = {"x_test": images.test.images[:1_000, 0], "y_test": images.test.labels[:1_000]}
    np.savez(path, allow_pickle=False, **parts, **tests)
    return path


class Trained(Store):
    """A store in which every run is, with an accuracy by its key."""

    def find(self, identity: RunIdentity, *, set_aside: bool, info: DataInfo | None = None) -> Run:
        del set_aside, info
        luck = int(sha256(identity.key.encode()).hexdigest()[:8], 16) / 2**32
        wrong = int(60 + 60 * luck)
        counts = {"n_train": 50_000, "n_train_correct": 49_000, "n_evaluated": 10_000, "n_correct": 10_000 - wrong}
        numbers = {"train_loss": 0.1, "loss": 0.05, "confusion": ((1,),), "train_s": 1.0, "evaluate_s": 0.1}
        return Run(
            identity=identity,
            epochs=(Epoch(**counts, **numbers),) * identity.recipe.epochs,
            diverged_at_epoch=None,
            wrong_images=(),
            weights_sha256="0" * 64,
            provenance=Provenance(
                versions={}, cpu="", platform="", finished_at="2026-01-01T00:00:00+00:00", n_resumed=0
            ),
        )


class Stopwatch:
    """A watcher that notes when trials are at their end."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def started(self, *, n_known: int, n_trials: int) -> None:
        del n_known, n_trials
        self.ends.append((time.perf_counter(), time.process_time()))

    def judged(self, trial: Trial, *, goes_on: bool, found: Found) -> None:
        del trial, found
        if not goes_on:
            self.ends.append((time.perf_counter(), time.process_time()))

    def noted(self, text: str) -> None:
        print(text, file=sys.stderr)


def searched(storage: str, n_trials: int, max_s: float | None = None) -> list[tuple[float, float]]:
    """Go on with a study until it has so many trials: when it began, and when each trial ended (see Stopwatch)."""
    with tempfile.TemporaryDirectory() as folder:
        Store.open(folder, create=True)
        watcher, engine = Stopwatch(), choose_engine("jit")[0]
        store = Trained(Path(folder))
        search(
            quest(load("mnist-8k")),
            store=store,
            engine=engine,
            storage=storage,
            n_trials=n_trials,
            jobs=1,
            max_s=max_s,
            watcher=watcher,
        )
        return watcher.ends


def grown(storage: str, n_trials: int) -> None:
    """Copy a study's finished trials, under numbers of their own, until there are so many."""
    import optuna

    study = study_at(storage)
    there = study.get_trials(deepcopy=False)
    finished = [each for each in there if each.state.name in ("COMPLETE", "PRUNED")]
    for number in range(len(there), n_trials):
        each = finished[number % len(finished)]
        about = each.user_attrs | {"number": number, "sha256 of number": checksum(number)}
        copied = {"params": each.params, "distributions": each.distributions, "user_attrs": about}
        scores = {"value": each.value if each.values else None, "intermediate_values": each.intermediate_values}
        study.add_trial(optuna.trial.create_trial(state=each.state, **copied, **scores))
    study.set_user_attr("every attribute has a checksum", max(len(there), n_trials))


def study_at(storage: str) -> "Study":
    import optuna

    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def n_in(storage: str) -> int:
    """Trials of the study; 0 if there is none yet."""
    import optuna

    return len(study_at(storage).get_trials(deepcopy=False)) if optuna.get_all_study_names(storage) else 0


def of_search(storage: str) -> None:
    """A study that has some trials already goes on from there."""
    print("| trials, from to | processes | CPU s a trial | s a trial of a process | s in all |\n|---|---|---|---|---|")
    if n_in(storage) < N_PROPOSED:
        measured(storage, N_PROPOSED)
    for n_trials in N_TRIALS:
        if n_in(storage) < n_trials:
            grown(storage, n_trials)
            measured(storage, n_trials + N_MORE)
    measured(storage, N_IN_ALL, n_processes=N_PROCESSES)


def measured(storage: str, n_trials: int, *, n_processes: int = 1) -> None:
    """A row about the trials until there are ``n_trials``, or as many as MOST_S seconds allow."""
    before, began = n_in(storage), time.perf_counter()
    with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(searched, *([each] * n_processes for each in (storage, n_trials, MOST_S))))
    elapsed, ended = time.perf_counter() - began, [ends for ends in found if len(ends) > 1]
    n_ended = sum(len(ends) - 1 for ends in ended)
    passed, cpu = (sum(each[-1][k] - each[0][k] for each in ended) / max(n_ended, 1) for k in (0, 1))
    row = f"{before:,} to {before + n_ended:,} | {n_processes} | {cpu:.2f} | {passed:.2f} | {elapsed:.0f}"
    print(f"| {row} |", flush=True)


def of_machines() -> None:
    """Tiny runs, so that what is around a training is seen: as one piece each, and with a piece for each epoch."""
    images = data.load("mnist")
    print(
        "| place, jobs | pieces a run | s | driver's CPU s | ... a run | KB sent a run | KB back a run |"
        "\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        ladder = tall_ladder(Path(folder), n_rungs=1, source=str(part_of(images, 2_500, Path(folder))))
        of_pieces: dict[str, list[Cost]] = {}
        for on, jobs in MACHINES:
            cost = places.measured(on, ladder=str(ladder), n_seeds=N_TINY, jobs=jobs, epochs=N_TINY_EPOCHS)
            of_pieces.setdefault(f"{on.partition(':')[0]}, {jobs}", []).append(cost)
            n = cost.n_runs
            of_each = f"{cost.cpu_s / n:.3f} | {cost.n_sent / n / 1e3:.1f} | {cost.n_back / n / 1e3:.1f}"
            print(
                f"| {on.partition(':')[0]}, {jobs} | {cost.n_pieces / n:g} | {cost.elapsed_s:.1f} | {cost.cpu_s:.2f} |"
                f" {of_each} |",
                flush=True,
            )
    for name, costs in of_pieces.items():
        if len(costs) > 1:
            whole, by_epoch = costs
            per_piece = (by_epoch.cpu_s - whole.cpu_s) / (by_epoch.n_pieces - whole.n_pieces)
            print(
                f"\n{name}: {1e3 * per_piece:.1f} ms of the driver's CPU for each further piece of a run: with pieces"
            )
            print(f"of {PIECE_S:g} s, one core of it is busy with {PIECE_S / per_piece:,.0f} workers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["store", "training", "machines", "search"])
    parser.add_argument("--keep", type=Path, help="a folder for the stores, which are made if they are not there")
    parser.add_argument("--before", type=Path, help="of the store: the modules of an earlier version, to compare with")
    parser.add_argument("--storage", help="of the search: an empty database, as an SQLAlchemy URL")
    asked = parser.parse_args()
    heading()
    if asked.what == "store":
        of_store(asked.keep, asked.before)
    elif asked.what == "training":
        of_training()
    elif asked.what == "machines":
        of_machines()
    else:
        of_search(asked.storage or parser.error("search needs --storage"))


if __name__ == "__main__":
    main()
