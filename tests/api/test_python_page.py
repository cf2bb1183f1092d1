"""docs/python.md: its programs run, and it tells of every public name and of no other."""

import re
from pathlib import Path

import pytest
from python_page import BLOCKS, PAGE, PROGRAM, make_ready

import stepladder as sl


def test_the_page_the_names_and_their_homes_agree() -> None:
    told = set(re.findall(r"\bsl\.(\w+)", PAGE.read_text(encoding="utf-8")))
    assert told == set(sl.__all__) == set(sl._HOMES)
    assert sl.__all__ == sorted(sl.__all__)


def test_every_public_name_says_what_it_is() -> None:
    for name in sl.__all__:
        assert len(getattr(sl, name).__doc__ or "") > 20, name


def test_the_page_opens_with_six_lines_that_do_the_main_job() -> None:
    assert len([line for line in BLOCKS[0].splitlines() if line]) == 6


def test_its_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make_ready(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCKS:
        if block != PROGRAM:  # test_program runs it
            exec(block, names)
    said = capsys.readouterr().out
    assert "rung 'two' changes batch_size and epochs; a rung changes one concept" in said
    assert "Recipe: epochs: it should be a whole number, not '5': leave the quotes out, epochs = 5" in said
    for name in ("mine.html", "one.html", "one.md", "one.csv", "one.json"):
        assert (tmp_path / name).stat().st_size > 500
