"""Ablation (``--down``): the top recipe without the change of one rung, to see what that change is worth at the top."""

from dataclasses import dataclass, replace
from itertools import pairwise

from stepladder.errors import LadderError
from stepladder.ladders.ladder import Ladder, Plan, Rung
from stepladder.recipes.concepts import changed_concepts, with_concepts
from stepladder.recipes.happening import what_happens, why_alike
from stepladder.recipes.recipe import Recipe


@dataclass(frozen=True)
class Ablation:
    """A ladder's top rung and, by name of the rung that is taken out, the top without its change.

    ``kept`` says of the other rungs why their changes cannot be taken out alone.
    """

    ladder: Ladder
    without: dict[str, Rung]
    kept: dict[str, str]

    @property
    def as_plan(self) -> Plan:
        """The rungs to train: what is left of the top without each change, and the top."""
        top = self.ladder.rungs[-1]
        return self.ladder.with_rungs((*self.without.values(), top))


def ablate(ladder: Ladder) -> Ablation:
    """A ladder's top without each change, where it can be taken out alone; raises LadderError for a single rung."""
    if len(ladder.rungs) < 2:
        raise LadderError(f"{ladder.source}: a ladder of one rung has no change to take out")
    without: dict[str, Rung] = {}
    kept: dict[str, str] = {}
    top = ladder.rungs[-1]
    concepts = [changed_concepts(below.recipe, rung.recipe) for below, rung in pairwise(ladder.rungs)]
    for number, (below, rung) in enumerate(pairwise(ladder.rungs)):
        own, later = concepts[number], zip(ladder.rungs[number + 2 :], concepts[number + 1 :], strict=True)
        again = next(((each.name, both) for each, theirs in later if (both := [c for c in own if c in theirs])), None)
        if again is not None:
            kept[rung.name] = f"rung '{again[0]}' changes {', '.join(map(str, again[1]))} again"
            continue
        recipe = with_concepts(top.recipe, own, of=below.recipe)
        if what_happens(recipe) == what_happens(top.recipe):
            kept[rung.name] = f"its change does nothing at the top, because {why_alike(recipe, top.recipe)}"
        else:
            without[rung.name] = _top_without(ladder, rung, recipe)
    return Ablation(ladder, without, kept)


def _top_without(ladder: Ladder, rung: Rung, recipe: Recipe) -> Rung:
    """The top rung with the recipe that is left without another one's change; budgets are the bottom's, the loosest."""
    return replace(
        ladder.rungs[-1],
        name=f"without {rung.name}",
        why=f"What is {rung.name} worth at the top?",
        recipe=recipe,
        changes=rung.changes,
        compound=rung.compound,
        layer_lines=(),
        budget=ladder.rungs[0].budget,
    )
