"""A trained network in plain numpy: what every layer gives, and what in an image moves it.

Dropout does nothing here and batch norm uses its running statistics: this is the network that is evaluated.
How an operation or a step computes stands in its file in ``ops``; here is how they make a network.

Letters in shapes: N images, C channels, H x W pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.networks.geometry import LayerGeometry, Network
from stepladder.networks.ops.op import Window
from stepladder.networks.sides import joined

Values = NDArray[np.floating[Any]]
Weights = Mapping[str, NDArray[Any]]


def normalised(
    images: NDArray[np.uint8],
    *,
    pixel_mean: NDArray[np.float64],
    pixel_std: NDArray[np.float64],
    dtype: type[np.floating[Any]] = np.float32,
) -> Values:
    """Images (N, C, H, W) as the engines feed them to a network; mean and std (C,) as in data.Splits."""
    scale, offset = 1 / (255 * pixel_std), -pixel_mean / pixel_std
    return images.astype(dtype) * scale.astype(dtype)[:, None, None] + offset.astype(dtype)[:, None, None]


@dataclass(frozen=True, eq=False)
class Trace:
    """A forward pass, with what the backward pass needs.

    ``values[k]`` are what layer k took in, what its operation gave and what each of its steps gave, (N, C, H, W) each;
    ``weights`` are of the same dtype.
    """

    network: Network
    weights: Weights
    values: tuple[tuple[Values, ...], ...]

    @property
    def activations(self) -> list[Values]:
        """What each layer gives after its steps, (N, C, H, W)."""
        return [values[-1] for values in self.values]

    @property
    def logits(self) -> Values:
        """The network's answers (N, n_classes)."""
        return self.values[-1][-1][:, :, 0, 0]


def trace(network: Network, weights: Weights, *, x: Values) -> Trace:
    """Run normalised images (N, C, H, W) through a network, in the dtype of ``x``.

    ``weights`` are parameters and statistics by name, as Store.weights gives them.
    """
    weights = {name: array.astype(x.dtype, copy=False) for name, array in weights.items()}
    layers: list[tuple[Values, ...]] = []
    for row in network.rows:
        arrays = arrays_of(row.index, weights)
        values = [x, row.layer.forward(x, arrays, row.window)]
        if row.added is not None:
            values[1] = values[1] + layers[row.added][-1]
        for step in row.steps:
            values.append(step.forward(values[-1], arrays))
        layers.append(tuple(values))
        x = values[-1]
    return Trace(network, weights, tuple(layers))


def activations(network: Network, weights: Weights, *, x: Values) -> list[Values]:
    """What each layer gives after its steps, (N, C, H, W); the last are the logits (N, n_classes, 1, 1). See trace."""
    return trace(network, weights, x=x).activations


def input_gradient(forward: Trace, layer: int, *, cotangent: Values) -> Values:
    """Gradient (N, C, H, W), by the normalised images, of the sum of what layer number ``layer`` gives times
    ``cotangent``, which is of the shape and dtype of what it gives. Layers count from 0.

    Of equal values in a max pool's window the first gets the gradient, and a ReLU's at 0 is 0, as in PyTorch.
    """
    gradients = {layer: cotangent}  # by what each layer gives, as far as known
    for index in reversed(range(layer + 1)):
        row, values, gradient = forward.network.rows[index], forward.values[index], gradients.pop(index)
        arrays = arrays_of(index, forward.weights)
        for step, output in zip(reversed(row.steps), reversed(values), strict=False):
            gradient = step.backward(gradient, output, arrays)
        if row.added is not None:
            gradients[row.added] = gradients.get(row.added, 0) + gradient
        below = _backward(row, gradient, values[0], arrays)
        gradients[index - 1] = gradients.get(index - 1, 0) + below
    return gradients[-1]


def _backward(row: LayerGeometry, gradient: Values, x: Values, arrays: dict[str, Any]) -> Values:
    """The gradient by what a layer's operation takes in, looking only where that by what it gives is not 0.

    A pixel in the middle of the last convolution is moved by few of the first one's: most of a way back is zeros.
    """
    window = row.window
    looked_at = [np.flatnonzero(found) for found in _moved(gradient)]  # rows and columns
    if not looked_at[0].size:
        return row.layer.backward(gradient, x, arrays, window)
    lengths = [int(each[-1] - each[0]) + 1 for each in looked_at]
    if isinstance(window.in_size, int):  # of square images a square, so that sums are added up in one order
        lengths = [max(lengths)] * 2
    given, taken = [], []
    for span, first, length in zip(window.directions, (int(each[0]) for each in looked_at), lengths, strict=True):
        start = min(first, span.out_size - length)
        begin, reach = start * span.stride - span.padding, (length - 1) * span.stride + span.kernel
        if length == span.out_size or begin < 0 or begin + reach > span.in_size:
            return row.layer.backward(gradient, x, arrays, window)
        given.append(slice(start, start + length))
        taken.append(slice(begin, begin + reach))
    below = np.zeros_like(x)
    part, size = (gradient[:, :, *given], x[:, :, *taken]), joined(*(each.stop - each.start for each in taken))
    below[:, :, *taken] = row.layer.backward(*part, arrays, Window(window.kernel, 0, window.stride, size))
    return below


def _moved(gradient: Values) -> tuple[Values, Values]:
    """Whether anything in a row, and in a column, is not 0."""
    moved = np.any(gradient, (0, 1))
    return moved.any(1), moved.any(0)


def arrays_of(index: int, weights: Weights) -> dict[str, Any]:
    """The arrays of one layer, by their names within it."""
    prefix = f"{index}."
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}
