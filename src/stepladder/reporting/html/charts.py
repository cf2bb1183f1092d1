"""Charts as Vega-Lite specifications (vega.github.io/vega-lite), drawn by Vega in the page.

Colours are the page's CSS variables, so that a chart follows light and dark. All values that are shown as text are
made into text here: Vega would round 99.398 up to the target.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import fmean
from typing import Any

from stepladder._base.plain import neutral
from stepladder.ladders.terms import Target
from stepladder.reporting.numbers import NOTHING, percent
from stepladder.reporting.tables import Table
from stepladder.reporting.vega_lite import SCHEMA
from stepladder.runs.results import Results, RungResult
from stepladder.runs.run import Epoch, Run
from stepladder.runs.stats import Spread, accuracies, train_accuracies

Spec = dict[str, Any]
Records = list[dict[str, Any]]
Measure = Callable[[Sequence[Epoch]], Spread]

N_COLOURS = 6  # var(--series-1) and so on in the page's style sheet; with more lines, dashes tell them apart
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
INK, FAINT, TARGET = "var(--ink-2)", "var(--line)", "var(--target)"
LETTER, LEGEND_GAP, LONGEST_NAME = 7, 48, 34  # of a legend's names: pixels a letter at most, beside it, letters
SETTLED = 0.25  # the first quarter of the epochs would squeeze all others together: the axis begins after it


def accuracy_chart(result: RungResult, split: str) -> Spec | None:
    """Accuracy by epoch, training and evaluated: the mean over seeds, their range, and the target."""
    target = result.rung.target
    measures: dict[str, Measure] = {f"{split} %": accuracies, "train %": train_accuracies}
    return _curves(result.runs, measures, text=lambda value: percent(value, target=target.accuracy), target=target)


def loss_chart(result: RungResult, split: str) -> Spec | None:
    """Mean cross-entropy by epoch, in nats, training and evaluated."""
    measures: dict[str, Measure] = {
        f"{split} loss": lambda epochs: _losses([epoch.loss for epoch in epochs]),
        "train loss": lambda epochs: _losses([epoch.train_loss for epoch in epochs]),
    }
    return _curves(result.runs, measures, text=lambda value: f"{float(value):.4f}")


def ladder_chart(results: Results) -> Spec | None:
    """Accuracy on the evaluated split by epoch, the mean over seeds, one line for each rung."""
    target = results.rungs[-1].rung.target
    epochs = {
        # numbered, because Vega's tooltip takes a bare "image" or "title" for its own
        f"{step}. {neutral(each.rung.name)}": _by_epoch(each.runs)
        for step, each in enumerate(results.rungs, 1)
        if any(run.epochs for run in each.runs)
    }
    names = list(epochs)
    longest = max(map(len, epochs.values()), default=0)
    hovers = [{"epoch": k + 1} | {f"text{line}": NOTHING for line in range(len(names))} for k in range(longest)]
    lines: Records = []
    for line, (name, of_rung) in enumerate(epochs.items()):
        for number, of_seeds in enumerate(of_rung, 1):
            _, value, _ = accuracies(of_seeds)
            lines.append({"epoch": number, "line": name, "mean": _drawn(value)})
            hovers[number - 1][f"text{line}"] = percent(value, target=target.accuracy)
    title = f"{results.ladder.evaluate_on} %, mean over seeds"
    return _spec(lines, hovers, names, title=title, target=target, height=340) if lines else None


def epochs_table(result: RungResult, split: str) -> Table:
    """What the curves show, as numbers: means over the seeds that got so far, and their range."""
    target = result.rung.target.accuracy
    rows = []
    for number, epochs in enumerate(_by_epoch(result.runs), 1):
        (low, evaluated, high), (_, trained, _) = accuracies(epochs), train_accuracies(epochs)
        ends = (percent(end, target=target) for end in (low, high))
        losses = (fmean(getattr(epoch, name) for epoch in epochs) for name in ("loss", "train_loss"))
        means = (percent(evaluated, target=target), *ends, percent(trained, target=target))
        rows.append((str(number), *means, *(f"{loss:.4f}" for loss in losses)))
    header = ("epoch", f"{split} %", "lowest", "highest", "train %", f"{split} loss", "train loss")
    return Table(title="", header=header, rows=tuple(rows), numeric=frozenset(range(len(header))))


def ladder_epochs_table(results: Results) -> Table:
    """Mean accuracy on the evaluated split by epoch, one column for each rung."""
    columns = [
        [percent(accuracies(epochs)[1], target=each.rung.target.accuracy) for epochs in _by_epoch(each.runs)]
        for each in results.rungs
    ]
    longest = max(map(len, columns))
    rows = [(str(k + 1), *(column[k] if k < len(column) else NOTHING for column in columns)) for k in range(longest)]
    header = ("epoch", *(each.rung.name for each in results.rungs))
    return Table(title="", header=header, rows=tuple(rows), numeric=frozenset(range(len(header))))


def _curves(
    runs: Sequence[Run], measures: dict[str, Measure], *, text: Callable[[Fraction], str], target: Target | None = None
) -> Spec | None:
    lines: Records = []
    hovers: Records = []
    for number, epochs in enumerate(_by_epoch(runs), 1):
        hover: dict[str, Any] = {"epoch": number}
        for line, (name, measure) in enumerate(measures.items()):
            low, middle, high = measure(epochs)
            ends = {"low": _drawn(low), "high": _drawn(high)}
            lines.append({"epoch": number, "line": name, "mean": _drawn(middle), **ends})
            spread = f" ({text(low)} to {text(high)})" if len(epochs) > 1 else ""
            hover[f"text{line}"] = f"{text(middle)}{spread}"
        hovers.append(hover)
    return _spec(lines, hovers, list(measures), title=None, target=target) if lines else None


def _losses(values: Sequence[float]) -> Spread:
    return Fraction(min(values)), Fraction(fmean(values)), Fraction(max(values))


def _drawn(value: Fraction) -> float:
    """A number that is drawn but not read, as short as that allows."""
    return float(f"{float(value):.6g}")


def _by_epoch(runs: Sequence[Run]) -> list[list[Epoch]]:
    """The epochs of all runs, first epochs first; those of runs that diverged as far as they went."""
    longest = max((len(run.epochs) for run in runs), default=0)
    return [[run.epochs[k] for run in runs if k < len(run.epochs)] for k in range(longest)]


def _spec(
    lines: Records,
    hovers: Records,
    names: Sequence[str],
    *,
    title: str | None,
    target: Target | None,
    height: int = 230,
) -> Spec:
    """Lines with bands where records have low and high, a target, and all values of the epoch under the pointer."""
    y = {
        "type": "quantitative",
        "title": title,
        "scale": {"domain": _domain(lines, target), "nice": False, "zero": False},
    }
    ends = {"domain": [1, max(2, *(record["epoch"] for record in hovers))], "nice": False}
    axis = {"values": _epoch_ticks(max(record["epoch"] for record in hovers)), "format": "d"}
    x = {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": axis, "scale": ends}
    line = {"field": "line", "type": "nominal", "sort": None}
    colours = [f"var(--series-{number % N_COLOURS + 1})" for number in range(len(names))]
    dashes = [DASHES[(number + number // N_COLOURS) % len(DASHES)] for number in range(len(names))]
    legend = {
        "title": None,
        "orient": "top",
        "symbolType": "stroke",
        "symbolSize": 400,
        "symbolOpacity": 1,
        "columns": _columns_of_legend(names),
    }
    colour = {**line, "scale": {"domain": list(names), "range": colours}, "legend": legend}
    dash = {**line, "scale": {"domain": list(names), "range": dashes}, "legend": legend}
    layers: list[Spec] = []
    if "low" in lines[0]:
        band = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour}
        layers.append({"mark": {"type": "area", "opacity": 0.2, "clip": True}, "encoding": band})
    if target is not None:
        layers += _target_line(target, y)
    mark = {"type": "line", "clip": True, "strokeWidth": 2.2, "point": len(lines) == len(names)}
    layers.append(
        {"mark": mark, "encoding": {"x": x, "y": {**y, "field": "mean"}, "color": colour, "strokeDash": dash}}
    )
    layers += _hover(names, x)
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "data": {"values": lines},
        "datasets": {"epochs": [each | {"from": each["epoch"] - 0.5, "to": each["epoch"] + 0.5} for each in hovers]},
        "layer": layers,
        **_STYLE,
    }


def _epoch_ticks(n: int) -> list[int]:
    """Whole epochs, each once, about ten of them: Vega would put 1.5 between 1 and 2, and write 2 there."""
    step = next(k * 10**power for power in range(9) for k in (1, 2, 5) if n <= 10 * k * 10**power)
    return list(range(step, n + 1, step))


def _target_line(target: Target, y: Spec) -> list[Spec]:
    """The target across the chart, and its name at the left end, where accuracy is still far below it."""
    name = {"align": "left", "baseline": "bottom", "dx": 4, "dy": -2, "fontSize": 11}
    data = {"values": [{"target": float(target.accuracy), "name": f"target {target.accuracy}%"}]}
    height = {"y": {**y, "field": "target"}}
    rule = {"type": "rule", "color": TARGET, "strokeDash": [4, 4], "strokeWidth": 1.5}
    named = {**height, "x": {"value": 0}, "text": {"field": "name", "type": "nominal"}}
    return [
        {"data": data, "mark": rule, "encoding": height},
        {"data": data, "mark": {"type": "text", "color": TARGET, **name}, "encoding": named},
    ]


def _columns_of_legend(names: Sequence[str]) -> Spec:
    """As many columns as a chart is wide enough for: a name is never cut at its edge."""
    longest = LEGEND_GAP + LETTER * min(max(map(len, names)), LONGEST_NAME)
    return {"expr": f"max(1, min(3, floor(containerSize()[0] / {longest})))"}


def _hover(names: Sequence[str], x: Spec) -> list[Spec]:
    """A line at the epoch under the pointer, and a box with its values: ``text0`` for the first of ``names``.

    Each epoch has an invisible strip to point at. (Vega-Lite's nearest points lose texts: "undefined" in 6.1.)
    """
    shown = {"condition": {"param": "hover", "empty": False, "value": 0.6}, "value": 0}
    fields = [{"field": f"text{line}", "type": "nominal", "title": _unread(name)} for line, name in enumerate(names)]
    select = {"type": "point", "fields": ["epoch"], "on": "pointerover", "clear": "pointerout"}
    return [
        {
            "data": {"name": "epochs"},
            "mark": {"type": "rule", "color": INK, "strokeWidth": 1.5},
            "encoding": {"x": x, "opacity": shown},
        },
        {
            "data": {"name": "epochs"},
            "params": [{"name": "hover", "select": select}],
            "mark": {"type": "rect", "opacity": 0, "clip": True},
            "encoding": {
                "x": {**x, "field": "from"},
                "x2": {"field": "to"},
                "tooltip": [{"field": "epoch", "type": "quantitative"}, *fields],
            },
        },
    ]


def _unread(name: str) -> str:
    """A title that Vega shows as written: it reads backslashes in those of a tooltip (6.1)."""
    return name.replace("\\", "\\\\")


def _domain(lines: Records, target: Target | None) -> list[float]:
    """The values after the first epochs, and the target, with a little room."""
    last = max(record["epoch"] for record in lines)
    values = [float(target.accuracy)] if target else []
    for record in lines:
        if record["epoch"] > SETTLED * last or record["epoch"] == last:
            values += [float(record[name]) for name in ("low", "mean", "high") if name in record]
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.01 * abs(high) or 0.01
    return [low - room, min(100.0, high + room) if target else high + room]


_AXIS = {
    "labelColor": INK,
    "titleColor": INK,
    "gridColor": FAINT,
    "domainColor": FAINT,
    "tickColor": FAINT,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
}
_STYLE: Spec = {
    "background": "transparent",
    "autosize": {"type": "fit", "contains": "padding"},
    "config": {
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": _AXIS,
        "legend": {"labelColor": INK, "labelFontSize": 12, "labelLimit": LETTER * LONGEST_NAME},
    },
}
