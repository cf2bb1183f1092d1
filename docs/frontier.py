"""What do parameters buy? ``python docs/frontier.py climb STORE``, then ``page STORE``.

One recipe, that of the top of mnist-4500, and networks from 455 to 7,958 parameters, each with the same 20 seeds.
``climb`` trains what the store does not hold; ``page`` writes docs/frontier.md and its picture from what it holds.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepladder import Ladder, Recipe, Store, climb, collect, load
from stepladder.comparing import interval_of_mean
from stepladder.engines import choose_engine
from stepladder.files import write_atomically
from stepladder.recipe import describe_network
from stepladder.report.charts import SCHEMA
from stepladder.results import RungResult
from stepladder.stats import accuracy

PAGE = Path(__file__).parent / "frontier.md"
SEEDS = range(101, 121)

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

Made by `docs/frontier.py` from runs; do not edit. MNIST's 10,000 test images, the last of 15 epochs, {n} seeds for
each network ({first} to {last}); intervals are of the mean, at 95%, over seeds. One recipe for all, that of the top of
`mnist-4500`; it was chosen on held-out training images, and so were some of the networks. The others are widths in
between: what a search for each size alone would find is at least as good.

![Parameters against accuracy](frontier.svg)

| parameters | mean % | 95% interval | worst seed | all last five ≥ 99.40% | network |
|--:|--:|--:|--:|--:|---|
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


def frontier() -> Ladder:
    """A rung for each network; they stand beside each other, not one above the other."""
    whole = load("mnist-4500")
    top = whole.rungs[-1]
    recipe = top.recipe.model_dump(mode="json")
    recipes = [Recipe.model_validate(recipe | {"network": layers(*shape)}) for shape in SHAPES]
    budget = whole.rungs[0].budget
    rungs = [
        replace(top, name=describe_network(each.network), recipe=each, changes=("network",), budget=budget)
        for each in recipes
    ]
    return replace(whole, name="frontier", rungs=tuple(rungs))


def page(found: list[RungResult], params: list[int]) -> str:
    rows = []
    for result, size in zip(found, params, strict=True):
        low, high = interval_of_mean(accuracies(result))
        summary = result.summary
        assert summary.final_mean is not None
        assert summary.final_min is not None
        cells = (
            f"{size:,}",
            f"{float(summary.final_mean):.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{float(summary.final_min):.2f}",
            f"{summary.n_held} of {len(result.runs)}",
            f"`{result.rung.name}`",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return HEAD.format(n=len(SEEDS), first=SEEDS[0], last=SEEDS[-1]) + "\n".join(rows) + "\n"


def accuracies(result: RungResult) -> list[float]:
    return [float(accuracy(run.final)) for run in result.runs if run.final is not None]


def picture(found: list[RungResult], params: list[int]) -> str:
    """Parameters against the error, both on logarithmic scales, as SVG."""
    import vl_convert

    points = []
    for result, size in zip(found, params, strict=True):
        errors = [100 - each for each in accuracies(result)]
        low, high = interval_of_mean(errors)
        points.append({"parameters": size, "error": sum(errors) / len(errors), "low": low, "high": high})
    svg: str = vl_convert.vegalite_to_svg(chart(points))
    return svg


def chart(points: list[dict[str, float]]) -> dict[str, Any]:
    x = {"field": "parameters", "type": "quantitative", "scale": {"type": "log", "domain": [400, 9000]}}
    x |= {"axis": {"values": [500, 700, 1000, 1500, 2000, 3000, 5000, 8000], "format": ","}}
    y = {"type": "quantitative", "title": "wrong test images, %, mean over seeds with 95% interval"}
    y |= {"scale": {"type": "log", "domain": [0.3, 3]}, "axis": {"values": [0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3]}}
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
                "encoding": {"x": x},
                "layer": [
                    {"mark": {"type": "line", "color": "#2a6fb0"}, "encoding": {"y": {**y, "field": "error"}}},
                    {
                        "mark": {"type": "rule", "color": "#2a6fb0", "strokeWidth": 2},
                        "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
                    },
                    {
                        "mark": {"type": "point", "filled": True, "size": 60, "color": "#2a6fb0"},
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
            print(
                rung.name, *climb(replace(ladder, rungs=(rung,)), seeds=SEEDS, store=store, engine=engine), flush=True
            )
        return
    results = collect(ladder, store, seeds=SEEDS)
    measured = [len(accuracies(each)) == len(SEEDS) for each in results.rungs]
    found = [each for each, whole in zip(results.rungs, measured, strict=True) if whole]
    params = [size for size, whole in zip(results.params, measured, strict=True) if whole]
    missing = [f"{size:,}" for size, whole in zip(results.params, measured, strict=True) if not whole]
    tail = f"\nNot measured yet, or not without a seed that diverged: {', '.join(missing)}.\n" if missing else ""
    write_atomically(PAGE, (page(found, params) + tail).encode())
    write_atomically(PAGE.with_suffix(".svg"), picture(found, params).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
