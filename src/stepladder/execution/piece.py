"""A piece of a run: from where it stands through some whole epochs. What a worker does, and all it needs is the order.
Of several runs that an engine trains together, a piece takes all of them through the same epochs.

The images are looked for where the order says, and among those that were sent to this machine. Nothing is written but
them, and machine code.
"""

from collections.abc import Iterator, Sequence
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
from stepladder.engines import Engine, Together, choose_engine
from stepladder.engines.together import train_together
from stepladder.engines.training import initial_arrays, train, weights
from stepladder.errors import DataError, EngineError
from stepladder.execution import sent_images
from stepladder.execution.sent_run import Came, Order, Report, Standing, order_of
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
    runs, began = (order, *order.others), monotonic()
    engine = _engine(order.identity.engine, use_cache=order.use_cache)
    splits = _splits(order.source, order.identity.data, may_lack=order.sends_images)
    if splits is None:
        yield Report(machine=sent_images.machine(), needs_images=True)
        return
    report = partial(Report, computed_by=origin_here(engine), notes=tuple(engine.notes))
    came = partial(_came, engine=engine, splits=splits)
    progress = tuple(_begun(each, splits) for each in runs)
    for after_epoch in _epochs(engine, runs, splits=splits, resume=progress):
        if any(each.diverged_at_epoch is not None for each in after_epoch) and not engine.has_sound_code():
            yield from _anew(order)
            return
        progress = after_epoch
        if all(each.is_finished(order.identity.recipe) for each in progress):
            break
        is_over = order.seconds is not None and monotonic() - began >= order.seconds
        yield _of_each(report(goes_on=not is_over), [*map(came, runs, progress)])
        if is_over:
            return
    yield _of_each(report(), [*map(came, runs, progress)])


def _came(run: Standing, progress: Progress, *, engine: Engine, splits: Splits) -> Came:
    if not progress.is_finished(run.identity.recipe):
        return Came(checkpoint=checkpoint_file(run.identity, progress))
    record, content = finished(run.identity, progress=progress, engine=engine, splits=splits)
    return Came(run=record, weights=content)


def _of_each(report: Report, came: Sequence[Came]) -> Report:
    first, *others = came
    return report.model_copy(update={**dict(first), "others": tuple(others)})


def _begun(run: Standing, splits: Splits) -> Progress:
    """Where a run stands. One that diverged in its last epoch is judged anew."""
    recipe = run.identity.recipe
    if recipe.teacher is not None and not run.teachers:  # one diverged, and answers nothing: neither can its student
        start = initial_arrays(recipe.network_for(splits.image), run.identity.seed)
        return Progress(diverged_at_epoch=1, arrays=start)
    if run.checkpoint is None:
        return Progress()
    progress = progress_of(run.checkpoint, run.identity)
    if progress.diverged_at_epoch is not None:
        return Progress()
    return replace(progress, n_resumed=progress.n_resumed + (run.resumes and bool(progress.epochs)))


def _epochs(
    engine: Engine, runs: Sequence[Standing], *, splits: Splits, resume: Sequence[Progress]
) -> Iterator[tuple[Progress, ...]]:
    """Where the runs stand after each epoch; none if all have ended."""
    recipe, seeds = runs[0].identity.recipe, [each.identity.seed for each in runs]
    teachers = [[load_tensors(content) for content in each.teachers] for each in runs]
    if len(runs) > 1:
        assert isinstance(engine, Together), "runs are sent together to an engine that says it trains them so"
        yield from train_together(engine, recipe, splits=splits, seeds=seeds, resume=resume, teachers=teachers)
    elif not resume[0].is_finished(recipe):
        for progress in train(engine, recipe, splits=splits, seed=seeds[0], resume=resume[0], teachers=teachers[0]):
            yield (progress,)


def _anew(order: Order) -> Iterator[Report]:
    """The same from the start, with code that is compiled for it."""
    key = order.identity.key
    note = f"the machine code of {key} was damaged in its cache: compiled anew, trained from the start"
    others = tuple(each.model_copy(update={"checkpoint": None}) for each in order.others)
    for report in _reports(order.model_copy(update={"checkpoint": None, "use_cache": False, "others": others})):
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
