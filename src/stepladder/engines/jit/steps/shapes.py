"""The integers of a convolution or a pool, as kernels have them."""

from stepladder.engines.jit.kernels.convolution import ConvolutionShape
from stepladder.networks.geometry import LayerGeometry
from stepladder.networks.ops import Depthwise, GlobalAvgPool, Linear
from stepladder.networks.sides import area


def shape_of(row: LayerGeometry) -> ConvolutionShape:
    """A layer's integers; a linear layer is a 1x1 convolution of one pixel with a channel for each number.

    A global pool is one window: with its size as stride, windows tile the input.
    """
    if isinstance(row.layer, Linear):
        return ConvolutionShape(row.in_channels * area(row.in_size), row.out_channels, 1, 1)
    depthwise = isinstance(row.layer, Depthwise)
    stride = row.kernel if isinstance(row.layer, GlobalAvgPool) else row.stride
    return ConvolutionShape(row.in_channels, row.out_channels, row.in_size, row.kernel, stride, row.padding, depthwise)
