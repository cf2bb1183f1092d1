"""Image sets: the embedded MNIST, folders of IDX files, ``.npz`` files. Pixels and labels stay integers."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder import npz, sources
from stepladder.errors import DataError
from stepladder.geometry import ImageShape


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images (N, C, size, size) uint8 and their labels (N,) int64, counted from 0."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Labelled":
        return Labelled(self.images[part], self.labels[part])

    def without(self, held_out: slice) -> "Labelled":
        """All but some in a row; a view where these are at an end."""
        if held_out.stop == len(self):
            return self[: held_out.start]
        if held_out.start == 0:
            return self[held_out.stop :]
        rest = np.r_[: held_out.start, held_out.stop : len(self)]
        return Labelled(self.images[rest], self.labels[rest])


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A whole data set, as published: training and test images."""

    name: str
    train: Labelled
    test: Labelled

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over shapes, pixels and labels: the same however the set was stored or compressed."""
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            digest.update(f"{part.images.shape}".encode())
            digest.update(np.ascontiguousarray(part.images).data)
            digest.update(part.labels.astype("<u2").tobytes())
        return digest.hexdigest()

    @property
    def info(self) -> sources.DataInfo:
        channels, size = self.train.images.shape[1:3]
        shape = ImageShape(channels=channels, size=size, n_classes=int(self.train.labels.max()) + 1)
        return sources.DataInfo(self.name, shape, len(self.train), len(self.test))


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
        for start in range(0, len(self.train), 4096):  # sums of integers below 2**53 are exact in float64
            pixels = self.train.images[start : start + 4096].astype(np.float64)
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


@lru_cache(maxsize=2)
def load(data: str) -> ImageSet:
    """Read a whole image set, once per process.

    Raises DataError if it is missing, truncated, not what its checksum says, or disagrees with itself.
    """
    if data == "mnist":
        return _assemble("mnist", "the embedded MNIST", {part: _embedded(part) for part in sources.PARTS})
    path = sources.existing(data)
    if path.is_dir():
        files = sources.idx_files(path)
        return _assemble(sources.set_name(path), str(path), {part: _read_idx(files[part]) for part in sources.PARTS})
    return _assemble(sources.set_name(path), str(path), npz.read(path))


def require_sha256(data: str, expected: str | None) -> None:
    """Raise DataError unless the image set is the one a ladder pinned with data_sha256."""
    if expected is not None and (found := fingerprint(data)) != expected:
        raise DataError(
            f"{data}: wrong checksum: the ladder pins data_sha256 = {expected} but these images have {found};"
            " get the right images, or correct the ladder if these are meant"
        )


def splits(images: ImageSet, *, n_dev: int, dev_part: int = 0) -> Splits:
    """Train on all training images and evaluate on test; or hold ``n_dev`` training images out as dev.

    These are the last ones, or those ``dev_part`` times ``n_dev`` before them; never random ones: published sets are
    ordered by writer or source, and a random choice would put the same hands on both sides. Raises DataError if there
    are not so many, or if that leaves a class without training images.
    """
    shape = images.info.image
    if n_dev == 0:
        return Splits(images.train, images.test, shape)
    stop = len(images.train) - dev_part * n_dev
    if not n_dev <= stop <= len(images.train):
        raise DataError(
            f"{images.name}: {len(images.train):,} training images have no part {dev_part} of {n_dev:,}, counted from 0"
            " at the end: hold fewer out"
        )
    held_out = slice(stop - n_dev, stop)
    train, dev = images.train.without(held_out), images.train[held_out]
    missing = sorted(set(range(shape.n_classes)) - set(np.unique(train.labels).tolist()))
    if missing:
        raise DataError(
            f"{images.name}: with {_which(n_dev, dev_part)} held out as dev, no training image of class"
            f" {missing[0]} is left: the file is sorted by class; shuffle it once and save it again"
        )
    return Splits(train, dev, shape)


def _which(n_dev: int, dev_part: int) -> str:
    if dev_part == 0:
        return f"the last {n_dev:,} training images"
    return f"the {n_dev:,} training images before the last {dev_part * n_dev:,}"


def _embedded(part: str) -> NDArray[np.uint8]:
    name, expected = sources.MNIST_FILES[part]
    file = resources.files("stepladder") / "datasets" / "mnist" / name
    try:
        content = sources.uncompressed(file)
    except DataError as error:
        raise DataError(f"{error}; it is part of the embedded MNIST: install Stepladder again") from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise DataError(f"{file}: wrong checksum: the embedded MNIST is damaged; install Stepladder again")
    return _parse_idx(content, str(file))


def _read_idx(path: Path) -> NDArray[np.uint8]:
    return _parse_idx(sources.uncompressed(path), str(path))


def _parse_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """An IDX file's array (format: the end of yann.lecun.com/exdb/mnist)."""
    shape = sources.idx_shape(content, name)
    body = np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape))
    expected = prod(shape)
    if expected == 0:
        raise DataError(f"{name}: holds nothing (its header says {shape}): get it again")
    if len(body) != expected:
        what = "truncated" if len(body) < expected else "too long"
        raise DataError(f"{name}: {what}: its header promises {expected:,} bytes, it has {len(body):,}: get it again")
    return body.reshape(shape)


def _assemble(name: str, source: str, arrays: dict[str, NDArray[Any]]) -> ImageSet:
    train, test = (_labelled(source, arrays, part) for part in ("train", "test"))
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"{source}: training images are {train.images.shape[1:]} (channels, height, width) but test images"
            f" {test.images.shape[1:]}: both must be alike"
        )
    _require_classes(source, train, test)
    return ImageSet(name, train, test)


def _require_classes(source: str, train: Labelled, test: Labelled) -> None:
    """Every class from 0 to the largest label has training images, and test has no other."""
    present = set(np.unique(train.labels).tolist())
    if len(present) < 2:
        raise DataError(f"{source}: all training images are of one class: nothing to tell apart")
    if unknown := sorted(set(np.unique(test.labels).tolist()) - present):
        raise DataError(f"{source}: test label {unknown[0]} never occurs in training: both must have the same classes")
    if missing := sorted(set(range(max(present))) - present):
        raise DataError(
            f"{source}: no training image of class {missing[0]}, though labels go up to {max(present)}: count classes"
            " from 0, without gaps"
        )


def _labelled(source: str, arrays: dict[str, NDArray[Any]], part: str) -> Labelled:
    images = arrays[f"{part}-images"]
    labels = npz.checked_labels(f"{source}, {part}-labels", arrays[f"{part}-labels"])
    n, channels, size = sources.image_shape(f"{source}, {part}", images.shape)
    if len(labels) != n:
        raise DataError(f"{source}: {n:,} {part} images but {len(labels):,} {part} labels: they must agree")
    if images.dtype != np.uint8:
        raise DataError(f"{source}: {part} images are {images.dtype}: save them as bytes (uint8), 0 to 255")
    if images.ndim == 4 and images.shape[1:3] != (channels, size):
        images = images.transpose(0, 3, 1, 2)
    return Labelled(np.ascontiguousarray(images).reshape(n, channels, size, size), labels)
