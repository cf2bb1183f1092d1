"""The documents say what the code does."""

import re
import runpy
from pathlib import Path

import compact
import concepts
import fashion
import pytest
import readme

from stepladder.cli import main as cli
from stepladder.datasets.data import describe
from stepladder.errors import EXIT_CODES
from stepladder.ladders import ladder_file
from stepladder.ladders.checking import check_rungs, excess_of, require_declared
from stepladder.recipes.happening import what_happens
from stepladder.recipes.recipe import SHORTHAND, changed_fields
from stepladder.reporting.numbers import interval_text
from stepladder.reporting.pages.compare_page import brief_verdict

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)


def test_the_recipe_page_is_up_to_date() -> None:
    generate = runpy.run_path(str(ROOT / "tools" / "generate.py"))
    assert (ROOT / "docs" / "recipes.md").read_text() == generate["page"](), "run: python tools/generate.py"


@pytest.mark.parametrize("page", readme.PAGES, ids=lambda page: page.name)
def test_numbers_of_pages_are_those_of_the_results_that_are_kept(page: Path) -> None:
    text = page.read_text()
    assert readme.MARKED.search(text)
    assert readme.page(text) == text, "run: python tools/readme.py"


def test_the_example_ladder_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "ladders.md").read_text(), re.DOTALL)
    (tmp_path / "mine.toml").write_text(example)
    ladder = ladder_file.load(tmp_path / "mine.toml")
    assert [rung.changes for rung in ladder.rungs] == [(), ("augment",)]


def test_the_example_of_the_readme_is_a_ladder_within_its_budget(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "mine.toml").write_text(example)
    ladder = ladder_file.load(tmp_path / "mine.toml")
    assert [rung.changes for rung in ladder.rungs] == [(), ("augment",)]
    assert not excess_of(check_rungs(ladder, describe(ladder.data)))


def test_networks_in_short_are_explained_as_the_program_does() -> None:
    assert SHORTHAND.partition(": ")[2] in " ".join((ROOT / "docs" / "report.md").read_text().split())


def test_the_example_of_the_engine_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "engine.md").read_text()
    ((code, output),) = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out == output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)|<img src=\"([^\"]+)\"", page.read_text()):
        assert (page.parent / (link[0] or link[1])).exists(), link


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for command in cli.main.commands:
        assert f"stepladder {command}" in text


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "store.md").read_text().replace("\n", " ")
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in text


def test_every_concept_that_is_measured_is_one_change_within_the_budget() -> None:
    ladder = concepts.LADDER
    assert [rung.recipe for rung in ladder.rungs] == [ladder_file.load("mnist-8k").rungs[-1].recipe]
    assert len(ladder.steps) == len(ladder.variants) == ladder.comparisons == 24
    for below, above in ladder.steps:
        name, changes = above.name, changed_fields(below.recipe, above.recipe)
        assert changes == above.changes, name
        assert len(changes) == 1, name
        assert what_happens(below.recipe) != what_happens(above.recipe), name
    require_declared(ladder)
    assert not excess_of(check_rungs(ladder, describe(ladder.data)))


def test_the_concepts_that_are_kept_are_found_by_their_keys() -> None:
    """One that was written otherwise would have to be trained anew."""
    found = compact.results(compact.read(concepts.KEPT), concepts.LADDER, some=True)
    unknown = [each.rung.name for each in found.trained if not each.runs]
    assert set(unknown) <= {"separable convolutions", "distillation", "distillation from three"}  # being trained
    assert {len(each.runs) for each in found.trained if each.runs} == {len(concepts.SEEDS)}


def test_the_verdicts_of_fashion_are_those_of_the_runs_that_are_kept() -> None:
    lines, found = fashion.PAGE.read_text().partition("## Verdicts")[2].splitlines(), fashion.verdicts()
    assert len(found) == 5
    for each in found:
        row = next(line for line in lines if line.startswith(f"| {each.rung} "))
        assert f"| {brief_verdict(each)} " in row, "run: python tools/fashion.py STORE"
        assert each.interval is not None
        assert interval_text(each.interval) in row


def test_the_page_of_concepts_is_made_from_what_is_kept() -> None:
    assert (ROOT / "docs" / "concepts.md").read_text() == concepts.page(), "run: python tools/concepts.py page"
