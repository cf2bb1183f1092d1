"""What a run's record says against itself.

A checksum tells that a record is what was written, not that it can be true: a mistaken tool, or a person, can write a
right one. So whatever is read from a store, and whatever is written to it, is also held against itself here.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from math import inf, isfinite, log

from stepladder.datasets.sources import MNIST, MNIST_SHA256, DataInfo
from stepladder.ladders.evaluated import DataIdentity
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import DEVICES, EngineIdentity, Epoch, Provenance, Run, RunIdentity, WrongImage

MOST_IMAGES = 10**9
MOST_REVISION = MOST_RESUMED = 10**6
MOST_LOSS = 1e40  # nats; float32 logits differ by less
LEAST_LOSS = -1e-6  # a mean of float32 numbers that are 0 but for their rounding
MOST_S = 1e9
MOST_TEXTS, LONGEST_TEXT = 200, 1_000  # of its provenance
ROUNDING = 1e-6
LOOSELY = 1e-3  # losses are sums of float32 numbers

_SHA256 = re.compile("[0-9a-f]{64}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")  # of an engine: it need not be installed where its runs are read
_WORD = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,99}")


def contradictions(run: Run, info: DataInfo | None = None) -> Iterator[str]:
    """Why a record cannot be true, one sentence each; none for what a training can give.

    ``info`` is what is known of its images, which for MNIST is always known.
    """
    yield from against_progress(run.identity, run.epochs, run.wrong_images, run.diverged_at_epoch, info=info)
    n_epochs, wanted = len(run.epochs), run.identity.recipe.epochs
    if run.diverged_at_epoch is None and n_epochs != wanted:
        yield f"it has {n_epochs:,} epochs, and its recipe {wanted:,}"
    if not _SHA256.fullmatch(run.weights_sha256):
        yield "the checksum of its weights is none"
    yield from _of_provenance(run.provenance)


def against_progress(
    identity: RunIdentity,
    epochs: Sequence[Epoch],
    wrong_images: Sequence[WrongImage],
    diverged_at_epoch: int | None,
    *,
    info: DataInfo | None = None,
) -> Iterator[str]:
    """The same for a training after some of its epochs."""
    if identity.data.sha256 == MNIST_SHA256:
        info = MNIST
    yield from _of_identity(identity)
    if len(epochs) > identity.recipe.epochs:
        yield f"it has {len(epochs):,} epochs, and its recipe {identity.recipe.epochs:,}"
    if diverged_at_epoch is not None and not len(epochs) + 1 == diverged_at_epoch <= identity.recipe.epochs:
        yield (
            f"it diverged at epoch {diverged_at_epoch:,} of {identity.recipe.epochs:,}, but has {len(epochs):,} epochs"
            " from before"
        )
    for number, epoch in enumerate(epochs, 1):
        for problem in (*_of_epoch(epoch), *_unlike_the_first(epoch, epochs[0])):
            yield f"epoch {number}: {problem}"
        if problem := _against_train_loss(epoch, identity.recipe):
            yield f"epoch {number}: {problem}"
    if epochs:
        yield from _of_sizes(epochs[0], identity.recipe, identity.data, info)
    final = epochs[-1] if epochs and diverged_at_epoch is None else None
    yield from _of_wrong_images(wrong_images, final)


def expected_sizes(data: DataIdentity, info: DataInfo) -> tuple[int, int]:
    """How many images a run on these data trains on, and is evaluated on."""
    held_out = 0 if data.split == "given" else data.dev_images
    return info.n_train - held_out, data.dev_images or info.n_test


def _of_identity(identity: RunIdentity) -> Iterator[str]:
    data = identity.data
    if not _SHA256.fullmatch(data.sha256):
        yield "the checksum of its images is none"
    if data.dev_images < 0 or data.dev_part < 0:
        yield f"there is no part {data.dev_part} of {data.dev_images} dev images"
    if data.evaluate_on == "test" and (data.dev_images or data.dev_part):
        yield "it is evaluated on test, but holds dev images out"
    if data.evaluate_on == "test" and data.split != "last":
        yield f"it is evaluated on test, but its dev images are {data.split}"
    if (data.split == "given") != (data.validation_sha256 is not None) or (data.split == "given" and data.dev_part):
        yield "whether dev is a validation part of the set's own is said twice, each time otherwise"
    yield from against_engine(identity.engine)


def against_engine(engine: EngineIdentity) -> Iterator[str]:
    """Why nothing can have been computed by this engine."""
    if not _NAME.fullmatch(engine.name) or engine.device not in DEVICES[1:]:
        yield f"there is no engine {engine.name!r} on {engine.device!r}"
    if not _WORD.fullmatch(engine.version):
        yield f"{engine.version!r} is no version of an engine"
    if not 1 <= engine.revision <= MOST_REVISION:
        yield f"there is no revision {engine.revision} of an engine"


def _of_epoch(epoch: Epoch) -> Iterator[str]:
    if not 1 <= epoch.n_train <= MOST_IMAGES or not 1 <= epoch.n_evaluated <= MOST_IMAGES:
        yield f"it trains on {epoch.n_train} images and is evaluated on {epoch.n_evaluated}"
    for n, of, what in (
        (epoch.n_train_correct, epoch.n_train, "trained on"),
        (epoch.n_correct, epoch.n_evaluated, "evaluated"),
    ):
        if not 0 <= n <= of:
            yield f"{n} of {of} images {what} are correct"
    if not LEAST_LOSS <= epoch.train_loss <= MOST_LOSS or not LEAST_LOSS <= epoch.loss <= MOST_LOSS:
        yield f"its losses are {epoch.train_loss:g} and {epoch.loss:g}"
    if not all(isfinite(each) and 0 <= each <= MOST_S for each in (epoch.train_s, epoch.evaluate_s)):
        yield f"it took {epoch.train_s:g} s and {epoch.evaluate_s:g} s"
    yield from _of_confusion(epoch)
    if problem := _against_loss(epoch.loss, epoch.n_correct, epoch.n_evaluated, n_classes=len(epoch.confusion)):
        yield problem


def _against_loss(loss: float, n_correct: int, n: int, *, n_classes: int) -> str:
    """Why a mean cross-entropy cannot be that of this many correct answers; empty if it can.

    A wrong answer gives its label half at most, which costs ln 2 or more; a correct one an even share at least, which
    costs ln n_classes or less.
    """
    least, most = (n - n_correct) * log(2) / max(n, 1), log(max(n_classes, 1)) if n_correct == n else inf
    if not least * (1 - LOOSELY) - LOOSELY <= loss <= most * (1 + LOOSELY) + LOOSELY:
        return f"its loss is {loss:g}, with {n_correct} of {n} correct"
    return ""


def _against_train_loss(epoch: Epoch, recipe: Recipe) -> str:
    """The same of its training, where labels alone are learned."""
    if recipe.distill is not None or recipe.loss.label_smoothing:
        return ""
    found = _against_loss(epoch.train_loss, epoch.n_train_correct, epoch.n_train, n_classes=len(epoch.confusion))
    return found and f"in training {found}"


def _of_confusion(epoch: Epoch) -> Iterator[str]:
    confusion, n = epoch.confusion, len(epoch.confusion)
    if n < 2 or any(len(row) != n for row in confusion):
        yield "its confusion is no square of classes"
        return
    if min(map(min, confusion)) < 0:
        yield "its confusion counts fewer than no images"
    if (total := sum(map(sum, confusion))) != epoch.n_evaluated:
        yield f"its confusion counts {total} images, of {epoch.n_evaluated}"
    if (right := sum(confusion[each][each] for each in range(n))) != epoch.n_correct:
        yield f"its confusion has {right} correct images, it {epoch.n_correct}"


def _unlike_the_first(epoch: Epoch, first: Epoch) -> Iterator[str]:
    """All epochs see the same images."""
    if (epoch.n_train, epoch.n_evaluated) != (first.n_train, first.n_evaluated):
        yield "it has another number of images than the first one"
    if [sum(row) for row in epoch.confusion] != [sum(row) for row in first.confusion]:
        yield "its confusion has other labels than the first one's"


def _of_sizes(epoch: Epoch, recipe: Recipe, data: DataIdentity, info: DataInfo | None) -> Iterator[str]:
    """The first epoch against what its recipe, its data and its images say."""
    n_classes = len(epoch.confusion)
    if (n_outputs := _n_outputs(recipe)) not in (None, n_classes):
        yield f"its network has {n_outputs} outputs, its confusion {n_classes} classes"
    if data.dev_images and epoch.n_evaluated != data.dev_images:
        yield f"it is evaluated on {epoch.n_evaluated} images, and dev has {data.dev_images}"
    if info is None:
        return
    if n_classes != info.image.n_classes:
        yield f"its confusion has {n_classes} classes, its images {info.image.n_classes}"
    if (sizes := (epoch.n_train, epoch.n_evaluated)) != (expected := expected_sizes(data, info)):
        yield f"it trains on {sizes[0]} images and is evaluated on {sizes[1]}, where there are {expected}"


def _n_outputs(recipe: Recipe) -> int | None:
    """How many numbers its network ends in; None if only its images tell."""
    return next((layer.width for layer in reversed(recipe.network) if layer.width is not None), None)


def _of_wrong_images(wrong_images: Sequence[WrongImage], final: Epoch | None) -> Iterator[str]:
    """They are those of the final epoch, and its confusion counts them."""
    if final is None:
        if wrong_images:
            yield f"it has {len(wrong_images)} wrong images of no final epoch"
        return
    indices, n_classes = [wrong.index for wrong in wrong_images], len(final.confusion)
    if any(not 0 <= index < final.n_evaluated for index in indices):
        yield f"a wrong image is none of the {final.n_evaluated} evaluated ones"
    if any(a >= b for a, b in pairwise(indices)):
        yield "its wrong images are not in order, or one is there twice"
    counts = Counter((wrong.label, wrong.predicted) for wrong in wrong_images)
    expected = {
        (label, predicted): n
        for label, row in enumerate(final.confusion)
        for predicted, n in enumerate(row)
        if n and label != predicted
    }
    if counts != expected:
        yield "its wrong images are not those of its final confusion"
    if not all((1 - ROUNDING) / max(n_classes, 1) <= wrong.probability <= 1 for wrong in wrong_images):
        yield "a wrong image has a probability that no chosen class can have"
    elif final.n_evaluated:
        missed = sum(-log(min(wrong.probability, 1 - wrong.probability) + 1e-12) for wrong in wrong_images)
        if final.loss < missed / final.n_evaluated * (1 - LOOSELY) - LOOSELY:  # what is left for their labels is less
            yield f"its loss is {final.loss:g}, too little for the probabilities of its wrong images"


def _of_provenance(provenance: Provenance) -> Iterator[str]:
    if not is_time(provenance.finished_at):
        yield f"{provenance.finished_at[:50]!r} is no time with its zone"
    if not 0 <= provenance.n_resumed <= MOST_RESUMED:
        yield f"it was resumed {provenance.n_resumed} times"
    texts = (provenance.cpu, provenance.platform, *provenance.versions, *provenance.versions.values())
    if len(texts) > MOST_TEXTS or any(len(text) > LONGEST_TEXT for text in texts):
        yield "it tells more of its machine and libraries than any has to tell"


def is_time(text: str) -> bool:
    """Whether this is a moment as ISO 8601 writes it, with its zone."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
