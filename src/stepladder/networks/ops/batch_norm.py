"""Batch normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepladder.networks.ops.op import Shape, Step

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values

NORM_EPSILON = 1e-5  # under the root of the variance
NORM_MOMENTUM = 0.1  # of running statistics: running = 0.9 running + 0.1 batch, as in PyTorch


@dataclass(frozen=True)
class BatchNorm(Step):
    """Each channel to mean 0 and variance 1, then times a scale, if it learns one, plus a shift (Ioffe & Szegedy 2015).

    In training by the statistics of the batch, in evaluation by the running ones. Whether it has a scale is the
    recipe's to say, and not in the text.
    """

    scale: bool = True

    word = "norm"
    examples = ("norm",)

    def parameters(self, channels: int) -> dict[str, Shape]:
        return {f"norm.{name}": (channels,) for name in (("weight", "bias") if self.scale else ("bias",))}

    def statistics(self, channels: int) -> dict[str, Shape]:
        return {f"norm.{name}": (channels,) for name in ("running_mean", "running_var")}

    def initial(self, name: str) -> float:
        return 1.0 if name in ("norm.weight", "norm.running_var") else 0.0

    def forward(self, x: "Values", arrays: Mapping[str, "Values"]) -> "Values":
        centred = x - arrays["norm.running_mean"][:, None, None]
        return centred * _factor(arrays)[:, None, None] + arrays["norm.bias"][:, None, None]

    def backward(self, gradient: "Values", y: "Values", arrays: Mapping[str, "Values"]) -> "Values":
        del y
        return gradient * _factor(arrays)[:, None, None]


def _factor(arrays: Mapping[str, "Values"]) -> "Values":
    """What each channel is multiplied by, (C,)."""
    spread: Values = (arrays["norm.running_var"] + NORM_EPSILON) ** 0.5
    return arrays["norm.weight"] / spread if "norm.weight" in arrays else 1 / spread
