"""What a value offers, and a room above it makes: how it looks, what is checked of it, what is written of it.

Imports point one way, and a person writes ``ladder.check()``, ``print(results)``. So such a method names its function,
which is imported when it is called and not before: the value stays as light as its room, and knows the name alone.
"""

from importlib import import_module
from typing import Any

FACES = "reporting.faces"


def late(home: str) -> Any:
    """The function ``"ladders.checking:check"``, imported now. It is called from within methods, never from modules."""
    module, _, name = home.partition(":")
    return getattr(import_module(f"stepladder.{module}"), name)


class Drawn:
    """A value that draws itself in a notebook, as a small table; of what it is made of nothing is taken for HTML."""

    def _repr_html_(self) -> str:
        drawn: str = late(f"{FACES}:html")(self)
        return drawn
