"""Leaky ReLU."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from stepladder._base.wording import LONGEST_WORD, cut
from stepladder.errors import LadderError
from stepladder.networks.ops.op import Step
from stepladder.networks.ops.relu import Relu
from stepladder.networks.ops.words import Words

if TYPE_CHECKING:
    from stepladder.networks.ops import block
    from stepladder.networks.ops.op import Values

DIGITS = 6  # of a slope, after the point
_SLOPE = re.compile(rf"0?\.[0-9]{{1,{DIGITS}}}")


@dataclass(frozen=True)
class LeakyRelu(Step):
    """The value if it is above 0, else slope * value (Maas, Hannun & Ng 2013); its gradient at 0 is the slope, as in
    PyTorch.
    """

    slope: float

    word = "leaky"
    examples = ("leaky 0.1", "leaky 0.01")
    keeps_sign = True

    def __post_init__(self) -> None:
        if not 0 < self.slope < 1 or round(self.slope, DIGITS) != self.slope:
            hint = ": a slope of 0 is 'relu'" if self.slope == 0 else ""
            raise LadderError(
                f"the slope of a leaky ReLU is between 0 and 1, with at most {DIGITS} digits, not {self.slope!r}{hint}"
            )

    @classmethod
    def read(cls, words: Words) -> Self:
        word = words.left.pop(0) if words.left else "nothing"
        if not _SLOPE.fullmatch(word):
            raise LadderError(
                f"behind 'leaky' stands its slope, between 0 and 1, with at most {DIGITS} digits, as in 'leaky 0.1',"
                f" not {cut(word, most=LONGEST_WORD)}"
            )
        return cls(float(word))

    def __str__(self) -> str:
        return f"leaky {self.slope:.{DIGITS}f}".rstrip("0")

    def after(self, before: "block.Step") -> "block.Step | None":
        """A ReLU leaves nothing below 0."""
        return before if isinstance(before, Relu) else None

    def forward(self, x: "Values", arrays: Mapping[str, "Values"]) -> "Values":
        del arrays
        return x.clip(min=0) + self.slope * x.clip(max=0)

    def backward(self, gradient: "Values", y: "Values", arrays: Mapping[str, "Values"]) -> "Values":
        del arrays
        above = y > 0
        return gradient * above + self.slope * gradient * ~above
