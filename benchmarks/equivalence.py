"""Do both engines train the same? Final test accuracy of 8 seeds x 3 epochs with each, paired by seed.

``python benchmarks/equivalence.py [RUNG ...]``: rungs of mnist-8k (default: lighter, and rotation, with dropout and
augmentation). The engines share each seed's initial weights, order and distortions; rounding and dropout masks differ.
Prints the means, the mean difference with its 95% interval and the p-value of a paired t-test.
"""

import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import llvmlite
import numpy as np
import torch
from scipy import stats

from stepladder._base.machine import cpu_name, n_cores
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.engines.training import train
from stepladder.ladders.ladder_file import load
from stepladder.runs.run import Progress

N_SEEDS = 8
N_EPOCHS = 3


@cache
def splits() -> data.Splits:
    return data.splits(data.load("mnist"), n_dev=0)


def accuracy(rung: str, engine: str, seed: int) -> float:
    """Test accuracy after the last epoch, in percent."""
    recipe = next(each.recipe for each in load("mnist-8k").rungs if each.name == rung)
    recipe = recipe.model_copy(update={"epochs": N_EPOCHS})
    chosen, _ = choose_engine(engine, device="cpu")
    *_, last = train(chosen, recipe, splits=splits(), seed=seed, resume=Progress())
    return 100 * last.epochs[-1].n_correct / last.epochs[-1].n_evaluated


def main() -> None:
    print(
        f"{cpu_name()}; llvmlite {llvmlite.__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    )
    print(f"{N_SEEDS} seeds, {N_EPOCHS} epochs, test accuracy in %\n")
    print("| rung | jit | torch | jit - torch | 95% interval | p |\n|---|---|---|---|---|---|")
    with ProcessPoolExecutor(n_cores(), mp_context=get_context("spawn")) as pool:
        for rung in sys.argv[1:] or ("lighter", "rotation"):
            work = [(rung, engine, seed) for seed in range(1, N_SEEDS + 1) for engine in ("jit", "torch")]
            pairs = np.array(list(pool.map(accuracy, *zip(*work, strict=True)))).reshape(N_SEEDS, 2)
            test = stats.ttest_rel(pairs[:, 0], pairs[:, 1])
            low, high = test.confidence_interval()
            means, spreads = pairs.mean(0), pairs.std(0, ddof=1)
            jit, in_torch = (f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(means, spreads, strict=True))
            difference = f"{means[0] - means[1]:+.3f} | {low:+.3f} to {high:+.3f}"
            print(f"| {rung} | {jit} | {in_torch} | {difference} | {test.pvalue:.2f} |", flush=True)


if __name__ == "__main__":
    main()
