"""Image sets, whatever kind of source they come from (see kinds). Pixels and labels stay integers."""

import hashlib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.given import A_PATH, require
from stepladder._base.wording import n_of
from stepladder.datasets import embedded, kinds, npz, sources, split_rules
from stepladder.datasets.split_rules import SplitRule
from stepladder.errors import DataError
from stepladder.networks.geometry import ImageShape

CHUNK_PIXELS = 2**20  # that are looked at at a time: what is made of them stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and their labels (N,) int64, counted from 0.

    ``stored`` (M, C, size, size) uint8 are the images, or ``rows`` (N,) of them: what is chosen of a set is not copied.
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
        """(N, C, size, size)."""
        return (len(self), *self.stored.shape[1:])

    @property
    def images(self) -> NDArray[np.uint8]:
        """All images (N, C, size, size): a copy where they are chosen by rows."""
        return self.stored if self.rows is None else np.take(self.stored, self.rows, 0)

    def take(self, indices: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """Some of the images (n, C, size, size).

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

    ``test.images`` are (N, channels, size, size) uint8 from 0 to 255, and ``test.labels`` (N,) int64 from 0.
    """

    name: str
    train: Labelled
    test: Labelled
    validation: Labelled | None = None

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
        channels, size = self.train.shape[1:3]
        shape = ImageShape(channels=channels, size=size, n_classes=int(self.train.labels.max()) + 1)
        return sources.DataInfo(self.name, shape, len(self.train), len(self.test), len(self.validation or ()))


Dataset = ImageSet  # its name at the door

KEEP_ARRAYS = 'arrays become a file by np.savez("set.npz", x_train=x, y_train=y, x_test=..., y_test=...)'


def dataset(source: str | Path) -> Dataset:
    """A data set: "mnist", which is in the package, a folder of IDX files, an ``.npz`` file, by its path, or what a
    source of an installed package reads (see kinds).

    It is read once per process, and again where its files have been replaced since. Raises DataError if it is missing,
    damaged, or disagrees with itself.
    """
    require(A_PATH, source, of="dataset", takes='"mnist" or a path', remedy=KEEP_ARRAYS)
    return load(str(source))


def _sha256(*parts: Labelled) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.shape}".encode())
        for chunk in part.chunks():
            digest.update(np.ascontiguousarray(chunk).data)
        digest.update(part.labels.astype("<u2").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Splits:
    """What one training uses: images to train on, and images to evaluate on after each epoch.

    ``pixel_mean`` and ``pixel_std`` (C,) float64 are those of the images trained on, on a scale of 0 to 1.
    """

    train: Labelled
    evaluated: Labelled
    image: ImageShape

    @cached_property
    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        channels = self.image.channels
        total, squares = np.zeros(channels), np.zeros(channels)
        for chunk in self.train.chunks():  # sums of integers below 2**53 are exact in float64, in whatever order
            pixels = chunk.astype(np.float64)
            total += pixels.sum((0, 2, 3))
            squares += np.einsum("nchw,nchw->c", pixels, pixels)
        n_pixels = len(self.train) * self.image.size**2
        mean = total / n_pixels / 255
        return mean, np.sqrt(np.maximum(squares / n_pixels / 255**2 - mean**2, 1e-12))

    @property
    def pixel_mean(self) -> NDArray[np.float64]:
        return self._moments[0]

    @property
    def pixel_std(self) -> NDArray[np.float64]:
        return self._moments[1]


def describe(data: str) -> sources.DataInfo:
    """Name, shape and sizes of an image set; known for the embedded MNIST, read for any other. Raises DataError."""
    return sources.MNIST if data == "mnist" else load(data).info


def fingerprint(data: str) -> str:
    """SHA-256 of an image set (see ImageSet.sha256); known for the embedded MNIST, computed for any other."""
    return sources.MNIST_SHA256 if data == "mnist" else load(data).sha256


def load(data: str) -> ImageSet:
    """Read a whole image set, once per process, and again where its files have been replaced since.

    Raises DataError if it is missing, truncated, not what its checksum says, or disagrees with itself.
    """
    kind = kinds.kind_of(data)
    return _read(kind, kind.stamp)


@lru_cache(maxsize=2)
def _read(kind: kinds.Kind, stamp: Hashable) -> ImageSet:  # noqa: ARG001
    """``stamp`` is that of the set, and is here to be compared (see kinds.Source)."""
    return read(kind)


def read(kind: kinds.Kind) -> ImageSet:
    """The same, whether or not it was read before."""
    return _assemble(kind.name, kind.shown, kind.read())


def require_sha256(data: str, expected: str | None) -> None:
    """Raise DataError unless the image set is the one a ladder pinned with data_sha256."""
    if expected is not None and (found := fingerprint(data)) != expected:
        raise DataError(
            f"{data}: wrong checksum: the ladder pins data_sha256 = {expected} but these images have {found};"
            " get the right images, or correct the ladder if these are meant"
        )


def train_labels(data: str) -> NDArray[np.int64]:
    """The labels of an image set's training images; of the embedded MNIST without reading its images."""
    return embedded.read_part("train-labels").astype(np.int64) if data == "mnist" else load(data).train.labels


def split_rule(data: str, *, n_dev: int, dev_part: int = 0) -> SplitRule:
    """How ``n_dev`` of the training images are held out (see split_rules); of MNIST mostly known without reading it."""
    if data == "mnist" and dev_part == 0 and n_dev in sources.MNIST_LAST_ARE_FINE:
        return "last"
    return split_rules.rule_for(train_labels(data), n_dev=n_dev, part=dev_part)


def splits(images: ImageSet, *, n_dev: int, dev_part: int = 0, rule: SplitRule = "last") -> Splits:
    """Train on all training images and evaluate on test; or hold ``n_dev`` training images out as dev.

    Which ones says the rule (see split_rules); "given" evaluates on the set's own validation images, and trains on all.
    Raises DataError if there are not that many, or if that leaves a class without training images.
    """
    shape = images.info.image
    if n_dev == 0:
        return Splits(images.train, images.test, shape)
    if rule == "given":
        if images.validation is None:
            raise DataError(f"{images.name}: has no validation images of its own: get the images it was trained with")
        return Splits(images.train, images.validation, shape)
    rows = held_out(images, n_dev=n_dev, dev_part=dev_part, rule=rule)
    rest = np.ones(len(images.train), bool)
    rest[rows] = False
    train, dev = images.train.chosen(np.flatnonzero(rest)), images.train.chosen(rows)
    missing = sorted(set(range(shape.n_classes)) - set(np.unique(train.labels).tolist()))
    if missing:
        raise DataError(
            f"{images.name}: with {_which(n_dev, dev_part)} held out as the validation split (dev), no training image"
            f" of class {missing[0]} is left: the file is sorted by class; shuffle it once and save it again"
        )
    return Splits(train, dev, shape)


def held_out(images: ImageSet, *, n_dev: int, dev_part: int, rule: SplitRule) -> NDArray[np.int64]:
    """The rows of dev, ascending."""
    try:
        last = split_rules.last(len(images.train), n_dev=n_dev, part=dev_part)
    except DataError as error:
        raise DataError(f"{images.name}: {error}") from None
    if rule == "last":
        return np.arange(last.start, last.stop)
    if problem := split_rules.problem(images.train.labels, n_dev=n_dev):
        raise DataError(f"{images.name}: {problem}")
    return split_rules.stratified(images.train.labels, n_dev=n_dev, part=dev_part)


def _which(n_dev: int, dev_part: int) -> str:
    if dev_part == 0:
        return f"the last {n_of(n_dev, 'training image')}"
    return f"the {n_of(n_dev, 'training image')} before the last {dev_part * n_dev:,}"


def _assemble(name: str, source: str, arrays: Mapping[str, NDArray[Any]]) -> ImageSet:
    named = [part for part in ("train", "test", "validation") if f"{part}-images" in arrays]
    parts = {part: _labelled(source, arrays, part) for part in named}
    train = parts["train"]
    for part, labelled in parts.items():
        if labelled.shape[1:] != train.shape[1:]:
            raise DataError(
                f"{source}: training images are {train.shape[1:]} (channels, height, width) but {part} images"
                f" {labelled.shape[1:]}: both must be alike"
            )
    _require_classes(source, parts)
    return ImageSet(name, **parts)


FEW_EACH = 10  # training images for each class: of fewer, chosen by chance, a class may well have none


def _require_classes(source: str, parts: dict[str, Labelled]) -> None:
    """Every class from 0 to the largest label has training images, and no other part has another class."""
    present = set(np.unique(parts["train"].labels).tolist())
    if len(present) < 2:
        raise DataError(f"{source}: all training images are of one class: nothing to tell apart")
    for part, labelled in parts.items():
        if unknown := sorted(set(np.unique(labelled.labels).tolist()) - present):
            raise DataError(
                f"{source}: {part} label {unknown[0]} never occurs in training: both must have the same classes"
            )
    if missing := sorted(set(range(max(present))) - present):
        n, n_classes = len(parts["train"]), max(present) + 1
        if missing == [0]:
            raise DataError(f"{source}: labels run from 1 to {max(present)}: count classes from 0, by saving y - 1")
        if n < FEW_EACH * n_classes:
            raise DataError(
                f"{source}: no training image of class {missing[0]}, though labels go up to {max(present)}: with"
                f" {n_of(n, 'training image')} not every class has one: give more images, or count classes from 0,"
                " without gaps"
            )
        raise DataError(
            f"{source}: no training image of class {missing[0]}, though labels go up to {max(present)}: count classes"
            " from 0, without gaps"
        )


def _labelled(source: str, arrays: Mapping[str, NDArray[Any]], part: str) -> Labelled:
    """One part of arrays that a reader has brought into form."""
    images = arrays[f"{part}-images"]
    labels = npz.checked_labels(f"{source}, {part}-labels", arrays[f"{part}-labels"])
    if len(labels) != len(images):
        n_images, n_labels = n_of(len(images), f"{part} image"), n_of(len(labels), f"{part} label")
        raise DataError(f"{source}: {n_images} but {n_labels}: they must agree")
    return Labelled(images, labels)
