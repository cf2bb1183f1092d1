"""The JSON schema of ladder files, for editors: made of the models that the parser reads them with.

``python tools/generate.py`` writes it to where ``stepladder schema`` finds it; a test holds it to that. It says what a
table may hold. What takes two rungs to tell (one change each, budgets that tighten) is for ``stepladder check``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import stepladder
from stepladder._base.frozen import FIELDS
from stepladder.ladders.ladder_toml import LadderEntry, RungEntry, VariantEntry
from stepladder.ladders.terms import Budget, Target
from stepladder.recipes.recipe import Recipe

FILE = Path(stepladder.__file__).parent / "ladders" / "ladder.schema.json"
DRAFT = "http://json-schema.org/draft-07/schema#"  # what editors know

Schema = dict[str, Any]

# Tables of a rung that the parser reads on their own: of which model, and whether they may say a part of it.
OF_A_RUNG: dict[str, tuple[type[BaseModel], bool]] = {
    "recipe": (Recipe, False),
    "change": (Recipe, True),
    "budget": (Budget, True),
    "target": (Target, True),
}
BOTTOM = {"required": ["recipe"], "properties": {"change": False, "compound": False}}
ABOVE = {"required": ["change"], "properties": {"recipe": False}}


def schema() -> Schema:
    """Of a ladder file, in JSON Schema draft 7."""
    ladder, rung, variant = LadderEntry, RungEntry, VariantEntry
    models: list[type[BaseModel]] = [ladder, rung, variant, Recipe, Budget, Target]
    _, made = models_json_schema([(model, "validation") for model in models], ref_template="#/definitions/{model}")
    found = {name: _plain(each) for name, each in made["$defs"].items()}
    block = found[Recipe.__name__]["properties"]["block"]
    found[Recipe.__name__]["properties"]["block"] = block | {"default": str(Recipe.model_fields["block"].default)}
    whole, one, hung = (found.pop(each.__name__) for each in (ladder, rung, variant))
    for name, (model, is_part) in OF_A_RUNG.items():
        told = {"description": one["properties"][name]["description"]}
        table = f"{model.__name__}Part" if is_part else model.__name__
        one["properties"][name] = {"allOf": [_reference(table)], **told}
        if is_part:
            found[table] = {key: value for key, value in found[model.__name__].items() if key != "required"}
    hung["properties"]["change"] = one["properties"]["change"] | {
        "description": hung["properties"]["change"]["description"]
    }
    hung["required"] = [*hung["required"], "change"]
    one["properties"]["variant"]["items"] = _reference("Variant")
    whole["properties"]["rung"] = {
        "description": "the rungs, from the bottom up",
        "type": "array",
        "minItems": 1,
        "items": _reference("Rung"),
        "allOf": [{"items": [BOTTOM], "additionalItems": ABOVE}],
    }
    parts = dict(sorted((found | {"Rung": one, "Variant": hung}).items()))
    return {"$schema": DRAFT, "title": "A ladder of Stepladder", **whole, "definitions": parts}


def text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _reference(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _plain(value: Any) -> Any:
    """Without what TOML lacks (null), what only the code is called (titles), and what draft 7 does not know."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    left = {key: _plain(each) for key, each in value.items() if not _is_ours(key, each)}
    options = left.pop("anyOf", left.pop("oneOf", []))
    options = [each for each in options if each != {"type": "null"}]
    if "$ref" in left and len(left) > 1:  # in draft 7 nothing stands beside a reference
        options = [{"$ref": left.pop("$ref")}]
    if len(options) == 1 and "$ref" not in options[0]:
        return options[0] | left
    if options:
        left["allOf" if len(options) == 1 else "anyOf"] = options
    if isinstance(left.get("description"), str):
        left["description"] = " ".join(left["description"].partition(f"\n{FIELDS}\n")[0].split())
    return left


def _is_ours(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or key == "discriminator" or (key == "default" and value is None)
