"""ReLU."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepladder.networks.ops.op import Step

if TYPE_CHECKING:
    from stepladder.networks.ops import block
    from stepladder.networks.ops.op import Values


@dataclass(frozen=True)
class Relu(Step):
    """max(value, 0) (Nair & Hinton 2010); its gradient at 0 is 0, as in PyTorch."""

    word = "relu"
    examples = ("relu",)

    def after(self, before: "block.Step") -> "block.Step | None":
        return self if before.keeps_sign else None

    def forward(self, x: "Values", arrays: Mapping[str, "Values"]) -> "Values":
        del arrays
        return x.clip(min=0)

    def backward(self, gradient: "Values", y: "Values", arrays: Mapping[str, "Values"]) -> "Values":
        del arrays
        return gradient * (y > 0)
