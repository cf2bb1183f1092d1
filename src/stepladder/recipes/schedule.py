"""The learning rate as a pure function of the step, and for a plateau of the training losses so far."""

from collections.abc import Sequence
from math import cos, inf, pi

from stepladder.recipes.recipe import Recipe
from stepladder.recipes.schedules import Constant, Cosine, LinearDecay, OneCycle, Plateau, Step


def learning_rate(recipe: Recipe, *, step: int, steps_per_epoch: int, train_losses: Sequence[float] = ()) -> float:
    """The learning rate of a step, counted from 0 over all epochs.

    ``train_losses`` are the mean losses of the epochs before, which only a plateau asks for.
    """
    n_steps = recipe.epochs * steps_per_epoch
    match recipe.schedule:
        case Step() as schedule:
            drops = step // (schedule.every_epochs * steps_per_epoch)
            return recipe.lr * schedule.factor**drops * _risen(step, schedule.warmup_epochs * steps_per_epoch)
        case Cosine() | LinearDecay() as schedule:
            n_warmup = schedule.warmup_epochs * steps_per_epoch
            if step < n_warmup:
                return recipe.lr * _risen(step, n_warmup)
            part = (step - n_warmup) / max(1.0, n_steps - n_warmup)
            left = (1 + cos(pi * part)) / 2 if isinstance(schedule, Cosine) else 1 - part
            return recipe.lr * (schedule.final + (1 - schedule.final) * left)
        case OneCycle() as schedule:
            return recipe.lr * _one_cycle(schedule, step, n_steps)
        case Plateau() as schedule:
            return recipe.lr * schedule.factor ** _n_drops(schedule, train_losses)
        case Constant():
            return recipe.lr


def _risen(step: int, n_warmup: float) -> float:
    """How far a linear warm-up has come: from 1 / n at the first step to 1 after it."""
    return min(1.0, (step + 1) / n_warmup) if n_warmup else 1.0


def _one_cycle(schedule: OneCycle, step: int, n_steps: int) -> float:
    """As PyTorch counts: the peak is reached at step rise * n_steps - 1, the end at the last step."""
    peak = schedule.rise * n_steps - 1
    if step <= peak:
        return _between(schedule.start, 1.0, step / peak if peak > 0 else 1.0)
    return _between(1.0, schedule.final, (step - peak) / (n_steps - 1 - peak))


def _between(start: float, end: float, part: float) -> float:
    """Along half a cosine."""
    return end + (start - end) / 2 * (1 + cos(pi * part))


def _n_drops(schedule: Plateau, train_losses: Sequence[float]) -> int:
    best, n_bad, n_drops = inf, 0, 0
    for loss in train_losses:
        if loss < best * (1 - schedule.threshold):
            best, n_bad = loss, 0
        else:
            n_bad += 1
        if n_bad > schedule.patience:
            n_drops, n_bad = n_drops + 1, 0
    return n_drops
