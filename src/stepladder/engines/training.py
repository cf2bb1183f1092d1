"""The one loop that every engine trains in: draws, steps, evaluation, and what is written down of an epoch."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder import augment
from stepladder.data import Splits
from stepladder.draws import generator, integer_seed
from stepladder.engines import Engine, Model
from stepladder.engines.optimizer import state_names, update
from stepladder.geometry import Network
from stepladder.recipe import Augment, Recipe
from stepladder.run import Arrays, Epoch, Progress, WrongImage
from stepladder.schedule import learning_rate

STATISTIC, PARAMETERS = "statistic.", "parameters"


def train(engine: Engine, recipe: Recipe, *, splits: Splits, seed: int, resume: Progress) -> Iterator[Progress]:
    """Train from where ``resume`` stands (``Progress()`` is the start) and yield after every epoch.

    The last Progress yielded has all epochs, or the epoch at which the training diverged.
    """
    network = recipe.network_for(splits.image)
    model = engine.model(network, recipe, splits=splits)
    progress = replace(resume, n_resumed=resume.n_resumed + bool(resume.epochs))
    state = _set_state(model, recipe, arrays=progress.arrays or initial_arrays(network, seed))
    decay = model.to_array(weight_decay(network, recipe))
    while not progress.is_finished(recipe):
        number = len(progress.epochs)
        start = perf_counter()
        with np.errstate(all="ignore"):  # a training that diverges is recorded as such
            train_loss, n_train_correct = _train_epoch(
                model, recipe, splits=splits, state=state, decay=decay, seed=seed, number=number
            )
        middle = perf_counter()
        logits = model.logits(splits.evaluated)
        if not (isfinite(train_loss) and np.isfinite(logits).all()):
            yield replace(progress, diverged_at_epoch=number + 1, wrong_images=(), arrays=_arrays(model, state))
            return
        n_correct, loss, confusion, wrong = judge(logits, splits.evaluated.labels)
        epoch = Epoch(
            n_train=len(splits.train),
            n_train_correct=n_train_correct,
            train_loss=train_loss,
            n_evaluated=len(splits.evaluated),
            n_correct=n_correct,
            loss=loss,
            confusion=confusion,
            train_s=middle - start,
            evaluate_s=perf_counter() - middle,
        )
        progress = replace(progress, epochs=(*progress.epochs, epoch), wrong_images=wrong, arrays=_arrays(model, state))
        yield progress


def _train_epoch(
    model: Model, recipe: Recipe, *, splits: Splits, state: Mapping[str, Any], decay: Any, seed: int, number: int
) -> tuple[float, int]:
    """One pass over the training images; the mean loss and the number of correct answers on the way."""
    n = len(splits.train)
    steps_per_epoch = -(-n // recipe.batch_size)
    order = generator(seed, number, purpose="order").permutation(n)
    maps = None
    if recipe.augment != Augment():
        maps = augment.draw(recipe.augment, n, size=splits.image.size, rng=generator(seed, number, purpose="augment"))
    model.begin_epoch(dropout_seed=integer_seed(seed, number, purpose="dropout"))
    for start in range(0, n, recipe.batch_size):
        batch = slice(start, start + recipe.batch_size)
        model.learn(order[batch], None if maps is None else maps[batch])
        step = number * steps_per_epoch + start // recipe.batch_size
        update(
            recipe.optimizer,
            model.parameters,
            gradients=model.gradients,
            state=state,
            decay=decay,
            lr=learning_rate(recipe, step=step, steps_per_epoch=steps_per_epoch),
            step=step,
        )
    loss_sum, n_correct = model.tally()
    return loss_sum / n, n_correct


def initial_arrays(network: Network, seed: int) -> Arrays:
    """The state before the first step.

    Weights and biases uniform within 1/sqrt(fan_in), PyTorch's default for convolutions and linear layers; batch norm
    starts as the identity.
    """
    rng = generator(seed, 0, purpose="init")
    parts = []
    for row in network.rows:
        for name, shape in row.parameters.items():
            if ".norm." in name:
                parts.append(np.full(shape, 1.0 if name.endswith("weight") else 0.0))
            else:
                bound = np.prod(row.parameters[f"{row.index}.weight"][1:]) ** -0.5
                parts.append(rng.uniform(-bound, bound, shape))
    parameters = np.concatenate([part.ravel() for part in parts]).astype(np.float32)
    statistics = {
        STATISTIC + name: np.full(shape, 1.0 if name.endswith("var") else 0.0, np.float32)
        for name, shape in network.statistic_shapes.items()
    }
    return {PARAMETERS: parameters} | statistics


def weight_decay(network: Network, recipe: Recipe) -> NDArray[np.float32]:
    """The weight decay of each parameter, flat: weights decay; biases and batch norm do not."""
    parts = [
        np.full(np.prod(shape), 0.0 if ".norm." in name or name.endswith(".bias") else recipe.weight_decay)
        for name, shape in network.parameter_shapes.items()
    ]
    return np.concatenate(parts).astype(np.float32)


def weights(network: Network, arrays: Arrays) -> Arrays:
    """A state's parameters and statistics by name and shape: what is kept of a finished run."""
    shapes = network.parameter_shapes
    named = {name: arrays[PARAMETERS][part].reshape(shapes[name]) for name, part in network.parameter_slices.items()}
    return named | {name: arrays[STATISTIC + name] for name in network.statistic_shapes}


def judge(
    logits: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[int, float, tuple[tuple[int, ...], ...], tuple[WrongImage, ...]]:
    """n_correct, mean cross-entropy, confusion[label][predicted] and the wrong images of answers (n, n_classes)."""
    n, n_classes = logits.shape
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    predicted = logits.argmax(1)
    confusion = np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    wrong = tuple(
        WrongImage(
            index=int(index),
            label=int(labels[index]),
            predicted=int(predicted[index]),
            probability=float(np.exp(log_probability[index, predicted[index]])),
        )
        for index in np.flatnonzero(predicted != labels)
    )
    loss = -float(log_probability[np.arange(n), labels].mean())
    return n - len(wrong), loss, tuple(tuple(row) for row in confusion.tolist()), wrong


def _arrays(model: Model, state: Mapping[str, Any]) -> Arrays:
    """Parameters, batch norm's statistics and the optimizer's state."""
    statistics = {STATISTIC + name: array for name, array in model.statistics().items()}
    kept = {PARAMETERS: model.parameters, **state}
    return {name: model.to_numpy(array) for name, array in kept.items()} | statistics


def _set_state(model: Model, recipe: Recipe, *, arrays: Arrays) -> dict[str, Any]:
    """Put arrays into the model; what belongs to the optimizer is returned, zero if not there."""
    model.parameters[:] = model.to_array(arrays[PARAMETERS])
    model.set_statistics({name.removeprefix(STATISTIC): a for name, a in arrays.items() if name.startswith(STATISTIC)})
    zeros = np.zeros_like(arrays[PARAMETERS])
    return {name: model.to_array(arrays.get(name, zeros)) for name in state_names(recipe.optimizer)}
