"""What a tracker is told of a run: plain values, whichever tracker it is, and whether the run trains or is stored.

Losses are mean losses over images in nats, accuracies are percentages, times are seconds since 1970 (UTC).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import accumulate
from typing import Literal

from stepladder._base.files import name_for
from stepladder.datasets.data import describe
from stepladder.ladders.checking import teacher_rung
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.ladder import Plan, Rung
from stepladder.networks.geometry import Network
from stepladder.reporting.tables import change
from stepladder.runs.frames import columns
from stepladder.runs.run import Epoch, Run, RunIdentity, experiment_key
from stepladder.runs.stats import accuracy, balanced_accuracy, train_accuracy

WITHOUT_A_LADDER = "stepladder"  # the project of experiments that are on no ladder that is known
SPLITS = {"test": "test", "dev": "validation"}

State = Literal["running", "stopped", "finished", "diverged"]
Value = str | int | float | bool


@dataclass(frozen=True)
class Place:
    """Where a run belongs: a ladder, and a rung on it. ``about`` has what is to be said of that rung, word by word."""

    project: str
    group: str
    about: Mapping[str, str]


@dataclass(frozen=True)
class Point:
    """An epoch, counted from 1: when it ended, and what was measured in it, by names such as ``test/accuracy``."""

    epoch: int
    at_s: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker is told of it. ``id`` is 16 hex digits, always the same for an experiment, seed and engine.

    ``params`` are the fields of its recipe. ``tags`` say where it belongs and what trained it. A run that is
    ``running`` is told again with more points; one that is ``stopped`` may be. The last point of any other is its last.
    """

    id: str
    project: str
    group: str
    seed: int
    params: Mapping[str, Value]
    tags: Mapping[str, str]
    points: tuple[Point, ...]
    began_s: float
    state: State

    @property
    def name(self) -> str:
        """What it is called among the runs of its project."""
        return f"{self.group}, seed {self.seed}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("finished", "diverged")

    @property
    def ended_s(self) -> float:
        """When its last epoch ended, of those that are told."""
        return self.points[-1].at_s if self.points else self.began_s


def folder_of(project: str) -> str:
    """A project's name as that of a folder, and never another's: six digits stand for what is not in it."""
    name = name_for(project, "")
    return name if name == project else f"{name}-{sha256(project.encode()).hexdigest()[:6]}"


def of_run(run: Run, place: Place) -> TrackedRun:
    """A stored run. Its epochs end before the time that it was stored at, as far as they took."""
    over = {} if run.diverged_at_epoch is None else {"diverged_at_epoch": str(run.diverged_at_epoch)}
    ended_s = datetime.fromisoformat(run.provenance.finished_at).timestamp()
    state: State = "finished" if run.diverged_at_epoch is None else "diverged"
    return _told(run.identity, run.epochs, place, ended_s=ended_s, state=state, more=over)


def of_epochs(
    identity: RunIdentity, epochs: Sequence[Epoch], place: Place, *, ended_s: float | None = None, stopped: bool = False
) -> TrackedRun:
    """A run that is being trained, whose last epoch has ended just now or then."""
    ended_s = time.time() if ended_s is None else ended_s
    return _told(identity, epochs, place, ended_s=ended_s, state="stopped" if stopped else "running")


def _told(
    identity: RunIdentity,
    epochs: Sequence[Epoch],
    place: Place,
    *,
    ended_s: float,
    state: State,
    more: Mapping[str, str] | None = None,
) -> TrackedRun:
    took_s = [epoch.train_s + epoch.evaluate_s for epoch in epochs]
    began_s = ended_s - sum(took_s)
    times = [began_s + behind for behind in accumulate(took_s)]
    split = SPLITS[identity.data.evaluate_on]
    points = (
        Point(number, at_s, measured(epoch, split))
        for number, (at_s, epoch) in enumerate(zip(times, epochs, strict=True), 1)
    )
    return TrackedRun(
        id=sha256(identity.key.encode()).hexdigest()[:16],
        project=place.project,
        group=place.group,
        seed=identity.seed,
        params=_params(identity),
        tags={**place.about, **_tags(identity), **(more or {})},
        points=tuple(points),
        began_s=began_s,
        state=state,
    )


def measured(epoch: Epoch, split: str) -> dict[str, float]:
    """The metrics of an epoch: mean losses in nats, accuracies in percent; ``train`` counts while weights move."""
    return {
        "train/loss": epoch.train_loss,
        "train/accuracy": float(train_accuracy(epoch)),
        f"{split}/loss": epoch.loss,
        f"{split}/accuracy": float(accuracy(epoch)),
        f"{split}/balanced_accuracy": float(balanced_accuracy(epoch)),
    }


def _params(identity: RunIdentity) -> dict[str, Value]:
    fields = dict(columns("recipe", identity.recipe.model_dump(mode="json")))
    return {name.removeprefix("recipe."): value for name, value in fields.items() if value is not None}


def _tags(identity: RunIdentity) -> dict[str, str]:
    return {
        "seed": str(identity.seed),
        "engine": str(identity.engine),
        "experiment": identity.experiment,
        "data": identity.data.name,
        "evaluated_on": SPLITS[identity.data.evaluate_on],
    }


def places(ladder: Plan) -> dict[str, Place]:
    """The places on a ladder by the keys of their experiments; a rung's teacher is called so. Raises DataError."""
    found: dict[str, Place] = {}
    data = data_identity(ladder)
    for group, rung, about in _groups(ladder):
        network = rung.network(describe(ladder.data).image)
        said = {"ladder": ladder.name, "rung": group, **about, **sizes(network)}
        found.setdefault(experiment_key(rung.recipe, data), Place(ladder.name, group, said))
    return found


def _groups(ladder: Plan) -> Iterator[tuple[str, Rung, dict[str, str]]]:
    below = {above.name: rung for rung, above in ladder.steps}
    for rung in ladder.trained:
        words = change(rung, below[rung.name]) if rung.name in below else ", ".join(rung.changes) or "start"
        yield rung.name, rung, {"change": words, "why": rung.why}
    for rung in ladder.trained:
        if teacher := teacher_rung(rung):
            yield f"teacher of {rung.name}", teacher, {}


def nowhere(experiment: str, network: Network | None) -> Place:
    """The place of an experiment that is on no ladder: its key names it."""
    return Place(WITHOUT_A_LADDER, experiment, sizes(network) if network else {})


def sizes(network: Network) -> dict[str, str]:
    """Trainable parameters, and multiply-adds of one image, forward."""
    return {"params": str(network.params), "macs": str(network.macs)}
