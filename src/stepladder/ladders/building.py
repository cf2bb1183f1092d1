"""Ladders that a program builds, rung by rung: held at each call to what a ladder file is held to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from stepladder._base.frozen import Frozen
from stepladder._base.wording import did_you_mean, shown
from stepladder.datasets import data as data_sets
from stepladder.datasets.kinds import is_named
from stepladder.datasets.spec import DataSpec, spec_of
from stepladder.errors import LadderError
from stepladder.ladders import rules
from stepladder.ladders.checking import check_rungs, require_declared, require_effects, require_within_budget
from stepladder.ladders.faults import refusal
from stepladder.ladders.ladder import COMPARISONS, Ladder, Rung, Split, Variant
from stepladder.ladders.ladder_toml import LadderEntry, RungEntry
from stepladder.ladders.terms import Budget, Target
from stepladder.recipes.recipe import Recipe, changed_fields

F = TypeVar("F", bound=Frozen)

_EXAMPLES: dict[type[Frozen], str] = {Budget: 'budget={"params": 8_000}', Target: 'target={"accuracy": 99.4}'}


@dataclass(frozen=True, kw_only=True)
class LadderStart:
    """A ladder without rungs: ``start`` gives it its first."""

    name: str
    about: str
    data: str
    data_sha256: str | None
    evaluate_on: Split
    dev_images: int | None
    comparisons: int
    budget: Budget
    target: Target

    def __repr__(self) -> str:
        return f"<LadderStart {shown(self.name)}: .start(name, recipe, why=...) makes it a ladder>"

    def start(self, name: str, recipe: Recipe | Mapping[str, Any], *, why: str) -> Ladder:
        """The ladder with its bottom rung, which has a whole recipe.

        Raises LadderError, GeometryError and BudgetError as ``Ladder.then`` does.
        """
        _read(RungEntry, {"name": name, "why": why}, of=_place(self.name, name))
        rung = Rung(
            name=name,
            why=why.strip(),
            recipe=_read(Recipe, recipe, of=_place(self.name, name)),
            changes=(),
            compound=None,
            budget=self.budget,
            target=self.target,
        )
        return _sound(
            Ladder(
                name=self.name,
                about=self.about,
                source=self.name,
                data=self.data,
                data_sha256=self.data_sha256,
                evaluate_on=self.evaluate_on,
                dev_images=self.dev_images,
                rungs=(rung,),
                comparisons=self.comparisons,
            )
        )

    def then(self, name: str, **_: Any) -> NoReturn:
        """Refuse a rung above nothing."""
        raise LadderError(
            f"{_place(self.name, name)}: there is no rung below it: begin with .start(name, recipe, why=)"
        )


def ladder(
    name: str,
    *,
    budget: Budget | Mapping[str, Any],
    target: Target | Mapping[str, Any],
    data: str | Path | Mapping[str, Any] | DataSpec = "mnist",
    about: str = "",
    evaluate_on: Split = "dev",
    dev_images: int | None = None,
    data_sha256: str | None = None,
    comparisons: int = COMPARISONS,
) -> LadderStart:
    """Begin a ladder: ``ladder(...).start(name, recipe, why=...).then(name, dropout=0.05, why=...)``.

    ``data`` is ``"mnist"``, the path of a folder or file of images from the working directory, or a table such as
    ``{"path": "photos", "resize": "pad", "size": (32, 32)}`` (see DataSpec).
    ``budget`` and ``target`` are those of the bottom rung. ``evaluate_on`` is ``"dev"`` (held out of the training
    images, ``dev_images`` of them, a sixth unless given) or ``"test"``. ``comparisons``: how many changes will be
    judged in all, also later. Each call gives a value of its own; nothing is trained, or written. Raises LadderError
    that says all that is wrong.
    """
    text = data_sets.text_of(data, of="data")
    limits = {"budget": budget, "target": target}
    given: dict[str, Any] = {"name": name, "about": about, "data": text, "evaluate_on": evaluate_on}
    given |= {"dev_images": dev_images, "data_sha256": data_sha256, "comparisons": comparisons}
    of = f"ladder {shown(name)}"
    _read(LadderEntry, given | limits | {"rung": [{}]}, of=of)
    if dev_images is not None and evaluate_on == "test":
        raise LadderError(f"{of}: dev_images holds images out of train, but evaluate_on is 'test': remove one")
    given["about"] = about.strip()
    return LadderStart(**given, budget=_read(Budget, budget, of=of), target=_read(Target, target, of=of))


def with_rung(
    below: Ladder,
    name: str,
    *,
    why: str,
    compound: str | None,
    budget: Budget | Mapping[str, Any] | None,
    target: Target | Mapping[str, Any] | None,
    change: Mapping[str, Any],
) -> Ladder:
    """What ``Ladder.then`` gives. Budgets and targets that are tables may say only what is new in them."""
    top = below.rungs[-1]
    of = _place(below.name, name)
    limits = {
        "budget": _limit(Budget, top.budget, budget, of=f"{of}: budget"),
        "target": _limit(Target, top.target, target, of=f"{of}: target"),
    }
    who = rules.rung(name, in_file=False)
    rung = _changed(below, top, who, why=why, compound=compound, change=change, limits=limits)
    return _sound(replace(below, rungs=(*below.rungs, rung)))


def with_variant(
    ladder: Ladder, name: str, *, on: str | None, why: str, compound: str | None, change: Mapping[str, Any]
) -> Ladder:
    """What ``Ladder.variant`` gives."""
    below = ladder.rungs[-1] if on is None else next((rung for rung in ladder.rungs if rung.name == on), None)
    if below is None:
        known = [rung.name for rung in ladder.rungs]
        raise LadderError(f"ladder {ladder.name!r} has no rung {shown(on)}{did_you_mean(str(on), known)}")
    limits = {"budget": below.budget, "target": below.target}
    who = rules.variant(name, in_file=False)
    if own := next((limit for limit in limits if limit in change), None):
        raise LadderError(f"{ladder.name}: {who}: leave {own} out: a variant has that of the rung that it hangs on")
    rung = _changed(ladder, below, who, why=why, compound=compound, change=change, limits=limits)
    place = {rung.name: at for at, rung in enumerate(ladder.rungs)}
    variants = sorted((*ladder.variants, Variant(on=below.name, rung=rung)), key=lambda each: place[each.on])
    return _sound(replace(ladder, variants=tuple(variants)))


def _changed(
    ladder: Ladder,
    below: Rung,
    who: rules.Who,
    *,
    why: str,
    compound: str | None,
    change: Mapping[str, Any],
    limits: dict[str, Any],
) -> Rung:
    """The rung below with a change."""
    of = f"{ladder.name}: {who}"
    _read(RungEntry, {"name": who.name, "why": why, "compound": compound}, of=of)
    stated = {field: getattr(below.recipe, field) for field in Recipe.model_fields} | dict(change)
    recipe = _read(Recipe, stated, of=of)
    for field in change:
        if getattr(recipe, field) == (value := getattr(below.recipe, field)):
            raise LadderError(f"{ladder.source}: {rules.unchanged(who, field, value, alone=len(change) == 1)}")
    changes = changed_fields(below.recipe, recipe)
    return Rung(name=who.name, why=why.strip(), recipe=recipe, changes=changes, compound=compound, **limits)


def _place(ladder: str, rung: str) -> str:
    return f"{ladder}: rung {shown(rung)}"


def _read(model: type[F], value: Any, *, of: str) -> F:
    """A value as a model. Raises LadderError that says ``of`` what it is, and all that is wrong."""
    try:
        return model.model_validate(dict(value) if isinstance(value, Mapping | model) else value)
    except ValidationError as error:
        raise refusal(model, error, of=of) from None


def _limit(model: type[F], below: F, given: F | Mapping[str, Any] | None, *, of: str) -> F:
    """What a rung is limited by: what is from below, and over it what it says. Raises LadderError."""
    if given is None:
        return below
    if not isinstance(given, Mapping | model):
        example = _EXAMPLES[model]
        raise LadderError(f"{of}: it should be an sl.{model.__name__} or a dict, not {shown(given)}: as in {example}")
    return _read(model, below.model_dump() | dict(given), of=of) if isinstance(given, Mapping) else given


def _sound(ladder: Ladder) -> Ladder:
    """The same ladder, if what is newest on it can be trained on its images within its budget, as far as is known.

    Images are known of MNIST, and of a set that is there; others are looked at by ``check`` and ``climb``.
    """
    part = ladder if ladder.variants else ladder.with_rungs(ladder.rungs[-2:])
    require_declared(part)
    if not is_named(ladder.data) and not Path(spec_of(ladder.data).path).exists():
        return ladder
    info = data_sets.describe(ladder.data)
    require_within_budget(part, check_rungs(part, info))
    require_effects(part, info)
    return ladder
