"""Residual connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from stepladder.networks.ops.op import Operation, Window
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class Residual(Operation):
    """The sum of what comes in and what went into the layer ``back`` layers before this one (He et al. 2016).

    After ``depthwise pad 1``, ``conv 8 1x1``, a ``residual 2`` adds what the depthwise convolution took in. Who runs
    the network adds it: by itself the operation passes on what comes in.
    """

    back: int

    word = "residual"
    title = "Residual"
    example = "residual 2"

    @classmethod
    def read(cls, words: Words) -> Self:
        back = words.number("the number of layers to go back")
        words.nothing_more()
        return cls(back)

    def __str__(self) -> str:
        return f"residual {self.back}"

    @property
    def short(self) -> str:
        return f"r{self.back}"

    def added(self, index: int) -> int:
        return index - 1 - self.back

    def window(self, in_size: Sides) -> Window:
        return Window(1, 0, 1, in_size)

    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del arrays, window
        return x

    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del x, arrays, window
        return gradient
