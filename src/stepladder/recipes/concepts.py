"""What counts as one change between two recipes: a concept.

A field of Recipe is one, with all its numbers: a schedule, an optimizer, an average, a teacher. Of ``augment`` each
distortion is one, with its own numbers: who turns on shear and cutout at once does not learn which of them helped.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from stepladder.recipes.recipe import Augment, Recipe, changed_fields


def _distortions() -> dict[str, tuple[str, ...]]:
    """The fields of each distortion, by its name: the word that they begin with, as ``elastic`` of ``elastic_px``."""
    found: dict[str, tuple[str, ...]] = {}
    for field in Augment.model_fields:
        name = field.partition("_")[0]
        found[name] = (*found.get(name, ()), field)
    return found


DISTORTIONS = _distortions()


@dataclass(frozen=True)
class Concept:
    """A field of Recipe, or one distortion of its ``augment``, by its name in DISTORTIONS."""

    field: str
    distortion: str = ""

    @property
    def name(self) -> str:
        """``dropout``, ``rotation``."""
        return self.distortion or self.field

    def __str__(self) -> str:
        """As a ladder file has it: ``dropout``, ``augment.rotation_deg``."""
        return f"{self.field}.{DISTORTIONS[self.distortion][0]}" if self.distortion else self.field


def changed_concepts(below: Recipe, above: Recipe) -> tuple[Concept, ...]:
    """The concepts in which two recipes differ, in the order of Recipe and of Augment."""
    found: list[Concept] = []
    for field in changed_fields(below, above):
        if field != "augment":
            found.append(Concept(field))
            continue
        old, new = below.augment, above.augment
        differing = (
            name
            for name, parts in DISTORTIONS.items()
            if any(getattr(old, each) != getattr(new, each) for each in parts)
        )
        found += [Concept(field, name) for name in differing]
    return tuple(found)


def with_concepts(recipe: Recipe, concepts: Iterable[Concept], *, of: Recipe) -> Recipe:
    """A recipe with some concepts as another one has them."""
    for concept in concepts:
        value = getattr(of, concept.field)
        if concept.distortion:
            parts = {part: getattr(value, part) for part in DISTORTIONS[concept.distortion]}
            value = recipe.augment.model_copy(update=parts)
        recipe = recipe.model_copy(update={concept.field: value})
    return recipe
