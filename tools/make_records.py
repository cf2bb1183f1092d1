"""Make records, and write docs/records.md and the headers of ladders from them. Tests hold page and headers to it.

::

    python tools/make_records.py train LADDER --seeds 101-200 --store DIR
    python tools/make_records.py make NAME LADDER --seeds 101-200 --store DIR --mean 99.55 --worst 99.45 --params 8000
    python tools/make_records.py page

``train`` trains the top rung alone; a killed one goes on. ``make`` writes src/stepladder/records/shipped/NAME.json,
and then what ``page`` writes. LADDER is a shipped ladder; a file of your own needs ``--to``, a folder for the record.
"""

import argparse
import json
import re
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from statistics import mean

from markdown_table import table as markdown

from stepladder._base.files import write_atomically
from stepladder.analysis.intervals import interval_of_mean
from stepladder.cli.commands.reproduce import reproduce
from stepladder.climbing.climbing import climb
from stepladder.engines import choose_engine
from stepladder.errors import LadderError, StepladderError
from stepladder.ladders import ladder_file
from stepladder.records import record
from stepladder.records.protocol import FIRST_SEED, LEAST_SEEDS, MOST_EPOCHS
from stepladder.records.record import Claim, HeldClaim, MeanClaim, ParamsClaim, WorstClaim
from stepladder.records.reproducing import FAR
from stepladder.records.seeds_to_tell import fewest_below, seeds_for_share
from stepladder.reporting.numbers import percent, percents
from stepladder.reporting.pages.record_page import NO_RECORDS, Records, header_text, records_table
from stepladder.runs.results import collect
from stepladder.runs.store import Store
from stepladder.watching.live import LiveClimb

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "records.md"
PACKAGE = DOCS.parent / "src" / "stepladder"
WIDTH = 128  # columns of a ladder's header
N_FRESH = next(each.default for each in reproduce.params if each.name == "seeds")

HEAD = f"""\
# Records

A record is a claim about the network at the top of a ladder, with the result of every seed that the claim rests on.
This page is made by `tools/make_records.py` from the records in the package; do not edit it. To train one of
them again, run `stepladder reproduce NAME`.

## Protocol

A file that breaks a rule that it can be held to (the seeds, the split, the epochs, the budget, the claims) is refused,
when it is made and whenever it is read.

- **One number per seed.** The result of a run is its accuracy on MNIST's 10,000 test images after its last epoch, the
  {MOST_EPOCHS}th at the latest. No checkpoint is picked, nothing is averaged over test images, and no image is
  evaluated more than once per epoch.
- **Fresh seeds.** At least {LEAST_SEEDS} of them, in one unbroken range that begins at {FIRST_SEED} or later: seeds 1
  to {FIRST_SEED - 1} are for choosing. No seed is left out, not even one that diverged: it is listed, does not hold
  the target, and leaves the record without a mean and without a worst seed. Fresh means that nobody chose anything by
  these seeds' results: neither the ladder, nor one ladder among several, nor the kinds of claims. Whoever changes the
  ladder afterwards takes other seeds. The range is checked; whether the seeds are fresh, no file can tell.
- **One experiment.** One engine and revision, one installation, one kind of CPU; recipe and images are identified by
  their hash. A record names what decides the bits of its numbers: numpy and the instructions that it uses, what
  machine code was compiled for (LLVM's name of the CPU, its features, the size of its L1 data cache), and the images'
  SHA-256. The oldest records do not name all of that, and the name of a CPU is not enough: one cloud calls three
  generations "AMD EPYC".
- **Parameters** are all trainable numbers, scale and shift of batch norm included.
- **Claims.** *Mean*: the whole 95% interval (Student) of the mean over seeds is at or above the claim. *Worst*: no
  seed of the record ends below it. *Target held*: at least this share of the record's seeds is at or above the target
  after each of the last epochs that the target speaks of. *Parameters*: counted. The mean is a claim about all seeds
  of the recipe; the worst seed and the share are claims about the record's own seeds, and for the share the exact 95%
  interval (Clopper & Pearson) stands beside it; `reproduce` asks for more, and judges the share among all seeds. The
  figure in a claim may be chosen after the results are seen, as the largest round one that they support.
- All of this is about the luck of seeds, on these 10,000 images. It says nothing about other images, and whoever makes
  a recipe for MNIST has seen results on these before.

## Reproducing a record

`stepladder reproduce NAME` trains the top rung with the {N_FRESH} seeds that come after the record's last one;
`--seeds 100` trains 100 of them, and `--seeds 301-400` exactly those. It first says which seeds these are. Then it
says of each claim that it *stands*, that it *fails*, or that it *cannot be told* with these seeds, and how many would
tell in four of five cases. Only fresh seeds count: the record's results do not help its claims.

- *Mean* and *target held* stand where the 95% interval of the fresh seeds is at or above the claim, and fail where it
  is below. To show that 95% of seeds hold a target takes {seeds_for_share(0.95, 1.0)} seeds at least, if all of them
  hold it. That 100% do, no number of seeds can show: such a claim can only fail, and does with the first seed that
  misses.
- *Worst* is a claim about the n seeds of the record. It stands if at least n fresh seeds are trained and none is
  below. If the recipe is the same, the k worst of all n + N seeds are among the N fresh ones with a probability of at
  most C(N, k) / C(n + N, k), whatever the distribution; the claim fails where that is 2.5% or less: for n = 100, with
  {fewest_below(8, 100)} of 8 below, or {fewest_below(100, 100)} of 100. A fresh seed that diverges counts as below.
  With a seed below, but too few to fail, more seeds can only make it fail.
- *How often is "fails" wrong?* A true claim fails in at most 2.5% of cases, for each claim and one look at it; for a
  mean, if the seeds' results are spread normally or with a tail to the worse. So a record with three such claims, all
  of them true, fails in up to 7.5%. Whoever looks again and again with more seeds, until something fails, has no such
  bound.
- *How often is "stands" wrong?* A false claim of a share stands in at most 2.5% of cases. So does one of a mean if
  results are spread normally, as those of these records nearly are. But where one seed in 20 collapses, 8 seeds
  include no collapsed one in {0.95**8:.0%} of cases, and then a mean that is claimed too high may well stand. For a
  worst seed there is no bound: if 1% of all seeds are below it, 100 fresh seeds include none of those in
  {0.99**100:.0%} of cases.
- A fresh seed that ends more than {FAR} standard deviations below the record's median is named, with its accuracy, and
  counts like any other. (The standard deviation is taken from the middle half of the record's seeds.)
- The difference between the fresh mean and the record's is shown with its 95% interval (Welch), and decides nothing.
  Intervals are cut where they would leave 0 to 100%.
- The record's own seeds (`--seeds 101-108`) are no fresh evidence. If one gives other numbers, you see both, and what
  decides them, for the record and here: engine, revision, numpy, and what code is compiled for. Where all of that is
  known and the same, the numbers must be too, bit for bit; if they are not, that is a bug, and counts as a failure.
  Where something differs, it is named as a possible reason; where the record does not tell, the page says so. A ladder
  whose images are not the record's is refused, with the SHA-256 of both.

The exit code is 1 if a claim fails or a number is not repeated that must be. It is 0 if all seeds were trained and
nothing failed, which is not to say that every claim was shown.

## The records
"""

TIME = """\
## Least time to {target:g}%

`python benchmarks/time_to_target.py` times the ladder `{ladder}` as a user would: each seed is a command of its own,
`stepladder climb {ladder} --top`, with an empty store and an empty cache of machine code. The time is that of the wall
clock, from start to end: starting, compiling, training, evaluating and storing. It trains on one core.

| seeds | mean at the last epoch | seconds | on |
|---|---|---|---|
| {first} to {last} | {mean}% [{interval}] | {seconds:.1f} ({least:.1f} to {most:.1f}) | {machine} |

The accuracy is a mean with its 95% interval (Student), the time a mean with its extremes. The network has {params:,}
parameters and trains for {epochs} epochs; [time_to_target.json](time_to_target.json) lists each seed. With 5 epochs
and larger batches it took 7.8 s and reached 99.389% (seeds 101 to 120): not enough.
"""

PUBLIC = """\
## Public results

For comparison, this is what we found published for MNIST. Each is the result of one seed, chosen on the test images,
and often of its best epoch: such numbers are higher than what the same recipe gives with a fresh seed, and no
like-for-like comparison with the means above.

| goal | public result | how it was found |
|---|---|---|
| best accuracy under 8,000 parameters | 99.56% | its best epoch; 99.484% over its last five epochs |
| fewest parameters with the last five epochs ≥ 99.40% | 6,136 parameters | nothing at 99.40% under 5,000 |
| fewest parameters with 99.00% | 697 parameters, 99.03% | 2,000 epochs, the best of 700 runs |
"""


ATTEMPTS = """\
## Attempts

These recipes were tried on the test images before the records above were made, and each was broken off before its
hundredth seed (see [LOG.md](LOG.md)). Each had been chosen on images held out of the training set. But its result on
test was seen, and some of these results led to the next attempt: that is choosing on test, if only a little. Beside a
mean stands its 95% interval, or half of that after ±, where it was noted.

| meant for | recipe | seeds | test % | broken off because |
| --- | --- | --- | --- | --- |
| fewer than 8,000 parameters | separable convolutions | 6 | 99.583 | one validation split had promised 99.65 |
| | 7,958 separable parameters, Muon | 301 to 328 | 99.592 [99.579, 99.604] | 99.60 was wanted |
| | the same, sharpness-aware | 401 to 416 | 99.591 (± 0.013) | not better |
| | the same, cosine to a half | 601 to 630 | 99.570 (± 0.016) | not better |
| | the same, distilled from three | 701 to 712 | 99.582 (± 0.012) | not better |
| at most 4,500 parameters | 4,418 separable parameters, Muon | 101 to 156 | 99.522 | only 52 of 56 held 99.4% |

So apart from the three recipes of the records, six were looked at on these 10,000 images: five for fewer than 8,000
parameters, one for at most 4,500, and none that we know of for 1,000.
"""


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
    found = records_table(records)
    table = markdown(found.header, found.rows, numeric=found.numeric) if records else NO_RECORDS
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
        path = PACKAGE / "ladders" / "shipped" / f"{name}.toml"
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
    path = (options.to or PACKAGE / "records" / "shipped") / f"{options.name}.json"
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
