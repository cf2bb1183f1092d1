"""Optimizers in plain in-place arithmetic on flat arrays, so that one text serves numpy and torch alike.

All arrays are (n_params,); ``decay`` holds the weight decay of each parameter.
"""

from collections.abc import Mapping
from typing import Any

from stepladder.recipe import Adam, Sgd


def state_names(optimizer: Sgd | Adam) -> tuple[str, ...]:
    """The arrays that an optimizer keeps from step to step; each starts at zero."""
    return ("velocity",) if isinstance(optimizer, Sgd) else ("first_moment", "second_moment")


def update(
    optimizer: Sgd | Adam,
    parameters: Any,
    *,
    gradients: Any,
    state: Mapping[str, Any],
    decay: Any,
    lr: float,
    step: int,
) -> None:
    """One step, in place; ``step`` counts from 0."""
    if isinstance(optimizer, Sgd):
        sgd(optimizer, parameters, gradients=gradients, velocity=state["velocity"], decay=decay, lr=lr)
    else:
        adam(optimizer, parameters, gradients=gradients, state=state, decay=decay, lr=lr, step=step)


def sgd(sgd: Sgd, parameters: Any, *, gradients: Any, velocity: Any, decay: Any, lr: float) -> None:
    """SGD with momentum (PyTorch's form of Sutskever et al. 2013)."""
    gradients += decay * parameters
    velocity *= sgd.momentum
    velocity += gradients
    parameters -= lr * (gradients + sgd.momentum * velocity if sgd.nesterov else velocity)


def adam(
    adam: Adam, parameters: Any, *, gradients: Any, state: Mapping[str, Any], decay: Any, lr: float, step: int
) -> None:
    """Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019)."""
    first, second = state["first_moment"], state["second_moment"]
    if adam.kind == "adamw":
        parameters -= lr * decay * parameters
    else:
        gradients += decay * parameters
    first *= adam.beta1
    first += (1 - adam.beta1) * gradients
    second *= adam.beta2
    second += (1 - adam.beta2) * gradients * gradients
    root = (second / (1 - adam.beta2 ** (step + 1))) ** 0.5
    parameters -= lr / (1 - adam.beta1 ** (step + 1)) * first / (root + adam.epsilon)
