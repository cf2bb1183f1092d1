"""Next steps in sentences."""

from collections.abc import Callable

from stepladder._base.wording import is_are, n_of
from stepladder.analysis.advice import (
    REGULARISERS,
    ROOM,
    can_be_weaker,
    contradicted,
    lowers_steady,
    other_rates,
    warm_up_steadies,
)
from stepladder.analysis.findings import NextStep
from stepladder.networks.ops import GlobalAvgPool, Linear
from stepladder.networks.sides import full_text
from stepladder.reporting.numbers import points, share_text
from stepladder.reporting.words.outlier_text import seeds_named
from stepladder.reporting.words.subject import Subject, listed

_NOUNS: dict[NextStep, str] = {"dropout": "dropout", "augment": "augmentation", "weight decay": "weight decay"}


def next_steps(subject: Subject) -> tuple[str, ...]:
    """One sentence or two for each step."""
    steps = tuple(_STEP_WORDS[step](subject) for step in subject.found.next_steps)
    return steps or ("Nothing in these numbers points to a next step.",)


def _lower_lr(subject: Subject) -> str:
    found = subject.found
    if found.n_finished < found.n_runs:
        return f"A learning rate below {subject.rung.recipe.lr:g} could keep the runs from diverging."
    return f"A lower learning rate at the end could {_calm(subject)}."


def _schedule(subject: Subject) -> str:
    what = "settle the loss" if subject.found.bounce else _calm(subject)
    return f"A schedule that lowers the learning rate, {subject.rung.recipe.lr:g} throughout, could {what}."


def _calm(subject: Subject) -> str:
    """What a lower learning rate at the end is for."""
    if subject.found.bounce:
        return f"settle the {subject.split} loss"
    falls = subject.found.fit.decline is not None
    return f"keep {subject.split} {'accuracy from falling' if falls else 'loss from rising'}"


def _against_overfitting(what: str, subject: Subject) -> str:
    gap = points(subject.found.fit.gap).lstrip("+")
    reason = f"the gap of {gap} points" if subject.found.fit.clear_gap else "over-fitting"
    no_gain = subject.known.no_gain(subject.rung)
    rungs = [(_NOUNS[step], no_gain[step]) for step in REGULARISERS if step in no_gain]
    tried = f" No gain showed with {listed([f'{noun} (rung {rung!r})' for noun, rung in rungs])}." if rungs else ""
    return f"{what} could reduce {reason}; none is in use.{tried}"


def _augment(subject: Subject) -> str:
    hard = subject.found.hard
    if subject.found.fit.kind in ("overfitting", "gap") or hard is None:
        return _against_overfitting("Augmentation", subject)
    which, other = "both" if hard.n_runs == 2 else "at least half of the", " other" if subject.found.collapsed else ""
    return (
        f"Augmentation, such as rotation or shift, could help with the {n_of(hard.in_half, 'image')} that"
        f" {which}{other} runs get wrong; none is in use."
    )


def _more_epochs(subject: Subject) -> str:
    left = subject.found.epochs_left
    why = "the loss is still falling" if subject.found.learning is not None else _far(subject)
    return f"More epochs could help: {why}, and {n_of(left, 'epoch')} of the budget {is_are(left)} left."


def _another_lr(subject: Subject) -> str:
    ways = other_rates(subject.rung, subject.known)
    than = "other than" if len(ways) > 1 else "below" if ways == ("lower lr",) else "above"
    rate = f"A learning rate {than} {subject.rung.recipe.lr:g} could"
    none = subject.found.fit.kind == "none"
    return f"{rate} get it to learn." if none else f"{rate} help: {_far(subject)}."


def _far(subject: Subject) -> str:
    return f"accuracy is far below {subject.rung.target.accuracy}%"


def _higher_lr(subject: Subject) -> str:
    return (
        f"A learning rate above {subject.rung.recipe.lr:g} could help: the loss is still falling and the budget has no"
        " epochs left."
    )


def _wider(subject: Subject) -> str:
    budget = subject.rung.budget.params
    return f"Wider layers could help: {subject.found.params_left:,} of {budget:,} parameters are left."


def _receptive_field(subject: Subject) -> str:
    found, rung = subject.found, subject.rung
    where = "the global average" if any(isinstance(layer, GlobalAvgPool) for layer in rung.recipe.network) else ""
    if not where and any(isinstance(layer, Linear) for layer in rung.recipe.network):
        where = "the first linear layer"
    who = f"before {where}, a value" if where else "a value of the last layer"
    seen, image = found.sees or 0, found.image_size
    of = f"{full_text(seen)} of the image's {full_text(image)} pixels"
    if isinstance(seen, int) and isinstance(image, int):
        of = f"{seen} of the image's {image} pixels a side"
    text = f"A larger receptive field could help: {who} sees {of}"
    if found.params_left >= ROOM * rung.budget.params:
        return f"{text}."
    left = max(0, found.params_left)
    return f"{text}. With {left:,} of {rung.budget.params:,} parameters left, other layers would have to shrink."


def _less_dropout(subject: Subject) -> str:
    dropout, split = f"{100 * subject.rung.recipe.dropout:g}%", subject.split
    if subject.found.fit.masks == ("dropout",):
        return f"Less dropout than {dropout} could be tried: with it, train accuracy stays below {split} accuracy."
    weaker = can_be_weaker(subject.rung.recipe.augment)
    if not weaker or "less augmentation" in contradicted(subject.rung, subject.known):
        what, how = f"Less dropout than {dropout}", "with it and distorted images"
    else:
        what, how = f"Less dropout than {dropout}, or weaker augmentation,", "with both"
    return (
        f"{what} could be tried: {how}, train accuracy stays below {split} accuracy, and these numbers cannot tell"
        " which of them does it."
    )


def _less_augmentation(subject: Subject) -> str:
    return f"Weaker augmentation could be tried: with it, train accuracy stays below {subject.split} accuracy."


def _answers(subject: Subject) -> str:
    fit, split = subject.found.fit, subject.split
    all_or = "All" if subject.found.classes.one_answer == 1 else "Nearly all"
    return (
        f"{all_or} {split} images get one answer, though train accuracy is {subject.percent(fit.train)}: do training"
        f" and {split} images differ, in their pixels or their labels?"
    )


def _steadier_start(subject: Subject) -> str:
    rung, found = subject.rung, subject.found
    warm_up = warm_up_steadies(rung, subject.known)
    what = f"A learning rate below {rung.recipe.lr:g}" + (", or a warm-up," if warm_up else "")
    if not lowers_steady(rung, subject.known):
        what = "A warm-up"
    if found.n_finished < found.n_runs:
        return f"{what} could keep the runs from diverging."
    return f"{what} could keep seeds from collapsing as {seeds_named(found.collapsed)} did."


def _later_cut(subject: Subject) -> str:
    cut = subject.found.early_cut
    assert cut is not None
    return (
        f"A learning rate that falls later than after epoch {cut.epoch}, or by less, could help: the loss was falling"
        f" by {cut.fall:.0%} an epoch when it was cut."
    )


def _margin(subject: Subject) -> str:
    short = subject.found.shortfall_told
    assert short is not None
    assert short.most_images is not None
    epochs = "the epoch" if short.n_missed == 1 else f"each of the {short.n_missed} epochs"
    return (
        f"Little is missing: with {n_of(short.most_images, 'more image')} right, {epochs} that missed would have"
        f" reached {subject.rung.target.accuracy}%."
    )


def _one_class(subject: Subject) -> str:
    found = subject.found.classes
    first = max((*found.never, *found.weak), key=lambda each: each.mistakes)
    name, part = subject.called(first.label), share_text(float(first.mistakes))
    return f"Class {name} comes first: {part} of the mistakes are its images; look at them and their labels."


_STEP_WORDS: dict[NextStep, Callable[[Subject], str]] = {
    "train": lambda _: "Train this rung first.",
    "more seeds": lambda _: "More seeds would show how much of this is luck.",
    "steadier start": _steadier_start,
    "lower lr": _lower_lr,
    "fewer parameters": lambda subject: f"Fewer than {subject.params:,} parameters could be tried: every seed holds.",
    "margin": _margin,
    "class": _one_class,
    "dropout": lambda subject: _against_overfitting("Dropout", subject),
    "augment": _augment,
    "weight decay": lambda subject: _against_overfitting("Weight decay", subject),
    "schedule": _schedule,
    "later cut": _later_cut,
    "more epochs": _more_epochs,
    "higher lr": _higher_lr,
    "another lr": _another_lr,
    "wider": _wider,
    "receptive field": _receptive_field,
    "less dropout": _less_dropout,
    "less augmentation": _less_augmentation,
    "answers": _answers,
}
