"""What is named and imported late is there: a name that leads nowhere would show only when somebody prints a value."""

import re
from pathlib import Path

import pytest

import stepladder
from stepladder._base.late import FACES, late

ROOT = Path(stepladder.__file__).parent
HOMES = sorted(
    {
        home.replace("{FACES}", FACES)
        for path in ROOT.rglob("*.py")
        for home in re.findall(r'late\(f?"([^"]+)"\)\(', path.read_text())
    }
)


def test_there_are_some() -> None:
    assert {"api.verbs:check", "ladders.building:with_rung", f"{FACES}:html"} < set(HOMES)


@pytest.mark.parametrize("home", HOMES)
def test_every_home_has_its_function(home: str) -> None:
    assert callable(late(home))
