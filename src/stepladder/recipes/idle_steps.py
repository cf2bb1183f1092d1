"""Settings of the optimizer and of the learning rate that do nothing: rules as those of idle.

What counts is what an engine makes of them, the optimizer's arithmetic in engines.optimizer, whose numbers are float32
as they meet an array, and the rates of schedule, which are float64 until then. No numpy.
"""

from collections.abc import Iterator
from math import sqrt

from stepladder.networks.ops import BatchNorm, has_step
from stepladder.recipes.idle import (
    HALF_DIGIT,
    NOTHING,
    Idle,
    Rule,
    Sizes,
    epochs_text,
    single,
    steps_of,
    steps_per_epoch,
)
from stepladder.recipes.recipe import Adam, Muon, Recipe, Sgd
from stepladder.recipes.schedule import learning_rate
from stepladder.recipes.schedules import Constant, Cosine, LinearDecay, OneCycle, Plateau, Schedule, Step

# Weights start on a grid of 2**-52 of their bound: of a thousand million not one is so near 0 that it feels this.
LEAST_STEP = 1e-25
LEAST_BETA = 1e-36  # its root is a part of a mean of squares that an epsilon of 1e-8 hides
FEW_STEPS = 100
MOST_STEPS = 200_000  # whose learning rates are looked at one by one: a third of a second


def is_at_every_step(recipe: Recipe, sizes: Sizes) -> bool:
    """Whether the rate is lr at each step, to the last digit: known from the first and the last, where it is lowest.

    Every schedule but a plateau only rises, and then only falls. Adam divides a rate before it is float32: of few steps
    alone it is known.
    """
    per_epoch = steps_per_epoch(recipe, sizes)
    n_steps = recipe.epochs * per_epoch
    if isinstance(recipe.optimizer, Adam):
        rates = (learning_rate(recipe, step=step, steps_per_epoch=per_epoch) for step in range(n_steps))
        return n_steps <= FEW_STEPS and all(rate == recipe.lr for rate in rates)
    ends = [learning_rate(recipe, step=step, steps_per_epoch=per_epoch) for step in (0, n_steps - 1)]
    near = [rate * (1 + side * 2.0**-50) for rate in ends for side in (-1, 1)]
    return all(single(rate) == single(recipe.lr) for rate in near)


# The optimizer


def largest_step(recipe: Recipe) -> float:
    """How far a step moves a parameter at the most, as a multiple of a gradient, or of 1 for Adam and Muon."""
    optimizer = recipe.optimizer
    rate = recipe.lr * max(1.0, recipe.weight_decay)
    if isinstance(optimizer, Adam):
        return rate / (1 - optimizer.beta1) / sqrt(1 - optimizer.beta2)
    others = optimizer.other_lr if isinstance(optimizer, Muon) else 1.0
    return rate * max(1.0, others) / (1 - optimizer.momentum)


def _no_step(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    """The shift of a norm starts at 0 and feels any step that is not 0; all else starts far from it."""
    lr, optimizer = recipe.lr, recipe.optimizer
    is_zero = not single(lr / (1 - optimizer.beta1) if isinstance(optimizer, Adam) else lr)
    has_norm = any(has_step(steps, BatchNorm) for steps in steps_of(recipe))
    if is_zero or (largest_step(recipe) < LEAST_STEP and not has_norm):
        aware = recipe.sharpness_aware if recipe.dropout else None  # which is drawn once more
        why = "is 0 in float32" if is_zero else "is less than half a last digit of any weight in float32"
        yield Idle(
            ("lr", "schedule", "optimizer", "weight_decay", "sharpness_aware"),
            f"lr = {lr:g} moves no weight",
            f"a learning rate of {lr:g} {why}",
            "give more",
            {"lr": 0.0, "schedule": Constant(), "optimizer": Sgd(), "weight_decay": 0.0, "sharpness_aware": aware},
        )


def _decay(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    decay, optimizer = recipe.weight_decay, recipe.optimizer
    if not decay:
        return
    if isinstance(optimizer, Muon) or optimizer.kind == "adamw":
        part = recipe.lr * decay
        nothing = part < HALF_DIGIT
        why = f"lr x weight_decay = {part:g}, less than float32 can take from a weight (3e-8 of it)"
    else:
        if isinstance(optimizer, Sgd):
            nothing = decay * max(1.0, recipe.lr / (1 - optimizer.momentum)) < NOTHING
        else:  # Adam divides by epsilon alone where no gradient but the decay is left
            nothing = decay * max(1.0, recipe.lr) < NOTHING and recipe.lr * decay < HALF_DIGIT * optimizer.epsilon / 100
        why = f"{decay:g} of a weight adds nothing to its gradient in float32"
    if nothing:
        what = f"weight_decay = {decay:g} does nothing"
        yield Idle(("weight_decay", "optimizer", "lr"), what, why, "give more", {"weight_decay": 0.0})


def _adamw(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    if recipe.optimizer.kind == "adamw" and not recipe.weight_decay:
        yield Idle(
            ("optimizer",),
            "kind = 'adamw' does what 'adam' does",
            "Adam and AdamW are the same without weight decay",
            'give weight_decay too (both at once are compound = "why"), or leave it out',
            {"optimizer": recipe.optimizer.model_copy(update={"kind": "adam"})},
        )


def _momentum(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    optimizer = recipe.optimizer
    if isinstance(optimizer, Adam):
        yield from _betas(optimizer)
        return
    if 0 < optimizer.momentum < NOTHING:
        what, why = f"momentum = {optimizer.momentum:g} does nothing", "it adds nothing to a gradient in float32"
        optimizer = optimizer.model_copy(update={"momentum": 0.0})
        yield Idle(("optimizer",), what, why, "give more", {"optimizer": optimizer})
    if optimizer.nesterov and not optimizer.momentum:
        optimizer = optimizer.model_copy(update={"nesterov": False})
        yield Idle(
            ("optimizer",),
            "nesterov = true does nothing",
            "without momentum there is nothing to look ahead along",
            "give momentum",
            {"optimizer": optimizer},
            told=isinstance(optimizer, Sgd),
        )


def _betas(optimizer: Adam) -> Iterator[Idle]:
    """Of the mean of squares the root is taken, in which a part is felt that is not felt in the mean."""
    for name, least in (("beta1", NOTHING), ("beta2", LEAST_BETA)):
        value = getattr(optimizer, name)
        if 0 < value < least and optimizer.epsilon >= Adam.model_fields["epsilon"].default:
            optimizer = optimizer.model_copy(update={name: 0.0})
            why = "that fraction of what was before adds nothing to a gradient in float32"
            yield Idle(("optimizer",), f"{name} = {value:g} does nothing", why, "give more", {"optimizer": optimizer})


def _one_step(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    """A sum of one gradient is that gradient; nesterov alone adds momentum times it."""
    optimizer = recipe.optimizer
    if sizes is None or recipe.epochs * steps_per_epoch(recipe, sizes) > 1 or isinstance(optimizer, Adam):
        return
    if optimizer.momentum and not optimizer.nesterov:
        what, instead = (
            f"momentum = {optimizer.momentum:g} does nothing",
            optimizer.model_copy(update={"momentum": 0.0}),
        )
        why, remedy = "there is only one step in all, and none before it", "train longer, or in smaller batches"
        yield Idle(("optimizer",), what, why, remedy, {"optimizer": instead}, told=False)


def _muon(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    optimizer = recipe.optimizer
    if not isinstance(optimizer, Muon) or sum(layer.is_matrix for layer in recipe.network) > 1:
        return
    why, remedy = "the network has no weight matrix before its last", "give it another conv or linear layer"
    if recipe.weight_decay:
        without = optimizer.model_copy(update={"n_steps": 5})
        what = "kind = 'muon' makes no step orthogonal"
        yield Idle(("optimizer",), what, why, remedy, {"optimizer": without})
        return
    plain = Sgd(momentum=optimizer.momentum, nesterov=optimizer.nesterov)
    yield Idle(
        ("optimizer", "lr"),
        f"kind = 'muon' does what 'sgd' does at {optimizer.other_lr:g} times lr",
        why,
        remedy,
        {"optimizer": plain, "lr": recipe.lr * single(optimizer.other_lr)},
    )


# The learning rate


def _schedule(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    """A warm-up alone is kept as a cosine that falls to all of lr."""
    schedule, epochs = recipe.schedule, recipe.epochs
    warmup = getattr(schedule, "warmup_epochs", 0.0)
    rest: Schedule = Cosine(kind="cosine", warmup_epochs=warmup, final=1.0) if warmup else Constant()
    what = f"the {schedule.kind} schedule does nothing" + (" but warm up" if warmup else "")
    if warmup > epochs:
        yield Idle(
            ("schedule",),
            f"warmup_epochs = {warmup:g} of {epochs_text(epochs)}: the learning rate never reaches lr",
            f"it ends at {100 * epochs / warmup:.3g}% of it",
            "give fewer warmup_epochs, or a smaller lr",
        )
    if why := _why_constant(schedule, epochs):
        yield Idle(("schedule",), what, *why, {"schedule": rest}, told=warmup <= epochs)
    elif not isinstance(schedule, Constant | Plateau) and sizes and is_at_every_step(recipe, sizes):
        n_steps = epochs * steps_per_epoch(recipe, sizes)
        reason = (
            f"the learning rate is lr at each of the {n_steps:,} steps" if n_steps > 1 else "there is only one step"
        )
        yield Idle(("schedule",), what, reason, "train longer", {"schedule": Constant()})


def _why_constant(schedule: Schedule, epochs: int) -> tuple[str, str] | None:
    """Why nothing changes the learning rate but a warm-up, and what would, if that is so whatever the images."""
    match schedule:
        case Step() if schedule.every_epochs >= epochs:
            n = epochs_text(schedule.every_epochs)
            return f"its first drop would come after {n}, and there are {epochs}", "give fewer every_epochs"
        case Cosine() | LinearDecay() if schedule.final == 1:
            return "it falls to final = 1, which is all of lr", "give a smaller final"
        case Cosine() | LinearDecay() if schedule.warmup_epochs >= epochs:
            return f"the warm-up takes all of the {epochs_text(epochs)}, and the fall never comes", "warm up for fewer"
        case OneCycle() if schedule.start == schedule.final == 1:
            return "it starts and ends at 1, which is all of lr", "give a smaller start or final"
        case Plateau() if epochs < schedule.patience + 3:
            least = f"{schedule.patience + 2} epochs, of which the first is no failure, come before its first drop"
            return f"{least}, and there are {epochs}", "give less patience, or train longer"
        case Constant() | Step() | Cosine() | LinearDecay() | OneCycle() | Plateau():
            return None


RULES: tuple[Rule, ...] = (_no_step, _decay, _adamw, _momentum, _one_step, _muon, _schedule)
