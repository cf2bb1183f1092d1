"""Which files of a folder are the four of an IDX set: under their usual names, or with more before them, as EMNIST's.

They lie in the folder itself, or some folders deeper, or each in a folder of its own name. Where there are several
sets, one is named by what its files' names begin with: ``data = "emnist/emnist-letters"``. No numpy here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stepladder._base.wording import flat
from stepladder.datasets.reading import files
from stepladder.datasets.reading.odd_files import folder_reason
from stepladder.datasets.sources import PARTS, is_packed
from stepladder.errors import DataError

DEEPEST = 4  # folders
_NAME = re.compile(r"(?P<before>.*?)(?P<part>(train|t10k|test)[-_](images|labels))")


@dataclass(frozen=True)
class IdxFiles:
    """The file of each part, and after it packed ones that must hold the same; ``mapping`` names EMNIST's classes."""

    parts: Mapping[str, tuple[Path, ...]]
    mapping: Path | None = None

    @property
    def all(self) -> list[Path]:
        found = [file for of_part in self.parts.values() for file in of_part]
        return found if self.mapping is None else [*found, self.mapping]


@dataclass(frozen=True)
class _Group:
    """Files of one set: in or below ``home``, their names alike in what is ``before`` the usual name."""

    home: str
    before: str
    paths: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return len({_part(path, self.before) for path in self.paths}) == len(PARTS)

    @property
    def named(self) -> str:
        """What chooses it."""
        return f"{self.home}{self.before}".rstrip("-_./ ")


def find(path: Path) -> IdxFiles:
    """The files of a folder, or those whose names begin as a path that is there not. Raises DataError."""
    folder, begins = (path, "") if path.is_dir() else (path.parent, path.name)
    groups = _groups(folder)
    if begins:
        groups = [each for each in groups if each.named == begins]
    plain = [each for each in groups if not each.home and not each.before]
    whole = plain or [each for each in groups if each.is_whole]
    if len(whole) > 1:
        names = ", ".join(flat(each.named, 60) for each in whole[:8])
        raise DataError(
            f"{flat(folder)}: IDX files of {len(whole)} sets, {names}: say which, as in"
            f' data = "{flat(folder / whole[0].named)}"'
        )
    return _of_group(folder, (whole or groups or [_Group("", "", ())])[0])


def fits(folder: Path) -> bool:
    """Whether a folder has some in it, or all of a set below it."""
    if any("idx" in each.name.lower() for each in folder.iterdir()):
        return True
    return any(each.is_whole for each in _groups(folder))


def begins(path: Path) -> bool:
    """Whether the names of a set's files begin so, where a path leads to nothing."""
    try:
        if not path.name or path.exists() or not path.parent.is_dir():
            return False
    except (OSError, ValueError, RuntimeError):  # no path at all; who opens it says why
        return False
    return any(each.is_whole and each.named == path.name for each in _groups(path.parent))


def _groups(folder: Path) -> list[_Group]:
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted({each.name for each in folder.iterdir()}.union(files.peek(folder))):
        parts = PurePosixPath(path).parts
        match = _NAME.match(parts[-1].lower())
        if match is None or "idx" not in parts[-1].lower() or len(parts) > DEEPEST or not (folder / path).is_file():
            continue
        homes = parts[:-1]
        if homes and (of_folder := _NAME.match(homes[-1].lower())) and of_folder["part"] == match["part"]:
            homes = homes[:-1]
        home = "".join(f"{each}/" for each in homes)
        found.setdefault((home, match["before"]), []).append(path)
    return [_Group(home, before, tuple(paths)) for (home, before), paths in found.items()]


def _part(path: str, before: str) -> str:
    usual = PurePosixPath(path).name.lower()[len(before) :]
    return next(part for part in PARTS if usual.startswith(_spellings(part)))


def _of_group(folder: Path, group: _Group) -> IdxFiles:
    """``t10k`` counts as test; what is unpacked goes before what is packed, then by name.

    Raises DataError, also where a part has two files that are both packed alike, or both not.
    """
    at, before = folder / group.home, group.before
    names = sorted(_candidates(folder, group), key=lambda path: (is_packed(path), path))
    found: dict[str, tuple[Path, ...]] = {}
    for part in PARTS:
        of_part = [each for each in names if each.name[len(before) :].lower().startswith(_spellings(part))]
        if not any(each.name[len(before) :].startswith(_spellings(part)) for each in of_part):
            raise _missing(at, part, before)
        rivals = [each.name for each in of_part if each.suffix == of_part[0].suffix or not is_packed(each)]
        if len(rivals) > 1:
            raise DataError(f"{flat(at)}: {' and '.join(rivals[:3])} could both be {part}: keep one of them")
        found[part] = tuple(of_part)
    mapping = at / f"{before}mapping.txt"
    return IdxFiles(found, mapping if before and mapping.is_file() else None)


def _candidates(folder: Path, group: _Group) -> Iterable[Path]:
    """Its files: those in folders of their own names only where there is none beside those."""
    direct = [path for path in group.paths if path.rpartition("/")[0] == group.home.rstrip("/")]
    there = {_part(path, group.before) for path in direct}
    nested = [path for path in group.paths if path not in direct and _part(path, group.before) not in there]
    return [folder / path for path in (*direct, *nested)]


def _missing(folder: Path, part: str, before: str) -> DataError:
    reason = folder_reason(folder, _all_spellings()) if not before else None
    return DataError(
        f"{flat(folder)}: no {flat(before, 60)}{part} among its files{'; ' * bool(reason)}{reason or ''}; it needs IDX"
        f" files of {', '.join(PARTS)} (gzip or not), or give an .npz file"
    )


def _all_spellings() -> tuple[str, ...]:
    return tuple(each for part in PARTS for each in _spellings(part))


def _spellings(part: str) -> tuple[str, ...]:
    """How the names of a part's files begin."""
    spellings: Sequence[str] = (part, part.replace("test", "t10k"))
    return tuple(sorted({*spellings, *(each.replace("-", "_") for each in spellings)}))
