"""The learning rate as a pure function of the step."""

from stepladder.recipe import Recipe, Step


def learning_rate(recipe: Recipe, *, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step, counted from 0 over all epochs."""
    match recipe.schedule:
        case Step() as schedule:
            return recipe.lr * schedule.factor ** (step // (schedule.every_epochs * steps_per_epoch))
        case _:
            return recipe.lr
