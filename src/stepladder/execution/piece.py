"""A piece of a run: from where it stands through some whole epochs. What a worker does, and all it needs is the order.

The images are looked for where the order says, and among those that were sent to this machine. Nothing is written but
them, and machine code.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from platform import node, platform
from time import monotonic

from safetensors.numpy import load as load_tensors

from stepladder._base.machine import cpu_name, versions
from stepladder.datasets import data as data_sets
from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import ImageSet
from stepladder.engines import Engine, choose_engine
from stepladder.engines.training import initial_arrays, train, weights
from stepladder.errors import DataError, EngineError
from stepladder.execution import sent_images
from stepladder.execution.sent_run import Order, Report, order_of
from stepladder.ladders.evaluated import DataIdentity, splits_for
from stepladder.runs.conditions import origin_here
from stepladder.runs.model import about_run
from stepladder.runs.run import EngineIdentity, Progress, Provenance, Run, RunIdentity
from stepladder.runs.run_files import checkpoint_file, progress_of
from stepladder.runs.weight_files import arrays_sha256, weights_file


def reports(text: str) -> Iterator[Report]:
    """Train what an order says, and report each epoch.

    Raises DataError if the images are no longer those that the run's identity names, EngineError if its engine is not
    the one here, and whatever else keeps the run from being trained.
    """
    return _reports(order_of(text))


def _reports(order: Order) -> Iterator[Report]:
    identity, began = order.identity, monotonic()
    engine = _engine(identity.engine, use_cache=order.use_cache)
    splits = _splits(order.source, identity.data, may_lack=order.sends_images)
    if splits is None:
        yield Report(machine=sent_images.machine(), needs_images=True)
        return
    report = partial(Report, computed_by=origin_here(engine), notes=tuple(engine.notes))
    progress = _begun(order)
    for after_epoch in _epochs(engine, order, splits=splits, resume=progress):
        if after_epoch.diverged_at_epoch is not None and not engine.has_sound_code():
            yield from _anew(order)
            return
        progress = after_epoch
        if progress.is_finished(identity.recipe):
            break
        is_over = order.seconds is not None and monotonic() - began >= order.seconds
        yield report(checkpoint=checkpoint_file(identity, progress), goes_on=not is_over)
        if is_over:
            return
    run, content = finished(identity, progress=progress, engine=engine, splits=splits)
    yield report(run=run, weights=content)


def _begun(order: Order) -> Progress:
    """Where the run stands. One that diverged in its last epoch is judged anew."""
    if order.checkpoint is None:
        return Progress()
    progress = progress_of(order.checkpoint, order.identity)
    if progress.diverged_at_epoch is not None:
        return Progress()
    return replace(progress, n_resumed=progress.n_resumed + (order.resumes and bool(progress.epochs)))


def _epochs(engine: Engine, order: Order, *, splits: Splits, resume: Progress) -> Iterator[Progress]:
    recipe, seed = order.identity.recipe, order.identity.seed
    if recipe.teacher is not None and not order.teachers:  # one diverged, and answers nothing: neither can its student
        yield Progress(diverged_at_epoch=1, arrays=initial_arrays(recipe.network_for(splits.image), seed))
        return
    teachers = [load_tensors(content) for content in order.teachers]
    yield from train(engine, recipe, splits=splits, seed=seed, resume=resume, teachers=teachers)


def _anew(order: Order) -> Iterator[Report]:
    """The same from the start, with code that is compiled for it."""
    key = order.identity.key
    note = f"the machine code of {key} was damaged in its cache: compiled anew, trained from the start"
    for report in _reports(order.model_copy(update={"checkpoint": None, "use_cache": False})):
        yield report.model_copy(update={"notes": (note, *report.notes)})


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


_prepared: dict[tuple[str, DataIdentity], Splits] = {}  # of the last images: those of the next run, mostly


def _splits(source: str, identity: DataIdentity, *, may_lack: bool) -> Splits | None:
    """What is trained and evaluated on; None if the images are not here, and may be lacking. Raises DataError."""
    if (source, identity) not in _prepared:
        images = _images_there(source, identity) if may_lack else _images(source, identity)
        if images is None:
            return None
        _prepared.clear()
        _prepared[source, identity] = splits_for(images, identity)
    return _prepared[source, identity]


def _images(source: str, identity: DataIdentity) -> ImageSet:
    images = data_sets.load(source)
    if source != "mnist" and images.sha256 != identity.sha256:
        raise DataError(f"{source}: these images changed since the climb began: start it again")
    return images


def _images_there(source: str, identity: DataIdentity) -> ImageSet | None:
    """The images by that name, if they are those that are meant, or those that were sent here."""
    if source == "mnist":
        return data_sets.load(source)
    found = sent_images.find(identity)
    if found is not None:
        return found
    try:
        return _images(source, identity)
    except DataError:
        return None


def finished(identity: RunIdentity, *, progress: Progress, engine: Engine, splits: Splits) -> tuple[Run, bytes]:
    """A finished training as a run with its weights: of the engine that computed it, whichever was wanted."""
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
    return run, weights_file(arrays, about_run(identity, splits))
