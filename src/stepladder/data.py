"""Image sets: the embedded MNIST, folders of IDX files, ``.npz`` files. Pixels and labels stay integers."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
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
        return _assemble(path.stem, str(path), {part: _read_idx(files[part]) for part in sources.PARTS})
    return _assemble(path.stem, str(path), npz.read(path))


def require_sha256(data: str, expected: str | None) -> None:
    """Raise DataError unless the image set is the one a ladder pinned with data_sha256."""
    if expected is not None and (found := fingerprint(data)) != expected:
        raise DataError(
            f"{data}: wrong checksum: the ladder pins data_sha256 = {expected} but these images have {found};"
            " get the right images, or correct the ladder if these are meant"
        )


def splits(images: ImageSet, *, n_dev: int) -> Splits:
    """Train on all training images and evaluate on test; or hold the last ``n_dev`` training images out as dev.

    The last ones, not random ones: published sets are ordered by writer or source, and a random choice would put
    the same hands on both sides. Raises DataError if that leaves a class without training images.
    """
    shape = images.info.image
    if n_dev == 0:
        return Splits(images.train, images.test, shape)
    train, dev = images.train[:-n_dev], images.train[-n_dev:]
    missing = sorted(set(range(shape.n_classes)) - set(np.unique(train.labels).tolist()))
    if missing:
        raise DataError(
            f"{images.name}: with the last {n_dev:,} training images held out as dev, no training image of class"
            f" {missing[0]} is left: the file is sorted by class; shuffle it once and save it again"
        )
    return Splits(train, dev, shape)


def _embedded(part: str) -> NDArray[np.uint8]:
    name, expected = sources.MNIST_FILES[part]
    file = resources.files("stepladder") / "datasets" / "mnist" / name
    content = sources.uncompressed(file)
    if hashlib.sha256(content).hexdigest() != expected:
        raise DataError(f"{file}: wrong checksum: the embedded MNIST is damaged; install Stepladder again")
    return _parse_idx(content, str(file))


def _read_idx(path: Path) -> NDArray[np.uint8]:
    return _parse_idx(sources.uncompressed(path), str(path))


def _parse_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """An IDX file's array (format: the end of yann.lecun.com/exdb/mnist)."""
    shape = sources.idx_shape(content, name)
    body = np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape))
    expected = int(np.prod(shape, dtype=np.int64))
    if len(body) != expected:
        what = "truncated" if len(body) < expected else "too long"
        raise DataError(f"{name}: {what}: its header promises {expected:,} bytes, it has {len(body):,}: get it again")
    return body.reshape(shape)


def _assemble(name: str, source: str, arrays: dict[str, NDArray[Any]]) -> ImageSet:
    train, test = (_labelled(source, arrays, part) for part in ("train", "test"))
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"{source}: training images are {train.images.shape[1:]} (channels, height, width) but test images"
            f" {test.images.shape[1:]}"
        )
    n_classes = int(train.labels.max()) + 1
    if int(test.labels.max()) >= n_classes:
        raise DataError(
            f"{source}: test label {int(test.labels.max())} never occurs in training (0 to {n_classes - 1})"
        )
    if n_classes < 2:
        raise DataError(f"{source}: all training images are of one class")
    return ImageSet(name, train, test)


def _labelled(source: str, arrays: dict[str, NDArray[Any]], part: str) -> Labelled:
    images, labels = arrays[f"{part}-images"], arrays[f"{part}-labels"]
    n, channels, size = sources.image_shape(f"{source}, {part}", images.shape)
    if labels.size != n or labels.ndim not in (1, 2):
        raise DataError(f"{source}: {n:,} {part} images but {labels.size:,} {part} labels: they must agree")
    if images.dtype != np.uint8 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{source}: {part} images are {images.dtype} and labels {labels.dtype}: expected bytes (uint8) and integers"
        )
    if labels.min() < 0 or labels.max() > 65535:
        raise DataError(f"{source}: {part} labels run from {labels.min()} to {labels.max()}: expected 0 to 65535")
    if images.ndim == 4 and images.shape[1:3] != (channels, size):
        images = images.transpose(0, 3, 1, 2)
    pixels = np.ascontiguousarray(images).reshape(n, channels, size, size)
    return Labelled(pixels, labels.reshape(-1).astype(np.int64))
