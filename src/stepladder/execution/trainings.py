"""Runs on their way through a queue: where each stands, and which go through the same epochs together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from uuid import uuid4

from stepladder.runs.run import Epoch, RunIdentity


class Job(Protocol):
    """A run that is wanted; its text names it in messages."""

    @property
    def identity(self) -> RunIdentity: ...

    @property
    def macs_per_epoch(self) -> int: ...


J = TypeVar("J", bound=Job)


@dataclass(eq=False)
class Training(Generic[J]):
    """A run on its way: who wants it, where it stands, which runs it learns from, and how it is tried.

    ``resumes`` if it was interrupted since its checkpoint.
    """

    identity: RunIdentity
    name: str
    teachers: tuple[RunIdentity, ...]
    jobs: list[J] = field(default_factory=list)
    waits_for: set[str] = field(default_factory=set)  # keys
    has_begun: bool = False
    checkpoint: bytes | None = None
    epochs: Sequence[Epoch] = ()
    resumes: bool = True
    number: int = 1  # of this try

    @property
    def key(self) -> str:
        return self.identity.key

    def goes_with(self, other: "Training[J]") -> bool:
        """Whether both can be trained together, if they stand at the same epoch. What has failed is tried alone."""
        ours, theirs = self.identity, other.identity
        return self.number == 1 and (ours.engine, ours.data, ours.recipe) == (theirs.engine, theirs.data, theirs.recipe)


@dataclass(eq=False)
class Piece(Generic[J]):
    """Trainings of one experiment that go through the same epochs together, most often one. ``ticket`` names them
    where they are trained.
    """

    trainings: list[Training[J]]
    ticket: str = field(default_factory=lambda: uuid4().hex)


def teachers_of(identity: RunIdentity) -> tuple[RunIdentity, ...]:
    """The runs that a run learns from, if any: ones like any others."""
    recipe, distill = identity.recipe.teacher, identity.recipe.distill
    if recipe is None or distill is None:
        return ()
    seeds = distill.seeds_for(identity.seed)
    return tuple(identity.model_copy(update={"recipe": recipe, "seed": seed}) for seed in seeds)
