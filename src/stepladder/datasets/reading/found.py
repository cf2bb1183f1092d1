"""What a source finds: images, or pictures not yet decoded, with their labels as they are written there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PARTS = ("train", "test", "validation")


class Encoded(NamedTuple):
    """A picture in the form of some file: what it is called in messages, and how its bytes are had."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class Part:
    """Images of one part of a set, or pictures still to be decoded, and as many labels.

    ``images`` are (N, channels, height, width) uint8 from 0 to 255. ``labels`` are (N,) whole numbers, or texts: names
    of classes. ``names`` are what the images are called, where they have names: paths below the set's folder.
    """

    images: NDArray[np.uint8] | Sequence[Encoded]
    labels: NDArray[Any]
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def called(self) -> Sequence[str]:
        """A name for each image."""
        if self.names or isinstance(self.images, np.ndarray):
            return self.names
        return [each.name for each in self.images]

    def chosen(self, rows: NDArray[np.int64]) -> "Part":
        """Some of them."""
        names = [self.names[row] for row in rows.tolist()] if self.names else ()
        if isinstance(self.images, np.ndarray):
            return Part(np.take(self.images, rows, 0), self.labels[rows], names)
        return Part([self.images[row] for row in rows.tolist()], self.labels[rows], names)


@dataclass(frozen=True, eq=False)
class Found:
    """A whole set as a source finds it. ``parts`` are "train", "test" and "validation", as far as it has them.

    ``class_names`` are those of labels that are numbers, in their order. ``form`` says in a few words what it is,
    ``notes`` what is worth saying: what was converted, left out, or chosen between.
    """

    parts: Mapping[str, Part]
    class_names: tuple[str, ...] = ()
    form: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def is_decoded(self) -> bool:
        """Whether all of it is arrays."""
        return all(isinstance(part.images, np.ndarray) for part in self.parts.values())

    def __iter__(self) -> Iterator[tuple[str, Part]]:
        """The parts that are there, in an order that never changes."""
        return ((name, self.parts[name]) for name in PARTS if name in self.parts)


def of_arrays(arrays: Mapping[str, NDArray[Any]], *, form: str = "") -> Found:
    """The same of arrays by name: "train-images", "train-labels" and so on."""
    parts = {
        name: Part(arrays[f"{name}-images"], arrays[f"{name}-labels"]) for name in PARTS if f"{name}-images" in arrays
    }
    return Found(parts, form=form)
