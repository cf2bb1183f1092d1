"""Convolutions: forward, and with the flipped kernel the gradient of their input.

Letters as in layout; K kernel, S stride, P padding, each down, and across with a dash. The rim of an image is just a
tile with fewer taps: no padding is stored. A tile of output channels x columns stays in registers while the loops run
over input channels and kernel rows; a weight is broadcast from memory and an input vector is loaded once per tap for
all output channels of the tile.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property

from stepladder.engines.jit.code.emit import Index, Kernel, Variable
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.kernels.pointwise import Line, Operation, opened, pointers_of
from stepladder.networks.sides import Sides, Span, area, each, joined, pair, spans


@dataclass(frozen=True)
class ConvolutionShape:
    """A convolution's integers. A depthwise one has a kernel of its own for each of its channels."""

    in_channels: int
    out_channels: int
    in_size: Sides
    kernel: Sides
    stride: Sides = 1
    padding: Sides = 0
    depthwise: bool = False

    @cached_property
    def directions(self) -> tuple[Span, Span]:
        """Down and across."""
        return spans(kernel=self.kernel, padding=self.padding, stride=self.stride, in_size=self.in_size)

    @property
    def down(self) -> Span:
        return self.directions[0]

    @property
    def across(self) -> Span:
        return self.directions[1]

    @property
    def n_taps(self) -> int:
        return area(self.kernel)

    @property
    def weight_channels(self) -> tuple[int, int]:
        """How many input channels, and for each how many output channels, have weights between them."""
        return (self.in_channels, 1) if self.depthwise else (self.in_channels, self.out_channels)

    @property
    def n_weights(self) -> int:
        return self.weight_channels[0] * self.weight_channels[1] * self.n_taps

    @property
    def dilated_size(self) -> Sides:
        """The output's size if the stride were 1: that of the output with stride - 1 zeros between its pixels."""
        return joined(*(replace(span, stride=1).out_size for span in self.directions))

    @property
    def transposed(self) -> "ConvolutionShape":
        """The convolution that takes the output's gradient, dilated, to the input's."""
        padding = each(lambda kernel, padding: kernel - 1 - padding, self.kernel, self.padding)
        return ConvolutionShape(
            self.out_channels, self.in_channels, self.dilated_size, self.kernel, 1, padding, self.depthwise
        )


@dataclass(frozen=True)
class Tile:
    """``n`` neighbouring output columns from ``start`` on, ``repeats`` times over; ``rim`` if some taps are outside."""

    start: int
    n: int
    repeats: int
    rim: bool


def split_evenly(n: int, most: int) -> list[int]:
    """n as a sum of nearly equal parts of at most ``most``."""
    parts = -(-n // most)
    small, larger = divmod(n, parts)
    return [small + 1] * larger + [small] * (parts - larger)


def choose_tile(out_channels: int, out_size: int, registers: int) -> tuple[int, list[int]]:
    """Output channels per tile and columns of each tile: the choice with the fewest loads per multiply-add."""
    best: tuple[float, int, list[int]] | None = None
    for channels in range(1, min(out_channels, 16) + 1):
        if out_channels % channels:
            continue
        columns = split_evenly(out_size, min(max(1, registers // channels), out_size))
        # per tap: broadcasts of `channels` weights, loads of `n` inputs, and channels * n multiply-adds
        cost = sum(channels + n + 0.45 * channels * n for n in columns) / (channels * out_size)
        if best is None or cost < best[0]:
            best = (cost, channels, columns)
    assert best is not None
    return best[1], best[2]


def tiles(shape: ConvolutionShape, columns: list[int]) -> list[Tile]:
    """Columns as tiles."""
    across = shape.across

    def touches_rim(start: int, n: int) -> bool:
        first_tap = start * across.stride - across.padding
        last_tap = (start + n - 1) * across.stride - across.padding + across.kernel - 1
        return first_tap < 0 or last_tap >= across.in_size

    return repeated(columns, touches_rim)


def repeated(widths: list[int], touches_rim: Callable[[int, int], bool]) -> list[Tile]:
    """Tiles of these widths; neighbours of the same width that no rim touches are one repeated tile."""
    found: list[Tile] = []
    start = 0
    for n in widths:
        rim = touches_rim(start, n)
        if found and not rim and not found[-1].rim and found[-1].n == n:
            found[-1] = Tile(found[-1].start, n, found[-1].repeats + 1, rim=False)
        else:
            found.append(Tile(start, n, 1, rim))
        start += n
    return found


def convolution(
    name: str,
    shape: ConvolutionShape,
    *,
    width: int,
    registers: int,
    bias: bool = False,
    operations: Sequence[Operation] = (),
) -> Kernel:
    """y = operations(conv(x, w) [+ bias]).

    Pointers: x (B, C, H, W, L), w (C, K, K', O) or depthwise (C, K, K', 1), bias (O), y (B, O, H', W', L), and those of
    the operations.
    """
    pointers = ["x", "w", *(["bias"] if bias else []), "y", *pointers_of(operations)]
    kernel = Kernel(name, pointers, ["n_blocks"], width=width)
    writer = _Convolution(kernel, shape, registers=registers, bias=bias, operations=operations)
    with kernel.loop(0, kernel.argument("n_blocks")) as block:
        writer.write_block(block)
    return kernel


@dataclass(frozen=True)
class _Place:
    """Where a tile stands: block of images, first output channel, output row and column, lane; and its kernel rows."""

    block: Index
    channel: Index
    row: Index
    column: Index
    lane: Index
    top: Index
    tap_rows: tuple[Index | int, Index | int]


Accumulators = dict[tuple[int, int], Variable]  # by output channel and column of the tile


class _Convolution:
    """One kernel on its way: which tiles, and what goes around their multiply-adds."""

    def __init__(
        self,
        kernel: Kernel,
        shape: ConvolutionShape,
        *,
        registers: int,
        bias: bool,
        operations: Sequence[Operation],
    ) -> None:
        self.kernel = kernel
        self.shape = shape
        self.bias = bias
        self.operations = operations
        most_channels = 1 if shape.depthwise else shape.out_channels
        self.channels, columns = choose_tile(most_channels, shape.across.out_size, registers)
        self.tiles = tiles(shape, columns)

    def write_block(self, block: Index) -> None:
        """All tiles of a block of images: those that read the same input rows follow each other."""
        kernel, shape = self.kernel, self.shape
        n_rows = shape.down.out_size
        if shape.depthwise:
            with kernel.loop(0, shape.out_channels) as channel, kernel.loop(0, n_rows) as row:
                self.write_row(block, channel, row)
        else:
            with kernel.loop(0, n_rows) as row, kernel.loop(0, shape.out_channels, self.channels) as channel:
                self.write_row(block, channel, row)

    def write_row(self, block: Index, channel: Index, row: Index) -> None:
        """All tiles of one output row of a tile's channels."""
        kernel, down = self.kernel, self.shape.down
        tap_rows: tuple[Index | int, Index | int] = (0, down.kernel)
        top = row * down.stride - down.padding
        if down.padding:
            tap_rows = ((kernel.index(0) - top).at_least(0), (kernel.index(down.in_size) - top).at_most(down.kernel))
        for tile in self.tiles:
            with (
                kernel.loop(0, tile.repeats) as repeat,
                kernel.loop(0, LANES, kernel.width) as lane,
            ):
                column = repeat * tile.n + tile.start
                self.write_tile(tile, _Place(block, channel, row, column, lane, top, tap_rows))

    def write_tile(self, tile: Tile, place: _Place) -> None:
        kernel, shape = self.kernel, self.shape
        down, across = shape.directions
        sums = self.start(tile, place.channel)
        with (
            nullcontext(place.channel) if shape.depthwise else kernel.loop(0, shape.in_channels) as c,
            kernel.loop(*place.tap_rows) as tap_row,
        ):
            x_row = ((place.block * shape.in_channels + c) * down.in_size + place.top + tap_row) * across.in_size
            x_at = (x_row + place.column * across.stride) * LANES + place.lane
            n_outputs = shape.weight_channels[1]
            w_at = (c * down.kernel + tap_row) * (across.kernel * n_outputs)
            if not shape.depthwise:
                w_at += place.channel
            for tap in range(across.kernel):
                self.write_tap(tile, sums, x_at=x_at, w_at=w_at + tap * n_outputs, tap=tap)
        self.finish(tile, sums, place)

    def start(self, tile: Tile, channel: Index) -> Accumulators:
        kernel = self.kernel
        sums = {}
        for o in range(self.channels):
            value = kernel.broadcast("bias", channel + o) if self.bias else kernel.zero()
            for n in range(tile.n):
                sums[o, n] = kernel.variable(value)
        return sums

    def write_tap(self, tile: Tile, sums: Accumulators, *, x_at: Index, w_at: Index, tap: int) -> None:
        kernel, across = self.kernel, self.shape.across
        offsets = {n: n * across.stride + tap - across.padding for n in range(tile.n)}
        if tile.rim:
            first = tile.start * across.stride
            offsets = {n: offset for n, offset in offsets.items() if 0 <= first + offset < across.in_size}
        if not offsets:
            return
        inputs = {n: kernel.load("x", x_at + offset * LANES) for n, offset in offsets.items()}
        for o in range(self.channels):
            weight = kernel.broadcast("w", w_at + o)
            for n, value in inputs.items():
                sums[o, n].add_product(value, weight)

    def finish(self, tile: Tile, sums: Accumulators, place: _Place) -> None:
        """Store a tile's values, after the operations on them."""
        kernel, shape = self.kernel, self.shape
        down, across = shape.directions
        image = place.block * LANES + place.lane
        for o in range(self.channels):
            channel = place.channel + o
            y_row = ((place.block * shape.out_channels + channel) * down.out_size + place.row) * across.out_size
            with opened(kernel, self.operations, Line(channel, place.row, shape.out_channels)) as apply:
                for n in range(tile.n):
                    at = (y_row + place.column + n) * LANES + place.lane
                    kernel.store("y", at, apply(sums[o, n].get(), at, image))


def dilation(name: str, shape: ConvolutionShape, *, width: int) -> Kernel:
    """The output's gradient with stride - 1 zeros between its pixels: dy (B, O, H', W', L) to y (B, O, D, D', L).

    y is zero where nothing is written, and stays so.
    """
    kernel = Kernel(name, ["dy", "y"], ["n_blocks"], width=width)
    down, across = shape.directions
    height, row_size = pair(shape.dilated_size)
    with (
        kernel.loop(0, kernel.argument("n_blocks") * shape.out_channels) as plane,
        kernel.loop(0, down.out_size) as row,
        kernel.loop(0, across.out_size) as column,
        kernel.loop(0, LANES, width) as lane,
    ):
        from_pixel = (plane * down.out_size + row) * across.out_size + column
        to_pixel = (plane * height + row * down.stride) * row_size + column * across.stride
        kernel.store("y", to_pixel * LANES + lane, kernel.load("dy", from_pixel * LANES + lane))
    return kernel
