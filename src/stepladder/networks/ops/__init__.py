"""The operations of networks, one file each: all of an operation that needs no engine.

A file has the value, its text form, what makes it sound, its window, channels and trainable arrays, and how plain numpy
computes it and its gradient. What trains, draws or writes networks keeps a table from operations to its own code.

To add a layer: a file of its own here, its name in ``Layer`` below. To add a step of a block: see ``block``. Then run
``pytest tests/networks/test_ops.py``: it fails with the next file to open.
"""

from typing import get_args

from stepladder.networks.ops.avg_pool import AvgPool
from stepladder.networks.ops.batch_norm import BatchNorm
from stepladder.networks.ops.block import STEPS, Block, Step, has_step
from stepladder.networks.ops.conv import Conv
from stepladder.networks.ops.depthwise import Depthwise
from stepladder.networks.ops.dropout import Dropout
from stepladder.networks.ops.global_avg_pool import GlobalAvgPool
from stepladder.networks.ops.leaky_relu import LeakyRelu
from stepladder.networks.ops.linear import Linear
from stepladder.networks.ops.max_pool import MaxPool
from stepladder.networks.ops.op import Operation, Shape, Window
from stepladder.networks.ops.relu import Relu
from stepladder.networks.ops.residual import Residual
from stepladder.networks.ops.squeeze_excite import SqueezeExcite

Layer = Conv | Depthwise | MaxPool | AvgPool | GlobalAvgPool | Residual | SqueezeExcite | Linear
LAYERS: dict[str, type[Layer]] = {layer.word: layer for layer in get_args(Layer)}

__all__ = [
    "LAYERS",
    "STEPS",
    "AvgPool",
    "BatchNorm",
    "Block",
    "Conv",
    "Depthwise",
    "Dropout",
    "GlobalAvgPool",
    "Layer",
    "LeakyRelu",
    "Linear",
    "MaxPool",
    "Operation",
    "Relu",
    "Residual",
    "Shape",
    "SqueezeExcite",
    "Step",
    "Window",
    "has_step",
]
