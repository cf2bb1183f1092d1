"""A ladder as the text of a file: what ``ladder_file`` reads as the same ladder."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepladder._base.wording import shown
from stepladder.datasets.kinds import is_named
from stepladder.errors import LadderError
from stepladder.recipes.recipe import Recipe

if TYPE_CHECKING:
    from stepladder.ladders.ladder import Ladder, Plan, Rung

FORMAT_VERSION = 1  # that is written
BITS = 63  # of a whole number of TOML, besides its sign
WIDE = 100  # columns, of a list on one line


def as_toml(ladder: "Ladder", *, folder: Path) -> str:
    """What ``Ladder.to_toml`` gives."""
    return "\n".join(_lines(ladder, folder)) + "\n"


def data_path(data: str, folder: Path) -> str:
    """A set's path as seen from a ladder's folder; whole where the two have nothing but the root in common."""
    if is_named(data):
        return data
    there, here = os.path.realpath(data), os.path.realpath(folder)
    try:
        common = os.path.commonpath([there, here])
    except ValueError:  # two drives
        return there
    return there if Path(common).parent == Path(common) else Path(os.path.relpath(there, here)).as_posix()


def _lines(ladder: "Ladder", folder: Path) -> Iterator[str]:
    bottom = ladder.rungs[0]
    yield f"format_version = {FORMAT_VERSION}"
    yield from _fields(_head(ladder, folder))
    yield from _fields({"budget": bottom.budget.model_dump(mode="json"), "target": bottom.target.essence()})
    for below, rung in zip((None, *ladder.rungs), ladder.rungs, strict=False):
        yield from ("", "[[rung]]", *_fields({"name": rung.name, "why": rung.why}))
        yield from _above(below, rung) if below else ("", "[rung.recipe]", *_fields(rung.recipe.essence()))
        for each in (variant.rung for variant in ladder.variants if variant.on == rung.name):
            yield from ("", "[[rung.variant]]", *_fields({"name": each.name, "why": each.why}), *_above(rung, each))


def _head(ladder: "Plan", folder: Path) -> dict[str, Any]:
    names = ("data_sha256", "evaluate_on", "dev_images", "comparisons")
    head = {"name": ladder.name, "about": ladder.about or None, "data": data_path(ladder.data, folder)}
    return head | {name: getattr(ladder, name) for name in names}


def _above(below: "Rung", rung: "Rung") -> Iterator[str]:
    yield from _fields({"compound": rung.compound})
    if rung.budget != below.budget:
        yield from _fields({"budget": rung.budget.model_dump(mode="json")})
    if rung.target != below.target:
        yield from _fields({"target": rung.target.essence()})
    values = rung.recipe.model_dump(mode="json") | rung.recipe.essence()
    for name in Recipe.model_fields:
        if getattr(rung.recipe, name) == getattr(below.recipe, name):
            continue
        if values[name] is None:
            raise LadderError(
                f"rung {shown(rung.name)} changes {name} to nothing, and TOML has no word for that: such a ladder"
                " cannot be written to a file; build one that begins without it"
            )
        yield from _fields({f"change.{name}": values[name]})


def _fields(fields: dict[str, Any]) -> Iterator[str]:
    """``key = value`` for what has a value, in the order of Recipe where they are of one."""
    order = [name for name in Recipe.model_fields if name in fields]
    for name in order or fields:
        if fields[name] is not None:
            yield f"{name} = {_value(fields[name])}"


def _value(value: Any) -> str:
    """A value of TOML; a text of several lines as that."""
    if isinstance(value, str):
        lines = value.split("\n")
        return _text(value) if len(lines) == 1 else '"""\n' + "\n".join(_text(line)[1:-1] for line in lines) + '"""'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        line = ", ".join(map(_value, value))
        return f"[{line}]" if len(line) < WIDE else "[\n    " + ",\n    ".join(map(_value, value)) + ",\n]"
    if isinstance(value, int) and value.bit_length() > BITS:
        raise LadderError(f"{shown(value)} has more than 64 bits, and TOML has no room for that: give a smaller number")
    return json.dumps(value)


def _text(value: str) -> str:
    """A text in JSON is one in TOML too, but for the one control character that JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
