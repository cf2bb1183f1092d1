"""Depthwise convolution."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from stepladder.networks.ops import convolution
from stepladder.networks.ops.block import Block, Step
from stepladder.networks.ops.op import Operation, Shape, Window
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides, pair

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class Depthwise(Operation):
    """A convolution of each channel by its own kernel."""

    kernel: Sides = 3
    stride: Sides = 1
    padding: Sides = 0
    bias: bool = False
    block: Block | None = None

    word = "depthwise"
    title = "DepthwiseConv2d"
    example = None

    @classmethod
    def read(cls, words: Words) -> Self:
        if words.left and re.fullmatch("[0-9]{1,9}", words.left[0]):
            number, *rest = words.left
            write = f"write '{' '.join(['depthwise', *rest])}'"
            if not rest:
                write = f"write 'depthwise', or 'depthwise {number}x{number}' if {number} is the kernel"
            raise words.refuse(f"a depthwise layer takes no number of channels, it has as many as come in: {write}")
        return cls(words.kernel(3), **words.options("depthwise", convolution.options("depthwise")))

    def __str__(self) -> str:
        return f"depthwise {convolution.text(self, 'depthwise')}"

    @property
    def short(self) -> str:
        return f"dw{convolution.short(self)}"

    def problem(self) -> str | None:
        return convolution.problem(self)

    @property
    def takes_usual_steps(self) -> bool:
        return self.block is None

    def steps(self, usual: Block) -> tuple[Step, ...]:
        return (usual if self.block is None else self.block).steps

    def window(self, in_size: Sides) -> Window:
        return Window(self.kernel, self.padding, self.stride, in_size)

    def parameters(self, in_channels: int, in_size: Sides) -> dict[str, Shape]:
        del in_size
        weight = {"weight": (in_channels, 1, *pair(self.kernel))}
        return weight | ({"bias": (in_channels,)} if self.bias else {})

    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        from stepladder.networks.ops.windows import columns, mapped

        rows = arrays["weight"].reshape(x.shape[1], 1, -1)
        return convolution.biased(mapped((rows @ columns(x, window))[:, :, 0], window), arrays)

    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        from stepladder.networks.ops.windows import scattered

        taps = arrays["weight"].reshape(x.shape[1], -1, 1) * gradient.reshape(*x.shape[:2], 1, -1)
        return scattered(taps, window)
