"""A rung's diagnosis in sentences: Targets, Results, Analysis and next steps, as the objective's authors wrote them.

Plain text without markup. Every sentence states numbers; what cannot be known is not said, or said to be unknown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from stepladder.comparing import Comparison, against_target
from stepladder.data import describe
from stepladder.diagnosis import (
    CLEAR_FALL,
    ROOM,
    WINDOW,
    Diagnosis,
    Drop,
    Fit,
    FitKind,
    HardImages,
    Mask,
    Movement,
    NextStep,
    diagnose,
)
from stepladder.ladder import Rung
from stepladder.layers import GlobalAvgPool, Linear
from stepladder.recipe import Augment
from stepladder.report.compare_page import brief_verdict, p_text, points, share_text, verdict
from stepladder.report.result_page import consistency_text
from stepladder.report.tables import change, percent, target_text
from stepladder.results import Results, RungResult
from stepladder.wording import n_of


@dataclass(frozen=True)
class RungNotes:
    """What there is to say about a rung, one sentence or two each. Without runs there is no analysis."""

    targets: tuple[str, ...]
    results: tuple[str, ...]
    analysis: tuple[str, ...]
    next_steps: tuple[str, ...]


@dataclass(frozen=True)
class _Subject:
    """A rung, what its runs show, and the name of the split they were evaluated on."""

    result: RungResult
    found: Diagnosis
    split: str
    params: int

    @property
    def rung(self) -> Rung:
        return self.result.rung

    def percent(self, value: Fraction | None) -> str:
        return percent(value, target=self.rung.target.accuracy) + "%"


def notes(results: Results, index: int, comparison: Comparison | None, *, verdict_elsewhere: bool = False) -> RungNotes:
    """The notes of a ladder's rung, counted from 0; ``comparison`` is that with the rung below, if there is one.

    With ``verdict_elsewhere``, the whole verdict is told in another place, and here in a few words.
    """
    result = results.rungs[index]
    network = result.rung.network(describe(results.ladder.data).image)
    subject = _Subject(result, diagnose(result, network), results.ladder.evaluate_on, network.params)
    below = results.rungs[index - 1].rung if index else None
    more = results.params[index] - results.params[index - 1] if index else 0
    return RungNotes(
        targets=_targets(subject.rung, below),
        results=_results(subject),
        analysis=_analysis(subject, comparison, more, brief=verdict_elsewhere) if result.runs else (),
        next_steps=_next_steps(subject),
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


def _results(subject: _Subject) -> tuple[str, ...]:
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


def _final(subject: _Subject) -> str:
    summary = subject.result.summary
    mean, n = subject.percent(summary.final_mean), len(summary.seeds)
    if summary.final_sd is None:
        return f"{mean} with one seed"
    return f"{mean} on average over {n} seeds (sd {summary.final_sd:.2f}, worst {subject.percent(summary.final_min)})"


def _of_budget(used: int, budget: int) -> str:
    return f"{used:,} of {budget:,}" if used <= budget else f"{used:,}, {used - budget:,} over the budget of {budget:,}"


# Analysis.


def _analysis(subject: _Subject, comparison: Comparison | None, more: int, *, brief: bool) -> tuple[str, ...]:
    found = subject.found
    return (
        *([_what_the_change_did(subject, comparison, more, brief=brief)] if comparison else []),
        *_diverged(subject),
        *_against_target(subject),
        *_fit(subject),
        *_loss(subject),
        *(_mistakes(found) if found.fit.kind != "none" else []),
    )


def _what_the_change_did(subject: _Subject, comparison: Comparison, more: int, *, brief: bool) -> str:
    """``more`` parameters than the rung below has: a network may be as good and smaller."""
    size = f", with {n_of(abs(more), 'parameter')} {'more' if more > 0 else 'fewer'}" if more else ""
    p = (
        ""
        if comparison.p is None or comparison.outcome == "unknown"
        else f" (p {_relation(p_text(comparison.p))}, corrected)"
    )
    said = brief_verdict(comparison) if brief else f"{verdict(comparison)}{p}"
    text = f"Against '{comparison.below}'{size}: {said}."
    changes = subject.rung.changes
    if subject.rung.compound:
        text += f" The verdict is on {len(changes)} changes at once, not on {' or '.join(map(_plain, changes))} alone."
    return text


def _relation(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _diverged(subject: _Subject) -> list[str]:
    runs = [run for run in subject.result.runs if run.diverged_at_epoch is not None]
    which = [f"seed {run.identity.seed} at epoch {run.diverged_at_epoch}" for run in runs]
    return [f"Diverged: {listed(which)}."] if which else []


def _against_target(subject: _Subject) -> list[str]:
    """How far the rung is from its target; nothing where runs diverged."""
    short, summary = subject.found.shortfall, subject.result.summary
    target, n = f"{subject.rung.target.accuracy}%", len(summary.seeds)
    if short is None:
        return []
    if short.points:
        whose = "Its accuracy" if n == 1 else "The mean"
        return [
            f"{whose} is {points(short.points).lstrip('+')} points short of {target}: {short.images:,} more of the"
            f" {short.n_evaluated:,} images right would reach it."
        ]
    missed = f"it is missed at {short.n_missed} of the {short.n_counted} epochs that count."
    if n == 1:
        holds = f"holds {target}." if summary.n_held else f"ends at or above {target} but does not hold it: {missed}"
        return [f"The one run {holds}"]
    interval = against_target(subject.result).interval
    ends = "" if interval is None else " to ".join(map(share_text, interval))
    share = f" (95% interval of the share: {ends})" if ends else ""
    if summary.n_held == n:
        return [f"{_all(n).capitalize()} seeds hold {target}{share}."]
    return [f"The mean reaches {target}, but only {summary.n_held} of {n} seeds hold it{share}: {missed}"]


def _fit(subject: _Subject) -> list[str]:
    fit = subject.found.fit
    if fit.gap is None:
        return []
    train, evaluated = subject.percent(fit.train), f"{subject.split} accuracy, {subject.percent(fit.evaluated)},"
    words: dict[FitKind, Callable[[], str]] = {
        "none": lambda: f"No learning: {evaluated} is no better than naming the most frequent class each time.",
        "overfitting": lambda: _overfitting(fit, subject.split, train, evaluated),
        "masked": lambda: _masked(subject, train, evaluated),
        "underfitting": lambda: _underfitting(subject, train, evaluated),
        "balanced": lambda: (
            f"No over-fitting shows: train accuracy, {train}, is not above {evaluated} by more than"
            f" {_gap_and_chance(fit)[1]}."
        ),
        "unknown": lambda: f"One epoch cannot tell the fit: train accuracy, {train}, counts the untrained start.",
    }
    rises = fit.rise is not None and fit.kind != "overfitting"
    return [words[fit.kind](), *([f"Yet {_rise(fit, subject.split)}."] if rises else [])]


def _gap_and_chance(fit: Fit) -> tuple[str, str]:
    """The gap and what chance explains of it, with as many digits as tell them apart."""
    gap, chance = apart(fit.gap or 0, fit.chance or 0)
    return f"{gap} points", f"chance explains (±{chance} points)"


def _overfitting(fit: Fit, split: str, train: str, evaluated: str) -> str:
    parts = []
    if fit.clear_gap:
        gap, chance = _gap_and_chance(fit)
        parts.append(f"train accuracy, {train}, is {gap} above {evaluated} more than {chance}")
    if fit.rise is not None:
        parts.append(_rise(fit, split))
    return f"Over-fitting: {'; '.join(parts)}."


def _rise(fit: Fit, split: str) -> str:
    assert fit.rise is not None
    assert fit.lowest_at is not None
    return (
        f"the mean {split} loss of the last {WINDOW} epochs is {fit.rise:.0%} above that of epochs"
        f" {fit.lowest_at - WINDOW + 1} to {fit.lowest_at}, while the train loss falls"
    )


def _underfitting(subject: _Subject, train: str, evaluated: str) -> str:
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


def _masked(subject: _Subject, train: str, evaluated: str) -> str:
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


def _loss(subject: _Subject) -> list[str]:
    found, split = subject.found, subject.split
    sentences = []
    if found.drop:
        sentences.append(_drop(subject, found.drop))
    if found.bounce:
        sentences.append(_bounce(found.bounce, split))
    if found.flat_from is not None and found.learning is None and found.fit.rise is None:
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


def _drop(subject: _Subject, drop: Drop) -> str:
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


def _bounce(bounce: Movement, split: str) -> str:
    return (
        f"The {split} loss bounces: in epochs {bounce.first} to {bounce.last}, at a learning rate of {bounce.lr:g}, it"
        f" moves by {loss_text(bounce.step)} from epoch to epoch, {bounce.size:.0%} of its level, and ranges from"
        f" {loss_text(bounce.low)} to {loss_text(bounce.high)} in a typical run."
    )


def _mistakes(found: Diagnosis) -> list[str]:
    pairs = [_pairs(found)] if found.pairs else []
    return [*pairs, *([_hard_images(found.hard, _runs(found))] if found.hard else [])]


def _runs(found: Diagnosis) -> str:
    return "runs" if found.n_finished == found.n_runs else "finished runs"


def _pairs(found: Diagnosis) -> str:
    """Says so where a pair is not confused in every run."""
    words, pairs, n_runs = [], found.pairs, found.n_finished
    for pair in pairs:
        verb = "taken for" if pair is pairs[0] else "for"
        number = n_of(pair.n, "time") if pair is pairs[0] else f"{pair.n:,}"
        some = f", in {n_of(pair.n_runs, 'run')}" if pair.n_runs < n_runs else ""
        words.append(f"{pair.label} {verb} {pair.predicted} ({number}{some})")
    where = f", over {n_runs} {_runs(found)}" if n_runs > 1 else ""
    text = f"Most confused{where}: {listed(words)}."
    both = [pair for pair in pairs if pair.both_ways]
    if both:
        pair = max(both, key=lambda pair: pair.n + pair.n_back)
        text += f" {pair.label} and {pair.predicted} are confused both ways: {pair.n:,} and {pair.n_back:,} times."
    return text


def _hard_images(hard: HardImages, runs: str) -> str:
    if not hard.in_any:
        return f"No image is wrong in any of the {hard.n_runs} {runs}."
    in_all = "No image is" if not hard.in_all else f"{n_of(hard.in_all, 'image')} {_is(hard.in_all)}"
    in_half = f" {hard.in_half:,} in at least half," if hard.n_runs > 2 else ""
    return (
        f"{in_all} wrong in {_all(hard.n_runs)} {runs},{in_half} {hard.in_any:,} in at least one; a typical run gets"
        f" {beside(hard.typical, hard.allowed)} wrong, the target allows {hard.allowed:,}."
    )


# Next steps.


def _next_steps(subject: _Subject) -> tuple[str, ...]:
    steps = tuple(_STEP_WORDS[step](subject) for step in subject.found.next_steps)
    return steps or ("Nothing in these numbers points to a next step.",)


def _lower_lr(subject: _Subject) -> str:
    found = subject.found
    if found.n_finished < found.n_runs:
        return f"A learning rate below {subject.rung.recipe.lr:g} could keep the runs from diverging."
    return f"A lower learning rate at the end could settle the {subject.split} loss."


def _schedule(subject: _Subject) -> str:
    return f"A schedule that lowers the learning rate, {subject.rung.recipe.lr:g} throughout, could settle the loss."


def _against_overfitting(what: str, subject: _Subject) -> str:
    gap = points(subject.found.fit.gap).lstrip("+")
    reason = f"the gap of {gap} points" if subject.found.fit.clear_gap else "over-fitting"
    return f"{what} could reduce {reason}; none is in use."


def _augment(subject: _Subject) -> str:
    hard = subject.found.hard
    if subject.found.fit.kind == "overfitting" or hard is None:
        return _against_overfitting("Augmentation", subject)
    return (
        f"Augmentation, such as rotation or shift, could help with the {hard.in_half:,} images that"
        f" {'both' if hard.n_runs == 2 else 'at least half of the'} runs get wrong; none is in use."
    )


def _more_epochs(subject: _Subject) -> str:
    left = subject.found.epochs_left
    why = "the loss is still falling" if subject.found.learning is not None else _far(subject)
    return f"More epochs could help: {why}, and {n_of(left, 'epoch')} of the budget {_is(left)} left."


def _another_lr(subject: _Subject) -> str:
    rate = f"A learning rate other than {subject.rung.recipe.lr:g} could"
    none = subject.found.fit.kind == "none"
    return f"{rate} get it to learn." if none else f"{rate} help: {_far(subject)}."


def _far(subject: _Subject) -> str:
    return f"accuracy is far below {subject.rung.target.accuracy}%"


def _higher_lr(subject: _Subject) -> str:
    return (
        f"A learning rate above {subject.rung.recipe.lr:g} could help: the loss is still falling and the budget has no"
        " epochs left."
    )


def _wider(subject: _Subject) -> str:
    budget = subject.rung.budget.params
    return f"Wider layers could help: {subject.found.params_left:,} of {budget:,} parameters are left."


def _receptive_field(subject: _Subject) -> str:
    found, rung = subject.found, subject.rung
    where = "the global average" if any(isinstance(layer, GlobalAvgPool) for layer in rung.recipe.network) else ""
    if not where and any(isinstance(layer, Linear) for layer in rung.recipe.network):
        where = "the first linear layer"
    who = f"before {where}, a value" if where else "a value of the last layer"
    text = (
        f"A larger receptive field could help: {who} sees {found.sees} of the image's {found.image_size} pixels a side"
    )
    if found.params_left >= ROOM * rung.budget.params:
        return f"{text}."
    left = max(0, found.params_left)
    return f"{text}. With {left:,} of {rung.budget.params:,} parameters left, other layers would have to shrink."


def _less_dropout(subject: _Subject) -> str:
    dropout = f"{100 * subject.rung.recipe.dropout:g}%"
    return f"Less dropout than {dropout} could be tried: with it, train accuracy stays below {subject.split} accuracy."


_STEP_WORDS: dict[NextStep, Callable[[_Subject], str]] = {
    "train": lambda _: "Train this rung first.",
    "more seeds": lambda _: "More seeds would show how much of this is luck.",
    "lower lr": _lower_lr,
    "fewer parameters": lambda subject: f"Fewer than {subject.params:,} parameters could be tried: every seed holds.",
    "dropout": lambda subject: _against_overfitting("Dropout", subject),
    "augment": _augment,
    "weight decay": lambda subject: _against_overfitting("Weight decay", subject),
    "schedule": _schedule,
    "more epochs": _more_epochs,
    "higher lr": _higher_lr,
    "another lr": _another_lr,
    "wider": _wider,
    "receptive field": _receptive_field,
    "less dropout": _less_dropout,
}


# Words.


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _all(n: int) -> str:
    return "both" if n == 2 else f"all {n}"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def apart(*values: float | Fraction) -> tuple[str, ...]:
    """To two decimals, or to as many, up to six, as tell them apart."""
    for digits in range(2, 7):
        texts = tuple(f"{float(value):.{digits}f}" for value in values)
        if len(set(texts)) == len(values):
            break
    return texts


def beside(value: Fraction, limit: int) -> str:
    """To a whole number, or to as many digits as show that it is above a limit."""
    digits = 0
    while value > limit >= round(value, digits):
        digits += 1
    return f"{float(round(value, digits)):,.{digits}f}"


def loss_text(value: float) -> str:
    """A loss or a change of it in nats, to three digits or so; what is not 0 is never shown as 0."""
    for digits in (4, 6):
        if value == 0 or float(f"{value:.{digits}f}"):
            return f"{value:.{digits}f}"
    return f"{value:.0e}"
