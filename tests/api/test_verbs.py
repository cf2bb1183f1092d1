"""The verbs with paths and numbers as a person gives them."""

import json
import re
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandLine
from made_up import results as made_up
from python_page import make_ready

import stepladder as sl
from stepladder.api.verbs import seeds_of
from stepladder.climbing.climbing import Watchers
from stepladder.reporting.data.compare_json import comparison_dict


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set, a ladder of two rungs on it, and a store with two seeds of them."""
    folder = tmp_path_factory.mktemp("verbs")
    make_ready(folder)
    climb(folder, seeds=2)
    return folder


def climb(folder: Path, **how: Any) -> sl.Results:
    settings: dict[str, Any] = {"store": folder / "runs", "progress": False} | how
    with ThreadPoolExecutor(1) as executor:
        return sl.climb(sl.load(folder / "mine.toml"), executor=executor, **settings)


def seeds(results: sl.Results) -> list[tuple[int, ...]]:
    return [each.summary.seeds for each in results]


@pytest.mark.parametrize(
    ("given", "meant"),
    [(3, (1, 2, 3)), (range(4, 6), (4, 5)), ([7, 3], (7, 3)), ({2}, (2,)), ((0,), (0,))],
    ids=str,
)
def test_seeds_are_a_number_or_which(given: int | Collection[int], meant: tuple[int, ...]) -> None:
    assert seeds_of(given) == meant


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, "0 seeds train nothing: give at least 1, as in seeds=8"),
        (-1, "0 seeds train nothing"),
        ([], "0 seeds train nothing"),
        ("8", "seeds are a number such as 8, or a range or list of them, not '8'"),
        (2.0, "not 2.0"),
        (True, "not True"),
        ([1, "2"], "a seed is a whole number from 0 on, not '2'"),
        ([-1], "not -1"),
    ],
    ids=str,
)
def test_what_are_no_seeds_is_refused(given: Any, message: str) -> None:
    with pytest.raises(sl.LadderError, match=re.escape(message)):
        seeds_of(given)


def test_results_are_those_of_the_seeds_that_were_asked_for(folder: Path) -> None:
    assert seeds(climb(folder, seeds=2)) == [(1, 2)] * 2
    assert seeds(climb(folder, seeds=[2], store=str(folder / "runs"))) == [(2,)] * 2
    assert seeds(climb(folder, seeds=range(1, 2), store=sl.Store.open(folder / "runs"))) == [(1,)] * 2
    assert seeds(sl.collect(sl.load(folder / "mine.toml"), folder / "runs")) == [(1, 2)] * 2


def test_progress_can_be_silent_and_a_watcher_is_told_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []

    class Watcher(Watchers):
        def finished(self, task: Any, run: sl.Run) -> None:  # noqa: ARG002
            told.append(run.identity.seed)

    climb(folder, seeds=[3], watcher=Watcher(()), store=folder / "other")
    assert told == [3, 3]
    assert capsys.readouterr() == ("", "")
    climb(folder, seeds=[3], progress=True, store=folder / "other")
    assert capsys.readouterr() == ("", "2 of 2 runs are stored; 0 to train.\n")


def test_a_ladder_that_cannot_be_climbed_makes_no_folder(folder: Path, tmp_path: Path) -> None:
    text = (folder / "mine.toml").read_text().replace("params = 2000", "params = 300")
    (folder / "over.toml").write_text(text)
    with pytest.raises(sl.BudgetError, match="over its budget of 300"):
        sl.climb(sl.load(folder / "over.toml"), seeds=1, store=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_runs_that_fail_are_told_with_the_results_there_are(folder: Path) -> None:
    """An executor that is shut takes nothing: the runs that are stored are there all the same."""
    shut = ThreadPoolExecutor(1)
    shut.shutdown()
    ladder = sl.load(folder / "mine.toml")
    with pytest.raises(sl.UnfinishedClimbError, match="2 runs not trained, the others are stored: rung") as refused:
        sl.climb(ladder, seeds=[2, 9], store=folder / "runs", executor=shut, progress=False)
    assert seeds(refused.value.results) == [(2,)] * 2


def test_until_all_is_decided(folder: Path) -> None:
    assert seeds(climb(folder, seeds=1, until_decided=True, max_seeds=2)) == [(1, 2)] * 2


def test_a_check_says_what_is_over(folder: Path) -> None:
    ladder = sl.load(folder / "mine.toml")
    found = ladder.check(seeds=3, jobs=1, store=folder / "runs")
    assert found == sl.check(ladder, seeds=3, jobs=1, store=str(folder / "runs"))
    assert (found.excess, found.estimate.n_runs, found.estimate.measured) == ([], 6, True)
    assert ladder.top.check().estimate.n_runs == 8


@pytest.mark.parametrize(
    ("name", "begins"),
    [("a.html", "<!doctype html>"), ("a.md", "# mine"), ("a.csv", "ladder,rung,"), ("a.json", "{")],
)
def test_a_report_has_the_form_that_its_name_says(name: str, begins: str, folder: Path, tmp_path: Path) -> None:
    results = climb(folder, seeds=2)
    path = sl.report(results, tmp_path / name)
    assert path == tmp_path / name
    assert begins in path.read_text().lower()[:400]
    assert sl.report(results, str(path)) == path, "what is ours is written over"


def test_a_report_without_a_path_has_the_name_of_its_ladder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for form, name in (("csv", "mine-report.csv"), ("markdown", "mine-report.md")):
        assert sl.report(climb(folder, seeds=2), format=form) == Path(name)
        assert (tmp_path / name).exists()


def test_reports_that_cannot_be_written_are_refused(folder: Path, tmp_path: Path) -> None:
    results = climb(folder, seeds=2)
    (tmp_path / "theirs.html").write_text("not ours")
    with pytest.raises(sl.StoreError, match=r"theirs\.html"):
        sl.report(results, tmp_path / "theirs.html")
    with pytest.raises(sl.LadderError, match="no format 'htm'; did you mean 'html'"):
        sl.report(results, tmp_path / "x", format="htm")
    with pytest.raises(sl.StoreError, match="these results are of no store"):
        sl.report(made_up([9_900]), tmp_path / "x.html")


loose: Any = sl  # what no type checker would let through
RECIPE: Any = sl.Recipe(network=["conv 4", "gap", "linear 10"], epochs=1)
BEGUN = sl.ladder("begun", budget=sl.Budget(params=2_000, epochs=10), target=sl.Target(90.0))
LOADS = 'sl.load("mine.toml") reads one, sl.ladder(...) begins one'
COLLECTS = "sl.climb(ladder) trains and gives them, sl.collect(ladder) reads those that are stored"
SAVES = 'arrays become a file by np.savez("set.npz", x_train=x, y_train=y, x_test=..., y_test=...)'


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loose.climb("mine.toml"), f"climb takes a ladder, not 'mine.toml': {LOADS}"),
        (lambda: loose.check(Path("mine.toml")), f"check takes a ladder, not PosixPath('mine.toml'): {LOADS}"),
        (lambda: loose.collect(RECIPE), f"linear 10'], epochs=1): {LOADS}"),
        (lambda: loose.climb(BEGUN), "not <LadderStart 'begun': .start(name, recipe, why=...) makes it a ladder>"),
        (lambda: loose.compare(sl.load("mnist-8k")), "not <Ladder 'mnist-8k' on 'mnist': skeleton, lighter, dropout"),
        (lambda: loose.compare([]), f"compare takes the results of one ladder, not []: {COLLECTS}"),
        (lambda: loose.compare([sl.load("mnist-8k")]), "compare takes the results of one ladder, not <Ladder 'mnist"),
        (
            lambda: loose.compare(made_up([9_900]), "b.toml"),
            f"compare takes the results of one ladder, not 'b.toml': {COLLECTS}",
        ),
        (
            lambda: loose.compare([made_up([9_900])]),
            "a list of two ladders' results or more: give those of one without",
        ),
        (lambda: loose.report("mine.toml"), f"report takes the results of one ladder, not 'mine.toml': {COLLECTS}"),
        (lambda: loose.load(3), 'load takes a ladder\'s name or path, not 3: as in sl.load("mine.toml")'),
        (lambda: loose.dataset(np.zeros((2, 28, 28))), f"28)): {SAVES}"),
        (lambda: loose.ladder("x", data=sl.dataset("mnist"), budget={}, target={}), f"1 x 28 x 28>>: {SAVES}"),
        (lambda: RECIPE.network_for((1, 28, 28)), "network_for takes the shape of images, not (1, 28, 28): write"),
        (lambda: RECIPE.network_for(sl.ImageShape), "not a class, ImageShape: call it, as in ImageShape(...); write"),
        (
            lambda: loose.load_model(3),
            "load_model takes the path of a model's file, not 3: model.save(path) writes one",
        ),
        (lambda: loose.Store.open(3), 'store takes the path of a folder, or a store, not 3: as in store="runs"'),
        (lambda: loose.climb(sl.load("mnist-8k"), jobs="2"), "jobs is a whole number from 1 on, not '2'"),
    ],
)
def test_a_value_of_another_kind_is_refused_at_the_door(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(sl.LadderError, match=re.escape(message)) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_a_store_is_collected_from_where_a_climb_leaves_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert seeds(sl.collect(sl.load("mine.toml"))) == seeds(sl.collect(sl.load("mine.toml"), "runs"))


def test_results_go_by_names(folder: Path) -> None:
    results: Any = sl.collect(sl.load(folder / "mine.toml"), folder / "runs")
    first, *_, last = [each.rung.name for each in results]
    assert results[last] == results.rungs[-1] == results.top
    with pytest.raises(sl.LadderError, match=f"not by 0: '{first}', '{last}'; \\.rungs has them by number"):
        results[0]


LADDER = object()  # in the place of one
NOT_MEANT: list[tuple[str, Any, dict[str, Any], str]] = [
    ("collect", None, {"store": "runs"}, r"collect takes a ladder, not None"),
    ("report", None, {}, "report takes the results of one ladder, not None"),
    ("check", LADDER, {"seeds": 0}, "seeds is a whole number from 1 on, not 0"),
    ("check", LADDER, {"jobs": 0}, "jobs is a whole number from 1 on, not 0"),
    ("climb", LADDER, {"jobs": 1.5}, "jobs is a whole number from 1 on, not 1.5"),
    ("climb", LADDER, {"jobs": True}, "jobs is a whole number from 1 on, not True"),
    ("climb", LADDER, {"max_seeds": "9"}, "max_seeds is a whole number from 1 on, not '9'"),
    ("climb", LADDER, {"engine": 3}, 'engine is none: 3; give "jit" or "torch", or leave engine out'),
    ("climb", LADDER, {"device": None}, 'device is none: None; give "cpu" or "cuda"'),
    ("climb", LADDER, {"executor": 2}, "executor is none: 2; give one of concurrent.futures"),
    ("climb", LADDER, {"watcher": print}, "watcher is none: .*; give a stepladder.climbing.climbing"),
    ("climb", LADDER, {"store": None}, "store takes the path of a folder, or a store, not None"),
    ("climb", LADDER, {"store": "a\0b"}, r"'a\\x00b' is no name of a folder"),
    ("load_model", None, {}, "load_model takes the path of a model's file, not None"),
]


@pytest.mark.parametrize(("verb", "given", "how", "message"), NOT_MEANT)
def test_what_cannot_be_meant_is_told_before_anything_is_made(
    verb: str, given: Any, how: dict[str, Any], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = sl.load(folder / "mine.toml")
    (folder / "empty").mkdir(exist_ok=True)
    monkeypatch.chdir(folder / "empty")
    with pytest.raises(sl.StepladderError, match=message):
        getattr(sl, verb)(ladder if given is LADDER else given, **how)
    assert not list((folder / "empty").iterdir())


def test_verdicts_go_by_the_names_of_rungs_too() -> None:
    verdicts = sl.compare(made_up([9_900] * 8, [9_940] * 8, [9_900] * 8))
    assert verdicts["dropout"] is verdicts[1] is verdicts[-1]
    assert [each.rung for each in verdicts[:1]] == ["lighter"]
    with pytest.raises(sl.LadderError, match="no verdict on a rung 'droput'; did you mean 'dropout'"):
        verdicts["droput"]


def test_several_ladders_are_compared_as_the_command_does(folder: Path, stepladder: CommandLine) -> None:
    """Their tops, with one promise for all: every number is the command's, whatever else the results hold."""
    one = sl.load(folder / "mine.toml")
    ladders = [one]
    for number in (2, 3):
        text = one.then(f"{number} epochs", epochs=number, why="longer").to_toml(folder=folder)
        (folder / f"{number}.toml").write_text(text, encoding="utf-8")
        ladders.append(sl.load(folder / f"{number}.toml"))
    with ThreadPoolExecutor(1) as executor:
        how: dict[str, Any] = {"store": folder / "rivals", "progress": False, "executor": executor}
        found = [sl.climb(each, seeds=8, **how) for each in ladders]
    paths = [each.source for each in ladders]
    told = json.loads(stepladder("compare", *paths, "--store", folder / "rivals", "--json").stdout)
    tops = sl.compare(found)
    said = [json.loads(json.dumps(comparison_dict(each.comparison))) for each in tops if each.comparison]
    assert said == [each["comparison"] for each in told["comparisons"]]
    assert len(said) == told["n_comparisons"] == 2
    assert all(each["interval"] for each in said)
    assert tops[paths[2]] is tops[1]
    assert sl.compare(*found) == tops
    assert sl.compare(found[0], found[2])[0] != tops[1], "alone it is promised more"
    assert str(tops).splitlines()[0].startswith(f"{paths[1]} against {paths[0]}: ")


def test_what_cannot_be_compared_says_why() -> None:
    first, other = made_up([9_900] * 8), made_up([9_900] * 8)
    named = replace(other, ladder=replace(other.ladder, source="other"))
    assert (
        str(sl.compare(first, named))
        == "other against mnist-8k: not compared: the same recipe: it is one top rung, twice"
    )
    assert "not compared" in sl.compare(first, named)._repr_html_()


def test_ladders_of_one_name_are_told_apart_by_their_tops() -> None:
    tops = sl.compare([made_up([9_900] * 8), made_up([9_900] * 8, [9_940] * 8)])
    assert str(tops).startswith("mnist-8k: lighter against mnist-8k: skeleton: better by 0.40 points")
    assert tops["mnist-8k: lighter"] is tops[0]
