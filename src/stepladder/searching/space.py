"""The networks and recipes that a search may propose. Parameters are counted in closed form before anything is drawn.

A network is a 3x3 convolution, then stages of units, with a 2x2 max-pool between two stages. A unit of a plain stage is
a 3x3 convolution; one of a separable stage is a bare depthwise 3x3 convolution and a 1x1 convolution; a stage's first
units are padded. The head is 'gap' and 'linear', or the last convolution gives the logits of each place, and 'gap'
their means.

Kinds, depths, paddings and the rest are drawn from what fits the images, and the budget at the narrowest; then how much
of the budget is filled, and how wide the stages are beside each other: no network over the budget is ever proposed.
"""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from math import ceil
from typing import Any, Protocol

from stepladder.errors import BudgetError, GeometryError
from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.ops import BatchNorm, Block, Conv, Depthwise, Dropout, GlobalAvgPool, Layer, Linear, MaxPool
from stepladder.recipes.happening import what_happens
from stepladder.recipes.idle import Sizes
from stepladder.recipes.recipe import Adam, Augment, Average, Recipe, changed_fields
from stepladder.recipes.schedules import Cosine, Schedule, Step

VERSION = 4  # of the space and of how it is judged: searches of different versions are never pooled

# Units in each stage, besides the first convolution: where all pixels are, a unit takes the most time.
MOST_PLAIN, MOST_SEPARABLE = (1, 4, 4), (2, 5, 4)
MOST_POOLS = len(MOST_PLAIN) - 1
NARROWEST, WIDEST = 3, 48  # channels

# Of the same share, a separable stage is wider than a plain one by this: the 1x1 convolution of 3n by 3n channels
# has the 9n² parameters of the 3x3 one of n by n.
SEPARABLE_WIDTH = 3
LEAST_SHARE, MOST_SHARE = 0.5, 2.0
LEAST_FILL = 0.3  # of the budget
BATCH_SIZES = (32, 64, 128)
HORIZONS = (0.0, 0.5, 1.0, 1.5, 2.0)  # epochs of the moving average; 0 for none
SGD_LR = (0.01, 0.2)
ADAM_LR = (0.0005, 0.02)
WEIGHT_DECAY = (1e-5, 1e-3)  # of a base that has some
MOST_DROPOUT, DROPOUT_STEP = 0.1, 0.01
DISTORTIONS = {  # the most of each, and its steps
    "rotation_deg": (15, 1),
    "shift_px": (3.0, 0.5),
    "scale": (0.15, 0.01),
    "shear_deg": (10, 1),
    "elastic_px": (0.5, 0.1),
}
MOST_WARMUP, WARMUP_STEP = 0.3, 0.05  # of all epochs
MOST_DROPS, FACTOR = 3, (0.05, 0.5)
MOST_CLEAN_EPOCHS = 5  # as many as a target usually speaks of; three are best near 1,000 parameters (docs/LOG.md)


class Draw(Protocol):
    """Where choices come from. An Optuna trial is one."""

    def suggest_int(self, name: str, low: int, high: int) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class SearchSpace:
    """What may be proposed: changes of ``base`` on these images, of at most ``params`` parameters.

    ``n_train`` images are trained on. Raises BudgetError if no network is small enough, GeometryError if none fits.
    """

    base: Recipe
    image: ImageShape
    n_train: int
    params: int

    def __post_init__(self) -> None:
        try:
            self.network(SMALLEST)
        except GeometryError:
            raise GeometryError(
                "a search proposes convolutions of 3x3 pixels and pools of 2x2, which images of"
                f" {self.image.height} x {self.image.width} have no room for: climb networks of your own"
            ) from None
        if self.least_params > self.params:
            raise BudgetError(
                f"the smallest network that a search proposes for these images has {self.least_params:,} parameters,"
                f" over the budget of {self.params:,}"
            )

    @property
    def least_params(self) -> int:
        """Parameters of the smallest network in the space."""
        return self.network(SMALLEST).params

    def network(self, design: "Design") -> Network:
        return Network(layers_of(design, self.image.n_classes), self.base.block, self.image, design.norm_scale)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Those that leave no last batch of one image, in which batch norm has nothing to compare."""
        fitting = [size for size in BATCH_SIZES if self.n_train % size != 1]
        return tuple(fitting) or (next(n for n in range(BATCH_SIZES[0], self.n_train) if self.n_train % n != 1),)

    @property
    def horizons(self) -> tuple[float, ...]:
        """Without 'none' where the base has an average: a ladder file has no word to take one away."""
        return HORIZONS if self.base.average is None else HORIZONS[1:]


@dataclass(frozen=True)
class Stage:
    """So many units of one width, the first ones padded. The default is the smallest, and fits anywhere."""

    n_units: int = 1
    n_padded: int = 1
    plain: bool = False
    width: int = NARROWEST


@dataclass(frozen=True)
class Design:
    """A network as it is drawn. The default head is the smallest.

    ``first`` is plain, whatever the first stage is: a depthwise convolution would see the image through one kernel per
    colour. A pool is before each stage but the first, which alone may be empty. Without ``linear`` the last convolution
    gives the logits.
    """

    first: Conv
    stages: tuple[Stage, ...]
    linear: bool = False
    norm_scale: bool = False

    def has_width(self, at: int) -> bool:
        """Whether any convolution is as wide as its stage: one that gives the logits is not."""
        n_logits = at == len(self.stages) - 1 and not self.linear
        return self.stages[at].n_units > n_logits


SMALLEST = Design(Conv(NARROWEST, padding=1), (Stage(0, 0), Stage()))


@dataclass(frozen=True)
class Proposal:
    """A network, and the numbers of its recipe by the names under which they were drawn."""

    layers: tuple[Layer, ...]
    norm_scale: bool
    numbers: dict[str, float]


def propose(space: SearchSpace, draw: Draw) -> Proposal:
    """Draw a proposal: its network fits the images and the budget."""
    design = _draw_design(space, draw)
    return Proposal(layers_of(design, space.image.n_classes), design.norm_scale, _draw_numbers(space, draw))


def recipe_of(space: SearchSpace, proposal: Proposal, *, epochs: int, of_epochs: int | None = None) -> Recipe:
    """A proposal as a recipe of this many epochs: warm-up and drops are parts of them.

    Its clean epochs are those of a whole training of ``of_epochs``, or ``epochs``, and as large a part of a short one.

    Fields whose change would do nothing keep the value of the base: no step of a ladder could show them.
    """
    numbers = proposal.numbers
    horizon = space.horizons[int(numbers["average"])]
    base = space.base
    recipe = base.model_copy(
        update={
            "network": proposal.layers,
            "norm_scale": proposal.norm_scale,
            "dropout": round(numbers["dropout"], 2) if "dropout" in numbers else base.dropout,
            "augment": _augment(numbers, base.augment),
            "lr": _readable(numbers["lr"]),
            "schedule": _schedule(numbers, epochs, base.schedule),
            "weight_decay": _readable(numbers.get("weight_decay", 0.0)),
            "batch_size": space.batch_sizes[int(numbers["batch_size"])],
            "epochs": epochs,
            "clean_epochs": min(round(numbers["clean_epochs"] * epochs / (of_epochs or epochs)), epochs - 1),
            "average": _average(horizon, base.average) if horizon else None,
        }
    )
    return _without_idle_changes(base, recipe, Sizes(space.image, space.n_train))


def _draw_design(space: SearchSpace, draw: Draw) -> Design:
    """Whether norm has a scale, pools, head, kinds, depths and paddings, each from what the choices before it leave."""
    design = SMALLEST

    def choose(name: str, options: Mapping[int, Design]) -> Design:
        """One of the options before the first that does not fit. The first of all is the design so far, which fits."""
        first, *others = options
        fitting = [first, *takewhile(lambda number: fits(space, options[number]), others)]
        drawn = draw.suggest_int(name, min(fitting), max(fitting))  # a guess may be beyond: of a larger budget
        return options[min(max(drawn, min(fitting)), max(fitting))]

    if space.base.block.has(BatchNorm):
        design = choose("norm_scale", {n: replace(design, norm_scale=bool(n)) for n in (0, 1)})
    pools = {n: replace(design, stages=(*design.stages, *[Stage()] * (n - 1))) for n in range(1, MOST_POOLS + 1)}
    design = choose("pools", pools)
    design = choose("linear", {n: replace(design, linear=bool(n)) for n in (0, 1)})
    design = choose("padded_0", {n: replace(design, first=Conv(NARROWEST, padding=n)) for n in (1, 0)})
    for at, stage in enumerate(design.stages):
        design = choose(f"plain_{at + 1}", {n: _with(design, at, plain=bool(n)) for n in (0, 1)})
        most = (MOST_PLAIN if design.stages[at].plain else MOST_SEPARABLE)[at]
        depths = {n: _with(design, at, n_units=n, n_padded=n) for n in range(stage.n_units, most + 1)}
        design = choose(f"units_{at + 1}", depths)
        n_units = design.stages[at].n_units
        design = choose(f"padded_{at + 1}", {n: _with(design, at, n_padded=n) for n in range(n_units, -1, -1)})
    return _draw_widths(space, draw, design)


def _draw_widths(space: SearchSpace, draw: Draw, design: Design) -> Design:
    """The widest of the drawn shares that fits the drawn part of the budget; the narrowest if none does."""
    part = draw.suggest_float("fill", LEAST_FILL, 1.0)
    shares = [
        draw.suggest_float(f"share_{number}", LEAST_SHARE, MOST_SHARE, log=True) if is_used else 1.0
        for number, is_used in enumerate((True, *map(design.has_width, range(len(design.stages)))))
    ]

    def at_width(n_quarters: int) -> Design:
        return widened(design, shares, n_quarters / 4)  # in whole channels, stages would widen together

    most = ceil(4 * SEPARABLE_WIDTH * WIDEST / LEAST_SHARE)
    n_fitting = bisect(range(1, most + 1), part * space.params, key=lambda n: space.network(at_width(n)).params)
    return at_width(max(1, n_fitting))


def widened(design: Design, shares: Sequence[float], n: float) -> Design:
    """Each stage with its share of ``n`` channels, or a third of that if plain; with 1, all are the narrowest.

    The first share is that of the first convolution.
    """

    def width(share: float, *, plain: bool) -> int:
        return min(WIDEST, max(NARROWEST, round(share * n / (SEPARABLE_WIDTH if plain else 1))))

    first, *others = shares
    stages = (
        replace(stage, width=width(share, plain=stage.plain))
        for stage, share in zip(design.stages, others, strict=True)
    )
    return replace(design, first=Conv(width(first, plain=True), padding=design.first.padding), stages=tuple(stages))


def _with(design: Design, at: int, **changes: Any) -> Design:
    """A design with changes of one stage."""
    stages = design.stages
    return replace(design, stages=(*stages[:at], replace(stages[at], **changes), *stages[at + 1 :]))


def fits(space: SearchSpace, design: Design) -> bool:
    try:
        return space.network(design).params <= space.params
    except GeometryError:
        return False


def layers_of(design: Design, n_classes: int) -> tuple[Layer, ...]:
    *units, (before, last) = _units(design)
    layers = [layer for others, conv in units for layer in (*others, conv)]
    if design.linear:
        return (*layers, *before, last, GlobalAvgPool(), Linear(n_classes))
    return (*layers, *before, replace(last, out_channels=n_classes, bias=True, block=Block()), GlobalAvgPool())


def _units(design: Design) -> Iterator[tuple[tuple[Layer, ...], Conv]]:
    """The convolution across channels of each unit, and the layers before it: a pool, a depthwise convolution."""
    yield (), design.first
    for at, stage in enumerate(design.stages):
        for number in range(stage.n_units):
            padding = int(number < stage.n_padded)
            pool = (MaxPool(2, 2),) if at and number == 0 else ()
            if stage.plain:
                yield pool, Conv(stage.width, padding=padding)
            else:
                yield (*pool, Depthwise(padding=padding, block=Block())), Conv(stage.width, 1)


def _draw_numbers(space: SearchSpace, draw: Draw) -> dict[str, float]:
    numbers: dict[str, float] = {
        "batch_size": draw.suggest_int("batch_size", 0, len(space.batch_sizes) - 1),
        "lr": draw.suggest_float("lr", *(ADAM_LR if isinstance(space.base.optimizer, Adam) else SGD_LR), log=True),
        "schedule": draw.suggest_int("schedule", 0, 1),
        **{name: _draw_distortion(draw, name) for name in DISTORTIONS},
        "clean_epochs": draw.suggest_int("clean_epochs", 0, MOST_CLEAN_EPOCHS),
        "average": draw.suggest_int("average", 0, len(space.horizons) - 1),
    }
    if space.base.weight_decay:
        numbers["weight_decay"] = draw.suggest_float("weight_decay", *WEIGHT_DECAY, log=True)
    if space.base.block.has(Dropout):
        numbers["dropout"] = draw.suggest_float("dropout", 0.0, MOST_DROPOUT, step=DROPOUT_STEP)
    if numbers["schedule"] == 0:
        numbers["warmup"] = draw.suggest_float("warmup", 0.0, MOST_WARMUP, step=WARMUP_STEP)
    else:
        numbers["drops"] = draw.suggest_int("drops", 1, MOST_DROPS)
        numbers["factor"] = draw.suggest_float("factor", *FACTOR, log=True)
    return numbers


def _draw_distortion(draw: Draw, name: str) -> float:
    most, step = DISTORTIONS[name]
    return draw.suggest_int(name, 0, int(most)) if step == 1 else draw.suggest_float(name, 0.0, most, step=step)


def _schedule(numbers: dict[str, float], epochs: int, base: Schedule) -> Schedule:
    """The drawn schedule; a cosine ends where the base's does."""
    if numbers["schedule"] == 0:
        final = base.final if isinstance(base, Cosine) else 0.0
        return Cosine(kind="cosine", warmup_epochs=round(numbers["warmup"] * epochs, 2), final=final)
    every_epochs = ceil(epochs / (numbers["drops"] + 1))
    return Step(kind="step", every_epochs=every_epochs, factor=_readable(numbers["factor"]))


def _average(horizon_epochs: float, base: Average | None) -> Average:
    if base is None:
        return Average(horizon_epochs=horizon_epochs)
    return base.model_copy(update={"horizon_epochs": horizon_epochs})


def _augment(numbers: dict[str, float], base: Augment) -> Augment:
    """The drawn distortions, the base's where none are drawn; sums of steps are rounded to what was meant."""
    return base.model_copy(update={name: round(float(numbers[name]), 2) for name in DISTORTIONS})


def _readable(value: float) -> float:
    """Two digits: the third of a learning rate has no effect that could be told."""
    return float(f"{value:.2g}")


def _without_idle_changes(base: Recipe, recipe: Recipe, sizes: Sizes) -> Recipe:
    for name in changed_fields(base, recipe):
        without = recipe.model_copy(update={name: getattr(base, name)})
        if what_happens(without, sizes) == what_happens(recipe, sizes):
            recipe = without
    return recipe
