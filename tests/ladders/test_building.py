"""Ladders that a program builds: the same value as a file's, refused at the call for what a file is refused for."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepladder as sl

BUDGET, TARGET = sl.Budget(params=8_000, epochs=15), sl.Target(99.0)
NETWORK = ["conv 8", "maxpool 2", "conv 16", "gap", "linear 10"]
STARTED = sl.ladder("mine", budget=BUDGET, target=TARGET).start(
    "skeleton", sl.Recipe(network=NETWORK, epochs=5), why="small"
)
ROUGH: Any = STARTED  # what no type checker would let through
LADDER = STARTED.then("dropout", dropout=0.05, why="train is above dev").then(
    "rotation", augment=sl.Augment(rotation_deg=10), why="digits lean"
)
LOOSE: Any = sl  # called as type checkers would not have it
FILE = """\
name = "mine"
budget = { params = 8_000, epochs = 15 }
target = { accuracy = 99.0 }
[[rung]]
name = "skeleton"
why = "small"
recipe = { network = ["conv 8", "maxpool 2", "conv 16", "gap", "linear 10"], epochs = 5 }
[[rung]]
name = "dropout"
why = "train is above dev"
change.dropout = 0.05
[[rung]]
name = "rotation"
why = "digits lean"
change.augment = { rotation_deg = 10 }
"""


def test_it_is_the_ladder_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(FILE)
    assert replace(sl.load(tmp_path / "mine.toml"), source="mine") == LADDER


def test_each_call_gives_a_ladder_of_its_own() -> None:
    assert [len(each.rungs) for each in (STARTED, STARTED.then("lr", lr=0.1, why="faster"), STARTED)] == [1, 2, 1]
    assert isinstance(STARTED, sl.Ladder)
    assert STARTED.check().excess == []


def test_a_ladder_of_a_file_goes_on_in_a_program() -> None:
    longer = sl.load("mnist-8k").then("decay", weight_decay=0.0005, why="a little of it")
    assert longer.rungs[:-1] == sl.load("mnist-8k").rungs
    assert longer.rungs[-1].changes == ("weight_decay",)


def test_a_rung_tightens_the_budget_and_raises_the_target() -> None:
    rung = STARTED.then("lr", lr=0.1, why="faster", budget={"params": 4_000}, target=sl.Target(99.2)).rungs[-1]
    assert (rung.budget, rung.target) == (sl.Budget(params=4_000, epochs=15), sl.Target(99.2))


def test_tables_do_for_values() -> None:
    begun = sl.ladder("mine", budget={"params": 8_000, "epochs": 15}, target={"accuracy": 99.0})
    assert begun.start("skeleton", {"network": NETWORK, "epochs": 5}, why="small") == STARTED


def test_a_compound_rung_says_why() -> None:
    both = STARTED.then("both", lr=0.1, epochs=10, compound="the notebook did", why="as it was")
    assert both.rungs[-1].changes == ("lr", "epochs")


REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "two changes": (
        lambda: STARTED.then("x", dropout=0.1, lr=0.1, why="y"),
        sl.LadderError,
        "mine: rung 'x' changes dropout and lr; a rung changes one concept: split it into two rungs (first dropout=0.1,"
        ' then lr=0.1), or declare it: compound="why not one at a time"',
    ),
    "two distortions": (
        lambda: STARTED.then("x", augment={"rotation_deg": 10, "shift_px": 1}, why="y"),
        sl.LadderError,
        "(first augment=sl.Augment(rotation_deg=10.0), then augment=sl.Augment(rotation_deg=10.0, shift_px=1.0))",
    ),
    "a network, a block and a schedule": (
        lambda: STARTED.variant("x", network=NETWORK[1:], block="conv relu", schedule=sl.Cosine(), why="y"),
        sl.LadderError,
        "into three variants (first network=[...], then block='conv relu', then schedule=sl.Cosine())",
    ),
    "no change": (
        lambda: STARTED.then("x", why="y"),
        sl.LadderError,
        "mine: rung 'x' changes nothing: change one field of its recipe, as in dropout=0.05, or remove it",
    ),
    "a budget of no such kind": (
        lambda: ROUGH.then("x", lr=0.1, budget=7_000, why="y"),
        sl.LadderError,
        "mine: rung 'x': budget: it should be an sl.Budget or a dict, not 7000: as in budget={\"params\": 8_000}",
    ),
    "a target of no such kind": (
        lambda: ROUGH.then("x", lr=0.1, target=99.5, why="y"),
        sl.LadderError,
        "mine: rung 'x': target: it should be an sl.Target or a dict, not 99.5: as in target={\"accuracy\": 99.4}",
    ),
    "an unknown field of a budget": (
        lambda: STARTED.then("x", lr=0.1, budget={"parms": 7_000}, why="y"),
        sl.LadderError,
        "mine: rung 'x': budget: parms: unknown field 'parms'; did you mean 'params'?",
    ),
    "a target of a variant": (
        lambda: STARTED.variant("x", lr=0.1, target=sl.Target(99.5), why="y"),
        sl.LadderError,
        "mine: variant 'x': leave target out: a variant has that of the rung that it hangs on",
    ),
    "an unknown field of a variant": (
        lambda: STARTED.variant("x", drop=0.1, why="y"),
        sl.LadderError,
        "mine: variant 'x': drop: unknown field 'drop'; did you mean 'dropout'?",
    ),
    "a class": (
        lambda: STARTED.then("x", schedule=sl.Step, why="y"),
        sl.LadderError,
        "mine: rung 'x': schedule: it should be a value, not a class: call it, as in sl.Step(every_epochs=6)",
    ),
    "the same value": (
        lambda: LADDER.then("x", dropout=0.05, why="y"),
        sl.LadderError,
        "mine: rung 'x' changes nothing about dropout: it is 5% on the rung below too: give it another value",
    ),
    "no effect": (
        lambda: STARTED.then("x", schedule=sl.Cosine(final=1.0), why="y"),
        sl.LadderError,
        "mine: rung 'x' changes schedule without any effect: it would train exactly as the rung below",
    ),
    "an unknown field": (
        lambda: STARTED.then("x", drop=0.1, why="y"),
        sl.LadderError,
        "mine: rung 'x': drop: unknown field 'drop'; did you mean 'dropout'?",
    ),
    "the same name": (lambda: LADDER.then("rotation", lr=0.1, why="y"), sl.LadderError, "two rungs are named"),
    "no reason": (lambda: STARTED.then("x", lr=0.1, why=""), sl.LadderError, "why: it should be a text that is not"),
    "too many parameters": (
        lambda: STARTED.then("x", network=["conv 64", "conv 64", "gap", "linear 10"], why="y"),
        sl.BudgetError,
        "over budget: mine: rung 'x' has 38,346 parameters, 30,346 over its budget of 8,000",
    ),
    "too many epochs": (
        lambda: STARTED.then("x", epochs=16, why="y"),
        sl.BudgetError,
        "rung 'x' trains for 16 epochs, 1 over its budget of 15",
    ),
    "a looser budget": (
        lambda: STARTED.then("x", lr=0.1, budget={"params": 9_000}, why="y"),
        sl.LadderError,
        "loosens the budget from 8,000 to 9,000 params",
    ),
    "another number of classes": (
        lambda: STARTED.then("x", network=["conv 8", "gap", "linear 11"], why="y"),
        sl.GeometryError,
        "mine: rung 'x': the network ends in 11 x 1 x 1 values",
    ),
    "a start that is none": (
        lambda: sl.ladder("mine", budget=BUDGET, target=TARGET).start("x", {"network": NETWORK}, why="y"),
        sl.LadderError,
        "mine: rung 'x': epochs: this field is missing",
    ),
    "nothing below": (
        lambda: sl.ladder("mine", budget=BUDGET, target=TARGET).then("x", lr=0.1, why="y"),
        sl.LadderError,
        "mine: rung 'x': there is no rung below it: begin with .start(",
    ),
    "a budget that is none": (
        lambda: sl.ladder("mine", budget={"params": 8_000}, target=TARGET),
        sl.LadderError,
        "ladder 'mine': budget.epochs: this field is missing",
    ),
    "dev images of the test split": (
        lambda: sl.ladder("mine", budget=BUDGET, target=TARGET, evaluate_on="test", dev_images=100),
        sl.LadderError,
        "dev_images holds images out of train, but evaluate_on is 'test': remove one",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_nonsense_is_refused_at_the_call(why: str) -> None:
    call, error, message = REFUSED[why]
    with pytest.raises(error, match=re.escape(message)) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_images_that_are_there_are_looked_at_and_others_may_come_later(tmp_path: Path) -> None:
    path = tmp_path / "two.npz"
    limits: dict[str, Any] = {"budget": BUDGET, "target": TARGET, "data": path}
    recipe = sl.Recipe(network=NETWORK, epochs=5)
    assert sl.ladder("mine", **limits).start("skeleton", recipe, why="small").data == str(path)
    images = np.random.default_rng(1).integers(0, 256, (20, 12, 12), np.uint8)
    np.savez(path, x_train=images, y_train=np.arange(20) % 2, x_test=images[::-1], y_test=np.arange(20) % 2)
    with pytest.raises(sl.GeometryError, match="one number for each of 2 classes"):
        sl.ladder("mine", **limits).start("skeleton", recipe, why="small")


def test_a_variant_is_refused_for_what_a_rung_is() -> None:
    ladder = sl.load("mnist-1000")
    lr = ladder.rungs[0].recipe.lr
    nothing = r"variant 'same' changes nothing about lr: .* on the rung that it hangs on"
    with pytest.raises(sl.LadderError, match=nothing):
        ladder.variant("same", on=ladder.rungs[0].name, lr=lr, why="y")
    with pytest.raises(sl.LadderError, match="has no rung 'nowhere'"):
        ladder.variant("lost", on="nowhere", lr=lr / 2, why="y")
    with pytest.raises(sl.LadderError, match="two rungs are named"):
        ladder.variant(ladder.rungs[0].name, lr=lr / 2, why="y")
    with pytest.raises(sl.LadderError, match="variant 'two' changes"):
        ladder.variant("two", lr=lr / 2, epochs=1, why="y")
    with pytest.raises(sl.BudgetError, match="large"):
        ladder.variant("large", network=["conv 64", "conv 64", "gap", "linear 10"], why="y")


def test_distortions_at_once_are_refused_at_the_call() -> None:
    with pytest.raises(sl.LadderError, match=r"augment.shift_px and augment.mirror; a rung changes one concept"):
        sl.load("mnist-8k").then("both", augment=sl.Augment(rotation_deg=15.0, mirror=True, shift_px=1), why="y")


def test_numbers_of_numpy_are_numbers() -> None:
    assert sl.Target(np.float64(99.4)) == sl.Target(99.4)
    assert sl.Target(np.float64(99.4)).accuracy.as_tuple() == sl.Target(99.4).accuracy.as_tuple()


def test_the_first_field_needs_no_name() -> None:
    """But for a kind that the class says already; and given twice it is not overwritten in silence."""
    assert (LOOSE.Step(6), LOOSE.Sgd(0.8)) == (sl.Step(every_epochs=6), sl.Sgd(momentum=0.8))
    assert (LOOSE.Adam("adamw"), LOOSE.CrossEntropy(0.1)) == (
        sl.Adam(kind="adamw"),
        sl.CrossEntropy(label_smoothing=0.1),
    )
    with pytest.raises(sl.LadderError, match="Budget takes params without its name or with it, and was given both"):
        LOOSE.Budget(5, params=6, epochs=1)


def test_what_went_around_a_recipes_checks_is_checked() -> None:
    """As pydantic lets one do."""
    begun = sl.ladder("mine", budget=BUDGET, target=TARGET)
    recipe = sl.Recipe(network=NETWORK, epochs=5)
    for odd, message in (
        (recipe.model_copy(update={"lr": "x"}), "rung 'a': lr: it should be a number, not 'x'"),
        (recipe.model_copy(update={"dropout": 1.5}), "rung 'a': dropout: it should be less than 1"),
        (LOOSE.Recipe.model_construct(epochs=5), "rung 'a': network: this field is missing"),
    ):
        with pytest.raises(sl.LadderError, match=message):
            begun.start("a", odd, why="w")


@pytest.mark.parametrize("data", [None, 5, b"mnist"])
def test_data_is_a_text_or_a_path(data: Any) -> None:
    with pytest.raises(sl.LadderError, match='data takes "mnist" or a path, not'):
        sl.ladder("mine", data=data, budget=BUDGET, target=TARGET)


@pytest.mark.parametrize("blank", [" ", "\n\t"])
def test_a_blank_text_is_none(blank: str, tmp_path: Path) -> None:
    """It was read, stripped, and could not be read again when the ladder was written."""
    with pytest.raises(sl.LadderError, match="why: it should be a text that is not empty"):
        STARTED.then("lr", lr=0.1, why=blank)
    with pytest.raises(sl.LadderError, match="compound: it should be a text that is not empty"):
        STARTED.then("lr", lr=0.1, epochs=6, why="faster", compound=blank)
    with pytest.raises(sl.LadderError, match="name: it should be a text that is not empty"):
        STARTED.then(blank, lr=0.1, why="faster")
    (tmp_path / "mine.toml").write_text(FILE.replace('why = "digits lean"', f"why = {json.dumps(blank)}"))
    with pytest.raises(sl.LadderError, match=r"mine.toml:14: rung 3, why: it should be a text that is not empty"):
        sl.load(tmp_path / "mine.toml")


def test_what_a_file_cannot_hold_is_not_written(tmp_path: Path) -> None:
    begun = sl.ladder("mine", about="  what it is for\n", budget=BUDGET, target=TARGET)
    ladder = begun.start("a", sl.Recipe(network=NETWORK, epochs=5), why="w")
    (tmp_path / "mine.toml").write_text(ladder.to_toml())
    assert replace(sl.load(tmp_path / "mine.toml"), source="mine") == ladder
    with pytest.raises(sl.LadderError, match=r"about: '\\ud800' holds half a character, which no file can hold"):
        sl.ladder("mine", about="\ud800", budget=BUDGET, target=TARGET)
    for seed, is_written in ((2**63 - 1, True), (2**63, False)):
        taught = ladder.then("b", distill=sl.Distill(["gap", "linear 10"], seeds=[seed]), why="w")
        if is_written:
            assert f"seeds = [{seed}]" in taught.to_toml()
            continue
        with pytest.raises(sl.LadderError, match="9223372036854775808 has more than 64 bits, and TOML has no room"):
            taught.to_toml()


def test_a_ladder_is_evaluated_on_a_split_that_there_is() -> None:
    typo: Any = "tset"
    with pytest.raises(sl.LadderError, match="mine: evaluate_on should be 'dev' or 'test', not 'tset'"):
        replace(LADDER, evaluate_on=typo)
    with pytest.raises(sl.LadderError, match="mine: comparisons should be at least 1, not 0"):
        replace(LADDER, comparisons=0)


@pytest.mark.parametrize("size", [0, -1, True, "28", 28.0, float("nan"), None, np.arange(2)], ids=repr)
def test_images_have_whole_sizes(size: Any) -> None:
    with pytest.raises(
        sl.LadderError, match=r"size of images is a whole number from 1 on, or two, \(height, width\), not"
    ):
        sl.ImageShape(channels=1, size=size, n_classes=10)
    assert LOOSE.ImageShape(channels=np.int64(1), size=28, n_classes=10).channels == 1
