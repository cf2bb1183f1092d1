"""How long does an epoch take beside PyTorch's and others'?

``python benchmarks/epoch.py [RUNG ...]``: rungs of mnist-8k (default: lighter, the 7,826-parameter network, then
receptive-field), batches of 64 real images, one core unless said otherwise. Each peer trains as its users write it, and
they take turns in one run: medians, and ratios to torch eager with one thread. Peers that are not installed are left
out; torch.compile needs a C++ compiler. PyTorch is shown with its defaults and with its best settings for a CPU.
``--keep FILE`` writes all rounds as JSON: README's numbers are those of docs/results/epoch.json.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder._base.files import write_atomically
from stepladder._base.machine import cpu_name
from stepladder.datasets import data
from stepladder.engines import Engine, choose_engine
from stepladder.engines.optimizer import hidden_matrices, update
from stepladder.engines.torch.images import warp
from stepladder.engines.training import PARAMETERS, initial_arrays, weight_decay
from stepladder.ladders.ladder_file import load
from stepladder.networks.ops import Conv, GlobalAvgPool, Layer, Linear, MaxPool
from stepladder.recipes import augment
from stepladder.recipes.draws import generator
from stepladder.recipes.recipe import Augment, Recipe, Sgd
from stepladder.runs.arrays import state_names

N_ROUNDS = 5
ROUND_S = 1.5
STEPS_PER_EPOCH = 938

Step = Callable[[int], None]


def batches(recipe: Recipe, n: int) -> tuple[np.ndarray, np.ndarray | None]:
    """An epoch's order and, if the recipe augments, its distortions."""
    order = generator(1, 0, purpose="order").permutation(n)
    if recipe.augment == Augment():
        return order, None
    maps = augment.draw(recipe.augment, n, size=28, rng=generator(1, 0, purpose="augment"))
    return order, augment.Warps(maps)


def ours(engine: Engine, recipe: Recipe, splits: data.Splits) -> Step:
    network = recipe.network_for(splits.image)
    model = engine.model(network, recipe, splits=splits)
    model.parameters[:] = model.to_array(initial_arrays(network, 1)[PARAMETERS])
    state = {name: model.to_array(np.zeros(network.params, np.float32)) for name in state_names(recipe.optimizer)}
    decay, matrices = model.to_array(weight_decay(network, recipe)), hidden_matrices(network)
    order, maps = batches(recipe, len(splits.train))
    model.begin_epoch(dropout_seed=1)

    def step(number: int) -> None:
        batch = slice(64 * (number % 900), 64 * (number % 900) + 64)
        model.learn(order[batch], None if maps is None else maps[batch])
        update(
            recipe.optimizer,
            model.parameters,
            gradients=model.gradients,
            state=state,
            decay=decay,
            matrices=matrices,
            lr=recipe.lr,
            step=number,
        )

    return step


def torch_modules(recipe: Recipe) -> nn.Module:
    """The rung as one writes it in PyTorch."""
    layers: list[nn.Module] = []
    channels = 1
    for layer in recipe.network:
        match layer:
            case Conv():
                layers.append(nn.Conv2d(channels, layer.out_channels, layer.kernel, padding=layer.padding, bias=False))
                channels = layer.out_channels
                if layer.block is None:
                    dropout = [nn.Dropout(recipe.dropout)] if recipe.dropout else []
                    layers += [nn.ReLU(), nn.BatchNorm2d(channels), *dropout]
            case MaxPool():
                layers.append(nn.MaxPool2d(layer.kernel))
            case GlobalAvgPool():
                layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            case Linear():
                layers.append(nn.Linear(channels, layer.out_features))
                channels = layer.out_features
            case _:
                raise NotImplementedError(str(layer))
    return nn.Sequential(*layers)


def in_torch(
    recipe: Recipe,
    splits: data.Splits,
    *,
    threads: int = 1,
    compiled: bool = False,
    channels_last: bool = False,
    bfloat16: bool = False,
) -> Step:
    """``channels_last`` and ``bfloat16`` (autocast, weights stay float32) are what PyTorch's guides advise on a CPU."""
    modules = torch_modules(recipe)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    modules = modules.to(memory_format=layout)  # type: ignore[call-overload]
    forward = torch.compile(modules) if compiled else modules
    assert isinstance(recipe.optimizer, Sgd)
    optimizer = torch.optim.SGD(modules.parameters(), lr=recipe.lr, momentum=recipe.optimizer.momentum)
    pixels = torch.tensor(splits.train.images).float()
    labels = torch.tensor(splits.train.labels)
    order, maps = batches(recipe, len(splits.train))

    def step(number: int) -> None:
        torch.set_num_threads(threads)
        batch = slice(64 * (number % 900), 64 * (number % 900) + 64)
        chosen = torch.from_numpy(order[batch])
        images: Tensor = pixels[chosen]
        if maps is not None:
            images = warp(images, maps[batch])
        images = ((images / 255 - 0.1307) / 0.3081).contiguous(memory_format=layout)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = F.cross_entropy(forward(images), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def jax_parameters(recipe: Recipe) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(0)
    weights: list[list[np.ndarray]] = []
    channels = 1
    for layer in recipe.network:
        weights.append([])
        if isinstance(layer, Conv):
            shape = (layer.out_channels, channels, layer.kernel, layer.kernel)
            weights[-1] = [rng.uniform(-0.1, 0.1, shape), np.ones(shape[0]), np.zeros(shape[0])]
        elif isinstance(layer, Linear):
            shape = (channels, layer.out_features)
            weights[-1] = [rng.uniform(-0.1, 0.1, shape), np.zeros(layer.out_features)]
        channels = len(weights[-1][-1]) if weights[-1] else channels
    return weights


def jax_layer(layer: Layer, own: list[Any], x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    match layer:
        case Conv():
            x = jax.lax.conv(x, own[0], (1, 1), "SAME" if layer.padding else "VALID")
            if layer.block is None:
                x = jax.nn.relu(x)
                mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
                x = (x - mean) * jax.lax.rsqrt(var + 1e-5) * own[1][:, None, None] + own[2][:, None, None]
            return x
        case MaxPool():
            return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        case GlobalAvgPool():
            return x.mean((2, 3))
        case _:
            return x @ own[0] + own[1]


def in_jax(recipe: Recipe, splits: data.Splits) -> Step:
    """Without dropout, augmentation and running statistics."""
    import jax
    import jax.numpy as jnp

    parameters = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), jax_parameters(recipe))
    velocity = jax.tree.map(jnp.zeros_like, parameters)

    def loss_of(parameters: Any, x: Any, labels: Any) -> Any:
        for layer, own in zip(recipe.network, parameters, strict=True):
            x = jax_layer(layer, own, x)
        return -jax.nn.log_softmax(x)[jnp.arange(len(labels)), labels].mean()

    @jax.jit
    def train_step(parameters: Any, velocity: Any, x: Any, labels: Any) -> Any:
        gradients = jax.grad(loss_of)(parameters, x, labels)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
        return jax.tree.map(lambda p, v: p - recipe.lr * v, parameters, velocity), velocity

    pixels = ((splits.train.images / np.float32(255) - 0.1307) / 0.3081).astype(np.float32)
    order, _ = batches(recipe, len(splits.train))
    state = [parameters, velocity]

    def step(number: int) -> None:
        chosen = order[64 * (number % 900) : 64 * (number % 900) + 64]
        state[:] = train_step(*state, pixels[chosen], splits.train.labels[chosen])
        jax.block_until_ready(state[0])

    return step


def peers(recipe: Recipe, splits: data.Splits) -> dict[str, Step]:
    jit, _ = choose_engine("jit")
    found = {
        "torch eager, 1 thread": in_torch(recipe, splits),
        "stepladder jit": ours(jit, recipe, splits),
        "stepladder --engine torch": ours(choose_engine("torch", device="cpu")[0], recipe, splits),
        "torch eager, 2 threads": in_torch(recipe, splits, threads=2),
        "torch eager, channels_last": in_torch(recipe, splits, channels_last=True),
        "torch eager, channels_last, bfloat16": in_torch(recipe, splits, channels_last=True, bfloat16=True),
    }
    plain = not recipe.dropout and recipe.augment == Augment()
    optional: dict[str, Callable[[], Step]] = {
        "torch.compile, 1 thread": lambda: in_torch(recipe, splits, compiled=True),
        **({"JAX, 1 thread": lambda: in_jax(recipe, splits)} if plain else {}),
    }
    for name, make in optional.items():
        start = time.perf_counter()
        try:
            step = make()
            step(0)
        except Exception as error:  # a peer that does not work here is not compared
            print(f"{name}: left out ({type(error).__name__}: {str(error).splitlines()[0][:80]})")
            continue
        print(f"{name}: first step after {time.perf_counter() - start:.1f} s")
        found[name] = step
    return found


def ms_per_step(step: Step) -> float:
    n, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < ROUND_S:
        step(n)
        n += 1
    return 1e3 * elapsed / n


def compare(name: str, recipe: Recipe, splits: data.Splits) -> dict[str, list[float]]:
    """Print a table; milliseconds per step of each peer in each round."""
    network = recipe.network_for(splits.image)
    found = peers(recipe, splits)
    for step in found.values():
        step(0)
    rounds = [{peer: ms_per_step(step) for peer, step in found.items()} for _ in range(N_ROUNDS)]
    print(f"\nrung {name}, {network.params:,} parameters, batch 64, median of {N_ROUNDS} rounds\n")
    print("| trained by | ms per step | s per epoch | times torch eager, 1 thread |\n|---|---|---|---|")
    for peer in found:
        elapsed = median(each[peer] for each in rounds)
        ratio = median(each["torch eager, 1 thread"] / each[peer] for each in rounds)
        print(f"| {peer} | {elapsed:.2f} | {elapsed * STEPS_PER_EPOCH / 1e3:.2f} | {ratio:.1f} |")
    print()
    return {peer: [round(each[peer], 3) for each in rounds] for peer in found}


def main(names: list[str], keep: Path | None) -> None:
    splits = data.splits(data.load("mnist"), n_dev=0)
    jit = choose_engine("jit")[0].versions
    print(f"{cpu_name()}, {os.cpu_count()} cores; {jit}, torch {torch.__version__}, Python {platform.python_version()}")
    recipes = {rung.name: rung.recipe for rung in load("mnist-8k").rungs}
    rungs = {name: compare(name, recipes[name], splits) for name in names or ("lighter", "receptive-field")}
    if keep:
        made = {"cpu": cpu_name(), "target": jit["cpu-target"], "torch": torch.__version__, "date": str(date.today())}
        write_atomically(keep, (json.dumps(made | {"ms_per_step": rungs}, indent=1) + "\n").encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="RUNG")
    parser.add_argument("--keep", type=Path, metavar="FILE")
    options = parser.parse_args()
    main(options.names, options.keep)
