"""What happens in a training: two recipes that train the same way give the same, however they are written.

It is what is left of a recipe without all that does nothing (see idle), its layers without what makes no difference,
its numbers as the engines have them, and the learning rates of all steps. Where the sizes of the images are known it is
told for them: as many steps, maps of as many pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import BaseModel

from stepladder.networks.ops import Dropout, has_step
from stepladder.recipes import idle, idle_steps, slight
from stepladder.recipes.idle import Idle, Sizes, decay_of, dropped, single, steps_of, steps_per_epoch
from stepladder.recipes.idle_steps import MOST_STEPS
from stepladder.recipes.plain_network import idle_layers, plain_network
from stepladder.recipes.recipe import Adam, Augment, Recipe, changed_fields
from stepladder.recipes.schedule import learning_rate
from stepladder.recipes.schedules import Constant, Plateau

N_PROBES = 61  # steps that are compared before all others
MOST_DROPS = 1000  # of a plateau that are looked at one by one: of most factors far fewer leave nothing
BEND = 0.5**0.5  # what augment.draw_curves multiplies elastic_px by


@dataclass(frozen=True, eq=False)
class Rates:
    """The numbers that an optimizer takes of its schedule at all steps; equal where each is, in float32.

    Of a schedule that knows no losses. They are divided in float64 where the optimizer does so.
    """

    recipe: Recipe
    steps_per_epoch: int

    @property
    def n_steps(self) -> int:
        return self.recipe.epochs * self.steps_per_epoch

    def at(self, step: int) -> tuple[float, ...]:
        """As engines.optimizer has them."""
        lr, optimizer = (
            learning_rate(self.recipe, step=step, steps_per_epoch=self.steps_per_epoch),
            self.recipe.optimizer,
        )
        if not isinstance(optimizer, Adam):
            return (single(lr),)
        own = single(lr) if optimizer.kind == "adamw" else 0.0
        parts = (1 - beta ** (step + 1) for beta in (optimizer.beta1, optimizer.beta2))
        first, second = parts
        return (single(lr / first), single(second), own)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rates) or self.n_steps != other.n_steps:
            return False
        mine, theirs = ((each.lr, each.schedule, each.optimizer) for each in (self.recipe, other.recipe))
        if mine == theirs:
            return True
        probes = (round(n * (self.n_steps - 1) / N_PROBES) for n in range(N_PROBES + 1))
        steps = chain(probes, range(self.n_steps)) if self.n_steps <= MOST_STEPS else probes
        return all(self.at(step) == other.at(step) for step in steps) and self.n_steps <= MOST_STEPS

    def __hash__(self) -> int:
        return hash((self.n_steps, self.at(0)))


def simplified(recipe: Recipe, sizes: Sizes | None = None) -> tuple[Recipe, tuple[Idle, ...]]:
    """A recipe that trains the same way with all that does nothing left out, and what that is; teachers stay.

    Each rule sees what those before it leave.
    """
    found: list[Idle] = []
    for rule in (*idle.RULES, *idle_steps.RULES, *slight.RULES):
        for each in rule(recipe, sizes):
            found.append(each)
            recipe = recipe.model_copy(update=dict(each.instead))
    return recipe, tuple(found)


def what_happens(recipe: Recipe, sizes: Sizes | None = None) -> tuple[object, ...]:
    """A recipe as far as it has an effect, field by field: two recipes that train the same way give the same.

    Numbers are compared as the engines have them: in float64 where that is how they are computed with, and in float32
    where they are first made that, one or more together.
    """
    plain, _ = simplified(recipe, sizes)
    values: dict[str, object] = {name: _in_single(getattr(plain, name)) for name in Recipe.model_fields}
    values["network"], values["block"] = plain_network(plain, sizes), None
    values["dropout"] = dropped(plain.dropout)
    values["augment"] = _warps(plain.augment)
    values["lr"], values["schedule"] = _rates(plain, sizes), None
    values["loss"] = _targets(plain, sizes)
    if isinstance(plain.optimizer, Adam):
        values["optimizer"] = _adam(plain.optimizer)
    if plain.average:
        average = plain.average
        of_horizon = decay_of(average, steps_per_epoch(plain, sizes)) if sizes else average.horizon_epochs
        values["average"] = (average.every_steps, of_horizon)
    if plain.distill and recipe.teacher:
        distill = plain.distill
        values["distill"] = (single(distill.share), distill.seeds, what_happens(recipe.teacher, sizes))
    return tuple(values.values())


def _warps(augment: Augment) -> tuple[object, ...]:
    """Maps are drawn in float64; the size of a bend is made float32 after the factor of augment.draw_curves."""
    fields = {name: getattr(augment, name) for name in Augment.model_fields}
    return tuple((fields | {"elastic_px": single(augment.elastic_px * BEND)}).values())


def _adam(optimizer: Adam) -> tuple[object, ...]:
    betas = (optimizer.beta1, optimizer.beta2)
    return (optimizer.kind, *map(single, (*betas, *(1 - beta for beta in betas), optimizer.epsilon)))


def _rates(plain: Recipe, sizes: Sizes | None) -> object:
    """The learning rates, as exactly as is known: of all steps, of all drops of a plateau, or as they are written.

    Adam's have its betas with them.
    """
    schedule, optimizer = plain.schedule, plain.optimizer
    if sizes is not None and not isinstance(schedule, Plateau):
        return Rates(plain, steps_per_epoch(plain, sizes))
    if isinstance(optimizer, Adam):
        return (plain.lr, schedule, optimizer.beta1, optimizer.beta2)
    if isinstance(schedule, Constant):
        return single(plain.lr)
    if not isinstance(schedule, Plateau):
        return (plain.lr, schedule)
    n_drops = min(plain.epochs // (schedule.patience + 1), MOST_DROPS)
    rates = tuple(single(plain.lr * schedule.factor**n) for n in range(n_drops + 1))
    all_of_it = (plain.lr, schedule.factor) if n_drops == MOST_DROPS and rates[-1] else ()
    return (schedule.patience, schedule.threshold, rates, all_of_it)


def _targets(plain: Recipe, sizes: Sizes | None) -> object:
    """What is to be learned where a label says no, and yes; as written where the classes are not known."""
    smoothing, share = plain.loss.label_smoothing, plain.distill.share if plain.distill else 0.0
    if sizes is None:
        return (smoothing, share)
    off = smoothing / sizes.image.n_classes
    return tuple(map(single, ((1 - share) * off, (1 - share) * (1 - smoothing + off), 1 - smoothing)))


def why_alike(below: Recipe, above: Recipe, sizes: Sizes | None = None) -> str:
    """Why the change from one recipe to another has no effect, and what would have one."""
    found = [each for recipe in (above, below) for each in _all_idle(recipe, sizes)]
    reasons = [_why_alike(name, below, above, found) for name in changed_fields(below, above)]
    return "; ".join(dict.fromkeys(reasons))


def _why_alike(name: str, below: Recipe, above: Recipe, found: Sequence[Idle]) -> str:
    about = [each for each in found if name in each.fields]
    if about:
        return max(about, key=lambda each: each.told).reason  # the first that is told of, if any is
    n_drops = [sum(has_step(steps, Dropout) for steps in steps_of(recipe)) for recipe in (below, above)]
    if name in ("network", "block") and n_drops[0] != n_drops[1]:
        return "dropout is 0, so that the 'dropout' step of a block does nothing: give dropout a probability"
    return _OTHERWISE.get(name, "both are the same number in float32, in which it is computed with: change it more")


_OTHERWISE = {
    "network": "its layers do what those below do, only written otherwise: change what they do",
    "block": "each layer takes the same steps, or steps that can change places (a ReLU and a dropout): change them",
    "schedule": "the learning rate is the same at each step: change it at one of them",
    "distill": "the teachers are trained alike, and their share is the same in float32: change one of them",
}


def idle_notes(recipe: Recipe, sizes: Sizes | None = None) -> tuple[str, ...]:
    """Whatever of a recipe does nothing, or not what it says: a sentence each, with the reason and the remedy."""
    teacher = recipe.teacher
    told = [each for each in _all_idle(recipe, sizes) if each.told]
    if teacher is None:
        return tuple(map(str, told))
    idle_there = {each.fields for each in simplified(teacher, sizes)[1]} | {("network",), ("distill",), ()}
    own = [f"{each}" + ("" if each.fields in idle_there else "; only its teacher has a use for it") for each in told]
    return (*own, *(f"its teacher: {each}" for each in idle_layers(teacher, sizes)))


def _all_idle(recipe: Recipe, sizes: Sizes | None) -> tuple[Idle, ...]:
    return (*simplified(recipe, sizes)[1], *idle_layers(recipe, sizes))


def _in_single(value: Any) -> object:
    """A value with its numbers as float32 has them; a table as its kind and what is in it."""
    if isinstance(value, BaseModel):
        return (type(value), *(_in_single(getattr(value, name)) for name in type(value).model_fields))
    return single(value) if isinstance(value, float) else value
