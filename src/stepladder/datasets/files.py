"""The files of a folder, a zip archive or one file, as a set's forms look at them: by paths below it, in one order."""

import os
from collections.abc import Hashable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from stepladder._base.files import read_regular
from stepladder._base.wording import flat
from stepladder.errors import DataError

MOST_BYTES = 100_000_000  # of one picture
MOST_FILES = 5_000_000
JUNK = {".ds_store", "thumbs.db", "desktop.ini", "__macosx", ".git", ".ipynb_checkpoints"}


def is_junk(name: str) -> bool:
    """Whether a file or folder is what systems leave behind, and nobody means."""
    return name.startswith(".") or name.lower() in JUNK


def below(folder: Path, *, most: int = MOST_FILES) -> list[str]:
    """The paths of all ordinary files below a folder, with / between their parts, in order; none of junk.

    Links to files are followed, and links to folders too, once. Raises DataError where a folder cannot be read.
    """
    found = sorted(islice(_walk(folder, ""), most + 1))
    if len(found) > most:
        raise DataError(f"{flat(folder)}: more than {most:,} files: give the folder of the images alone")
    return found


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()
    waiting = [(str(folder), prefix)]
    while waiting:
        at, before = waiting.pop()
        try:
            status = Path(at).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(at) as entries:
                for entry in entries:
                    if is_junk(entry.name):
                        continue
                    if entry.is_dir():
                        waiting.append((entry.path, f"{before}{entry.name}/"))
                    elif entry.is_file():
                        yield before + entry.name
        except OSError as error:
            raise DataError(f"{flat(at)}: cannot be read ({flat(error)})") from None


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
        of = (folder / path).stat()
        said = (path, of.st_mtime_ns, of.st_ctime_ns, of.st_size, of.st_ino)
        digest.update(repr(said).encode(errors="surrogateescape"))
    return len(paths), digest.hexdigest()


def content(path: Path, name: str, *, most: int = MOST_BYTES) -> bytes:
    """All of an ordinary file. Raises DataError that calls it by this name."""
    try:
        return read_regular(path, most=most)
    except (OSError, ValueError) as error:
        raise DataError(f"{flat(name)}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
