"""Several ladders side by side: each one's top rung against that of the first, all corrected together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from stepladder._base.late import FACES, Drawn, Named, late
from stepladder._base.wording import option
from stepladder.analysis.comparing import Comparison, verdicts
from stepladder.ladders.evaluated import data_identity
from stepladder.runs.results import Results, RungResult


@dataclass(frozen=True)
class Between(Drawn):
    """Two ladders' tops, by the ladders' sources: how the second differs from the first, or why it is not compared.

    Printed, it is one line.
    """

    first: str
    other: str
    comparison: Comparison | None = None
    problem: str = ""

    def __repr__(self) -> str:
        return f"<Between {self.first!r} and {self.other!r}: {getattr(self.comparison, 'outcome', 'not compared')}>"

    def __str__(self) -> str:
        line: str = late(f"{FACES}:line")(self)
        return line


class Tops(Named[Between]):
    """How the tops of several ladders differ from that of the first, in the order given; printed, a line each.

    ``tops["b.toml"]`` is that of the ladder of this file, or of this name where it was built in Python.
    """

    kind = "comparison with the top of"

    @staticmethod
    def name_of(one: Between) -> str:
        return one.other


def compare_tops(found: Sequence[Results]) -> Tops:
    """The top rung of each ladder but the first against that of the first, as that many comparisons together.

    Only where they are trained and evaluated on the same images, by one engine, and are about the same measure.
    """
    first, tops = found[0], [_under_its_source(each) for each in found]
    unlike = [next(_unlike(first, each), "") for each in found[1:]]
    pairs = [(tops[0], top) for top, problem in zip(tops[1:], unlike, strict=True) if not problem]
    compared = iter(verdicts(pairs, declared=len(pairs)))
    return Tops(
        Between(first.ladder.source, each.ladder.source, None if problem else next(compared), problem)
        for each, problem in zip(found[1:], unlike, strict=True)
    )


def _under_its_source(results: Results) -> RungResult:
    """A ladder's top rung, called as the ladder: rungs of two ladders may have one name."""
    top = results.rungs[-1]
    return replace(top, rung=replace(top.rung, name=results.ladder.source))


def _unlike(one: Results, other: Results) -> Iterator[str]:
    """Why two ladders' tops cannot be compared, and what would help."""
    first, second = (data_identity(each.ladder) for each in (one, other))
    tops = [each.rungs[-1].rung for each in (one, other)]
    if first.sha256 != second.sha256:
        yield f"other images: {first.name} and {second.name}: compare ladders on one data set"
    if first.evaluate_on != second.evaluate_on:
        yield f"evaluated on {first.evaluate_on} and on {second.evaluate_on}: set evaluate_on alike"
    if first.essence() != second.essence():
        sizes = " and ".join(f"{each.dev_images:,} ({each.split})" for each in (first, second))
        yield f"other validation images, {sizes}: set dev_images alike"
    if tops[0].target.balanced != tops[1].target.balanced:
        yield f"targets of {tops[0].target.measure} and of {tops[1].target.measure}: set balanced alike"
    if one.engine and other.engine and one.engine != other.engine:
        yield f"trained by {one.engine} and by {other.engine}: name one with {option('engine')}"
    if tops[0].recipe == tops[1].recipe:
        yield "the same recipe: it is one top rung, twice"
