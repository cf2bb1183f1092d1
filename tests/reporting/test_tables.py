"""What is shown of checks and results: numbers as text, tables, JSON, the terminal."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import ENGINE, make_run

from stepladder.climbing.climbing import Task
from stepladder.datasets.sources import MNIST
from stepladder.ladders import checking, ladder_file
from stepladder.ladders.checking import Check
from stepladder.ladders.ladder import Ladder, Plan
from stepladder.ladders.terms import Budget, Target
from stepladder.recipes.recipe import Distill
from stepladder.records import record
from stepladder.reporting import numbers, tables, terminal
from stepladder.reporting import summary as summary_page
from stepladder.reporting.data import check_json, result_json
from stepladder.reporting.html import charts
from stepladder.reporting.pages import check_page, compare_page, record_page, result_page
from stepladder.reporting.tables import Entry, Page, Table
from stepladder.runs.results import Results, RungResult
from stepladder.runs.run import Run
from stepladder.runs.stats import Summary, summarise
from stepladder.watching.so_far import outcome_text

HIT, MISS = 9940, 9939  # at and just below 99.4% of 10,000
MARKUP = "[red]x[/red] [/] [bold :smiley: \\[link=a]"


def printed(page: Page) -> str:
    """A page as a wide terminal shows it."""
    return terminal.render(page, width=500)


# Percentages.


@pytest.mark.parametrize(
    ("value", "target", "shown"),
    [
        ("99.396", "99.4", "99.39"),
        ("99.3999", "99.4", "99.39"),
        ("99.4", "99.4", "99.40"),
        ("99.404", "99.4", "99.40"),
        ("99.406", "99.4", "99.41"),
        ("99.386", "99.4", "99.39"),
        ("99.396", None, "99.40"),
        ("99.395", "99.395", "99.40"),
        ("99.394", "99.395", "99.39"),
        ("99.999", "99.4", "99.99"),
        ("99.999", None, "99.99"),
        ("99.995", "100", "99.99"),
        ("100", "100", "100.00"),
        ("100", None, "100.00"),
        ("0", "99.4", "0.00"),
        ("0.005", None, "0.00"),
        ("0.015", None, "0.02"),
        ("7.1", None, "7.10"),
    ],
)
def test_percentages(value: str, target: str | None, shown: str) -> None:
    assert numbers.percent(Fraction(value), target=Decimal(target) if target else None) == shown


def test_no_percentage() -> None:
    assert numbers.percent(None) == numbers.percent(None, target=Decimal("99.4")) == "–"


@pytest.mark.parametrize("limit", ["99.4", "100"])
def test_not_even_a_hair_below_the_target_reaches_it(limit: str) -> None:
    below = Fraction(limit) - Fraction(1, 10**40)  # closer than 28 digits can tell
    assert Decimal(numbers.percent(below, target=Decimal("99.4"))) < Decimal(limit)


targets = st.decimals(Decimal("0.1"), 100, places=1) | st.decimals(Decimal("0.0001"), 100, places=4)
counted = st.integers(1, 10**6).flatmap(lambda n: st.builds(Fraction, st.integers(0, 100 * n), st.just(n)))


@st.composite
def value_and_target(draw: st.DrawFn) -> tuple[Fraction, Decimal | None]:
    """A percentage, often right beside its target or 100, and the target."""
    target = draw(st.none() | targets)
    beside = draw(st.sampled_from([Fraction(100), Fraction(target or 50)])) + draw(
        st.builds(Fraction, st.integers(-200, 200), st.sampled_from([10**3, 10**4, 10**5, 7 * 10**6]))
    )
    near = min(max(beside, Fraction(0)), Fraction(100))
    return draw(st.just(near) | counted), target


@given(value_and_target())
@settings(deadline=None, max_examples=500)
def test_a_percentage_is_never_rounded_up_to_its_target_or_to_100(case: tuple[Fraction, Decimal | None]) -> None:
    value, target = case
    text = numbers.percent(value, target=target)
    assert re.fullmatch(r"\d{1,3}\.\d\d", text)
    shown = Fraction(text)
    limits = [Fraction(100)] + ([] if target is None else [Fraction(target)])
    assert all(shown < limit for limit in limits if value < limit)
    nearest = Fraction(round(100 * value), 100)
    if any(value < limit <= nearest for limit in limits):
        assert 0 < value - shown < Fraction(1, 100)
    else:
        assert shown == nearest


# Words.


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (0.2, "1 s"),
        (40.4, "40 s"),
        (89.9, "90 s"),
        (91, "2 min"),
        (13 * 60 + 20, "13 min"),
        (89 * 60, "89 min"),
        (90 * 60, "1 h 30 min"),
        (2 * 3600 + 5 * 60, "2 h 5 min"),
        (26 * 3600, "26 h 0 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert tables.duration(seconds) == words


def summary(consistent_from: Sequence[int | None], *, diverged: Sequence[int] = ()) -> Summary:
    return Summary(
        seeds=tuple(range(1, len(consistent_from) + 1)),
        diverged=tuple(diverged),
        final_mean=None,
        final_min=None,
        final_sd=None,
        train_final_mean=None,
        consistent_from=tuple(consistent_from),
        n_held=0,
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (summary([]), "–"),
        (summary([7]), "epoch 7"),
        (summary([7, 7]), "epoch 7"),
        (summary([9, 7, 8]), "epoch 7 (earliest seed) to 9 (latest)"),
        (summary([10, 9]), "epoch 9 (earliest seed) to 10 (latest)"),
        (summary([None]), "never"),
        (summary([None] * 8), "never in 8 of 8"),
        (summary([9, None, 7, None, 7, 8, 9, 7]), "epoch 7 (earliest seed) to 9 (latest); never in 2 of 8"),
        (summary([None], diverged=[1]), "diverged"),
        (summary([7, None, 7], diverged=[2]), "epoch 7; diverged in 1 of 3"),
        (summary([7, None, None], diverged=[2]), "epoch 7; never in 1 of 3; diverged in 1 of 3"),
    ],
)
def test_consistency_in_words(found: Summary, words: str) -> None:
    assert result_page.consistency_text(found) == words


# Checks of the shipped ladders.

SHIPPED = ladder_file.load("mnist-8k")
AS_RUN = ladder_file.load("mnist-8k-as-run")


def check(ladder: Plan) -> Check:
    return checking.check(ladder, n_seeds=8, jobs=2, speeds={})


def test_the_check_table_of_the_shipped_ladder() -> None:
    table = check_page.check_table(check(SHIPPED).rungs)
    assert table.header == (
        *("rung", "change", "parameters", "budget", "multiply-adds", "receptive field", "epochs", "within budget"),
    )
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == ["skeleton", "lighter", "dropout", "rotation", "steplr", "receptive-field"]
    assert rows["skeleton"] == ("start", "9,714", "10,000", "763,744", "28", "14 of 15", "yes")
    assert rows["lighter"][:3] == ("network: 8-8-P-12-12-16-16b-gap-32-10", "7,826", "8,000")
    assert rows["dropout"][0] == "dropout: none → 5%"
    assert rows["rotation"][0] == "augment: none → rotation ±15°"
    assert rows["steplr"][0] == "schedule: constant → times 0.1 every 6 epochs"
    assert (rows["receptive-field"][1], rows["receptive-field"][4]) == ("7,946", "32")
    assert {row[-1] for row in table.rows} == {"yes"}


def test_a_rung_over_its_budget_says_so() -> None:
    tight = SHIPPED.with_rungs((replace(SHIPPED.rungs[0], budget=Budget(params=9713, epochs=13)),))
    found = check(tight)
    assert check_page.check_table(found.rungs).rows[0][-2:] == ("14 of 13", "OVER")
    rung = check_json.check_dict(found)["rungs"][0]
    assert rung["over_budget"] is True
    assert ["1 over its budget of 9,713" in rung["excess"][0], "trains for 14 epochs" in rung["excess"][1]] == [
        True
    ] * 2


def test_the_layer_table_of_the_skeleton_is_the_one_computed_by_hand() -> None:
    table = check_page.layer_tables(check(SHIPPED).rungs)[0]
    assert table.title == "skeleton: 9,714 parameters, receptive field 28"
    assert table.header == (
        *("layer", "operation", "channels", "input", "kernel", "padding", "stride", "output"),
        *("jump in", "jump out", "rf in", "rf out", "parameters", "multiply-adds"),
    )
    assert [" ".join(row) for row in table.rows] == [
        "1 Conv2d 8 28 3 0 1 26 1 1 1 3 88 48,672",
        "2 Conv2d 8 26 3 0 1 24 1 1 3 5 592 331,776",
        "3 MaxPool 8 24 2 0 2 12 1 2 5 6 0 0",
        "4 Conv2d 16 12 3 0 1 10 2 2 6 10 1,184 115,200",
        "5 Conv2d 16 10 3 0 1 8 2 2 10 14 2,336 147,456",
        "6 Conv2d 16 8 3 0 1 6 2 2 14 18 2,336 82,944",
        "7 Conv2d 16 6 3 0 1 4 2 2 18 22 2,304 36,864",
        "8 GAP 16 4 4 0 1 1 2 2 22 28 0 0",
        "9 Linear 32 1 1 0 1 1 2 2 28 28 544 512",
        "10 Linear 10 1 1 0 1 1 2 2 28 28 330 320",
    ]


def test_rungs_of_one_network_share_a_layer_table() -> None:
    assert [table.title for table in check_page.layer_tables(check(SHIPPED).rungs)] == [
        "skeleton: 9,714 parameters, receptive field 28",
        "lighter, dropout, rotation, steplr: 7,826 parameters, receptive field 28",
        "receptive-field: 7,946 parameters, receptive field 32",
    ]


def test_tables_are_rectangular_and_align_existing_columns() -> None:
    found = [part for part in check_page.check_page(check(AS_RUN)) if isinstance(part, Table)]
    found += [result_page.result_table(make_results(AS_RUN, {}))]
    assert len(found) > 3
    for table in found:
        assert {len(row) for row in table.rows} == {len(table.header)}
        assert table.numeric <= set(range(len(table.header)))


def test_the_check_page_says_what_is_checked() -> None:
    text = printed(check_page.check_page(check(SHIPPED)))
    assert "mnist-8k: 99.4% on MNIST, consistently" in text
    parts = "trained on all 60,000 training images, evaluated on 10,000 test images"
    assert f"Data: mnist, images of 1 x 28 x 28, 10 classes: {parts}." in text
    assert "Target: 99.4% at each of the last 5 epochs." in text
    assert "a climb of 48 runs takes about " in text
    assert "on 2 processes (at a typical speed; nothing measured here yet)." in text


@pytest.mark.parametrize(
    ("n_seeds", "jobs", "in_words"),
    [
        (1, 1, "takes about 34 min on 1 process (at the speed measured in this store)."),
        (8, 2, "takes about 2 h 15 min on 2 processes (at the speed measured in this store)."),
        (8, 64, "takes about 34 min on 8 processes (at the speed measured in this store)."),
    ],
)
def test_the_estimate_is_the_work_over_the_measured_speed(n_seeds: int, jobs: int, in_words: str) -> None:
    """14 epochs of 763,744 multiply-adds: three times for 60,000 images, once for 10,000; a billion a second."""
    ladder = SHIPPED.with_rungs(SHIPPED.rungs[:1])
    speeds = {"jit-0.49.0-cpu-r1": 1.0, "jit-0.50.0-cpu-r1": 1e9, "torch-2.13.0-cpu-r1": 1.0}
    found = checking.check(ladder, n_seeds=n_seeds, jobs=jobs, speeds=speeds).estimate
    work_s = 14 * 763_744 * 190_000 / 1e9 * n_seeds / min(jobs, n_seeds)
    assert found.preparing_s == checking.START_S + checking.COMPILE_S
    assert found.elapsed_s == pytest.approx(work_s + found.preparing_s)
    assert found.measured
    assert in_words in check_page.estimate_text(found)


@pytest.mark.parametrize(("seeds", "trained", "answers"), [((), 8, 1), ((11, 12, 13), 3, 3)])
def test_the_estimate_counts_teachers(seeds: tuple[int, ...], trained: int, answers: int) -> None:
    """Each of 8 runs trains a teacher of its own, or all share three; a teacher answers to 60,000 images per epoch."""
    rung = SHIPPED.rungs[0]
    distill = Distill(network=rung.recipe.network, seeds=seeds)
    taught = replace(rung, recipe=rung.recipe.model_copy(update={"distill": distill}))
    speeds = {"jit-0.50.0-cpu-r1": 1e9}
    found = checking.check(SHIPPED.with_rungs((taught,)), n_seeds=8, jobs=1, speeds=speeds).estimate
    images = 8 * (190_000 + answers * 60_000) + trained * 190_000
    assert found.elapsed_s == pytest.approx(14 * 763_744 * images / 1e9 + found.preparing_s)
    both = checking.check(SHIPPED.with_rungs((rung, taught)), n_seeds=8, jobs=1, speeds=speeds).estimate
    more = 8 if seeds else 0  # the rung below is the teacher of each run, but its seeds are others than 11 to 13
    assert both.elapsed_s == pytest.approx(14 * 763_744 * (images + more * 190_000) / 1e9 + both.preparing_s)
    macs = checking.macs_of_run(SHIPPED, taught, info=MNIST)
    assert macs == 14 * 763_744 * (190_000 + answers * 60_000 + answers * 190_000)


def test_a_short_climb_is_told_what_it_takes_to_begin() -> None:
    speeds = {"jit-0.50.0-cpu-r1": 1e15}
    found = checking.check(SHIPPED, n_seeds=8, jobs=2, speeds=speeds).estimate
    n_networks = len({rung.recipe.network for rung in SHIPPED.rungs})
    assert n_networks < len(SHIPPED.rungs)
    assert found.preparing_s == checking.START_S + checking.COMPILE_S * n_networks
    took, begins = map(tables.duration, (found.elapsed_s, found.preparing_s))
    assert f"takes about {took} on 2 processes, about {begins} of that to start and to compile" in (
        check_page.estimate_text(found)
    )


# Results.


def make_results(ladder: Ladder, runs: Mapping[str, Sequence[Run]], **changed: Any) -> Results:
    """Results of a ladder from made-up runs by rung name."""
    rungs = [
        RungResult(rung, tuple(runs.get(rung.name, ())), summarise(runs.get(rung.name, ()), rung.target))
        for rung in ladder.rungs
    ]
    params = tuple(checked.network.params for checked in check(ladder).rungs)
    found = Results(ladder=ladder, engine=ENGINE, rungs=tuple(rungs), params=params, others={}, n_test_looks=0)
    return replace(found, **changed)


SOME_RUNS = {
    "skeleton": [make_run(1, [MISS] * 6), make_run(2, [MISS] * 6)],
    "lighter": [make_run(1, [MISS, HIT, HIT, HIT, HIT, HIT], n_train_correct=58_799)],
    "dropout": [make_run(1, [HIT] * 6), make_run(2, [HIT] * 6, diverged_at_epoch=4)],
    "receptive-field": [
        make_run(1, [MISS] + [HIT] * 5),
        make_run(2, [HIT] * 3 + [MISS, HIT, HIT]),
        make_run(3, [9952] * 6),
    ],
}


def test_the_result_table() -> None:
    table = result_page.result_table(make_results(SHIPPED, SOME_RUNS))
    assert table.header == (
        *("rung", "change", "parameters", "train %", "test %", "± sd", "worst", "consistent from", "held"),
    )
    rows = {row[0]: row[2:] for row in table.rows}
    assert rows["skeleton"] == ("9,714", "98.00", "99.39", "0.00", "99.39", "never in 2 of 2", "0 of 2")
    assert rows["lighter"] == ("7,826", "98.00", "99.40", "–", "99.40", "epoch 2", "1 of 1")
    assert rows["dropout"] == ("7,826", "–", "–", "–", "–", "epoch 1; diverged in 1 of 2", "1 of 2")
    assert rows["rotation"] == ("7,826", "–", "–", "–", "–", "–", "not trained")
    assert rows["receptive-field"] == (
        "7,946",
        "98.00",
        "99.44",
        "0.07",
        "99.40",
        "epoch 1 (earliest seed) to 5 (latest)",
        "2 of 3",
    )


def test_the_notes_below_the_results() -> None:
    found = make_results(SHIPPED, SOME_RUNS, n_test_looks=1234, others={"torch 2.9.0 on cuda, revision 1": 3})
    text = printed(result_page.result_page(found))
    assert "Target: 99.4% at each of the last 5 epochs." in text
    assert "Engine: torch 2.13.0 on cpu, revision 1." in text
    assert "The test split was looked at 1,234 times" in text
    assert "Kept apart: 3 runs by torch 2.9.0 on cuda, revision 1." in text
    assert "Diverged: rung 'dropout', seed 2, at epoch 4: try a lower learning rate." in text
    assert "not trained" in text


def test_results_on_dev_are_named_after_dev() -> None:
    on_dev = replace(SHIPPED, evaluate_on="dev")
    found = make_results(on_dev, {"skeleton": [make_run(1, [HIT] * 6, evaluate_on="dev")]})
    assert "dev %" in result_page.result_table(found).header
    assert "test" not in printed(result_page.result_page(found))
    form = result_json.results_dict(found)
    assert form["evaluated_on"] == "dev"
    assert form["rungs"][0]["dev_final_mean"] == 99.4
    assert not [key for key in form["rungs"][0] if key.startswith("test")]


def test_the_summit_is_reached_only_if_every_seed_of_the_top_rung_holds() -> None:
    top = SHIPPED.rungs[-1].name
    good, bad = make_run(1, [HIT] * 6), make_run(2, [HIT] * 5 + [MISS])
    for runs, reached in (([], False), ([good], True), ([good, bad], False), ([bad], False)):
        found = make_results(SHIPPED, {top: runs, "skeleton": [bad]})
        assert found.reached is reached
        assert result_json.results_dict(found)["reached"] is reached


def test_a_headline_says_one_thing() -> None:
    top = SHIPPED.rungs[-1].name
    good, bad, other = make_run(1, [HIT] * 6), make_run(2, [HIT] * 5 + [MISS]), make_run(3, [MISS] * 6)
    target = "99.4% at each of the last 5 epochs"
    for runs, words, held in (
        ([good], f"Reached: '{top}' holds {target}, with one seed, which proves little.", "1 of 1 seed"),
        ([bad], f"Not reached: '{top}' does not hold {target} with its one seed.", "0 of 1 seed"),
        ([bad, other], f"Not reached: '{top}' does not hold {target} with any of 2 seeds.", "0 of 2 seeds"),
        ([good, bad], f"Not reached: '{top}' holds {target} with only 1 of 2 seeds.", "1 of 2 seeds"),
    ):
        found = make_results(SHIPPED, {top: runs})
        assert summary_page.headline(found) == words
        assert dict(summary_page.facts(found))["target held"] == held
    facts = dict(summary_page.facts(make_results(SHIPPED, {top: [good, bad]})))
    assert facts["test accuracy, mean"] == "99.39%"
    assert facts["standard deviation of seeds"] == "0.01 points", "what stands beside a mean is named"


@pytest.mark.parametrize(
    ("n_correct", "last_epochs", "words"),
    [
        ([HIT] * 3, 2, "test 99.40%, holds 99.4%"),
        ([HIT, MISS, HIT], 2, "test 99.40%, 99.4% or more only at 1 of the last 2 epochs"),
        ([HIT, HIT, MISS], 2, "test 99.39%, 99.4% or more only at 1 of the last 2 epochs"),
        ([HIT, MISS, MISS], 2, "test 99.39%, below 99.4%"),
        ([HIT, HIT, MISS], 1, "test 99.39%, below 99.4%"),
        ([MISS, MISS, HIT], 1, "test 99.40%, holds 99.4%"),
    ],
)
def test_a_finished_run_in_words(n_correct: list[int], last_epochs: int, words: str) -> None:
    run = make_run(1, n_correct)
    rung = replace(SHIPPED.rungs[-1], target=Target(accuracy=Decimal("99.4"), last_epochs=last_epochs))
    assert outcome_text(Task(rung, run.identity, macs_per_epoch=1, macs=3), run) == words


def test_a_check_says_what_is_trained_on_and_what_is_not_used() -> None:
    on_dev = replace(SHIPPED, evaluate_on="dev")
    for ladder, words in (
        (SHIPPED, "trained on all 60,000 training images, evaluated on 10,000 test images."),
        (
            on_dev,
            "on 50,000 images, evaluated on the validation split (dev), the last 10,000 of the training images;",
        ),
        (on_dev, "of the training images; 10,000 test images not used."),
        (
            replace(on_dev, dev_images=1000),
            "trained on 59,000 images, evaluated on the validation split (dev), the last 1,000 of the training images;",
        ),
    ):
        assert words in printed(check_page.check_page(check(ladder)))


def test_the_headline_and_the_layer_table_agree_on_the_receptive_field() -> None:
    recipe = SHIPPED.rungs[0].recipe
    for layers in (
        ["linear 128 block linear relu", "linear 10"],
        ["conv 6 5x5 pad 2", "avgpool 2", "conv 16 5x5", "avgpool 2", "linear 120", "linear 84", "linear 10"],
        ["conv 8", "maxpool 2", "conv 16", "gap", "linear 10"],
    ):
        network = recipe.model_validate({"network": layers, "epochs": 1}).network_for(MNIST.image)
        table = check_page.layer_table(network, "x")
        field = table.rows[-1][table.header.index("rf out")]
        assert int(field) >= 28
        assert table.title.endswith(f"receptive field {field}")


# Compound steps are called what they are, everywhere.


def test_every_page_and_json_form_says_compound() -> None:
    reason = "the notebook did all three in one step"
    results = make_results(AS_RUN, {})
    for page in (check_page.check_page(check(AS_RUN)), result_page.result_page(results)):
        text = printed(page)
        assert "COMPOUND (3 concepts)" in text
        assert f"Compound: rung 'steplr' changes network, dropout, schedule at once: {reason}" in text
    for form in (check_json.check_dict(check(AS_RUN)), result_json.results_dict(results)):
        rungs = {rung["name"]: rung for rung in form["rungs"]}
        assert rungs["steplr"]["compound"].startswith(reason)
        assert rungs["steplr"]["changes"] == ["network", "dropout", "schedule"]
        assert [name for name, rung in rungs.items() if rung["compound"] is not None] == ["steplr"]


def test_a_ladder_of_single_steps_says_compound_nowhere() -> None:
    for page in (check_page.check_page(check(SHIPPED)), result_page.result_page(make_results(SHIPPED, {}))):
        assert "compound" not in printed(page).lower()


# JSON.


def round_trip(form: Mapping[str, Any]) -> Any:
    """A form as a reader of its JSON gets it; refuses NaN and infinity, which are no JSON."""
    return json.loads(json.dumps(form, allow_nan=False))


def test_the_json_form_of_a_check() -> None:
    form = round_trip(check_json.check_dict(check(SHIPPED)))
    assert form["schema_version"] == 1
    assert form["ladder"] == "mnist-8k"
    assert [rung["name"] for rung in form["rungs"]] == [rung.name for rung in SHIPPED.rungs]
    bottom = form["rungs"][0]
    expected = {"params": 9714, "macs": 763_744, "receptive_field": 28, "over_budget": False, "excess": []}
    assert expected.items() <= bottom.items()
    assert bottom["budget"] == {"params": 10_000, "epochs": 15}
    assert bottom["target"] == {"accuracy": 99.4, "last_epochs": 5, "balanced": False}
    assert (bottom["changes"], bottom["compound"]) == ([], None)
    assert form["rungs"][3]["changes"] == ["augment"]
    pool = {
        **{"operation": "MaxPool", "in_size": 24, "kernel": 2, "padding": 0, "stride": 2, "out_size": 12},
        **{"jump_in": 1, "jump_out": 2, "rf_in": 5, "rf_out": 6, "params": 0},
    }
    assert pool.items() <= bottom["layers"][2].items()
    for rung in form["rungs"]:
        assert all(layer.keys() >= pool.keys() for layer in rung["layers"])
        assert sum(layer["params"] for layer in rung["layers"]) == rung["params"]


def test_the_json_form_of_results() -> None:
    form = round_trip(result_json.results_dict(make_results(SHIPPED, SOME_RUNS)))
    assert (form["schema_version"], form["ladder"], form["evaluated_on"]) == (1, "mnist-8k", "test")
    assert form["engine"] == {"name": "torch", "version": "2.13.0", "device": "cpu", "revision": 1}
    assert (form["reached"], form["other_engines"], form["n_test_looks"]) == (False, {}, 0)
    rungs = {rung["name"]: rung for rung in form["rungs"]}
    assert list(rungs) == [rung.name for rung in SHIPPED.rungs]
    top = {
        "params": 7946,
        "seeds": [1, 2, 3],
        "test_final_mean": 99.44,
        "test_final_min": 99.4,
        "test_final_sd": pytest.approx(0.12 / 3**0.5),
        "train_final_mean": 98.0,
        "consistent_from": [2, 5, 1],
        "held": [2, 3],
        "diverged": [],
    }
    assert {key: rungs["receptive-field"][key] for key in top} == top
    none = dict.fromkeys(["test_final_mean", "test_final_min", "test_final_sd", "train_final_mean"])
    diverged = none | {"seeds": [1, 2], "consistent_from": [1, None], "held": [1, 2], "diverged": [2]}
    assert {key: rungs["dropout"][key] for key in diverged} == diverged
    untrained = none | {"seeds": [], "consistent_from": [], "held": [0, 0], "diverged": []}
    assert {key: rungs["rotation"][key] for key in untrained} == untrained


def test_numbers_for_machines_are_not_rounded() -> None:
    form = result_json.results_dict(make_results(SHIPPED, {"skeleton": [make_run(1, [59_637], n=60_000)]}))
    assert form["rungs"][0]["test_final_mean"] == 99.395
    assert form["rungs"][0]["train_final_mean"] == 98.0


def test_the_json_form_of_results_without_any_run() -> None:
    form = round_trip(result_json.results_dict(make_results(SHIPPED, {}, engine=None)))
    assert (form["engine"], form["reached"]) == (None, False)


def test_the_json_form_of_the_shipped_ladders() -> None:
    form = round_trip(check_json.ladders_dict([SHIPPED, AS_RUN]))
    assert form["schema_version"] == 1
    assert [ladder["name"] for ladder in form["ladders"]] == ["mnist-8k", "mnist-8k-as-run"]
    assert form["ladders"][0]["rungs"] == [rung.name for rung in SHIPPED.rungs]


# The terminal.


def test_markup_in_names_is_printed_literally() -> None:
    table = Table(
        title=f"title {MARKUP}",
        header=("name", "n"),
        rows=((f"cell {MARKUP}", f"number {MARKUP}"),),
        numeric=frozenset({1}),
    )
    text = printed([f"text {MARKUP}", table])
    for place in ("text", "title", "cell", "number"):
        assert f"{place} {MARKUP}" in text


def test_a_ladder_named_in_markup_is_shown_by_its_name() -> None:
    rungs = tuple(replace(rung, name=f"[red]{rung.name}[/red]") for rung in AS_RUN.rungs)
    ladder = replace(AS_RUN, name="[red]x[/red]", about="about [b]it[/b]", rungs=rungs)
    text = printed(check_page.check_page(check(ladder)))
    assert "[red]x[/red]: about [b]it[/b]" in text
    assert "Compound: rung '[red]steplr[/red]'" in text
    results = printed(result_page.result_page(make_results(ladder, {})))
    for rung in rungs:
        assert rung.name in text
        assert rung.name in results


def test_a_table_on_a_terminal_has_all_its_cells_in_order() -> None:
    table = Table(title="sizes", header=("name", "n"), rows=(("a", "1"), ("bc", "23")), numeric=frozenset({1}))
    assert [line.split() for line in printed([table, "below"]).splitlines() if line.strip(" -")] == [
        ["sizes"],
        ["name", "n"],
        ["a", "1"],
        ["bc", "23"],
        ["below"],
    ]


def shown_pages() -> dict[str, Page]:
    """Pages of the shipped ladders and records: names, networks and intervals as long as they get."""
    found = make_results(SHIPPED, SOME_RUNS)
    kept = [record.load(name) for name in record.shipped()]
    return {
        "check": check_page.check_page(check(SHIPPED)),
        "show": result_page.result_page(found),
        "compare": compare_page.compare_page(found),
        "ladders": [Entry(ladder.name, ladder.about) for ladder in map(ladder_file.load, ladder_file.shipped())],
        "records": record_page.records_page(kept),
    }


PAGES = shown_pages()
LEFT_OUT = re.compile(r"\(left out to fit:[^)]*\)")


@pytest.mark.parametrize("width", [80, 90, 120, 160])
@pytest.mark.parametrize("name", PAGES)
def test_no_line_is_too_long_and_no_word_is_broken(name: str, width: int) -> None:
    text = terminal.render(PAGES[name], width=width)
    assert max(map(len, text.splitlines())) <= width
    whole = set(re.split(r"\s", terminal.render(PAGES[name], width=2000)))
    pieces = {piece for word in whole for piece in re.split(r"(?<=-)", word)}
    for word in LEFT_OUT.sub("", text).split():
        assert word in whole or set(re.split(r"(?<=-)", word)) <= pieces or set(word) == {"-"}


ESSENTIAL = {
    "check": ("rung", "change", "parameters", "budget", "epochs", "within"),
    "show": ("rung", "change", "test", "± sd", "worst", "held"),
    "compare": ("rung", "points", "verdict", "held", "interval", "median", "worst"),
    "records": ("record", "claims", "parameters", "test %", "worst", "held"),
}


@pytest.mark.parametrize("name", ESSENTIAL)
def test_what_a_table_is_for_is_there_at_80_columns(name: str) -> None:
    text = LEFT_OUT.sub("", terminal.render(PAGES[name], width=80))
    for column in ESSENTIAL[name]:
        assert column in text, column


def test_layer_tables_are_whole_at_120_columns() -> None:
    text = terminal.render(PAGES["check"], width=120)
    assert "left out" not in text
    assert all(word in text for word in ("jump", "rf", "padding", "multiply-"))


def test_a_legend_explains_only_what_is_shown() -> None:
    for width, there in ((2000, True), (60, False)):
        text = terminal.render(PAGES["show"], width=width)
        assert ("Train accuracy is measured while training." in text) is there
        assert bool(re.search(r"^rung .* train", text, re.MULTILINE)) is there
    assert not any(table.legend for table in PAGES["compare"] if isinstance(table, Table)), "notes explain verdicts"


def test_marks_say_what_colours_say() -> None:
    ansi = re.compile(r"\x1b\[[0-9;]*m")
    for page in PAGES.values():
        for width in (80, 120):
            coloured = terminal.render(page, width=width, colour=True)
            assert ansi.search(coloured)
            assert ansi.sub("", coloured) == terminal.render(page, width=width)
    text = printed(PAGES["show"])
    assert re.search(r"^skeleton .*✗ 0 of 2$", text, re.MULTILINE)
    assert re.search(r"^lighter .*✓ 1 of 1$", text, re.MULTILINE)
    assert re.search(r"^rotation .* not trained$", text, re.MULTILINE)
    assert text.splitlines()[-1].startswith("✗ Not reached")
    plain = terminal.render(PAGES["show"], width=80, marks=False)
    assert not set(plain) & set("✓✗")


@pytest.mark.parametrize("width", [60, 80, 90, 140, 160])
def test_a_narrow_terminal_folds_words_and_leaves_columns_out_but_splits_nothing(width: int) -> None:
    found = make_results(SHIPPED, SOME_RUNS)
    for page in (check_page.check_page(check(SHIPPED)), result_page.result_page(found)):
        text = terminal.render(page, width=width)
        for name in ("skeleton", "receptive-field", "steplr"):
            assert re.search(rf"^{name} ", text, re.MULTILINE)
        if width >= 80:
            assert max(map(len, text.splitlines())) <= width
        assert ("left out to fit" in text) == (width < 120)


def test_a_minus_stays_with_its_number_and_an_interval_together() -> None:
    folded = terminal._fold("no difference [-0.13, -0.08] of 8-8-P-12-12-16 or -3.5", 14)
    assert folded.splitlines() == ["no difference", "[-0.13, -0.08]", "of", "8-8-P-12-12-16", "or -3.5"]
    assert terminal._fold("of 8-8-P-12-12-16 or --until-decided", 8).splitlines() == [
        *("of 8-8-", "P-12-12-", "16 or", "--until-", "decided"),
    ]


WIDTH = terminal.PLAIN_WIDTH


def test_a_median_between_two_epochs_is_said_in_whole_epochs() -> None:
    texts = [compare_page._median_epoch(median) for median in (None, 7, 7.0, 7.5, 12)]
    assert texts == ["never", "epoch 7", "epoch 7", "between epochs 7 and 8", "epoch 12"]


def test_a_top_rung_alone_is_no_start() -> None:
    ladder = ladder_file.load("mnist-8k")
    assert tables.changes(ladder.top.rungs) == ["top rung alone"]
    assert tables.changes(ladder.rungs)[0] == "start"


@pytest.mark.parametrize(
    ("columns", "width"),
    [("100", 100), ("", WIDTH), ("0", WIDTH), ("wide", WIDTH), ("-5", WIDTH)],
)
def test_columns_are_kept_to_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    terminal.show(["word " * 100])
    assert max(map(len, capsys.readouterr().out.splitlines())) == width // 5 * 5 - 1


@pytest.mark.parametrize(
    ("n", "ticks"),
    [(1, [1]), (2, [1, 2]), (10, list(range(1, 11))), (14, [2, 4, 6, 8, 10, 12, 14]), (60, [10, 20, 30, 40, 50, 60])],
)
def test_epochs_on_an_axis_are_whole_and_come_once(n: int, ticks: list[int]) -> None:
    assert charts._epoch_ticks(n) == ticks
