"""Max pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Self

from stepladder.networks.ops import pool
from stepladder.networks.ops.op import Operation, Window
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class MaxPool(Operation):
    """A maximum over a kernel's pixels; padding counts as minus infinity.

    Of equal values in a window the first gets the gradient, as in PyTorch.
    """

    kernel: Sides
    stride: Sides
    padding: Sides = 0

    word = "maxpool"
    title = "MaxPool"
    example = "maxpool 2"

    @classmethod
    def read(cls, words: Words) -> Self:
        return cls(**pool.numbers(words))

    def __str__(self) -> str:
        return f"maxpool {pool.text(self)}"

    @property
    def short(self) -> str:
        return f"P{pool.short(self)}"

    def problem(self) -> str | None:
        return pool.problem(self)

    def window(self, in_size: Sides) -> Window:
        return Window(self.kernel, self.padding, self.stride, in_size)

    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        from stepladder.networks.ops.windows import columns, mapped

        del arrays
        return mapped(columns(x, window, outside=-inf).max(2), window)

    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        from stepladder.networks.ops.windows import columns, of_largest, scattered

        del arrays
        looked_at = columns(x, window, outside=-inf)
        return scattered(of_largest(looked_at, gradient.reshape(*x.shape[:2], -1)), window)
