"""The arrays of a network and of a training's state: their names, shapes and types."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stepladder.networks.geometry import Network
from stepladder.recipes.recipe import Adam, Muon, Recipe, Sgd

PARAMETERS, STATISTIC = "parameters", "statistic."
AVERAGE, AVERAGE_PARAMETERS, AVERAGE_SHARE = "average.", "average.parameters", "average.share"
RECALIBRATED = "recalibrated."


def state_names(optimizer: Sgd | Adam | Muon) -> tuple[str, ...]:
    """The arrays that an optimizer keeps from step to step; each starts at zero."""
    return ("first_moment", "second_moment") if isinstance(optimizer, Adam) else ("velocity",)


def state_shapes(network: Network, recipe: Recipe) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of each array that a training has after an epoch, as a checkpoint holds them."""
    flat, single = (network.params,), np.dtype(np.float32)
    prefixes = [STATISTIC]
    state: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {PARAMETERS: (flat, single)}
    state |= dict.fromkeys(state_names(recipe.optimizer), (flat, single))
    if recipe.average:
        prefixes.append(AVERAGE)
        state |= {AVERAGE_PARAMETERS: (flat, single), AVERAGE_SHARE: ((1,), np.dtype(np.float64))}
    if recipe.recalibrate_images:
        prefixes.append(RECALIBRATED)
    statistics = network.statistic_shapes.items()
    return state | {prefix + name: (shape, single) for prefix in prefixes for name, shape in statistics}


def misfit(network: Network, weights: Mapping[str, Any]) -> str:
    """Why arrays by name are not parameters and statistics of a network; empty if they are."""
    if {name: array.shape for name, array in weights.items()} != network.parameter_shapes | network.statistic_shapes:
        return "its weights are not those of its network"
    if any(array.dtype != np.float32 for array in weights.values()):
        return "its weights are no float32 numbers"
    return ""
