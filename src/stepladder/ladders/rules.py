"""One change at a time: what a rung may be, above another one. A file and a program are held to the same.

Each rule gives what is broken, as the field of a rung that it is about, and a sentence with the remedy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stepladder._base.frozen import Frozen
from stepladder._base.wording import n_of, shown
from stepladder.ladders.ladder_text import as_toml
from stepladder.ladders.terms import Budget, Target
from stepladder.recipes.concepts import Concept, changed_concepts, with_concepts
from stepladder.recipes.happening import what_happens, why_alike
from stepladder.recipes.recipe import Recipe, describe

Broken = tuple[tuple[str, ...], str]


@dataclass(frozen=True)
class Who:
    """Whom a rule is broken by, and what it builds on, in words; remedies are TOML or Python, as it is written."""

    noun: str
    name: str
    below: str
    in_file: bool

    def __str__(self) -> str:
        return f"{self.noun} {shown(self.name)}"


def rung(name: str, *, in_file: bool) -> Who:
    return Who("rung", name, "the rung below", in_file)


def variant(name: str, *, in_file: bool) -> Who:
    return Who("variant", name, "the rung that it hangs on", in_file)


NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}
MOST_LINES = 3  # of a split that are written out


def twice(name: str) -> str:
    return f"two rungs are named {shown(name)}: names are unique: rename one"


def unchanged(who: Who, field: str, value: Any, *, alone: bool) -> str:
    """A change to what is there already; ``alone`` if it is all that is changed."""
    remedy = f"give it another value, or remove the {who.noun}" if alone else f"remove {field} from its change"
    return f"{who} changes nothing about {field}: it is {describe(field, value)} on {who.below} too: {remedy}"


def of_changes(
    who: Who, below: Recipe, recipe: Recipe, *, changes: tuple[str, ...], compound: str | None
) -> Iterator[Broken]:
    """Exactly one concept differs, unless it is declared why there are more, and something happens otherwise."""
    if not changes:
        remedy = "give it one 'change'" if who.in_file else "change one field of its recipe, as in dropout=0.05"
        yield (), f"{who} changes nothing: {remedy}, or remove it"
        return
    if what_happens(recipe) == what_happens(below):
        yield (
            ("change",),
            f"{who} changes {', '.join(changes)} without any effect: it would train exactly as"
            f" {who.below}, because {why_alike(below, recipe)}",
        )
        return
    concepts = changed_concepts(below, recipe)
    if len(changes) > 1 and compound is None:
        yield ("change",), undeclared(who, below, recipe)
    if len(concepts) == 1 and compound is not None:
        yield (
            ("compound",),
            f"{who} is declared compound but changes only {concepts[0]}: remove 'compound'",
        )


def is_undeclared(below: Recipe, recipe: Recipe, compound: str | None) -> bool:
    """Whether several concepts differ and nobody said why.

    Where they are all distortions of ``augment`` that was allowed once: such a ladder is still read, but not climbed.
    """
    return compound is None and len(changed_concepts(below, recipe)) > 1


def undeclared(who: Who, below: Recipe, recipe: Recipe) -> str:
    """What is to be done about several concepts at once: the change of each rung that they are split into."""
    concepts = changed_concepts(below, recipe)
    n = NUMBERS.get(len(concepts), str(len(concepts)))
    names = " and ".join([", ".join(map(str, concepts[:-1])), str(concepts[-1])])
    lines = _split(who, below, recipe, concepts)
    shown_lines = ", then ".join(lines[:MOST_LINES]) + (
        f" and {len(lines) - MOST_LINES} more" * (len(lines) > MOST_LINES)
    )
    return (
        f"{who} changes {names}; a {who.noun} changes one concept: split it into {n} {who.noun}s (first {shown_lines}),"
        f' or declare it: compound{" = " if who.in_file else "="}"why not one at a time"'
    )


def _split(who: Who, below: Recipe, recipe: Recipe, concepts: tuple[Concept, ...]) -> list[str]:
    """One change for each of these concepts, as it is written: rungs after one another, variants of the same recipe."""
    lines, base = [], below
    for concept in concepts:
        changed = with_concepts(base, [concept], of=recipe)
        lines.append(_in_toml(concept, changed) if who.in_file else _in_python(concept, changed))
        base = changed if who.noun == "rung" else below
    return lines


def _in_toml(concept: Concept, changed: Recipe) -> str:
    value = changed.essence().get(concept.field, {} if concept.distortion else None)
    if value is None:
        value = changed.model_dump(mode="json")[concept.field]
    return f"change.{concept.field} = {_inline(value)}"


def _in_python(concept: Concept, changed: Recipe) -> str:
    """``augment=sl.Augment(rotation_deg=10.0)``; three dots for the layers of a network."""
    value = getattr(changed, concept.field)
    if isinstance(value, tuple):
        return f"{concept.field}=[...]"
    if isinstance(value, Frozen):
        return f"{concept.field}=sl.{value!r}"
    return f"{concept.field}={value if isinstance(value, bool | int | float) or value is None else str(value)!r}"


def _inline(value: Any) -> str:
    """A value on one line of TOML; three dots for what stands in a list, as the layers of a network."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_inline(inner)}' for key, inner in value.items())} }}" if value else "{}"
    return "[...]" if isinstance(value, list) else as_toml(value)


def of_budget(who: Who, below: Budget, budget: Budget) -> Iterator[Broken]:
    """A rung may only tighten the budget."""
    for field in ("params", "epochs"):
        before, now = getattr(below, field), getattr(budget, field)
        if now > before:
            text = f"loosens the budget from {before:,} to {now:,} {field}: a rung may only tighten it"
            yield ("budget", field), f"{who} {text}"


def of_target(who: Who, below: Target, target: Target) -> Iterator[Broken]:
    """A rung may only raise the target, and all rungs have one measure."""
    if target.accuracy < below.accuracy or target.last_epochs < below.last_epochs:
        yield ("target",), f"{who} lowers the target: a rung may only raise it"
    if target.balanced != below.balanced:
        yield (
            ("target",),
            f"{who} has a target of another measure, {target.measure}: set balanced for the whole ladder",
        )


def of_epochs(who: Who, recipe: Recipe, target: Target) -> Iterator[Broken]:
    """A target speaks of epochs that there are."""
    if target.last_epochs > recipe.epochs:
        yield (
            ("target",),
            f"{who} trains for {n_of(recipe.epochs, 'epoch')} but its target speaks of the last"
            f" {target.last_epochs}: train longer, or set target.last_epochs to at most {recipe.epochs}",
        )
