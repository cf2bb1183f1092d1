"""Rungs: a Plan has some, in no order, and a Ladder has them one above another. How they are read is in ladder_file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from stepladder._base.given import require
from stepladder._base.late import Drawn, late
from stepladder._base.wording import n_of, shown
from stepladder.datasets.sources import DataInfo
from stepladder.errors import GeometryError, LadderError
from stepladder.ladders import rules
from stepladder.ladders.terms import Budget, Target
from stepladder.networks.geometry import ImageShape, Network
from stepladder.recipes.recipe import Recipe, changed_fields

if TYPE_CHECKING:
    from stepladder.ladders.checking import Check

Split = Literal["dev", "test"]

COMPARISONS = 5  # that a ladder is taken to grow to


def _dev_images(n_train: int) -> str:
    """How many of this many images can be held out."""
    if n_train < 2:
        return "at least 2 are needed to train on some and hold some out"
    return f"set dev_images to at most {n_train - 1:,}, as in dev_images = {max(1, n_train // 6)}"


@dataclass(frozen=True, kw_only=True)
class Rung:
    """An experiment: the recipe of the rung below plus exactly one change, and why.

    ``changes`` names the changed fields of the recipe: none for the bottom rung, one for any other. More than one, or
    more than one distortion of ``augment``, there are only where the ladder gives a reason in ``compound``. ``budget``
    and ``target`` are those in force on this rung. ``line`` is where its file begins it, from 1, ``change_line`` where
    its change or recipe does, and ``layer_lines`` where the layers of its network stand, perhaps in a rung below; 0 and
    none for a rung of no file.
    """

    name: str
    why: str
    recipe: Recipe
    changes: tuple[str, ...]
    compound: str | None
    budget: Budget
    target: Target
    line: int = field(default=0, compare=False)
    change_line: int = field(default=0, compare=False)
    layer_lines: tuple[int, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        changed = f"changes {', '.join(self.changes)}" if self.changes else "the start"
        return f"<Rung {shown(self.name)}: {changed}>"

    @property
    def is_of_file(self) -> bool:
        """Whether it was read from a file, and not built in Python: messages speak of what was written there."""
        return self.line > 0

    def line_of_layer(self, index: int | None) -> int:
        """The line of a layer of its network, of the last for None; that of the rung where it is not known."""
        lines = self.layer_lines
        return self.line if not lines else lines[-1 if index is None else min(index, len(lines) - 1)]

    def network(self, image: ImageShape) -> Network:
        """The rung's network on these images; raises GeometryError that names the rung."""
        try:
            return self.recipe.network_for(image)
        except GeometryError as error:
            raise GeometryError(f"rung {self.name!r}: {error}", layer_index=error.layer_index) from None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A rung that hangs on another one of a ladder, ``on``: that one plus exactly one change, and no step of it.

    So an ablation is a star: its variants are compared with one rung, and what stands above builds on that rung alone.
    """

    on: str
    rung: Rung


@dataclass(frozen=True, kw_only=True)
class Plan(Drawn):
    """Rungs on one data set, in no order: each is trained by itself, as those that a ladder's top has one change less.

    ``data`` is ``"mnist"``, the path of a folder or ``.npz`` file, or what else a source reads (datasets.kinds);
    ``data_sha256`` pins it. ``evaluate_on`` names the split that accuracies are measured on: ``dev_images`` held out of
    the training images, or the set's own validation images where it has some and no ``dev_images`` are given; or the
    test images. What verdicts promise, they promise for this many ``comparisons`` together, however few rungs there are
    yet.
    """

    name: str
    about: str
    source: str
    data: str
    data_sha256: str | None
    evaluate_on: Split
    dev_images: int | None
    rungs: tuple[Rung, ...]
    comparisons: int = COMPARISONS

    def __repr__(self) -> str:
        names = ", ".join(rung.name for rung in self.rungs)
        return f"<{type(self).__name__} {shown(self.name)} on {shown(self.data)}: {shown(names)[1:-1]}>"

    def check(self, *, seeds: int = 8, jobs: int | None = None, store: str | Path = "runs") -> "Check":
        """Sizes, receptive fields, budgets, and the time that a climb with this many ``seeds`` takes; trains nothing.

        Printed, it is the page of ``stepladder check``. ``jobs`` are processes, one per core unless given; speeds are
        those measured in the ``store``, if there is one. Being over budget is a finding (``excess``). Raises DataError,
        and LadderError for what cannot be trained on these images.
        """
        found: Check = late("api.verbs:check")(self, seeds=seeds, jobs=jobs, store=store)
        return found

    def n_dev(self, n_train: int) -> int:
        """How many training images the validation split holds out: a sixth unless told; 0 when evaluated on test."""
        if self.evaluate_on == "test":
            return 0
        size = n_train // 6 if self.dev_images is None else self.dev_images
        if not 0 < size < n_train:
            raise LadderError(
                f"{self.source}: cannot hold {size:,} dev images out of {n_train:,} training images:"
                f" {_dev_images(n_train)}"
            )
        return size

    def uses_own_validation(self, info: DataInfo) -> bool:
        """Whether dev is the set's own validation part: it has one, and no ``dev_images`` are held out instead."""
        return self.evaluate_on == "dev" and self.dev_images is None and info.n_validation > 0

    def n_trained(self, info: DataInfo) -> int:
        """How many of a set's training images are trained on."""
        return info.n_train if self.uses_own_validation(info) else info.n_train - self.n_dev(info.n_train)

    def n_evaluated(self, info: DataInfo) -> int:
        """How many images each epoch is evaluated on."""
        if self.uses_own_validation(info):
            return info.n_validation
        return self.n_dev(info.n_train) or info.n_test

    def place(self, line: int) -> str:
        """``mine.toml:12``, as a message begins; the file alone where no line is known."""
        return f"{self.source}:{line}" if line else self.source

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What hangs on its rungs; only a ladder has some."""
        return ()

    @property
    def trained(self) -> tuple[Rung, ...]:
        """All that a climb trains: the rungs, then their variants."""
        return (*self.rungs, *(variant.rung for variant in self.variants))

    @property
    def steps(self) -> tuple[tuple[Rung, Rung], ...]:
        """Each rung and variant that is another rung plus its change, with that one. In a plan there need be none."""
        pairs = pairwise(self.rungs)
        up = (pair for pair in pairs if pair[1].changes == changed_fields(*(each.recipe for each in pair)))
        return (*up, *((self.rung(variant.on), variant.rung) for variant in self.variants))

    def with_rungs(self, rungs: Sequence[Rung]) -> "Plan":
        """These rungs, on the same images, as a plan; without any variants."""
        own = {each.name: getattr(self, each.name) for each in fields(Plan)}
        return Plan(**own | {"rungs": tuple(rungs)})

    @property
    def top(self) -> "Plan":
        """The top rung alone."""
        return self.with_rungs(self.rungs[-1:])

    def rung(self, name: str) -> Rung:
        """The rung or variant of this name."""
        for rung in self.trained:
            if rung.name == name:
                return rung
        names = ", ".join(each.name for each in self.trained)
        raise LadderError(f"ladder {self.name!r} has no rung {name!r}; it has {names}")


def require_ladder(value: Any, *, of: str) -> None:
    """Raise LadderError for what is no ladder, given to a function of this name."""
    require(Plan, value, of=of, takes="a ladder", remedy='sl.load("mine.toml") reads one, sl.ladder(...) begins one')


@dataclass(frozen=True, kw_only=True, repr=False)
class Ladder(Plan):
    """Rungs one above another: each is the rung below plus exactly one change. Variants hang on some of them.

    Whoever builds one is held to that. LadderError says all that is broken: two changes that are not declared compound,
    none, one that does nothing, ``changes`` that are not what differs, a name that is there twice, a budget that is
    looser or a target that is lower than below, a target of more epochs than are trained. A variant is held to what a
    rung in its place would be. Several distortions at once that are not declared compound were allowed once: they are
    no reason not to read a ladder, but ``check`` and ``climb`` refuse it (checking.require_declared).
    """

    variants: tuple[Variant, ...] = ()

    def __post_init__(self) -> None:
        if broken := [f"{self.place(rung.line)}: {text}" for rung, text in self._broken()]:
            raise LadderError("\n".join(broken))

    def then(
        self,
        name: str,
        *,
        why: str,
        compound: str | None = None,
        budget: Budget | Mapping[str, Any] | None = None,
        target: Target | Mapping[str, Any] | None = None,
        **change: Any,
    ) -> "Ladder":
        """This ladder with one rung more: the top rung with one field of its recipe changed, as in ``dropout=0.05``.

        ``compound`` says why several change at once; ``budget`` and ``target`` are those from this rung up, tighter or
        higher than below: values, or tables of what is new in them. Raises, at the call, LadderError for what a ladder
        file is refused for, GeometryError for a network that does not fit its images, and BudgetError for one that is
        over the budget.
        """
        new: Ladder = late("ladders.building:with_rung")(
            self, name, why=why, compound=compound, budget=budget, target=target, change=change
        )
        return new

    def variant(
        self, name: str, *, why: str, on: str | None = None, compound: str | None = None, **change: Any
    ) -> "Ladder":
        """This ladder with a variant: the rung ``on``, the top one unless given, with one field of its recipe changed.

        What stands above builds on the rung alone. Raises, at the call, what ``then`` raises.
        """
        new: Ladder = late("ladders.building:with_variant")(
            self, name, on=on, why=why, compound=compound, change=change
        )
        return new

    def to_toml(self, *, folder: str | Path = ".") -> str:
        """The ladder as the text of a file in a ``folder``, from which the path of its images is written.

        Read again it is the same ladder. Raises LadderError for a change that TOML has no word for: to nothing.
        """
        text: str = late("ladders.ladder_toml:as_toml")(self, folder=Path(folder))
        return text

    def _broken(self) -> Iterator[tuple[Rung, str]]:
        if not self.rungs:
            raise LadderError(f"{self.source}: a ladder has at least one rung")
        if self.evaluate_on not in get_args(Split):
            raise LadderError(f"{self.source}: evaluate_on should be 'dev' or 'test', not {shown(self.evaluate_on)}")
        if self.comparisons < 1:
            raise LadderError(f"{self.source}: comparisons should be at least 1, not {self.comparisons}")
        names = [rung.name for rung in self.trained]
        for at, rung in enumerate(self.trained):
            who = (rules.rung if at < len(self.rungs) else rules.variant)(rung.name, in_file=rung.is_of_file)
            if rung.name in names[:at]:
                yield rung, rules.twice(rung.name)
            yield from ((rung, text) for _, text in rules.of_epochs(who, rung.recipe, rung.target))
        yield from ((self.rungs[0], text) for text in _broken_bottom(self.rungs[0]))
        for below, rung in pairwise(self.rungs):
            who = rules.rung(rung.name, in_file=rung.is_of_file)
            yield from ((rung, text) for text in _broken_above(who, below, rung))
        for each in self.variants:
            yield from ((each.rung, text) for text in self._broken_variant(each))

    def _broken_variant(self, variant: Variant) -> Iterator[str]:
        below = next((rung for rung in self.rungs if rung.name == variant.on), None)
        if below is None:
            rungs = ", ".join(rung.name for rung in self.rungs)
            yield (
                f"variant {shown(variant.rung.name)} hangs on {shown(variant.on)}, which is no rung of this ladder:"
                f" hang it on one of {rungs}"
            )
            return
        who = rules.variant(variant.rung.name, in_file=variant.rung.is_of_file)
        yield from _broken_above(who, below, variant.rung)


def _broken_bottom(rung: Rung) -> Iterator[str]:
    if rung.changes or rung.compound:
        yield f"rung {shown(rung.name)} is the bottom rung, and changes nothing: give it no changes and no compound"


def _broken_above(who: rules.Who, below: Rung, rung: Rung) -> Iterator[str]:
    changes = changed_fields(below.recipe, rung.recipe)
    if set(rung.changes) != set(changes) and changes:
        said, found = (", ".join(each) or "nothing" for each in (rung.changes, changes))
        yield f"{who} says that it changes {said}, and its recipe changes {found}: make them agree"
        return
    found_rules = (
        rules.of_changes(who, below.recipe, rung.recipe, changes=changes, compound=rung.compound),
        rules.of_budget(who, below.budget, rung.budget),
        rules.of_target(who, below.target, rung.target),
    )
    yield from (text for found in found_rules for _, text in found)


def budget_excess(rung: Rung, network: Network, *, who: str | None = None) -> list[str]:
    """How a rung, or ``who`` it is in words, is over its budget, one sentence each; empty when it is within."""
    who = who or f"rung {shown(rung.name)}"
    excess = []
    over_params = network.params - rung.budget.params
    if over_params > 0:
        largest = network.largest
        excess.append(
            f"{who} has {n_of(network.params, 'parameter')}, {over_params:,} over its budget of"
            f" {rung.budget.params:,}; its largest layer is layer {largest.index + 1} ('{largest.layer}')"
            f" with {largest.params:,}"
        )
    over_epochs = rung.recipe.epochs - rung.budget.epochs
    if over_epochs > 0:
        excess.append(
            f"{who} trains for {n_of(rung.recipe.epochs, 'epoch')}, {over_epochs} over its budget of"
            f" {rung.budget.epochs}"
        )
    return excess
