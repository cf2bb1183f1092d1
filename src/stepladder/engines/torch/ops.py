"""What PyTorch computes for each operation and each step: the two tables of this engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch.nn.functional as F
from torch import Tensor

from stepladder.networks.geometry import LayerGeometry
from stepladder.networks.ops import (
    AvgPool,
    BatchNorm,
    Conv,
    Depthwise,
    Dropout,
    GlobalAvgPool,
    LeakyRelu,
    Linear,
    MaxPool,
    Operation,
    Relu,
    Residual,
    SqueezeExcite,
)
from stepladder.networks.ops.batch_norm import NORM_EPSILON, NORM_MOMENTUM
from stepladder.networks.ops.op import Step

Parameters = Mapping[str, Tensor]
Layer = Callable[[LayerGeometry, Parameters, Tensor], Tensor]


class Model(Protocol):
    """What steps have of the model that they are part of; arrays are by name."""

    @property
    def leaves(self) -> Parameters: ...
    @property
    def running(self) -> Parameters: ...
    @property
    def dropout(self) -> float: ...
    def draw(self, x: Tensor) -> Tensor:
        """16 random bits for each value of ``x``, as int16 of its shape."""


@dataclass(frozen=True)
class Place:
    """Where a step stands: in which model, after the operation of which layer, and whether that trains."""

    model: Model
    index: int
    training: bool


StepOf = Callable[[Any, Place, Tensor], Tensor]

# (N, C, H, W) -> (N, C', H', W'), without the layer's steps


def conv(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    weight, bias = parameters[f"{row.index}.weight"], parameters.get(f"{row.index}.bias")
    groups = row.in_channels // weight.shape[1]
    return F.conv2d(x, weight, bias, row.stride, row.padding, groups=groups)


def max_pool(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    del parameters
    return F.max_pool2d(x, row.kernel, row.stride, row.padding)


def avg_pool(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    del parameters
    return F.avg_pool2d(x, row.kernel, row.stride, row.padding)


def global_avg_pool(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    del row, parameters
    return x.mean((2, 3), keepdim=True)


def linear(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    weight, bias = parameters[f"{row.index}.weight"], parameters.get(f"{row.index}.bias")
    return F.linear(x.flatten(1), weight, bias)[:, :, None, None]


def residual(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    """What is added comes from who runs the network."""
    del row, parameters
    return x


def squeeze_excite(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    reduce, expand = (
        [parameters[f"{row.index}.{part}.{name}"] for name in ("weight", "bias")] for part in ("reduce", "expand")
    )
    gate = F.linear(F.relu(F.linear(x.mean((2, 3)), *reduce)), *expand).sigmoid()
    return x * gate[:, :, None, None]


LAYERS: dict[type[Operation], Layer] = {
    Conv: conv,
    Depthwise: conv,
    MaxPool: max_pool,
    AvgPool: avg_pool,
    GlobalAvgPool: global_avg_pool,
    Residual: residual,
    SqueezeExcite: squeeze_excite,
    Linear: linear,
}


# (N, C, H, W) -> the same


def relu(step: Relu, place: Place, x: Tensor) -> Tensor:
    del step, place
    return F.relu(x)


def leaky_relu(step: LeakyRelu, place: Place, x: Tensor) -> Tensor:
    del place
    return F.leaky_relu(x, step.slope)


def batch_norm(step: BatchNorm, place: Place, x: Tensor) -> Tensor:
    del step
    leaves, running, name = place.model.leaves, place.model.running, f"{place.index}.norm"
    mean, var = running[f"{name}.running_mean"], running[f"{name}.running_var"]
    scale, shift = leaves.get(f"{name}.weight"), leaves[f"{name}.bias"].flatten()  # of several seeds (S, C)
    return F.batch_norm(
        x,
        mean.flatten(),
        var.flatten(),
        None if scale is None else scale.flatten(),
        shift,
        place.training,
        NORM_MOMENTUM,
        NORM_EPSILON,
    )


def drop(step: Dropout, place: Place, x: Tensor) -> Tensor:
    del step
    probability = place.model.dropout
    return dropout(x, probability, drawn=place.model.draw(x)) if place.training and probability else x


STEPS: dict[type[Step], StepOf] = {
    Relu: relu,
    LeakyRelu: leaky_relu,
    BatchNorm: batch_norm,
    Dropout: drop,
}

UNSUPPORTED: frozenset[type] = frozenset()


def dropout(x: Tensor, probability: float, *, drawn: Tensor) -> Tensor:
    """Zero each value with this probability (to the nearest 1/65536) and scale the others up to keep the mean.

    Srivastava et al. 2014. ``drawn`` has 16 random bits for each value, int16: four such draws from each 64-bit one
    take a third of the time of F.dropout on a CPU.
    """
    n_kept = min(max(round((1 - probability) * 65536), 1), 65535)
    return x * (drawn < n_kept - 32768) * (65536 / n_kept)
