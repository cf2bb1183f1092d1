"""The kinds of image sets, by what names one in ``data = ...``: a word, a folder, the ending of a file.

Each is a ``Source``, the built-in ones too (see forms); a package that declares one under
``stepladder.datasets`` is found by its name (docs/extending.md). That is a word, for ``data = "word:rest"``, or an
ending with its dot, for every path that ends so. No numpy here, and no source is imported until a set of it is read.
"""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from stepladder._base import registry
from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.datasets.forms import idx_files
from stepladder.datasets.reading.odd_files import no_image_set
from stepladder.datasets.spec import DataSpec, spec_of, with_path
from stepladder.errors import DataError, StepladderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stepladder.datasets.reading.found import Found

WORDS = ("mnist",)  # the built-in names that are no forms of files


class Source(Protocol):
    """Something that reads image sets. What a name stands for makes one, without arguments.

    ``at`` is what is behind the colon of ``"word:rest"``, which must mean the same in any folder, or the path of a file
    or folder that is there. Every method raises DataError, with the remedy, for what is missing or damaged.
    """

    def name(self, at: str) -> str:
        """What the set is called: a label in tables, and the name of a first ladder's file."""

    def stamp(self, at: str) -> Hashable:
        """What tells whether the set is still the one that was read, found without reading it (see sources.stamp)."""

    def read(self, at: str) -> "Found | Mapping[str, NDArray[Any]]":
        """What is there (see found.Found): images or pictures, with labels as they are written there.

        Or all arrays by part, in an order that never changes: "train-images" and "test-images" (N, channels,
        height, width) uint8 from 0 to 255, "train-labels" and "test-labels" (N,) of any integer type, counted from 0;
        with "validation-images" and "validation-labels" where the set has such a part of its own.
        """


class Form(Source, Protocol):
    """A source of files or folders that tells by looking at one whether it is of its form; ``at`` is a path."""

    def fits(self, path: Path) -> bool:
        """Whether this reads what is there, by names and first bytes alone. Raises OSError."""


@dataclass(frozen=True)
class Kind:
    """A set that was found: its source by the name that it is registered under, and where the set is.

    ``spec`` says what is to be made of it; its path is as it was given.
    """

    source: str
    at: str
    spec: DataSpec

    @property
    def shown(self) -> str:
        """The set in messages."""
        return flat(f"{self.source}:{self.at}" if is_word(self.source) and self.at else self.at or self.source, 1000)

    @property
    def name(self) -> str:
        found = self._asked("name")
        if self.source in registry.SOURCES.built_in:
            return str(found)  # of a file or folder, which may be called anything
        if not isinstance(found, str) or not found.strip() or not found.isprintable():
            raise DataError(
                f"{self._who}: a name is to be one line of characters that can be seen, not {flat(repr(found))}"
            )
        return found

    @property
    def stamp(self) -> Hashable:
        found = self._asked("stamp")
        try:
            hash(found)
        except TypeError:  # perhaps of what is in a tuple
            raise DataError(
                f"{self._who}: a stamp is to be a text, a number or a tuple of them, not {flat(found)}"
            ) from None
        stamp: Hashable = found
        return stamp

    def read(self) -> "Found":
        """What is there. Raises DataError, also for what of an outsider's is not as it should be."""
        from stepladder.datasets.reading.found import Found, of_arrays  # only now: it needs numpy

        found = self._asked("read")
        if isinstance(found, Found):
            return found
        return of_arrays(found if self.source in registry.SOURCES.built_in else formed(self._who, found))

    @property
    def _who(self) -> str:
        return f"{self.shown}: the data source {self.source!r} of {registry.SOURCES.brought_by(self.source)}"

    def _asked(self, method: str) -> Any:
        """What the source answers. Whatever goes wrong in an outsider's is a DataError."""
        source = _source(self.source)
        if self.source in registry.SOURCES.built_in:
            return getattr(source, method)(self.at)
        try:
            return getattr(source, method)(self.at)
        except StepladderError:
            raise
        except registry.OUTSIDERS as error:
            raise DataError(f"{self._who} cannot give its {method} ({registry.reason(error)})") from error


def kind_of(data: str) -> Kind:
    """The kind of set that ``data`` names (see spec). Raises DataError if there is nothing, or nothing of any form."""
    spec = spec_of(data)
    if is_named(spec.path):
        word, _, at = spec.path.partition(":")
        return Kind(word, at, spec)
    if idx_files.begins(Path(spec.path)):
        return Kind("IDX folder", spec.path, spec)
    path = _there(spec.path)
    if (ending := _brought_ending(path)) is not None:
        return Kind(ending, str(path), spec)
    for name in registry.SOURCES.built_in:
        if name not in WORDS and _fits(name, path):
            return Kind(name, str(path), spec)
    if path.is_dir():  # which says what is there instead
        return Kind("IDX folder", str(path), spec)
    raise DataError(no_image_set(path))


def _fits(name: str, path: Path) -> bool:
    form = cast(Form, _source(name))
    try:
        return form.fits(path)
    except OSError as error:
        raise DataError(f"{flat(path)}: cannot be read ({flat(error)})") from None


def _there(data: str) -> Path:
    """See sources.there; what may be for a source that is not installed here is told so."""
    try:
        return sources.there(data)
    except DataError as error:
        if (word := re.search(r"(?:^|/)([A-Za-z][\w-]*):", data)) is None:
            raise
        raise DataError(f"{error}; if {flat(word[1])} is a package's kind of data, install the package here") from None


def is_named(data: str) -> bool:
    """Whether ``data`` is the word of a source, or begins with one and a colon, and so means the same in any folder.

    Any other is a path.
    """
    word, colon, _ = spec_of(data).path.partition(":")
    if word in WORDS:
        return True
    return bool(colon) and is_word(word) and word in registry.SOURCES.names()


def is_word(name: str) -> bool:
    """Whether a source of that name is asked for by a word, and not by a path."""
    return name.replace("-", "_").isidentifier()


def from_anywhere(data: str) -> str:
    """What names the same images in any folder."""
    return data if is_named(data) else with_path(data, Path(spec_of(data).path).absolute())


def _brought_ending(path: Path) -> str | None:
    """The longest ending of a path that an installed package reads."""
    if not path.suffix:
        return None
    brought = set(registry.SOURCES.names()) - set(registry.SOURCES.built_in)
    endings = [name for name in brought if name.startswith(".")]
    return max((each for each in endings if path.name.endswith(each)), key=len, default=None)


@lru_cache
def _source(name: str) -> Source:
    """The source of that name: one for the whole process."""
    registry.SOURCES.require_alone(name)
    make = registry.SOURCES.load(name)
    try:
        source: Source = make()
    except registry.OUTSIDERS as error:
        if name in registry.SOURCES.built_in:
            raise
        who = f"the data source {name!r} of {registry.SOURCES.brought_by(name)}"
        raise DataError(f"{who} cannot be made without arguments ({registry.reason(error)})") from error
    return source


def formed(who: str, arrays: "Mapping[str, NDArray[Any]]") -> "dict[str, NDArray[Any]]":
    """An outsider's arrays, in plain C order. Raises DataError if there are others than there should be."""
    if not isinstance(arrays, Mapping):
        raise DataError(f"{who} gives {flat(arrays)}; arrays by name are wanted: {', '.join(sources.PARTS)}")
    named = set(arrays)
    if named not in (set(sources.PARTS), set(sources.PARTS) | set(sources.OWN_VALIDATION)):
        names = ", ".join(sorted(map(str, named))) or "none"
        raise DataError(f"{who} gives the arrays {flat(names)}; {', '.join(sources.PARTS)} are wanted")
    for part, array in arrays.items():
        if not (hasattr(array, "dtype") and hasattr(array, "shape")):
            raise DataError(f"{who} gives {part} as a {type(array).__name__}; an array of numpy is wanted")
        if part.endswith("images") and (array.dtype != "uint8" or array.ndim != 4):
            raise DataError(
                f"{who} gives {part} of shape {array.shape}, {flat(array.dtype, 60)}; (N, channels, height, width)"
                " and uint8 are wanted"
            )
    return {part: array.reshape(-1).reshape(array.shape) for part, array in arrays.items()}
