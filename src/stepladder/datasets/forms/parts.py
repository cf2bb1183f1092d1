"""Which part of a set a file or folder is, by its name."""

import re
from collections.abc import Iterable

from stepladder._base.wording import flat
from stepladder.errors import DataError

_WORDS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "t10k": "test",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
}


def part_of(name: str) -> str | None:
    """The part that a word of a name says: "sign_mnist_train.csv" is "train". None where none does, or two do."""
    words = re.findall(r"t10k|[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    found = {_WORDS[word] for word in words if word in _WORDS}
    found |= {part for prefix, part in (("train", "train"), ("test", "test")) if name.lower().startswith(prefix)}
    return found.pop() if len(found) == 1 else None


def by_part(names: Iterable[str], *, where: str) -> dict[str, str]:
    """The name of each part among these; one alone is train. Raises DataError where two could be the same part."""
    names = list(names)
    if len(names) == 1:
        return {"train": names[0]}
    found: dict[str, str] = {}
    for name in names:
        part = part_of(name)
        if part is None:
            continue
        if part in found:
            raise DataError(
                f"{where}: {flat(found[part], 60)} and {flat(name, 60)} could both be {part}: keep one of them"
            )
        found[part] = name
    if "train" not in found:
        shown = ", ".join(flat(name, 60) for name in names[:8])
        raise DataError(f"{where}: which of these is trained on? {shown}: call it train, and others test or validation")
    return found
