"""Ablation: which changes can be taken out of the top alone, and what is said of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import CommandLine
from records import make_run

from stepladder.analysis.comparing import compare_with_top
from stepladder.errors import LadderError
from stepladder.ladders.ablation import ablate
from stepladder.ladders.ladder_file import load
from stepladder.recipes.recipe import Augment, changed_fields
from stepladder.recipes.schedules import Constant
from stepladder.reporting.pages.ablation_page import ablation_table
from stepladder.runs.results import Results, RungResult
from stepladder.runs.stats import summarise

LADDER = load("mnist-8k")


def test_each_change_is_taken_out_alone() -> None:
    ablation = ablate(LADDER)
    top = LADDER.rungs[-1].recipe
    assert list(ablation.without) == ["dropout", "rotation", "steplr", "receptive-field"]
    for name, rung in ablation.without.items():
        assert changed_fields(top, rung.recipe) == LADDER.rung(name).changes
    assert ablation.without["dropout"].recipe.dropout == 0
    assert ablation.without["rotation"].recipe.augment == Augment()
    assert ablation.without["steplr"].recipe.schedule == Constant()
    assert ablation.without["receptive-field"].recipe == LADDER.rung("steplr").recipe  # trained on the way up
    assert ablation.as_plan.rungs[-1] == LADDER.rungs[-1]


def test_a_change_that_a_later_rung_makes_again_stays() -> None:
    assert ablate(LADDER).kept == {"lighter": "rung 'receptive-field' changes network again"}


def test_a_compound_step_goes_out_whole() -> None:
    ablation = ablate(load("mnist-8k-as-run"))
    assert ablation.kept["steplr"] == "rung 'receptive-field' changes network again"
    assert ablation.kept["dropout"] == "rung 'steplr' changes dropout again"
    assert list(ablation.without) == ["rotation", "receptive-field"]


def test_of_two_distortions_each_goes_out_alone() -> None:
    """They are two concepts: what is left has the other one."""
    rotation, moved = LADDER.rung("rotation"), Augment(rotation_deg=15.0, shift_px=1.0)
    shift = replace(rotation, name="shift", recipe=rotation.recipe.model_copy(update={"augment": moved}))
    ablation = ablate(replace(LADDER, rungs=(*LADDER.rungs[:4], shift)))
    assert ablation.without["rotation"].recipe.augment == Augment(shift_px=1.0)
    assert ablation.without["shift"].recipe.augment == Augment(rotation_deg=15.0)


def test_one_rung_has_nothing_to_take_out() -> None:
    with pytest.raises(LadderError, match="one rung has no change to take out"):
        ablate(replace(LADDER, rungs=LADDER.rungs[:1]))


def test_what_each_change_is_worth() -> None:
    ablation = ablate(LADDER)
    finals = {"without dropout": 9950, "without rotation": 9910, "without steplr": 9930, "receptive-field": 9940}
    rungs = []
    for rung in ablation.as_plan.rungs:
        runs = tuple(make_run(seed, [finals[rung.name] + seed % 3] * 6) for seed in range(1, 9) if rung.name in finals)
        rungs.append(RungResult(rung, runs, summarise(runs, rung.target)))
    down = Results(ladder=ablation.as_plan, engine=None, rungs=tuple(rungs), params=(1,) * 5, others={}, n_test_looks=0)
    outcomes = {each.below: each.outcome for each in compare_with_top(down)}
    assert outcomes == {
        "without dropout": "worse",
        "without rotation": "better",
        "without steplr": "better",
        "without receptive-field": "undecided",
    }
    none = tuple(RungResult(rung, (), summarise((), rung.target)) for rung in LADDER.rungs)
    up = Results(ladder=LADDER, engine=None, rungs=none, params=(1,) * 6, others={}, n_test_looks=0)
    rows = {row[0]: row[2:] for row in ablation_table(ablation, compare_with_top(down), up=up, down=down).rows}
    assert rows["lighter"][2] == "cannot be taken out alone: rung 'receptive-field' changes network again"
    assert rows["rotation"][:3] == ("8", "99.11", "better by 0.30 points [0.28, 0.32]")
    assert rows["rotation"][3] == "–"


def test_down_on_the_command_line(stepladder: CommandLine, tiny_ladder: Path) -> None:
    climbed = stepladder("climb", tiny_ladder, "--down", "--seeds", "2")
    assert climbed.returncode in (0, 1), climbed.stderr
    assert "6 to train" in climbed.stderr
    assert "What each change is worth at the top (rung 'rotation'" in climbed.stdout
    again = stepladder("compare", tiny_ladder, "--down")
    assert again.returncode == 0
    assert "the top with it is" in again.stdout
    assert '"cannot_be_taken_out": {}' in stepladder("compare", tiny_ladder, "--down", "--json").stdout
