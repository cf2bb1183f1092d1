"""Where does the time of a training step go?

``python benchmarks/step.py [LADDER [RUNG]]``: each kernel of one rung's step (default: mnist-8k, lighter) on a batch of
64 real images, in turn, several rounds in one run; medians, and beside their sum the step as it runs in training.
"""

import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median

import llvmlite
import numpy as np

from stepladder._base.machine import cpu_name
from stepladder.datasets import data
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.code.target import host
from stepladder.engines.jit.engine import JitEngine, JitModel
from stepladder.engines.jit.plan import Call
from stepladder.engines.optimizer import hidden_matrices
from stepladder.engines.optimizer import update as update_parameters
from stepladder.engines.training import PARAMETERS, initial_arrays, weight_decay
from stepladder.ladders.ladder_file import load
from stepladder.recipes.augment import Warps, draw
from stepladder.recipes.draws import generator
from stepladder.recipes.recipe import Augment
from stepladder.runs.arrays import state_names

N_ROUNDS = 9
N_CALLS = 50


def main() -> None:
    ladder, wanted = load(sys.argv[1] if len(sys.argv) > 1 else "mnist-8k"), (sys.argv[2:] or ["lighter"])[0]
    recipe = next(rung.recipe for rung in ladder.rungs if rung.name == wanted)
    splits = data.splits(data.load(ladder.data), n_dev=0)
    network = recipe.network_for(splits.image)
    model = JitEngine().model(network, recipe, splits=splits)
    model.parameters[:] = initial_arrays(network, 1)[PARAMETERS]
    model.begin_epoch(dropout_seed=1)
    indices, maps = np.arange(recipe.batch_size), None
    if recipe.augment != Augment():
        maps = Warps(draw(recipe.augment, len(indices), size=splits.image.size, rng=generator(1, 0, purpose="augment")))
    state = {name: np.zeros_like(model.parameters) for name in state_names(recipe.optimizer)}
    decay, matrices = weight_decay(network, recipe), hidden_matrices(network)

    def update() -> None:
        update_parameters(
            recipe.optimizer,
            model.parameters,
            gradients=model.gradients,
            state=state,
            decay=decay,
            matrices=matrices,
            lr=1e-9,
            step=0,
        )

    learn = model.code.function("learn")
    calls: dict[str, Callable[[], None]] = {
        "whole step, as in training": lambda: (model.learn(indices, maps), update()),  # type: ignore[func-returns-value]
        "its machine code alone": lambda: learn(model.arena.ctypes.data, model.n_blocks, model.n_blocks * LANES),
        "gather of the batch": lambda: model.gather(model.images, indices, maps),
        "optimizer (numpy)": update,
    }
    plan = model.planned.plan
    for call in [*plan.forward, *plan.backward]:
        calls.setdefault(call.kernel.name, bind(model, call))
    rounds = [{name: seconds(call) for name, call in calls.items()} for _ in range(N_ROUNDS)]
    report({name: median(each[name] for each in rounds) for name in calls}, wanted, network.macs * recipe.batch_size)


def bind(model: JitModel, call: Call) -> Callable[[], None]:
    function = model.code.function(call.kernel.name)
    addresses = [model.arena.ctypes.data + 4 * buffer.start for buffer in call.buffers]
    values = {"n_blocks": model.n_blocks, "n_images": model.n_blocks * LANES}
    integers = [values[name] for name in call.kernel.integers]
    return lambda: function(*addresses, *integers)


def seconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    for _ in range(N_CALLS):
        call()
    return (time.perf_counter() - start) / N_CALLS


def report(times: dict[str, float], rung: str, macs: int) -> None:
    print(f"{cpu_name()} as {host().cpu}, llvmlite {llvmlite.__version__}, Python {platform.python_version()}")
    print(f"rung {rung}, one core, median of {N_ROUNDS} rounds; {6e-6 * macs:.0f} MFLOP at most\n")
    whole, *_ = times.values()
    kinds: dict[str, float] = defaultdict(float)
    for name, elapsed_s in list(times.items())[2:]:
        kinds[name.rstrip("0123456789").rstrip("_").replace("_", " ")] += elapsed_s
    print("| kernels | us | share of their sum |\n|---|---|---|")
    for name, elapsed_s in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"| {name} | {1e6 * elapsed_s:.0f} | {elapsed_s / sum(kinds.values()):.1%} |")
    print(f"| sum | {1e6 * sum(kinds.values()):.0f} | |")
    for name, elapsed_s in list(times.items())[:2]:
        print(f"| {name} | {1e6 * elapsed_s:.0f} | |")
    if "-v" in sys.argv:
        for name, elapsed_s in times.items():
            print(f"{name} {1e6 * elapsed_s:.1f}")
    print(f"\n{len(times) - 2} kernels; an epoch of 60,000 images in batches of 64 at this speed: {938 * whole:.2f} s")


if __name__ == "__main__":
    main()
