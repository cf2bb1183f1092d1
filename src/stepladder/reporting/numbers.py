"""How a number becomes text, everywhere: in the terminal, in reports, in records, in the documents.

One rule: half to even, on the exact value, and nothing is shown as a limit that it does not reach. What misses a target
is not shown as the target, what is less than worth knowing not as if it were not, a difference that is not 0 not as 0.
A percentage of a column, which has its number of decimals, is cut there; anything else gets the decimals that it needs.
"""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import floor

NOTHING = "–"
MOST_DECIMALS = 6

Number = Fraction | float


def decimal(value: Number, n_decimals: int) -> str:
    """A number with this many decimals, half to even; never ``-0.00``."""
    units = round(Fraction(value) * 10**n_decimals)
    whole, rest = divmod(abs(units), 10**n_decimals)
    return f"{'-' if units < 0 else ''}{whole}" + (f".{rest:0{n_decimals}d}" if n_decimals else "")


def percent(value: Number | None, *, target: Decimal | None = None, decimals: int = 2) -> str:
    """A percentage, of a column; cut where rounding would bring it to the target or to 100."""
    if value is None:
        return NOTHING
    exact, unit = Fraction(value), 10**decimals
    units = round(exact * unit)
    for limit in (Fraction(100), Fraction(target if target is not None else 100)):
        if exact < limit <= Fraction(units, unit):
            units = floor(exact * unit)
    return decimal(Fraction(units, unit), decimals)


def percents(
    ends: tuple[Number, Number] | None, *, target: Decimal | None = None, decimals: int = 2, between: str = " to "
) -> str:
    """An interval of percentages, each end as ``percent`` writes it."""
    if ends is None:
        return NOTHING
    return between.join(percent(end, target=target, decimals=decimals) for end in ends)


def points(value: Number | None, *, worth: float | None = None) -> str:
    """A difference of percentages, with its sign; ``worth`` is the least that is worth knowing."""
    if value is None:
        return NOTHING
    text = decimal(value, _decimals_of_points(value, worth))
    return text if text.startswith("-") else f"+{text}"


def interval_text(interval: tuple[float, float] | None, *, worth: float | None = None) -> str:
    """An interval of differences, ``[-0.02, 0.10]``: both ends with the same decimals."""
    if interval is None:
        return NOTHING

    def misleads(decimals: int) -> bool:
        return any(_misleads_of_points(end, Fraction(decimal(end, decimals)), worth) for end in interval)

    decimals = next((n for n in range(2, MOST_DECIMALS + 1) if not misleads(n)), 2)
    return f"[{', '.join(decimal(end, decimals) for end in interval)}]"


def share_text(share: float) -> str:
    """A share as a percentage, whole if it can be: only none is 0%, and only all is 100%."""
    decimals = _decimals(100 * share, misleads=lambda shown: shown in (0, 100) and share not in (0, 1), least=0)
    return f"{decimal(100 * share, decimals)}%"


def spread_text(value: float | None, *, decimals: int = 2) -> str:
    """A standard deviation, or half of an interval's width, in points."""
    if value is None:
        return NOTHING
    return decimal(value, _decimals(value, misleads=lambda shown: shown == 0 != value, least=decimals))


def apart(*values: Number) -> tuple[str, ...]:
    """To two decimals, or to as many, up to six, as tell them apart."""
    for digits in range(2, MOST_DECIMALS + 1):
        texts = tuple(decimal(value, digits) for value in values)
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
    """A loss or a change of it in nats, to four decimals, or six; what is not 0 is never shown as 0."""
    for digits in (4, MOST_DECIMALS):
        if value == 0 or float(f"{value:.{digits}f}"):
            return f"{value:.{digits}f}"
    return f"{value:.0e}"


def _decimals_of_points(value: Number, worth: float | None) -> int:
    return _decimals(value, misleads=lambda shown: _misleads_of_points(value, shown, worth), least=2)


def _misleads_of_points(value: Number, shown: Fraction, worth: float | None) -> bool:
    """Whether a difference is shown as 0, or as one worth knowing, and is not; or as one that is not, and is."""
    if shown == 0 != value:
        return True
    return worth is not None and (abs(float(value)) < worth) != (abs(float(shown)) < worth)


def _decimals(value: Number, *, misleads: Callable[[Fraction], bool], least: int) -> int:
    """The fewest decimals with which what is shown does not mislead; the least if six do, as for 1e-17."""
    shown = ((n, Fraction(decimal(value, n))) for n in range(least, MOST_DECIMALS + 1))
    return next((n for n, text in shown if not misleads(text)), least)
