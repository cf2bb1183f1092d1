"""A network's layers as far as they make a difference: two lists of layers that compute the same give the same.

Layers that pass on what they get are left out, neighbouring pools that are one are made one, and what is another name
for the same (a linear layer for a convolution of the whole map) is called by one name. Where the images' sizes are
known, a pool is the pixels that each of its outputs covers, padding left out: however its kernel, stride and padding
are written. Without them, or where it does not fit them, maps have any size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from itertools import pairwise
from operator import mul, or_

from stepladder.errors import GeometryError
from stepladder.networks.geometry import ImageShape, LayerGeometry
from stepladder.networks.ops import (
    AvgPool,
    BatchNorm,
    Block,
    Conv,
    Depthwise,
    Dropout,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Relu,
    Residual,
    Step,
    has_step,
)
from stepladder.networks.sides import Sides, Span, each, pair, text
from stepladder.recipes.idle import Idle
from stepladder.recipes.idle import Sizes as ImageSizes
from stepladder.recipes.recipe import Muon, Recipe, Sgd

Covered = tuple[int, ...]  # of each output in one direction, a bit for each pixel

NOTHING_ELSE = Recipe(network=(GlobalAvgPool(),), epochs=1)


@dataclass(frozen=True)
class _Windows:
    """A pool in its place: down and across, bit n of ``covered[i]`` says whether output i covers pixel n of the map.

    ``side`` is that of the window whose area a mean's sum is divided by, padding counted; 0 for a maximum. A maximum
    over one pixel is the mean over it.
    """

    side: Sides
    covered: tuple[Covered, Covered]

    def __str__(self) -> str:
        kind = f"mean of {text(self.side)}" if self.side else "maximum"
        parts = dict.fromkeys(" ".join(f"{each:x}" for each in covered) for covered in self.covered)
        return f"{kind} over {' by '.join(parts)}"

    def of(self, inner: "_Windows") -> "_Windows | None":
        """This over the outputs of another pool, as one; None if it is none: a mean that counts a pixel twice."""
        if bool(self.side) != bool(inner.side):
            return None
        parts = [_parts(*both) for both in zip(self.covered, inner.covered, strict=True)]
        if self.side and any(a & b for direction in parts for part in direction for a, b in pairwise(part)):
            return None
        down, across = (tuple(reduce(or_, part) for part in direction) for direction in parts)
        return _windows(each(mul, self.side, inner.side), (down, across))


def _parts(outer: Covered, inner: Covered) -> list[list[int]]:
    """In one direction: what each output of the outer pool covers, by the outputs of the inner one that it takes."""
    return [[each for bit, each in enumerate(inner) if mask >> bit & 1] for mask in outer]


def _windows(side: Sides, covered: tuple[Covered, Covered]) -> _Windows:
    return _Windows(side or int(all(each.bit_count() == 1 for direction in covered for each in direction)), covered)


def _windows_of(layer: Layer, row: LayerGeometry | None) -> _Windows | None:
    """What a pool covers, if it is one and the size of its map is known."""
    if row is None or not isinstance(layer, MaxPool | AvgPool | GlobalAvgPool):
        return None
    down, across = map(_covered, row.window.directions)
    return _windows(0 if isinstance(layer, MaxPool) else row.kernel, (down, across))


def _covered(span: Span) -> Covered:
    starts = (number * span.stride - span.padding for number in range(span.out_size))
    ends = [(max(0, start), min(span.in_size, start + span.kernel)) for start in starts]
    return tuple((1 << end) - (1 << start) for start, end in ends)


@dataclass(frozen=True)
class _Place:
    """A layer by one name, and the numbers that it and those merged into it have in the recipe."""

    layer: Layer | _Windows
    numbers: tuple[int, ...]


def plain_network(recipe: Recipe, sizes: ImageSizes | None) -> tuple[str, ...]:
    """The layers as texts, each with its own block order; a residual names the layer whose output it adds, from 0."""
    return _plain(_all_that_matters(recipe), sizes and sizes.image)


def _all_that_matters(recipe: Recipe) -> Recipe:
    """A recipe with the same plain network and idle layers, equal for rungs that change something else."""
    return NOTHING_ELSE.model_copy(
        update={
            "network": recipe.network,
            "block": recipe.block,
            "dropout": 0.5 if recipe.dropout else 0.0,
            "optimizer": Muon(kind="muon") if isinstance(recipe.optimizer, Muon) else Sgd(),
        }
    )


@lru_cache(maxsize=64)
def _plain(recipe: Recipe, image: ImageShape | None) -> tuple[str, ...]:
    rows = _rows(recipe, image)
    added = {number - 1 - layer.back for number, layer in enumerate(recipe.network) if isinstance(layer, Residual)}
    places: list[_Place] = []
    for number, (layer, row) in enumerate(zip(recipe.network, rows, strict=True)):
        if passes_on(layer, row) is not None:
            continue
        place = _Place(_renamed(recipe, layer, row), (number,))
        if places and (merged := _merged(places[-1], place, added)):
            places[-1] = merged
        else:
            places.append(place)
    return tuple(_texts(places))


def idle_layers(recipe: Recipe, sizes: ImageSizes | None) -> tuple[Idle, ...]:
    """Layers, and biases, that do nothing; and a relu that cuts off what the network says of its classes."""
    return _idle(_all_that_matters(recipe), sizes and sizes.image)


@lru_cache(maxsize=64)
def _idle(recipe: Recipe, image: ImageShape | None) -> tuple[Idle, ...]:
    return tuple(_idle_layers(recipe, _rows(recipe, image)))


def _idle_layers(recipe: Recipe, rows: Sequence[LayerGeometry | None]) -> Iterator[Idle]:
    for number, (layer, row) in enumerate(zip(recipe.network, rows, strict=True), 1):
        if why := passes_on(layer, row):
            yield Idle(("network",), f"layer {number} ('{layer}') does nothing", why, "leave it out")
        steps = layer.steps(recipe.block)
        if isinstance(layer, Conv | Depthwise | Linear) and layer.bias and has_step(steps[:1], BatchNorm):
            what = f"the bias of layer {number} ('{layer}') does nothing"
            yield Idle(("network",), what, "the batch norm right after it takes it away again", "leave it out")
    yield from _end_notes(recipe)


def _end_notes(recipe: Recipe) -> Iterator[Idle]:
    """A relu behind all else: no class can be spoken against."""
    number = len(recipe.network)
    while number > 1 and isinstance(recipe.network[number - 1], GlobalAvgPool | MaxPool | AvgPool):
        number -= 1
    layer = recipe.network[number - 1]
    last = [step for step in layer.steps(recipe.block) if not isinstance(step, Dropout)][-1:]
    if has_step(last, Relu):
        bare = replace(layer, block=Block()) if isinstance(layer, Conv | Depthwise | Linear) else layer
        what = f"the relu at the end of layer {number} ('{layer}') makes 0 of each negative score of a class"
        yield Idle((), what, "the loss takes the softmax of the scores, of either sign", f"write '{bare}'")


def passes_on(layer: Layer, row: LayerGeometry | None) -> str | None:
    """Why a layer gives what it gets, if it does."""
    if isinstance(layer, MaxPool | AvgPool) and layer.kernel == layer.stride == 1:
        return "its windows are one pixel each"
    if row and _windows_of(layer, row) == _Windows(1, _single_pixels(row.in_size)):
        return "its input is one pixel" if row.in_size == 1 else "but for padding, its windows are one pixel each"
    return None


def _single_pixels(size: Sides) -> tuple[Covered, Covered]:
    down, across = (tuple(1 << n for n in range(side)) for side in pair(size))
    return down, across


def _rows(recipe: Recipe, image: ImageShape | None) -> Sequence[LayerGeometry | None]:
    try:
        return recipe.network_for(image).rows if image else [None] * len(recipe.network)
    except GeometryError:
        return [None] * len(recipe.network)


def _plain_block(recipe: Recipe, layer: Layer) -> Block:
    """No dropout where its probability is 0; an activation goes before a dropout beside it: they may change places.

    Of two activations beside each other that are one, the one.
    """
    steps: list[Step] = []
    drops: list[Step] = []  # since the last step that cannot change places with them
    for step in layer.steps(recipe.block):
        if isinstance(step, Dropout):
            drops += [step] if recipe.dropout else []
        elif isinstance(step, BatchNorm):
            steps, drops = [*steps, *drops, step], []
        elif steps and (both := step.after(steps[-1])):
            steps[-1] = both
        else:
            steps.append(step)
    return Block((*steps, *drops))


def _renamed(recipe: Recipe, layer: Layer, row: LayerGeometry | None) -> Layer | _Windows:
    """A layer by the one name for what it does; a stride that is never taken is 1."""
    if windows := _windows_of(layer, row):
        return windows
    block = _plain_block(recipe, layer)
    match layer:
        case Linear() if row:
            layer = Conv(layer.out_features, row.in_size, bias=layer.bias, block=block)
        case Depthwise() if row and row.in_channels == 1 and not isinstance(recipe.optimizer, Muon):
            layer = Conv(1, layer.kernel, layer.stride, layer.padding, layer.bias, block)
        case MaxPool(kernel=1):  # of one pixel, the maximum is the mean
            layer = AvgPool(1, layer.stride)
        case Conv() | Depthwise() | Linear():
            layer = replace(layer, block=block)
    if row and isinstance(layer, Conv | Depthwise):
        return replace(layer, stride=each(lambda n, stride: stride if n > 1 else 1, row.out_size, layer.stride))
    return layer


def _merged(first: _Place, second: _Place, added: set[int]) -> _Place | None:
    """Two pools as one, where windows of windows are windows and no residual adds what is between them."""
    one, other, numbers = first.layer, second.layer, (*first.numbers, *second.numbers)
    if set(first.numbers) & added:
        return None
    if isinstance(one, _Windows) and isinstance(other, _Windows):
        windows = other.of(one)
        return _Place(windows, numbers) if windows else None
    if not isinstance(one, MaxPool | AvgPool) or type(one) is not type(other):
        return None
    assert isinstance(other, MaxPool | AvgPool)
    gapless = all(stride <= kernel for stride, kernel in zip(pair(one.stride), pair(one.kernel), strict=True))
    whole = gapless if isinstance(one, MaxPool) else one.stride == one.kernel
    if one.padding or other.padding or not whole:
        return None
    kernel = each(lambda inner, outer, stride: inner + (outer - 1) * stride, one.kernel, other.kernel, one.stride)
    return _Place(type(one)(kernel, each(mul, one.stride, other.stride)), numbers)


def _texts(places: Sequence[_Place]) -> Iterator[str]:
    """Each layer's text; what a residual adds by the number of the last layer here that stands at or before it."""
    for place in places:
        if not isinstance(place.layer, Residual):
            yield str(place.layer)
            continue
        source = place.numbers[0] - 1 - place.layer.back
        found = [at for at, each in enumerate(places) if each.numbers[0] <= source]
        yield f"residual of {found[-1] if found else 'the image'}"
