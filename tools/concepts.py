"""What is each concept worth on the objective's top rung?

``python tools/concepts.py climb STORE`` trains what neither docs/results nor the store hold, ``keep STORE`` keeps what
came out in docs/results, and ``page`` writes docs/concepts.md from that, with verdicts that hold for all of it.

Every concept is a variant of the one rung of examples/mnist-concepts.toml, evaluated on test with the same seeds.
"""

import sys
import textwrap
from pathlib import Path

import compact
from markdown_table import table

from stepladder import Store, collect, load
from stepladder._base.files import write_atomically
from stepladder.analysis.comparing import compare
from stepladder.climbing.climbing import climb
from stepladder.engines import choose_engine
from stepladder.recipes.recipe import SHORTHAND
from stepladder.reporting.numbers import percent, points, spread_text
from stepladder.reporting.pages.compare_page import verdict
from stepladder.reporting.tables import change

KEPT = "concepts"
ROOT = Path(__file__).parent.parent
LADDER = load(ROOT / "examples" / "mnist-concepts.toml")
PAGE = ROOT / "docs" / "concepts.md"
SEEDS = range(1, 9)  # the set that verdicts count on: docs/verdicts.md

HEAD = """\
# What each concept is worth

Made by `tools/concepts.py` from results/concepts.json; do not edit. Each is a variant of the top rung of `mnist-8k`
({params} parameters, {epochs} epochs, {top}% of the test images over {n} seeds), trained with the same {n} seeds
({machine}), as examples/mnist-concepts.toml has them. They are compared as
`stepladder compare` does, with intervals that hold for all {k} concepts together ([verdicts.md](verdicts.md)): with
this many, eight seeds decide only large differences. The page does not say what a concept is worth elsewhere, with a
better network or beside other concepts, nor what an optimizer is worth at a learning rate of its own: all have the top
rung's, 0.01.

{shorthand}

"""


def keep(store: Store) -> None:
    """Keep what the runs came to, of the rung and the variants that have them all."""
    found = collect(LADDER, store, seeds=SEEDS)
    whole = LADDER.with_rungs([each.rung for each in found.trained if len(each.runs) == len(SEEDS)])
    compact.write(KEPT, [compact.whole(whole, store, SEEDS)])


def page() -> str:
    kept = compact.read(KEPT)
    found = compact.results(kept, LADDER, some=True)
    rows, missing = [], []
    for (below, above), each in zip(found.hung, compare(found), strict=True):
        if not above.runs:
            missing.append(above.rung.name)
            continue
        mean = percent(above.summary.final_mean, target=above.rung.target.accuracy)
        spread = f"{mean} ± {spread_text(above.summary.final_sd)}"
        difference = points(each.difference, worth=each.worth_knowing)
        rows.append((above.rung.name, change(above.rung, below.rung), spread, difference, verdict(each)))
    top = found.rungs[0]
    head = HEAD.format(
        top=percent(top.summary.final_mean, target=top.rung.target.accuracy),
        params=f"{found.params[0]:,}",
        epochs=top.rung.recipe.epochs,
        n=len(SEEDS),
        k=len(LADDER.variants),
        shorthand=textwrap.fill(SHORTHAND, 119, break_on_hyphens=False),
        machine=f"{kept['engine']['name']}, {', '.join(kept['cpus'])}, {kept['finished'][1][:10]}",
    )
    tail = f"\nNot measured yet: {', '.join(missing)}.\n" if missing else ""
    return head + table(("concept", "change", "test %", "points", "verdict"), rows) + "\n" + tail


def main(what: str, folder: str = "") -> None:
    match what:
        case "climb":
            store, (engine, _) = Store.open(folder, create=True), choose_engine("jit")
            is_kept = (compact.FOLDER / f"{KEPT}.json").exists()
            kept = compact.results(compact.read(KEPT), LADDER, some=True).trained if is_kept else ()
            known = [each.rung.name for each in kept if each.runs]
            for rung in LADDER.trained:
                if rung.name not in known:
                    plan = LADDER.with_rungs([rung])
                    print(rung.name, *climb(plan, seeds=SEEDS, store=store, engine=engine), flush=True)
        case "keep":
            keep(Store.open(folder))
        case "page":
            write_atomically(PAGE, page().encode())
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
