"""A training step as data: buffers in one arena, the kernels, and the calls that bind the two.

Whatever a network's layers need, they take from the arena and add to the lists of calls; ``sequence`` then makes each
list a function. Calls that work block by block run for one block after another while they follow each other, so that
what one of them writes is still in the cache when the next one reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from stepladder.engines.jit.code.emit import Index, Kernel
from stepladder.engines.jit.code.layout import LANES
from stepladder.engines.jit.code.target import Target

FLOATS_PER_LINE = 16  # of a cache: every buffer starts at one


@dataclass(frozen=True)
class Buffer:
    """``size`` floats from ``start`` on; of each block of images ``per_block`` of them, 0 if it knows no blocks."""

    start: int
    size: int
    per_block: int = 0

    def part(self, start: int, size: int) -> "Buffer":
        return Buffer(self.start + start, size)


@dataclass(frozen=True)
class Call:
    """A kernel and what it works on, in the order of its pointers."""

    kernel: Kernel
    buffers: tuple[Buffer, ...]

    @property
    def by_block(self) -> bool:
        return "n_blocks" in self.kernel.integers


@dataclass
class Plan:
    """What is planned so far for a batch of ``n_blocks`` blocks; ``ragged`` if some batch ends within a block."""

    n_blocks: int
    target: Target
    ragged: bool
    n_floats: int = 0
    ones: list[Buffer] = field(default_factory=list)
    shared: dict[str, Buffer] = field(default_factory=dict)
    kernels: dict[str, Kernel] = field(default_factory=dict)
    forward: list[Call] = field(default_factory=list)
    evaluation: list[Call] = field(default_factory=list)
    backward: list[Call] = field(default_factory=list)

    @property
    def width(self) -> int:
        return self.target.width

    def take(self, size: int) -> Buffer:
        """So many floats, zero at first."""
        buffer = Buffer(self.n_floats, size)
        self.n_floats += -(-size // FLOATS_PER_LINE) * FLOATS_PER_LINE
        return buffer

    def take_ones(self, size: int) -> Buffer:
        """So many floats, 1 from the start and for good."""
        self.ones.append(self.take(size))
        return self.ones[-1]

    def take_blocks(self, values: int) -> Buffer:
        """So many values of each image of a batch."""
        buffer = self.take(self.n_blocks * values * LANES)
        return Buffer(buffer.start, buffer.size, per_block=values * LANES)

    def scratch(self, name: str, size: int) -> Buffer:
        """At least this many floats, which all who ask for this name share, until somebody asks for more of them."""
        if name not in self.shared or self.shared[name].size < size:
            self.shared[name] = self.take(size)
        return self.shared[name]

    def call(self, calls: list[Call], kernel: Kernel, buffers: Mapping[str, Buffer]) -> None:
        """Add a call; ``buffers`` has one for each of the kernel's pointers."""
        known = self.kernels.setdefault(kernel.name, kernel)
        assert known is kernel, f"two kernels are called {kernel.name}"
        calls.append(Call(kernel, tuple(buffers[pointer] for pointer in kernel.pointers)))

    def sequences(self) -> list[Kernel]:
        """The functions of a step: ``learn`` is forward and backward, ``evaluate`` forward on running statistics."""
        lists = {"learn": [*self.forward, *self.backward], "evaluate": self.evaluation}
        return [sequence(name, calls, width=self.width) for name, calls in lists.items()]


def sequence(name: str, calls: Sequence[Call], *, width: int) -> Kernel:
    """A function ``void name(arena, n_blocks, n_images)`` that makes the calls in order."""
    kernel = Kernel(name, ["arena"], ["n_blocks", "n_images"], width=width)
    for by_block, group in groupby(calls, lambda call: call.by_block):
        if by_block:
            with kernel.loop(0, kernel.argument("n_blocks")) as block:
                for call in group:
                    _write_call(kernel, call, block)
        else:
            for call in group:
                _write_call(kernel, call, kernel.index(0))
    return kernel


def _write_call(kernel: Kernel, call: Call, block: Index) -> None:
    integers = {"n_blocks": "1", "n_images": "%n_images"}
    arguments = [f"ptr {kernel.address('arena', block * each.per_block + each.start)}" for each in call.buffers]
    arguments += [f"i64 {integers[name]}" for name in call.kernel.integers]
    kernel.line(f"call void @{call.kernel.name}({', '.join(arguments)})")
