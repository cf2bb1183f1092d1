"""Pools over windows: maximum or mean, forward and backward, of any stride and padding.

Letters as in layout. Padding counts as minus infinity for a maximum and as zeros for a mean, as in PyTorch. Where
several inputs share the maximum, the first in reading order takes the gradient.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from stepladder.engines.jit.code.emit import Index, Kernel, Variable, Vector
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.kernels.convolution import ConvolutionShape
from stepladder.engines.jit.kernels.pointwise import Apply, Line, Operation, opened, pointers_of
from stepladder.networks.sides import Span

MOST_UNROLLED = 16  # pixels of a window


def tiles_exactly(shape: ConvolutionShape) -> bool:
    """Whether every input pixel is in exactly one window: then its gradient can be stored when it is known."""
    whole = all(span.in_size % span.kernel == 0 for span in shape.directions)
    return whole and shape.stride == shape.kernel and not shape.padding


@dataclass(frozen=True)
class _Window:
    """One output pixel: its plane's number (block * C + channel), row, column, lane; and its images' number."""

    plane: Index
    row: Index
    column: Index
    lane: Index
    image: Index

    def output(self, shape: ConvolutionShape) -> Index:
        down, across = shape.directions
        return ((self.plane * down.out_size + self.row) * across.out_size + self.column) * LANES + self.lane


@contextmanager
def _lines(kernel: Kernel, shape: ConvolutionShape) -> Iterator[tuple[Index, Line]]:
    """Every block and line of output pixels."""
    with (
        kernel.loop(0, kernel.argument("n_blocks")) as block,
        kernel.loop(0, shape.in_channels) as channel,
        kernel.loop(0, shape.down.out_size) as row,
    ):
        yield block, Line(channel, row, shape.in_channels)


@contextmanager
def _windows(kernel: Kernel, shape: ConvolutionShape, block: Index, line: Line) -> Iterator[_Window]:
    """Every output pixel of a line."""
    plane = block * shape.in_channels + line.channel
    with kernel.loop(0, shape.across.out_size) as column, kernel.loop(0, LANES, kernel.width) as lane:
        yield _Window(plane, line.row, column, lane, block * LANES + lane)


def _each_input(kernel: Kernel, shape: ConvolutionShape, window: _Window, body: Callable[[Index], None]) -> None:
    """Write ``body`` for every input pixel of a window that lies inside the image, given as its place."""
    down, across = shape.directions
    top, left = window.row * down.stride - down.padding, window.column * across.stride - across.padding

    def place(tap_row: Index | int, tap_column: Index | int) -> Index:
        pixel = (window.plane * down.in_size + top + tap_row) * across.in_size + left + tap_column
        return pixel * LANES + window.lane

    if not shape.padding and shape.n_taps <= MOST_UNROLLED:
        for tap in range(shape.n_taps):
            body(place(tap // across.kernel, tap % across.kernel))
        return
    with (
        kernel.loop(*_range(kernel, down, top)) as tap_row,
        kernel.loop(*_range(kernel, across, left)) as tap_column,
    ):
        body(place(tap_row, tap_column))


def _range(kernel: Kernel, span: Span, first: Index) -> tuple[Index | int, Index | int]:
    if not span.padding:
        return 0, span.kernel
    return (kernel.index(0) - first).at_least(0), (kernel.index(span.in_size) - first).at_most(span.kernel)


def max_pool(name: str, shape: ConvolutionShape, *, width: int, scaled: bool = False) -> Kernel:
    """y = maximum of each window of x; NaN stays NaN.

    If ``scaled``, x is still to be multiplied by ``a`` (C) of its channel: where that is negative, y is the minimum.
    """
    kernel = Kernel(name, ["x", *(["a"] if scaled else []), "y"], ["n_blocks"], width=width)
    with _lines(kernel, shape) as (block, line):
        sign = kernel.constant(1.0)
        if scaled:
            a = kernel.load("a", line.channel, width=1)
            sign = kernel.spread(kernel.select("olt", (a, 0.0), -1.0, kernel.constant(1.0, 1)))
        with _windows(kernel, shape, block, line) as window:
            largest = kernel.variable(kernel.constant(float("-inf")))

            def larger(at: Index, largest: Variable = largest, sign: Vector = sign) -> None:
                value = kernel.load("x", at) * sign if scaled else kernel.load("x", at)
                largest.set(kernel.select("ugt", (value, largest.get()), value, largest.get()))

            _each_input(kernel, shape, window, larger)
            kernel.store("y", window.output(shape), largest.get() * sign if scaled else largest.get())
    return kernel


def mean_pool(name: str, shape: ConvolutionShape, *, width: int) -> Kernel:
    """y = mean of each window of x."""
    kernel = Kernel(name, ["x", "y"], ["n_blocks"], width=width)
    with _lines(kernel, shape) as (block, line), _windows(kernel, shape, block, line) as window:
        total = kernel.variable()
        _each_input(kernel, shape, window, lambda at: total.add(kernel.load("x", at)))
        kernel.store("y", window.output(shape), total.get() * (1 / shape.n_taps))
    return kernel


def max_pool_gradient(
    name: str, shape: ConvolutionShape, *, width: int, operations: Sequence[Operation] = ()
) -> Kernel:
    """The gradient goes to each window's maximum.

    Pointers: x, y, dy, dx. Where windows tile the input exactly, dx = operations(gradient); else dx += gradient and
    there are no operations.
    """
    kernel = Kernel(name, ["x", "y", "dy", "dx", *pointers_of(operations)], ["n_blocks"], width=width)

    def write(window: _Window, put: "_Put") -> None:
        largest = kernel.load("y", window.output(shape))
        left_over = kernel.variable(kernel.load("dy", window.output(shape)))

        def take(at: Index) -> None:
            value, gradient = kernel.load("x", at), left_over.get()
            taken = kernel.select("oeq", (value, largest), gradient, 0.0)
            left_over.set(kernel.select("oeq", (value, largest), 0.0, gradient))
            put(at, taken)

        _each_input(kernel, shape, window, take)

    _write_gradient(kernel, shape, operations, write)
    return kernel


def mean_pool_gradient(
    name: str, shape: ConvolutionShape, *, width: int, operations: Sequence[Operation] = ()
) -> Kernel:
    """dy / the kernel's size goes to every input of the window; pointers dy, dx; otherwise as max_pool_gradient."""
    kernel = Kernel(name, ["dy", "dx", *pointers_of(operations)], ["n_blocks"], width=width)

    def write(window: _Window, put: "_Put") -> None:
        gradient = kernel.load("dy", window.output(shape)) * (1 / shape.n_taps)
        _each_input(kernel, shape, window, lambda at: put(at, gradient))

    _write_gradient(kernel, shape, operations, write)
    return kernel


_Put = Callable[[Index, Vector], None]


def _write_gradient(
    kernel: Kernel,
    shape: ConvolutionShape,
    operations: Sequence[Operation],
    write: Callable[[_Window, _Put], None],
) -> None:
    """Every window's gradients, stored through the operations if each pixel gets just one, else added up."""
    exact = tiles_exactly(shape)
    assert exact or not operations
    with (
        _lines(kernel, shape) as (block, line),
        opened(kernel, operations, line) as apply,
        _windows(kernel, shape, block, line) as window,
    ):
        write(window, _stored(kernel, apply, window) if exact else _added(kernel))


def _stored(kernel: Kernel, apply: Apply, window: _Window) -> _Put:
    return lambda at, value: kernel.store("dx", at, apply(value, at, window.image))


def _added(kernel: Kernel) -> _Put:
    return lambda at, value: kernel.store("dx", at, kernel.load("dx", at) + value)
