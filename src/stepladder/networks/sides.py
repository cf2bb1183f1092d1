"""One number for both directions of an image, down and across, or one for each.

Most images and kernels are square, so that a number stands for both: ``3`` is 3 x 3. Two are a tuple, ``(3, 1)``,
height before width as in arrays; equal ones are always the one number, so that what is equal compares equal and is
stored as it always was. No numpy here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

Sides = int | tuple[int, int]


def out_size(kernel: int, padding: int, stride: int, in_size: int) -> int:
    """How many windows there are in one direction; none, or fewer, where the kernel does not fit."""
    return (in_size + 2 * padding - kernel) // stride + 1


@dataclass(frozen=True)
class Span:
    """What one output pixel looks at in one direction: ``kernel`` pixels, spans ``stride`` apart."""

    kernel: int
    padding: int
    stride: int
    in_size: int

    @property
    def out_size(self) -> int:
        return out_size(self.kernel, self.padding, self.stride, self.in_size)


def pair(sides: Sides) -> tuple[int, int]:
    """(down, across)."""
    return sides if isinstance(sides, tuple) else (sides, sides)


def joined(down: int, across: int) -> Sides:
    """One number where both are the same."""
    return down if down == across else (down, across)


def plain(sides: Any) -> Any:
    """Two numbers, as a tuple or list, as Sides; anything else as it is."""
    return joined(*sides) if isinstance(sides, tuple | list) and len(sides) == 2 else sides


def each(made: Callable[..., int], *sides: Sides) -> Sides:
    """A function of numbers, down and across."""
    if tuple not in map(type, sides):  # as nearly always: once does
        return made(*sides)
    down, across = zip(*map(pair, sides), strict=True)
    return joined(made(*down), made(*across))


def is_beyond(one: Sides, other: Sides) -> bool:
    """Whether it is larger, down or across."""
    return any(ours > theirs for ours, theirs in zip(pair(one), pair(other), strict=True))


def is_line(size: Sides) -> TypeGuard[tuple[int, int]]:
    """Whether an image of this size has one row, or one column, of more than one pixel, as a signal has."""
    return isinstance(size, tuple) and 1 in size


def spans(*, kernel: Sides, padding: Sides, stride: Sides, in_size: Sides) -> tuple[Span, Span]:
    """What an output pixel looks at, down and across."""
    numbers = (kernel, padding, stride, in_size)
    if tuple not in map(type, numbers):
        both = Span(*numbers)  # type: ignore[arg-type]
        return both, both
    down, across = zip(*map(pair, numbers), strict=True)
    return Span(*down), Span(*across)


def area(sides: Sides) -> int:
    """How many pixels they span."""
    down, across = pair(sides)
    return down * across


def text(sides: Sides, between: str = "x") -> str:
    """``3``, or ``3x1``."""
    return str(sides) if isinstance(sides, int) else f"{sides[0]}{between}{sides[1]}"


def full_text(sides: Sides, between: str = "x") -> str:
    """``3x3``, or ``3x1``."""
    down, across = pair(sides)
    return f"{down}{between}{across}"
