"""A network's layers as far as they make a difference: two lists of layers that compute the same give the same.

Layers that pass on what they get are left out, neighbouring pools that are one are made one, and what is another name
for the same (a global pool for one over the whole map, a linear layer for a convolution of the whole map) is called by
one name. Without the images' sizes, or where it does not fit them, maps have any size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from stepladder.errors import GeometryError
from stepladder.geometry import LayerGeometry
from stepladder.idle import Idle, Sizes
from stepladder.layers import AvgPool, Block, Conv, Depthwise, GlobalAvgPool, Layer, Linear, MaxPool, Residual
from stepladder.recipe import Muon, Recipe


@dataclass(frozen=True)
class _Place:
    """A layer by one name, the numbers that it and those merged into it have in the recipe, and its output's size."""

    layer: Layer
    numbers: tuple[int, ...]
    out_size: int | None


def plain_network(recipe: Recipe, sizes: Sizes | None) -> tuple[str, ...]:
    """The layers as texts, each with its own block order; a residual names the layer whose output it adds, from 0."""
    rows = _rows(recipe, sizes)
    added = {number - 1 - layer.back for number, layer in enumerate(recipe.network) if isinstance(layer, Residual)}
    places: list[_Place] = []
    for number, (layer, row) in enumerate(zip(recipe.network, rows, strict=True)):
        if passes_on(layer, row) is not None:
            continue
        place = _Place(_renamed(recipe, layer, row), (number,), row.out_size if row else None)
        if places and (merged := _merged(places[-1], place, added)):
            places[-1] = merged
        else:
            places.append(place)
    return tuple(_texts(places))


def idle_layers(recipe: Recipe, sizes: Sizes | None) -> Iterator[Idle]:
    """Layers, and biases, that do nothing."""
    for number, (layer, row) in enumerate(zip(recipe.network, _rows(recipe, sizes), strict=True), 1):
        if why := passes_on(layer, row):
            yield Idle(("network",), f"layer {number} ('{layer}') does nothing", why, "leave it out")
        steps = _steps(recipe, layer)
        if isinstance(layer, Conv | Depthwise | Linear) and layer.bias and steps[:1] == ("norm",):
            what = f"the bias of layer {number} ('{layer}') does nothing"
            yield Idle(("network",), what, "the batch norm right after it takes it away again", "leave it out")


def passes_on(layer: Layer, row: LayerGeometry | None) -> str | None:
    """Why a layer gives what it gets, if it does."""
    match layer:
        case MaxPool() | AvgPool() if layer.kernel == 1 and layer.stride == 1:
            return "its windows are one pixel each"
        case MaxPool() if row and row.in_size == row.out_size == 1:
            return "its input is one pixel"
        case AvgPool() if row and row.in_size == layer.kernel == 1:
            return "its input is one pixel"
        case GlobalAvgPool() if row and row.in_size == 1:
            return "its input is one pixel"
        case _:
            return None


def _rows(recipe: Recipe, sizes: Sizes | None) -> Sequence[LayerGeometry | None]:
    try:
        return recipe.network_for(sizes.image).rows if sizes else [None] * len(recipe.network)
    except GeometryError:
        return [None] * len(recipe.network)


def _steps(recipe: Recipe, layer: Layer) -> tuple[str, ...]:
    if not isinstance(layer, Conv | Depthwise | Linear):
        return ()
    return (recipe.block if layer.block is None else layer.block).steps


def _plain_block(recipe: Recipe, layer: Layer) -> Block:
    """Without dropout where its probability is 0; a ReLU goes before a dropout beside it: they can change places."""
    steps = [step for step in _steps(recipe, layer) if step != "dropout" or recipe.dropout]
    for at in range(len(steps) - 1):
        if steps[at : at + 2] == ["dropout", "relu"]:
            steps[at : at + 2] = ["relu", "dropout"]
    return Block(tuple(steps))


def _renamed(recipe: Recipe, layer: Layer, row: LayerGeometry | None) -> Layer:
    """A layer by the one name for what it does; a stride that is never taken is 1."""
    block = _plain_block(recipe, layer)
    match layer:
        case Linear() if row:
            layer = Conv(layer.out_features, row.in_size, bias=layer.bias, block=block)
        case Depthwise() if row and row.in_channels == 1 and not isinstance(recipe.optimizer, Muon):
            layer = Conv(1, layer.kernel, layer.stride, layer.padding, layer.bias, block)
        case GlobalAvgPool() if row:
            layer = AvgPool(row.in_size, 1)
        case MaxPool(kernel=1):  # of one pixel, the maximum is the mean
            layer = AvgPool(1, layer.stride)
        case Conv() | Depthwise() | Linear():
            layer = replace(layer, block=block)
    if row and row.out_size == 1 and isinstance(layer, Conv | Depthwise | MaxPool | AvgPool):
        return replace(layer, stride=1)
    return layer


def _merged(first: _Place, second: _Place, added: set[int]) -> _Place | None:
    """Two pools as one, where windows of windows are windows and no residual adds what is between them."""
    one, other = first.layer, second.layer
    if not isinstance(one, MaxPool | AvgPool) or type(one) is not type(other) or set(first.numbers) & added:
        return None
    assert isinstance(other, MaxPool | AvgPool)
    whole = one.stride <= one.kernel if isinstance(one, MaxPool) else one.stride == one.kernel
    if one.padding or other.padding or not whole:
        return None
    kernel = one.kernel + (other.kernel - 1) * one.stride
    stride = 1 if second.out_size == 1 else one.stride * other.stride
    return _Place(type(one)(kernel, stride), (*first.numbers, *second.numbers), second.out_size)


def _texts(places: Sequence[_Place]) -> Iterator[str]:
    """Each layer's text; what a residual adds by the number of the last layer here that stands at or before it."""
    for place in places:
        if not isinstance(place.layer, Residual):
            yield str(place.layer)
            continue
        source = place.numbers[0] - 1 - place.layer.back
        found = [at for at, each in enumerate(places) if each.numbers[0] <= source]
        yield f"residual of {found[-1] if found else 'the image'}"
