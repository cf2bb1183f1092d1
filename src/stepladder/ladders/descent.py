"""Climbing down: from the top recipe, take the change of one rung out alone, to see what it is worth at the top."""

from dataclasses import dataclass, replace

from stepladder.errors import LadderError
from stepladder.ladders.ladder import Ladder, Plan, Rung
from stepladder.recipes.happening import what_happens, why_alike


@dataclass(frozen=True)
class Descent:
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


def descent(ladder: Ladder) -> Descent:
    """The ways down from a ladder's top; raises LadderError for a ladder of one rung."""
    if len(ladder.rungs) < 2:
        raise LadderError(f"{ladder.source}: a ladder of one rung has no change to take out")
    without: dict[str, Rung] = {}
    kept: dict[str, str] = {}
    for number, rung in enumerate(ladder.rungs[1:], 1):
        again = next((later for later in ladder.rungs[number + 1 :] if set(later.changes) & set(rung.changes)), None)
        if again is not None:
            shared = ", ".join(name for name in rung.changes if name in again.changes)
            kept[rung.name] = f"rung '{again.name}' changes {shared} again"
            continue
        left, top = _top_without(ladder, number), ladder.rungs[-1]
        if what_happens(left.recipe) == what_happens(top.recipe):
            kept[rung.name] = f"its change does nothing at the top, because {why_alike(left.recipe, top.recipe)}"
        else:
            without[rung.name] = left
    return Descent(ladder, without, kept)


def _top_without(ladder: Ladder, number: int) -> Rung:
    """The top rung with one rung's fields as they were below that rung; budgets are the bottom's, the loosest."""
    top, rung, below = ladder.rungs[-1], ladder.rungs[number], ladder.rungs[number - 1]
    fields = {name: getattr(below.recipe, name) for name in rung.changes}
    return replace(
        top,
        name=f"without {rung.name}",
        why=f"What is {rung.name} worth at the top?",
        recipe=top.recipe.model_copy(update=fields),
        changes=rung.changes,
        compound=rung.compound,
        layer_lines=(),
        budget=ladder.rungs[0].budget,
    )
