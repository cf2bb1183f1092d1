"""Global average pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from stepladder.networks.ops.avg_pool import averaged, spread
from stepladder.networks.ops.op import Operation, Window
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class GlobalAvgPool(Operation):
    """The mean of each channel (Lin, Chen & Yan 2014)."""

    word = "gap"
    title = "GAP"
    example = None

    @classmethod
    def read(cls, words: Words) -> Self:
        words.nothing_more()
        return cls()

    def __str__(self) -> str:
        return "gap"

    @property
    def short(self) -> str:
        return "gap"

    def window(self, in_size: Sides) -> Window:
        return Window(in_size, 0, 1, in_size)

    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del arrays
        return averaged(x, window)

    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del x, arrays
        return spread(gradient, window)
