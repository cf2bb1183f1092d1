"""The format of ladder files: the entries of their tables, and a ladder as the text that is read as the same one."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from stepladder._base.frozen import Frozen
from stepladder._base.plain import steering
from stepladder._base.wording import shown
from stepladder.datasets.kinds import is_named
from stepladder.datasets.spec import DataSpec, spec_of, with_path
from stepladder.errors import LadderError
from stepladder.ladders.ladder import COMPARISONS, Ladder, Plan, Rung, Split
from stepladder.ladders.terms import Budget, Target
from stepladder.recipes.recipe import Recipe

FORMAT_VERSION = 1
BITS = 63  # of a whole number of TOML, besides its sign
WIDE = 100  # columns, of a list on one line


def _fit_for_a_name(name: str) -> str:
    if found := steering(name):
        raise ValueError(f"a name is one line of characters that can be seen: leave {found} out of it")
    return name


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError(f"it should be a text that is not empty, not {shown(text)}")
    return text


def _can_be_written(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # a program can have half a character, a file cannot
        raise ValueError(f"{shown(text)} holds half a character, which no file can hold: leave it out") from None
    return text


_Text = Annotated[str, Field(min_length=1, json_schema_extra={"pattern": r"\S"}), AfterValidator(_not_blank)]
_Name = Annotated[_Text, AfterValidator(_fit_for_a_name)]


class RungEntry(Frozen):
    """One ``[[rung]]`` as written."""

    PLACE: ClassVar = "rung"

    name: _Name = Field(description="short name, unique on the ladder")
    why: _Text = Field(description="why this rung is tried")
    recipe: dict[str, Any] | None = Field(None, description="the whole recipe; bottom rung only")
    change: dict[str, Any] | None = Field(None, description="the one concept that changes; every other rung")
    compound: _Text | None = Field(None, description="why several concepts change at once")
    budget: dict[str, Any] | None = Field(None, description="tightens the budget from this rung up")
    target: dict[str, Any] | None = Field(None, description="raises the target from this rung up")
    variant: list[Any] = Field([], description="variants of this rung: each is this rung plus one change")


class VariantEntry(Frozen):
    """One ``[[rung.variant]]`` as written."""

    PLACE: ClassVar = "variant"

    name: _Name = Field(description="short name, unique on the ladder")
    why: _Text = Field(description="why this variant is tried")
    change: dict[str, Any] | None = Field(None, description="the one concept that differs from its rung")
    compound: _Text | None = Field(None, description="why several concepts change at once")


class LadderEntry(Frozen):
    """A ladder file as written; each rung is read on its own."""

    PLACE: ClassVar = "ladder"

    format_version: int = Field(FORMAT_VERSION, ge=1, description="version of this file format")
    name: _Name = Field(description="the ladder's name")
    about: Annotated[str, AfterValidator(_can_be_written)] = Field("", description="what the ladder is about")
    data: Annotated[str, Field(min_length=1)] | DataSpec = Field(
        "mnist",
        description="'mnist', the path of a folder or file of images, a package's own kind, or a table that says what"
        " is to be made of them",
    )
    data_sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="the set's SHA-256, as 'stepladder check' prints it"
    )
    evaluate_on: Split = Field(
        "dev", description="'dev', the validation split held out of the training images, or 'test'"
    )
    dev_images: int | None = Field(
        None,
        ge=1,
        description="size of the validation split; unless given, a sixth of the training images, or the set's own"
        " validation images",
    )
    comparisons: int = Field(
        COMPARISONS,
        ge=1,
        le=10_000,
        description="how many changes will be judged in all, later ones included: the promise of verdicts covers all of"
        " them together",
    )
    budget: Budget
    target: Target
    rung: list[Any] = Field(min_length=1)


def as_toml(ladder: "Ladder", *, folder: Path) -> str:
    """What ``Ladder.to_toml`` gives."""
    return "\n".join(_lines(ladder, folder)) + "\n"


def data_path(data: str, folder: Path) -> str:
    """A set's path as seen from a ladder's folder; whole where the two have nothing but the root in common."""
    if is_named(data):
        return data
    there, here = os.path.realpath(spec_of(data).path), os.path.realpath(folder)
    try:
        common = os.path.commonpath([there, here])
    except ValueError:  # two drives
        return with_path(data, there)
    if Path(common).parent == Path(common):
        return with_path(data, there)
    return with_path(data, Path(os.path.relpath(there, here)).as_posix())


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
    data = spec_of(data_path(ladder.data, folder)).said
    head = {"name": ladder.name, "about": ladder.about or None, "data": data}
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
            yield f"{name} = {written(fields[name])}"


def written(value: Any) -> str:
    """A value of TOML; a text of several lines as that."""
    if isinstance(value, str):
        lines = value.split("\n")
        return _text(value) if len(lines) == 1 else '"""\n' + "\n".join(_text(line)[1:-1] for line in lines) + '"""'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {written(each)}" for key, each in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        line = ", ".join(map(written, value))
        return f"[{line}]" if len(line) < WIDE else "[\n    " + ",\n    ".join(map(written, value)) + ",\n]"
    if isinstance(value, int) and value.bit_length() > BITS:
        raise LadderError(f"{shown(value)} has more than 64 bits, and TOML has no room for that: give a smaller number")
    return json.dumps(value)


def _text(value: str) -> str:
    """A text in JSON is one in TOML too, but for the one control character that JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
