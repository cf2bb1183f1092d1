"""What the sentences on a rung share: the rung with what was found, and how its numbers are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from stepladder.analysis.attempts import Tried
from stepladder.analysis.findings import Diagnosis
from stepladder.datasets.sources import called
from stepladder.ladders.ladder import Rung
from stepladder.reporting.numbers import percent
from stepladder.runs.results import RungResult


@dataclass(frozen=True)
class Subject:
    """A rung, what its runs show, the name of the split they were evaluated on, what its ladder has tried."""

    result: RungResult
    found: Diagnosis
    split: str
    params: int
    known: Tried
    class_names: tuple[str, ...] = ()

    def called(self, label: int) -> str:
        """The name of a class."""
        return called(label, self.class_names)

    @property
    def rung(self) -> Rung:
        return self.result.rung

    def percent(self, value: Fraction | None) -> str:
        """An accuracy, never shown as a target of accuracy that it misses; one of another measure it has no part in."""
        target = self.rung.target
        return percent(value, target=None if target.balanced else target.accuracy) + "%"

    def measured(self, value: Fraction | None) -> str:
        """What the target speaks of; balanced accuracy says so."""
        target = self.rung.target
        return percent(value, target=target.accuracy) + ("% balanced accuracy" if target.balanced else "%")


def all_of(n: int) -> str:
    """``both``, ``all 3``."""
    return "both" if n == 2 else f"all {n:,}"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
