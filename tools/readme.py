"""The numbers in README.md, docs/engine.md and docs/verdicts.md: ``python tools/readme.py``.

They come from docs/results and the records; a test holds the pages to them. Each part between ``<!-- NAME: made by
tools/readme.py -->`` and ``<!-- end -->`` is made here. ``python tools/readme.py keep STORE`` first keeps what the
runs of mnist-8k came to, those of ``climb --down`` and of mnist-8k-as-run included.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import Any

import compact
from markdown_table import table
from readme_text import AUTHORS, CHANGES, RECORDS, SENTENCES, SPEED, STEPS, WORTH, filled

from stepladder import Store, load
from stepladder._base.files import write_atomically
from stepladder.analysis.comparing import Comparison, compare, compare_with_top
from stepladder.analysis.movements import Movement, movements_of
from stepladder.ladders.ablation import ablate
from stepladder.records import record
from stepladder.reporting.numbers import interval_text, loss_text, percent, points, spread_text
from stepladder.reporting.pages.compare_page import brief_verdict
from stepladder.runs.results import Results, RungResult

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "engine.md", ROOT / "docs" / "verdicts.md")
SEEDS = range(1, 9)
KEPT = "mnist-8k"
OURS = "stepladder jit"


def keep(store: Store) -> None:
    up = load("mnist-8k")
    ladders = (up, ablate(up).as_plan, load("mnist-8k-as-run"))
    compact.write(KEPT, [compact.whole(ladder, store, SEEDS) for ladder in ladders])


@cache
def climbed() -> tuple[Results, Results, Results]:
    """mnist-8k; its top without each change; the six steps as their authors ran them."""
    kept = compact.read(KEPT)
    up, as_run = load("mnist-8k"), load("mnist-8k-as-run")
    found = [compact.results(kept, ladder) for ladder in (up, ablate(up).as_plan, as_run)]
    return found[0], found[1], found[2]


def steps() -> str:
    """What each of the six rungs came to."""
    up, _, as_run = climbed()
    header = ("rung", "one change", "parameters", "train %", "test %, mean ± sd of 8 seeds", "worst", "authors")
    rows = [
        (
            *(each.rung.name, change, f"{params:,}", of(each, each.summary.train_final_mean), mean_and_spread(each)),
            *(of(each, each.summary.final_min), authors, f"{each.summary.n_held} of {len(each.summary.seeds)}"),
        )
        for each, params, change, authors in zip(up.rungs, up.params, CHANGES, AUTHORS, strict=True)
    ]
    kept = compact.read(KEPT)
    fifth, sixth = as_run.rungs[-2:]
    return filled(
        STEPS,
        table=table((*header, "last five epochs ≥ 99.4"), rows),
        first=SEEDS[0],
        last=SEEDS[-1],
        date=kept["finished"][1][:10],
        engine=f"{kept['engine']['name']}, llvmlite {kept['versions']['llvmlite']}, {', '.join(kept['cpus'])}",
        fifth=mean_and_spread(fifth),
        sixth=mean_and_spread(sixth),
    )


def worth() -> str:
    """What the five changes are worth, and a sentence on each rung."""
    up, down, _ = climbed()
    names = [each.rung.name for each in up.rungs]
    compared = dict(zip(names[1:], compare(up), strict=True))
    spreads = [each.summary.final_sd or 0.0 for each in up.rungs]
    errors = [each.image_error or 0.0 for each in compared.values()]
    return filled(
        WORTH,
        table=worth_table(compared, {each.below: each for each in compare_with_top(down)}),
        sentences=table(("rung", "in one sentence"), list(zip(names, sentences(compared), strict=True))),
        n_decided=sum(each.decided for each in compared.values()),
        n_steps=len(compared),
        rotation=points(compared["rotation"].difference).lstrip("+"),
        for_rotation=needed(compared["rotation"].needed_seen),
        times=round(spreads[0] / spreads[-1]),
        least_error=spread_text(min(errors)),
        most_error=spread_text(max(errors)),
        least_spread=spread_text(min(spreads)),
        most_spread=spread_text(max(spreads)),
    )


def sentences(compared: dict[str, Comparison]) -> list[str]:
    """What is to be said of each rung."""
    up, down, _ = climbed()
    rungs = {each.rung.name: each for each in (*up.rungs, *down.rungs)}
    top = up.rungs[-1]
    values = {
        "without_rotation": of(top, rungs["without rotation"].summary.final_mean),
        "top": of(top, top.summary.final_mean),
        "schedule": points(compared["steplr"].difference).lstrip("+"),
        "before": loss_text(last_movement(rungs["rotation"]).step),
        "after": loss_text(last_movement(rungs["steplr"]).step),
        "field": brief_verdict(compared["receptive-field"]),
        "n_held": top.summary.n_held,
    }
    return [sentence.format_map(values) for sentence in SENTENCES]


def last_movement(result: RungResult) -> Movement:
    return movements_of(result.rung.recipe, result.runs)[-1]


def worth_table(compared: dict[str, Comparison], at_the_top: dict[str, Comparison]) -> str:
    words = ("narrower network", "dropout", "rotation", "schedule", "receptive field")
    rows = []
    for word, (rung, each) in zip(words, compared.items(), strict=True):
        top = at_the_top.get(f"without {rung}")
        in_top = f"{with_interval(top)}, {outcome(top)}" if top else ""
        rows.append((word, with_interval(each), outcome(each), needed(each.needed_worth), in_top))
    header = ("change", "on the way up, 8 seeds", "verdict", "seeds for 0.05 points", "in the top recipe, 8 seeds")
    return table(header, rows)


def records() -> str:
    """What the records claim, and reached."""
    found = {name: record.load(name) for name in record.shipped()}
    numbers = {name: record.numbers_of(*each) for name, each in found.items()}
    params = {name: f"{record.params_of(ladder):,}" for name, (_, ladder) in found.items()}
    fast = json.loads((ROOT / "docs" / "time_to_target.json").read_text(encoding="utf-8"))
    best, small, least = (numbers[name] for name in ("mnist-8k-record", "mnist-4500", "mnist-1000"))
    return filled(
        RECORDS,
        params_best=params["mnist-8k-record"],
        epochs=found["mnist-8k-record"][1].rungs[-1].recipe.epochs,
        n_best=len(best.seeds),
        best=percent(best.mean, decimals=3),
        sd=spread_text(best.sd),
        worst=percent(best.worst),
        held_best=f"All {best.n_held}" if best.n_held == len(best.seeds) else f"{best.n_held} of them",
        params_small=params["mnist-4500"],
        n_small=len(small.seeds),
        held_small=small.n_held,
        small=percent(small.mean),
        params_least=params["mnist-1000"],
        n_least=len(least.seeds),
        least=percent(least.mean),
        seconds=f"{mean(run['seconds'] for run in fast['runs']):.1f}",
        cpu=fast["cpu"],
        fast=percent(mean(run["accuracy"] for run in fast["runs"])),
        n_fast=len(fast["runs"]),
    )


def speed() -> str:
    """How fast it is beside PyTorch, and on which machine."""
    kept = json.loads((compact.FOLDER / "epoch.json").read_text(encoding="utf-8"))
    rungs = kept["ms_per_step"].values()
    usual = [versus(peers, "torch eager, 1 thread") for peers in rungs]
    best = [versus(peers, best_setting(peers)) for peers in rungs]
    return filled(
        SPEED,
        cpu=f"{kept['cpu'].replace('(R)', '')} ({kept['target']})",
        torch=kept["torch"].partition("+")[0],
        usual=f"{min(usual):.0f} to {max(usual):.0f}",
        best=f"{min(best):.0f} to {max(best):.0f}",
    )


def epochs() -> str:
    """Milliseconds per step beside PyTorch's, for the engine's page."""
    kept = json.loads((compact.FOLDER / "epoch.json").read_text(encoding="utf-8"))
    rungs = kept["ms_per_step"]
    rows = [
        (peer, *(cell for peers in rungs.values() for cell in (f"{median(peers[peer]):.2f}", ratio(peers, peer))))
        for peer in next(iter(rungs.values()))
    ]
    header = ("trained by", *(cell for name in rungs for cell in (f"{name}, ms", "ratio to jit")))
    cpu = f"{kept['cpu'].replace('(R)', '')} ({kept['target']})"
    return f"One core of an {cpu}, torch {kept['torch']}, {kept['date']}:\n\n{table(header, rows)}"


def ratio(peers: dict[str, list[float]], peer: str) -> str:
    return "" if peer == OURS else f"{versus(peers, peer):.1f}"


def versus(peers: dict[str, list[float]], peer: str) -> float:
    """How many times as fast as a peer, turn by turn."""
    pairs = zip(peers[peer], peers[OURS], strict=True)
    return median(theirs / ours for theirs, ours in pairs)


def best_setting(peers: dict[str, list[float]]) -> str:
    """The fastest of PyTorch's own settings on one core."""
    own = [name for name in peers if name.startswith("torch") and "2 threads" not in name]
    return min(own, key=lambda name: median(peers[name]))


def of(result: RungResult, value: Any) -> str:
    """A percentage beside a rung's target."""
    return percent(value, target=result.rung.target.accuracy)


def mean_and_spread(result: RungResult) -> str:
    return f"{of(result, result.summary.final_mean)} ± {spread_text(result.summary.final_sd)}"


def with_interval(comparison: Comparison) -> str:
    size = points(comparison.difference, worth=comparison.worth_knowing)
    return f"{size} {interval_text(comparison.interval, worth=comparison.worth_knowing)}"


def outcome(comparison: Comparison) -> str:
    return comparison.outcome if comparison.decided else "not decided yet"


def needed(seeds: tuple[int, int | None] | None) -> str:
    return "" if seeds is None else f"{seeds[0]} to {seeds[1]}"


def verdicts() -> str:
    """What benchmarks/verdicts.py printed."""
    return (compact.FOLDER / "verdicts.txt").read_text(encoding="utf-8").strip()


PARTS: dict[str, Callable[[], str]] = {
    "speed": speed,
    "steps": steps,
    "worth": worth,
    "records": records,
    "epochs": epochs,
    "verdicts": verdicts,
}
MARKED = re.compile(r"(<!-- (\w+): made by tools/readme.py -->\n\n?)(.*?)(\n\n?<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """A page with its marked parts made anew."""
    return MARKED.sub(lambda found: found[1] + PARTS[found[2]]() + found[4], text)


def main(arguments: Sequence[str]) -> None:
    if arguments:
        keep(Store.open(arguments[1]))
    for path in PAGES:
        write_atomically(path, page(path.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
