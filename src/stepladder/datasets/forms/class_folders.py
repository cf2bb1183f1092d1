"""Folders of pictures, one folder for each class: alone, or below train, test and a validation folder.

As torchvision's ImageFolder, Keras's image_dataset_from_directory and most exports lay them out. What is below a class
folder belongs to that class, however deep; a folder around all of it is passed through. What is left out is said.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from stepladder._base.wording import flat, is_are, n_of
from stepladder.datasets import sources
from stepladder.datasets.reading import files
from stepladder.datasets.reading.found import PARTS, Encoded, Found, Part
from stepladder.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
NOT_READ = (".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".psd", ".dng", ".cr2", ".nef", ".arw")  # pictures, too
_WORDS = {
    "train": ("train", "training", "trainset", "trn"),
    "test": ("test", "testing", "testset", "tst", "holdout"),
    "validation": ("validation", "valid", "val", "validate", "dev", "valset", "validset", "devset", "eval"),
}
_PART_OF = {word: part for part, words in _WORDS.items() for word in words}
_FILLING = {"images", "image", "img", "imgs", "set", "data", "dataset", "pictures", "photos", "split", "seg", "folder"}
HOW = "make a folder for each class, as cat/1.png and dog/2.png, or a table of filename and label beside them"

Reader = Callable[[str], Callable[[], bytes]]


class ClassFolders:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        """Also a folder that holds little but pictures: its refusal is said here."""
        if not path.is_dir():
            return False
        seen = files.peek(path)
        found = [each for each in seen if each.lower().endswith((*PICTURES, *NOT_READ))]
        return any("/" in each for each in found) or 2 * len(found) > len(seen)

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return files.digest_of(Path(at), files.below(Path(at)))

    def read(self, at: str) -> Found:
        folder = Path(at)
        return found_in(
            files.below(folder),
            lambda path: partial(files.content, folder / path, path),
            where=flat(folder, 1000),
            folders=files.folders_below(folder),
        )


def is_picture(path: str) -> bool:
    return path.lower().endswith(PICTURES)


def part_of(name: str) -> str | None:
    """The part that a folder is called: "Train", "test_images", "valid-set". None for a class, as "train station"."""
    words = set(re.findall(r"[^\W\d_]+", name.lower())) - _FILLING
    return _PART_OF.get(words.pop()) if len(words) == 1 else None


@dataclass(frozen=True)
class _Place:
    """Where a picture lies: in which part, and which class's folder; None where it is in none."""

    path: str
    part: str | None
    of_class: str | None


def found_in(paths: Sequence[str], reader: Reader, *, where: str, folders: Iterable[str] = ()) -> Found:
    """A set of the pictures among these files, by their paths with / between their parts.

    ``reader(path)`` gives what reads one; ``folders`` are all there are, the empty ones too, each with a / at its end.
    Raises DataError where no picture is in a class's folder, or where a folder may be a class or a part.
    """
    pictures = [path for path in paths if is_picture(path)]
    others = [path for path in paths if path.lower().endswith(NOT_READ)]
    if others:
        raise DataError(
            f"{where}: {n_of(len(others), 'picture')} of a kind that is not read ({flat(others[0], 80)}"
            f"{' ...' * (len(others) > 1)}): save as PNG or JPEG, or take away"
        )
    layout = _Layout.of(pictures, where)
    places = _without_unlabelled([layout.place(path) for path in pictures])
    chosen = {part: [each for each in places if each.part == part and each.of_class is not None] for part in PARTS}
    names = {each.of_class for each in chosen["train"]}
    if len(names) < 2:
        found = f"all in one folder, {flat(names.pop(), 60)}" if names else "none of them in a folder of its class"
        raise DataError(f"{where}: {n_of(len(pictures), 'picture')}, {found}: {HOW}")
    parts = {
        part: Part([Encoded(each.path, reader(each.path)) for each in of_part], np.array([e.of_class for e in of_part]))
        for part, of_part in chosen.items()
        if of_part
    }
    notes = [*_left_out(paths, places), *_empty(folders, layout, chosen)]
    form = "folders of pictures, one for each class" + f", below {', '.join(parts)}" * layout.has_parts
    return Found(parts, form=form, notes=tuple(notes))


@dataclass(frozen=True)
class _Layout:
    """How deep classes are: below ``around``, and where there are parts, below those."""

    around: int
    has_parts: bool
    twice: frozenset[str]  # parts whose folder is in one of the same name, as train/train

    @classmethod
    def of(cls, paths: Sequence[str], where: str) -> "_Layout":
        """Raises DataError where a folder may be a class or a part, or where two may be one part."""
        around = len(_around(paths))
        inner = [PurePosixPath(path).parts[around:] for path in paths]
        tops = {parts[0] for parts in inner if len(parts) > 1}
        of_part = {top: part for top in sorted(tops) if (part := part_of(top)) is not None}
        has_parts = any(of_part.get(parts[0]) == "train" and len(parts) > 2 for parts in inner)
        has_parts = has_parts or ("train" in of_part.values() and len(of_part) == len(tops))
        if of_part and not has_parts:
            raise _unclear(of_part, tops, where)
        if has_parts:
            _require_one_each(of_part, where)
        twice = {part for top, part in of_part.items() if has_parts and _is_twice(top, part, inner)}
        return cls(around, has_parts, frozenset(twice))

    def inner(self, path: str) -> tuple[str, ...]:
        return PurePosixPath(path).parts[self.around :]

    def place(self, path: str) -> _Place:
        parts = self.inner(path)
        if not self.has_parts:
            return _Place(path, "train", parts[0] if len(parts) > 1 else None)
        part = part_of(parts[0]) if len(parts) > 1 else None
        depth = 1 + (part in self.twice)
        return _Place(path, part, parts[depth] if part is not None and len(parts) > depth + 1 else None)


def _around(paths: Sequence[str]) -> tuple[str, ...]:
    """The folders that all of it is in, down to where classes or parts begin."""
    prefix: tuple[str, ...] = ()
    split = [PurePosixPath(path).parts for path in paths]
    while True:
        level = {parts[len(prefix)] for parts in split if len(parts) > len(prefix) + 1}
        deeper = all(len(parts) > len(prefix) + 2 for parts in split)
        if len(level) != 1 or not deeper or part_of(next(iter(level))) is not None:
            return prefix
        prefix = (*prefix, next(iter(level)))


def _is_twice(top: str, part: str, inner: Sequence[tuple[str, ...]]) -> bool:
    below = [parts for parts in inner if parts[0] == top]
    return all(len(parts) > 2 and part_of(parts[1]) == part for parts in below)


def _unclear(of_part: dict[str, str], tops: set[str], where: str) -> DataError:
    name = flat(next(iter(of_part)), 60)
    classes = sorted(tops - set(of_part))
    if not classes:
        return DataError(f"{where}: a folder {name}, and none called train: which pictures are trained on?")
    return DataError(
        f"{where}: is {name} a class, as {flat(classes[0], 60)} is, or a part of the set? Put the folders of all"
        " classes into one called train, or give it another name"
    )


def _require_one_each(of_part: dict[str, str], where: str) -> None:
    seen: dict[str, str] = {}
    for top, part in of_part.items():
        if part in seen:
            raise DataError(
                f"{where}: {flat(seen[part], 60)} and {flat(top, 60)} could both be {part}: keep one of them"
            )
        seen[part] = top


def _without_unlabelled(places: Sequence[_Place]) -> list[_Place]:
    """The same, but for a part of one folder that is none of training's classes, as test/images or test/unknown."""
    trained = {each.of_class.casefold() for each in places if each.part == "train" and each.of_class is not None}
    found = list(places)
    for part in ("test", "validation"):
        names = {each.of_class for each in places if each.part == part and each.of_class is not None}
        if len(names) == 1 and next(iter(names)).casefold() not in trained:
            found = [_Place(each.path, part, None) if each.part == part else each for each in found]
    return found


def _left_out(paths: Sequence[str], places: Sequence[_Place]) -> Iterator[str]:
    unlabelled = [each.path for each in places if each.of_class is None and each.part in ("test", "validation")]
    astray = [each.path for each in places if each.of_class is None and each.part not in ("test", "validation")]
    others = [path for path in paths if not is_picture(path)]
    for what, why, found in (
        ("picture", "without a class", unlabelled),
        ("picture", "in no class's folder", astray),
        ("file", "not called as pictures are", others),
    ):
        if found:
            example = f"{flat(found[0], 80)}{' ...' * (len(found) > 1)}"
            yield f"{n_of(len(found), what)} {why} ({example}) {'was' if len(found) == 1 else 'were'} left out"


def _empty(folders: Iterable[str], layout: _Layout, chosen: dict[str, list[_Place]]) -> Iterator[str]:
    """Folders where those of classes are, without a picture."""
    known = {part: {each.of_class for each in of_part} for part, of_part in chosen.items()}
    empty = []
    for folder in folders:
        place = layout.place(f"{folder}picture")
        is_class = place.of_class is not None and place.part is not None and chosen[place.part]
        if is_class and layout.inner(folder)[-1] == place.of_class and place.of_class not in known[place.part or ""]:
            empty.append(folder)
    if empty:
        shown = ", ".join(flat(each.rstrip("/"), 60) for each in empty[:5]) + " ..." * (len(empty) > 5)
        yield f"{n_of(len(empty), 'folder')} ({shown}) {is_are(len(empty))} without pictures, and no class"
