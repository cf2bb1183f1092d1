"""A ladder from before each distortion counted alone: what is trained of it is shown, and no more is trained."""

import json
from pathlib import Path

import pytest
from conftest import CommandLine

from stepladder.climbing.climbing import climb
from stepladder.engines import choose_engine
from stepladder.errors import LadderError
from stepladder.ladders.checking import check
from stepladder.ladders.ladder_file import load
from stepladder.runs.store import Store

CHANGE = "change.augment = { rotation_deg = 5.0, scale = 0.1, shift_px = 1.0, shear_deg = 2.0 }"
WARP = f"""
[[rung]]
name = "warp"
why = "writers differ"
{CHANGE}
"""
SPLIT = (
    "rung 'warp' changes augment.rotation_deg, augment.shift_px, augment.scale and augment.shear_deg; a rung changes"
    " one concept: split it into four rungs (first change.augment = { rotation_deg = 5.0 }, then change.augment ="
    " { rotation_deg = 5.0, shift_px = 1.0 }, then change.augment = { rotation_deg = 5.0, shift_px = 1.0,"
    ' scale = 0.1 } and 1 more), or declare it: compound = "why not one at a time"'
)


@pytest.fixture
def old(tiny_ladder: Path) -> Path:
    """The tiny ladder with a rung on top that was one change once."""
    path = tiny_ladder.with_name("old.toml")
    path.write_text(tiny_ladder.read_text() + WARP)
    return path


@pytest.mark.parametrize("command", ["check", "climb"])
def test_it_is_neither_checked_nor_climbed(stepladder: CommandLine, old: Path, command: str) -> None:
    refused = stepladder(command, old)
    line = old.read_text().split("\n").index(CHANGE) + 1
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"Error: {old}:{line}: {SPLIT}\n"


def test_neither_way_down_nor_the_top_of_it_is_climbed(stepladder: CommandLine, old: Path) -> None:
    for option in ("--top", "--down"):
        refused = stepladder("climb", old, option)
        assert refused.returncode == 2
        assert SPLIT in refused.stderr


def test_in_python_it_is_read_and_refused_in_the_same_words(old: Path, tmp_path: Path) -> None:
    ladder = load(old)
    engine, _ = choose_engine("jit")
    with pytest.raises(LadderError) as of_check:
        check(ladder, n_seeds=1, jobs=1, speeds={})
    with pytest.raises(LadderError) as of_climb:
        climb(ladder, seeds=[1], store=Store.open(tmp_path / "store", create=True), engine=engine)
    assert str(of_check.value) == str(of_climb.value)
    assert str(of_check.value).endswith(SPLIT)


def test_what_is_trained_of_it_is_shown_and_marked(stepladder: CommandLine, old: Path, tiny_ladder: Path) -> None:
    assert stepladder("climb", tiny_ladder, "--seeds", "1").returncode in (0, 1)
    note = (
        "Compound, undeclared: rung 'warp' changes augment.rotation_deg, augment.shift_px, augment.scale,"
        " augment.shear_deg at once: the ladder does not say why"
    )
    for command in (["show"], ["compare"], ["report", "--format", "markdown"]):
        shown = stepladder(*command, old)
        assert shown.returncode == 0, shown.stderr
        plain = " ".join(shown.stdout.replace("\\_", "_").split())
        assert note in plain
        assert "COMPOUND, UNDECLARED (4 concepts)" in plain
    rungs = json.loads(stepladder("show", old, "--json").stdout)["rungs"]
    assert [rung["undeclared"] for rung in rungs] == [False, False, False, True]
    assert rungs[-1]["concepts"][-1] == "augment.shear_deg"


def test_declared_it_is_climbed_and_shown_as_compound(stepladder: CommandLine, old: Path) -> None:
    old.write_text(old.read_text().replace(CHANGE, f'compound = "one warp"\n{CHANGE}'))
    checked = stepladder("check", old)
    assert checked.returncode == 0, checked.stderr
    plain = " ".join(checked.stdout.split())
    assert "COMPOUND (4 concepts)" in plain
    assert "shear_deg at once: one warp." in plain
