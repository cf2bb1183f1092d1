"""Recipes: frozen, checked, told by what differs from the defaults, and put into words."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from random_networks import random_blocks

from stepladder.errors import GeometryError
from stepladder.ladders import ladder_file
from stepladder.networks.geometry import ImageShape
from stepladder.networks.ops import Block, Conv, GlobalAvgPool, Linear, MaxPool
from stepladder.networks.text import parse
from stepladder.recipes.happening import what_happens
from stepladder.recipes.recipe import (
    Augment,
    Average,
    CrossEntropy,
    Muon,
    Recipe,
    Sgd,
    SharpnessAware,
    changed_fields,
    describe,
    describe_network,
)
from stepladder.recipes.schedules import Constant, Cosine, LinearDecay, OneCycle, Plateau, Step

NETWORK = ("conv 4 3x3", "maxpool 2", "gap", "linear 10")


def recipe(**fields: Any) -> Recipe:
    """A recipe from its fields as a ladder file would give them."""
    return Recipe.model_validate({"network": NETWORK, "epochs": 3} | fields)


def floats(least: float, most: float, **options: Any) -> st.SearchStrategy[float]:
    return st.floats(least, most, allow_nan=False, **options)


texts = st.sampled_from(
    ("conv 8", "conv 8 5x5 pad 2 bare", "depthwise bias", "maxpool 3 stride 2", "avgpool 2", "gap", "linear 10 nobias")
)
orders = random_blocks()
augments = st.builds(Augment, rotation_deg=floats(0, 180), shift_px=floats(0, 1000), scale=floats(0, 0.99))
steps = st.builds(Step, kind=st.just("step"), every_epochs=st.integers(1, 99), factor=floats(1e-300, 0.99))

momenta = floats(0, 1, exclude_max=True)

# Any field may be left out.
recipes = st.fixed_dictionaries(
    {"network": st.lists(texts, min_size=1, max_size=5), "epochs": st.integers(1, 100_000)},
    optional={
        "block": orders,
        "dropout": floats(0, 1, exclude_max=True),
        "augment": augments,
        "optimizer": st.builds(Sgd, momentum=momenta, nesterov=st.booleans())
        | st.builds(Muon, kind=st.just("muon"), momentum=momenta, n_steps=st.integers(1, 9)),
        "lr": floats(0, 1e300, exclude_min=True),
        "schedule": st.just(Constant()) | steps,
        "weight_decay": floats(0, 1),
        "loss": st.builds(CrossEntropy, label_smoothing=floats(0, 1, exclude_max=True)),
        "batch_size": st.integers(1, 65536),
        "sharpness_aware": st.none() | st.builds(SharpnessAware, radius=floats(0, 1e300, exclude_min=True)),
    },
).map(Recipe.model_validate)

EXAMPLES = settings(max_examples=200, deadline=None)


# Frozen


@pytest.mark.parametrize(
    ("record", "field"),
    [(recipe(), "lr"), (Augment(), "scale"), (Sgd(), "momentum"), (Constant(), "kind"), (CrossEntropy(), "kind")],
)
def test_recipes_are_frozen(record: BaseModel, field: str) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, field, getattr(record, field))


def test_equal_recipes_are_one_key() -> None:
    assert len({recipe(), recipe(network=list(NETWORK)), recipe(dropout=0.0), recipe(dropout=0.1)}) == 2


def test_layers_and_blocks_are_read_from_their_text() -> None:
    read = recipe(block="conv norm relu")
    assert read.network == (Conv(4), MaxPool(2, 2), GlobalAvgPool(), Linear(10))
    assert read.block == Block.parse("conv norm relu")
    assert recipe(network=read.network, block=read.block) == read


def test_a_recipe_gives_its_network() -> None:
    image = ImageShape(channels=1, size=8, n_classes=10)
    assert [row.out_size for row in recipe().network_for(image).rows] == [6, 3, 1, 1]
    with pytest.raises(GeometryError, match="ends in 10 x 1 x 1 values"):
        recipe().network_for(ImageShape(channels=1, size=8, n_classes=2))


# JSON


@EXAMPLES
@given(recipes)
def test_a_recipe_is_read_back_from_json(original: Recipe) -> None:
    assert Recipe.model_validate_json(original.model_dump_json()) == original


@EXAMPLES
@given(recipes)
def test_the_essence_is_what_differs_from_the_defaults(original: Recipe) -> None:
    essence = original.essence()
    for name, field in Recipe.model_fields.items():
        differs = field.is_required() or getattr(original, name) != field.default
        assert (name in essence) == differs
    assert Recipe.model_validate_json(json.dumps(essence)) == original


def test_the_essence_of_defaults_is_what_has_none() -> None:
    written_out = recipe(dropout=0.0, lr=0.01, batch_size=64, schedule=Constant(), augment=Augment(scale=0.0))
    assert written_out.essence() == {"network": list(NETWORK), "epochs": 3}


def test_the_essence_leaves_out_nested_defaults() -> None:
    changed = recipe(
        block="conv relu",
        augment=Augment(rotation_deg=15.0, shear_deg=0.0),
        optimizer=Sgd(momentum=0.9, nesterov=True),
        schedule=Step(kind="step", every_epochs=6, factor=0.1),
        loss=CrossEntropy(label_smoothing=0.1),
        lr=1,
    )
    assert changed.essence() == {
        "network": list(NETWORK),
        "block": "conv relu",
        "augment": {"rotation_deg": 15.0},
        "optimizer": {"nesterov": True},
        "lr": 1.0,
        "schedule": {"kind": "step", "every_epochs": 6},
        "loss": {"label_smoothing": 0.1},
        "epochs": 3,
    }


def test_an_optimizer_of_no_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="the kind of an optimizer is 'sgd', 'adam', 'adamw' or 'muon'"):
        recipe(optimizer={"kind": "moun"})
    with pytest.raises(ValidationError, match="or 'muon', as in kind = \"muon\""):
        recipe(optimizer="muon")


PLAIN = ["conv 4 bare", "gap", "linear 10"]  # takes nothing from the recipe's block order
TAUGHT = {"network": ["conv 8", "gap", "linear 10"]}  # takes all of it


@pytest.mark.parametrize(
    "change",
    [
        {"loss": {"label_smoothing": 0.1}},
        {"dropout": 0.2},
        {"block": "conv relu norm"},
        {"norm_scale": False},
        {"recalibrate_images": 128},
        {"distill": TAUGHT | {"share": 0.5}},
        {"distill": TAUGHT | {"seeds": [1, 2]}},
    ],
)
def test_what_happens_to_a_teacher_happens(change: dict[str, Any]) -> None:
    taught = recipe(network=PLAIN, distill=TAUGHT, dropout=0.1)
    other = recipe(**{"network": PLAIN, "distill": TAUGHT, "dropout": 0.1} | change)
    assert what_happens(other) != what_happens(taught)
    untaught = [recipe(**{"network": PLAIN, "dropout": 0.1} | more) for more in ({}, change)]
    if not change.keys() & {"distill", "loss"}:
        assert what_happens(untaught[0]) == what_happens(untaught[1]), "without a teacher it does nothing"


def test_a_teacher_written_in_two_ways_is_one() -> None:
    two = [{"network": [f"conv 8 block conv {steps}", "gap", "linear 10"]} for steps in ("relu", "relu dropout")]
    idle, dropping = ([recipe(network=PLAIN, distill=each, dropout=p) for each in two] for p in (0.0, 0.1))
    assert what_happens(idle[0]) == what_happens(idle[1])
    assert what_happens(dropping[0]) != what_happens(dropping[1])


@pytest.mark.parametrize("layer", ["{}", '{"kernel": 2, "stride": 2}', '{"out_channels": 0}'])
def test_a_layer_in_json_is_a_text(layer: str) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate_json(f'{{"network": [{layer}], "epochs": 1}}')


# Refused


@pytest.mark.parametrize(
    "fields",
    [
        *({"lr": value} for value in (0, -0.1, "0.1", True, None)),
        *({"dropout": value} for value in (1, 1.0, -0.01, False)),
        *({"weight_decay": value} for value in (-1e-9, "0")),
        *({"batch_size": value} for value in (0, 65537, 64.0, "64")),
        *({"epochs": value} for value in (0, 100_001, "14", 14.0, True)),
        *({"network": value} for value in ((), [], "gap", [3], ["gap", None], ["convv 3"])),
        *({"block": value} for value in ("relu", "conv relu relu", 3)),
        *({"augment": {"rotation_deg": value}} for value in (-1, 180.1, "15")),
        *({"augment": value} for value in ({"shift_px": -1}, {"scale": 1.0}, {"shear_deg": 90}, "rotation")),
        *({"optimizer": {"momentum": value}} for value in (1.0, -0.1)),
        *({"optimizer": {"kind": "muon", **value}} for value in ({"momentum": 1.0}, {"n_steps": 0}, {"other_lr": 0})),
        {"optimizer": {"n_steps": 5}},
        *({"optimizer": value} for value in ({"kind": "adma"}, {"kind": "adam", "momentum": 0.9}, {"nesterov": 1})),
        *({"schedule": {"kind": "step", "every_epochs": value}} for value in (0, 1.5)),
        *({"schedule": {"kind": "step", "every_epochs": 6, "factor": value}} for value in (0, 1)),
        *({"schedule": value} for value in ({}, {"kind": "cosin"}, {"kind": "step"}, "step")),
        *({"schedule": {"kind": "cosine", **value}} for value in ({"warmup_epochs": -1}, {"final": 1.1})),
        *({"schedule": {"kind": "one-cycle", **value}} for value in ({"rise": 0}, {"rise": 1}, {"start": 0})),
        *({"schedule": {"kind": "plateau", **value}} for value in ({"patience": -1}, {"factor": 1}, {"threshold": 1})),
        *({"average": value} for value in ({}, {"horizon_epochs": 0}, {"horizon_epochs": 1, "every_steps": 0})),
        *({"clean_epochs": value} for value in (-1, 1.0)),
        *({"recalibrate_images": value} for value in (-1, 64.0)),
        *({"augment": value} for value in ({"elastic_px": -0.1}, {"cutout_px": 1.5})),
        *({"loss": {"label_smoothing": value}} for value in (-0.1, 1.0)),
        *({"distill": TAUGHT | {"seeds": value}} for value in ([-1], [1, 1], [1.0], 3)),
        {"learning_rate": 0.1},
        {"augment": {"rotation": 15.0}},
    ],
    ids=str,
)
def test_nonsense_is_refused_where_it_stands(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        recipe(**fields)
    assert {error["loc"][0] for error in refused.value.errors()} == set(fields)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("name", "nested"),
    [
        *((name, None) for name in ("lr", "dropout", "weight_decay")),
        *(("augment", name) for name, field in Augment.model_fields.items() if field.annotation is float),
        ("optimizer", "momentum"),
        ("loss", "label_smoothing"),
    ],
)
def test_numbers_that_are_none_are_refused(name: str, nested: str | None, value: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        recipe(**{name: {nested: value} if nested else value})
    with pytest.raises(ValidationError, match="finite number"):
        Recipe.model_validate_json(
            json.dumps({"network": NETWORK, "epochs": 3, name: {nested: value} if nested else value})
        )


# Compared and described


def test_changed_fields_are_named_in_the_order_of_the_recipe() -> None:
    below = recipe()
    assert changed_fields(below, recipe()) == ()
    assert changed_fields(below, recipe(lr=0.1)) == ("lr",)
    assert changed_fields(below, recipe(epochs=4, dropout=0.1, network=["gap"])) == ("network", "dropout", "epochs")
    assert changed_fields(below, recipe(augment=Augment(scale=0.1), schedule={"kind": "constant"})) == ("augment",)


@EXAMPLES
@given(recipes, recipes)
def test_changed_fields_are_those_that_carry_the_change(below: Recipe, above: Recipe) -> None:
    changes = changed_fields(below, above)
    assert below.model_copy(update={name: getattr(above, name) for name in changes}) == above
    assert all(getattr(below, name) != getattr(above, name) for name in changes)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("dropout", 0.05, "5%"),
        ("dropout", 0.125, "12.5%"),
        ("dropout", 0.0, "none"),
        ("lr", 0.01, "0.01"),
        ("lr", 1e-05, "1e-05"),
        ("weight_decay", 0.0, "0"),
        ("epochs", 14, "14"),
        ("batch_size", 64, "64"),
        ("network", (Conv(8), GlobalAvgPool(), Linear(10)), "8-gap-10"),
        ("block", Block.parse("conv relu norm"), "conv relu norm"),
        ("block", Block(), "conv"),
        ("augment", Augment(), "none"),
        ("augment", Augment(rotation_deg=15.0), "rotation ±15°"),
        (
            "augment",
            Augment(rotation_deg=7.5, shift_px=2, scale=0.1, shear_deg=5),
            "rotation ±7.5°, shift ±2 px, scale ±10%, shear ±5°",
        ),
        ("augment", Augment(shift_px=2, mirror=True), "shift ±2 px, horizontal flip"),
        ("optimizer", Sgd(), "SGD, momentum 0.9"),
        ("optimizer", Sgd(momentum=0.0, nesterov=True), "SGD, momentum 0, nesterov"),
        ("optimizer", Muon(kind="muon"), "Muon, momentum 0.95, nesterov, 5 rounds, others at 1 times lr"),
        (
            "optimizer",
            Muon(kind="muon", momentum=0.9, nesterov=False, n_steps=3, other_lr=0.25),
            "Muon, momentum 0.9, 3 rounds, others at 0.25 times lr",
        ),
        ("sharpness_aware", SharpnessAware(radius=0.05), "radius 0.05"),
        ("schedule", Constant(), "constant"),
        ("schedule", Step(kind="step", every_epochs=6), "times 0.1 every 6 epochs"),
        (
            "schedule",
            Step(kind="step", every_epochs=6, warmup_epochs=1),
            "times 0.1 every 6 epochs, warm-up of 1 epoch",
        ),
        ("schedule", Cosine(kind="cosine"), "cosine"),
        ("schedule", Cosine(kind="cosine", warmup_epochs=2.5, final=0.01), "cosine, warm-up of 2.5 epochs, to 1%"),
        ("schedule", LinearDecay(kind="linear"), "linear"),
        ("schedule", OneCycle(kind="one-cycle", rise=0.2), "one cycle, rising for 20%"),
        (
            "schedule",
            Plateau(kind="plateau"),
            "times 0.1 after more than 2 epochs without a fall of the training loss",
        ),
        ("augment", Augment(elastic_px=0.3, cutout_px=4), "elastic 0.3 px, cutout 4 px"),
        ("average", None, "none"),
        ("average", Average(horizon_epochs=1.5), "over 1.5 epochs"),
        ("clean_epochs", 1, "1"),
        ("recalibrate_images", 10_000, "10000"),
        ("norm_scale", False, "no"),
        ("norm_scale", True, "yes"),
        ("loss", CrossEntropy(), "cross-entropy"),
        ("loss", CrossEntropy(label_smoothing=0.1), "cross-entropy, label smoothing 0.1"),
    ],
)
def test_values_in_words(name: str, value: object, words: str) -> None:
    assert describe(name, value) == words


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (("conv 8", "conv 8", "maxpool 2", "conv 12 pad 1", "gap", "linear 10"), "8-8-P-12p-gap-10"),
        (("conv 16 bare", "avgpool 3", "depthwise", "depthwise pad 1"), "16b-A3-dw-dwp"),
        (("depthwise pad 1", "residual 1", "squeeze-excite 4"), "dwp-r1-se4"),
        (("conv 16 1x1", "conv 8 5x5 stride 2 pad 2", "depthwise 5x5 stride 2 bare"), "16k1-8k5s2p2-dwk5s2b"),
    ],
)
def test_networks_on_one_line(texts: tuple[str, ...], line: str) -> None:
    assert describe_network([parse(text) for text in texts]) == line


@pytest.mark.parametrize("name", ladder_file.shipped())
def test_every_change_of_a_shipped_ladder_can_be_seen_in_its_words(name: str) -> None:
    rungs = ladder_file.load(name).rungs
    for below, rung in pairwise(rungs):
        for change in rung.changes:
            assert describe(change, getattr(below.recipe, change)) != describe(change, getattr(rung.recipe, change))
