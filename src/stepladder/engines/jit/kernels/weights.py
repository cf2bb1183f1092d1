"""Weights between the flat arrays of a model, in PyTorch's order, and the order in which kernels read them.

Letters as in layout. Where batch normalisation a u + b is folded into the convolution that follows, its weights are
multiplied by a, and the sum of b times the weights becomes its bias; the normalised tensor then never exists. The sums
that the normalisation's gradient needs come out of the weight gradient for free: sum(g u) = sum(w G) and
sum(g) = sum(w S) over a channel's weights, with G the gradient of the weights by u and S the gradient of the bias.
"""

from dataclasses import dataclass

from stepladder.engines.jit.code.emit import Index, Kernel, Vector
from stepladder.engines.jit.kernels.convolution import ConvolutionShape
from stepladder.engines.jit.kernels.norm import take_row_sums


@dataclass(frozen=True)
class Fold:
    """A normalisation folded into the weights; each of its channels is ``pixels`` input channels in a row here."""

    pixels: int


def pack_weights(name: str, shape: ConvolutionShape, *, bias: bool, fold: Fold | None, flipped: bool) -> Kernel:
    """w (C, K, K', O) from ``weight`` (O, C, K, K'); the ``flipped`` kernel (O, K, K', C) of the input's gradient too.

    With a fold: of a and b, and ``w_bias`` (O) from ``bias`` if there is one.
    """
    pointers = ["weight", *["bias"] * bias, *(["a", "b", "w_bias"] if fold else []), "w", *["w_flipped"] * flipped]
    kernel = Kernel(name, pointers, width=1)
    n_inputs, n_outputs = shape.weight_channels
    taps = shape.n_taps
    with kernel.loop(0, n_outputs) as o:
        offset = kernel.variable(kernel.load("bias", o) if fold and bias else None)
        with kernel.loop(0, n_inputs) as c:
            a, b = (kernel.load(each, _folded_channel(kernel, c, fold)) if fold else None for each in ("a", "b"))
            with kernel.loop(0, taps) as tap:
                weight = kernel.load("weight", _flat(shape, o, c, tap))
                if a is not None and b is not None:
                    offset.add_product(weight, b)
                    weight = weight * a
                kernel.store("w", (c * taps + tap) * n_outputs + o, weight)
                if flipped:
                    back = kernel.index(taps - 1) - tap
                    at = c * taps + back if shape.depthwise else (o * taps + back) * n_inputs + c
                    kernel.store("w_flipped", at, weight)
        if fold:
            kernel.store("w_bias", o, offset.get())
    return kernel


def finish_weights(name: str, shape: ConvolutionShape, *, bias: bool, fold: Fold | None, width: int) -> Kernel:
    """``d_weight`` (O, C, K, K') from the lanes of ``g`` (C, K, K', O, V), which are cleared.

    ``d_bias`` (O) from ``row_sum`` (H', O, V), cleared too, if there is a bias or a fold. With a fold, also the sums
    ``total_gradient`` and ``total_product`` of its normalisation.
    """
    folded = ["weight", "a", "b", "total_gradient", "total_product"] if fold else []
    pointers = ["g", "d_weight", *(["row_sum", "d_bias"] if bias or fold else []), *folded]
    kernel = Kernel(name, pointers, width=width)
    n_inputs, n_outputs = shape.weight_channels
    if bias or fold:
        with kernel.loop(0, shape.out_channels) as channel:
            total = take_row_sums(kernel, "row_sum", channel, channels=shape.out_channels, n_rows=shape.down.out_size)
            kernel.store("d_bias", channel, total)
    if fold:
        return _finish_folded(kernel, shape, fold)
    with kernel.loop(0, n_inputs) as c, kernel.loop(0, shape.n_taps) as tap, kernel.loop(0, n_outputs) as o:
        kernel.store("d_weight", _flat(shape, o, c, tap), _take_lanes(kernel, shape, o, c, tap))
    return kernel


def _finish_folded(kernel: Kernel, shape: ConvolutionShape, fold: Fold) -> Kernel:
    """Of the weights (w a) and the bias (sum of w b): the gradients of w, and the normalisation's sums."""
    n_inputs, n_outputs = shape.weight_channels
    with kernel.loop(0, n_inputs // fold.pixels) as channel:
        a, b = kernel.load("a", channel, width=1), kernel.load("b", channel, width=1)
        gradient, product = (kernel.variable(kernel.constant(0.0, 1)) for _ in range(2))
        with (
            kernel.loop(channel * fold.pixels, (channel + 1) * fold.pixels) as c,
            kernel.loop(0, shape.n_taps) as tap,
        ):
            row_gradient, row_product = (kernel.variable(kernel.constant(0.0, 1)) for _ in range(2))
            with kernel.loop(0, n_outputs) as o:
                at = _flat(shape, o, c, tap)
                weight, of_bias = kernel.load("weight", at, width=1), kernel.load("d_bias", o, width=1)
                by_input = _take_lanes(kernel, shape, o, c, tap)
                row_gradient.add_product(weight, of_bias)
                row_product.add_product(weight, by_input)
                kernel.store("d_weight", at, kernel.multiply_add(by_input, a, b * of_bias))
            gradient.add(row_gradient.get())
            product.add(row_product.get())
        kernel.store("total_gradient", channel, gradient.get())
        kernel.store("total_product", channel, product.get())
    return kernel


def _take_lanes(kernel: Kernel, shape: ConvolutionShape, o: Index, c: Index, tap: Index) -> Vector:
    """One weight's gradient, summed over its lanes, which are cleared."""
    at = ((c * shape.n_taps + tap) * shape.weight_channels[1] + o) * kernel.width
    lanes = kernel.load("g", at)
    kernel.store("g", at, kernel.zero())
    return lanes.total()


def _flat(shape: ConvolutionShape, o: Index, c: Index, tap: Index) -> Index:
    """Where a weight is in PyTorch's order: (O, C, K, K'), depthwise (C, 1, K, K')."""
    return (o * shape.in_channels + c) * shape.n_taps + tap


def _folded_channel(kernel: Kernel, c: Index, fold: Fold) -> Index:
    return c if fold.pixels == 1 else kernel.divide(c, fold.pixels)
