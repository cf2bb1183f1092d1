"""The JSON schema of ladder files: what is read passes, and what an editor can mark does not."""

import json
import tomllib
from pathlib import Path

import ladder_schema
import pytest
from conftest import CommandLine
from jsonschema import Draft7Validator

from stepladder.errors import LadderError
from stepladder.ladders import ladder_file, ladder_text
from stepladder.recipes.recipe import Recipe

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "src" / "stepladder" / "ladders" / "shipped").glob("*.toml"))
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))
CORPUS = sorted((ROOT / "tests" / "corpus" / "ladders").glob("*.toml"))
VALIDATOR = Draft7Validator(json.loads(ladder_schema.FILE.read_text(encoding="utf-8")))

# Of the corpus, what no schema of this size can tell: what a layer's text says behind its first word, what two rungs
# or tables say together.
BEYOND = {
    *("escapes-in-a-name", "groupnorm", "kernel-as-number", "long-name-twice", "nan-and-inf", "nobias"),
    *("same-names", "seeds-twice", "windows-line-ends"),
}


def is_valid(path: Path) -> bool:
    """Whether an editor has nothing to mark."""
    try:
        tree = ladder_text.parsed(ladder_text.read_file(path), file=path.name)
    except LadderError:
        return False
    return bool(VALIDATOR.is_valid(tree))


def test_it_is_a_schema_and_up_to_date() -> None:
    Draft7Validator.check_schema(VALIDATOR.schema)
    assert ladder_schema.FILE.read_text(encoding="utf-8") == ladder_schema.text(), "run: python tools/generate.py"


@pytest.mark.parametrize("path", SHIPPED + EXAMPLES, ids=lambda path: path.name)
def test_every_ladder_there_is_passes(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(tomllib.loads(path.read_text()))] == []


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_is_refused_is_marked_where_a_schema_can(path: Path) -> None:
    try:
        ladder_file.load(path)
        is_read = True
    except LadderError:
        is_read = False
    assert is_valid(path) == (is_read or path.stem in BEYOND)


@pytest.mark.parametrize(
    ("broken", "is_marked"),
    [
        ({}, False),
        ({"nmae": "x"}, True),
        ({"evaluate_on": "train"}, True),
        ({"target": {"accuracy": 100.1}}, True),
        ({"rung": []}, True),
        ({"rung": [{"name": "a", "why": "b", "change": {"lr": 0.1}}]}, True),
        ({"rung": [{"name": "a", "why": "b", "recipe": {"network": [], "epochs": 1}}]}, True),
    ],
    ids=str,
)
def test_a_ladder_with_one_thing_wrong(broken: dict[str, object], is_marked: bool) -> None:
    rung = {"name": "a", "why": "b", "recipe": {"network": ["gap"], "epochs": 1}}
    ladder = {"name": "mine", "budget": {"params": 1, "epochs": 1}, "target": {"accuracy": 99}, "rung": [rung]}
    assert VALIDATOR.is_valid(ladder | broken) != is_marked


@pytest.mark.parametrize(
    ("change", "is_marked"),
    [
        ({"dropout": 0.1}, False),
        ({"schedule": {"kind": "step", "every_epochs": 3}}, False),
        ({"schedule": {"every_epochs": 3}}, True),
        ({"optimizer": {"momentum": 0.8}}, False),
        ({"optimizer": {"kind": "adm"}}, True),
        ({"augment": {"rotation_deg": 181}}, True),
        ({"average": {}}, True),
        ({"network": ["conv 8", " gap", "linear 10"]}, False),
        ({"network": ["cnv 8", "gap", "linear 10"]}, True),
        ({"network": ["conv8", "gap", "linear 10"]}, True),
    ],
    ids=str,
)
def test_a_change_in_the_words_of_recipes(change: dict[str, object], is_marked: bool) -> None:
    ladder = tomllib.loads(SHIPPED[0].read_text())
    ladder["rung"] = [*ladder["rung"], {"name": "x", "why": "y", "change": change}]
    assert VALIDATOR.is_valid(ladder) != is_marked


def test_every_field_is_explained() -> None:
    definitions = VALIDATOR.schema["definitions"]
    for name, field in Recipe.model_fields.items():
        for table in ("Recipe", "RecipePart"):
            assert definitions[table]["properties"][name]["description"] == field.description
    untold = [
        f"{table}.{name}"
        for table, each in definitions.items()
        for name, field in each["properties"].items()
        if "description" not in field and name != "kind"
    ]
    assert untold == []


def test_the_command_prints_it(stepladder: CommandLine) -> None:
    assert stepladder("schema").stdout == ladder_schema.FILE.read_text(encoding="utf-8")


def test_every_default_is_what_its_own_schema_allows() -> None:
    """An editor writes it into the file."""
    defaults = [
        (name, each)
        for part in (VALIDATOR.schema, *VALIDATOR.schema["definitions"].values())
        for name, each in part["properties"].items()
        if "default" in each
    ]
    assert len(defaults) > 50
    for name, each in defaults:
        whole = each | {"definitions": VALIDATOR.schema["definitions"]}
        assert Draft7Validator(whole).is_valid(each["default"]), name
