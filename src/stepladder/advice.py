"""What could come next, drawn from what a rung's runs show and from what its ladder has measured already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate

from stepladder.classes import MOST_MISTAKES
from stepladder.comparing import IMAGES_WORTH_KNOWING, Comparison, compare
from stepladder.data import describe
from stepladder.findings import Diagnosis, NextStep
from stepladder.geometry import ImageShape, Network
from stepladder.ladder import Rung
from stepladder.layers import Conv, Depthwise, GlobalAvgPool, Linear, SqueezeExcite
from stepladder.recipe import Augment, Constant, Recipe
from stepladder.results import Results, RungResult

ROOM = Fraction(1, 10)  # of the budget's parameters: of 8,000, what widens a layer of mnist-8k from 16 to 18 channels
MOST_STEPS = 2  # a rung changes one concept: a choice of more is no advice
REGULARISERS: tuple[NextStep, ...] = ("dropout", "augment", "weight decay")


@dataclass(frozen=True)
class Tried:
    """What a ladder's rungs have tried, one change each: where it ``gained``, and on which rung it showed no gain."""

    gained: frozenset[NextStep] = frozenset()
    no_gain: Mapping[NextStep, str] = field(default_factory=dict)


def tried(results: Results) -> Tried:
    """What the ladder has measured. Where the verdict is open, a rung that is ahead speaks neither way."""
    pairs = list(zip(results.rungs, results.rungs[1:], strict=False))
    image = describe(results.ladder.data).image
    steps = [_step_between(below.rung, above.rung, image) for below, above in pairs]
    if not any(steps):
        return Tried()
    found = [(step, each) for step, each in zip(steps, compare(results), strict=True) if step]
    gained = frozenset(step for step, each in found if each.outcome == "better")
    no_gain = {step: each.rung for step, each in found if _shows_no_gain(each) and step not in gained}
    return Tried(gained, no_gain)


def _shows_no_gain(comparison: Comparison) -> bool:
    if comparison.interval is None or comparison.difference is None:
        return False
    return comparison.outcome in ("worse", "negligible") or comparison.difference <= 0


def _step_between(below: Rung, above: Rung, image: ImageShape) -> NextStep | None:
    """The step that a rung's one change is, if it is one that could be advised."""
    if len(above.changes) != 1:
        return None
    if above.changes == ("network",):
        return _step_of_network(below.network(image), above.network(image))
    low, high = below.recipe, above.recipe
    rules: list[tuple[NextStep, bool]] = [
        ("dropout", low.dropout == 0 < high.dropout),
        ("less dropout", high.dropout < low.dropout),
        ("augment", low.augment == Augment() != high.augment),
        ("weight decay", low.weight_decay == 0 < high.weight_decay),
        ("schedule", isinstance(low.schedule, Constant) and not isinstance(high.schedule, Constant)),
        ("lower lr", high.lr < low.lr),
        ("higher lr", high.lr > low.lr),
        ("more epochs", high.epochs > low.epochs),
    ]
    return next((step for step, applies in rules if applies), None)


def _step_of_network(below: Network, above: Network) -> NextStep | None:
    if (sees(above) or 0) > (sees(below) or 0):
        return "receptive field"
    return "wider" if len(above.rows) == len(below.rows) and above.params > below.params else None


def sees(network: Network) -> int | None:
    """How many pixels a side a value sees before the global average or a linear layer; None without convolutions.

    What a squeeze-excite gate sees, all of the image, does not count.
    """
    if not any(isinstance(row.layer, Conv | Depthwise) for row in network.rows):
        return None
    gates = [row.rf_out - row.rf_in if isinstance(row.layer, SqueezeExcite) else 0 for row in network.rows]
    return max(
        row.rf_out - through_gates
        for row, through_gates in zip(network.rows, accumulate(gates), strict=True)
        if not isinstance(row.layer, GlobalAvgPool | Linear)
    )


def next_steps(found: Diagnosis, result: RungResult, known: Tried) -> tuple[NextStep, ...]:
    """At most MOST_STEPS, the most telling first."""
    rung = result.rung
    if not found.n_runs:
        return ("train",)
    if found.n_finished < found.n_runs:
        return ("lower lr",)
    if found.fit.kind == "none":
        return ("another lr",)
    held = result.summary.n_held == found.n_runs
    if held:
        return ("more seeds",) if found.n_runs == 1 else ("fewer parameters",)
    first: list[NextStep] = ["more seeds"] if found.n_runs == 1 else []
    first += ["steadier start"] if found.collapsed else []
    return tuple([*first, *_remedies(found, rung, known)][:MOST_STEPS])


def _remedies(found: Diagnosis, rung: Rung, known: Tried) -> list[NextStep]:
    """All that the findings speak for, the most telling first.

    What the recipe does already is not suggested, nor what the ladder tried without a gain. What is for more accuracy
    is not where the target is reached, and holding it is all that is missing.
    """
    recipe, fit = rung.recipe, found.fit
    constant, augments = isinstance(recipe.schedule, Constant), recipe.augment != Augment()
    short, one_answer = _is_short(found), found.classes.one_answer is not None
    far = fit.far and fit.kind not in ("overfitting", "gap") and not fit.near
    underfits = fit.kind == "underfitting" or far or (fit.clear_gap and fit.weak)
    spare, learns = found.epochs_left > 0, found.learning is not None
    stays = found.flat_from is not None or fit.rise is not None
    declines = fit.decline is not None and fit.kind != "overfitting"
    settled = found.bounce is None and found.early_cut is None and not learns and not declines
    limited = underfits and not fit.near and settled
    room = found.params_left >= ROOM * rung.budget.params
    against_gap = _against_overfitting(recipe, known) if fit.kind in ("overfitting", "gap") and not one_answer else []
    rules: list[tuple[NextStep, bool]] = [
        ("answers", one_answer and fit.clear_gap),
        ("class", _one_class(found)),
        ("more epochs", short and spare and learns),
        ("higher lr", short and not spare and learns and found.bounce is None),
        ("later cut", short and found.early_cut is not None),
        ("schedule", (found.bounce is not None or declines) and constant),
        ("lower lr", (found.bounce is not None or declines) and not constant),
        *((remedy, short or fit.kind == "overfitting") for remedy in against_gap),
        (
            "augment",
            short and found.hard is not None and found.hard.many and not augments and not underfits and not one_answer,
        ),
        ("more epochs", short and spare and far and not stays and found.early_cut is None),
        ("another lr", far and settled),
        ("wider", short and limited and room),
        ("receptive field", short and limited and found.sees is not None and found.sees < found.image_size),
        ("less dropout", fit.kind == "masked" and "dropout" in fit.masks and fit.clearly_below),
        ("less augmentation", short and fit.masks == ("augment",) and fit.clearly_below),
        (
            "margin",
            found.shortfall_told is not None
            and found.shortfall_told.images is not None
            and not short
            and found.shortfall_told.n_missed > 0,
        ),
    ]
    contradicted = set(known.no_gain) | ({"less dropout"} if "dropout" in known.gained else set())
    return list(dict.fromkeys(step for step, applies in rules if applies and step not in contradicted))


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


def _against_overfitting(recipe: Recipe, known: Tried) -> list[NextStep]:
    """The first of the usual remedies that is neither in use nor tried without a gain, if any."""
    unused = {
        "dropout": recipe.dropout == 0,
        "augment": recipe.augment == Augment(),
        "weight decay": recipe.weight_decay == 0,
    }
    return [each for each in REGULARISERS if unused[each] and each not in known.no_gain][:1]
