"""A trained network in plain numpy: what every layer gives, and what in an image moves it.

Dropout does nothing here and batch norm uses its running statistics: this is the network that is evaluated.
Every operation looks at its input through windows of kernel x kernel pixels; a linear layer and a global average
pool have one window, the whole input. A squeeze-excite stands apart.

Letters in shapes: N images, C channels, H = W = size pixels, K = kernel * kernel taps, P = output pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stepladder.networks.geometry import NORM_EPSILON, LayerGeometry, Network
from stepladder.networks.layers import Conv, Depthwise, Linear, MaxPool, SqueezeExcite

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
    """A forward pass, as the way back needs it.

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
        values = [x, _operated(row, weights, x=x)]
        if row.added is not None:
            values[1] = values[1] + layers[row.added][-1]
        for step in row.steps:
            values.append(_stepped(step, row.index, weights=weights, x=values[-1]))
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
        for step, output in zip(reversed(row.steps), reversed(values), strict=False):
            gradient = _step_back(step, index, weights=forward.weights, output=output, gradient=gradient)
        if row.added is not None:
            gradients[row.added] = gradients.get(row.added, 0) + gradient
        below = _operation_back(row, forward.weights, x=values[0], gradient=gradient)
        gradients[index - 1] = gradients.get(index - 1, 0) + below
    return gradients[-1]


def _stepped(step: str, index: int, *, weights: Weights, x: Values) -> Values:
    match step:
        case "relu":
            return np.maximum(x, 0)
        case "norm":
            mean, shift = weights[f"{index}.norm.running_mean"], weights[f"{index}.norm.bias"]
            centred = x - mean[:, None, None]
            return centred * _norm_scale(index, weights)[:, None, None] + shift[:, None, None]
        case _:
            return x


def _step_back(step: str, index: int, *, weights: Weights, output: Values, gradient: Values) -> Values:
    match step:
        case "relu":
            return gradient * (output > 0)
        case "norm":
            return gradient * _norm_scale(index, weights)[:, None, None]
        case _:
            return gradient


def _norm_scale(index: int, weights: Weights) -> Values:
    """What batch norm multiplies each channel by, (C,)."""
    spread: Values = np.sqrt(weights[f"{index}.norm.running_var"] + NORM_EPSILON)
    return weights.get(f"{index}.norm.weight", np.ones_like(spread)) / spread


def _operated(row: LayerGeometry, weights: Weights, *, x: Values) -> Values:
    """The operation of one layer, without its steps: (N, C, H, W) -> (N, C', H', W'). A residual's gives its input."""
    if isinstance(row.layer, SqueezeExcite):
        return x * _gate(row, weights, x=x)[1][:, :, None, None]
    columns = _columns(row, x)
    n, channels, n_taps, _ = columns.shape
    y: Values
    match row.layer:
        case Conv() | Linear():
            weight = weights[f"{row.index}.weight"].reshape(row.out_channels, -1)
            y = weight @ columns.reshape(n, channels * n_taps, -1)
        case Depthwise():
            y = weights[f"{row.index}.weight"].reshape(channels, 1, n_taps) @ columns
        case MaxPool():
            y = columns.max(2)
        case _:
            y = columns.mean(2)
    y = y.reshape(n, row.out_channels, row.out_size, row.out_size)
    bias = weights.get(f"{row.index}.bias")
    return y if bias is None else y + bias[:, None, None]


def _operation_back(row: LayerGeometry, weights: Weights, *, x: Values, gradient: Values) -> Values:
    """From the gradient by what an operation gave to that by what it took in, ``x``."""
    if isinstance(row.layer, SqueezeExcite):
        return _gate_back(row, weights, x=x, gradient=gradient)
    n, channels = x.shape[:2]
    shape = (n, channels, row.kernel**2, row.out_size**2)
    columns: Values
    match row.layer:
        case Conv() | Linear():
            weight = weights[f"{row.index}.weight"].reshape(row.out_channels, -1)
            columns = (weight.T @ gradient.reshape(n, row.out_channels, -1)).reshape(shape)
        case Depthwise():
            columns = weights[f"{row.index}.weight"].reshape(channels, -1, 1) * gradient.reshape(n, channels, 1, -1)
        case MaxPool():
            columns = np.zeros(shape, gradient.dtype)
            first = _columns(row, x).argmax(2)[:, :, None]
            np.put_along_axis(columns, first, gradient.reshape(n, channels, 1, -1), axis=2)
        case _:
            columns = np.broadcast_to(gradient.reshape(n, channels, 1, -1) / row.kernel**2, shape)
    return _scattered(row, columns)


def _gate(row: LayerGeometry, weights: Weights, *, x: Values) -> tuple[Values, Values]:
    """What a squeeze-excite reduces the means of ``x`` to (N, R), and what it multiplies channels by (N, C)."""
    reduce, expand = (weights[f"{row.index}.{part}.weight"].T for part in ("reduce", "expand"))
    reduced: Values = np.maximum(x.mean((2, 3)) @ reduce + weights[f"{row.index}.reduce.bias"], 0)
    logits = reduced @ expand + weights[f"{row.index}.expand.bias"]
    return reduced, (1 + np.tanh(logits / 2)) / 2  # the sigmoid, without a power that overflows


def _gate_back(row: LayerGeometry, weights: Weights, *, x: Values, gradient: Values) -> Values:
    """The gradient by what a squeeze-excite took in: what goes around its gate, and what goes through its means."""
    reduced, gate = _gate(row, weights, x=x)
    by_logits = (gradient * x).sum((2, 3)) * gate * (1 - gate)
    by_reduced = by_logits @ weights[f"{row.index}.expand.weight"] * (reduced > 0)
    by_means: Values = by_reduced @ weights[f"{row.index}.reduce.weight"]
    return gradient * gate[:, :, None, None] + by_means[:, :, None, None] / row.in_size**2


def _columns(row: LayerGeometry, x: Values) -> Values:
    """The window of every output pixel: (N, C, H, W) -> (N, C, K, P)."""
    padding, stride = row.padding, row.stride
    if padding:
        outside = -np.inf if isinstance(row.layer, MaxPool) else 0.0
        x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=outside)
    windows = sliding_window_view(x, (row.kernel, row.kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(*x.shape[:2], row.kernel**2, row.out_size**2)


def _scattered(row: LayerGeometry, columns: Values) -> Values:
    """Sum what windows (N, C, K, P) say of each pixel of the image they look at: (N, C, H, W)."""
    n, channels = columns.shape[:2]
    padded_size, reach = row.in_size + 2 * row.padding, row.stride * row.out_size
    x = np.zeros((n, channels, padded_size, padded_size), columns.dtype)
    taps = columns.reshape(n, channels, row.kernel, row.kernel, row.out_size, row.out_size)
    for i, j in np.ndindex(row.kernel, row.kernel):
        x[:, :, i : i + reach : row.stride, j : j + reach : row.stride] += taps[:, :, i, j]
    inside = slice(row.padding, row.padding + row.in_size)
    return x[:, :, inside, inside]
