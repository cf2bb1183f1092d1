"""What a search knows of its trials: how good each is, which goes on, the frontier, the winner. Integers inside.

Seeds and epochs are spent by asynchronous successive halving (Li et al. 2020, arxiv.org/abs/1810.05934): a trial goes
on to more of them only if it is among the best third of those that have come so far.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pydantic import Field, model_validator

from stepladder._base.frozen import Frozen
from stepladder.errors import LadderError
from stepladder.ladders.terms import Target
from stepladder.networks.geometry import ImageShape
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import Run
from stepladder.runs.stats import exact_mean, holds

KEPT = 3  # one in three goes on
ABOUT_ITS_SIZE = 1.25  # --smallest compares a trial with those of up to this many times its parameters
STATES = ("whole", "stopped", "running")

# A climb of the winner's ladder trains seeds 1 to 8: these had no say in what was chosen.
FIRST_SEED = 1001


@dataclass(frozen=True)
class Round:
    """What a trial is given at once: a number of seeds, each trained for a number of epochs."""

    epochs: int
    n_seeds: int

    @property
    def seeds(self) -> range:
        return range(FIRST_SEED, FIRST_SEED + self.n_seeds)


def rounds(epochs: int, n_seeds: int) -> tuple[Round, ...]:
    """A third of the epochs with one seed; then all epochs with 1, 2, 4 and so on, up to all seeds."""
    if n_seeds < 1:
        raise LadderError("0 seeds train nothing: give at least 1, as in --seeds 4")
    short = max(1, round(epochs / 3))
    counts = [2**k for k in range(n_seeds.bit_length()) if 2**k < n_seeds]
    return (*([Round(short, 1)] if short < epochs else []), *(Round(epochs, n) for n in (*counts, n_seeds)))


class Outcome(Frozen):
    """What one training came to, at its final epoch. One that diverged has nothing right."""

    seed: int = Field(ge=0)
    n_correct: int = Field(ge=0)
    n_evaluated: int = Field(ge=1)
    held: bool

    @model_validator(mode="after")
    def _possible(self) -> "Outcome":
        if self.n_correct > self.n_evaluated:
            raise ValueError(f"{self.n_correct} of {self.n_evaluated} images are right")
        return self

    @classmethod
    def of(cls, run: Run, target: Target) -> "Outcome":
        final = run.final
        n_correct, n_evaluated = (final.n_correct, final.n_evaluated) if final else (0, 1)
        return cls(seed=run.identity.seed, n_correct=n_correct, n_evaluated=n_evaluated, held=holds(run, target))

    @property
    def accuracy(self) -> Fraction:
        """Of the final epoch, in percent."""
        return Fraction(100 * self.n_correct, self.n_evaluated)


@dataclass(frozen=True)
class Trial:
    """A proposal, and what came of each round that it has behind it, one outcome per seed.

    ``state`` is "running", "stopped" (not among the best) or "whole" (all rounds).
    """

    number: int
    params: int
    recipe: Recipe
    state: str
    outcomes: tuple[tuple[Outcome, ...], ...] = ()

    def accuracy(self, at: int = -1) -> Fraction:
        """Mean over the seeds of a round, in percent; the last round unless told."""
        return exact_mean(outcome.accuracy for outcome in self.outcomes[at])

    def holds(self, at: int = -1) -> bool:
        """Whether every seed of a round held the target."""
        return all(outcome.held for outcome in self.outcomes[at])


@dataclass(frozen=True)
class Limits:
    """What any trial of a search keeps: it is about these images, and has these rounds.

    Each training is evaluated on ``n_evaluated`` images. One that diverged has 0 of 1 right. ``score`` gives what
    Optuna is told of a trial after its last round, ``proposed`` the recipe of what was drawn under a ceiling.
    """

    image: ImageShape
    rounds: tuple[Round, ...]
    n_evaluated: int
    score: Callable[["Trial"], float] | None = None
    proposed: Callable[[Mapping[str, Any], int], Recipe] | None = None

    def check(self, trial: Trial) -> None:
        """Raises ValueError for a trial that does not."""
        params = _params(trial.recipe, self.image)
        if trial.params != params:
            raise ValueError(f"its network has {params:,} parameters, not {trial.params:,}")
        n_rounds = len(trial.outcomes)
        if n_rounds > len(self.rounds) or (trial.state == "whole" and n_rounds < len(self.rounds)):
            raise ValueError(f"it is {trial.state} after {n_rounds} of {len(self.rounds)} rounds")
        for this, outcomes in zip(self.rounds, trial.outcomes, strict=False):
            seeds = [outcome.seed for outcome in outcomes]
            if not seeds or seeds != sorted(set(seeds)) or not set(seeds) <= set(this.seeds):
                raise ValueError(f"a round of the seeds {this.seeds[0]} to {this.seeds[-1]} has others")
            for outcome in outcomes:
                if outcome.n_evaluated != self.n_evaluated and (outcome.n_correct, outcome.n_evaluated) != (0, 1):
                    raise ValueError(f"{outcome.n_evaluated:,} images were evaluated, not {self.n_evaluated:,}")


@lru_cache(maxsize=1024)
def _params(recipe: Recipe, image: ImageShape) -> int:
    return recipe.network_for(image).params


def interval(outcomes: Sequence[Outcome]) -> tuple[float, float] | None:
    """95% interval (Student's t) of the mean accuracy over seeds and their images, in percent; None with one seed."""
    if len(outcomes) < 2:
        return None
    from stepladder.analysis.intervals import interval_of_mean  # only now: scipy takes its time

    low, high = interval_of_mean([float(outcome.accuracy) for outcome in outcomes])
    return max(0.0, low), min(100.0, high)


def goes_on(trial: Trial, others: Iterable[Trial], *, smallest: bool, n_rounds: int) -> bool:
    """Whether a trial, after its last round so far, is worth the next one.

    It is among the best third of those that had the same round: of all; or, where the smallest network is looked for,
    of those that are not much larger, and if it holds the target it goes on in any case.
    """
    at = len(trial.outcomes) - 1
    if at == n_rounds - 1:
        return False
    if smallest and trial.holds():
        return True
    rivals = [each for each in others if len(each.outcomes) > at and each.number != trial.number]
    if smallest:
        rivals = [each for each in rivals if each.params <= ABOUT_ITS_SIZE * trial.params]
    n_better = sum(each.accuracy(at) > trial.accuracy() for each in rivals)
    return n_better < max(1, (len(rivals) + 1) // KEPT)


def score(trial: Trial, *, smallest: bool, budget: int) -> float:
    """What Optuna is to maximise: mean accuracy in percent.

    Where the smallest network is looked for, one that holds the target is above 100 by what of the budget it leaves.
    """
    if smallest and trial.holds():
        return 100 + 100 * (1 - trial.params / budget)
    return float(trial.accuracy())


def ceiling(trials: Iterable[Trial], *, smallest: bool, budget: int) -> int:
    """The most parameters worth proposing: the budget, or fewer than the smallest network that holds the target."""
    if not smallest:
        return budget
    return min([budget, *(each.params - 1 for each in trials if each.state == "whole" and each.holds())])


def at_all_epochs(trials: Iterable[Trial], all_rounds: Sequence[Round]) -> list[Trial]:
    """Those that were trained for all epochs, with however many seeds."""
    n_short = sum(each.epochs < all_rounds[-1].epochs for each in all_rounds)
    return [each for each in trials if len(each.outcomes) > n_short]


def contenders(trained: Sequence[Trial]) -> list[Trial]:
    """Those with as many seeds as any has: a mean of fewer is a luckier one."""
    most = max((len(each.outcomes) for each in trained), default=0)
    return [each for each in trained if len(each.outcomes) == most]


def frontier(trials: Iterable[Trial]) -> list[Trial]:
    """Those that no other one beats with as few parameters, the smallest first."""
    best: list[Trial] = []
    for trial in sorted(trials, key=lambda each: (each.params, -each.accuracy(), each.number)):
        if not best or trial.accuracy() > best[-1].accuracy():
            best.append(trial)
    return best


def winner(trials: Sequence[Trial], *, smallest: bool) -> Trial | None:
    """The most accurate; or the smallest that holds the target with every seed, where one does."""
    holding = [each for each in trials if each.holds()] if smallest else []
    if holding:
        return min(holding, key=lambda each: (each.params, -each.accuracy(), each.number))
    return max(trials, key=lambda each: (each.accuracy(), -each.params, -each.number), default=None)
