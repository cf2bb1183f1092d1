"""Squeeze-excite (Hu, Shen & Sun 2018): every channel of an image times what the means of all its channels decide.

With m the means of an image's channels: h = relu(W m + b), z = V h + c, and y = sigmoid(z) x. Of a gradient dy, z gets
sigmoid'(z) times the sum of dy x over the channel's pixels; that goes back through the two linear layers to m, and from
m evenly to all pixels, which have sigmoid(z) dy already. Forward and back are one kernel each: a block's map is read
twice while it is in the cache.

Letters as in layout, R reduced values. Weights are read as PyTorch has them, ``reduce_weight`` (R, C) and
``expand_weight`` (C, R): there are too few of them to be worth packing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stepladder.engines.jit.code.emit import Index, Kernel, Variable, Vector
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.kernels.loss import exponential
from stepladder.engines.jit.kernels.pointwise import Line, Operation, opened, pointers_of
from stepladder.networks.sides import Sides, area, pair

MOST_SUMS = 8  # that grow side by side: one alone waits four cycles for each addition


@dataclass(frozen=True)
class Part:
    """One of the two linear layers; what it takes in and the gradient by what it gives are (B, n, L)."""

    name: str
    n_inputs: int
    n_outputs: int
    inputs: str
    gradient: str

    @property
    def n_sums(self) -> int:
        """How many gradients: of each output's weights, and of its bias after them."""
        return self.n_outputs * (self.n_inputs + 1)


@dataclass(frozen=True)
class GateShape:
    """A squeeze-excite's integers."""

    channels: int
    reduced: int
    size: Sides

    @property
    def n_pixels(self) -> int:
        return area(self.size)

    @property
    def parts(self) -> tuple[Part, Part]:
        return (
            Part("reduce", self.channels, self.reduced, "mean", "d_reduced"),
            Part("expand", self.reduced, self.channels, "reduced", "d_z"),
        )

    @property
    def values(self) -> dict[str, int]:
        """What is kept of each image, pointers and how many values: of m, h, sigmoid(z), its derivative; gradients."""
        of_channels = dict.fromkeys(("mean", "gate", "gate_slope", "d_z", "d_mean"), self.channels)
        return of_channels | {"reduced": self.reduced, "d_reduced": self.reduced}


def gate(name: str, shape: GateShape, *, width: int) -> Kernel:
    """y = x sigmoid(z), both (B, C, H, W, L), by the weights and biases of both parts.

    Written too, for backward: ``mean``, ``reduced``, ``gate`` and ``gate_slope``, see GateShape.values.
    """
    reduce, expand = shape.parts
    parameters = [f"{part.name}_{kind}" for part in shape.parts for kind in ("weight", "bias")]
    pointers = ["x", *parameters, "mean", "reduced", "gate", "gate_slope", "y"]
    kernel = Kernel(name, pointers, ["n_blocks"], width=width)
    with kernel.loop(0, kernel.argument("n_blocks")) as block:
        with kernel.loop(0, shape.channels) as channel:
            plane = block * shape.channels + channel
            sums = _plane_sums(kernel, shape, plane, lambda total, at: total.add(kernel.load("x", at)))
            for at, total in sums:
                kernel.store("mean", at, total * (1 / shape.n_pixels))
        with kernel.loop(0, LANES, width) as lane:
            _forward(kernel, reduce, block, lane, lambda at, value: kernel.store("reduced", at, value.relu()))
            _forward(kernel, expand, block, lane, lambda at, value: _store_sigmoid(kernel, at, value))
        _each_pixel(kernel, shape, block, "y", lambda at, plane: kernel.load("x", at) * kernel.load("gate", plane))
    return kernel


def gate_gradient(
    name: str, shape: GateShape, *, width: int, operations: Sequence[Operation] = (), to_input: bool = True
) -> Kernel:
    """``reduce_sums`` (R, C + 1, V) and ``expand_sums`` (C, R + 1, V) grow by the gradients of weights and biases.

    Pointers: x, dy, what the way forward wrote, and what is written here; dx = operations(gradient) if ``to_input``.
    """
    reduce, expand = shape.parts
    pointers = ["x", "dy", "expand_weight", "mean", "reduced", "gate_slope", "d_z", "d_reduced"]
    pointers += ["reduce_sums", "expand_sums"]
    if to_input:
        pointers += ["reduce_weight", "gate", "d_mean", "dx", *pointers_of(operations)]
    kernel = Kernel(name, pointers, ["n_blocks"], width=width)

    def product(total: Variable, at: Index) -> None:
        total.add_product(kernel.load("dy", at), kernel.load("x", at))

    def of_input(at: Index, plane: Index) -> Vector:
        return kernel.multiply_add(kernel.load("dy", at), kernel.load("gate", plane), kernel.load("d_mean", plane))

    with kernel.loop(0, kernel.argument("n_blocks")) as block:
        with kernel.loop(0, shape.channels) as channel:
            plane = block * shape.channels + channel
            for at, total in _plane_sums(kernel, shape, plane, product):
                kernel.store("d_z", at, total * kernel.load("gate_slope", at))
        with kernel.loop(0, LANES, width) as lane:
            _add_gradients(kernel, expand, block, lane)
            _backward(kernel, expand, block, lane, lambda at, value: _store_relu_gradient(kernel, at, value))
            _add_gradients(kernel, reduce, block, lane)
            if to_input:
                share = 1 / shape.n_pixels
                _backward(kernel, reduce, block, lane, lambda at, value: kernel.store("d_mean", at, value * share))
        if to_input:
            _each_pixel(kernel, shape, block, "dx", of_input, operations)
    return kernel


def finish_gate(name: str, shape: GateShape, *, width: int) -> Kernel:
    """Gradients of weights and biases, in PyTorch's order, from the lanes of their sums, which are cleared."""
    names = [part.name for part in shape.parts]
    pointers = [each for name in names for each in (f"{name}_sums", f"d_{name}_weight", f"d_{name}_bias")]
    kernel = Kernel(name, pointers, width=width)

    def take(pointer: str, number: Index) -> Vector:
        lanes = kernel.load(pointer, number * width)
        kernel.store(pointer, number * width, kernel.zero())
        return lanes.total()

    for part in shape.parts:
        with kernel.loop(0, part.n_outputs) as o:
            first = o * (part.n_inputs + 1)
            with kernel.loop(0, part.n_inputs) as i:
                kernel.store(f"d_{part.name}_weight", o * part.n_inputs + i, take(f"{part.name}_sums", first + i))
            kernel.store(f"d_{part.name}_bias", o, take(f"{part.name}_sums", first + part.n_inputs))
    return kernel


def _plane_sums(
    kernel: Kernel, shape: GateShape, plane: Index, add: Callable[[Variable, Index], None]
) -> list[tuple[Index, Vector]]:
    """The sums over a plane's pixels of what ``add`` adds for each, with their places; neighbours are added apart."""
    lanes, n_pixels = range(0, LANES, kernel.width), shape.n_pixels
    n_ways = min(max(1, MOST_SUMS // len(lanes)), n_pixels)
    sums = {(way, lane): kernel.variable() for way in range(n_ways) for lane in lanes}
    n_whole = n_pixels - n_pixels % n_ways
    with kernel.loop(0, n_whole, n_ways) as pixel:
        for (way, lane), total in sums.items():
            add(total, (plane * n_pixels + pixel + way) * LANES + lane)
    for pixel_left in range(n_whole, n_pixels):
        for lane in lanes:
            add(sums[pixel_left - n_whole, lane], (plane * n_pixels + pixel_left) * LANES + lane)
    for lane in lanes:
        for way in range(1, n_ways):
            sums[0, lane].add(sums[way, lane].get())
    return [(plane * LANES + lane, sums[0, lane].get()) for lane in lanes]


def _forward(kernel: Kernel, part: Part, block: Index, lane: Index, put: Callable[[Index, Vector], None]) -> None:
    """Each output's value, given to ``put`` with its place."""
    with kernel.loop(0, part.n_outputs) as o:
        total = kernel.variable(kernel.broadcast(f"{part.name}_bias", o))
        with kernel.loop(0, part.n_inputs) as i:
            weight = kernel.broadcast(f"{part.name}_weight", o * part.n_inputs + i)
            total.add_product(kernel.load(part.inputs, _place(block, part.n_inputs, i, lane)), weight)
        put(_place(block, part.n_outputs, o, lane), total.get())


def _backward(kernel: Kernel, part: Part, block: Index, lane: Index, put: Callable[[Index, Vector], None]) -> None:
    """The gradient by each input, given to ``put`` with its place."""
    with kernel.loop(0, part.n_inputs) as i:
        total = kernel.variable()
        with kernel.loop(0, part.n_outputs) as o:
            weight = kernel.broadcast(f"{part.name}_weight", o * part.n_inputs + i)
            total.add_product(kernel.load(part.gradient, _place(block, part.n_outputs, o, lane)), weight)
        put(_place(block, part.n_inputs, i, lane), total.get())


def _add_gradients(kernel: Kernel, part: Part, block: Index, lane: Index) -> None:
    """The gradients of weights and biases grow, still one sum per lane."""
    sums, width = f"{part.name}_sums", kernel.width
    with kernel.loop(0, part.n_outputs) as o:
        gradient = kernel.load(part.gradient, _place(block, part.n_outputs, o, lane))
        first = o * (part.n_inputs + 1)
        with kernel.loop(0, part.n_inputs) as i:
            value, at = kernel.load(part.inputs, _place(block, part.n_inputs, i, lane)), (first + i) * width
            kernel.store(sums, at, kernel.multiply_add(gradient, value, kernel.load(sums, at)))
        bias = (first + part.n_inputs) * width
        kernel.store(sums, bias, kernel.load(sums, bias) + gradient)


def _place(block: Index, n: int, number: Index, lane: Index) -> Index:
    return (block * n + number) * LANES + lane


def _each_pixel(
    kernel: Kernel,
    shape: GateShape,
    block: Index,
    target: str,
    value: Callable[[Index, Index], Vector],
    operations: Sequence[Operation] = (),
) -> None:
    """Store ``value`` of a pixel's place and of that of what its plane has in common, after the operations."""
    n_rows, row_size = pair(shape.size)
    with (
        kernel.loop(0, shape.channels) as channel,
        kernel.loop(0, n_rows) as row,
        opened(kernel, operations, Line(channel, row, shape.channels)) as apply,
        kernel.loop(0, row_size) as column,
        kernel.loop(0, LANES, kernel.width) as lane,
    ):
        plane = block * shape.channels + channel
        at = ((plane * n_rows + row) * row_size + column) * LANES + lane
        kernel.store(target, at, apply(value(at, plane * LANES + lane), at, block * LANES + lane))


def _store_sigmoid(kernel: Kernel, at: Index, z: Vector) -> None:
    """The sigmoid of z and its derivative: with e = exp(-|z|), no difference from 1 loses its digits."""
    e = exponential(kernel, kernel.select("olt", (z, 0.0), z, z * -1.0))
    whole = e + 1.0
    kernel.store("gate", at, kernel.select("olt", (z, 0.0), e, 1.0) / whole)
    kernel.store("gate_slope", at, e / (whole * whole))


def _store_relu_gradient(kernel: Kernel, at: Index, gradient: Vector) -> None:
    kernel.store("d_reduced", at, kernel.select("ogt", (kernel.load("reduced", at), 0.0), gradient, 0.0))
