"""Linear layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from stepladder.networks.ops import convolution
from stepladder.networks.ops.block import NO_STEPS, Block, Step
from stepladder.networks.ops.op import Operation, Shape, Window, joined
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides, area

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class Linear(Operation):
    """Every output from every input value (channels, height, width flattened in this order)."""

    out_features: int
    bias: bool = True
    block: Block = NO_STEPS

    word = "linear"
    title = "Linear"
    example = "linear 10"
    is_matrix = True

    @classmethod
    def read(cls, words: Words) -> Self:
        out_features = words.number("the number of output features")
        known = {
            "nobias": lambda words: ("bias", False),  # noqa: ARG005
            "block": convolution.block_options("linear")["block"],
        }
        return cls(out_features, **words.options("linear", known))

    def __str__(self) -> str:
        block = f"block {self.block.text('linear')}" if self.block.steps else ""
        return joined(f"linear {self.out_features}", "" if self.bias else "nobias", block)

    @property
    def short(self) -> str:
        return f"{self.out_features}{'' if self.bias else 'n'}{self.block.short if self.block.steps else ''}"

    def steps(self, usual: Block) -> tuple[Step, ...]:
        del usual
        return self.block.steps

    def window(self, in_size: Sides) -> Window:
        return Window(in_size, 0, 1, in_size)

    def channels(self, in_channels: int) -> int:
        del in_channels
        return self.out_features

    @property
    def width(self) -> int:
        return self.out_features

    def parameters(self, in_channels: int, in_size: Sides) -> dict[str, Shape]:
        weight = {"weight": (self.out_features, in_channels * area(in_size))}
        return weight | ({"bias": (self.out_features,)} if self.bias else {})

    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del window
        y = x.reshape(len(x), -1) @ arrays["weight"].T
        return convolution.biased(y[:, :, None, None], arrays)

    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        del window
        return (gradient[:, :, 0, 0] @ arrays["weight"]).reshape(x.shape)
