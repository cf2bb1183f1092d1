"""What integers alone tell of a network: sizes, receptive fields, parameters, multiply-adds. No numpy, no torch.

Receptive fields follow Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural Networks"
(Distill 2019): with jump j (input pixels between neighbouring outputs) and receptive field r, a layer of kernel k and
stride s gives r + (k - 1) j and j s, down and across each for itself. Where both are the same, as with square images
and kernels, one number says both (see sides).

A squeeze-excite multiplies every pixel by what the means of its whole input decide, so that a pixel sees all of it. In
a direction of n pixels that is a window of 2 n - 1 around each: the literature, which leaves the gate out of the field,
says less than gradients show.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import prod
from operator import add, sub
from operator import index as as_integer
from typing import Any

from stepladder._base.given import require
from stepladder._base.late import Drawn
from stepladder._base.wording import n_of, shown
from stepladder.errors import GeometryError, LadderError
from stepladder.networks import sides
from stepladder.networks.ops import (
    BatchNorm,
    Block,
    Conv,
    Depthwise,
    GlobalAvgPool,
    Layer,
    Linear,
    Shape,
    SqueezeExcite,
    Step,
    Window,
    has_step,
    op,
)
from stepladder.networks.sides import Sides, each, joined, pair


@dataclass(frozen=True)
class ImageShape:
    """The images a network sees, each of one of n_classes: channels x size x size pixels, or of a size (height, width).

    ``ImageShape(channels=1, size=28, n_classes=10)``, ``ImageShape(channels=1, size=(49, 10), n_classes=12)``.
    """

    channels: int
    size: Sides
    n_classes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sides.plain(self.size))
        for name, value in vars(self).items():
            counts = value if name == "size" and isinstance(value, tuple) and len(value) == 2 else (value,)
            if not all(map(_is_count, counts)):
                two = ", or two, (height, width)" if name == "size" else ""
                raise LadderError(f"{name} of images is a whole number from 1 on{two}, not {shown(value)}")

    @property
    def height(self) -> int:
        return pair(self.size)[0]

    @property
    def width(self) -> int:
        return pair(self.size)[1]

    @property
    def n_pixels(self) -> int:
        """Of one channel."""
        return self.height * self.width

    @property
    def in_words(self) -> str:
        """``1 x 28 x 28``: channels, height, width."""
        return f"{self.channels} x {self.height} x {self.width}"


def _is_count(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and as_integer(value) >= 1
    except TypeError:
        return False


def require_shape(value: Any, *, of: str) -> None:
    """Raise LadderError for what is no shape of images, given to a function of this name."""
    remedy = 'write sl.ImageShape(channels=1, size=28, n_classes=10), or take sl.dataset("mnist").info.image'
    require(ImageShape, value, of=of, takes="the shape of images", remedy=remedy)


@dataclass(frozen=True)
class LayerGeometry:
    """One layer in its place. Sizes are pixels per side; rf and jump are counted in pixels of the image.

    All of them are one number for both directions, or (down, across).

    ``rf_start`` is where the receptive field of the first output pixel starts, negative when in the padding: output
    pixel i sees no other image pixels than the ``rf_out`` from ``rf_start + i * jump_out`` on (fewer at the rim).
    ``parameters`` maps the names of trainable arrays to their shapes, batch norm's scale and shift included.
    ``macs`` counts multiply-adds of convolutions and linear layers, a squeeze-excite's two among them, for one image.
    """

    index: int
    layer: Layer
    steps: tuple[Step, ...]
    in_channels: int
    out_channels: int
    in_size: Sides
    kernel: Sides
    padding: Sides
    stride: Sides
    out_size: Sides
    jump_in: Sides
    jump_out: Sides
    rf_in: Sides
    rf_out: Sides
    rf_start: Sides
    parameters: dict[str, Shape]
    macs: int

    @cached_property
    def params(self) -> int:
        return sum(prod(shape) for shape in self.parameters.values())

    @property
    def operation(self) -> str:
        """The name of the layer's operation, as tables have it."""
        return self.layer.title

    @property
    def added(self) -> int | None:
        """The index of the layer whose output a residual adds."""
        return self.layer.added(self.index)

    @cached_property
    def window(self) -> Window:
        return Window(self.kernel, self.padding, self.stride, self.in_size)

    def has(self, kind: type[op.Step]) -> bool:
        """Whether one of the steps is of this kind."""
        return has_step(self.steps, kind)


@dataclass(frozen=True)
class Network(Drawn):
    """Layers, the block order of its convolutions, the images it is for, and whether its batch norms learn a scale.

    Raises GeometryError when made of layers that do not fit: a kernel larger than its padded input, or an end that
    is not one number per class.
    """

    layers: tuple[Layer, ...]
    block: Block
    image: ImageShape
    norm_scale: bool = True

    def __repr__(self) -> str:
        return f"<Network of {n_of(len(self.layers), 'layer')}: {n_of(self.params, 'parameter')}>"

    def __post_init__(self) -> None:
        if not self.rows:
            raise GeometryError("a network without layers")
        end = self.rows[-1]
        if (end.out_channels, end.out_size) != (self.image.n_classes, 1):
            values = f"{end.out_channels} x {sides.full_text(end.out_size, ' x ')} values"
            n_classes = self.image.n_classes
            raise GeometryError(
                f"the network ends in {values}; it must end in one number for each of {n_classes} classes, as 'gap' and"
                f" 'linear {n_classes}' do"
            )

    @cached_property
    def rows(self) -> tuple[LayerGeometry, ...]:
        """The geometry of each layer."""
        rows: list[LayerGeometry] = []
        for index, layer in enumerate(self.layers):
            row = _place(index, layer, self, rows[-1] if rows else None)
            if row.added is not None:
                _require_same_shape(row, row.added, rows)
            rows.append(row)
        return tuple(rows)

    @cached_property
    def params(self) -> int:
        """All trainable numbers."""
        return sum(row.params for row in self.rows)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of one image's forward pass."""
        return sum(row.macs for row in self.rows)

    @property
    def receptive_field(self) -> Sides:
        """Pixels per side that one of the network's outputs can see, those of padding included.

        A linear layer sees all of its input, as a global average does: it is a kernel that reaches all of it.
        """
        return largest(row.rf_out for row in self.rows)

    @property
    def largest(self) -> LayerGeometry:
        """The layer with the most parameters."""
        return max(self.rows, key=lambda row: row.params)

    @cached_property
    def parameter_shapes(self) -> dict[str, Shape]:
        """Names and shapes of all trainable arrays, in layer order."""
        return {name: shape for row in self.rows for name, shape in row.parameters.items()}

    @cached_property
    def parameter_slices(self) -> dict[str, slice]:
        """Where each trainable array is in a flat array of all."""
        ends = list(accumulate(map(prod, self.parameter_shapes.values()), initial=0))
        return {name: slice(*ends[number : number + 2]) for number, name in enumerate(self.parameter_shapes)}

    @cached_property
    def statistic_shapes(self) -> dict[str, Shape]:
        """Names and shapes of what steps learn from what they see: batch norm's running means and variances."""
        return {
            f"{row.index}.{name}": shape
            for row in self.rows
            for step in row.steps
            for name, shape in step.statistics(row.out_channels).items()
        }


def _place(index: int, layer: Layer, network: Network, below: LayerGeometry | None) -> LayerGeometry:
    image = network.image
    in_channels, in_size = (below.out_channels, below.out_size) if below else (image.channels, image.size)
    jump, rf, start = (below.jump_out, below.rf_out, below.rf_start) if below else (1, 1, 0)
    window = layer.window(in_size)
    kernel, padding, stride, out_size = window.kernel, window.padding, window.stride, window.out_size
    if min(pair(out_size)) < 1:
        pad = f" padded by {sides.text(padding)}" if padding else ""
        raise GeometryError(
            f"layer {index + 1} ('{layer}') has a {sides.full_text(kernel)} kernel but its input is"
            f" {sides.full_text(in_size)}{pad}:"
            " use a smaller kernel, padding, or fewer pools and strides before it",
            layer_index=index,
        )
    out_channels, steps = layer.channels(in_channels), _steps(layer, network)
    shapes = layer.parameters(in_channels, in_size)
    for step in steps:
        shapes |= step.parameters(out_channels)
    return LayerGeometry(
        index=index,
        layer=layer,
        steps=steps,
        in_channels=in_channels,
        out_channels=out_channels,
        in_size=in_size,
        kernel=kernel,
        padding=padding,
        stride=stride,
        out_size=out_size,
        jump_in=jump,
        jump_out=each(lambda jump, stride: jump * stride, jump, stride),
        rf_in=rf,
        rf_out=each(lambda rf, kernel, jump: rf + (kernel - 1) * jump, rf, kernel, jump),
        rf_start=each(lambda start, padding, jump: start - padding * jump, start, padding, jump),
        parameters={f"{index}.{name}": shape for name, shape in shapes.items()},
        macs=layer.macs(in_channels, in_size),
    )


def _steps(layer: Layer, network: Network) -> tuple[Step, ...]:
    """What follows an operation: its own block or the network's; whether norms have a scale is the network's to say."""
    steps = layer.steps(network.block)
    return tuple(replace(step, scale=network.norm_scale) if isinstance(step, BatchNorm) else step for step in steps)


def _require_same_shape(row: LayerGeometry, added: int, rows: list[LayerGeometry]) -> None:
    """Raise GeometryError where a residual has nothing to add, or values of other places in the image."""
    where = f"layer {row.index + 1} ('{row.layer}')"
    if added < 0:
        raise GeometryError(
            f"{where} goes back to the image or beyond it: it can add what a layer gave", layer_index=row.index
        )
    other = rows[added]
    theirs, ours = ((one.out_channels, one.out_size, one.jump_out) for one in (other, row))
    if theirs != ours:
        found = [
            f"{channels} x {sides.full_text(size, ' x ')} values, {sides.text(jump)} px apart"
            for channels, size, jump in (ours, theirs)
        ]
        raise GeometryError(
            f"{where} adds to its {found[0]}, what layer {added + 1} ('{other.layer}') gave: {found[1]}. Give the"
            " layers between as many channels, stride 1 and padding",
            layer_index=row.index,
        )


def largest(found: Iterable[Sides]) -> Sides:
    """The largest number in each direction."""
    down, across = zip(*map(pair, found), strict=True)
    return joined(max(down), max(across))


def sees(network: Network) -> Sides | None:
    """How many pixels a side a value sees before the global average or a linear layer; None without convolutions.

    What a squeeze-excite gate sees, all of the image, does not count.
    """
    if not any(isinstance(row.layer, Conv | Depthwise) for row in network.rows):
        return None
    gates = [_less(row.rf_out, row.rf_in) if isinstance(row.layer, SqueezeExcite) else 0 for row in network.rows]
    return largest(
        _less(row.rf_out, through_gates)
        for row, through_gates in zip(network.rows, accumulate(gates, _more), strict=True)
        if not isinstance(row.layer, GlobalAvgPool | Linear)
    )


def _more(one: Sides, other: Sides) -> Sides:
    return each(add, one, other)


def _less(one: Sides, other: Sides) -> Sides:
    return each(sub, one, other)
