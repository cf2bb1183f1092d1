"""A picture of a network: one block for each layer, as tall as its map and as deep as its channels, as SVG."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log2

from stepladder._base.wording import n_of
from stepladder.networks.geometry import LayerGeometry, Network
from stepladder.networks.ops import (
    AvgPool,
    Conv,
    Depthwise,
    Dropout,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Operation,
    Residual,
    SqueezeExcite,
)
from stepladder.networks.sides import Sides, full_text, pair, text

TALLEST = 72.0  # of a block, for a map as large as the image
SMALLEST = 5.0
DEPTH_OF_DOUBLING = 5.0  # a doubling of channels makes a block this much deeper
SLANT = 0.5  # depth goes right and, this much of it, up


@dataclass(frozen=True)
class BlockPicture:
    """One layer: its words, and the corners of its block in a drawing of ``width`` x ``height``.

    ``front``, ``top`` and ``side`` are polygons in SVG's notation; ``kind`` names the block's colour.
    """

    kind: str
    operation: str
    shape: str
    params: str
    field: str
    steps: str
    width: float
    height: float
    front: str
    top: str
    side: str


def blocks(network: Network, *, dropout: float) -> list[BlockPicture]:
    """One picture for each layer, from the image on; a recipe without dropout has none in its blocks."""
    return [_block(row, network.image.size, dropout) for row in network.rows]


def face(size: Sides, image_size: Sides) -> tuple[float, float]:
    """Height and width of the front of a map of this size: a pixel is a square, and the longest side as of the image.

    But a side has at least SMALLEST, so that it is seen.
    """
    longest = max(*pair(image_size), *pair(size))
    height, width = (max(SMALLEST, TALLEST * side / longest) for side in pair(size))
    return height, width


def _block(row: LayerGeometry, image_size: Sides, dropout: float) -> BlockPicture:
    height, width = face(row.out_size, image_size)
    depth = DEPTH_OF_DOUBLING * (1 + log2(row.out_channels))
    right, up = depth, depth * SLANT
    x0, x1, y0, y1 = 1.0, 1.0 + width, 1.0 + up, 1.0 + up + height
    return BlockPicture(
        kind=LAYERS.get(type(row.layer), PLAIN).kind,
        operation=layer_words(row),
        shape=f"{row.out_channels} × {full_text(row.out_size, ' × ')}",
        params=n_of(row.params, "parameter") if row.params else "no parameters",
        field=f"sees {text(row.rf_out, '×')} px",
        steps=" · ".join(str(step) for step in row.steps if dropout or not isinstance(step, Dropout)),
        width=x1 + right + 1.0,
        height=y1 + 1.0,
        front=_points((x0, y0), (x1, y0), (x1, y1), (x0, y1)),
        top=_points((x0, y0), (x0 + right, y0 - up), (x1 + right, y0 - up), (x1, y0)),
        side=_points((x1, y0), (x1 + right, y0 - up), (x1 + right, y1 - up), (x1, y1)),
    )


def layer_words(row: LayerGeometry) -> str:
    """``conv 3×3``, ``maxpool 2×2``, ``GAP``, ``linear``; with stride and padding where they are not the usual."""
    return LAYERS.get(type(row.layer), PLAIN).words(row)


@dataclass(frozen=True)
class LayerPicture:
    """The name of a layer's colour, and its words."""

    kind: str
    words: Callable[[LayerGeometry], str]


def _named(name: str) -> Callable[[LayerGeometry], str]:
    return lambda row: name  # noqa: ARG005


def _with_window(name: str, *, usual_stride: int | None) -> Callable[[LayerGeometry], str]:
    """``usual_stride`` None stands for the kernel."""

    def words(row: LayerGeometry) -> str:
        usual = row.kernel if usual_stride is None else usual_stride
        stride = f" stride {text(row.stride, '×')}" if row.stride != usual else ""
        pad = f" pad {text(row.padding, '×')}" if row.padding else ""
        return f"{name} {full_text(row.kernel, '×')}{stride}{pad}"

    return words


def _as_written(row: LayerGeometry) -> str:
    return str(row.layer)


LAYERS: dict[type[Operation], LayerPicture] = {
    Conv: LayerPicture("conv", _with_window("conv", usual_stride=1)),
    Depthwise: LayerPicture("conv", _with_window("depthwise", usual_stride=1)),
    MaxPool: LayerPicture("pool", _with_window("maxpool", usual_stride=None)),
    AvgPool: LayerPicture("pool", _with_window("avgpool", usual_stride=None)),
    GlobalAvgPool: LayerPicture("pool", _named("GAP")),
    Residual: LayerPicture("residual", _as_written),
    SqueezeExcite: LayerPicture("gate", _as_written),
    Linear: LayerPicture("linear", _named("linear")),
}

UNSUPPORTED: frozenset[type] = frozenset()
"""Layers that have no colour and no words of their own: they are drawn as ``PLAIN``."""

PLAIN = LayerPicture("plain", _as_written)


def _points(*corners: tuple[float, float]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
