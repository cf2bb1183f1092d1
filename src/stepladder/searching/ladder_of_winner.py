"""From a search's winner to a ladder file that leads there: from the objective's rung, one concept at a time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from stepladder._base.files import name_for
from stepladder._base.ours import require_ours, signed
from stepladder.datasets import data as data_sets
from stepladder.datasets.spec import spec_of
from stepladder.errors import LadderError, StoreError
from stepladder.ladders.checking import check_rungs
from stepladder.ladders.ladder import Rung
from stepladder.ladders.ladder_toml import data_path
from stepladder.recipes.concepts import changed_concepts, with_concepts
from stepladder.recipes.happening import what_happens
from stepladder.recipes.idle import Sizes
from stepladder.recipes.recipe import Recipe, changed_fields, describe_network
from stepladder.searching.searching import Quest
from stepladder.searching.trials import Trial

MARK = "# Found by stepladder search"
NOT_OURS = "not of a search"

# Changes are tried in this order: first the two that bring the rungs into the budget of the search.
ORDER = (
    "network",
    "norm_scale",
    "epochs",
    "schedule",
    "lr",
    "batch_size",
    "weight_decay",
    "augment",
    "clean_epochs",
    "average",
)

Step = tuple[tuple[str, ...], Recipe]
"""The names of the concepts that change, one but for a compound step, and the recipe that has them changed."""


def ladder_text(quest: Quest, winner: Trial, *, folder: Path) -> str:
    """A ladder file for a folder, from the rung that the search began at to its winner, evaluated on dev."""
    import tomli_w

    objective, rung = quest.objective, quest.objective.rungs[0]
    steps = _steps(quest, winner.recipe)
    params = [recipe.network_for(quest.space.image).params for recipe in (rung.recipe, *(above for _, above in steps))]
    budget = {
        "params": max(rung.budget.params, *params),
        "epochs": max(rung.budget.epochs, rung.recipe.epochs),
    }
    entries = _rung_entries(quest, steps)
    n_larger = max((number for number, each in enumerate(params, 1) if each > quest.space.params), default=0)
    entries[n_larger]["budget"] = {"params": quest.space.params}  # from the first rung on that allows it
    begins = _goal_text(quest, winner)
    tree = {
        "format_version": 1,
        "name": f"{objective.name}-search",
        "about": begins,
        "data": spec_of(data_path(objective.data, folder)).said,
        "data_sha256": objective.data_sha256,
        "evaluate_on": "dev",
        "dev_images": objective.dev_images,
        "budget": budget,
        "target": rung.target.essence(),
        "rung": entries,
    }
    today = datetime.now(UTC).date().isoformat()
    text = f"{MARK}, {today}. {begins}\n" + tomli_w.dumps({k: v for k, v in tree.items() if v is not None})
    return signed(text, suffix=".toml")


def way_up(
    below: Recipe, top: Recipe, *, is_sound: Callable[[Recipe], bool], sizes: Sizes | None = None
) -> list[Step] | None:
    """Single changes, each with an effect, from a recipe to another through sound ones; None where there is no way.

    An effect is one on images of these ``sizes``, where they are given.
    """
    # The scale goes before the network changes, or comes after it: none on the way has more parameters than both ends.
    order = ORDER if top.norm_scale else ("norm_scale", *ORDER)
    concepts = sorted(changed_concepts(below, top), key=lambda each: [*order, each.field].index(each.field))
    for concept in concepts:
        step = with_concepts(below, [concept], of=top)
        if not is_sound(step) or what_happens(step, sizes) == what_happens(below, sizes):
            continue
        rest = way_up(step, top, is_sound=is_sound, sizes=sizes)
        if rest is not None:
            return [((concept.name,), step), *rest]
    return None if concepts else []


def held_out_text(quest: Quest, n_seeds: int) -> str:
    """Which images this many seeds are evaluated on."""
    n_parts, size = min(n_seeds, len(quest.seen)), f"{quest.seen[0].dev_images:,}"
    if n_parts == 1:
        return f"the last {size} training images, held out"
    return f"{n_parts} parts of {size} of the training images, held out in turn"


def output_path(quest: Quest, output: str | None, *, force: bool = False) -> Path:
    """Where the ladder goes: where it was asked for, or to LADDER-search.toml here.

    Raises StoreError, before anything trains, if it cannot be written there, or if what is there is not of a search,
    unless by ``force``. The picture stands beside it as .svg.
    """
    path = Path(output if output is not None else name_for(quest.objective.name, "-search.toml"))
    if path.suffix != ".toml":
        raise StoreError(f"{str(path)!r} is not a name for a ladder: give --output a file that ends in .toml")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise StoreError(f"cannot write {path}: its folder is not there: give another file with --output")
    for each in (path, path.with_suffix(".svg")):
        require_ours(each, force=force, what=NOT_OURS)
    return path


def _steps(quest: Quest, top: Recipe) -> list[Step]:
    """From the objective's rung to a recipe: one change each, or all at once where there is no such way."""
    rung = quest.objective.rungs[0]
    info = data_sets.describe(quest.objective.data)

    def is_sound(recipe: Recipe) -> bool:
        try:
            check_rungs(quest.objective.with_rungs((replace(rung, recipe=recipe),)), info)
        except LadderError:
            return False
        return True

    sizes = Sizes(info.image, quest.objective.n_trained(info))
    steps = way_up(rung.recipe, top, is_sound=is_sound, sizes=sizes)
    return [(changed_fields(rung.recipe, top), top)] if steps is None else steps


def _rung_entries(quest: Quest, steps: list[Step]) -> list[dict[str, Any]]:
    rung = quest.objective.rungs[0]
    why = f"The top of {quest.objective.name}, where the search began."
    bottom = {"name": rung.name, "why": why, "recipe": rung.recipe.essence()}
    recipes = [rung.recipe, *(recipe for _, recipe in steps)]
    return [bottom, *(_entry(rung, names, *pair) for (names, _), pair in zip(steps, pairwise(recipes), strict=True))]


def _entry(bottom: Rung, names: tuple[str, ...], below: Recipe, recipe: Recipe) -> dict[str, Any]:
    values = recipe.model_dump(mode="json") | recipe.essence()
    name = " and ".join(names).replace("_", "-")
    entry: dict[str, Any] = {
        "name": f"{name}-found" if name == bottom.name else name,
        "why": "Chosen by the search together with all other changes: what it is worth alone, 'compare' tells.",
    }
    if len(names) > 1:
        entry["compound"] = "no order was found in which each of these changes can be trained, and has an effect, alone"
    return entry | {"change": {field: values[field] for field in changed_fields(below, recipe)}}


def _goal_text(quest: Quest, winner: Trial) -> str:
    goal = "The smallest network that holds the target" if quest.smallest else "The most accurate network"
    if quest.smallest and not winner.holds():
        goal = "No network held the target: the most accurate one"
    seeds = winner.outcomes[-1]
    where = held_out_text(quest, len(seeds))
    return (
        f"{goal} of at most {quest.space.params:,} parameters: {describe_network(winner.recipe.network)} with"
        f" {winner.params:,}. Mean of seeds {seeds[0].seed} to {seeds[-1].seed} on {where}:"
        f" {float(winner.accuracy()):.3f}%, which flatters it, because it was chosen for that among many."
    )
