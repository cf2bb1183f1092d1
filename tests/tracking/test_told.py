"""What trackers are told of a run: the same, whether it is stored or trains."""

from dataclasses import replace
from datetime import datetime

import pytest
from records import make_epoch, make_run

from stepladder.climbing.climbing import plan
from stepladder.datasets.data import describe
from stepladder.engines import choose_engine
from stepladder.ladders.ladder_file import load
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import experiment_key
from stepladder.tracking.told import nowhere, of_epochs, of_run, places

LADDER = load("mnist-8k")
TASK = plan(LADDER, seeds=[3], engine=choose_engine()[0])[-1]
PLACE = places(LADDER)[TASK.identity.experiment]
FINISHED_AT_S = datetime.fromisoformat("2026-11-22T12:00:00+00:00").timestamp()  # of made-up runs


def test_epochs_ended_before_the_run_was_stored() -> None:
    """Each 8.5 seconds after the one before, the last one then."""
    run = of_run(make_run(3, [9_000, 9_500, 9_900]), PLACE)
    assert [FINISHED_AT_S - point.at_s for point in run.points] == pytest.approx([17.0, 8.5, 0.0])
    assert run.began_s == pytest.approx(FINISHED_AT_S - 25.5)
    assert run.ended_s == run.points[-1].at_s
    assert [point.epoch for point in run.points] == [1, 2, 3]


def test_metrics_are_losses_and_percentages_of_the_split() -> None:
    (point,) = of_run(make_run(3, [9_900]), PLACE).points
    assert point.metrics == {
        "train/loss": 0.06,
        "train/accuracy": 98.0,
        "test/loss": 0.02,
        "test/accuracy": 99.0,
        "test/balanced_accuracy": 99.0,
    }
    (point,) = of_run(make_run(3, [9_900], evaluate_on="dev"), PLACE).points
    assert list(point.metrics)[2:] == ["validation/loss", "validation/accuracy", "validation/balanced_accuracy"]


def test_an_id_is_that_of_experiment_seed_and_engine_and_stays() -> None:
    """What was told by an earlier version is found again."""
    assert of_run(make_run(3, [9_900]), PLACE).id == "248cc9272f4b4917"
    runs = [make_run(3, [9_900]), make_run(4, [9_900]), make_run(3, [9_900], evaluate_on="dev")]
    assert len({of_run(run, PLACE).id for run in runs}) == 3


def test_a_run_that_trains_is_told_as_it_will_be_when_it_is_stored() -> None:
    run = make_run(3, [9_000, 9_500])
    stored = of_run(run, PLACE)
    for n in (1, 2):
        trains = of_epochs(run.identity, run.epochs[:n], PLACE, ended_s=stored.points[n - 1].at_s)
        assert trains.state == "running"
        assert not trains.is_over
        assert (trains.id, trains.name, trains.params, trains.tags) == (
            stored.id,
            stored.name,
            stored.params,
            stored.tags,
        )
        assert trains.points == stored.points[:n]
        assert trains.began_s == pytest.approx(stored.began_s)


def test_a_run_that_trains_ended_its_last_epoch_just_now() -> None:
    assert of_epochs(TASK.identity, [make_epoch(9_000)], PLACE).points[0].at_s > FINISHED_AT_S


def test_a_run_that_diverged_says_when() -> None:
    run = of_run(make_run(3, [9_000, 9_500], diverged_at_epoch=2), PLACE)
    assert (run.state, len(run.points), run.tags["diverged_at_epoch"]) == ("diverged", 1, "2")
    assert run.is_over


def test_params_are_the_recipe_and_tags_say_where_it_belongs() -> None:
    run = of_epochs(TASK.identity, [], PLACE)
    assert run.params["lr"] == TASK.identity.recipe.lr
    assert run.params["augment.rotation_deg"] == TASK.identity.recipe.augment.rotation_deg
    assert str(run.params["network"]).startswith("conv ")
    assert None not in run.params.values()
    network = TASK.rung.network(describe(LADDER.data).image)
    assert run.tags["params"] == str(network.params)
    assert run.tags["macs"] == str(network.macs)
    assert run.tags["rung"] == run.group == TASK.rung.name
    assert run.tags["why"] == TASK.rung.why
    assert run.tags["change"].startswith("network: ")
    assert {"ladder", "seed", "engine", "experiment", "data", "evaluated_on"} < set(run.tags)
    assert run.name == f"{TASK.rung.name}, seed 3"


def test_every_rung_has_a_place_of_its_own() -> None:
    found = places(LADDER)
    assert [place.group for place in found.values()] == [rung.name for rung in LADDER.rungs]
    assert {place.project for place in found.values()} == {"mnist-8k"}
    assert next(iter(found.values())).about["change"] == "start"


def test_a_teacher_is_called_after_its_rung() -> None:
    distilled = Recipe.model_validate(
        {"network": ["gap", "linear 10"], "epochs": 1, "distill": {"network": ["conv 2", "gap", "linear 10"]}}
    )
    rung = replace(LADDER.rungs[0], recipe=distilled)
    groups = [place.group for place in places(LADDER.with_rungs([rung])).values()]
    assert groups == [rung.name, f"teacher of {rung.name}"]


def test_an_experiment_on_no_ladder_goes_by_its_key() -> None:
    identity = make_run(3, [9_900]).identity
    key = experiment_key(identity.recipe, identity.data)
    assert nowhere(key, None).group == key
    assert nowhere(key, None).project == "stepladder"
