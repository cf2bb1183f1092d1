"""A rung's diagnosis in sentences: Targets, Results, Analysis and next steps, as the objective's authors wrote them.

Plain text without markup. Every sentence states numbers; what cannot be known is not said, or said to be unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from statistics import mean

from stepladder._base.wording import n_of
from stepladder.analysis.attempts import Tried, tried
from stepladder.analysis.comparing import Comparison, against_target
from stepladder.analysis.diagnosis import diagnose
from stepladder.analysis.fit import Decline, Fit, FitKind, Mask, Rise
from stepladder.analysis.mistakes import Shortfall
from stepladder.analysis.movements import CLEAR_FALL, FAST, WINDOW, Drop, EarlyCut, Movement
from stepladder.datasets.data import describe
from stepladder.ladders.ladder import Rung
from stepladder.recipes.recipe import Augment
from stepladder.reporting.numbers import apart, loss_text, points, share_text, spread_text
from stepladder.reporting.pages.compare_page import brief_verdict, verdict
from stepladder.reporting.pages.result_page import consistency_text
from stepladder.reporting.tables import Step, change, compound_mark, concepts_of, target_text
from stepladder.reporting.words.advice_text import next_steps
from stepladder.reporting.words.mistakes_text import mistakes
from stepladder.reporting.words.outlier_text import few_images, outlier_sentences, told_apart
from stepladder.reporting.words.subject import Subject, all_of, listed
from stepladder.runs.results import Results
from stepladder.runs.stats import accuracy, exact_median, measured


@dataclass(frozen=True)
class RungNotes:
    """What there is to say about a rung, one sentence or two each. Without runs there is no analysis."""

    targets: tuple[str, ...]
    results: tuple[str, ...]
    analysis: tuple[str, ...]
    next_steps: tuple[str, ...]


def notes(
    results: Results,
    index: int,
    comparison: Comparison | None,
    *,
    known: Tried | None = None,
    verdict_elsewhere: bool = False,
) -> RungNotes:
    """The notes of a ladder's rung, counted from 0; ``comparison`` is that with the rung below, if there is one.

    ``known`` is what the ladder has tried, found anew if it is not given. With ``verdict_elsewhere``, the whole verdict
    is told in another place, and here in a few words.
    """
    result = results.rungs[index]
    info = describe(results.ladder.data)
    network = result.rung.network(info.image)
    known = known or tried(results)
    found, split = diagnose(result, network, known), results.ladder.evaluate_on
    subject = Subject(result, found, split, network.params, known, info.class_names)
    below = results.rungs[index - 1].rung if index else None
    more = results.params[index] - results.params[index - 1] if index else 0
    return RungNotes(
        targets=_targets(subject.rung, below),
        results=_results(subject),
        analysis=_analysis(subject, (below, subject.rung), comparison, more, brief=verdict_elsewhere)
        if result.runs
        else (),
        next_steps=next_steps(subject),
    )


# Targets and results.


def _targets(rung: Rung, below: Rung | None) -> tuple[str, ...]:
    budget = f"at most {rung.budget.params:,} parameters and {n_of(rung.budget.epochs, 'epoch')}"
    what = f"Change from '{below.name}': {change(rung, below)}." if below else "The start of the ladder."
    why = rung.why.strip()
    return (
        f"{target_text(rung.target)}, with {budget}.",
        *([why if why.endswith((".", "!", "?")) else f"{why}."] if why else []),
        what,
    )


def _results(subject: Subject) -> tuple[str, ...]:
    summary, rung = subject.result.summary, subject.rung
    n = len(summary.seeds)
    size = f"Parameters: {_of_budget(subject.params, rung.budget.params)}."
    length = f"Epochs: {_of_budget(rung.recipe.epochs, rung.budget.epochs)}."
    if not n:
        return size, length, "Not trained."
    split = subject.split.capitalize()
    if summary.final_mean is None:
        which = "the run diverged" if n == 1 else f"{len(summary.diverged)} of {n} runs diverged"
        accuracies = [f"{split} accuracy: none is given, because {which}."]
    else:
        accuracies = [
            f"Train accuracy: {subject.percent(summary.train_final_mean)}.",
            f"{split} accuracy: {_final(subject)}.",
        ]
    consistent = consistency_text(summary)
    return (
        size,
        length,
        *accuracies,
        f"Consistent from: {consistent}" + (" seeds." if consistent.endswith(f" of {n}") else "."),
        f"Target held: by {summary.n_held} of {n_of(n, 'seed')}.",
    )


def _final(subject: Subject) -> str:
    summary = subject.result.summary
    mean, n = subject.percent(summary.final_mean), len(summary.seeds)
    if summary.final_sd is None:
        return f"{mean} with one seed"
    middle = f", median {subject.percent(_median(subject))}" if subject.found.collapsed else ""
    worst = subject.percent(summary.final_min)
    return f"{mean} on average over {n} seeds (sd {spread_text(summary.final_sd)}, worst {worst}{middle})"


def _median(subject: Subject) -> Fraction:
    return exact_median(accuracy(run.final) for run in subject.result.runs if run.final is not None)


def _of_budget(used: int, budget: int) -> str:
    return f"{used:,} of {budget:,}" if used <= budget else f"{used:,}, {used - budget:,} over the budget of {budget:,}"


# Analysis.


def _analysis(
    subject: Subject, step: Step, comparison: Comparison | None, more: int, *, brief: bool
) -> tuple[str, ...]:
    return (
        *([_what_the_change_did(step, comparison, more, brief=brief)] if comparison else []),
        *_diverged(subject),
        *outlier_sentences(subject),
        *_against_target(subject),
        *few_images(subject),
        *_fit(subject),
        *_loss(subject),
        *mistakes(subject),
    )


def _what_the_change_did(step: Step, comparison: Comparison, more: int, *, brief: bool) -> str:
    """``more`` parameters than the rung below has: a network may be as good and smaller."""
    size = f", with {n_of(abs(more), 'parameter')} {'more' if more > 0 else 'fewer'}" if more else ""
    said = brief_verdict(comparison) if brief else verdict(comparison)
    text = f"Against '{comparison.below}'{size}: {said}."
    if compound_mark(step):
        concepts = concepts_of(step)
        text += (
            f" The verdict is on {len(concepts)} changes at once, not on {' or '.join(map(_plain, concepts))} alone."
        )
    return text


def _plain(concept: str) -> str:
    """``weight decay``; of a distortion, ``augment.rotation_deg``, the word that it begins with."""
    field, _, part = concept.partition(".")
    return part.partition("_")[0] or field.replace("_", " ")


def _diverged(subject: Subject) -> list[str]:
    runs = [run for run in subject.result.runs if run.diverged_at_epoch is not None]
    which = [f"seed {run.identity.seed} at epoch {run.diverged_at_epoch}" for run in runs]
    return [f"Diverged: {listed(which)}."] if which else []


def _against_target(subject: Subject) -> list[str]:
    """How far the rung is from its target; nothing where runs diverged."""
    short, summary = subject.found.shortfall, subject.result.summary
    aim, n = subject.rung.target, len(summary.seeds)
    target = f"{aim.accuracy}%{' balanced accuracy' if aim.balanced else ''}"
    if short is None:
        return []
    if short.points:
        of_all = f"The mean of {all_of(n)} seeds" if subject.found.collapsed else "The mean"
        whose, aimed = (f"Its {aim.measure}", f"{aim.accuracy}%") if n == 1 else (of_all, target)
        return [
            f"{whose} is {points(short.points).lstrip('+')} points short of {aimed}{_missing_images(short)}.",
            *_others_against_target(subject),
        ]
    missed = f"it is missed at {short.n_missed} of the {short.n_counted} epochs that count."
    if n == 1:
        holds = f"holds {target}." if summary.n_held else f"ends at or above {target} but does not hold it: {missed}"
        return [f"The one run {holds}"]
    interval = against_target(subject.result).interval
    ends = "" if interval is None else " to ".join(map(share_text, interval))
    share = f" (95% interval of the share: {ends})" if ends else ""
    if summary.n_held == n:
        return [f"{all_of(n).capitalize()} seeds hold {target}{share}."]
    return [f"The mean reaches {target}, but only {summary.n_held} of {n} seeds hold it{share}: {missed}"]


def _missing_images(short: Shortfall) -> str:
    if short.images is None:
        return ""
    if short.images < short.n_evaluated:
        return f": {short.images:,} more of the {short.n_evaluated:,} images right would reach it"
    which = "the one image" if short.n_evaluated == 1 else f"{all_of(short.n_evaluated)} images"
    return f": nothing less than {which} right would reach it"


def _others_against_target(subject: Subject) -> list[str]:
    """Where seeds collapsed: how far the others are."""
    found = subject.found
    if not found.collapsed or found.shortfall_told is None:
        return []
    others = [run for run in subject.result.runs if run.identity.seed not in {each.seed for each in found.collapsed}]
    end = mean(measured(run.epochs[-1], subject.rung.target) for run in others)
    missing = found.shortfall_told.points
    how = f"{points(missing).lstrip('+')} points short of it" if missing else "at or above it"
    whose = "The other seed is" if found.n_told == 1 else f"The mean of {told_apart(found)} is"
    return [f"{whose} at {subject.measured(end)}, {how}."]


def _fit(subject: Subject) -> list[str]:
    fit = subject.found.fit
    if fit.gap is None:
        return []
    train, evaluated = subject.percent(fit.train), f"{subject.split} accuracy, {subject.percent(fit.evaluated)},"
    words: dict[FitKind, Callable[[], str]] = {
        "none": lambda: f"No learning: {evaluated} is no better than naming the most frequent class each time.",
        "overfitting": lambda: _overfitting(subject, train, evaluated),
        "gap": lambda: _gap(fit, subject.split, train, evaluated),
        "masked": lambda: _masked(subject, train, evaluated),
        "underfitting": lambda: _underfitting(subject, train, evaluated),
        "balanced": lambda: (
            f"No over-fitting shows: train accuracy, {train}, is not above {evaluated} by more than"
            f" {_gap_and_chance(fit)[1]}."
        ),
        "unknown": lambda: f"One epoch cannot tell the fit: train accuracy, {train}, counts the untrained start.",
    }
    if fit.kind == "overfitting":
        return [words[fit.kind]()]
    rises = [_rise_alone(fit.loss_rise, subject.split)] if fit.loss_rise is not None else []
    declines = [f"{_decline(subject, fit.decline)}."] if fit.decline is not None else []
    return [words[fit.kind](), *rises, *declines]


def _gap_and_chance(fit: Fit) -> tuple[str, str]:
    """The gap and what chance explains of it, with as many digits as tell them apart."""
    gap, chance = apart(fit.gap or 0, fit.chance or 0)
    what = "the choice of images explains" if fit.n_runs == 1 else "chance explains"
    return f"{gap} points", f"{what} (±{chance} points)"


def _overfitting(subject: Subject, train: str, evaluated: str) -> str:
    fit, parts = subject.found.fit, []
    if fit.clear_gap:
        parts.append(_above(fit, train, evaluated))
    if fit.loss_rise is not None and fit.loss_rise.harmful:
        parts.append(_rise(fit.loss_rise, subject.split))
    if fit.decline is not None:
        parts.append(
            _decline(subject, fit.decline).lower() + (", while the train loss falls" if fit.rise is None else "")
        )
    return f"Over-fitting: {'; '.join(parts)}."


def _above(fit: Fit, train: str, evaluated: str) -> str:
    gap, chance = _gap_and_chance(fit)
    return f"train accuracy, {train}, is {gap} above {evaluated} more than {chance}"


def _gap(fit: Fit, split: str, train: str, evaluated: str) -> str:
    if fit.n_runs == 1:
        harm = " One seed cannot tell whether it does harm."
    elif not fit.can_tell_harm:
        harm = f" {n_of(fit.n_epochs, 'epoch')} cannot tell whether it does harm."
    elif fit.loss_rise is not None:
        harm = ""  # the sentences that follow tell
    elif fit.decline is not None:
        harm = f" The {split} loss does not clearly rise with it."
    else:
        harm = f" Training on does no harm that shows: {split} loss does not clearly rise, nor does accuracy fall."
    return f"A gap: {_above(fit, train, evaluated)}.{harm}"


def _decline(subject: Subject, decline: Decline) -> str:
    return (
        f"{subject.split.capitalize()} accuracy falls: over the last {WINDOW} epochs it is"
        f" {subject.percent(decline.last)} on average, over epochs {decline.highest_at - WINDOW + 1} to"
        f" {decline.highest_at} it was {subject.percent(decline.highest)}"
    )


def _rise(rise: Rise, split: str) -> str:
    falls = "falls" if rise.harmful else "does not clearly fall"
    before = f"of epochs {rise.lowest_at - WINDOW + 1} to {rise.lowest_at}"
    above = (
        f"{rise.part:.0%} above that {before}" if rise.lowest else f"{loss_text(rise.last)}, where that {before} is 0"
    )
    return f"the mean {split} loss of the last {WINDOW} epochs is {above}, while the train loss {falls}"


def _rise_alone(rise: Rise, split: str) -> str:
    """Where it is not called over-fitting: the train loss does not fall, or train accuracy is far below the target."""
    text = _rise(rise, split)
    return f"Yet {text}." if rise.harmful else f"{text[0].upper()}{text[1:]}."


def _underfitting(subject: Subject, train: str, evaluated: str) -> str:
    fit, target = subject.found.fit, f"{subject.rung.target.accuracy}%"
    if not fit.clear_gap:
        return (
            f"Under-fitting: train accuracy, {train}, and {evaluated} are both below {target}, and train is not clearly"
            f" above {subject.split}."
        )
    gap, chance = _gap_and_chance(fit)
    return (
        f"Under-fitting: train accuracy, {train}, is {points(fit.short).lstrip('+')} points below {target}, which is"
        f" more than its gap to {evaluated} of {gap}, though that is more than {chance}."
    )


def _masked(subject: Subject, train: str, evaluated: str) -> str:
    fit = subject.found.fit
    how = " and ".join(_mask_words(mask, subject.rung.recipe.augment) for mask in fit.masks)
    if fit.clear_gap:
        gap, chance = _gap_and_chance(fit)
        that = (
            f"it is {gap} above {evaluated} more than {chance}, but further below {subject.rung.target.accuracy}%, so"
            " that over-fitting and under-fitting cannot be told apart"
        )
    elif fit.clearly_below:
        that = f"that it is below {evaluated} neither shows under-fitting nor rules out over-fitting"
    else:
        that = f"that it is not clearly above {evaluated} does not rule out over-fitting"
    return f"Train accuracy, {train}, is measured {how}, which lowers it: {that}."


def _mask_words(mask: Mask, augment: Augment) -> str:
    if mask == "dropout":
        return "with dropout"
    only_rotated = augment == Augment(rotation_deg=augment.rotation_deg)
    return "on rotated images" if only_rotated else "on distorted images"


def _loss(subject: Subject) -> list[str]:
    found, split = subject.found, subject.split
    sentences = []
    if found.drop:
        sentences.append(_drop(subject, found.drop))
    if found.early_cut:
        sentences.append(_early_cut(found.early_cut, split))
    if found.bounce:
        sentences.append(_bounce(found.bounce, split, n_runs=found.n_told))
    if found.flat_from is not None and found.learning is None and found.fit.loss_rise is None and not found.fit.harms:
        sentences.append(
            f"The mean {split} loss over seeds has hardly improved since epoch {found.flat_from}: by less than"
            f" {CLEAR_FALL:.0%}."
        )
    if found.learning is not None:
        sentences.append(
            f"Still learning: over the last {WINDOW} epochs the {split} loss is {found.learning:.0%} lower than over"
            f" the {WINDOW} before, and train accuracy still rises."
        )
    return sentences


def _drop(subject: Subject, drop: Drop) -> str:
    before, after = drop.before, drop.after
    loss, lowered = f"{subject.split} loss", f"learning rate falls to {after.lr:g}: from epoch to epoch"
    if drop.settles or drop.fails:
        what = "settles" if drop.settles else "does not settle"
        start = f"The {loss} {what} after epoch {drop.epoch}, where the {lowered} it"
    else:
        start = f"After epoch {drop.epoch} the {lowered} the {loss}"
    right = f"{subject.percent(drop.accuracy_before)} to {subject.percent(drop.accuracy_after)}"
    return (
        f"{start} moves by {loss_text(before.step)} before (epochs {before.first} to {before.last}) and by"
        f" {loss_text(after.step)} after (epochs {after.first} to {after.last}). {subject.split.capitalize()} accuracy"
        f" goes from {right} in the first epoch after it."
    )


def _early_cut(cut: EarlyCut, split: str) -> str:
    return (
        f"The learning rate falls too early, after epoch {cut.epoch}: in the {FAST} epochs before, the mean {split}"
        f" loss fell by {cut.fall:.0%} an epoch, and all {cut.n_after} epochs after it bring less than those {FAST}."
    )


def _bounce(bounce: Movement, split: str, *, n_runs: int) -> str:
    return (
        f"The {split} loss bounces: in epochs {bounce.first} to {bounce.last}, at a learning rate of {bounce.lr:g}, it"
        f" moves by {loss_text(bounce.step)} from epoch to epoch, {bounce.size:.0%} of its level, and ranges from"
        f" {loss_text(bounce.low)} to {loss_text(bounce.high)}{' in a typical run' if n_runs > 1 else ''}."
    )
