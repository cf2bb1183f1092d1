"""What every operation of a network tells of itself. No numpy until something is computed, no torch ever.

A layer is an ``Operation`` and then some ``Step``, one after another. Both are frozen values with a text form. Letters
in shapes: N images, C channels, H x W pixels. What is said of both directions are Sides: a number, or two.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from stepladder._base.wording import shown
from stepladder.errors import LadderError
from stepladder.networks import sides
from stepladder.networks.ops.words import Words
from stepladder.networks.sides import Sides, Span, area, pair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stepladder.networks.ops import block

    Values = NDArray[np.floating[Any]]

Shape = tuple[int, ...]

LEASTS = {"out_channels": 1, "out_features": 1, "kernel": 1, "stride": 1, "padding": 0, "back": 1, "reduced": 1}
WINDOWED = ("kernel", "stride", "padding")  # may be two numbers


@dataclass(frozen=True)
class Window:
    """What one output pixel of an operation looks at: ``kernel`` pixels down and across, windows ``stride`` apart."""

    kernel: Sides
    padding: Sides
    stride: Sides
    in_size: Sides

    @property
    def directions(self) -> tuple[Span, Span]:
        """Down and across."""
        return sides.spans(kernel=self.kernel, padding=self.padding, stride=self.stride, in_size=self.in_size)

    @property
    def out_size(self) -> Sides:
        return sides.each(sides.out_size, self.kernel, self.padding, self.stride, self.in_size)


class Operation(ABC):
    """What a layer does before its steps.

    An operation that looks at its input through windows says which; one that takes its whole input in has a window
    that reaches all of it.
    """

    word: ClassVar[str]
    """The first word of its text."""
    title: ClassVar[str]
    """Its name in tables."""
    example: ClassVar[str | None]
    """Its text with a number that it may have, for messages; None where it needs no number."""
    is_matrix: ClassVar[bool] = False
    """Whether its weights are a matrix with a row for each output channel, which Muon makes orthogonal."""

    def __post_init__(self) -> None:
        for name, least in LEASTS.items():
            value = smallest = getattr(self, name, least)
            if name in WINDOWED and isinstance(value, tuple | list):
                value = sides.plain(value)
                object.__setattr__(self, name, value)
                smallest = min(pair(value))
            if smallest < least:
                raise LadderError(f"layer '{self}': {name} must be at least {least}, not {shown(value)}")
        if problem := self.problem():
            raise LadderError(f"layer '{self}': {problem}")

    @classmethod
    @abstractmethod
    def read(cls, words: Words) -> Self:
        """The operation that the words after its first are; raises LadderError with the remedy."""

    @abstractmethod
    def __str__(self) -> str:
        """Its text: ``parse(str(operation)) == operation``."""

    @property
    @abstractmethod
    def short(self) -> str:
        """Its text in the shorthand of tables; no two operations have the same."""

    def problem(self) -> str | None:
        """Why these numbers make no such operation, each of them being large enough."""
        return None

    def steps(self, usual: "block.Block") -> "tuple[block.Step, ...]":
        """What follows it; ``usual`` is the recipe's block order, which a convolution without its own takes."""
        del usual
        return ()

    @property
    def takes_usual_steps(self) -> bool:
        """Whether its steps are those of the recipe's block order."""
        return False

    def added(self, index: int) -> int | None:
        """Of the layer at ``index``, the index of the layer whose output is added to its own."""
        del index
        return None

    @abstractmethod
    def window(self, in_size: Sides) -> Window: ...

    def channels(self, in_channels: int) -> int:
        """How many channels it gives."""
        return in_channels

    @property
    def width(self) -> int | None:
        """How many channels it gives whatever comes in; None where that depends."""
        return None

    def parameters(self, in_channels: int, in_size: Sides) -> dict[str, Shape]:
        """Names, within the layer, and shapes of its trainable arrays. What ends in ``weight`` decays."""
        del in_channels, in_size
        return {}

    def macs(self, in_channels: int, in_size: Sides) -> int:
        """Multiply-adds for one image: each weight once for each output pixel."""
        shapes = self.parameters(in_channels, in_size).items()
        n_weights = sum(prod(shape) for name, shape in shapes if name.endswith("weight"))
        return n_weights * area(self.window(in_size).out_size)

    def initial(self, shapes: Mapping[str, Shape], rng: "np.random.Generator") -> Iterator["NDArray[np.float64]"]:
        """Its arrays before the first step, in order: uniform within 1/sqrt(fan_in), PyTorch's default."""
        for name, shape in shapes.items():
            weight = name.removesuffix("bias").removesuffix("weight") + "weight"  # a bias has its weights' fan-in
            bound = prod(shapes[weight][1:]) ** -0.5
            yield rng.uniform(-bound, bound, shape)

    @abstractmethod
    def forward(self, x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        """(N, C, H, W) -> (N, C', H', W'). ``arrays`` are its own, by their names within the layer."""

    @abstractmethod
    def backward(self, gradient: "Values", x: "Values", arrays: Mapping[str, "Values"], window: Window) -> "Values":
        """From the gradient by what it gives to that by what it takes in, ``x``."""


class Step(ABC):
    """What is done to each value, or each channel, that an operation gave. Shapes stay as they are."""

    word: ClassVar[str]
    """The first word of its text, and its name: a block has each at most once."""
    examples: ClassVar[tuple[str, ...]]
    """Texts that tests try it with."""
    keeps_sign: ClassVar[bool] = False
    """Whether each value keeps its sign, so that a ReLU behind it gives what it would give without."""

    @classmethod
    def read(cls, words: Words) -> Self:
        """The step that stands after its word; raises LadderError with the remedy."""
        del words
        return cls()

    def __str__(self) -> str:
        return self.word

    def after(self, before: "block.Step") -> "block.Step | None":
        """The one step that does what ``before`` and then this one do; None where it takes both."""
        del before
        return None

    def parameters(self, channels: int) -> dict[str, Shape]:
        """Names, within the layer, and shapes of its trainable arrays. They do not decay."""
        del channels
        return {}

    def statistics(self, channels: int) -> dict[str, Shape]:
        """The same for what it learns from what it sees, not by gradients."""
        del channels
        return {}

    def initial(self, name: str) -> float:
        """What an array, trainable or not, is full of before the first step."""
        raise AssertionError(f"{self} has no {name}")

    def forward(self, x: "Values", arrays: Mapping[str, "Values"]) -> "Values":
        """What it makes of (N, C, H, W) when a network is evaluated."""
        del arrays
        return x

    def backward(self, gradient: "Values", y: "Values", arrays: Mapping[str, "Values"]) -> "Values":
        """From the gradient by what it gave, ``y``, to that by what it took in."""
        del y, arrays
        return gradient


def joined(*parts: str) -> str:
    """Words with blanks between; what is empty is left out."""
    return " ".join(part for part in parts if part)
