"""What the page says of one rung, as plain values for the template."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import ndiff
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import n_of
from stepladder.analysis.attempts import Tried
from stepladder.analysis.classes import recalls
from stepladder.analysis.comparing import Comparison
from stepladder.datasets.sources import called
from stepladder.ladders.ladder import Rung
from stepladder.networks.effective_field import EffectiveField
from stepladder.networks.geometry import LayerGeometry, Network
from stepladder.networks.sides import pair, text
from stepladder.recipes.recipe import Recipe, describe
from stepladder.reporting.evidence import Mistake, confusion, first_mistakes
from stepladder.reporting.html.charts import Spec, accuracy_chart, epochs_table, loss_chart
from stepladder.reporting.html.network_picture import BlockPicture, blocks, layer_words
from stepladder.reporting.html.pictures import MOST_SIDE, field_uri, image_uri
from stepladder.reporting.numbers import percent
from stepladder.reporting.pages.check_page import layer_table
from stepladder.reporting.tables import Table
from stepladder.reporting.words.diagnosis_text import RungNotes, notes
from stepladder.runs.results import Results, RungResult
from stepladder.runs.run import Run

MOST_FIELDS = 24  # pictures of a layer's field, for networks of very many layers
SHARES = (0.5, 0.95)  # of the energy, for the sides of an effective field
FIGURE_BYTES = 260  # of a picture's HTML, besides what it shows and says
OPTION_BYTES = 70  # of a pair's in the filter


@dataclass(frozen=True)
class FieldChange:
    """A field of the recipe that a rung changes: its lines marked "-", "+" or " "."""

    field: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MistakePicture:
    """A misclassified image; ``pairs`` are all its label-prediction pairs, as the filter names them."""

    uri: str
    alt: str
    label: str
    predicted: str
    pairs: str
    n_wrong: int
    n_seeds: int
    probability: str


@dataclass(frozen=True)
class Pair:
    """A class taken for another, and how many of the images shown are of it; ``key`` as the filter names it."""

    key: str
    label: str
    predicted: str
    n: int


@dataclass(frozen=True)
class FieldPicture:
    """A layer's effective field; ``frame`` is the theoretical one in percent of the image: left, top, width, height."""

    name: str
    words: str
    uri: str
    frame: tuple[float, float, float, float]


@dataclass(frozen=True)
class RungContent:
    """Everything of a rung's section; the numbers of its charts are indices into the page's list.

    ``seeds`` are the finished ones. ``matrices`` are their confusion for the page's script, one each and then
    ``matrix_seeds`` says whose, or their sum alone.
    """

    name: str
    why: str
    notes: RungNotes
    diff: tuple[FieldChange, ...]
    recipe: Table
    accuracy_chart: int | None
    loss_chart: int | None
    curve_note: str
    epochs: Table
    seeds: tuple[int, ...]
    matrix_seeds: tuple[int, ...]
    matrices: tuple[dict[str, Any], ...]
    class_names: tuple[str, ...]
    recalls: Table
    mistakes: tuple[MistakePicture, ...]
    pairs: tuple[Pair, ...]
    left_out: str
    same_network_as: tuple[int, str] | None
    blocks: tuple[BlockPicture, ...]
    layers: Table
    fields: tuple[FieldPicture, ...]
    shown_seed: int | None


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page shows of a rung besides its numbers: one seed's network, and where its layers look."""

    images: NDArray[np.uint8]
    most_picture_bytes: int
    most_cells: int
    class_names: tuple[str, ...] = ()
    seed: int | None = None
    fields: tuple[EffectiveField, ...] = ()
    charts: list[Spec] = field(default_factory=list)


def rung_content(
    results: Results,
    index: int,
    *,
    comparison: Comparison | None,
    known: Tried,
    networks: Sequence[Network],
    shown: Shown,
) -> RungContent:
    """The section of rung ``index``; its charts are added to ``shown.charts``."""
    result, split = results.rungs[index], results.ladder.evaluate_on
    below = results.rungs[index - 1].rung if index else None
    network = networks[index]
    first = networks.index(network)
    room = shown.most_picture_bytes // FIGURE_BYTES + 1
    pictures, left_out = _pictures(*first_mistakes(result.runs, most=room), shown)
    matrices = _matrices(result, shown.most_cells)
    return RungContent(
        name=result.rung.name,
        why=" ".join(result.rung.why.split()),
        notes=notes(results, index, comparison, known=known, verdict_elsewhere=True),
        diff=_diff(result.rung, below),
        recipe=recipe_table(result.rung.recipe),
        accuracy_chart=_added(shown.charts, accuracy_chart(result, split)),
        loss_chart=_added(shown.charts, loss_chart(result, split)),
        curve_note=_curve_note(result),
        epochs=epochs_table(result, split),
        seeds=tuple(sorted(run.identity.seed for run in result.runs if run.final is not None)),
        matrix_seeds=tuple(sorted(each["seed"] for each in matrices if each["seed"] is not None)),
        matrices=matrices,
        mistakes=pictures,
        class_names=shown.class_names,
        recalls=recall_table(result.runs, shown.class_names),
        pairs=_pairs(pictures, shown.class_names),
        left_out=left_out,
        same_network_as=None if first == index else (first + 1, results.rungs[first].rung.name),
        blocks=tuple(blocks(network, dropout=result.rung.recipe.dropout)),
        layers=layer_table(network, result.rung.name),
        fields=tuple(_field(network, each, shown.images[0]) for each in shown.fields[:MOST_FIELDS]),
        shown_seed=shown.seed,
    )


def _added(charts: list[Spec], chart: Spec | None) -> int | None:
    if chart is None:
        return None
    charts.append(chart)
    return len(charts) - 1


def _matrices(result: RungResult, most_cells: int) -> tuple[dict[str, Any], ...]:
    """The final confusion of each seed, if together they have at most ``most_cells`` cells above 0; else their sum."""
    finals = [(run.identity.seed, np.array(run.final.confusion)) for run in result.runs if run.final is not None]
    if sum(np.count_nonzero(matrix) for _, matrix in finals) <= most_cells:
        return tuple(_cells(matrix, seed) for seed, matrix in finals)
    together = confusion(result.runs)
    assert together is not None
    return (_cells(together, None),)


def _cells(matrix: NDArray[np.int64], seed: int | None) -> dict[str, Any]:
    """A confusion matrix without its zeros."""
    cells = [[int(label), int(k), int(matrix[label, k])] for label, k in np.argwhere(matrix)]
    return {"seed": seed, "n": len(matrix), "cells": cells}


def _curve_note(result: RungResult) -> str:
    n = len(result.runs)
    band = f"Lines are means over {n} seeds, bands reach from the lowest seed to the highest." if n > 1 else "One seed."
    return f"{band} Train values are measured while training. The first epochs may lie outside the picture."


def _diff(rung: Rung, below: Rung | None) -> tuple[FieldChange, ...]:
    """The changed fields, a network line by line."""
    if below is None:
        return ()
    found = []
    for name in rung.changes:
        old, new = (_lines(name, each.recipe) for each in (below, rung))
        lines = [(line[0], line[2:]) for line in ndiff(old, new) if line[0] != "?"]
        found.append(FieldChange(name.replace("_", " "), tuple(lines)))
    return tuple(found)


def _lines(name: str, recipe: Recipe) -> list[str]:
    value = getattr(recipe, name)
    return [str(layer) for layer in value] if name == "network" else [describe(name, value)]


def recipe_table(recipe: Recipe) -> Table:
    """All concepts of a recipe, in words."""
    rows = tuple((name.replace("_", " "), describe(name, getattr(recipe, name))) for name in Recipe.model_fields)
    return Table(title="", header=("concept", "value"), rows=rows, numeric=frozenset())


def recall_table(runs: Sequence[Run], class_names: Sequence[str]) -> Table:
    """What part of each class is right."""
    rows = tuple(
        (called(each.label, class_names), f"{each.n:,}", percent(100 * each.mean), percent(100 * each.lowest))
        for each in recalls(runs)
    )
    header = ("class", "images", "recall %", "lowest seed %")
    return Table(title="", header=header, rows=rows, numeric=frozenset({1, 2, 3}))


def _pictures(first: Sequence[Mistake], n_all: int, shown: Shown) -> tuple[tuple[MistakePicture, ...], str]:
    """The first of all mistakes, as many as there is room for, and a sentence on the others."""
    made: list[MistakePicture] = []
    pairs: set[str] = set()
    n_bytes = 0
    for each in first:
        picture = _picture(each, image_uri(shown.images[each.index], most_side=MOST_SIDE), shown.class_names)
        pairs |= set(picture.pairs.split())
        n_bytes += FIGURE_BYTES + len(picture.uri) + 2 * len(picture.alt) + len(picture.pairs)
        if n_bytes + OPTION_BYTES * len(pairs) > shown.most_picture_bytes:
            break
        made.append(picture)
    n_left = n_all - len(made)
    left_out = f"Left out: {n_of(n_left, 'more image')}, wrong with fewer seeds or less surely." if n_left else ""
    return tuple(made), left_out


def _picture(each: Mistake, uri: str, class_names: Sequence[str]) -> MistakePicture:
    probability = f"{each.probability:.0%}" if each.probability < 0.995 else "> 99%"
    label, predicted, *more = (called(each_of, class_names) for each_of in (each.label, each.predicted, *each.others))
    others = f", and for {', '.join(more)}" if more else ""
    taken = f"{label}, taken for {predicted}{others}"
    return MistakePicture(
        uri=uri,
        alt=f"Image {each.index}: {taken} in {each.n_wrong} of {each.n_seeds} seeds, probability {probability}",
        label=label,
        predicted=predicted,
        pairs=" ".join(f"{each.label}-{predicted}" for predicted in (each.predicted, *each.others)),
        n_wrong=each.n_wrong,
        n_seeds=each.n_seeds,
        probability=probability,
    )


def _pairs(pictures: Sequence[MistakePicture], class_names: Sequence[str]) -> tuple[Pair, ...]:
    counts = Counter(pair for each in pictures for pair in each.pairs.split())
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return tuple(_pair(pair, n, class_names) for pair, n in ranked)


def _pair(key: str, n: int, class_names: Sequence[str]) -> Pair:
    label, predicted = (called(int(each), class_names) for each in key.split("-"))
    return Pair(key, label, predicted, n)


def _field(network: Network, found: EffectiveField, image: NDArray[np.uint8]) -> FieldPicture:
    row, image_size = network.rows[found.layer_index], network.image.size
    half, most = (found.side(share) for share in SHARES)
    words = f"sees {text(row.rf_out, '×')} px; half within {half}, 95% within {most}" if most else "nothing moves it"
    down, across = zip(*map(pair, (found.window_start, found.window_size, image_size)), strict=True)
    (top, height), (left, width) = _framed(*down), _framed(*across)
    return FieldPicture(
        name=_layer_name(row),
        words=words,
        uri=field_uri(image, found.energy),
        frame=(left, top, width, height),
    )


def _framed(start: int, side: int, image_side: int) -> tuple[float, float]:
    """Where a window begins, and how long it is in the image, in percent."""
    begin, long = 100 * start / image_side, 100 * side / image_side
    first, end = max(0.0, begin), min(100.0, begin + long)
    return round(first, 2), round(end - first, 2)


def _layer_name(row: LayerGeometry) -> str:
    return f"{row.index + 1}. {layer_words(row)}"
