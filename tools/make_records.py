"""Make records, and write docs/records.md and the headers of ladders from them. Tests hold page and headers to it.

::

    python tools/make_records.py train LADDER --seeds 101-200 --store DIR
    python tools/make_records.py make NAME LADDER --seeds 101-200 --store DIR --mean 99.55 --worst 99.45 --params 8000
    python tools/make_records.py page

``train`` trains the top rung alone; a killed one goes on. ``make`` writes src/stepladder/records/NAME.json, and then
what ``page`` writes. LADDER is a shipped ladder; a file of your own needs ``--to``, a folder for the record.
"""

import argparse
import json
import re
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from statistics import mean

from stepladder import ladder_file, record
from stepladder.climbing import climb
from stepladder.engines import choose_engine
from stepladder.errors import LadderError, StepladderError
from stepladder.files import write_atomically
from stepladder.intervals import interval_of_mean
from stepladder.protocol import FIRST_SEED, LEAST_SEEDS, MOST_EPOCHS
from stepladder.record import Claim, HeldClaim, MeanClaim, ParamsClaim, WorstClaim
from stepladder.report.live import LiveClimb
from stepladder.report.numbers import percent, percents
from stepladder.report.record_page import (
    NO_RECORDS,
    Records,
    header_text,
    records_table,
)
from stepladder.report.tables import Table
from stepladder.reproducing import FAR
from stepladder.results import collect
from stepladder.store import Store

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "records.md"
PACKAGE = DOCS.parent / "src" / "stepladder"
WIDTH = 128  # columns of a ladder's header

HEAD = f"""\
# Records

Made by `tools/make_records.py` from the records in the package; do not edit. `stepladder reproduce NAME` climbs one of
them again.

## Protocol

- **One number per seed.** The result of a run is the accuracy on MNIST's 10,000 test images at its last epoch,
  {MOST_EPOCHS} at most. No checkpoint is picked, nothing is averaged over test images, and no image is
  evaluated more than once per epoch.
- **Fresh seeds.** At least {LEAST_SEEDS} of them, one unbroken range, none below {FIRST_SEED}: seeds 1
  to {FIRST_SEED - 1} are for choosing. No seed is left out, not even one that diverged: it is listed, holds no
  target, and leaves the record without a mean. Fresh means that nobody has chosen anything by these seeds' results:
  neither the ladder, nor one of several ladders, nor the claims' kinds. Who has to change the ladder afterwards takes
  other seeds. The machine checks the range; whether seeds are fresh, it cannot know.
- **One experiment.** One engine and revision, one installation, one kind of CPU; recipe and images by their hash. A
  record tells what decides the bits of its numbers: numpy and the instructions it uses, what machine code was compiled
  for (LLVM's name of the CPU, its features, the size of its L1 data cache), and the images' SHA-256. Those that were
  made before that was kept do not, and a CPU's name is not enough: one cloud gives "AMD EPYC" to three generations.
- **Parameters** are every trainable number, scale and shift of batch norm included.
- **Claims.** *Mean*: the whole 95% interval (Student) of the mean over seeds lies at or above it. *Worst*: no seed of
  the record ends below it. *Target held*: at least this share of the record's seeds is at or above the target at
  every one of the last epochs that it speaks of; the exact 95% interval of the share stands beside it (Clopper &
  Pearson). *Parameters*: counted.
- All of this is about seeds, on these 10,000 images, which the makers of every recipe have looked at before.

## Again

`stepladder reproduce NAME` trains the top rung with 8 fresh seeds (`--seeds 100` for 100, `--seeds 301-400` for
exactly those) and says of each claim that it *stands*, *fails*, or *cannot be told* with these, and then how many
seeds would tell in four of five cases. Only fresh seeds count, and the record's do not help them.

- *Mean* and *target held* stand where the 95% interval of the fresh seeds lies at or above the claim, and fail where
  it lies below. With a claim of 95%, fewer than 72 seeds cannot show that the target is held.
- *Worst* is a claim about n seeds. It stands if none of at least n fresh seeds is below it. If the recipe is the
  same, the k worst of the n + N seeds are all among the N fresh ones with a probability of C(N, k) / C(n + N, k) at
  most, whatever their distribution; the claim fails where that is at most 2.5%: 2 of 8 below, or 6 of 100, for n =
  100. A fresh seed that diverges is below.
- *What fails.* A claim that is true fails in at most 2.5% of cases, each claim and one look at it; a mean, if seeds
  are spread normally or with a tail to the worse. Who looks again with more seeds, until something fails, has no such
  bound.
- *What stands.* A share that is false stands in at most 2.5% of cases. So does a mean if seeds are spread normally,
  as those of these records nearly are; but where one seed in 20 collapses, 8 seeds meet none of those in 66% of
  cases, and a claim of no more than the mean stands in half of them all. A worst seed has no bound: if 1% of all seeds
  are below it, 100 fresh seeds show none in 37% of cases.
- A fresh seed that is {FAR} spreads below the record's median is named, with its accuracy, and counts as any other.
- The fresh mean less the record's is shown with its 95% interval (Welch), and decides nothing. No interval reaches
  beyond what is possible: 100%.
- Seeds of the record (`--seeds 101-108`) are no fresh evidence. If one gives other numbers, both are shown, and what
  decides them: engine, revision, numpy, and what code is compiled for, of the record and here. Where all of that is
  told and the same, the numbers must be too, bit for bit; if they are not, that is a bug, is said, and counts as a
  failure. Where something is another one, it is named as the reason; where the record does not tell, that is said. A
  ladder whose images are not the record's is refused, with the SHA-256 of both.

The exit code is 1 if a claim fails, else 0.

## The records
"""

TIME = """\
## Least time to {target:g}%

`python benchmarks/time_to_target.py` times the ladder `{ladder}` as a user would: each seed is a command of its own,
`stepladder climb {ladder} --top`, with an empty store and an empty cache of machine code; starting, compiling,
training, evaluating and storing are all in the time of the wall clock. It trains on one core.

| seeds | mean at the last epoch | seconds | on |
|---|---|---|---|
| {first} to {last} | {mean}% [{interval}] | {seconds:.1f} ({least:.1f} to {most:.1f}) | {machine} |

{params:,} parameters, {epochs} epochs; each seed is in [time_to_target.json](time_to_target.json). With 5 epochs and
larger batches it was 7.8 s, and 99.389% (seeds 101 to 120): not enough.
"""

PUBLIC = """\
## Public results

For comparison, what we found published for MNIST. Each is one seed, chosen on the test images, and often by the best
epoch: such numbers are higher than what the same recipe gives with a fresh seed.

| goal | public result | how it was found |
|---|---|---|
| best accuracy under 8,000 parameters | 99.56% | its best epoch; 99.484% over its last five epochs |
| fewest parameters with the last five epochs ≥ 99.40% | 6,136 parameters | nothing at 99.40% under 5,000 |
| fewest parameters with 99.00% | 697 parameters, 99.03% | 2,000 epochs, the best of 700 runs |
"""


ATTEMPTS = """\
## Attempts

What was tried on test before these records stood, and was broken off before its hundredth seed (docs/LOG.md). Each was
chosen on images held out of the training set; each one's result was seen, and some led to the next.

| meant for | recipe | seeds | test % | broken off because |
| --- | --- | --- | --- | --- |
| fewer than 8,000 parameters | separable convolutions | 6 | 99.583 | one dev split had promised 99.65 |
| | 7,958 separable parameters, Muon | 301 to 328 | 99.592 [99.579, 99.604] | 99.60 was wanted |
| | the same, sharpness-aware | 401 to 416 | 99.591 (± 0.013) | not better |
| | the same, cosine to a half | 601 to 630 | 99.570 (± 0.016) | not better |
| | the same, distilled from three | 701 to 712 | 99.582 (± 0.012) | not better |
| at most 4,500 parameters | 4,418 separable parameters, Muon | 101 to 156 | 99.522 | only 52 of 56 held 99.4% |

So six recipes beside the three of the records were looked at on these 10,000 images: five for the first target, one for
the second, none that is known of for the third.
"""


def markdown(table: Table) -> str:
    """A table in Markdown."""
    lines = [table.header, tuple("--:" if n in table.numeric else "---" for n in range(len(table.header))), *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def time_section() -> str:
    """What the benchmark of the least time found."""
    found = json.loads((DOCS / "time_to_target.json").read_text(encoding="utf-8"))
    top = ladder_file.load(found["ladder"]).top
    runs = found["runs"]
    seconds, accuracies = [run["seconds"] for run in runs], [run["accuracy"] for run in runs]
    return TIME.format(
        ladder=found["ladder"],
        machine=f"{found['n_cores']} cores of an {found['cpu']}, {found['finished']}",
        target=top.rungs[0].target.accuracy,
        first=runs[0]["seed"],
        last=runs[-1]["seed"],
        mean=percent(mean(accuracies), decimals=3),
        interval=percents(interval_of_mean(accuracies), decimals=3, between=", "),
        seconds=mean(seconds),
        least=min(seconds),
        most=max(seconds),
        params=record.params_of(top),
        epochs=top.rungs[0].recipe.epochs,
    )


def page(records: Records | None = None) -> str:
    """docs/records.md, of the shipped records unless others are given."""
    records = [record.load(name) for name in record.shipped()] if records is None else records
    table = markdown(records_table(records)) if records else NO_RECORDS
    return "\n".join([HEAD, table, "", ATTEMPTS, time_section(), PUBLIC])


def with_header(text: str, claims: list[str]) -> str:
    """A ladder's file with these claims as the first paragraph of its header."""
    first, _, rest = text.partition("\n#\n")
    if not all(line.startswith("#") for line in first.splitlines()):
        raise LadderError("a ladder with a record begins with a comment, whose first paragraph ends with a lone '#'")
    lines = [line for claim in claims for line in textwrap.wrap(claim, WIDTH - 2, break_on_hyphens=False)]
    return "\n".join(f"# {line}" for line in lines) + "\n#\n" + rest


def write() -> None:
    """The page, and the headers of the shipped ladders that have a record."""
    records = [record.load(name) for name in record.shipped()]
    for name in sorted({ladder.name for _, ladder in records}):
        path = PACKAGE / "ladders" / f"{name}.toml"
        claims = [header_text(each, ladder) for each, ladder in records if ladder.name == name]
        write_atomically(path, with_header(path.read_text(encoding="utf-8"), claims).encode())
    write_atomically(PAGE, page(records).encode())


def seeds_of(text: str) -> range:
    match = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of seeds, such as 101-200")
    return range(int(match[1]), int(match[2]) + 1)


def claims_of(options: argparse.Namespace) -> list[Claim]:
    """The claims that were asked for."""
    claims: list[Claim] = []
    if options.mean is not None:
        claims.append(MeanClaim(at_least=options.mean))
    if options.worst is not None:
        claims.append(WorstClaim(at_least=options.worst))
    if options.held is not None:
        claims.append(HeldClaim(share_at_least=options.held))
    if options.params is not None:
        claims.append(ParamsClaim(at_most=options.params))
    return claims


def make(options: argparse.Namespace) -> None:
    """Make one record; raises LadderError with all that stands against it."""
    if options.to is None and options.ladder not in ladder_file.shipped():
        raise LadderError(f"{options.ladder} is no shipped ladder: ship it, or give a folder for the record with --to")
    claims = claims_of(options)
    if not claims:
        raise LadderError("a record claims something: --mean, --worst, --held or --params")
    store = Store.open(options.store)
    results = collect(ladder_file.load(options.ladder).top, store, engine=options.engine)
    made = record.record_of(results, name=options.name, claims=claims, seeds=options.seeds)
    for note in store.notes:
        print(f"note: {note}", file=sys.stderr)
    path = (options.to or PACKAGE / "records") / f"{options.name}.json"
    write_atomically(path, record.record_text(made).encode())
    print(path)
    if options.to is None:
        write()


def train(options: argparse.Namespace) -> None:
    """Train the top rung with these seeds."""
    engine, reason = choose_engine(options.engine or "auto", device="auto")
    store = Store.open(options.store, create=True)
    with LiveClimb() as watcher:
        watcher.noted(f"engine {reason}")
        top = ladder_file.load(options.ladder).top
        failures = climb(top, seeds=options.seeds, store=store, engine=engine, jobs=options.jobs, watcher=watcher)
    if failures:
        raise LadderError("not trained: " + "; ".join(map(str, failures)))


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = whole.add_subparsers(required=True)
    for name, verb in (("train", train), ("make", make)):
        command = commands.add_parser(name, help=verb.__doc__)
        command.set_defaults(verb=verb)
        if verb is make:
            command.add_argument("name")
        command.add_argument("ladder")
        command.add_argument("--store", default="runs")
        command.add_argument("--seeds", type=seeds_of, required=True, help="such as 101-200")
        command.add_argument("--engine", help="such as 'jit'")
        if verb is train:
            command.add_argument("--jobs", type=int)
            continue
        command.add_argument("--to", type=Path, help="folder for the record, instead of the package")
        command.add_argument("--mean", type=Decimal, help="the mean is at least this, in percent")
        command.add_argument("--worst", type=Decimal, help="every seed is at least this, in percent")
        command.add_argument("--held", type=Decimal, help="this share of seeds, such as 0.95, holds the target")
        command.add_argument("--params", type=int, help="parameters are this at most")
    commands.add_parser("page", help=write.__doc__).set_defaults(verb=lambda _: write())
    return whole


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    try:
        options.verb(options)
    except StepladderError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
