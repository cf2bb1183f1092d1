"""Zip archives of pictures, one folder for each class; and folders of archives, as Teachable Machine gives one a class.

Members are read one at a time into memory: nothing is unpacked to disk, so that names mean nothing but themselves.
"""

import zipfile
from collections.abc import Hashable
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.datasets.forms.class_folders import found_in, is_picture
from stepladder.datasets.reading import files
from stepladder.datasets.reading.found import Found
from stepladder.datasets.reading.odd_files import require_regular
from stepladder.errors import DataError

SAMPLES = "-samples"  # what Teachable Machine adds to the name of a class
MOST_TIMES_PACKED = 100  # that a picture is larger than what it is packed into; most are not smaller at all
SMALL = 2**22  # bytes, which may be packed any way
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


class _Member(NamedTuple):
    archive: zipfile.ZipFile
    of: Path
    info: zipfile.ZipInfo

    @property
    def shown(self) -> str:
        return f"{flat(self.of)}: {flat(self.info.filename, 120)}"


class Zips:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        """By the names of its members; a folder where each of its archives holds pictures."""
        archives = _archives(path)
        return bool(archives) and all(any(is_picture(name) for name in _names(each)) for each in archives)

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(_archives(Path(at)))

    def read(self, at: str) -> Found:
        path = Path(at)
        members: dict[str, _Member] = {}
        for archive in _archives(path):
            for name, member in _members(archive).items():
                at_name = name if archive == path else _below(archive, name)
                if at_name in members:
                    raise DataError(f"{flat(path, 1000)}: {flat(at_name, 120)} is there twice: keep one of them")
                members[at_name] = member
        try:
            found = found_in(list(members), lambda name: partial(_content, members[name]), where=flat(path, 1000))
        except DataError as error:
            if any(name.lower().endswith(TABLES) for name in members):
                raise DataError(f"{error}; a table in an archive is not read: unpack it") from None
            raise
        return Found(found.parts, form=f"{found.form}, zipped", notes=found.notes)


def _archives(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if zipfile.is_zipfile(path) and path.suffix.lower() != ".npz" else []
    if not path.is_dir():
        return []
    return sorted(each for each in path.iterdir() if each.suffix.lower() == ".zip" and zipfile.is_zipfile(each))


def _names(archive: Path) -> list[str]:
    with suppress(Exception), zipfile.ZipFile(archive) as opened:
        return opened.namelist()
    return []


def _below(archive: Path, name: str) -> str:
    """Where a member is in a folder of archives: below the name of its own, which may be its first folder already."""
    stem = archive.stem.removesuffix(SAMPLES)
    return name if name.casefold().startswith(f"{stem.casefold()}/") else f"{stem}/{name}"


def _members(path: Path) -> dict[str, _Member]:
    """The files in an archive, by their paths in it. Raises DataError for what cannot be read, or would be too much."""
    require_regular(path)
    try:
        archive = zipfile.ZipFile(path)
        infos = [info for info in archive.infolist() if not info.is_dir()]
    except Exception as error:  # zipfile names damage in a dozen ways
        raise _damaged(flat(path), error) from None
    found: dict[str, _Member] = {}
    for info in infos:
        name = _plain(info.filename)
        if not name:
            continue
        member = _Member(archive, path, info)
        if info.flag_bits & 1:
            raise DataError(f"{member.shown} is encrypted: unpack it with its password")
        _require_no_bomb(member)
        if name in found:
            raise DataError(f"{member.shown} is there twice: pack it again")
        found[name] = member
    return found


def _plain(name: str) -> str:
    """A member's path without what leads elsewhere; empty for junk."""
    parts = [each for each in PurePosixPath(name.replace("\\", "/")).parts if each not in ("/", ".", "..")]
    return "" if any(map(files.is_junk, parts)) else "/".join(parts)


def _require_no_bomb(member: _Member) -> None:
    size, packed = member.info.file_size, member.info.compress_size
    if size > files.MOST_BYTES:
        raise DataError(f"{member.shown} promises {size / 1e6:,.0f} MB: no picture has that many; leave it out")
    if size > max(SMALL, MOST_TIMES_PACKED * packed):
        raise DataError(
            f"{member.shown}: {packed / 1e6:,.2f} MB that promise {size / 1e6:,.1f}: no picture is packed that far; it"
            " is made to fill the memory"
        )


def _content(member: _Member) -> bytes:
    """No more of it than its header promises. Raises DataError."""
    try:
        with member.archive.open(member.info) as stream:
            return stream.read()
    except Exception as error:  # zipfile and zlib name damage in a dozen ways
        raise _damaged(member.shown, error) from None


def _damaged(shown: str, error: Exception) -> DataError:
    return DataError(f"{shown}: damaged, or no zip archive ({flat(error) or type(error).__name__}): get it again")
