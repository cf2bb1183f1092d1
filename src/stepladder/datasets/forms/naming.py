"""Which arrays are images and which are labels, and of which part, by what they are called."""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from stepladder._base.wording import flat
from stepladder.datasets.forms.parts import part_of
from stepladder.datasets.reading.odd_files import listed
from stepladder.errors import DataError

Role = Literal["images", "labels", "names"]

_IMAGES = "x image images img imgs data pattern patterns pixels feature features input inputs fea samples"
_LABELS = "y label labels target targets class class_id gnd lbl lbls"
_ROLES: dict[str, Role] = {
    **dict.fromkeys(_IMAGES.split(), "images"),
    **dict.fromkeys(_LABELS.split(), "labels"),
}
_NAMES = re.compile(r"(^|/|_)((class|label|target)_?names|list_classes|classes|categories)$")  # of classes
_PARTS = "train|test|validation|valid|val|tr|te"
_JOINED = re.compile(rf"^(x|y|images|labels|data)({_PARTS})$|^({_PARTS})(x|y|images|labels|data|imgs)$")
_SHORT = {"tr": "train", "te": "test"}


class Pair(NamedTuple):
    """The names of the arrays of one part."""

    images: str
    labels: str


def said(name: str) -> tuple[str | None, Role | None]:
    """The part and the role that a name says: ``X_train``, ``train/data``, ``kmnist-test-imgs``; None where it says
    none, or two parts.
    """
    if _NAMES.search(name.lower()):
        return None, "names"
    words: list[str] = []
    for word in re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()):
        joined = _JOINED.match(word)
        words += [each for each in joined.groups() if each] if joined else [word]
    roles = {_ROLES[word] for word in words if word in _ROLES}
    role: Role | None = "labels" if "labels" in roles else "images" if roles else None
    return part_of(" ".join(_SHORT.get(word, word) for word in words)), role


def pairs(names: Iterable[str], *, where: str) -> tuple[dict[str, Pair], tuple[str, ...]]:
    """The arrays of each part, and what was left out of a set, as notes; arrays that name no part are trained on.

    Raises DataError where two could be the same, and where there are no images, or no labels of them.
    """
    names = list(names)
    found: dict[tuple[str, Role], str] = {}
    meant = {name: said(name) for name in names}
    has_train = any(part == "train" and role in ("images", "labels") for part, role in meant.values())
    left = []
    for name, (part, role) in meant.items():
        if role == "names":
            continue
        if role is None or (part is None and has_train):
            left.append(name)
            continue
        key = (part or "train", role)
        if key in found:
            raise DataError(
                f"{where}: {flat(found[key], 60)} and {flat(name, 60)} could both be the {role} of {key[0]}: keep one"
                " of them"
            )
        found[key] = name
    parts = {part: Pair(found[part, "images"], found[part, "labels"]) for part, _ in found if _both(found, part)}
    if "train" not in parts:
        there = listed(names) or "none"
        raise DataError(
            f"{where}: no {'labels' if ('train', 'images') in found else 'images'} to train on among {there}: call"
            " arrays x_train, y_train, x_test and y_test"
        )
    left += [name for (part, _), name in found.items() if part not in parts]
    return parts, (f"left out: {listed(left)}",) if left else ()


def _both(found: dict[tuple[str, Role], str], part: str) -> bool:
    return (part, "images") in found and (part, "labels") in found


def class_names(names: Iterable[str]) -> str | None:
    """The one array that names the classes."""
    found = [name for name in names if said(name)[1] == "names"]
    return found[0] if len(found) == 1 else None
