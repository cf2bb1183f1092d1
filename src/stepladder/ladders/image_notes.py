"""What is wrong or remarkable in images before anything trains on them: said by ``check``, and again by a climb.

What makes a training meaningless is refused here and not where images are read: what is stored of them stays readable.
Of the embedded MNIST it is known that there is nothing to say; a test holds it to that.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np

from stepladder._base.wording import flat, is_are, n_of
from stepladder.datasets import split_rules
from stepladder.datasets.data import held_out, load, train_labels
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.remarks import Compared, about_pixels, common, missing_in, parts_of, two_labels, uneven
from stepladder.datasets.sources import MNIST_LAST_ARE_FINE
from stepladder.errors import DataError
from stepladder.ladders.evaluated import DataIdentity
from stepladder.ladders.ladder import Plan

REMARKABLE = Fraction(3, 2)  # of the share that the largest class would have if all were alike
HOLD_OUT = "set dev_images to hold training images out instead"


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
    parts = parts_of(images)
    if identity.split == "given":
        _require_classes_told_apart(source, parts["validation"])
    notes = [*images.notes, *about_pixels(source, images, parts), *_about_labels(images, parts, ladder, identity)]
    return tuple(notes)


def _require_split(source: str, n_dev: int) -> None:
    if problem := split_rules.problem(train_labels(source), n_dev=n_dev):
        raise DataError(f"{flat(source, 1000)}: {problem}")


def _require_classes_told_apart(source: str, part: Compared) -> None:
    if (part.labels == part.labels[0]).all():
        raise DataError(
            f"{flat(source, 1000)}: its own {n_of(len(part), 'validation image')}"
            f" {is_are(len(part))} of class {part.of_class(part.labels[0])} only: accuracy there can say nothing;"
            f" {HOLD_OUT}"
        )


def _about_labels(images: ImageSet, parts: dict[str, Compared], ladder: Plan, identity: DataIdentity) -> Iterator[str]:
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
    yield from common(trained, evaluated)
    if evaluated is not test:
        yield from common(train, test)
    if "validation" in parts:
        own = parts["validation"]
        if identity.split != "given":
            own = replace(own, called="own validation")  # not those held out
            yield from common(train, own)
        yield from common(own, test)
    yield from two_labels([train, test, *([parts["validation"]] if "validation" in parts else [])])
    n_classes = images.info.image.n_classes
    yield from missing_in(test, n_classes)
    if evaluated is not test:
        yield from missing_in(evaluated, n_classes, remedy=f"; {HOLD_OUT}" if identity.split == "given" else "")
    yield from _largest(evaluated, n_classes, float(ladder.rungs[-1].target.accuracy), ladder.evaluate_on)
    yield from uneven(trained)


def _largest(part: Compared, n_classes: int, target: float, split: str) -> Iterator[str]:
    """What a network without eyes would have, where that is much."""
    counts = np.bincount(part.labels, minlength=n_classes)
    share = Fraction(int(counts.max()), len(part))
    reached = 100 * share >= Fraction(target)
    if share >= REMARKABLE / n_classes or reached:
        percent = floor(10_000 * share) / 100
        so = f", which holds the target of {target:g}%" if reached else ""
        yield f"always naming class {part.of_class(int(counts.argmax()))} would have {percent:g}% of {split}{so}"
