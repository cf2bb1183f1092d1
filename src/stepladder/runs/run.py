"""Run: the immutable record of one training, and its JSON form.

FORMAT_VERSION history: 1, the first. 2, the checksum covers the version; that of a checkpoint covers its whole file. 3,
the weights carry all else that their network needs (see weight_files); a record of weights that do not is still written
as 2, and checkpoints are as they were in 2.
"""

from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from typing import Any

from numpy.typing import NDArray
from pydantic import Field

from stepladder._base import registry
from stepladder._base.frozen import Frozen
from stepladder._base.wording import shown
from stepladder.ladders.evaluated import DataIdentity
from stepladder.recipes.recipe import Recipe

FORMAT_VERSION = 3
PLAIN_WEIGHTS_VERSION = CHECKPOINT_VERSION = 2
ENGINES = tuple(registry.ENGINES.built_in)  # the built-in ones
DEVICES = ("auto", "cpu", "cuda")
TOGETHER_REVISION = 2  # of the torch engine from which on several seeds may have been trained at once

Arrays = dict[str, NDArray[Any]]


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
    def trains_together(self) -> bool:
        """Whether last bits depend on how many seeds were trained at once, which no run tells."""
        return self.name == "torch" and self.revision >= TOGETHER_REVISION

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

    def __repr__(self) -> str:
        return f"<Epoch: {self.n_correct:,} of {self.n_evaluated:,} right, loss {self.loss:.4g}>"


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

    def __repr__(self) -> str:
        end = f"diverged at epoch {self.diverged_at_epoch}" if self.final is None else repr(self.final)[1:-1]
        return f"<Run of seed {self.identity.seed} on {shown(self.identity.data.name)}: {end}>"

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
