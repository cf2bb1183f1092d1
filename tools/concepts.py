"""What is each concept worth on the objective's top rung?

``python tools/concepts.py climb STORE`` trains what neither docs/results nor the store hold, ``keep STORE`` keeps what
came out in docs/results, and ``page`` writes docs/concepts.md from that, with verdicts that hold for all of it.

Every concept is one change of the top rung of mnist-8k, evaluated on test with the same seeds.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import compact
from markdown_table import table

from stepladder import Recipe, Rung, Store, collect, load
from stepladder._base.files import write_atomically
from stepladder.analysis.comparing import verdicts
from stepladder.climbing.climbing import climb
from stepladder.engines import choose_engine
from stepladder.ladders.ladder import Plan
from stepladder.recipes.recipe import describe
from stepladder.reporting.numbers import percent, points, spread_text
from stepladder.reporting.pages.compare_page import verdict
from stepladder.runs.results import Results

KEPT = "concepts"
PAGE = Path(__file__).parent.parent / "docs" / "concepts.md"
SEEDS = range(1, 9)  # the set that verdicts count on: docs/verdicts.md

STEM = ("conv 8 3x3 pad 1", "conv 8 3x3 pad 1")
BODY = ("maxpool 2", *("conv 12 3x3",) * 4, "conv 16 3x3", "gap", "linear 24", "linear 10")
SEPARABLE = (*("depthwise 3x3 bare", "conv 32 1x1") * 4, "depthwise 3x3 bare", "conv 36 1x1")
WIDE = ("conv 16 3x3 pad 1", "conv 16 3x3 pad 1", "maxpool 2", *("conv 24 3x3",) * 4, "conv 32 3x3", *BODY[-3:])

CONCEPTS: dict[str, tuple[str, Any]] = {
    "cosine schedule": ("schedule", {"kind": "cosine"}),
    "cosine with warm-up": ("schedule", {"kind": "cosine", "warmup_epochs": 2}),
    "linear schedule": ("schedule", {"kind": "linear"}),
    "one-cycle schedule": ("schedule", {"kind": "one-cycle"}),
    "plateau schedule": ("schedule", {"kind": "plateau", "patience": 1}),
    "moving average": ("average", {"horizon_epochs": 1.0}),
    "affine augmentation": ("augment", {"rotation_deg": 15.0, "scale": 0.08, "shift_px": 1.5, "shear_deg": 3.0}),
    "elastic warp": ("augment", {"rotation_deg": 15.0, "elastic_px": 0.3}),
    "cutout": ("augment", {"rotation_deg": 15.0, "cutout_px": 5}),
    "clean last epoch": ("clean_epochs", 1),
    "label smoothing": ("loss", {"label_smoothing": 0.05}),
    "nesterov momentum": ("optimizer", {"kind": "sgd", "momentum": 0.9, "nesterov": True}),
    "AdamW": ("optimizer", {"kind": "adamw"}),
    "Muon": ("optimizer", {"kind": "muon"}),
    "weight decay": ("weight_decay", 2e-4),
    "sharpness-aware": ("sharpness_aware", {"radius": 0.05}),
    "norm before ReLU": ("block", "conv norm relu dropout"),
    "norm without scale": ("norm_scale", False),
    "recalibrated norm": ("recalibrate_images", 10_000),
    "residual connection": ("network", [*STEM, "residual 1", *BODY]),
    "squeeze-excite": ("network", [*STEM, "squeeze-excite 2", *BODY]),
    "separable convolutions": ("network", [*STEM, "maxpool 2", *SEPARABLE, *BODY[-3:]]),
    "distillation": ("distill", {"network": list(WIDE)}),
    "distillation from three": ("distill", {"network": [*STEM, *BODY], "seeds": [11, 12, 13]}),
}

HEAD = """\
# What each concept is worth

Made by `tools/concepts.py` from results/concepts.json; do not edit. Each is one change of the top rung of `mnist-8k`
({params} parameters, {epochs} epochs, {top}% of the test images over {n} seeds), trained with the same {n} seeds
({machine}). They are compared as `stepladder compare` does, with intervals
that hold for all {k} concepts together ([verdicts.md](verdicts.md)): of so many, eight seeds decide only large
differences. What a concept is worth elsewhere, with a better network or beside other concepts, this does not say; nor
what an optimizer is worth at a learning rate of its own: all have the top rung's, 0.01.

"""


def ladder_of(name: str) -> Plan:
    """Two rungs: the top of mnist-8k, and that with one concept."""
    whole = load("mnist-8k")
    top = whole.rungs[-1]
    field, value = CONCEPTS[name]
    recipe = Recipe.model_validate(top.recipe.model_dump(mode="json") | {field: value})
    above = replace(top, name=name, why="What is it worth?", recipe=recipe, changes=(field,))
    return whole.with_rungs((top, above))


def change_text(below: Rung, above: Rung) -> str:
    (field,) = above.changes
    old, new = (describe(field, getattr(each.recipe, field)) for each in (below, above))
    return f"{field.replace('_', ' ')}: {old} → {new}"


def keep(store: Store) -> None:
    """Keep what the runs came to, of the concepts that have them all."""
    whole = [found for found in (collect(ladder_of(name), store, seeds=SEEDS) for name in CONCEPTS) if is_whole(found)]
    compact.write(KEPT, whole)


def is_whole(found: Results) -> bool:
    return all(len(each.runs) == len(SEEDS) for each in found.rungs)


def page() -> str:
    kept = compact.read(KEPT)
    found = {name: compact.results_or_none(kept, ladder_of(name)) for name in CONCEPTS}
    whole = {name: results for name, results in found.items() if results}
    trained = {name: results.rungs for name, results in whole.items()}
    compared = verdicts([(below, above) for below, above in trained.values()], declared=len(CONCEPTS))
    rows = []
    for (name, (below, above)), each in zip(trained.items(), compared, strict=True):
        mean = percent(above.summary.final_mean, target=above.rung.target.accuracy)
        spread = f"{mean} ± {spread_text(above.summary.final_sd)}"
        difference = points(each.difference, worth=each.worth_knowing)
        rows.append((name, change_text(below.rung, above.rung), spread, difference, verdict(each)))
    below = next(iter(trained.values()))[0]
    top = percent(below.summary.final_mean, target=below.rung.target.accuracy)
    missing = [name for name in CONCEPTS if name not in trained]
    tail = f"\nNot measured yet: {', '.join(missing)}.\n" if missing else ""
    head = HEAD.format(
        top=top,
        params=f"{next(iter(whole.values())).params[0]:,}",
        epochs=below.rung.recipe.epochs,
        n=len(SEEDS),
        k=len(CONCEPTS),
        machine=f"{kept['engine']['name']}, {', '.join(kept['cpus'])}, {kept['finished'][1][:10]}",
    )
    return head + table(("concept", "change", "test %", "points", "verdict"), rows) + "\n" + tail


def main(what: str, folder: str = "") -> None:
    match what:
        case "climb":
            store, (engine, _) = Store.open(folder, create=True), choose_engine("jit")
            kept = compact.read(KEPT) if (compact.FOLDER / f"{KEPT}.json").exists() else {}
            for name in CONCEPTS:
                if kept and compact.results_or_none(kept, ladder_of(name)):
                    continue
                print(name, *climb(ladder_of(name), seeds=SEEDS, store=store, engine=engine), flush=True)
        case "keep":
            keep(Store.open(folder))
        case "page":
            write_atomically(PAGE, page().encode())
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
