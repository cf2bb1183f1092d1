"""What happens in a training: changes without effect are found, say why, and nothing else is taken for one.

Proof is by training: a pair of recipes of which one change is said to have an effect ends in other numbers, and a pair
that is said to be alike in the same, except for rounding.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandLine
from twins import IMAGE, N_TRAIN, pair, trained

from stepladder.datasets.sources import MNIST
from stepladder.errors import LadderError
from stepladder.ladders import ladder_file
from stepladder.ladders.ablation import ablate
from stepladder.ladders.checking import check, check_rungs, notes_of, require_effects
from stepladder.ladders.evaluated import data_identity
from stepladder.networks.geometry import ImageShape
from stepladder.recipes.augment import N_COSINES
from stepladder.recipes.happening import BEND, idle_notes, simplified, what_happens, why_alike
from stepladder.recipes.idle import HALF_DIGIT, Sizes
from stepladder.recipes.recipe import Recipe, changed_fields
from stepladder.recipes.slight import slight_changes
from stepladder.runs.run import experiment_key

SIZES = Sizes(IMAGE, N_TRAIN)
SIGNALS = Sizes(ImageShape(channels=1, size=(1, 64), n_classes=10), 60_000)
KEYWORDS = Sizes(ImageShape(channels=1, size=(49, 10), n_classes=10), 60_000)
TEN = Sizes(ImageShape(channels=1, size=28, n_classes=10), 60_000)
NETWORK = ["conv 4", "gap", "linear 10"]
STILL = {"block": "conv relu"}  # no norm, no dropout


def recipe(fields: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({"network": NETWORK, "epochs": 3} | fields)


def schedule(kind: str, **fields: Any) -> dict[str, Any]:
    return {"schedule": {"kind": kind} | fields}


def optimizer(**fields: Any) -> dict[str, Any]:
    return {"optimizer": fields}


def network(*layers: str) -> dict[str, Any]:
    return {"network": [*layers, "linear 10"]}


CLEAN = {"augment": {"mirror": True}, "clean_epochs": 3}
ADAMW, ONE_MATRIX = optimizer(kind="adamw"), {"network": ["depthwise", "gap", "linear 10"]}
MUON = optimizer(kind="muon")
NORM_FIRST = "conv 4 block conv norm relu"

# What is told of recipes alone: what they are, what they become, and a part of the reason.
ALIKE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (STILL, {"dropout": 0.5}, "no layer's block has a 'dropout' step: give one"),
    (STILL, {"norm_scale": False}, "no layer's block has a 'norm' step"),
    (STILL, {"recalibrate_images": 1000}, "no layer's block has a 'norm' step"),
    ({"recalibrate_images": 65}, {"recalibrate_images": 128}, "whole batches: 2 of 64 images"),
    ({}, {"block": "conv relu norm"}, "dropout is 0, so that the 'dropout' step of a block does nothing"),
    ({"dropout": 0.1, "block": "conv relu dropout norm"}, {"block": "conv dropout relu norm"}, "a ReLU and a dropout"),
    ({"network": ["conv 4 bare", "gap", "linear 10"]}, {"block": "conv relu"}, "an order of its own, or is bare"),
    ({"block": "conv relu"}, network("conv 4 3x3 block conv relu", "gap"), "only written otherwise"),
    ({}, network("conv 4", "maxpool 1", "gap"), "its windows are one pixel each"),
    (network("conv 4", "maxpool 2", "maxpool 3", "gap"), network("conv 4", "maxpool 6", "gap"), "written otherwise"),
    (network("conv 4", "maxpool 1 stride 2", "gap"), network("conv 4", "avgpool 1 stride 2", "gap"), "otherwise"),
    (network("conv 4", "maxpool 2x1", "maxpool 1x2", "gap"), network("conv 4", "maxpool 2", "gap"), "otherwise"),
    (network("conv 4", "avgpool 4x1", "avgpool 1x3", "gap"), network("conv 4", "avgpool 4x3", "gap"), "otherwise"),
    (
        network("conv 4", "depthwise pad 1", "residual 1", "gap"),
        network("conv 4", "depthwise pad 1", "avgpool 1", "residual 2", "gap"),
        "its windows are one pixel each",
    ),
    ({}, {"clean_epochs": 2}, "no epoch distorts its images"),
    ({"clean_epochs": 3}, {"augment": {"mirror": True}}, "leave no epoch with distortion"),
    ({"clean_epochs": 2, "epochs": 2}, {"augment": {"mirror": True}}, "clean_epochs = 2 of 2 epochs leave no epoch"),
    (CLEAN, {"clean_epochs": 4}, "give fewer clean_epochs"),
    (CLEAN, {"augment": {"cutout_px": 3}}, "leave no epoch with distortion"),
    ({}, schedule("plateau", patience=1), "3 epochs, of which the first is no failure, come before its first drop"),
    ({"epochs": 1}, schedule("plateau", patience=0), "there are 1: give less patience, or train longer"),
    ({"epochs": 8}, schedule("plateau", patience=6), "come before its first drop, and there are 8"),
    ({}, schedule("cosine", final=1.0), "it falls to final = 1, which is all of lr"),
    ({}, schedule("linear", final=1.0), "it falls to final = 1"),
    (schedule("cosine", final=1.0, warmup_epochs=1), schedule("linear", final=1.0, warmup_epochs=1), "falls to final"),
    (schedule("cosine", warmup_epochs=3), schedule("linear", warmup_epochs=3), "takes all of the 3 epochs"),
    ({}, schedule("one-cycle", start=1.0, final=1.0), "it starts and ends at 1"),
    ({}, schedule("step", every_epochs=3), "its first drop would come after 3 epochs, and there are 3"),
    (
        schedule("step", every_epochs=9, warmup_epochs=1),
        schedule("step", every_epochs=4, warmup_epochs=1),
        "its first drop would come after 4 epochs",
    ),
    (optimizer(kind="adam"), ADAMW, "the same without weight decay: give weight_decay too"),
    (ADAMW, optimizer(kind="adam"), "the same without weight decay"),
    (optimizer(momentum=0.0), optimizer(momentum=0.0, nesterov=True), "nothing to look ahead along"),
    (optimizer(momentum=0.0), optimizer(momentum=1e-30), "adds nothing to a gradient"),
    (
        optimizer(kind="muon", momentum=0.0),
        optimizer(kind="muon", momentum=0.0, nesterov=False),
        "nothing to look ahead along",
    ),
    (ONE_MATRIX, optimizer(kind="muon", momentum=0.9, nesterov=False), "no weight matrix before its last"),
    (ONE_MATRIX | MUON | {"weight_decay": 0.1}, optimizer(kind="muon", n_steps=3), "no weight matrix before its last"),
    (ADAMW | {"lr": 0.001}, {"weight_decay": 1e-5}, "less than float32 can take from a weight"),
    (MUON, {"weight_decay": 2e-6}, "less than float32 can take from a weight"),
    ({}, {"weight_decay": 1e-30}, "adds nothing to its gradient"),
    (optimizer(kind="adam"), {"weight_decay": 1e-30}, "adds nothing to its gradient"),
    ({}, {"lr": 0.01 + 1e-12}, "the same number in float32"),
    ({"lr": 1e-50}, {"optimizer": {"kind": "adam"}}, "a learning rate of 1e-50 is 0 in float32"),
    (STILL | {"lr": 1e-30}, {"lr": 1e-29}, "less than half a last digit of any weight"),
    (STILL | {"lr": 1e-30}, {"optimizer": {"momentum": 0.5}}, "less than half a last digit of any weight"),
    (STILL | {"lr": 1e-30}, {"schedule": {"kind": "cosine"}}, "less than half a last digit of any weight"),
    (STILL | {"lr": 1e-30}, {"weight_decay": 0.1}, "less than half a last digit of any weight"),
    ({"augment": {"elastic_px": 1.0}}, {"augment": {"elastic_px": 1.0 + 1e-12}}, "the same number in float32"),
    (
        schedule("plateau", patience=0),
        schedule("plateau", patience=0, factor=0.1 + 1e-12),
        "the same at each step",
    ),
    ({}, {"loss": {"label_smoothing": 1e-30}}, "too little for float32"),
    (STILL, {"sharpness_aware": {"radius": 1e-30}}, "too little for float32"),
    ({"distill": {"network": NETWORK, "share": 1e-30}}, {"loss": {"label_smoothing": 1e-30}}, "too little for float32"),
    ({"distill": {"network": NETWORK}}, {"distill": {"network": ["conv 4", "maxpool 1", "gap", "linear 10"]}}, "alike"),
    ({}, {"distill": {"network": NETWORK, "share": 1e-30}}, "float32 cannot hold that fraction"),
]

# What has an effect, however alike it looks.
OTHER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"dropout": 0.1}, {"block": "conv norm relu dropout"}),
    (network("conv 4", "maxpool 2", "maxpool 3 stride 2", "gap"), network("conv 4", "maxpool 6", "gap")),
    (network("conv 4", "maxpool 2 stride 3", "maxpool 2", "gap"), network("conv 4", "maxpool 5 stride 6", "gap")),
    (network("conv 4", "avgpool 2", "gap"), network("conv 4", "maxpool 2", "gap")),
    (network("conv 4", "maxpool 2x1", "gap"), network("conv 4", "maxpool 1x2", "gap")),
    (network("conv 4 3x1", "gap"), network("conv 4 1x3", "gap")),
    (network("conv 4 3x1 pad 1x0", "gap"), network("conv 4 3x1", "gap")),
    ({"augment": {"mirror": True}, "clean_epochs": 1}, {"clean_epochs": 2}),
    (schedule("plateau", patience=0), schedule("constant")),
    (schedule("cosine", warmup_epochs=1), schedule("linear", warmup_epochs=1)),
    (schedule("step", every_epochs=1, warmup_epochs=9), schedule("step", every_epochs=2, warmup_epochs=9)),
    (optimizer(kind="adam") | {"weight_decay": 0.01}, ADAMW),
    (ADAMW | {"lr": 0.01}, {"weight_decay": 1e-5}),
    ({}, {"weight_decay": 1e-9}),
    (optimizer(kind="adam", epsilon=1e-25), {"weight_decay": 1e-30}),
    (MUON, optimizer(kind="muon", n_steps=4)),
    (MUON, optimizer(momentum=0.95, nesterov=True)),
    ({"dropout": 0.1}, {"sharpness_aware": {"radius": 1e-30}}),
    ({}, {"dropout": 1e-6}),
    ({}, {"loss": {"label_smoothing": 1e-6}}),
    (optimizer(momentum=0.0), optimizer(momentum=1e-6)),
    (optimizer(kind="adam", beta1=0.0), optimizer(kind="adam", beta1=1e-6)),
    (optimizer(kind="adam", beta2=0.0), optimizer(kind="adam", beta2=1e-12)),
    (optimizer(kind="adam", epsilon=1e-10), optimizer(kind="adam", epsilon=1e-11)),
    (optimizer(kind="adam", epsilon=1e-12) | {"weight_decay": 1e-9}, optimizer(kind="adam", epsilon=1e-13)),
    (STILL, {"sharpness_aware": {"radius": 1e-6}}),
    ({}, {"augment": {"shift_px": 1e-6}}),
    (network("conv 4", "maxpool 5 pad 1", "gap"), network("conv 4", "maxpool 5", "gap")),
    (network("conv 4", "avgpool 4 pad 1", "gap"), network("conv 4", "avgpool 4", "gap")),
]

# What is told of images as well: with 48 of 8 x 8, three to an epoch of 16.
EIGHT = {"network": ["conv 4", "gap", "linear 3"], "batch_size": 16, "epochs": 2}
MAXIMUM = {"network": ["conv 4 3x3", "maxpool 6", "linear 3"]}
ALIKE_HERE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"batch_size": 48}, {"batch_size": 64}, "there are 48 training images: give at most 48"),
    ({"augment": {"cutout_px": 15}}, {"augment": {"cutout_px": 60}}, "a square of 15 pixels and more covers 8 x 8"),
    ({"augment": {"cutout_px": 15}}, {"augment": {"cutout_px": 15, "mirror": True}}, "wherever its centre is"),
    ({}, {"average": {"horizon_epochs": 1.0}}, "every_steps = 10, and there are 6 steps: it never looks"),
    ({}, {"average": {"horizon_epochs": 1e-4, "every_steps": 6}}, "its one look is at the last step"),
    ({}, {"average": {"horizon_epochs": 1e18, "every_steps": 1}}, "one look counts for nothing"),
    ({}, schedule("step", every_epochs=3, warmup_epochs=0.3), "first drop would come after 3 epochs"),
    ({"batch_size": 48, "epochs": 1}, schedule("cosine"), "there is only one step"),
    ({"batch_size": 48, "epochs": 1}, optimizer(momentum=0.5), "there is only one step in all"),
    (schedule("cosine", warmup_epochs=2) | {"lr": 0.1}, schedule("cosine", warmup_epochs=4) | {"lr": 0.2}, "lr"),
    ({}, {"network": ["conv 4", "gap", "maxpool 3 pad 1", "linear 3"]}, "its input is one pixel"),
    ({}, {"network": ["conv 4", "gap", "gap", "linear 3"]}, "its input is one pixel: leave it out"),
    ({}, {"network": ["conv 4", "avgpool 6 stride 2", "linear 3"]}, "only written otherwise"),
    ({}, {"network": ["conv 4", "avgpool 2", "avgpool 3", "linear 3"]}, "only written otherwise"),
    ({}, {"network": ["conv 4", "gap", "conv 3 1x1 bias bare"]}, "only written otherwise"),
    (MAXIMUM, {"network": ["conv 4 3x3", "maxpool 6x1", "maxpool 1x6", "linear 3"]}, "only written otherwise"),
    (MAXIMUM, {"network": ["conv 4 3x3", "maxpool 7x6 pad 1x0 stride 7x1", "linear 3"]}, "only written otherwise"),
    (
        {"network": ["conv 4 8x1", "conv 3 1x8 bias bare"]},
        {"network": ["conv 4 8x1 stride 2x1", "linear 3"]},
        "only written otherwise",
    ),
    (
        {"network": ["conv 4 8x1", "gap", "linear 3"]},
        {"network": ["conv 4 8x1", "maxpool 3x1 pad 1x0", "gap", "linear 3"]},
        "but for padding, its windows are one pixel each",
    ),
    (
        {"network": ["conv 1", "depthwise", "gap", "linear 3"]},
        {"network": ["conv 1", "conv 1", "gap", "linear 3"]},
        "only written otherwise",
    ),
    ({"recalibrate_images": 33}, {"recalibrate_images": 48}, "3 of 16 images"),
    (MAXIMUM, {"network": ["conv 4 3x3", "maxpool 8 pad 1 stride 8", "linear 3"]}, "only written otherwise"),
    (MAXIMUM, {"network": ["conv 4 3x3", "maxpool 7 pad 1 stride 7", "linear 3"]}, "only written otherwise"),
    (MAXIMUM, {"network": ["conv 4 3x3", "maxpool 2 pad 1 stride 2", "maxpool 4", "linear 3"]}, "written otherwise"),
    (
        {"network": ["conv 4 3x3", "maxpool 4 stride 3 pad 1", "gap", "linear 3"]},
        {"network": ["conv 4 3x3", "maxpool 4 stride 3 pad 1", "maxpool 2 pad 1", "gap", "linear 3"]},
        "but for padding, its windows are one pixel each: leave it out",
    ),
    (
        {"network": ["conv 4 5x5", "avgpool 6 pad 1", "linear 3"]},
        {"network": ["conv 4 5x5", "avgpool 6 pad 2 stride 3", "linear 3"]},
        "only written otherwise",
    ),
    (
        {"network": ["conv 4 5x5", "avgpool 2 pad 1", "avgpool 3", "linear 3"]},
        {"network": ["conv 4 5x5", "avgpool 6 pad 1", "linear 3"]},
        "only written otherwise",
    ),
]


# What may well do nothing, and is not refused for it: nobody can tell without training. What is said of it.
ADAM = optimizer(kind="adam")
SLIGHT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"augment": {"rotation_deg": 1e-11}}, "rotation_deg = 1e-11 does next to nothing: it moves hardly a pixel"),
    ({}, {"augment": {"scale": 4e-9}}, "scale = 4e-09 does next to nothing"),
    ({}, {"augment": {"shift_px": 4e-9}}, "shift_px = 4e-09 does next to nothing"),
    ({}, {"augment": {"elastic_px": 4e-9}}, "elastic_px = 4e-09 does next to nothing"),
    (
        {"augment": {"rotation_deg": 10.0}},
        {"augment": {"rotation_deg": 10.0000003}},
        "from 10.0 to 10.0000003: so little",
    ),
    ({"augment": {"scale": 0.1}}, {"augment": {"scale": 0.1000000005}}, "scale changes from 0.1"),
    ({"augment": {"shift_px": 1.0}}, {"augment": {"shift_px": 1.00000004}}, "shift_px changes from 1.0"),
    ({"augment": {"elastic_px": 1.0}}, {"augment": {"elastic_px": 1.00000009}}, "elastic_px changes from 1.0"),
    (ADAM, {"lr": 0.0100000002}, "lr changes from 0.01 to 0.0100000002: so little may well change nothing"),
    (ADAM, optimizer(kind="adam", beta1=0.9000000005), "beta1 changes from 0.9"),
    (ADAM, optimizer(kind="adam", beta2=0.99900000001), "beta2 changes from 0.999"),
    (
        optimizer(kind="adam", epsilon=1e-25),
        optimizer(kind="adam", epsilon=1e-26),
        "epsilon = 1e-26 does next to nothing",
    ),
    (
        optimizer(kind="adam", epsilon=1e-12),
        optimizer(kind="adam", epsilon=1e-13),
        "epsilon = 1e-13 does next to nothing",
    ),
    (optimizer(kind="adam", beta1=0.0), optimizer(kind="adam", beta1=1e-12), "beta1 = 1e-12 does next to nothing"),
    (optimizer(momentum=0.0), optimizer(momentum=1e-12), "momentum = 1e-12 does next to nothing"),
    ({}, {"dropout": 1e-9}, "dropout = 1e-09 does next to nothing"),
    ({}, {"dropout": 1e-10}, "dropout = 1e-10 does next to nothing"),
    ({}, {"loss": {"label_smoothing": 1e-9}}, "label_smoothing = 1e-09 does next to nothing"),
    (
        {"loss": {"label_smoothing": 0.1}},
        {"loss": {"label_smoothing": 0.100000009}},
        "label_smoothing changes from 0.1",
    ),
    ({}, {"distill": {"network": NETWORK, "share": 1e-9}}, "share = 1e-09, does next to nothing"),
    (
        {"distill": {"network": NETWORK, "share": 0.99999999}},
        {"distill": {"network": NETWORK, "share": 0.99999998}},
        "share changes from 0.99999999",
    ),
    ({}, {"weight_decay": 1e-12}, "weight_decay = 1e-12 does next to nothing: 1e-12 of a weight"),
    ({}, {"weight_decay": 2e-10}, "weight_decay = 2e-10 does next to nothing: 2e-10 of a weight"),
    (ADAMW | {"lr": 0.001}, {"weight_decay": 5e-5}, "lr x weight_decay = 5e-08 of a weight"),
    (STILL, {"sharpness_aware": {"radius": 1e-9}}, "radius = 1e-09, moves hardly a weight"),
    (
        {"lr": 1e-30},
        {"lr": 1e-29},
        "lr = 1e-29 moves hardly a weight: it is too small to move a weight in float32, but one",
    ),
    (
        schedule("step", every_epochs=1, factor=1e-25),
        schedule("step", every_epochs=1, factor=1e-26),
        "first drop the lea",
    ),
    (STILL | schedule("step", every_epochs=1), schedule("step", every_epochs=1, factor=1e-5), "after 2 drops the lear"),
    (
        schedule("plateau", patience=0, factor=1e-12),
        schedule("plateau", patience=0, factor=1e-13),
        "factor = 1e-13 ends",
    ),
    (schedule("cosine"), schedule("cosine", final=1e-9), "final = 1e-09 does next to nothing: where it ends"),
    (schedule("one-cycle", start=1e-9), schedule("one-cycle", start=1e-8), "start = 1e-08 does next to nothing"),
]
SLIGHT_HERE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"dropout": 1e-8}, "hardly one can be expected to be zeroed"),
    ({}, {"average": {"horizon_epochs": 1.0, "every_steps": 6}}, "its one look is at the last step"),
    (
        {},
        {"average": {"horizon_epochs": 1e-4, "every_steps": 3}},
        "each epoch's last step alone counts, except for rounding",
    ),
    (
        {"average": {"horizon_epochs": 1.0, "every_steps": 4}},
        {"average": {"horizon_epochs": 2.0, "every_steps": 4}},
        "there is only one look",
    ),
    (
        {"average": {"horizon_epochs": 1e9, "every_steps": 2}},
        {"average": {"horizon_epochs": 2e9, "every_steps": 2}},
        "each look counts as much as any other",
    ),
    (
        {"average": {"horizon_epochs": 0.5, "every_steps": 1}},
        {"average": {"horizon_epochs": 0.50000001, "every_steps": 1}},
        "horizon_epochs changes from 0.5",
    ),
]


@pytest.mark.parametrize(("below", "change", "note"), SLIGHT, ids=str)
def test_a_change_that_may_do_nothing_is_told_of_and_let_be(
    below: dict[str, Any], change: dict[str, Any], note: str
) -> None:
    one, other = recipe(below), recipe(below | change)
    for sizes in (None, TEN):
        assert what_happens(one, sizes) != what_happens(other, sizes)
        assert note in " ".join([*idle_notes(other, sizes), *slight_changes(one, other)])


@pytest.mark.parametrize(("below", "change", "note"), SLIGHT_HERE, ids=str)
def test_a_change_that_may_do_nothing_on_these_images_is_told_of_and_let_be(
    below: dict[str, Any], change: dict[str, Any], note: str
) -> None:
    one, other = recipe(EIGHT | below), recipe(EIGHT | below | change)
    assert what_happens(one, SIZES) != what_happens(other, SIZES)
    assert note in " ".join([*idle_notes(other, SIZES), *slight_changes(one, other)])
    assert trained(one).is_close(trained(other))


# Numbers that float32 cannot tell apart, and a training can.
FINE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (ADAM | {"lr": 0.01}, {"lr": 0.0100000002}),
    (ADAM, optimizer(kind="adam", beta1=0.9000000005)),
    (ADAM, optimizer(kind="adam", beta2=0.99900000001)),
    ({"augment": {"rotation_deg": 10.0}}, {"augment": {"rotation_deg": 10.0000003}}),
    ({"augment": {"shift_px": 1.0}}, {"augment": {"shift_px": 1.00000004}}),
    (
        {"average": {"horizon_epochs": 0.5, "every_steps": 1}},
        {"average": {"horizon_epochs": 0.50000001, "every_steps": 1}},
    ),
    ({"lr": 0.5}, {"average": {"horizon_epochs": 1e-4, "every_steps": 3}}),
    ({"dropout": 0.0}, {"dropout": 1e-7}),
    (ADAM | {"batch_size": 48, "epochs": 1}, optimizer(kind="adam", beta2=0.9)),
]


@pytest.mark.parametrize(("below", "change"), FINE, ids=str)
def test_a_change_below_the_last_digit_of_float32_may_have_an_effect(
    below: dict[str, Any], change: dict[str, Any]
) -> None:
    one, other = recipe(EIGHT | {"epochs": 4} | below), recipe(EIGHT | {"epochs": 4} | below | change)
    assert what_happens(one, SIZES) != what_happens(other, SIZES)
    assert not trained(one).is_same(trained(other))


def test_what_a_bend_is_multiplied_by_is_that_of_the_draws() -> None:
    assert (2 / N_COSINES) ** 0.5 == BEND


@pytest.mark.parametrize(("below", "change", "reason"), ALIKE, ids=str)
def test_a_change_without_effect_says_why(below: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    one, other = recipe(below), recipe(below | change)
    assert one != other
    for sizes in (None, TEN):
        assert what_happens(one, sizes) == what_happens(other, sizes)
        assert hash(what_happens(one, sizes)) == hash(what_happens(other, sizes))
    assert reason in why_alike(one, other)


@pytest.mark.parametrize(("below", "change"), OTHER, ids=str)
def test_a_change_with_an_effect_is_none_of_them(below: dict[str, Any], change: dict[str, Any]) -> None:
    for sizes in (None, TEN):
        assert what_happens(recipe(below), sizes) != what_happens(recipe(below | change), sizes)


@pytest.mark.parametrize(("below", "change", "reason"), ALIKE_HERE, ids=str)
def test_a_change_without_effect_on_these_images_says_why(
    below: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    one, other = recipe(EIGHT | below), recipe(EIGHT | below | change)
    assert what_happens(one, SIZES) == what_happens(other, SIZES)
    assert reason in why_alike(one, other, SIZES)
    assert trained(one).is_close(trained(other))


def test_a_decay_that_is_said_to_take_nothing_takes_nothing() -> None:
    rng = np.random.default_rng(0)
    weights = (rng.uniform(-2, 2, 100_000) * 2.0 ** rng.integers(-30, 30, 100_000)).astype(np.float32)
    weights[:60] = 2.0 ** np.arange(-30, 30)  # whose neighbours below are nearest
    for lr, decay in ((1.0, HALF_DIGIT), (0.001, 2.9e-5), (0.02, 1.49e-6), (1000.0, 2.9e-11)):
        assert lr * decay <= HALF_DIGIT
        assert (weights - lr * np.full_like(weights, decay) * weights == weights).all()
    assert (weights - np.full_like(weights, 2**-24) * weights != weights).any()


def is_told(one: Recipe, other: Recipe) -> bool:
    """Whether somebody who writes one of them on the other is told that something there may do nothing."""
    found = [each for recipe in (one, other) for each in simplified(recipe, SIZES)[1]]
    nothing_moves = any("lr" in each.fields for each in found)  # whatever else the two would do
    return nothing_moves or any(not each.instead for each in found) or any(slight_changes(one, other))


def compare_by_training(rng: random.Random, *, n_pairs: int, coded: float) -> tuple[int, int]:
    """Train pairs; how many were alike, and how many not. Each must be what is said of it."""
    n_alike = n_other = 0
    while n_alike + n_other < n_pairs:
        one, other = pair(rng, coded=coded)
        if one == other:
            continue
        words = f"{changed_fields(one, other)}: {one.essence()} and {other.essence()}"
        if what_happens(one, SIZES) != what_happens(other, SIZES):
            assert not trained(one).is_same(trained(other)) or is_told(one, other), f"no effect of {words}"
            n_other += 1
        elif not (one.dropout and one.network != other.network):  # whose layers draw by their number
            assert trained(one).is_close(trained(other)), f"an effect of {words}"
            n_alike += 1
    return n_alike, n_other


def test_two_recipes_train_the_same_where_nothing_else_happens_and_only_there() -> None:
    n_alike, n_other = compare_by_training(random.Random(5), n_pairs=100, coded=0.0)
    assert n_alike > 10
    assert n_other > 50


@pytest.mark.evidence
def test_thousands_of_pairs_train_as_is_said_of_them() -> None:
    n_alike, n_other = compare_by_training(random.Random(11), n_pairs=2_000, coded=0.15)
    assert n_alike > 250
    assert n_other > 1000


# Ladders


LADDER = """\
name = "x"
data = "mnist"
budget = { params = 9999, epochs = 9 }
target = { accuracy = 9, last_epochs = 1 }
[[rung]]
name = "start"
why = "w"
[rung.recipe]
network = ["conv 4", "gap", "linear 10"]
epochs = 2
%s
[[rung]]
name = "second"
why = "w"
change.%s
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def ladder(tmp_path: Path) -> Write:
    def write(bottom: str, change: str) -> Path:
        path = tmp_path / "ladder.toml"
        path.write_text(LADDER % (bottom, change))
        return path

    return write


def test_a_ladder_file_is_refused_with_the_reason(ladder: Write) -> None:
    path = ladder('optimizer = { kind = "adam" }', 'optimizer = { kind = "adamw" }')
    with pytest.raises(LadderError) as refused:
        ladder_file.load(path)
    assert str(refused.value) == (
        f"{path}:15: rung 'second' changes optimizer without any effect: it would train exactly as the rung"
        " below, because Adam and AdamW are the same without weight decay: give weight_decay too (both at once are"
        ' compound = "why"), or leave it out'
    )


@pytest.mark.parametrize(
    ("bottom", "change", "reason"),
    [
        ("batch_size = 60000", "batch_size = 65536", "there are 50,000 training images: give at most 50,000"),
        ("", "average = { horizon_epochs = 1.0, every_steps = 2000 }", "there are 1,564 steps: it never looks"),
        ("augment = { cutout_px = 60 }", "augment = { cutout_px = 56 }", "a square of 55 pixels and more covers 28"),
    ],
)
def test_a_change_without_effect_on_the_images_is_refused_by_check(
    ladder: Write, bottom: str, change: str, reason: str
) -> None:
    loaded = ladder_file.load(ladder(bottom, change))
    where = rf"ladder\.toml:{len(Path(loaded.source).read_text().splitlines())}: "
    with pytest.raises(LadderError, match=where + r"rung 'second' changes \w+ without any effect: on these") as refused:
        check(loaded, n_seeds=1, jobs=1, speeds={})
    assert reason in str(refused.value)
    check_rungs(loaded, MNIST)  # what was trained before it was refused can be reported


@pytest.mark.parametrize(
    ("bottom", "note"),
    [
        (
            'block = "conv norm relu"\ndropout = 0.25',
            "dropout = 0.25 does nothing: no layer's block has a 'dropout' step"
            ' (give one, as in block = "conv relu norm dropout")',
        ),
        ("clean_epochs = 5", "clean_epochs = 5 does nothing: no epoch distorts its images"),
        (
            "augment = { mirror = true }\nclean_epochs = 5",
            "augment (horizontal flip) does nothing: clean_epochs = 5 of 2 epochs leave no epoch with distortion",
        ),
        ("augment = { cutout_px = 60 }", "cutout_px = 60 blackens each distorted image whole"),
        (
            "augment = { shift_px = 0.1 }",
            "shift_px = 0.1 moves images by at most 0.1 of a pixel: it counts pixels, not fractions of the image's side"
            " (give pixels, as in shift_px = 2.8 for 10%)",
        ),
        ("augment = { shift_px = 280.0 }", "shift_px = 280 moves 99% of the images out of sight"),
        (
            'schedule = { kind = "cosine", warmup_epochs = 5 }',
            "warmup_epochs = 5 of 2 epochs: the learning rate never reaches lr: it ends at 40% of it",
        ),
        ('schedule = { kind = "step", every_epochs = 6 }', "the step schedule does nothing: its first drop would"),
        ('schedule = { kind = "plateau" }', "the plateau schedule does nothing: 4 epochs, of which"),
        ("batch_size = 60000", "batch_size = 60,000 means all images at once: there are 50,000"),
        ('block = "conv relu"\nrecalibrate_images = 9', "recalibrate_images = 9 does nothing: no layer's block has"),
        ('block = "conv relu"\nnorm_scale = false', "norm_scale = false does nothing: no layer's block has"),
        ("average = { horizon_epochs = 1.0, every_steps = 2000 }", "average does nothing: every_steps = 2,000"),
        ('optimizer = { kind = "adamw" }', "kind = 'adamw' does what 'adam' does"),
        ("optimizer = { momentum = 0.0, nesterov = true }", "nesterov = true does nothing: without momentum"),
        ("weight_decay = 1e-30", "weight_decay = 1e-30 does nothing: 1e-30 of a weight adds nothing"),
        ('distill = { network = ["conv 2", "gap", "gap", "linear 10"] }', "its teacher: layer 3 ('gap') does nothing"),
        (
            'block = "conv relu"\nnorm_scale = false\n'
            'distill = { network = ["conv 2 block conv norm", "gap", "linear 10"] }',
            "norm_scale = false does nothing: no layer's block has a 'norm' step",
        ),
    ],
)
def test_a_rung_is_told_of_what_does_nothing_once(ladder: Write, bottom: str, note: str) -> None:
    loaded = ladder_file.load(ladder(bottom, "lr = 0.02"))
    first, second = check_rungs(loaded, MNIST)
    assert len(first.notes) == 1
    assert first.notes[0].startswith(note)
    assert first.notes[0].endswith("; only its teacher has a use for it") == ("conv 2 block" in bottom)
    assert not second.notes, "the rung below has said it"
    assert notes_of((first, second)) == [f"rung 'start': {first.notes[0]}"]


def test_a_setting_that_a_change_disarms_is_told_of_there(ladder: Write) -> None:
    loaded = ladder_file.load(ladder("norm_scale = false", 'network = ["conv 4 bare", "gap", "linear 10"]'))
    first, second = check_rungs(loaded, MNIST)
    assert not first.notes
    assert second.notes == (
        "norm_scale = false does nothing: no layer's block has a 'norm' step (give one, as in"
        ' block = "conv relu norm")',
    )


def test_a_bias_before_a_norm_and_an_idle_layer_are_told_of() -> None:
    notes = idle_notes(recipe({"network": ["conv 4 bias block conv norm", "maxpool 1", "gap", "linear 10"]}))
    assert [note.partition(":")[0] for note in notes] == [
        "the bias of layer 1 ('conv 4 3x3 bias block conv norm') does nothing",
        "layer 2 ('maxpool 1') does nothing",
    ]


def test_an_ablation_leaves_a_change_alone_that_does_nothing_at_the_top(ladder: Write) -> None:
    path = ladder("dropout = 0.1", "norm_scale = false")
    path.write_text(path.read_text() + '[[rung]]\nname = "bare"\nwhy = "w"\nchange.block = "conv relu"\n')
    ablation = ablate(ladder_file.load(path))
    assert list(ablation.without) == ["bare"]
    assert ablation.kept["second"].startswith(
        "its change does nothing at the top, because no layer's block has a 'norm'"
    )


@pytest.mark.parametrize("name", ladder_file.shipped())
def test_a_shipped_ladder_has_nothing_idle(name: str) -> None:
    loaded = ladder_file.load(name)
    assert notes_of(check_rungs(loaded, MNIST)) == []
    require_effects(loaded, MNIST)


def test_check_and_climb_say_it(ladder: Write, digits: Path, stepladder: CommandLine) -> None:
    path = ladder("clean_epochs = 5", "lr = 0.02")
    path.write_text(path.read_text().replace('"mnist"', f"'{digits}'"))
    note = "clean_epochs = 5 does nothing: no epoch distorts its images"
    shown = stepladder("check", path)
    assert shown.returncode == 0
    assert f"Note: rung 'start': {note}" in shown.stdout
    first, second = json.loads(stepladder("check", path, "--json").stdout)["rungs"]
    assert [each.partition(" (")[0] for each in first["notes"]] == [note]
    assert second["notes"] == []
    climbed = stepladder("climb", path, "--seeds", 1, "--top")
    assert climbed.stderr.count(note) == 1


KEYS = {
    "mnist-1000": "505cc88e8c5643d2 44c55e992032a6d3 4a0943869ec258f2 a083b0c19cbfe4bd 24b667dc35e8e6ba"
    " d9213d76a2060c98 086a2f003bab1be7",
    "mnist-4500": "505cc88e8c5643d2 44c55e992032a6d3 7bae8285d7f2142e e0b2bd21f83ae941 6dcfaeee4cbde005"
    " 3023ff03293de33a 81ced612034a9924 36fb0444b9950a11 1d2f715c20a057b3",
    "mnist-8k": "557b1f771e937ad6 5991a5ab57eaea1f b3e20d620240e50c 51d8a53109d111f9 4eef23827fb511e8 7098f06e1be79db4",
    "mnist-8k-as-run": "557b1f771e937ad6 5991a5ab57eaea1f b3e20d620240e50c 51d8a53109d111f9 1704d98516dd225e"
    " aca1bcba066180c1",
    "mnist-8k-record": "7098f06e1be79db4 0872b450a436a071 0e504ea8f61d59d7 975bcbfae086eaf5 bdeb453096df2f79"
    " 0037e4455c87de5d 47216c7bdeb5b5f3 2978bc81bcd6b9f2 187734bb7a02f8a5 96b46b186d2ba608 7d40d7e5f13e2578",
    "mnist-fast": "9f5c6d763ea2cd6b dfadc452d47e9d4b 3184c0f7a6890903 f4f447ba1cbad7c2",
}


def test_the_keys_of_shipped_rungs_are_what_they_were() -> None:
    """A stored run is found by its key: one that moves is a run lost."""
    assert set(KEYS) == set(ladder_file.shipped())
    for name, keys in KEYS.items():
        loaded = ladder_file.load(name)
        identity = data_identity(loaded)
        assert [experiment_key(rung.recipe, identity) for rung in loaded.rungs] == keys.split(), name


def test_scores_that_a_relu_cuts_off_are_told_of() -> None:
    for end, told in (
        (["linear 10 block linear relu"], "layer 3 ('linear 10 block linear relu')"),
        (["conv 10 block conv norm relu", "gap"], "layer 3 ('conv 10 3x3 block conv norm relu')"),
        (["linear 10"], ""),
        (["conv 10 bare", "gap"], ""),
        (["conv 10", "gap"], ""),
    ):
        notes = idle_notes(Recipe.model_validate({"network": ["conv 4", "maxpool 2", *end], "epochs": 3}))
        relu = [note for note in notes if note.startswith("the relu at the end of ")]
        assert len(relu) == bool(told)
        assert all(told in note and "makes 0 of each negative score" in note for note in relu)


def test_what_does_not_fit_is_named_with_its_line(ladder: Write) -> None:
    path = ladder("lr = 0.02", "network = [\n  'conv 4',\n  'conv 4 31x31',\n  'gap', 'linear 10' ]")
    line = path.read_text().split("\n").index("  'conv 4 31x31',") + 1
    with pytest.raises(LadderError) as refused:
        check_rungs(ladder_file.load(path), MNIST)
    assert str(refused.value).startswith(f"{path}:{line}: rung 'second': layer 2 ('conv 4 31x31') has a 31x31 kernel")
    path = ladder("lr = 0.02", "network = ['conv 4',\n  'gap', 'linear 12' ]")
    with pytest.raises(LadderError) as refused:
        check_rungs(ladder_file.load(path), MNIST)
    line = path.read_text().split("\n").index("  'gap', 'linear 12' ]") + 1
    assert str(refused.value).startswith(f"{path}:{line}: rung 'second': the network ends in 12 x 1 x 1 values")


@pytest.mark.parametrize(
    ("sizes", "augment", "words"),
    [
        (SIGNALS, {"rotation_deg": 10.0}, "images of one row, or one column, of pixels cannot be turned"),
        (SIGNALS, {"shear_deg": 5.0}, "images of one row, or one column, of pixels cannot be turned"),
        (SIGNALS, {"shift_px": 0.1}, "as in shift_px = 6.4 for 10%"),
        (SIGNALS, {"shift_px": 128.0}, "moves 50% of the images out of sight: they have 1 x 64 pixels"),
        (SIGNALS, {"cutout_px": 127}, "a square of 127 pixels and more covers 1 x 64"),
        (KEYWORDS, {"shift_px": 20.0}, "moves 50% of the images out of sight: they have 49 x 10 pixels"),
        (KEYWORDS, {"shift_px": 98.0}, "moves 95% of the images out of sight"),
        (KEYWORDS, {"cutout_px": 97}, "a square of 97 pixels and more covers 49 x 10"),
    ],
)
def test_distortions_of_images_that_are_not_square_are_told_by_each_side(
    sizes: Sizes, augment: dict[str, Any], words: str
) -> None:
    notes = idle_notes(Recipe.model_validate({"network": ["gap", "linear 10"], "epochs": 1, "augment": augment}), sizes)
    assert any(words in note for note in notes), notes


def test_distortions_along_a_signal_are_not_remarked_on() -> None:
    augment = {"shift_px": 8.0, "scale": 0.1, "mirror": True, "elastic_px": 1.0, "cutout_px": 8}
    recipe = Recipe.model_validate({"network": ["gap", "linear 10"], "epochs": 1, "augment": augment})
    assert not [note for note in idle_notes(recipe, SIGNALS) if "_px" in note or "mirror" in note]
