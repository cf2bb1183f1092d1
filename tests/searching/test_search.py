"""Searching: what is proposed, who goes on, real searches that are killed, stopped, shared, and blind to test."""

import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import CommandLine, Once, write_idx
from elsewhere import another, elsewhere, other_revision
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import Command

from stepladder._base.files import checksum
from stepladder._base.ours import signed
from stepladder.cli import main as cli
from stepladder.datasets import data
from stepladder.datasets.sources import MNIST, DataInfo
from stepladder.engines import choose_engine
from stepladder.engines.training import train
from stepladder.errors import BudgetError, EngineError, LadderError, StoreError
from stepladder.execution.piece import finished
from stepladder.ladders import ladder_file
from stepladder.ladders.checking import check_rungs, excess_of
from stepladder.ladders.evaluated import splits_for
from stepladder.ladders.ladder_toml import data_path
from stepladder.networks.geometry import ImageShape
from stepladder.networks.ops import BatchNorm, Block
from stepladder.networks.text import parse
from stepladder.recipes.happening import what_happens
from stepladder.recipes.recipe import Adam, Augment, Average, Muon, Recipe, Sgd, changed_fields
from stepladder.recipes.schedules import Cosine, LinearDecay, Step
from stepladder.runs.run import Progress, Run
from stepladder.runs.store import Store
from stepladder.searching.guesses import first_guesses
from stepladder.searching.ladder_of_winner import MARK, ladder_text, output_path, way_up
from stepladder.searching.searching import Deadline, Found, Quest, quest, search
from stepladder.searching.space import SearchSpace, propose, recipe_of
from stepladder.searching.study import SearchStudy, default_storage
from stepladder.searching.trials import (
    Limits,
    Outcome,
    Round,
    Trial,
    ceiling,
    contenders,
    frontier,
    goes_on,
    interval,
    rounds,
    winner,
)

LADDER = """\
name = "tiny"
data = {data!r}
evaluate_on = "test"
budget = {{ params = 1000, epochs = 100 }}
target = {{ accuracy = 20, last_epochs = 1 }}

[[rung]]
name = "start"
why = "small enough to train in a moment"
[rung.recipe]
network = ["conv 4 3x3 stride 2", "maxpool 2", "conv 6 3x3", "gap", "linear 10"]
lr = 0.05
epochs = {epochs}
"""
OUTCOME = {"seed": 1001, "n_correct": 9940, "n_evaluated": 10_000, "held": True}
SMALL = ("--trials", 5, "--seeds", 2, "--jobs", 1)


class Drawn:
    """Any choice that is allowed."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high), name)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        del log
        if step is None:
            return self.data.draw(st.floats(low, high), name)
        return low + step * self.data.draw(st.integers(0, round((high - low) / step)), name)


class Guessed:
    """The guess, which has to be allowed; the least of all else."""

    def __init__(self, guess: dict[str, float]) -> None:
        self.guess = guess

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return int(self.suggest_float(name, low, high))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        del log
        value = self.guess.get(name, low)
        assert low <= value <= high, name
        assert step is None or abs(value - low - step * round((value - low) / step)) < 1e-9, name
        return value


NETWORK = (parse("conv 4"), parse("gap"), parse("linear 10"))

# What is proposed: stages of plain or of separable units, the first unit of all a plain one, then one of two heads.
PLAIN = r"conv \d+ 3x3(?: pad 1)?"
SEPARABLE = r"depthwise 3x3(?: pad 1)? bare, conv \d+ 1x1"
FIRST_STAGE = rf"{PLAIN}(?:(?:, {PLAIN})*|(?:, {SEPARABLE})*)"
STAGE = rf"(?:{PLAIN}(?:, {PLAIN})*|{SEPARABLE}(?:, {SEPARABLE})*)"
PROPOSED = rf"{FIRST_STAGE}(?:, maxpool 2, {STAGE}){{1,2}}(?: bias bare, gap|, gap, linear \d+)"

IMAGES = st.builds(ImageShape, channels=st.integers(1, 4), size=st.integers(2, 40), n_classes=st.integers(2, 20))
BASES = st.builds(
    Recipe,
    network=st.just(NETWORK),
    block=st.sampled_from([Block.parse("conv relu norm dropout"), Block.parse("conv norm relu"), Block()]),
    norm_scale=st.booleans(),
    dropout=st.sampled_from([0.0, 0.05]),
    augment=st.sampled_from([Augment(), Augment(rotation_deg=8, cutout_px=3), Augment(mirror=True)]),
    weight_decay=st.sampled_from([0.0, 1e-3]),
    optimizer=st.sampled_from([Adam(kind="adam"), Adam(kind="adamw"), Sgd(), Muon(kind="muon")]),
    average=st.sampled_from([None, Average(horizon_epochs=1.0)]),
    clean_epochs=st.integers(0, 2),
    epochs=st.integers(1, 30),
)


@settings(max_examples=150, deadline=None)
@given(
    base=BASES,
    image=IMAGES,
    n_train=st.one_of(st.integers(2, 70_000), st.sampled_from([129, 12_801])),
    extra=st.integers(0, 10_000),
    epochs=st.integers(1, 20),
    data=st.data(),
)
def test_what_is_proposed_keeps_the_budget_fits_and_trains(
    base: Recipe, image: ImageShape, n_train: int, extra: int, epochs: int, data: st.DataObject
) -> None:
    with pytest.raises(BudgetError, match="smallest network that a search proposes"):
        SearchSpace(base=base, image=image, n_train=n_train, params=1)
    # A convolution of 3 channels with the shift of its norm, a depthwise one, a 1x1 one for the logits with its bias.
    least = 9 * 3 * image.channels + 3 * (base.block.has(BatchNorm)) + 9 * 3 + (3 + 1) * image.n_classes
    space = SearchSpace(base=base, image=image, n_train=n_train, params=least + extra)
    proposal = propose(space, Drawn(data))
    for n in (epochs, max(1, round(epochs / 3))):
        recipe = recipe_of(space, proposal, epochs=n)
        assert recipe.network_for(image).params <= least + extra
        assert recipe.network == tuple(parse(str(layer)) for layer in recipe.network)
        assert re.fullmatch(PROPOSED, text_of(recipe))
        assert recipe.norm_scale == base.norm_scale or base.block.has(BatchNorm)
        assert recipe.epochs == n
        kept = (recipe.augment.mirror, recipe.augment.cutout_px)
        assert kept == (base.augment.mirror, base.augment.cutout_px), "what is not searched stays"
        assert n_train % recipe.batch_size != 1
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
        for name in changed_fields(base, recipe):
            without = recipe.model_copy(update={name: getattr(base, name)})
            assert what_happens(without) != what_happens(recipe), f"{name} changes nothing"
        ladder = replace(LOADED.with_rungs((replace(LOADED.rungs[0], recipe=recipe),)), dev_images=1)
        check_rungs(ladder, DataInfo("any", image, n_train + 1, 10))


LOADED = replace(ladder_file.load("mnist-8k"), evaluate_on="dev")
TOP = LOADED.rungs[-1].recipe


def text_of(recipe: Recipe) -> str:
    return ", ".join(map(str, recipe.network))


def proposed(drawn: Mapping[str, float], *, params: int) -> Recipe:
    """What comes of these draws on MNIST with a budget that is filled."""
    space = SearchSpace(base=TOP, image=MNIST.image, n_train=50_000, params=params)
    return recipe_of(space, propose(space, Guessed({"fill": 1.0, **drawn})), epochs=15)


# Networks that were found, the best on dev for their size, without scales in their norms (2026-11-23), by their
# parameters; and what has to be drawn for them: head and first stage, (units, padded ones) of each stage, shares.
END = "depthwise 3x3 pad 1 bare, conv {0} 1x1, depthwise 3x3 bare, conv {0} 1x1"
FOUND: dict[int, tuple[str, dict[str, float], tuple[tuple[int, int], ...], tuple[float, ...]]] = {
    7958: (
        "conv 8 3x3, conv 10 3x3, maxpool 2, "
        + 3 * "depthwise 3x3 pad 1 bare, conv 32 1x1, "
        + f"maxpool 2, {END.format(40)}, gap, linear 10",
        {"linear": 1, "plain_1": 1},
        ((1, 0), (3, 3), (2, 1)),
        (0.8, 1.0, 1.07, 1.33),
    ),
    3485: (
        "conv 10 3x3, depthwise 3x3 pad 1 bare, conv 16 1x1, maxpool 2, "
        + 2 * "depthwise 3x3 pad 1 bare, conv 21 1x1, "
        + f"maxpool 2, {END.format(26)}, gap, linear 10",
        {"linear": 1, "plain_1": 0},
        ((1, 1), (2, 2), (2, 1)),
        (1.36, 0.73, 0.95, 1.18),
    ),
    1047: (
        "conv 4 3x3, conv 5 3x3, maxpool 2, "
        + 3 * "depthwise 3x3 pad 1 bare, conv 9 1x1, "
        + f"maxpool 2, {END.format(10)} bias bare, gap",
        {"linear": 0, "plain_1": 1},
        ((1, 0), (3, 3), (2, 1)),
        (1.1, 1.36, 0.82, 0.91),
    ),
}


@settings(max_examples=40, deadline=None)
@given(params=st.integers(97, 8000), smallest=st.booleans(), data=st.data())
def test_a_ladder_leads_to_any_proposal_by_single_changes(
    tmp_path_factory: pytest.TempPathFactory, params: int, smallest: bool, data: st.DataObject
) -> None:
    sought = quest(LOADED, params=params, epochs=data.draw(st.sampled_from([14, 15])), smallest=smallest)
    recipe = recipe_of(sought.space, propose(sought.space, Drawn(data)), epochs=sought.epochs)
    path = tmp_path_factory.getbasetemp() / "found.toml"
    path.write_text(ladder_text(sought, trial(3, 500, 9_940, recipe=recipe), folder=path.parent))
    ladder = ladder_file.load(path)
    assert ladder.rungs[0].recipe == LOADED.rungs[-1].recipe
    assert ladder.rungs[-1].recipe == recipe
    assert ladder.rungs[-1].budget.params == params
    assert ladder.rungs[-1].target == LOADED.rungs[-1].target
    assert all(len(rung.changes) == 1 for rung in ladder.rungs[1:])
    assert (ladder.evaluate_on, ladder.data) == ("dev", "mnist")
    assert not excess_of(check_rungs(ladder, MNIST))


def test_a_ladder_names_its_images_as_seen_from_its_folder(tmp_path: Path) -> None:
    for source, folder, written in (
        (tmp_path / "set.npz", tmp_path, "set.npz"),
        (tmp_path / "a" / "set.npz", tmp_path / "b", "../a/set.npz"),
        (Path("/set.npz"), tmp_path, "/set.npz"),
    ):
        folder.mkdir(exist_ok=True)
        assert data_path(str(source), folder) == written
        assert (folder / written).resolve() == source.resolve()
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert data_path(str(tmp_path / "set.npz"), tmp_path / "link") == "../set.npz"
    assert data_path("mnist", tmp_path) == "mnist"


@pytest.mark.parametrize("params", FOUND)
def test_the_best_networks_that_were_found_are_in_the_space(params: int) -> None:
    text, drawn, stages, shares = FOUND[params]
    drawn = {"pools": 2.0} | drawn | {f"share_{number}": share for number, share in enumerate(shares)}
    for number, (n_units, n_padded) in enumerate(stages, 1):
        drawn |= {f"units_{number}": n_units, f"padded_{number}": n_padded}
    recipe = proposed(drawn, params=params)
    assert (text_of(recipe), recipe.norm_scale) == (text, False)
    assert recipe.network_for(MNIST.image).params == params
    scaled = proposed(drawn | {"norm_scale": 1}, params=params)
    assert scaled.norm_scale
    assert scaled.network_for(MNIST.image).params <= params, "scales are counted before widths are chosen"


def test_the_ends_of_the_space() -> None:
    assert text_of(proposed({}, params=97)) == "conv 3 3x3, maxpool 2, depthwise 3x3 bare, conv 10 1x1 bias bare, gap"
    depths = {"pools": 2, "units_1": 2, "padded_1": 2, "units_2": 5, "padded_2": 5, "units_3": 4, "padded_3": 4}
    widest = proposed(depths | {"padded_0": 1, "norm_scale": 1}, params=100_000)
    unit = "depthwise 3x3 pad 1 bare, conv 48 1x1, "
    stages = [
        f"conv 48 3x3 pad 1, {2 * unit}",
        5 * unit,
        f"{3 * unit}depthwise 3x3 pad 1 bare, conv 10 1x1 bias bare, gap",
    ]
    assert text_of(widest) == "maxpool 2, ".join(stages)
    assert widest.norm_scale
    plain = {"pools": 2, "plain_1": 1, "plain_2": 1, "plain_3": 1, "units_2": 4, "padded_2": 2}
    assert text_of(proposed(plain, params=3000)).endswith(", maxpool 2, conv 10 3x3 bias bare, gap")


def test_the_known_guess_is_the_best_that_was_found_or_narrower() -> None:
    def guess(params: int) -> dict[str, float]:
        return first_guesses(SearchSpace(base=TOP, image=MNIST.image, n_train=50_000, params=params))[-1]

    best = FOUND[7958][0]
    assert text_of(proposed(guess(8000), params=8000)) == best
    for params in (7957, 1000, 349):
        recipe = proposed(guess(params), params=params)
        assert not recipe.norm_scale
        assert re.sub(r"conv \d+", "conv", text_of(recipe)) == re.sub(r"conv \d+", "conv", best)
    assert "pools" not in guess(348), "its network does not fit"


def test_the_known_guess_is_in_the_space() -> None:
    for optimizer, lr in ((Sgd(), 0.08), (Adam(kind="adam"), 0.005), (Muon(kind="muon"), 0.1)):
        base = TOP.model_copy(update={"optimizer": optimizer})
        space = SearchSpace(base=base, image=MNIST.image, n_train=129, params=8000)
        guess = first_guesses(space)[-1]

        recipe = recipe_of(space, propose(space, Guessed(guess)), epochs=15)
        assert recipe.lr == lr
        assert recipe.schedule.model_dump() == {"kind": "cosine", "warmup_epochs": 3.0, "final": 0.0}
        assert recipe.augment == Augment(rotation_deg=8, shift_px=1.5, scale=0.08, shear_deg=3, elastic_px=0.3)


@settings(max_examples=150, deadline=None)
@given(base=BASES, image=IMAGES, params=st.integers(0, 5_000), data=st.data())
def test_a_search_begins_with_the_shape_of_its_base(
    base: Recipe, image: ImageShape, params: int, data: st.DataObject
) -> None:
    """A recipe that the space proposes is the base of another search, which may have another budget."""
    least = SearchSpace(base=base, image=image, n_train=50_000, params=10**6).least_params
    space = SearchSpace(base=base, image=image, n_train=50_000, params=least + params)
    top = recipe_of(space, propose(space, Drawn(data)), epochs=20)
    for other in (least + params, 2 * (least + params)):
        above = replace(space, base=top, params=other)
        own, known = first_guesses(above)
        recipe = recipe_of(above, propose(above, Guessed(own)), epochs=20)
        assert re.sub(r"conv \d+", "conv", text_of(recipe)) == re.sub(r"conv \d+", "conv", text_of(top))
        assert recipe.network_for(image).params <= other
        for name in ("batch_size", "augment", "lr", "weight_decay", "dropout", "clean_epochs", "average", "norm_scale"):
            assert getattr(recipe, name) == getattr(top, name), name
        assert recipe.schedule.kind == top.schedule.kind
        assert recipe_of(above, propose(above, Guessed(known)), epochs=20).network_for(image).params <= other


@pytest.mark.parametrize("name", ["mnist-1000", "mnist-4500"])
def test_a_search_from_a_record_begins_with_it(name: str) -> None:
    top = ladder_file.load(name).rungs[-1].recipe
    params = top.network_for(MNIST.image).params
    space = SearchSpace(base=top, image=MNIST.image, n_train=50_000, params=params)
    assert recipe_of(space, propose(space, Guessed(first_guesses(space)[0])), epochs=15) == top


@pytest.mark.parametrize(
    "network",
    [
        "conv 4 bare, gap, linear 10",  # no pool
        "conv 4 5x5, maxpool 2, conv 8, gap, linear 10",
        "conv 4, maxpool 2, maxpool 2, conv 8, gap, linear 10",
        "conv 4, maxpool 2, conv 8, conv 8 pad 1, gap, linear 10",  # the padded ones come first
        "conv 4, conv 4, conv 4, maxpool 2, conv 8, gap, linear 10",  # deeper than what is searched
        "conv 4, maxpool 2, depthwise, conv 8 1x1, gap, linear 10",
    ],
)
def test_a_base_that_is_not_like_any_network_of_the_space_is_no_guess(network: str) -> None:
    base = TOP.model_copy(update={"network": tuple(parse(layer.strip()) for layer in network.split(","))})
    assert len(first_guesses(SearchSpace(base=base, image=MNIST.image, n_train=50_000, params=8000))) == 1


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [
        ({"lr": 3.0, "weight_decay": 0.5}, {"lr": 0.2, "weight_decay": 0.001}),
        ({"batch_size": 500}, {"batch_size": 128}),
        ({"augment": Augment(rotation_deg=170, shift_px=1.7, scale=0.083)}, {}),
        ({"average": Average(horizon_epochs=9, every_steps=3)}, {"average": Average(horizon_epochs=2, every_steps=3)}),
        ({"schedule": Step(kind="step", every_epochs=6, factor=0.1)}, {}),
        (
            {"schedule": LinearDecay(kind="linear", warmup_epochs=3)},
            {"schedule": Cosine(kind="cosine", warmup_epochs=3)},
        ),
        ({"schedule": Cosine(kind="cosine", warmup_epochs=9, final=0.1)}, {}),
    ],
    ids=str,
)
def test_numbers_that_a_search_cannot_draw_become_the_nearest(fields: Mapping[str, object], nearest: object) -> None:
    assert isinstance(nearest, dict)
    top = ladder_file.load("mnist-1000").rungs[-1].recipe
    base = top.model_copy(update=dict(fields))
    space = SearchSpace(base=base, image=MNIST.image, n_train=50_000, params=992)
    recipe = recipe_of(space, propose(space, Guessed(first_guesses(space)[0])), epochs=15)
    for name, value in nearest.items():
        assert getattr(recipe, name) == value
    if "augment" in fields:
        assert recipe.augment == Augment(rotation_deg=15, shift_px=1.5, scale=0.08)
    if isinstance(base.schedule, Step):
        assert recipe.schedule == Step(kind="step", every_epochs=5, factor=0.1)
    if isinstance(base.schedule, Cosine) and "schedule" in fields:
        assert recipe.schedule == Cosine(kind="cosine", warmup_epochs=4.5, final=0.1)


def test_a_guess_beyond_the_ceiling_is_cut_to_it() -> None:
    whole = SearchSpace(base=TOP, image=MNIST.image, n_train=50_000, params=349)
    known = first_guesses(whole)[-1]
    low = replace(whole, params=245)

    class Beyond(Guessed):
        """As Optuna takes a queued value, in range or not."""

        def suggest_float(
            self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
        ) -> float:
            del high, step, log
            return self.guess.get(name, low)

    assert recipe_of(low, propose(low, Beyond(known)), epochs=15).network_for(MNIST.image).params <= 245


def test_a_guess_that_was_not_begun_is_begun_later(tmp_path: Path) -> None:
    guesses: list[dict[str, float]] = [{"x": 0.25}, {"x": 0.75}]
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=guesses) as study:
        for n_trials, drawn in ((1, [0.25]), (1, []), (2, [0.75])):
            got = []
            while trial := study.ask(n_trials=n_trials, ceiling=100):
                got.append(trial.suggest_float("x", 0, 1))
            assert got == drawn


def test_a_short_training_has_as_large_a_part_of_clean_epochs() -> None:
    space = SearchSpace(base=TOP, image=MNIST.image, n_train=129, params=8000)
    proposal = propose(space, Guessed(first_guesses(space)[-1] | {"clean_epochs": 3}))
    assert recipe_of(space, proposal, epochs=15).clean_epochs == 3
    assert recipe_of(space, proposal, epochs=5, of_epochs=15).clean_epochs == 1


@pytest.mark.parametrize("scale_below", [True, False])
@pytest.mark.parametrize("scale_above", [True, False])
def test_no_rung_on_the_way_is_over_the_budget(tmp_path: Path, scale_below: bool, scale_above: bool) -> None:
    """The guess has 7,958 parameters without the scales of its norms, which are 194 more."""
    bottom = LOADED.rungs[-1]
    below = bottom.recipe.model_copy(update={"norm_scale": scale_below})
    sought = quest(LOADED.with_rungs((replace(bottom, recipe=below),)), params=8000, epochs=15)
    guess = first_guesses(sought.space)[-1] | {"norm_scale": int(scale_above)}
    recipe = recipe_of(sought.space, propose(sought.space, Guessed(guess)), epochs=15)
    path = tmp_path / "found.toml"
    path.write_text(ladder_text(sought, trial(3, 500, 9_940, recipe=recipe), folder=path.parent))
    ladder = ladder_file.load(path)
    names = {(True, False): ["norm-scale", "network"], (False, True): ["network", "norm-scale"]}
    assert [rung.name for rung in ladder.rungs[1:3]] == names.get((scale_below, scale_above), ["network", "epochs"])
    assert {rung.budget.params for rung in ladder.rungs} == {8000}
    assert not excess_of(check_rungs(ladder, MNIST))


def test_a_rung_over_the_budget_is_allowed_where_the_scale_can_only_go_last(tmp_path: Path) -> None:
    bottom = LOADED.rungs[-1]
    below = bottom.recipe.model_copy(update={"network": tuple(map(parse, ("conv 4 bare", "gap", "linear 10")))})
    sought = quest(LOADED.with_rungs((replace(bottom, recipe=below),)), params=8000, epochs=15)
    recipe = recipe_of(sought.space, propose(sought.space, Guessed(first_guesses(sought.space)[-1])), epochs=15)
    path = tmp_path / "found.toml"
    path.write_text(ladder_text(sought, trial(3, 500, 9_940, recipe=recipe), folder=path.parent))
    ladder = ladder_file.load(path)
    assert [rung.name for rung in ladder.rungs[1:3]] == ["network", "norm-scale"]
    assert [rung.budget.params for rung in ladder.rungs[:4]] == [8152, 8152, 8000, 8000]
    assert not excess_of(check_rungs(ladder, MNIST))


def test_without_an_order_there_is_no_way_up() -> None:
    below = Recipe(network=NETWORK, epochs=2)
    above = below.model_copy(update={"lr": 0.1, "epochs": 3})
    steps = way_up(below, above, is_sound=lambda _: True)
    assert steps is not None
    assert [names for names, _ in steps] == [("epochs",), ("lr",)]
    assert way_up(below, above, is_sound=lambda recipe: recipe.lr == 0.01) is None


def trial(number: int, params: int, *n_correct: int, held: bool = False, recipe: Recipe | None = None) -> Trial:
    """A trial with one outcome of 10,000 images in each round."""
    outcomes = tuple((Outcome(seed=1001, n_correct=n, n_evaluated=10_000, held=held),) for n in n_correct)
    return Trial(number, params, recipe or Recipe(network=NETWORK, epochs=1), "whole", outcomes)


def test_rounds_spend_epochs_then_seeds() -> None:
    assert [(each.epochs, each.n_seeds) for each in rounds(15, 4)] == [(5, 1), (15, 1), (15, 2), (15, 4)]
    assert [(each.epochs, each.n_seeds) for each in rounds(15, 3)] == [(5, 1), (15, 1), (15, 2), (15, 3)]
    assert [(each.epochs, each.n_seeds) for each in rounds(1, 1)] == [(1, 1)]
    assert list(rounds(15, 4)[-1].seeds) == [1001, 1002, 1003, 1004]
    with pytest.raises(LadderError, match="0 seeds train nothing"):
        rounds(15, 0)


def test_the_best_third_goes_on() -> None:
    others = [trial(number, 500, 9000 + number) for number in range(1, 9)]
    assert goes_on(trial(9, 500, 9007), others, smallest=False, n_rounds=2)  # third of nine: one is better
    assert not goes_on(trial(9, 500, 9005), others, smallest=False, n_rounds=2)
    assert goes_on(trial(9, 500, 1), [], smallest=False, n_rounds=2)
    assert not goes_on(trial(9, 500, 9999), [], smallest=False, n_rounds=1), "there is no other round"


def test_the_smallest_is_compared_with_its_like() -> None:
    others = [trial(number, 1000, 9900) for number in range(1, 9)]
    small = trial(9, 500, 9000)
    assert not goes_on(small, others, smallest=False, n_rounds=2)
    assert goes_on(small, others, smallest=True, n_rounds=2)
    assert goes_on(trial(9, 1000, 9000, held=True), others, smallest=True, n_rounds=2)
    assert ceiling([small, trial(1, 700, 9950, held=True)], smallest=True, budget=8000) == 699
    assert ceiling([trial(1, 700, 9950, held=True)], smallest=False, budget=8000) == 8000


def test_the_frontier_and_the_winner_have_known_answers() -> None:
    trials = [trial(1, 900, 9950), trial(2, 500, 9900), trial(3, 600, 9890), trial(4, 500, 9910, held=True)]
    assert [each.number for each in frontier(trials)] == [4, 1]
    best, smallest = winner(trials, smallest=False), winner(trials, smallest=True)
    assert best is not None
    assert smallest is not None
    assert (best.number, smallest.number) == (1, 4)
    assert winner([], smallest=True) is None
    assert contenders([trial(1, 1, 9, 9), trial(2, 1, 9)]) == [trial(1, 1, 9, 9)]


def test_an_interval_needs_two_seeds() -> None:
    outcomes = [Outcome(seed=n, n_correct=9940 + n, n_evaluated=10_000, held=False) for n in range(1, 5)]
    assert interval(outcomes[:1]) is None
    # mean 99.425, sd 0.0129099, t(3) 3.18245: half 0.020543
    assert interval(outcomes) == pytest.approx((99.404457, 99.445543), abs=1e-6)


def test_a_deadline_begins_nothing_that_would_end_after_it() -> None:
    deadline = Deadline(100, measured=10.0)
    assert deadline.allows(900, n_waves=0)
    assert not deadline.allows(900, n_waves=1)
    assert not deadline.allows(1100, n_waves=0)
    assert deadline.measure(200, elapsed_s=10) == 20  # what is measured here counts, and the slowest of it
    assert deadline.allows(1900, n_waves=0)
    deadline.measure(50, elapsed_s=10)
    assert not deadline.allows(600, n_waves=0)
    assert Deadline(None, measured=1.0).allows(10**9, n_waves=9)


class Search(Command):
    """``stepladder search`` as a process group of its own."""

    def __init__(self, ladder: Path, store: Path, *more: object, output: Path | None = None) -> None:
        super().__init__("search", ladder, store, "-o", output or store.with_suffix(".toml"), *more)


def write_ladder(path: Path, data: Path, *, epochs: int = 3) -> Path:
    path.write_text(LADDER.format(data=str(data), epochs=epochs))
    return path


def trials_of(ladder: Path, store: Path, *, storage: str | None = None) -> list[Trial]:
    sought = quest(ladder_file.load(ladder), n_seeds=2)
    name = sought.name(choose_engine()[0])
    with SearchStudy(name, storage=storage or f"sqlite:///{store}/search.db", first_guesses=[]) as study:
        return sorted(study.trials(), key=lambda each: each.number)


def runs_in(store: Path) -> list[Run]:
    return [run for folder in store.glob("?" * 16) for run in Store.open(store).runs_of(folder.name)]


def weights_in(store: Path) -> list[str]:
    runs = runs_in(store)
    assert {run.identity.data.evaluate_on for run in runs} == {"dev"}
    return sorted(run.weights_sha256 for run in runs)


@pytest.fixture(scope="module")
def ladder(once: Once, digits: Path) -> Path:
    return once("search-ladder", lambda folder: write_ladder(folder / "tiny.toml", digits)) / "tiny.toml"


@pytest.fixture(scope="module")
def undisturbed(once: Once, ladder: Path) -> Path:
    def make(folder: Path) -> None:
        with Search(ladder, folder / "runs", *SMALL, "--json") as search:
            returncode, out, err = search.finish()
        assert returncode in (0, 1), err
        (folder / "out.json").write_text(out)
        (folder / "err.txt").write_text(err)

    return once("undisturbed-search", make) / "runs"


def test_a_search_ends_with_a_frontier_a_ladder_and_a_picture(
    stepladder: CommandLine, undisturbed: Path, ladder: Path
) -> None:
    body = json.loads((undisturbed.parent / "out.json").read_text())
    trials = trials_of(ladder, undisturbed)
    assert [each.number for each in trials] == list(range(5))
    assert all(each.params <= 1000 and each.state != "running" for each in trials)
    assert body["n_trials"]["whole"] + body["n_trials"]["stopped"] == 5
    assert body["evaluated_on"] == "dev"
    assert body["winner"] in body["frontier"]
    assert (body["winner"]["seeds"], body["winner"]["dev_parts"]) == ([1001, 1002], [0, 1])
    found, picture = map(Path, body["written"])
    assert "<svg" in picture.read_text()
    assert stepladder("check", found).returncode == 0
    top = ladder_file.load(found).rungs[-1].recipe
    assert top.essence() == body["winner"]["recipe"]
    err = (undisturbed.parent / "err.txt").read_text()
    assert "frontier (2 seeds; ± is half a 95% interval): " in err
    assert "5 trials done" in err


def test_each_seed_is_evaluated_on_another_part(undisturbed: Path, digits: Path) -> None:
    labels = data.load(str(digits)).train.labels
    n_dev = len(labels) // 6
    starts = {(3, 1001): len(labels) - n_dev, (3, 1002): len(labels) - 2 * n_dev, (1, 1001): len(labels) - 2 * n_dev}
    found = runs_in(undisturbed)
    assert {(run.identity.recipe.epochs, run.identity.seed) for run in found} == set(starts)
    for run in found:
        start = starts[run.identity.recipe.epochs, run.identity.seed]
        held_out = labels[start : start + n_dev]
        assert [each.label for each in run.wrong_images] == [held_out[each.index] for each in run.wrong_images]
        assert run.final is not None
        assert [sum(row) for row in run.final.confusion] == np.bincount(held_out, minlength=10).tolist()


def test_there_are_as_many_parts_as_fit(ladder: Path) -> None:
    loaded = ladder_file.load(ladder)
    n_train = data.describe(loaded.data).n_train

    def parts(sought: Quest) -> list[list[int]]:
        """For the short round, and for one of all epochs, with eight seeds."""
        wanted = (Round(1, 8), Round(sought.epochs, 8))
        return [[each.dev_part for each in islice(sought.seen_in(this), 8)] for this in wanted]

    assert parts(quest(loaded, n_seeds=8)) == [[5, 4, 3, 2, 1, 0, 5, 4], [0, 1, 2, 3, 4, 5, 0, 1]]
    assert parts(quest(loaded, n_seeds=1)) == [[1, 0] * 4, [0, 1] * 4], "two parts, so that none decides twice"
    assert parts(quest(replace(loaded, dev_images=n_train // 2 + 1))) == [[0] * 8, [0] * 8]
    assert len(quest(replace(loaded, dev_images=1)).seen) == 4


def test_a_finished_search_trains_nothing_and_more_trials_go_on(
    ladder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(undisturbed, tmp_path / "runs")
    before = {path: path.stat().st_mtime_ns for path in store.glob("*/*")}
    with Search(ladder, store, *SMALL) as search:
        returncode, out, err = search.finish()
    assert returncode in (0, 1)
    assert "5 of 5 trials are done" in err
    assert "The frontier" in out
    assert {path: path.stat().st_mtime_ns for path in store.glob("*/*")} == before


def test_killed_again_and_again_a_search_ends_as_an_undisturbed_one(
    tmp_path: Path, ladder: Path, undisturbed: Path
) -> None:
    store = tmp_path / "runs"
    for pattern, count in (("*/*.partial.safetensors", 1), ("*/*.json", 3)):
        with Search(ladder, store, *SMALL) as search:
            search.wait_for(pattern, count)
            search.kill_all()
    finished = {path: path.read_bytes() for path in store.glob("*/*.json")}
    assert len(finished) >= 3
    with Search(ladder, store, *SMALL) as search:
        assert search.finish()[0] in (0, 1)
    assert all(path.read_bytes() == content for path, content in finished.items()), "a run was trained again"
    assert trials_of(ladder, store) == trials_of(ladder, undisturbed)
    assert weights_in(store) == weights_in(undisturbed)


def test_no_search_can_see_the_test_images(tmp_path: Path, digits: Path, ladder: Path, undisturbed: Path) -> None:
    """With noise for test images, and wrong labels, every proposal, every outcome and every weight is the same."""
    folder = tmp_path / "digits"
    shutil.copytree(digits, folder)
    rng = np.random.default_rng(7)
    write_idx(folder / "t10k-images-idx3-ubyte.gz", rng.integers(0, 256, (500, 28, 28)))
    write_idx(folder / "t10k-labels-idx1-ubyte", rng.integers(0, 10, 500))
    blind = write_ladder(tmp_path / "blind.toml", folder)
    with Search(blind, tmp_path / "runs", *SMALL) as search:
        assert search.finish()[0] in (0, 1)
    assert trials_of(blind, tmp_path / "runs") == trials_of(ladder, undisturbed)
    assert weights_in(tmp_path / "runs") == weights_in(undisturbed)


def test_max_time_is_kept(tmp_path: Path, digits: Path) -> None:
    long = write_ladder(tmp_path / "long.toml", digits, epochs=100)
    begun = time.monotonic()
    with Search(long, tmp_path / "runs", "--trials", 500, "--jobs", 1, "--max-time", "6s", "--json") as search:
        returncode, out, err = search.finish()
    assert time.monotonic() - begun < 45, "a margin for starting and stopping on a busy machine"
    body = json.loads(out)
    assert returncode == (0 if body["reached"] else 1), err  # a quick machine may get so far in that time
    assert body["out_of_time"]
    assert sum(body["n_trials"].values()) < 100


def test_ctrl_c_prints_the_command_that_resumes(tmp_path: Path, ladder: Path) -> None:
    store = tmp_path / "runs"
    many = ("--trials", 50, "--seeds", 2, "--jobs", 1)  # a few may be at their end before the signal comes
    with Search(ladder, store, *many) as search:
        search.wait_for("*/*.json")
        os.killpg(search.process.pid, signal.SIGINT)
        returncode, _, err = search.finish()
    assert returncode == 130
    assert f"stepladder search {ladder} --store {store}" in err
    assert "Traceback" not in err


class Quiet:
    """Nobody who is told how a search goes on."""

    def started(self, *, n_known: int, n_trials: int) -> None: ...

    def judged(self, trial: Trial, *, goes_on: bool, found: Found) -> None: ...

    def noted(self, text: str) -> None: ...


class Slow(Quiet):
    """It takes an hour, by the clock, to be told of a trial."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock, self.hours = time.monotonic, 0
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600 * self.hours)

    def judged(self, trial: Trial, *, goes_on: bool, found: Found) -> None:
        del trial, goes_on, found
        self.hours += 1


def test_max_time_is_kept_where_all_is_trained_already(
    tmp_path: Path, ladder: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed, tmp_path / "runs", ignore=shutil.ignore_patterns("search.db*", "index"))
    sought, store = quest(ladder_file.load(ladder), n_seeds=2), Store.open(tmp_path / "runs")
    watcher = Slow(monkeypatch)
    found = search(sought, store=store, engine=choose_engine()[0], n_trials=5, jobs=1, max_s=3600, watcher=watcher)
    assert found.out_of_time
    assert list(found.trials) == trials_of(ladder, undisturbed)[:1]


def test_a_search_on_an_executor_elsewhere_tries_the_same(tmp_path: Path, ladder: Path, undisturbed: Path) -> None:
    store, engine = Store.open(tmp_path / "runs", create=True), choose_engine()[0]
    sought = quest(ladder_file.load(ladder), n_seeds=2)
    with elsewhere(tmp_path / "elsewhere") as executor:
        found = search(sought, store=store, engine=engine, n_trials=2, jobs=1, executor=executor, watcher=Quiet())
    assert list(found.trials) == trials_of(ladder, undisturbed)[:2]
    assert set(weights_in(store.folder)) < set(weights_in(undisturbed))


def test_a_search_on_one_worker_of_dask_tries_the_same(tmp_path: Path, ladder: Path, undisturbed: Path) -> None:
    how = ("--seeds", 2, "--trials", 2, "--on", "dask?piece_s=0.1", "--jobs", 1)
    with Search(ladder, tmp_path / "runs", *how) as searching:
        returncode, _, err = searching.finish()
    assert returncode in (0, 1), err
    assert trials_of(ladder, tmp_path / "runs") == trials_of(ladder, undisturbed)[:2]
    assert set(weights_in(tmp_path / "runs")) < set(weights_in(undisturbed))


@pytest.mark.evidence
def test_every_run_of_a_search_on_several_workers_of_dask_is_that_of_a_local_training(
    tmp_path: Path, ladder: Path
) -> None:
    how = ("--seeds", 2, "--trials", 4, "--on", "dask?piece_s=0.1", "--jobs", 2)
    with Search(ladder, tmp_path / "runs", *how) as searching:
        returncode, _, err = searching.finish()
    assert returncode in (0, 1), err
    store, engine = Store.open(tmp_path / "runs"), choose_engine("jit")[0]
    found = [run for folder in store.folder.glob("*/") for run in store.runs_of(folder.name)]
    assert len({str(run.identity.recipe) for run in found}) >= 4
    images = data.load(ladder_file.load(ladder).data)
    for run in found:
        splits = splits_for(images, run.identity.data)
        *_, progress = train(engine, run.identity.recipe, splits=splits, seed=run.identity.seed, resume=Progress())
        again, _ = finished(run.identity, progress=progress, engine=engine, splits=splits)
        assert again.numbers() == run.numbers()


def test_a_search_is_refused_what_another_revision_would_compute(tmp_path: Path, ladder: Path) -> None:
    store, engine = Store.open(tmp_path / "runs", create=True), choose_engine("jit")[0]
    said = f"{engine.identity} is wanted, but on .* there is {another(engine.identity)}: install the same"
    with (
        elsewhere(tmp_path / "elsewhere", modules=other_revision(tmp_path)) as executor,
        pytest.raises(EngineError, match=said),
    ):
        search(
            quest(ladder_file.load(ladder), n_seeds=2),
            store=store,
            engine=engine,
            n_trials=1,
            executor=executor,
            watcher=Quiet(),
        )
    assert not list(store.folder.glob("*/seed-*"))


def test_the_smallest_that_holds_gets_smaller(tmp_path: Path, ladder: Path) -> None:
    easy = tmp_path / "easy.toml"
    easy.write_text(ladder.read_text().replace("accuracy = 20", "accuracy = 5"))
    with Search(easy, tmp_path / "runs", *SMALL, "--trials", 4, "--smallest", "--json") as search:
        returncode, out, err = search.finish()
    assert returncode == 0, err
    body = json.loads(out)
    assert body["reached"]
    sizes = [each["params"] for each in body["frontier"]]
    assert body["winner"]["params"] == min(sizes)
    assert min(sizes) < 900


def test_refusals_come_before_training(
    stepladder: CommandLine, ladder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> tuple[int, str]:
        done = stepladder("search", ladder, "--store", "runs", *arguments)
        assert not list((tmp_path / "runs").glob("*/*"))
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr.splitlines()[-1]

    code, message = refused("--params", 96)
    assert code == 3
    assert "the smallest network that a search proposes for these images has 97 parameters" in message
    code, message = refused("--storage", "postgresql+psycopg://me:secret@localhost:1/none")
    assert code == 2
    assert "cannot open the search's storage (postgresql+psycopg)" in message
    assert "secret" not in message
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "optuna.py").write_text("raise ImportError('no optuna here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    code, message = refused()
    assert code == 2
    assert "pip install '.[search]' in Stepladder's folder" in message


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/search.db", "mysql+none://here"])
def test_a_storage_that_cannot_be_opened_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match=r"cannot open the search's storage .* SQLAlchemy URL"):
        SearchStudy("any", storage=url, first_guesses=[])


def test_a_lost_storage_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "a?b%20c").mkdir()

    def lose_it() -> None:
        with SearchStudy("any", storage=default_storage(tmp_path / "a?b%20c"), first_guesses=[]) as study:
            (tmp_path / "a?b%20c" / "search.db").write_bytes(b"no database at all" * 1000)
            study.trials()

    with pytest.raises(StoreError, match=r"storage was lost .*: what is trained is kept"):
        lose_it()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("round 0", "9940", "9941"),
        ("round 0", "9940", "10001"),
        ("round 0", '"held": true', '"hold": true'),
        ("recipe", '"epochs": ', '"epochs": 1'),
        ("params", "123", "122"),
        ("number", "0", '"0"'),
    ],
)
def test_trials_that_are_not_as_they_were_kept_are_refused(name: str, old: str, new: str, tmp_path: Path) -> None:
    outcome = Outcome(seed=1001, n_correct=9940, n_evaluated=10_000, held=True)
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study:
        trial = study.ask(n_trials=1, ceiling=100)
        assert trial is not None
        study.keep(trial, TOP, params=123)
        study.report(trial, ((outcome,),), score=99.4)
        assert study.trials() == [Trial(0, 123, TOP, "running", ((outcome,),))]
    with closing(sqlite3.connect(tmp_path / "search.db")) as database, database:
        changed = database.execute(
            "UPDATE trial_user_attributes SET value_json = replace(value_json, ?, ?) WHERE key = ?", (old, new, name)
        )
        assert changed.rowcount == 1
    with (
        SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study,
        pytest.raises(StoreError, match=r"trial 0 of this search is damaged \(.*\): give --storage another database"),
    ):
        study.trials()


def change_attribute(folder: Path, name: str, value: object) -> None:
    """In the database of a search; None deletes it."""
    with closing(sqlite3.connect(folder / "search.db")) as database, database:
        if value is None:
            changed = database.execute("DELETE FROM trial_user_attributes WHERE key = ?", (name,))
        else:
            text = json.dumps(value)
            changed = database.execute("UPDATE trial_user_attributes SET value_json = ? WHERE key = ?", (text, name))
        assert changed.rowcount >= 1


NOW = "2999-01-01T00:00:00+00:00"  # nobody's clock


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pid", "abc"),
        ("pid", 10**30),
        ("pid", 0),
        ("pid", None),
        ("host", 7),
        ("host", None),
        ("alive_at", "soon"),
        ("alive_at", "2026-01-01T00:00:00"),
        ("alive_at", NOW),
    ],
)
def test_a_trial_whose_owner_cannot_be_read_is_tried_again(name: str, value: object, tmp_path: Path) -> None:
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study:
        trial = study.ask(n_trials=1, ceiling=100)
        assert trial is not None
        study.keep(trial, TOP, params=123)
        with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as other:
            other.adopt()
            assert other.ask(n_trials=1, ceiling=100) is None, "it is alive"
    change_attribute(tmp_path, name, value)
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study:
        study.adopt()
        again = study.ask(n_trials=1, ceiling=100)
        assert again is not None
        assert (again.number, again.user_attrs["number"]) == (1, 0)
        assert study.trials() == [Trial(0, 123, TOP, "running")]
        change_attribute(tmp_path, name, "damaged while it goes on")
        study.beat()
        assert again.user_attrs["pid" if name == "host" else name] != "damaged while it goes on"


@pytest.mark.parametrize("name", ["round 0", "recipe", "params", "number"])
@pytest.mark.parametrize("of_a_former_version", [False, True])
def test_only_studies_of_former_versions_have_no_checksums(
    name: str, of_a_former_version: bool, tmp_path: Path
) -> None:
    kept = Trial(0, 123, TOP, "running", ((Outcome(seed=1001, n_correct=1, n_evaluated=2, held=True),),))
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study:
        trial = study.ask(n_trials=1, ceiling=100)
        assert trial is not None
        study.keep(trial, TOP, params=123)
        study.report(trial, kept.outcomes, score=50)
    change_attribute(tmp_path, f"sha256 of {name}", None)
    if of_a_former_version:
        with closing(sqlite3.connect(tmp_path / "search.db")) as database, database:
            assert database.execute("DELETE FROM study_user_attributes").rowcount == 1
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study:
        if of_a_former_version:
            assert study.trials() == [kept]
        else:
            with pytest.raises(StoreError, match=f"the checksum of its {name} is missing"):
                study.trials()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("number", -1, "its number is none"),
        ("number", True, "its number is none"),
        ("params", 10**30, "parameters, not"),
        ("params", -1, "its params is none"),
        ("ceiling", "abc", "its ceiling is none"),
        ("recipe", None, "'recipe' is missing"),
        ("round 0", None, "'round 0' is missing"),
        ("round 1", None, "it is whole after 1 of 2 rounds"),
        ("round 1", [], "has others"),
        ("round 1", 7, "not iterable"),
        ("round 1", [OUTCOME | {"seed": 1}], "has others"),
        ("round 1", [OUTCOME, OUTCOME], "has others"),
        ("round 1", [OUTCOME | {"n_evaluated": 10**30}], "images were evaluated, not 10,000"),
        ("round 1", [OUTCOME | {"n_evaluated": 1, "n_correct": 1}], "images were evaluated, not 10,000"),
    ],
)
def test_finished_trials_are_held_against_themselves(name: str, value: object, said: str, tmp_path: Path) -> None:
    """With a right checksum, too."""
    limits = Limits(MNIST.image, (Round(3, 1), Round(9, 1)), 10_000)
    outcomes = ((Outcome.model_validate(OUTCOME),), (Outcome(seed=1001, n_correct=0, n_evaluated=1, held=False),))
    kept = Trial(0, TOP.network_for(MNIST.image).params, TOP, "whole", outcomes)
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[], limits=limits) as study:
        trial = study.ask(n_trials=1, ceiling=100)
        assert trial is not None
        study.keep(trial, TOP, params=kept.params)
        for n_rounds in (1, 2):
            study.report(trial, outcomes[:n_rounds], score=50)
        study.end(trial, score=50)
        assert study.trials() == [kept]
    change_attribute(tmp_path, name, value)
    if value is not None:
        change_attribute(tmp_path, f"sha256 of {name}", checksum(value))
    with (
        SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[], limits=limits) as study,
        pytest.raises(StoreError, match=rf"trial 0 of this search is damaged \(.*{said}.*\): give --storage another"),
    ):
        study.trials()


def test_no_two_trials_have_one_number(tmp_path: Path) -> None:
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study:
        for number in range(3):
            trial = study.ask(n_trials=3, ceiling=100)
            assert trial is not None
            study.keep(trial, TOP, params=123 + number)
            study.end(trial, score=None)
    with closing(sqlite3.connect(tmp_path / "search.db")) as database, database:  # a kill before it was queued again
        assert database.execute("UPDATE trials SET state = 'FAIL' WHERE number = 0").rowcount == 1
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study:
        trial = study.ask(n_trials=3, ceiling=100)
        assert trial is not None
        study.keep(trial, TOP, params=123)
        assert sorted(each.number for each in study.trials()) == [0, 1, 2]
    change_attribute(tmp_path, "number", 1)
    change_attribute(tmp_path, "sha256 of number", checksum(1))
    with (
        SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study,
        pytest.raises(StoreError, match="another one has its number 1"),
    ):
        study.trials()


def two_ended(folder: Path, *, of_a_former_version: bool = False) -> Limits:
    """A study of a whole trial and a stopped one, drawn from the space."""
    quest_like = Limits(MNIST.image, (Round(3, 1), Round(9, 1)), 10_000, lambda trial: float(trial.accuracy()))
    params = TOP.network_for(MNIST.image).params
    first, last = (Outcome(seed=1001, n_correct=n, n_evaluated=10_000, held=True) for n in (9000, 9900))
    guess = {"width": 0.25}
    with SearchStudy("any", storage=default_storage(folder), first_guesses=[guess], limits=quest_like) as study:
        for n_rounds, score in ((2, 99.0), (1, None)):
            trial = study.ask(n_trials=2, ceiling=100)
            assert trial is not None
            trial.suggest_float("width", 0, 1)
            study.keep(trial, TOP, params=params)
            for n in range(1, n_rounds + 1):
                study.report(trial, ((first,), (last,))[:n], score=(90.0, 99.0)[n - 1])
            study.end(trial, score=score)
        assert [each.state for each in study.trials()] == ["whole", "stopped"]
    if of_a_former_version:
        with closing(sqlite3.connect(folder / "search.db")) as database, database:
            database.execute("UPDATE study_user_attributes SET value_json = 'true'")
            database.execute("DELETE FROM trial_user_attributes WHERE key LIKE '%drawn' OR key LIKE '%fixed_params'")
    return quest_like


def said_of(folder: Path, limits: Limits, change: str) -> str:
    with closing(sqlite3.connect(folder / "search.db")) as database, database:
        database.executescript(change)
    with (
        pytest.raises(StoreError, match=r"is damaged .*: give --storage another database") as refused,
        SearchStudy("any", storage=default_storage(folder), first_guesses=[], limits=limits) as study,
    ):
        study.trials()
    return str(refused.value)


OF_ONE = "WHERE trial_id = 1"
UNSEALED = {
    f"UPDATE trials SET state = 'FAIL' {OF_ONE}": "trial 0 .*its state is FAIL, though it came to 99",
    "UPDATE trials SET state = 'FAIL'": "trial 0 .*; trial 1 .*its state is FAIL, though it came to 90",
    f"UPDATE trials SET state = 'RUNNING' {OF_ONE}": "trial 0 .*its state is RUNNING, though",
    f"UPDATE trials SET state = 'WAITING' {OF_ONE}": "trial 0 .*its state is WAITING, though",
    f"UPDATE trials SET state = 'PRUNED' {OF_ONE}": "trial 0 .*it is stopped after all its rounds",
    "UPDATE trials SET state = 'COMPLETE' WHERE trial_id = 2": "trial 1 .*it is whole after 1 of 2 rounds",
    f"UPDATE trial_values SET value = 99.9 {OF_ONE}": "trial 0 .*its value is 99.9, and its last score is 99",
    f"DELETE FROM trial_values {OF_ONE}": "trial 0 .*its value is nothing, and its last score is 99",
    "DELETE FROM trial_intermediate_values": "trial 0 .*it is whole after 0 of 2 rounds",
    f"DELETE FROM trial_intermediate_values {OF_ONE} AND step = 0": "trial 0 .*scores of other rounds",
    f"UPDATE trial_intermediate_values SET intermediate_value = 91 {OF_ONE} AND step = 0": "after round 1 is 91",
    "DELETE FROM trials WHERE trial_id = 1": "some of its trials are gone",
    "DROP TABLE trials": "its table trials is gone",
    "DROP TABLE trial_values; DROP TABLE version_info": "its table trial_values is gone",
}
UNSEALED_DRAWS = {
    f"UPDATE trial_params SET param_value = 0.5 {OF_ONE}": "trial 0 .*not those that were drawn for it",
    f"DELETE FROM trial_params {OF_ONE}": "trial 0 .*not those that were drawn for it",
    "UPDATE trial_params SET distribution_json = replace(distribution_json, '1.0', '2.0')": "not those that were drawn",
    "UPDATE trial_system_attributes SET value_json = replace(value_json, '0.25', '0.5')": "its fixed_params",
    "DELETE FROM trials WHERE trial_id = 2": "some of its trials are gone",
    "DELETE FROM trials": "some of its trials are gone",
}


@pytest.mark.parametrize("change", [*UNSEALED, *UNSEALED_DRAWS])
def test_columns_without_a_checksum_are_held_against_what_has_one(change: str, tmp_path: Path) -> None:
    limits = two_ended(tmp_path)
    assert re.search((UNSEALED | UNSEALED_DRAWS)[change], said_of(tmp_path, limits, change))


@pytest.mark.parametrize("change", UNSEALED)
def test_so_are_those_of_former_versions(change: str, tmp_path: Path) -> None:
    limits = two_ended(tmp_path, of_a_former_version=True)
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[], limits=limits) as study:
        assert len(study.trials()) == 2
    assert re.search(UNSEALED[change], said_of(tmp_path, limits, change))


def test_a_damaged_search_names_its_trials_and_is_found_again_from_the_store(
    tmp_path: Path, stepladder: CommandLine, undisturbed: Path, ladder: Path
) -> None:
    """Draws of a former version too: they are to lead to their recipe."""
    shutil.copytree(undisturbed, tmp_path / "runs")
    n_runs = len(runs_in(tmp_path / "runs"))
    command = ("search", ladder, "--store", tmp_path / "runs", "-o", tmp_path / "found.toml", *SMALL)
    with closing(sqlite3.connect(tmp_path / "runs" / "search.db")) as database, database:
        database.execute("UPDATE study_user_attributes SET value_json = 'true'")
        database.execute("DELETE FROM trial_user_attributes WHERE key LIKE '%drawn' OR key LIKE '%fixed_params'")
    old = stepladder(*command)
    assert old.returncode in (0, 1), old.stderr
    with closing(sqlite3.connect(tmp_path / "runs" / "search.db")) as database, database:
        pools = "param_name = 'pools'"
        assert database.execute(f"UPDATE trial_params SET param_value = 3 - param_value WHERE {pools}").rowcount
    damaged = stepladder(*command)
    assert damaged.returncode == 2
    assert "trial 0 of this search is damaged" in damaged.stderr
    again = stepladder(*command, "--storage", f"sqlite:///{tmp_path}/another.db", "--force")
    assert again.returncode == old.returncode, again.stderr
    assert len(runs_in(tmp_path / "runs")) == n_runs, "nothing is trained again"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trials SET datetime_start = 'soon'",
        "UPDATE trials SET state = 'ASLEEP'",
        "UPDATE trial_user_attributes SET value_json = '{'",
    ],
)
def test_what_optuna_cannot_read_is_one_message(change: str, tmp_path: Path) -> None:
    with SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study:
        assert study.ask(n_trials=1, ceiling=100) is not None
    with closing(sqlite3.connect(tmp_path / "search.db")) as database, database:
        assert database.execute(change).rowcount >= 1
    with (
        SearchStudy("any", storage=default_storage(tmp_path), first_guesses=[]) as study,
        pytest.raises(StoreError, match=r"this search is damaged \(.*\): give --storage another"),
    ):
        study.adopt()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("soon", None), ("", None), ("0s", None)],
)
def test_times_are_read(text: str, seconds: float | None, ladder: Path) -> None:
    done = CliRunner().invoke(cli.main, ["search", str(ladder), "--params", "1", "--max-time", text])
    assert done.exit_code == (3 if seconds else 2)
    assert ("is not a time, such as 90s" in done.output) == (seconds is None)


def test_a_foreign_file_is_not_overwritten(ladder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sought = quest(ladder_file.load(ladder))
    assert output_path(sought, None) == Path("tiny-search.toml")
    Path("tiny-search.toml").write_text("mine = 1")
    with pytest.raises(StoreError, match="is there already and is not of a search"):
        output_path(sought, None)
    Path("tiny-search.toml").write_text(f"{MARK}, some day, and changed since")
    with pytest.raises(StoreError, match="a ladder without a mark, so that nobody can tell"):
        output_path(sought, None)
    Path("tiny-search.toml").write_text(signed(f"{MARK}, some day", suffix=".toml"))
    assert output_path(sought, None) == Path("tiny-search.toml")
    with pytest.raises(StoreError, match=r"ends in \.toml"):
        output_path(sought, "winner.json")


def test_a_quest_tightens_and_looks_at_dev(ladder: Path) -> None:
    loaded = ladder_file.load(ladder)
    assert loaded.evaluate_on == "test"
    assert quest(loaded).objective.evaluate_on == "dev"
    with pytest.raises(BudgetError, match="101 epochs are over the budget of 100"):
        quest(loaded, epochs=101)
    with pytest.raises(BudgetError, match=r"--params 1,001 loosens the ladder's budget of 1,000"):
        quest(loaded, params=1001)
    patient = loaded.with_rungs((replace(loaded.rungs[0], target=LOADED.rungs[0].target),))
    with pytest.raises(LadderError, match="3 epochs are fewer than the last 5"):
        quest(patient)
    with pytest.raises(StoreError, match="its folder is not there"):
        output_path(quest(loaded), "/no/such/folder/x.toml")


POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, on a socket in its own folder."""
    if not POSTGRES:
        pytest.skip("no PostgreSQL here (Debian's package postgresql)")
    programs = POSTGRES[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, pwd.getpwnam("postgres").pw_uid)

    def call(*command: str) -> None:
        subprocess.run([*user, *command], cwd=folder, check=True, capture_output=True)

    control = [str(programs / "pg_ctl"), "-D", str(folder / "db"), "-w"]
    settings_text = f"-k {folder} -c listen_addresses='' -c fsync=off"
    try:
        call(str(programs / "initdb"), "-D", str(folder / "db"), "-U", "me", "-A", "trust")
        call(*control, "-l", str(folder / "log"), "-o", settings_text, "start")
        yield f"postgresql+psycopg://me@/postgres?host={folder}"
    finally:
        with suppress(subprocess.CalledProcessError):
            call(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_two_searches_share_a_postgresql(tmp_path: Path, ladder: Path, postgres: str) -> None:
    more = (*SMALL, "--storage", postgres)
    with Search(ladder, tmp_path / "one", *more) as one:
        one.wait_for("*/seed-*")
        held = one.workers()  # or it might be done before the other has begun
        for worker in held:
            worker.suspend()
        with Search(ladder, tmp_path / "other", *more) as other:
            other.wait_for("*/seed-*")
            for worker in held:
                worker.resume()
            ends = [one.finish(), other.finish()]
    assert all(returncode in (0, 1) for returncode, _, _ in ends), ends
    trials = trials_of(ladder, tmp_path, storage=postgres)
    assert len(trials) == 5
    assert all(each.state != "running" for each in trials)
    short = [set(weights_of_first_rounds(tmp_path / name)) for name in ("one", "other")]
    assert all(short), "both took part"
    assert not short[0] & short[1], ("no trial was tried twice", short, trials, ends)


def weights_of_first_rounds(store: Path) -> list[str]:
    return [run.weights_sha256 for run in runs_in(store) if run.identity.recipe.epochs == 1]
