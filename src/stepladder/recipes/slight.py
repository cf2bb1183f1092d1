"""Settings so small that they may well do nothing, and changes so small: whoever writes one is told.

Nobody can prove it without training: another last digit of one weight is enough to end elsewhere. So none of this is
refused, as what idle finds is; these rules leave all as it is. No numpy.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from stepladder.errors import GeometryError
from stepladder.networks.ops import Dropout, has_step
from stepladder.networks.sides import area
from stepladder.recipes.idle import HALF_DIGIT, Idle, Rule, Sizes, decay_of, steps_of, steps_per_epoch
from stepladder.recipes.idle_steps import largest_step
from stepladder.recipes.recipe import Adam, Augment, Muon, Recipe, changed_fields
from stepladder.recipes.schedules import Cosine, LinearDecay, OneCycle, Plateau, Step

SMALL = 1e-7  # of a number: a last digit or two of float32
LEAST_DROPS = 1.0  # values expected to be zeroed in a whole training
LEAST_DROPOUT = 1e-8
LEAST_DECAY = 1e-8  # of a weight, added to its gradient
LEAST_EPSILON = 1e-12  # what is added to a root, and no last digit of one above 4e-5
LEAST_RATE = 1e-9  # half a last digit of a weight of 0.03
RISE_OR_END = {"start": "begins", "final": "ends"}  # what a schedule does there


def _note(field: str, what: str, why: str, remedy: str = "give more") -> Idle:
    return Idle((field,), what, why, remedy)


def n_dropping(recipe: Recipe, sizes: Sizes) -> int:
    """How many values a dropout is drawn for in the whole training, at most: of a layer's input or its output."""
    try:
        rows = recipe.network_for(sizes.image).rows
    except GeometryError:
        return 2**63
    sides = [((row.in_channels, row.in_size), (row.out_channels, row.out_size)) for row in rows if row.has(Dropout)]
    each = sum(max(channels * area(size) for channels, size in both) for both in sides)
    return each * sizes.n_train * recipe.epochs * (2 if recipe.sharpness_aware else 1)


def _dropout(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    if not recipe.dropout or not any(has_step(steps, Dropout) for steps in steps_of(recipe)):
        return
    n_values = n_dropping(recipe, sizes) if sizes else 0
    what = f"dropout = {recipe.dropout:g} does next to nothing"
    if sizes and recipe.dropout * n_values < LEAST_DROPS:
        why = f"of the {n_values:,} values of the whole training hardly one can be expected to be zeroed"
        yield _note("dropout", what, why)
    elif recipe.dropout < LEAST_DROPOUT:
        yield _note("dropout", what, f"less than one of {1 / LEAST_DROPOUT:,.0f} values is zeroed")


def _warps(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    for name in Augment.model_fields:
        value = getattr(recipe.augment, name)
        if isinstance(value, float) and 0 < value < SMALL:
            yield _note(
                "augment", f"{name} = {value:g} does next to nothing", "it moves hardly a pixel by a last digit"
            )


def _targets(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    why = "it is less than a last digit of most targets in float32"
    if 0 < recipe.loss.label_smoothing < SMALL:
        yield _note("loss", f"label_smoothing = {recipe.loss.label_smoothing:g} does next to nothing", why)
    if recipe.distill and recipe.distill.share < SMALL:
        yield _note("distill", f"distill, with share = {recipe.distill.share:g}, does next to nothing", why)


def _radius(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    aware = recipe.sharpness_aware
    if aware and aware.radius < SMALL:
        what = f"sharpness_aware, with radius = {aware.radius:g}, moves hardly a weight"
        yield _note("sharpness_aware", what, "that is less than a last digit of most of them in float32")


def _optimizer(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    optimizer = recipe.optimizer
    parts = {"beta1": SMALL, "beta2": LEAST_EPSILON} if isinstance(optimizer, Adam) else {"momentum": SMALL}
    for name, least in parts.items():
        if 0 < getattr(optimizer, name) < least:
            what, why = f"{name} = {getattr(optimizer, name):g} does next to nothing", "it adds hardly a last digit"
            yield _note("optimizer", what, f"{why} to a gradient in float32")
    if not isinstance(optimizer, Adam):
        return
    if optimizer.epsilon < LEAST_EPSILON:
        what = f"epsilon = {optimizer.epsilon:g} does next to nothing"
        yield _note("optimizer", what, "it adds nothing in float32 but to the smallest roots of a mean of squares")
    if sizes and recipe.epochs * steps_per_epoch(recipe, sizes) == 1 and (optimizer.beta1 or optimizer.beta2):
        why, remedy = "there is only one step in all, and none before it", "train longer, or in smaller batches"
        yield Idle(("optimizer",), "beta1 and beta2 do nothing but round", why, remedy, told=False)


def _decay(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    decay, optimizer = recipe.weight_decay, recipe.optimizer
    if isinstance(optimizer, Muon) or optimizer.kind == "adamw":
        is_small, of = recipe.lr * decay < SMALL, f"lr x weight_decay = {recipe.lr * decay:g}"
    else:
        is_small, of = decay < LEAST_DECAY, f"{decay:g}"
    if decay and is_small:
        what = f"weight_decay = {decay:g} does next to nothing"
        yield _note("weight_decay", what, f"{of} of a weight is less than a last digit of most numbers in float32")


def _rate(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    """A learning rate that is, or becomes, too small for float32."""
    too_small, schedule = "too small to move a weight in float32, but one that is next to 0", recipe.schedule
    if not recipe.lr:  # said by idle
        return
    if largest_step(recipe) < LEAST_RATE:
        yield _note("lr", f"lr = {recipe.lr:g} moves hardly a weight", f"it is {too_small}")
        return
    if isinstance(schedule, Step | Plateau):
        every = schedule.every_epochs if isinstance(schedule, Step) else schedule.patience + 1
        n_drops = (recipe.epochs - 1) // every
        first = next((n for n in range(1, n_drops + 1) if largest_step(recipe) * schedule.factor**n < LEAST_RATE), 0)
        if first:
            what = f"factor = {schedule.factor:g} ends the training early"
            n_ago = "the first drop" if first == 1 else f"{first} drops"
            why = f"after {n_ago} the learning rate is {recipe.lr * schedule.factor**first:g}: {too_small}"
            yield _note("schedule", what, why, "give a larger factor, or fewer epochs")
    if isinstance(schedule, Cosine | LinearDecay | OneCycle):
        for name, does in RISE_OR_END.items():
            value = getattr(schedule, name, 0.0)
            if 0 < value < SMALL:
                what, why = (
                    f"{name} = {value:g} does next to nothing",
                    f"where it {does} the rate is {too_small}",
                )
                yield _note("schedule", what, why, "give more, or leave it out")


def _average(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    average = recipe.average
    if average is None or sizes is None:
        return
    per_epoch, every = steps_per_epoch(recipe, sizes), average.every_steps
    n_looks, rest = divmod(recipe.epochs * per_epoch, every)
    if n_looks == 1 and not rest:
        why = "its one look is at the last step: that is, except for rounding, what is evaluated without it"
        yield _note("average", "average does next to nothing", why, "give fewer every_steps")
    elif n_looks == 1:
        yield _note("average", "horizon_epochs does next to nothing", "there is only one look", "look more often")
    elif decay_of(average, per_epoch) < SMALL and per_epoch % every == 0:
        why = "its horizon is so short that each epoch's last step alone counts, except for rounding"
        yield _note("average", "average does next to nothing", why, "give a longer one")
    elif decay_of(average, per_epoch) < SMALL:
        yield _note("average", "horizon_epochs does next to nothing", "the last look alone counts", "give a longer one")
    elif recipe.epochs < average.horizon_epochs * HALF_DIGIT:
        why = "over this many epochs each look counts as much as any other"
        yield _note("average", "horizon_epochs is endless", why, "give less")


RULES: tuple[Rule, ...] = (_dropout, _warps, _targets, _radius, _optimizer, _decay, _rate, _average)


def slight_changes(below: Recipe, above: Recipe) -> Iterator[str]:
    """Of each number that a rung changes by less than a last digit or two of float32: that, and what it is."""
    for name in changed_fields(below, above):
        for field, old, new in _numbers(name, getattr(below, name), getattr(above, name)):
            if old != new and abs(new - old) <= SMALL * max(abs(old), abs(new)):
                yield f"{field} changes from {old!r} to {new!r}: so little may well change nothing (change it more)"


def _numbers(name: str, old: Any, new: Any) -> Iterator[tuple[str, float, float]]:
    """The numbers of two values of one field that may have fractions, each with its name."""
    if isinstance(old, float) and isinstance(new, float):
        yield name, old, new
    elif isinstance(old, BaseModel) and type(old) is type(new):
        for inner in type(old).model_fields:
            yield from _numbers(inner, getattr(old, inner), getattr(new, inner))
