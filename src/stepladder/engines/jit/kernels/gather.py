"""A batch from the image set: chosen images as vectors over images, normalised, plain or warped (see augment.warp).

The set is kept as bytes with a rim of RIM zeros around each image, so that a warp reads zeros outside instead of
asking where it is: (N, C, H + 2 RIM, W + 2 RIM) uint8, and SLACK bytes more, because two pixels are read at once.
"""

import numpy as np
from numpy.typing import NDArray

from stepladder.datasets.image_set import Labelled
from stepladder.engines.jit.code.emit import Index, Kernel, Vector
from stepladder.engines.jit.code.layout import LANES, blocks_for
from stepladder.engines.jit.code.memory import aligned
from stepladder.networks.sides import Sides, pair
from stepladder.recipes.augment import Warps

RIM = 2
SLACK = 1
MOST_KEPT = (
    2**26
)  # bytes of a set that is kept with its rims; of a larger one, each batch gets them when it is gathered


class Pixels:
    """An image set for the kernels, with its rims if that is a small copy: else a batch at a time.

    ``at_once`` is the most images that are asked for at a time.
    """

    def __init__(self, part: Labelled, *, at_once: int, most_kept: int = MOST_KEPT) -> None:
        self.part, self.at_once = part, at_once
        n_bytes = len(part) * n_with_rim(part.shape[1:])
        self.kept = with_rim(part.images) if n_bytes <= most_kept else None
        self._batch = with_rim(np.zeros((0 if self.kept is not None else at_once, *part.shape[1:]), np.uint8))

    def batch(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Bytes as ``with_rim`` gives them, with the images ``indices`` (n,) of the set, and where they are in them."""
        if self.kept is not None:
            return self.kept, indices
        _put(self._batch, self.part.take(indices))
        return self._batch, np.arange(len(indices))


def n_with_rim(shape: tuple[int, ...]) -> int:
    """Bytes of an image (C, H, W) with its rim."""
    channels, height, width = shape
    return channels * (height + 2 * RIM) * (width + 2 * RIM)


def with_rim(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, C, H, W) as the kernels want them: flat bytes."""
    flat = np.zeros(len(images) * n_with_rim(images.shape[1:]) + SLACK, np.uint8)
    _put(flat, images)
    return flat


def _put(flat: NDArray[np.uint8], images: NDArray[np.uint8]) -> None:
    """Images (n, C, H, W) into the first places of such bytes; the rims stay as they are."""
    n, channels, height, width = images.shape
    used = flat[: n * n_with_rim(images.shape[1:])]
    places = used.reshape(n, channels, height + 2 * RIM, width + 2 * RIM)
    places[:, :, RIM:-RIM, RIM:-RIM] = images


def lanes_of(warps: Warps) -> NDArray[np.float32]:
    """Warps as ``warped`` wants them: (B, K, L), aligned, zero beyond the last.

    K is 6 for the map, then 4 times the longer side for curves and 4 for a hole, where there are such.
    """
    n = len(warps.maps)
    rows = [each.reshape(n, -1) for each in (warps.maps, warps.curves, warps.holes) if each is not None]
    n_blocks, n_values = blocks_for(n), sum(row.shape[1] for row in rows)
    filled = np.zeros((n_blocks * LANES, n_values), np.float32)
    np.concatenate(rows, 1, out=filled[:n])
    lanes = aligned(n_blocks, n_values, LANES)
    lanes[:] = filled.reshape(n_blocks, LANES, n_values).transpose(0, 2, 1)
    return lanes


def gathered(name: str, *, channels: int, size: Sides, width: int) -> Kernel:
    """x = pixel * scale + offset.

    Pointers: images (see with_rim); indices (B, L) int64; scale, offset (C); x (B, C, H, W, L).
    """
    kernel = Kernel(name, ["images", "indices", "scale", "offset", "x"], ["n_blocks"], width=width)
    n_rows, row_size = pair(size)
    row, column = row_size + 2 * RIM, n_rows + 2 * RIM
    with kernel.loop(0, kernel.argument("n_blocks")) as block, kernel.loop(0, LANES, width) as lane:
        starts = _starts(kernel, block * LANES + lane, channels * column * row)
        with kernel.loop(0, channels) as c:
            scale, offset = kernel.broadcast("scale", c), kernel.broadcast("offset", c)
            with kernel.loop(0, n_rows) as y, kernel.loop(0, row_size) as x:
                at = (c * column + y + RIM) * row + x + RIM
                pixels = _pixels(kernel, [start + at for start in starts], "i8")
                out = (((block * channels + c) * n_rows + y) * row_size + x) * LANES + lane
                kernel.store("x", out, kernel.multiply_add(_as_floats(kernel, pixels), scale, offset))
    return kernel


def warped(name: str, *, channels: int, size: Sides, bent: bool, cut: bool, width: int) -> Kernel:
    """x = warp(image) * scale + offset: bilinear, zeros outside and in holes (before normalising).

    ``bent`` by curves, ``cut`` by holes. Pointers: images (see with_rim); indices (B, L) int64; warps (see lanes_of);
    scale, offset (C); x (B, C, H, W, L).
    """
    kernel = Kernel(name, ["images", "indices", "warps", "scale", "offset", "x"], ["n_blocks"], width=width)
    n_rows, row_size = pair(size)
    row, column, longest = row_size + 2 * RIM, n_rows + 2 * RIM, max(n_rows, row_size)
    first_hole = 6 + 4 * longest * bent
    n_values = first_hole + 4 * cut
    with kernel.loop(0, kernel.argument("n_blocks")) as block, kernel.loop(0, LANES, width) as lane:
        starts = _starts(kernel, block * LANES + lane, channels * column * row)

        def value(n: Index | int) -> Vector:
            return kernel.load("warps", (block * n_values + n) * LANES + lane)

        a, b, shift_x, c_, d, shift_y = (value(n) for n in range(6))
        hole = [value(first_hole + n) for n in range(4)] if cut else []
        with kernel.loop(0, channels) as c:
            scale, offset = kernel.broadcast("scale", c), kernel.broadcast("offset", c)
            plane = c * (column * row)
            with kernel.loop(0, n_rows) as y:
                down = kernel.spread(y.as_float())
                with kernel.loop(0, row_size) as x:
                    across = kernel.spread(x.as_float())
                    source_x, source_y = a * across + (b * down + shift_x), c_ * across + (d * down + shift_y)
                    if bent:
                        source_x += value(x + 6) + value(y + (6 + longest))
                        source_y += value(x + (6 + 2 * longest)) + value(y + (6 + 3 * longest))
                    left, part_x = _split(kernel, source_x, row_size)
                    top, part_y = _split(kernel, source_y, n_rows)
                    places = [start + plane for start in _offsets(kernel, starts, top, left, row)]
                    upper = _between(kernel, places, part_x)
                    lower = _between(kernel, [place + row for place in places], part_x)
                    pixel = upper + (lower - upper) * part_y
                    if cut:
                        pixel = _outside(kernel, hole, across, down, pixel)
                    out = (((block * channels + c) * n_rows + y) * row_size + x) * LANES + lane
                    kernel.store("x", out, kernel.multiply_add(pixel, scale, offset))
    return kernel


def _outside(kernel: Kernel, hole: list[Vector], across: Vector, down: Vector, pixel: Vector) -> Vector:
    """0 within the hole (left, top, right, bottom), the pixel elsewhere."""
    left, top, right, bottom = hole
    found: Vector | float = 0.0
    for comparison, at, edge in (
        ("olt", down, bottom),
        ("oge", down, top),
        ("olt", across, right),
        ("oge", across, left),
    ):
        found = kernel.select(comparison, (at, edge), found, pixel)
    assert isinstance(found, Vector)
    return found


def _starts(kernel: Kernel, first: Index, image_size: int) -> list[Index]:
    """Where the image of each lane starts, in bytes."""
    starts = []
    for lane in range(kernel.width):
        address = kernel.name_of(f"getelementptr i64, ptr %indices, i64 {(first + lane).text}")
        starts.append(Index(kernel, kernel.name_of(f"load i64, ptr {address}")) * image_size)
    return starts


def _pixels(kernel: Kernel, places: list[Index], kind: str) -> str:
    """One integer of each lane, from any byte on, as a vector of i32."""
    whole = f"<{kernel.width} x i32>"
    vector = "poison"
    for lane, place in enumerate(places):
        address = kernel.name_of(f"getelementptr i8, ptr %images, i64 {place.text}")
        wide = kernel.name_of(f"zext {kind} {kernel.name_of(f'load {kind}, ptr {address}, align 1')} to i32")
        vector = kernel.name_of(f"insertelement {whole} {vector}, i32 {wide}, i32 {lane}")
    return vector


def _between(kernel: Kernel, places: list[Index], part: Vector) -> Vector:
    """Between the pixel at each place and its right neighbour, which are the low and the high byte of an i16."""
    whole = f"<{kernel.width} x i32>"
    pairs = _pixels(kernel, places, "i16")
    low = _as_floats(kernel, kernel.name_of(f"and {whole} {pairs}, {kernel.all_lanes(255)}"))
    high = _as_floats(kernel, kernel.name_of(f"lshr {whole} {pairs}, {kernel.all_lanes(8)}"))
    return low + (high - low) * part


def _split(kernel: Kernel, source: Vector, size: int) -> tuple[str, Vector]:
    """A source coordinate as the whole pixel below it, counted from the rim's edge, and the part above that.

    Coordinates outside the image end on the rim, one pixel beyond it.
    """
    inside = kernel.select("olt", (source, -1.0), -1.0, source)
    inside = kernel.select("ogt", (inside, float(size)), float(size), inside)
    positive = inside + float(RIM)
    kind, whole = kernel.type_of(kernel.width), f"<{kernel.width} x i32>"
    pixel = kernel.name_of(f"fptosi {kind} {positive.text} to {whole}")
    return pixel, positive - _as_floats(kernel, pixel)


def _offsets(kernel: Kernel, starts: list[Index], top: str, left: str, row: int) -> list[Index]:
    """Where each lane's pixel (left, top) is, in bytes."""
    whole = f"<{kernel.width} x i32>"
    rows = kernel.name_of(f"mul {whole} {top}, {kernel.all_lanes(row)}")
    offsets = kernel.name_of(f"add {whole} {rows}, {left}")
    places = []
    for lane, start in enumerate(starts):
        one = kernel.name_of(f"extractelement {whole} {offsets}, i32 {lane}")
        places.append(start + Index(kernel, kernel.name_of(f"zext i32 {one} to i64")))
    return places


def _as_floats(kernel: Kernel, integers: str) -> Vector:
    kind = kernel.type_of(kernel.width)
    return Vector(kernel, kernel.name_of(f"sitofp <{kernel.width} x i32> {integers} to {kind}"), kernel.width)
