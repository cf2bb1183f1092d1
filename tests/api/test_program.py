"""The page's program as people run programs: a script without a guard, from another folder, and a notebook."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from python_page import QUICK, SMALL, make_ready, program

MOST_LINES = 12  # of progress, for a climb

RUN_NOTEBOOK = """\
import nbclient, nbformat, sys
notebook = nbformat.read("program.ipynb", as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, "done.ipynb")
"""


@pytest.mark.parametrize(
    "replaced", [QUICK | SMALL, pytest.param(QUICK, marks=pytest.mark.evidence)], ids=["few", "all"]
)
def test_as_a_script_from_another_folder(replaced: dict[str, str], tmp_path: Path) -> None:
    """On a few images, and as evidence on all of MNIST."""
    script, folder = tmp_path / "scripts" / "mine.py", tmp_path / "elsewhere"
    script.parent.mkdir()
    folder.mkdir()
    make_ready(folder)
    there = {path.name for path in folder.iterdir()}
    script.write_text(program(replaced), encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "skeleton: small" in done.stdout
    assert "rotation against dropout: not decided yet: 5 seeds are the least that could tell" in done.stdout
    assert "6 runs trained in " in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) <= MOST_LINES
    assert {path.name for path in folder.iterdir()} - there == {"runs", "mine.html"}
    assert [path.name for path in script.parent.iterdir()] == ["mine.py"]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The program in a notebook, and what draws itself in cells of its own, after it was run."""
    folder = tmp_path_factory.mktemp("notebook")
    make_ready(folder)
    sources = (program(QUICK | SMALL), "ladder", "ladder.check()", "results", "results.top", "sl.compare(results)")
    texts = (*sources, "ladder.rungs[0].network(sl.dataset('tiny.npz').info.image)")
    blank: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook = {
        "cells": [blank | {"source": text, "id": f"cell-{number}"} for number, text in enumerate(texts)],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "program.ipynb").write_text(json.dumps(notebook))
    done = subprocess.run([sys.executable, "-c", RUN_NOTEBOOK], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads((folder / "done.ipynb").read_text())["cells"]
    return found


def test_a_notebook_says_little_while_it_climbs(cells: list[dict[str, Any]]) -> None:
    said = "".join("".join(each["text"]) for each in cells[0]["outputs"] if each.get("name") == "stderr")
    assert "0 of 6 runs are stored; 6 to train." in said
    assert len(said.splitlines()) <= MOST_LINES


def test_values_draw_themselves_in_a_notebook(cells: list[dict[str, Any]]) -> None:
    for cell in cells[1:]:
        (drawn,) = (each["data"] for each in cell["outputs"] if each["output_type"] == "execute_result")
        assert "".join(drawn["text/html"]).count("<table>") == 1, cell["source"]
        assert len("".join(drawn["text/plain"])) < 200, cell["source"]
