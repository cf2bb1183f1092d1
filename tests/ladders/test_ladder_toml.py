"""A ladder that is written to a file is read from it as the same ladder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stepladder as sl
from stepladder._base.plain import steering
from stepladder.ladders.ladder_file import shipped

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


def written_and_read(ladder: sl.Ladder, folder: Path) -> sl.Ladder:
    path = folder / "written.toml"
    path.write_text(ladder.to_toml(folder=folder), encoding="utf-8", newline="")
    return replace(sl.load(path), source=ladder.source)


@pytest.mark.parametrize("name", [*shipped(), *map(str, EXAMPLES)])
def test_every_ladder_there_is(name: str, tmp_path: Path) -> None:
    ladder = sl.load(name)
    read = written_and_read(ladder, tmp_path)
    assert Path(read.data).resolve() == Path(ladder.data).resolve()
    assert replace(read, data=ladder.data) == ladder


def begun(name: str, about: str) -> sl.Ladder:
    limits: dict[str, Any] = {"budget": sl.Budget(params=8_000, epochs=15), "target": sl.Target(99.0)}
    recipe = sl.Recipe(network=["conv 8", "gap", "linear 10"], epochs=5)
    return sl.ladder(name, about=about, **limits).start("start", recipe, why="small")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=200, deadline=None)
@given(name=TEXTS.filter(lambda text: bool(text.strip()) and not steering(text)), about=TEXTS.map(str.strip))
def test_whatever_its_texts_hold(name: str, about: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    ladder = begun(name, about.replace("\r\n", "\n"))
    assert written_and_read(ladder, tmp_path_factory.getbasetemp()) == ladder


def test_changes_of_all_kinds(tmp_path: Path) -> None:
    ladder = (
        begun("all", "")
        .then("lr", lr=1e-8, why="tiny")
        .then("augment", augment=sl.Augment(rotation_deg=10, mirror=True), why="y", compound="one warp")
        .variant("less", augment=sl.Augment(rotation_deg=10), why="which of them?")
        .variant("light", on="lr", dropout=0.05, why="y")
        .variant("both", on="lr", dropout=0.05, weight_decay=1e-4, why="y", compound="together")
        .then("none", augment=sl.Augment(), why="back", compound="both again", target=sl.Target(99.25, last_epochs=5))
        .then("adam", optimizer=sl.Adam(kind="adamw", beta1=0.8), why="y", budget={"params": 700})
        .then("step", schedule=sl.Step(every_epochs=2), why="y")
        .then("constant", schedule=sl.Constant(), why="back")
        .then("teacher", distill=sl.Distill(network=["conv 32", "gap", "linear 10"], seeds=(7, 8)), why="y")
        .then("block", block="conv norm relu", why="y")
    )
    assert written_and_read(ladder, tmp_path) == ladder


def test_a_change_to_nothing_has_no_words_in_toml() -> None:
    ladder = (
        begun("mine", "")
        .then("average", average=sl.Average(horizon_epochs=1.0), why="y")
        .then("last", average=None, why="back")
    )
    with pytest.raises(sl.LadderError, match="rung 'last' changes average to nothing, and TOML has no word for that"):
        ladder.to_toml()
