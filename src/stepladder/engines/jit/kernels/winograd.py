"""3x3 convolutions with 16 multiplications for 4 outputs instead of 36: F(2x2, 3x3) of Lavin & Gray (CVPR 2016).

Letters as in layout. For each tile of 2 x 2 outputs, the 4 x 4 inputs d of a channel become v = B' d B (additions
only), the products m = sum over channels of u v are taken at each of the 16 places, and the outputs are A' m A
(additions); u = G w G' is made of the weights once per step. With images innermost, a transform is plain vector
arithmetic.

A few tiles stand side by side; what is transformed, multiplied and transformed back stays in the nearest cache.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from stepladder.engines.jit.code.emit import Index, Kernel, Vector
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.kernels.convolution import ConvolutionShape, Tile, repeated, split_evenly
from stepladder.engines.jit.kernels.pointwise import Line, Operation, opened, pointers_of
from stepladder.networks.sides import Span

PLACES = 16
LEAST_GAIN = 1.8  # of 2.25 at best: below, the transforms and the multiplied rim cost more than is saved (docs/LOG.md)
LEAST_CHANNELS = 4  # to share a transform among


def pays(shape: ConvolutionShape) -> bool:
    """Whether there are enough multiplications less; a direct convolution leaves out those at the rim."""
    if shape.kernel != 3 or shape.stride != 1 or shape.depthwise:
        return False
    if min(shape.in_channels, shape.out_channels) < LEAST_CHANNELS:
        return False
    down, across = shape.directions
    return n_inside(down) * n_inside(across) >= LEAST_GAIN * PLACES * n_tiles(down) * n_tiles(across)


def n_inside(span: Span) -> int:
    """How many taps of all outputs in one direction are in the image."""
    starts = range(-span.padding, span.out_size - span.padding)
    return sum(0 <= start + tap < span.in_size for start in starts for tap in range(3))


def n_tiles(span: Span) -> int:
    """Tiles of 2 x 2 outputs in one direction; with an odd size the last is cut off."""
    return -(-span.out_size // 2)


def tiles_at_once(width: int) -> int:
    """Neighbouring tiles that are transformed together: more share inputs, fewer stay in the cache."""
    return 2 if width == LANES else 3


def outputs_at_once(shape: ConvolutionShape) -> int:
    """Output channels whose products are in registers together: about 4."""
    return max(n for n in (1, 2, 3, 4) if shape.out_channels % n == 0)


def scratch_sizes(shape: ConvolutionShape, width: int) -> dict[str, int]:
    """Floats of the arrays that a kernel works in: a row of zeros, and a group's v and m."""
    group = PLACES * tiles_at_once(width) * width
    return {
        "zero": (shape.across.out_size + 4) * LANES,
        "v": group * shape.in_channels,
        "m": group * outputs_at_once(shape),
    }


def transformed_weights(name: str, shape: ConvolutionShape) -> Kernel:
    """u (16, C, O) = G w G' from w (C, 3, 3, O)."""
    kernel = Kernel(name, ["w", "u"], width=1)
    n_inputs, n_outputs = shape.in_channels, shape.out_channels
    with kernel.loop(0, n_inputs) as c, kernel.loop(0, n_outputs) as o:
        w = [[kernel.load("w", (c * 9 + (3 * row + tap)) * n_outputs + o) for tap in range(3)] for row in range(3)]
        columns = [_times_g([w[row][tap] for row in range(3)]) for tap in range(3)]
        for i in range(4):
            for j, value in enumerate(_times_g([columns[tap][i] for tap in range(3)])):
                kernel.store("u", (c + (4 * i + j) * n_inputs) * n_outputs + o, value)
    return kernel


def _times_g(w: list[Vector]) -> list[Vector]:
    ends = (w[0] + w[2]) * 0.5
    middle = w[1] * 0.5
    return [w[0], ends + middle, ends - middle, w[2]]


def winograd(
    name: str, shape: ConvolutionShape, *, width: int, bias: bool = False, operations: Sequence[Operation] = ()
) -> Kernel:
    """y = operations(conv(x, w) [+ bias]), with u of transformed_weights in place of w.

    Pointers as of convolution.convolution, and zero, v, m (see scratch_sizes); zero stays zero.
    """
    pointers = ["x", "u", *(["bias"] if bias else []), "zero", "v", "m", "y", *pointers_of(operations)]
    kernel = Kernel(name, pointers, ["n_blocks"], width=width)
    writer = _Winograd(kernel, shape, bias=bias, operations=operations)
    with kernel.loop(0, kernel.argument("n_blocks")) as block, kernel.loop(0, n_tiles(shape.down)) as tile_row:
        for tile in tile_groups(shape, tiles_at_once(width)):
            with kernel.loop(0, tile.repeats) as repeat, kernel.loop(0, LANES, width) as lane:
                column = (repeat * tile.n + tile.start) * 2
                writer.write_group(tile, _Place(block, tile_row * 2, column, lane))
    return kernel


def tile_groups(shape: ConvolutionShape, most: int) -> list[Tile]:
    """A row's tiles in groups."""
    across = shape.across

    def touches_rim(start: int, n: int) -> bool:
        first, last = 2 * start - across.padding, 2 * (start + n) + 1 - across.padding
        return first < 0 or last >= across.in_size or 2 * (start + n) > across.out_size

    return repeated(split_evenly(n_tiles(across), most), touches_rim)


@dataclass(frozen=True)
class _Place:
    """Where a group of tiles stands: block of images, first output row and column, lane."""

    block: Index
    row: Index
    column: Index
    lane: Index


class _Winograd:
    """One kernel on its way."""

    def __init__(self, kernel: Kernel, shape: ConvolutionShape, *, bias: bool, operations: Sequence[Operation]) -> None:
        self.kernel = kernel
        self.shape = shape
        self.bias = bias
        self.operations = operations
        self.outputs = outputs_at_once(shape)

    def write_group(self, tile: Tile, place: _Place) -> None:
        """All output channels of a group of tiles."""
        kernel, shape = self.kernel, self.shape
        with kernel.loop(0, shape.in_channels) as c:
            self.transform_inputs(tile, place, c)
        with kernel.loop(0, shape.out_channels, self.outputs) as first:
            with kernel.loop(0, PLACES) as spot:
                self.multiply(tile, first, spot)
            with kernel.loop(0, self.outputs) as o:
                self.transform_outputs(tile, place, first + o, o)

    def transform_inputs(self, tile: Tile, place: _Place, c: Index) -> None:
        """v = B' d B of one input channel: down the columns, then along the rows."""
        rows = [self.input_row(place, c, row) for row in range(4)]
        n_columns = 2 * tile.n + 2
        d = [[self.input(tile, rows[row], row_column) for row_column in range(n_columns)] for row in range(4)]
        down = [
            [d[0][j] - d[2][j] for j in range(n_columns)],
            [d[1][j] + d[2][j] for j in range(n_columns)],
            [d[2][j] - d[1][j] for j in range(n_columns)],
            [d[1][j] - d[3][j] for j in range(n_columns)],
        ]
        for i, values in enumerate(down):
            for n in range(tile.n):
                a, b, e, f = values[2 * n : 2 * n + 4]
                for j, value in enumerate((a - e, b + e, e - b, b - f)):
                    at = ((c + (4 * i + j) * self.shape.in_channels) * tile.n + n) * self.kernel.width
                    self.kernel.store("v", at, value)

    def input_row(self, place: _Place, c: Index, number: int) -> str:
        """The pointer to a group's first pixel in an input row; to zeros where that row is outside the image."""
        kernel, shape = self.kernel, self.shape
        down, across = shape.directions
        row = place.row + (number - down.padding)
        plane_row = (place.block * shape.in_channels + c) * down.in_size + row
        pixel = plane_row * across.in_size + place.column - across.padding
        real = kernel.address("x", pixel * LANES + place.lane)
        if not down.padding and down.out_size % 2 == 0:
            return real.removeprefix("%")
        inside = kernel.name_of(f"icmp ult i64 {row.text}, {down.in_size}")
        zeros = kernel.address("zero", place.column * LANES + place.lane)
        return kernel.name_of(f"select i1 {inside}, ptr {real}, ptr {zeros}").removeprefix("%")

    def input(self, tile: Tile, row: str, column: int) -> Vector:
        across = self.shape.across
        if tile.rim and not 0 <= 2 * tile.start + column - across.padding < across.in_size:
            return self.kernel.zero()
        return self.kernel.load(row, column * LANES)

    def multiply(self, tile: Tile, first: Index, spot: Index) -> None:
        """m of some output channels at one of the 16 places."""
        kernel, shape = self.kernel, self.shape
        sums = {(o, n): kernel.variable() for o in range(self.outputs) for n in range(tile.n)}
        with kernel.loop(0, shape.in_channels) as c:
            channel = spot * shape.in_channels + c
            inputs = [kernel.load("v", (channel * tile.n + n) * kernel.width) for n in range(tile.n)]
            for o in range(self.outputs):
                weight = kernel.broadcast("u", channel * shape.out_channels + first + o)
                for n, value in enumerate(inputs):
                    sums[o, n].add_product(value, weight)
        for (o, n), total in sums.items():
            kernel.store("m", ((spot * self.outputs + o) * tile.n + n) * kernel.width, total.get())

    def transform_outputs(self, tile: Tile, place: _Place, channel: Index, o: Index) -> None:
        """The outputs A' m A of one channel, after the operations on them."""
        kernel, shape = self.kernel, self.shape
        n_rows, row_size = (span.out_size for span in shape.directions)
        offset = kernel.broadcast("bias", channel) if self.bias else None
        tiles = [self.outputs_of_tile(tile, n, o) for n in range(tile.n)]
        for down in range(2):
            row = place.row + down
            line = Line(channel, row, shape.out_channels)
            y_row = ((place.block * shape.out_channels + channel) * n_rows + row) * row_size
            with self.row_inside(row, down), opened(kernel, self.operations, line) as apply:
                for n, across in ((n, across) for n in range(tile.n) for across in range(2)):
                    if tile.rim and 2 * (tile.start + n) + across >= row_size:
                        continue
                    at = (y_row + place.column + (2 * n + across)) * LANES + place.lane
                    value = tiles[n][down][across] if offset is None else tiles[n][down][across] + offset
                    kernel.store("y", at, apply(value, at, place.block * LANES + place.lane))

    def row_inside(self, row: Index, down: int) -> AbstractContextManager[Index]:
        """Leave out the second row of the last tiles of an image of odd size."""
        n_rows = self.shape.down.out_size
        if down == 0 or n_rows % 2 == 0:
            return nullcontext(row)
        return self.kernel.loop(row, self.kernel.smaller(row + 1, self.kernel.index(n_rows)))

    def outputs_of_tile(self, tile: Tile, n: int, o: Index) -> list[list[Vector]]:
        columns = []
        for j in range(4):
            m = [
                self.kernel.load("m", ((o + (4 * i + j) * self.outputs) * tile.n + n) * self.kernel.width)
                for i in range(4)
            ]
            columns.append([m[0] + (m[1] + m[2]), m[1] - m[2] - m[3]])
        return [[s[0] + (s[1] + s[2]), s[1] - s[2] - s[3]] for s in zip(*columns, strict=True)]
