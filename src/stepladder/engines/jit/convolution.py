"""Convolutions: forward, the gradient of their input, the gradient of their weights.

Letters: L lanes = 16 images side by side in memory, B blocks of L images, V the vector width (L is a multiple of V);
C input and O output channels, H = W = size, K kernel, S stride, P padding. Activations are (B, C, H, W, L), so every
operation is a vector over images, and the rim of an image is just a tile with fewer taps: no padding is stored.

A tile of output channels x columns stays in registers while the loops run over input channels and kernel rows; a weight
is broadcast from memory and an input vector is loaded once per tap for all output channels of the tile.
"""

from dataclasses import dataclass

from stepladder.engines.jit.emit import Index, Kernel, Variable

LANES = 16


@dataclass(frozen=True)
class ConvolutionShape:
    """A convolution's integers."""

    in_channels: int
    out_channels: int
    in_size: int
    kernel: int
    stride: int = 1
    padding: int = 0

    @property
    def out_size(self) -> int:
        return (self.in_size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def transposed(self) -> "ConvolutionShape":
        """The convolution that takes the output's gradient to the input's (stride 1 only)."""
        return ConvolutionShape(
            self.out_channels, self.in_channels, self.out_size, self.kernel, 1, self.kernel - 1 - self.padding
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
    """Columns as tiles; neighbours of the same width that no rim touches are one repeated tile."""
    found: list[Tile] = []
    start = 0
    for n in columns:
        first_tap = start * shape.stride - shape.padding
        last_tap = (start + n - 1) * shape.stride - shape.padding + shape.kernel - 1
        rim = first_tap < 0 or last_tap >= shape.in_size
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
    relu: bool = False,
    sums: bool = False,
) -> Kernel:
    """y = [relu](conv(x, w) [+ bias]).

    Pointers: x (B, C, H, W, L), w (C, K, K, O), bias (O), y (B, O, H', W', L), and with ``sums`` the row-wise sums of
    y and of y squared, each (H', O, V), added to.
    """
    pointers = ["x", "w", *(["bias"] if bias else []), "y", *(["sum", "sum_squared"] if sums else [])]
    kernel = Kernel(name, pointers, ["n_blocks"], width=width)
    writer = _Convolution(kernel, shape, registers=registers, bias=bias, relu=relu, sums=sums)
    with kernel.loop(0, kernel.argument("n_blocks")) as block, kernel.loop(0, shape.out_size) as row:
        writer.write_row(block, row)
    return kernel


class _Convolution:
    """One kernel on its way: which tiles, and what goes around their multiply-adds."""

    def __init__(
        self, kernel: Kernel, shape: ConvolutionShape, *, registers: int, bias: bool, relu: bool, sums: bool
    ) -> None:
        self.kernel = kernel
        self.shape = shape
        self.bias, self.relu, self.sums = bias, relu, sums
        self.channels, columns = choose_tile(shape.out_channels, shape.out_size, registers)
        self.tiles = tiles(shape, columns)

    def write_row(self, block: Index, row: Index) -> None:
        """All tiles of one output row."""
        kernel, shape = self.kernel, self.shape
        tap_rows: tuple[Index | int, Index | int] = (0, shape.kernel)
        top = row * shape.stride - shape.padding
        if shape.padding:
            tap_rows = ((kernel.index(0) - top).at_least(0), (kernel.index(shape.in_size) - top).at_most(shape.kernel))
        with kernel.loop(0, shape.out_channels, self.channels) as channel:
            for tile in self.tiles:
                with (
                    kernel.loop(0, tile.repeats) as repeat,
                    kernel.loop(0, LANES, kernel.width) as lane,
                ):
                    self.write_tile(
                        tile,
                        block=block,
                        channel=channel,
                        row=row,
                        column=repeat * tile.n + tile.start,
                        lane=lane,
                        top=top,
                        tap_rows=tap_rows,
                    )

    def write_tile(
        self,
        tile: Tile,
        *,
        block: Index,
        channel: Index,
        row: Index,
        column: Index,
        lane: Index,
        top: Index,
        tap_rows: tuple[Index | int, Index | int],
    ) -> None:
        kernel, shape = self.kernel, self.shape
        sums = self.start(tile, channel)
        plane = shape.in_size * shape.in_size * LANES
        with kernel.loop(0, shape.in_channels) as c, kernel.loop(*tap_rows) as tap_row:
            x_row = (block * shape.in_channels + c) * plane + (top + tap_row) * (shape.in_size * LANES) + lane
            x_at = x_row + column * (shape.stride * LANES)
            w_at = (c * shape.kernel + tap_row) * (shape.kernel * shape.out_channels) + channel
            for tap in range(shape.kernel):
                self.write_tap(tile, sums, x_at=x_at, w_at=w_at, tap=tap)
        out_plane = shape.out_size * shape.out_size * LANES
        y_at = (block * shape.out_channels + channel) * out_plane + (row * shape.out_size + column) * LANES + lane
        self.finish(tile, sums, y_at=y_at, sum_at=row * shape.out_channels + channel)

    def start(self, tile: Tile, channel: Index) -> dict[tuple[int, int], Variable]:
        kernel = self.kernel
        sums = {}
        for o in range(self.channels):
            value = kernel.broadcast("bias", channel + o) if self.bias else kernel.zero()
            for n in range(tile.n):
                sums[o, n] = kernel.variable(value)
        return sums

    def write_tap(
        self, tile: Tile, sums: dict[tuple[int, int], Variable], *, x_at: Index, w_at: Index, tap: int
    ) -> None:
        kernel, shape = self.kernel, self.shape
        offsets = {n: n * shape.stride + tap - shape.padding for n in range(tile.n)}
        if tile.rim:
            first = tile.start * shape.stride
            offsets = {n: offset for n, offset in offsets.items() if 0 <= first + offset < shape.in_size}
        if not offsets:
            return
        inputs = {n: kernel.load("x", x_at + offset * LANES) for n, offset in offsets.items()}
        for o in range(self.channels):
            weight = kernel.broadcast("w", w_at + (tap * shape.out_channels + o))
            for n, value in inputs.items():
                sums[o, n].add_product(value, weight)

    def finish(self, tile: Tile, sums: dict[tuple[int, int], Variable], *, y_at: Index, sum_at: Index) -> None:
        kernel = self.kernel
        plane = self.shape.out_size * self.shape.out_size * LANES
        for o in range(self.channels):
            at = (sum_at + o) * kernel.width
            total, squared = (kernel.load("sum", at), kernel.load("sum_squared", at)) if self.sums else (None, None)
            for n in range(tile.n):
                value = sums[o, n].get()
                value = value.relu() if self.relu else value
                kernel.store("y", y_at + (o * plane + n * LANES), value)
                if total is not None and squared is not None:
                    total, squared = total + value, kernel.multiply_add(value, value, squared)
            if total is not None and squared is not None:
                kernel.store("sum", at, total)
                kernel.store("sum_squared", at, squared)
