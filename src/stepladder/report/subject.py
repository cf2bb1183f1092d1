"""What the sentences on a rung share: the rung with what was found, and how its numbers are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from stepladder.advice import Tried
from stepladder.findings import Diagnosis
from stepladder.ladder import Rung
from stepladder.report.tables import percent
from stepladder.results import RungResult


@dataclass(frozen=True)
class Subject:
    """A rung, what its runs show, the name of the split they were evaluated on, what its ladder has tried."""

    result: RungResult
    found: Diagnosis
    split: str
    params: int
    known: Tried

    @property
    def rung(self) -> Rung:
        return self.result.rung

    def percent(self, value: Fraction | None) -> str:
        return percent(value, target=self.rung.target.accuracy) + "%"


def is_are(n: int) -> str:
    return "is" if n == 1 else "are"


def all_of(n: int) -> str:
    """``both``, ``all 3``."""
    return "both" if n == 2 else f"all {n}"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def apart(*values: float | Fraction) -> tuple[str, ...]:
    """To two decimals, or to as many, up to six, as tell them apart."""
    for digits in range(2, 7):
        texts = tuple(f"{float(value):.{digits}f}" for value in values)
        if len(set(texts)) == len(values):
            break
    return texts


def beside(value: Fraction, limit: int) -> str:
    """To a whole number, or to as many digits as show that it is above a limit."""
    digits = 0
    while value > limit >= round(value, digits):
        digits += 1
    return f"{float(round(value, digits)):,.{digits}f}"


def loss_text(value: float) -> str:
    """A loss or a change of it in nats, to three digits or so; what is not 0 is never shown as 0."""
    for digits in (4, 6):
        if value == 0 or float(f"{value:.{digits}f}"):
            return f"{value:.{digits}f}"
    return f"{value:.0e}"
