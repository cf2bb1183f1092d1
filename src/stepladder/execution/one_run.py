"""One run from its last checkpoint to its record in the store: what a worker does."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from platform import node, platform

from stepladder._base.machine import cpu_name, versions
from stepladder.datasets import data as data_sets
from stepladder.datasets import kinds
from stepladder.datasets.sources import DataInfo
from stepladder.engines import Engine, choose_engine
from stepladder.engines.training import initial_arrays, train, weights
from stepladder.errors import DataError, EngineError, StoreError
from stepladder.ladders.evaluated import DataIdentity, splits_for
from stepladder.runs.model import about_run
from stepladder.runs.run import EngineIdentity, Progress, Provenance, Run, RunIdentity
from stepladder.runs.store import Store
from stepladder.runs.weight_files import arrays_sha256, weights_file


@dataclass(frozen=True)
class Work:
    """What a worker needs besides a run's identity. ``source`` is Ladder.data.

    Without ``use_cache`` all machine code is compiled anew: after a first try that failed, the cache is not trusted.
    """

    source: str
    store: Path
    use_cache: bool = True

    def from_anywhere(self) -> "Work":
        """The same for a worker that stands in another folder."""
        return replace(self, source=kinds.from_anywhere(self.source), store=self.store.absolute())


def train_one(work: Work, identity: RunIdentity) -> list[str]:
    """Train one run from its last checkpoint; returns what is to be said of store and engine.

    Raises DataError if the images are no longer those that the run's identity names, EngineError if its engine is not
    the one here, StoreError if the store is not there.
    """
    store = _store(work.store)
    engine = _engine(identity.engine, use_cache=work.use_cache)
    splits = _splits(work.source, identity.data)
    if store.find(identity, set_aside=False) is not None:  # another climb has trained it meanwhile
        return store.notes
    store.notes.extend(engine.notes)
    progress = _resumed(store, identity, info=data_sets.describe(work.source))
    teachers = _teachers(work, identity, store)
    if any(each.diverged_at_epoch is not None for each in teachers):  # it answers nothing: neither can its student
        arrays = initial_arrays(identity.recipe.network_for(splits.image), identity.seed)
        finish(store, identity, progress=Progress(diverged_at_epoch=1, arrays=arrays), engine=engine, splits=splits)
        return store.notes
    taught_by = [store.weights(each, image=splits.image) for each in teachers]
    for after_epoch in train(
        engine, identity.recipe, splits=splits, seed=identity.seed, resume=progress, teachers=taught_by
    ):
        progress = after_epoch
        if progress.diverged_at_epoch is None:
            store.checkpoint(identity, progress)
        elif not engine.has_sound_code():
            store.partial_path(identity).unlink(missing_ok=True)
            note = f"the machine code of {identity.key} was damaged in its cache: compiled anew, trained from the start"
            return [*store.notes, note, *train_one(replace(work, use_cache=False), identity)]
    finish(store, identity, progress=progress, engine=engine, splits=splits)
    return store.notes


def _store(folder: Path) -> Store:
    """The store that the climb has opened; none is made, least of all where nobody looks for it."""
    try:
        return Store.open(folder)
    except StoreError as error:
        if (folder / "store.json").exists():
            raise
        raise StoreError(
            f"{error}; a worker on {node() or 'this machine'} looked for the store of the climb there, which has to be"
            " in a folder that all workers share, under the same path"
        ) from None


def _resumed(store: Store, identity: RunIdentity, *, info: DataInfo) -> Progress:
    """Where a training stands. One that diverged in its last epoch is judged anew: see train_one."""
    progress = store.resume(identity, info=info)
    return progress if progress.diverged_at_epoch is None else Progress()


def _teachers(work: Work, identity: RunIdentity, store: Store) -> list[Run]:
    """The runs that a run learns from, if any: ones like any others, trained first if need be.

    Processes that need the same ones begin with different ones, and wait for one that another of them trains.
    """
    recipe, distill = identity.recipe.teacher, identity.recipe.distill
    if recipe is None or distill is None:
        return []
    seeds = distill.seeds_for(identity.seed)
    identities = [identity.model_copy(update={"recipe": recipe, "seed": seed}) for seed in seeds]
    first = identity.seed % len(seeds)
    for teacher in (*identities[first:], *identities[:first]):
        with store.claim(teacher):
            store.notes.extend(train_one(work, teacher))
    runs = [store.find(teacher, set_aside=False) for teacher in identities]
    if None in runs:
        raise RuntimeError("the runs of its teachers cannot be read back: is the store's disk full?")
    return [run for run in runs if run is not None]


@lru_cache(maxsize=1)
def _engine(identity: EngineIdentity, *, use_cache: bool) -> Engine:
    """The engine of an identity. Raises EngineError if another one would compute here, or none."""
    try:
        engine = choose_engine(identity.name, device=identity.device)[0]
    except EngineError as error:
        here = node() or "this machine"
        raise EngineError(f"a run of {identity} is wanted, but on {here} that cannot be had: {error}") from None
    if engine.identity != identity:
        raise EngineError(
            f"a run of {identity} is wanted, but on {node() or 'this machine'} there is {engine.identity}: install the"
            " same versions of Stepladder and its libraries wherever runs are trained"
        )
    return engine if use_cache else engine.without_cache()


@lru_cache(maxsize=1)
def _splits(source: str, identity: DataIdentity) -> data_sets.Splits:
    images = data_sets.load(source)
    if source != "mnist" and images.sha256 != identity.sha256:
        raise DataError(f"{source}: these images changed since the climb began: start it again")
    return splits_for(images, identity)


def finish(
    store: Store, identity: RunIdentity, *, progress: Progress, engine: Engine, splits: data_sets.Splits
) -> None:
    """Make a finished training a Run in the store: of the engine that computed it, whichever was wanted."""
    assert progress.arrays is not None
    identity = identity.model_copy(update={"engine": engine.identity})
    arrays = weights(identity.recipe.network_for(splits.image), progress.arrays)
    run = Run(
        identity=identity,
        epochs=progress.epochs,
        diverged_at_epoch=progress.diverged_at_epoch,
        wrong_images=progress.wrong_images,
        weights_sha256=arrays_sha256(arrays),
        provenance=Provenance(
            versions=versions() | engine.versions,
            cpu=cpu_name(),
            platform=platform(),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            n_resumed=progress.n_resumed,
        ),
    )
    store.save(run, weights_file(arrays, about_run(identity, splits)))
