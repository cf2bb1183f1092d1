"""What is wrong or remarkable in images before anything trains on them: said by ``check``, and again by a climb.

What makes a training meaningless is refused here and not where images are read: what is stored of them stays readable.
Of the embedded MNIST it is known that there is nothing to say; a test holds it to that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from math import floor, prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat, is_are, n_of
from stepladder.datasets import split_rules
from stepladder.datasets.data import held_out, load, train_labels
from stepladder.datasets.image_set import ImageSet, Labelled
from stepladder.datasets.pixels import full_scale
from stepladder.datasets.sources import LIKELY_CHANNELS, MNIST_LAST_ARE_FINE, called
from stepladder.errors import DataError
from stepladder.ladders.evaluated import DataIdentity
from stepladder.ladders.ladder import Plan

REMARKABLE = Fraction(3, 2)  # of the share that the largest class would have if all were alike
UNEVEN = 5  # times as many training images of one class as of another
DIM = 64  # the brightest pixel below this: pictures of it are all but black
ANOTHER_SCALE = 2  # times as bright is the brightest pixel of one part as that of another
FAR = 64  # of 255: parts whose darkest pixels, or whose mean ones, are so far apart
HOLD_OUT = "set dev_images to hold training images out instead"

Digests = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class _Part:
    """Some of a set's images as they are compared: ``called`` names them, ``numbers`` are their places in that part."""

    called: str
    labels: NDArray[np.int64]
    digests: Digests
    numbers: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: NDArray[np.int64]) -> "_Part":
        return replace(self, labels=self.labels[rows], digests=self.digests[rows], numbers=self.numbers[rows])

    def of_class(self, label: int) -> str:
        """The name of a class."""
        return called(int(label), self.class_names)

    def name(self, row: int) -> str:
        return f"{self.called} image {self.numbers[row]:,}"


@dataclass(frozen=True)
class _Range:
    """The pixels of a part: the darkest, the brightest, and their mean."""

    low: int
    high: int
    mean: float


def examined(ladder: Plan, identity: DataIdentity) -> tuple[str, ...]:
    """What is remarkable in a ladder's images and how they are split, a sentence each.

    Raises DataError where no split has every class on both sides, or where the images cannot be what was meant.
    """
    source = ladder.data
    known = source == "mnist" and identity.dev_images in (0, *MNIST_LAST_ARE_FINE)
    if identity.evaluate_on == "dev" and identity.split != "given" and not known:
        _require_split(source, identity.dev_images)
    if source == "mnist":
        return ()
    images = load(source)
    parts = _parts(images)
    if identity.split == "given":
        _require_classes_told_apart(source, parts["validation"])
    notes = [*images.notes, *_about_pixels(source, images, parts), *_about_labels(images, parts, ladder, identity)]
    return tuple(notes)


def _require_split(source: str, n_dev: int) -> None:
    if problem := split_rules.problem(train_labels(source), n_dev=n_dev):
        raise DataError(f"{flat(source, 1000)}: {problem}")


def _require_classes_told_apart(source: str, part: _Part) -> None:
    if (part.labels == part.labels[0]).all():
        raise DataError(
            f"{flat(source, 1000)}: its own {n_of(len(part), 'validation image')}"
            f" {is_are(len(part))} of class {part.of_class(part.labels[0])} only: accuracy there can say nothing;"
            f" {HOLD_OUT}"
        )


def _about_pixels(source: str, images: ImageSet, parts: dict[str, _Part]) -> Iterator[str]:
    ranges = {name: _range(labelled) for name, labelled in _named(images)}
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


def _scale(name: str, found: _Range, train: _Range) -> Iterator[str]:
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
    path = Path(source)
    while path.name.lower() in ("raw", "gzip", "data"):
        path = path.parent
    return path.name.lower()


def _require_meant(source: str, part: _Part, found: _Range) -> None:
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


def _about_labels(images: ImageSet, parts: dict[str, _Part], ladder: Plan, identity: DataIdentity) -> Iterator[str]:
    train, test = parts["training"], parts["test"]
    trained, evaluated = train, test
    if identity.split == "given":
        evaluated = parts["validation"]
    elif identity.evaluate_on == "dev":
        rows = held_out(images, n_dev=identity.dev_images, dev_part=identity.dev_part, rule=identity.split)
        evaluated, trained = train[rows], train[np.delete(np.arange(len(train)), rows)]
        evaluated = replace(evaluated, called="validation")
    if "validation" in parts and identity.split != "given":
        why = "dev_images holds training images out instead" if ladder.dev_images else "evaluate_on is 'test'"
        n = len(parts["validation"])
        yield f"its own {n_of(n, 'validation image')} {is_are(n)} left out: {why}"
    yield from _common(trained, evaluated)
    if evaluated is not test:
        yield from _common(train, test)
    if "validation" in parts:
        own = parts["validation"]
        if identity.split != "given":
            own = replace(own, called="own validation")  # not those held out
            yield from _common(train, own)
        yield from _common(own, test)
    yield from _two_labels([train, test, *([parts["validation"]] if "validation" in parts else [])])
    n_classes = images.info.image.n_classes
    yield from _missing(test, n_classes)
    if evaluated is not test:
        yield from _missing(evaluated, n_classes, remedy=f"; {HOLD_OUT}" if identity.split == "given" else "")
    yield from _largest(evaluated, n_classes, float(ladder.rungs[-1].target.accuracy), ladder.evaluate_on)
    yield from _uneven(trained)


def _common(one: _Part, other: _Part) -> Iterator[str]:
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


def _two_labels(parts: list[_Part]) -> Iterator[str]:
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


def _missing(part: _Part, n_classes: int, *, remedy: str = "") -> Iterator[str]:
    missing = np.flatnonzero(np.bincount(part.labels, minlength=n_classes) == 0).tolist()
    if missing:
        named = ", ".join(map(part.of_class, missing[:10])) + (
            f", ... ({len(missing):,} in all)" if len(missing) > 10 else ""
        )
        of, them = ("class", "it") if len(missing) == 1 else ("classes", "them")
        yield f"no {part.called} image is of {of} {named}: accuracy there says nothing of {them}{remedy}"


def _largest(part: _Part, n_classes: int, target: float, split: str) -> Iterator[str]:
    """What a network without eyes would have, where that is much."""
    counts = np.bincount(part.labels, minlength=n_classes)
    share = Fraction(int(counts.max()), len(part))
    reached = 100 * share >= Fraction(target)
    if share >= REMARKABLE / n_classes or reached:
        percent = floor(10_000 * share) / 100
        so = f", which holds the target of {target:g}%" if reached else ""
        yield f"always naming class {part.of_class(int(counts.argmax()))} would have {percent:g}% of {split}{so}"


def _uneven(part: _Part) -> Iterator[str]:
    counts = np.bincount(part.labels)
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[most] >= UNEVEN * counts[least]:
        yield (
            f"classes are uneven: there are {n_of(int(counts[most]), 'training image')} of class"
            f" {part.of_class(most)}, but {counts[least]:,} of class {part.of_class(least)}"
        )


def _named(images: ImageSet) -> list[tuple[str, Labelled]]:
    named = [("training", images.train), ("test", images.test)]
    return named if images.validation is None else [*named, ("validation", images.validation)]


@lru_cache(maxsize=1)
def _parts(images: ImageSet) -> dict[str, _Part]:
    """The parts of a set by name, each image as 64 bits of its hash."""
    return {
        name: _Part(name, labelled.labels, _digests(labelled), np.arange(len(labelled)), images.info.class_names)
        for name, labelled in _named(images)
    }


def _digests(labelled: Labelled) -> Digests:
    found = [
        blake2b(image.data, digest_size=8).digest()
        for chunk in labelled.chunks()
        for image in chunk.reshape(len(chunk), -1)
    ]
    return np.frombuffer(b"".join(found), np.uint64)


def _range(labelled: Labelled) -> _Range:
    found = [(int(chunk.min()), int(chunk.max()), int(chunk.sum(dtype=np.int64))) for chunk in labelled.chunks()]
    low, high, total = zip(*found, strict=True)
    return _Range(min(low), max(high), sum(total) / prod(labelled.shape))
