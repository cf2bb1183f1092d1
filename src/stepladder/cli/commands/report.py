"""``stepladder report``: all results as one page, or for machines."""

import click

from stepladder._base import plain
from stepladder.cli.ending import say
from stepladder.cli.options import FORCE, LADDER, STORE
from stepladder.cli.printing import echo_notes
from stepladder.cli.usage import Choice, Command
from stepladder.errors import LadderError


@click.command(cls=Command, short_help="Write a page with all results that works offline.")
@LADDER
@click.option("--engine", help="Report the runs of this engine, such as 'jit' or 'torch cuda'.")
@click.option(
    "--format",
    "form",
    type=Choice(["html", "markdown", "json", "csv"], place="format"),
    help="One HTML page; Markdown; everything as JSON; or every epoch as a line of CSV [default: by the ending of -o].",
)
@click.option("-o", "--output", help="File to write, - for stdout [default: LADDER-report.html; stdout if not HTML].")
@FORCE
@STORE
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def report(
    ladder: str, engine: str | None, form: str | None, output: str | None, force: bool, store: str, as_json: bool
) -> None:
    """Write a report of a ladder's stored runs: one page that works offline, or the same for machines.

    It has verdicts, curves, confusion matrices, misclassified images, what the networks see, and a canvas to draw a
    digit on. If there are runs of 'climb --down', the ablation is in it too.
    """
    from stepladder._base.outputs import is_stdout
    from stepladder.ladders import ladder_file
    from stepladder.reporting.summary import how_to_climb
    from stepladder.reporting.writing import form_of, require_form, text_of, write_report
    from stepladder.runs.results import collect
    from stepladder.runs.store import Store

    if as_json and form not in (None, "json"):
        raise LadderError(f"--json and --format {form} contradict each other: give one")
    form = "json" if as_json else form or form_of(output)
    require_form(output, form)
    opened = Store.open(store)
    loaded = ladder_file.load(ladder)
    results = collect(loaded, opened, engine=engine)
    text = text_of(results, opened, form=form)
    echo_notes(opened)
    if not any(each.runs for each in results.trained):
        say(f"note: no run of this ladder is stored, and the report is empty: climb first, with {how_to_climb(loaded)}")
    if output == "-" or (output is None and form != "html"):
        click.echo(text, nl=not text.endswith("\n"))
    else:
        written = write_report(text, loaded, output=output, force=force)
        if not is_stdout(written):
            click.echo(plain.neutral(str(written)))
