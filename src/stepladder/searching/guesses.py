"""Where a search begins: at the top rung itself, as the space has it, and at a network that is known to be good."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil
from statistics import mean

from stepladder.networks.ops import BatchNorm, Conv, Depthwise, Layer, Linear, MaxPool
from stepladder.networks.sides import pair
from stepladder.recipes.recipe import Adam, Recipe
from stepladder.recipes.schedules import Step
from stepladder.searching.space import (
    ADAM_LR,
    DISTORTIONS,
    DROPOUT_STEP,
    FACTOR,
    LEAST_SHARE,
    MOST_CLEAN_EPOCHS,
    MOST_DROPOUT,
    MOST_DROPS,
    MOST_PLAIN,
    MOST_POOLS,
    MOST_SEPARABLE,
    MOST_SHARE,
    MOST_WARMUP,
    NARROWEST,
    SEPARABLE_WIDTH,
    SGD_LR,
    WARMUP_STEP,
    WEIGHT_DECAY,
    Design,
    SearchSpace,
    Stage,
    fits,
    layers_of,
    widened,
)

GUESSED_LR = {"sgd": 0.08, "muon": 0.1, "adam": 0.005, "adamw": 0.005}


def first_guesses(space: SearchSpace) -> list[dict[str, float]]:
    """The first trials: the base as the space has it, if its network is like one of the space; what is known."""
    like = _design_like(space.base)
    return [*([] if like is None else [_drawn(space, like) | _numbers_like(space)]), _known(space)]


def _known(space: SearchSpace) -> dict[str, float]:
    """What was among the best below 8,000 parameters on MNIST by 2026-11-23; its network if that fits.

    7,958 parameters in separable stages: as good as 7,966 in plain ones, and better than those in a smaller budget,
    where it is narrower (docs/LOG.md).
    """
    stages = (Stage(1, 0, plain=True, width=10), Stage(3, 3, width=32), Stage(2, 1, width=40))
    return _drawn(space, Design(Conv(8), stages, linear=True)) | {
        "batch_size": len(space.batch_sizes) // 2,
        "schedule": 0,
        "warmup": 0.2,
        "lr": GUESSED_LR[space.base.optimizer.kind],
        "weight_decay": 2e-4,
        "dropout": 0.0,
        "rotation_deg": 8,
        "shift_px": 1.5,
        "scale": 0.08,
        "shear_deg": 3,
        "elastic_px": 0.3,
        "clean_epochs": 1,
        "average": space.horizons.index(1.0),
    }


def _design_like(base: Recipe) -> Design | None:
    """The design that differs from a recipe's network in the widths of its stages at most; None where there is none."""
    layers = base.network
    linear = isinstance(layers[-1], Linear)
    pools = [at for at, layer in enumerate(layers) if isinstance(layer, MaxPool)]
    first, body = layers[0], layers[: -2 if linear else -1]
    parts = [body[start:end] for start, end in zip((1, *(at + 1 for at in pools)), (*pools, len(body)), strict=True)]
    if not isinstance(first, Conv) or not 0 < len(pools) <= MOST_POOLS:
        return None
    stages = tuple(_stage_like(part) for part in parts)
    most_units = (MOST_PLAIN if stage.plain else MOST_SEPARABLE for stage in stages)
    if any(stage.n_units > most[at] for at, (stage, most) in enumerate(zip(stages, most_units, strict=True))):
        return None
    scale = base.norm_scale and base.block.has(BatchNorm)
    design = Design(
        Conv(first.out_channels, padding=min(1, max(pair(first.padding)))), stages, linear=linear, norm_scale=scale
    )
    return design if _shape(layers_of(design, n_classes=1)) == _shape(layers) else None


def _stage_like(layers: Sequence[Layer]) -> Stage:
    """What a stage of these layers would be, if they are one; as wide as its units are on average."""
    plain = bool(layers) and not isinstance(layers[0], Depthwise)
    units = [layer for layer in layers if isinstance(layer, Conv if plain else Depthwise)]
    widths = [layer.out_channels for layer in layers if isinstance(layer, Conv) and layer.block is None]
    return Stage(len(units), sum(unit.padding != 0 for unit in units), plain, round(mean(widths or [NARROWEST])))


def _shape(layers: Iterable[Layer]) -> list[Layer]:
    """Layers without their widths."""
    return [
        replace(layer, out_channels=1)
        if isinstance(layer, Conv)
        else replace(layer, out_features=1)
        if isinstance(layer, Linear)
        else layer
        for layer in layers
    ]


def _drawn(space: SearchSpace, design: Design) -> dict[str, float]:
    """What has to be drawn for a design, as wide as the budget allows; nothing where it does not fit at its narrowest.

    The widths beside each other are the design's as far as shares go.
    """
    first, stages = design.first, design.stages
    if not fits(space, widened(design, [1.0] * (len(stages) + 1), NARROWEST)):
        return {}
    drawn = {"pools": len(stages) - 1, "linear": int(design.linear), "padded_0": int(first.padding != 0), "fill": 1.0}
    widths = {0: SEPARABLE_WIDTH * first.out_channels}
    for number, stage in enumerate(stages, 1):
        drawn |= {f"plain_{number}": int(stage.plain), f"units_{number}": stage.n_units}
        drawn[f"padded_{number}"] = stage.n_padded
        if design.has_width(number - 1):
            widths[number] = stage.width * (SEPARABLE_WIDTH if stage.plain else 1)
    middle = (min(widths.values()) * max(widths.values())) ** 0.5
    shares = {at: _within(width / middle, LEAST_SHARE, MOST_SHARE) for at, width in widths.items()}
    return {"norm_scale": int(design.norm_scale)} | drawn | {f"share_{at}": share for at, share in shares.items()}


def _numbers_like(space: SearchSpace) -> dict[str, float]:
    """The numbers of the base's recipe, or those of the space that are nearest."""
    base = space.base
    sizes, horizon = space.batch_sizes, base.average.horizon_epochs if base.average else 0.0
    return {
        "batch_size": min(range(len(sizes)), key=lambda at: abs(sizes[at] - base.batch_size)),
        "lr": _within(base.lr, *(ADAM_LR if isinstance(base.optimizer, Adam) else SGD_LR)),
        "weight_decay": _within(base.weight_decay, *WEIGHT_DECAY),
        "dropout": _on_grid(base.dropout, MOST_DROPOUT, DROPOUT_STEP),
        **{name: _on_grid(getattr(base.augment, name), *grid) for name, grid in DISTORTIONS.items()},
        "clean_epochs": min(base.clean_epochs, MOST_CLEAN_EPOCHS),
        "average": min(range(len(space.horizons)), key=lambda at: abs(space.horizons[at] - horizon)),
    } | _schedule_like(base)


def _schedule_like(base: Recipe) -> dict[str, float]:
    """Steps down where the base has them, a cosine with its warm-up otherwise."""
    schedule = base.schedule
    if isinstance(schedule, Step):
        drops = _within(ceil(base.epochs / schedule.every_epochs) - 1, 1, MOST_DROPS)
        return {"schedule": 1, "drops": drops, "factor": _within(schedule.factor, *FACTOR)}
    warmup = getattr(schedule, "warmup_epochs", 0.0) / base.epochs
    return {"schedule": 0, "warmup": _on_grid(warmup, MOST_WARMUP, WARMUP_STEP)}


def _on_grid(value: float, most: float, step: float) -> float:
    """The nearest of 0, step, 2 step and so on, up to the most."""
    return min(round(value / step) * step, most)


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
