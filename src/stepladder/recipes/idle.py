"""Settings of a recipe that do nothing, each with the reason and the remedy: one rule for each kind.

A rule looks at a recipe, and at the sizes of its images where they are known, and gives for each such setting the
fields that would train the same way without it. ``happening`` compares recipes by what is left. Whatever is so small
that it hardly does anything, but might, is left in: see slight. No numpy.
"""

from collections.abc import Callable, Iterator, Mapping
from ctypes import c_float
from dataclasses import dataclass, field
from math import exp, prod
from typing import Any

from stepladder.networks.geometry import ImageShape
from stepladder.networks.ops import BatchNorm, Dropout, Step, has_step
from stepladder.networks.sides import is_line
from stepladder.recipes.recipe import Adam, Augment, Average, CrossEntropy, Recipe

NOTHING = 1e-29  # beside what a training computes no last digit feels this, were that as small as 1e-21
HALF_DIGIT = 2.0**-25 * (1 - 1e-6)  # a smaller part of a float32, taken from it, leaves it as it is
LEAST_ADAM_EPSILON = 1e-12  # with less, a gradient of 1e-29 beside none moves a weight
LEAST_SHIFT_PX = 0.5  # less is, wherever people write it, a part of the side that is taken for pixels


@dataclass(frozen=True)
class Sizes:
    """What is known of the images: their shape, and how many are trained on."""

    image: ImageShape
    n_train: int


@dataclass(frozen=True)
class Idle:
    """A setting that does nothing, or not what it says.

    ``fields`` are those of the recipe that it is about, ``what`` the setting and that it does nothing, ``instead``
    values that train the same way. Not ``told`` if nobody need be warned: the value is a default, or does no harm.
    """

    fields: tuple[str, ...]
    what: str
    why: str
    remedy: str
    instead: Mapping[str, Any] = field(default_factory=dict)
    told: bool = True

    @property
    def reason(self) -> str:
        return f"{self.why}: {self.remedy}"

    def __str__(self) -> str:
        return f"{self.what}: {self.why} ({self.remedy})"


Rule = Callable[[Recipe, Sizes | None], Iterator[Idle]]


def single(value: float) -> float:
    """A number as float32 has it."""
    return c_float(value).value


def steps_of(recipe: Recipe) -> list[tuple[Step, ...]]:
    """The steps after each layer's operation."""
    return [layer.steps(recipe.block) for layer in recipe.network]


def dropped(probability: float) -> tuple[int, float, int]:
    """All that an engine has of a dropout: how many of 2**32 values the JIT engine zeroes, and what it multiplies the
    others by; how many of 65536 the PyTorch engine keeps, never all of them unless there is no dropout.
    """
    kept = min(max(round((1 - probability) * 65536), 1), 65535) if probability else 65536
    return min(round(probability * 2**32), 2**32 - 1), single(1 / (1 - probability)), kept


def steps_per_epoch(recipe: Recipe, sizes: Sizes) -> int:
    return -(-sizes.n_train // recipe.batch_size)


# The network


def _block(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    if not any(layer.takes_usual_steps for layer in recipe.network):
        default = Recipe.model_fields["block"].default
        yield Idle(
            ("block",),
            f'block = "{recipe.block}" does nothing',
            "each convolution has an order of its own, or is bare",
            "change those, or take them away",
            {"block": default},
            told=recipe.block != default,
        )


def _dropout(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    if not recipe.dropout:
        return
    what = f"dropout = {recipe.dropout:g} does nothing"
    if not any(has_step(steps, Dropout) for steps in steps_of(recipe)):
        why, remedy = "no layer's block has a 'dropout' step", 'give one, as in block = "conv relu norm dropout"'
        yield Idle(("dropout",), what, why, remedy, {"dropout": 0.0})


def _norms(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    if any(has_step(steps, BatchNorm) for steps in steps_of(recipe)):
        if recipe.recalibrate_images:
            yield _whole_batches(recipe, sizes)
        return
    for name, value in (("norm_scale", True), ("recalibrate_images", 0)):
        if getattr(recipe, name) != value:
            yield Idle(
                (name,),
                f"{name} = {str(getattr(recipe, name)).lower()} does nothing",
                "no layer's block has a 'norm' step",
                'give one, as in block = "conv relu norm"',
                {name: value},
            )


def _whole_batches(recipe: Recipe, sizes: Sizes | None) -> Idle:
    """Recalibration takes whole batches, as many as there are."""
    n, size = recipe.recalibration_batches, recipe.batch_size
    if sizes is not None:
        size = min(size, sizes.n_train)
        n = min(n, sizes.n_train // size)
    return Idle(
        ("recalibrate_images",),
        f"recalibrate_images = {recipe.recalibrate_images} means whole batches",
        f"statistics are taken over whole batches: {n} of {size:,} images",
        "go over to another number of batches",
        {"recalibrate_images": n * size},
        told=False,
    )


# Images


def _clean_epochs(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    if recipe.augment != Augment() and recipe.clean_epochs >= recipe.epochs:
        yield Idle(
            ("augment", "clean_epochs"),
            f"augment ({recipe.augment}) does nothing",
            f"clean_epochs = {recipe.clean_epochs} of {epochs_text(recipe.epochs)} leave no epoch with distortion",
            "give fewer clean_epochs",
            {"augment": Augment(), "clean_epochs": 0},
        )


def _no_distortion(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    if recipe.clean_epochs and recipe.augment == Augment():
        yield Idle(
            ("clean_epochs",),
            f"clean_epochs = {recipe.clean_epochs} does nothing",
            "no epoch distorts its images",
            "give augment too, and fewer clean_epochs than epochs",
            {"clean_epochs": 0},
        )


def _small_warps(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    augment, size = recipe.augment, sizes.image.size if sizes else None
    turning, what = ["rotation_deg", "scale", "shear_deg", "mirror"] if size == 1 else [], "images of one pixel"
    if size is not None and is_line(size):
        turning, what = ["rotation_deg", "shear_deg"], "images of one row, or one column, of pixels"
        turning += ["mirror"] * (size[1] == 1)
    for name in Augment.model_fields:
        value = getattr(augment, name)
        alone = name in turning
        if value and (alone or value < NOTHING):
            augment = augment.model_copy(update={name: Augment.model_fields[name].default})
            yield Idle(
                ("augment",),
                f"{name} = {str(value).lower()} does nothing",
                f"{what} cannot be turned" if alone else f"{value:g} moves no pixel",
                "leave it out" if alone else "give more",
                {"augment": augment},
            )


def _part_of_a_pixel(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    shift = recipe.augment.shift_px
    if NOTHING <= shift < LEAST_SHIFT_PX:
        side = max(sizes.image.height, sizes.image.width) if sizes else 0
        example = f", as in shift_px = {shift * side:g} for {100 * shift:g}%" if sizes else ""
        what = f"shift_px = {shift:g} moves images by at most {shift:g} of a pixel"
        yield Idle(("augment",), what, "it counts pixels, not fractions of the image's side", f"give pixels{example}")


def _black(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    """A square whose half reaches the far side from the first pixel blackens any image whole; nothing else is seen."""
    if sizes is None:
        return
    augment, height, width = recipe.augment, sizes.image.height, sizes.image.width
    most = 2 * max(height, width) - 1
    if augment.cutout_px >= most:
        yield Idle(
            ("augment",),
            f"cutout_px = {augment.cutout_px} blackens each distorted image whole",
            f"a square of {most} pixels and more covers {height} x {width} wherever its centre is",
            "give less",
            {"augment": Augment(cutout_px=most)},
        )
        return
    sides = [side for side in (height, width) if side > 1 or height == width]  # along which images are moved
    if augment.shift_px > min(sides):
        hidden = 1 - prod(min(1.0, side / augment.shift_px) for side in sides)
        what = f"shift_px = {augment.shift_px:g} moves {100 * hidden:.0f}% of the images out of sight"
        yield Idle(("augment",), what, f"they have {height} x {width} pixels", "give less")


# The rest


def _batch_size(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    if sizes is not None and recipe.batch_size > sizes.n_train:
        yield Idle(
            ("batch_size",),
            f"batch_size = {recipe.batch_size:,} means all images at once",
            f"there are {sizes.n_train:,} training images",
            f"give at most {sizes.n_train:,}",
            {"batch_size": sizes.n_train},
            told=recipe.batch_size != Recipe.model_fields["batch_size"].default,
        )


def _loss(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    smoothing, distill = recipe.loss.label_smoothing, recipe.distill
    if distill and distill.share < NOTHING and not _amplifies(recipe):
        what, why = (
            f"distill, with share = {distill.share:g}, does nothing",
            "float32 cannot hold that fraction of a target",
        )
        yield Idle(("distill",), what, why, "give more", {"distill": None})
        distill = None
    if smoothing and distill and distill.share == 1:
        yield Idle(
            ("loss",),
            f"label_smoothing = {smoothing:g} does nothing",
            "all of the targets are the teachers' (distill.share = 1)",
            "give a smaller share",
            {"loss": CrossEntropy()},
            told=False,  # they learned with it
        )
    elif 0 < smoothing < NOTHING and not _amplifies(recipe):
        what = f"label_smoothing = {smoothing:g} does nothing"
        yield Idle(("loss",), what, "it is too little for float32", "give more", {"loss": CrossEntropy()})


def _amplifies(recipe: Recipe) -> bool:
    """Whether the optimizer may make a whole step of a gradient that is nothing beside all others, but not 0."""
    return isinstance(recipe.optimizer, Adam) and recipe.optimizer.epsilon < LEAST_ADAM_EPSILON


def _sharpness(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    aware = recipe.sharpness_aware
    if aware is None or aware.radius > NOTHING or _amplifies(recipe):
        return
    what, why = f"sharpness_aware, with radius = {aware.radius:g}, moves no weight", "that is too little for float32"
    instead = aware.model_copy(update={"radius": NOTHING}) if recipe.dropout else None  # which is drawn once more
    yield Idle(("sharpness_aware",), what, why, "give more", {"sharpness_aware": instead})


def decay_of(average: Average, per_epoch: int) -> float:
    """What a moving average keeps of itself at a look: 0 where the new one counts alone to the last digit."""
    steps = average.horizon_epochs * per_epoch
    decay = exp(-average.every_steps / steps) if steps else 0.0
    return 0.0 if 1 - decay == 1 else decay


def _average(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    average = recipe.average
    if average is None or sizes is None:
        return
    per_epoch, every = steps_per_epoch(recipe, sizes), average.every_steps
    n_looks, rest = divmod(recipe.epochs * per_epoch, every)
    decay, same = decay_of(average, per_epoch), "give less"
    if not n_looks:
        why = f"every_steps = {every:,}, and there are {rest:,} steps: it never looks at the weights"
    elif decay == 1:
        why = f"over horizon_epochs = {average.horizon_epochs:g} one look counts for nothing in float64"
    elif n_looks == 1 and not rest and not decay:  # else its one look is divided by its share, which rounds
        why, same = "its one look is at the last step: that is what is evaluated without it", "give fewer every_steps"
    else:
        return
    yield Idle(("average",), "average does nothing", why, same, {"average": None})


def epochs_text(n: int) -> str:
    return f"{n} epoch" + ("" if n == 1 else "s")


RULES: tuple[Rule, ...] = (
    *(_batch_size, _block, _dropout, _norms, _clean_epochs, _small_warps, _part_of_a_pixel, _black, _no_distortion),
    *(_loss, _sharpness, _average),
)
