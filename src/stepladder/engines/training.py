"""The one loop that every engine trains in: draws, steps, evaluation, and what is written down of an epoch.

One seed at a time; or, with an engine that can, several at once (``train_together``): then every array of a training
has an axis more in front, (S, ...), and all of it is text that both share.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.datasets.data import Splits
from stepladder.engines import Engine, require_code
from stepladder.engines.averaging import MovingAverage, averaged
from stepladder.engines.drawing import Ahead, Drawn, Seeds, draw, of_each
from stepladder.engines.optimizer import ascend, hidden_matrices, update
from stepladder.engines.recalibrating import Recalibration, recalibrated
from stepladder.networks.geometry import Network
from stepladder.recipes.augment import Warps
from stepladder.recipes.draws import generator, integer_seed
from stepladder.recipes.recipe import Recipe
from stepladder.recipes.schedule import learning_rate
from stepladder.recipes.schedules import Plateau
from stepladder.runs.arrays import PARAMETERS, STATISTIC, state_names
from stepladder.runs.run import Arrays, Epoch, Progress, WrongImage


def train(
    engine: Engine,
    recipe: Recipe,
    *,
    splits: Splits,
    seed: int,
    resume: Progress,
    teachers: Sequence[Arrays] = (),
) -> Iterator[Progress]:
    """Train from where ``resume`` stands (``Progress()`` is the start) and yield after every epoch.

    The last Progress yielded has all epochs, or the epoch at which the training diverged. ``teachers`` are the weights,
    by name, of finished runs of ``recipe.teacher``, where the recipe has one. Raises EngineError if the engine cannot
    compute the network.
    """
    network = recipe.network_for(splits.image)
    require_code(engine, network)
    training = Training(engine, network, recipe, splits=splits, seed=seed)
    if recipe.distill is not None:
        training.teachers = Teachers(engine, recipe, teachers, splits=splits)
    progress = resume
    training.set_arrays(progress.arrays or initial_arrays(network, seed))
    while not progress.is_finished(recipe):
        start = perf_counter()
        learned = training.epoch(len(progress.epochs), train_losses(progress))
        middle = perf_counter()
        logits = training.logits()
        evaluated = perf_counter()
        progress = after_epoch(
            progress,
            *learned,
            logits=logits,
            arrays=training.arrays(),
            splits=splits,
            train_s=middle - start,
            evaluate_s=evaluated - middle,
        )
        yield progress


def train_losses(progress: Progress) -> list[float]:
    """Those of the epochs so far, which a plateau asks for."""
    return [each.train_loss for each in progress.epochs]


def after_epoch(
    before: Progress,
    train_loss: float,
    n_train_correct: int,
    *,
    logits: NDArray[np.float32],
    arrays: Arrays,
    splits: Splits,
    train_s: float,
    evaluate_s: float,
) -> Progress:
    """Where a training stands after one more epoch, which ended with these answers (n, n_classes) and this state.

    A loss or an answer that is no number is where it diverged. ``evaluate_s`` is the time that the answers took.
    """
    if not (isfinite(train_loss) and np.isfinite(logits).all()):
        return replace(before, diverged_at_epoch=len(before.epochs) + 1, wrong_images=(), arrays=arrays)
    start = perf_counter()
    n_correct, loss, confusion, wrong = judge(logits, splits.evaluated.labels)
    epoch = Epoch(
        n_train=len(splits.train),
        n_train_correct=n_train_correct,
        train_loss=train_loss,
        n_evaluated=len(splits.evaluated),
        n_correct=n_correct,
        loss=loss,
        confusion=confusion,
        train_s=train_s,
        evaluate_s=evaluate_s + perf_counter() - start,
    )
    return replace(before, epochs=(*before.epochs, epoch), wrong_images=wrong, arrays=arrays)


class Training:
    """A model, its optimizer's state and, where the recipe has them, moving average of weights and recalibration.

    Of one seed; of several, the engine is one whose models train as many (Together.together), all is (S, ...), and what
    is drawn is sent to the device.
    """

    def __init__(
        self,
        engine: Engine,
        network: Network,
        recipe: Recipe,
        *,
        splits: Splits,
        seed: Seeds,
        send: Callable[[NDArray[Any]], Any] = lambda array: array,
    ) -> None:
        model = engine.model(network, recipe, splits=splits)
        self.model, self.recipe, self.splits, self.seed = model, recipe, splits, seed
        self.steps_per_epoch = -(-len(splits.train) // recipe.batch_size)
        self.teachers: Teachers | None = None
        self._decay = model.to_array(weight_decay(network, recipe))
        self._matrices = hidden_matrices(network)
        self._state: dict[str, Any] = {}
        self._average: MovingAverage | None = None
        self._recalibration: Recalibration | None = None
        self._ahead = None if isinstance(seed, int) else Ahead(recipe, splits, seed, send=send)
        if recipe.recalibrate_images and network.statistic_shapes:
            self._recalibration = Recalibration(engine, network, recipe, splits=splits, seed=seed)

    def set_arrays(self, arrays: Arrays) -> None:
        """Go on from these; what belongs to the optimizer or the average is zero if not there."""
        model = self.model
        model.parameters[:] = model.to_array(arrays[PARAMETERS])
        statistics = {name.removeprefix(STATISTIC): a for name, a in arrays.items() if name.startswith(STATISTIC)}
        model.set_statistics(statistics)
        zeros = np.zeros_like(arrays[PARAMETERS])
        names = state_names(self.recipe.optimizer)
        self._state = {name: model.to_array(arrays.get(name, zeros)) for name in names}
        if self.recipe.average:
            steps = self.steps_per_epoch
            self._average = MovingAverage(self.recipe.average, model, steps_per_epoch=steps, arrays=arrays)

    def arrays(self) -> Arrays:
        """Parameters, batch norm's statistics, the optimizer's state, the average, what was recalibrated."""
        statistics = {STATISTIC + name: array for name, array in self.model.statistics().items()}
        kept = {PARAMETERS: self.model.parameters, **self._state}
        average = self._average.arrays(self.model) if self._average else {}
        found = self._recalibration.arrays() if self._recalibration else {}
        return {name: self.model.to_numpy(array) for name, array in kept.items()} | statistics | average | found

    def epoch(self, number: int, train_losses: Sequence[Any]) -> tuple[Any, Any]:
        """One pass over the training images; the mean loss and the number of correct answers on the way.

        ``train_losses`` are those of the epochs before: of several seeds, those of each.
        """
        with np.errstate(all="ignore"):  # a training that diverges is recorded as such
            return self._epoch(number, train_losses)

    def _epoch(self, number: int, train_losses: Sequence[Any]) -> tuple[Any, Any]:
        model, recipe, n = self.model, self.recipe, len(self.splits.train)
        drawn = self._drawn(number)
        model.begin_epoch(dropout_seed=of_each(self.seed, lambda seed: integer_seed(seed, number, purpose="dropout")))
        for start in range(0, n, recipe.batch_size):
            batch = slice(start, start + recipe.batch_size)
            self.learn(drawn.order[..., batch], None if drawn.warps is None else drawn.warps[batch])
            step = number * self.steps_per_epoch + start // recipe.batch_size
            update(
                recipe.optimizer,
                model.parameters,
                gradients=model.gradients,
                state=self._state,
                decay=self._decay,
                matrices=self._matrices,
                lr=self._learning_rate(step, train_losses),
                step=step,
            )
            if self._average:
                self._average.after_step(model, step)
        loss_sum, n_correct = model.tally()
        return loss_sum / n, n_correct

    def learn(self, indices: Any, warps: Warps | None) -> None:
        """The gradients of one batch, for the optimizer."""
        model, aware = self.model, self.recipe.sharpness_aware
        targets = self.teachers.targets(indices, warps) if self.teachers else None
        model.learn(indices, warps, targets)
        if aware is None:
            return
        here, statistics = model.to_numpy(model.parameters), model.statistics()
        ascend(model.parameters, gradients=model.gradients, radius=aware.radius)
        model.learn(indices, warps, targets, counted=False)
        model.parameters[:] = model.to_array(here)
        model.set_statistics(statistics)

    def _drawn(self, number: int) -> Drawn:
        if self._ahead is not None:
            return self._ahead.epoch(number)
        assert isinstance(self.seed, int)
        return draw(self.recipe, self.splits, seed=self.seed, number=number)

    def _learning_rate(self, step: int, train_losses: Sequence[Any]) -> Any:
        """That of a step: one number, but for several seeds on a plateau, which have (S, 1) of them."""
        rate = partial(learning_rate, self.recipe, step=step, steps_per_epoch=self.steps_per_epoch)
        if isinstance(self.seed, int):
            return rate(train_losses=train_losses)
        if not isinstance(self.recipe.schedule, Plateau):
            return rate()
        return self.model.to_array(np.array([[rate(train_losses=each)] for each in train_losses], np.float32))

    def close(self) -> None:
        """End what draws ahead."""
        if self._ahead is not None:
            self._ahead.close()

    def logits(self) -> NDArray[np.float32]:
        """The answers to the evaluated images: of the average if there is one, recalibrated if that is wanted."""
        average = self._average.in_use(self.model) if self._average else nullcontext()
        recalibration = self._recalibration.in_use(self.model) if self._recalibration else nullcontext()
        with average, recalibration:
            return self.model.logits(self.splits.evaluated)


class Teachers:
    """Trained networks whose answers are learned (recipe.Distill), the mean of their probabilities.

    Of several seeds, each has as many, and ``teachers`` are the first of each, the second of each, (S, ...), and so on.
    """

    def __init__(self, engine: Engine, recipe: Recipe, teachers: Sequence[Arrays], *, splits: Splits) -> None:
        assert recipe.teacher is not None
        assert recipe.distill is not None
        assert teachers, "a recipe that distils is trained with its teachers' weights"
        network = recipe.teacher.network_for(splits.image)
        self.share = recipe.distill.share
        self.models = [engine.model(network, recipe.teacher, splits=splits) for _ in teachers]
        for model, weights in zip(self.models, teachers, strict=True):
            lead = model.parameters.shape[:-1]  # (S,) of several seeds
            flat = np.concatenate([weights[name].reshape(*lead, -1) for name in network.parameter_shapes], -1)
            model.parameters[:] = model.to_array(flat)
            model.set_statistics({name: weights[name] for name in network.statistic_shapes})
        smoothing, n_classes = recipe.loss.label_smoothing, splits.image.n_classes
        labels = np.eye(n_classes) * (1 - smoothing) + smoothing / n_classes
        self._by_label = ((1 - self.share) * labels[splits.train.labels]).astype(np.float32)  # (n_train, n_classes)

    def targets(self, indices: Any, warps: Warps | None) -> NDArray[np.float32]:
        """The probabilities (..., n, n_classes) to learn for training images."""
        answers = [self._scaled_softmax(model.answers(indices, warps)) for model in self.models]
        here = indices if isinstance(indices, np.ndarray) else indices.cpu().numpy()
        targets: NDArray[np.float32] = sum(answers) / np.float32(len(answers)) + self._by_label[here]
        return targets

    def _scaled_softmax(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        scaled: NDArray[np.float32] = np.float32(self.share) * powers / powers.sum(-1, keepdims=True)
        return scaled


def initial_arrays(network: Network, seed: int) -> Arrays:
    """The state before the first step: what each operation and each step says that it starts from."""
    rng = generator(seed, 0, purpose="init")
    parts: list[NDArray[np.float64]] = []
    statistics: Arrays = {}
    for row in network.rows:
        parts += row.layer.initial(row.layer.parameters(row.in_channels, row.in_size), rng)
        for step in row.steps:
            parts += [np.full(shape, step.initial(name)) for name, shape in step.parameters(row.out_channels).items()]
            for name, shape in step.statistics(row.out_channels).items():
                statistics[f"{STATISTIC}{row.index}.{name}"] = np.full(shape, step.initial(name), np.float32)
    return {PARAMETERS: np.concatenate([part.ravel() for part in parts]).astype(np.float32)} | statistics


def weight_decay(network: Network, recipe: Recipe) -> NDArray[np.float32]:
    """The weight decay of each parameter, flat: weights of operations decay; biases, and what steps have, do not."""
    rates = []
    for row in network.rows:
        of_operation = {f"{row.index}.{name}" for name in row.layer.parameters(row.in_channels, row.in_size)}
        for name, shape in row.parameters.items():
            decays = name in of_operation and name.endswith("weight")
            rates.append(np.full(np.prod(shape), recipe.weight_decay if decays else 0.0))
    return np.concatenate(rates).astype(np.float32)


def weights(network: Network, arrays: Arrays) -> Arrays:
    """A state's parameters and statistics by name and shape, as they were evaluated: what is kept of a finished run."""
    shapes = network.parameter_shapes
    flat, statistics = averaged(arrays) or (
        arrays[PARAMETERS],
        {n: arrays[STATISTIC + n] for n in network.statistic_shapes},
    )
    statistics |= recalibrated(arrays)
    named = {name: flat[part].reshape(shapes[name]) for name, part in network.parameter_slices.items()}
    return named | {name: statistics[name] for name in network.statistic_shapes}


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
