"""Balanced accuracy: beside accuracy where classes are unequal, and as what a target speaks of."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandLine
from records import make_epoch, make_run

from stepladder.datasets import data
from stepladder.errors import LadderError
from stepladder.ladders.ladder_file import load
from stepladder.ladders.terms import Target
from stepladder.runs.run import Epoch
from stepladder.runs.stats import accuracy, balanced_accuracy, holds, is_uneven, reaches, summarise

LADDER = """\
name = "rare"
data = "rare.npz"
evaluate_on = "test"
budget = {{ params = 1000, epochs = 100 }}
target = {target}

[[rung]]
name = "start"
why = "nine zeros to a one"
[rung.recipe]
network = ["conv 4 3x3 stride 4", "gap", "linear 2"]
lr = 0.05
epochs = 2
{more}
"""
TARGET = "{ accuracy = 60, last_epochs = 1, balanced = true }"


def epoch_of(confusion: tuple[tuple[int, ...], ...]) -> Epoch:
    n_correct, n = sum(row[label] for label, row in enumerate(confusion)), sum(map(sum, confusion))
    return make_epoch(n_correct, n=n).model_copy(update={"confusion": confusion})


def test_each_class_counts_alike() -> None:
    epoch = epoch_of(((90, 0), (10, 0)))  # one answer for all
    assert [accuracy(epoch), balanced_accuracy(epoch)] == [Fraction(90), Fraction(50)]
    assert balanced_accuracy(epoch_of(((80, 10, 0), (1, 2, 0), (0, 0, 0)))) == (Fraction(800, 9) + Fraction(200, 3)) / 2
    assert is_uneven(epoch)
    assert not is_uneven(epoch_of(((60, 0), (0, 30))))
    assert is_uneven(epoch_of(((61, 0), (0, 30))))
    assert not is_uneven(epoch_of(((61, 0), (0, 0)))), "of one class there is no other"


def test_scikit_learns_value() -> None:
    """sklearn.metrics.balanced_accuracy_score is the mean of recalls over the classes that have images."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        matrix = rng.integers(0, 30, (4, 4)) * (rng.random((4, 1)) < 0.8)
        matrix[0, 0] += 1
        recalls = [matrix[k, k] / matrix[k].sum() for k in range(4) if matrix[k].sum()]
        epoch = epoch_of(tuple(tuple(map(int, row)) for row in matrix))
        assert float(balanced_accuracy(epoch)) == pytest.approx(100 * np.mean(recalls))


def test_a_target_may_speak_of_it() -> None:
    epoch = epoch_of(((90, 0), (10, 0)))
    plain, balanced = (Target(accuracy=Decimal(80), last_epochs=1, balanced=each) for each in (False, True))
    assert (reaches(epoch, plain), reaches(epoch, balanced)) == (True, False)
    run = make_run(1, [90], n=100).model_copy(update={"epochs": (epoch,)})
    assert (holds(run, plain), holds(run, balanced)) == (True, False)
    summary = summarise([run], balanced)
    assert (summary.n_held, summary.balanced_mean, summary.uneven) == (0, Fraction(50), True)
    assert plain.essence() == {"accuracy": 80.0, "last_epochs": 1}, "as it was before there was a choice"
    assert balanced.essence() == {"accuracy": 80.0, "last_epochs": 1, "balanced": True}


@pytest.fixture
def rare(tmp_path: Path) -> Path:
    """Nine zeros to a one, of MNIST."""
    images, arrays = data.load("mnist"), dict[str, Any]()
    for name, part in (("train", images.train), ("test", images.test)):
        chosen = [np.flatnonzero(part.labels[:8000] == label)[:n] for label, n in ((0, 180), (1, 20))]
        rows = np.concatenate(chosen)
        arrays |= {f"x_{name}": part.images[rows, 0], f"y_{name}": part.labels[rows]}
    np.savez(tmp_path / "rare.npz", **arrays)
    (tmp_path / "rare.toml").write_text(LADDER.format(target=TARGET, more=""))
    return tmp_path / "rare.toml"


def test_a_climb_is_judged_by_it(rare: Path, stepladder: CommandLine) -> None:
    climbed = stepladder("climb", rare, "--seeds", "2", "--jobs", "1")
    shown = json.loads(stepladder("show", rare, "--json").stdout)
    (rung,) = shown["rungs"]
    assert rung["target"]["balanced"] is True
    confusions = [
        run["epochs"][-1]["confusion"]
        for run in json.loads(stepladder("report", rare, "--json").stdout)["rungs"][0]["runs"]
    ]
    values = [sum(100 * row[label] / sum(row) for label, row in enumerate(each)) / 2 for each in confusions]
    assert rung["test_balanced_final_mean"] == pytest.approx(sum(values) / 2)
    assert rung["held"] == [sum(value >= 60 for value in values), 2]
    assert climbed.returncode == (0 if rung["held"] == [2, 2] else 1)
    page = " ".join(climbed.stdout.split())
    assert "balanced %" in page
    assert "Target: 60% balanced accuracy at the last epoch." in page
    assert "% balanced, " in climbed.stderr


def test_other_sets_show_no_other_number(stepladder: CommandLine, tiny_ladder: Path) -> None:
    stepladder("climb", tiny_ladder, "--seeds", "1", "--jobs", "1", "--top")
    assert "balanced" not in stepladder("show", tiny_ladder).stdout


def test_one_ladder_has_one_measure(rare: Path) -> None:
    more = '[[rung]]\nname = "more"\nwhy = "x"\nchange.lr = 0.1\ntarget = { balanced = false }\n'
    rare.write_text(LADDER.format(target=TARGET, more=more))
    with pytest.raises(LadderError, match=r"rare\.toml:18: .*a target of another measure, accuracy: set balanced for"):
        load(rare)
