"""The report as Markdown, for a README: each rung's Targets, Results and Analysis, verdicts, receptive fields."""

import html
import re
from collections.abc import Iterable

import tabulate

from stepladder._base.plain import neutral
from stepladder.analysis.attempts import tried
from stepladder.analysis.comparing import compare, compare_with_top
from stepladder.datasets.data import describe
from stepladder.ladders.ablation import Ablation
from stepladder.ladders.checking import check_rungs
from stepladder.reporting.pages.ablation_page import ablation_table
from stepladder.reporting.pages.check_page import layer_tables
from stepladder.reporting.pages.compare_page import comparison_notes, comparison_tables, target_table
from stepladder.reporting.pages.provenance import provenance
from stepladder.reporting.pages.result_page import result_notes, result_tables
from stepladder.reporting.summary import headline
from stepladder.reporting.tables import Table
from stepladder.reporting.words.diagnosis_text import RungNotes, notes
from stepladder.runs.results import Results

tabulate.MIN_PADDING = 0  # as in terminal: the same text whatever else is imported


def markdown_page(results: Results, *, ablation: Ablation | None = None, down: Results | None = None) -> str:
    """What ``stepladder report --format markdown`` prints; ``down`` are the results of the ablation, if any."""
    ladder, comparisons = results.ladder, compare(results)
    by_rung = {each.rung: each for each in comparisons}
    checked = check_rungs(ladder, describe(ladder.data))
    parts = [f"# {_text(ladder.name)}", *([_text(ladder.about)] if ladder.about else [])]
    parts.append(f"**{_text(headline(results))}**")
    parts += [*map(_table, result_tables(results)), *map(_text, result_notes(results)), "## Verdicts"]
    parts += map(_table, comparison_tables(results, comparisons))
    parts += [*map(_text, comparison_notes(comparisons, ladder)), _table(target_table(results))]
    if ablation and down:
        at_top = compare_with_top(down)
        parts += [
            _table(ablation_table(ablation, at_top, up=results, down=down)),
            *map(_text, comparison_notes(at_top, ladder, down=True)),
        ]
    parts.append("## The rungs")
    known = tried(results, comparisons)
    for index, result in enumerate(results.rungs):
        parts += _rung(index, result.rung.name, notes(results, index, by_rung.get(result.rung.name), known=known))
    parts += ["## Receptive fields", *map(_table, layer_tables(checked)), "## Provenance"]
    parts.append("\n".join(f"- {name}: {_text(value)}" for name, value in provenance(results)))
    return "\n\n".join(parts) + "\n"


def _rung(index: int, name: str, found: RungNotes) -> list[str]:
    return [
        f"### {index + 1}. {_text(name)}",
        "#### Targets",
        _list(found.targets),
        "#### Results",
        _list(found.results),
        "#### Analysis",
        _list((*found.analysis, *(f"Next: {step}" for step in found.next_steps))),
    ]


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {_text(sentence)}" for sentence in sentences)


def _table(table: Table) -> str:
    body = tabulate.tabulate(
        [[_text(cell) for cell in row] for row in table.rows],
        [_text(cell) for cell in table.header],
        tablefmt="pipe",
        colalign=["right" if index in table.numeric else "left" for index in range(len(table.header))],
        disable_numparse=True,
    )
    return f"**{_text(table.title)}**\n\n{body}" if table.title else body


_MARKUP = re.compile(
    r"""[\\`*_|~$]     # code, emphasis, cells, mathematics on GitHub
    |\](?=[(\[])      # links
    |^\[              # definitions of links, boxes to tick
    |^[-+](?=[-\s]|$) # lists, rules
    |^\#|\#(?=\#*$)   # headings, and what closes them""",
    re.VERBOSE,
)


def _text(text: str) -> str:
    """Text that Markdown shows as it is, on one line, wherever it stands there."""
    line = html.escape(neutral(" ".join(text.split())), quote=False)
    marked = _MARKUP.sub(r"\\\g<0>", line)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", marked)
