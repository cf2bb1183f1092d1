"""From what a source found to an image set: labels to classes, a test part where there is none, and what must agree."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat, n_of
from stepladder.datasets.reading.found import Found, Part
from stepladder.datasets.spec import DataSpec
from stepladder.errors import DataError

LARGEST_LABEL = 65_535
MOST_SHOWN = 20  # classes of a map that is printed
SHARE = 1 / 6  # of the images, or groups, that are cut as a part that a set has not


def with_classes(found: Found, *, where: str) -> Found:
    """The same with labels (N,) int64 that count the classes from 0, and with names of the classes.

    Texts are names; they come in their natural order. Numbers that do not count from 0 without gaps are mapped, and
    the map is a note. Raises DataError for labels of no kind, and where a part has a class that training has not.
    """
    parts = {name: replace(part, labels=checked(part.labels, f"{where}, {name} labels")) for name, part in found}
    for name, part in parts.items():
        if len(part.labels) != len(part):
            n_images, n_labels = n_of(len(part), f"{name} image"), n_of(len(part.labels), f"{name} label")
            raise DataError(f"{where}: {n_images} but {n_labels}: they must agree")
    is_text = {part.labels.dtype.kind == "U" for part in parts.values()}
    if len(is_text) == 2:
        raise DataError(f"{where}: labels of one part are numbers, of another part names: both must be alike")
    if is_text == {True}:
        parts, notes = _alike(parts, where)
    else:
        notes = []
    present = np.unique(parts["train"].labels)
    if is_text == {True}:
        present = np.array(sorted(present.tolist(), key=natural))
    if len(present) < 2:
        raise DataError(f"{where}: all training images are of one class: nothing to tell apart")
    places = {label: place for place, label in enumerate(present.tolist())}
    for name, part in parts.items():
        unknown = [label for label in np.unique(part.labels).tolist() if label not in places]
        if unknown:
            raise DataError(
                f"{where}: {name} label {flat(unknown[0], 60)} never occurs in training: both must have the same"
                " classes"
            )
        numbers = np.fromiter(map(places.__getitem__, part.labels.tolist()), np.int64, len(part))
        parts[name] = replace(part, labels=numbers)
    names = _names(found, present, where)
    if is_text == {False} and present.tolist() != list(range(len(present))):
        notes.append(_map(present.tolist()))
    return replace(found, parts=parts, class_names=names, notes=(*found.notes, *notes))


def checked(labels: NDArray[Any], where: str) -> NDArray[Any]:
    """Labels (N,) or (N, 1) as (N,): whole numbers as int64, names as texts. Raises DataError for any others."""
    labels = np.asarray(labels)
    if labels.ndim not in (1, 2) or labels.shape[1:] not in ((), (1,)):
        one_hot = " (one-hot ones by y.argmax(1))" if labels.ndim == 2 else ""
        raise DataError(
            f"{where}: labels of shape {labels.shape}: save them as (N,), one class number per image{one_hot}"
        )
    labels = labels.reshape(-1)
    if labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind not in "iu":
        raise DataError(f"{where}: labels are {flat(labels.dtype, 60)}: save them as integers, counted from 0")
    if labels.size and (labels.min() < 0 or labels.max() > LARGEST_LABEL):
        raise DataError(f"{where}: labels run from {labels.min()} to {labels.max()}: count classes from 0")
    return labels.astype(np.int64)


def natural(name: str) -> tuple[Any, ...]:
    """A key by which class 9 comes before class 10."""
    pieces = re.split(r"([0-9]+)", name)
    return (*((int(each), "") if each.isdigit() and each.isascii() else (-1, each) for each in pieces), name)


def _alike(parts: Mapping[str, Part], where: str) -> tuple[dict[str, Part], list[str]]:
    """Names of classes in one form of Unicode, those of other parts as training spells them."""
    found, notes = {}, []
    for name, part in parts.items():
        forms = {each: normalize("NFC", each).strip() for each in np.unique(part.labels).tolist()}
        if n_joined := len(forms) - len(set(forms.values())):
            classes = n_of(n_joined, "class", "classes")
            notes.append(f"{classes} of {name} came in two forms of Unicode, and were joined")
        found[name] = _renamed(part, forms)
    spelt = _by_small_letters(found["train"], where)
    for name, part in found.items():
        meant = {each: spelt.get(each.casefold(), each) for each in np.unique(part.labels).tolist()}
        for one, other in meant.items():
            if one != other:
                notes.append(f"{name} class {flat(one, 60)} was taken for {flat(other, 60)}, as training spells it")
        found[name] = _renamed(part, meant)
    return found, notes


def _renamed(part: Part, names: Mapping[str, str]) -> Part:
    return replace(part, labels=np.array([names[each] for each in part.labels.tolist()]))


def _by_small_letters(train: Part, where: str) -> dict[str, str]:
    """The classes of training by their names in small letters. Raises DataError where two differ in nothing else."""
    spelt: dict[str, str] = {}
    for each in np.unique(train.labels).tolist():
        if not each:
            raise DataError(f"{where}: an image has an empty class name: give it one")
        rival = spelt.setdefault(each.casefold(), each)
        if rival != each:
            raise DataError(
                f"{where}: classes {flat(rival, 60)} and {flat(each, 60)} differ in capital letters alone: if they are"
                " one class, give them one name; if not, names that tell them apart"
            )
    return spelt


def _names(found: Found, present: NDArray[Any], where: str) -> tuple[str, ...]:
    given = found.class_names
    if not given or present.dtype.kind == "U":
        return tuple(map(str, present.tolist()))
    if present[-1] >= len(given):
        raise DataError(f"{where}: label {present[-1]} has no name: there are {len(given):,} names of classes")
    return tuple(given[each] for each in present.tolist())


def _map(labels: Sequence[int]) -> str:
    shown = ", ".join(f"{label} is {place}" for place, label in enumerate(labels[:MOST_SHOWN]))
    more = f", ... {labels[-1]} is {len(labels) - 1}" if len(labels) > MOST_SHOWN else ""
    return f"labels do not count from 0 without gaps, and were mapped to classes: {shown}{more}"


def with_test(found: Found, spec: DataSpec, *, where: str) -> Found:
    """The same with a test part; and with a validation part where groups are to stay together, which ends of a set
    would not.

    A part that is not there is cut by a hash of what the images show, or of their group's name: which images it has
    depends on nothing else, neither on their order nor on what else there is; the same image is never on both sides.
    """
    if spec.group is not None:
        return _by_group(found, spec.group, where=where)
    if "test" in found.parts:
        return found
    train = found.parts["train"]
    assert isinstance(train.images, np.ndarray)
    chosen = _some_of_each(_hashed([image.tobytes() for image in train.images]), train.labels, where)
    note = (
        f"there is no test part: {n_of(int(chosen.sum()), 'image')} were cut as one, chosen by what they show, so that"
        " they stay the same ones"
    )
    return _cut(found, "test", chosen, note)


def _by_group(found: Found, group: str, *, where: str) -> Found:
    train = found.parts["train"]
    if not train.called:
        raise DataError(f"{where}: group is for images with names, and these have none: leave it out")
    groups = [_group(name, group, where) for name in train.called]
    n_groups = len(set(groups))
    places = _hashed([each.encode() for each in groups])
    if n_groups < 3:
        raise DataError(f"{where}: group finds {n_of(n_groups, 'group')} only: no split can be made of so few")
    missing = [name for name in ("test", "validation") if name not in found.parts]
    for place, name in enumerate(missing):
        low, high = place * SHARE, (place + 1) * SHARE
        chosen = (places >= low) & (places < high)
        if not chosen.any() or chosen.all():
            nearest = np.abs(places - (low + high) / 2).argmin()
            chosen = places == places[nearest]
        n = len({groups[row] for row in np.flatnonzero(chosen).tolist()})
        note = f"{n_of(int(chosen.sum()), 'image')} of {n} of {n_groups:,} groups were cut as {name} part"
        found = _cut(found, name, chosen, note)
        rest = ~chosen
        places, groups = places[rest], [each for each, stays in zip(groups, rest.tolist(), strict=True) if stays]
    lost = np.setdiff1d(train.labels, found.parts["train"].labels).tolist()
    if lost:
        name = found.class_names[lost[0]] if found.class_names else lost[0]
        raise DataError(
            f"{where}: group leaves no training image of class {flat(name, 60)}: all of its groups are in other parts;"
            " add groups of it, or leave it out"
        )
    return found


def _group(name: str, group: str, where: str) -> str:
    match = re.search(group, name)
    if match is None:
        raise DataError(f"{where}: group = {flat(group, 60)} finds nothing in {flat(name, 120)}")
    return match[1] if match.re.groups and match[1] is not None else match[0]


def _hashed(contents: Sequence[bytes]) -> NDArray[np.float64]:
    """A number from 0 to 1 for each, by its content alone."""
    digests = b"".join(blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(digests, "<u8") / 2.0**64


def _some_of_each(places: NDArray[np.float64], labels: NDArray[np.int64], where: str) -> NDArray[np.bool_]:
    """Which images are cut by their places, with some of each class at least on both sides.

    Only an image that comes under one label alone is moved for that: one of two labels would be on both sides.
    """
    chosen: NDArray[np.bool_] = places < SHARE
    n_labels = Counter(place for place, _ in set(zip(places.tolist(), labels.tolist(), strict=True)))
    alone = np.array([n_labels[place] == 1 for place in places.tolist()])
    for label in np.unique(labels).tolist():
        of_class = labels == label
        own = of_class & alone
        if len(np.unique(places[of_class])) == 1 or not own.any():
            why = "has one image" if of_class.sum() == 1 or own.any() else "has no two images of its own"
            raise DataError(
                f"{where}: class {label} {why}, and no test part is given: an image cannot be both trained on"
                " and tested on; add images of that class, or leave it out"
            )
        first = of_class & (places == places[own].min())  # more than one where the same image comes again
        if not chosen[of_class].any():
            chosen |= first
        elif chosen[of_class].all():
            chosen &= ~first
    return chosen


def _cut(found: Found, name: str, chosen: NDArray[np.bool_], note: str) -> Found:
    train = found.parts["train"]
    parts = {**found.parts, "train": train.chosen(np.flatnonzero(~chosen)), name: train.chosen(np.flatnonzero(chosen))}
    return replace(found, parts=parts, notes=(*found.notes, note))
