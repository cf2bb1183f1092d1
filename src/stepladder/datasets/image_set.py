"""A whole set of images in memory, or mapped there. Pixels and labels stay integers."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import n_of
from stepladder.datasets import sources
from stepladder.networks.geometry import ImageShape

CHUNK_PIXELS = 2**20  # that are looked at at a time: what is made of them stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and their labels (N,) int64, counted from 0.

    ``stored`` (M, C, H, W) uint8 are the images, or ``rows`` (N,) of them: what is chosen of a set is not copied.
    """

    stored: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64] | None = None

    def __repr__(self) -> str:
        n, channels, *size = self.shape
        return f"<Labelled: {n_of(n, 'image')} of {' x '.join(map(str, (channels, *size)))}>"

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Labelled":
        if self.rows is None:
            return Labelled(self.stored[part], self.labels[part])
        return Labelled(self.stored, self.labels[part], self.rows[part])

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return (len(self), *self.stored.shape[1:])

    @property
    def images(self) -> NDArray[np.uint8]:
        """All images (N, C, H, W): a copy where they are chosen by rows."""
        return self.stored if self.rows is None else np.take(self.stored, self.rows, 0)

    def take(self, indices: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """Some of the images (n, C, H, W).

        Strides are those of C order, of one channel too: PyTorch would take others for channels that come last, and
        compute with other bits.
        """
        if self.rows is not None:
            return np.take(self.stored, self.rows[indices], 0)
        return self.stored[indices] if isinstance(indices, slice) else np.take(self.stored, indices, 0)

    def chunks(self) -> Iterator[NDArray[np.uint8]]:
        """The images in order, a few at a time."""
        n_at_once = max(1, CHUNK_PIXELS // prod(self.shape[1:]))
        for start in range(0, len(self), n_at_once):
            yield self.take(slice(start, start + n_at_once))

    def chosen(self, rows: NDArray[np.int64]) -> "Labelled":
        """Some of them, without a copy of the images; a view where they are in a row."""
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            return self[int(rows[0]) : int(rows[-1]) + 1]
        return Labelled(self.stored, self.labels[rows], rows if self.rows is None else self.rows[rows])


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A whole data set, as published: training and test images, and its own validation images where it has some.

    ``test.images`` are (N, channels, height, width) uint8 from 0 to 255, and ``test.labels`` (N,) int64 from 0: places
    in ``class_names``, which are numbers themselves where none are given. ``form`` says in a few words how the set
    came, ``notes`` what is worth saying of how it was read.
    """

    name: str
    train: Labelled
    test: Labelled
    validation: Labelled | None = None
    class_names: tuple[str, ...] = ()
    form: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.class_names:
            object.__setattr__(self, "class_names", numbered(int(self.train.labels.max()) + 1))

    @property
    def parts(self) -> dict[str, Labelled]:
        """By name, as far as there are any."""
        parts = {"train": self.train, "test": self.test}
        return parts if self.validation is None else parts | {"validation": self.validation}

    def __repr__(self) -> str:
        own = f", validation {self.validation!r}" if self.validation else ""
        return f"<Dataset {self.name!r}: train {self.train!r}, test {self.test!r}{own}>"

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over shapes, pixels and labels of train and test: the same however the set was stored."""
        return _sha256(self.train, self.test)

    @cached_property
    def validation_sha256(self) -> str | None:
        return _sha256(self.validation) if self.validation else None

    @property
    def info(self) -> sources.DataInfo:
        channels, height, width = self.train.shape[1:]
        shape = ImageShape(channels=channels, size=(height, width), n_classes=len(self.class_names))
        names = () if self.class_names == numbered(shape.n_classes) else self.class_names
        return sources.DataInfo(
            self.name, shape, len(self.train), len(self.test), len(self.validation or ()), class_names=names
        )


Dataset = ImageSet  # its name at the door


def numbered(n_classes: int) -> tuple[str, ...]:
    """The names of classes that have none."""
    return tuple(map(str, range(n_classes)))


def _sha256(*parts: Labelled) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.shape}".encode())
        for chunk in part.chunks():
            digest.update(np.ascontiguousarray(chunk).data)
        digest.update(part.labels.astype("<u2").tobytes())
    return digest.hexdigest()
