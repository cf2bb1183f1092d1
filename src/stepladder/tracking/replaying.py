"""The runs of a store as trackers are told of them, one after the other."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stepladder.datasets.sources import MNIST, MNIST_SHA256
from stepladder.errors import StepladderError
from stepladder.ladders.ladder import Plan
from stepladder.networks.geometry import ImageShape, Network
from stepladder.runs.housekeeping import Experiment, experiments
from stepladder.runs.results import Results
from stepladder.runs.run import Run, experiment_key
from stepladder.runs.store import Store
from stepladder.runs.weight_files import WRONG, examined
from stepladder.tracking.told import Place, TrackedRun, nowhere, of_run, places
from stepladder.tracking.trackers import Tracker, told


@dataclass(frozen=True)
class Replayed:
    """A run that a tracker was told of; ``is_new`` if it had not been there, or not whole."""

    run: TrackedRun
    is_new: bool


def replay(runs: Iterable[TrackedRun], tracker: Tracker) -> Iterator[Replayed]:
    """Tell a tracker of runs; raises TrackerError at the first that it does not take."""
    for run in runs:
        yield Replayed(run, told(tracker, run))


def stored_runs(store: Store, ladders: Sequence[Plan], *, only: bool) -> Iterator[TrackedRun]:
    """A store's finished and diverged runs; ``only`` those on these ladders, once for each of them.

    Otherwise all, each in the first place that one of the ladders has for it, or under its experiment's key. Files that
    cannot be read are noted in the store, and left out. Raises DataError for the ladders' images.
    """
    named = [places(ladder) for ladder in ladders]
    for experiment in experiments(store, ladders, only=only):
        here = [each[experiment.folder] for each in named if experiment.folder in each]
        if not only:
            here = (here or [nowhere(experiment.folder, _network(store, experiment))])[:1]
        yield from _runs_of(store, experiment, here)


def _runs_of(store: Store, experiment: Experiment, here: Sequence[Place]) -> Iterator[TrackedRun]:
    for stored in experiment.runs:
        if stored.state in ("damaged", "newer"):
            store.notes.append(f"{store.folder / stored.key}: {stored.problem}: left out")
        if stored.run is not None:
            yield from (of_run(stored.run, place) for place in here)


def _network(store: Store, experiment: Experiment) -> Network | None:
    """That of an experiment's runs, where what they kept says which images it is for."""
    for stored in experiment.runs:
        if stored.run is not None and (image := _image(store, stored.run)) is not None:
            return stored.run.identity.recipe.network_for(image)
    return None


def _image(store: Store, run: Run) -> ImageShape | None:
    """What a run's images are like, if they are MNIST's or its weights tell; what is damaged tells nothing."""
    if run.identity.data.sha256 == MNIST_SHA256:
        return MNIST.image
    with suppress(StepladderError, *WRONG):
        about = examined(store.weights_file(run), path=Path(run.identity.key)).about or {}
        return ImageShape(channels=about["channels"], size=about["size"], n_classes=len(about["class_names"]))
    return None


def runs_of(results: Results) -> Iterator[TrackedRun]:
    """The runs of results, as they were collected."""
    known = places(results.ladder)
    for result in results.trained:
        for run in result.runs:
            yield of_run(run, known[experiment_key(run.identity.recipe, run.identity.data)])
