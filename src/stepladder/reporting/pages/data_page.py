"""A set of images as it was understood: its form, its parts, its classes, and what is remarkable."""

from typing import Any

import numpy as np

from stepladder._base.wording import n_of
from stepladder.datasets.image_set import ImageSet, Labelled
from stepladder.datasets.remarks import range_of
from stepladder.reporting.tables import Page, Table

SCHEMA_VERSION = 1
MOST_CLASSES = 40  # rows of the table


def data_page(images: ImageSet, remarks: tuple[str, ...]) -> Page:
    """All that ``stepladder data`` shows."""
    image = images.info.image
    form = f" ({images.form})" if images.form else ""
    n_bytes = sum(part.stored.nbytes for part in images.parts.values())
    return [
        f"{images.name}{form}: images of {image.in_words}, {image.n_classes} classes.",
        _parts_table(images),
        _classes_table(images),
        *(f"Note: {note}." for note in remarks),
        f"In memory: {n_bytes / 2**20:,.1f} MiB of pixels, which all processes of a machine share.",
        f"SHA-256 of the images: {images.sha256}.",
    ]


def _parts_table(images: ImageSet) -> Table:
    rows = []
    for name, part in images.parts.items():
        low, high, mean = _range(part)
        rows.append((name, f"{len(part):,}", f"{low} to {high}", f"{mean:.1f}"))
    return Table("", ("part", "images", "pixels", "mean pixel"), tuple(rows), numeric=frozenset({1, 3}))


def _range(part: Labelled) -> tuple[int, int, float]:
    """The darkest, the brightest and the mean pixel."""
    found = range_of(part)
    return found.low, found.high, found.mean


def _counts(images: ImageSet) -> dict[str, list[int]]:
    n = len(images.class_names)
    return {name: np.bincount(part.labels, minlength=n).tolist() for name, part in images.parts.items()}


def _classes_table(images: ImageSet) -> Table:
    counts = _counts(images)
    rows = [
        (str(label), name, *(f"{of_part[label]:,}" for of_part in counts.values()))
        for label, name in enumerate(images.class_names)
    ]
    title = "Classes"
    if len(rows) > MOST_CLASSES:
        title += f": the first {MOST_CLASSES} of {n_of(len(rows), 'class', 'classes')} (--json has all)"
    numeric = frozenset({0, *range(2, 2 + len(counts))})
    return Table(title, ("label", "name", *counts), tuple(rows[:MOST_CLASSES]), numeric=numeric)


def data_dict(images: ImageSet, remarks: tuple[str, ...]) -> dict[str, Any]:
    """What ``stepladder data --json`` prints."""
    image, counts = images.info.image, _counts(images)
    parts = {}
    for name, part in images.parts.items():
        low, high, mean = _range(part)
        parts[name] = {"n": len(part), "low": low, "high": high, "mean": mean, "per_class": counts[name]}
    return {
        "schema_version": SCHEMA_VERSION,
        "name": images.name,
        "form": images.form,
        "channels": image.channels,
        "size": image.size,
        "class_names": list(images.class_names),
        "parts": parts,
        "notes": list(remarks),
        "n_bytes": sum(part.stored.nbytes for part in images.parts.values()),
        "sha256": images.sha256,
        "validation_sha256": images.validation_sha256,
    }
