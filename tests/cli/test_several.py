"""``check`` and ``compare`` of several ladders: one that is wrong hides none of the others, and the worst decides."""

import json
from pathlib import Path

import pytest
from conftest import CommandLine

from stepladder.cli.several import Attempt, worst
from stepladder.errors import BudgetError, DataError, StoreError


@pytest.fixture
def ladders(tiny_ladder: Path) -> dict[str, Path]:
    """Hand-ins: a sound one, one over its budget, one without its images, one that is no ladder."""
    text, folder = tiny_ladder.read_text(), tiny_ladder.parent
    texts = {
        "sound": text,
        "over": text.replace("params = 1000", "params = 300"),
        "no data": text.replace("data = ", "data = 'nowhere' # "),
        "wrong": text.replace("change.dropout", "change.droput"),
        "other": text.replace("change.augment = { rotation_deg = 10.0 }", "change.batch_size = 32"),
    }
    paths = {name: folder / f"{name.replace(' ', '-')}.toml" for name in texts}
    for name, content in texts.items():
        paths[name].write_text(content)
    return paths


def test_a_check_of_several_has_a_line_for_each(stepladder: CommandLine, ladders: dict[str, Path]) -> None:
    names = ("wrong", "sound", "over", "no data")
    done = stepladder("check", *(ladders[name] for name in names))
    assert (done.returncode, done.stderr) == (2, "")
    lines = {name: next(line for line in done.stdout.splitlines() if ladders[name].name in line) for name in names}
    for name, mark in zip(names, ("refused", "ok", "OVER", "refused"), strict=True):
        assert mark in lines[name]
    plain = " ".join(done.stdout.split())
    assert "unknown field 'droput'; did you mean 'dropout'?" in plain
    assert "over budget:" in plain
    assert f"{ladders['no data']}: no data at" in plain


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("sound", "other"), 0),
        (("sound", "over"), 3),
        (("no data", "over"), 4),
        (("over", "wrong", "no data"), 2),
    ],
)
def test_the_worst_decides_and_json_has_them_all(
    stepladder: CommandLine, ladders: dict[str, Path], names: tuple[str, ...], code: int
) -> None:
    done = stepladder("check", *(ladders[name] for name in names), "--json")
    assert done.returncode == code
    checks = json.loads(done.stdout)["checks"]
    assert [each["source"] for each in checks] == [str(ladders[name]) for name in names]
    assert [each["check"] is not None for each in checks] == [name in ("sound", "other", "over") for name in names]
    assert [each["problem"] is None for each in checks] == [name in ("sound", "other") for name in names]


def test_what_is_worse() -> None:
    errors = (None, BudgetError(""), DataError(""), StoreError(""))
    attempts = [Attempt[None]("x", error=error) for error in errors]
    assert [worst(attempts[: n + 1]) for n in range(4)] == [0, 3, 4, 2]
    assert worst(attempts[::-1]) == 2


def test_tops_of_several_ladders_are_compared(stepladder: CommandLine, ladders: dict[str, Path]) -> None:
    for name in ("sound", "other"):
        assert stepladder("climb", ladders[name], "--seeds", "5").returncode in (0, 1)
    done = stepladder("compare", ladders["sound"], ladders["other"], ladders["wrong"])
    assert (done.returncode, done.stderr) == (2, "")
    plain = " ".join(done.stdout.split())
    assert "for this one comparison, and after every seed" in plain
    assert "did you mean 'dropout'?" in plain
    body = json.loads(stepladder("compare", ladders["sound"], ladders["other"], "--json").stdout)
    (found,) = body["comparisons"]
    assert (found["first"], found["other"]) == (str(ladders["sound"]), str(ladders["other"]))
    assert len(found["comparison"]["interval"]) == 2
    assert [each["rungs"][0]["name"] for each in body["tops"]] == ["rotation", "rotation"]


def test_a_way_down_is_that_of_one_ladder(stepladder: CommandLine, ladders: dict[str, Path]) -> None:
    refused = stepladder("compare", ladders["sound"], ladders["other"], "--down")
    assert refused.returncode == 2
    assert "--down is about the changes of one ladder" in refused.stderr
