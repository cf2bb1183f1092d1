"""A moving average of a training's weights and batch norm statistics, which is what gets evaluated and kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.engines import Model
from stepladder.recipes.recipe import Average
from stepladder.runs.arrays import AVERAGE as PREFIX
from stepladder.runs.arrays import AVERAGE_PARAMETERS as PARAMETERS
from stepladder.runs.arrays import AVERAGE_SHARE as SHARE
from stepladder.runs.run import Arrays


class MovingAverage:
    """Starts at zero, and is divided by the share of real weights in it: as Adam's moments (Kingma & Ba 2015).

    ``arrays`` are those of an earlier training state to go on from, if it has any of the average. All are (S, ...)
    where S seeds are trained at once: they have made as many steps.
    """

    def __init__(self, average: Average, model: Model, *, steps_per_epoch: int, arrays: Arrays) -> None:
        self.every_steps = average.every_steps
        self.decay = exp(-average.every_steps / (average.horizon_epochs * steps_per_epoch))
        zeros = np.zeros_like(model.to_numpy(model.parameters))
        self._parameters = model.to_array(arrays.get(PARAMETERS, zeros))
        self._statistics = {
            name: np.array(arrays.get(PREFIX + name, np.zeros_like(each))) for name, each in model.statistics().items()
        }
        self._left = 1.0 - float(arrays[SHARE].flat[0]) if SHARE in arrays else 1.0  # of the zeros at the start

    def after_step(self, model: Model, step: int) -> None:
        """Look at the weights if it is time; ``step`` counts from 0 over all epochs."""
        if (step + 1) % self.every_steps:
            return
        part = 1 - self.decay
        self._parameters += part * (model.parameters - self._parameters)
        for name, array in model.statistics().items():
            self._statistics[name] += np.float32(part) * (array - self._statistics[name])
        self._left *= self.decay

    @contextmanager
    def in_use(self, model: Model) -> Iterator[None]:
        """The model with the average in the place of its weights; nothing happens before the first look."""
        if self._left == 1.0:
            yield
            return
        parameters, statistics = model.to_numpy(model.parameters), dict(model.statistics())
        found = averaged(self.arrays(model))
        assert found is not None
        model.parameters[:] = model.to_array(found[0])
        model.set_statistics(found[1])
        yield
        model.parameters[:] = model.to_array(parameters)
        model.set_statistics(statistics)

    def arrays(self, model: Model) -> Arrays:
        """What a checkpoint keeps of it."""
        share: NDArray[Any] = np.full((*model.parameters.shape[:-1], 1), 1 - self._left)
        statistics = {PREFIX + name: array.copy() for name, array in self._statistics.items()}
        return {PARAMETERS: model.to_numpy(self._parameters), SHARE: share, **statistics}


def averaged(arrays: Arrays) -> tuple[NDArray[np.float32], Arrays] | None:
    """The average in a checkpoint: parameters (n_params,) and statistics by name; None if there was no look yet."""
    if SHARE not in arrays or not arrays[SHARE][0]:
        return None
    share = arrays[SHARE][0]
    found = {
        name.removeprefix(PREFIX): (array / share).astype(np.float32)
        for name, array in arrays.items()
        if name.startswith(PREFIX) and name != SHARE
    }
    return found.pop("parameters"), found
