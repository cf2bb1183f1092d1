"""What a network takes pictures for, as a page and for machines. SCHEMA_VERSION history: 1, the first."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nextafter
from typing import Any

import numpy as np

from stepladder._base.wording import n_of
from stepladder.datasets.reading.pictures import Picture
from stepladder.reporting.numbers import percent
from stepladder.reporting.tables import Page, Table
from stepladder.runs.model import Model, ModelOrigin

SCHEMA_VERSION = 1
SURELY = nextafter(1.0, 0.0)  # no softmax gives all to one class, whatever its last bits say


@dataclass(frozen=True)
class Answer:
    """What a network takes a picture for: its most probable classes, the first one first, as (label, probability)."""

    file: str
    classes: tuple[tuple[int, float], ...]
    notes: tuple[str, ...] = ()


def answers(model: Model, pictures: Sequence[tuple[str, Picture]], *, top: int) -> list[Answer]:
    """What a model takes each picture for, with the name of its file; ``top`` classes of each."""
    if not pictures:
        return []
    probabilities = model.probabilities(np.stack([picture.pixels for _, picture in pictures]))
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        Answer(file, tuple((int(label), float(each[label])) for label in labels), picture.notes)
        for (file, picture), each, labels in zip(pictures, probabilities, ranked, strict=True)
    ]


def predict_page(model: Model, found: Sequence[Answer]) -> Page:
    """What ``stepladder predict`` prints."""
    rows = [
        (answer.file if place == 0 else "", model.class_names[label], f"{percent(100 * min(share, SURELY))}%")
        for answer in found
        for place, (label, share) in enumerate(answer.classes)
    ]
    header = ("picture", "class", "probability")
    return [Table(f"By {model_words(model)}", header, tuple(rows), numeric=frozenset({2}), words=frozenset({0}))]


def model_words(model: Model) -> str:
    """Whose network it is, how large, and how good as far as that is known."""
    origin, size = model.origin, n_of(model.network.params, "parameter")
    if origin is None:
        return f"a network of {size}"
    if origin.accuracy is None:
        return f"{origin}: {size}"
    return f"{origin}: {size}, {percent(origin.accuracy)}% of {origin.data.evaluate_on} right"


def predict_dict(model: Model, found: Sequence[Answer], problems: Sequence[str]) -> dict[str, Any]:
    """What ``stepladder predict --json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": {
            "params": model.network.params,
            "channels": model.image.channels,
            "size": model.image.size,
            "class_names": list(model.class_names),
            "weights_sha256": model.weights_sha256,
            "origin": _origin_dict(model.origin) if model.origin else None,
        },
        "pictures": [_answer_dict(model, answer) for answer in found],
        "problems": list(problems),
    }


def _origin_dict(origin: ModelOrigin) -> dict[str, Any]:
    return {
        "ladder": origin.ladder,
        "rungs": list(origin.rungs),
        "seed": origin.seed,
        "key": origin.key,
        "engine": origin.engine.model_dump(),
        "data": origin.data.model_dump(),
        "accuracy": None if origin.accuracy is None else float(origin.accuracy),
    }


def _answer_dict(model: Model, answer: Answer) -> dict[str, Any]:
    classes = [
        {"label": label, "class": model.class_names[label], "probability": share} for label, share in answer.classes
    ]
    return {"file": answer.file, **classes[0], "classes": classes, "notes": list(answer.notes)}
