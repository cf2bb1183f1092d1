"""A run as it is sent to a worker, and what comes back: text alone, and nothing of the place that it was sent from.

A worker may be a process of ours or of any executor, in another folder or on another machine that shares the store.
"""

from collections.abc import Iterator
from pathlib import Path

from stepladder._base.files import parsed, reason
from stepladder._base.frozen import Frozen
from stepladder._base.machine import limit_in_words
from stepladder._base.wording import shown
from stepladder.errors import EngineError, StepladderError
from stepladder.execution.one_run import Work, train_one
from stepladder.runs.conditions import Origin, origin_of
from stepladder.runs.run import RunIdentity
from stepladder.runs.store import Store

ALIKE = "install the same version of Stepladder wherever runs are trained"
FORMAT_VERSION = 1  # of orders and reports: of a worker with another one nothing is understood


class Order(Frozen):
    """All that a worker needs: what to train, and under which absolute paths it finds images and store.

    The identity has recipe, seed, engine and the images' SHA-256. ``use_cache`` as in Work.
    """

    format_version: int = FORMAT_VERSION
    source: str
    store: str
    use_cache: bool
    identity: RunIdentity


class Trouble(Frozen):
    """An error where a run was trained: the name of its class, and its message."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}{limit_in_words() if self.kind == MemoryError.__name__ else ''}"

    def refusal(self) -> StepladderError | None:
        """The same as an error of ours; None if it is of another kind."""
        kinds = {each.__name__: each for each in _kinds(StepladderError)}
        return kinds[self.kind](self.message) if self.kind in kinds else None


class Report(Frozen):
    """What comes back: what computed the run that is now in the store, what is to be said of store and engine, or why
    there is no run."""

    computed_by: Origin | None = None
    notes: tuple[str, ...] = ()
    error: Trouble | None = None


def order(work: Work, identity: RunIdentity) -> str:
    """A run to be trained, for a worker that may stand in another folder."""
    away = work.from_anywhere()
    sent = Order(source=away.source, store=str(away.store), use_cache=away.use_cache, identity=identity)
    return sent.model_dump_json()


def answered(text: str) -> str:
    """Train what an order says, and report. Raises whatever it is that keeps the run from being trained."""
    sent = _read(text)
    store = Path(sent.store)
    notes = train_one(Work(sent.source, store, use_cache=sent.use_cache), sent.identity)
    run = Store(store).find(sent.identity, set_aside=False)
    return Report(computed_by=origin_of(run) if run else None, notes=tuple(notes)).model_dump_json()


def reported(text: str) -> Report:
    """What came back, as a report. Raises ValueError, on one line, for what is none."""
    try:
        return Report.model_validate_json(text)
    except ValueError as error:
        raise ValueError(f"what came back from its worker is no report of a training ({reason(error)})") from None


def _read(text: str) -> Order:
    """A training as it was sent. Raises EngineError for what this version does not understand."""
    try:
        version = parsed(text)["format_version"]
        if version == FORMAT_VERSION:
            return Order.model_validate_json(text)
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"a worker was sent a training that it cannot read ({reason(error)}): {ALIKE}") from None
    raise EngineError(f"a worker was sent a training in format {shown(version)}, and knows {FORMAT_VERSION}: {ALIKE}")


def require_engine(report: Report, wanted: RunIdentity) -> None:
    """Raise EngineError if a run was computed by another engine than the one that was asked for."""
    if report.computed_by is not None and report.computed_by.engine != wanted.engine:
        raise EngineError(
            f"a run of {wanted.engine} is wanted, but a worker computed it with {report.computed_by.engine}: install"
            " the same versions of Stepladder and its libraries wherever runs are trained"
        )


def _kinds(base: type[StepladderError]) -> Iterator[type[StepladderError]]:
    yield base
    for each in base.__subclasses__():
        yield from _kinds(each)
