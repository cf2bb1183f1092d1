"""Run: the immutable record of one training, and its JSON form.

FORMAT_VERSION history: 1, the first.
"""

from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from typing import Any

from numpy.typing import NDArray
from pydantic import Field

from stepladder.data import (
    ImageSet,
    Splits,
    describe,
    fingerprint,
    load,
    require_sha256,
    split_rule,
    splits,
)
from stepladder.errors import DataError
from stepladder.ladder import Ladder, Split
from stepladder.recipe import Frozen, Recipe
from stepladder.split_rules import SplitRule

FORMAT_VERSION = 1

Arrays = dict[str, NDArray[Any]]


class DataIdentity(Frozen):
    """Which images were trained and evaluated on. ``dev_images`` is 0 when evaluated on test.

    Dev is chosen as ``split`` says (see split_rules): the last of the training images, or the ``dev_part``-th part of
    their size before those; so many of each class; or the set's own validation part, with its own SHA-256.
    """

    name: str
    sha256: str
    evaluate_on: Split
    dev_images: int
    dev_part: int = Field(0, ge=0)
    split: SplitRule = "last"
    validation_sha256: str | None = None

    def essence(self) -> dict[str, Any]:
        """What decides a number: not the name. What is as it always was before it could differ is left out."""
        before = {"dev_part": 0, "split": "last", "validation_sha256": None}
        essence = self.model_dump(exclude={"name"})
        return {name: value for name, value in essence.items() if name not in before or value != before[name]}


def data_identity(ladder: Ladder) -> DataIdentity:
    """Which images a ladder's runs are about. Raises DataError, also when they are not those the ladder pins."""
    info = describe(ladder.data)
    require_sha256(ladder.data, ladder.data_sha256)
    identity = DataIdentity(
        name=info.name, sha256=fingerprint(ladder.data), evaluate_on=ladder.evaluate_on, dev_images=0
    )
    if ladder.evaluate_on == "test":
        return identity
    if ladder.uses_own_validation(info):
        own = {"dev_images": info.n_validation, "split": "given"}
        return identity.model_copy(update=own | {"validation_sha256": load(ladder.data).validation_sha256})
    return with_dev_part(identity.model_copy(update={"dev_images": ladder.n_dev(info.n_train)}), ladder.data, part=0)


def with_dev_part(identity: DataIdentity, source: str, *, part: int) -> DataIdentity:
    """The same images with another part of the training images held out, by the rule that fits it."""
    rule = split_rule(source, n_dev=identity.dev_images, dev_part=part)
    return identity.model_copy(update={"dev_part": part, "split": rule})


def splits_for(images: ImageSet, identity: DataIdentity) -> Splits:
    """What is trained and evaluated on. Raises DataError if the set's own validation images are not those meant."""
    if identity.split == "given" and images.validation_sha256 != identity.validation_sha256:
        raise DataError(f"{images.name}: its own validation images are not those that the run was evaluated on")
    return splits(images, n_dev=identity.dev_images, dev_part=identity.dev_part, rule=identity.split)


class EngineIdentity(Frozen):
    """What computed the numbers: runs of engines that differ in any of these are never pooled.

    ``revision`` counts the changes of Stepladder's own training code that move any number.
    """

    name: str
    version: str
    device: str
    revision: int

    def __str__(self) -> str:
        return f"{self.name} {self.version} on {self.device}, revision {self.revision}"

    @property
    def tag(self) -> str:
        """The same, as a part of a file name."""
        return f"{self.name}-{self.version}-{self.device}-r{self.revision}"


class RunIdentity(Frozen):
    """All that decides a run's numbers."""

    recipe: Recipe
    data: DataIdentity
    seed: int = Field(ge=0)
    engine: EngineIdentity

    @property
    def experiment(self) -> str:
        """16 hex digits for recipe and data; the name of the data set is a label and does not count."""
        return experiment_key(self.recipe, self.data)

    @property
    def key(self) -> str:
        """Equal for two identities whose runs must be equal on one machine; the path of its files in a store."""
        return f"{self.experiment}/seed-{self.seed}.{self.engine.tag}"


def experiment_key(recipe: Recipe, data: DataIdentity) -> str:
    essence = {"recipe": recipe.essence(), "data": data.essence()}
    return sha256(dumps(essence, sort_keys=True).encode()).hexdigest()[:16]


class Epoch(Frozen):
    """What one epoch brought. Losses are means over images, in nats.

    ``n_train_correct`` counts during training: augmented images, dropout active, weights still moving.
    ``confusion[label][predicted]`` counts the evaluated images; its diagonal adds up to ``n_correct``.
    """

    n_train: int
    n_train_correct: int
    train_loss: float
    n_evaluated: int
    n_correct: int
    loss: float
    confusion: tuple[tuple[int, ...], ...]
    train_s: float
    evaluate_s: float


class WrongImage(Frozen):
    """An evaluated image that the final epoch's network got wrong, and how sure it was (softmax)."""

    index: int
    label: int
    predicted: int
    probability: float


class Provenance(Frozen):
    """Where a run came from: things that may differ between two runs of the same numbers."""

    versions: dict[str, str]
    cpu: str
    platform: str
    finished_at: str
    n_resumed: int


class Run(Frozen):
    """The record of one training. A run that diverged has no epochs from ``diverged_at_epoch`` (from 1) on."""

    identity: RunIdentity
    epochs: tuple[Epoch, ...]
    diverged_at_epoch: int | None
    wrong_images: tuple[WrongImage, ...]
    weights_sha256: str
    provenance: Provenance

    @property
    def final(self) -> Epoch | None:
        """The last epoch: a run's result. None if the run diverged."""
        return self.epochs[-1] if self.diverged_at_epoch is None else None

    @property
    def elapsed_s(self) -> float:
        return sum(epoch.train_s + epoch.evaluate_s for epoch in self.epochs)

    def numbers(self) -> dict[str, Any]:
        """All that must be equal, bit for bit, when the same identity is trained again: no times, no provenance."""
        record = self.model_dump(mode="json", exclude={"provenance"})
        for epoch in record["epochs"]:
            del epoch["train_s"], epoch["evaluate_s"]
        return record


@dataclass(frozen=True, eq=False)
class Progress:
    """A training after some of its epochs: enough to go on from, and to make a Run of at the end.

    ``arrays`` holds parameters, batch norm statistics and the optimizer's state. ``wrong_images`` are those of the
    last epoch.
    """

    epochs: tuple[Epoch, ...] = ()
    wrong_images: tuple[WrongImage, ...] = ()
    diverged_at_epoch: int | None = None
    n_resumed: int = 0
    arrays: Arrays | None = None

    def is_finished(self, recipe: Recipe) -> bool:
        return self.diverged_at_epoch is not None or len(self.epochs) == recipe.epochs
