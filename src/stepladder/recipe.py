"""Recipe: all that decides a training besides the images, the seed and the engine. One field per concept."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from stepladder.geometry import ImageShape, Network
from stepladder.layers import Block, Conv, Depthwise, GlobalAvgPool, Layer, Linear, parse


class Frozen(BaseModel):
    """A frozen record that refuses fields it does not know, and numbers that are no numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )


def _read_layer(value: object) -> object:
    return parse(value) if isinstance(value, str) else value


def _read_block(value: object) -> object:
    return Block.parse(value) if isinstance(value, str) else value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


TextLayer = Annotated[Layer, BeforeValidator(_read_layer), PlainSerializer(str)]
TextBlock = Annotated[Block, BeforeValidator(_read_block), PlainSerializer(str)]


class Augment(Frozen):
    """Random distortion of each training image, anew at each epoch: one bilinear warp about the centre, zeros outside.

    Each quantity is drawn uniformly from its range. Nothing is distorted by default.
    """

    rotation_deg: float = Field(0.0, ge=0, le=180, description="rotated by up to this many degrees either way")
    shift_px: float = Field(0.0, ge=0, description="moved by up to this many pixels, across and down separately")
    scale: float = Field(0.0, ge=0, lt=1, description="enlarged or shrunk by up to this fraction")
    shear_deg: float = Field(0.0, ge=0, lt=90, description="sheared by up to this many degrees either way")

    def __str__(self) -> str:
        parts = [
            f"rotation ±{self.rotation_deg:g}°" if self.rotation_deg else "",
            f"shift ±{self.shift_px:g} px" if self.shift_px else "",
            f"scale ±{100 * self.scale:g}%" if self.scale else "",
            f"shear ±{self.shear_deg:g}°" if self.shear_deg else "",
        ]
        return ", ".join(part for part in parts if part) or "none"


class Sgd(Frozen):
    """Stochastic gradient descent (Sutskever et al. 2013, in PyTorch's form: v = momentum v + g; w -= lr v)."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum")
    nesterov: bool = Field(False, description="look one step of the momentum ahead")

    def __str__(self) -> str:
        return f"SGD, momentum {self.momentum:g}" + (", nesterov" if self.nesterov else "")


class Constant(Frozen):
    """The same learning rate at every step."""

    kind: Literal["constant"] = "constant"

    def __str__(self) -> str:
        return "constant"


class Step(Frozen):
    """The learning rate is multiplied by ``factor`` after every ``every_epochs`` epochs (PyTorch's StepLR)."""

    kind: Literal["step"]
    every_epochs: int = Field(ge=1, description="epochs between two drops")
    factor: float = Field(0.1, gt=0, lt=1, description="what the learning rate is multiplied by")

    def __str__(self) -> str:
        return f"times {self.factor:g} every {self.every_epochs} epochs"


class CrossEntropy(Frozen):
    """Mean cross-entropy of the softmax of the logits; label smoothing as in Szegedy et al. 2016."""

    kind: Literal["cross-entropy"] = "cross-entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability spread evenly over all classes")

    def __str__(self) -> str:
        return "cross-entropy" + (f", label smoothing {self.label_smoothing:g}" if self.label_smoothing else "")


class Recipe(Frozen):
    """One field per concept: a rung of a ladder changes exactly one of them.

    A default is a promise: a stored run is found again by the fields in which its recipe differs from the defaults,
    so a default never changes its meaning, and a new field's default is what was done before the field existed.
    """

    network: Annotated[tuple[TextLayer, ...], BeforeValidator(_tuple)] = Field(
        description="the layers, in their text form", min_length=1
    )
    block: TextBlock = Field(Block(("relu", "norm", "dropout")), description="what follows each convolution, in order")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability of zeroing a value at each 'dropout' of a block")
    augment: Augment = Field(Augment(), description="random distortion of training images")
    optimizer: Sgd = Field(Sgd(), description="how gradients move the parameters")
    lr: float = Field(0.01, gt=0, description="learning rate before its schedule")
    schedule: Constant | Step = Field(Constant(), discriminator="kind", description="how the learning rate changes")
    weight_decay: float = Field(
        0.0, ge=0, description="added to a weight's gradient, times the weight; convolution and linear weights only"
    )
    loss: CrossEntropy = Field(CrossEntropy(), description="what is minimised")
    batch_size: int = Field(64, ge=1, le=65536, description="images per step; a smaller last batch is kept")
    epochs: int = Field(ge=1, le=100_000, description="passes over the training images")

    def network_for(self, image: ImageShape) -> Network:
        """The network on these images; raises GeometryError where it does not fit."""
        return Network(self.network, self.block, image)

    def essence(self) -> dict[str, Any]:
        """The fields that differ from the defaults, as JSON values: what a stored run is keyed by."""
        return self.model_dump(mode="json", exclude_defaults=True)


def changed_fields(below: Recipe, above: Recipe) -> tuple[str, ...]:
    """Names of the concepts in which two recipes differ, in the order of Recipe."""
    return tuple(name for name in Recipe.model_fields if getattr(below, name) != getattr(above, name))


def describe(name: str, value: Any) -> str:
    """A concept's value in words, for tables and messages: ``describe("dropout", 0.05) == "5%"``."""
    if name == "network":
        return describe_network(value)
    if name == "dropout":
        return f"{100 * value:g}%" if value else "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def describe_network(layers: Sequence[Layer]) -> str:
    """A network on one line, as in ``8-8-P-12p-gap-10``: channels, p padded, P pool, b bare, dw depthwise."""
    return "-".join(_short(layer) for layer in layers)


def _short(layer: Layer) -> str:
    match layer:
        case Conv() | Depthwise():
            size = "" if layer.kernel == 3 else f"k{layer.kernel}"
            name = f"{layer.out_channels}" if isinstance(layer, Conv) else "dw"
            marks = ("p" if layer.padding else "") + (f"s{layer.stride}" if layer.stride > 1 else "")
            bare = "b" if layer.block == Block() else ""
            return name + size + marks + bare
        case GlobalAvgPool():
            return "gap"
        case Linear():
            return str(layer.out_features)
        case _:
            return "P" if layer.kernel == 2 else f"P{layer.kernel}"
