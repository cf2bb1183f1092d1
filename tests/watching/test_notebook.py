"""A climb in a real notebook: one output of its cell that is kept up to date, and lines that stay few."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY_LADDER
from records import make_epoch

from stepladder import load
from stepladder.climbing.climbing import plan
from stepladder.engines import choose_engine
from stepladder.watching.notebook import MOST_ROWS, NotebookClimb, in_notebook

RUN = """\
import json, nbclient, nbformat
heard = []
class Client(nbclient.NotebookClient):
    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data"):
            heard.append([msg["msg_type"], msg["content"]["transient"]["display_id"], msg["content"]["data"]])
        return super().process_message(msg, cell, cell_index)
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in json.load(open("sources"))])
Client(notebook, timeout=300, kernel_name="python3").execute()
json.dump([heard, [each.outputs for each in notebook.cells]], open("done", "w"))
"""
CLIMB = """\
import stepladder as sl
from stepladder.watching import notebook
notebook.UPDATE_EVERY_S = 0
results = sl.climb(sl.load("tiny.toml").top, seeds=2, jobs=2)
"""
ROW = re.compile(r">rotation</td><td[^>]*>(\d)</td><td[^>]*>(\d+) of 100</td><td[^>]*>(\d+\.\d\d)</td>")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> tuple[list[Any], list[list[dict[str, Any]]]]:
    """What was displayed while a notebook ran, message by message, and the outputs that its cells ended with."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "tiny.toml").write_text(TINY_LADDER.format(data=str(digits), epochs=100))
    again = "sl.climb(sl.load('tiny.toml').top, seeds=2, jobs=2)"
    (folder / "sources").write_text(json.dumps([CLIMB, again]))
    done = subprocess.run([sys.executable, "-c", RUN], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    heard, outputs = json.loads((folder / "done").read_text())
    return heard, outputs


def test_one_output_is_kept_up_to_date(ran: tuple[list[Any], list[list[dict[str, Any]]]]) -> None:
    heard, _ = ran
    assert [kind for kind, *_ in heard].count("display_data") == 1
    assert len({name for _, name, _ in heard}) == 1
    assert heard[0][2]["text/plain"] == "0 of 2 runs are finished."
    rows = {found.groups() for *_, data in heard for found in ROW.finditer(data["text/html"])}
    assert {seed for seed, *_ in rows} == {"1", "2"}
    assert len({epoch for _, epoch, _ in rows}) > 2
    assert any("<polyline" in data["text/html"] for *_, data in heard)
    assert any(re.fullmatch(r"\d of 2 runs are finished\. About .* left\.", data["text/plain"]) for *_, data in heard)


def test_what_stays_is_short(ran: tuple[list[Any], list[list[dict[str, Any]]]]) -> None:
    _, (first, again) = ran
    (shown,) = (each["data"] for each in first if each["output_type"] == "display_data")
    assert shown["text/plain"] == "2 of 2 runs are finished."
    assert '<progress max="1" value="1.000"' in shown["text/html"]
    assert "<table" not in shown["text/html"]
    said = "".join(each["text"] for each in first if each.get("name") == "stderr").splitlines()
    assert said[0] == "0 of 2 runs are stored; 2 to train."
    assert said[-1].startswith("2 runs trained in ")
    assert not [line for line in said if "% done" in line]  # the output above says that
    assert [each["output_type"] for each in again] == ["stream", "execute_result"]  # nothing to train
    assert "<polyline" in again[1]["data"]["text/html"]


def test_many_runs_are_some_rows_and_a_number() -> None:
    tasks = plan(load("mnist-8k"), seeds=range(1, 31), engine=choose_engine()[0])
    watcher = NotebookClimb()
    for number, task in enumerate(tasks):
        watcher.advanced(task, epochs=[make_epoch(9_000 + number)] * 3)
    shown = watcher._drawn("")["text/html"]
    assert shown.count("<polyline") == MOST_ROWS
    assert "168 more runs under way." in shown
    assert len(shown) < 12_000


def test_here_is_no_notebook() -> None:
    assert not in_notebook()
