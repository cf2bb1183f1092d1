"""What does it cost to train on the workers of a Dask cluster, instead of in processes of this machine?

``python benchmarks/places.py``: a climb of 12 runs of the bottom rung of ``mnist-8k``, with two jobs, in turn on
either, there and back, and the ratio of the seconds that pass. Each climb is a process of its own with an empty store;
the clock runs from when the cluster is there (``begun_s``). ``growth.py machines`` asks the same of tiny runs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any

from stepladder._base.machine import cpu_name, n_cores
from stepladder.climbing.climbing import Task, Watchers, climb
from stepladder.engines import choose_engine
from stepladder.execution.place import Place
from stepladder.execution.places import opened
from stepladder.ladders.ladder_file import load
from stepladder.runs.run import Epoch
from stepladder.runs.store import Store

N_RUNS, N_EPOCHS, JOBS = 12, 8, 2
IN_TURN = ("local", "dask", "dask", "local")  # whatever else the machine does in the meantime, both have of it


@dataclass(frozen=True)
class Cost:
    """What a climb took. CPU seconds are those of the driver: this process, and in it a local cluster's scheduler.

    ``n_sent`` and ``n_back`` are bytes of orders and images, and of reports; ``n_pieces`` how many orders there were, 0
    where nothing is sent.
    ``n_heard``: of so many epochs the driver heard before their run had ended.
    """

    n_runs: int
    n_epochs: int
    n_heard: int
    begun_s: float
    elapsed_s: float
    cpu_s: float
    n_pieces: int
    n_sent: int
    n_back: int


class Counting(Executor):
    """An executor that counts what goes through it: texts."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.n_pieces = self.n_sent = self.n_back = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.n_pieces += 1
        self.n_sent += sum(map(len, args))
        future = self._executor.submit(fn, *args, **kwargs)
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, future: Future[Any]) -> None:
        if not future.exception():
            self.n_back += len(future.result())


class Epochs(Watchers):
    """A watcher that counts the epochs that are heard of while runs are trained."""

    def __init__(self) -> None:
        super().__init__(())
        self.n: dict[str, int] = {}

    def advanced(self, task: Task, *, epochs: Sequence[Epoch]) -> None:
        self.n[task.identity.key] = len(epochs)


def counted(at: Place) -> tuple[Place, Counting]:
    executor = Counting(at.executor)

    def spread(name: str, content: bytes) -> Future[None]:
        executor.n_sent += len(content)
        assert at.spread is not None
        return at.spread(name, content)

    return replace(at, executor=executor, spread=spread if at.spread else None), executor


def climbed(on: str, *, ladder: str, n_seeds: int, jobs: int, epochs: int) -> Cost:
    """Climb in this process, which has climbed nothing before."""
    engine, watcher, began = choose_engine("jit")[0], Epochs(), time.perf_counter()
    with TemporaryDirectory() as folder, opened(on, jobs=jobs) as found:
        at, executor = counted(found) if found else (None, None)
        start, cpu = time.perf_counter(), time.process_time()
        whole, store = load(ladder), Store.open(folder, create=True)
        bottom = whole.rungs[0]
        plan = whole.with_rungs([replace(bottom, recipe=bottom.recipe.model_copy(update={"epochs": epochs}))])
        failures = climb(
            plan, seeds=range(1, n_seeds + 1), store=store, engine=engine, jobs=jobs, executor=at, watcher=watcher
        )
        assert not failures, failures
        elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu
    return Cost(
        n_runs=n_seeds,
        n_epochs=n_seeds * epochs,
        n_heard=sum(watcher.n.values()),
        begun_s=start - began,
        elapsed_s=elapsed,
        cpu_s=cpu,
        n_pieces=executor.n_pieces if executor else 0,
        n_sent=executor.n_sent if executor else 0,
        n_back=executor.n_back if executor else 0,
    )


def measured(on: str, *, ladder: str, n_seeds: int, jobs: int, epochs: int) -> Cost:
    """The same in a process of its own."""
    asked = ["--one", on, "--ladder", ladder, "--seeds", str(n_seeds), "--jobs", str(jobs), "--epochs", str(epochs)]
    done = subprocess.run([sys.executable, __file__, *asked], stdout=subprocess.PIPE, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def in_turn(*, n_seeds: int, jobs: int, epochs: int) -> None:
    """Climbs on each place, one after the other."""
    print("| place | s | driver's CPU s | s to begin | processes running besides |")
    print("|---|---|---|---|---|")
    found: dict[str, list[float]] = {on: [] for on in IN_TURN}
    for on in IN_TURN:
        busy = os.getloadavg()[0]
        cost = measured(on, ladder="mnist-8k", n_seeds=n_seeds, jobs=jobs, epochs=epochs)
        row = f"{cost.elapsed_s:.1f} | {cost.cpu_s:.1f} | {cost.begun_s:.1f} | {busy:.1f}"
        print(f"| {on} | {row} |", flush=True)
        found[on].append(cost.elapsed_s)
    ratio = min(found["dask"]) / min(found["local"])
    print(
        f"\n{n_seeds} runs of {epochs} epochs, {jobs} jobs: on Dask {ratio:.3f} times as long, by the quicker of each"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", metavar="PLACE", help="one climb in this process; its cost as JSON")
    parser.add_argument("--ladder", default="mnist-8k", help="whose bottom rung is trained")
    parser.add_argument("--seeds", type=int, default=N_RUNS)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--epochs", type=int, default=N_EPOCHS)
    asked = parser.parse_args()
    if asked.one:
        cost = climbed(asked.one, ladder=asked.ladder, n_seeds=asked.seeds, jobs=asked.jobs, epochs=asked.epochs)
        print(json.dumps(asdict(cost)))
        return
    print(f"{cpu_name()}, {n_cores()} cores; Python {platform.python_version()}\n")
    in_turn(n_seeds=asked.seeds, jobs=asked.jobs, epochs=asked.epochs)


if __name__ == "__main__":
    main()
