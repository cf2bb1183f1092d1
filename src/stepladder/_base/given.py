"""What a public function was given: a value of another kind is refused at its door, in words of whoever calls it."""

from pathlib import Path
from typing import Any

from stepladder._base.wording import shown
from stepladder.errors import LadderError

A_PATH: tuple[type, ...] = (str, Path)


def require(kind: type | tuple[type, ...], value: Any, *, of: str, takes: str, remedy: str) -> None:
    """Raise LadderError for a value that is no ``kind``: ``of`` whom, what it ``takes`` instead, and how to get one."""
    if isinstance(value, kind):
        return
    said = " ".join(shown(value).split())  # arrays and pages have several lines
    if isinstance(value, type):
        said, remedy = f"a class, {value.__name__}", f"call it, as in {value.__name__}(...); {remedy}"
    raise LadderError(f"{of} takes {takes}, not {said}: {remedy}")
