"""Optimizers in plain in-place arithmetic on flat arrays, so that one text serves numpy and torch alike."""

from typing import Any

from stepladder.recipe import Sgd


def sgd(sgd: Sgd, parameters: Any, *, gradients: Any, velocity: Any, decay: Any, lr: float) -> None:
    """One step of SGD with momentum, in place (PyTorch's form of Sutskever et al. 2013).

    All arrays are flat, (n_params,); ``decay`` holds the weight decay of each parameter.
    """
    gradients += decay * parameters
    velocity *= sgd.momentum
    velocity += gradients
    parameters -= lr * (gradients + sgd.momentum * velocity if sgd.nesterov else velocity)
