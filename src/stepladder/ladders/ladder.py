"""The nouns of a ladder: Budget, Target, Rung, Ladder. How they are read from a file is in ladder_file."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from stepladder._base.wording import n_of, shown
from stepladder.datasets.sources import DataInfo
from stepladder.errors import GeometryError, LadderError
from stepladder.networks.geometry import ImageShape, Network
from stepladder.recipes.recipe import Frozen, Recipe

Split = Literal["dev", "test"]

COMPARISONS = 5  # that a ladder is taken to grow to


def _exact(value: object) -> object:
    """99.4 as written, not as the nearest binary fraction: repr() of a float gives its shortest decimal form."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(repr(value))
    raise LadderError(f"a percentage is a number such as 99.4, without quotes, not {shown(value)}")


Percent = Annotated[Decimal, BeforeValidator(_exact), PlainSerializer(float)]


def _no_fraction(value: Decimal) -> Decimal:
    """Refuse 0.99 where 99 is meant: nobody aims at one right answer in a hundred."""
    if value <= 1:
        meant = f"{(100 * value).normalize():f}" if value > Decimal("0.0001") else "99"
        raise LadderError(f"accuracy is in percent, and {value:g} is {value:g}%: write {meant} for {meant}%")
    return value


Accuracy = Annotated[Percent, AfterValidator(_no_fraction)]


class Budget(Frozen):
    """What a rung may cost at the most."""

    params: int = Field(ge=1, description="trainable numbers, at most")
    epochs: int = Field(ge=1, description="epochs of training, at most")


class Target(Frozen):
    """What a rung is to reach: accuracy, or balanced accuracy, at or above a percentage at each of the last epochs."""

    accuracy: Accuracy = Field(gt=0, le=100, description="accuracy in percent")
    last_epochs: int = Field(5, ge=1, description="how many epochs, counted from the last one back, must reach it")
    balanced: bool = Field(
        False, description="whether it speaks of balanced accuracy: each class counts alike, however many images it has"
    )

    @property
    def measure(self) -> str:
        """What it speaks of, in words."""
        return "balanced accuracy" if self.balanced else "accuracy"

    def essence(self) -> dict[str, Any]:
        """Its fields as JSON values, but for one that is as it was before there was a choice."""
        return self.model_dump(mode="json", exclude=set() if self.balanced else {"balanced"})


def _dev_images(n_train: int) -> str:
    """How many images can be held out of so many."""
    if n_train < 2:
        return "at least 2 are needed to train on some and hold some out"
    return f"set dev_images to at most {n_train - 1:,}, as in dev_images = {max(1, n_train // 6)}"


@dataclass(frozen=True, kw_only=True)
class Rung:
    """An experiment: the recipe of the rung below plus exactly one change, and why.

    ``changes`` names the changed concepts: none for the bottom rung, one for any other, more than one only where the
    ladder gives a reason in ``compound``. ``budget`` and ``target`` are those in force on this rung. ``line`` is where
    its file begins it, from 1, ``change_line`` where its change or recipe does, and ``layer_lines`` where the layers of
    its network stand, perhaps in a rung below; 0 and none for a rung of no file.
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
class Ladder:
    """A series of rungs on one data set.

    ``data`` is ``"mnist"`` or the path of a folder or ``.npz`` file; ``data_sha256`` pins it. ``evaluate_on`` names
    the split that accuracies are measured on: ``dev_images`` held out of the training images, or the set's own
    validation images where it has some and no ``dev_images`` are given; or the test images. What verdicts promise, they
    promise for so many ``comparisons`` together, however few rungs there are yet.
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

    def n_dev(self, n_train: int) -> int:
        """How many of the training images are held out as dev: a sixth unless told; 0 when evaluated on test."""
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
    def top(self) -> "Ladder":
        """The top rung alone."""
        return replace(self, rungs=self.rungs[-1:])

    def rung(self, name: str) -> Rung:
        for rung in self.rungs:
            if rung.name == name:
                return rung
        raise LadderError(f"ladder {self.name!r} has no rung {name!r}; it has {', '.join(r.name for r in self.rungs)}")


def budget_excess(rung: Rung, network: Network) -> list[str]:
    """How a rung is over its budget, one sentence each; empty when it is within."""
    excess = []
    over_params = network.params - rung.budget.params
    if over_params > 0:
        largest = network.largest
        excess.append(
            f"rung {shown(rung.name)} has {n_of(network.params, 'parameter')}, {over_params:,} over its budget of"
            f" {rung.budget.params:,}; its largest layer is layer {largest.index + 1} ('{largest.layer}')"
            f" with {largest.params:,}"
        )
    over_epochs = rung.recipe.epochs - rung.budget.epochs
    if over_epochs > 0:
        excess.append(
            f"rung {shown(rung.name)} trains for {n_of(rung.recipe.epochs, 'epoch')}, {over_epochs} over its budget of"
            f" {rung.budget.epochs}"
        )
    return excess
