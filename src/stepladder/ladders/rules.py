"""One change at a time: what a rung may be, above another one. A file and a program are held to the same.

Each rule gives what is broken, as the field of a rung that it is about, and a sentence with the remedy.
"""

from collections.abc import Iterator
from typing import Any

from stepladder._base.wording import n_of, shown
from stepladder.ladders.terms import Budget, Target
from stepladder.recipes.happening import what_happens, why_alike
from stepladder.recipes.recipe import Recipe, describe

Broken = tuple[tuple[str, ...], str]

NUMBERS = {2: "two", 3: "three", 4: "four"}


def twice(name: str) -> str:
    return f"two rungs are named {shown(name)}: names are unique: rename one"


def unchanged(name: str, field: str, value: Any, *, alone: bool) -> str:
    """A change to what is there already; ``alone`` if it is all that a rung changes."""
    remedy = "give it another value, or remove the rung" if alone else f"remove {field} from its change"
    return (
        f"rung {shown(name)} changes nothing about {field}: it is {describe(field, value)} on the rung below too:"
        f" {remedy}"
    )


def of_changes(
    name: str, below: Recipe, recipe: Recipe, *, changes: tuple[str, ...], compound: str | None
) -> Iterator[Broken]:
    """Exactly one concept differs, unless it is declared why there are more, and something happens otherwise."""
    if not changes:
        yield (), f"rung {shown(name)} changes nothing: give it one 'change', or remove it"
        return
    if what_happens(recipe) == what_happens(below):
        yield (
            ("change",),
            f"rung {shown(name)} changes {', '.join(changes)} but nothing that happens: it would train exactly as the"
            f" rung below, because {why_alike(below, recipe)}",
        )
        return
    if len(changes) > 1 and compound is None:
        names = " and ".join([", ".join(changes[:-1]), changes[-1]])
        yield (
            ("change",),
            f"rung {shown(name)} changes {names}; a rung changes one concept: split it into"
            f" {NUMBERS.get(len(changes), str(len(changes)))} rungs (first only {changes[0]}, then {changes[1]}), or"
            ' declare it: compound = "why not one at a time"',
        )
    if len(changes) == 1 and compound is not None:
        yield (
            ("compound",),
            f"rung {shown(name)} is declared compound but changes only {changes[0]}: remove 'compound'",
        )


def of_budget(name: str, below: Budget, budget: Budget) -> Iterator[Broken]:
    """A rung may only tighten the budget."""
    for field in ("params", "epochs"):
        before, now = getattr(below, field), getattr(budget, field)
        if now > before:
            text = f"loosens the budget from {before:,} to {now:,} {field}: a rung may only tighten it"
            yield ("budget", field), f"rung {shown(name)} {text}"


def of_target(name: str, below: Target, target: Target) -> Iterator[Broken]:
    """A rung may only raise the target, and all rungs have one measure."""
    if target.accuracy < below.accuracy or target.last_epochs < below.last_epochs:
        yield ("target",), f"rung {shown(name)} lowers the target: a rung may only raise it"
    if target.balanced != below.balanced:
        yield (
            ("target",),
            f"rung {shown(name)} has a target of another measure, {target.measure}: set balanced for the whole ladder",
        )


def of_epochs(name: str, recipe: Recipe, target: Target) -> Iterator[Broken]:
    """A target speaks of epochs that there are."""
    if target.last_epochs > recipe.epochs:
        yield (
            ("target",),
            f"rung {shown(name)} trains for {n_of(recipe.epochs, 'epoch')} but its target speaks of the last"
            f" {target.last_epochs}: train longer, or set target.last_epochs to at most {recipe.epochs}",
        )
