"""Recipe: all that decides a training besides the images, the seed and the engine. One field per concept."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Tag,
    WithJsonSchema,
)

from stepladder._base.frozen import KIND, Frozen
from stepladder._base.wording import shown
from stepladder.errors import LadderError
from stepladder.networks.geometry import ImageShape, Network, require_shape
from stepladder.networks.ops import (
    LAYERS,
    Block,
    Layer,
)
from stepladder.networks.ops.block import USUAL
from stepladder.networks.text import parse
from stepladder.recipes.schedules import Constant, Schedule, epochs_text


def _read_layer(value: object) -> Layer:
    if isinstance(value, str):
        return _parsed(value)
    if isinstance(value, Layer):
        return value
    raise LadderError(f"a layer is a text such as 'conv 16 3x3', not {shown(value)}")


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Layer:
    """Thousands of runs have the same few layers."""
    return parse(text)


@lru_cache(maxsize=256)
def _parsed_block(text: str) -> Block:
    return Block.parse(text)


def _read_network(value: object) -> object:
    if not isinstance(value, list | tuple) or not value:
        raise LadderError("a network is a list of at least one layer, such as ['conv 8', 'gap', 'linear 10']")
    return tuple(value)


def _read_block(value: object) -> Block:
    if isinstance(value, str):
        return _parsed_block(value)
    if isinstance(value, Block):
        return value
    raise LadderError(f"a block order is a text such as 'conv relu norm', not {shown(value)}")


_A_LAYER = rf"^\s*({'|'.join(LAYERS)})(\s|$)"
_LAYER_SCHEMA = {"type": "string", "description": "a layer, such as 'conv 16 3x3'", "pattern": _A_LAYER}
_BLOCK_SCHEMA = {"type": "string", "description": "a block order, such as 'conv relu norm'", "pattern": r"^\s*conv\b"}

TextLayer = Annotated[Layer, PlainValidator(_read_layer), PlainSerializer(str), WithJsonSchema(_LAYER_SCHEMA)]
TextBlock = Annotated[Block, PlainValidator(_read_block), PlainSerializer(str), WithJsonSchema(_BLOCK_SCHEMA)]


class Augment(Frozen):
    """Random distortion of each training image, anew at each epoch: one bilinear warp about the centre, zeros outside.

    Rotation, shift, scale and shear are drawn uniformly from their ranges. Nothing is distorted by default. Pixels are
    as many down as across, whatever the images' sides; those of one row or one column, as signals are, are moved along
    it and not turned.
    """

    rotation_deg: float = Field(default=0.0, ge=0, le=180, description="rotation by up to this many degrees either way")
    shift_px: float = Field(
        default=0.0, ge=0, le=1000, description="shift by up to this many pixels, horizontally and vertically"
    )
    scale: float = Field(default=0.0, ge=0, lt=1, description="enlarged or reduced by up to this fraction")
    shear_deg: float = Field(default=0.0, ge=0, lt=90, description="shear by up to this many degrees either way")
    mirror: bool = Field(default=False, description="horizontal flip of each image with probability 1/2")
    elastic_px: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="elastic warp: each row and each column of pixels is displaced, horizontally and vertically, by a"
        " random curve of four cosines whose root mean square is this many pixels",
    )
    cutout_px: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="a square with sides of this many pixels is blackened, its centre anywhere (DeVries & Taylor 2017)",
    )

    def __str__(self) -> str:
        parts = [
            f"rotation ±{self.rotation_deg:g}°" if self.rotation_deg else "",
            f"shift ±{self.shift_px:g} px" if self.shift_px else "",
            f"scale ±{100 * self.scale:g}%" if self.scale else "",
            f"shear ±{self.shear_deg:g}°" if self.shear_deg else "",
            "horizontal flip" if self.mirror else "",
            f"elastic {self.elastic_px:g} px" if self.elastic_px else "",
            f"cutout {self.cutout_px} px" if self.cutout_px else "",
        ]
        return ", ".join(part for part in parts if part) or "none"


class Sgd(Frozen):
    """Stochastic gradient descent (Sutskever et al. 2013, in PyTorch's form: v = momentum v + g; w -= lr v)."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum")
    nesterov: bool = Field(default=False, description="look ahead by one step of the momentum")

    def __str__(self) -> str:
        return f"SGD, momentum {self.momentum:g}" + (", nesterov" if self.nesterov else "")


class Adam(Frozen):
    """Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019), whose weight decay stays out of the moments."""

    kind: Literal["adam", "adamw"] = KIND
    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the mean of gradients")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="decay of the mean of squared gradients")
    epsilon: float = Field(default=1e-8, gt=0, description="added to the root of the mean of squares")

    def __str__(self) -> str:
        name = "AdamW" if self.kind == "adamw" else "Adam"
        return f"{name}, betas {self.beta1:g} and {self.beta2:g}"


class Muon(Frozen):
    """Muon (Jordan et al. 2024): SGD with momentum, where the step of each weight matrix is first made orthogonal.

    A convolution's matrix has a row for each of its output channels. As the paper advises, the last layer is left out,
    and so is whatever is no matrix between feature maps: depthwise weights, those of a squeeze-excite, biases and batch
    norm are trained by plain SGD with the same momentum. The step of a matrix with more rows than columns is multiplied
    by the square root of rows / columns (torch.optim.Muon).
    """

    kind: Literal["muon"] = KIND
    momentum: float = Field(default=0.95, ge=0, lt=1, description="momentum")
    nesterov: bool = Field(default=True, description="look ahead by one step of the momentum")
    n_steps: int = Field(
        default=5, ge=1, le=100, description="rounds of the Newton-Schulz iteration that makes the step orthogonal"
    )
    other_lr: float = Field(
        default=1.0, gt=0, description="the learning rate of what plain SGD trains, as a fraction of lr"
    )

    def __str__(self) -> str:
        nesterov = ", nesterov" if self.nesterov else ""
        others = f"others at {self.other_lr:g} times lr"
        return f"Muon, momentum {self.momentum:g}{nesterov}, {self.n_steps} rounds, {others}"


def _optimizer_kind(value: object) -> str:
    """SGD unless said otherwise; of what is no table, whatever was said."""
    kind = value.get("kind", "sgd") if isinstance(value, dict) else getattr(value, "kind", f"no table: {value!r}")
    return "adam" if kind == "adamw" else str(kind)


class Average(Frozen):
    """What is evaluated, and kept: an exponential moving average of weights and batch norm statistics.

    Polyak & Juditsky 1992, as in Tarvainen & Valpola 2017; corrected for its start as Adam's moments are. The training
    itself is not touched.
    """

    horizon_epochs: float = Field(
        gt=0, description="weights this many epochs old count 1/e as much as the current ones"
    )
    every_steps: int = Field(default=10, ge=1, description="steps between two looks at the weights")

    def __str__(self) -> str:
        return f"over {epochs_text(self.horizon_epochs)}"


class SharpnessAware(Frozen):
    """Sharpness-aware minimisation (SAM, Foret et al. 2021): the gradient is taken where the loss nearby is high.

    It comes from a second pass over the same batch, with weights moved up the gradient of the first by ``radius``;
    dropout is drawn anew, and batch norm's statistics are those of the first pass. An epoch is still one look at each
    image, but takes twice the time.
    """

    radius: float = Field(gt=0, description="how far the weights are moved: the length of the step over all parameters")

    def __str__(self) -> str:
        return f"radius {self.radius:g}"


class CrossEntropy(Frozen):
    """Mean cross-entropy of the softmax of the logits; label smoothing as in Szegedy et al. 2016."""

    kind: Literal["cross-entropy"] = "cross-entropy"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="probability spread evenly over all classes")

    def __str__(self) -> str:
        return "cross-entropy" + (f", label smoothing {self.label_smoothing:g}" if self.label_smoothing else "")


NetworkLayers = Annotated[
    tuple[TextLayer, ...], BeforeValidator(_read_network), Field(json_schema_extra={"minItems": 1})
]


def _read_seeds(value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    if len(set(map(repr, value))) < len(value):
        raise LadderError("a seed is given more than once, and trains the same teacher: give each once")
    return tuple(sorted(value)) if all(isinstance(seed, int) for seed in value) else tuple(value)


class Distill(Frozen):
    """Distillation (Hinton et al. 2015): what other networks predict for the same distorted images is the target.

    A teacher is this recipe with a network of its own, trained first, on the same images; it sees each image as the
    student does (which matters: Beyer et al. 2022). Without ``seeds`` each run has a teacher of its own, trained with
    the run's seed. With them there is one teacher for each seed, the targets are the mean of their probabilities, and
    all runs on the same images learn from the same teachers: intervals over the runs' seeds then say nothing about
    other teachers. Give seeds that the runs do not have. If a teacher diverges, so do its students. A teacher's
    parameters do not count towards the budget.
    """

    network: NetworkLayers = Field(description="a teacher's layers, as texts")
    share: float = Field(1.0, gt=0, le=1, description="the teachers' share of the targets; the rest is the label's")
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_read_seeds)] = Field(
        (), description="the teachers' seeds, shared by all runs; if empty, one teacher with the run's own seed"
    )

    if TYPE_CHECKING:

        def __init__(
            self, network: Sequence[str | Layer], *, share: float = 1.0, seeds: Sequence[int] = ()
        ) -> None: ...

    def seeds_for(self, own: int) -> tuple[int, ...]:
        """Seeds of the teachers of a run with this seed of its own."""
        return self.seeds or (own,)

    def __str__(self) -> str:
        seeds = f", seeds {', '.join(map(str, self.seeds))}" if self.seeds else ""
        share = "" if self.share == 1 else f", {100 * self.share:g}% of the targets"
        return f"from {describe_network(self.network)}{seeds}{share}"


class Recipe(Frozen):
    """One field per concept; a rung changes exactly one. In ``augment`` each distortion is a concept (see concepts).

    A default is a promise: a stored run is found again by the fields in which its recipe differs from the defaults,
    so a default never changes its meaning, and a new field's default is what was done before the field existed.
    """

    network: NetworkLayers = Field(description="the layers, as texts")
    block: TextBlock = Field(USUAL, description="what follows each convolution, in order")
    norm_scale: bool = Field(
        True,
        description="whether batch norm learns a scale as well as a shift; the weights that follow can do the same",
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="probability that a value is set to zero, at each 'dropout' of a block"
    )
    augment: Augment = Field(Augment(), description="random distortion of training images")
    optimizer: Annotated[
        Annotated[Sgd, Tag("sgd")] | Annotated[Adam, Tag("adam")] | Annotated[Muon, Tag("muon")],
        Discriminator(
            _optimizer_kind,
            custom_error_type="optimizer",
            custom_error_message="the kind of an optimizer is 'sgd', 'adam', 'adamw' or 'muon', as in kind = \"muon\"",
        ),
    ] = Field(Sgd(), description="how gradients become steps of the parameters")
    lr: float = Field(0.01, gt=0, description="learning rate, before the schedule")
    schedule: Schedule = Field(Constant(), discriminator="kind", description="how the learning rate changes")
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="times the weight, added to its gradient (AdamW and Muon: times lr too, subtracted from the weight)"
        "; weights of convolutions and linear layers only",
    )
    loss: CrossEntropy = Field(CrossEntropy(), description="what training minimises")
    batch_size: int = Field(
        64, ge=1, le=65536, description="images per step; the last batch of an epoch may be smaller"
    )
    epochs: int = Field(ge=1, le=100_000, description="passes over the training images")
    clean_epochs: int = Field(0, ge=0, description="the number of last epochs that train on undistorted images")
    sharpness_aware: SharpnessAware | None = Field(
        None, description="take the gradient where the loss nearby is high: two passes a step"
    )
    average: Average | None = Field(None, description="evaluate an average of the weights instead of the last ones")
    distill: Distill | None = Field(None, description="learn from what other networks, trained first, predict")
    recalibrate_images: int = Field(
        0,
        ge=0,
        description="recompute batch norm's statistics for evaluation over this many training images, undistorted and"
        " without dropout, in whole batches (Wu & Johnson 2021); with 0 those of the training are kept",
    )

    if TYPE_CHECKING:

        def __init__(self, network: Sequence[str | Layer], *, epochs: int, **fields: Any) -> None: ...

    def __str__(self) -> str:
        return repr(self)

    @property
    def teacher(self) -> "Recipe | None":
        """The recipe of the networks that it learns from; None without distillation."""
        if self.distill is None:
            return None
        return self.model_copy(update={"network": self.distill.network, "distill": None})

    @property
    def recalibration_batches(self) -> int:
        """Batches that statistics are recomputed over, if there are that many."""
        return -(-self.recalibrate_images // self.batch_size)

    def network_for(self, image: ImageShape) -> Network:
        """The network on images of this shape; raises GeometryError where it does not fit."""
        require_shape(image, of="network_for")
        return _network(self.network, self.block, image, self.norm_scale)

    def essence(self) -> dict[str, Any]:
        """The fields that differ from the defaults, as JSON values: what a stored run is keyed by."""
        return self.model_dump(mode="json", exclude_defaults=True)


@lru_cache(maxsize=64)
def _network(layers: tuple[Layer, ...], block: Block, image: ImageShape, norm_scale: bool) -> Network:
    """Rungs that do not change the network share one."""
    return Network(layers, block, image, norm_scale)


def changed_fields(below: Recipe, above: Recipe) -> tuple[str, ...]:
    """Names of the concepts in which two recipes differ, in the order of Recipe."""
    return tuple(name for name in Recipe.model_fields if getattr(below, name) != getattr(above, name))


def describe(name: str, value: Any) -> str:
    """A concept's value in words, for tables and messages: ``describe("dropout", 0.05) == "5%"``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "network":
        return describe_network(value)
    if name == "dropout":
        return f"{100 * value:g}%" if value else "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


SHORTHAND = (
    "A network in short, as in 8-8-P-12p-16b-gap-10: a number is a 3x3 convolution with that many channels, or at the"
    " end a linear layer with that many outputs; P and A are 2x2 max and average pools, gap is the global average pool."
    " What follows a number or a pool: k5 for a 5x5 kernel, s2 for stride 2, p for pad 1, + for a bias, n for none, b"
    " for bare (no activation, norm or dropout), [relu] for just these steps. dw is a depthwise convolution, r2 adds"
    " the input of the layer two before, se4 is a squeeze-excite of 4 values."
)


def describe_network(layers: Sequence[Layer]) -> str:
    """A network on one line, in SHORTHAND; two different networks never read the same."""
    return "-".join(layer.short for layer in layers)
