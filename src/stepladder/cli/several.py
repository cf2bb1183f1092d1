"""One command on several ladders: each by itself, so that one that is wrong hides none of the others."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from stepladder.errors import BudgetError, DataError, LadderError, StepladderError

T = TypeVar("T")

# From good to bad: a ladder over its budget could be judged, one whose images are missing could not, and one that
# makes no sense is none.
WORSE_AND_WORSE = (0, BudgetError.exit_code, DataError.exit_code, LadderError.exit_code)


class Attempt(NamedTuple, Generic[T]):  # no dataclass: importing those would take a tenth of what --help takes
    """What came of one ladder, ``name`` as it was given: what was found, or why not, or both."""

    name: str
    found: T | None = None
    error: StepladderError | None = None

    @property
    def exit_code(self) -> int:
        return self.error.exit_code if self.error else 0


def each(names: Iterable[str], do: Callable[[str], Attempt[T]]) -> list[Attempt[T]]:
    """Do it for each ladder; one that is refused is an attempt without anything found."""
    attempts = []
    for name in names:
        try:
            attempts.append(do(name))
        except StepladderError as error:
            attempts.append(Attempt[T](name, error=error))
    return attempts


def worst(attempts: Sequence[Attempt[T]]) -> int:
    """The exit code of all of them together."""
    return max((attempt.exit_code for attempt in attempts), key=WORSE_AND_WORSE.index, default=0)
