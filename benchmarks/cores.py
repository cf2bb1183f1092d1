"""Do seeds scale with cores? Images per second of one process, and of one process on every core at once.

``python benchmarks/cores.py [RUNG]``: a rung of mnist-8k (default: lighter), whole epochs as a climb trains them; each
round measures one process alone and then all at once. Also: the most memory that a process held.
"""

import platform
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from statistics import median

import llvmlite

from stepladder._base.machine import cpu_name, n_cores
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.engines.training import train
from stepladder.ladders.ladder_file import load
from stepladder.runs.run import Progress

N_ROUNDS = 5
N_EPOCHS = 3


@cache
def splits() -> data.Splits:
    return data.splits(data.load("mnist"), n_dev=0)


def images_per_s(rung: str, seed: int) -> tuple[float, float]:
    """Of whole epochs, evaluation included; and the most memory held so far, in MB."""
    recipe = next(each.recipe for each in load("mnist-8k").rungs if each.name == rung)
    recipe = recipe.model_copy(update={"epochs": N_EPOCHS})
    engine, _ = choose_engine("jit")
    epochs = train(engine, recipe, splits=splits(), seed=seed, resume=Progress())
    next(epochs)  # compiled and warm
    start = time.perf_counter()
    for _ in epochs:
        pass
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return len(splits().train) * (N_EPOCHS - 1) / (time.perf_counter() - start), memory


def main() -> None:
    rung, cores = (sys.argv[1:] or ["lighter"])[0], n_cores()
    print(f"{cpu_name()}, {cores} cores; llvmlite {llvmlite.__version__}, Python {platform.python_version()}")
    rounds: list[tuple[float, float]] = []
    memory = 0.0
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(images_per_s, [rung] * cores, range(cores)))
        for _ in range(N_ROUNDS):
            alone, _ = pool.submit(images_per_s, rung, 1).result()
            together = list(pool.map(images_per_s, [rung] * cores, range(cores)))
            memory = max(memory, *(held for _, held in together))
            rounds.append((alone, sum(speed for speed, _ in together)))
    print(f"rung {rung}, median of {N_ROUNDS} rounds\n")
    print("| processes | images per second | times one |\n|---|---|---|")
    print(f"| 1 | {median(alone for alone, _ in rounds):,.0f} | 1 |")
    ratio = median(together / alone for alone, together in rounds)
    print(f"| {cores} | {median(together for _, together in rounds):,.0f} | {ratio:.2f} |")
    print(f"\nmost memory of a process: {memory:.0f} MB")


if __name__ == "__main__":
    main()
