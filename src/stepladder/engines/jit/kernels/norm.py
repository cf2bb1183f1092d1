"""Batch normalisation (Ioffe & Szegedy 2015), all that is done once per channel.

Its input u becomes a u + b with a = scale / sqrt(variance + epsilon), b = shift - mean a. Its gradient needs two sums
over all m values of a channel: of the output's gradient g, and of g u. With d_scale = (sum(g u) - mean sum(g)) rstd and
d_shift = sum(g), the input's gradient is a g + slope u + offset, slope = -a rstd d_scale / m, and
offset = -a d_shift / m - mean slope.

Letters as in layout; arrays are (C) unless said otherwise; m = n_images * pixels.
"""

from stepladder.engines.jit.code.emit import Index, Kernel, Vector
from stepladder.networks.ops.batch_norm import NORM_EPSILON, NORM_MOMENTUM
from stepladder.networks.sides import Sides, area, pair


def norm_statistics(name: str, *, channels: int, size: Sides, width: int) -> Kernel:
    """a and b from a batch's row sums (H, C, V), which are cleared; the running statistics move (Bessel-corrected).

    The sums are of values minus the running mean (pointwise.Sums).
    """
    pointers = ["sum", "sum_squared", "scale", "shift", "running_mean", "running_var", "mean", "rstd", "a", "b"]
    kernel = Kernel(name, pointers, ["n_images"], width=width)
    count = (kernel.argument("n_images") * area(size)).as_float()
    with kernel.loop(0, channels) as c:
        moved = take_row_sums(kernel, "sum", c, channels=channels, n_rows=pair(size)[0]) / count
        mean_square = take_row_sums(kernel, "sum_squared", c, channels=channels, n_rows=pair(size)[0]) / count
        mean = kernel.load("running_mean", c, width=1) + moved
        variance = (mean_square - moved * moved).relu()
        _move(kernel, "running_mean", c, mean)
        _move(kernel, "running_var", c, variance * (count / (count - 1.0)))
        _set_affine(kernel, c, mean, variance)
    return kernel


def norm_from_running(name: str, *, channels: int, size: Sides, width: int) -> Kernel:
    """a and b from the running statistics, for evaluation; what row sums it gathered is cleared."""
    pointers = ["sum", "sum_squared", "scale", "shift", "running_mean", "running_var", "mean", "rstd", "a", "b"]
    kernel = Kernel(name, pointers, width=width)
    for pointer in ("sum", "sum_squared"):
        with kernel.loop(0, pair(size)[0] * channels * width, width) as at:
            kernel.store(pointer, at, kernel.zero())
    with kernel.loop(0, channels) as c:
        _set_affine(kernel, c, kernel.load("running_mean", c, width=1), kernel.load("running_var", c, width=1))
    return kernel


def norm_sums(name: str, *, channels: int, size: Sides, width: int) -> Kernel:
    """The sums of g and of g u from their row sums (H, C, V), which are cleared."""
    kernel = Kernel(name, ["sum_gradient", "sum_product", "total_gradient", "total_product"], width=width)
    with kernel.loop(0, channels) as c:
        for of, to in (("sum_gradient", "total_gradient"), ("sum_product", "total_product")):
            kernel.store(to, c, take_row_sums(kernel, of, c, channels=channels, n_rows=pair(size)[0]))
    return kernel


def norm_gradient(name: str, *, channels: int, size: Sides, width: int) -> Kernel:
    """Gradients of scale and shift, and slope and offset of the input's gradient, from the sums of g and g u."""
    pointers = ["total_gradient", "total_product", "mean", "rstd", "a", "d_scale", "d_shift", "slope", "offset"]
    kernel = Kernel(name, pointers, ["n_images"], width=width)
    count = (kernel.argument("n_images") * area(size)).as_float()
    with kernel.loop(0, channels) as c:
        total, product, mean, rstd, a = (kernel.load(pointer, c, width=1) for pointer in pointers[:5])
        d_scale = (product - mean * total) * rstd
        slope = a * rstd * d_scale / count * -1.0
        kernel.store("d_scale", c, d_scale)
        kernel.store("d_shift", c, total)
        kernel.store("slope", c, slope)
        kernel.store("offset", c, a * total / count * -1.0 - mean * slope)
    return kernel


def take_row_sums(kernel: Kernel, pointer: str, channel: Index, *, channels: int, n_rows: int) -> Vector:
    """The sum of a channel's row sums (H, C, V), all lanes together; they are cleared for the next batch."""
    total = kernel.variable()
    with kernel.loop(0, n_rows) as row:
        at = (row * channels + channel) * kernel.width
        total.add(kernel.load(pointer, at))
        kernel.store(pointer, at, kernel.zero())
    return total.get().total()


def _move(kernel: Kernel, pointer: str, channel: Index, value: Vector) -> None:
    old = kernel.load(pointer, channel, width=1)
    kernel.store(pointer, channel, old * (1 - NORM_MOMENTUM) + value * NORM_MOMENTUM)


def _set_affine(kernel: Kernel, channel: Index, mean: Vector, variance: Vector) -> None:
    rstd = kernel.constant(1.0, 1) / (variance + NORM_EPSILON).square_root()
    a = kernel.load("scale", channel, width=1) * rstd
    kernel.store("mean", channel, mean)
    kernel.store("rstd", channel, rstd)
    kernel.store("a", channel, a)
    kernel.store("b", channel, kernel.load("shift", channel, width=1) - mean * a)
