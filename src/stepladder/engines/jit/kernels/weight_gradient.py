"""The gradient of a convolution's weights: for each weight, the products of input and output gradient over all pixels.

Accumulators stay vectors over images until all is added up; rows come in groups whose sums are added to memory, so that
no float32 sum runs serially over all pixels (two-level sums: errors of 1e-6 where serial ones reach 2e-2), and so
that a group's output gradients stay in the nearest cache while all input channels pass by them.
"""

from contextlib import nullcontext
from dataclasses import dataclass

from stepladder.engines.jit.code.emit import Index, Kernel, Variable
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.kernels.convolution import ConvolutionShape
from stepladder.networks.sides import Span

MOST_ROWS_PER_SUM = 4
CACHE_SHARE = 5 / 8  # of the nearest cache, for output gradients: 97% of peak where 4 rows, too many, give 74%

Tap = tuple[int, int]  # rows below the tile's kernel row, and kernel column
Sums = dict[tuple[int, Tap], Variable]  # by output channel of the tile and tap


def weight_gradient(
    name: str, shape: ConvolutionShape, *, width: int, registers: int, l1_bytes: int = 32 * 1024
) -> Kernel:
    """g += sum over images and pixels of x * dy, still one sum per lane.

    Pointers: x (B, C, H, W, L), dy (B, O, H', W', L), g (C, K, K', O, V) or depthwise (C, K, K', 1, V).
    """
    kernel = Kernel(name, ["x", "dy", "g"], ["n_blocks"], width=width)
    cache, row_bytes = int(CACHE_SHARE * l1_bytes), shape.across.out_size * LANES * 4
    writer = _WeightGradient(kernel, shape, registers, most_channels=cache // row_bytes)
    rows_per_sum = cache // (writer.channels * row_bytes)
    rows_per_sum = min(max(rows_per_sum, 1), MOST_ROWS_PER_SUM)
    n_groups, n_rest = divmod(shape.down.out_size, rows_per_sum)
    with kernel.loop(0, kernel.argument("n_blocks")) as block:
        if n_groups:
            with kernel.loop(0, n_groups) as group:
                writer.write_rows(block, group * rows_per_sum, n_rows=rows_per_sum)
        if n_rest:
            writer.write_rows(block, kernel.index(n_groups * rows_per_sum), n_rows=n_rest)
        writer.write_rim(block)
    return kernel


@dataclass(frozen=True)
class _Place:
    """Where a tile stands: block of images, first output channel, input channel, kernel row."""

    block: Index
    channel: Index
    c: Index
    tap_row: Index


@dataclass(frozen=True)
class _Reach:
    """Rows, or columns, of the output: from ``first`` to before ``end`` all taps are in the image, at the rim some."""

    first: int
    end: int
    n: int

    @classmethod
    def of(cls, span: Span) -> "_Reach":
        first = min(-(-span.padding // span.stride), span.out_size)
        n_inner = max((span.in_size - span.kernel + span.padding) // span.stride + 1 - first, 0)
        return cls(first, first + n_inner, span.out_size)

    @property
    def rim(self) -> list[int]:
        return [*range(self.first), *range(self.end, self.n)]


class _WeightGradient:
    """One kernel on its way. A tile is output channels x kernel columns, for one input channel and kernel row.

    A depthwise tile is a whole kernel, if the registers hold it: one output channel is not enough to keep them busy.
    Its taps are all inside the image but in the rows at the rim, which come last.
    """

    def __init__(self, kernel: Kernel, shape: ConvolutionShape, registers: int, *, most_channels: int) -> None:
        self.kernel = kernel
        self.shape = shape
        self.whole = shape.depthwise and shape.n_taps <= registers
        n_columns = shape.across.kernel
        n_taps = min(n_columns, registers)
        columns = [range(tap, min(tap + n_taps, n_columns)) for tap in range(0, n_columns, n_taps)]
        rows = range(shape.down.kernel) if self.whole else range(1)
        self.taps: list[list[Tap]] = [[(row, tap) for row in rows for tap in part] for part in columns]
        most = max(1, min(registers // n_taps, most_channels))
        self.channels = 1 if shape.depthwise else max(n for n in range(1, most + 1) if shape.out_channels % n == 0)
        self.rows, self.columns = map(_Reach.of, shape.directions)

    def write_rows(self, block: Index, first: Index, *, n_rows: int) -> None:
        """Add up a group of output rows for every weight."""
        kernel, shape = self.kernel, self.shape
        with (
            kernel.loop(0, shape.out_channels, self.channels) as channel,
            nullcontext(channel) if shape.depthwise else kernel.loop(0, shape.in_channels) as c,
            nullcontext(kernel.index(0)) if self.whole else kernel.loop(0, shape.down.kernel) as tap_row,
        ):
            place = _Place(block, channel, c, tap_row)
            for taps in self.taps:
                sums = {(o, tap): kernel.variable() for o in range(self.channels) for tap in taps}
                with kernel.loop(*self._rows_inside(tap_row, first, n_rows)) as row:
                    self._add_row(sums, taps, place, row)
                self._store(sums, place)

    def write_rim(self, block: Index) -> None:
        """Add up the output rows for which some of a tile's kernel rows are outside the image."""
        kernel, down = self.kernel, self.shape.down
        if not (self.whole and self.rows.rim):
            return
        with kernel.loop(0, self.shape.out_channels) as channel:
            place = _Place(block, channel, channel, kernel.index(0))
            sums = {(0, tap): kernel.variable() for tap in self.taps[0]}
            for row in self.rows.rim:
                taps = [tap for tap in self.taps[0] if 0 <= row * down.stride + tap[0] - down.padding < down.in_size]
                self._add_row(sums, taps, place, kernel.index(row))
            self._store(sums, place)

    def _store(self, sums: Sums, place: _Place) -> None:
        kernel, shape = self.kernel, self.shape
        n_outputs, (down, across) = shape.weight_channels[1], shape.directions
        for (o, (tap_row, tap)), total in sums.items():
            g_at = ((place.c * down.kernel + place.tap_row + tap_row) * across.kernel + tap) * n_outputs
            if not shape.depthwise:
                g_at += place.channel
            at = (g_at + o) * kernel.width
            kernel.store("g", at, kernel.load("g", at) + total.get())

    def _rows_inside(self, tap_row: Index, first: Index, n_rows: int) -> tuple[Index, Index]:
        """Of a group's rows those for which the tile's kernel rows lie inside the image: 0 <= row S + tap - P < H."""
        kernel, down = self.kernel, self.shape.down
        if not down.padding:
            return first, first + n_rows
        if self.whole:
            low, high = kernel.index(self.rows.first), kernel.index(self.rows.end)
        else:
            lowest = (kernel.index(down.padding + down.stride - 1) - tap_row).at_least(0)
            beyond = (kernel.index(down.in_size - 1 + down.padding + down.stride) - tap_row).at_least(0)
            low, high = kernel.divide(lowest, down.stride), kernel.divide(beyond, down.stride)
        return kernel.larger(first, low), kernel.smaller(first + n_rows, high)

    def _add_row(self, sums: Sums, taps: list[Tap], place: _Place, row: Index) -> None:
        """All columns of one output row: the inner ones in a loop, those at the rim with the taps that they have."""
        kernel, shape = self.kernel, self.shape
        down, across = shape.directions
        x_plane = (place.block * shape.in_channels + place.c) * down.in_size
        x_row = (x_plane + row * down.stride + place.tap_row - down.padding) * (across.in_size * LANES)
        dy_plane = (place.block * shape.out_channels + place.channel) * down.out_size
        dy_row = (dy_plane + row) * (across.out_size * LANES)
        for column in self.columns.rim:
            inside = [tap for tap in taps if 0 <= column * across.stride + tap[1] - across.padding < across.in_size]
            if inside:
                with kernel.loop(0, LANES, kernel.width) as lane:
                    self._add_column(sums, inside, x_row + lane, dy_row + lane, column=kernel.index(column))
        if self.columns.end > self.columns.first:
            with (
                kernel.loop(self.columns.first, self.columns.end) as column_inside,
                kernel.loop(0, LANES, kernel.width) as lane,
            ):
                self._add_column(sums, taps, x_row + lane, dy_row + lane, column=column_inside)

    def _add_column(self, sums: Sums, taps: list[Tap], x_row: Index, dy_row: Index, *, column: Index) -> None:
        kernel, shape = self.kernel, self.shape
        down, across = shape.directions
        x_at = x_row + column * (across.stride * LANES)
        inputs = {
            (row, tap): kernel.load("x", x_at + (row * across.in_size + tap - across.padding) * LANES)
            for row, tap in taps
        }
        plane = down.out_size * across.out_size * LANES
        for o in range(self.channels):
            gradient = kernel.load("dy", dy_row + (column * LANES + o * plane))
            for each in taps:
                sums[o, each].add_product(inputs[each], gradient)
