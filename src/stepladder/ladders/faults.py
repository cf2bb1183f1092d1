"""What pydantic finds wrong in a value, as instructions: where it stands in the file, what is wrong, what to write."""

import re
import typing
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from stepladder._base.foreign import NONE_HERE
from stepladder._base.plain import MOST_CHARACTERS, neutral
from stepladder._base.wording import LONGEST_QUOTE, cut, did_you_mean, n_of, shown, slip, translation
from stepladder.errors import LadderError
from stepladder.ladders.ladder_text import LONGEST_PATH, as_toml, brackets
from stepladder.ladders.terms import Budget, Target
from stepladder.ladders.toml_lines import Location, nearest
from stepladder.recipes.recipe import Recipe

MOST_FAULTS = 100  # of one value that are put into words; whoever has more mends these first

Fault = tuple[Location, str]
"""A place in a value, and what is wrong there."""

MOST_LISTED = 20  # errors of one file
LONGEST_LIST = MOST_CHARACTERS - len("Error: \n... and 123,456 more errors")
LONGEST_ALONE = LONGEST_LIST - LONGEST_PATH - 20  # one message, with a file and a line before it
SHORTER = (300, 160, 90)  # characters of each message of a list that is too long, in turn

# What stands where a table belongs, or a field that has to be there, written out.
_EXAMPLES = {
    "name": '"mine"',
    "why": '"It overfits."',
    "budget": "{ params = 8_000, epochs = 15 }",
    "target": "{ accuracy = 99.4, last_epochs = 5 }",
    "params": "8_000",
    "epochs": "14",
    "accuracy": "99.4",
    "network": '["conv 8", "maxpool 2", "conv 16", "gap", "linear 10"]',
    "change": "{ dropout = 0.05 }",
    "augment": "{ rotation_deg = 10.0 }",
    "optimizer": '{ kind = "adam" }',
    "schedule": '{ kind = "cosine" }',
    "loss": "{ label_smoothing = 0.1 }",
    "average": "{ horizon_epochs = 1.0 }",
    "sharpness_aware": "{ radius = 0.05 }",
    "distill": '{ network = ["conv 32", "gap", "linear 10"] }',
    "every_epochs": "6",
    "horizon_epochs": "1.0",
    "radius": "0.05",
}


# What is wanted where a value has the wrong type or size; pydantic's own words for the rest.
_WANTED = {
    "int_type": "it should be a whole number",
    "int_from_float": "it should be a whole number",
    "float_type": "it should be a number",
    "bool_type": "it should be true or false",
    "string_type": "it should be a text",
    "string_too_short": "it should be a text that is not empty",
    "string_pattern_mismatch": "it should be 64 hex digits in small letters",
    "finite_number": "it should be a finite number",
    "list_type": "it should be a list",
    "greater_than": "it should be more than {gt}",
    "greater_than_equal": "it should be at least {ge}",
    "less_than": "it should be less than {lt}",
    "less_than_equal": "it should be at most {le}",
    "literal_error": "it should be {expected}",
}

# Usual values of numbers whose default is zero, or that have none.
_USUAL = {"weight_decay": "0.0005", "dropout": "0.05", "label_smoothing": "0.1", "dev_images": "10_000"}

_NO_TABLE = ("optimizer", "model_type", "model_attributes_type", "dict_type")  # errors of what is none


def faults_of(model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """All that is wrong in a value, the first MOST_FAULTS of it, less what only follows from something else.

    A mistyped field is unknown, and the one that was meant is missing: only the first is said.
    """
    found: list[tuple[Location, type[BaseModel], Any]] = []
    besides: list[Fault] = []
    for each in error.errors(include_url=False)[:MOST_FAULTS]:
        inside, owner = _without_tags(model, each["loc"])
        found.append((inside, owner, each))
        besides += _besides_kind(inside, owner, each)
    mistyped = {
        (*inside[:-1], _meant(str(inside[-1]), owner))
        for inside, owner, each in found
        if each["type"] == "extra_forbidden"
    }
    said = [each for each in found if each[2]["type"] != "missing" or each[0] not in mistyped]
    told = [
        (_spot(inside, each), _of_class(each["input"]) or _in_words(each, owner, _last(inside)))
        for inside, owner, each in said
    ]
    return told + besides


def refusal(model: type[BaseModel], error: ValidationError, *, of: str) -> LadderError:
    """What is wrong in values that a program gave, a line for each; ``of`` says whose they are."""
    faults = faults_of(model, error)
    return LadderError("\n".join(": ".join((of, *_steps(where), _in_python(words))) for where, words in faults))


def _in_python(words: str) -> str:
    """``dict(kind="cosine")`` for a table of TOML."""
    words = re.sub(r" = \{ ([^{}]*) \}", lambda table: f"=dict({table[1].replace(' = ', '=')})", words)
    return words.replace("it should be a table", "it should be a dict, or a value made for it").replace(
        ": write a table, as in", ": as in"
    )


def _steps(where: Location) -> Iterator[str]:
    """``augment.rotation_deg``, ``network.item 2``: positions are counted from 1 for people. Nothing for no place."""
    if where:
        yield ".".join(f"item {part + 1}" if isinstance(part, int) else part for part in where)


def _last(inside: Location) -> str:
    return str(inside[-1]) if inside else ""


def _spot(inside: Location, error: Any) -> Location:
    """Where to look for it: a kind that there is not, where it is written."""
    is_kind = error["type"] in ("union_tag_invalid", "optimizer")
    return (*inside, "kind") if is_kind and isinstance(error["input"], dict) and "kind" in error["input"] else inside


def _besides_kind(inside: Location, owner: type[BaseModel], error: Any) -> list[Fault]:
    """What else is wrong in a table whose kind is: as the kind that was meant, or else in fields of no kind at all."""
    given, name = error["input"], str(inside[-1]) if inside else ""
    if error["type"] not in ("union_tag_invalid", "union_tag_not_found", "optimizer") or not isinstance(given, dict):
        return []
    models = _models_in(owner.model_fields[name].annotation)
    written, kinds = str(given.get("kind"))[:100], _tags(owner, name)
    meant = (translation(written, kinds, place=f"{name} kind") or slip(written, kinds)) if "kind" in given else None
    if model := next((each for each in models if meant in _kinds(each)), None):
        try:
            model.model_validate({**given, "kind": meant})
        except ValidationError as others:
            return [((*inside, *where), words) for where, words in faults_of(model, others)]
        return []
    known = sorted({field for model in models for field in model.model_fields})
    return [
        ((*inside, field), f"unknown field {shown(field)}{did_you_mean(field, known, place=name)}")
        for field in list(given)[:MOST_FAULTS]
        if field not in known
    ]


def _in_words(error: Any, owner: type[BaseModel], name: str) -> str:
    """What pydantic found, as an instruction; ``owner`` is the model whose field ``name`` it is about."""
    given = error["input"]
    match error["type"]:
        case "extra_forbidden":
            words = f"unknown field {shown(name)}{_unknown_field(name, given, owner)}"
        case "missing":
            words = f"this field is missing{_missing_field(name, given, owner)}"
        case "value_error":
            words = str(error["ctx"]["error"])
        case "union_tag_not_found":
            words = f"give it a kind, one of {', '.join(map(repr, _tags(owner, name)))}"
        case "union_tag_invalid":
            words = _unknown_kind(error["ctx"]["tag"], owner, name)
        case "optimizer" if isinstance(given, dict):
            words = _unknown_kind(given.get("kind"), owner, name)
        case "literal_error" if name == "kind":
            words = _unknown_kind(given, owner, name)
        case "list_type" if name in ("rung", "variant") and isinstance(given, dict):
            words = brackets(name)
        case "too_short" if name == "rung":
            words = "a ladder has at least one [[rung]]"
        case kind:
            wanted = "it should be a table" if kind in _NO_TABLE else _wanted(error)
            said = str(given) if isinstance(given, Decimal) else shown(given)
            words = f"{wanted}, not {said}{_remedy(error, owner, name)}"
    return words


def _of_class(given: object) -> str | None:
    """Of a class that a program gave in the place of a value of it."""
    if not isinstance(given, type) or not issubclass(given, BaseModel):
        return None
    needed = (name for name in given.model_fields if name != "kind" and _is_required(given, name))
    called = ", ".join(f"{name}={_EXAMPLES[name]}" for name in needed)
    return f"it should be a value, not a class: call it, as in sl.{given.__name__}({called})"


def _wanted(error: Any) -> str:
    if error["type"] in _WANTED:
        limits = error.get("ctx", {}).items()
        plain = {key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in limits}
        return _WANTED[error["type"]].format(**plain)
    return f"{error['msg'][0].lower()}{error['msg'][1:]}"


def _unknown_kind(kind: object, owner: type[BaseModel], field: str) -> str:
    """Of a kind in a table ``field`` of ``owner``, or of the one kind that ``owner`` itself has."""
    kinds, place = (_kinds(owner), place_of(owner)) if field == "kind" else (_tags(owner, field), field)
    hint = did_you_mean(str(kind)[:100], kinds, place=f"{place} kind")
    if hint.startswith(f"; {NONE_HERE}"):
        rest = hint.removeprefix(f"; {NONE_HERE}") or f"; known are {', '.join(map(repr, kinds))}"
        return f"{shown(kind)} is not in Stepladder{rest}"
    return f"unknown kind {shown(kind)}{hint}"


def _unknown_field(name: str, given: object, owner: type[BaseModel]) -> str:
    """The end of a message about a field that there is not: what was meant, where it belongs, or all that is known."""
    known = list(owner.model_fields)
    if translation(name, known, place=place_of(owner)) is None and (home := _home(name, given, owner)):
        return f"; {home}"
    return did_you_mean(name, known, place=place_of(owner))


def _meant(name: str, owner: type[BaseModel]) -> str | None:
    known = list(owner.model_fields)
    return translation(name, known, place=place_of(owner)) or slip(name, known)


def _home(name: str, given: object, owner: type[BaseModel]) -> str | None:
    """Where a field belongs that is none of this table but of another, as an instruction."""
    value = as_toml(given)
    place = place_of(owner)
    siblings = [model for model, where in _places().items() if where == place and model is not owner]
    if kinds := [kind for model in siblings if name in model.model_fields for kind in _kinds(model)]:
        return f"it goes with kind {' or '.join(map(repr, kinds))}"
    if name in Recipe.model_fields and place in ("rung", "variant"):
        return f"a concept: write change = {{ {name} = {value} }}, or for the bottom rung {name} under [rung.recipe]"
    if name in Recipe.model_fields and owner is not Recipe:
        return f"it belongs in the recipe: {name} = {value} under [rung.recipe], or change.{name} in a rung above"
    for model, where in _places().items():
        meant = translation(name, list(model.model_fields), place=where)
        if where == place or model is Recipe or meant not in model.model_fields:
            continue
        kind = next((f'kind = "{tag}", ' for tag in _kinds(model) if _is_required(model, "kind")), "")
        return f"it belongs in {where}: {where} = {{ {kind}{meant} = {value} }}"
    return None


def _missing_field(name: str, given: object, owner: type[BaseModel]) -> str:
    """The end of a message about a field that has to be there."""
    example = _EXAMPLES.get(name)
    if name == "rung":
        return ": a ladder has at least one [[rung]]"
    place = place_of(owner)
    if place in ("rung", "variant") and isinstance(given, dict) and isinstance(given.get("name"), str):
        return f": say of {place} {shown(given['name'])} why it is taken, as in {name} = {example}"
    return f": write it, as in {name} = {example}" if example else ""


def _remedy(error: Any, owner: type[BaseModel], name: str) -> str:
    """What to write instead of a value of the wrong type or size, behind a colon; nothing where that is plain."""
    given, kind = error["input"], error["type"]
    if kind in ("less_than", "less_than_equal", "greater_than_equal", "greater_than"):
        return _range_remedy(given, error["ctx"], name) or _usual(owner, name)
    if kind in _NO_TABLE:
        return _table_remedy(given, owner, name)
    if kind in ("int_type", "int_from_float", "float_type", "bool_type", "string_type", "string_too_short"):
        return _type_remedy(given, kind, owner, name)
    if name == "data_sha256":
        return ": copy them from what 'stepladder check' prints, or leave it out"
    if name == "evaluate_on" and isinstance(given, str) and (meant := translation(given, (), place=name)):
        return f"; did you mean {meant!r}?"
    return ""


def _usual(owner: type[BaseModel], name: str) -> str:
    """A usual value of a number that is too large or too small."""
    field = owner.model_fields.get(name)
    default = field.default if field and isinstance(field.default, int | float) else None
    usual = _USUAL.get(name) or _EXAMPLES.get(name) or (as_toml(default) if default else None)
    return f": a usual value is {name} = {usual}" if usual else ""


def _range_remedy(given: object, limits: dict[str, Any], name: str) -> str:
    """Of a fraction that was written as a percentage, the fraction."""
    most = limits.get("lt", limits.get("le"))
    if most != 1 or isinstance(given, bool) or not isinstance(given, int | float) or not 1 < given <= 100:
        return ""
    if name == "scale" and given <= 2:
        part = Decimal(repr(given)) - 1
        return f": it is a fraction, either way: {part:f} for up to {float(100 * part):g}% larger or smaller"
    if name == "start":
        return f": it is a fraction of lr, 1 / div_factor: {1 / given:.3g} for a div_factor of {given:g}"
    return f": {given:g}% is written {Decimal(repr(given)) / 100:f}"


def _table_remedy(given: object, owner: type[BaseModel], name: str) -> str:
    kinds = _tags(owner, name) if name in owner.model_fields else []
    kind = translation(given, kinds, place=f"{name} kind") if isinstance(given, str) else None
    if kind in kinds:
        return f': write {name} = {{ kind = "{kind}"{_required_besides_kind(owner, name, str(kind))} }}'
    return f": write a table, as in {name} = {_EXAMPLES[name]}" if name in _EXAMPLES else ""


def _type_remedy(given: object, kind: str, owner: type[BaseModel], name: str) -> str:
    field = owner.model_fields.get(name)
    default = as_toml(field.default) if field and isinstance(field.default, int | float) else None
    example = _EXAMPLES.get(name) or default
    remedy = f": write a number, as in {name} = {example}" if example else ""
    if kind == "string_too_short":
        remedy = f": write {name} = {_EXAMPLES.get(name, chr(34) + '...' + chr(34))}"
    elif kind == "string_type":
        remedy = f': write it in quotes, as in {name} = "..."'
    elif kind == "bool_type":
        remedy = f": write {name} = true or {name} = false"
    elif meant := _other_number(given, kind, name):
        remedy = meant
    elif isinstance(given, str) and _is_number(given):
        remedy = f": leave the quotes out, {name} = {given.strip()[:20]}"
    elif isinstance(given, float) and given.is_integer() and abs(given) < 1e15:
        remedy = f": write a whole number, {name} = {given:.0f}"
    return remedy


def _other_number(given: object, kind: str, name: str) -> str:
    """Of a part of all images their number, of a range its end."""
    if name == "dev_images" and isinstance(given, float) and 0 < given < 1:
        n = round(60_000 * given)
        return f": it is a number of images, not a fraction of them: for {100 * given:g}% of 60,000 write {n}"
    if kind == "float_type" and (ends := _ends(given)) is not None:
        return f": it is one number, for both ways: write {name} = {ends}"
    return ""


def _ends(given: object) -> float | None:
    """10.0 of ``[-10, 10]``, a range of numbers either way."""
    if not isinstance(given, list) or len(given) != 2 or not all(type(each) in (int, float) for each in given):
        return None
    return float(max(map(abs, given)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# Models, their places and kinds.


def place_of(owner: type[BaseModel]) -> str:
    """The name of the table that a model is, as ``foreign`` and ladder files have it."""
    return getattr(owner, "PLACE", None) or _places().get(owner, "")


@cache
def _places() -> dict[type[BaseModel], str]:
    """Every model of a recipe, and the budget's and the target's, with the name of its table."""
    inside = {model: name for name, field in Recipe.model_fields.items() for model in _models_in(field.annotation)}
    return {Recipe: "recipe", Budget: "budget", Target: "target", **inside}


def _without_tags(model: type[BaseModel], where: Location) -> tuple[Location, type[BaseModel]]:
    """Where a value stands in the file, and the model whose field it is.

    Pydantic puts the kind that it chose from a union (``schedule`` -> ``step``) into the location; the file has none.
    """
    inside: list[str | int] = []
    options: list[type[BaseModel]] = []
    for part in where:
        chosen = next((option for option in options if part in _kinds(option)), None)
        if chosen is not None:
            model, options = chosen, []
            continue
        if len(options) == 1:
            model = options[0]
        inside.append(part)
        field = model.model_fields.get(str(part))
        options = _models_in(field.annotation) if field and isinstance(part, str) else options
    return tuple(inside), model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]


def _kinds(model: type[BaseModel]) -> tuple[str, ...]:
    return typing.get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()


def _tags(owner: type[BaseModel], field: str) -> list[str]:
    return [kind for model in _models_in(owner.model_fields[field].annotation) for kind in _kinds(model)]


def _is_required(model: type[BaseModel], field: str) -> bool:
    return model.model_fields[field].is_required()


def _required_besides_kind(owner: type[BaseModel], field: str, kind: str) -> str:
    """``, every_epochs = 6`` of a step schedule: what has to be there besides the kind."""
    model = next(each for each in _models_in(owner.model_fields[field].annotation) if kind in _kinds(each))
    names: Iterator[str] = (name for name in model.model_fields if name != "kind" and _is_required(model, name))
    return "".join(f", {name} = {_EXAMPLES.get(name, '...')}" for name in names)


# What is wrong in a whole file.


def listed(faults: list[Fault], lines: dict[Location, int], file: str) -> str:
    """All that is wrong in a file, by line, each with it; of very much, the first.

    A long list has short lines: behind the first the file goes by its own name, and advice is left out before errors.
    """
    placed = sorted(((nearest(lines, where), message) for where, message in faults), key=lambda each: each[0])
    unique = [(line, neutral(message)) for line, message in dict.fromkeys(placed)]
    told, name = 0, Path(file).name
    for most in (LONGEST_LIST, *SHORTER):
        files = [file, *[file if most == LONGEST_LIST else name] * (MOST_LISTED - 1)]
        texts = [f"{each}:{line}: {_shortened(m, most)}" for each, (line, m) in zip(files, unique, strict=False)]
        told = next(n for n in range(len(texts), -1, -1) if n < 2 or len("\n".join(texts[:n])) <= LONGEST_LIST)
        if told == len(texts):
            break
    n_more = len(unique) - told
    return "\n".join([*texts[:told], f"... and {n_of(n_more, 'more error')}"] if n_more else texts[:told])


def _shortened(message: str, most: int) -> str:
    """A message without the end of its advice, where it is longer than ``most`` characters."""
    if len(message) <= most:
        return message
    if most == LONGEST_LIST:
        return cut(message, most=LONGEST_ALONE)
    short = message.partition("; known are")[0]
    return short if len(short) <= most else f"{short[:most].rsplit(' ', 1)[0]} ..."


def named(where: Location) -> Location:
    """What a fault there is said of: of a kind that there is not, the table whose kind it is."""
    return where[:-1] if where[-2:] in (("schedule", "kind"), ("optimizer", "kind")) else where


def dotted(where: Location) -> str:
    """``('rung', 1, 'change', 'lr')`` as ``rung 2, change.lr``; positions are counted from 1 for people."""
    if len(where) > 1 and where[0] in ("rung", "variant") and isinstance(where[1], int):
        rest = dotted(where[2:])
        return f"{where[0]} {where[1] + 1}" + (f", {rest}" if rest else "")
    parts = (f"item {part + 1}" if isinstance(part, int) else cut(part, most=LONGEST_QUOTE) for part in where)
    return ".".join(parts)
