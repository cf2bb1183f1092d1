"""Values of recipes as a program writes them: short to write, short to read, refused in a ladder file's words."""

import re
from decimal import Decimal
from inspect import signature
from typing import Any

import pytest

import stepladder as sl
from stepladder.ladders import ladder_file
from stepladder.recipes import recipe as recipes

WRITTEN: Any = sl  # as one writes who has no type checker
LAYERS = ["conv 8", "gap", "linear 10"]


def test_the_first_field_goes_without_its_name() -> None:
    assert sl.Target(99.4) == sl.Target(accuracy=99.4)
    assert sl.Target(99.4).accuracy == Decimal("99.4")
    assert WRITTEN.Augment(10) == sl.Augment(rotation_deg=10.0)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (sl.Cosine(warmup_epochs=1), "cosine"),
        (sl.LinearDecay(), "linear"),
        (sl.OneCycle(), "one-cycle"),
        (sl.Plateau(), "plateau"),
        (sl.Step(every_epochs=3), "step"),
        (sl.Constant(), "constant"),
        (sl.Muon(), "muon"),
        (sl.Adam(), "adam"),
        (sl.Adam(kind="adamw"), "adamw"),
        (sl.Sgd(), "sgd"),
    ],
)
def test_a_class_of_one_kind_says_it_itself(value: Any, kind: str) -> None:
    assert value.kind == kind
    field = "schedule" if kind in ("cosine", "linear", "one-cycle", "plateau", "step", "constant") else "optimizer"
    given = sl.Recipe(network=LAYERS, epochs=8, **{field: value})
    read = recipes.Recipe.model_validate({"network": LAYERS, "epochs": 8, field: {**value.model_dump()}})
    assert (given, given.essence()) == (read, read.essence())


def test_a_recipe_shows_what_one_would_write() -> None:
    for name in ladder_file.shipped():
        for rung in sl.load(name).rungs:
            assert eval(repr(rung.recipe), {"Recipe": sl.Recipe}) == rung.recipe
    assert [repr(each) for each in (sl.Cosine(), sl.Step(every_epochs=3), sl.Adam(), sl.Adam(kind="adamw"))] == [
        "Cosine()",
        "Step(every_epochs=3)",
        "Adam()",
        "Adam(kind='adamw')",
    ]
    assert repr(sl.Augment(rotation_deg=10)) == "Augment(rotation_deg=10.0)"
    assert repr(sl.Recipe(network=LAYERS, epochs=5)) == "Recipe(network=['conv 8 3x3', 'gap', 'linear 10'], epochs=5)"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda: WRITTEN.Augment(rotation=10),
            "Augment: rotation: unknown field 'rotation'; did you mean 'rotation_deg'?",
        ),
        (lambda: sl.Recipe(network=["convv 8"], epochs=1), "Recipe: network.item 1: unknown layer 'convv'"),
        (
            lambda: WRITTEN.Recipe(network=LAYERS, epochs="5"),
            "Recipe: epochs: it should be a whole number, not '5'",
        ),
        (lambda: sl.Recipe(network=LAYERS, epochs=5, dropout=5), "it should be less than 1, not 5: 5% is written 0.05"),
        (
            lambda: sl.Recipe(network=LAYERS, epochs=5, optimizer="adam"),
            "it should be a dict, or a value made for it, not 'adam': write optimizer=dict(kind=\"adam\")",
        ),
        (lambda: sl.Target(0.994), "Target: accuracy: accuracy is in percent, and 0.994 is 0.994%: write 99.4"),
        (lambda: sl.Budget(params=0, epochs=1), "Budget: params: it should be at least 1, not 0"),
        (lambda: WRITTEN.Cosine(kind="step"), "Cosine: kind: unknown kind 'step'; known are cosine"),
    ],
)
def test_nonsense_is_refused_in_one_message(made: Any, message: str) -> None:
    with pytest.raises(sl.LadderError, match=re.escape(message)):
        made()


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(sl.LadderError) as refused:
        sl.Recipe(network=LAYERS, epochs=0, dropot=0.1)
    assert [line.split(":")[1] for line in str(refused.value).splitlines()] == [" epochs", " dropot"]


def test_help_says_what_a_call_takes_and_what_each_field_means() -> None:
    assert str(signature(sl.Adam)) == "(kind='adam', *, beta1=0.9, beta2=0.999, epsilon=1e-08)"
    assert str(signature(sl.Target)) == "(accuracy, *, last_epochs=5, balanced=False)"
    for kind in (sl.Recipe, sl.Augment, sl.Cosine, sl.Muon, sl.Distill, sl.Budget, sl.Target):
        told = (kind.__doc__ or "").partition("\nFields:\n")[2].splitlines()
        described = {name: field.description for name, field in kind.model_fields.items() if name != "kind"}
        assert told == [f"    {name}: {description}" for name, description in described.items()]
