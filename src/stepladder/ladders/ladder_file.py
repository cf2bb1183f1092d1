"""Ladders from TOML files, with errors that name the file, the line and the remedy."""

import re
import typing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from stepladder._base.given import A_PATH, require
from stepladder._base.wording import cut, did_you_mean, shown
from stepladder.datasets.kinds import is_named
from stepladder.datasets.spec import DataSpec
from stepladder.errors import LadderError
from stepladder.ladders import rules
from stepladder.ladders.faults import Fault, dotted, faults_of, listed, named
from stepladder.ladders.ladder import Ladder, Rung, Variant
from stepladder.ladders.ladder_text import LONGEST_PATH, file_meant, parsed, read_file
from stepladder.ladders.ladder_toml import FORMAT_VERSION, LadderEntry, RungEntry, VariantEntry
from stepladder.ladders.terms import Budget, Target
from stepladder.ladders.toml_lines import Location, line_of, lines_of, nearest
from stepladder.networks.ops import GlobalAvgPool
from stepladder.recipes.recipe import Recipe, changed_fields

__all__ = ["FORMAT_VERSION", "Location", "line_of", "load", "shipped"]

# What cannot be wrong, in the place of what is, so that all the rest can still be looked at.
ANY_BUDGET = Budget(params=2**63, epochs=2**63)
ANY_TARGET = Target(accuracy=Decimal(2), last_epochs=1)
ANY_RECIPE = Recipe(network=(GlobalAvgPool(),), epochs=100_000)

TABLES = ("recipe", "change", "budget", "target")  # of a rung


class Terms(typing.NamedTuple):
    """What is in force on a rung."""

    budget: Budget
    target: Target


M = typing.TypeVar("M", bound=BaseModel)


def shipped() -> tuple[str, ...]:
    """Names of the ladders that come with Stepladder."""
    folder = resources.files("stepladder.ladders") / "shipped"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name_or_path: str | Path) -> Ladder:
    """Load a shipped ladder by name, or any ladder by the path of its TOML file.

    Raises LadderError that names the file, and for each thing that is wrong in it the line and the remedy. A ladder is
    read from an ordinary file only: its data may stand beside it, and a climb that goes on reads it again.
    """
    require(A_PATH, name_or_path, of="load", takes="a ladder's name or path", remedy='as in sl.load("mine.toml")')
    name = str(name_or_path)
    if name in shipped():
        text = resources.files("stepladder.ladders").joinpath("shipped", f"{name}.toml").read_text(encoding="utf-8")
        return _Reader(text, name, Path()).read()
    if not name.endswith(".toml") and not _is_there(name):
        if beside := file_meant(Path(name), others=shipped()):
            raise LadderError(f"no ladder {shown(name)}; did you mean {shown(str(beside))}?")
        hint = did_you_mean(name, shipped())
        end = " A" if hint.endswith("?") else "; a"
        raise LadderError(f"no ladder {shown(name)}{hint}{end} file of your own ends in .toml")
    return _Reader(read_file(Path(name)), name, Path(name).parent).read()


def ladder_of(text: str, path: Path) -> Ladder:
    """The ladder of a text, as if it were read from a file at ``path``. Raises LadderError."""
    return _Reader(text, str(path), path.parent).read()


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a path too long, or with a NUL in it
        return False


class _RefusalError(Exception):
    """What is wrong in a part of a file."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)
        self.faults = faults


class _Reader:
    """One file on its way to a Ladder: what is wrong is noted, and all of it told at the end."""

    def __init__(self, text: str, file: str, folder: Path) -> None:
        self.text = text
        self.file = file
        self.folder = folder
        self.faults: list[Fault] = []
        self.names: set[str] = set()  # of rungs and variants so far

    def read(self) -> Ladder:
        tree = parsed(self.text, file=self.file)
        ladder = None
        with self.noting():
            self.check_version(tree)
            ladder = self.ladder(tree)
        if ladder is None or self.faults:
            raise LadderError(listed(self.faults, self.lines, cut(self.file, most=LONGEST_PATH)))
        return ladder

    def ladder(self, tree: dict[str, Any]) -> Ladder | None:
        """The ladder of a file; None where something about it was noted."""
        entry, data = None, ""
        with self.noting():
            entry = self.validate(LadderEntry, tree, ())
            if entry.dev_images is not None and entry.evaluate_on == "test":
                self.refuse(
                    ("dev_images",), "dev_images holds images out of train, but evaluate_on is 'test': remove one"
                )
            data = self.data(entry.data if isinstance(entry.data, DataSpec) else DataSpec(path=entry.data))
        rungs, variants = self.rungs(tree)
        if entry is None or self.faults:
            return None
        return Ladder(
            name=entry.name,
            about=entry.about.strip(),
            source=self.file,
            data=data,
            data_sha256=entry.data_sha256,
            evaluate_on=entry.evaluate_on,
            dev_images=entry.dev_images,
            rungs=tuple(rungs),
            variants=tuple(variants),
            comparisons=entry.comparisons,
        )

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Keep for the end what is refused inside."""
        try:
            yield
        except _RefusalError as refusal:
            self.faults += refusal.faults

    def check_version(self, tree: dict[str, Any]) -> None:
        version = tree.get("format_version", FORMAT_VERSION)
        if isinstance(version, int) and version > FORMAT_VERSION:
            self.refuse(
                ("format_version",),
                f"this ladder is of format {version}; this Stepladder reads up to {FORMAT_VERSION}: upgrade it",
            )

    def data(self, spec: DataSpec) -> str:
        """What names a data set, its path relative to the ladder's file; "mnist" and other words of sources stay."""
        data = spec.path
        if re.match("[A-Za-z][A-Za-z0-9+.-]+://", data):
            self.refuse(
                ("data",),
                f"data = {shown(data)}: nothing is fetched from the network: download it, and give the path of its"
                " file or folder",
            )
        if data != "mnist" and data.lower() == "mnist" and not (self.folder / data).exists():
            self.refuse(("data",), f'data = {shown(data)}: write it in small letters, data = "mnist"')
        try:
            return spec.text if is_named(data) else spec.at(str(self.folder / Path(data).expanduser())).text
        except (RuntimeError, ValueError) as error:
            self.refuse(("data",), f"data = {shown(data)}: {error} Write the folder's whole path")

    def rungs(self, tree: dict[str, Any]) -> tuple[list[Rung], list[Variant]]:
        """The rungs of a file, and what hangs on them.

        Above a rung whose recipe is wrong, only what is wrong in each of them alone is noted.
        """
        written = tree.get("rung")
        budget = self.known(Budget, tree.get("budget")) or ANY_BUDGET
        target = self.known(Target, tree.get("target")) or ANY_TARGET
        rungs: list[Rung] = []
        variants: list[Variant] = []
        for index, raw in enumerate(written if isinstance(written, list) else []):
            here = ("rung", index)
            entry, is_whole = self.entry(raw, here)
            who = rules.rung(entry.name, in_file=True)
            self.check_name(entry, here)
            budget, target = self.budget(entry, here, budget), self.target(entry, here, target)
            below = rungs[-1] if len(rungs) == index and rungs else None
            known = self.recipe(entry, here, below, who=who, is_whole=is_whole)
            rung = self.rung(entry, here, below, known, Terms(budget, target)) if known else None
            if rung and len(rungs) == index:
                self.check_epochs(rung, here, below, who=who)
                rungs.append(rung)
            variants += self.variants(raw, here, rung if len(rungs) > index else None)
        return rungs, variants

    def variants(self, raw: Any, on: Location, below: Rung | None) -> Iterator[Variant]:
        """What hangs on a rung; where that is not known, only what is wrong in each variant alone is noted."""
        written = raw.get("variant") if isinstance(raw, dict) else None
        for index, each in enumerate(written if isinstance(written, list) else []):
            here = (*on, "variant", index)
            entry, is_whole = self.entry(each, here)
            who = rules.variant(entry.name, in_file=True)
            self.check_name(entry, here)
            known = self.recipe(entry, here, below, who=who, is_whole=is_whole)
            if below and known:
                rung = self.rung(entry, here, below, known, Terms(below.budget, below.target))
                self.check_epochs(rung, here, below, who=who)
                yield Variant(on=below.name, rung=rung)

    def rung(
        self, entry: RungEntry, here: Location, below: Rung | None, known: tuple[Recipe, tuple[str, ...]], terms: Terms
    ) -> Rung:
        recipe, changes = known
        return Rung(
            line=nearest(self.lines, here),
            change_line=self.line_of_change(entry, here, changes),
            layer_lines=self.layer_lines(here, recipe, changes, below),
            name=entry.name,
            why=entry.why.strip(),
            recipe=recipe,
            changes=changes,
            compound=entry.compound,
            budget=terms.budget,
            target=terms.target,
        )

    def check_name(self, entry: RungEntry, here: Location) -> None:
        if entry.name in self.names:
            self.note((*here, "name"), rules.twice(entry.name))
        self.names.add(entry.name)

    @cached_property
    def lines(self) -> dict[Location, int]:
        return lines_of(self.text)

    def line_of_change(self, entry: RungEntry, here: Location, changes: tuple[str, ...]) -> int:
        """The line of the first thing that a rung changes, or of its recipe."""
        return nearest(self.lines, (*here, "recipe") if entry.recipe else (*here, "change", *changes[:1]))

    def layer_lines(
        self, here: Location, recipe: Recipe, changes: tuple[str, ...], below: Rung | None
    ) -> tuple[int, ...]:
        """Where the layers of a rung's network stand, in this rung or in one below."""
        if below and "network" not in changes:
            return below.layer_lines
        written = (*here, "change" if below else "recipe", "network")
        return tuple(nearest(self.lines, (*written, index)) for index in range(len(recipe.network)))

    def entry(self, raw: Any, here: Location) -> tuple[RungEntry, bool]:
        """A rung or variant as written, or as much of it as can be read; and whether its tables are as they should."""
        n_before = len(self.faults)
        with self.noting():
            if _is_variant(here):
                return RungEntry(**dict(self.validate(VariantEntry, raw, here))), True
            return self.validate(RungEntry, raw, here), True
        tables = {name: value for name, value in raw.items() if name in TABLES} if isinstance(raw, dict) else {}
        name = raw.get("name") if isinstance(raw, dict) else None
        entry = RungEntry.model_construct(
            name=name if isinstance(name, str) and name else f"{here[-2]} {int(here[-1]) + 1}",
            why="",
            **{name: value for name, value in tables.items() if isinstance(value, dict)},
        )
        return entry, all(where[len(here) :] in (("name",), ("why",)) for where, _ in self.faults[n_before:])

    def recipe(
        self, entry: RungEntry, here: Location, below: Rung | None, *, who: rules.Who, is_whole: bool
    ) -> tuple[Recipe, tuple[str, ...]] | None:
        """A rung's recipe and what it changes; None where they are not known."""
        with self.noting():
            if here == ("rung", 0):
                if is_whole and (entry.recipe is None or entry.change is not None or entry.compound is not None):
                    self.note(
                        here, f"{who} is the bottom rung: give it a whole 'recipe', no 'change' and no 'compound'"
                    )
                return None if entry.recipe is None else (self.validate(Recipe, entry.recipe, (*here, "recipe")), ())
            if entry.recipe is not None:
                self.refuse(
                    (*here, "recipe"),
                    f"{who} gives a whole recipe; only the bottom rung does: give its one 'change'",
                )
            if not entry.change:
                if is_whole:
                    self.refuse(here, f"{who} changes nothing: give it one 'change', or remove it")
                return None
            base = below.recipe if below else ANY_RECIPE
            stated = {name: getattr(base, name) for name in Recipe.model_fields} | entry.change
            recipe = self.validate(Recipe, stated, (*here, "change"))
            if below is None:
                return None
            changes = changed_fields(below.recipe, recipe)
            with self.noting():
                self.check_changes(entry, here, below, who=who, recipe=recipe, changes=changes)
            return recipe, changes
        return None

    def check_changes(
        self,
        entry: RungEntry,
        here: Location,
        below: Rung,
        *,
        who: rules.Who,
        recipe: Recipe,
        changes: tuple[str, ...],
    ) -> None:
        change = entry.change or {}
        for name in change:
            if name not in changes:
                value = getattr(below.recipe, name)
                self.refuse((*here, "change", name), rules.unchanged(who, name, value, alone=len(change) == 1))
        self.keep_to(rules.of_changes(who, below.recipe, recipe, changes=changes, compound=entry.compound), here)

    def budget(self, entry: RungEntry, here: Location, below: Budget) -> Budget:
        """The budget in force on a rung, that from below where its own is wrong."""
        if entry.budget is None:
            return below
        with self.noting():
            budget = self.validate(Budget, below.model_dump() | entry.budget, (*here, "budget"))
            self.keep_to(rules.of_budget(rules.rung(entry.name, in_file=True), below, budget), here)
            return budget
        return below

    def target(self, entry: RungEntry, here: Location, below: Target) -> Target:
        """The target in force on a rung, that from below where its own is wrong."""
        if entry.target is None:
            return below
        with self.noting():
            target = self.validate(Target, below.model_dump() | entry.target, (*here, "target"))
            self.keep_to(rules.of_target(rules.rung(entry.name, in_file=True), below, target), here)
            return target
        return below

    def check_epochs(self, rung: Rung, here: Location, below: Rung | None, *, who: rules.Who) -> None:
        """Note a target over more epochs than are trained, once for all rungs that have both of them from below."""
        pairs = {(each.recipe.epochs, each.target.last_epochs) for each in (rung, below) if each}
        if below and len(pairs) == 1:
            return
        for field, message in rules.of_epochs(who, rung.recipe, rung.target):
            self.note((*here, *field), message)

    def keep_to(self, broken: Iterable[rules.Broken], here: Location) -> None:
        """Refuse the first rule that a rung breaks."""
        for field, message in broken:
            self.refuse((*here, *field), message)

    def known(self, model: type[M], value: Any) -> M | None:
        """A value as a model; None where it is wrong, which is noted elsewhere."""
        try:
            return model.model_validate(value)
        except ValidationError:
            return None

    def validate(self, model: type[M], value: Any, here: Location) -> M:
        """The value as a model; refuses all that is wrong with it."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            places = [((*here, *inside), message) for inside, message in faults_of(model, error)]
            raise _RefusalError(*[(where, f"{dotted(named(where))}: {message}") for where, message in places]) from None

    def refuse(self, where: Location, message: str) -> NoReturn:
        raise _RefusalError((where, message))

    def note(self, where: Location, message: str) -> None:
        self.faults.append((where, message))


def _is_variant(here: Location) -> bool:
    return here[-2] == "variant"
