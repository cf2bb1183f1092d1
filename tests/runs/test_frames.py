"""Results as data frames: a row for each run or epoch, with what was trained beside what came of it."""

import builtins
from fractions import Fraction
from typing import Any

import pytest
from made_up import LADDER, of_rungs, result, results
from records import make_run

from stepladder.errors import StepladderError

FOUND = results([9_900, 9_930], [9_920, 9_935, 9_940])


def test_a_row_for_each_run() -> None:
    frame = FOUND.to_pandas()
    assert list(frame["rung"]) == ["skeleton"] * 2 + ["lighter"] * 3
    assert list(frame["seed"]) == [1, 2, 1, 2, 3]
    assert list(frame["accuracy"]) == [99.0, 99.3, 99.2, 99.35, 99.4]
    assert frame.groupby("rung")["accuracy"].mean()["lighter"] == pytest.approx(
        float(FOUND.top.summary.final_mean or 0)
    )
    assert list(frame["held"]) == [False] * 4 + [True]
    assert list(frame["consistent_from"].dropna()) == [1]


def test_its_recipe_is_beside_it() -> None:
    row = FOUND.to_pandas().iloc[0]
    recipe = LADDER.rungs[0].recipe
    assert (row["recipe.lr"], row["recipe.epochs"], row["recipe.optimizer.kind"]) == (recipe.lr, recipe.epochs, "sgd")
    assert row["recipe.network"] == ", ".join(map(str, recipe.network))
    columns = {name.split(".")[1] for name in FOUND.to_pandas().columns if name.startswith("recipe.")}
    assert columns == set(type(recipe).model_fields)


def test_a_row_for_each_epoch() -> None:
    frame = FOUND.to_pandas(epochs=True)
    assert len(frame) == 5 * 6
    assert list(frame["epoch"][:7]) == [1, 2, 3, 4, 5, 6, 1]
    run = FOUND.rungs[0].runs[0]
    assert [Fraction(int(n)) for n in frame["n_correct"][:6]] == [epoch.n_correct for epoch in run.epochs]


def test_what_diverged_has_no_accuracy() -> None:
    run = make_run(1, [9_000], recipe=LADDER.rungs[0].recipe).model_copy(update={"diverged_at_epoch": 2})
    row = of_rungs(result(0, [run])).to_pandas().iloc[0]
    assert list(row.index[row.isna()])[:4] == ["accuracy", "balanced_accuracy", "train_accuracy", "loss"]
    assert (row["diverged_at_epoch"], row["held"]) == (2, False)


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is not installed: the import fails."""
    found = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return found(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        StepladderError, match=r"to_pandas needs pandas, .* not installed .*: pip install '.\[pandas\]'"
    ):
        FOUND.to_pandas()
