"""Squeeze-and-excitation."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Self

from stepladder.networks.ops.op import Operation, Shape, Window
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides, area, each

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class SqueezeExcite(Operation):
    """Each channel times a number between 0 and 1 that the means of all channels decide (Hu, Shen & Sun 2018).

    The means go through a linear layer to ``reduced`` numbers, a ReLU, a linear layer back to one number for each
    channel, and a sigmoid. As every pixel is multiplied by what all pixels decide, each sees all of its map: in
    a direction of n pixels, a window of 2 n - 1.
    """

    reduced: int

    word = "squeeze-excite"
    title = "SqueezeExcite"
    example = "squeeze-excite 4"

    @classmethod
    def read(cls, words: Words) -> Self:
        reduced = words.number("the number of values that the means are reduced to")
        words.nothing_more()
        return cls(reduced)

    def __str__(self) -> str:
        return f"squeeze-excite {self.reduced}"

    @property
    def short(self) -> str:
        return f"se{self.reduced}"

    def window(self, in_size: Sides) -> Window:
        return Window(each(lambda size: 2 * size - 1, in_size), each(lambda size: size - 1, in_size), 1, in_size)

    def parameters(self, in_channels: int, in_size: Sides) -> dict[str, Shape]:
        del in_size
        n = self.reduced
        shapes: dict[str, Shape] = {}
        for part, shape in (("reduce", (n, in_channels)), ("expand", (in_channels, n))):
            shapes |= {f"{part}.weight": shape, f"{part}.bias": shape[:1]}
        return shapes

    def macs(self, in_channels: int, in_size: Sides) -> int:
        """Those of the two linear layers: once, not for each pixel."""
        shapes = self.parameters(in_channels, in_size).items()
        return sum(prod(shape) for name, shape in shapes if name.endswith("weight"))

    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del window
        return x * _gate(x, arrays)[1][:, :, None, None]

    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        """What goes around the gate, and what goes through the means."""
        reduced, gate = _gate(x, arrays)
        by_logits = (gradient * x).sum((2, 3)) * gate * (1 - gate)
        by_reduced = by_logits @ arrays["expand.weight"] * (reduced > 0)
        by_means: Values = by_reduced @ arrays["reduce.weight"]
        return gradient * gate[:, :, None, None] + by_means[:, :, None, None] / area(window.in_size)


def _gate(x: "Values", arrays: Mapping[str, "Values"]) -> tuple["Values", "Values"]:
    """What the means of ``x`` (N, C, H, W) are reduced to (N, R), and what channels are multiplied by (N, C)."""
    from numpy import tanh

    reduced = (x.mean((2, 3)) @ arrays["reduce.weight"].T + arrays["reduce.bias"]).clip(min=0)
    logits = reduced @ arrays["expand.weight"].T + arrays["expand.bias"]
    return reduced, (1 + tanh(logits / 2)) / 2  # the sigmoid, without a power that overflows
