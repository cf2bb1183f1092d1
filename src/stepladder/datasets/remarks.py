"""What is wrong or remarkable in a set of images, whatever is done with them: pixels, twins, classes.

What makes a training meaningless is refused here and not where images are read: what is stored of them stays readable.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat, n_of
from stepladder.datasets.image_set import ImageSet, Labelled
from stepladder.datasets.reading.pixels import full_scale
from stepladder.datasets.sources import LIKELY_CHANNELS, called
from stepladder.datasets.spec import spec_of
from stepladder.errors import DataError

UNEVEN = 5  # times as many training images of one class as of another
DIM = 64  # the brightest pixel below this: pictures of it are all but black
ANOTHER_SCALE = 2  # times as bright is the brightest pixel of one part as that of another
FAR = 64  # of 255: parts whose darkest pixels, or whose mean ones, are so far apart

Digests = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Compared:
    """Some of a set's images as they are compared: ``called`` names them, ``numbers`` are their places in that part."""

    called: str
    labels: NDArray[np.int64]
    digests: Digests
    numbers: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: NDArray[np.int64]) -> "Compared":
        return replace(self, labels=self.labels[rows], digests=self.digests[rows], numbers=self.numbers[rows])

    def of_class(self, label: int) -> str:
        """The name of a class."""
        return called(int(label), self.class_names)

    def name(self, row: int) -> str:
        return f"{self.called} image {self.numbers[row]:,}"


@dataclass(frozen=True)
class Range:
    """The pixels of a part: the darkest, the brightest, and their mean."""

    low: int
    high: int
    mean: float


def remarks(source: str, images: ImageSet) -> tuple[str, ...]:
    """What is remarkable in a set by itself, a sentence each. Raises DataError where nothing can be learned from it."""
    parts = parts_of(images)
    train, test, own = parts["training"], parts["test"], parts.get("validation")
    twins = [*common(train, test)]
    if own is not None:
        twins += [*common(train, own), *common(own, test)]
    missing = [note for part in (test, own) if part for note in missing_in(part, images.info.image.n_classes)]
    return (
        *images.notes,
        *about_pixels(source, images, parts),
        *twins,
        *two_labels(list(parts.values())),
        *missing,
        *uneven(train),
    )


def about_pixels(source: str, images: ImageSet, parts: dict[str, Compared]) -> Iterator[str]:
    ranges = {name: range_of(labelled) for name, labelled in _by_name(images)}
    for name, part in parts.items():
        _require_meant(source, part, ranges[name])
    channels, high = images.train.shape[1], ranges["training"].high
    scales = [note for name in ranges if name != "training" for note in _scale(name, ranges[name], ranges["training"])]
    yield from scales
    if high < DIM and not scales:
        white = full_scale(high)
        yield (
            f"the brightest pixel is {high} of 255: pictures of these images are all but black; if {white} is meant to"
            f" be white, save (x / {white} * 255).round().astype(np.uint8) for training and test images alike"
        )
    if channels > LIKELY_CHANNELS:
        yield (
            f"{channels} channels: right for images of that many bands; the slices of a volume or the frames of a film"
            " are pictures of their own"
        )
    if re.search(r"(^|[^a-z])emnist", _called(source)):
        yield (
            "EMNIST's files have columns before rows: if letters lie on their side in the pictures, turn all of them,"
            " as by x.transpose(0, 2, 1)"
        )


def _scale(name: str, found: Range, train: Range) -> Iterator[str]:
    """Whether a part's pixels seem to be on another scale than those trained on."""
    one, other = f"{name} images", "training images"
    alike = "save training and test images alike"
    if max(found.high, train.high) >= ANOTHER_SCALE * min(found.high, train.high):
        yield (
            f"the brightest pixel of the {one} is {found.high}, of the {other} {train.high}: they seem to be on"
            f" different scales; {alike}, from 0 to 255"
        )
    elif abs(found.low - train.low) >= FAR:
        yield (
            f"pixels of the {one} run from {found.low} to {found.high}, of the {other} from {train.low} to"
            f" {train.high}: they seem to be on different scales; {alike}, from 0 to 255"
        )
    elif abs(found.mean - train.mean) >= FAR:
        yield (
            f"the mean pixel of the {one} is {found.mean:.0f}, of the {other} {train.mean:.0f}: if one of them is"
            f" inverted or on another scale, {alike}"
        )


def _called(source: str) -> str:
    """The name of a set's file or folder, in small letters; EMNIST/raw, as torchvision lays it out, is EMNIST's."""
    path = Path(spec_of(source).path)
    while path.name.lower() in ("raw", "gzip", "data"):
        path = path.parent
    return path.name.lower()


def _require_meant(source: str, part: Compared, found: Range) -> None:
    """Raise DataError if all images are one, or if floats from 0 to 1 seem to have been cut off to bytes."""
    where, high = f"{flat(source, 1000)}: all {n_of(len(part), f'{part.called} image')}", found.high
    training = part.called == "training"
    alike = len(part) > 1 and (part.digests == part.digests[0]).all()
    if alike and (training or high > 1):
        what = "black" if high == 0 else "the same"
        use = "learned from them" if training else "measured on them"
        raise DataError(f"{where} are {what}: nothing can be {use}; see what has been saved")
    if high <= 1:
        raise DataError(
            f"{where} have pixels of {'0' if high == 0 else '0 and 1'} only, not up to 255: if they were numbers from"
            " 0 to 1, all between has been cut off: save those as (x * 255).round().astype(np.uint8); if they are black"
            " and white, save x * 255"
        )


def common(one: Compared, other: Compared) -> Iterator[str]:
    """Images of a part that are also in ``one``, which is trained on, or chosen with."""
    rows = np.flatnonzero(np.isin(other.digests, one.digests))
    if len(rows):
        are, them = ("is", "it") if len(rows) == 1 else ("are", "them")
        first = int(rows[0])
        twin = int(np.flatnonzero(one.digests == other.digests[first])[0])
        use, flatters = ("trained on", "accuracy on") if one.called == "training" else ("chosen with", "a test with")
        yield (
            f"{len(rows):,} of {n_of(len(other), f'{other.called} image')} {are} {use} too ({other.name(first)} is"
            f" {one.name(twin)}, counted from 0): {flatters} {them} flatters; remove {them} from one side"
        )


def two_labels(parts: list[Compared]) -> Iterator[str]:
    """Images that come more than once, under different labels."""
    digests, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("digests", "labels"))
    order = np.argsort(digests, kind="stable")
    same = digests[order][1:] == digests[order][:-1]
    clashes = np.flatnonzero(same & (labels[order][1:] != labels[order][:-1]))
    if not len(clashes):
        return
    n_images = len(np.unique(digests[order][clashes]))
    names = [f"{part.called} image {number:,}" for part in parts for number in part.numbers] if n_images else []
    one, two = (int(order[clashes[0] + k]) for k in (0, 1))
    classes = [parts[0].of_class(labels[row]) for row in (one, two)]
    yield (
        f"{n_of(n_images, 'image')} {'comes' if n_images == 1 else 'come'} with more than one label ({names[one]} is of"
        f" class {classes[0]}, {names[two]}, the same image, of class {classes[1]}): no network is right about both"
    )


def missing_in(part: Compared, n_classes: int, *, remedy: str = "") -> Iterator[str]:
    missing = np.flatnonzero(np.bincount(part.labels, minlength=n_classes) == 0).tolist()
    if missing:
        named = ", ".join(map(part.of_class, missing[:10])) + (
            f", ... ({len(missing):,} in all)" if len(missing) > 10 else ""
        )
        of, them = ("class", "it") if len(missing) == 1 else ("classes", "them")
        yield f"no {part.called} image is of {of} {named}: accuracy there says nothing of {them}{remedy}"


def uneven(part: Compared) -> Iterator[str]:
    counts = np.bincount(part.labels)
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[most] >= UNEVEN * counts[least]:
        yield (
            f"classes are uneven: there are {n_of(int(counts[most]), 'training image')} of class"
            f" {part.of_class(most)}, but {counts[least]:,} of class {part.of_class(least)}"
        )


def _by_name(images: ImageSet) -> list[tuple[str, Labelled]]:
    named = [("training", images.train), ("test", images.test)]
    return named if images.validation is None else [*named, ("validation", images.validation)]


@lru_cache(maxsize=1)
def parts_of(images: ImageSet) -> dict[str, Compared]:
    """The parts of a set by name, each image as 64 bits of its hash."""
    return {
        name: Compared(name, labelled.labels, _digests(labelled), np.arange(len(labelled)), images.info.class_names)
        for name, labelled in _by_name(images)
    }


def _digests(labelled: Labelled) -> Digests:
    found = [
        blake2b(image.data, digest_size=8).digest()
        for chunk in labelled.chunks()
        for image in chunk.reshape(len(chunk), -1)
    ]
    return np.frombuffer(b"".join(found), np.uint64)


def range_of(labelled: Labelled) -> Range:
    found = [(int(chunk.min()), int(chunk.max()), int(chunk.sum(dtype=np.int64))) for chunk in labelled.chunks()]
    low, high, total = zip(*found, strict=True)
    return Range(min(low), max(high), sum(total) / prod(labelled.shape))
