"""Average pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from stepladder.networks.ops import pool
from stepladder.networks.ops.op import Operation, Window
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides, area

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class AvgPool(Operation):
    """A mean over a kernel's pixels; padding counts as zeros."""

    kernel: Sides
    stride: Sides
    padding: Sides = 0

    word = "avgpool"
    title = "AvgPool"
    example = "avgpool 2"

    @classmethod
    def read(cls, words: Words) -> Self:
        return cls(**pool.numbers(words))

    def __str__(self) -> str:
        return f"avgpool {pool.text(self)}"

    @property
    def short(self) -> str:
        return f"A{pool.short(self)}"

    def problem(self) -> str | None:
        return pool.problem(self)

    def window(self, in_size: Sides) -> Window:
        return Window(self.kernel, self.padding, self.stride, in_size)

    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del arrays
        return averaged(x, window)

    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del x, arrays
        return spread(gradient, window)


def averaged(x: "Values", window: Window) -> "Values":
    """The mean of each window: (N, C, H, W) -> (N, C, H', W')."""
    from stepladder.networks.ops.windows import columns, mapped

    return mapped(columns(x, window).mean(2), window)


def spread(gradient: "Values", window: Window) -> "Values":
    """From the gradient by the means of windows to that by what they are of."""
    from stepladder.networks.ops.windows import scattered

    n_taps = area(window.kernel)
    share = (gradient / n_taps).reshape(*gradient.shape[:2], 1, -1)
    return scattered(share.repeat(n_taps, axis=2), window)
