"""What happens to each value between registers and memory: activation, normalisation, dropout, and their gradients.

A kernel that computes a tensor applies a chain of operations to each value before it stores it, so that a chain costs
no pass over memory; ``pointwise`` is the pass for places that have no such kernel. Letters as in layout. Each operation
names the pointers that it adds to its kernel; what it does is opened for one channel of one row of pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol

from stepladder.engines.jit.code.emit import Index, Kernel, Variable, Vector
from stepladder.engines.jit.code.layout import LANES
from stepladder.networks.sides import Sides, pair

# What a value becomes, by the value, its place in its tensor, and the number of its first image in the batch.
Apply = Callable[[Vector, Index, Index], Vector]


@dataclass(frozen=True)
class Line:
    """One channel of one row of pixels, in a tensor of ``n_channels``."""

    channel: Index
    row: Index
    n_channels: int

    def sums_at(self, kernel: Kernel) -> Index:
        """Where this line is in an array of row sums."""
        return (self.row * self.n_channels + self.channel) * kernel.width


@contextmanager
def _counted(kernel: Kernel, line: Line, *pointers: str) -> Iterator[list[Variable]]:
    """A line's row sums: taken from memory, and put back when all its values have been added."""
    place = line.sums_at(kernel)
    sums = [kernel.variable(kernel.load(pointer, place)) for pointer in pointers]
    yield sums
    for pointer, total in zip(pointers, sums, strict=True):
        kernel.store(pointer, place, total.get())


class Operation(Protocol):
    """One operation of a chain."""

    @property
    def pointers(self) -> tuple[str, ...]: ...

    def opened(self, kernel: Kernel, line: Line) -> AbstractContextManager[Apply]: ...


@dataclass(frozen=True)
class Relu:
    """max(value, 0); NaN stays NaN."""

    pointers: ClassVar[tuple[str, ...]] = ()

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:  # noqa: ARG002
        yield lambda value, at, image: value.relu()  # noqa: ARG005


@dataclass(frozen=True)
class LeakyRelu:
    """value if it is above 0, else slope * value; NaN stays NaN."""

    slope: float
    pointers: ClassVar[tuple[str, ...]] = ()

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:  # noqa: ARG002
        yield lambda value, at, image: kernel.select("ogt", (value, 0.0), value, value * self.slope)  # noqa: ARG005


@dataclass(frozen=True)
class Affine:
    """value * a + b of the channel: batch normalisation, once a = scale / std and b = shift - mean * a are known."""

    pointers: ClassVar[tuple[str, ...]] = ("a", "b")

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:
        a, b = kernel.broadcast("a", line.channel), kernel.broadcast("b", line.channel)
        yield lambda value, at, image: kernel.multiply_add(value, a, b)  # noqa: ARG005


@dataclass(frozen=True)
class Plus:
    """The value and that of another tensor of the same shape, to which the pointer ``other`` goes."""

    other: str = "other"

    @property
    def pointers(self) -> tuple[str, ...]:
        return (self.other,)

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:  # noqa: ARG002
        yield lambda value, at, image: value + kernel.load(self.other, at)  # noqa: ARG005


@dataclass(frozen=True)
class Dropout:
    """Zero with this probability, else scaled up to keep the mean; its own gradient.

    A value's fate is a hash of the ``key`` (one i32) and of its place, so no mask is stored between the two. Calls for
    different blocks of a batch need different keys.
    """

    probability: float
    pointers: ClassVar[tuple[str, ...]] = ("key",)

    @property
    def scale(self) -> float:
        return 1 / (1 - self.probability)

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:  # noqa: ARG002
        key = kernel.name_of("load i32, ptr %key, align 4")
        keys = kernel.spread_integer(key)
        least = min(round(self.probability * 2**32), 2**32 - 1) - 2**31
        yield lambda value, at, image: self._apply(kernel, value, keys, at, least)  # noqa: ARG005

    def _apply(self, kernel: Kernel, value: Vector, keys: str, at: Index, least: int) -> Vector:
        kind, whole = kernel.type_of(kernel.width), f"<{kernel.width} x i32>"
        hashed = hash_of_place(kernel, at, keys)
        kept = kernel.name_of(f"icmp sge {whole} {hashed}, {kernel.all_lanes(least)}")
        scaled, zero = value * self.scale, kernel.zero()
        text = kernel.name_of(f"select <{kernel.width} x i1> {kept}, {kind} {scaled.text}, {kind} {zero.text}")
        return Vector(kernel, text, kernel.width)


@dataclass(frozen=True)
class InUse:
    """Zero in lanes beyond the last image of a batch, where ``in_use`` (B, L) is 0; 1 elsewhere."""

    pointers: ClassVar[tuple[str, ...]] = ("in_use",)

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:  # noqa: ARG002
        yield lambda value, at, image: value * kernel.load("in_use", image)  # noqa: ARG005


@dataclass(frozen=True)
class Sums:
    """The value, counted: row sums of value - ``pivot`` of its channel, and of the square of that, for batch norm.

    With a pivot near the mean no digits cancel in the variance. ``ragged`` leaves out lanes beyond the last image of a
    batch, where ``in_use`` (B, L) is 0; it is 1 elsewhere.
    """

    ragged: bool = False

    @property
    def pointers(self) -> tuple[str, ...]:
        return ("pivot", "sum", "sum_squared", *(["in_use"] if self.ragged else []))

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:
        pivot = kernel.broadcast("pivot", line.channel)
        with _counted(kernel, line, "sum", "sum_squared") as (total, squared):

            def apply(value: Vector, at: Index, image: Index) -> Vector:  # noqa: ARG001
                centred = value - pivot
                if self.ragged:
                    centred = centred * kernel.load("in_use", image)
                total.add(centred)
                squared.add_product(centred, centred)
                return value

            yield apply


@dataclass(frozen=True)
class ReluGradient:
    """The gradient where the stored ``output`` of the ReLU is above 0, times ``scale``; else 0.

    With dropout beside the ReLU, an output above 0 was kept as well, and ``scale`` is the dropout's.
    """

    scale: float = 1.0
    pointers: ClassVar[tuple[str, ...]] = ("output",)

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:  # noqa: ARG002
        def apply(value: Vector, at: Index, image: Index) -> Vector:  # noqa: ARG001
            scaled = value if self.scale == 1 else value * self.scale
            return kernel.select("ogt", (kernel.load("output", at), 0.0), scaled, 0.0)

        yield apply


@dataclass(frozen=True)
class LeakyReluGradient:
    """The gradient where the stored ``output`` of the leaky ReLU is above 0, else slope * gradient."""

    slope: float
    pointers: ClassVar[tuple[str, ...]] = ("output",)

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:  # noqa: ARG002
        def apply(value: Vector, at: Index, image: Index) -> Vector:  # noqa: ARG001
            return kernel.select("ogt", (kernel.load("output", at), 0.0), value, value * self.slope)

        yield apply


@dataclass(frozen=True)
class GradientSums:
    """The gradient, counted: row sums of gradients and of gradient times ``values``, for batch normalisation's own."""

    pointers: ClassVar[tuple[str, ...]] = ("values", "sum_gradient", "sum_product")

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:
        with _counted(kernel, line, "sum_gradient", "sum_product") as (total, product):

            def apply(value: Vector, at: Index, image: Index) -> Vector:  # noqa: ARG001
                total.add(value)
                product.add_product(value, kernel.load("values", at))
                return value

            yield apply


@dataclass(frozen=True)
class NormGradient:
    """From the gradient by batch normalisation's output to that by its input ``values``: g a + values slope + offset.

    ``scaled`` if the multiplication by a has been done, as by a convolution whose weights carry it. See norm.
    """

    scaled: bool
    pointers: ClassVar[tuple[str, ...]] = ("values", "a", "slope", "offset")

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:
        a, slope, offset = (kernel.broadcast(name, line.channel) for name in ("a", "slope", "offset"))

        def apply(value: Vector, at: Index, image: Index) -> Vector:  # noqa: ARG001
            rest = kernel.multiply_add(kernel.load("values", at), slope, offset)
            return value + rest if self.scaled else kernel.multiply_add(value, a, rest)

        yield apply


@dataclass(frozen=True)
class RowSums:
    """The value, counted: row sums, which are a bias's gradient once they are added up."""

    pointers: ClassVar[tuple[str, ...]] = ("row_sum",)

    @contextmanager
    def opened(self, kernel: Kernel, line: Line) -> Iterator[Apply]:
        with _counted(kernel, line, "row_sum") as (total,):

            def apply(value: Vector, at: Index, image: Index) -> Vector:  # noqa: ARG001
                total.add(value)
                return value

            yield apply


def pointers_of(operations: Sequence[Operation]) -> list[str]:
    """All pointers of a chain; what two operations share is there once."""
    return list(dict.fromkeys(name for operation in operations for name in operation.pointers))


@contextmanager
def opened(kernel: Kernel, operations: Sequence[Operation], line: Line) -> Iterator[Apply]:
    """A chain, opened for one line of a tensor."""
    with ExitStack() as stack:
        steps = [stack.enter_context(operation.opened(kernel, line)) for operation in operations]

        def apply(value: Vector, at: Index, image: Index) -> Vector:
            for step in steps:
                value = step(value, at, image)
            return value

        yield apply


def pointwise(
    name: str, operations: Sequence[Operation], *, channels: int, size: Sides, width: int, in_place: bool = False
) -> Kernel:
    """y = operations(x), or x = operations(x) ``in_place``; both (B, C, H, W, L)."""
    target = "x" if in_place else "y"
    n_rows, row_size = pair(size)
    kernel = Kernel(name, [*dict.fromkeys(["x", target]), *pointers_of(operations)], ["n_blocks"], width=width)
    with (
        kernel.loop(0, kernel.argument("n_blocks")) as block,
        kernel.loop(0, channels) as channel,
        kernel.loop(0, n_rows) as row,
        opened(kernel, operations, Line(channel, row, channels)) as apply,
        kernel.loop(0, row_size) as column,
        kernel.loop(0, LANES, width) as lane,
    ):
        at = (((block * channels + channel) * n_rows + row) * row_size + column) * LANES + lane
        kernel.store(target, at, apply(kernel.load("x", at), at, block * LANES + lane))
    return kernel


def hash_of_place(kernel: Kernel, at: Index, keys: str) -> str:
    """A well mixed i32 for each lane of the vector at this place (Wellons' lowbias32 of the place xor the key)."""
    whole, width = f"<{kernel.width} x i32>", kernel.width
    first = kernel.spread_integer(kernel.name_of(f"trunc i64 {at.text} to i32"))
    lanes = f"<{', '.join(f'i32 {lane}' for lane in range(width))}>"
    x = kernel.name_of(f"add {whole} {first}, {lanes}")
    x = kernel.name_of(f"xor {whole} {x}, {keys}")
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None)):
        moved = kernel.name_of(f"lshr {whole} {x}, {kernel.all_lanes(shift)}")
        x = kernel.name_of(f"xor {whole} {x}, {moved}")
        if factor is not None:
            x = kernel.name_of(f"mul {whole} {x}, {kernel.all_lanes(factor)}")
    return x
