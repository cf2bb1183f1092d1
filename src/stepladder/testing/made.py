"""What the suites try engines with: images, networks of every operation, and a training step by the definition.

All in float64 and numpy, slow and plain: an engine is held against this.
"""

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import Labelled
from stepladder.engines.training import initial_arrays
from stepladder.engines.training import weights as by_name
from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.ops import LAYERS, STEPS, Layer
from stepladder.networks.reference import arrays_of
from stepladder.networks.text import parse

Doubles = NDArray[np.floating[Any]]
Weights = Mapping[str, Doubles]

IMAGE = ImageShape(channels=2, size=8, n_classes=10)
N_TRAIN, N_EVALUATED = 40, 23  # no multiples of any batch


def splits(seed: int = 1) -> Splits:
    """Noise, brighter in a place of its own for each class; training images are every other one of what is stored."""
    rng, n = np.random.default_rng(seed), 2 * N_TRAIN + N_EVALUATED
    labels = np.arange(n) % IMAGE.n_classes
    images = rng.integers(0, 160, (n, IMAGE.channels, IMAGE.height, IMAGE.width))
    for label in range(IMAGE.n_classes):
        images[labels == label, label % 2, label // 2 : label // 2 + 4, 1:6] += 90
    rows = np.arange(0, 2 * N_TRAIN, 2)
    labels[rows] = np.arange(N_TRAIN) % IMAGE.n_classes
    labelled = Labelled(images.astype(np.uint8), labels.astype(np.int64))
    return Splits(labelled[: 2 * N_TRAIN].chosen(rows), labelled[2 * N_TRAIN :], IMAGE)


def layers_with(kind: type[Layer]) -> tuple[str, ...]:
    """The texts of a small network that has a layer of this kind."""
    text = kind.example or kind.word
    between = ("conv 4 pad 1 bare",) * 2 if parse(text).added(9) is not None else ()
    return ("conv 4 1x1 bare", *between, text, "gap", "linear 10")


NETWORKS: dict[str, tuple[str, ...]] = {
    **{word: layers_with(kind) for word, kind in LAYERS.items()},
    **{
        text: (f"conv 4 bias block conv {text}", "gap", "linear 10")
        for step in STEPS.values()
        for text in step.examples
    },
    "strides and padding": ("conv 6 stride 2 pad 1 bare", "conv 5 2x2 bias bare", "linear 12", "linear 10 nobias"),
    "windows of two numbers": ("conv 6 3x2 stride 2x1 pad 1x0 bare", "maxpool 1x2", "avgpool 3x2 pad 1x0", "linear 10"),
}
"""By what they are about: each layer and each step in each of its forms."""


def some_weights(network: Network, seed: int = 3) -> dict[str, NDArray[np.float32]]:
    """Parameters and statistics by name, such as a training could have come to."""
    rng, made = np.random.default_rng(seed), {}
    for name, array in by_name(network, initial_arrays(network, seed)).items():
        moved = rng.uniform(0.5, 2, array.shape) if name.endswith("var") else array + rng.normal(0, 0.1, array.shape)
        made[name] = moved.astype(np.float32)
    return made


def flat(network: Network, weights: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The parameters one after another."""
    return np.concatenate([weights[name].ravel() for name in network.parameter_shapes])


def in_training(network: Network, weights: Weights, x: Doubles) -> tuple[Doubles, dict[str, Doubles]]:
    """The logits (N, n_classes) of a batch of normalised images (N, C, H, W) as it is learned, without dropout.

    And the means and variances of the batch, by the names of ``Network.statistic_shapes``: what it is normalised by.
    """
    outputs: list[Any] = []
    seen: dict[str, Doubles] = {}
    for row in network.rows:
        arrays = arrays_of(row.index, weights)
        x = row.layer.forward(x, arrays, row.window)
        if row.added is not None:
            x = x + outputs[row.added]
        for step in row.steps:
            for name in step.statistics(row.out_channels):
                arrays[name] = x.mean((0, 2, 3)) if name.endswith("mean") else x.var((0, 2, 3))
                seen[f"{row.index}.{name}"] = arrays[name]
            x = step.forward(x, arrays)
        outputs.append(x)
    return x[:, :, 0, 0], seen


def mean_loss(logits: Doubles, targets: Doubles) -> float:
    """The mean cross-entropy of answers (N, n_classes) to probabilities (N, n_classes), in nats."""
    shifted = logits - logits.max(1, keepdims=True)
    return float(-(targets * (shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))).sum(1).mean())


def smoothed(labels: NDArray[np.int64], smoothing: float) -> Doubles:
    """The probabilities (N, n_classes) that labels (N,) stand for."""
    return np.eye(IMAGE.n_classes)[labels] * (1 - smoothing) + smoothing / IMAGE.n_classes


SMALL = 1e-5  # what a parameter is moved by


def slopes(network: Network, weights: Weights, loss: Callable[[Weights], float]) -> Iterator[tuple[str, int, float]]:
    """The gradient of a loss by some numbers of each parameter, by differences: its name, which number, the slope."""
    rng = np.random.default_rng(7)
    for name, shape in network.parameter_shapes.items():
        for at in sorted(rng.choice(prod(shape), min(10, prod(shape)), replace=False).tolist()):
            above, below = (loss(_moved(weights, name, at, side * SMALL)) for side in (1, -1))
            yield name, at, (above - below) / (2 * SMALL)


def _moved(weights: Weights, name: str, at: int, by: float) -> Weights:
    moved = weights[name].copy()
    moved.reshape(-1)[at] += by
    return {**weights, name: moved}
