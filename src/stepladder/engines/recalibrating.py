"""Batch norm's statistics for evaluation, taken anew over training images, with the weights that are evaluated."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from stepladder.datasets.data import Splits
from stepladder.engines import Engine, Model
from stepladder.engines.drawing import Seeds, of_each
from stepladder.networks.geometry import Network
from stepladder.networks.ops.batch_norm import NORM_MOMENTUM
from stepladder.recipes.draws import generator
from stepladder.recipes.recipe import Recipe
from stepladder.runs.arrays import RECALIBRATED as PREFIX
from stepladder.runs.run import Arrays


class Recalibration:
    """Precise batch norm (Wu & Johnson 2021): the mean over batches of their means, and that of their variances.

    The batches go through a model of their own, without dropout, as in evaluation: with it, what comes after would see
    larger variances than in evaluation (Li et al. 2019). So nothing of the training is touched.
    """

    def __init__(self, engine: Engine, network: Network, recipe: Recipe, *, splits: Splits, seed: Seeds) -> None:
        still = recipe.model_copy(update={"dropout": 0.0, "distill": None})
        self._model = engine.model(network, still, splits=splits)
        n = len(splits.train)
        size = min(recipe.batch_size, n)
        n_batches = min(recipe.recalibration_batches, n // size)
        order = of_each(seed, lambda each: generator(each, 0, purpose="recalibrate").permutation(n))
        batches = order[..., : n_batches * size].reshape(*order.shape[:-1], n_batches, size)
        self.batches = np.moveaxis(batches, -2, 0)  # (n_batches, ..., size)
        self._found: Arrays = {}

    @contextmanager
    def in_use(self, model: Model) -> Iterator[None]:
        """The model with the statistics that fit its weights in the place of its own."""
        before = model.statistics()
        self._found = self.statistics(model)
        model.set_statistics(self._found)
        yield
        model.set_statistics(before)

    def statistics(self, model: Model) -> Arrays:
        """Those that fit a model's weights, by name.

        A step moves running statistics towards those of its batch, which can be told from where they end. Means start
        at the model's own: the JIT engine's sums of squares are about the running mean, and lose digits far from it.
        """
        still = self._model
        still.parameters[:] = model.parameters
        still.begin_epoch(dropout_seed=0)
        start = {name: a if name.endswith("mean") else np.zeros_like(a) for name, a in model.statistics().items()}
        sums = {name: np.zeros(array.shape) for name, array in start.items()}
        with np.errstate(all="ignore"):  # a training that diverges is recorded as such
            for indices in self.batches:
                still.set_statistics(start)
                still.learn(indices, None)
                for name, moved in still.statistics().items():
                    sums[name] += (moved - (1 - NORM_MOMENTUM) * start[name].astype(np.float64)) / NORM_MOMENTUM
            return {name: (total / len(self.batches)).astype(np.float32) for name, total in sums.items()}

    def arrays(self) -> Arrays:
        """What a checkpoint keeps of it, for the record: those of the last evaluation."""
        return {PREFIX + name: array for name, array in self._found.items()}


def recalibrated(arrays: Arrays) -> Arrays:
    """The statistics in a checkpoint, by name; none if there was no recalibration."""
    return {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
