"""What a ladder has measured already: which of the steps that could be advised its rungs tried, and what came of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Literal

from stepladder.analysis.comparing import Comparison, compare
from stepladder.analysis.findings import NextStep
from stepladder.analysis.outliers import outliers
from stepladder.datasets.data import describe
from stepladder.ladders.ladder import Rung
from stepladder.networks.geometry import ImageShape, Network, sees
from stepladder.networks.sides import is_beyond
from stepladder.recipes.recipe import Augment, Recipe, changed_fields
from stepladder.recipes.schedules import Constant, Schedule, Step
from stepladder.runs.results import Results, RungResult

Tactic = NextStep | Literal["steady lr", "warm-up"]  # which are to keep seeds from collapsing or diverging


@dataclass(frozen=True)
class Attempt:
    """A step between the two rungs ``between``, taken or undone: whether it ``gained``, or else showed no gain.

    ``rung`` is the one of them that has it. ``rates``: of a step of the learning rate, from which to which.
    """

    step: Tactic
    gained: bool
    rung: str
    between: tuple[str, str]
    rates: tuple[float, float] | None = None

    def tells_of(self, rung: Rung) -> bool:
        """Whether it is a step away from this rung, as far as is known: of a learning rate, past the rung's."""
        if self.rates is None:
            return True
        (start, end), lr = self.rates, rung.recipe.lr
        return end < lr <= start if end < start else start <= lr < end

    def is_of(self, rung: Rung) -> bool:
        """Whether it was taken here, rather than elsewhere on the ladder."""
        return rung.name in self.between if self.rates is None else rung.recipe.lr == self.rates[0]


@dataclass(frozen=True)
class Tried:
    """What a ladder's rungs have tried, one change each. Of a rung, what was tried there counts more than elsewhere."""

    attempts: tuple[Attempt, ...] = ()

    def gained(self, rung: Rung) -> frozenset[Tactic]:
        """The steps that brought something, as far as this rung is concerned."""
        return frozenset(each.step for each in self._about(rung) if each.gained)

    def no_gain(self, rung: Rung) -> dict[Tactic, str]:
        """The steps that showed no gain, and on which rung."""
        gained = self.gained(rung)
        return {each.step: each.rung for each in self._about(rung) if each.step not in gained}

    def _about(self, rung: Rung) -> list[Attempt]:
        found = [each for each in self.attempts if each.tells_of(rung)]
        here = {each.step for each in found if each.is_of(rung)}
        return [each for each in found if each.is_of(rung) or each.step not in here]


def tried(results: Results, compared: Sequence[Comparison] | None = None) -> Tried:
    """What the ladder has measured; ``compared`` are its verdicts, where they are known already.

    Where a verdict is open, a rung that is ahead speaks neither way.
    """
    pairs = results.pairs
    image = describe(results.ladder.data).image
    steps = [_steps_between(below.rung, above.rung, image) for below, above in pairs]
    found: list[Attempt] = []
    if any(steps):
        for (below, above), of_pair, comparison in zip(pairs, steps, compared or compare(results), strict=True):
            found += [each for step in of_pair for each in _attempt(below.rung, above.rung, step, comparison)]
    for below, above in pairs:
        found += _steadier(below, above)
    for below, above in combinations(results.trained, 2):
        found += _rates_apart(below, above)
    return Tried(tuple(found))


def _attempt(below: Rung, above: Rung, step: "_Step", comparison: Comparison) -> Iterator[Attempt]:
    gained = _gains(comparison, undone=step.undone)
    if gained is not None:
        rates = (below.recipe.lr, above.recipe.lr) if step.name in ("lower lr", "higher lr") else None
        has_it = below if step.undone else above
        between = (below.name, above.name)
        yield Attempt(step.name, gained, has_it.name, between, rates[::-1] if rates and step.undone else rates)


def _gains(comparison: Comparison, *, undone: bool) -> bool | None:
    """Whether a step gained; where it was undone, whether it had. None where that is open."""
    if comparison.interval is None or comparison.difference is None:
        return None
    gain, loss = ("worse", "better") if undone else ("better", "worse")
    if comparison.outcome == gain:
        return True
    difference = -comparison.difference if undone else comparison.difference
    return False if comparison.outcome in (loss, "negligible") or difference <= 0 else None


@dataclass(frozen=True)
class _Step:
    name: NextStep
    undone: bool = False


def _steps_between(below: Rung, above: Rung, image: ImageShape) -> list[_Step]:
    """The steps that a rung's one change takes or undoes, of those that could be advised."""
    if len(above.changes) != 1:
        return []
    if above.changes == ("network",):
        step = _step_of_network(below.network(image), above.network(image))
        return [_Step(step)] if step else []
    low, high = below.recipe, above.recipe
    taken = [_Step(step) for step, applies in _rules(low, high) if applies]
    undone = [_Step(step, undone=True) for step, applies in _rules(high, low) if applies and _can_be_undone(step, high)]
    return [*taken, *undone]


def _rules(low: Recipe, high: Recipe) -> list[tuple[NextStep, bool]]:
    return [
        ("dropout", low.dropout < high.dropout),
        ("less dropout", high.dropout < low.dropout),
        ("augment", _is_weaker(low.augment, high.augment) or low.augment == Augment() != high.augment),
        ("less augmentation", _is_weaker(high.augment, low.augment)),
        ("weight decay", low.weight_decay < high.weight_decay),
        ("schedule", isinstance(low.schedule, Constant) and not isinstance(high.schedule, Constant)),
        ("later cut", _cuts_later(low.schedule, high.schedule)),
        ("lower lr", high.lr < low.lr),
        ("higher lr", high.lr > low.lr),
        ("more epochs", high.epochs > low.epochs),
    ]


def _can_be_undone(step: NextStep, left: Recipe) -> bool:
    """Whether a rung that undoes a step is one without it: less of a regulariser is still some of it."""
    without: dict[NextStep, bool] = {
        "dropout": left.dropout == 0,
        "augment": left.augment == Augment(),
        "weight decay": left.weight_decay == 0,
        "schedule": isinstance(left.schedule, Constant),
        "lower lr": True,
        "higher lr": True,
    }
    return without.get(step, False)


def _is_weaker(one: Augment, other: Augment) -> bool:
    return one != other and all(getattr(one, name) <= getattr(other, name) for name in Augment.model_fields)


def _cuts_later(low: Schedule, high: Schedule) -> bool:
    if not isinstance(low, Step) or not isinstance(high, Step):
        return False
    return low != high and high.every_epochs >= low.every_epochs and high.factor >= low.factor


def _step_of_network(below: Network, above: Network) -> NextStep | None:
    if is_beyond(sees(above) or 0, sees(below) or 0):
        return "receptive field"
    return "wider" if len(above.rows) == len(below.rows) and above.params > below.params else None


def _rates_apart(below: RungResult, above: RungResult) -> Iterator[Attempt]:
    """Of two rungs that differ in nothing but the learning rate, wherever they stand: the one that is not ahead."""
    rungs = sorted((below, above), key=lambda each: each.rung.recipe.lr)
    if changed_fields(below.rung.recipe, above.rung.recipe) != ("lr",):
        return
    between, (low, high) = (below.rung.name, above.rung.name), [each.rung for each in rungs]
    of_low, of_high = map(_mean, rungs)
    if of_low is None or of_high is None:
        return
    if of_low <= of_high:
        yield Attempt("lower lr", False, low.name, between, (high.recipe.lr, low.recipe.lr))
    if of_high <= of_low:
        yield Attempt("higher lr", False, high.name, between, (low.recipe.lr, high.recipe.lr))


def _mean(result: RungResult) -> Fraction | None:
    """None of one seed, which may be lucky, and where runs diverged."""
    return result.measured_mean if len(result.summary.seeds) > 1 else None


def _steadier(below: RungResult, above: RungResult) -> Iterator[Attempt]:
    """Whether a lower learning rate, or a warm-up, kept seeds from collapsing or diverging."""
    changes, names = above.rung.changes, (below.rung.name, above.rung.name)
    if changes == ("lr",):
        low, high = sorted((below, above), key=lambda each: each.rung.recipe.lr)
        step: Tactic = "steady lr"
        rates = (high.rung.recipe.lr, low.rung.recipe.lr)
    elif changes == ("schedule",) and warms(above.rung.recipe) and not warms(below.rung.recipe):
        low, high, step, rates = above, below, "warm-up", None
    else:
        return
    lost, lost_without = _lost(low), _lost(high)
    if lost is not None and lost_without is not None and (lost or lost_without):
        yield Attempt(step, lost < lost_without, low.rung.name, names, rates)


def _lost(result: RungResult) -> Fraction | None:
    """The share of a rung's seeds that collapsed or diverged; None without any."""
    if not result.runs:
        return None
    finished = [run for run in result.runs if run.final is not None]
    apart = outliers(finished, result.rung.target) if finished else ()
    n_lost = len(result.runs) - len(finished) + sum(each.kind == "collapsed" for each in apart)
    return Fraction(n_lost, len(result.runs))


def warms(recipe: Recipe) -> bool:
    """Whether the learning rate rises at first."""
    return bool(getattr(recipe.schedule, "warmup_epochs", 0.0)) or recipe.schedule.kind == "one-cycle"
