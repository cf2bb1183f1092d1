"""Every way Stepladder says no: one base class, a documented exit code each, a message that says what to do next."""

from typing import Any

from stepladder._base.wording import LONGEST_MESSAGE, cut

EXIT_CODES = {
    0: "ok",
    1: "target missed or claim failed",
    2: "usage, ladder or store error",
    3: "over budget",
    4: "data missing or corrupt",
    5: "some runs could not be trained",
    70: "a bug in Stepladder",
    129: "hung up",
    130: "interrupted",
    143: "terminated",
}
TARGET_MISSED = 1
INTERNAL_ERROR = 70


class StepladderError(Exception):
    """Base of all errors meant for a person: printed as one message, never as a traceback.

    A message of more than LONGEST_MESSAGE characters, because of what it quotes, loses its middle.
    """

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(cut(message, most=LONGEST_MESSAGE))


class LadderError(StepladderError, ValueError):
    """A ladder, recipe, layer or argument that makes no sense."""


class GeometryError(LadderError):
    """A network that does not fit its images.

    ``layer_index`` is the position (from 0) of the layer at fault, or None when the network as a whole is.
    """

    def __init__(self, message: str, *, layer_index: int | None = None) -> None:
        super().__init__(message)
        self.layer_index = layer_index


class EngineError(StepladderError):
    """An engine that is not installed, or cannot train what it was asked to."""


class StoreError(StepladderError):
    """A store that cannot be read or written by this version, here."""


class ModelError(StepladderError):
    """A trained network that cannot be used: damaged, without what its file should say, or never trained to its end."""


class TrackerError(StepladderError):
    """A tracker that is not installed, or does not take what it is told."""


class BudgetError(StepladderError):
    """A rung over its budget of parameters or epochs."""

    exit_code = 3


class DataError(StepladderError):
    """Images that are missing, truncated, or not the ones they claim to be."""

    exit_code = 4


class UnfinishedClimbError(StepladderError):
    """Some runs of a climb could not be trained; the others are stored.

    ``results`` are those of a climb that was begun in Python (runs.results.Results).
    """

    exit_code = 5
    results: Any = None
