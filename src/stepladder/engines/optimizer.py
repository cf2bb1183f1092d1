"""Optimizers in plain in-place arithmetic on flat arrays, so that one text serves numpy and torch alike.

All arrays are (n_params,), or (S, n_params) for S seeds at once; ``decay`` (n_params,) holds the weight decay of each
parameter, ``matrices`` where there are any; ``lr`` is a number, or (S, 1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepladder.networks.geometry import Network
from stepladder.recipes.recipe import Adam, Muon, Sgd

QUINTIC = (3.4445, -4.7750, 2.0315)  # of x, x^3, x^5: steep at 0, and 1 +- 0.3 after five rounds (Jordan et al. 2024)
LEAST_NORM = 1e-7  # added to what a matrix, or a gradient, is divided by


@dataclass(frozen=True)
class Matrix:
    """The part of a flat array, along its last axis, that is a matrix, and its rows."""

    part: slice
    n_rows: int


def hidden_matrices(network: Network) -> tuple[Matrix, ...]:
    """The weights of convolutions and linear layers, a row for each output channel, but for the last of them."""
    rows = [row for row in network.rows if row.layer.is_matrix]
    return tuple(Matrix(network.parameter_slices[f"{row.index}.weight"], row.out_channels) for row in rows[:-1])


def update(
    optimizer: Sgd | Adam | Muon,
    parameters: Any,
    *,
    gradients: Any,
    state: Mapping[str, Any],
    decay: Any,
    matrices: Sequence[Matrix],
    lr: Any,
    step: int,
) -> None:
    """One step, in place; ``step`` counts from 0."""
    if isinstance(optimizer, Sgd):
        sgd(optimizer, parameters, gradients=gradients, velocity=state["velocity"], decay=decay, lr=lr)
    elif isinstance(optimizer, Muon):
        velocity = state["velocity"]
        muon(optimizer, parameters, gradients=gradients, velocity=velocity, decay=decay, matrices=matrices, lr=lr)
    else:
        adam(optimizer, parameters, gradients=gradients, state=state, decay=decay, lr=lr, step=step)


def ascend(parameters: Any, *, gradients: Any, radius: float) -> None:
    """Go up the gradient by ``radius``, a Euclidean length over all parameters (Foret et al. 2021), in place."""
    parameters += radius / (_length(gradients, n_axes=1) + LEAST_NORM) * gradients


def _length(array: Any, *, n_axes: int) -> Any:
    """The Euclidean length over the last axes; a number where there are no others."""
    squares = array * array
    if squares.ndim == n_axes:
        return squares.sum() ** 0.5
    return squares.sum(tuple(range(-n_axes, 0)), keepdims=True) ** 0.5


def sgd(sgd: Sgd, parameters: Any, *, gradients: Any, velocity: Any, decay: Any, lr: Any) -> None:
    """SGD with momentum (PyTorch's form of Sutskever et al. 2013)."""
    gradients += decay * parameters
    velocity *= sgd.momentum
    velocity += gradients
    parameters -= lr * (gradients + sgd.momentum * velocity if sgd.nesterov else velocity)


def adam(
    adam: Adam, parameters: Any, *, gradients: Any, state: Mapping[str, Any], decay: Any, lr: Any, step: int
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


def muon(
    muon: Muon,
    parameters: Any,
    *,
    gradients: Any,
    velocity: Any,
    decay: Any,
    matrices: Sequence[Matrix],
    lr: Any,
) -> None:
    """Muon (Jordan et al. 2024) on the matrices, SGD with momentum on all else.

    torch.optim.Muon's velocity is this one times 1 - momentum: a factor that making orthogonal takes away.
    """
    velocity *= muon.momentum
    velocity += gradients
    moves = muon.other_lr * (gradients + muon.momentum * velocity if muon.nesterov else velocity)
    for matrix in matrices:
        flat = moves[..., matrix.part]
        move = flat.reshape(*flat.shape[:-1], matrix.n_rows, -1)
        tallness = max(1.0, matrix.n_rows / move.shape[-1]) ** 0.5
        flat[:] = tallness * orthogonal(move, n_steps=muon.n_steps).reshape(flat.shape)
    parameters -= lr * decay * parameters
    parameters -= lr * moves


def orthogonal(matrix: Any, *, n_steps: int) -> Any:
    """The matrix (..., rows, columns) with singular values of about 1, by Newton-Schulz; those of exactly 0 stay.

    An odd polynomial of a matrix is one of its singular values: dividing by the norm puts them between 0 and 1, and
    each round brings them nearer to 1. On several threads OpenBLAS adds up the products of large matrices (64 x 576)
    in another order: workers have one thread.
    """
    is_wide = matrix.shape[-2] <= matrix.shape[-1]
    wide = matrix if is_wide else matrix.swapaxes(-1, -2)
    once, cubed, fifth = QUINTIC
    x = wide / (_length(wide, n_axes=2) + LEAST_NORM)
    for _ in range(n_steps):
        gram = x @ x.swapaxes(-1, -2)
        x = once * x + (cubed * gram + fifth * (gram @ gram)) @ x
    return x if is_wide else x.swapaxes(-1, -2)
