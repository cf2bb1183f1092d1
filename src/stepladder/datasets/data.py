"""Image sets, whatever kind of source they come from (see kinds). Pixels and labels stay integers."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.given import A_PATH, require
from stepladder._base.wording import n_of
from stepladder.datasets import cache, kinds, sources, split_rules
from stepladder.datasets.forms import embedded
from stepladder.datasets.image_set import ImageSet, Labelled
from stepladder.datasets.reading import assembling
from stepladder.datasets.reading.found import Found
from stepladder.datasets.spec import DataSpec
from stepladder.datasets.split_rules import SplitRule
from stepladder.errors import DataError
from stepladder.networks.geometry import ImageShape

KEEP_ARRAYS = 'arrays become a file by np.savez("set.npz", x_train=x, y_train=y, x_test=..., y_test=...)'


Dataset = ImageSet  # its name at the door


def dataset(source: str | Path | Mapping[str, Any] | DataSpec) -> Dataset:
    """A data set: "mnist", which is in the package, or by its path a folder or file of one of many forms.

    docs/data.md lists them. Or ``{"path": ..., "resize": "pad", "size": (32, 32)}``, for pictures that are to become
    alike (see DataSpec). It is read once, and again where its files have been replaced since. Raises DataError if it is
    missing, damaged, or disagrees with itself.
    """
    return load(text_of(source, of="dataset"))


def text_of(source: str | Path | Mapping[str, Any] | DataSpec, *, of: str) -> str:
    """The text that names a set (see spec), given to a function or parameter of this name. Raises LadderError."""
    if isinstance(source, Mapping):
        source = DataSpec(**source)
    if isinstance(source, DataSpec):
        return source.text
    require(A_PATH, source, of=of, takes='"mnist" or a path', remedy=KEEP_ARRAYS)
    return str(source)


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
        n_pixels = len(self.train) * self.image.n_pixels
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
def _read(kind: kinds.Kind, stamp: Hashable) -> ImageSet:
    """``stamp`` is that of the set, and is here to be compared (see kinds.Source)."""
    kept = cache.find(kind, stamp)
    if kept is not None:
        return kept
    images = read(kind)
    return cache.keep(kind, stamp, images) if kind.stamp == stamp else images  # if nobody wrote to it meanwhile


def read(kind: kinds.Kind) -> ImageSet:
    """The same, whether or not it was read before."""
    name, where, spec = kind.name, kind.shown, kind.spec
    found = assembling.with_classes(kind.read(), where=where)
    if spec.size is not None or not found.is_decoded:
        from stepladder.datasets.reading.decoding import decoded  # only now: it needs Pillow

        found = decoded(found, spec, where=where)
    return _image_set(assembling.with_test(found, spec, where=where), name=name, where=where)


def _image_set(found: Found, *, name: str, where: str) -> ImageSet:
    """The set itself. Raises DataError where its parts are not alike, or its images of a form that is not handled."""
    parts = {}
    shape = found.parts["train"].images.shape[1:]  # type: ignore[union-attr]
    for each, part in found:
        assert isinstance(part.images, np.ndarray)
        if part.images.shape[1:] != shape:
            raise DataError(
                f"{where}: training images are {shape} (channels, height, width) but {each} images"
                f" {part.images.shape[1:]}: both must be alike"
            )
        parts[each] = Labelled(part.images, part.labels)
    if shape[1] * shape[2] < 2:
        raise DataError(f"{where}: images of {shape[1]} x {shape[2]} pixels: there is nothing to see in them")
    return ImageSet(name, **parts, class_names=found.class_names, form=found.form, notes=found.notes)


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
