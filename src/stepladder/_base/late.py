"""What a value offers, and a room above it makes: how it looks, what is checked of it, what is written of it.

Imports point one way, and a person writes ``ladder.check()``, ``print(results)``. So such a method names its function,
which is imported when it is called and not before: the value stays as light as its room, and knows the name alone.
"""

from importlib import import_module
from typing import Any, ClassVar, Generic, SupportsIndex, TypeVar, overload

from stepladder._base.wording import did_you_mean, shown
from stepladder.errors import LadderError

FACES = "reporting.faces"

T = TypeVar("T")


def late(home: str) -> Any:
    """The function ``"ladders.checking:check"``, imported now. It is called from within methods, never from modules."""
    module, _, name = home.partition(":")
    return getattr(import_module(f"stepladder.{module}"), name)


class Drawn:
    """A value that draws itself in a notebook, as a small table; of what it is made of nothing is taken for HTML."""

    def _repr_html_(self) -> str:
        drawn: str = late(f"{FACES}:html")(self)
        return drawn


class Named(list[T], Drawn, Generic[T]):
    """A list whose items are had by number, or by the name that each has; printed, a line each.

    ``kind`` says what of a name is not there, in a message.
    """

    kind: ClassVar[str]

    @staticmethod
    def name_of(one: Any) -> str:
        """What an item is called."""
        raise NotImplementedError

    @overload
    def __getitem__(self, at: SupportsIndex | str) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> list[T]: ...
    def __getitem__(self, at: SupportsIndex | str | slice) -> T | list[T]:
        """Raises LadderError, with the names that there are, for one that is not there."""
        if not isinstance(at, str):
            return super().__getitem__(at)
        names = [self.name_of(each) for each in self]
        if at not in names:
            raise LadderError(f"no {self.kind} {shown(at)}{did_you_mean(at, names)}")
        return super().__getitem__(names.index(at))

    def __str__(self) -> str:
        return "\n".join(map(str, self))
