"""Sharpness-aware minimisation (Foret et al. 2021, arxiv.org/abs/2010.01412): gradients from where the loss is high.

Plain in-place arithmetic on flat arrays, so that one text serves numpy and torch alike.
"""

from typing import Any

LEAST_NORM = 1e-12  # added to what a gradient is divided by


def ascend(parameters: Any, *, gradients: Any, radius: float) -> None:
    """Go up the gradient by ``radius``, a Euclidean length over all parameters (n_params,), in place."""
    parameters += radius / ((gradients * gradients).sum() ** 0.5 + LEAST_NORM) * gradients
