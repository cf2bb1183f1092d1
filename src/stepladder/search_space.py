"""The networks and recipes that a search may propose. Parameters are counted in closed form before anything is drawn.

A network is stages of 3x3 convolutions, the first of them padded, with a 2x2 max-pool between two stages, then 'gap'
and 'linear'. Depths and paddings are drawn from what fits the images, and the budget at the narrowest; then how much of
the budget is filled, and how wide the stages are beside each other: no network over the budget is ever proposed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from math import ceil
from typing import Protocol, TypeVar

from stepladder.errors import BudgetError, GeometryError
from stepladder.geometry import ImageShape, Network
from stepladder.layers import Conv, GlobalAvgPool, Layer, Linear, MaxPool
from stepladder.recipe import Adam, Augment, Average, Cosine, Recipe, Schedule, Step, changed_fields, what_happens

T = TypeVar("T")

VERSION = 1  # of the space: searches of different spaces are never pooled
MOST_CONVS = (2, 4, 4)  # in each stage: where all pixels are, a convolution takes the most time
MOST_POOLS = len(MOST_CONVS) - 1
NARROWEST, WIDEST = 4, 24  # channels
LEAST_FILL = 0.3  # of the budget
BATCH_SIZES = (32, 64, 128)
HORIZONS = (0.0, 0.5, 1.0, 2.0)  # epochs of the moving average; 0 for none
SGD_LR = (0.01, 0.2)
ADAM_LR = (0.0005, 0.02)
MOST_CLEAN_EPOCHS = 2


class Draw(Protocol):
    """Where choices come from. An Optuna trial is one."""

    def suggest_int(self, name: str, low: int, high: int) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class SearchSpace:
    """What may be proposed: changes of ``base`` on these images, of at most so many parameters.

    ``n_train`` images are trained on. Raises BudgetError if no network is small enough, GeometryError if none fits.
    """

    base: Recipe
    image: ImageShape
    n_train: int
    params: int

    def __post_init__(self) -> None:
        if self.least_params > self.params:
            raise BudgetError(
                f"the smallest network that a search proposes for these images has {self.least_params:,} parameters,"
                f" over the budget of {self.params:,}"
            )

    @property
    def least_params(self) -> int:
        """Parameters of the smallest network in the space."""
        return self.network(_layers(_smallest(1), self.image.n_classes)).params

    def network(self, layers: tuple[Layer, ...]) -> Network:
        return Network(layers, self.base.block, self.image, self.base.norm_scale)

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
    """So many convolutions of one width, the first ones padded. The default is the smallest, and fits anywhere."""

    n_convs: int = 1
    n_padded: int = 1
    width: int = NARROWEST


@dataclass(frozen=True)
class Proposal:
    """A network, and the numbers of its recipe by the names under which they were drawn."""

    layers: tuple[Layer, ...]
    numbers: dict[str, float]


def propose(space: SearchSpace, draw: Draw) -> Proposal:
    """Draw a proposal: its network fits the images and the budget."""
    return Proposal(_layers(_draw_stages(space, draw), space.image.n_classes), _draw_numbers(space, draw))


def first_guess(space: SearchSpace) -> dict[str, float]:
    """The first trial: what an afternoon's search on MNIST ended with, 2026-11-22; its network if that fits here."""
    stages = (Stage(2, 0), Stage(4, 2), Stage(1, 0))
    network: dict[str, float] = {"pools": 2, "fill": 1.0, "share_1": 0.8, "share_2": 1.0, "share_3": 1.4}
    for number, stage in enumerate(stages, 1):
        network |= {f"convs_{number}": stage.n_convs, f"padded_{number}": stage.n_padded}
    return (network if _fits(space, stages) else {}) | {
        "batch_size": len(space.batch_sizes) // 2,
        "schedule": 0,
        "warmup": 0.2,
        "lr": 0.005 if isinstance(space.base.optimizer, Adam) else 0.08,
        "weight_decay": 2e-4,
        "dropout": 0.0,
        "rotation_deg": 8,
        "shift_px": 1.5,
        "scale": 0.08,
        "shear_deg": 3,
        "elastic_px": 0.3,
        "clean_epochs": 1,
        "average": len(space.horizons) // 2,
    }


def recipe_of(space: SearchSpace, proposal: Proposal, *, epochs: int) -> Recipe:
    """A proposal as a recipe of so many epochs: warm-up and drops are parts of them.

    Fields whose change would do nothing keep the value of the base: no step of a ladder could show them.
    """
    numbers = proposal.numbers
    horizon = space.horizons[int(numbers["average"])]
    recipe = space.base.model_copy(
        update={
            "network": proposal.layers,
            "dropout": round(numbers["dropout"], 2) if "dropout" in numbers else space.base.dropout,
            "augment": _augment(numbers, space.base.augment.cutout_px),
            "lr": _readable(numbers["lr"]),
            "schedule": _schedule(numbers, epochs),
            "weight_decay": _readable(numbers["weight_decay"]),
            "batch_size": space.batch_sizes[int(numbers["batch_size"])],
            "epochs": epochs,
            "clean_epochs": min(int(numbers["clean_epochs"]), epochs - 1),
            "average": Average(horizon_epochs=horizon) if horizon else None,
        }
    )
    return _without_idle_changes(space.base, recipe)


def _draw_stages(space: SearchSpace, draw: Draw) -> tuple[Stage, ...]:
    """Pools, depths and paddings, each from what is left by the choices before it; then widths."""
    n_pools = draw.suggest_int("pools", 1, _last(range(1, MOST_POOLS + 1), lambda n: _fits(space, _smallest(n))))
    stages = _smallest(n_pools)

    def last(index: int, options: Iterable[Stage]) -> Stage:
        return _last(options, lambda stage: _fits(space, _with(stages, index, stage)))

    for index in range(len(stages)):
        deepest = last(index, (Stage(n, n) for n in range(1, MOST_CONVS[index] + 1)))
        n_convs = draw.suggest_int(f"convs_{index + 1}", 1, deepest.n_convs)
        barest = last(index, (Stage(n_convs, n) for n in range(n_convs, -1, -1)))
        n_padded = draw.suggest_int(f"padded_{index + 1}", barest.n_padded, n_convs)
        stages = _with(stages, index, Stage(n_convs, n_padded))
    part = draw.suggest_float("fill", LEAST_FILL, 1.0)
    filled = replace(space, params=max(space.least_params, int(part * space.params)))
    shares = [draw.suggest_float(f"share_{index + 1}", 0.5, 2.0, log=True) for index in range(len(stages))]
    return _last((_widened(stages, shares, n) for n in range(2, 2 * WIDEST + 1)), lambda each: _fits(filled, each))


def _widened(stages: tuple[Stage, ...], shares: Sequence[float], n: int) -> tuple[Stage, ...]:
    """Each stage with its share of ``n`` channels; with 2, shares of 2 at the most are the narrowest."""
    widths = [min(WIDEST, max(NARROWEST, round(share * n))) for share in shares]
    return tuple(replace(stage, width=width) for stage, width in zip(stages, widths, strict=True))


def _smallest(n_pools: int) -> tuple[Stage, ...]:
    return (Stage(),) * (n_pools + 1)


def _with(stages: tuple[Stage, ...], index: int, stage: Stage) -> tuple[Stage, ...]:
    return (*stages[:index], stage, *stages[index + 1 :])


def _fits(space: SearchSpace, stages: tuple[Stage, ...]) -> bool:
    try:
        return space.network(_layers(stages, space.image.n_classes)).params <= space.params
    except GeometryError:
        return False


def _last(options: Iterable[T], fits: Callable[[T], bool]) -> T:
    """The last option before the first that does not fit; the first one is known to."""
    first, *others = options
    return ([first, *takewhile(fits, others)])[-1]


def _layers(stages: tuple[Stage, ...], n_classes: int) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    for stage in stages:
        layers += [MaxPool(2, 2)] if layers else []
        layers += [Conv(stage.width, padding=int(number < stage.n_padded)) for number in range(stage.n_convs)]
    return (*layers, GlobalAvgPool(), Linear(n_classes))


def _draw_numbers(space: SearchSpace, draw: Draw) -> dict[str, float]:
    numbers: dict[str, float] = {
        "batch_size": draw.suggest_int("batch_size", 0, len(space.batch_sizes) - 1),
        "lr": draw.suggest_float("lr", *(ADAM_LR if isinstance(space.base.optimizer, Adam) else SGD_LR), log=True),
        "weight_decay": draw.suggest_float("weight_decay", 1e-5, 1e-3, log=True),
        "schedule": draw.suggest_int("schedule", 0, 1),
        "rotation_deg": draw.suggest_int("rotation_deg", 0, 15),
        "shift_px": draw.suggest_float("shift_px", 0.0, 3.0, step=0.5),
        "scale": draw.suggest_float("scale", 0.0, 0.15, step=0.01),
        "shear_deg": draw.suggest_int("shear_deg", 0, 10),
        "elastic_px": draw.suggest_float("elastic_px", 0.0, 0.5, step=0.1),
        "clean_epochs": draw.suggest_int("clean_epochs", 0, MOST_CLEAN_EPOCHS),
        "average": draw.suggest_int("average", 0, len(space.horizons) - 1),
    }
    if "dropout" in space.base.block.steps:
        numbers["dropout"] = draw.suggest_float("dropout", 0.0, 0.1, step=0.01)
    if numbers["schedule"] == 0:
        numbers["warmup"] = draw.suggest_float("warmup", 0.0, 0.3, step=0.05)
    else:
        numbers["drops"] = draw.suggest_int("drops", 1, 3)
        numbers["factor"] = draw.suggest_float("factor", 0.05, 0.5, log=True)
    return numbers


def _schedule(numbers: dict[str, float], epochs: int) -> Schedule:
    if numbers["schedule"] == 0:
        return Cosine(kind="cosine", warmup_epochs=round(numbers["warmup"] * epochs, 2))
    every_epochs = ceil(epochs / (numbers["drops"] + 1))
    return Step(kind="step", every_epochs=every_epochs, factor=_readable(numbers["factor"]))


def _augment(numbers: dict[str, float], cutout_px: int) -> Augment:
    """The drawn distortions; sums of steps are rounded to what was meant."""
    return Augment(
        rotation_deg=float(numbers["rotation_deg"]),
        shift_px=round(numbers["shift_px"], 1),
        scale=round(numbers["scale"], 2),
        shear_deg=float(numbers["shear_deg"]),
        elastic_px=round(numbers["elastic_px"], 1),
        cutout_px=cutout_px,
    )


def _readable(value: float) -> float:
    """Two digits: the third of a learning rate has no effect that could be told."""
    return float(f"{value:.2g}")


def _without_idle_changes(base: Recipe, recipe: Recipe) -> Recipe:
    for name in changed_fields(base, recipe):
        without = recipe.model_copy(update={name: getattr(base, name)})
        if what_happens(without) == what_happens(recipe):
            recipe = without
    return recipe
