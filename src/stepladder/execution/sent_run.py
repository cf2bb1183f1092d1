"""A run as it is sent to a worker, and what comes back: text alone, and nothing of the place that it was sent from.

A worker may be a process of ours or of any executor, in another folder or on another machine. It writes to no store:
where a training stands goes with the order, and comes back with each report, as the files that a store holds.
"""

from collections.abc import Iterator

from pydantic import ConfigDict

from stepladder._base.files import parsed, reason
from stepladder._base.frozen import Frozen
from stepladder._base.machine import limit_in_words
from stepladder._base.wording import shown
from stepladder.errors import EngineError, StepladderError
from stepladder.runs.conditions import Origin
from stepladder.runs.run import Run, RunIdentity

ALIKE = "install the same version of Stepladder wherever runs are trained"
FORMAT_VERSION = 3  # of orders and reports: of a worker with another one nothing is understood


class _WithFiles(Frozen):
    """Its fields may be files: bytes, in Base64 as text."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Standing(_WithFiles):
    """A run, and where it stands.

    ``checkpoint`` is that (see run_files), None at its start; ``resumes`` if it was interrupted there. ``teachers`` are
    the weights (see weight_files) of the runs that it learns from, where its recipe has a teacher: none of them if one
    diverged.
    """

    identity: RunIdentity
    checkpoint: bytes | None = None
    resumes: bool = False
    teachers: tuple[bytes, ...] = ()


class Order(Standing):
    """All that a worker needs to take a run from where it stands through some whole epochs.

    ``source`` names the images where the order was given, by an absolute path if they have one; where they are not
    there, the worker can ask for them if ``sends_images``. The piece ends with the first epoch that ends after
    ``seconds``, or with the run. Without ``use_cache`` all machine code is compiled anew. ``others`` are runs of the
    same experiment that are trained together with it, all of them from the same epoch on.
    """

    format_version: int = FORMAT_VERSION
    source: str
    sends_images: bool = False
    seconds: float | None = None
    use_cache: bool = True
    others: tuple[Standing, ...] = ()


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


class Came(_WithFiles):
    """What comes back of a run: of each epoch a checkpoint; at the end, and from there on, the run with its weights."""

    checkpoint: bytes | None = None
    run: Run | None = None
    weights: bytes | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.checkpoint or (self.run and self.weights))


class Report(Came):
    """What comes back of an order: where its run stands, and its ``others`` in their order; or why there is nothing.

    More reports of the same order follow if it ``goes_on``. ``machine`` tells the places apart where images are kept
    that are sent. ``notes`` are to be said, a sentence each.
    """

    machine: str = ""
    computed_by: Origin | None = None
    goes_on: bool = False
    others: tuple[Came, ...] = ()
    needs_images: bool = False
    notes: tuple[str, ...] = ()
    error: Trouble | None = None


def order_of(text: str) -> Order:
    """The order that a text is. Raises EngineError for what this version does not understand."""
    try:
        version = parsed(text)["format_version"]
        if version == FORMAT_VERSION:
            return Order.model_validate_json(text)
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"a worker was sent a training that it cannot read ({reason(error)}): {ALIKE}") from None
    raise EngineError(f"a worker was sent a training in format {shown(version)}, and knows {FORMAT_VERSION}: {ALIKE}")


def reported(text: str) -> Report:
    """What came back, as a report. Raises ValueError, on one line, for what is none."""
    try:
        report = Report.model_validate_json(text)
        if not (report.error or report.needs_images) and any(each.is_empty for each in (report, *report.others)):
            raise ValueError("it brings nothing")
    except ValueError as error:
        raise ValueError(f"what came back from its worker is no report of a training ({reason(error)})") from None
    return report


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
