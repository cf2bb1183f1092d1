"""From a store to a report in one of its forms, and onto the disk."""

import os
from collections.abc import Callable
from pathlib import Path

from stepladder._base.files import name_for
from stepladder._base.ours import signed, write_ours
from stepladder._base.plain import json_text
from stepladder._base.wording import option
from stepladder.errors import StoreError
from stepladder.ladders.ablation import Ablation, ablate
from stepladder.ladders.ladder import Ladder, Plan
from stepladder.runs.results import Results, collect
from stepladder.runs.run import EngineIdentity
from stepladder.runs.store import Store

SUFFIXES = {"html": ".html", "markdown": ".md", "json": ".json", "csv": ".csv"}


def report_text(ladder: Plan, store: Store, *, engine: str | EngineIdentity | None, form: str) -> str:
    """A report of a ladder's stored runs; ``form`` is one of FORMS.

    Raises DataError, and StoreError if the store has runs, but none of that engine's.
    """
    return text_of(collect(ladder, store, engine=engine), store, form=form)


def text_of(results: Results, store: Store, *, form: str) -> str:
    """A report of results whose networks are in this store; ``form`` is one of FORMS. Raises DataError."""
    return signed(FORMS[form](results, store, *ablation_in(results, store)), suffix=SUFFIXES[form])


def ablation_in(results: Results, store: Store) -> tuple[Ablation | None, Results | None]:
    """The ablation of the top and its results by the same engine; None where nothing was taken out and trained.

    What climbing up trains anyway does not count: the top without its last change is the rung below.
    """
    if not isinstance(results.ladder, Ladder) or len(results.rungs) < 2 or results.engine is None:
        return None, None
    ablation = ablate(results.ladder)
    down = collect(ablation.as_plan, store, engine=results.engine)
    on_the_way_up = [rung.recipe for rung in results.ladder.rungs]
    taken_out = [each for each in down.rungs[:-1] if each.rung.recipe not in on_the_way_up]
    return (ablation, down) if any(each.runs for each in taken_out) else (None, None)


def _html(results: Results, store: Store, ablation: Ablation | None, down: Results | None) -> str:
    from stepladder.reporting.html.html_page import html_page

    return html_page(results, store=store, ablation=ablation, down=down)


def _markdown(results: Results, store: Store, ablation: Ablation | None, down: Results | None) -> str:  # noqa: ARG001
    from stepladder.reporting.markdown_page import markdown_page

    return markdown_page(results, ablation=ablation, down=down)


def _json(results: Results, store: Store, ablation: Ablation | None, down: Results | None) -> str:  # noqa: ARG001
    from stepladder.reporting.report_json import report_dict

    return json_text(report_dict(results, ablation=ablation, down=down)) + "\n"


def _csv(results: Results, store: Store, ablation: Ablation | None, down: Results | None) -> str:  # noqa: ARG001
    from stepladder.reporting.report_csv import report_csv

    return report_csv(results)


FORMS: dict[str, Callable[[Results, Store, Ablation | None, Results | None], str]] = {
    "html": _html,
    "markdown": _markdown,
    "json": _json,
    "csv": _csv,
}


ENDINGS = {"": "html", ".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown"}
ENDINGS |= {".json": "json", ".csv": "csv"}


def form_of(output: str | None) -> str:
    """The form that the ending of a file says; HTML for none, and for what is not an ordinary file.

    Raises StoreError for an ending of something that no report is.
    """
    path = Path(output or "")
    if output in (None, "-") or not (path.suffix and (path.is_file() or not os.path.lexists(path))):
        return "html"
    try:
        return ENDINGS[path.suffix.lower()]
    except KeyError:
        raise StoreError(
            f"{output}: no form of a report ends in {path.suffix}: give {option('format')}, or a file that ends in"
            " .html, .md, .json or .csv"
        ) from None


def require_form(output: str | None, form: str) -> None:
    """Raise StoreError for a file whose ending says another form than was asked for."""
    path = Path(output or "")
    meant = ENDINGS.get(path.suffix.lower(), form) if path.suffix else form
    if meant != form:
        raise StoreError(
            f"{output} has the ending of a report in {meant}, and {form} was asked for: leave {option('format')} out,"
            f" or give a file that ends in {SUFFIXES[form]}"
        )


def write_report(text: str, ladder: Plan, *, output: str | None, force: bool = False) -> Path:
    """Write a report where it was asked for, or to LADDER-report.html here, and return where it is.

    Raises StoreError if it cannot be written, or if a file is there that is no report, unless by ``force``.
    """
    if output == "":
        raise StoreError(f"an empty path is no file: give one with {option('output')}")
    if output and output.endswith(("/", os.sep)):
        raise StoreError(f"{output} is a folder: give a file in it with {option('output')}")
    path = Path(output or name_for(ladder.name, "-report.html"))
    if output is None and os.path.lexists(path) and not (path.is_file() or path.is_dir()):
        raise StoreError(f"{path} is there already and is no report of Stepladder's: give a file with {option('o')}")
    write_ours(path, text, force=force, what="no report of Stepladder's")
    return path
