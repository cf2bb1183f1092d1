"""Windows over the pixels of maps, as numpy arrays: how operations that have windows look at their input.

Letters in shapes: N images, C channels, H = W = size pixels, K = kernel * kernel taps, P = output pixels.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stepladder.networks.ops.op import Window

Values = NDArray[np.floating[Any]]


def columns(x: Values, window: Window, *, outside: float = 0.0) -> Values:
    """What each output pixel looks at, padding as ``outside``: (N, C, H, W) -> (N, C, K, P)."""
    padding, stride = window.padding, window.stride
    if padding:
        x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=outside)
    windows = sliding_window_view(x, (window.kernel, window.kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(*x.shape[:2], window.kernel**2, window.out_size**2)


def mapped(y: Values, window: Window) -> Values:
    """Values of output pixels as maps: (N, C, P) -> (N, C, H, W)."""
    return y.reshape(*y.shape[:2], window.out_size, window.out_size)


def scattered(columns: Values, window: Window) -> Values:
    """Sum what windows (N, C, K, P) say of each pixel that they look at: (N, C, H, W)."""
    n, channels = columns.shape[:2]
    padded_size, reach = window.in_size + 2 * window.padding, window.stride * window.out_size
    x = np.zeros((n, channels, padded_size, padded_size), columns.dtype)
    taps = columns.reshape(n, channels, window.kernel, window.kernel, window.out_size, window.out_size)
    for i, j in np.ndindex(window.kernel, window.kernel):
        x[:, :, i : i + reach : window.stride, j : j + reach : window.stride] += taps[:, :, i, j]
    inside = slice(window.padding, window.padding + window.in_size)
    return x[:, :, inside, inside]


def of_largest(columns: Values, gradient: Values) -> Values:
    """The gradient (N, C, P) at the largest of each window's values (N, C, K, P), the first of equal ones; else 0."""
    spread = np.zeros(columns.shape, gradient.dtype)
    np.put_along_axis(spread, columns.argmax(2)[:, :, None], gradient[:, :, None], axis=2)
    return spread
