"""Mutated ladders and command lines: refused with one message or read; no traceback, no long message, no long wait."""

import os
import time
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from mutations import COSTLY, costly_text, mutated_command_line, mutated_ladder

from stepladder._base.wording import LONGEST_MESSAGE
from stepladder.cli import main as cli
from stepladder.errors import LadderError, StepladderError
from stepladder.ladders import ladder_file
from stepladder.ladders.checking import check
from stepladder.ladders.ladder import Ladder
from stepladder.reporting.pages.check_page import check_page
from stepladder.reporting.terminal import render
from stepladder.runs.store import Store

CORPUS = sorted((Path(__file__).parents[1] / "corpus" / "ladders").glob("*.toml"))
LADDERS = int(os.environ.get("STEPLADDER_MUTATED_LADDERS", "160"))
COMMAND_LINES = int(os.environ.get("STEPLADDER_MUTATED_COMMAND_LINES", "40"))
LONGEST_S = 5.0


def read(path: Path) -> Ladder | None:
    """A ladder that is read and checked; None if it is refused, with a message as it has to be."""
    began = time.process_time()
    ladder, refused = None, None
    try:
        ladder = ladder_file.load(path)
        render(check_page(check(ladder, n_seeds=8, jobs=1, speeds={})), width=80)
    except StepladderError as error:
        refused = error
    assert time.process_time() - began < LONGEST_S
    if refused is None:
        return ladder
    assert 20 < len(str(refused)) <= LONGEST_MESSAGE
    assert refused.exit_code in (2, 3, 4)
    assert ladder is not None or (isinstance(refused, LadderError) and str(refused).startswith(str(path)))
    return None


def test_mutated_ladders_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "mutated.toml"
    for number in range(LADDERS):
        path.write_text(mutated_ladder(Random(number)), encoding="utf-8", errors="replace")
        try:
            read(path)
        except Exception as error:
            raise AssertionError(f"mutated ladder {number}") from error


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_hostile_ladders_are_refused_on_the_line_that_they_mark(path: Path) -> None:
    """The last line of each file says the line and the words of its first message."""
    *_, last = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    line, _, words = last.removeprefix("# refused: ").partition(": ")
    with pytest.raises(LadderError) as refused:
        ladder_file.load(path)
    first = str(refused.value).splitlines()[0]
    assert first.startswith(f"{path}:{line}: " if line != "0" else f"{path}: ")
    assert words in first
    assert read(path) is None


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) >= 20


def test_mutated_command_lines_are_understood_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Store.open("runs", create=True)
    (tmp_path / COSTLY).write_text(costly_text())
    for number in range(COMMAND_LINES):
        words = mutated_command_line(Random(number))
        began = time.process_time()
        done = CliRunner().invoke(cli.main, words, prog_name="stepladder")
        where = f"command line {number}: {[word[:40] for word in words]}"
        assert time.process_time() - began < LONGEST_S, where
        assert done.exception is None or isinstance(done.exception, SystemExit), (where, done.exception)
        assert done.exit_code in (0, 2, 3, 4), where
        assert done.exit_code == 0 or len(said(done.stderr)) <= LONGEST_MESSAGE, where
        assert "Traceback" not in done.stderr, where


def said(stderr: str) -> str:
    return stderr.partition("Error: ")[2]


def test_3000_layers_with_one_typo_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    layers = ",\n".join(['"conv 8 3x3"'] * 2900 + ['"convv 8"'] + ['"conv 8"'] * 100)
    head = (
        'name = "x"\nbudget = { params = 9, epochs = 9 }\ntarget = { accuracy = 9 }\n[[rung]]\nname = "a"\nwhy = "b"\n'
    )
    path.write_text(f"{head}[rung.recipe]\nepochs = 9\nnetwork = [\n{layers}\n]\n")
    began = time.process_time()
    with pytest.raises(LadderError, match=r"long\.toml:2910: rung 1, .*item 2901: unknown layer 'convv'"):
        ladder_file.load(path)
    assert time.process_time() - began < 1


def test_a_layer_of_10_mb_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    for n_bytes in (900_000, 10_000_000):
        network = f'["{"conv " * (n_bytes // 5)}"]'
        path.write_text(f'name = "x"\nrung = [{{ name = "a", why = "b", recipe = {{ network = {network} }} }}]\n')
        began = time.process_time()
        with pytest.raises(LadderError) as refused:
            ladder_file.load(path)
        assert time.process_time() - began < 3
        assert len(str(refused.value)) <= LONGEST_MESSAGE
