"""The top rungs of several ladders: each against that of the first, where both are measured alike."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from made_up import LADDER
from records import make_run

from stepladder.analysis.comparing import compare, mean_interval
from stepladder.analysis.intervals import interval_of_mean
from stepladder.analysis.tops import compare_tops
from stepladder.ladders.terms import Target
from stepladder.reporting.data.compare_json import tops_dict
from stepladder.reporting.pages.several_page import tops_page
from stepladder.reporting.tables import Table
from stepladder.runs.results import Results, RungResult
from stepladder.runs.run import EngineIdentity
from stepladder.runs.stats import summarise

ENGINES = [EngineIdentity(name="jit", version=version, device="cpu", revision=1) for version in ("1.0", "2.0")]
LOW, HIGH = [9920, 9921, 9922, 9923] * 2, [9950, 9951, 9952, 9953] * 2


def top_of(source: str, n_correct: Sequence[int], *, lr: float = 0.01, engine: int = 0, **changed: Any) -> Results:
    """A ladder of one rung that is told from others by its learning rate."""
    target = changed.pop("target", LADDER.rungs[-1].target)
    rung = replace(LADDER.rungs[0], recipe=LADDER.rungs[0].recipe.model_copy(update={"lr": lr}), target=target)
    ladder = replace(LADDER, source=source, rungs=(rung,), **changed).top
    runs = tuple(make_run(seed, [n] * 6, recipe=rung.recipe) for seed, n in enumerate(n_correct, 1))
    result = RungResult(rung, runs, summarise(runs, target))
    return Results(
        ladder=ladder, engine=ENGINES[engine], rungs=(result,), params=(100,), others={}, n_test_looks=len(runs)
    )


FIRST = top_of("a.toml", LOW)
BETTER = top_of("b.toml", HIGH, lr=0.02)


def test_each_is_compared_with_the_first() -> None:
    found = compare_tops([FIRST, BETTER, top_of("c.toml", LOW, lr=0.03)])
    assert [(each.first, each.other, each.problem) for each in found] == [
        ("a.toml", "b.toml", ""),
        ("a.toml", "c.toml", ""),
    ]
    outcomes = [each.comparison.outcome for each in found if each.comparison]
    assert outcomes[0] == "better"
    assert outcomes[1] in ("undecided", "negligible")


def test_the_interval_holds_for_all_of_them_together() -> None:
    """Of two ladders it is that of a ladder of two rungs with one comparison; of more it is wider."""
    (alone,) = (each.comparison for each in compare_tops([FIRST, BETTER]))
    one_ladder = replace(
        FIRST,
        ladder=replace(FIRST.ladder, rungs=(FIRST.rungs[0].rung, BETTER.rungs[0].rung), comparisons=1),
        rungs=(FIRST.rungs[0], BETTER.rungs[0]),
        params=(100, 100),
    )
    assert alone is not None
    assert alone.interval == compare(one_ladder)[0].interval
    others = [top_of(f"{number}.toml", LOW, lr=number) for number in range(1, 9)]
    of_many = compare_tops([FIRST, BETTER, *others])[0].comparison
    assert of_many is not None
    assert alone.interval is not None
    assert of_many.interval is not None
    assert of_many.interval[0] < alone.interval[0] < alone.interval[1] < of_many.interval[1]


UNLIKE = {
    "split": (
        top_of("x.toml", HIGH, lr=0.02, evaluate_on="dev"),
        "evaluated on test and on dev: set evaluate_on alike",
    ),
    "engine": (
        top_of("x.toml", HIGH, lr=0.02, engine=1),
        f"trained by {ENGINES[0]} and by {ENGINES[1]}: name one with engine=",
    ),
    "measure": (
        top_of("x.toml", HIGH, lr=0.02, target=Target(accuracy=Decimal(99), balanced=True)),
        "targets of accuracy and of balanced accuracy: set balanced alike",
    ),
    "recipe": (top_of("x.toml", LOW), "the same recipe: it is one top rung, twice"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_unlike_protocols_are_not_compared(name: str) -> None:
    other, problem = UNLIKE[name]
    found = compare_tops([FIRST, other, BETTER])
    assert [(each.problem, each.comparison is None) for each in found] == [(problem, True), ("", False)]
    page = tops_page([FIRST, other, BETTER], found, refused=[])
    assert f"Not compared: a.toml and x.toml: {problem}." in page
    assert any("for this one comparison, and" in part for part in page if isinstance(part, str))


def test_other_validation_images_are_told_of() -> None:
    dev = [top_of(f"{n}.toml", LOW, lr=n / 100, evaluate_on="dev", dev_images=n) for n in (5_000, 6_000)]
    (found,) = compare_tops(dev)
    assert found.problem == "other validation images, 5,000 (last) and 6,000 (last): set dev_images alike"


def test_a_page_and_json_of_tops() -> None:
    found = [FIRST, BETTER, top_of("c.toml", [], lr=0.03)]
    between = compare_tops(found)
    page = tops_page(found, between, refused=[("d.toml", "d.toml:3: wrong"), ("e.toml", "no data")])
    (table,) = (part for part in page if isinstance(part, Table))
    assert [row[0] for row in table.rows] == ["a.toml", "b.toml", "c.toml"]
    assert table.rows[0][4:7] == ("99.22", "99.21 to 99.22", "0 of 8")
    assert table.rows[0][-1] == "the first"
    assert table.rows[1][-1].startswith("better by 0.30 points")
    assert (table.rows[2][6], table.rows[2][-1]) == ("not trained", "not decided yet: 'c.toml' is not trained yet")
    assert table.tones[1, 9] == "better"
    assert list(page[-3:]) == [
        "The test split was looked at 16 times by these rungs' runs.",
        "d.toml:3: wrong",
        "e.toml: no data",
    ]
    body = tops_dict(found, between, refused=[("d.toml", "d.toml:3: wrong")])
    assert [each["source"] for each in body["tops"]] == ["a.toml", "b.toml", "c.toml"]
    assert body["n_comparisons"] == 2
    assert body["comparisons"][0]["comparison"]["outcome"] == "better"
    assert body["refused"] == [{"source": "d.toml", "problem": "d.toml:3: wrong"}]


def test_the_interval_of_a_mean() -> None:
    assert mean_interval(FIRST.rungs[0]) == interval_of_mean([n / 100 for n in LOW], least_spread=0.01)
    assert mean_interval(top_of("x.toml", [9900]).rungs[0]) is None
    assert mean_interval(top_of("x.toml", [0, 10_000]).rungs[0]) == (0, 100), "no accuracy is beyond"
