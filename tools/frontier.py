"""What do parameters buy? ``python tools/frontier.py climb STORE``, then ``page STORE``.

One recipe, that of mnist-4500's rung muon but for the learning rate, and networks from 455 to 7,958 parameters, each
with the same 20 seeds.
``climb`` trains what the store does not hold; ``page`` writes docs/frontier.md and its picture from what it holds.
"""

import sys
import textwrap
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import mean
from typing import Any

from markdown_table import table

from stepladder import Recipe, Store, collect, load
from stepladder._base.files import write_atomically
from stepladder.analysis.intervals import interval_of_mean
from stepladder.climbing.climbing import climb
from stepladder.engines import choose_engine
from stepladder.ladders.ladder import Plan
from stepladder.recipes.recipe import SHORTHAND, describe_network
from stepladder.records import record
from stepladder.reporting.numbers import percent, percents
from stepladder.reporting.vega_lite import SCHEMA
from stepladder.runs.results import Results
from stepladder.runs.stats import accuracy

PAGE = Path(__file__).parent.parent / "docs" / "frontier.md"
SEEDS = range(101, 121)
LR = 0.1  # what all networks here were trained with; mnist-4500 goes on with another
HELD = load("mnist-4500").rungs[-1].target
COMMON, RECORD = "one recipe for all", "records, each with its own"

# Channels of the first two layers, and whether the second is separable or plain; of the layers between the pools; of
# the last ones; and whether those end in the logits, or a linear layer follows.
SHAPES: tuple[tuple[int, int, str, tuple[int, ...], tuple[int, ...], str], ...] = (
    (3, 4, "separable", (6, 6), (6,), "logits"),
    (3, 5, "separable", (7, 7, 7), (8,), "logits"),
    (4, 6, "separable", (8, 8, 8), (9,), "logits"),
    (5, 7, "separable", (9, 9, 9), (10,), "logits"),
    (5, 8, "separable", (12, 12, 12), (14, 12), "linear"),
    (5, 8, "separable", (15, 15, 15), (18, 18), "linear"),
    (8, 12, "separable", (17, 17, 17), (20, 20), "linear"),
    (8, 12, "separable", (23, 23, 23), (28, 28), "linear"),
    (8, 10, "plain", (27, 27, 27), (34, 34), "linear"),
    (8, 10, "plain", (32, 32, 32), (40, 40), "linear"),
)

HEAD = """\
# The frontier: fewest parameters against accuracy

Made by `tools/frontier.py` from runs; do not edit. MNIST's 10,000 test images, the last of 15 epochs, {n} seeds for
each network ({first} to {last}); intervals are of the mean, at 95%, over seeds. One recipe for all, that of the rung
`muon` of `mnist-4500` at a learning rate of {lr:g}; it was chosen on held-out training images, and so were some of the
networks. The others are widths in between: what a search for each size alone would find is at least as good. The
records of [records.md](records.md) stand beside them, each with a recipe of its own and 100 seeds.

{shorthand}

![Parameters against accuracy](frontier.svg)

"""


def layers(first: int, second: int, kind: str, middle: tuple[int, ...], end: tuple[int, ...], head: str) -> list[str]:
    """A network's layers in their text form."""
    unit = ["depthwise 3x3 pad 1 bare", "conv {} 1x1"]
    made = [f"conv {first} 3x3", *(["conv {} 3x3"] if kind == "plain" else unit), "maxpool 2"]
    made = [text.format(second) for text in made]
    made += [text.format(width) for width in middle for text in unit]
    made += ["maxpool 2"]
    *padded, last = [*end, 10] if head == "logits" else end
    made += [text.format(width) for width in padded for text in unit]
    made += ["depthwise 3x3 bare", f"conv {last} 1x1"]
    return [*made[:-1], "conv 10 1x1 bias bare", "gap"] if head == "logits" else [*made, "gap", "linear 10"]


def frontier() -> Plan:
    """A rung for each network; they stand beside each other, not one above the other."""
    whole = load("mnist-4500")
    muon = next(rung for rung in whole.rungs if rung.name == "muon")
    recipe = muon.recipe.model_dump(mode="json") | {"lr": LR}
    recipes = [Recipe.model_validate(recipe | {"network": layers(*shape)}) for shape in SHAPES]
    budget = whole.rungs[0].budget
    rungs = [
        replace(muon, name=describe_network(each.network), recipe=each, changes=("network",), budget=budget)
        for each in recipes
    ]
    return replace(whole, name="frontier", rungs=tuple(rungs))


@dataclass(frozen=True)
class Point:
    """A network of this many parameters, and its accuracy in percent at the last epoch with each seed.

    ``held`` says of how many seeds the last five epochs are all at 99.4%, if that is known.
    """

    params: int
    network: str
    accuracies: tuple[Fraction, ...]
    held: str
    record: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        return interval_of_mean([float(each) for each in self.accuracies])


def measured(results: Results) -> list[Point]:
    """The networks that were trained with every seed."""
    points = []
    for result, params in zip(results.rungs, results.params, strict=True):
        finals = tuple(accuracy(run.final) for run in result.runs if run.final is not None)
        if len(finals) == len(SEEDS):
            points.append(Point(params, result.rung.name, finals, f"{result.summary.n_held} of {len(SEEDS)}"))
    return points


def records() -> list[Point]:
    """The shipped records of MNIST, each with a recipe of its own."""
    points = []
    for found, ladder in map(record.load, record.shipped()):
        numbers, top = record.numbers_of(found, ladder), ladder.rungs[-1]
        held = f"{numbers.n_held} of {len(numbers.seeds)}" if top.target == HELD else "–"
        network = describe_network(top.recipe.network)
        points.append(Point(record.params_of(ladder), network, numbers.accuracies, held, found.name))
    return points


def page(points: list[Point]) -> str:
    rows = [
        (
            f"{each.params:,}",
            percent(mean(each.accuracies), decimals=3),
            percents(each.interval, decimals=3),
            percent(min(each.accuracies)),
            each.held,
            f"`{each.network}`",
            f"record `{each.record}`" if each.record else "the common one",
        )
        for each in sorted(points, key=lambda point: point.params)
    ]
    header = ("parameters", "mean %", "95% interval", "worst seed", "all last five ≥ 99.40%", "network", "recipe")
    shorthand = textwrap.fill(SHORTHAND, 119, break_on_hyphens=False)
    head = HEAD.format(lr=LR, n=len(SEEDS), first=SEEDS[0], last=SEEDS[-1], shorthand=shorthand)
    return head + table(header, rows, numeric=range(5)) + "\n"


def picture(points: list[Point]) -> str:
    """Parameters against the error, both on logarithmic scales, as SVG."""
    import vl_convert

    values = []
    for each in points:
        low, high = each.interval
        ends: dict[str, Any] = {"low": 100 - low, "high": 100 - high, "error": 100 - float(mean(each.accuracies))}
        values.append(ends | {"parameters": each.params, "recipe": RECORD if each.record else COMMON})
    svg: str = vl_convert.vegalite_to_svg(chart(values))
    return svg


def chart(points: list[dict[str, Any]]) -> dict[str, Any]:
    x: dict[str, Any] = {"field": "parameters", "type": "quantitative", "scale": {"type": "log", "domain": [400, 9000]}}
    x |= {"axis": {"values": [500, 700, 1000, 1500, 2000, 3000, 5000, 8000], "format": ","}}
    y: dict[str, Any] = {"type": "quantitative", "title": "wrong test images, %, mean over seeds with 95% interval"}
    y |= {"scale": {"type": "log", "domain": [0.3, 3]}, "axis": {"values": [0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3]}}
    kinds: dict[str, Any] = {"domain": [COMMON, RECORD], "range": ["#2a6fb0", "#c4520a"]}
    colour = {"field": "recipe", "type": "nominal", "scale": kinds, "legend": {"title": None, "orient": "top"}}
    common = {"filter": f"datum.recipe == '{COMMON}'"}
    return {
        "$schema": SCHEMA,
        "width": 640,
        "height": 400,
        "background": "white",
        "layer": [
            {
                "data": {"values": [{"error": 0.6, "goal": "99.4%"}, {"error": 1.0, "goal": "99.0%"}]},
                "encoding": {"y": {**y, "field": "error"}},
                "layer": [
                    {"mark": {"type": "rule", "strokeDash": [4, 4], "color": "#2e7d32"}},
                    {
                        "mark": {"type": "text", "x": 636, "dy": -6, "align": "right", "color": "#2e7d32"},
                        "encoding": {"text": {"field": "goal"}},
                    },
                ],
            },
            {
                "data": {"values": points},
                "encoding": {"x": x, "color": colour},
                "layer": [
                    {"mark": "line", "transform": [common], "encoding": {"y": {**y, "field": "error"}}},
                    {
                        "mark": {"type": "rule", "strokeWidth": 2},
                        "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
                    },
                    {
                        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                        "encoding": {"y": {**y, "field": "error"}},
                    },
                ],
            },
        ],
        "config": {"font": "system-ui, sans-serif", "view": {"stroke": None}},
    }


def main(what: str, folder: str) -> None:
    store, ladder = Store.open(folder, create=what == "climb"), frontier()
    engine, _ = choose_engine("jit")
    if what == "climb":
        for rung in ladder.rungs:
            print(rung.name, *climb(ladder.with_rungs((rung,)), seeds=SEEDS, store=store, engine=engine), flush=True)
        return
    results = collect(ladder, store, seeds=SEEDS)
    found = measured(results)
    whole = {each.params for each in found}
    missing = [f"{size:,}" for size in results.params if size not in whole]
    tail = f"\nNot measured yet, or not without a seed that diverged: {', '.join(missing)}.\n" if missing else ""
    points = [*found, *records()]
    write_atomically(PAGE, (page(points) + tail).encode())
    write_atomically(PAGE.with_suffix(".svg"), picture(points).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
