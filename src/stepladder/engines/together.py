"""Several seeds of one recipe trained at once, by an engine that can (see engines.Together); else there is training."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from stepladder._base.machine import n_cores
from stepladder.datasets.data import Splits
from stepladder.engines import Together, require_code
from stepladder.engines.training import Teachers, Training, after_epoch, initial_arrays, train_losses
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import Arrays, Progress


def train_together(
    engine: Together,
    recipe: Recipe,
    *,
    splits: Splits,
    seeds: Sequence[int],
    resume: Sequence[Progress],
    teachers: Sequence[Sequence[Arrays]] = (),
) -> Iterator[tuple[Progress, ...]]:
    """Train from where each seed stands, all after as many epochs, and yield after every epoch where each stands then.

    Each is what ``training.train`` yields for it, but for the rounding of float32, and for its times: its share of the
    time of all. One that diverges is left out from then on, and no other has anything of it. ``teachers`` are for each
    seed its own. Raises EngineError if the engine cannot compute the network.
    """
    network = recipe.network_for(splits.image)
    require_code(engine, network)
    progress = list(resume)
    begun = {len(each.epochs) for each in progress if not each.is_finished(recipe)}
    assert len(begun) <= 1, "seeds are trained together from the same epoch on"
    while going := [at for at, each in enumerate(progress) if not each.is_finished(recipe)]:
        several, own = engine.together(len(going)), tuple(seeds[at] for at in going)
        training = Training(several, network, recipe, splits=splits, seed=own, send=engine.to_device)
        if recipe.distill is not None:
            of_each = zip(*(teachers[at] for at in going), strict=True)
            training.teachers = Teachers(several, recipe, [*map(stacked, of_each)], splits=splits)
        starts = [progress[at].arrays or initial_arrays(network, seeds[at]) for at in going]
        training.set_arrays(stacked(starts))
        with closing(training):
            for after in _epochs(training, [progress[at] for at in going]):
                for at, each in zip(going, after, strict=True):
                    progress[at] = each
                yield tuple(progress)


def _epochs(training: Training, progress: list[Progress]) -> Iterator[list[Progress]]:
    """Until the end, or until the first diverges."""
    share = 1 / len(progress)
    with ThreadPoolExecutor(n_cores()) as threads:  # answers are judged by one core a seed
        while not any(each.is_finished(training.recipe) for each in progress):
            start = perf_counter()
            learned = training.epoch(len(progress[0].epochs), [train_losses(each) for each in progress])
            middle = perf_counter()
            logits, arrays = training.logits(), training.arrays()
            train_s, evaluate_s = share * (middle - start), share * (perf_counter() - middle)
            of_each = [{name: array[at] for name, array in arrays.items()} for at in range(len(progress))]
            after = partial(_after, splits=training.splits, train_s=train_s, evaluate_s=evaluate_s)
            progress = list(threads.map(after, progress, *learned, logits, of_each))
            yield progress


def _after(
    before: Progress,
    train_loss: np.float64,
    n_train_correct: np.int64,
    logits: NDArray[np.float32],
    arrays: Arrays,
    *,
    splits: Splits,
    train_s: float,
    evaluate_s: float,
) -> Progress:
    return after_epoch(
        before,
        float(train_loss),
        int(n_train_correct),
        logits=logits,
        arrays=arrays,
        splits=splits,
        train_s=train_s,
        evaluate_s=evaluate_s,
    )


def stacked(arrays: Sequence[Arrays]) -> Arrays:
    """Arrays of the same names and shapes, one behind the other: (S, ...)."""
    return {name: np.stack([each[name] for each in arrays]) for name in arrays[0]}
