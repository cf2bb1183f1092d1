"""Convolution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from stepladder.networks.ops import convolution
from stepladder.networks.ops.block import Block, Step
from stepladder.networks.ops.op import Operation, Shape, Window
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides, area, pair

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class Conv(Operation):
    """A 2-d convolution. ``block`` None means the recipe's block order; an empty Block means bare."""

    out_channels: int
    kernel: Sides = 3
    stride: Sides = 1
    padding: Sides = 0
    bias: bool = False
    block: Block | None = None

    word = "conv"
    title = "Conv2d"
    example = "conv 8 3x3"
    is_matrix = True

    @classmethod
    def read(cls, words: Words) -> Self:
        out_channels = words.number("the number of output channels")
        return cls(out_channels, words.kernel(3), **words.options("conv", convolution.options("conv")))

    def __str__(self) -> str:
        return f"conv {self.out_channels} {convolution.text(self, 'conv')}"

    @property
    def short(self) -> str:
        return f"{self.out_channels}{convolution.short(self)}"

    def problem(self) -> str | None:
        return convolution.problem(self)

    @property
    def takes_usual_steps(self) -> bool:
        return self.block is None

    def steps(self, usual: Block) -> tuple[Step, ...]:
        return (usual if self.block is None else self.block).steps

    def window(self, in_size: Sides) -> Window:
        return Window(self.kernel, self.padding, self.stride, in_size)

    def channels(self, in_channels: int) -> int:
        del in_channels
        return self.out_channels

    @property
    def width(self) -> int:
        return self.out_channels

    def parameters(self, in_channels: int, in_size: Sides) -> dict[str, Shape]:
        del in_size
        weight = {"weight": (self.out_channels, in_channels, *pair(self.kernel))}
        return weight | ({"bias": (self.out_channels,)} if self.bias else {})

    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        from stepladder.networks.ops.windows import columns, mapped

        matrix = arrays["weight"].reshape(self.out_channels, -1)
        y = matrix @ columns(x, window).reshape(len(x), matrix.shape[1], -1)
        return convolution.biased(mapped(y, window), arrays)

    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        from stepladder.networks.ops.windows import scattered

        matrix = arrays["weight"].reshape(self.out_channels, -1)
        taps = matrix.T @ gradient.reshape(len(x), self.out_channels, -1)
        return scattered(taps.reshape(*x.shape[:2], area(self.kernel), -1), window)
