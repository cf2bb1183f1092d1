"""How values look to who works with them in Python: a line or a page in print, a small table in a notebook.

The values name these functions and no more (``_base.late``). Whatever a text holds, it is a text in a notebook too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from markupsafe import Markup, escape

from stepladder._base.plain import neutral
from stepladder._base.wording import n_of
from stepladder.analysis.comparing import Comparison, Verdicts
from stepladder.analysis.tops import Between, Tops
from stepladder.ladders.checking import Check
from stepladder.ladders.ladder import Plan
from stepladder.networks.geometry import Network
from stepladder.reporting.numbers import NOTHING, percent, points
from stepladder.reporting.pages.check_page import check_page, check_table, estimate_text, layer_table
from stepladder.reporting.pages.compare_page import n_seeds_text, tone, verdict
from stepladder.reporting.pages.result_page import outcome, result_page, result_table
from stepladder.reporting.spark import mean_accuracies, sparks
from stepladder.reporting.tables import MARKS, Entry, Headline, Part, Table, changes, duration
from stepladder.reporting.terminal import to_print
from stepladder.runs.results import Results, RungResult
from stepladder.runs.run import Run
from stepladder.runs.stats import consistent_from, holds, measured

RIGHT = ' style="text-align: right"'


@dataclass(frozen=True)
class Pictured:
    """A table whose rows end in a small picture of a curve each."""

    table: Table
    curves: Sequence[Markup]


Drawn = Sequence[Part | Pictured]


def line(value: Comparison | Between) -> str:
    """``rotation against dropout: better by 0.12 points [0.05, 0.19]``."""
    if isinstance(value, Comparison):
        return neutral(f"{value.rung} against {value.below}: {verdict(value)}")
    return neutral(f"{value.other} against {value.first}: {_between(value)}")


def _between(value: Between) -> str:
    return verdict(value.comparison) if value.comparison else f"not compared: {value.problem}"


@singledispatch
def text(value: Any) -> str:
    """A value as the page that the command of the same name prints, as wide as stdout."""
    raise TypeError(f"no page shows a {type(value).__name__}")


@text.register
def _(value: Check) -> str:
    return to_print(check_page(value))


@text.register
def _(value: Results) -> str:
    return to_print(result_page(value))


def html(value: Any) -> str:
    """A value as a small table of HTML in which every text is escaped."""
    return parts_html(_drawn(value))


def parts_html(parts: Drawn) -> str:
    """Sentences and tables as HTML in which every text is escaped."""
    return str(Markup("\n").join(map(_part, parts)))


@singledispatch
def _drawn(value: Any) -> Drawn:
    """What a notebook shows of a value."""
    raise TypeError(f"no table shows a {type(value).__name__}")


@_drawn.register
def _(value: Plan) -> Drawn:
    rows = [(rung.name, word, rung.why) for rung, word in zip(value.rungs, changes(value.rungs), strict=True)]
    table = Table(title="", header=("rung", "change", "why"), rows=tuple(rows), numeric=frozenset())
    return [Entry(value.name, value.about or f"{n_of(len(rows), 'rung')} on {value.data}"), table]


@_drawn.register
def _(value: Check) -> Drawn:
    return [
        check_table(value.rungs),
        *(f"Over budget: {each}." for each in value.excess),
        estimate_text(value.estimate),
    ]


@_drawn.register
def _(value: Results) -> Drawn:
    curves = [
        (
            mean_accuracies([run.epochs for run in each.runs], each.rung.target),
            each.rung.target,
            each.rung.recipe.epochs,
        )
        for each in value.rungs
    ]
    return [outcome(value), Pictured(result_table(value), sparks(curves))]


@_drawn.register
def _(value: RungResult) -> Drawn:
    rows = tuple(_run_row(run, value) for run in value.runs)
    header = ("seed", "final %", "consistent from", "target", "time")
    table, target = Table(title="", header=header, rows=rows, numeric=frozenset({0, 1})), value.rung.target
    curves = [(mean_accuracies([run.epochs], target), target, run.identity.recipe.epochs) for run in value.runs]
    return [Entry(value.rung.name, value.rung.why), Pictured(table, sparks(curves))]


def _run_row(run: Run, of: RungResult) -> tuple[str, ...]:
    target, first = of.rung.target, consistent_from(run, of.rung.target)
    return (
        str(run.identity.seed),
        "diverged" if run.final is None else percent(measured(run.final, target), target=target.accuracy),
        NOTHING if first is None else f"epoch {first}",
        "held" if holds(run, target) else "missed",
        duration(run.elapsed_s),
    )


@_drawn.register
def _(value: Comparison) -> Drawn:
    return _drawn(Verdicts([value]))


@_drawn.register
def _(value: Verdicts) -> Drawn:
    rows = [(each.rung, each.below, *_difference(each), verdict(each)) for each in value]
    return [_compared("rung", rows, value)]


@_drawn.register
def _(value: Between) -> Drawn:
    return _drawn(Tops([value]))


@_drawn.register
def _(value: Tops) -> Drawn:
    rows = [(each.other, each.first, *_difference(each.comparison), _between(each)) for each in value]
    return [_compared("ladder", rows, [each.comparison for each in value])]


def _difference(comparison: Comparison | None) -> tuple[str, str]:
    if comparison is None:
        return NOTHING, NOTHING
    return n_seeds_text(comparison), points(comparison.difference, worth=comparison.worth_knowing)


def _compared(what: str, rows: Sequence[tuple[str, ...]], comparisons: Sequence[Comparison | None]) -> Table:
    header = (what, "against", "seeds", "points", "verdict")
    tones = {(row, 4): tone(each) for row, each in enumerate(comparisons) if each}
    return Table(title="", header=header, rows=tuple(rows), numeric=frozenset({2, 3}), tones=tones)


@_drawn.register
def _(value: Network) -> Drawn:
    return [layer_table(value, "network")]


def _part(part: Part | Pictured) -> Markup:
    match part:
        case Pictured(table, curves):
            return _table(table, curves)
        case Table():
            return _table(part)
        case Headline():
            return Markup("<p><strong>{}</strong></p>").format(f"{MARKS[part.tone]} {neutral(part.text)}")
        case Entry(name, told):
            return Markup("<p><strong>{}</strong>: {}</p>").format(neutral(name), neutral(told))
        case str():
            return Markup("<p>{}</p>").format(neutral(part))


def _table(table: Table, curves: Sequence[Markup] = ()) -> Markup:
    """A table; one with ``curves``, if there are any among them, has a column more."""
    ends = [Markup('<td style="text-align: left">{}</td>').format(each) for each in curves if any(curves)]
    head = [_cell("th", index, each, table) for index, each in enumerate(table.header)]
    rows = [
        [_cell("td", index, _marked(each, row, index, table), table) for index, each in enumerate(cells)]
        + ends[row : row + 1]
        for row, cells in enumerate(table.rows)
    ]
    if ends:
        head.append(_cell("th", len(table.header), "by epoch", table))
    title = Markup("<caption>{}</caption>").format(neutral(table.title)) if table.title else Markup("")
    body = Markup("").join(Markup("<tr>{}</tr>\n").format(Markup("").join(each)) for each in rows)
    return Markup("<table>{}<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody></table>").format(
        title, Markup("").join(head), body
    )


def _marked(cell: str, row: int, index: int, table: Table) -> str:
    mark = table.tones.get((row, index))
    return f"{MARKS[mark]} {cell}" if mark else cell


def _cell(tag: str, index: int, cell: str, table: Table) -> Markup:
    style = RIGHT if index in table.numeric else ' style="text-align: left"'
    return Markup(f"<{tag}{style}>") + escape(neutral(cell)) + Markup(f"</{tag}>")
