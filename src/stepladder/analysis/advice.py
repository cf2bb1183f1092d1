"""What could come next, drawn from what a rung's runs show and from what its ladder has measured already."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from stepladder.analysis.attempts import Tactic, Tried, warms
from stepladder.analysis.classes import MOST_MISTAKES
from stepladder.analysis.comparing import IMAGES_WORTH_KNOWING
from stepladder.analysis.findings import Diagnosis, NextStep
from stepladder.ladders.ladder import Rung
from stepladder.networks.sides import is_beyond
from stepladder.recipes.happening import simplified, what_happens
from stepladder.recipes.recipe import Augment, Recipe
from stepladder.recipes.schedule import learning_rate
from stepladder.recipes.schedules import Constant, Plateau
from stepladder.runs.results import RungResult

ROOM = Fraction(1, 10)  # of the budget's parameters: of 8,000, what widens a layer of mnist-8k from 16 to 18 channels
MOST_STEPS = 2  # a rung changes one concept: a choice of more is no advice
ENDS_LOW = 0.02  # of the learning rate: cosine's last step of a few is above 0 too
REGULARISERS: tuple[NextStep, ...] = ("dropout", "augment", "weight decay")
IN_USE: dict[NextStep, dict[str, Any]] = {  # any of each, to see whether it would do something
    "dropout": {"dropout": 0.1},
    "augment": {"augment": Augment(rotation_deg=10.0)},
    "weight decay": {"weight_decay": 0.001},
}


def next_steps(found: Diagnosis, result: RungResult, known: Tried) -> tuple[NextStep, ...]:
    """At most MOST_STEPS, the most telling first."""
    rung = result.rung
    if not found.n_runs:
        return ("train",)
    steadier = lowers_steady(rung, known) or warm_up_steadies(rung, known)
    if found.n_finished < found.n_runs:
        return ("lower lr",) if lowers_steady(rung, known) else ("steadier start",) if steadier else ()
    if found.fit.kind == "none":
        return ("another lr",) if other_rates(rung, known) else ()
    held = result.summary.n_held == found.n_runs
    if held:
        return ("more seeds",) if found.n_runs == 1 else ("fewer parameters",)
    first: list[NextStep] = ["more seeds"] if found.n_runs == 1 else []
    first += ["steadier start"] if found.collapsed and steadier else []
    return tuple([*first, *_remedies(found, result, known)][:MOST_STEPS])


def lowers_steady(rung: Rung, known: Tried) -> bool:
    """Whether a lower learning rate may keep seeds from collapsing or diverging: none did not."""
    return "steady lr" not in known.no_gain(rung)


def warm_up_steadies(rung: Rung, known: Tried) -> bool:
    """Whether a warm-up may: there is none, and none did not."""
    return not warms(rung.recipe) and "warm-up" not in known.no_gain(rung)


def other_rates(rung: Rung, known: Tried) -> tuple[NextStep, ...]:
    """Which ways a learning rate may go that the ladder did not try without a gain."""
    ways: tuple[NextStep, ...] = ("lower lr", "higher lr")
    return tuple(way for way in ways if way not in known.no_gain(rung))


def can_be_weaker(augment: Augment) -> bool:
    """Whether there is weaker distortion that is distortion: an image is flipped or it is not."""
    return augment != Augment(mirror=augment.mirror, cutout_px=min(1, augment.cutout_px))


def contradicted(rung: Rung, known: Tried) -> set[Tactic]:
    """What the ladder's measurements speak against on a rung."""
    gained, against = known.gained(rung), set(known.no_gain(rung))
    against |= {"less dropout"} if "dropout" in gained else set()
    against |= {"less augmentation"} if "augment" in gained else set()
    return against if other_rates(rung, known) else {*against, "another lr"}


def _remedies(found: Diagnosis, result: RungResult, known: Tried) -> list[NextStep]:
    """All that the findings speak for, the most telling first.

    What the recipe does already is not suggested, nor what the ladder tried without a gain. What is for more accuracy
    is not where the target is reached, and holding it is all that is missing.
    """
    rung, fit = result.rung, found.fit
    recipe, against = rung.recipe, contradicted(rung, known)
    constant, unused = isinstance(recipe.schedule, Constant), _unused(recipe)
    short, one_answer = _is_short(found), found.classes.one_answer is not None
    far = fit.far and fit.kind not in ("overfitting", "gap") and not fit.near
    underfits = fit.kind == "underfitting" or far or (fit.clear_gap and fit.weak)
    spare, learns = found.epochs_left > 0, found.learning is not None
    stays = found.flat_from is not None or fit.loss_rise is not None
    declines = fit.kind != "overfitting" and (
        fit.decline is not None or (fit.loss_rise is not None and not fit.loss_rise.harmful)
    )
    settled = found.bounce is None and found.early_cut is None and not learns and not declines
    limited = underfits and not fit.near and settled
    room = found.params_left >= ROOM * rung.budget.params
    at_end = declines and not _ends_low(result)
    against_gap = [each for each in REGULARISERS if each in unused - against][:1]
    against_gap = against_gap if fit.kind in ("overfitting", "gap") and not one_answer else []
    rules: list[tuple[NextStep, bool]] = [
        ("answers", one_answer and fit.clear_gap),
        ("class", _one_class(found)),
        ("more epochs", short and spare and learns),
        ("higher lr", short and not spare and learns and found.bounce is None),
        ("later cut", short and found.early_cut is not None),
        ("schedule", (found.bounce is not None or declines) and constant),
        ("lower lr", (found.bounce is not None or at_end) and not constant),
        *((remedy, short or fit.kind == "overfitting") for remedy in against_gap),
        (
            "augment",
            short
            and found.hard is not None
            and found.hard.many
            and "augment" in unused
            and not underfits
            and not one_answer,
        ),
        ("more epochs", short and spare and far and not stays and found.early_cut is None),
        ("another lr", far and settled),
        ("wider", short and limited and room),
        ("receptive field", short and limited and found.sees is not None and is_beyond(found.image_size, found.sees)),
        ("less dropout", fit.kind == "masked" and "dropout" in fit.masks and fit.clearly_below),
        (
            "less augmentation",
            short and fit.masks == ("augment",) and fit.clearly_below and can_be_weaker(recipe.augment),
        ),
        (
            "margin",
            found.shortfall_told is not None
            and found.shortfall_told.images is not None
            and not short
            and found.shortfall_told.n_missed > 0,
        ),
    ]
    return list(dict.fromkeys(step for step, applies in rules if applies and step not in against))


def _is_short(found: Diagnosis) -> bool:
    """Whether more is missing to the target than a few images, or than the choice of images explains."""
    short = found.shortfall_told
    if short is None or not short.points:
        return False
    return short.images is None or short.images >= IMAGES_WORTH_KNOWING or not found.fit.near


def _one_class(found: Diagnosis) -> bool:
    """Whether a class far below the others makes most of the mistakes."""
    low: Sequence[object] = found.classes.weak or found.classes.never
    parts = [each.mistakes for each in (*found.classes.never, *found.classes.weak)]
    return bool(low) and found.classes.one_answer is None and max(parts) >= MOST_MISTAKES


def _unused(recipe: Recipe) -> set[NextStep]:
    """The regularisers that are not in use and would do something if they were."""
    plain, _ = simplified(recipe)
    in_use: dict[NextStep, bool] = {
        "dropout": plain.dropout > 0,
        "augment": plain.augment != Augment(),
        "weight decay": plain.weight_decay > 0,
    }
    now = what_happens(recipe)
    return {
        each
        for each in REGULARISERS
        if not in_use[each] and what_happens(recipe.model_copy(update=IN_USE[each])) != now
    }


def _ends_low(result: RungResult) -> bool:
    """Whether the learning rate ends near 0; of a plateau that is not known."""
    recipe, epoch = result.rung.recipe, result.runs[0].epochs[-1]
    if isinstance(recipe.schedule, Plateau):
        return False
    per_epoch = -(-epoch.n_train // recipe.batch_size)
    last = learning_rate(recipe, step=recipe.epochs * per_epoch - 1, steps_per_epoch=per_epoch)
    return last <= ENDS_LOW * recipe.lr
