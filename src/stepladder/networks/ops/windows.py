"""Windows over the pixels of maps, as numpy arrays: how operations that have windows look at their input.

Letters in shapes: N images, C channels, H x W pixels, K taps of a kernel, P output pixels.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stepladder.networks.ops.op import Window
from stepladder.networks.sides import Span, area, pair

Values = NDArray[np.floating[Any]]


def columns(x: Values, window: Window, *, outside: float = 0.0) -> Values:
    """What each output pixel looks at, padding as ``outside``: (N, C, H, W) -> (N, C, K, P)."""
    down, across = window.directions
    if window.padding:
        rim = ((0, 0), (0, 0), (down.padding,) * 2, (across.padding,) * 2)
        x = np.pad(x, rim, constant_values=outside)
    windows = sliding_window_view(x, (down.kernel, across.kernel), axis=(2, 3))
    windows = windows[:, :, :: down.stride, :: across.stride]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(*x.shape[:2], area(window.kernel), area(window.out_size))


def mapped(y: Values, window: Window) -> Values:
    """Values of output pixels as maps: (N, C, P) -> (N, C, H, W)."""
    return y.reshape(*y.shape[:2], *pair(window.out_size))


def scattered(columns: Values, window: Window) -> Values:
    """Sum what windows (N, C, K, P) say of each pixel that they look at: (N, C, H, W)."""
    n, channels = columns.shape[:2]
    spans = down, across = window.directions
    x = np.zeros((n, channels, *(span.in_size + 2 * span.padding for span in spans)), columns.dtype)
    taps = columns.reshape(n, channels, down.kernel, across.kernel, down.out_size, across.out_size)
    for i, j in np.ndindex(down.kernel, across.kernel):
        x[:, :, _every(down, i), _every(across, j)] += taps[:, :, i, j]
    rows, places = (slice(span.padding, span.padding + span.in_size) for span in spans)
    return x[:, :, rows, places]


def _every(span: Span, first: int) -> slice:
    """The pixels that tap number ``first`` of each window looks at."""
    return slice(first, first + span.stride * span.out_size, span.stride)


def of_largest(columns: Values, gradient: Values) -> Values:
    """The gradient (N, C, P) at the largest of each window's values (N, C, K, P), the first of equal ones; else 0."""
    spread = np.zeros(columns.shape, gradient.dtype)
    np.put_along_axis(spread, columns.argmax(2)[:, :, None], gradient[:, :, None], axis=2)
    return spread
