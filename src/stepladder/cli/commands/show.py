"""``stepladder show``: the results of stored runs."""

import click

from stepladder.cli.options import JSON, LADDER, STORE
from stepladder.cli.printing import echo_notes, print_results
from stepladder.cli.usage import Command


@click.command(cls=Command, short_help="The results of a ladder's stored runs.")
@LADDER
@click.option("--engine", help="Show the runs of this engine, such as 'jit' or 'torch cuda'.")
@STORE
@JSON
def show(ladder: str, engine: str | None, store: str, as_json: bool) -> None:
    """Show the results of a ladder's stored runs."""
    from stepladder.ladders import ladder_file
    from stepladder.runs.results import collect
    from stepladder.runs.store import Store

    opened = Store.open(store)
    results = collect(ladder_file.load(ladder), opened, engine=engine)
    echo_notes(opened)
    print_results(results, as_json)
