"""What does training several seeds at once bring, on a GPU or on a CPU?

``python benchmarks/gpu.py [--device cpu] [--seeds 100] [--epochs 14] [--images 60000] [--steps 100]``. Three answers,
each with its device: a rung of mnist-8k with so many seeds at once, whole epochs with their evaluation, beside one seed
of the same; a network of CIFAR's size with 8 seeds at once, steps alone, beside one seed; and the convolutions of both,
forward and backward, as they are trained (grouped) and unfolded into products of matrices, which is the choice that
engines/torch/stacked_ops.py makes for all devices.

On a GPU the defaults are the aims of issue 16: 100 seeds x 14 epochs in 60 s, and 10 times the throughput of one seed.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stepladder._base.machine import cpu_name
from stepladder.datasets import data
from stepladder.engines.drawing import draw, stacked
from stepladder.engines.together import train_together
from stepladder.engines.torch.engine import TorchEngine
from stepladder.engines.training import Training, initial_arrays, train
from stepladder.ladders.ladder_file import load
from stepladder.networks.geometry import ImageShape, LayerGeometry, Network
from stepladder.networks.ops import Conv
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import Progress

N_ROUNDS = 5
CIFAR = [
    "conv 16 3x3 pad 1",
    *("conv 16 3x3 pad 1", "conv 16 3x3 pad 1", "residual 2"),
    *("conv 32 3x3 stride 2 pad 1", "conv 32 3x3 pad 1", "conv 32 3x3 pad 1", "residual 2"),
    *("conv 64 3x3 stride 2 pad 1", "conv 64 3x3 pad 1", "conv 64 3x3 pad 1", "residual 2"),
    *("gap", "linear 10"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rung", default="lighter", help="of mnist-8k")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--images", type=int, default=60_000, help="training images of MNIST")
    parser.add_argument("--cifar-seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100, help="of the network of CIFAR's size, batches of 64")
    chosen = parser.parse_args()
    engine = TorchEngine(chosen.device, together=max(chosen.seeds, chosen.cifar_seeds))
    where = torch.cuda.get_device_name() if chosen.device == "cuda" else f"one core of {cpu_name()}"
    print(f"{where}, torch {torch.__version__}, {date.today()}")
    recipe = next(each.recipe for each in load("mnist-8k").rungs if each.name == chosen.rung)
    recipe = recipe.model_copy(update={"epochs": chosen.epochs})
    mnist = data.splits(data.load("mnist"), n_dev=0)
    mnist = replace(mnist, train=mnist.train[: chosen.images])
    whole_runs(engine, recipe, mnist, n_seeds=chosen.seeds, name=f"mnist-8k, {chosen.rung}")
    cifar = Recipe.model_validate({"network": CIFAR, "epochs": 1})
    steps(engine, cifar, of_cifars_size(), n_seeds=chosen.cifar_seeds, n_steps=chosen.steps)
    for name, network, n_seeds in (
        (chosen.rung, recipe.network_for(mnist.image), chosen.seeds),
        ("CIFAR's size", cifar.network_for(ImageShape(3, 32, 10)), chosen.cifar_seeds),
    ):
        convolutions(engine, network, n_seeds=n_seeds, name=name)


def whole_runs(engine: TorchEngine, recipe: Recipe, splits: data.Splits, *, n_seeds: int, name: str) -> None:
    network = recipe.network_for(splits.image)
    fitting = engine.most_together(network, recipe, n_train=len(splits.train))
    print(
        f"\n{name}: {n_seeds:,} seeds x {recipe.epochs} epochs x {len(splits.train):,} images; {fitting:,} fit at once"
    )
    start = time.perf_counter()
    seeds = range(1, n_seeds + 1)
    for first in range(0, n_seeds, fitting):
        some = seeds[first : first + fitting]
        for _ in train_together(engine, recipe, splits=splits, seeds=some, resume=[Progress()] * len(some)):
            pass
    at_once = time.perf_counter() - start
    one = recipe.model_copy(update={"epochs": 1})
    start = time.perf_counter()
    for _ in train(engine, one, splits=splits, seed=1, resume=Progress()):
        pass
    alone = (time.perf_counter() - start) * n_seeds * recipe.epochs
    how = "one epoch of one seed, times as many"
    print(f"  at once {at_once:.1f} s; one by one {alone:.1f} s ({how}): {alone / at_once:.2f} times as fast")


def of_cifars_size() -> data.Splits:
    """50,000 images of 3 x 32 x 32 noise: what a step takes does not depend on what is seen."""
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (50_000, 3, 32, 32), np.uint8), rng.integers(0, 10, 50_000)
    part = data.Labelled(images, labels)
    return data.Splits(part, part[:100], ImageShape(3, 32, 10))


def steps(engine: TorchEngine, recipe: Recipe, splits: data.Splits, *, n_seeds: int, n_steps: int) -> None:
    network, seeds = recipe.network_for(splits.image), tuple(range(1, n_seeds + 1))
    one = Training(engine, network, recipe, splits=splits, seed=1)
    one.set_arrays(initial_arrays(network, 1))
    several = Training(engine.together(n_seeds), network, recipe, splits=splits, seed=seeds, send=engine.to_device)
    each = [initial_arrays(network, seed) for seed in seeds]
    several.set_arrays({name: np.stack([arrays[name] for arrays in each]) for name in each[0]})
    drawn = [draw(recipe, splits, seed=seed, number=0) for seed in seeds]
    several.close()
    speeds = []
    for training, order, n in (
        (one, drawn[0].order, 1),
        (several, stacked(drawn).map(engine.to_device).order, n_seeds),
    ):
        training.model.begin_epoch(dropout_seed=1)
        batches = iter(order[..., 64 * number : 64 * number + 64] for number in range(10**6))
        run(training, batches, 3)
        start = time.perf_counter()
        run(training, batches, n_steps)
        speeds.append(n * 64 * n_steps / (time.perf_counter() - start))
    print(
        f"\nCIFAR's size, {network.params:,} parameters, {network.macs:,} multiply-adds: one seed {speeds[0]:,.0f}"
        f" images/s, {n_seeds} seeds at once {speeds[1]:,.0f}: {speeds[1] / speeds[0]:.2f}"
    )


def run(training: Training, batches: Iterator[np.ndarray], n: int) -> None:
    for _ in range(n):
        training.learn(next(batches), None)
        training.model.parameters -= 0.01 * training.model.gradients
    training.model.tally()  # waits for the device


def convolutions(engine: TorchEngine, network: Network, *, n_seeds: int, name: str) -> None:
    print(f"\nconvolutions of {name}, {n_seeds} seeds, batches of 64, both ways, ms: grouped, as matrices, ratio")
    seen = set()
    for row in network.rows:
        what = (row.in_channels, row.out_channels, row.in_size, row.kernel, row.stride, row.padding)
        if isinstance(row.layer, Conv) and what not in seen:
            seen.add(what)
            x = torch.randn(64, n_seeds * row.in_channels, row.in_size, row.in_size).to(engine.identity.device)
            weight = torch.randn(n_seeds, row.out_channels, row.in_channels, row.kernel, row.kernel).to(x)
            took = [
                1000 * seconds(way, row, x.requires_grad_(), weight.requires_grad_()) for way in (grouped, by_matrices)
            ]
            where = f"{row.layer!s:28} on {row.in_channels} x {row.in_size}"
            print(f"  {where}: {took[0]:8.2f} {took[1]:8.2f} {took[1] / took[0]:6.2f}")


def seconds(
    way: Callable[[LayerGeometry, Tensor, Tensor], Tensor], row: LayerGeometry, x: Tensor, weight: Tensor
) -> float:
    found = []
    for _ in range(N_ROUNDS):
        start = time.perf_counter()
        given = way(row, x, weight)
        torch.autograd.grad(given, [x, weight], given)[1].sum().item()
        found.append(time.perf_counter() - start)
    return median(found[1:])


def grouped(row: LayerGeometry, x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight.flatten(0, 1), None, row.stride, row.padding, groups=len(weight))


def by_matrices(row: LayerGeometry, x: Tensor, weight: Tensor) -> Tensor:
    """Unfolded to (S, C k k, n H W), times (S, C', C k k)."""
    n, n_seeds = len(x), len(weight)
    x = F.pad(x, (row.padding,) * 4).view(n, n_seeds, row.in_channels, *(2 * [row.in_size + 2 * row.padding]))
    windows = x.unfold(3, row.kernel, row.stride).unfold(4, row.kernel, row.stride)
    unfolded = windows.permute(1, 2, 5, 6, 0, 3, 4).reshape(n_seeds, -1, n * row.out_size**2)
    given = torch.bmm(weight.flatten(2), unfolded)
    return given.view(n_seeds, row.out_channels, n, row.out_size, row.out_size).permute(2, 0, 1, 3, 4).flatten(1, 2)


if __name__ == "__main__":
    main()
