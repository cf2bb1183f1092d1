"""A command that is begun quickly is the command that is begun from nothing."""

import os
import re
from pathlib import Path

import pytest
from conftest import TINY_LADDER
from starting import Starter, start


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "mnist-8k"], 0),
        (["ladders", "--json"], 0),
        (["--version"], 0),
        (["clmb"], 2),
        (["show", "mnist-8k", "--store", "nowhere"], 2),
        (["climb", "tiny.toml", "--seeds", "1", "--jobs", "1"], 1),
    ],
)
def test_it_says_the_same_and_ends_the_same(
    arguments: list[str], code: int, starter: Starter, digits: Path, tmp_path: Path
) -> None:
    ends, environment = [], starter.environment | {"NO_COLOR": "1"}
    assert starter.can_fork(environment)
    for way, run in (("quick", starter.run), ("slow", start)):
        folder = tmp_path / way
        folder.mkdir()
        (folder / "tiny.toml").write_text(TINY_LADDER.format(data=str(digits), epochs=2).replace("= 50", "= 100"))
        ends.append(run(arguments, cwd=folder, environment=environment))
    quick, slow = ends
    assert quick.returncode == slow.returncode == code
    assert quick.stdout == slow.stdout
    assert without_times(quick.stderr, tmp_path / "quick") == without_times(slow.stderr, tmp_path / "slow")


def without_times(text: str, folder: Path) -> list[str]:
    return [re.sub(r"[\d.]+ s\b", "TIME", line) for line in text.replace(str(folder), "FOLDER").splitlines()]


def test_its_environment_is_its_own(starter: Starter, tmp_path: Path) -> None:
    assert starter.can_fork(starter.environment | {"STEPLADDER_CACHE": "elsewhere"})
    for name in ("PYTHONPATH", "OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "HOME"):
        assert not starter.can_fork(os.environ | {name: "elsewhere"})
    for given, folder in (({"STEPLADDER_STORE": "somewhere"}, "somewhere"), ({}, "runs")):
        environment = starter.environment | given
        shown = starter.run(["show", "mnist-8k"], cwd=tmp_path, environment=environment)
        assert f"no runs at {tmp_path}/{folder}: " in shown.stderr
    assert "STEPLADDER_STORE" not in os.environ
