"""How long until a network is machine code: written from nothing, and loaded from the cache on disk?

``python benchmarks/startup.py``: the networks of mnist-8k, each round in a fresh process with an empty and then with a
filled cache; medians.
"""

import os
import platform
import subprocess
import sys
import tempfile
from statistics import median

import llvmlite

from stepladder._base.machine import cpu_name
from stepladder.ladders.ladder_file import load

N_ROUNDS = 5

SCRIPT = """
import sys, time
start = time.perf_counter()
from stepladder.engines.jit.engine import JitEngine, plan
from stepladder.ladders.ladder_file import load
from stepladder.datasets import data
imported = time.perf_counter()
recipe = load("mnist-8k").rungs[int(sys.argv[1])].recipe
splits = data.splits(data.load("mnist"), n_dev=0)
splits = data.Splits(splits.train[:1024], splits.evaluated, splits.image)
network, engine = recipe.network_for(splits.image), JitEngine()
before = time.perf_counter()
planned = plan(network, recipe, n_train=60000, target=engine.target)
planned_at = time.perf_counter()
code = engine.compiled(planned, recipe)
done = time.perf_counter()
print(imported - start, planned_at - before, done - planned_at, done - before, int(code.was_cached))
"""


def measured(rung: int, cache: str) -> list[float]:
    environment = os.environ | {"STEPLADDER_CACHE": cache}
    command = [sys.executable, "-c", SCRIPT, str(rung)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    print(f"{cpu_name()}; llvmlite {llvmlite.__version__}, Python {platform.python_version()}")
    print(f"seconds, median of {N_ROUNDS} processes\n")
    print("| rung | cache | imports | plan | machine code | plan and code |\n|---|---|---|---|---|---|")
    for rung, each in enumerate(load("mnist-8k").rungs):
        rounds: dict[str, list[list[float]]] = {"cold": [], "cached": []}
        for _ in range(N_ROUNDS):
            with tempfile.TemporaryDirectory() as cache:
                for state, wanted in (("cold", 0), ("cached", 1)):
                    rounds[state].append(measured(rung, cache))
                    assert rounds[state][-1][-1] == wanted
        for state, times in rounds.items():
            columns = " | ".join(f"{median(column):.2f}" for column in list(zip(*times, strict=True))[:4])
            print(f"| {each.name} | {state} | {columns} |")


if __name__ == "__main__":
    main()
