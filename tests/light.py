"""What tests of the JIT engine share with processes that they start: without torch, which takes seconds to import."""

import numpy as np

from stepladder.datasets import data
from stepladder.datasets.image_set import Labelled
from stepladder.engines.jit.code import object_cache
from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.code.machine_code import MachineCode
from stepladder.engines.jit.code.memory import aligned
from stepladder.engines.jit.code.target import host
from stepladder.engines.jit.engine import JitEngine
from stepladder.engines.training import train
from stepladder.networks.geometry import ImageShape
from stepladder.networks.sides import Sides, pair
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import Progress

__all__ = [
    "CACHED",
    "JitEngine",
    "MachineCode",
    "Progress",
    "Recipe",
    "doubled",
    "doubling",
    "host",
    "object_cache",
    "small",
    "train",
]

CACHED = ["conv 5", "maxpool 2", "gap", "linear 10"]


def small(n: int, channels: int, size: Sides) -> data.Splits:
    """Every other pixel of the middle of real digits; further channels see them moved."""
    images = data.load("mnist").train.images[: 2 * n, :, 4:24, 4:24]
    height, width = pair(size)
    top = 0 if height > 4 else 5  # of few rows, some with ink
    moved = np.concatenate([np.roll(images, k, 3) for k in range(channels)], axis=1)[:, :, ::2, ::2]
    moved = moved[:, :, top : top + height, :width]
    labelled = Labelled(np.ascontiguousarray(moved), data.load("mnist").train.labels[: 2 * n])
    return data.Splits(labelled[:n], labelled[n:], ImageShape(channels, size, 10))


def doubling(factor: float = 2.0) -> Kernel:
    kernel = Kernel("k", ["x"], ["n"], width=4)
    with kernel.loop(0, kernel.argument("n"), 4) as at:
        kernel.store("x", at, kernel.load("x", at) * factor)
    return kernel


def doubled(code: MachineCode) -> float:
    x = aligned(8)
    x[:] = 3.0
    code.call("k", x, n=8)
    return float(x[7])
