"""What PyTorch computes for each operation of several seeds' networks at once.

Letters in shapes: S seeds, n images, C channels. Values are (n, S C, H, W), a seed's channels beside each other, so
that pools, activations and batch norm are those of one network (see ops). Parameters are (S, ...).

A convolution is one with S times the groups. On a CPU that takes between a ninth and all of the time of unfolding and S
products of matrices, and memory does not grow by the number of taps. benchmarks/gpu.py measures both, on a GPU too,
where neither was ever run.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from stepladder.engines.torch import ops
from stepladder.engines.torch.ops import Parameters
from stepladder.networks.geometry import LayerGeometry
from stepladder.networks.ops import (
    AvgPool,
    Conv,
    Depthwise,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Operation,
    Residual,
    SqueezeExcite,
)


def conv(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    weight, bias = parameters[f"{row.index}.weight"], parameters.get(f"{row.index}.bias")
    groups = x.shape[1] // weight.shape[2]
    return F.conv2d(
        x, weight.flatten(0, 1), None if bias is None else bias.flatten(), row.stride, row.padding, groups=groups
    )


def linear(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    weight, bias = parameters[f"{row.index}.weight"], parameters.get(f"{row.index}.bias")
    return _joined(_product(_apart(x, len(weight)), weight, bias))


def squeeze_excite(row: LayerGeometry, parameters: Parameters, x: Tensor) -> Tensor:
    reduce, expand = (
        [parameters[f"{row.index}.{part}.{name}"] for name in ("weight", "bias")] for part in ("reduce", "expand")
    )
    means = _apart(x.mean((2, 3), keepdim=True), len(reduce[0]))
    return x * _joined(_product(F.relu(_product(means, *reduce)), *expand).sigmoid())


LAYERS: dict[type[Operation], ops.Layer] = {
    Conv: conv,
    Depthwise: conv,
    MaxPool: ops.max_pool,
    AvgPool: ops.avg_pool,
    GlobalAvgPool: ops.global_avg_pool,
    Residual: ops.residual,
    SqueezeExcite: squeeze_excite,
    Linear: linear,
}

STEPS = ops.STEPS  # each looks at single values, or at channels

UNSUPPORTED: frozenset[type] = frozenset()  # networks with these are trained one seed at a time


def _apart(x: Tensor, n_seeds: int) -> Tensor:
    """(n, S C, H, W) -> (S, n, C H W)."""
    return x.reshape(len(x), n_seeds, -1).transpose(0, 1)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(S, n, in) by (S, out, in) -> (S, n, out)."""
    if bias is None:
        return torch.bmm(x, weight.transpose(1, 2))
    return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))


def _joined(x: Tensor) -> Tensor:
    """(S, n, C) -> (n, S C, 1, 1)."""
    return x.transpose(0, 1).flatten(1)[:, :, None, None]
