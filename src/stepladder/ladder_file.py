"""Ladders from TOML files, with errors that name the file, the line and the remedy."""

import itertools
import os
import re
import tomllib
import typing
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from stepladder.errors import LadderError
from stepladder.files import read_regular
from stepladder.ladder import Budget, Ladder, Rung, Split, Target
from stepladder.layers import did_you_mean
from stepladder.plain import shortened, steering
from stepladder.recipe import Frozen, Recipe, changed_fields, describe, what_happens

FORMAT_VERSION = 1
MOST_BYTES = 1_000_000  # of a ladder file: what is larger is none

M = typing.TypeVar("M", bound=BaseModel)
Location = tuple[str | int, ...]


def _fit_for_a_name(name: str) -> str:
    if found := steering(name):
        raise ValueError(f"a name is one line of characters that can be seen: leave {found} out of it")
    return name


_Name = typing.Annotated[str, Field(min_length=1), AfterValidator(_fit_for_a_name)]


class _RungEntry(Frozen):
    """One ``[[rung]]`` as written."""

    name: _Name = Field(description="short name, unique on the ladder")
    why: str = Field(min_length=1, description="why this rung is taken")
    recipe: dict[str, Any] | None = Field(None, description="the whole recipe; bottom rung only")
    change: dict[str, Any] | None = Field(None, description="the one concept that changes; every other rung")
    compound: str | None = Field(None, min_length=1, description="why several concepts change at once")
    budget: dict[str, Any] | None = Field(None, description="tightens the budget from this rung up")
    target: dict[str, Any] | None = Field(None, description="raises the target from this rung up")


class _LadderEntry(Frozen):
    """A ladder file as written."""

    format_version: int = Field(FORMAT_VERSION, ge=1, description="version of this file format")
    name: _Name = Field(description="the ladder's name")
    about: str = Field("", description="what the ladder is about")
    data: str = Field("mnist", min_length=1, description="'mnist', a folder of IDX files, or an .npz file")
    data_sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="the set's SHA-256, as 'stepladder check' prints it"
    )
    evaluate_on: Split = Field("dev", description="'dev' (held out of train) or 'test'")
    dev_images: int | None = Field(None, ge=1, description="size of dev; a sixth of the training images unless given")
    budget: Budget
    target: Target
    rung: list[_RungEntry] = Field(min_length=1)


def shipped() -> tuple[str, ...]:
    """Names of the ladders that come with Stepladder."""
    folder = resources.files("stepladder") / "ladders"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name_or_path: str | Path) -> Ladder:
    """Load a shipped ladder by name, or any ladder by the path of its TOML file.

    Raises LadderError that names the file, the line and the remedy. A ladder is read from an ordinary file only: its
    data may stand beside it, and a climb that goes on reads it again.
    """
    name = str(name_or_path)
    if name in shipped():
        text = resources.files("stepladder").joinpath("ladders", f"{name}.toml").read_text(encoding="utf-8")
        return _Reader(text, name, Path()).read()
    path = Path(name_or_path)
    try:
        text = read_regular(path, most=MOST_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        if not name.endswith(".toml") and not os.path.exists(path):  # noqa: PTH110 - Path's raises for some names
            hint = did_you_mean(name, shipped())
            raise LadderError(f"no ladder {shortened(name, 200)!r}{hint}; a file of your own ends in .toml") from None
        reason = getattr(error, "strerror", None) or error
        raise LadderError(f"{shortened(name, 200)}: cannot read this ladder file: {reason}") from None
    return _Reader(text.replace("\r\n", "\n").replace("\r", "\n"), name, path.parent).read()


class _Reader:
    """One file on its way to a Ladder."""

    def __init__(self, text: str, file: str, folder: Path) -> None:
        self.text = text
        self.file = file
        self.folder = folder

    def read(self) -> Ladder:
        try:
            tree = tomllib.loads(self.text)
        except (ValueError, RecursionError) as error:
            line = re.search(r"at line (\d+)", str(error))
            where = f":{line[1]}" if line else ""
            raise LadderError(f"{self.file}{where}: not a TOML file: {error}") from None
        version = tree.get("format_version", FORMAT_VERSION)
        if isinstance(version, int) and version > FORMAT_VERSION:
            self.refuse(
                ("format_version",),
                f"this ladder is of format {version}; this Stepladder reads up to {FORMAT_VERSION}: upgrade it",
            )
        entry = self.validate(_LadderEntry, tree, ())
        if entry.dev_images is not None and entry.evaluate_on == "test":
            self.refuse(("dev_images",), "dev_images holds images out of train, but evaluate_on is 'test': remove one")
        return Ladder(
            name=entry.name,
            about=entry.about.strip(),
            source=self.file,
            data=self.data(entry.data),
            data_sha256=entry.data_sha256,
            evaluate_on=entry.evaluate_on,
            dev_images=entry.dev_images,
            rungs=tuple(self.rungs(entry)),
        )

    def data(self, data: str) -> str:
        """The path of a data set, relative to the ladder's file; "mnist" stays."""
        try:
            return data if data == "mnist" else str(self.folder / Path(data).expanduser())
        except RuntimeError as error:
            self.refuse(("data",), f"data = {data!r}: {error} Write the folder's whole path")

    def rungs(self, entry: _LadderEntry) -> list[Rung]:
        rungs: list[Rung] = []
        for index, rung_entry in enumerate(entry.rung):
            here = ("rung", index)
            if rung_entry.name in [rung.name for rung in rungs]:
                self.refuse((*here, "name"), f"two rungs are named {rung_entry.name!r}: names are unique")
            below = rungs[-1] if rungs else None
            recipe, changes = self.recipe(rung_entry, here, below)
            rungs.append(
                Rung(
                    name=rung_entry.name,
                    why=rung_entry.why.strip(),
                    recipe=recipe,
                    changes=changes,
                    compound=rung_entry.compound,
                    budget=self.budget(rung_entry, here, below.budget if below else entry.budget),
                    target=self.target(rung_entry, here, below.target if below else entry.target, recipe),
                )
            )
        return rungs

    def recipe(self, entry: _RungEntry, here: Location, below: Rung | None) -> tuple[Recipe, tuple[str, ...]]:
        if below is None:
            if entry.recipe is None or entry.change is not None or entry.compound is not None:
                self.refuse(
                    here,
                    f"rung {entry.name!r} is the bottom rung: give it a whole 'recipe', no 'change' and no 'compound'",
                )
            return self.validate(Recipe, entry.recipe, (*here, "recipe")), ()
        if entry.recipe is not None:
            self.refuse(
                (*here, "recipe"),
                f"rung {entry.name!r} gives a whole recipe; only the bottom rung does: give its one 'change'",
            )
        if not entry.change:
            self.refuse(here, f"rung {entry.name!r} changes nothing: give it one 'change', or remove it")
        stated = {name: getattr(below.recipe, name) for name in Recipe.model_fields} | entry.change
        recipe = self.validate(Recipe, stated, (*here, "change"))
        changes = changed_fields(below.recipe, recipe)
        self.check_changes(entry, here, below, recipe=recipe, changes=changes)
        return recipe, changes

    def check_changes(
        self, entry: _RungEntry, here: Location, below: Rung, *, recipe: Recipe, changes: tuple[str, ...]
    ) -> None:
        for name in entry.change or {}:
            if name not in changes:
                self.refuse(
                    (*here, "change", name),
                    f"rung {entry.name!r} changes nothing about {name}: it is"
                    f" {describe(name, getattr(below.recipe, name))} on the rung below too; remove it",
                )
        if what_happens(recipe) == what_happens(below.recipe):
            self.refuse(
                (*here, "change"),
                f"rung {entry.name!r} changes {', '.join(changes)} but nothing that happens: it would train exactly as"
                " the rung below (no layer drops out? the first drop comes after the last epoch?)",
            )
        if len(changes) > 1 and entry.compound is None:
            names = " and ".join([", ".join(changes[:-1]), changes[-1]])
            number = {2: "two", 3: "three", 4: "four"}.get(len(changes), str(len(changes)))
            self.refuse(
                (*here, "change"),
                f"rung {entry.name!r} changes {names}; a rung changes one concept: split it into {number} rungs"
                f' (first only {changes[0]}, then {changes[1]}), or declare it: compound = "why not one at a time"',
            )
        if len(changes) == 1 and entry.compound is not None:
            self.refuse(
                (*here, "compound"),
                f"rung {entry.name!r} is declared compound but changes only {changes[0]}: remove 'compound'",
            )

    def budget(self, entry: _RungEntry, here: Location, below: Budget) -> Budget:
        if entry.budget is None:
            return below
        budget = self.validate(Budget, below.model_dump() | entry.budget, (*here, "budget"))
        for name in ("params", "epochs"):
            if getattr(budget, name) > getattr(below, name):
                self.refuse(
                    (*here, "budget", name),
                    f"rung {entry.name!r} loosens the budget from {getattr(below, name):,} to"
                    f" {getattr(budget, name):,} {name}: a rung may only tighten it",
                )
        return budget

    def target(self, entry: _RungEntry, here: Location, below: Target, recipe: Recipe) -> Target:
        target = below
        if entry.target is not None:
            target = self.validate(Target, below.model_dump() | entry.target, (*here, "target"))
            if target.accuracy < below.accuracy or target.last_epochs < below.last_epochs:
                self.refuse((*here, "target"), f"rung {entry.name!r} lowers the target: a rung may only raise it")
        if target.last_epochs > recipe.epochs:
            self.refuse(
                (*here, "target"),
                f"rung {entry.name!r} trains for {recipe.epochs} epochs but its target speaks of the last"
                f" {target.last_epochs}: train longer, or set target.last_epochs to at most {recipe.epochs}",
            )
        return target

    def validate(self, model: type[M], value: Any, here: Location) -> M:
        """The value as a model; raises LadderError about the first thing wrong with it."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            found = error.errors(include_url=False)
            # a mistyped field is both unknown and missing: say the first, which has a suggestion
            first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
            inside, owner = _without_tags(model, first["loc"])
            where = (*here, *inside)
            self.refuse(where, f"{_dotted(where)}: {_in_words(first, owner)}")

    def refuse(self, where: Location, message: str) -> NoReturn:
        raise LadderError(f"{self.file}:{line_of(self.text, where)}: {message}")


def line_of(text: str, where: Location) -> int:
    """The line, from 1, on which the value at ``where`` starts in a TOML text, or the nearest thing around it.

    It is the shortest run of lines from the top that, parsed by the TOML parser itself with open brackets and
    strings closed, holds the value.
    """
    lines = text.split("\n")
    headers = [number for number, line in enumerate(lines) if _RUNG_HEADER.match(line)]
    if len(where) > 1 and where[0] == "rung" and len(headers) == _n_rungs(text):
        index = int(where[1])
        own = lines[headers[index] : headers[index + 1] if index + 1 < len(headers) else None]
        return headers[index] + _line_in(own, ("rung", 0, *where[2:]))
    return _line_in(lines[: headers[0]] if headers and where[:1] != ("rung",) else lines, where)


_RUNG_HEADER = re.compile(r"\s*\[\[\s*rung\s*\]\]")


def _n_rungs(text: str) -> int:
    rungs = tomllib.loads(text).get("rung")
    return len(rungs) if isinstance(rungs, list) else 0


def _line_in(lines: list[str], where: Location) -> int:
    heads = [_parsed_head("\n".join(lines[: count + 1])) for count in range(len(lines))]
    for depth in range(len(where), 0, -1):
        for number, head in enumerate(heads, 1):
            if head is not None and _holds(head, where[:depth]):
                return number
    return 1


# At the end of a line nothing, a string or an array can be open, and around it arrays and inline tables.
_BRACKETS = ["\n]" + "".join(more) for n in range(5) for more in itertools.product("]}", repeat=n)]
_CLOSINGS = ["", *_BRACKETS[:3], '"""', "'''", *_BRACKETS[3:]]


def _parsed_head(head: str) -> dict[str, Any] | None:
    for closing in _CLOSINGS:
        try:
            return tomllib.loads(head + closing)
        except (ValueError, RecursionError):
            continue
    return None


def _holds(value: Any, where: Location) -> bool:
    try:
        for part in where:
            value = value[part]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _dotted(where: Location) -> str:
    """``('rung', 1, 'change', 'lr')`` as ``rung 2, change.lr``; positions are counted from 1 for people."""
    if len(where) > 1 and where[0] == "rung" and isinstance(where[1], int):
        rest = _dotted(where[2:])
        return f"rung {where[1] + 1}" + (f", {rest}" if rest else "")
    return ".".join(f"item {part + 1}" if isinstance(part, int) else part for part in where)


def _in_words(error: Any, owner: type[BaseModel]) -> str:
    """What pydantic found, as an instruction; ``owner`` is the model whose field it is about."""
    name = str(error["loc"][-1]) if error["loc"] else ""
    match error["type"]:
        case "extra_forbidden":
            return f"unknown field {name!r}{did_you_mean(name, list(owner.model_fields))}"
        case "missing":
            return "this field is missing"
        case "value_error":
            return str(error["ctx"]["error"])
        case "union_tag_not_found":
            return f"give it a kind, one of {', '.join(map(repr, _tags(owner, name)))}"
        case "union_tag_invalid":
            return f"unknown kind {error['ctx']['tag']!r}; known are {error['ctx']['expected_tags']}"
        case _:
            message, found = error["msg"], repr(error["input"])
            return f"{message[0].lower()}{message[1:]}, not {found if len(found) < 60 else found[:60] + '...'}"


def _without_tags(model: type[BaseModel], where: Location) -> tuple[Location, type[BaseModel]]:
    """Where a value stands in the file, and the model whose field it is.

    Pydantic puts the kind that it chose from a union (``schedule`` -> ``step``) into the location; the file has none.
    """
    inside: list[str | int] = []
    options: list[type[BaseModel]] = []
    for part in where:
        chosen = next((option for option in options if part == _tag(option)), None)
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


def _tag(model: type[BaseModel]) -> str | None:
    tags = typing.get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()
    return tags[0] if tags else None


def _tags(owner: type[BaseModel], field: str) -> list[str | None]:
    return [_tag(model) for model in _models_in(owner.model_fields[field].annotation)]
