"""A ladder with variants on the command line: trained after the rungs, shown by every command that shows a ladder."""

import csv
import io
import json
from pathlib import Path

import pytest
from conftest import CommandLine

from stepladder.climbing.deciding import climb_until_decided
from stepladder.engines import choose_engine
from stepladder.ladders.ladder_file import load
from stepladder.runs.store import Store

VARIANTS = """
[[rung.variant]]
name = "cosine"
why = "does it settle?"
change.schedule = { kind = "cosine" }

[[rung.variant]]
name = "average"
why = "is the last step noise?"
change.average = { horizon_epochs = 1.0 }
"""


@pytest.fixture
def star(tiny_ladder: Path) -> Path:
    """The tiny ladder of two rungs, two variants on the bottom one."""
    head, start, dropout, _ = tiny_ladder.read_text().split("[[rung]]\n")
    path = tiny_ladder.with_name("star.toml")
    path.write_text("[[rung]]\n".join((head, start + VARIANTS, dropout)).replace("tiny", "star"))
    return path


def test_a_star_is_climbed_and_shown(stepladder: CommandLine, star: Path, tmp_path: Path) -> None:
    climbed = stepladder("climb", star, "--seeds", "1", "--json")
    assert climbed.returncode in (0, 1), climbed.stderr
    assert "4 to train" in climbed.stderr
    body = json.loads(climbed.stdout)
    assert [rung["name"] for rung in body["rungs"]] == ["start", "dropout"]
    assert [(each["on"], each["name"], each["seeds"]) for each in body["variants"]] == [
        ("start", "cosine", [1]),
        ("start", "average", [1]),
    ]
    assert "0 to train" in stepladder("climb", star, "--seeds", "1").stderr
    assert "Variants: each is the rung that it hangs on plus one change" in stepladder("show", star).stdout
    assert "Each variant against the rung that it hangs on" in stepladder("compare", star).stdout

    rows = list(csv.DictReader(io.StringIO(stepladder("report", star, "--format", "csv").stdout)))
    assert {(row["rung"], row["epoch"]) for row in rows} >= {("cosine", "4"), ("average", "1")}
    found = json.loads(stepladder("report", star, "--json").stdout)
    assert [len(each["runs"]) for each in found["variants"]] == [1, 1]
    assert found["variants"][0]["recipe"]["schedule"]["kind"] == "cosine"
    assert [each["rung"] for each in found["variant_comparisons"]] == ["cosine", "average"]
    markdown = stepladder("report", star, "--format", "markdown").stdout
    assert "**Each variant against the rung that it hangs on**" in markdown
    assert stepladder("report", star, "-o", tmp_path / "star.html").returncode == 0
    page = (tmp_path / "star.html").read_text()
    assert "Each variant against the rung that it hangs on" in page
    assert page.count("Variants: each is the rung that it hangs on plus one change") >= 2
    assert "star: cosine" in " ".join(stepladder("runs", "list", star).stdout.split())


def test_the_top_alone_and_the_way_down_train_no_variant(stepladder: CommandLine, star: Path) -> None:
    assert "1 to train" in stepladder("climb", star, "--top", "--seeds", "1").stderr
    down = stepladder("climb", star, "--down", "--seeds", "1")
    assert "1 to train" in down.stderr
    assert "cosine" not in down.stdout


def test_seeds_are_added_where_a_variant_is_open(star: Path, tmp_path: Path, cache: None) -> None:  # noqa: ARG001
    ladder, (engine, _) = load(star), choose_engine("jit")
    store = Store.open(tmp_path / "store", create=True)
    failures, results = climb_until_decided(ladder, seeds=[1], max_seeds=2, store=store, engine=engine, jobs=1)
    assert not failures
    assert {len(each.runs) for each in results.trained} == {2}
