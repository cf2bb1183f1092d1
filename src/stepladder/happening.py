"""What happens in a training: two recipes that train the same way give the same, however they are written.

It is what is left of a recipe without all that does nothing (see idle), its layers without what makes no difference,
its numbers as float32 has them, and the learning rates of all steps. Where the sizes of the images are known it is told
for them: as many steps, maps of as many pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import BaseModel

from stepladder import idle, idle_steps
from stepladder.idle import Idle, Sizes, dropped, single, steps_of, steps_per_epoch
from stepladder.idle_steps import MOST_STEPS
from stepladder.plain_network import idle_layers, plain_network
from stepladder.recipe import Adam, Plateau, Recipe, changed_fields
from stepladder.schedule import learning_rate

N_PROBES = 61  # steps that are compared before all others


@dataclass(frozen=True, eq=False)
class Rates:
    """The learning rates of all steps of a recipe whose schedule knows no losses; equal where each is, in float32."""

    recipe: Recipe
    steps_per_epoch: int

    @property
    def n_steps(self) -> int:
        return self.recipe.epochs * self.steps_per_epoch

    def at(self, step: int) -> float:
        return single(learning_rate(self.recipe, step=step, steps_per_epoch=self.steps_per_epoch))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rates) or self.n_steps != other.n_steps:
            return False
        mine, theirs = ((each.recipe.lr, each.recipe.schedule) for each in (self, other))
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
    for rule in (*idle.RULES, *idle_steps.RULES):
        for each in rule(recipe, sizes):
            found.append(each)
            recipe = recipe.model_copy(update=dict(each.instead))
    return recipe, tuple(found)


def what_happens(recipe: Recipe, sizes: Sizes | None = None) -> tuple[object, ...]:
    """A recipe as far as it has an effect, field by field: two recipes that train the same way give the same."""
    plain, _ = simplified(recipe, sizes)
    values: dict[str, object] = {name: _in_single(getattr(plain, name)) for name in Recipe.model_fields}
    values["network"], values["block"] = plain_network(plain, sizes), None
    values["dropout"] = dropped(plain.dropout)
    if isinstance(plain.optimizer, Adam):
        values["optimizer"] = (
            values["optimizer"],
            single(1 - plain.optimizer.beta1),
            single(1 - plain.optimizer.beta2),
        )
    if plain.distill and recipe.teacher:
        distill = plain.distill
        values["distill"] = (single(distill.share), distill.seeds, what_happens(recipe.teacher, sizes))
    if sizes is not None and not isinstance(plain.schedule, Plateau):
        values["lr"] = values["schedule"] = Rates(plain, steps_per_epoch(plain, sizes))
    return tuple(values.values())


def why_alike(below: Recipe, above: Recipe, sizes: Sizes | None = None) -> str:
    """Why the change from one recipe to another has no effect, and what would have one."""
    found = [each for recipe in (above, below) for each in _all_idle(recipe, sizes)]
    reasons = [_why_alike(name, below, above, found) for name in changed_fields(below, above)]
    return "; ".join(dict.fromkeys(reasons))


def _why_alike(name: str, below: Recipe, above: Recipe, found: Sequence[Idle]) -> str:
    about = [each for each in found if name in each.fields]
    if about:
        return max(about, key=lambda each: each.told).reason  # the first that is told of, if any is
    n_drops = [sum("dropout" in steps for steps in steps_of(recipe)) for recipe in (below, above)]
    if name in ("network", "block") and n_drops[0] != n_drops[1]:
        return "dropout is 0, so that the 'dropout' step of a block does nothing: give dropout a probability"
    return _OTHERWISE.get(name, "both are the same number in float32, in which all is computed: change it more")


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
