"""Settings of the optimizer and of the learning rate that do nothing: rules as those of idle.

What counts is what an engine makes of them in float32, the optimizer's arithmetic in engines.optimizer and the rates of
schedule. No numpy.
"""

from collections.abc import Iterator
from itertools import chain

from stepladder.idle import HALF_DIGIT, NOTHING, Idle, Rule, Sizes, epochs_text, single, steps_per_epoch
from stepladder.layers import Conv, Linear
from stepladder.recipe import (
    Adam,
    Constant,
    Cosine,
    LinearDecay,
    Muon,
    OneCycle,
    Plateau,
    Recipe,
    Schedule,
    Sgd,
    Step,
)
from stepladder.schedule import learning_rate

LEAST_DECAY = 1e-10  # of a weight, added to its gradient: less is felt by gradients below a thousandth of it at most
LEAST_EPSILON = 1e-12  # what is added to a root: no last digit of one above 4e-5, and hardly a gradient is smaller
MOST_STEPS = 200_000  # whose learning rates are looked at one by one: a third of a second


def is_at_every_step(recipe: Recipe, sizes: Sizes, *, rate: float) -> bool:
    """Whether the learning rate is this at every step; no if there are too many to look at."""
    per_epoch = steps_per_epoch(recipe, sizes)
    n_steps = recipe.epochs * per_epoch
    steps = chain([n_steps - 1], range(n_steps))  # the last tells most
    rates = (learning_rate(recipe, step=step, steps_per_epoch=per_epoch) for step in steps)
    return n_steps <= MOST_STEPS and all(single(each) == single(rate) for each in rates)


# The optimizer


def _no_step(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    if not single(recipe.lr):
        yield Idle(
            ("lr", "schedule", "optimizer", "weight_decay"),
            f"lr = {recipe.lr:g} moves no weight",
            f"a learning rate of {recipe.lr:g} is 0 in float32",
            "give more",
            {"lr": 0.0, "schedule": Constant(), "optimizer": Sgd(), "weight_decay": 0.0},
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
            nothing = decay * max(1.0, recipe.lr / (1 - optimizer.momentum)) < LEAST_DECAY
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
    if 0 < optimizer.momentum < HALF_DIGIT:
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
    for name, least in (("beta1", HALF_DIGIT), ("beta2", NOTHING)):
        value = getattr(optimizer, name)
        if 0 < value < least:
            optimizer = optimizer.model_copy(update={name: 0.0})
            why = "that part of what was before adds nothing to a gradient in float32"
            yield Idle(("optimizer",), f"{name} = {value:g} does nothing", why, "give more", {"optimizer": optimizer})


def _one_step(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    """A mean of one gradient is that gradient; nesterov alone adds momentum times it."""
    optimizer = recipe.optimizer
    if sizes is None or recipe.epochs * steps_per_epoch(recipe, sizes) > 1:
        return
    if isinstance(optimizer, Adam):
        what, update = "beta1 and beta2 do nothing", {"beta1": 0.9, "beta2": 0.999}
    elif optimizer.momentum and not optimizer.nesterov:
        what, update = f"momentum = {optimizer.momentum:g} does nothing", {"momentum": 0.0}
    else:
        return
    instead = {"optimizer": optimizer.model_copy(update=update)}
    why, remedy = "there is but one step in all, and none before it", "train longer, or in smaller batches"
    yield Idle(("optimizer",), what, why, remedy, instead, told=False)


def _muon(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    optimizer = recipe.optimizer
    if not isinstance(optimizer, Muon) or sum(isinstance(layer, Conv | Linear) for layer in recipe.network) > 1:
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
        {"optimizer": plain, "lr": recipe.lr * optimizer.other_lr},
    )


def _epsilon(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:  # noqa: ARG001
    optimizer = recipe.optimizer
    if not isinstance(optimizer, Adam):
        return
    only_decay = recipe.weight_decay and optimizer.kind == "adam"  # which may be all of a gradient, and is small
    least = NOTHING if only_decay else LEAST_EPSILON
    if single(optimizer.epsilon) and optimizer.epsilon < least:
        yield Idle(
            ("optimizer",),
            f"epsilon = {optimizer.epsilon:g} is as good as {least:g}",
            "an epsilon so small adds nothing to the root of a mean of squares in float32",
            "give more",
            {"optimizer": optimizer.model_copy(update={"epsilon": least})},
            told=False,
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
            f"warmup_epochs = {warmup:g} of {epochs_text(epochs)}: the learning rate never comes to lr",
            f"it ends at {100 * epochs / warmup:.3g}% of it",
            "give fewer warmup_epochs, or a smaller lr",
        )
    if why := _why_constant(schedule, epochs):
        yield Idle(("schedule",), what, *why, {"schedule": rest}, told=warmup <= epochs)
    elif not isinstance(schedule, Constant | Plateau) and sizes and is_at_every_step(recipe, sizes, rate=recipe.lr):
        n_steps = epochs * steps_per_epoch(recipe, sizes)
        reason = f"the learning rate is lr at each of the {n_steps:,} steps" if n_steps > 1 else "there is but one step"
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
        case _:
            return None


RULES: tuple[Rule, ...] = (_no_step, _decay, _adamw, _momentum, _one_step, _muon, _epsilon, _schedule)
