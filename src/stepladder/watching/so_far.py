"""Where a training stands, in words: the same on a terminal, on the live page and in a notebook."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from stepladder._base.wording import is_are, n_of
from stepladder.climbing.climbing import Task
from stepladder.reporting.numbers import percent
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import holds, measured, reaches


def planned_text(to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> str:
    """What a climb begins with, as a Watcher is told of it."""
    n = n_stored + len(to_train)
    begun = [n_epochs for _, n_epochs in to_train.values() if n_epochs]
    goes_on = f", {len(begun)} of them from where {'it' if len(begun) == 1 else 'they'} stopped" if begun else ""
    return f"{n_stored} of {n_of(n, 'run')} {is_are(n)} stored; {len(to_train)} to train{goes_on}."


def accuracy_text(task: Task, epoch: Epoch) -> str:
    """``test 98.91%``: what the target speaks of, on the split that is evaluated."""
    return _accuracy_text(task, measured(epoch, task.rung.target))


def so_far_text(task: Task, epochs: Sequence[Epoch]) -> str:
    """``epoch 7 of 14, test 98.91%``, of all epochs so far."""
    last = [accuracy_text(task, epochs[-1])] if epochs else []
    return ", ".join([f"epoch {len(epochs)} of {task.identity.recipe.epochs}", *last])


def outcome_text(task: Task, run: Run) -> str:
    """A finished run in words."""
    if run.final is None:
        return f"diverged at epoch {run.diverged_at_epoch}"
    target = task.rung.target
    n_last = target.last_epochs
    n_reached = sum(reaches(epoch, target) for epoch in run.epochs[-n_last:])
    held = f"holds {target.accuracy}%"
    if not holds(run, target):
        where = f"at {n_reached} of the last {n_last} epochs" if n_reached and n_last > 1 else ""
        held = f"{target.accuracy}% or more only {where}" if where else f"below {target.accuracy}%"
    return f"{_accuracy_text(task, measured(run.final, target))}, {held}"


def _accuracy_text(task: Task, value: Fraction) -> str:
    target, split = task.rung.target, task.identity.data.evaluate_on
    return f"{split} {percent(value, target=target.accuracy)}%{' balanced' if target.balanced else ''}"
