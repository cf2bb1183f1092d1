"""Pools over kernel x kernel windows: maximum or mean, forward and backward, of any stride and padding.

Activations are (B, C, H, W, L), see convolution. Padding counts as minus infinity for a maximum and as zeros for a
mean, as in PyTorch. Where several inputs share the maximum, the first in reading order takes the gradient.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from stepladder.engines.jit.convolution import LANES, ConvolutionShape
from stepladder.engines.jit.emit import Index, Kernel


@contextmanager
def _windows(kernel: Kernel, shape: ConvolutionShape) -> Iterator[tuple[Index, Index, Index, Index]]:
    """Every output pixel: its plane's number (block * C + channel), row, column and lane."""
    planes = kernel.argument("n_blocks") * shape.in_channels
    with (
        kernel.loop(0, planes) as plane,
        kernel.loop(0, shape.out_size) as row,
        kernel.loop(0, shape.out_size) as column,
        kernel.loop(0, LANES, kernel.width) as lane,
    ):
        yield plane, row, column, lane


@contextmanager
def _taps(kernel: Kernel, shape: ConvolutionShape, place: tuple[Index, Index, Index, Index]) -> Iterator[Index]:
    """Every input pixel of a window that lies inside the image, as its place in memory."""
    plane, row, column, lane = place
    top, left = row * shape.stride - shape.padding, column * shape.stride - shape.padding
    with (
        kernel.loop(*_range(kernel, shape, top)) as tap_row,
        kernel.loop(*_range(kernel, shape, left)) as tap_column,
    ):
        pixel = (plane * shape.in_size + top + tap_row) * shape.in_size + left + tap_column
        yield pixel * LANES + lane


def _range(kernel: Kernel, shape: ConvolutionShape, first: Index) -> tuple[Index | int, Index | int]:
    if not shape.padding:
        return 0, shape.kernel
    return (kernel.index(0) - first).at_least(0), (kernel.index(shape.in_size) - first).at_most(shape.kernel)


def _output(shape: ConvolutionShape, place: tuple[Index, Index, Index, Index]) -> Index:
    plane, row, column, lane = place
    return ((plane * shape.out_size + row) * shape.out_size + column) * LANES + lane


def max_pool(name: str, shape: ConvolutionShape, *, width: int) -> Kernel:
    """y = maximum of each window of x; NaN stays NaN."""
    kernel = Kernel(name, ["x", "y"], ["n_blocks"], width=width)
    with _windows(kernel, shape) as place:
        largest = kernel.variable(kernel.constant(float("-inf")))
        with _taps(kernel, shape, place) as at:
            value = kernel.load("x", at)
            largest.set(kernel.select("ugt", (value, largest.get()), value, largest.get()))
        kernel.store("y", _output(shape, place), largest.get())
    return kernel


def max_pool_gradient(name: str, shape: ConvolutionShape, *, width: int) -> Kernel:
    """dx += dy where x is the window's maximum; dx starts at zero."""
    kernel = Kernel(name, ["x", "y", "dy", "dx"], ["n_blocks"], width=width)
    with _windows(kernel, shape) as place:
        largest = kernel.load("y", _output(shape, place))
        left_over = kernel.variable(kernel.load("dy", _output(shape, place)))
        with _taps(kernel, shape, place) as at:
            value, gradient = kernel.load("x", at), left_over.get()
            taken = kernel.select("oeq", (value, largest), gradient, 0.0)
            left_over.set(kernel.select("oeq", (value, largest), 0.0, gradient))
            kernel.store("dx", at, kernel.load("dx", at) + taken)
    return kernel


def mean_pool(name: str, shape: ConvolutionShape, *, width: int) -> Kernel:
    """y = mean of each window of x."""
    kernel = Kernel(name, ["x", "y"], ["n_blocks"], width=width)
    with _windows(kernel, shape) as place:
        total = kernel.variable()
        with _taps(kernel, shape, place) as at:
            total.add(kernel.load("x", at))
        kernel.store("y", _output(shape, place), total.get() * (1 / shape.kernel**2))
    return kernel


def mean_pool_gradient(name: str, shape: ConvolutionShape, *, width: int) -> Kernel:
    """dx += dy / kernel**2 for every input of the window; dx starts at zero."""
    kernel = Kernel(name, ["dy", "dx"], ["n_blocks"], width=width)
    with _windows(kernel, shape) as place:
        gradient = kernel.load("dy", _output(shape, place)) * (1 / shape.kernel**2)
        with _taps(kernel, shape, place) as at:
            kernel.store("dx", at, kernel.load("dx", at) + gradient)
    return kernel
