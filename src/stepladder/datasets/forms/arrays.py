"""Arrays of any layout and type as images (N, C, H, W) of bytes, a few at a time, and labels as one for each image.

An array is what has a shape, a dtype, and rows that can be sliced: one of numpy, in memory or mapped, or one of h5py.
Flat images become squares: grey, else of three colours. In which order a square's pixels are is no property of an
array; it is said by the set that is known (see ``Order``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.datasets.reading import pixels
from stepladder.datasets.reading.found import Part
from stepladder.errors import DataError

Order = Literal["rows", "planes", "columns", "grey rows"]
"""How a flat image's pixels lie: "rows" (H, W, C), as tables and QuickDraw have them; "planes" (C, H, W), as CIFAR
has; "columns" (C, W, H), as MATLAB flattens; "grey rows" where nobody knows the order of colours, which are refused.
"""


def order_of(path: Path) -> Order:
    """That of a file or folder by its name: CIFAR is known, and of no other set colours in a row."""
    return "planes" if "cifar" in path.name.lower() else "grey rows"


class Rows(Protocol):
    """An array whose rows are had by slices."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, rows: slice, /) -> Any: ...


@dataclass(frozen=True)
class Stored:
    """The arrays of one part as they are stored; ``where`` names images in messages."""

    images: Rows
    labels: NDArray[Any]
    where: str


def parts_of(
    stored: Mapping[str, Stored], *, n_stored: int, order: Order, convert: bool
) -> tuple[dict[str, Part], tuple[str, ...]]:
    """All parts, and what is to be said of them.

    ``convert`` scales numbers that are no bytes, of all parts alike; else they are refused with how they are saved.
    ``n_stored`` bytes are what the files have. Raises DataError, before anything large is read.
    """
    shapes = {name: _Shape.of(each, order) for name, each in stored.items()}
    for each in stored.values():
        n_bytes = prod(each.images.shape) * each.images.dtype.itemsize
        pixels.require_room(each.where, n_bytes, n_stored=n_stored)
    scale = _Scale.of(list(stored.values()), convert=convert)
    parts = {name: Part(_read(each.images, shapes[name], scale), each.labels) for name, each in stored.items()}
    return parts, scale.notes


class Chained:
    """Arrays one after another as one, without a copy of all."""

    def __init__(self, arrays: Sequence[Rows]) -> None:
        self.arrays = arrays
        self.dtype = arrays[0].dtype
        self.shape = (sum(each.shape[0] for each in arrays), *arrays[0].shape[1:])

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        found, (start, stop, _) = [], rows.indices(self.shape[0])
        for each in self.arrays:
            n = each.shape[0]
            if start < n and stop > 0:
                found.append(np.asarray(each[max(start, 0) : min(stop, n)]))
            start, stop = start - n, stop - n
        return np.concatenate(found)


@dataclass(frozen=True)
class _Shape:
    """What images become, (N, C, H, W), and how that is done: the order of a flat image, or whether colours are last"""

    full: tuple[int, int, int, int]
    order: Order | None
    colours_last: bool = False

    @classmethod
    def of(cls, stored: Stored, order: Order) -> "_Shape":
        shape, n = tuple(stored.images.shape), len(np.atleast_1d(stored.labels))
        if len(shape) > 1 and shape[0] != n == shape[-1]:
            turned = ", ".join(map(str, (len(shape) - 1, *range(len(shape) - 1))))
            raise DataError(
                f"{stored.where}: images of shape {shape} have their number last: save x.transpose({turned})"
            )
        if len(shape) == 2 and shape[0] and (square := square_of(shape[1])):
            channels, size = square
            if channels == 3 and order == "grey rows":
                raise DataError(
                    f"{stored.where}: images of {shape[1]:,} numbers in a row are {size} x {size} colours in an order"
                    f" that nobody can know: save them as (N, {size}, {size}, 3) or (N, 3, {size}, {size})"
                )
            return cls((shape[0], channels, size, size), order)
        full = sources.image_shape(stored.where, shape)
        return cls(full, None, len(shape) == 4 and shape[1:3] == full[2:] and shape[1:] != full[1:])

    def arranged(self, part: NDArray[Any]) -> NDArray[Any]:
        """Some of the images."""
        n, (channels, height, width) = len(part), self.full[1:]
        if self.order in ("rows", "grey rows"):
            return part.reshape(n, height, width, channels).transpose(0, 3, 1, 2)
        if self.order == "columns":
            return part.reshape(n, channels, width, height).transpose(0, 1, 3, 2)
        return part.transpose(0, 3, 1, 2) if self.colours_last else part.reshape(n, channels, height, width)


def square_of(n_pixels: int) -> tuple[int, int] | None:
    """Channels, 1 or else 3, and the size of a square of this many numbers; None if there is none."""
    for channels in (1, 3):
        size = round((n_pixels / channels) ** 0.5)
        if channels * size**2 == n_pixels and size > 1:
            return channels, size
    return None


@dataclass(frozen=True)
class _Scale:
    """The least and the largest number of all parts."""

    low: float
    high: float
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, stored: Sequence[Stored], *, convert: bool) -> "_Scale":
        """Raises DataError where images are no bytes, and are not converted, or cannot be without a guess."""
        odd = [each for each in stored if each.images.dtype != np.uint8]
        if not odd:
            return cls(0, 255)
        if convert and len(odd) < len(stored):
            raise DataError(
                f"{odd[0].where}: images are {flat(odd[0].images.dtype, 60)}, those of another part bytes (uint8): save"
                " all alike"
            )
        low, high, dtype = np.inf, -np.inf, odd[0].images.dtype
        for each in odd:
            for part in _chunks(each.images) if each.images.dtype.kind in "biuf" else [np.array(np.nan)]:
                low, high = np.minimum(low, part.min()), np.maximum(high, part.max())
        low, high = float(low), float(high)
        if not convert or pixels.to_bytes(np.zeros(1, dtype), low, high) is None:
            raise DataError(
                f"{odd[0].where}: images are {flat(dtype, 60)}, {pixels.as_bytes(dtype, low, high)}; bytes (uint8) are"
                " wanted"
            )
        return cls(low, high, scale_notes(low, high, dtype))


def scale_notes(low: float, high: float, dtype: np.dtype[Any]) -> tuple[str, ...]:
    """What is said where numbers from ``low`` to ``high`` were made bytes."""
    if low < 0:
        return (f"pixels from {low:.4g} to {high:.4g} were scaled to bytes, -1 as 0 and 1 as 255",)
    if dtype.kind == "b":
        return ("pixels that are false or true were made bytes, 0 or 255",)
    if (whole := pixels.full_scale(high)) == 255:
        return () if dtype.kind != "f" else (f"pixels from {low:.4g} to {high:.4g} were rounded to bytes",)
    return (f"pixels from {low:.4g} to {high:.4g} were scaled to bytes, {whole:g} as 255",)


def _chunks(rows: Rows) -> Any:
    """The array a few rows at a time: as many as are packed together where it is packed."""
    n = rows.shape[0]
    packed = (getattr(rows, "chunks", None) or (1,))[0]
    n_at_once = max(packed, pixels.CHUNK // max(1, prod(rows.shape[1:]) * rows.dtype.itemsize))
    return (np.asarray(rows[start : start + n_at_once]) for start in range(0, n, n_at_once))


def _read(rows: Rows, shape: _Shape, scale: _Scale) -> NDArray[np.uint8]:
    images, start = np.empty(shape.full, np.uint8), 0
    for part in _chunks(rows):
        made = pixels.to_bytes(part, scale.low, scale.high)
        assert made is not None
        images[start : start + len(part)] = shape.arranged(made)
        start += len(part)
    return images


def number_first(images: Rows, n: int) -> Rows:
    """Images (..., N), as MATLAB has them, as (N, ...); others as they are."""
    if len(images.shape) > 1 and images.shape[0] != n == images.shape[-1]:
        return np.moveaxis(np.asarray(images[:]), -1, 0)
    return images


def labels_as_meant(labels: NDArray[Any], where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Labels (N,) of what programs without a type for them write: (N, 1), (1, N), whole numbers as floats, one-hot.

    Those that are none of it come back as they are, to be refused. With what is to be said of it.
    """
    if labels.size and max(labels.shape, default=0) == labels.size:
        labels = labels.reshape(-1)
    labels = as_text(labels, where)
    notes: tuple[str, ...] = ()
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and (axis := _one_hot_axis(labels)) is not None:
        labels, notes = labels.argmax(axis), ("one-hot labels were taken for the class that they mark",)
    if labels.dtype.kind == "b":
        return labels.astype(np.int64), notes
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == labels.round()).all():
        return labels.clip(-(2**53), 2**53).astype(np.int64), notes
    return labels, notes


def _one_hot_axis(labels: NDArray[Any]) -> int | None:
    """The axis of the classes: along it there is one 1, and else one other number, 0 or -1."""
    if set(np.unique(labels).tolist()) not in ({0, 1}, {-1, 1}):
        return None
    axes = [axis for axis in (0, 1) if ((labels == 1).sum(axis) == 1).all()]
    return axes[0] if len(axes) == 1 else None


def as_text(labels: NDArray[Any], where: str) -> NDArray[Any]:
    """Labels of bytes, or of texts as objects, as texts; others as they are. Raises DataError for bytes not in UTF-8"""
    if labels.dtype.kind == "O" and all(isinstance(each, str | bytes) for each in labels.reshape(-1).tolist()):
        texts = [each.encode() if isinstance(each, str) else each for each in labels.reshape(-1).tolist()]
        labels = np.array(texts, dtype="S").reshape(labels.shape)
    if labels.dtype.kind != "S":
        return labels
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: labels are texts that are not in UTF-8 ({flat(error)}): save them so") from None
