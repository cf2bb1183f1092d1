"""The files of a folder, a zip archive or one file, as a set's forms look at them: by paths below it, in one order."""

import os
from collections.abc import Callable, Hashable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from stepladder._base.files import read_regular
from stepladder._base.wording import flat
from stepladder.errors import DataError

MOST_BYTES = 100_000_000  # of one picture
MOST_FILES = 5_000_000
MOST_FOLDERS = 200_000
FEW_FOLDERS = 16  # are looked into for one that holds a set
JUNK = {".ds_store", "thumbs.db", "desktop.ini", "__macosx", ".git", ".ipynb_checkpoints"}


def is_junk(name: str) -> bool:
    """Whether a file or folder is what systems leave behind, and nobody means."""
    return name.startswith(".") or name.lower() in JUNK


def below(folder: Path, *, most: int = MOST_FILES) -> list[str]:
    """The paths of all files below a folder, with / between their parts, in order; none of junk.

    Links are followed, but for those to a folder that they are in themselves. A link to nothing is a file here, so that
    whoever reads it says so. Raises DataError where a folder cannot be read.
    """
    found = sorted(islice(_walk(folder, ""), most + 1))
    if len(found) > most:
        raise DataError(f"{flat(folder)}: more than {most:,} files: give the folder of the images alone")
    return found


def _walk(folder: Path, prefix: str, *, folders: bool = False) -> Iterator[str]:
    """The paths of files, or those of folders, with a / at their end."""
    waiting: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(str(folder), prefix, frozenset())]
    n_visited = 0
    while waiting:
        at, before, above = waiting.pop()
        n_visited += 1
        if n_visited > MOST_FOLDERS:
            raise DataError(f"{flat(folder)}: more than {MOST_FOLDERS:,} folders, or links that go round in circles")
        try:
            status = Path(at).stat()
            if (status.st_dev, status.st_ino) in above:  # a link to what it is in
                continue
            above |= {(status.st_dev, status.st_ino)}
            with os.scandir(at) as entries:
                for entry in entries:
                    if is_junk(entry.name):
                        continue
                    is_folder = entry.is_dir()
                    if is_folder:
                        waiting.append((entry.path, f"{before}{entry.name}/", above))
                    if is_folder == folders:
                        yield f"{before}{entry.name}{'/' * folders}"
        except OSError as error:
            raise DataError(f"{flat(at)}: cannot be read ({flat(error)})") from None


def folders_below(folder: Path) -> list[str]:
    """The paths of all folders below one, each with a / at its end, in order."""
    return sorted(_walk(folder, "", folders=True))


def holding(folder: Path, fits: Callable[[set[str]], object]) -> list[Path]:
    """This folder, if the names of the files in it fit; or those of the few folders in it whose files' names do."""
    try:
        if fits(_file_names(folder)):
            return [folder]
        with os.scandir(folder) as entries:
            inner = [Path(each.path) for each in entries if each.is_dir() and not is_junk(each.name)]
        return sorted(each for each in inner if fits(_file_names(each))) if len(inner) <= FEW_FOLDERS else []
    except OSError as error:
        raise DataError(f"{flat(folder)}: cannot be read ({flat(error)})") from None


def _file_names(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        return {each.name for each in entries if each.is_file()}


def the_one_holding(folder: Path, fits: Callable[[set[str]], object]) -> Path:
    """Raises DataError where there is more than one, or none any more."""
    found = holding(folder, fits)
    if len(found) != 1:
        shown = ", ".join(flat(each.name, 60) for each in found[:8])
        what = f"more than one set, {shown}: give one of them" if found else "its files are gone: get them again"
        raise DataError(f"{flat(folder)}: {what}")
    return found[0]


def peek(folder: Path, *, most: int = 2_000) -> list[str]:
    """Some of the paths below a folder, for a look at what it is; empty where it cannot be read."""
    try:
        return list(islice(_walk(folder, ""), most))
    except DataError:
        return []


def digest_of(folder: Path, paths: list[str]) -> Hashable:
    """What tells whether the files of a folder are still the ones that were read: their sizes, times and inodes."""
    digest = blake2b(digest_size=16)
    for path in paths:
        try:
            of = (folder / path).stat()
            said: tuple[object, ...] = (path, of.st_mtime_ns, of.st_ctime_ns, of.st_size, of.st_ino)
        except OSError as error:  # a link to nothing, which is refused when it is read
            said = (path, str(error))
        digest.update(repr(said).encode(errors="surrogateescape"))
    return len(paths), digest.hexdigest()


def content(path: Path, name: str, *, most: int = MOST_BYTES) -> bytes:
    """All of an ordinary file. Raises DataError that calls it by this name."""
    try:
        return read_regular(path, most=most)
    except (OSError, ValueError) as error:
        raise DataError(f"{flat(name)}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
