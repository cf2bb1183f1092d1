"""A first ladder for a data set: a small network that fits its images, two changes worth trying, and how to go on.

It is a text for a person to read and change, so that most of it is comments.
"""

import json
import os
import shlex
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

from stepladder._base.files import name_for
from stepladder._base.wording import shown
from stepladder.datasets.kinds import kind_of
from stepladder.datasets.sources import MNIST, DataInfo
from stepladder.datasets.spec import spec_of
from stepladder.errors import LadderError
from stepladder.ladders.checking import check, require_within_budget
from stepladder.ladders.ladder_file import ladder_of
from stepladder.ladders.ladder_toml import data_path, written
from stepladder.networks.geometry import ImageShape
from stepladder.networks.ops import Conv, GlobalAvgPool, Layer, Linear, MaxPool
from stepladder.networks.sides import Sides, each, is_beyond
from stepladder.recipes.recipe import Recipe

FEWEST_EPOCHS, MOST_EPOCHS = 8, 30
STEPS = 2_000  # of training, about, where that takes no more epochs than MOST_EPOCHS
USUAL_BATCH, LEAST_BATCH = 64, 8
SMALL = 6  # pixels of a side from which on one more convolution is the last
FIRST_WIDTH, WIDEST = 8, 32  # channels
ROOM = 1.25  # parameters of the budget, for one of the network
MNIST_TARGET, USUAL_TARGET = 98.8, 90.0  # percent
SHIFTED = 16  # of a side a pixel is moved
LEAST_TO_SHIFT = 8  # pixels of a side
UNEVEN = 2  # times the smallest class: then the target speaks of balanced accuracy

TEXT = """\
# A first ladder, to climb and then to change: a data set, a budget, a target, and rungs from the bottom up. Each rung
# is the rung below plus exactly one change, and says why. docs/ladders.md has the whole format, docs/recipes.md every
# concept.
#
#   stepladder check {file}      sizes, receptive fields, what is wrong: before anything trains
#   stepladder climb {file}      train every rung with seeds 1 to 8; what is trained is kept
#   stepladder compare {file}    what each change did, and how sure that is
#   stepladder report {file}     a page with curves, mistakes and advice on the next rung
name = {name}
about = {about}
data = {data} # {size}
evaluate_on = "dev" # images held out of those to train on; keep "test" for the end
budget = {{ params = {budget:_}, epochs = {epochs} }} # at most, for every rung; a rung may tighten it
target = {{ accuracy = {target:g}, last_epochs = {last}{balanced} }} # percent, at each of the last epochs{guess}

[[rung]]
name = "skeleton"
why = "Something small: does it learn at all, and is the training set learned better than what is held out?"

# The bottom rung has the whole recipe; what is not written has its usual value.
[rung.recipe]
network = [
{network}
]
lr = 0.05
batch_size = {batch_size}
epochs = {epochs}

[[rung]]
name = "cosine"
why = "At a constant learning rate the weights never settle: let it fall to 0."
change.schedule = {{ kind = "cosine" }} # every other rung has one change

[[rung]]
{last_rung}

# What to try next? The report says what it would try. One change at a time, on top:
#
# [[rung]]
# name = "wider"
# why = "Train and held-out accuracy are both low: more channels."
# change.network = ["conv 12", ...]
#
# Or beside each other, as variants of the rung that they stand below; they are no steps of the ladder:
#
# [[rung.variant]]
# name = "weight-decay"
# why = "The weights grow."
# change.weight_decay = 5e-4
"""
SHIFT = """\
name = "shift"
why = "An object that is moved a little is the same object: move the training images at random."
change.augment = {{ shift_px = {shift:.1f} }} # each distortion of augment is a change of its own"""
DROPOUT = """\
name = "dropout"
why = "If the training set is learned better than what is held out: zero 5% of the values at random."
change.dropout = 0.05"""


def output_path(data: str, output: str | None) -> Path:
    """Where a first ladder goes: where it was asked for, or to a file here that is called as the images are.

    Raises LadderError for a name that is none of a ladder, and where a file is already; DataError without images.
    """
    is_named = output is not None and output != "-"
    path = Path(output or "") if is_named else Path(name_for(kind_of(data).name, ".toml"))
    if path.suffix != ".toml":
        raise LadderError(f"{shown(str(path))} is not a name for a ladder: give --output a file that ends in .toml")
    if output != "-" and os.path.lexists(path):
        raise LadderError(f"{path} is there already, and is not overwritten: give another file with --output")
    if not path.absolute().parent.is_dir():
        raise LadderError(f"cannot write {path}: its folder is not there: give another file with --output")
    return path


def first_ladder(data: str, path: Path) -> str:
    """The text of a first ladder for a set of images, ``"mnist"`` or a path, as a file at ``path`` will have it.

    It is one that can be checked and climbed there. Raises DataError for images that cannot be trained on.
    """
    from stepladder.datasets import data as data_sets  # only now: they need numpy

    info, n_of_class = data_sets.describe(data), Counter(data_sets.train_labels(data).tolist())
    n_trained = info.n_train if info.n_validation else info.n_train - info.n_train // 6
    labels = Labels(
        largest=Fraction(max(n_of_class.values()), info.n_train),
        uneven=max(n_of_class.values()) >= UNEVEN * min(n_of_class[each] for each in range(info.image.n_classes)),
    )
    file = shlex.quote(str(path)) if str(path).isprintable() else "FILE.toml"
    text = first_ladder_text(info, labels, data=data_path(data, path.parent), n_trained=n_trained, file=file)
    found = check(ladder_of(text, path), n_seeds=8, jobs=1, speeds={})
    require_within_budget(found.ladder, found.rungs)
    return text


@dataclass(frozen=True)
class Labels:
    """What is known of a set's labels: the share of the largest class, and whether classes are uneven."""

    largest: Fraction
    uneven: bool = False


def first_ladder_text(info: DataInfo, labels: Labels, *, data: str, n_trained: int, file: str) -> str:
    """The text of a first ladder for images; ``data`` as the ladder is to name it, ``file`` as commands do.

    What it says keeps within its own budget, and its target is above what naming the largest class would reach.
    """
    layers = network_for(info.image)
    batch_size = _batch_size(n_trained)
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, ceil(STEPS * batch_size / n_trained)))
    params = Recipe.model_validate({"network": layers, "epochs": epochs}).network_for(info.image).params
    image = info.image
    side = min(each for each in (image.height, image.width) if each > 1 or image.size == 1)
    return TEXT.format(
        file=file,
        name=_quoted(name_for(info.name, "")),
        about=_quoted(f"A first ladder for {info.name}."),
        data=written(spec_of(data).said),
        size=f"{image.in_words} pixels, {image.n_classes} classes",
        budget=_budget(params),
        epochs=epochs,
        target=_target(info, labels),
        last=3,
        balanced=", balanced = true" * labels.uneven,
        guess="" if info == MNIST else ": a guess, set what you need",
        network="\n".join(f"    {_quoted(layer)}," for layer in layers),
        batch_size=batch_size,
        last_rung=SHIFT.format(shift=max(1, side // SHIFTED)) if side >= LEAST_TO_SHIFT else DROPOUT,
    )


def network_for(image: ImageShape) -> list[str]:
    """Convolutions with a pool between each two, until the maps are small; then their means and a linear layer.

    A direction in which they are small already is kept as it is, by padding; in one of a single pixel nothing is done.
    """
    layers: list[Layer] = []
    size, width = image.size, FIRST_WIDTH
    while is_beyond(size, SMALL - 1):
        padding = each(lambda side: int(1 < side < SMALL), size)
        pool = each(lambda side: 2 if side >= SMALL else 1, size)
        layers += [Conv(width, _kernel(size), padding=padding), MaxPool(pool, pool)]
        size = each(lambda side: (side - 2) // 2 if side >= SMALL else side, size)
        width = min(2 * width, WIDEST)
    last = Conv(width, _kernel(size), padding=each(lambda side: int(side > 1), size))
    return [str(layer) for layer in (*layers, last, GlobalAvgPool(), Linear(image.n_classes))]


def _kernel(size: Sides) -> Sides:
    return each(lambda side: 3 if side > 1 else 1, size)


def _budget(params: int) -> int:
    """Some more than a network has, in round numbers."""
    unit = 1_000 if params >= 1_000 else 100
    return ceil(params * ROOM / unit) * unit


def _batch_size(n_trained: int) -> int:
    """As usual, or so small that an epoch has some ten steps."""
    size = USUAL_BATCH
    while size > LEAST_BATCH and 10 * size > n_trained:
        size //= 2
    return size


def _target(info: DataInfo, labels: Labels) -> float:
    """A percentage that naming the largest class does not reach."""
    if info == MNIST:
        return MNIST_TARGET
    if labels.uneven:
        return USUAL_TARGET
    half_way = float(100 + 100 * labels.largest) / 2
    return max(USUAL_TARGET, round(half_way, 1))


def _quoted(text: str) -> str:
    """A text as TOML has it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
